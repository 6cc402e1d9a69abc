//! Which path leads to which endpoint.

use actix_web::{
    HttpRequest, HttpResponse, Resource, ResponseError, Route, Scope, guard,
    http::Method,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use jeton_actix::Protect;
use jeton_oauth::Issuer;
use jeton_policy::PathPrefix;
use jeton_verify::{Authorizer, Origin};

use super::{
    endpoint::{
        authorize,
        authz::{self, Gateway},
        authzen, bundle, client, discovery,
        health::{self, Probed},
        introspect, jwks, metrics, ops, principal, revoke, root, status, token,
    },
    error::{EndpointProblem, ProblemKind},
    extract::ShowCertificate,
};
use crate::telemetry::{Telemetry, metrics::Endpoint};

/// What metrics call the metadata of OpenID Connect Discovery, at each of its paths.
const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";

/// What it depends on which paths there are.
pub(super) struct HttpRoutes {
    /// Whose path stands before every path.
    pub(super) issuer: Issuer,
    /// Who decides about jeton's own API.
    pub(super) authorizer: Authorizer,
    /// Who asks for others.
    pub(super) gateways: Vec<Data<Gateway>>,
    /// What probes are told.
    pub(super) probed: Data<Probed>,
}

/// Mounts every endpoint.
pub(super) fn configure(routes: &HttpRoutes, config: &mut ServiceConfig) {
    let issuer = &routes.issuer;
    // below the issuer's path, as published; and without it, for a proxy in front that cuts it off
    for gateway in &routes.gateways {
        config.service(asked_by(gateway));
    }
    // the longer paths first: an issuer's path may start as one of ours does
    if !issuer.path().is_empty() {
        mount(issuer.path(), routes, config);
    }
    mount("", routes, config);
    for (name, endpoint) in [
        ("oauth-authorization-server", "/.well-known/oauth-authorization-server"),
        ("openid-configuration", OPENID_CONFIGURATION),
    ] {
        let path = issuer.well_known_path(name);
        config.service(readable(&path, endpoint, get_or_head().to(discovery::get)));
    }
    let path = issuer.well_known_path("authzen-configuration");
    config.service(readable(
        &format!("{path}/authzen/{{api}}"),
        "/.well-known/authzen-configuration/authzen/{api}",
        get_or_head().to(authzen::metadata),
    ));
    mount_probes(&routes.probed, config);
    config.service(web::scope("/authz").default_service(web::to(authz::unknown)));
    config.default_service(web::to(not_found));
}

/// Mounts what Prometheus asks for.
pub(crate) fn mount_metrics(telemetry: &Data<Telemetry>, config: &mut ServiceConfig) {
    config.app_data(telemetry.clone()).service(readable(
        "/metrics",
        "/metrics",
        get_or_head().to(metrics::get),
    ));
}

/// Mounts what probes ask for.
pub(crate) fn mount_probes(probed: &Data<Probed>, config: &mut ServiceConfig) {
    config
        .app_data(probed.clone())
        .service(readable("/healthz", "/healthz", get_or_head().to(health::live)))
        .service(readable("/readyz", "/readyz", get_or_head().to(health::ready)));
}

fn mount(base: &str, routes: &HttpRoutes, config: &mut ServiceConfig) {
    let prefix = PathPrefix::of(base.split('/').skip(1));
    // clients ask below the issuer's path, whether a proxy in front cuts it off or not
    let cut = if base.is_empty() { routes.issuer.path() } else { "" };
    let origin = Origin::of(&routes.issuer).below(cut);
    let protect =
        || Protect::new(routes.authorizer.clone()).mounted_at(prefix.clone()).with_origin(origin.clone());
    let for_clients = |endpoint: &'static str, route: Route| {
        resource(&format!("{base}{endpoint}"), endpoint)
            .route(route)
            .default_service(web::to(client::other_method))
    };
    let readable_at =
        |endpoint: &'static str, route: Route| readable(&format!("{base}{endpoint}"), endpoint, route);
    let writable_at =
        |endpoint: &'static str, route: Route| writable(&format!("{base}{endpoint}"), endpoint, route);
    let base_of_bundles = base.to_owned();
    let bundles_for_clients = readable_at("/policies/{api}", get_or_head().to(bundle::get_for_clients))
        .guard(guard::fn_guard(move |context| bundle::is_for_clients(context, &base_of_bundles)));
    config
        .service(for_clients("/oauth2/token", post().to(token::post)))
        .service(for_clients("/oauth2/introspect", post().to(introspect::post)))
        .service(for_clients("/oauth2/revoke", post().to(revoke::post)))
        .service(
            resource(&format!("{base}/oauth2/authorize"), "/oauth2/authorize")
                .default_service(web::to(authorize::refuse)),
        )
        .service(readable_at("/.well-known/jwks.json", get_or_head().to(jwks::get)))
        .service(
            readable_at("/principal", get_or_head().to(principal::get)).wrap(protect()).wrap(ShowCertificate),
        )
        .service(
            readable_at("/ops/policies", get_or_head().to(ops::policies))
                .wrap(protect())
                .wrap(ShowCertificate),
        )
        .service(readable_at("/ops/keys", get_or_head().to(ops::keys)).wrap(protect()).wrap(ShowCertificate))
        .service(
            readable_at("/ops/issuers", get_or_head().to(ops::issuers)).wrap(protect()).wrap(ShowCertificate),
        )
        .service(writable_at("/ops/explain", post().to(ops::explain)).wrap(protect()).wrap(ShowCertificate))
        .service(writable_at("/ops/reload", post().to(ops::reload)).wrap(protect()).wrap(ShowCertificate))
        .service(
            web::scope(&format!("{base}/ops"))
                .wrap(protect())
                .wrap(ShowCertificate)
                .default_service(web::to(not_found)),
        )
        // behind the others, for a path with a parameter is compared by a regular expression
        .service(readable_at("/status/{handle}", get_or_head().to(status::get)))
        .service(bundles_for_clients.wrap(protect()).wrap(ShowCertificate))
        .service(readable_at("/policies/{api}", get_or_head().to(bundle::get_public)));
    for (endpoint, route) in [
        ("/authzen/{api}/access/v1/evaluation", post().to(authzen::evaluation)),
        ("/authzen/{api}/access/v1/evaluations", post().to(authzen::evaluations)),
        ("/authzen/{api}/access/v1/search/subject", post().to(authzen::search_subject)),
        ("/authzen/{api}/access/v1/search/resource", post().to(authzen::search_resource)),
        ("/authzen/{api}/access/v1/search/action", post().to(authzen::search_action)),
    ] {
        let guarded = writable_at(endpoint, route).wrap(protect()).wrap(ShowCertificate);
        config.service(guarded.wrap(from_fn(authzen::echo_request_id)));
    }
    if !base.is_empty() {
        // where OpenID Connect Discovery 1.0 section 4 places it
        config.service(readable_at(OPENID_CONFIGURATION, get_or_head().to(discovery::get)));
        config.service(readable(base, "/", get_or_head().to(root::get)));
    }
    config.service(readable_at("/", get_or_head().to(root::get)));
}

/// Where a gateway asks: with any method, and below that path too.
fn asked_by(gateway: &Data<Gateway>) -> Scope {
    web::scope(&gateway.name().path())
        .app_data(Endpoint::of_gateway(gateway.name()))
        .app_data(gateway.clone())
        .default_service(web::to(authz::ask))
}

/// A resource that is only read.
pub(crate) fn readable(path: &str, endpoint: &'static str, route: Route) -> Resource {
    resource(path, endpoint).route(route).default_service(web::to(get_only))
}

/// A resource that is only asked by POST.
pub(crate) fn writable(path: &str, endpoint: &'static str, route: Route) -> Resource {
    resource(path, endpoint).route(route).default_service(web::to(post_only))
}

/// A resource at a path, and what metrics call it.
fn resource(path: &str, endpoint: &'static str) -> Resource {
    web::resource(path.to_owned()).app_data(Endpoint::at(endpoint))
}

pub(crate) fn get_or_head() -> Route {
    on(&[Method::GET, Method::HEAD])
}

pub(crate) fn post() -> Route {
    on(&[Method::POST])
}

/// A route for these methods. The guards of the library would also note them in the request for an answer to
/// other methods, which is ours here.
fn on(methods: &'static [Method]) -> Route {
    web::route().guard(guard::fn_guard(|context| methods.contains(&context.head().method)))
}

pub(crate) async fn not_found(request: HttpRequest) -> HttpResponse {
    EndpointProblem::new(ProblemKind::NotFound, &request).error_response()
}

async fn get_only(request: HttpRequest) -> HttpResponse {
    EndpointProblem::new(ProblemKind::MethodNotAllowed("GET, HEAD"), &request).error_response()
}

async fn post_only(request: HttpRequest) -> HttpResponse {
    EndpointProblem::new(ProblemKind::MethodNotAllowed("POST"), &request).error_response()
}
