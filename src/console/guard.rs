//! Who may ask the console. Its page holds nothing, so everybody may have it whom the listener answers. Its data are for
//! whoever sits at this machine, and for others with the scope `jeton:ops`, whose token comes over TLS alone. A page of
//! another site can make a browser ask, and must neither read nor start anything.

use std::{fmt::Display, net::IpAddr};

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::{Bytes, Data, Payload},
};

use jeton_actix::{JudgedRequest, Refusal, bearer_token, shown_proof};
use jeton_verify::{AccessRequest, Authorizer, BearerToken, Shown, audit::Audit};
use tracing_actix_web::RequestId;

use crate::{
    config::AdminSettings,
    http::{BodyLimit, EndpointProblem, ProblemKind, body, is_json},
};

/// Where a browser says from what page a request comes (Fetch Metadata Request Headers, section 2.3).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What every answer has below `/console`.
const SECURITY_HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];

/// By the rule of this request of jeton's own API the policies say who may ask: whoever may see there what is served. A
/// guarantee that is built in asks for `jeton:ops` there.
const JUDGED_AS: (&str, &str) = ("GET", "/ops/policies");

/// Who decides about jeton's own API, where there is no origin for which a proof could be.
pub(super) struct DataGuard(pub(super) Authorizer);

/// Who can reach the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    /// This machine alone.
    ThisMachine,
    /// Others, over TLS.
    Tls,
    /// Others, and whoever listens on the way.
    Clear,
}

impl Exposure {
    /// That of a listener at this address. All addresses of a machine are more than that of its loopback interface, by
    /// whichever of them it was reached.
    pub(super) fn of(listens_on: IpAddr, admin: Option<&AdminSettings>) -> Self {
        if listens_on.to_canonical().is_loopback() {
            Self::ThisMachine
        } else if admin.is_some_and(|admin| admin.tls.is_some()) {
            Self::Tls
        } else {
            Self::Clear
        }
    }

    pub(super) fn needs_token(self) -> bool {
        self != Self::ThisMachine
    }
}

/// Adds to every answer what keeps other sites and other contents out.
pub(super) async fn secure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut answer = next.call(request).await?;
    harden(answer.headers_mut());
    Ok(answer)
}

/// Adds the same to an answer that comes before those of the console.
pub(crate) fn harden(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// Lets only those requests for data through that no other site has started, on a listener where no token is overheard, and
/// that come from this machine or from a bearer who may see what is served.
pub(super) async fn check(
    exposure: Data<Exposure>,
    guard: Data<DataGuard>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let fault = match fault_of(request.headers(), **exposure) {
        None if exposure.needs_token() => guard.fault_of(request.request()).await,
        fault => fault,
    };
    match fault {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some(fault) => {
            let answer = EndpointProblem::new(fault, request.request()).error_response();
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

impl DataGuard {
    /// Why the bearer may not ask.
    async fn fault_of(&self, request: &HttpRequest) -> Option<ProblemKind> {
        let refusal = self.decide(request).await.err()?;
        let judged = JudgedRequest {
            gateway: None,
            method: request.method().as_str().into(),
            path: request.path().into(),
        };
        Some(refusal.into_logged(Some(&judged)).into())
    }

    async fn decide(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let token = bearer_token(request.headers(), request.query_string()).map_err(Refusal::BadRequest)?;
        let id = request.extensions().get::<RequestId>().copied();
        let (method, target) = JUDGED_AS;
        let access = AccessRequest {
            method,
            target: Ok(target),
            token: token.as_ref(),
            shown: Shown { proof: shown_proof(request.headers()), ..Shown::default() },
            id: id.as_ref().map(|id| -> &(dyn Display + Sync) { id }),
        };
        self.0.decide(&access).await.map_err(Refusal::Denied)?;
        Ok(())
    }
}

/// Who asked, to be judged again while the answer goes on.
pub(super) enum Asker {
    /// Somebody at this machine.
    ThisMachine,
    /// The bearer of a token.
    Bearer(BearerToken, Box<Authorizer>),
    /// Somebody who is not let in.
    Nobody,
}

impl Asker {
    /// Who sent this request, which [`check`] let through.
    pub(super) fn of(request: &HttpRequest, exposure: Exposure, guard: &DataGuard) -> Self {
        if !exposure.needs_token() {
            return Self::ThisMachine;
        }
        match bearer_token(request.headers(), request.query_string()) {
            // nobody is told each time
            Ok(Some(token)) => Self::Bearer(token, Box::new(guard.0.clone().with_audit(Audit::default()))),
            Ok(None) | Err(_) => Self::Nobody,
        }
    }

    /// Whether a request of the same would be let through now.
    pub(super) async fn may_ask(&self) -> bool {
        match self {
            Self::ThisMachine => true,
            Self::Bearer(token, authorizer) => {
                let (method, target) = JUDGED_AS;
                authorizer.authorize(method, target, Some(token)).await.is_ok()
            }
            Self::Nobody => false,
        }
    }
}

/// The body of a question, at most so long. It must be sent as JSON: no form of another site can do that without
/// being asked for leave first, which it does not get.
pub(super) async fn question(
    request: &HttpRequest,
    payload: Payload,
    limit: BodyLimit,
) -> Result<Bytes, EndpointProblem> {
    let problem = |kind: ProblemKind| EndpointProblem::new(kind, request);
    if !is_json(request.headers()) {
        return Err(problem(ProblemKind::WrongMediaType("application/json")));
    }
    body(request, payload, limit).await.map_err(|fault| problem(fault.into()))
}

fn fault_of(headers: &HeaderMap, exposure: Exposure) -> Option<ProblemKind> {
    if !headers
        .get_all(SEC_FETCH_SITE)
        .all(|site| [b"same-origin".as_slice(), b"none"].contains(&site.as_bytes()))
    {
        let detail = "the request was started by a page of another site: open the console itself";
        return Some(ProblemKind::Forbidden(detail.into()));
    }
    (exposure == Exposure::Clear).then(|| {
        let detail = "the admin listener can be reached from other machines, and a token would cross the network in \
                      the clear: set `admin.tls`, or let `admin.listen` be a loopback address";
        ProblemKind::Forbidden(detail.into())
    })
}
