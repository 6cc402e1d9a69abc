//! The `AuthZEN` Authorization API 1.0 without HTTP: whether a client, or a bearer of some permissions, may do something, by
//! the policies alone.
//!
//! No token is seen: an answer says what the policies allow, not who asks. The policies judge as they do for requests.

mod answer;
mod evaluations;
mod page;
mod question;
mod search;

use jeton_policy::{
    Decision, GrantedDecision, GrantedTokens, Grounds, PdpState, Permissions, PolicySet, ProtectedApi,
    clients::ClientState,
};
use serde_json::Map;

use self::{
    answer::Reason,
    question::{AskedResource, AskedSubject, Question},
};
pub use self::{
    answer::{Answer, Answers},
    question::{BadQuestion, Searched},
    search::Found,
};

/// Answers questions about one API.
#[derive(Clone, Copy, Debug)]
pub struct DecisionPoint<'p> {
    policies: &'p PolicySet,
    api: &'p ProtectedApi,
}

/// Whom a question is about.
enum Bearer<'p> {
    /// A client, with whatever token of these it has.
    Client(GrantedTokens<'p>),
    /// Somebody with just these.
    Permissions(Permissions),
}

impl<'p> DecisionPoint<'p> {
    /// The one for an API; `None` where its policy file does not say `pdp: true`.
    pub fn of(policies: &'p PolicySet, api: &str) -> Option<Self> {
        let api = policies.api(api).filter(|api| api.pdp() == PdpState::On)?;
        Some(Self { policies, api })
    }

    /// The API.
    pub fn api(&self) -> &'p ProtectedApi {
        self.api
    }

    /// Answers a question of the Access Evaluation API (section 6).
    ///
    /// # Errors
    /// [`BadQuestion`] where something that is required is missing, or has the wrong type.
    pub fn evaluation(&self, body: &[u8]) -> Result<Answer, BadQuestion> {
        let question = Question::read(body)?;
        let bearer = self.bearer(question.subject()?);
        Ok(self.judge(&bearer, &question.resource()?, question.action()?))
    }

    /// What a subject has, or why it is nobody here.
    fn bearer(&self, subject: AskedSubject<'_>) -> Result<Bearer<'p>, Reason> {
        let id = match subject {
            AskedSubject::Client(id) => id,
            AskedSubject::Bearer(bearer) => return Ok(Bearer::Permissions(bearer)),
            AskedSubject::Unknown => return Err(Reason::UnknownSubject),
        };
        let client = self.policies.clients().find(id).ok_or(Reason::UnknownSubject)?;
        match client.state {
            ClientState::Enabled => {
                let tokens = self.policies.tokens_granted(id, self.api.name().as_str());
                tokens.map(Bearer::Client).ok_or(Reason::NoGrant)
            }
            ClientState::Disabled => Err(Reason::DisabledClient),
        }
    }

    fn judge(
        &self,
        bearer: &Result<Bearer<'_>, Reason>,
        resource: &AskedResource<'_>,
        method: &str,
    ) -> Answer {
        self.judge_by_rules(bearer, resource, method).at(self.api)
    }

    fn judge_by_rules(
        &self,
        bearer: &Result<Bearer<'_>, Reason>,
        resource: &AskedResource<'_>,
        method: &str,
    ) -> Answer {
        let bearer = match bearer {
            Ok(bearer) => bearer,
            Err(reason) => return Answer::no(*reason),
        };
        let nothing = Map::new();
        match (resource, bearer) {
            (AskedResource::Unknown, _) => Answer::no(Reason::UnknownResource),
            (AskedResource::Path(path), Bearer::Permissions(bearer)) => {
                self.api.decide(method, path, Some(&bearer.subject())).into()
            }
            (AskedResource::Path(path), Bearer::Client(tokens)) => {
                self.api.decide_granted(method, path, tokens).into()
            }
            (AskedResource::Route { pattern, parameters }, Bearer::Permissions(bearer)) => {
                let (parameters, subject) = (parameters.unwrap_or(&nothing), bearer.subject());
                self.api.decide_pattern(method, pattern, parameters, Some(&subject)).into()
            }
            (AskedResource::Route { pattern, parameters }, Bearer::Client(tokens)) => {
                let parameters = parameters.unwrap_or(&nothing);
                self.api.decide_pattern_granted(method, pattern, parameters, tokens).into()
            }
        }
    }
}

impl From<GrantedDecision<'_>> for Answer {
    fn from(decision: GrantedDecision<'_>) -> Self {
        match decision {
            GrantedDecision::Decided(decision) => decision.into(),
            GrantedDecision::Depends(rule) => Self::by_rule(false, "depends", Some(rule)),
            // a kind of decision that came to the policies and not here
            _ => Self::by_rule(false, "not-met", None),
        }
    }
}

impl From<Decision<'_>> for Answer {
    fn from(decision: Decision<'_>) -> Self {
        match decision {
            Decision::Allow { rule, grounds } => {
                let reason = match grounds {
                    Grounds::Public => "public",
                    Grounds::Alternative(_) => "met",
                };
                Self::by_rule(true, reason, Some(rule))
            }
            Decision::Deny(denial) => Self::by_rule(false, denial.reason(), denial.rule()),
        }
    }
}
