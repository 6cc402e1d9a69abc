//! The guard before protected handlers, and what they get from it.

use std::{
    fmt::Display,
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{Method, Uri, header},
};
use jeton_oauth::MetadataAddress;
use jeton_policy::{BadPath, CanonicalPath, PathPrefix};
use jeton_verify::{
    AccessRequest, Authorizer, GuardFault, NoMetadata, Origin, Permit, Principal, Refusal, Shown,
};
use percent_encoding::percent_decode_str;
use tracing_actix_web::RequestId;

use crate::{
    bearer::{bearer_token, shown_proof},
    certificate::ClientCertificate,
    event,
    problem::GuardProblem,
};

/// Middleware that lets through what the policies allow, judged by method and path as they were sent,
/// and nothing else. A handler behind it takes a [`Caller`] as an argument.
///
/// # Examples
///
/// ```
/// use std::{fs, sync::Arc, time::Duration};
///
/// use actix_web::{App, HttpResponse, http::header, test, web};
/// use jeton_actix::{Caller, Protect};
/// use jeton_jose::PublicKeys;
/// use jeton_oauth::{ApiName, Issuer, clock::ManualClock};
/// use jeton_policy::{LivePolicies, Surroundings};
/// use jeton_verify::{Authorizer, Verifier};
///
/// # const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"one",
/// #     "x":"WzFX-_IFaIiA6kVJz2xmGqBZND7w3mkbmZm1D-sO0qU","y":"9ASjTXJrs-X-3i0kDajoU9BUJoDI5c4urs4uet9rALc"}]}"#;
/// # const TOKEN: &str = concat!(
/// #     "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL3Rva2Vucy5leGFtcGxlLmN",
/// #     "vbSIsInN1YiI6ImFjbWUtc3luYyIsImF1ZCI6Imh0dHBzOi8vb3JkZXJzLmV4YW1wbGUuY29tIiwiZXhwIjoxNzk1NDM2MTAwLCJ",
/// #     "pYXQiOjE3OTU0MzUyMDAsImp0aSI6InQxIiwiY2xpZW50X2lkIjoiYWNtZS1zeW5jIiwic2NvcGUiOiJvcmRlcnM6cmVhZCJ9.iZ",
/// #     "fxfXy0IES6zlPngfMExsYsTjDYhZFE93VHaIh_QJT0wRtGnYRNp6IeYd0sEuGNz8P_xctf0aKp1EVNbzT15g",
/// # );
/// async fn orders(caller: Caller) -> HttpResponse {
///     HttpResponse::Ok().json(caller.client())
/// }
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// fs::write(
///     folder.path().join("orders.yaml"),
///     "version: 1
/// scopes: { 'orders:read': Read orders }
/// apis:
///   orders:
///     audience: https://orders.example.com
///     rules:
///       read: { routes: [GET /orders], require: { scope: 'orders:read' } }
/// ",
/// )?;
/// let clock = Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse()?)); // a service takes `SystemClock`
/// let issuer = Issuer::parse("https://tokens.example.com")?;
/// let api = ApiName::parse("orders")?;
/// let surroundings = Surroundings::of_service(&issuer, api.clone());
/// let policies = Arc::new(LivePolicies::load(folder.path(), surroundings, clock.clone())?);
/// let keys = Arc::new(PublicKeys::from_jwks(JWKS.as_bytes())?);
/// let verifier = Verifier::new(issuer, keys, Duration::from_secs(30), clock);
/// let authorizer = Authorizer::new(verifier, policies, api);
/// let protect = Protect::new(authorizer).with_resource_metadata()?;
///
/// let app = test::init_service(App::new().route("/orders", web::get().to(orders)).wrap(protect)).await;
///
/// // a token of `acme-sync` with the scope `orders:read`
/// let bearer = (header::AUTHORIZATION, format!("Bearer {TOKEN}"));
/// let request = test::TestRequest::get().uri("/orders").insert_header(bearer).to_request();
/// assert_eq!(test::call_and_read_body(&app, request).await, "\"acme-sync\"");
///
/// let answer = test::call_service(&app, test::TestRequest::get().uri("/orders").to_request()).await;
/// assert_eq!(answer.status(), 401);
/// assert_eq!(
///     answer.headers().get(header::WWW_AUTHENTICATE).ok_or("no challenge")?,
///     "Bearer resource_metadata=\"https://orders.example.com/.well-known/oauth-protected-resource\""
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Protect {
    authorizer: Authorizer,
    /// What stands before the paths that the policies name.
    prefix: Arc<PathPrefix>,
    publishes_metadata: bool,
}

impl Protect {
    /// Guards by `authorizer`.
    pub fn new(authorizer: Authorizer) -> Self {
        Self { authorizer, prefix: Arc::default(), publishes_metadata: false }
    }

    /// Cuts this prefix from the path before it is judged, whichever of its bytes are escaped in a request. A path
    /// that does not begin with it is refused.
    #[must_use]
    pub fn mounted_at(self, prefix: PathPrefix) -> Self {
        Self { prefix: Arc::new(prefix), ..self }
    }

    /// Takes tokens that are bound to a key too: [`Authorizer::with_origin`]. Their proofs must be for this origin and the
    /// path as it was sent, [`Self::mounted_at`] or not.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { authorizer: self.authorizer.with_origin(origin), ..self }
    }

    /// Also publishes what the API takes (RFC 9728), so that a client that knows the API alone finds out where it
    /// gets a token: each challenge carries `resource_metadata="URL"`, and `GET` and `HEAD` of that URL's path are
    /// answered here, whatever the policies say of it, without a look at any token. Every other method and
    /// spelling of the path is judged like all requests.
    ///
    /// The document says what the policies in force say: `resource` is the audience of the API,
    /// `authorization_servers` its issuer, `scopes_supported` what the rules of the API name. It is at
    /// `/.well-known/oauth-protected-resource` of the audience's host, followed by the path of the audience.
    ///
    /// Around the whole `App` nothing else is to be done. A guard around a scope does not see that path; let another
    /// one stand around a scope for it:
    ///
    /// ```
    /// # use actix_web::{App, web};
    /// # use jeton_actix::Protect;
    /// # use jeton_oauth::MetadataAddress;
    /// # fn app(protect: Protect) {
    /// App::new()
    ///     .service(web::scope(MetadataAddress::WELL_KNOWN).wrap(protect.clone()))
    ///     .service(web::scope("/orders").wrap(protect));
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NoMetadata`] where the policies do not have the API, or its audience is not the address at which clients
    /// reach it. Should a later reload make it so, nothing is published until it is put right.
    pub fn with_resource_metadata(self) -> Result<Self, NoMetadata> {
        match self.authorizer.resource_metadata() {
            // a service that starts before its issuer
            Ok(_) | Err(NoMetadata::NoPolicies(_)) => Ok(Self { publishes_metadata: true, ..self }),
            Err(error) => Err(error),
        }
    }

    /// The metadata, if this is a request for them.
    fn metadata(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let path = request.uri().path();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if !(self.publishes_metadata && is_read && path.starts_with(MetadataAddress::WELL_KNOWN)) {
            return None;
        }
        let metadata = self.authorizer.resource_metadata().ok()?;
        (metadata.address().path() == path).then(|| {
            HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(metadata)
        })
    }

    /// Lets the challenge of a request say where the metadata are.
    fn tell_metadata(&self, request: &HttpRequest) {
        let address = self.publishes_metadata.then(|| self.authorizer.metadata_address());
        if let Some(address) = address.flatten() {
            request.extensions_mut().insert(address);
        }
    }

    /// Answers in the place of the handler.
    fn refuse<B: MessageBody>(
        &self,
        request: ServiceRequest,
        refusal: Refusal,
    ) -> ServiceResponse<EitherBody<B>> {
        self.tell_metadata(request.request());
        let problem = GuardProblem::new(refusal.into_logged(None), request.request());
        request.into_response(problem.error_response()).map_into_right_body()
    }

    /// Gives the permit to the handler; what was judged is returned.
    fn admit(&self, request: &HttpRequest, permit: Permit) -> Uri {
        // a handler that takes a principal all the same answers with a challenge
        if permit.principal().is_none() {
            self.tell_metadata(request);
        }
        let judged = request.uri().clone();
        request.extensions_mut().insert(Admitted { permit, judged: judged.clone() });
        judged
    }

    async fn decide(&self, request: &HttpRequest) -> Result<Permit, Refusal> {
        let token = bearer_token(request.headers(), request.query_string()).map_err(Refusal::BadRequest)?;
        let id = request.extensions().get::<RequestId>().copied();
        let access = AccessRequest {
            method: request.method().as_str(),
            target: self.target(request),
            token: token.as_ref(),
            shown: Shown {
                proof: shown_proof(request.headers()),
                certificate: ClientCertificate::of(request).map(|ClientCertificate(thumbprint)| thumbprint),
                path: Some(request.uri().path()),
            },
            id: id.as_ref().map(|id| -> &(dyn Display + Sync) { id }),
        };
        self.authorizer.decide(&access).await.map_err(Refusal::Denied)
    }

    /// What is judged: the path as it was sent, below the prefix, if it is the one by which the request is routed.
    fn target<'r>(&self, request: &'r HttpRequest) -> Result<&'r str, BadPath> {
        let path = request.uri().path();
        if is_routed_by(request, path) {
            self.prefix.cut(path)
        } else {
            CanonicalPath::parse(path).and(Err(BadPath::RoutedElsewhere))
        }
    }
}

/// A request that may pass.
struct Admitted {
    permit: Permit,
    /// The address whose path was judged.
    judged: Uri,
}

/// Whether the router of the library reads in its address of the request what `path` decodes to.
fn is_routed_by(request: &HttpRequest, path: &str) -> bool {
    let routed = request.match_info().as_str();
    routed == path || routed.bytes().eq(percent_decode_str(path))
}

/// Lets the router read `+` where it would keep an escaped one, as it keeps `%25` and `%2F`, which no path that is judged
/// holds: `/a%2Bb` must not be judged by the rule of `/a+b` and reach the handler of `/{page}`. Not where a part of the path
/// that holds one was routed by already: then [`Protect`] refuses it.
fn route_escaped_plus(request: &mut ServiceRequest) {
    let escapes = |path: &str| path.matches('%').count();
    let ahead = escapes(request.match_info().unprocessed());
    if ahead == 0 || ahead < escapes(request.match_info().as_str()) {
        return;
    }
    let plain = request.uri().path().replace("%2B", "+").replace("%2b", "+");
    if let Ok(plain) = Uri::try_from(plain) {
        request.match_info_mut().get_mut().update(&plain);
    }
}

/// The answer of the handler, if it was the one that the judged path leads to. A middleware between [`Protect`] and the
/// handler that rewrites the path, as `NormalizePath` does, leads to another one.
fn answered<B: MessageBody>(answer: ServiceResponse<B>, judged: &Uri) -> ServiceResponse<EitherBody<B>> {
    if is_routed_by(answer.request(), judged.path()) {
        return answer.map_into_left_body();
    }
    let problem = GuardProblem::new(misrouted(), answer.request());
    answer.into_response(problem.error_response()).map_into_right_body()
}

/// Tells that a handler was reached by another path than the judged one.
fn misrouted() -> GuardFault {
    event::ProtectMisrouted {}.error();

    GuardFault::Internal
}

impl<S, B> Transform<S, ServiceRequest> for Protect
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Protected<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Protected { protect: Rc::new(self.clone()), service: Rc::new(service) }))
    }
}

/// A service behind [`Protect`].
pub struct Protected<S> {
    protect: Rc<Protect>,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for Protected<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        route_escaped_plus(&mut request);
        if let Some(metadata) = self.protect.metadata(request.request()) {
            return Box::pin(ready(Ok(request.into_response(metadata).map_into_right_body())));
        }
        let (protect, service) = (Rc::clone(&self.protect), Rc::clone(&self.service));
        Box::pin(async move {
            match protect.decide(request.request()).await {
                Ok(permit) => {
                    let judged = protect.admit(request.request(), permit);
                    Ok(answered(service.call(request).await?, &judged))
                }
                Err(refusal) => Ok(protect.refuse(request, refusal)),
            }
        })
    }
}

/// Who calls: the [`Principal`] of the request's token, as an argument of a handler. Fails closed: behind a public rule
/// that was asked without a token it answers 401, and without [`Protect`] before the handler 500.
#[derive(Clone)]
pub struct Caller(Principal);

impl Caller {
    /// The principal alone.
    pub fn into_principal(self) -> Principal {
        self.0
    }
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let admitted = extensions.get::<Admitted>();
        ready(match admitted.map(|admitted| (admitted.permit.principal(), admitted.judged.path())) {
            Some((_, judged)) if !is_routed_by(request, judged) => {
                Err(GuardProblem::new(misrouted(), request).into())
            }
            Some((Some(principal), _)) => Ok(Self(principal.clone())),
            Some((None, _)) => {
                let schemes = admitted.map_or(&[][..], |admitted| admitted.permit.schemes());
                Err(GuardProblem::new(GuardFault::NoToken(schemes), request).into())
            }
            None => {
                event::ProtectMissing {}.error();

                Err(GuardProblem::new(GuardFault::Internal, request).into())
            }
        })
    }
}
