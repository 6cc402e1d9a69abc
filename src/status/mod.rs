//! Token Status Lists (draft-ietf-oauth-status-list): revocation that offline verifiers see, computed from
//! the policy files alone.
//!
//! There is one list for each client, with a bit for each minute since 2026: a token points to the minute in
//! which it was issued, and a client's `revoked_before` sets every bit before it. Nothing is allocated, so
//! nothing has to be remembered.

mod reference;

pub use reference::{StatusHandle, StatusReference, index_of};
