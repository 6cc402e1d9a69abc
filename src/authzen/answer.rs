//! Decisions as they are answered (section 5.5).

use jeton_policy::{PolicyRule, ProtectedApi};
use serde::Serialize;

use super::question::BadQuestion;

/// On what every decision rests: no token was seen.
const BASIS: &str = "policy";

/// A decision, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether the request may pass.
    pub decision: bool,
    context: AnswerContext,
}

/// Why something was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AnswerContext {
    /// A stable name: that of `explain`, or one of [`Reason`].
    reason: &'static str,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    basis: &'static str,
    /// Whether the API takes bound tokens only, so that a yes is one for a token that is bound and proved. Not there
    /// where it does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bound_tokens: bool,
    /// What is wrong with one of several questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AnswerError>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AnswerError {
    status: u16,
    message: String,
}

/// What several questions are answered with (section 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answers {
    /// As a single question is, which it was.
    One(Answer),
    /// Each in its order, up to the one that decides about all.
    Several {
        /// The answers.
        evaluations: Vec<Answer>,
    },
}

/// Why no policy was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No client has this id, or the type is unknown.
    UnknownSubject,
    /// The client is disabled.
    DisabledClient,
    /// The client has no grant at the API.
    NoGrant,
    /// The type of the resource is unknown.
    UnknownResource,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSubject => "unknown-subject",
            Self::DisabledClient => "disabled-client",
            Self::NoGrant => "no-grant",
            Self::UnknownResource => "unknown-resource",
        }
    }
}

impl Answer {
    /// No, whatever the rules say.
    pub(super) fn no(reason: Reason) -> Self {
        Self::by_rule(false, reason.as_str(), None)
    }

    pub(super) fn by_rule(decision: bool, reason: &'static str, rule: Option<&PolicyRule>) -> Self {
        let rule = rule.map(|rule| rule.name().to_owned());
        let context = AnswerContext { reason, rule, basis: BASIS, bound_tokens: false, error: None };
        Self { decision, context }
    }

    /// With what the API asks of each token.
    pub(super) fn at(mut self, api: &ProtectedApi) -> Self {
        self.context.bound_tokens = api.bound_tokens();
        self
    }

    /// No, because one of several questions cannot be understood (section 7.2.1).
    pub(super) fn bad_question(bad: &BadQuestion) -> Self {
        let mut answer = Self::by_rule(false, "bad-question", None);
        answer.context.error = Some(AnswerError { status: 400, message: bad.to_string() });
        answer
    }
}
