//! What a client sends to the token endpoint: its form, and the header `Authorization`.
//!
//! Input: a line with the value of the header, or empty where there is none; behind it the body.
#![no_main]

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use jeton::{
    authenticate::ClientCredentials,
    federation::ShownAs,
    grant::TokenRequest,
    http::{TokenEndpointError, read_token_request},
};
use jeton_oauth::{GrantType, form::decode};
use libfuzzer_sys::fuzz_target;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// Those that the server takes for lists in `scope[]` and `scope[0]`.
const PARAMETERS: [&str; 17] = [
    "access_token",
    "actor_token",
    "actor_token_type",
    "audience",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "grant_type",
    "refresh_token",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "token",
    "token_type_hint",
];

fuzz_target!(|data: &[u8]| {
    let (header, body) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Ok(body) = std::str::from_utf8(body.get(1..).unwrap_or_default()) else { return };
    let mut headers = HeaderMap::new();
    if !header.is_empty() {
        // what the server takes in a header
        let Ok(value) = HeaderValue::from_bytes(header.trim_ascii()) else { return };
        headers.append(AUTHORIZATION, value);
    }
    let read = read_token_request(&headers, body);
    match (&read, model(headers.get(AUTHORIZATION), body)) {
        (Ok((credentials, asked)), Some(expected)) => {
            assert_eq!(shown(credentials), expected.shown);
            assert_eq!(asked.grant_type(), expected.grant_type);
            assert_eq!(presented(asked), expected.presented.as_deref());
        }
        (Ok(_), None) => panic!("taken, though it is not clear who asks for what"),
        (Err(error), Some(_)) => panic!("refused, though all of it is right: {error}"),
        (Err(error), None) => no_secret_is_told(error, headers.get(AUTHORIZATION), body),
    }
    if read.is_ok() {
        nothing_stands_there_twice(&headers, body);
    }
});

/// Whatever is added does not leave the choice to the server.
fn nothing_stands_there_twice(headers: &HeaderMap, body: &str) {
    for name in ["grant_type", "client_id", "client_secret", "scope", "x"] {
        let twice = format!("{body}&{name}=a&{name}=a");
        assert!(read_token_request(headers, &twice).is_err(), "{name} stands there twice");
    }
    let mut two = headers.clone();
    while two.len() < 2 {
        two.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
    }
    assert!(read_token_request(&two, body).is_err(), "two headers");
}

/// What a request shows, as text.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    Secret(String, String),
    Assertion(Option<String>),
    Spiffe(Option<String>),
    SubjectToken(Option<String>),
    Certificate,
}

struct Expected {
    shown: Credentials,
    grant_type: GrantType,
    /// The refresh token, or the token of ours that is exchanged.
    presented: Option<String>,
}

fn shown(credentials: &ClientCredentials) -> Credentials {
    match credentials {
        ClientCredentials::Secret { client_id, secret } => {
            Credentials::Secret(client_id.clone(), secret.reveal().to_owned())
        }
        ClientCredentials::Assertion { client_id, .. } => Credentials::Assertion(client_id.clone()),
        ClientCredentials::Foreign { client_id, shown_as: ShownAs::Assertion, .. } => {
            Credentials::Spiffe(client_id.clone())
        }
        ClientCredentials::Foreign { client_id, .. } => Credentials::SubjectToken(client_id.clone()),
        ClientCredentials::Certificate { .. } => Credentials::Certificate,
    }
}

fn presented(asked: &TokenRequest) -> Option<&str> {
    match asked {
        TokenRequest::RefreshToken { refresh_token, .. } => Some(refresh_token.as_str()),
        TokenRequest::TokenExchange { subject_token, .. } => Some(subject_token.as_str()),
        TokenRequest::ClientCredentials(_) | TokenRequest::ForeignExchange(_) => None,
    }
}

/// The parameters of a form, those without a value too; `None` where it is not clear what one is.
fn parameters(body: &str) -> Option<Vec<(String, String)>> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for pair in body.split('&') {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let is_list = PARAMETERS.iter().any(|it| name.starts_with(&format!("{it}[")) && name.ends_with(']'));
        let is_again = parameters.iter().any(|(other, _)| *other == name);
        if name.ends_with("[]") || is_list || (is_again && name != "resource" && name != "audience") {
            return None;
        }
        parameters.push((name, value));
    }
    (parameters.len() <= 64).then_some(parameters)
}

/// Who asks for what, where that is clear.
fn model(header: Option<&HeaderValue>, body: &str) -> Option<Expected> {
    let parameters = parameters(body)?;
    let find = |name: &str| {
        let found = parameters.iter().find(|(other, value)| other == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let grant_type = match find("grant_type")? {
        "client_credentials" => GrantType::ClientCredentials,
        "refresh_token" => GrantType::RefreshToken,
        "urn:ietf:params:oauth:grant-type:token-exchange" => GrantType::TokenExchange,
        _ => return None,
    };
    let id = find("client_id").map(str::to_owned);
    let (secret, assertion, kind) =
        (find("client_secret"), find("client_assertion"), find("client_assertion_type"));
    let ways = [header.is_some(), secret.is_some(), assertion.is_some() || kind.is_some()];
    let subject_token = |types: &[&str]| {
        let is_fine = types.contains(&find("subject_token_type")?)
            && matches!(find("requested_token_type"), None | Some(ACCESS_TOKEN | JWT))
            && find("actor_token").or(find("actor_token_type")).is_none();
        find("subject_token").filter(|_| is_fine).map(str::to_owned)
    };
    let shown = match ways {
        [true, false, false] => {
            let (by_header, secret) = basic(header?)?;
            if id.is_some_and(|id| id != by_header) {
                return None;
            }
            Credentials::Secret(by_header, secret)
        }
        [false, true, false] => Credentials::Secret(id?, secret?.to_owned()),
        [false, false, true] if kind == Some(ASSERTION) && assertion.is_some() => Credentials::Assertion(id),
        [false, false, true] if kind == Some(SPIFFE) && assertion.is_some() => Credentials::Spiffe(id),
        [false, false, false] if grant_type == GrantType::TokenExchange => {
            subject_token(&[JWT, ID_TOKEN])?;
            return Some(Expected { shown: Credentials::SubjectToken(id), grant_type, presented: None });
        }
        _ => return None,
    };
    let presented = match grant_type {
        GrantType::ClientCredentials => None,
        GrantType::RefreshToken => Some(find("refresh_token")?.to_owned()),
        GrantType::TokenExchange => Some(subject_token(&[ACCESS_TOKEN, JWT])?),
    };
    Some(Expected { shown, grant_type, presented })
}

/// Id and secret (RFC 6749 section 2.3.1).
fn basic(header: &HeaderValue) -> Option<(String, String)> {
    let header = header.to_str().ok()?;
    let encoded = header.get(6..).filter(|_| header[..6].eq_ignore_ascii_case("basic "))?;
    let joined = String::from_utf8(BASE64_STANDARD.decode(encoded.trim_matches(' ')).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((decode(id)?, decode(secret)?))
}

/// What is told of a request holds no secret and no token, wherever they stood.
fn no_secret_is_told(error: &TokenEndpointError, header: Option<&HeaderValue>, body: &str) {
    let told = error.to_string();
    let (secrets, others): (Vec<_>, Vec<_>) =
        body.split('&').partition(|pair| is_secret(pair.split('=').next().unwrap_or_default()));
    let others: String = others.iter().filter_map(|pair| decode(pair)).collect();
    let values = secrets.iter().filter_map(|pair| decode(pair.split_once('=')?.1));
    let by_header = header.and_then(basic).map(|(_, secret)| secret);
    // nothing that is always said has so many digits
    let is_telling = |secret: &String| {
        secret.bytes().filter(u8::is_ascii_digit).count() >= 8 && !others.contains(secret.as_str())
    };
    for secret in values.chain(by_header).filter(is_telling) {
        assert!(!told.contains(&secret), "{told:?} tells {secret:?}");
    }
}

fn is_secret(name: &str) -> bool {
    ["client_secret", "client_assertion", "refresh_token", "subject_token"].contains(&name)
}
