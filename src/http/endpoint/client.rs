//! What the endpoints for clients have in common.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web::Payload};

use crate::{
    authenticate::{AuthenticationError, ClientCredentials},
    clients::ClientSecret,
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_credentials},
    },
    oauth::{ClientId, ErrorCode},
    token::BearerToken,
};

/// Who asks about which token (RFC 7009 section 2.1, RFC 7662 section 2.1).
pub(super) async fn credentials_and_token(
    request: &HttpRequest,
    body: Payload,
    event: &'static str,
) -> Result<(ClientCredentials, BearerToken), TokenEndpointError> {
    let read = async {
        let mut form = Form::read(request, body).await?;
        let credentials = client_credentials(request.headers(), &mut form)?;
        Ok((credentials, BearerToken::new(form.require("token")?)))
    };
    read.await.inspect_err(|error| log_unread(error, event))
}

/// Tells of a request that cannot be understood.
pub(super) fn log_unread(error: &TokenEndpointError, event: &'static str) {
    let (reason, attempted) = (error.code.as_str(), error.attempted.as_deref().map(shown));
    tracing::info!(reason, detail = &*error.description, attempted, "{event}");
}

/// An id that nobody has, for the log; but not where somebody mistook a secret for it.
fn shown(attempted: &str) -> &str {
    if ClientSecret::is_like(attempted) { "(a secret)" } else { attempted }
}

/// What a client learns that did not show who it is: that it failed. The log says why.
pub(super) fn unauthenticated(error: &AuthenticationError, event: &'static str) -> TokenEndpointError {
    if let AuthenticationError::Unavailable { .. } = error {
        return unavailable(&error.to_string(), event);
    }
    let (client, attempted) = (error.client().map(ClientId::as_str), error.attempted().map(shown));
    tracing::warn!(reason = "invalid_client", detail = error.to_string(), client, attempted, "{event}");
    TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
}

/// What a client learns when something that is needed is away.
pub(super) fn unavailable(detail: &str, event: &'static str) -> TokenEndpointError {
    tracing::error!(reason = "temporarily_unavailable", detail, "{event}");
    TokenEndpointError::new(ErrorCode::TemporarilyUnavailable, "this cannot be answered now: ask again")
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("this endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
