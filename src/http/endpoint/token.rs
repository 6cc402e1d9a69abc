//! `POST /oauth2/token` (RFC 6749 section 3.2).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header,
    web::{Data, Payload},
};

use crate::{
    clients::{AuthenticationMethod, ClientCredentials},
    grant::ClientCredentialsRequest,
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_credentials},
    },
    issue::{IssuedToken, Refused, TokenIssuer},
    oauth::{ClientId, ErrorCode, GrantType},
};

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    tokens: Data<Arc<TokenIssuer>>,
) -> Result<HttpResponse, TokenEndpointError> {
    let (credentials, asked) = read(&request, body).await.inspect_err(|error| {
        tracing::info!(reason = error.code.as_str(), detail = &*error.description, "token.refused");
    })?;
    let method = credentials.method;
    let issued =
        tokens.client_credentials(&credentials, &asked).map_err(|refused| refuse(refused, method))?;
    let scopes = issued.scopes.to_string();
    tracing::info!(
        jti = issued.token_id.as_str(),
        client = issued.client.as_str(),
        api = issued.api.as_str(),
        scopes,
        ttl = issued.expires_in,
        kid = issued.kid.as_str(),
        "token.issued"
    );
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .content_type(header::ContentType::json())
        .body(answer_body(&issued, &scopes)))
}

/// The answer (RFC 6749 section 5.1). Put together by hand, for a token is long and a serializer would
/// look at each of its characters: neither base64url nor a scope can hold what JSON escapes.
fn answer_body(issued: &IssuedToken, scopes: &str) -> String {
    let token = issued.token.as_str();
    let expires_in = issued.expires_in;
    let scope = if scopes.is_empty() { String::new() } else { format!(r#","scope":"{scopes}""#) };
    format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}{scope}}}"#)
}

/// What a request says: who asks, and for what.
async fn read(
    request: &HttpRequest,
    body: Payload,
) -> Result<(ClientCredentials, ClientCredentialsRequest), TokenEndpointError> {
    let mut form = Form::read(request, body).await?;
    let credentials = client_credentials(request.headers(), request.query_string(), &mut form)?;
    let grant_type =
        form.take("grant_type").ok_or(TokenEndpointError::invalid_request("grant_type is missing"))?;
    match GrantType::parse(&grant_type) {
        Some(GrantType::ClientCredentials) => {
            let scope = form.take("scope");
            let targets = form.take_all(["resource", "audience"]);
            Ok((credentials, ClientCredentialsRequest { scope, targets }))
        }
        None => {
            let known: Vec<_> = GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect();
            let message = format!("the grant types here are: {}", known.join(", "));
            Err(TokenEndpointError::new(ErrorCode::UnsupportedGrantType, message))
        }
    }
}

/// What the client learns. Of a failed authentication it learns that it failed; the log says why.
fn refuse(refused: Refused, method: AuthenticationMethod) -> TokenEndpointError {
    match refused {
        Refused::Unauthenticated(error) => {
            let client = error.client().map(ClientId::as_str);
            tracing::warn!(reason = "invalid_client", detail = error.to_string(), client, "token.refused");
            TokenEndpointError {
                kind: match method {
                    AuthenticationMethod::ClientSecretBasic => TokenEndpointErrorKind::Challenged,
                    AuthenticationMethod::ClientSecretPost => TokenEndpointErrorKind::Plain,
                },
                ..TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
            }
        }
        Refused::NotGranted { client, error } => {
            let code = error.code();
            tracing::info!(
                reason = code.as_str(),
                detail = error.to_string(),
                client = client.as_str(),
                "token.refused"
            );
            TokenEndpointError::new(code, error.to_string())
        }
        Refused::TooLong { ref client } => {
            let detail = refused.to_string();
            tracing::warn!(reason = "invalid_scope", detail, client = client.as_str(), "token.refused");
            TokenEndpointError::new(ErrorCode::InvalidScope, detail)
        }
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
