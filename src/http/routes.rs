//! Which path leads to which endpoint.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError, Route, Scope, guard,
    http::Method,
    web::{self, Data, ServiceConfig},
};
use jeton_actix::Protect;
use jeton_oauth::Issuer;
use jeton_policy::PathPrefix;
use jeton_verify::Authorizer;

use super::{
    endpoint::{
        authorize,
        authz::{self, Gateway},
        client, discovery,
        health::{self, Probed},
        introspect, jwks, ops, principal, revoke, root, status, token,
    },
    error::{EndpointProblem, ProblemKind},
};

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
    for name in ["oauth-authorization-server", "openid-configuration"] {
        config.service(readable(&issuer.well_known_path(name), get_or_head().to(discovery::get)));
    }
    mount_probes(&routes.probed, config);
    config.service(web::scope("/authz").default_service(web::to(authz::unknown)));
    config.default_service(web::to(not_found));
}

/// Mounts what probes ask for.
pub(crate) fn mount_probes(probed: &Data<Probed>, config: &mut ServiceConfig) {
    config
        .app_data(probed.clone())
        .service(readable("/healthz", get_or_head().to(health::live)))
        .service(readable("/readyz", get_or_head().to(health::ready)));
}

fn mount(base: &str, routes: &HttpRoutes, config: &mut ServiceConfig) {
    let prefix = PathPrefix::of(base.split('/').skip(1));
    let protect = || Protect::new(routes.authorizer.clone()).mounted_at(prefix.clone());
    config
        .service(for_clients(&format!("{base}/oauth2/token"), post().to(token::post)))
        .service(for_clients(&format!("{base}/oauth2/introspect"), post().to(introspect::post)))
        .service(for_clients(&format!("{base}/oauth2/revoke"), post().to(revoke::post)))
        .service(
            web::resource(format!("{base}/oauth2/authorize")).default_service(web::to(authorize::refuse)),
        )
        .service(readable(&format!("{base}/.well-known/jwks.json"), get_or_head().to(jwks::get)))
        .service(readable(&format!("{base}/principal"), get_or_head().to(principal::get)).wrap(protect()))
        .service(
            web::scope(&format!("{base}/ops"))
                .wrap(protect())
                .service(readable("/policies", get_or_head().to(ops::policies)))
                .service(readable("/keys", get_or_head().to(ops::keys)))
                .service(
                    web::resource("/explain")
                        .route(post().to(ops::explain))
                        .default_service(web::to(post_only)),
                )
                .service(
                    web::resource("/reload")
                        .route(post().to(ops::reload))
                        .default_service(web::to(post_only)),
                )
                .default_service(web::to(not_found)),
        )
        // behind the others, for a path with a parameter is compared by a regular expression
        .service(readable(&format!("{base}/status/{{handle}}"), get_or_head().to(status::get)));
    if !base.is_empty() {
        // where OpenID Connect Discovery 1.0 section 4 places it
        let path = format!("{base}/.well-known/openid-configuration");
        config.service(readable(&path, get_or_head().to(discovery::get)));
        config.service(readable(base, get_or_head().to(root::get)));
    }
    config.service(readable(&format!("{base}/"), get_or_head().to(root::get)));
}

/// Where a gateway asks: with any method, and below that path too.
fn asked_by(gateway: &Data<Gateway>) -> Scope {
    web::scope(gateway.path()).app_data(gateway.clone()).default_service(web::to(authz::ask))
}

/// A resource that takes forms of clients.
fn for_clients(path: &str, route: Route) -> actix_web::Resource {
    web::resource(path.to_owned()).route(route).default_service(web::to(client::other_method))
}

/// A resource that is only read.
fn readable(path: &str, route: Route) -> actix_web::Resource {
    web::resource(path.to_owned()).route(route).default_service(web::to(get_only))
}

fn get_or_head() -> Route {
    on(&[Method::GET, Method::HEAD])
}

fn post() -> Route {
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
