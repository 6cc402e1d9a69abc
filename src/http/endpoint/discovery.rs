//! The metadata of the issuer (RFC 8414), and nothing that is not there, but for what libraries ask for.

use std::{collections::BTreeSet, sync::Arc};

use actix_web::{HttpResponse, http::header, web::Data};
use jeton_oauth::{GrantType, Issuer, SignatureAlgorithm};
use jeton_policy::{LivePolicies, bundle};
use jeton_verify::DPOP_ALGORITHMS;
use serde::Serialize;

use crate::{authenticate::AuthenticationMethod, keys::LiveKeys, store::Store};

/// The metadata without clients that show tokens of other issuers, and with.
pub(in crate::http) struct PublishedMetadata {
    plain: Metadata,
    federated: Metadata,
}

impl PublishedMetadata {
    pub(in crate::http) fn new(issuer: &Issuer, store: &Store, takes_certificates: bool) -> Self {
        let by_certificate = AuthenticationMethod::BY_CERTIFICATE.into_iter().filter(|_| takes_certificates);
        let own: Vec<_> = AuthenticationMethod::OWN.into_iter().chain(by_certificate).collect();
        let all: Vec<_> = own.iter().copied().chain([AuthenticationMethod::SpiffeJwt]).collect();
        Self { plain: Metadata::new(issuer, store, &own), federated: Metadata::new(issuer, store, &all) }
    }

    /// Where tokens are revoked, where they can be.
    pub(super) fn revocation_endpoint(&self) -> Option<&str> {
        self.plain.revocation.as_ref().map(|revocation| revocation.endpoint.as_str())
    }
}

/// The metadata (RFC 8414 section 2).
#[derive(Serialize)]
struct Metadata {
    issuer: Issuer,
    token_endpoint: String,
    jwks_uri: String,
    /// Where the bundle of each API is, by its name behind a slash. It is there without one too: services that ask for theirs
    /// again see it come.
    jeton_policies_endpoint: String,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// RFC 8705 section 3.3; left out where no certificate is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_certificate_bound_access_tokens: Option<bool>,
    /// RFC 9449 section 5.1.
    dpop_signing_alg_values_supported: [&'static str; 5],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    #[serde(flatten)]
    revocation: Option<RevocationMetadata>,
    /// It refuses whatever comes; the SDKs of MCP and others refuse metadata without it.
    authorization_endpoint: String,
    /// Required by the RFC, and empty: nothing is to be had at that endpoint.
    response_types_supported: [&'static str; 0],
    /// Required by OpenID Connect Discovery 1.0 section 3, and so by who reads its document; there are no users.
    subject_types_supported: [&'static str; 0],
}

/// The metadata and what changes with the keys.
#[derive(Serialize)]
struct Current<'m> {
    #[serde(flatten)]
    metadata: &'m Metadata,
    /// Required as `subject_types_supported` is. There are no ID tokens, and verifiers such as
    /// `express-oauth2-jwt-bearer` take access tokens of these algorithms alone.
    id_token_signing_alg_values_supported: Vec<&'static str>,
}

/// What is there with a shared store alone.
#[derive(Serialize)]
struct RevocationMetadata {
    #[serde(rename = "revocation_endpoint")]
    endpoint: String,
    #[serde(rename = "revocation_endpoint_auth_methods_supported")]
    auth_methods: Vec<&'static str>,
    #[serde(rename = "revocation_endpoint_auth_signing_alg_values_supported")]
    auth_signing_algorithms: [&'static str; 5],
}

impl Metadata {
    fn new(issuer: &Issuer, store: &Store, methods: &[AuthenticationMethod]) -> Self {
        let takes_certificates = methods.contains(&AuthenticationMethod::TlsClientAuth);
        let methods: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
        let algorithms = SignatureAlgorithm::NAMES;
        Self {
            token_endpoint: issuer.endpoint("/oauth2/token"),
            jwks_uri: issuer.endpoint("/.well-known/jwks.json"),
            jeton_policies_endpoint: issuer.endpoint(bundle::PATH),
            issuer: issuer.clone(),
            grant_types_supported: GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect(),
            revocation: store.shared().map(|_| RevocationMetadata {
                endpoint: issuer.endpoint("/oauth2/revoke"),
                auth_methods: methods.clone(),
                auth_signing_algorithms: algorithms,
            }),
            tls_client_certificate_bound_access_tokens: takes_certificates.then_some(true),
            dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
            introspection_endpoint: issuer.endpoint("/oauth2/introspect"),
            introspection_endpoint_auth_methods_supported: methods.clone(),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms,
            token_endpoint_auth_methods_supported: methods,
            token_endpoint_auth_signing_alg_values_supported: algorithms,
            authorization_endpoint: issuer.endpoint("/oauth2/authorize"),
            response_types_supported: [],
            subject_types_supported: [],
        }
    }
}

pub(in crate::http) async fn get(
    metadata: Data<PublishedMetadata>,
    keys: Data<Arc<LiveKeys>>,
    policies: Data<Arc<LivePolicies>>,
) -> HttpResponse {
    let PublishedMetadata { plain, federated } = &**metadata;
    let has_none = policies.current().policies.federation().is_empty();
    let metadata = if has_none { plain } else { federated };
    let ring = keys.ring();
    let algorithms: BTreeSet<_> = ring.public().algorithms().collect();
    let current = Current {
        metadata,
        id_token_signing_alg_values_supported: algorithms.into_iter().map(SignatureAlgorithm::name).collect(),
    };
    // as the key set, which a new algorithm comes with
    let cached = format!("public, max-age={}", ring.jwks().max_age());
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, cached)).json(current)
}
