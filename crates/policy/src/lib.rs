//! Policies: from the files of a folder to a decision.
//!
//! In reading order: [`PolicySources`] (files) -> `yaml` (nodes with places) -> `document` (what a file says) ->
//! [`PolicyDraft::compile`] (every name resolved) -> [`PolicySet`] (guarantees proved, tests passed) -> [`ProtectedApi::decide`].
//! Nothing here knows of HTTP, tokens or settings. A decision is about a method, a path and a [`Subject`].
//!
//! # Examples
//!
//! ```
//! use std::fs;
//!
//! use jeton_oauth::{ApiName, Issuer, Scope, ScopeSet};
//! use jeton_policy::{Permissions, PolicySet, PolicySources, Surroundings};
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
//! let policies = PolicySet::compile(&PolicySources::read(folder.path())?, &surroundings, "2026-11-23T12:00:00Z".parse()?)?;
//! let orders = policies.api("orders").ok_or("no such API")?;
//!
//! let reader = Permissions { scopes: ScopeSet::from_iter([Scope::parse("orders:read")?]), ..Permissions::default() };
//! assert!(orders.decide("GET", "/orders/42", Some(&reader.subject())).is_allowed());
//! assert!(!orders.decide("DELETE", "/orders/42", Some(&reader.subject())).is_allowed());
//! assert!(!orders.decide("GET", "/orders/42", None).is_allowed());
//! # Ok(())
//! # }
//! ```

pub mod bundle;
mod candidate;
mod cases;
mod claim;
mod client_tokens;
pub mod clients;
mod compile;
mod condition;
mod decision;
mod diff;
mod document;
mod edit;
mod explain;
pub mod federation;
pub mod files;
mod finding;
mod granted;
mod guarantee;
mod lacking;
mod lines;
mod lint;
mod listed;
mod live;
mod matrix;
mod natural;
mod path;
mod pattern;
mod policy_text;
mod position;
mod read;
mod revoke;
mod route;
mod rule;
mod schema;
mod set;
mod shown;
mod source;
mod space;
mod spelling;
mod subject;
mod trie;
mod yaml;

pub use crate::files::{Rejection, Reload, Swapped};
pub use candidate::{CandidatePolicies, CandidateReload};
pub use cases::{CaseOutcome, ExpectedOutcome, UntestedRule};
pub use compile::{DefinedCounts, DemoSecrets, NeededApi, PolicyDraft, Surroundings};
pub use decision::{Decision, Denial, Grounds};
pub use diff::{
    ChangeEffect, ChangeKind, ChangedFor, DiffCounts, DiffEffort, DiffSummary, ForeignToken, PolicyChange,
    PolicyDiff,
};
pub use document::schema;
pub use edit::{EditError, EditedFile, scalar};
pub use explain::{
    ExplainedAlternative, ExplainedCondition, ExplainedRoute, Explanation, LessSpecific, NoSuchClaims,
};
pub use finding::{Finding, FindingCode, Findings, Severity, did_you_mean};
pub use granted::{GrantedDecision, GrantedTokens};
pub use lacking::{AccessGap, ClientAccess, ConditionMet, JudgedAlternative, JudgedCondition};
pub use listed::ListedRoute;
pub use live::{LivePolicies, PolicyReload, PolicySnapshot, ReplacedPolicies};
pub use matrix::{
    AccessCode, AccessMatrix, CompactMatrix, CompactRoute, MatrixAccess, MatrixClient, MatrixRoute,
};
pub use natural::NaturalOrder;
pub use path::{BadPath, CanonicalPath, PathPrefix};
pub use revoke::{PrunedEntry, TokenRevocation};
pub use route::{Method, Route};
pub use rule::{PolicyRule, RulePlace};
pub use set::{BundleAccess, PdpState, PolicySet, ProtectedApi};
pub use shown::{NumberedLine, RuleText, ShownText, ShownTexts, WithheldText};
pub use source::{ContentHash, PolicySources};
pub use space::{Witness, WitnessToken};
pub use spelling::BadRoute;
pub use subject::{BadSub, Permissions, Subject};
