//! `application/x-www-form-urlencoded`, strictly: what is not UTF-8, stands twice or stands in the URL is refused.

use actix_web::{HttpRequest, http::header, web};
use jeton_oauth::{
    ErrorCode,
    form::{decode, names},
};

use super::{BodyFault, BodyLimit, body::is_media_type};
use crate::http::error::{TokenEndpointError, TokenEndpointErrorKind};

/// What a form is sent as.
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The most parameters of a form: each is compared with those before it.
const MOST_PARAMETERS: usize = 64;

/// Every parameter of the endpoints for clients, and `access_token`, which is worth as much as a secret.
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

/// The parameters of a form, those without a value left out (RFC 6749 section 3.2).
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request whose URL holds nothing that belongs there.
    pub(in crate::http) async fn read(
        request: &HttpRequest,
        body: web::Payload,
    ) -> Result<Self, TokenEndpointError> {
        if !request.headers().get(header::CONTENT_TYPE).is_some_and(|sent| is_media_type(sent, MEDIA_TYPE)) {
            let message = "send the parameters as application/x-www-form-urlencoded in UTF-8";
            return Err(TokenEndpointError::invalid_request(message));
        }
        for name in names(request.query_string()) {
            check_name(&name)?;
            // logs keep it there (RFC 6749 section 2.3.1), and to pass over a `scope` would issue more than was asked for
            if PARAMETERS.contains(&&*name) {
                let message = format!("the parameter `{name}` must not be in the URL: send it in the body");
                return Err(TokenEndpointError::invalid_request(message));
            }
        }
        let body =
            super::body(request, body, BodyLimit::USUAL).await.map_err(|fault| TokenEndpointError {
                code: ErrorCode::InvalidRequest,
                description: fault.to_string().into(),
                kind: match fault {
                    BodyFault::Coded => TokenEndpointErrorKind::CodedBody,
                    BodyFault::TooLong(_) => TokenEndpointErrorKind::TooLarge,
                    BodyFault::TooSlow | BodyFault::Broken => TokenEndpointErrorKind::Plain,
                },
                attempted: None,
            })?;
        let body = std::str::from_utf8(&body)
            .map_err(|_| TokenEndpointError::invalid_request("the body is not UTF-8"))?;
        Self::parse(body)
    }

    /// Reads the body.
    pub(in crate::http) fn parse(body: &str) -> Result<Self, TokenEndpointError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MOST_PARAMETERS {
                return Err(TokenEndpointError::invalid_request("there are more than 64 parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(TokenEndpointError::invalid_request("a parameter is not UTF-8"));
            };
            check_name(&name)?;
            // RFC 8707 section 2 lets `resource` stand several times
            let may_repeat = matches!(&*name, "resource" | "audience");
            if !may_repeat && parameters.iter().any(|(other, _)| *other == name) {
                return Err(TokenEndpointError::invalid_request(format!(
                    "the parameter {name} is sent twice"
                )));
            }
            parameters.push((name, value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The value of a parameter, which stays.
    pub(in crate::http) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Takes a parameter out.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(position).1)
    }

    /// Takes a parameter out that must be there.
    pub(in crate::http) fn require(&mut self, name: &str) -> Result<String, TokenEndpointError> {
        self.take(name).ok_or_else(|| TokenEndpointError::invalid_request(format!("{name} is missing")))
    }

    /// Takes every value of these parameters out.
    pub(in crate::http) fn take_all(&mut self, names: [&str; 2]) -> Vec<String> {
        let taken = self.0.extract_if(.., |(name, _)| names.contains(&name.as_str()));
        taken.map(|(_, value)| value).collect()
    }
}

/// Refuses the name of a list as other frameworks write it, `scope[]` or `scope[0]`: it would be passed over as
/// unknown.
fn check_name(name: &str) -> Result<(), TokenEndpointError> {
    let is_list = name.ends_with("[]")
        || name
            .split_once('[')
            .is_some_and(|(start, rest)| PARAMETERS.contains(&start) && rest.ends_with(']'));
    if is_list {
        let message = format!("the name `{name:.80}` is written as a list: write it without brackets");
        return Err(TokenEndpointError::invalid_request(message));
    }
    Ok(())
}
