//! A signed list, as it is fetched.

use jeton_jose::{JwsError, PublicKeys};
use serde_json::{Map, Value};

use super::{InvalidList, STATUS_LIST, StatusList};

/// After how many seconds a list is fetched again that does not say.
const DEFAULT_TTL: i64 = 5 * 60;
/// The longest time for which a list is not fetched again, whatever it says, in seconds.
const LONGEST_TTL: i64 = 24 * 60 * 60;

/// A list whose signature and claims were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusListToken {
    /// The bits.
    pub list: StatusList,
    /// When it was signed, in seconds since 1970.
    pub issued_at: i64,
    /// Until when it counts, in seconds since 1970.
    pub expires_at: i64,
    /// After how many seconds it is worth fetching again: from one second to a day.
    pub ttl: i64,
}

/// What a list must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusListTerms<'t> {
    /// Where it was fetched, which its `sub` must be.
    pub uri: &'t str,
    /// In seconds since 1970.
    pub now: i64,
    /// How far clocks may be off, in seconds.
    pub leeway: i64,
}

/// Why a document is no list that counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidListToken {
    /// It is not a status list that one of the keys signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is missing or not what it must be.
    #[error("its claim `{0}` is missing or wrong")]
    Claim(&'static str),
    /// Its bits cannot be read.
    #[error(transparent)]
    List(#[from] InvalidList),
}

impl StatusListToken {
    /// Checks a list (draft-ietf-oauth-status-list section 8.3) and reads it.
    ///
    /// # Errors
    /// [`InvalidListToken`] with the first thing that is wrong.
    pub fn open(
        document: &[u8],
        keys: &PublicKeys,
        terms: &StatusListTerms<'_>,
    ) -> Result<Self, InvalidListToken> {
        let text = std::str::from_utf8(document).map_err(|_| JwsError::NotCompactJws)?;
        let claims = keys.open_long(text.trim_ascii_end(), STATUS_LIST)?.into_claims();
        if claims.get("sub").and_then(Value::as_str) != Some(terms.uri) {
            return Err(InvalidListToken::Claim("sub"));
        }
        let issued_at = number(&claims, "iat")?.ok_or(InvalidListToken::Claim("iat"))?;
        if issued_at > terms.now.saturating_add(terms.leeway) {
            return Err(InvalidListToken::Claim("iat"));
        }
        let expires_at = number(&claims, "exp")?.ok_or(InvalidListToken::Claim("exp"))?;
        let ttl = number(&claims, "ttl")?.unwrap_or(DEFAULT_TTL);
        if ttl == 0 {
            return Err(InvalidListToken::Claim("ttl"));
        }
        let list = claims.get("status_list").and_then(Value::as_object);
        let list = list.ok_or(InvalidListToken::Claim("status_list"))?;
        let bits = list.get("bits").and_then(Value::as_u64).ok_or(InvalidListToken::Claim("status_list"))?;
        let encoded =
            list.get("lst").and_then(Value::as_str).ok_or(InvalidListToken::Claim("status_list"))?;
        let list = StatusList::decode(encoded, bits)?;
        let token = Self { list, issued_at, expires_at, ttl: ttl.min(LONGEST_TTL) };
        if token.has_ended(terms.now, terms.leeway) { Err(InvalidListToken::Claim("exp")) } else { Ok(token) }
    }

    /// Whether it counts no longer, by clocks that are off by `leeway`.
    pub fn has_ended(&self, now: i64, leeway: i64) -> bool {
        self.expires_at.saturating_add(leeway) <= now
    }
}

/// A claim that is a whole number from zero on.
fn number(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, InvalidListToken> {
    let read =
        |value: &Value| value.as_i64().filter(|number| *number >= 0).ok_or(InvalidListToken::Claim(name));
    claims.get(name).map(read).transpose()
}
