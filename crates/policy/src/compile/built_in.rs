//! What is built in: jeton's own API with its scopes, its role and its rules.

use std::{cell::RefCell, sync::LazyLock};

use crate::{
    document::{self, PolicyDocument},
    finding::ReadingProblem,
    policy_text::PolicyText,
    read, yaml,
};

/// The name of jeton's own API. It has no audience in the policies, because its audience is the issuer.
pub(super) const OWN_API: &str = "jeton";

/// What who asks the policy decision point must have.
pub(crate) const PDP_SCOPE: &str = "jeton:pdp";

/// The name of the rule and of the guarantee about questions to the policy decision point, which are there if it answers
/// some.
pub(super) const PDP: &str = "pdp";

/// How places in it are named, as files are.
const NAME: &str = "built-in/jeton.yaml";

/// A policy file that every folder has.
pub(super) static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| BuiltIn::read().0);

/// The text of what is built in, if this is its name.
pub(crate) fn built_in_file(name: &str) -> Option<&'static str> {
    (name == NAME).then(|| BUILT_IN.source.text.as_str())
}

pub(super) struct BuiltIn {
    pub(super) source: PolicyText,
    pub(super) document: PolicyDocument,
}

impl BuiltIn {
    /// Reads it, with all that is wrong with it; a test holds that nothing is.
    fn read() -> (Self, Vec<ReadingProblem>) {
        let source = PolicyText::new(NAME.to_owned(), include_str!("built_in.yaml").to_owned());
        let (node, problems) = yaml::parse(&source.text);
        let problems = RefCell::new(problems);
        let document = node.and_then(|node| read::read(&node, &problems)).unwrap_or_default();
        (Self { source, document }, problems.into_inner())
    }

    /// Its API.
    pub(super) fn api(&self) -> Option<&document::ApiEntry> {
        self.document.apis.0.iter().find_map(|(_, api)| api.as_ref())
    }

    /// Whether a scope is one of its own, which the service itself asks for.
    pub(super) fn has_scope(&self, name: &str) -> bool {
        self.document.scopes.0.iter().any(|(scope, _)| scope.value == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{BuiltIn, OWN_API};

    #[test]
    fn nothing_is_wrong_with_it() {
        let (built_in, problems) = BuiltIn::read();
        assert_eq!(problems.len(), 0);
        assert!(built_in.document.names_are_whole());
        let apis: Vec<_> = built_in.document.apis.0.iter().map(|(name, _)| name.value.as_str()).collect();
        assert_eq!(apis, [OWN_API]);
        assert!(built_in.api().is_some());
    }
}
