//! The one verifier of tokens of other issuers.

use std::{sync::Arc, time::Duration};

use jeton_jose::{JwsError, JwsHeader};
use jeton_oauth::{ClientId, Confirmation, IssuerName, text::printable};
use jeton_policy::{PolicySet, clients::Client};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    FollowedIssuers,
    error::{FederationError, FederationRefused},
    unverified::{ForeignOrigin, ShownAt, UnreadToken, UnverifiedToken},
};
use crate::{
    binding::ProvenBinding,
    event,
    store::{NameUse, OnceName, Store},
};

/// A token of another issuer, as it was sent. Has no `Debug`: whoever reads it could use it.
pub struct ForeignToken(String);

/// How a token of another issuer was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownAs {
    /// As `client_assertion`.
    Assertion,
    /// As `subject_token`.
    SubjectToken,
}

/// The client that a token of another issuer stands for. Made by [`ForeignVerifier::verify`] alone.
pub struct FederatedClient {
    client: Arc<Client>,
    claims: Map<String, Value>,
    origin: ForeignOrigin,
    bound_to: Option<Confirmation>,
}

/// Verifies tokens of other issuers.
pub struct ForeignVerifier {
    issuers: Arc<FollowedIssuers>,
    store: Arc<Store>,
    leeway: Duration,
}

/// A token as it says, whose ever it is. Nothing of it is checked.
pub(crate) struct ReadToken<'t>(Result<UnverifiedToken<'t>, UnreadToken<'t>>);

/// How much of an `iss` that nobody has, and of what differs, is logged, in bytes.
const LONGEST_SHOWN: usize = 2_000;

impl ForeignToken {
    /// Takes what somebody sent.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FederatedClient {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the token is bound to, if it is bound. The request has shown it.
    pub fn bound_to(&self) -> Option<Confirmation> {
        self.bound_to
    }

    /// The client, the claims that its tokens take over, and what the log says of the token that was shown.
    pub(crate) fn into_parts(self) -> (Arc<Client>, Map<String, Value>, ForeignOrigin) {
        (self.client, self.claims, self.origin)
    }
}

impl ForeignVerifier {
    /// A verifier by the keys of these issuers, which forgives clocks that are off by `leeway` (cut to whole seconds).
    pub fn new(issuers: Arc<FollowedIssuers>, store: Arc<Store>, leeway: Duration) -> Self {
        Self { issuers, store, leeway }
    }

    /// Which client a token stands for. It must be the one of `client_id`, if that is given. A token that is bound counts
    /// only where `proven` has what it is bound to.
    ///
    /// # Errors
    /// [`FederationRefused`], which is logged here and not told; but [`FederationError::Unavailable`] is not the client's
    /// fault.
    pub async fn verify(
        &self,
        policies: &PolicySet,
        token: &str,
        client_id: Option<&str>,
        proven: &ProvenBinding,
        now: Timestamp,
    ) -> Result<FederatedClient, FederationRefused> {
        self.verify_read(policies, ReadToken::of(policies, token), client_id, proven, now).await
    }

    /// As [`Self::verify`], of a token that was read already.
    pub(crate) async fn verify_read(
        &self,
        policies: &PolicySet,
        token: ReadToken<'_>,
        client_id: Option<&str>,
        proven: &ProvenBinding,
        now: Timestamp,
    ) -> Result<FederatedClient, FederationRefused> {
        let verified = self.find_client(policies, token, client_id, proven, now).await;
        verified.inspect_err(log)
    }

    async fn find_client(
        &self,
        policies: &PolicySet,
        ReadToken(read): ReadToken<'_>,
        client_id: Option<&str>,
        proven: &ProvenBinding,
        now: Timestamp,
    ) -> Result<FederatedClient, FederationRefused> {
        let read = read.map_err(|UnreadToken { issuer, error }| FederationRefused {
            issuer: issuer.map(|issuer| issuer.name.clone()),
            client: None,
            error,
        })?;
        let issuer = read.issuer;
        let refuse = |client: Option<&ClientId>, error| FederationRefused {
            issuer: Some(issuer.name.clone()),
            client: client.cloned(),
            error,
        };
        self.check_signature(&read).await.map_err(|error| refuse(None, error))?;
        let at = ShownAt::new(now, self.leeway);
        if let Some(fault) = read.faults_of_claims(at).into_iter().next() {
            return Err(refuse(None, fault));
        }
        let found = policies.federation().client_of(&issuer.name, &read.claims);
        let found = found.map_err(|differs| refuse(None, FederationError::NoMatch(differs)))?;
        let client = Arc::clone(found.client);
        let refuse = |error| refuse(Some(&client.id), error);
        if client_id.is_some_and(|id| id != client.id.as_str()) {
            return Err(refuse(FederationError::NotTheClient));
        }
        read.check_client(&client, at).map_err(refuse)?;
        let bound_to = read.confirmation().map_err(refuse)?;
        if let Some(bound_to) = bound_to {
            proven.check(bound_to).map_err(|not_held| refuse(not_held.into()))?;
        }
        if issuer.single_use {
            self.use_up(&read).await.map_err(refuse)?;
        }
        Ok(FederatedClient { client, claims: found.claims, origin: read.origin(), bound_to })
    }

    /// Whether the issuer signed it. Where no key has its `kid`, the keys are fetched, if that may be.
    async fn check_signature(&self, token: &UnverifiedToken<'_>) -> Result<(), FederationError> {
        let UnverifiedToken { parts, issuer, .. } = token;
        let (header, algorithm) = token.header()?;
        let followed = self.issuers.of(issuer).ok_or(FederationError::NoKeys)?;
        let verify = || match followed.keys() {
            Some(keys) => Ok(keys.verify(parts, &header, algorithm)?),
            None if followed.is_expired() => Err(FederationError::KeysExpired),
            None => Err(FederationError::NoKeys),
        };
        match verify() {
            Err(error) if is_worth_a_fetch(&error, &header) => {
                followed.fetch_unknown().await;
                verify()
            }
            verified => verified,
        }
    }

    /// Uses it up, on every replica. Last of all: a token that is refused for another reason can be shown again.
    async fn use_up(&self, token: &UnverifiedToken<'_>) -> Result<(), FederationError> {
        let UnverifiedToken { claims, issuer, .. } = token;
        let id = claims.get("jti").and_then(Value::as_str).ok_or(FederationError::Missing("jti"))?;
        let until = token.counts_until(self.leeway)?;
        // of three parts: those of clients' own assertions have two
        let name = OnceName::of(&[b"federated", issuer.issuer.as_str().as_bytes(), id.as_bytes()]);
        match self.store.use_once(name, until).await {
            Ok(NameUse::First) => Ok(()),
            Ok(NameUse::Again) => Err(FederationError::Replayed),
            Err(error) => Err(FederationError::Unavailable(error)),
        }
    }
}

impl<'t> ReadToken<'t> {
    /// Reads a token.
    pub(crate) fn of(policies: &'t PolicySet, token: &'t str) -> Self {
        Self(UnverifiedToken::read(policies.issuers(), token))
    }

    /// Reads a client's assertion, if that says that it is a token of another issuer: its `iss` is one that the policies
    /// trust, or a URL that is no client's id.
    pub(crate) fn of_assertion(policies: &'t PolicySet, assertion: &'t str) -> Option<Self> {
        // where nobody is trusted, assertions are not read twice
        if policies.issuers().is_empty() {
            return None;
        }
        let read = Self::of(policies, assertion);
        let is_foreign = match &read.0 {
            Ok(_) | Err(UnreadToken { issuer: Some(_), .. }) => true,
            Err(UnreadToken { error: FederationError::UnknownIssuer { iss }, .. }) => {
                (iss.starts_with("https://") || iss.starts_with("http://"))
                    && policies.clients().find(iss).is_none()
            }
            Err(_) => false,
        };
        is_foreign.then_some(read)
    }
}

/// Whether new keys may help. One that names no key may be by a key that came since.
fn is_worth_a_fetch(error: &FederationError, header: &JwsHeader) -> bool {
    match error {
        FederationError::NoKeys
        | FederationError::KeysExpired
        | FederationError::Jws(JwsError::UnknownKey) => true,
        FederationError::Jws(JwsError::Signature) => header.kid.is_none(),
        _ => false,
    }
}

/// Says in the log why. Whoever showed the token learns none of it.
fn log(refused: &FederationRefused) {
    let FederationRefused { issuer, client, error } = refused;
    let iss = match error {
        FederationError::UnknownIssuer { iss } => Some(shown(&printable(iss))),
        _ => None,
    };
    let (nearest, differs) = match error {
        FederationError::NoMatch(no_match) => {
            let each: Vec<_> = no_match.differing.iter().map(ToString::to_string).collect();
            let all = shown(&each.join("; "));
            (no_match.nearest.as_ref(), Some(all).filter(|all| !all.is_empty()))
        }
        _ => (client.as_ref(), None),
    };
    let reason = error.to_string();
    let event = event::FederationRefused {
        issuer: issuer.as_ref().map(IssuerName::as_str),
        iss: iss.as_deref(),
        client: nearest.map(ClientId::as_str),
        reason: &reason,
        differs: differs.as_deref(),
    };
    if let FederationError::Unavailable(_) = error { event.error() } else { event.warn() }
}

/// As much of a text as is logged.
fn shown(text: &str) -> String {
    if text.len() <= LONGEST_SHOWN {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(LONGEST_SHOWN);
    format!("{}…", text.get(..cut).unwrap_or_default())
}
