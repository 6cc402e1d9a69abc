//! Requests that the policies let nobody through with: what the log says of them, and what the caller learns.

use super::{error::ProblemKind, extract::BearerFault};
use crate::{
    authorize::{Denied, NoToken},
    oauth::ClientId,
};

/// Why a request does not get through.
pub(super) enum Refusal {
    /// It is not clear which token is meant.
    BadRequest(BearerFault),
    /// As it was decided.
    Denied(Denied),
}

/// Where a request was judged that is not the one which the log has a line for.
pub(super) struct Elsewhere<'r> {
    /// The gateway that asks.
    pub(super) gateway: &'r str,
    /// The method that was judged.
    pub(super) method: &'r str,
    /// The path that was judged, without its query.
    pub(super) path: &'r str,
}

impl Refusal {
    /// What the caller is told, once the log has the reason.
    pub(super) fn into_logged(self, elsewhere: Option<&Elsewhere<'_>>) -> ProblemKind {
        let gateway = elsewhere.map(|it| it.gateway);
        let method = elsewhere.map(|it| it.method);
        let path = elsewhere.map(|it| it.path);
        match self {
            Self::BadRequest(fault) => {
                tracing::info!(gateway, method, path, reason = fault.to_string(), "decision.denied");
                ProblemKind::InvalidRequest(fault.to_string().into())
            }
            Self::Denied(Denied::NoToken(NoToken { reason, rule, detail: _ })) => {
                tracing::info!(gateway, method, path, reason, rule = rule.as_deref(), "decision.denied");
                ProblemKind::NoToken
            }
            Self::Denied(Denied::InvalidToken(error)) => {
                let (reason, detail) = ("invalid-token", error.to_string());
                tracing::info!(gateway, method, path, reason, detail, "decision.denied");
                ProblemKind::InvalidToken(error)
            }
            Self::Denied(Denied::Unavailable(unknown)) => {
                let (reason, detail) = ("unavailable", unknown.to_string());
                tracing::error!(gateway, method, path, reason, detail, "decision.denied");
                ProblemKind::Unavailable
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
                ProblemKind::NotAllowed(not_allowed.scopes_that_would_do)
            }
        }
    }
}
