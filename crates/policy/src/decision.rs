//! The answer to a request, with its reason.

use std::fmt;

use jeton_oauth::ScopeSet;

use super::{path::BadPath, rule::PolicyRule};

/// Allowed or not, and why.
#[derive(Debug)]
pub enum Decision<'p> {
    /// The request may pass.
    Allow {
        /// The rule that decided.
        rule: &'p PolicyRule,
        /// What in it.
        grounds: Grounds,
    },
    /// The request may not pass.
    Deny(Denial<'p>),
}

/// What in a rule allowed the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// `public: true`.
    Public,
    /// The alternative of this position, from 0.
    Alternative(usize),
}

/// Why a request may not pass.
#[derive(Debug)]
pub enum Denial<'p> {
    /// The path is one that two servers might read differently.
    BadPath(BadPath),
    /// Policies cannot allow this method.
    BadMethod,
    /// No route matches.
    NoRoute,
    /// The rule is not public and there is no token.
    NoToken {
        /// The rule that decided.
        rule: &'p PolicyRule,
    },
    /// No alternative of the rule holds.
    NotMet {
        /// The rule that decided.
        rule: &'p PolicyRule,
        /// What the alternative that came nearest lacks, as the policy file has it.
        missing: Vec<String>,
        /// The missing scopes, if nothing else is missing.
        scopes_that_would_do: Option<ScopeSet>,
    },
}

impl Decision<'_> {
    /// Whether the request may pass.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

impl<'p> Denial<'p> {
    /// The stable name of the reason, as logs and `explain` give it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadPath(_) => "bad-path",
            Self::BadMethod => "bad-method",
            Self::NoRoute => "no-route",
            Self::NoToken { .. } => "no-token",
            Self::NotMet { .. } => "not-met",
        }
    }

    /// The rule that decided, if one did.
    pub fn rule(&self) -> Option<&'p PolicyRule> {
        match self {
            Self::BadPath(_) | Self::BadMethod | Self::NoRoute => None,
            Self::NoToken { rule } | Self::NotMet { rule, .. } => Some(rule),
        }
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPath(bad) => write!(f, "{bad}"),
            Self::BadMethod => f.write_str("no policy can allow this method"),
            Self::NoRoute => f.write_str("no route matches this method and path"),
            Self::NoToken { rule } => write!(f, "rule `{}` needs a token", rule.name()),
            Self::NotMet { missing, .. } => write!(f, "missing: {}", missing.join(", ")),
        }
    }
}
