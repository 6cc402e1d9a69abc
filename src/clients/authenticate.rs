//! Who a client says it is, and who it is.

use std::sync::Arc;

use jiff::Timestamp;
use subtle::Choice;

use super::{Client, ClientRegistry, ClientSecret, ClientState, SecretHash, StoredSecret};
use crate::oauth::ClientId;

/// What a request claims: an id and the secret that shall show it. Nothing of it is checked yet.
pub struct ClientCredentials {
    /// The claimed id, as it was sent.
    pub client_id: String,
    /// The secret.
    pub secret: ClientSecret,
    /// How they came.
    pub method: AuthenticationMethod,
}

/// How a client authenticates at the token endpoint (RFC 7591 section 2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// In the form (RFC 6749 section 2.3.1).
    ClientSecretPost,
}

impl AuthenticationMethod {
    /// Every method, in the order in which discovery lists them.
    pub const ALL: [Self; 2] = [Self::ClientSecretBasic, Self::ClientSecretPost];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

/// A client that has shown who it is. Made only by [`ClientRegistry::authenticate`].
pub struct AuthenticatedClient(Arc<Client>);

impl AuthenticatedClient {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.0
    }
}

/// Why a client was not let in: for the log alone. The client learns one and the same for all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// No client has this id.
    #[error("unknown client")]
    UnknownClient,
    /// The secret is none of the client's.
    #[error("wrong secret")]
    WrongSecret(ClientId),
    /// The secret was right once.
    #[error("expired secret")]
    ExpiredSecret(ClientId),
    /// The secret is right, and the client is disabled.
    #[error("disabled client")]
    Disabled(ClientId),
}

impl AuthenticationError {
    /// The client, where there is one.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::UnknownClient => None,
            Self::WrongSecret(client) | Self::ExpiredSecret(client) | Self::Disabled(client) => Some(client),
        }
    }
}

impl ClientRegistry {
    /// Lets a client in that has a live secret and is enabled.
    ///
    /// Whatever fails, the work is the same: one look-up, one hash, and a comparison with every secret
    /// of the client, or with one decoy for a client that is not there (or has no secret).
    ///
    /// # Errors
    /// [`AuthenticationError`], to be logged and not told.
    pub fn authenticate(
        &self,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, AuthenticationError> {
        let client = self.find(&credentials.client_id);
        let secrets = client.map_or(&[][..], |client| &client.secrets);
        let found = compare(&credentials.secret, secrets, now);
        let client = client.ok_or(AuthenticationError::UnknownClient)?;
        let id = || client.id.clone();
        match (found, client.state) {
            (Match::None, _) => Err(AuthenticationError::WrongSecret(id())),
            (Match::Expired, _) => Err(AuthenticationError::ExpiredSecret(id())),
            (Match::Live, ClientState::Disabled) => Err(AuthenticationError::Disabled(id())),
            (Match::Live, ClientState::Enabled) => Ok(AuthenticatedClient(Arc::clone(client))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Live,
    Expired,
    None,
}

/// Compares the secret with all of these, without stopping at the first that matches, and with a decoy
/// where there is none: at least one hash and one comparison are always made.
fn compare(secret: &ClientSecret, stored: &[StoredSecret], now: Timestamp) -> Match {
    let hash = secret.hash();
    let decoy = [StoredSecret { sha256: hash, expires: None }];
    let is_decoy = Choice::from(u8::from(stored.is_empty()));
    let mut live = Choice::from(0);
    let mut expired = Choice::from(0);
    for candidate in if stored.is_empty() { &decoy } else { stored } {
        let same = matches(&candidate.sha256, &hash) & !is_decoy;
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

    use super::*;
    use crate::clients::{Abilities, ClientKind};

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
            abilities: Abilities::default(),
            revoked_before: None,
            grants: Arc::new([]),
            claims: Arc::default(),
            ttl: None,
        }
    }

    fn registry() -> ClientRegistry {
        [
            client("plain", ClientState::Enabled, vec![stored("right", None)]),
            client("rotating", ClientState::Enabled, vec![stored("old", Some(10)), stored("new", None)]),
            client("late", ClientState::Enabled, vec![stored("right", Some(-1))]),
            client("off", ClientState::Disabled, vec![stored("right", None)]),
            client("bare", ClientState::Enabled, vec![]),
        ]
        .into_iter()
        .collect()
    }

    #[track_caller]
    fn check(id: &str, secret: &str, expected: &str, comparisons: usize) {
        COMPARISONS.with(|count| count.set(0));
        let credentials = ClientCredentials {
            client_id: id.to_owned(),
            secret: ClientSecret::new(secret.to_owned()),
            method: AuthenticationMethod::ClientSecretBasic,
        };
        let outcome = registry().authenticate(&credentials, NOW);
        let outcome = outcome.map_or_else(|error| error.to_string(), |_| "in".to_owned());
        assert_eq!(outcome, expected, "{id} with {secret}");
        assert_eq!(COMPARISONS.with(Cell::get), comparisons, "comparisons for {id} with {secret}");
    }

    #[test]
    fn the_same_work_is_done_whatever_is_wrong() {
        check("plain", "right", "in", 1);
        check("plain", "wrong", "wrong secret", 1);
        check("nobody", "right", "unknown client", 1);
        check("late", "right", "expired secret", 1);
        check("off", "right", "disabled client", 1);
        check("off", "wrong", "wrong secret", 1);
        check("bare", "right", "wrong secret", 1);
    }

    #[test]
    fn several_secrets_are_live_at_once_and_all_are_compared() {
        check("rotating", "old", "in", 2);
        check("rotating", "new", "in", 2);
        check("rotating", "right", "wrong secret", 2);
    }
}
