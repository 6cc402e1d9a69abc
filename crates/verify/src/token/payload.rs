//! The payload of a token whose signature holds, read claim by claim.

use jeton_jose::VerifiedJws;
use jeton_oauth::ClientId;
use serde_json::{Map, Value};

use super::TokenError;

/// Claims that are still to be read. Taking a claim removes it.
pub struct TokenPayload(pub(super) Map<String, Value>);

impl From<VerifiedJws> for TokenPayload {
    fn from(token: VerifiedJws) -> Self {
        Self(token.into_claims())
    }
}

impl TokenPayload {
    /// Takes a claim, whatever it is.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a claim that is text.
    ///
    /// # Errors
    /// [`TokenError::WrongType`].
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, TokenError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::WrongType(name)),
        }
    }

    /// Takes a claim that names a client.
    ///
    /// # Errors
    /// [`TokenError::WrongType`].
    pub fn client_id(&mut self, name: &'static str) -> Result<Option<ClientId>, TokenError> {
        let id = self.text(name)?;
        id.map(|id| ClientId::parse(&id).map_err(|_| TokenError::WrongType(name))).transpose()
    }

    /// Takes a claim that is a date: whole seconds since 1970 (RFC 7519 section 2 would let through
    /// fractions, which this issuer never writes).
    ///
    /// # Errors
    /// [`TokenError::WrongType`].
    pub fn date(&mut self, name: &'static str) -> Result<Option<i64>, TokenError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => {
                let date = value.as_i64().filter(|date| *date >= 0).ok_or(TokenError::WrongType(name))?;
                Ok(Some(date))
            }
        }
    }
}
