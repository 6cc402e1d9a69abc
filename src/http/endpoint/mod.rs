//! One file for each group of endpoints.

mod cached;
pub(super) mod discovery;
pub(super) mod health;
pub(super) mod jwks;
pub(super) mod ops;
pub(super) mod principal;
pub(super) mod status;
pub(super) mod token;
