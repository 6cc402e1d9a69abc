//! The metadata of the issuer (RFC 8414), and nothing that is not there.

use actix_web::{HttpResponse, http::header, web::Data};
use serde::Serialize;

use crate::{
    clients::AuthenticationMethod,
    oauth::{GrantType, Issuer},
};

/// The metadata (RFC 8414 section 2).
#[derive(Serialize)]
pub(in crate::http) struct Metadata {
    issuer: Issuer,
    token_endpoint: String,
    jwks_uri: String,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Required by the RFC, and empty: there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
}

impl Metadata {
    pub(in crate::http) fn new(issuer: &Issuer) -> Self {
        Self {
            token_endpoint: issuer.endpoint("/oauth2/token"),
            jwks_uri: issuer.endpoint("/.well-known/jwks.json"),
            issuer: issuer.clone(),
            grant_types_supported: GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect(),
            token_endpoint_auth_methods_supported: AuthenticationMethod::ALL
                .iter()
                .map(|method| method.as_str())
                .collect(),
            response_types_supported: [],
        }
    }
}

pub(in crate::http) async fn get(metadata: Data<Metadata>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(&**metadata)
}
