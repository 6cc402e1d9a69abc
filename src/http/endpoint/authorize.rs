//! `/oauth2/authorize`: nobody is let in here. The metadata name it because client libraries refuse metadata without
//! an `authorization_endpoint`.

use actix_web::{HttpResponse, ResponseError};
use jeton_oauth::ErrorCode;

use crate::http::error::TokenEndpointError;

/// Refuses any request (RFC 6749 section 4.1.2.1), and looks at nothing of it: a redirect could lead anywhere.
pub(in crate::http) async fn refuse() -> HttpResponse {
    let message = "there are no users here: clients fetch their tokens at the token endpoint";
    TokenEndpointError::new(ErrorCode::UnsupportedResponseType, message).error_response()
}
