//! A question why a request would be allowed or denied, as operators write it.

use std::fmt;

use jeton_oauth::{InvalidName, Role, Scope};
use jeton_policy::{BadSub, Permissions};
use jeton_verify::{BearerToken, ExplainedAsker, ExplainedRequest, NoAnswer};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

/// A question to `/ops/explain` and to the console: a request, and who asks: a client with all it is granted, a bearer of
/// just this, or a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `api`, `method` and `path`")]
pub(crate) struct WrittenQuestion {
    api: String,
    method: String,
    path: String,
    #[serde(default)]
    r#as: Option<WrittenAsker>,
    /// Claims that the client of `as` takes over from another issuer's token.
    #[serde(default)]
    claims: Option<Map<String, Value>>,
    #[serde(default)]
    token: Option<String>,
}

enum WrittenAsker {
    Client(String),
    Bearer(WrittenBearer),
}

/// By hand, so that an unknown member is named, and a list of values is no object.
impl<'de> Deserialize<'de> for WrittenAsker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AskerVisitor)
    }
}

struct AskerVisitor;

impl<'de> Visitor<'de> for AskerVisitor {
    type Value = WrittenAsker;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a client, or an object with what a bearer has")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<WrittenAsker, E> {
        Ok(WrittenAsker::Client(id.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<WrittenAsker, A::Error> {
        WrittenBearer::deserialize(MapAccessDeserializer::new(members)).map(WrittenAsker::Bearer)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenBearer {
    scopes: Vec<String>,
    roles: Vec<String>,
    claims: Map<String, Value>,
}

/// Why a question is not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadQuestion {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the body must be a JSON object with `api`, `method` and `path`")]
    NotAnObject,
    #[error("give either `as` or `token`")]
    TwoAskers,
    #[error(
        "`claims` stand beside `as` with a client; those of a bearer stand within: `as: {{ claims: ... }}`"
    )]
    ClaimsOfNoClient,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Sub(#[from] BadSub),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl WrittenQuestion {
    /// Reads a body.
    ///
    /// # Errors
    /// [`BadQuestion`] where it is no JSON object with these members.
    pub(crate) fn read(body: &[u8]) -> Result<Self, BadQuestion> {
        // the library takes a list of the members in their order too
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(BadQuestion::NotAnObject);
        }
        Ok(serde_json::from_slice(body)?)
    }

    /// As [`Self::read`], of a part of a body.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn of_value(value: &Value) -> Result<Self, BadQuestion> {
        if !value.is_object() {
            return Err(BadQuestion::NotAnObject);
        }
        Ok(Self::deserialize(value)?)
    }

    /// Whether a token is meant to ask.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// What is asked.
    ///
    /// # Errors
    /// [`BadQuestion`] where members do not fit each other, or name what cannot be.
    pub(crate) fn parse(&self) -> Result<ExplainedRequest<'_>, BadQuestion> {
        let asker = match (&self.r#as, &self.token, &self.claims) {
            (Some(_), Some(_), _) => return Err(BadQuestion::TwoAskers),
            (Some(WrittenAsker::Client(client)), None, Some(claims)) => {
                ExplainedAsker::ClientWith(client, claims.clone())
            }
            (_, _, Some(_)) => return Err(BadQuestion::ClaimsOfNoClient),
            (None, None, None) => ExplainedAsker::Nobody,
            (None, Some(token), None) => ExplainedAsker::Token(BearerToken::new(token.as_str())),
            (Some(WrittenAsker::Client(client)), None, None) => ExplainedAsker::Client(client),
            (Some(WrittenAsker::Bearer(bearer)), None, None) => ExplainedAsker::Bearer(bearer.parse()?),
        };
        Ok(ExplainedRequest { api: &self.api, method: &self.method, target: &self.path, asker })
    }
}

impl WrittenBearer {
    fn parse(&self) -> Result<Permissions, BadQuestion> {
        let bearer = Permissions {
            client: None,
            sub: None,
            scopes: self.scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<_, _>>()?,
            roles: self.roles.iter().map(|role| Role::parse(role)).collect::<Result<_, _>>()?,
            claims: self.claims.clone(),
        };
        Ok(bearer.with_sub_of_claims()?)
    }
}
