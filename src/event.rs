//! What the service logs: each event once, with its name, levels, fields and words.

use jeton_verify::event::ShownValue;

pub use jeton_verify::event::DeclaredEvent;

/// Every event of the service and of the crates that it is made of. Two crates may declare forms of the same event.
pub fn all() -> impl Iterator<Item = &'static DeclaredEvent> {
    [EVENTS, jeton_actix::event::EVENTS, jeton_verify::event::EVENTS].into_iter().flatten()
}

jeton_verify::events! {
    /// The server accepts requests.
    "serving" => Serving<'e>: info {
        address: ShownValue<'e>, admin: Option<ShownValue<'e>>, issuer: ShownValue<'e>, kid: ShownValue<'e>,
        policies: ShownValue<'e>,
    };

    /// SIGTERM came. For `seconds`, or until a second SIGTERM, `/readyz` answers 503 and requests are still taken.
    "server.draining" => Draining: info { seconds: u64 } "each answer closes its connection, so that clients go elsewhere";

    /// The server stopped.
    "stopped" => Stopped: info {};

    /// A fault in jeton.
    "panicked" => Panicked<'e>: error { at: Option<&'e str>, detail: &'e str, backtrace: Option<&'e str> }
        "this is a fault in jeton: please report it";

    /// A setting works, but should be changed.
    "settings.warning" => SettingsWarning<'e>: warn { detail: &'e str };

    /// The limit of open files allows only few connections.
    "server.few_connections" => FewConnections: warn { connections: usize, open_files: usize }
        "the limit of open files allows only few connections: raise it (`ulimit -n`, `LimitNOFILE=`)";

    /// All connections of a listener are taken, and others wait. Logged again only after a minute with room.
    "server.full" => ServerFull<'e>: warn { listener: &'e str, connections: usize }
        "other connections wait until one ends: raise the limit of open files (`ulimit -n`, `LimitNOFILE=`) if you expect so many";

    /// The service manager named by `NOTIFY_SOCKET` could not be told what the server does.
    "service_manager.untold" => ServiceManagerUntold<'e>: warn { error: ShownValue<'e> }
        "systemd may take the server for one that did not start";

    /// A client got an access token.
    "token.issued" => TokenIssued<'e>: info {
        jti: &'e str, client: &'e str, subject: Option<&'e str>, grant: Option<&'e str>, api: &'e str,
        scopes: &'e str, ttl: u64, kid: &'e str, bound_to: Option<&'e str>, reused: Option<bool>, issuer: Option<&'e str>,
        foreign_sub: Option<&'e str>, foreign_jti: Option<&'e str>,
    };

    /// A request for a token was refused.
    "token.refused" => TokenRefused<'e>: info | warn | error {
        reason: &'e str, detail: &'e str, grant: Option<&'e str>, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// The service could not sign a token.
    "token.failed" => TokenFailed<'e>: error { error: ShownValue<'e> };

    /// A refresh token was used again within `tokens.refresh_grace`. The client got the same generation.
    "refresh.retried" => RefreshRetried<'e>: info { client: &'e str, family: &'e str };

    /// A refresh token was used twice, and not as a retry. It may be stolen, so its family was ended.
    "refresh.reused" => RefreshReused<'e>: warn { client: &'e str, family: &'e str } "the family was ended";

    /// A token of another issuer was refused. `client` is the client it stands for, or the nearest one; `differs` lists that one's conditions that do not hold, with what the token has.
    "federation.refused" => FederationRefused<'e>: warn | error {
        issuer: Option<&'e str>, iss: Option<&'e str>, client: Option<&'e str>, reason: &'e str,
        differs: Option<&'e str>,
    };

    /// The keys of an issuer of the policies were fetched, for the first time or after failed attempts.
    "issuer_keys.fetched" => IssuerKeysFetched<'e>: info { issuer: &'e str, keys: usize };

    /// The keys of an issuer of the policies could not be fetched or used. The last good ones count for 24 hours.
    "issuer_keys.not_fetched" => IssuerKeysNotFetched<'e>: warn | debug { issuer: &'e str, error: &'e str };

    /// Some keys of an issuer of the policies cannot verify its tokens. Logged when they change.
    "issuer_keys.passed_over" => IssuerKeysPassedOver<'e>: warn { issuer: &'e str, keys: &'e str };

    /// A client revoked a token by `/oauth2/revoke`.
    "token.revoked" =>
        TokenRevoked<'e>: info { client: &'e str, jti: &'e str },
        NothingRevoked<'e>: info { client: &'e str } "there was nothing to revoke";

    /// A revocation was refused.
    "revocation.refused" => RevocationRefused<'e>: info | warn | error {
        reason: &'e str, detail: &'e str, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// An introspection was answered with what a token says.
    "introspection.active" => IntrospectionActive<'e>: debug { caller: &'e str };

    /// An introspection was answered with `{"active":false}`.
    "introspection.inactive" => IntrospectionInactive<'e>: info { caller: &'e str, reason: &'e str };

    /// An introspection was refused.
    "introspection.refused" => IntrospectionRefused<'e>: info | warn | error {
        reason: &'e str, detail: Option<&'e str>, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// The service could not sign a bundle.
    "bundle.failed" => BundleFailed<'e>: error { error: &'e str };

    /// A bundle is longer than services accept. They keep the last shorter one until its `exp`.
    "bundle.too_long" => BundleTooLong<'e>: error { api: &'e str, bytes: usize, longest: usize };

    /// The service could not sign a status list.
    "status_list.failed" => StatusListFailed<'e>: error { error: &'e str };

    /// A gateway's request was allowed.
    "decision.allowed" => DecisionAllowed<'e>: debug {
        gateway: &'e str, method: &'e str, path: &'e str, rule: &'e str, client: Option<&'e str>,
    };

    /// A request was denied.
    "decision.denied" =>
        GatewayRequestDenied<'e>: info | warn {
            gateway: Option<&'e str>, method: Option<&'e str>, path: Option<&'e str>, host: Option<&'e str>,
            reason: &'e str, detail: Option<&'e str>,
        };

    /// The store answers.
    "store.reachable" => StoreReachable<'e>: info { address: ShownValue<'e> };

    /// The store does not answer.
    "store.unreachable" => StoreUnreachable<'e>: warn {
        address: ShownValue<'e>, error: ShownValue<'e>, hint: Option<&'e str>,
    } "requests that need the store fail until it is back";

    /// A connection to the store broke. The server connects again.
    "store.broken" => StoreBroken<'e>: debug { error: ShownValue<'e> };

    /// A listener serves TLS with this certificate.
    "tls.loaded" => TlsLoaded<'e>: info { listener: &'e str, expires: ShownValue<'e> };

    /// The certificate of a listener and its key were replaced. New connections use the new pair.
    "tls.reloaded" => TlsReloaded<'e>: info { trigger: &'e str, listener: &'e str, expires: ShownValue<'e> };

    /// The new certificate or its key has errors. The old pair stays in force. One line for each error.
    "tls.rejected" => TlsRejected<'e>: error { trigger: &'e str, listener: &'e str, error: &'e str }
        "the last good certificate and key stay in force";

    /// After a rejection, the files are again as in force.
    "tls.restored" => TlsRestored<'e>: info { trigger: &'e str, listener: &'e str } "the files are again as in force";

    /// Somebody asked for a reload, and nothing had changed.
    "tls.unchanged" => TlsUnchanged<'e>: info { trigger: &'e str, listener: &'e str };

    /// The certificate of a listener ends within 14 days, or has ended. Logged at the start, with a new one, and once a day.
    "tls.expires_soon" =>
        TlsExpiresSoon<'e>: warn { listener: &'e str, expires: ShownValue<'e> }
            "renew the certificate: jeton takes over new files by itself",
        TlsExpired<'e>: warn { listener: &'e str, expires: ShownValue<'e> }
            "the certificate has expired, and clients refuse it: renew it";

    /// The certificate of a listener is not valid yet. jeton serves it all the same.
    "tls.not_yet_valid" => TlsNotYetValid<'e>: warn { listener: &'e str, begins: ShownValue<'e> }
        "clients refuse the certificate until then: check the clock, or whether it is the right one";

    /// Others can read the key file of a listener.
    "tls.readable" => TlsReadable<'e>: warn { listener: &'e str, detail: &'e str };

    /// Certificates of clients are checked against this many authorities.
    "client_authorities.loaded" => ClientAuthoritiesLoaded: info { count: usize };

    /// The authorities of clients were replaced.
    "client_authorities.reloaded" => ClientAuthoritiesReloaded<'e>: info { trigger: &'e str, count: usize };

    /// The file of the authorities has errors. The old ones stay in force.
    "client_authorities.rejected" => ClientAuthoritiesRejected<'e>: error { trigger: &'e str, error: &'e str }
        "the last good authorities stay in force";

    /// After a rejection, the file is again as in force.
    "client_authorities.restored" => ClientAuthoritiesRestored<'e>: info { trigger: &'e str }
        "the file is again as in force";

    /// Somebody asked for a reload, and nothing had changed.
    "client_authorities.unchanged" => ClientAuthoritiesUnchanged<'e>: info { trigger: &'e str };

    /// Spans could not be exported to the collector.
    "traces.not_exported" => TracesNotExported<'e>: warn | debug { url: &'e str, error: ShownValue<'e> }
        "spans are lost until the collector takes them; requests are not affected";

    /// The collector takes spans again.
    "traces.exported" => TracesExported<'e>: info { url: &'e str };

    /// A fault in jeton: the metrics could not be written down.
    "metrics.failed" => MetricsFailed<'e>: error { error: ShownValue<'e> } "whoever scrapes gets an error";

    /// The process that checks edited policies for the console could not be started or heard, or failed.
    "console.check_failed" => CheckFailed<'e>: error { error: ShownValue<'e> } "whoever asked gets an error";

    /// The policies were replaced.
    "policies.reloaded" => PoliciesReloaded<'e>: info {
        trigger: &'e str, old: ShownValue<'e>, new: ShownValue<'e>, effect: &'e str, gains: Option<usize>,
        losses: Option<usize>, clients: Option<usize>,
    };

    /// The new policies have errors. The old ones stay in force. One line with the count, then one for each error.
    "policies.rejected" =>
        PoliciesRejected<'e>: error { trigger: &'e str, count: usize } "the last good ones stay in force",
        PoliciesUnread<'e>: error { trigger: &'e str, detail: &'e str } "the last good ones stay in force",
        PoliciesError<'e>: error { at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str> };

    /// After a rejection, the files are again as in force.
    "policies.restored" => PoliciesRestored<'e>: info { trigger: &'e str }
        "the files are again as in force";

    /// Somebody asked for a reload, and nothing had changed.
    "policies.unchanged" => PoliciesUnchanged<'e>: info { trigger: &'e str };

    /// The policies load, with a warning. Only new warnings are logged.
    "policies.warning" => PoliciesWarning<'e>: warn {
        at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str>,
    };

    /// How many warnings are new, were there before, and are gone.
    "policies.warnings" => PoliciesWarnings<'e>: info { trigger: &'e str, new: usize, same: usize, gone: usize };

    /// A fault in jeton prevented the lines about a reload.
    "policies.untold" => PoliciesUntold<'e>: error { error: ShownValue<'e> } "the policies in force are not affected";

    /// The candidate policies were read for the first time.
    "candidate.loaded" => CandidateLoaded<'e>: info { trigger: &'e str, hash: ShownValue<'e> };

    /// The candidate policies were replaced.
    "candidate.reloaded" => CandidateReloaded<'e>: info { trigger: &'e str, old: ShownValue<'e>, new: ShownValue<'e> };

    /// After a rejection, the files are again as the candidate in use.
    "candidate.restored" => CandidateRestored<'e>: info { trigger: &'e str }
        "the files are again as the candidate in use";

    /// The candidate policies have errors. No answer depends on them.
    "candidate.rejected" =>
        CandidateRejected<'e>: error { trigger: &'e str, count: usize } "the last good candidate stays in use",
        FirstCandidateRejected<'e>: error { trigger: &'e str, count: usize }
            "nothing is compared until the candidate has no errors",
        CandidateUnread<'e>: error { trigger: &'e str, error: ShownValue<'e> }
            "the last good candidate stays in use, if there is one",
        CandidateError<'e>: error { at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str> };

    /// The key folder was empty, so the service made the first key.
    "keys.generated" => KeysGenerated<'e>: info { dir: ShownValue<'e>, kid: ShownValue<'e> }
        "the key folder was empty, so the first key was made";

    /// Another key signs from now on.
    "keys.activated" => KeysActivated<'e>: info { kid: &'e str, before: &'e str };

    /// This server made the next key.
    "keys.rotated" => KeysRotated<'e>: info { kid: &'e str, signs_from: ShownValue<'e> };

    /// This server could not make the next key.
    "keys.rotation_failed" => KeysRotationFailed<'e>: error { error: &'e str } "the server tries again in a minute";

    /// The keys were replaced. A line for each change stands before it.
    "keys.reloaded" => KeysReloaded<'e>: info { trigger: &'e str, signing: &'e str, published: usize };

    /// A key was published.
    "keys.added" => KeysAdded<'e>: info { trigger: &'e str, kid: &'e str };

    /// A key is no longer published.
    "keys.dropped" => KeysDropped<'e>: warn { trigger: &'e str, kid: &'e str }
        "tokens that it signed are rejected";

    /// The key folder has errors. The old keys stay in force. One line for each error.
    "keys.rejected" =>
        KeysRejected<'e>: error { trigger: &'e str, error: &'e str } "the last good ones stay in force",
        KeysUnread<'e>: error { trigger: &'e str, error: ShownValue<'e> } "the last good ones stay in force";

    /// After a rejection, the files are again as in force.
    "keys.restored" => KeysRestored<'e>: info { trigger: &'e str } "the files are again as in force";

    /// Somebody asked for a reload, and nothing had changed.
    "keys.unchanged" => KeysUnchanged<'e>: info { trigger: &'e str };

    /// A key file has no entry in `keyring.yaml`.
    "keys.unlisted" => KeysUnlisted<'e>: warn { path: ShownValue<'e>, kid: &'e str }
        "it has no entry in `keyring.yaml` and never signs: `jeton keys prune` deletes it";

    /// The group of a key file can read it, and jeton cannot change its mode.
    "keys.readable" => KeysReadable<'e>: warn { path: ShownValue<'e> }
        "its group can read it, and this mount is read-only";

    /// A new key may sign before verifiers have fetched it.
    "keys.read_late" => KeysReadLate<'e>: warn { detail: &'e str }
        "a new key may sign before verifiers have fetched it";

    /// This server cannot rotate the keys, because it cannot write their folder.
    "keys.read_only" =>
        KeysReadOnly<'e>: warn { dir: ShownValue<'e> }
            "this server ignores `keys.rotate_every`: rotate where the key folder can be written",
        RotationStopped<'e>: warn { errors: ShownValue<'e> } "this server no longer rotates the keys";

    /// The active key has another algorithm than `keys.algorithm`. The next key will have that one.
    "keys.algorithm" => KeysAlgorithm<'e>: info { signs: &'e str, set: &'e str }
        "the next key will have the algorithm of the setting";
}
