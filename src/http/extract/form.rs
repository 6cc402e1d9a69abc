//! `application/x-www-form-urlencoded`, strictly: what is not UTF-8 or stands twice is refused.

use actix_web::{
    HttpRequest,
    http::header::{self, Header},
    web,
};

use super::{BodyFault, encoding::decode};
use crate::{
    http::error::{TokenEndpointError, TokenEndpointErrorKind},
    oauth::ErrorCode,
};

/// What a form is sent as.
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The most parameters of a form: each is compared with those before it.
const MOST_PARAMETERS: usize = 64;

/// The parameters of a form, those without a value left out (RFC 6749 section 3.2).
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request.
    pub(in crate::http) async fn read(
        request: &HttpRequest,
        body: web::Payload,
    ) -> Result<Self, TokenEndpointError> {
        // parsed only where it says more than the media type, as few clients do
        let as_most_send_it = request.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == MEDIA_TYPE);
        if !as_most_send_it && !header::ContentType::parse(request).is_ok_and(|it| is_form(&it)) {
            let message = "send the parameters as application/x-www-form-urlencoded in UTF-8";
            return Err(TokenEndpointError::invalid_request(message));
        }
        let body = super::body(request, body).await.map_err(|fault| TokenEndpointError {
            code: ErrorCode::InvalidRequest,
            description: fault.to_string().into(),
            kind: match fault {
                BodyFault::TooLong => TokenEndpointErrorKind::TooLarge,
                BodyFault::TooSlow | BodyFault::Broken => TokenEndpointErrorKind::Plain,
            },
            attempted: None,
        })?;
        let body = std::str::from_utf8(&body)
            .map_err(|_| TokenEndpointError::invalid_request("the body is not text"))?;
        Self::parse(body)
    }

    fn parse(body: &str) -> Result<Self, TokenEndpointError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MOST_PARAMETERS {
                return Err(TokenEndpointError::invalid_request("there are more than 64 parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(TokenEndpointError::invalid_request("a parameter is not UTF-8"));
            };
            // RFC 8707 section 2 lets `resource` stand several times
            let may_repeat = matches!(&*name, "resource" | "audience");
            if !may_repeat && parameters.iter().any(|(other, _)| *other == name) {
                return Err(TokenEndpointError::invalid_request(format!(
                    "the parameter {name} stands twice"
                )));
            }
            parameters.push((name, value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }

    /// Takes a parameter out.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(position).1)
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

fn is_form(content_type: &header::ContentType) -> bool {
    // another encoding than UTF-8 would make other text of the same bytes (RFC 6749 appendix B)
    let charset = content_type.0.get_param("charset");
    content_type.0.essence_str() == MEDIA_TYPE
        && charset.is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8"))
}
