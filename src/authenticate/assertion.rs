//! JWTs by which clients authenticate (RFC 7523 section 3, `private_key_jwt`).

use std::{sync::LazyLock, time::Duration};

use jeton_jose::{CompactJws, ForeignKey, ForeignKeys, JwsError, TokenKind};
use jeton_oauth::{Issuer, SignatureAlgorithm};
use jeton_policy::clients::{Client, ClientRegistry, MOST_KEYS};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::{AssertionError, AuthenticationError};
use crate::store::OnceName;

/// An assertion as it was sent. Has no `Debug`: whoever reads it could use it.
pub struct ClientAssertion(String);

impl ClientAssertion {
    /// The `client_assertion_type` of such an assertion (RFC 7523 section 2.2).
    pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

    /// The `client_assertion_type` of a JWT-SVID (draft-ietf-oauth-spiffe-client-auth section 3.1).
    pub const SPIFFE_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

    /// Takes what a client sent.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What assertions must fit.
#[derive(Clone, Debug)]
pub struct AssertionRules {
    issuer: Issuer,
    token_endpoint: String,
    max_ttl: i64,
    leeway: i64,
}

/// An assertion that its client signed, to be used once.
pub(super) struct Unused {
    /// What stands for its `jti`.
    pub(super) name: OnceName,
    /// Until when it would be taken again, in seconds since 1970.
    pub(super) until: i64,
}

/// The `typ` that is taken, if there is one: `JWT`, or what draft-ietf-oauth-rfc7523bis asks for.
const ANY: TokenKind = TokenKind { name: "a client assertion", types: &[STRICT_TYPE, "jwt"] };
/// What must stand in `typ` of a client with `strict_assertions: true`.
const STRICT: TokenKind = TokenKind { name: "a client assertion", types: &[STRICT_TYPE] };
const STRICT_TYPE: &str = "client-authentication+jwt";

/// Keys of nobody, of each kind one: checked where a client has fewer than [`MOST_KEYS`], so that a stranger
/// cannot tell by the time whether it exists, or how many it has. (A key longer than 2048 bits takes longer.)
/// Their private halves were thrown away.
static DECOYS: LazyLock<Vec<ForeignKey>> =
    LazyLock::new(|| ForeignKeys::from_pem(include_str!("decoys.pem")).unwrap_or_default().taken);

impl AssertionRules {
    /// Assertions made for `issuer`, living `max_ttl` at most, by clocks that are off by `leeway`.
    pub fn new(issuer: &Issuer, max_ttl: Duration, leeway: Duration) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            issuer: issuer.clone(),
            token_endpoint: issuer.endpoint("/oauth2/token"),
            max_ttl: seconds(max_ttl),
            leeway: seconds(leeway),
        }
    }

    /// Checks all that one replica can: whose key signed it, and what it says. Where no key of the client signed it,
    /// [`MOST_KEYS`] signatures are checked, whatever client it names and however many keys that has.
    pub(super) fn check<'r>(
        &self,
        assertion: &ClientAssertion,
        client_id: Option<&str>,
        clients: &'r ClientRegistry,
        now: Timestamp,
    ) -> Result<(&'r std::sync::Arc<Client>, Unused), AuthenticationError> {
        let stranger = |error| AuthenticationError::BadAssertion { client: None, error };
        let parts = CompactJws::parse(&assertion.0).map_err(|error| stranger(error.into()))?;
        let header = parts.header().map_err(|error| stranger(error.into()))?;
        let algorithm =
            SignatureAlgorithm::parse(&header.algorithm).ok_or(stranger(AssertionError::Algorithm))?;
        let mut claims = parts.payload().map_err(|error| stranger(error.into()))?;
        let subject = text(&mut claims, "sub").map_err(stranger)?;
        let client = clients.find(&subject);
        let candidates: Vec<_> = client
            .iter()
            .flat_map(|client| &client.public_keys)
            .filter(|key| key.is_for(algorithm) && is_named(key, header.kid.as_deref()))
            .collect();
        let verifies = |key: &ForeignKey| {
            #[cfg(test)]
            tests::VERIFICATIONS.with(|count| count.set(count.get() + 1));
            key.verifies(algorithm, parts.signed.as_bytes(), parts.signature)
        };
        // the first that holds ends it: that tells at most which of its keys a client used, and to nobody else
        let signed = candidates.iter().any(|key| verifies(key));
        if !signed {
            // never true: nobody has the private half
            let decoy = DECOYS.iter().filter(|key| key.is_for(algorithm)).cycle();
            for key in decoy.take(MOST_KEYS.saturating_sub(candidates.len())) {
                let _ = verifies(key);
            }
        }
        let client = client.ok_or(AuthenticationError::UnknownClient { attempted: subject })?;
        let refuse = |error| AuthenticationError::BadAssertion { client: Some(client.id.clone()), error };
        if candidates.is_empty() {
            return Err(refuse(AssertionError::NoKey));
        }
        if !signed {
            return Err(refuse(JwsError::Signature.into()));
        }
        let typ_fits = match (client.abilities.strict_assertions, &header.typ) {
            (true, _) => header.typ(STRICT).map(drop),
            (false, Some(_)) => header.typ(ANY).map(drop),
            (false, None) => Ok(()),
        };
        typ_fits.map_err(|error| refuse(error.into()))?;
        let is_other = |id: &str| id != client.id.as_str();
        if client_id.is_some_and(is_other) {
            return Err(refuse(AssertionError::NotTheClient));
        }
        let unused = self.read(&mut claims, client, now.as_second()).map_err(refuse)?;
        Ok((client, unused))
    }

    /// Reads the claims of an assertion that the client signed.
    fn read(
        &self,
        claims: &mut Map<String, Value>,
        client: &Client,
        now: i64,
    ) -> Result<Unused, AssertionError> {
        if text(claims, "iss")? != client.id.as_str() {
            return Err(AssertionError::NotTheClient);
        }
        let audiences = match claims.remove("aud").ok_or(AssertionError::Missing("aud"))? {
            Value::Array(audiences) => audiences,
            one => vec![one],
        };
        let is_issuer = |audience: &Value| audience.as_str() == Some(self.issuer.as_str());
        let is_ours = |audience: &Value| is_issuer(audience) || audience == self.token_endpoint.as_str();
        if client.abilities.strict_assertions {
            if !matches!(audiences.as_slice(), [only] if is_issuer(only)) {
                return Err(AssertionError::Audience(
                    " alone, as this client's `strict_assertions` requires",
                ));
            }
        } else if audiences.is_empty() || !audiences.iter().all(is_ours) {
            return Err(AssertionError::Audience(" or its token endpoint, and nothing else"));
        }
        let expires_at = date(claims, "exp")?.ok_or(AssertionError::Missing("exp"))?;
        let until = expires_at.saturating_add(self.leeway);
        if until <= now {
            return Err(AssertionError::Expired);
        }
        let latest = now.saturating_add(self.leeway);
        if expires_at > latest.saturating_add(self.max_ttl) {
            return Err(AssertionError::TooLongLived);
        }
        for start in [date(claims, "nbf")?, date(claims, "iat")?] {
            if start.is_some_and(|start| start > latest) {
                return Err(AssertionError::NotYetValid);
            }
        }
        let token_id = text(claims, "jti")?;
        let name = OnceName::of(&[client.id.as_str().as_bytes(), token_id.as_bytes()]);
        Ok(Unused { name, until })
    }
}

/// Whether a key is meant by this `kid`: by the name that its owner gave it, or its thumbprint; a key without
/// a name may be called anything.
fn is_named(key: &ForeignKey, kid: Option<&str>) -> bool {
    kid.is_none_or(|kid| key.kid().is_none_or(|own| own == kid) || key.thumbprint().as_str() == kid)
}

/// Takes a claim that is a text and not empty.
fn text(claims: &mut Map<String, Value>, name: &'static str) -> Result<String, AssertionError> {
    match claims.remove(name) {
        None => Err(AssertionError::Missing(name)),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(AssertionError::WrongType(name)),
    }
}

/// Takes a claim that is a date; others' clocks may tell fractions of seconds (RFC 7519 section 2).
fn date(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<i64>, AssertionError> {
    let Some(value) = claims.remove(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "cut to whole seconds, and to what an i64 holds")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    seconds.filter(|seconds| *seconds >= 0).map(Some).ok_or(AssertionError::WrongType(name))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc};

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use jeton_oauth::ClientId;
    use jeton_policy::clients::{Abilities, ClientKind, ClientState};
    use serde_json::json;

    use super::*;

    thread_local! {
        /// Signatures checked on this thread: the work that must not depend on what is wrong.
        pub(super) static VERIFICATIONS: Cell<usize> = const { Cell::new(0) };
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::generate().unwrap()
    }

    fn client(id: &str, state: ClientState, pairs: &[Ed25519KeyPair]) -> Client {
        let public = |(number, pair): (usize, &Ed25519KeyPair)| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            let kid = number.to_string();
            ForeignKey::from_jwk(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid })).unwrap()
        };
        Client {
            id: ClientId::parse(id).unwrap(),
            state,
            kind: ClientKind::Named,
            secrets: Vec::new(),
            public_keys: pairs.iter().enumerate().map(public).collect(),
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

    fn assertion(algorithm: &str, kid: Option<&str>, subject: &str, by: &Ed25519KeyPair) -> ClientAssertion {
        let header = match kid {
            Some(kid) => json!({ "alg": algorithm, "kid": kid }),
            None => json!({ "alg": algorithm }),
        };
        let issuer = "https://tokens.example";
        let claims = json!({ "iss": subject, "sub": subject, "aud": issuer, "exp": 60, "jti": "1" });
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(by.sign(signed.as_bytes()).as_ref());
        ClientAssertion::new(format!("{signed}.{signature}"))
    }

    /// What comes of it, and how many signatures were checked.
    fn check(clients: &ClientRegistry, assertion: &ClientAssertion) -> (bool, usize) {
        VERIFICATIONS.with(|count| count.set(0));
        let issuer = Issuer::parse("https://tokens.example").unwrap();
        let rules = AssertionRules::new(&issuer, Duration::from_mins(1), Duration::from_secs(30));
        let is_taken = rules.check(assertion, None, clients, NOW).is_ok();
        (is_taken, VERIFICATIONS.with(Cell::get))
    }

    #[test]
    fn the_same_work_is_done_whatever_is_wrong_and_however_many_keys_there_are() {
        let (pairs, stranger) = ([pair(), pair(), pair(), pair()], pair());
        assert_eq!(pairs.len(), MOST_KEYS);
        let (one, two, three) = (&pairs[..1], &pairs[..2], &pairs[..3]);
        let clients: ClientRegistry = [
            client("none", ClientState::Enabled, &[]),
            client("one", ClientState::Enabled, one),
            client("two", ClientState::Enabled, two),
            client("three", ClientState::Enabled, three),
            client("four", ClientState::Enabled, &pairs),
            client("off", ClientState::Disabled, one),
        ]
        .into_iter()
        .collect();
        for subject in ["nobody", "none", "one", "two", "three", "four", "off"] {
            for algorithm in SignatureAlgorithm::NAMES {
                for kid in [None, Some("0"), Some("3"), Some("another")] {
                    let outcome = check(&clients, &assertion(algorithm, kid, subject, &stranger));
                    assert_eq!(outcome, (false, MOST_KEYS), "{subject}, {algorithm}, {kid:?}");
                }
            }
        }
        for pair in &pairs {
            assert!(check(&clients, &assertion("EdDSA", None, "four", pair)).0);
        }
    }

    #[test]
    fn there_is_a_decoy_for_every_algorithm() {
        for name in SignatureAlgorithm::NAMES {
            let algorithm = SignatureAlgorithm::parse(name).unwrap();
            assert!(DECOYS.iter().any(|key| key.is_for(algorithm)), "{name}");
        }
    }
}
