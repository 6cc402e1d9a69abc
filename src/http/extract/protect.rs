//! The guard before protected handlers, and what they get from it.

use std::{
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

use super::bearer_token;
use crate::{
    authorize::{Authorizer, Denied, Permit},
    http::{
        error::{Problem, ProblemKind},
        refusal::Refusal,
    },
    jose::JwsError,
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

    fn judge(&self, request: &HttpRequest) -> Result<Permit, Refusal> {
        let token = bearer_token(request.headers(), request.query_string()).map_err(Refusal::BadRequest)?;
        let path = request.uri().path();
        let path = path.strip_prefix(&*self.mounted_at).unwrap_or(path);
        let judged = self.authorizer.authorize(request.method().as_str(), path, token.as_ref());
        judged.map_err(Refusal::Denied)
    }

    /// What is to be fetched before a request that was refused can be judged.
    fn missing(&self, refusal: &Refusal) -> Option<Missing> {
        let Refusal::Denied(Denied::InvalidToken(error)) = refusal else { return None };
        match error {
            TokenError::Jws(JwsError::UnknownKey) if self.authorizer.can_fetch_keys() => Some(Missing::Key),
            TokenError::Status(StatusError::Unknown(uri)) => Some(Missing::List(Arc::clone(uri))),
            _ => None,
        }
    }

    /// Judges a request once more when what was missing is there.
    async fn judge_later(&self, request: &HttpRequest, missing: Missing) -> Result<Permit, Refusal> {
        self.fetch(&missing).await;
        let refusal = match self.judge(request) {
            Ok(permit) => return Ok(permit),
            Err(refusal) => refusal,
        };
        match (missing, self.missing(&refusal)) {
            // a token whose key is new may point to a list that is new; nothing is fetched twice for one request
            (Missing::Key, Some(list @ Missing::List(_))) => {
                self.fetch(&list).await;
                self.judge(request)
            }
            _ => Err(refusal),
        }
    }

    async fn fetch(&self, missing: &Missing) {
        match missing {
            Missing::Key => self.authorizer.fetch_keys().await,
            Missing::List(uri) => self.authorizer.fetch_status_list(uri).await,
        }
    }
}

/// What must be in memory for a token to be judged, and is not.
enum Missing {
    /// The public key that its header names.
    Key,
    /// The status list to which it points.
    List(Arc<str>),
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
    let problem = Problem::new(refusal.into_logged(None), request.request());
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
        match self.protect.judge(request.request()) {
            Ok(permit) => {
                request.extensions_mut().insert(permit);
                let answer = self.service.call(request);
                Box::pin(async move { Ok(answer.await?.map_into_left_body()) })
            }
            Err(refusal) => {
                let Some(missing) = self.protect.missing(&refusal) else {
                    return Box::pin(ready(Ok(refused(request, refusal))));
                };
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
