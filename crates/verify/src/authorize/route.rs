//! Which rule decides, whoever asks.

use std::sync::Arc;

use jeton_policy::{Decision, PolicyRule};

use super::Authorizer;

impl Authorizer {
    /// The name of the rule by which requests of this method for this target are decided; `None` where there is no such
    /// rule, or the policies are not known. It is no decision: nobody is told, and nothing is asked of a token.
    ///
    /// For servers whose router could read another path than the policies: where both spellings have one rule, it does not
    /// matter which of them is routed.
    pub fn rule_for(&self, method: &str, target: &str) -> Option<Arc<str>> {
        let rule = self.policies.ask(|policies| {
            let rule = match policies.api(self.api.as_str())?.decide(method, target, None) {
                Decision::Allow { rule, .. } => Some(rule),
                Decision::Deny(ref denial) => denial.rule(),
            };
            rule.map(PolicyRule::shared_name)
        });
        rule.ok().flatten()
    }
}
