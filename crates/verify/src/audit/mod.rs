//! Decisions, once they are taken: written down, and taken again by other policies.
//!
//! Three ways lead through here. [`Audit`] is told of every decision that
//! [`Authorizer`](crate::authorize::Authorizer) takes: [`DecisionLog`] appends it to a file, [`Shadow`] asks
//! the candidate policies the same, and each [`DecisionListener`] of the service counts it, say. [`Replay`] asks any
//! policies the requests of such a file again. [`Shadow`] and [`Replay`] both ask an [`AuditedRequest`], and
//! [`AuditedRequest::judged_by`] alone answers it.

mod judge;
mod log;
pub mod reasons;
mod record;
mod replay;
mod shadow;

use std::{fmt, sync::Arc};

pub use judge::{AuditedBearer, AuditedBinding, AuditedRequest, PolicyVerdict, is_of_a_bad_token};
pub use log::{DecisionLog, DecisionLogError, LONGEST_LINE};
pub use record::{DecisionLine, DecisionLineError, RecordedBearer, RecordedDecision, write_line};
pub use replay::{FirstSeen, Replay, ReplayDirection, Replayed, ReplayedDifference, ReplayedSide};
pub use shadow::{Shadow, ShadowCounts};

/// Who is told of decisions. Clones share it; by default nobody is.
#[derive(Clone, Default)]
pub struct Audit {
    log: Option<Arc<DecisionLog>>,
    shadow: Option<Arc<Shadow>>,
    listeners: Vec<Arc<dyn DecisionListener>>,
}

/// Is told of every decision where it is taken: it must neither wait nor take long.
pub trait DecisionListener: Send + Sync {
    /// A decision was taken; `id` is the request's.
    fn decided(&self, asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, id: Option<&dyn fmt::Display>);
}

/// How a decision comes out for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecisionOutcome {
    /// The request may pass.
    Allowed,
    /// The request may not pass: what its good token says does not do, or jeton cannot tell.
    Denied,
    /// The request may not pass: it has no token and needs one, or a bad one.
    Unauthenticated,
}

impl DecisionOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Denied, Self::Unauthenticated];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// A decision.
#[derive(Clone, Copy)]
pub struct TakenDecision<'d> {
    /// Whether the request may pass, and what kind of refusal it gets if not.
    pub outcome: DecisionOutcome,
    /// The rule that decided, if one did.
    pub rule: Option<&'d str>,
    /// The stable name of the reason: that of [`Denial::reason`](jeton_policy::Denial::reason), `met`, `public`,
    /// `no-api`, `invalid-token` or `unavailable`.
    pub reason: &'d str,
    /// A refusal's reason in words.
    pub detail: Option<&'d dyn fmt::Display>,
}

impl TakenDecision<'_> {
    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        self.outcome == DecisionOutcome::Allowed
    }
}

impl Audit {
    /// Of these, whichever there are.
    pub fn new(log: Option<Arc<DecisionLog>>, shadow: Option<Arc<Shadow>>) -> Self {
        Self { log, shadow, listeners: Vec::new() }
    }

    /// Also tells `listener`, after those that it told before.
    #[must_use]
    pub fn with_listener(mut self, listener: Arc<dyn DecisionListener>) -> Self {
        self.listeners.push(listener);
        self
    }

    /// The decision log, if there is one.
    pub fn log(&self) -> Option<&Arc<DecisionLog>> {
        self.log.as_ref()
    }

    /// The candidate policies, if there are any.
    pub fn shadow(&self) -> Option<&Arc<Shadow>> {
        self.shadow.as_ref()
    }

    /// Whether nobody is told.
    pub fn is_off(&self) -> bool {
        self.log.is_none() && self.shadow.is_none() && self.listeners.is_empty()
    }

    /// Tells of a decision; `id` is the request's. Touches memory only.
    pub fn tell(&self, asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, id: Option<&dyn fmt::Display>) {
        for listener in &self.listeners {
            listener.decided(asked, taken, id);
        }
        if let Some(log) = &self.log {
            log.append(asked, taken, id);
        }
        if let Some(shadow) = &self.shadow {
            shadow.compare(asked, taken);
        }
    }
}
