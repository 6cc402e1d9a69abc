//! Policies: from the files of a folder to a decision.
//!
//! In reading order: [`Sources`] (files) -> `yaml` (nodes with places) -> `document` (what a file says)
//! -> [`Draft::compile`] (every name resolved) -> [`PolicySet`] (guarantees proved, tests passed) ->
//! [`Api::decide`]. Nothing here knows of HTTP, tokens
//! or settings: a decision is about a method, a path and a [`Subject`].

mod candidate;
mod cases;
mod claim;
pub mod clients;
mod compile;
mod condition;
mod decision;
mod diff;
mod document;
mod edit;
mod explain;
pub mod files;
mod finding;
mod guarantee;
mod lines;
mod lint;
mod live;
mod matrix;
mod path;
mod position;
mod read;
mod revoke;
mod route;
mod rule;
mod schema;
mod set;
mod source;
mod space;
mod spelling;
mod subject;
mod trie;
mod yaml;

pub use crate::files::{Rejection, Reload, Swapped};
pub use candidate::{CandidatePolicies, CandidateReload};
pub use cases::{CaseOutcome, Expected, Untested};
pub use compile::{Defined, DemoSecrets, Draft, NeededApi, Surroundings};
pub use decision::{Decision, Denial, Grounds};
pub use diff::{Change, ChangeKind, Counts, Difference, Effect, Effort, Summary, Who};
pub use document::schema;
pub use edit::{EditError, Edited, scalar};
pub use explain::{ExplainedAlternative, ExplainedCondition, ExplainedRoute, Explanation, LessSpecific};
pub use finding::{Code, Finding, Findings, Severity, did_you_mean};
pub use live::{LivePolicies, PolicyReload, Replaced, Snapshot};
pub use matrix::{Matrix, MatrixAccess, MatrixClient, MatrixRoute};
pub use path::{BadPath, CanonicalPath, PathPrefix};
pub use revoke::{Pruned, TokenRevocation};
pub use route::{Method, Route};
pub use rule::{Rule, RulePlace};
pub use set::{Api, PolicySet};
pub use source::{ContentHash, Sources};
pub use space::{Token, Witness};
pub use spelling::BadRoute;
pub use subject::{BadSub, Permissions, Subject};
