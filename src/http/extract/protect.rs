//! The guard before protected handlers, and what they get from it.

use std::{
    fmt::Display,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use tracing_actix_web::RequestId;

use super::{BearerFault, bearer_token};
use crate::{
    authorize::{AccessRequest, Authorizer, Denied, NoToken, Permit},
    http::error::{Problem, ProblemKind},
    jose::JwsError,
    oauth::ClientId,
    principal::Principal,
    status::StatusError,
    token::TokenError,
};

/// Middleware that lets through what the policies allow, judged by method and path as they were sent,
/// and nothing else. A handler behind it takes a [`Principal`] as an argument.
#[derive(Clone)]
pub struct Protect {
    authorizer: Authorizer,
    /// What stands before the paths that the policies name.
    mounted_at: Rc<str>,
}

impl Protect {
    /// Guards by `authorizer`.
    pub fn new(authorizer: Authorizer) -> Self {
        Self { authorizer, mounted_at: "".into() }
    }

    /// Cuts this prefix from the path before it is judged.
    #[must_use]
    pub fn mounted_at(self, prefix: &str) -> Self {
        Self { mounted_at: prefix.into(), ..self }
    }

    /// Judges a request for which this was fetched already.
    fn judge(&self, request: &HttpRequest, fetched: Option<&Missing>) -> Judged {
        let token = match bearer_token(request.headers(), request.query_string()) {
            Ok(token) => token,
            Err(fault) => return Judged::Refused(Refusal::BadRequest(fault)),
        };
        let path = request.uri().path();
        let path = path.strip_prefix(&*self.mounted_at).unwrap_or(path);
        let extensions = request.extensions();
        let id: Option<&RequestId> = extensions.get();
        let access = AccessRequest {
            method: request.method().as_str(),
            target: path,
            token: token.as_ref(),
            id: id.map(|id| -> &dyn Display { id }),
        };
        let judged = self.authorizer.judge(&access);
        if let Err(denied) = &judged
            && let Some(missing) = self.missing(denied, fetched)
        {
            return Judged::Missing(missing);
        }
        self.authorizer.record(&access, judged.as_ref());
        match judged {
            Ok(permit) => Judged::Permitted(permit),
            Err(denied) => Judged::Refused(Refusal::Denied(denied)),
        }
    }

    /// What is to be fetched before a request that was refused can be judged. Nothing is fetched twice for one
    /// request; but a token whose key is new may point to a list that is new.
    fn missing(&self, denied: &Denied, fetched: Option<&Missing>) -> Option<Missing> {
        let Denied::InvalidToken(error) = denied else { return None };
        match (error, fetched) {
            (TokenError::Jws(JwsError::UnknownKey), None) if self.authorizer.can_fetch_keys() => {
                Some(Missing::Key)
            }
            (TokenError::Status(StatusError::Unknown(uri)), None | Some(Missing::Key)) => {
                Some(Missing::List(Arc::clone(uri)))
            }
            _ => None,
        }
    }

    /// Judges a request once more when what was missing is there.
    async fn judge_later(&self, request: &HttpRequest, mut missing: Missing) -> Result<Permit, Refusal> {
        loop {
            self.fetch(&missing).await;
            match self.judge(request, Some(&missing)) {
                Judged::Permitted(permit) => return Ok(permit),
                Judged::Refused(refusal) => return Err(refusal),
                Judged::Missing(next) => missing = next,
            }
        }
    }

    async fn fetch(&self, missing: &Missing) {
        match missing {
            Missing::Key => self.authorizer.fetch_keys().await,
            Missing::List(uri) => self.authorizer.fetch_status_list(uri).await,
        }
    }
}

/// What judging came to.
enum Judged {
    Permitted(Permit),
    Refused(Refusal),
    /// Nothing yet, and so nothing is recorded.
    Missing(Missing),
}

/// What must be in memory for a token to be judged, and is not.
enum Missing {
    /// The public key that its header names.
    Key,
    /// The status list to which it points.
    List(Arc<str>),
}

/// Why a request does not get through.
enum Refusal {
    BadRequest(BearerFault),
    Denied(Denied),
}

impl Refusal {
    /// The answer, once the log has the reason.
    fn into_problem(self, request: &HttpRequest) -> Problem {
        let kind = match self {
            Self::BadRequest(fault) => {
                tracing::info!(reason = fault.to_string(), "decision.denied");
                ProblemKind::InvalidRequest(fault.to_string().into())
            }
            Self::Denied(Denied::NoToken(NoToken { reason, rule, detail: _ })) => {
                tracing::info!(reason, rule = rule.as_deref(), "decision.denied");
                ProblemKind::NoToken
            }
            Self::Denied(Denied::InvalidToken(error)) => {
                tracing::info!(reason = "invalid-token", detail = error.to_string(), "decision.denied");
                ProblemKind::InvalidToken(error)
            }
            Self::Denied(Denied::Unavailable(unknown)) => {
                tracing::error!(reason = "unavailable", detail = unknown.to_string(), "decision.denied");
                ProblemKind::Unavailable
            }
            Self::Denied(Denied::NotAllowed(not_allowed)) => {
                let principal = &not_allowed.principal;
                tracing::info!(
                    reason = not_allowed.reason,
                    detail = not_allowed.detail,
                    rule = not_allowed.rule.as_deref(),
                    client = principal.client().map(ClientId::as_str),
                    jti = principal.token_id().as_str(),
                    "decision.denied"
                );
                ProblemKind::NotAllowed(not_allowed.scopes_that_would_do)
            }
        };
        Problem::new(kind, request)
    }
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
        ready(Ok(Protected { protect: self.clone(), service: Rc::new(service) }))
    }
}

/// A service behind [`Protect`].
pub struct Protected<S> {
    protect: Protect,
    service: Rc<S>,
}

fn refused<B: MessageBody>(request: ServiceRequest, refusal: Refusal) -> ServiceResponse<EitherBody<B>> {
    let problem = refusal.into_problem(request.request());
    request.into_response(problem.error_response()).map_into_right_body()
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

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.protect.judge(request.request(), None) {
            Judged::Permitted(permit) => {
                request.extensions_mut().insert(permit);
                let answer = self.service.call(request);
                Box::pin(async move { Ok(answer.await?.map_into_left_body()) })
            }
            Judged::Refused(refusal) => Box::pin(ready(Ok(refused(request, refusal)))),
            Judged::Missing(missing) => {
                // the first token of a client or of a key: nothing else waits for the network
                let (protect, service) = (self.protect.clone(), Rc::clone(&self.service));
                Box::pin(async move {
                    match protect.judge_later(request.request(), missing).await {
                        Ok(permit) => {
                            request.extensions_mut().insert(permit);
                            Ok(service.call(request).await?.map_into_left_body())
                        }
                        Err(refusal) => Ok(refused(request, refusal)),
                    }
                })
            }
        }
    }
}

/// The bearer of the request's token. Fails closed: behind a public rule that was asked without a token
/// it answers 401, and without [`Protect`] before the handler 500.
impl FromRequest for Principal {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let permit = request.extensions().get::<Permit>().map(|permit| permit.principal().cloned());
        ready(match permit {
            Some(Some(principal)) => Ok(principal),
            Some(None) => Err(Problem::new(ProblemKind::NoToken, request).into()),
            None => {
                tracing::error!("a handler takes a principal and does not stand behind `Protect`");
                Err(Problem::new(ProblemKind::Internal, request).into())
            }
        })
    }
}
