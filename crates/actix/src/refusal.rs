//! Requests that the policies let nobody through with: what the log says of them, and what the caller learns.

use std::borrow::Cow;

use jeton_oauth::ClientId;
use jeton_verify::{Denied, NoToken};

use crate::{bearer::BearerFault, problem::GuardFault};

/// Why a request does not get through.
pub enum Refusal {
    /// It is not clear which token is meant.
    BadRequest(BearerFault),
    /// As it was decided.
    Denied(Denied),
}

/// The request that was judged, where it is not the one for which the log has a line anyway.
pub struct JudgedRequest<'r> {
    /// The gateway that asks.
    pub gateway: &'r str,
    /// Its method.
    pub method: Cow<'r, str>,
    /// Its path, without the query.
    pub path: Cow<'r, str>,
}

impl Refusal {
    /// What the caller is told, once the log has the reason.
    pub fn into_logged(self, judged: Option<&JudgedRequest<'_>>) -> GuardFault {
        let gateway = judged.map(|it| it.gateway);
        let method = judged.map(|it| &*it.method);
        let path = judged.map(|it| &*it.path);
        match self {
            Self::BadRequest(fault) => {
                tracing::info!(gateway, method, path, reason = fault.to_string(), "decision.denied");
                GuardFault::InvalidRequest(fault.to_string().into())
            }
            Self::Denied(Denied::NoToken(NoToken { reason, rule, detail: _ })) => {
                tracing::info!(gateway, method, path, reason, rule = rule.as_deref(), "decision.denied");
                GuardFault::NoToken
            }
            Self::Denied(Denied::InvalidToken(error)) => {
                let (reason, detail) = ("invalid-token", error.to_string());
                tracing::info!(gateway, method, path, reason, detail, "decision.denied");
                GuardFault::InvalidToken(error)
            }
            Self::Denied(Denied::Unavailable(unknown)) => {
                let (reason, detail) = ("unavailable", unknown.to_string());
                tracing::error!(gateway, method, path, reason, detail, "decision.denied");
                GuardFault::Unavailable
            }
            Self::Denied(Denied::NotAllowed(not_allowed)) => {
                let principal = &not_allowed.principal;
                tracing::info!(
                    gateway,
                    method,
                    path,
                    reason = not_allowed.reason,
                    detail = not_allowed.detail,
                    rule = not_allowed.rule.as_deref(),
                    client = principal.client().map(ClientId::as_str),
                    jti = principal.token_id().as_str(),
                    "decision.denied"
                );
                GuardFault::NotAllowed(not_allowed.scopes_that_would_do)
            }
        }
    }
}
