//! The decision on a request as its caller is answered, for servers of any kind.

mod fault;
mod refusal;

use std::{borrow::Cow, sync::Arc};

use jeton_oauth::text::{self, printable};

pub use self::{
    fault::{GuardFault, problem_json},
    refusal::{JudgedRequest, Refusal},
};
use crate::{
    authorize::{AccessRequest, Authorizer, Permit},
    possession::Shown,
    principal::Principal,
    token::bearer_token,
};

/// What a caller is answered: that the request passes, or status, headers and words in the place of the handler's.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer {
    /// 200 where the request may pass; else the status for the caller: 400, 401, 403, 503.
    pub status: u16,
    /// The headers for the caller beside those of a body: `WWW-Authenticate`, `Retry-After`. None where the request may
    /// pass.
    pub headers: Vec<(&'static str, String)>,
    /// The stable name of the reason, such as `met` or `not-met`: for logs. The caller learns [`Self::detail`] alone.
    pub reason: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// Who calls, where the request may pass; `None` on a public route that was asked without a token.
    pub principal: Option<Principal>,
    /// What the caller is told, in words; empty where the request may pass.
    pub detail: Cow<'static, str>,
    title: &'static str,
}

impl Answer {
    /// The media type of [`Self::problem`].
    pub const PROBLEM: &str = "application/problem+json";

    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        self.status == 200
    }

    /// The body for a caller who is refused, a problem document (RFC 9457). `reference` is the name of the request in the
    /// logs, if it has one.
    pub fn problem(&self, reference: Option<&str>) -> String {
        problem_json((self.status, Some(self.title)), &self.detail, reference, serde_json::Map::new())
    }

    fn allowing(permit: Permit) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            reason: permit.reason(),
            rule: Some(permit.shared_rule()),
            principal: permit.into_principal(),
            detail: Cow::Borrowed(""),
            title: "OK",
        }
    }

    fn refusing(refusal: Refusal, judged: &JudgedRequest<'_>) -> Self {
        let (reason, rule) = (refusal.reason(), refusal.rule());
        let fault = refusal.into_logged(Some(judged));
        let challenge = fault.challenge(None).map(|challenge| ("WWW-Authenticate", challenge));
        let retry_after = fault.retry_after().map(|seconds| ("Retry-After", seconds.to_owned()));
        Self {
            status: fault.status(),
            headers: challenge.into_iter().chain(retry_after).collect(),
            reason,
            rule,
            principal: None,
            detail: fault.detail(),
            title: fault.title(),
        }
    }
}

impl Authorizer {
    /// Decides one request as a server got it, and says what its caller is answered; the log gets the reason of a refusal.
    ///
    /// `method` and `target` are those of the request line, with the query (RFC 9112 section 3.2.1): a target that a
    /// framework decoded already, one of another form (`*`, `https://host/path`, `host:port`) and one that two servers
    /// could read differently are refused. `authorization` are the values of all `Authorization` headers; an `Option` for
    /// whoever has one at most. Two are refused, because some servers read the first and others the last.
    ///
    /// This is for requests that show nothing beside a token: one that is bound to a key or a certificate is refused.
    /// [`Self::answer_showing`] takes those too.
    ///
    /// As [`Self::decide`], it waits only where a key or a status list must be fetched first: polled once, it is ready
    /// for almost every request.
    ///
    /// ```
    /// # use jeton_verify::{Answer, Authorizer};
    /// async fn guard(authorizer: &Authorizer, authorization: Option<&[u8]>) -> Result<(), Answer> {
    ///     let answer = authorizer.answer("GET", "/orders?page=2", authorization).await;
    ///     if answer.is_allowed() { Ok(()) } else { Err(answer) }
    /// }
    /// ```
    pub fn answer<'h>(
        &self,
        method: &str,
        target: &str,
        authorization: impl IntoIterator<Item = &'h [u8]>,
    ) -> impl Future<Output = Answer> + Send {
        self.answer_showing(method, target, authorization, Shown::default())
    }

    /// As [`Self::answer`], for a request that may show what its token is bound to: the values of all its `DPoP` headers,
    /// and the thumbprint of the certificate by which its client is connected.
    ///
    /// ```
    /// # use jeton_oauth::Thumbprint;
    /// # use jeton_verify::{Answer, Authorizer, Shown};
    /// async fn guard(
    ///     authorizer: &Authorizer,
    ///     authorization: Option<&[u8]>,
    ///     dpop: &[&[u8]],
    ///     certificate: Option<Thumbprint>,
    /// ) -> Answer {
    ///     let shown = Shown::of_headers(dpop.iter().copied()).with_certificate(certificate);
    ///     authorizer.answer_showing("GET", "/orders?page=2", authorization, shown).await
    /// }
    /// ```
    pub fn answer_showing<'h>(
        &self,
        method: &str,
        target: &str,
        authorization: impl IntoIterator<Item = &'h [u8]>,
        shown: Shown<'h>,
    ) -> impl Future<Output = Answer> + Send {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let token = bearer_token(authorization, query).map_err(Refusal::BadRequest);
        async move {
            let decided = match token {
                Ok(token) => {
                    let token = token.as_ref();
                    let request = AccessRequest { method, target: Ok(target), token, shown, id: None };
                    self.decide(&request).await.map_err(Refusal::Denied)
                }
                Err(refusal) => Err(refusal),
            };
            decided.map_or_else(
                |refusal| {
                    let [method, path] = [method, path].map(|text| printable(&text::shown(text)).into());
                    Answer::refusing(refusal, &JudgedRequest { gateway: None, method, path })
                },
                Answer::allowing,
            )
        }
    }
}
