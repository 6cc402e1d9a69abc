//! The guard before protected handlers, and what they get from it.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

use super::bearer_token;
use crate::{
    authorize::{Authorizer, Denied, NoToken, Permit},
    http::error::{Problem, ProblemKind},
    oauth::ClientId,
    principal::Principal,
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

    fn judge(&self, request: &HttpRequest) -> Result<Permit, Problem> {
        let problem = |kind| Problem::new(kind, request);
        let token = bearer_token(request.headers(), request.query_string()).map_err(|fault| {
            tracing::info!(reason = fault.to_string(), "decision.denied");
            problem(ProblemKind::InvalidRequest(fault.to_string().into()))
        })?;
        let path = request.uri().path();
        let path = path.strip_prefix(&*self.mounted_at).unwrap_or(path);
        self.authorizer.authorize(request.method().as_str(), path, token.as_ref()).map_err(|denied| {
            match denied {
                Denied::NoToken(NoToken { reason, rule }) => {
                    tracing::info!(reason, rule = rule.as_deref(), "decision.denied");
                    problem(ProblemKind::NoToken)
                }
                Denied::InvalidToken(error) => {
                    tracing::info!(reason = "invalid-token", detail = error.to_string(), "decision.denied");
                    problem(ProblemKind::InvalidToken(error))
                }
                Denied::Unavailable(unknown) => {
                    tracing::error!(reason = "unavailable", detail = unknown.to_string(), "decision.denied");
                    problem(ProblemKind::Unavailable)
                }
                Denied::NotAllowed(not_allowed) => {
                    let principal = &not_allowed.principal;
                    tracing::info!(
                        reason = not_allowed.reason,
                        detail = not_allowed.detail,
                        rule = not_allowed.rule.as_deref(),
                        client = principal.client().map(ClientId::as_str),
                        jti = principal.token_id().as_str(),
                        "decision.denied"
                    );
                    problem(ProblemKind::NotAllowed(not_allowed.scopes_that_would_do))
                }
            }
        })
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
        ready(Ok(Protected { protect: self.clone(), service }))
    }
}

/// A service behind [`Protect`].
pub struct Protected<S> {
    protect: Protect,
    service: S,
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
            Err(problem) => {
                let answer = request.into_response(problem.error_response()).map_into_right_body();
                Box::pin(ready(Ok(answer)))
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
