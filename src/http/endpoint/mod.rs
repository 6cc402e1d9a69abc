//! One file for each group of endpoints.

pub(super) mod discovery;
pub(super) mod health;
pub(super) mod jwks;
pub(super) mod ops;
pub(super) mod principal;
pub(super) mod token;
