//! What the endpoints for clients have in common.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web::Payload};
use jeton_oauth::{ClientId, ErrorCode};
use jeton_policy::clients::ClientSecret;
use jeton_verify::BearerToken;
use tracing::Level;

use crate::{
    authenticate::{AuthenticationError, ClientCredentials},
    event::{IntrospectionRefused, RevocationRefused},
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_credentials},
    },
    telemetry::{Refusal, TokenAttempt},
};

/// What it is that an endpoint refuses: each has an event of its own.
#[derive(Clone, Copy)]
pub(super) enum Refusing<'r> {
    Token(TokenAttempt<'r>),
    Revocation,
    Introspection,
}

/// Logs an event at a level.
macro_rules! log {
    ($event:expr, $level:expr) => {
        match $level {
            Level::ERROR => $event.error(),
            Level::WARN => $event.warn(),
            _ => $event.info(),
        }
    };
}

impl Refusing<'_> {
    /// Tells of a refusal: `ERROR` where the fault is ours, `WARN` where somebody may be up to something, else `INFO`.
    pub(super) fn tell(self, level: Level, refusal: &Refusal<'_>) {
        let Refusal { code, detail, client, attempted } = *refusal;
        let (reason, client) = (code.as_str(), client.map(ClientId::as_str));
        match self {
            Self::Token(attempt) => attempt.refused(level, refusal),
            Self::Revocation => log!(RevocationRefused { reason, detail, client, attempted }, level),
            Self::Introspection => {
                log!(IntrospectionRefused { reason, detail: Some(detail), client, attempted }, level);
            }
        }
    }
}

/// Who asks about which token (RFC 7009 section 2.1, RFC 7662 section 2.1).
pub(super) async fn credentials_and_token(
    request: &HttpRequest,
    body: Payload,
    refusing: Refusing<'_>,
) -> Result<(ClientCredentials, BearerToken), TokenEndpointError> {
    let read = async {
        let mut form = Form::read(request, body).await?;
        let credentials = client_credentials(request.headers(), &mut form)?;
        Ok((credentials, BearerToken::new(form.require("token")?)))
    };
    read.await.inspect_err(|error| log_unread(error, refusing))
}

/// Tells of a request that cannot be understood.
pub(super) fn log_unread(error: &TokenEndpointError, refusing: Refusing<'_>) {
    let attempted = error.attempted.as_deref().map(shown);
    let refusal = Refusal { code: error.code, detail: &error.description, client: None, attempted };
    refusing.tell(Level::INFO, &refusal);
}

/// An id that nobody has, for the log; but not where somebody mistook a secret for it.
fn shown(attempted: &str) -> &str {
    if ClientSecret::is_like(attempted) { "(a secret)" } else { attempted }
}

/// What a client learns that did not show who it is: that it failed. The log says why.
pub(super) fn unauthenticated(error: &AuthenticationError, refusing: Refusing<'_>) -> TokenEndpointError {
    if let AuthenticationError::Unavailable { .. } = error {
        return unavailable(&error.to_string(), refusing);
    }
    let refusal = Refusal {
        code: ErrorCode::InvalidClient,
        detail: &error.to_string(),
        client: error.client(),
        attempted: error.attempted().map(shown),
    };
    refusing.tell(Level::WARN, &refusal);
    TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
}

/// What a client learns when something that is needed is away.
pub(super) fn unavailable(detail: &str, refusing: Refusing<'_>) -> TokenEndpointError {
    let code = ErrorCode::TemporarilyUnavailable;
    refusing.tell(Level::ERROR, &Refusal { code, detail, client: None, attempted: None });
    TokenEndpointError::new(code, "this cannot be answered now: ask again")
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("this endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
