//! `POST /oauth2/introspect` (RFC 7662).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};
use jeton_oauth::{Audience, Confirmation, ErrorCode, Issuer};
use jeton_verify::{TokenScheme, VerifiedClaims};
use serde_json::{Map, Value, json};

use super::client::{self, ClientEndpoint, ClientEndpoints, Refusing};
use crate::{
    event,
    http::error::TokenEndpointError,
    introspect::{Introspection, IntrospectionRefused, Introspector},
    token::VerifiedRefresh,
};

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    introspector: Data<Arc<Introspector>>,
    issuer: Data<Issuer>,
    endpoints: Data<ClientEndpoints>,
) -> Result<HttpResponse, TokenEndpointError> {
    let endpoint = endpoints.at(&request, Refusing::Introspection);
    let (credentials, proven, token) = client::credentials_and_token(body, endpoint).await?;
    let answer = introspector.introspect(&credentials, &proven, &token).await;
    let (caller, answer) = answer.map_err(|refused| refuse(&refused, endpoint))?;
    endpoints.telemetry.introspected(&caller, &answer);
    let body = match &answer {
        Introspection::Inactive { .. } => json!({ "active": false }),
        Introspection::AccessToken(claims) => access_token(claims, &issuer),
        Introspection::RefreshToken(refresh) => refresh_token(refresh, &issuer),
    };
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
}

fn refuse(refused: &IntrospectionRefused, endpoint: ClientEndpoint<'_>) -> TokenEndpointError {
    match refused {
        IntrospectionRefused::Unauthenticated(error) => endpoint.unauthenticated(error),
        IntrospectionRefused::RateLimited { client, limited } => endpoint.over_limit(client, *limited),
        IntrospectionRefused::NotForThisClient(client) => {
            let client = Some(client.as_str());
            event::IntrospectionRefused {
                reason: "unauthorized_client",
                detail: None,
                client,
                attempted: None,
            }
            .info();
            TokenEndpointError::new(ErrorCode::UnauthorizedClient, refused.to_string())
        }
        IntrospectionRefused::Unavailable(unknown) => endpoint.unavailable(&unknown.to_string()),
    }
}

/// What an access token says (RFC 7662 section 2.2).
fn access_token(claims: &VerifiedClaims, issuer: &Issuer) -> Value {
    let mut answer = claims.own().clone();
    // a client's own claim cannot pass for a member of the answer
    answer.retain(|name, _| !["active", "token_type", "username"].contains(&name.as_str()));
    let mut say = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    say("active", true.into());
    // RFC 9449 section 6.2
    say("token_type", TokenScheme::of(claims.confirmation()).name().into());
    if let Some(confirmation) = claims.confirmation() {
        say(Confirmation::CLAIM, json!(confirmation));
    }
    say("iss", issuer.as_str().into());
    say(
        "aud",
        match claims.audiences() {
            [only] => only.as_str().into(),
            several => several.iter().map(Audience::as_str).collect::<Vec<_>>().into(),
        },
    );
    say("exp", claims.expires_at().into());
    say("iat", claims.issued_at().into());
    say("jti", claims.token_id().as_str().into());
    say("scope", claims.scopes().to_string().into());
    if !claims.roles().is_empty() {
        say("roles", json!(claims.roles()));
    }
    if let Some(subject) = claims.subject() {
        say("sub", subject.as_str().into());
    }
    if let Some(client) = claims.client() {
        say("client_id", client.as_str().into());
    }
    if claims.exchanges() > 0 {
        say("exchanges", claims.exchanges().into());
    }
    Value::Object(answer)
}

/// What a refresh token says to the client that holds it.
fn refresh_token(refresh: &VerifiedRefresh, issuer: &Issuer) -> Value {
    let members = [
        ("active", true.into()),
        ("iss", issuer.as_str().into()),
        ("aud", issuer.as_str().into()),
        ("sub", refresh.client().as_str().into()),
        ("client_id", refresh.client().as_str().into()),
        ("exp", refresh.expires_at().into()),
        ("iat", refresh.issued_at().into()),
        ("jti", refresh.token_id().as_str().into()),
        ("scope", refresh.scopes().to_string().into()),
    ];
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
