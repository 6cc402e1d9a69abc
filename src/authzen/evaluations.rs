//! Several questions at once (section 7).

use serde_json::Value;

use super::{
    Bearer, DecisionPoint,
    answer::{Answer, Answers, Reason},
    question::{AskedResource, BadQuestion, Members, Question},
};

/// The most questions that are answered at once.
const MOST: usize = 1000;

/// Up to which answer the questions are answered (section 7.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn of(question: &Members<'_>) -> Result<Self, BadQuestion> {
        let Some(options) = question.object_if_any("options")? else { return Ok(Self::ExecuteAll) };
        match options.text_if_any("evaluations_semantic")? {
            None | Some("execute_all") => Ok(Self::ExecuteAll),
            Some("deny_on_first_deny") => Ok(Self::DenyOnFirstDeny),
            Some("permit_on_first_permit") => Ok(Self::PermitOnFirstPermit),
            Some(_) => Err(options.bad(
                "evaluations_semantic",
                "write `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`",
            )),
        }
    }

    /// Whether nothing is asked behind this answer.
    fn ends_with(self, answer: &Answer) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !answer.decision,
            Self::PermitOnFirstPermit => answer.decision,
        }
    }
}

/// What counts for each question that does not say it itself.
struct Defaults<'q> {
    bearer: Option<Result<Bearer<'q>, Reason>>,
    resource: Option<AskedResource<'q>>,
    action: Option<&'q str>,
}

impl<'q> Defaults<'q> {
    fn of(question: &Members<'q>, point: &DecisionPoint<'q>) -> Result<Self, BadQuestion> {
        question.object_if_any("context")?;
        let [subject, resource, action] =
            ["subject", "resource", "action"].map(|name| question.object_if_any(name));
        Ok(Self {
            bearer: subject?.map(|subject| Ok(point.bearer(subject.subject()?))).transpose()?,
            resource: resource?.map(|resource| resource.resource()).transpose()?,
            action: action?.map(|action| action.action()).transpose()?,
        })
    }
}

impl DecisionPoint<'_> {
    /// Answers the questions of the Access Evaluations API (section 7), in their order. One that cannot be understood is
    /// answered with no.
    ///
    /// # Errors
    /// [`BadQuestion`] for what is wrong beside the single questions, and where there are more than 1,000 of them.
    pub fn evaluations(&self, body: &[u8]) -> Result<Answers, BadQuestion> {
        let question = Question::read(body)?;
        let members = question.members();
        let semantic = Semantic::of(&members)?;
        let items = match members.get("evaluations") {
            Some(Value::Array(items)) => items.as_slice(),
            None => &[],
            Some(_) => return Err(members.wrong("evaluations", "a list of objects")),
        };
        if items.is_empty() {
            return self.evaluation(body).map(Answers::One);
        }
        if items.len() > MOST {
            let why = format!("{} questions; send at most {MOST} at once", items.len());
            return Err(members.bad("evaluations", why));
        }
        let defaults = Defaults::of(&members, self)?;
        let mut evaluations = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let answer = self.one_of_several(item, at, &defaults);
            let answer = answer.unwrap_or_else(|bad| Answer::bad_question(&bad));
            let is_last = semantic.ends_with(&answer);
            evaluations.push(answer);
            if is_last {
                break;
            }
        }
        Ok(Answers::Several { evaluations })
    }

    fn one_of_several(
        &self,
        item: &Value,
        at: usize,
        defaults: &Defaults<'_>,
    ) -> Result<Answer, BadQuestion> {
        let item = Members::of_item(item, format!("evaluations[{at}]"))?;
        item.object_if_any("context")?;
        let own;
        let bearer = if let (Some(bearer), None) = (&defaults.bearer, item.get("subject")) {
            bearer
        } else {
            own = self.bearer(item.object("subject")?.subject()?);
            &own
        };
        let resource = match (defaults.resource, item.get("resource")) {
            (Some(resource), None) => resource,
            _ => item.object("resource")?.resource()?,
        };
        let action = match (defaults.action, item.get("action")) {
            (Some(action), None) => action,
            _ => item.object("action")?.action()?,
        };
        Ok(self.judge(bearer, &resource, action))
    }
}
