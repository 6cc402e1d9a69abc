//! The policies from outside: folders of files, decisions, proofs, and two models that share nothing with the engine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test may stop at the first surprise, in its helpers too"
)]

mod broken_policies;
mod canonical_path;
mod conditions;
mod endings;
mod exact;
mod federation;
mod found;
mod lacking;
mod policy_text;
mod polling;
mod public_keys;
mod route_model;
mod routes;
mod shown_texts;
mod warned_policies;
