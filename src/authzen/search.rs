//! Who may do something, what somebody may do it to, and what somebody may do (section 8): everything of the policies to
//! which an evaluation says yes.

use jeton_policy::{Method, Route};
use serde::Serialize;

use super::{
    DecisionPoint,
    page::{Page, PageRequest},
    question::{AskedResource, AskedSubject, BadQuestion, Question, ResourceType, Searched, SubjectType},
};

/// What a search found, or a page of it (section 8.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    page: Page,
    results: Vec<FoundEntity>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum FoundEntity {
    /// A subject or a resource.
    Entity {
        #[serde(rename = "type")]
        kind: String,
        id: String,
    },
    Action {
        name: &'static str,
    },
}

impl DecisionPoint<'_> {
    /// Answers a question of the Search APIs (section 8).
    ///
    /// # Errors
    /// [`BadQuestion`], as for a single evaluation; and for a page of another search.
    pub fn search(&self, searched: Searched, body: &[u8]) -> Result<Found, BadQuestion> {
        let question = Question::read(body)?;
        let page = PageRequest::of(&question.members(), searched, self.api.name())?;
        let results = match searched {
            Searched::Subject => self.subjects(&question)?,
            Searched::Resource => self.resources(&question)?,
            Searched::Action => self.actions(&question)?,
        };
        let (page, results) = page.cut(results);
        Ok(Found { page, results })
    }

    fn subjects(&self, question: &Question) -> Result<Vec<FoundEntity>, BadQuestion> {
        let (kind, searched) = question.members().object("subject")?.subject_type()?;
        let (resource, method) = (question.resource()?, question.action()?);
        if searched != SubjectType::Client {
            // bearers have no names, and are as many as one likes
            return Ok(Vec::new());
        }
        let mut ids: Vec<_> = self.policies.clients().iter().map(|client| client.id.as_str()).collect();
        ids.sort_unstable();
        ids.retain(|id| self.judge(&self.bearer(AskedSubject::Client(id)), &resource, method).decision);
        Ok(ids.into_iter().map(|id| FoundEntity::of(kind, id)).collect())
    }

    fn resources(&self, question: &Question) -> Result<Vec<FoundEntity>, BadQuestion> {
        let (bearer, method) = (self.bearer(question.subject()?), question.action()?);
        let entity = question.members().object("resource")?;
        let ((kind, searched), parameters) = (entity.resource_type()?, entity.properties()?);
        let is_open = |resource: AskedResource<'_>| self.judge(&bearer, &resource, method).decision;
        let routes = self.api.patterns(method);
        let ids: Vec<_> = match searched {
            ResourceType::Route => routes
                .map(Route::pattern)
                .filter(|pattern| is_open(AskedResource::Route { pattern, parameters }))
                .collect(),
            // those that the policies name: of the others there is no end
            ResourceType::Path => routes
                .filter_map(Route::only_path)
                .filter(|path| is_open(AskedResource::Path(path)))
                .collect(),
            ResourceType::Unknown => Vec::new(),
        };
        Ok(ids.iter().map(|id| FoundEntity::of(kind, id)).collect())
    }

    fn actions(&self, question: &Question) -> Result<Vec<FoundEntity>, BadQuestion> {
        let (bearer, resource) = (self.bearer(question.subject()?), question.resource()?);
        question.members().object_if_any("context")?;
        let names = Method::ALL.map(Method::as_str).into_iter();
        let open = names.filter(|method| self.judge(&bearer, &resource, method).decision);
        Ok(open.map(|name| FoundEntity::Action { name }).collect())
    }
}

impl FoundEntity {
    fn of(kind: &str, id: &str) -> Self {
        Self::Entity { kind: kind.to_owned(), id: id.to_owned() }
    }
}
