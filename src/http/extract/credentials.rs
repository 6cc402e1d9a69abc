//! How a client says who it is at the endpoints for clients (RFC 6749 section 2.3, RFC 7521 section 4.2, RFC 8705
//! section 2).

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jeton_oauth::{ErrorCode, form};
use jeton_policy::clients::ClientSecret;

use super::Form;
use crate::{
    authenticate::{ClientAssertion, ClientCredentials},
    federation::{ForeignToken, ShownAs},
    http::error::TokenEndpointError,
    tls::ShownCertificate,
};

/// The credentials of a request, by the one way in which they came. Where there are none, the ways of this server are told,
/// by certificate too if it `takes_certificates`.
pub(in crate::http) fn client_credentials(
    headers: &HeaderMap,
    form: &mut Form,
    certificate: Option<&Arc<ShownCertificate>>,
    takes_certificates: bool,
) -> Result<ClientCredentials, TokenEndpointError> {
    let mut authorizations = headers.get_all(header::AUTHORIZATION);
    let (authorization, second) = (authorizations.next(), authorizations.next());
    if second.is_some() {
        return Err(TokenEndpointError::invalid_request("there are two authorization headers"));
    }
    let id = form.take("client_id");
    let secret = form.take("client_secret").map(ClientSecret::new);
    let (assertion, assertion_type) = (form.take("client_assertion"), form.take("client_assertion_type"));
    let has_assertion = assertion.is_some() || assertion_type.is_some();
    let ways = [authorization.is_some(), secret.is_some(), has_assertion];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        return Err(TokenEndpointError::invalid_request("the client authenticates in two ways: use one"));
    }
    if let Some(authorization) = authorization {
        let (client_id, secret) = basic(authorization).map_err(|BasicFault { message, attempted }| {
            let error = TokenEndpointError::new(ErrorCode::InvalidClient, message);
            TokenEndpointError { attempted, ..error }
        })?;
        if id.is_some_and(|id| id != client_id) {
            let message = "client_id differs from the one in the authorization header";
            return Err(TokenEndpointError::invalid_request(message));
        }
        return Ok(ClientCredentials::Secret { client_id, secret });
    }
    if has_assertion {
        let assertion_type =
            assertion_type.ok_or(TokenEndpointError::invalid_request("client_assertion_type is missing"))?;
        let is_spiffe = assertion_type == ClientAssertion::SPIFFE_TYPE;
        if assertion_type != ClientAssertion::TYPE && !is_spiffe {
            let (name, expected) = ("client_assertion_type", ClientAssertion::TYPE);
            return Err(TokenEndpointError::another_value(name, &assertion_type, expected));
        }
        let assertion =
            assertion.ok_or(TokenEndpointError::invalid_request("client_assertion is missing"))?;
        return Ok(if is_spiffe {
            let (token, shown_as) = (ForeignToken::new(assertion), ShownAs::Assertion);
            ClientCredentials::Foreign { client_id: id, token, shown_as }
        } else {
            ClientCredentials::Assertion { client_id: id, assertion: ClientAssertion::new(assertion) }
        });
    }
    match (id, secret, certificate) {
        (Some(client_id), Some(secret), _) => Ok(ClientCredentials::Secret { client_id, secret }),
        (None, Some(_), _) => Err(TokenEndpointError::invalid_request("client_id is missing")),
        // it comes with the connection, whatever that is used for: beside other credentials it is no second way
        (Some(client_id), None, Some(certificate)) => {
            Ok(ClientCredentials::Certificate { client_id, certificate: Arc::clone(certificate) })
        }
        (None, None, Some(_)) => {
            let message = "client_id is missing: it says whose certificate is shown (RFC 8705 section 2)";
            Err(TokenEndpointError::new(ErrorCode::InvalidClient, message))
        }
        (attempted, None, None) => {
            let message = if takes_certificates {
                "authenticate with client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or \
                 self_signed_tls_client_auth"
            } else {
                "authenticate with client_secret_basic, client_secret_post or private_key_jwt"
            };
            let error = TokenEndpointError::new(ErrorCode::InvalidClient, message);
            Err(TokenEndpointError { attempted, ..error })
        }
    }
}

/// Whether a request has anything by which a client authenticates; its id alone is nothing.
pub(in crate::http) fn has_credentials(headers: &HeaderMap, form: &Form) -> bool {
    let parameters = ["client_secret", "client_assertion", "client_assertion_type"];
    headers.contains_key(header::AUTHORIZATION)
        || parameters.into_iter().any(|name| form.find(name).is_some())
}

/// The id that a request names by HTTP Basic, where something else of the request cannot be read.
pub(in crate::http) fn claimed_by_basic(headers: &HeaderMap) -> Option<String> {
    basic(headers.get(header::AUTHORIZATION)?).map_or_else(|fault| fault.attempted, |(id, _)| Some(id))
}

/// Why Basic credentials cannot be read.
struct BasicFault {
    /// In words that hold nothing of them.
    message: &'static str,
    /// The id that they seem to hold.
    attempted: Option<String>,
}

/// Id and secret, each form-encoded before they were joined (RFC 6749 section 2.3.1).
fn basic(header: &HeaderValue) -> Result<(String, ClientSecret), BasicFault> {
    let fault = |message| BasicFault { message, attempted: None };
    let (scheme, encoded) =
        header.to_str().ok().and_then(|header| header.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(fault("the authorization header holds no Basic credentials"));
    }
    let encoded = encoded.trim_matches(' ');
    let Ok(joined) = BASE64_STANDARD.decode(encoded) else {
        return Err(match BASE64_URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')) {
            Ok(joined) => BasicFault {
                message: "the Basic credentials are in another base64 than the standard one: that has + and / in the \
                    place of - and _, and = at its end",
                attempted: attempted(&joined),
            },
            Err(_) => fault("the Basic credentials are not base64"),
        });
    };
    let attempted = attempted(&joined);
    let Ok(joined) = String::from_utf8(joined) else {
        let message = "the Basic credentials are not UTF-8: form-encode id and secret as UTF-8 before they are joined \
            (RFC 6749 section 2.3.1)";
        return Err(BasicFault { message, attempted });
    };
    let (id, secret) =
        joined.split_once(':').ok_or(fault("the Basic credentials hold no colon between id and secret"))?;
    let message = "id or secret in the Basic credentials is not form-encoded: a % in it is sent as %25, and a + as %2B \
        (RFC 6749 section 2.3.1)";
    match (form::decode(id), form::decode(secret)) {
        (Some(id), Some(secret)) => Ok((id, ClientSecret::new(secret))),
        _ => Err(BasicFault { message, attempted }),
    }
}

/// The id before the colon, as far as it can be read.
fn attempted(joined: &[u8]) -> Option<String> {
    let id = joined.split(|byte| *byte == b':').next().filter(|id| id.len() < joined.len())?;
    let id = String::from_utf8_lossy(id).into_owned();
    Some(form::decode(&id).unwrap_or(id))
}
