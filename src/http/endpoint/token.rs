//! `POST /oauth2/token` (RFC 6749 section 3.2).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header,
    web::{Data, Payload},
};
use serde::Serialize;

use crate::{
    clients::AuthenticationMethod,
    grant::ClientCredentialsRequest,
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_credentials},
    },
    issue::{IssuedToken, Refused, TokenIssuer},
    oauth::{ErrorCode, GrantType, ScopeSet},
};

/// The answer (RFC 6749 section 5.1).
#[derive(Serialize)]
struct TokenResponse<'t> {
    access_token: &'t str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    scope: &'t ScopeSet,
}

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    tokens: Data<Arc<TokenIssuer>>,
) -> Result<HttpResponse, TokenEndpointError> {
    let issued = issue(&request, body, &tokens).await.inspect_err(|error| {
        if error.code != ErrorCode::InvalidClient {
            tracing::info!(reason = %error.code, detail = %error.description, "token.refused");
        }
    })?;
    tracing::info!(
        jti = %issued.token_id,
        client = %issued.client,
        api = %issued.api,
        scopes = %issued.scopes,
        ttl = issued.expires_in,
        kid = %issued.kid,
        "token.issued"
    );
    let answer = TokenResponse {
        access_token: issued.token.as_str(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        scope: &issued.scopes,
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(answer))
}

async fn issue(
    request: &HttpRequest,
    body: Payload,
    issuer: &TokenIssuer,
) -> Result<IssuedToken, TokenEndpointError> {
    let mut form = Form::read(request, body).await?;
    let credentials = client_credentials(request.headers(), request.query_string(), &mut form)?;
    let grant_type =
        form.take("grant_type").ok_or(TokenEndpointError::invalid_request("grant_type is missing"))?;
    match GrantType::parse(&grant_type) {
        Some(GrantType::ClientCredentials) => {
            let asked = ClientCredentialsRequest {
                scope: form.take("scope"),
                targets: form.take_all(["resource", "audience"]),
            };
            let method = credentials.method;
            issuer.client_credentials(&credentials, &asked).map_err(|refused| answer(refused, method))
        }
        None => {
            let known: Vec<_> = GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect();
            let message = format!("the grant types here are: {}", known.join(", "));
            Err(TokenEndpointError::new(ErrorCode::UnsupportedGrantType, message))
        }
    }
}

/// What the client learns. Of a failed authentication it learns that it failed; the log says why.
fn answer(refused: Refused, method: AuthenticationMethod) -> TokenEndpointError {
    match refused {
        Refused::Unauthenticated(error) => {
            let client = error.client().map(tracing::field::display);
            tracing::warn!(reason = "invalid_client", detail = %error, client, "token.refused");
            TokenEndpointError {
                kind: match method {
                    AuthenticationMethod::ClientSecretBasic => TokenEndpointErrorKind::Challenged,
                    AuthenticationMethod::ClientSecretPost => TokenEndpointErrorKind::Plain,
                },
                ..TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
            }
        }
        Refused::NotGranted { error, .. } => TokenEndpointError::new(error.code(), error.to_string()),
        Refused::Failed(error) => {
            tracing::error!(%error, "token.failed");
            TokenEndpointError::new(ErrorCode::ServerError, "the token could not be issued")
        }
    }
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("the token endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
