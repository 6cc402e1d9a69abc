//! `GET /policies/{api}`: what a service needs to decide by itself.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    guard::GuardContext,
    http::header,
    web::{Data, Path},
};
use jeton_actix::GuardFault;
use jeton_policy::BundleAccess;

use super::cached::{has_current, takes_gzip};
use crate::{
    bundles::{PolicyBundles, SignedBundle},
    config::PolicySettings,
    event,
    http::error::{EndpointProblem, ProblemKind},
};

/// For how long callers may keep a bundle, in seconds.
pub(in crate::http) struct BundleMaxAge(u64);

impl BundleMaxAge {
    pub(in crate::http) fn of(settings: &PolicySettings) -> Self {
        Self(settings.bundle_ttl.as_secs())
    }
}

/// Whether a request is for a bundle that only clients may have, below this path.
///
/// Whatever this makes of a path, neither handler gives away what is for the other's callers.
pub(in crate::http) fn is_for_clients(context: &GuardContext<'_>, base: &str) -> bool {
    let path = context.head().uri.path().strip_prefix(base);
    let api = path.and_then(|path| path.strip_prefix("/policies/"));
    let bundles = context.app_data::<Data<Arc<PolicyBundles>>>();
    let access = bundles.zip(api).and_then(|(bundles, api)| bundles.access(api));
    access == Some(BundleAccess::Clients)
}

/// A bundle that anybody may have.
pub(in crate::http) async fn get_public(
    request: HttpRequest,
    api: Path<String>,
    bundles: Data<Arc<PolicyBundles>>,
    max_age: Data<BundleMaxAge>,
) -> HttpResponse {
    get(&request, &api, BundleAccess::Public, &bundles, &max_age).await
}

/// A bundle for those whom the policies let through.
pub(in crate::http) async fn get_for_clients(
    request: HttpRequest,
    api: Path<String>,
    bundles: Data<Arc<PolicyBundles>>,
    max_age: Data<BundleMaxAge>,
) -> HttpResponse {
    get(&request, &api, BundleAccess::Clients, &bundles, &max_age).await
}

async fn get(
    request: &HttpRequest,
    api: &str,
    access: BundleAccess,
    bundles: &PolicyBundles,
    BundleMaxAge(max_age): &BundleMaxAge,
) -> HttpResponse {
    match bundles.serve(api, access).await {
        Ok(Some(bundle)) => answer(request, &bundle, access, *max_age),
        Ok(None) => EndpointProblem::new(ProblemKind::NotFound, request).error_response(),
        Err(error) => {
            event::BundleFailed { error: &error.to_string() }.error();
            EndpointProblem::new(GuardFault::Internal, request).error_response()
        }
    }
}

fn answer(request: &HttpRequest, bundle: &SignedBundle, access: BundleAccess, max_age: u64) -> HttpResponse {
    let has_current = has_current(request, bundle.etag());
    let mut response = if has_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    let (kept_by, varies_by) = match access {
        BundleAccess::Public => ("public", "Accept-Encoding"),
        _ => ("private", "Accept-Encoding, Authorization"),
    };
    response
        .insert_header((header::CACHE_CONTROL, format!("{kept_by}, max-age={max_age}")))
        .insert_header((header::VARY, varies_by))
        .insert_header((header::ETAG, bundle.etag()));
    if has_current {
        return response.finish();
    }
    response.content_type("application/policies+jwt");
    if takes_gzip(request) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return response.body(bundle.gzipped().clone());
    }
    response.body(bundle.body().clone())
}
