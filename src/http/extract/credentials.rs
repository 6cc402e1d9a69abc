//! How a client says who it is at the endpoints for clients (RFC 6749 section 2.3, RFC 7521 section 4.2).

use actix_web::http::header::{self, HeaderMap};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{encoding, form::Form};
use crate::{
    clients::{ClientAssertion, ClientCredentials, ClientSecret},
    http::error::TokenEndpointError,
    oauth::ErrorCode,
};

/// The credentials of a request, by the one way in which they came.
pub(in crate::http) fn client_credentials(
    headers: &HeaderMap,
    form: &mut Form,
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
        let (client_id, secret) = authorization.to_str().ok().and_then(basic).ok_or_else(|| {
            let message = "the authorization header holds no Basic credentials";
            TokenEndpointError::new(ErrorCode::InvalidClient, message)
        })?;
        if id.is_some_and(|id| id != client_id) {
            let message = "client_id differs from that of the authorization header";
            return Err(TokenEndpointError::invalid_request(message));
        }
        return Ok(ClientCredentials::Secret { client_id, secret });
    }
    if has_assertion {
        let assertion_type =
            assertion_type.ok_or(TokenEndpointError::invalid_request("client_assertion_type is missing"))?;
        if assertion_type != ClientAssertion::TYPE {
            let (name, expected) = ("client_assertion_type", ClientAssertion::TYPE);
            return Err(TokenEndpointError::another_value(name, &assertion_type, expected));
        }
        let assertion =
            assertion.ok_or(TokenEndpointError::invalid_request("client_assertion is missing"))?;
        let assertion = ClientAssertion::new(assertion);
        return Ok(ClientCredentials::Assertion { client_id: id, assertion });
    }
    match (id, secret) {
        (Some(client_id), Some(secret)) => Ok(ClientCredentials::Secret { client_id, secret }),
        (None, Some(_)) => Err(TokenEndpointError::invalid_request("client_id is missing")),
        (_, None) => {
            let message = "authenticate with client_secret_basic, client_secret_post or private_key_jwt";
            Err(TokenEndpointError::new(ErrorCode::InvalidClient, message))
        }
    }
}

/// Id and secret, each form-encoded before they were joined (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, ClientSecret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let joined = String::from_utf8(BASE64_STANDARD.decode(encoded.trim_matches(' ')).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((encoding::decode(id)?, ClientSecret::new(encoding::decode(secret)?)))
}
