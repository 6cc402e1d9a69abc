//! `POST /oauth2/revoke` (RFC 7009).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};
use jeton_oauth::{ClientId, ErrorCode};

use super::client::{self, ClientEndpoint, ClientEndpoints, Refusing};
use crate::{
    event,
    http::error::TokenEndpointError,
    revoke::{RevocationOutcome, RevocationRefused, Revoker},
};

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    revoker: Data<Arc<Revoker>>,
    endpoints: Data<ClientEndpoints>,
) -> Result<HttpResponse, TokenEndpointError> {
    let endpoint = endpoints.at(&request, Refusing::Revocation);
    let (credentials, proven, token) = client::credentials_and_token(body, endpoint).await?;
    let outcome = revoker.revoke(&credentials, &proven, &token).await;
    let (client, revocation) = outcome.map_err(|refused| refuse(&refused, endpoint))?;
    match revocation {
        RevocationOutcome::Ended(name) => {
            event::TokenRevoked { client: client.as_str(), jti: name.as_str() }.info();
        }
        RevocationOutcome::NothingToEnd => event::NothingRevoked { client: client.as_str() }.info(),
    }
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish())
}

fn refuse(refused: &RevocationRefused, endpoint: ClientEndpoint<'_>) -> TokenEndpointError {
    let told = |code: ErrorCode, client: &ClientId| {
        let detail = refused.to_string();
        let (reason, client) = (code.as_str(), Some(client.as_str()));
        event::RevocationRefused { reason, detail: &detail, client, attempted: None }.info();
        TokenEndpointError::new(code, detail)
    };
    match refused {
        RevocationRefused::Unauthenticated(error) => endpoint.unauthenticated(error),
        RevocationRefused::NoSharedStore(client) | RevocationRefused::Anonymous(client) => {
            told(ErrorCode::UnsupportedTokenType, client)
        }
        RevocationRefused::NotYours(client) => told(ErrorCode::UnauthorizedClient, client),
        RevocationRefused::Unavailable(error) => endpoint.unavailable(&error.to_string()),
    }
}
