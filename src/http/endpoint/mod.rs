//! One file for each group of endpoints.

pub(super) mod authorize;
pub(super) mod authz;
pub(super) mod authzen;
pub(super) mod bundle;
pub(super) mod cached;
pub(super) mod client;
pub(super) mod discovery;
pub(super) mod health;
pub(super) mod introspect;
pub(super) mod jwks;
pub(super) mod metrics;
pub(super) mod ops;
pub(super) mod principal;
pub(super) mod revoke;
pub(super) mod root;
pub(super) mod status;
pub(super) mod token;
