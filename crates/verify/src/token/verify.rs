//! A bearer's token to verified claims: the only way to them.

use std::{sync::Arc, time::Duration};

use jeton_jose::{JwsError, PublicKey, PublicKeys, VerifiedJws};
use jeton_oauth::{Audience, ClientId, Confirmation, Issuer, KeyId, Role, ScopeSet, TokenId, clock::Clock};
use jeton_policy::Subject;
use serde_json::{Map, Value};

use super::{
    ACCESS_TOKEN, AT_JWT,
    bearer::BearerToken,
    origin::{Revocable, TokenOrigin},
    payload::TokenPayload,
    seen::{SeenTokens, TokenHash},
};
use crate::{
    keys::TrustedKeys,
    status::{FetchedLists, StatusError, StatusReference},
};

/// Why a token is rejected, for the log. The bearer learns only that the token is bad.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is not signed by one of the keys.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has the wrong JSON type or form.
    #[error("the claim `{0}` has the wrong type")]
    WrongType(&'static str),
    /// `iss` is another issuer.
    #[error("`iss` is another issuer")]
    Issuer,
    /// `aud` does not hold the API.
    #[error("`aud` is another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lie ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `sub` and `client_id` do not fit `typ`.
    #[error("`sub` and `client_id` do not fit `typ`")]
    ClientAgainstType,
    /// The token itself was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// A client named by the token is disabled.
    #[error("client `{0}` is disabled")]
    ClientDisabled(ClientId),
    /// A client named by the token no longer exists.
    #[error("client `{0}` no longer exists")]
    ClientGone(ClientId),
    /// The token was issued before the `revoked_before` of a client that it names.
    #[error("it was issued before client `{0}`'s `revoked_before`")]
    ClientRevoked(ClientId),
    /// The status list rejects the token, or cannot be had.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// Checks tokens of one issuer offline, with only its public keys.
#[derive(Clone)]
pub struct Verifier {
    issuer: Issuer,
    keys: TrustedKeys,
    leeway: i64,
    clock: Arc<dyn Clock>,
    status_lists: Option<Arc<FetchedLists>>,
    seen: Option<Arc<SeenTokens<VerifiedClaims>>>,
}

impl Verifier {
    /// How many tokens a server may well remember: 7 MiB, if they are as large as most.
    pub const USUAL_MEMORY: usize = 4_096;

    /// A verifier of tokens of `issuer` by `keys`, which forgives clocks that are off by `leeway` (cut to
    /// whole seconds).
    pub fn new(
        issuer: Issuer,
        keys: impl Into<TrustedKeys>,
        leeway: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let leeway = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        Self { issuer, keys: keys.into(), leeway, clock, status_lists: None, seen: None }
    }

    /// Remembers the claims of tokens that verified, so that the next request with such a token costs no
    /// signature. A clone shares them.
    ///
    /// Up to `tokens` are remembered, each by its SHA-256 alone and with about 1.7 KiB; one that is longer than
    /// 1 KiB takes the place of several. Those that come again and again stay, however many others come
    /// between. What can change is judged each time as at first sight: times, audience, status list, and
    /// whether its key is still one of the keys.
    #[must_use]
    pub fn remembering(self, tokens: usize) -> Self {
        Self { seen: Some(Arc::new(SeenTokens::new(tokens))), ..self }
    }

    /// Also looks at the status of tokens that point to a list. It takes [`FetchedLists::run`] beside it.
    #[must_use]
    pub fn with_status_lists(self, lists: Arc<FetchedLists>) -> Self {
        Self { status_lists: Some(lists), ..self }
    }

    /// Fetches a list of which [`StatusError::Unknown`] tells, so that the token can be judged again.
    pub async fn fetch_status_list(&self, uri: &str) {
        if let Some(lists) = &self.status_lists {
            lists.fetch(uri).await;
        }
    }

    /// Whether keys may be fetched when [`JwsError::UnknownKey`] is told.
    pub fn can_fetch_keys(&self) -> bool {
        self.keys.can_fetch()
    }

    /// Fetches the issuer's keys because a token names one that is unknown ([`JwsError::UnknownKey`]), so that
    /// the token can be judged again: at most once per [`cooldown`](crate::keys::JwksOptions::cooldown), and only
    /// keys that come from a [`JwksSource`](crate::keys::JwksSource).
    pub async fn fetch_keys(&self) {
        self.keys.fetch_unknown().await;
    }

    /// Verifies that `token` is an access token of this issuer for `audience`, as RFC 9068 section 4 and
    /// RFC 8725 section 3 ask.
    ///
    /// # Errors
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify(&self, token: &BearerToken, audience: &Audience) -> Result<VerifiedClaims, TokenError> {
        let claims = self.open(token)?;
        if !claims.0.audiences.contains(audience) {
            return Err(TokenError::Audience);
        }
        self.check_status(&claims)?;
        Ok(claims)
    }

    /// As [`Self::verify`], whichever audience it is for.
    ///
    /// # Errors
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify_for_any(&self, token: &BearerToken) -> Result<VerifiedClaims, TokenError> {
        let claims = self.open(token)?;
        self.check_status(&claims)?;
        Ok(claims)
    }

    fn open(&self, token: &BearerToken) -> Result<VerifiedClaims, TokenError> {
        let keys = self.keys();
        let seen = self.seen.as_ref().filter(|_| token.as_str().len() <= BearerToken::LONGEST);
        let Some(seen) = seen else { return self.open_unseen(&keys, token) };
        let hash = TokenHash::of(token.as_str());
        if let Some(claims) = seen.find(&hash) {
            if claims.is_signed_by_one_of(&keys) {
                let checked = self.check_claims(&claims);
                if checked == Err(TokenError::Expired) {
                    seen.forget(&hash);
                }
                return checked.map(|()| claims);
            }
            // the answer is that of a token never seen
            seen.forget(&hash);
        }
        let claims = self.open_unseen(&keys, token)?;
        seen.keep(hash, token.as_str().len(), claims.clone());
        Ok(claims)
    }

    fn open_unseen(&self, keys: &PublicKeys, token: &BearerToken) -> Result<VerifiedClaims, TokenError> {
        let claims = VerifiedClaims::read(keys.open(token.as_str(), ACCESS_TOKEN)?)?;
        self.check_claims(&claims)?;
        Ok(claims)
    }

    fn check_claims(&self, claims: &VerifiedClaims) -> Result<(), TokenError> {
        let CheckedClaims { issuer, issued_at, not_before, expires_at, .. } = &*claims.0;
        self.check_issuer_and_times(issuer, *issued_at, *not_before, *expires_at)
    }

    /// The status comes last: what a token that is bad anyway points to is not looked at.
    fn check_status(&self, claims: &VerifiedClaims) -> Result<(), TokenError> {
        match (&self.status_lists, &claims.0.status) {
            (Some(lists), Some(reference)) => Ok(lists.check(reference)?),
            _ => Ok(()),
        }
    }

    /// What must hold of every token of the issuer, of whichever kind: who issued it, and its times (seconds since 1970).
    ///
    /// # Errors
    /// [`TokenError::Issuer`], [`TokenError::Expired`] or [`TokenError::NotYetValid`].
    pub fn check_issuer_and_times(
        &self,
        issuer: &str,
        issued_at: i64,
        not_before: Option<i64>,
        expires_at: i64,
    ) -> Result<(), TokenError> {
        if issuer != self.issuer.as_str() {
            return Err(TokenError::Issuer);
        }
        let now = self.clock.numeric_date();
        if expires_at.saturating_add(self.leeway) <= now {
            return Err(TokenError::Expired);
        }
        let latest_start = now.saturating_add(self.leeway);
        if issued_at > latest_start || not_before.is_some_and(|start| start > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// What the time is, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.numeric_date()
    }

    /// How far clocks may be off, in seconds.
    pub(crate) fn leeway(&self) -> i64 {
        self.leeway
    }

    /// The keys that it trusts now.
    pub fn keys(&self) -> Arc<PublicKeys> {
        self.keys.current()
    }

    /// The issuer of the tokens that it verifies.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

/// The claims of a token whose signature and claims were checked. Made by [`Verifier::verify`] alone; a clone
/// shares them.
#[derive(Clone)]
pub struct VerifiedClaims(Arc<CheckedClaims>);

struct CheckedClaims {
    issuer: String,
    audiences: Vec<Audience>,
    expires_at: i64,
    issued_at: i64,
    not_before: Option<i64>,
    token_id: TokenId,
    subject: Option<ClientId>,
    client: Option<ClientId>,
    scopes: ScopeSet,
    roles: Vec<Role>,
    exchanges: u32,
    actors: Vec<ClientId>,
    authenticated_at: i64,
    status: Option<StatusReference>,
    confirmation: Option<Confirmation>,
    own: Map<String, Value>,
    key: Arc<PublicKey>,
}

impl VerifiedClaims {
    /// Reads the payload of a token whose signature holds.
    fn read(token: VerifiedJws) -> Result<Self, TokenError> {
        let (typ, key) = (token.typ(), Arc::clone(token.key()));
        let mut claims = TokenPayload::from(token);
        let issuer = claims.text("iss")?.ok_or(TokenError::Missing("iss"))?;
        let audiences = match claims.value("aud").ok_or(TokenError::Missing("aud"))? {
            Value::Array(items) if !items.is_empty() => items,
            one => vec![one],
        };
        let audiences =
            audiences.iter().map(|audience| audience.as_str().and_then(|text| Audience::parse(text).ok()));
        let audiences = audiences.collect::<Option<_>>().ok_or(TokenError::WrongType("aud"))?;
        let expires_at = claims.date("exp")?.ok_or(TokenError::Missing("exp"))?;
        let issued_at = claims.date("iat")?.ok_or(TokenError::Missing("iat"))?;
        let not_before = claims.date("nbf")?;
        let token_id = claims.text("jti")?.ok_or(TokenError::Missing("jti"))?;
        let token_id = TokenId::parse(&token_id).map_err(|_| TokenError::WrongType("jti"))?;
        let subject = claims.client_id("sub")?;
        let client = claims.client_id("client_id")?;
        if (typ == AT_JWT) != client.is_some() || client.is_some() != subject.is_some() {
            return Err(TokenError::ClientAgainstType);
        }
        let scopes = ScopeSet::parse(&claims.text("scope")?.unwrap_or_default())
            .map_err(|_| TokenError::WrongType("scope"))?;
        let roles = match claims.value("roles") {
            None => Some(Vec::new()),
            Some(Value::Array(roles)) => {
                roles.iter().map(|role| role.as_str().and_then(|role| Role::parse(role).ok())).collect()
            }
            Some(_) => None,
        };
        let roles = roles.ok_or(TokenError::WrongType("roles"))?;
        let exchanges = match claims.value("exchanges") {
            None => 0,
            Some(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or(TokenError::WrongType("exchanges"))?,
        };
        let actors = match claims.value("act") {
            None => Vec::new(),
            Some(act) => actors(&act).ok_or(TokenError::WrongType("act"))?,
        };
        let authenticated_at = claims.date("auth_time")?.unwrap_or(issued_at);
        let status = match claims.value("status") {
            None => None,
            Some(status) => Some(StatusReference::read(&status).ok_or(TokenError::WrongType("status"))?),
        };
        // a token that is bound to something unknown is not taken as one that is bound to nothing
        let confirmation = match claims.value(Confirmation::CLAIM) {
            None => None,
            Some(cnf) => Some(Confirmation::read(&cnf).ok_or(TokenError::WrongType(Confirmation::CLAIM))?),
        };
        Ok(Self(Arc::new(CheckedClaims {
            issuer,
            audiences,
            expires_at,
            issued_at,
            not_before,
            token_id,
            subject,
            client,
            scopes,
            roles,
            exchanges,
            actors,
            authenticated_at,
            status,
            confirmation,
            own: claims.0,
            key,
        })))
    }

    /// Whether the key that signed is still among these; not only one of its name.
    fn is_signed_by_one_of(&self, keys: &PublicKeys) -> bool {
        let key = &self.0.key;
        keys.named(key.kid().as_str()).iter().any(|now| Arc::ptr_eq(now, key) || now.is_same_as(key))
    }

    /// `aud`: the APIs for which the token is.
    pub fn audiences(&self) -> &[Audience] {
        &self.0.audiences
    }

    /// `exp`, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.0.expires_at
    }

    /// `iat`, in seconds since 1970.
    pub fn issued_at(&self) -> i64 {
        self.0.issued_at
    }

    /// `jti`.
    pub fn token_id(&self) -> &TokenId {
        &self.0.token_id
    }

    /// `sub`: the client to which the permissions were granted, unless the token names nobody.
    pub fn subject(&self) -> Option<&ClientId> {
        self.0.subject.as_ref()
    }

    /// `exchanges`: how many token exchanges (RFC 8693) lie between the first token and this one.
    pub fn exchanges(&self) -> u32 {
        self.0.exchanges
    }

    /// `act`: the clients that exchanged, the last one first (RFC 8693 section 4.1).
    pub fn actors(&self) -> &[ClientId] {
        &self.0.actors
    }

    /// The clients that exchanged before the one that fetched this token.
    pub fn earlier_actors(&self) -> &[ClientId] {
        self.0.actors.get(1..).unwrap_or_default()
    }

    /// `auth_time`: when the subject fetched the first token of an exchange, in seconds since 1970; the `iat`
    /// of a token that was not exchanged.
    pub fn authenticated_at(&self) -> i64 {
        self.0.authenticated_at
    }

    /// `status`: the reference to a status list, if the client has one.
    pub fn status(&self) -> Option<&StatusReference> {
        self.0.status.as_ref()
    }

    /// `cnf`: what its holder must show; `None` for a bearer token.
    pub fn confirmation(&self) -> Option<Confirmation> {
        self.0.confirmation
    }

    /// `client_id`, unless the token names nobody.
    pub fn client(&self) -> Option<&ClientId> {
        self.0.client.as_ref()
    }

    /// `scope`.
    pub fn scopes(&self) -> &ScopeSet {
        &self.0.scopes
    }

    /// `roles`.
    pub fn roles(&self) -> &[Role] {
        &self.0.roles
    }

    /// The remaining claims: the client's own.
    pub fn own(&self) -> &Map<String, Value> {
        &self.0.own
    }

    /// The client as `client` conditions see it. A token that was exchanged is no client's own, not even where
    /// it came back to the first: what is open to a client alone stays shut.
    pub(crate) fn sole_client(&self) -> Option<&ClientId> {
        self.client().filter(|client| self.exchanges() == 0 && self.subject() == Some(client))
    }

    /// What policies judge.
    pub fn judged(&self) -> Subject<'_> {
        Subject {
            client: self.sole_client(),
            sub: self.subject(),
            scopes: self.scopes(),
            roles: self.roles(),
            claims: self.own(),
        }
    }

    /// The key that signed.
    pub fn kid(&self) -> &KeyId {
        self.0.key.kid()
    }
}

impl Revocable for VerifiedClaims {
    fn origin(&self) -> TokenOrigin<'_> {
        TokenOrigin {
            token_id: self.token_id(),
            subject: self.subject(),
            client: self.client(),
            issued_at: self.issued_at(),
            authenticated_at: self.authenticated_at(),
            earlier_actors: self.earlier_actors(),
        }
    }
}

/// The clients in `act` and within it; `None` where it is not of its form. JSON that nests deeper than the
/// parser goes does not come here.
fn actors(act: &Value) -> Option<Vec<ClientId>> {
    let mut actors = Vec::new();
    let mut next = Some(act);
    while let Some(act) = next {
        let act = act.as_object()?;
        actors.push(ClientId::parse(act.get("sub")?.as_str()?).ok()?);
        next = act.get("act");
    }
    Some(actors)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use jeton_oauth::clock::ManualClock;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example";
    const NOW: i64 = 1_800_000_000;

    /// The key set of one key that is called `k`, whichever key it is.
    fn called_k(pair: &Ed25519KeyPair) -> TrustedKeys {
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k" });
        Arc::new(PublicKeys::from_jwks(json!({ "keys": [key] }).to_string().as_bytes()).unwrap()).into()
    }

    fn token(pair: &Ed25519KeyPair) -> BearerToken {
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k" });
        let claims = json!({
            "iss": ISSUER, "aud": "https://api.example", "sub": "a", "client_id": "a", "jti": "j",
            "iat": NOW, "exp": NOW + 60,
        });
        let parts = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        BearerToken::new(format!("{signed}.{signature}"))
    }

    fn remembering(keys: TrustedKeys) -> (Verifier, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let of_verifier = Arc::clone(&clock) as Arc<dyn Clock>;
        let issuer = Issuer::parse(ISSUER).unwrap();
        (Verifier::new(issuer, keys, Duration::from_secs(5), of_verifier).remembering(100), clock)
    }

    fn remembers(verifier: &Verifier, token: &BearerToken) -> bool {
        verifier.seen.as_ref().unwrap().find(&TokenHash::of(token.as_str())).is_some()
    }

    #[test]
    fn another_key_of_the_same_name_ends_what_is_remembered() {
        let [one, other] = [(); 2].map(|()| Ed25519KeyPair::generate().unwrap());
        let (verifier, _) = remembering(called_k(&one));
        let of_one = token(&one);
        let first = verifier.verify_for_any(&of_one).unwrap_or_else(|error| panic!("{error}"));
        let again = verifier.verify_for_any(&of_one).unwrap_or_else(|error| panic!("{error}"));
        assert!(Arc::ptr_eq(&first.0, &again.0));
        // the set was read again, and holds the same key
        let read_again = Verifier { keys: called_k(&one), ..verifier.clone() };
        let again = read_again.verify_for_any(&of_one).unwrap_or_else(|error| panic!("{error}"));
        assert!(Arc::ptr_eq(&first.0, &again.0));
        let replaced = Verifier { keys: called_k(&other), ..verifier.clone() };
        assert_eq!(replaced.verify_for_any(&of_one).err(), Some(JwsError::Signature.into()));
        assert!(!remembers(&verifier, &of_one), "forgotten");
        assert_eq!(replaced.verify_for_any(&of_one).err(), Some(JwsError::Signature.into()));
        let gone = Verifier { keys: Arc::new(PublicKeys::default()).into(), ..verifier.clone() };
        assert!(verifier.verify_for_any(&of_one).is_ok() && remembers(&verifier, &of_one));
        assert_eq!(gone.verify_for_any(&of_one).err(), Some(JwsError::UnknownKey.into()));
        assert!(!remembers(&verifier, &of_one), "forgotten");
    }

    #[test]
    fn what_expired_is_forgotten_and_what_is_bad_never_remembered() {
        let [one, other] = [(); 2].map(|()| Ed25519KeyPair::generate().unwrap());
        let (verifier, clock) = remembering(called_k(&one));
        let (good, bad) = (token(&one), token(&other));
        assert!(verifier.verify_for_any(&good).is_ok() && verifier.verify_for_any(&bad).is_err());
        assert!(remembers(&verifier, &good) && !remembers(&verifier, &bad));
        clock.advance(-6);
        assert_eq!(verifier.verify_for_any(&good).err(), Some(TokenError::NotYetValid));
        assert!(remembers(&verifier, &good), "its time comes");
        clock.advance(70);
        assert!(verifier.verify_for_any(&good).is_ok(), "within the leeway");
        clock.advance(1);
        assert_eq!(verifier.verify_for_any(&good).err(), Some(TokenError::Expired));
        assert!(!remembers(&verifier, &good));
        assert_eq!(verifier.verify_for_any(&good).err(), Some(TokenError::Expired));
        assert!(!remembers(&verifier, &good));
    }
}
