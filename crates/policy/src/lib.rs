//! Policies: from the files of a folder to a decision.
//!
//! In reading order: [`Sources`] (files) -> `yaml` (nodes with places) -> `document` (what a file says) ->
//! [`Draft::compile`] (every name resolved) -> [`PolicySet`] (guarantees proved, tests passed) -> [`Api::decide`].
//! Nothing here knows of HTTP, tokens or settings. A decision is about a method, a path and a [`Subject`].
//!
//! # Examples
//!
//! ```
//! use std::fs;
//!
//! use jeton_oauth::{ApiName, Issuer, Scope, ScopeSet};
//! use jeton_policy::{Permissions, PolicySet, Sources, Surroundings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! fs::write(
//!     folder.path().join("orders.yaml"),
//!     "version: 1
//! scopes: { 'orders:read': Read orders }
//! apis:
//!   orders:
//!     audience: https://orders.example.com
//!     rules:
//!       read: { routes: ['GET /orders/{order}'], require: { scope: 'orders:read' } }
//! ",
//! )?;
//!
//! let surroundings =
//!     Surroundings::of_service(&Issuer::parse("https://tokens.example.com")?, ApiName::parse("orders")?);
//! let policies = PolicySet::compile(&Sources::read(folder.path())?, &surroundings, "2026-11-23T12:00:00Z".parse()?)?;
//! let orders = policies.api("orders").ok_or("no such API")?;
//!
//! let reader = Permissions { scopes: ScopeSet::from_iter([Scope::parse("orders:read")?]), ..Permissions::default() };
//! assert!(orders.decide("GET", "/orders/42", Some(&reader.subject())).is_allowed());
//! assert!(!orders.decide("DELETE", "/orders/42", Some(&reader.subject())).is_allowed());
//! assert!(!orders.decide("GET", "/orders/42", None).is_allowed());
//! # Ok(())
//! # }
//! ```

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
