//! A decision that was taken, taken again by other policies.

use std::fmt;

use jeton_oauth::Audience;
use jeton_policy::{Decision, Grounds, PolicyRule, PolicySet, Subject};

use super::reasons;
use crate::{possession::PossessionFault, principal::Principal, standing::Standing, token::TokenOrigin};

/// A question that was answered: what a decision depends on, beside the policies.
#[derive(Clone, Copy, Debug)]
pub struct AuditedRequest<'r> {
    /// The name of the API.
    pub api: &'r str,
    /// The method as it was sent.
    pub method: &'r str,
    /// The path as it was judged, without a query.
    pub path: &'r str,
    /// The bearer of a token that is good; `None` where no token came, or a bad one.
    pub bearer: Option<AuditedBearer<'r>>,
}

/// What any policies may ask of a verified token.
#[derive(Clone, Copy, Debug)]
pub struct AuditedBearer<'r> {
    /// `aud`.
    pub audiences: &'r [Audience],
    /// What revocations compare.
    pub origin: TokenOrigin<'r>,
    /// What rules compare.
    pub subject: Subject<'r>,
    /// What an API with `bound_tokens: true` asks.
    pub binding: AuditedBinding,
}

/// Whether a token was bound to a key or a certificate, which its bearer then showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditedBinding {
    /// It was.
    Bound,
    /// Whoever had it could use it.
    Unbound,
    /// The log is older than the question. Nothing is refused for it, because a loss that is told must be one.
    Unknown,
}

impl<'p> From<&'p Principal> for AuditedBearer<'p> {
    fn from(principal: &'p Principal) -> Self {
        let binding = match principal.confirmation() {
            Some(_) => AuditedBinding::Bound,
            None => AuditedBinding::Unbound,
        };
        Self {
            audiences: principal.audiences(),
            origin: principal.origin(),
            subject: principal.subject(),
            binding,
        }
    }
}

/// What other policies answer.
#[derive(Debug)]
pub enum PolicyVerdict<'p> {
    /// They have no API of this name.
    NoApi,
    /// They would not take the token: for another audience, or of a client that they do not let in.
    BadToken(String),
    /// They take bound tokens only, and the token is not bound.
    NotBound,
    /// They decide.
    Decided(Decision<'p>),
}

/// Whether this is the reason of a decision about a token that was not good, or not its bearer's. It says nothing of the rules, and is
/// not taken again.
pub fn is_of_a_bad_token(reason: &str) -> bool {
    matches!(reason, reasons::INVALID_TOKEN | reasons::UNAVAILABLE)
        || PossessionFault::REASONS.contains(&reason)
}

impl AuditedRequest<'_> {
    /// The path that is judged: up to the first `?`.
    pub fn path_of(target: &str) -> &str {
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// What these policies answer, if they were in force. Policies that name clients are taken to name all of
    /// them, so a token of another one is no good there; those that name none say nothing of clients.
    pub fn judged_by<'p>(&self, policies: &'p PolicySet) -> PolicyVerdict<'p> {
        let Some(api) = policies.api(self.api) else { return PolicyVerdict::NoApi };
        if let Some(bearer) = &self.bearer {
            if !bearer.audiences.contains(api.audience()) {
                return PolicyVerdict::BadToken(format!("the token is not for `{}`", api.audience()));
            }
            let standing =
                if policies.clients().is_empty() { Standing::by_files() } else { Standing::by_all_files() };
            if let Err(error) = standing.check_origin(policies, &bearer.origin) {
                return PolicyVerdict::BadToken(error.to_string());
            }
            if api.bound_tokens() && bearer.binding == AuditedBinding::Unbound {
                return PolicyVerdict::NotBound;
            }
        }
        let subject = self.bearer.as_ref().map(|bearer| &bearer.subject);
        PolicyVerdict::Decided(api.decide(self.method, self.path, subject))
    }
}

impl<'p> PolicyVerdict<'p> {
    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Decided(decision) if decision.is_allowed())
    }

    /// The rule that decides, if one does.
    pub fn rule(&self) -> Option<&'p PolicyRule> {
        match self {
            Self::NoApi | Self::BadToken(_) | Self::NotBound => None,
            Self::Decided(Decision::Allow { rule, .. }) => Some(rule),
            Self::Decided(Decision::Deny(denial)) => denial.rule(),
        }
    }

    /// The stable name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoApi => reasons::NO_API,
            Self::BadToken(_) => reasons::INVALID_TOKEN,
            Self::NotBound => PossessionFault::NotBound.reason(),
            Self::Decided(Decision::Allow { grounds, .. }) => reasons::of(*grounds),
            Self::Decided(Decision::Deny(denial)) => denial.reason(),
        }
    }
}

/// The reason in words.
impl fmt::Display for PolicyVerdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoApi => f.write_str("there is no API of this name"),
            Self::BadToken(detail) => f.write_str(detail),
            Self::NotBound => write!(f, "{}", PossessionFault::NotBound),
            Self::Decided(Decision::Allow { grounds: Grounds::Public, .. }) => {
                f.write_str("the rule is public")
            }
            Self::Decided(Decision::Allow { grounds: Grounds::Alternative(position), .. }) => {
                write!(f, "alternative {} holds", position + 1)
            }
            Self::Decided(Decision::Deny(denial)) => write!(f, "{denial}"),
        }
    }
}
