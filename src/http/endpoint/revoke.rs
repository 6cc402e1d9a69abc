//! `POST /oauth2/revoke` (RFC 7009).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};

use super::client;
use crate::{
    http::error::TokenEndpointError,
    oauth::{ClientId, ErrorCode},
    revoke::{RevocationOutcome, RevocationRefused, Revoker},
};

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    revoker: Data<Arc<Revoker>>,
) -> Result<HttpResponse, TokenEndpointError> {
    let (credentials, token) = client::credentials_and_token(&request, body, "revocation.refused").await?;
    let outcome = revoker.revoke(&credentials, &token).await;
    let (client, revocation) = outcome.map_err(|refused| refuse(&refused))?;
    match revocation {
        RevocationOutcome::Ended(name) => {
            tracing::info!(client = client.as_str(), jti = name.as_str(), "token.revoked");
        }
        RevocationOutcome::NothingToEnd => {
            tracing::info!(client = client.as_str(), "token.revoked: nothing to end");
        }
    }
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish())
}

fn refuse(refused: &RevocationRefused) -> TokenEndpointError {
    let told = |code: ErrorCode, client: &ClientId| {
        let (reason, client) = (code.as_str(), client.as_str());
        tracing::info!(reason, detail = refused.to_string(), client, "revocation.refused");
        TokenEndpointError::new(code, refused.to_string())
    };
    match refused {
        RevocationRefused::Unauthenticated(error) => client::unauthenticated(error, "revocation.refused"),
        RevocationRefused::NoSharedStore(client) | RevocationRefused::Anonymous(client) => {
            told(ErrorCode::UnsupportedTokenType, client)
        }
        RevocationRefused::NotYours(client) => told(ErrorCode::UnauthorizedClient, client),
        RevocationRefused::Unavailable(error) => {
            client::unavailable(&error.to_string(), "revocation.refused")
        }
    }
}
