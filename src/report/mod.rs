//! What operators are told in JSON: by `/ops/*`, by commands with `--format json`, and by the console. One form of each,
//! wherever it is asked for.

mod clients;
mod issuers;
mod keys;
mod names;
mod policies;

pub(crate) use self::{
    clients::{client, client_with_uses, shown_certificate},
    issuers::issuer,
    keys::{key_errors, keys, keys_with_advice},
    names::names,
    policies::{candidate, rejection},
};
