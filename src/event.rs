//! What the service logs: each event once, with its name, levels, fields and words.

use jeton_verify::event::ShownValue;

pub use jeton_verify::event::DeclaredEvent;

/// Every event of the service and of the crates that it is made of. Two crates may declare forms of the same event.
pub fn all() -> impl Iterator<Item = &'static DeclaredEvent> {
    [EVENTS, jeton_actix::event::EVENTS, jeton_verify::event::EVENTS].into_iter().flatten()
}

jeton_verify::events! {
    /// The server takes requests.
    "serving" => Serving<'e>: info { address: ShownValue<'e>, issuer: ShownValue<'e>, kid: ShownValue<'e>, policies: ShownValue<'e> };

    /// The server has ended.
    "stopped" => Stopped: info {};

    /// jeton itself is at fault.
    "panicked" => Panicked<'e>: error { at: Option<&'e str>, detail: &'e str, backtrace: Option<&'e str> }
        "jeton itself is at fault, please report this";

    /// A setting is taken and not as it should be.
    "settings.warning" => SettingsWarning<'e>: warn { detail: &'e str };

    /// The limit of open files leaves room for few connections.
    "server.few_connections" => FewConnections: warn { connections: usize, open_files: usize }
        "the limit of open files leaves little room, raise it (`ulimit -n`, `LimitNOFILE=`)";

    /// SIGHUP will not be heard.
    "signals.failed" =>
        SignalsFailed<'e>: error { error: ShownValue<'e> } "SIGHUP will not be heard";

    /// A client got an access token.
    "token.issued" => TokenIssued<'e>: info {
        jti: &'e str, client: &'e str, subject: Option<&'e str>, grant: Option<&'e str>, api: &'e str,
        scopes: &'e str, ttl: u64, kid: &'e str, reused: Option<bool>,
    };

    /// A request for a token was refused.
    "token.refused" => TokenRefused<'e>: info | warn | error {
        reason: &'e str, detail: &'e str, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// The service could not sign a token.
    "token.failed" => TokenFailed<'e>: error { error: ShownValue<'e> };

    /// A refresh token was used again within `tokens.refresh_grace`, and brought the same generation.
    "refresh.retried" => RefreshRetried<'e>: info { client: &'e str, family: &'e str };

    /// A refresh token was used twice, and it was no retry. Two hold it, so its family is ended.
    "refresh.reused" => RefreshReused<'e>: warn { client: &'e str, family: &'e str } "the family is ended";

    /// A client revoked a token by `/oauth2/revoke`.
    "token.revoked" =>
        TokenRevoked<'e>: info { client: &'e str, jti: &'e str },
        NothingRevoked<'e>: info { client: &'e str } "nothing to end";

    /// A revocation was refused.
    "revocation.refused" => RevocationRefused<'e>: info | warn | error {
        reason: &'e str, detail: &'e str, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// An introspection was answered with `{"active":false}`.
    "introspection.inactive" => IntrospectionInactive<'e>: info { caller: &'e str, reason: &'e str };

    /// An introspection was refused.
    "introspection.refused" => IntrospectionRefused<'e>: info | warn | error {
        reason: &'e str, detail: Option<&'e str>, client: Option<&'e str>, attempted: Option<&'e str>,
    };

    /// The service could not sign a status list.
    "status_list.failed" => StatusListFailed<'e>: error { error: &'e str };

    /// A gateway's request was allowed.
    "decision.allowed" => DecisionAllowed<'e>: debug {
        gateway: &'e str, method: &'e str, path: &'e str, rule: &'e str, client: Option<&'e str>,
    };

    /// A request was denied.
    "decision.denied" =>
        GatewayDenied<'e>: info { gateway: Option<&'e str>, reason: &'e str },
        GatewayRequestDenied<'e>: info | warn {
            gateway: &'e str, method: Option<&'e str>, path: Option<&'e str>, host: Option<&'e str>,
            reason: &'e str, detail: Option<&'e str>,
        };

    /// The store answers.
    "store.reachable" => StoreReachable<'e>: info { address: ShownValue<'e> };

    /// The store does not answer.
    "store.unreachable" => StoreUnreachable<'e>: warn {
        address: ShownValue<'e>, error: ShownValue<'e>, hint: Option<&'e str>,
    } "what needs it fails until it is back";

    /// A connection to the store broke. The server connects again.
    "store.broken" => StoreBroken<'e>: debug { error: ShownValue<'e> };

    /// The policies were replaced.
    "policies.reloaded" => PoliciesReloaded<'e>: info {
        trigger: &'e str, old: ShownValue<'e>, new: ShownValue<'e>, effect: &'e str, gains: Option<usize>,
        losses: Option<usize>, clients: Option<usize>,
    };

    /// The policies have errors, and what was in force stays. One line with their count, then one for each.
    "policies.rejected" =>
        PoliciesRejected<'e>: error { trigger: &'e str, count: usize } "what was in force stays",
        PoliciesUnread<'e>: error { trigger: &'e str, detail: &'e str } "what was in force stays",
        PoliciesError<'e>: error { at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str> };

    /// After a rejection, the files hold again what is in force.
    "policies.restored" => PoliciesRestored<'e>: info { trigger: &'e str }
        "the files hold what is in force again";

    /// Somebody asked for a reload, and there was nothing new.
    "policies.unchanged" => PoliciesUnchanged<'e>: info { trigger: &'e str };

    /// The policies load, and an operator should look. Only new warnings are logged.
    "policies.warning" => PoliciesWarning<'e>: warn {
        at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str>,
    };

    /// How many warnings are new, were there before, and are gone.
    "policies.warnings" => PoliciesWarnings<'e>: info { trigger: &'e str, new: usize, same: usize, gone: usize };

    /// The lines about a reload could not be made, by a fault of jeton.
    "policies.untold" => PoliciesUntold<'e>: error { error: ShownValue<'e> } "what is in force is not affected";

    /// The candidate policies were read for the first time.
    "candidate.loaded" => CandidateLoaded<'e>: info { trigger: &'e str, hash: ShownValue<'e> };

    /// The candidate policies were replaced.
    "candidate.reloaded" => CandidateReloaded<'e>: info { trigger: &'e str, old: ShownValue<'e>, new: ShownValue<'e> };

    /// After a rejection, the files hold again what is compared with.
    "candidate.restored" => CandidateRestored<'e>: info { trigger: &'e str }
        "the files hold what is compared with again";

    /// The candidate policies have errors. No answer depends on them.
    "candidate.rejected" =>
        CandidateRejected<'e>: error { trigger: &'e str, count: usize } "the last good one is compared with",
        FirstCandidateRejected<'e>: error { trigger: &'e str, count: usize }
            "nothing is compared until it is sound",
        CandidateUnread<'e>: error { trigger: &'e str, error: ShownValue<'e> }
            "the last good one is compared with, if there is one",
        CandidateError<'e>: error { at: &'e str, code: &'e str, finding: &'e str, hint: Option<&'e str> };

    /// The folder held no key, and the service made one.
    "keys.generated" => KeysGenerated<'e>: info { dir: ShownValue<'e>, kid: ShownValue<'e> }
        "there was no key, so the first one was made";

    /// Another key signs from now on.
    "keys.activated" => KeysActivated<'e>: info { kid: &'e str, before: &'e str };

    /// This server made the next key.
    "keys.rotated" => KeysRotated<'e>: info { kid: &'e str, signs_from: ShownValue<'e> };

    /// This server could not make the next key.
    "keys.rotation_failed" => KeysRotationFailed<'e>: error { error: &'e str } "it is tried again in a minute";

    /// The keys were replaced. A line for each change stands before it.
    "keys.reloaded" => KeysReloaded<'e>: info { trigger: &'e str, signing: &'e str, published: usize };

    /// A key is published now.
    "keys.added" => KeysAdded<'e>: info { trigger: &'e str, kid: &'e str };

    /// A key is published no more.
    "keys.dropped" => KeysDropped<'e>: warn { trigger: &'e str, kid: &'e str }
        "tokens that it signed are refused";

    /// The keys folder has errors, and what was in force stays. One line for each.
    "keys.rejected" =>
        KeysRejected<'e>: error { trigger: &'e str, error: &'e str } "what was in force stays",
        KeysUnread<'e>: error { trigger: &'e str, error: ShownValue<'e> } "what was in force stays";

    /// After a rejection, the files hold again what is in force.
    "keys.restored" => KeysRestored<'e>: info { trigger: &'e str } "the files hold what is in force again";

    /// Somebody asked for a reload, and there was nothing new.
    "keys.unchanged" => KeysUnchanged<'e>: info { trigger: &'e str };

    /// A key file has no entry in `keyring.yaml`.
    "keys.unlisted" => KeysUnlisted<'e>: warn { path: ShownValue<'e>, kid: &'e str }
        "it has no entry in `keyring.yaml`, never signs, and `jeton keys prune` deletes it";

    /// A key file can be read by its group too, and its mode cannot be changed.
    "keys.readable" => KeysReadable<'e>: warn { path: ShownValue<'e> }
        "its group can read it too, and this mount is read-only";

    /// A new key may sign before verifiers have fetched it.
    "keys.read_late" => KeysReadLate<'e>: warn { detail: &'e str }
        "verifiers may not have fetched a new key when it signs";

    /// This server cannot rotate the keys, because it cannot write their folder.
    "keys.read_only" =>
        KeysReadOnly<'e>: warn { dir: ShownValue<'e> }
            "`keys.rotate_every` does nothing here: rotate where the folder is written",
        RotationStopped<'e>: warn { errors: ShownValue<'e> } "this server does not rotate any more";

    /// The key that signs is of another algorithm than the setting. The setting counts from the next key on.
    "keys.algorithm" => KeysAlgorithm<'e>: info { signs: &'e str, set: &'e str }
        "it changes with the next key";
}
