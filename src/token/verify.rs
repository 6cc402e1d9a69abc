//! A bearer's token to verified claims: the only way to them.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{SignedToken, bearer, bearer::BearerToken};
use crate::{
    clock::Clock,
    keys::{PublicKey, PublicKeys},
    oauth::{Audience, ClientId, Issuer, KeyId, Role, ScopeSet, TokenId},
};

/// Why a token is not taken: for the log. The bearer learns that it is bad, and no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Over [`BearerToken::LONGEST`] bytes.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not three parts; five are a JWE.
    #[error("the token has not the three parts of a compact JWS")]
    NotCompactJws,
    /// A part is not base64url in its canonical form.
    #[error("a part of the token is not base64url without padding")]
    NotBase64Url,
    /// A part is not one JSON object with each name once.
    #[error("a part of the token is not a JSON object with each name once")]
    NotJsonObject,
    /// The header asks for something that is never done.
    #[error("the header parameter `{0}` is not taken")]
    HeaderParameter(&'static str),
    /// `alg` is missing or not that of the key.
    #[error("`alg` is not the algorithm of the key")]
    Algorithm,
    /// `typ` is missing or that of another kind of token.
    #[error("`typ` is not that of an access token")]
    Type,
    /// `kid` is missing or not text.
    #[error("`kid` is missing")]
    NoKeyId,
    /// No published key has this `kid`.
    #[error("no key has this `kid`")]
    UnknownKey,
    /// The signature was not made by the key.
    #[error("the signature is wrong")]
    Signature,
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has another JSON type or form than its own.
    #[error("the claim `{0}` is not of its type")]
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
    /// `sub` and `client_id` are not as `typ` says.
    #[error("`sub` and `client_id` do not go with `typ`")]
    ClientAgainstType,
}

/// Checks tokens of one issuer offline, with its public keys alone.
#[derive(Clone)]
pub struct Verifier {
    issuer: Issuer,
    keys: Arc<PublicKeys>,
    leeway: i64,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier of tokens of `issuer` by `keys`, which forgives clocks that are off by `leeway` (cut to
    /// whole seconds).
    pub fn new(issuer: Issuer, keys: Arc<PublicKeys>, leeway: Duration, clock: Arc<dyn Clock>) -> Self {
        let leeway = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        Self { issuer, keys, leeway, clock }
    }

    /// Verifies that `token` is an access token of this issuer for `audience`, as RFC 9068 section 4 and
    /// RFC 8725 section 3 ask.
    ///
    /// # Errors
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify(&self, token: &BearerToken, audience: &Audience) -> Result<VerifiedClaims, TokenError> {
        let parts = token.parts()?;
        let header = Header::read(bearer::object(parts.header)?)?;
        let key = self.keys.find(&header.kid).ok_or(TokenError::UnknownKey)?;
        if header.algorithm != PublicKey::ALGORITHM_NAME {
            return Err(TokenError::Algorithm);
        }
        if !key.verifies(parts.signed.as_bytes(), parts.signature) {
            return Err(TokenError::Signature);
        }
        let claims = VerifiedClaims::read(bearer::object(parts.payload)?, header.typ, key.kid().clone())?;
        if claims.issuer != self.issuer.as_str() {
            return Err(TokenError::Issuer);
        }
        if !claims.audiences.contains(audience) {
            return Err(TokenError::Audience);
        }
        let now = self.clock.numeric_date();
        if claims.expires_at.saturating_add(self.leeway) <= now {
            return Err(TokenError::Expired);
        }
        let latest_start = now.saturating_add(self.leeway);
        if claims.issued_at > latest_start || claims.not_before.is_some_and(|start| start > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        Ok(claims)
    }
}

/// The two kinds of access token that there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Named,
    Anonymous,
}

struct Header {
    algorithm: String,
    typ: Type,
    kid: String,
}

impl Header {
    /// What a header could make a careless verifier do: trust a key that the token brings or points to
    /// (RFC 8725 section 3.5, 3.10), skip an extension, decrypt, unpack, or look into a nested token.
    const REFUSED: [&str; 11] =
        ["crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "cty", "b64"];

    fn read(mut header: Map<String, Value>) -> Result<Self, TokenError> {
        if let Some(name) = Self::REFUSED.into_iter().find(|name| header.contains_key(*name)) {
            return Err(TokenError::HeaderParameter(name));
        }
        let Some(Value::String(algorithm)) = header.remove("alg") else { return Err(TokenError::Algorithm) };
        // media types are case-insensitive, and `application/` may be left out (RFC 7515 section 4.1.9)
        let typ = match header.get("typ") {
            Some(Value::String(typ)) => {
                let (prefix, rest) = typ.split_at_checked("application/".len()).unwrap_or(("", typ));
                let typ = if prefix.eq_ignore_ascii_case("application/") { rest } else { typ };
                match typ {
                    typ if typ.eq_ignore_ascii_case(SignedToken::NAMED) => Type::Named,
                    typ if typ.eq_ignore_ascii_case(SignedToken::ANONYMOUS) => Type::Anonymous,
                    _ => return Err(TokenError::Type),
                }
            }
            _ => return Err(TokenError::Type),
        };
        let Some(Value::String(kid)) = header.remove("kid") else { return Err(TokenError::NoKeyId) };
        Ok(Self { algorithm, typ, kid })
    }
}

/// The claims of a token whose signature and claims were checked. Made by [`Verifier::verify`] alone.
pub struct VerifiedClaims {
    issuer: String,
    audiences: Vec<Audience>,
    expires_at: i64,
    issued_at: i64,
    not_before: Option<i64>,
    token_id: TokenId,
    client: Option<ClientId>,
    scopes: ScopeSet,
    roles: Vec<Role>,
    own: Map<String, Value>,
    kid: KeyId,
}

impl VerifiedClaims {
    /// Reads the payload of a token whose signature holds.
    fn read(mut claims: Map<String, Value>, typ: Type, kid: KeyId) -> Result<Self, TokenError> {
        let issuer = text(&mut claims, "iss")?.ok_or(TokenError::Missing("iss"))?;
        let audiences = match claims.remove("aud").ok_or(TokenError::Missing("aud"))? {
            Value::Array(items) if !items.is_empty() => items,
            one => vec![one],
        };
        let audiences =
            audiences.iter().map(|audience| audience.as_str().and_then(|text| Audience::parse(text).ok()));
        let audiences = audiences.collect::<Option<_>>().ok_or(TokenError::WrongType("aud"))?;
        let expires_at = date(&mut claims, "exp")?.ok_or(TokenError::Missing("exp"))?;
        let issued_at = date(&mut claims, "iat")?.ok_or(TokenError::Missing("iat"))?;
        let not_before = date(&mut claims, "nbf")?;
        let token_id = text(&mut claims, "jti")?.ok_or(TokenError::Missing("jti"))?;
        let token_id = TokenId::parse(&token_id).map_err(|_| TokenError::WrongType("jti"))?;
        let subject = text(&mut claims, "sub")?;
        let client = match text(&mut claims, "client_id")? {
            Some(client) => Some(ClientId::parse(&client).map_err(|_| TokenError::WrongType("client_id"))?),
            None => None,
        };
        if (typ == Type::Named) != client.is_some() || client.is_some() != subject.is_some() {
            return Err(TokenError::ClientAgainstType);
        }
        let scopes = ScopeSet::parse(&text(&mut claims, "scope")?.unwrap_or_default())
            .map_err(|_| TokenError::WrongType("scope"))?;
        let roles = match claims.remove("roles") {
            None => Some(Vec::new()),
            Some(Value::Array(roles)) => {
                roles.iter().map(|role| role.as_str().and_then(|role| Role::parse(role).ok())).collect()
            }
            Some(_) => None,
        };
        let roles = roles.ok_or(TokenError::WrongType("roles"))?;
        Ok(Self {
            issuer,
            audiences,
            expires_at,
            issued_at,
            not_before,
            token_id,
            client,
            scopes,
            roles,
            own: claims,
            kid,
        })
    }

    /// `aud`: the APIs for which the token is.
    pub fn audiences(&self) -> &[Audience] {
        &self.audiences
    }

    /// `exp`, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// `iat`, in seconds since 1970.
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `jti`.
    pub fn token_id(&self) -> &TokenId {
        &self.token_id
    }

    /// `client_id`, unless the token names nobody.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// `scope`.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// `roles`.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The remaining claims: the client's own.
    pub fn own(&self) -> &Map<String, Value> {
        &self.own
    }

    /// The key that signed.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }
}

/// Takes a claim that is text.
fn text(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::WrongType(name)),
    }
}

/// Takes a claim that is a date: whole seconds since 1970 (RFC 7519 section 2 would let through
/// fractions, which this issuer never writes).
fn date(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<i64>, TokenError> {
    match claims.remove(name) {
        None => Ok(None),
        Some(value) => {
            let date = value.as_i64().filter(|date| *date >= 0).ok_or(TokenError::WrongType(name))?;
            Ok(Some(date))
        }
    }
}
