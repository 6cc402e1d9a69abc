//! The `AuthZEN` Authorization API 1.0 without HTTP: whether a client, or a bearer of some permissions, may do something, by
//! the policies alone.
//!
//! No token is seen: an answer says what the policies allow, not who asks. The policies judge as they do for requests.

mod answer;
mod evaluations;
mod page;
mod question;
mod search;

use jeton_policy::{Decision, Grounds, PdpState, Permissions, PolicySet, ProtectedApi, clients::ClientState};
use serde_json::Map;

use self::{
    answer::Reason,
    question::{AskedResource, AskedSubject, Question},
};
pub use self::{
    answer::{Answer, Answers},
    question::BadQuestion,
    search::{Found, Searched},
};

/// Answers questions about one API.
#[derive(Clone, Copy, Debug)]
pub struct DecisionPoint<'p> {
    policies: &'p PolicySet,
    api: &'p ProtectedApi,
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
    fn bearer(&self, subject: AskedSubject<'_>) -> Result<Permissions, Reason> {
        let id = match subject {
            AskedSubject::Client(id) => id,
            AskedSubject::Bearer(bearer) => return Ok(bearer),
            AskedSubject::Unknown => return Err(Reason::UnknownSubject),
        };
        let client = self.policies.clients().find(id).ok_or(Reason::UnknownSubject)?;
        match client.state {
            ClientState::Enabled => {
                self.policies.permissions_of(id, self.api.name().as_str()).ok_or(Reason::NoGrant)
            }
            ClientState::Disabled => Err(Reason::DisabledClient),
        }
    }

    fn judge(
        &self,
        bearer: &Result<Permissions, Reason>,
        resource: &AskedResource<'_>,
        method: &str,
    ) -> Answer {
        let subject = match bearer {
            Ok(bearer) => bearer.subject(),
            Err(reason) => return Answer::no(*reason),
        };
        let nothing = Map::new();
        let decision = match resource {
            AskedResource::Route { pattern, parameters } => {
                self.api.decide_pattern(method, pattern, parameters.unwrap_or(&nothing), Some(&subject))
            }
            AskedResource::Path(path) => self.api.decide(method, path, Some(&subject)),
            AskedResource::Unknown => return Answer::no(Reason::UnknownResource),
        };
        decision.into()
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
