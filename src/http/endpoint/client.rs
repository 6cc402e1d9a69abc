//! What the endpoints for clients have in common.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web::Payload};
use jeton_oauth::{ClientId, ErrorCode};
use jeton_policy::clients::ClientSecret;
use jeton_verify::BearerToken;

use crate::{
    authenticate::{AuthenticationError, ClientCredentials},
    event::{IntrospectionRefused, RevocationRefused, TokenRefused},
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_credentials},
    },
};

/// What it is that an endpoint refuses: each has an event of its own.
#[derive(Clone, Copy)]
pub(super) enum Refusing {
    Token,
    Revocation,
    Introspection,
}

/// Logs a refusal at a level: its reason, detail, client and who was attempted.
macro_rules! log {
    ($refusing:ident.$level:ident($reason:expr, $detail:expr, $client:expr, $attempted:expr)) => {{
        let (reason, detail, client, attempted) = ($reason, $detail, $client, $attempted);
        match $refusing {
            Refusing::Token => TokenRefused { reason, detail, client, attempted }.$level(),
            Refusing::Revocation => RevocationRefused { reason, detail, client, attempted }.$level(),
            Refusing::Introspection => {
                IntrospectionRefused { reason, detail: Some(detail), client, attempted }.$level();
            }
        }
    }};
}

/// Who asks about which token (RFC 7009 section 2.1, RFC 7662 section 2.1).
pub(super) async fn credentials_and_token(
    request: &HttpRequest,
    body: Payload,
    refusing: Refusing,
) -> Result<(ClientCredentials, BearerToken), TokenEndpointError> {
    let read = async {
        let mut form = Form::read(request, body).await?;
        let credentials = client_credentials(request.headers(), &mut form)?;
        Ok((credentials, BearerToken::new(form.require("token")?)))
    };
    read.await.inspect_err(|error| log_unread(error, refusing))
}

/// Tells of a request that cannot be understood.
pub(super) fn log_unread(error: &TokenEndpointError, refusing: Refusing) {
    let attempted = error.attempted.as_deref().map(shown);
    log!(refusing.info(error.code.as_str(), &error.description, None, attempted));
}

/// An id that nobody has, for the log; but not where somebody mistook a secret for it.
fn shown(attempted: &str) -> &str {
    if ClientSecret::is_like(attempted) { "(a secret)" } else { attempted }
}

/// What a client learns that did not show who it is: that it failed. The log says why.
pub(super) fn unauthenticated(error: &AuthenticationError, refusing: Refusing) -> TokenEndpointError {
    if let AuthenticationError::Unavailable { .. } = error {
        return unavailable(&error.to_string(), refusing);
    }
    let (client, attempted) = (error.client().map(ClientId::as_str), error.attempted().map(shown));
    log!(refusing.warn("invalid_client", &error.to_string(), client, attempted));
    TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
}

/// What a client learns when something that is needed is away.
pub(super) fn unavailable(detail: &str, refusing: Refusing) -> TokenEndpointError {
    log!(refusing.error("temporarily_unavailable", detail, None, None));
    TokenEndpointError::new(ErrorCode::TemporarilyUnavailable, "this cannot be answered now: ask again")
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("this endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
