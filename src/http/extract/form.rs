//! `application/x-www-form-urlencoded`, strictly: what is not UTF-8 or stands twice is refused.

use actix_web::{
    HttpRequest,
    http::header::{self, Header},
    web,
};
use percent_encoding::percent_decode_str;

use super::BodyFault;
use crate::{
    http::error::{TokenEndpointError, TokenEndpointErrorKind},
    oauth::ErrorCode,
};

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
        let content_type = header::ContentType::parse(request).ok();
        let is_form = |media: &header::ContentType| {
            // another encoding than UTF-8 would make other text of the same bytes (RFC 6749 appendix B)
            let charset = media.0.get_param("charset");
            media.0.essence_str() == "application/x-www-form-urlencoded"
                && charset.is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8"))
        };
        if !content_type.as_ref().is_some_and(is_form) {
            let message = "send the parameters as application/x-www-form-urlencoded in UTF-8";
            return Err(TokenEndpointError::invalid_request(message));
        }
        let body = super::body(body).await.map_err(|fault| TokenEndpointError {
            code: ErrorCode::InvalidRequest,
            description: fault.to_string().into(),
            kind: match fault {
                BodyFault::TooLong => TokenEndpointErrorKind::TooLarge,
                BodyFault::TooSlow | BodyFault::Broken => TokenEndpointErrorKind::Plain,
            },
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

/// The names in a query string.
pub(super) fn names(query: &str) -> impl Iterator<Item = String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| decode(pair.split_once('=').map_or(pair, |(name, _)| name)))
}

/// Undoes the form encoding of one name or value; `None` where it is malformed or not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut escapes = text.split('%');
    escapes.next();
    let hex = |escape: &str| escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.all(hex) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn form_decoding_is_strict() {
        for (text, expected) in [
            ("a+b", Some("a b")),
            ("a%2Bb", Some("a+b")),
            ("%C3%A9", Some("é")),
            ("", Some("")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%C3", None),
            ("%41%", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
