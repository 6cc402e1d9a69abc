//! Requests that the policies let nobody through with: what the log says of them, and what the caller learns.

use std::{borrow::Cow, sync::Arc};

use jeton_oauth::ClientId;

use super::fault::GuardFault;
use crate::{
    audit::reasons,
    authorize::{Denied, NoToken},
    event::DecisionDenied,
    token::BearerFault,
};

/// Why a request does not get through.
pub enum Refusal {
    /// It is not clear which token is meant.
    BadRequest(BearerFault),
    /// As it was decided.
    Denied(Denied),
}

/// The request that was judged, where it is not the one for which the log has a line anyway.
pub struct JudgedRequest<'r> {
    /// The gateway that asks, if one does.
    pub gateway: Option<&'r str>,
    /// Its method.
    pub method: Cow<'r, str>,
    /// Its path, without the query.
    pub path: Cow<'r, str>,
}

impl Refusal {
    /// The stable name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => reasons::INVALID_REQUEST,
            Self::Denied(denied) => denied.reason(),
        }
    }

    /// The rule that decided, if one did.
    pub fn rule(&self) -> Option<Arc<str>> {
        match self {
            Self::Denied(Denied::NoToken(NoToken { rule, .. })) => rule.clone(),
            Self::Denied(Denied::NotAllowed(not_allowed)) => not_allowed.rule.clone(),
            Self::BadRequest(_)
            | Self::Denied(Denied::InvalidToken(..) | Denied::NotHeld(_) | Denied::Unavailable(_)) => None,
        }
    }

    /// What the caller is told, once the log has the reason.
    pub fn into_logged(self, judged: Option<&JudgedRequest<'_>>) -> GuardFault {
        match self {
            Self::BadRequest(fault) => {
                denied(judged, &fault.to_string()).info();

                GuardFault::InvalidRequest(fault.to_string().into())
            }
            Self::Denied(Denied::NoToken(NoToken { reason, rule, detail: _, schemes })) => {
                DecisionDenied { rule: rule.as_deref(), ..denied(judged, reason) }.info();

                GuardFault::NoToken(schemes)
            }
            Self::Denied(Denied::InvalidToken(error, scheme)) => {
                let detail = error.to_string();
                DecisionDenied { detail: Some(&detail), ..denied(judged, reasons::INVALID_TOKEN) }.info();

                GuardFault::InvalidToken(error, scheme)
            }
            Self::Denied(Denied::NotHeld(fault)) => {
                let detail = fault.to_string();
                DecisionDenied { detail: Some(&detail), ..denied(judged, fault.reason()) }.info();

                GuardFault::NotHeld(fault)
            }
            Self::Denied(Denied::Unavailable(unknown)) => {
                let detail = unknown.to_string();
                let reason = Denied::Unavailable(unknown).reason();
                DecisionDenied { detail: Some(&detail), ..denied(judged, reason) }.error();

                GuardFault::Unavailable(unknown)
            }
            Self::Denied(Denied::NotAllowed(not_allowed)) => {
                let principal = &not_allowed.principal;
                DecisionDenied {
                    detail: Some(&not_allowed.detail),
                    rule: not_allowed.rule.as_deref(),
                    client: principal.client().map(ClientId::as_str),
                    jti: Some(principal.token_id().as_str()),
                    ..denied(judged, not_allowed.reason)
                }
                .info();

                GuardFault::NotAllowed(not_allowed.scopes_that_would_do, not_allowed.scheme)
            }
        }
    }
}

/// That a request is denied, with nothing yet of why but the reason.
fn denied<'r>(judged: Option<&'r JudgedRequest<'_>>, reason: &'r str) -> DecisionDenied<'r> {
    DecisionDenied {
        gateway: judged.and_then(|it| it.gateway),
        method: judged.map(|it| &*it.method),
        path: judged.map(|it| &*it.path),
        reason,
        detail: None,
        rule: None,
        client: None,
        jti: None,
    }
}
