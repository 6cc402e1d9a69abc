//! Policies: from the files of a folder to a decision.
//!
//! In reading order: [`Sources`] (files) -> `yaml` (nodes with places) -> `document` (what a file says)
//! -> [`PolicySet::compile`] (every name resolved) -> [`Api::decide`]. Nothing here knows of HTTP, tokens
//! or settings: a decision is about a method, a path and a [`Subject`].

mod compile;
mod condition;
mod decision;
mod document;
mod edit;
mod explain;
mod finding;
mod live;
mod path;
mod read;
mod route;
mod schema;
mod set;
mod source;
mod trie;
mod yaml;

pub use compile::{DemoSecrets, Surroundings};
pub use condition::Subject;
pub use decision::{Decision, Denial, Grounds};
pub use edit::{EditError, Edited, scalar};
pub use explain::{ExplainedAlternative, ExplainedCondition, ExplainedRoute, Explanation, Permissions};
pub use finding::{Code, Finding, Findings, Severity};
pub use live::{LivePolicies, Rejection, Reload, Snapshot};
pub use path::{BadPath, CanonicalPath};
pub use route::Method;
pub use schema::schema;
pub use set::{Api, ContentHash, PolicySet, Rule};
pub use source::Sources;
