//! A decision as one line of JSON, written and read.

use std::{error::Error, fmt};

use jeton_oauth::{Audience, ClientId, Role, Scope, ScopeSet, TokenId, text::printable_json};
use jeton_policy::{CanonicalPath, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::{AuditedBearer, AuditedBinding, AuditedRequest, TakenDecision, shadow::up_to};
use crate::token::TokenOrigin;

/// The longest path that a record holds, in bytes. A longer one is refused for its length when it is asked and when it is
/// replayed, so its end changes no answer.
const LONGEST_PATH: usize = CanonicalPath::LONGEST + 8;
/// The longest method that is written, in bytes; no known one is as long.
const LONGEST_METHOD: usize = 32;

/// Appends a decision to `line`, as one line of JSON with its end.
///
/// # Errors
/// What `serde_json` reports. It has a form for each part of a decision.
pub fn write_line(
    line: &mut Vec<u8>,
    time: Timestamp,
    id: Option<&dyn fmt::Display>,
    asked: &AuditedRequest<'_>,
    taken: &TakenDecision<'_>,
) -> Result<(), serde_json::Error> {
    let start = line.len();
    serde_json::to_writer(
        &mut *line,
        &WrittenDecision {
            time: ShownText(&microseconds(time)),
            id: id.map(ShownText),
            api: asked.api,
            method: up_to(asked.method, LONGEST_METHOD),
            path: up_to(asked.path, LONGEST_PATH),
            allowed: taken.is_allowed(),
            rule: taken.rule,
            reason: taken.reason,
            detail: taken.detail.map(ShownText),
            token: asked.bearer.as_ref().map(WrittenToken::of),
        },
    )?;
    // paths and claims are others' words, and people look into the file
    let written = line.get(start..).unwrap_or_default();
    if written.iter().any(|byte| *byte >= 0x7f || *byte == b'#') {
        let shown = printable_json(&String::from_utf8_lossy(written));
        line.truncate(start);
        line.extend_from_slice(shown.as_bytes());
    }
    line.push(b'\n');
    Ok(())
}

/// Writes that so many decisions are missing here.
pub(super) fn write_dropped(line: &mut Vec<u8>, time: Timestamp, dropped: u64) {
    line.extend_from_slice(
        format!("{{\"dropped\":{dropped},\"time\":\"{}\"}}\n", microseconds(time)).as_bytes(),
    );
}

fn microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// The names and their order are those of the file.
#[derive(Serialize)]
struct WrittenDecision<'r> {
    time: ShownText<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ShownText<'r>>,
    api: &'r str,
    method: &'r str,
    path: &'r str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'r str>,
    reason: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<ShownText<'r>>,
    #[serde(flatten)]
    token: Option<WrittenToken<'r>>,
}

#[derive(Serialize)]
struct WrittenToken<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'r ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'r ClientId>,
    jti: &'r TokenId,
    issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_at: Option<i64>,
    #[serde(skip_serializing_if = "<[ClientId]>::is_empty")]
    earlier_actors: &'r [ClientId],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exchanged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<bool>,
    audience: &'r [Audience],
    scopes: Scopes<'r>,
    roles: &'r [Role],
    claims: &'r Map<String, Value>,
}

impl<'r> WrittenToken<'r> {
    fn of(bearer: &AuditedBearer<'r>) -> Self {
        let AuditedBearer { audiences, origin, subject, binding } = *bearer;
        Self {
            client: origin.client,
            subject: origin.subject.filter(|subject| origin.client != Some(*subject)),
            jti: origin.token_id,
            issued_at: origin.issued_at,
            authenticated_at: Some(origin.authenticated_at).filter(|time| *time != origin.issued_at),
            earlier_actors: origin.earlier_actors,
            exchanged: origin.client.is_some() && subject.client.is_none(),
            bound: match binding {
                AuditedBinding::Bound => Some(true),
                AuditedBinding::Unbound => Some(false),
                AuditedBinding::Unknown => None,
            },
            audience: audiences,
            scopes: Scopes(subject.scopes),
            roles: subject.roles,
            claims: subject.claims,
        }
    }
}

struct ShownText<'r>(&'r dyn fmt::Display);

impl Serialize for ShownText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// As a list.
struct Scopes<'r>(&'r ScopeSet);

impl Serialize for Scopes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// A line of a decision log.
#[derive(Debug)]
pub enum DecisionLine {
    /// A decision.
    Decision(Box<RecordedDecision>),
    /// So many decisions are missing here.
    Dropped(u64),
}

/// A decision as it was written down.
#[derive(Debug)]
pub struct RecordedDecision {
    /// The time of the decision, as the line has it.
    pub time: String,
    /// The name of the API.
    pub api: String,
    /// The method.
    pub method: String,
    /// The path as it was judged.
    pub path: String,
    /// Whether the request could pass.
    pub allowed: bool,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    /// The stable name of the reason.
    pub reason: String,
    /// More about a refusal, in words.
    pub detail: Option<String>,
    /// The bearer, if there was a token and it was good.
    pub bearer: Option<RecordedBearer>,
}

/// What the line says of the token.
#[derive(Debug)]
pub struct RecordedBearer {
    audiences: Vec<Audience>,
    token_id: TokenId,
    subject: Option<ClientId>,
    client: Option<ClientId>,
    issued_at: i64,
    authenticated_at: i64,
    earlier_actors: Vec<ClientId>,
    exchanged: bool,
    binding: AuditedBinding,
    scopes: ScopeSet,
    roles: Vec<Role>,
    claims: Map<String, Value>,
}

/// Why a line does not belong to a decision log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionLineError {
    /// It is not JSON, or a member has another type.
    #[error("{}", plain(.0))]
    Json(#[from] serde_json::Error),
    /// A member is missing.
    #[error("`{0}` is missing: this is no line of a decision log")]
    Missing(&'static str),
    /// A member has not its form.
    #[error("`{member}` is not of its form: {source}")]
    Form {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The error without its line, which is always the first.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("column {}: {what}", error.column()),
        None => text,
    }
}

#[derive(Deserialize)]
struct RecordedLine {
    dropped: Option<u64>,
    time: Option<String>,
    api: Option<String>,
    method: Option<String>,
    path: Option<String>,
    allowed: Option<bool>,
    rule: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
    client: Option<String>,
    subject: Option<String>,
    jti: Option<String>,
    issued_at: Option<i64>,
    authenticated_at: Option<i64>,
    #[serde(default)]
    earlier_actors: Vec<String>,
    #[serde(default)]
    exchanged: bool,
    bound: Option<bool>,
    audience: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

impl DecisionLine {
    /// Reads a line, with or without its end. Members that are not known are passed over: whoever collects logs adds
    /// some.
    ///
    /// # Errors
    /// [`DecisionLineError`] with the first thing that is wrong.
    pub fn parse(line: &[u8]) -> Result<Self, DecisionLineError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let read = serde_json::from_slice(line);
        // the library takes a list too, of the members in their order
        let is_other_json = !line.trim_ascii_start().starts_with(b"{")
            && read.as_ref().err().is_none_or(serde_json::Error::is_data);
        if is_other_json {
            return Err(serde_json::Error::custom("a line is a JSON object").into());
        }
        let mut read: RecordedLine = read?;
        if let Some(dropped) = read.dropped {
            return Ok(Self::Dropped(dropped));
        }
        let bearer = RecordedBearer::take(&mut read)?;
        Ok(Self::Decision(Box::new(RecordedDecision {
            time: needed("time", read.time)?,
            api: needed("api", read.api)?,
            method: needed("method", read.method)?,
            path: needed("path", read.path)?,
            allowed: needed("allowed", read.allowed)?,
            rule: read.rule,
            reason: needed("reason", read.reason)?,
            detail: read.detail,
            bearer,
        })))
    }
}

fn needed<T>(member: &'static str, value: Option<T>) -> Result<T, DecisionLineError> {
    value.ok_or(DecisionLineError::Missing(member))
}

fn formed<T, E: Into<Box<dyn Error + Send + Sync>>>(
    member: &'static str,
    parse: fn(&str) -> Result<T, E>,
    text: &str,
) -> Result<T, DecisionLineError> {
    parse(text).map_err(|error| DecisionLineError::Form { member, source: error.into() })
}

fn each<T, E: Into<Box<dyn Error + Send + Sync>>, C: FromIterator<T>>(
    member: &'static str,
    parse: fn(&str) -> Result<T, E>,
    texts: &[String],
) -> Result<C, DecisionLineError> {
    texts.iter().map(|text| formed(member, parse, text)).collect()
}

impl RecordedBearer {
    fn take(read: &mut RecordedLine) -> Result<Option<Self>, DecisionLineError> {
        let Some(jti) = read.jti.take() else {
            return if read.client.is_some() { Err(DecisionLineError::Missing("jti")) } else { Ok(None) };
        };
        let id = |member, id: Option<String>| -> Result<Option<ClientId>, DecisionLineError> {
            id.map(|id| formed(member, ClientId::parse, &id)).transpose()
        };
        let client = id("client", read.client.take())?;
        let subject = id("subject", read.subject.take())?.or_else(|| client.clone());
        let issued_at = needed("issued_at", read.issued_at)?;
        Ok(Some(Self {
            audiences: each("audience", Audience::parse, &needed("audience", read.audience.take())?)?,
            token_id: formed("jti", TokenId::parse, &jti)?,
            subject,
            client,
            issued_at,
            authenticated_at: read.authenticated_at.unwrap_or(issued_at),
            earlier_actors: each("earlier_actors", ClientId::parse, &read.earlier_actors)?,
            exchanged: read.exchanged,
            binding: match read.bound {
                Some(true) => AuditedBinding::Bound,
                Some(false) => AuditedBinding::Unbound,
                None => AuditedBinding::Unknown,
            },
            scopes: each("scopes", Scope::parse, &needed("scopes", read.scopes.take())?)?,
            roles: each("roles", Role::parse, &read.roles)?,
            claims: std::mem::take(&mut read.claims),
        }))
    }

    /// The client that fetched the token, unless it names nobody.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// Whether the token was bound, as far as the line says it.
    pub fn binding(&self) -> AuditedBinding {
        self.binding
    }

    fn as_bearer(&self) -> AuditedBearer<'_> {
        AuditedBearer {
            audiences: &self.audiences,
            origin: TokenOrigin {
                token_id: &self.token_id,
                subject: self.subject.as_ref(),
                client: self.client.as_ref(),
                issued_at: self.issued_at,
                authenticated_at: self.authenticated_at,
                earlier_actors: &self.earlier_actors,
            },
            subject: Subject {
                client: self.client.as_ref().filter(|_| !self.exchanged),
                sub: self.subject.as_ref(),
                scopes: &self.scopes,
                roles: &self.roles,
                claims: &self.claims,
            },
            binding: self.binding,
        }
    }
}

impl RecordedDecision {
    /// The question, to be answered again.
    pub fn asked(&self) -> AuditedRequest<'_> {
        AuditedRequest {
            api: &self.api,
            method: &self.method,
            path: &self.path,
            bearer: self.bearer.as_ref().map(RecordedBearer::as_bearer),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{super::DecisionOutcome, DecisionLine, TakenDecision, write_line};

    #[test]
    fn a_line_says_whether_the_token_was_bound() {
        let of_token = r#""jti":"j","issued_at":1,"audience":["https://a.example.com"],"scopes":[]"#;
        for (name, member) in [("bound", r#""bound":true"#), ("unbound", r#""bound":false"#), ("older", "")] {
            let member = if member.is_empty() { String::new() } else { format!("{member},") };
            let line = format!(
                r#"{{{member}"time":"x","api":"a","method":"GET","path":"/","allowed":true,"reason":"met",{of_token}}}"#
            );
            let DecisionLine::Decision(read) = DecisionLine::parse(line.as_bytes()).unwrap() else {
                panic!()
            };
            let outcome = DecisionOutcome::Allowed;
            let taken = TakenDecision { outcome, rule: None, reason: "met", detail: None };
            let mut written = Vec::new();
            write_line(&mut written, Timestamp::UNIX_EPOCH, None, &read.asked(), &taken).unwrap();
            let written = String::from_utf8(written).unwrap();
            assert!(written.contains(&format!("\"issued_at\":1,{member}\"audience\"")), "{name}: {written}");
        }
    }

    #[test]
    fn a_line_is_an_object() {
        let members = r#"null,"2026-11-23T12:00:00Z","orders","GET","/healthz",true,null,"public""#;
        let of_token = "null,null,null,null,null,[],false,null,null,null,[],{}";
        for (name, line) in [
            ("a list of the members in their order", format!("[{members},{of_token}]")),
            ("the same with a space before it", format!(" [{members},{of_token}]\n")),
            ("an empty list", "[]".to_owned()),
            ("text", r#""dropped""#.to_owned()),
            ("a number", "7".to_owned()),
            ("nothing", "null\n".to_owned()),
        ] {
            let error = DecisionLine::parse(line.as_bytes()).map(drop).unwrap_err();
            assert_eq!(error.to_string(), "a line is a JSON object", "{name}");
        }
        assert!(DecisionLine::parse(b" {\"dropped\":7}\n").is_ok());
    }
}
