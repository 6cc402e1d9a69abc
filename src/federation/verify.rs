//! The one verifier of tokens of other issuers.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, JwsError, JwsHeader};
use jeton_oauth::{ClientId, ForeignAlgorithm, IssuerName, text::printable};
use jeton_policy::{
    PolicySet,
    clients::{Client, ClientState},
    federation::{Issuers, TrustedIssuer},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{FollowedIssuers, error::FederationError, error::FederationRefused};
use crate::{
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
}

/// Verifies tokens of other issuers.
pub struct ForeignVerifier {
    issuers: Arc<FollowedIssuers>,
    store: Arc<Store>,
    /// In seconds.
    leeway: i64,
}

/// A token as it says, whose ever it is. Nothing of it is checked.
pub(crate) struct ReadToken<'t>(Result<UnverifiedToken<'t>, UnreadToken<'t>>);

/// A token of a trusted issuer, as it says. Nothing of it is checked.
struct UnverifiedToken<'t> {
    parts: CompactJws<'t>,
    claims: Map<String, Value>,
    issuer: &'t Arc<TrustedIssuer>,
}

/// What is no token of a trusted issuer, and the one that it names all the same.
struct UnreadToken<'t> {
    issuer: Option<&'t Arc<TrustedIssuer>>,
    error: FederationError,
}

/// The times of a token that were checked, in seconds since 1970.
struct CheckedTimes {
    issued_at: i64,
    expires_at: i64,
}

/// A `typ` that says what a token is for, and that it is not to show who somebody is (RFC 8725 section 3.11): our own
/// kinds, and those of others.
const OTHER_TYPES: [&str; 11] = [
    "at+jwt",
    "rt+jwt",
    "statuslist+jwt",
    "policies+jwt",
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "entity-statement+jwt",
    "wpt+jwt",
];
/// How much of an `iss` that nobody has, and of what differs, is logged, in bytes.
const LONGEST_SHOWN: usize = 2_000;
/// How much of a value is told within a reason, in bytes.
const LONGEST_TOLD: usize = 200;

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
    /// The client, and the claims that its tokens take over.
    pub(crate) fn into_parts(self) -> (Arc<Client>, Map<String, Value>) {
        (self.client, self.claims)
    }
}

impl ForeignVerifier {
    /// A verifier by the keys of these issuers, which forgives clocks that are off by `leeway` (cut to whole seconds).
    pub fn new(issuers: Arc<FollowedIssuers>, store: Arc<Store>, leeway: Duration) -> Self {
        Self { issuers, store, leeway: i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX) }
    }

    /// Which client a token stands for. It must be the one of `client_id`, if that is given.
    ///
    /// # Errors
    /// [`FederationRefused`], which is logged here and not told; but [`FederationError::Unavailable`] is not the client's
    /// fault.
    pub async fn verify(
        &self,
        policies: &PolicySet,
        token: &str,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<FederatedClient, FederationRefused> {
        self.verify_read(policies, ReadToken::of(policies, token), client_id, now).await
    }

    /// As [`Self::verify`], of a token that was read already.
    pub(crate) async fn verify_read(
        &self,
        policies: &PolicySet,
        token: ReadToken<'_>,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<FederatedClient, FederationRefused> {
        let verified = self.find_client(policies, token, client_id, now.as_second()).await;
        verified.inspect_err(log)
    }

    async fn find_client(
        &self,
        policies: &PolicySet,
        ReadToken(read): ReadToken<'_>,
        client_id: Option<&str>,
        now: i64,
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
        let times = self.check_claims(issuer, &read.claims, now).map_err(|error| refuse(None, error))?;
        let found = policies.federation().client_of(&issuer.name, &read.claims);
        let found = found.map_err(|differs| refuse(None, FederationError::NoMatch(differs)))?;
        let client = Arc::clone(found.client);
        let refuse = |error| refuse(Some(&client.id), error);
        if client_id.is_some_and(|id| id != client.id.as_str()) {
            return Err(refuse(FederationError::NotTheClient));
        }
        may_act(&client, times.issued_at, now).map_err(refuse)?;
        if issuer.single_use {
            self.use_up(issuer, &read.claims, times.expires_at).await.map_err(refuse)?;
        }
        Ok(FederatedClient { client, claims: found.claims })
    }

    /// Whether the issuer signed it. Where no key has its `kid`, the keys are fetched, if that may be.
    async fn check_signature(&self, token: &UnverifiedToken<'_>) -> Result<(), FederationError> {
        let UnverifiedToken { parts, issuer, .. } = token;
        if !issuer.enabled {
            return Err(FederationError::IssuerDisabled);
        }
        let header = &parts.header()?;
        let algorithm = ForeignAlgorithm::parse(&header.algorithm);
        let algorithm = algorithm.filter(|algorithm| issuer.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| FederationError::Algorithm {
            found: told(&header.algorithm),
            allowed: issuer.algorithms.clone(),
        })?;
        if header.typ.as_deref().is_some_and(|typ| OTHER_TYPES.contains(&typ)) {
            return Err(FederationError::Type);
        }
        let followed = self.issuers.of(issuer).ok_or(FederationError::NoKeys)?;
        let verify = || match followed.keys() {
            Some(keys) => Ok(keys.verify(parts, header, algorithm)?),
            None if followed.is_expired() => Err(FederationError::KeysExpired),
            None => Err(FederationError::NoKeys),
        };
        match verify() {
            Err(error) if is_worth_a_fetch(&error, header) => {
                followed.fetch_unknown().await;
                verify()
            }
            verified => verified,
        }
    }

    /// Whether it is for us and counts now.
    fn check_claims(
        &self,
        issuer: &TrustedIssuer,
        claims: &Map<String, Value>,
        now: i64,
    ) -> Result<CheckedTimes, FederationError> {
        let is_ours = |audience: &Value| audience.as_str() == Some(issuer.audience.as_str());
        let audience = claims.get("aud").ok_or(FederationError::Missing("aud"))?;
        let is_for_us = match audience {
            Value::Array(audiences) => matches!(audiences.as_slice(), [only] if is_ours(only)),
            one => is_ours(one),
        };
        if !is_for_us {
            let (found, wanted) = (told(&audience.to_string()), issuer.audience.clone());
            return Err(FederationError::Audience { found, wanted });
        }
        let expires_at = date(claims, "exp")?.ok_or(FederationError::Missing("exp"))?;
        let issued_at = date(claims, "iat")?.ok_or(FederationError::Missing("iat"))?;
        if expires_at.saturating_add(self.leeway) <= now {
            return Err(FederationError::Expired { expires_at, now });
        }
        let latest = now.saturating_add(self.leeway);
        let starts = [("iat", Some(issued_at)), ("nbf", date(claims, "nbf")?)];
        let ahead =
            starts.into_iter().find_map(|(claim, start)| Some((claim, start.filter(|at| *at > latest)?)));
        if let Some((claim, start)) = ahead {
            return Err(FederationError::NotYetValid { claim, start, now });
        }
        let lived = expires_at.saturating_sub(issued_at);
        let most = i64::try_from(issuer.max_lifetime.as_secs()).unwrap_or(i64::MAX);
        if lived <= 0 {
            return Err(FederationError::Reversed);
        }
        if lived > most {
            return Err(FederationError::TooLongLived { lived, most });
        }
        match claims.get("jti") {
            None if issuer.single_use => return Err(FederationError::Missing("jti")),
            None => {}
            Some(Value::String(id)) if !id.is_empty() => {}
            Some(_) => return Err(FederationError::WrongType("jti")),
        }
        Ok(CheckedTimes { issued_at, expires_at })
    }

    /// Uses it up, on every replica. Last of all: a token that is refused for another reason can be shown again.
    async fn use_up(
        &self,
        issuer: &TrustedIssuer,
        claims: &Map<String, Value>,
        expires_at: i64,
    ) -> Result<(), FederationError> {
        let id = claims.get("jti").and_then(Value::as_str).ok_or(FederationError::Missing("jti"))?;
        // of three parts: those of clients' own assertions have two
        let name = OnceName::of(&[b"federated", issuer.issuer.as_str().as_bytes(), id.as_bytes()]);
        match self.store.use_once(name, expires_at.saturating_add(self.leeway)).await {
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

impl<'t> UnverifiedToken<'t> {
    fn read(issuers: &'t Issuers, token: &'t str) -> Result<Self, UnreadToken<'t>> {
        let parts = CompactJws::parse(token).map_err(UnreadToken::of_nobody)?;
        let claims = match parts.payload() {
            Ok(claims) => claims,
            Err(error) => {
                let issuer = insecure_iss(&parts).and_then(|iss| issuers.by_issuer(&iss));
                return Err(UnreadToken { issuer, error: error.into() });
            }
        };
        let iss = match claims.get("iss") {
            None => return Err(UnreadToken::of_nobody(FederationError::Missing("iss"))),
            Some(Value::String(iss)) => iss,
            Some(_) => return Err(UnreadToken::of_nobody(FederationError::WrongType("iss"))),
        };
        match issuers.by_issuer(iss) {
            Some(issuer) => Ok(Self { parts, claims, issuer }),
            None => Err(UnreadToken::of_nobody(FederationError::UnknownIssuer { iss: iss.clone() })),
        }
    }
}

impl UnreadToken<'_> {
    fn of_nobody(error: impl Into<FederationError>) -> Self {
        Self { issuer: None, error: error.into() }
    }
}

/// The `iss` of claims that are not as they must be, for the log.
fn insecure_iss(parts: &CompactJws<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }

    let payload = parts.signed.split('.').nth(1)?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<Claims>(&json).ok().map(|claims| claims.iss)
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

/// Whether a client may do anything now, by a token that was issued then.
fn may_act(client: &Client, issued_at: i64, now: i64) -> Result<(), FederationError> {
    match (client.state, client.revoked_before) {
        (ClientState::Disabled, _) => Err(FederationError::ClientDisabled),
        (ClientState::Enabled, Some(before)) if now < before => Err(FederationError::RevokedAhead),
        (ClientState::Enabled, Some(before)) if issued_at < before => Err(FederationError::Revoked),
        (ClientState::Enabled, _) => Ok(()),
    }
}

/// A claim that is a date; others' clocks may tell fractions of seconds (RFC 7519 section 2).
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, FederationError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "cut to whole seconds, and to what an i64 holds")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    seconds.filter(|seconds| *seconds >= 0).map(Some).ok_or(FederationError::WrongType(name))
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

/// A value of a token, within a reason: no longer than a line, and safe to print.
fn told(value: &str) -> String {
    let cut = value.floor_char_boundary(LONGEST_TOLD);
    let rest = if cut < value.len() { "…" } else { "" };
    format!("{}{rest}", printable(value.get(..cut).unwrap_or_default()))
}

/// As much of a text as is logged.
fn shown(text: &str) -> String {
    if text.len() <= LONGEST_SHOWN {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(LONGEST_SHOWN);
    format!("{}…", text.get(..cut).unwrap_or_default())
}
