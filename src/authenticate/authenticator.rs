//! Who a client says it is, and who it is.

use std::{iter, sync::Arc};

use jeton_policy::{
    PolicySet,
    clients::{Client, ClientRegistry, ClientSecret, ClientState, MOST_SECRETS, SecretHash, StoredSecret},
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use subtle::Choice;

use super::{
    assertion::{AssertionRules, ClientAssertion},
    certificate::CertificateRules,
    error::AuthenticationError,
    uses::SecretUses,
};
use crate::{
    binding::ProvenBinding,
    federation::{
        FederationError, FederationRefused, ForeignOrigin, ForeignToken, ForeignVerifier, ReadToken, ShownAs,
    },
    store::{NameUse, Store},
    tls::ShownCertificate,
};

/// What a request claims, and its proof. Nothing of it is checked yet.
pub enum ClientCredentials {
    /// An id and a secret.
    Secret {
        /// The claimed id, as it was sent.
        client_id: String,
        /// The secret.
        secret: ClientSecret,
    },
    /// An assertion that the client signed, or an issuer that the policies trust.
    Assertion {
        /// The id beside the assertion, if there was one.
        client_id: Option<String>,
        /// The assertion.
        assertion: ClientAssertion,
    },
    /// A token of another issuer.
    Foreign {
        /// The id beside the token, if there was one.
        client_id: Option<String>,
        /// The token.
        token: ForeignToken,
        /// How it was shown.
        shown_as: ShownAs,
    },
    /// An id, and nothing but the certificate of the connection.
    Certificate {
        /// The claimed id, as it was sent.
        client_id: String,
        /// The certificate, of which the client holds the key.
        certificate: Arc<ShownCertificate>,
    },
}

impl ClientCredentials {
    /// The id that they name, if they do so in clear. Nothing of it is checked.
    pub fn claimed_id(&self) -> Option<&str> {
        match self {
            Self::Secret { client_id, .. } | Self::Certificate { client_id, .. } => Some(client_id),
            Self::Assertion { client_id, .. } | Self::Foreign { client_id, .. } => client_id.as_deref(),
        }
    }
}

/// How a client authenticates at the token endpoint (RFC 7591 section 2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// In the form (RFC 6749 section 2.3.1).
    ClientSecretPost,
    /// By a signed assertion (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// By a JWT-SVID, or a token of another issuer that is shown as one (draft-ietf-oauth-spiffe-client-auth section 4).
    SpiffeJwt,
    /// By a certificate that an authority issued (RFC 8705 section 2.1).
    TlsClientAuth,
    /// By a certificate that the policies hold by its hash (RFC 8705 section 2.2).
    SelfSignedTlsClientAuth,
}

impl AuthenticationMethod {
    /// The methods by credentials of the client's own, in the order in which discovery lists them.
    pub const OWN: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    /// Those by a certificate.
    pub const BY_CERTIFICATE: [Self; 2] = [Self::TlsClientAuth, Self::SelfSignedTlsClientAuth];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::SpiffeJwt => "spiffe_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }
}

/// A client that has shown who it is. Made only by [`Authenticator::authenticate`].
pub struct AuthenticatedClient {
    client: Arc<Client>,
    /// The token of another issuer, if that is how it showed who it is.
    foreign: Option<ForeignProof>,
    /// Whether a certificate showed it, alone or with a token that is bound to it.
    is_by_certificate: bool,
}

/// What jeton keeps of another issuer's token, after a client authenticated with it.
struct ForeignProof {
    /// What the client's tokens take over.
    claims: Map<String, Value>,
    origin: ForeignOrigin,
}

impl AuthenticatedClient {
    fn by_itself(client: &Arc<Client>) -> Self {
        Self { client: Arc::clone(client), foreign: None, is_by_certificate: false }
    }

    fn by_certificate(client: &Arc<Client>) -> Self {
        Self { is_by_certificate: true, ..Self::by_itself(client) }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether it has no credentials of its own at hand, but a token of another issuer.
    pub fn is_federated(&self) -> bool {
        self.foreign.is_some()
    }

    /// Whether it showed who it is by a certificate, to which its tokens are bound then (RFC 8705 section 3).
    pub fn is_by_certificate(&self) -> bool {
        self.is_by_certificate
    }

    /// The claims that its tokens take over from the token of another issuer.
    pub fn foreign_claims(&self) -> Option<&Map<String, Value>> {
        self.foreign.as_ref().map(|foreign| &foreign.claims).filter(|claims| !claims.is_empty())
    }

    /// What the log says of the token of another issuer.
    pub fn foreign_origin(&self) -> Option<&ForeignOrigin> {
        self.foreign.as_ref().map(|foreign| &foreign.origin)
    }

    /// A client of which nothing was checked, for tests of what comes after authentication.
    #[cfg(test)]
    pub(crate) fn pretended(client: Client) -> Self {
        Self { client: Arc::new(client), foreign: None, is_by_certificate: false }
    }

    /// As [`Self::pretended`], by a token of another issuer with these claims.
    #[cfg(test)]
    pub(crate) fn pretended_foreign(client: Client, claims: Map<String, Value>) -> Self {
        let issuer = jeton_oauth::IssuerName::parse("ci").unwrap();
        let origin = ForeignOrigin { issuer, subject: None, token_id: None };
        Self {
            client: Arc::new(client),
            foreign: Some(ForeignProof { claims, origin }),
            is_by_certificate: false,
        }
    }
}

/// Lets clients in.
pub struct Authenticator {
    /// What assertions must fit.
    pub assertions: AssertionRules,
    /// What certificates must fit.
    pub certificates: CertificateRules,
    /// Verifies tokens of other issuers.
    pub foreign: Arc<ForeignVerifier>,
    /// Where it is noted which assertions were used.
    pub store: Arc<Store>,
    /// Where it is noted when each secret was used.
    pub secret_uses: Arc<SecretUses>,
}

impl Authenticator {
    /// Lets a client in that is enabled and shows a live secret, an assertion that it signed and that was
    /// not used before, a certificate that the policies know, or a token of an issuer that the policies trust. Such a token
    /// counts only with what it is bound to, which `proven` must have then.
    ///
    /// Whatever fails of the first three, the work is the same: one look-up, and [`MOST_SECRETS`] comparisons; or
    /// [`MOST_KEYS`](jeton_policy::clients::MOST_KEYS) signatures checked; or the authorities asked. Decoys take the place
    /// of what the client has not.
    ///
    /// # Errors
    /// [`AuthenticationError`], to be logged and not told; but [`AuthenticationError::Unavailable`] is not the
    /// client's fault.
    pub async fn authenticate(
        &self,
        policies: &PolicySet,
        credentials: &ClientCredentials,
        proven: &ProvenBinding,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, AuthenticationError> {
        let clients = policies.clients();
        match credentials {
            ClientCredentials::Secret { client_id, secret } => {
                let client = by_secret(clients, client_id, secret, now)?;
                may_act(client, now)?;
                self.secret_uses.note(&client.id, secret.hash(), now.as_second());
                Ok(AuthenticatedClient::by_itself(client))
            }
            ClientCredentials::Assertion { client_id, assertion } => {
                if let Some(token) = ReadToken::of_assertion(policies, assertion.as_str()) {
                    let client_id = client_id.as_deref();
                    let shown_as = ShownAs::Assertion;
                    return self.by_foreign(policies, token, client_id, shown_as, proven, now).await;
                }
                let (client, unused) =
                    self.assertions.check(assertion, client_id.as_deref(), clients, now)?;
                may_act(client, now)?;
                match self.store.use_once(unused.name, unused.until).await {
                    Ok(NameUse::First) => Ok(AuthenticatedClient::by_itself(client)),
                    Ok(NameUse::Again) => Err(AuthenticationError::Replayed(client.id.clone())),
                    Err(error) => Err(AuthenticationError::Unavailable { client: client.id.clone(), error }),
                }
            }
            ClientCredentials::Certificate { client_id, certificate } => {
                let client = self.certificates.check(certificate, client_id, clients, now)?;
                may_act(client, now)?;
                Ok(AuthenticatedClient::by_certificate(client))
            }
            ClientCredentials::Foreign { client_id, token, shown_as } => {
                let token = ReadToken::of(policies, token.as_str());
                self.by_foreign(policies, token, client_id.as_deref(), *shown_as, proven, now).await
            }
        }
    }

    async fn by_foreign(
        &self,
        policies: &PolicySet,
        token: ReadToken<'_>,
        client_id: Option<&str>,
        shown_as: ShownAs,
        proven: &ProvenBinding,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, AuthenticationError> {
        let federated = self.foreign.verify_read(policies, token, client_id, proven, now).await.map_err(
            |refused| match (refused.client, refused.error) {
                (Some(client), FederationError::Unavailable(error)) => {
                    AuthenticationError::Unavailable { client, error }
                }
                (client, error) => {
                    let refused = FederationRefused { client, error, ..refused };
                    AuthenticationError::Foreign { shown_as, refused }
                }
            },
        )?;
        // else a token that only its holder can show would bring one that everybody can
        let is_by_certificate = federated.bound_to().is_some_and(|bound_to| bound_to.x5t_s256().is_some());
        let (client, claims, origin) = federated.into_parts();
        let foreign = Some(ForeignProof { claims, origin });
        Ok(AuthenticatedClient { client, foreign, is_by_certificate })
    }
}

fn by_secret<'r>(
    clients: &'r ClientRegistry,
    client_id: &str,
    secret: &ClientSecret,
    now: Timestamp,
) -> Result<&'r Arc<Client>, AuthenticationError> {
    let client = clients.find(client_id);
    let secrets = client.map_or(&[][..], |client| &client.secrets);
    let found = compare(secret, secrets, now);
    let client = client.ok_or(AuthenticationError::UnknownClient { attempted: client_id.to_owned() })?;
    match found {
        Match::None if secret.ends_in_a_line_break() => {
            Err(AuthenticationError::BrokenSecret(client.id.clone()))
        }
        Match::None if secret.holds_a_space() => Err(AuthenticationError::SpacedSecret(client.id.clone())),
        Match::None => Err(AuthenticationError::WrongSecret(client.id.clone())),
        Match::Expired => Err(AuthenticationError::ExpiredSecret(client.id.clone())),
        Match::Live => Ok(client),
    }
}

/// Whether a client that has shown who it is may do anything now.
fn may_act(client: &Client, now: Timestamp) -> Result<(), AuthenticationError> {
    match client.state {
        ClientState::Disabled => Err(AuthenticationError::Disabled(client.id.clone())),
        ClientState::Enabled if client.revoked_before.is_some_and(|before| now.as_second() < before) => {
            Err(AuthenticationError::RevokedAhead(client.id.clone()))
        }
        ClientState::Enabled => Ok(()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Live,
    Expired,
    None,
}

/// Compares the secret with all of these and with decoys, [`MOST_SECRETS`] in all, without stopping at the first
/// that matches. So the time tells neither how many secrets there are nor where the right one stands.
fn compare(secret: &ClientSecret, stored: &[StoredSecret], now: Timestamp) -> Match {
    let hash = secret.hash();
    // made of what was sent, so that it is as likely to match as any: what tells it apart is that it never counts
    let decoy = StoredSecret { sha256: hash, expires: None };
    let decoys = iter::repeat_n((&decoy, Choice::from(0)), MOST_SECRETS.saturating_sub(stored.len()));
    let mut live = Choice::from(0);
    let mut expired = Choice::from(0);
    for (candidate, counts) in stored.iter().map(|stored| (stored, Choice::from(1))).chain(decoys) {
        let same = matches(&candidate.sha256, &hash) & counts;
        let is_live = Choice::from(u8::from(candidate.is_live(now)));
        live |= same & is_live;
        expired |= same & !is_live;
    }
    match (bool::from(live), bool::from(expired)) {
        (true, _) => Match::Live,
        (false, true) => Match::Expired,
        (false, false) => Match::None,
    }
}

fn matches(stored: &SecretHash, sent: &SecretHash) -> Choice {
    #[cfg(test)]
    tests::COMPARISONS.with(|count| count.set(count.get() + 1));
    stored.matches(sent)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use jeton_jose::ForeignKeys;
    use jeton_oauth::ClientId;
    use jeton_policy::clients::{Abilities, ClientKind};

    use super::*;

    thread_local! {
        /// Comparisons made on this thread: the work that must not depend on what is wrong.
        pub(super) static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn stored(secret: &str, expires: Option<i64>) -> StoredSecret {
        StoredSecret {
            sha256: ClientSecret::new(secret.to_owned()).hash(),
            expires: expires.map(|at| Timestamp::from_second(at).unwrap()),
        }
    }

    fn client(id: &str, state: ClientState, secrets: Vec<StoredSecret>) -> Client {
        Client {
            id: ClientId::parse(id).unwrap(),
            state,
            kind: ClientKind::Named,
            secrets,
            public_keys: Vec::new(),
            certificates: Vec::new(),
            bound_tokens: false,
            federated: Vec::new(),
            abilities: Abilities::default(),
            revoked_before: None,
            grants: Arc::new([]),
            claims: Arc::default(),
            ttl: None,
            limit: None,
        }
    }

    /// As many secrets as there may be: `0`, `1` and so on.
    fn full(expires: Option<i64>) -> Vec<StoredSecret> {
        (0..MOST_SECRETS).map(|number| stored(&number.to_string(), expires)).collect()
    }

    fn registry() -> ClientRegistry {
        [
            client("plain", ClientState::Enabled, vec![stored("right", None)]),
            client("rotating", ClientState::Enabled, vec![stored("old", Some(10)), stored("new", None)]),
            client("late", ClientState::Enabled, vec![stored("right", Some(-1))]),
            client("off", ClientState::Disabled, vec![stored("right", None)]),
            client("bare", ClientState::Enabled, vec![]),
            client("full", ClientState::Enabled, full(None)),
            client("full-late", ClientState::Enabled, full(Some(-1))),
            client("full-off", ClientState::Disabled, full(None)),
            Client {
                public_keys: ForeignKeys::from_pem(include_str!("decoys.pem")).unwrap().taken,
                ..client("keys", ClientState::Enabled, vec![])
            },
        ]
        .into_iter()
        .collect()
    }

    #[track_caller]
    fn check(id: &str, secret: &str, expected: &str) {
        COMPARISONS.with(|count| count.set(0));
        let secret_sent = ClientSecret::new(secret.to_owned());
        let clients = registry();
        let outcome = by_secret(&clients, id, &secret_sent, NOW);
        let outcome = outcome.and_then(|client| may_act(client, NOW));
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "in".to_owned());
        assert_eq!(outcome, expected, "{id} with {secret}");
        assert_eq!(COMPARISONS.with(Cell::get), MOST_SECRETS, "comparisons for {id} with {secret}");
    }

    #[test]
    fn the_same_work_is_done_whatever_is_wrong() {
        check("plain", "right", "in");
        check("plain", "wrong", "wrong secret");
        check("plain", "", "wrong secret");
        check("plain", &"long".repeat(1000), "wrong secret");
        check("nobody", "right", "unknown client");
        check("", "right", "unknown client");
        check("late", "right", "expired secret");
        check("late", "wrong", "wrong secret");
        check("off", "right", "disabled client");
        check("off", "wrong", "wrong secret");
        check("bare", "right", "wrong secret");
        check("keys", "right", "wrong secret");
    }

    #[test]
    fn the_same_work_is_done_however_many_secrets_there_are_and_wherever_the_right_one_stands() {
        check("rotating", "old", "in");
        check("rotating", "new", "in");
        check("rotating", "right", "wrong secret");
        let last = (MOST_SECRETS - 1).to_string();
        for (id, expected) in
            [("full", "in"), ("full-late", "expired secret"), ("full-off", "disabled client")]
        {
            check(id, "0", expected);
            check(id, &last, expected);
            check(id, &MOST_SECRETS.to_string(), "wrong secret");
        }
    }

    /// A decoy must never let anybody in, not even with what it is made of.
    #[test]
    fn no_decoy_is_a_secret() {
        let compared = |stored: &[StoredSecret]| compare(&ClientSecret::new("right".to_owned()), stored, NOW);
        assert_eq!(compared(&[]), Match::None);
        assert_eq!(compared(&vec![stored("other", None); MOST_SECRETS - 1]), Match::None);
        assert_eq!(compared(&vec![stored("other", None); MOST_SECRETS]), Match::None);
    }
}
