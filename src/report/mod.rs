//! What operators ask and are told in JSON: by `/ops/*`, by commands with `--format json`, and by the console. One form of each,
//! wherever it is asked for.

mod clients;
mod issuers;
mod keys;
mod names;
mod overview;
mod policies;
mod problems;
mod question;
mod store;
mod tls;

pub(crate) use self::{
    clients::{client, client_with_uses, shown_certificate},
    issuers::issuer,
    keys::{key_errors, keys, keys_with_advice},
    names::names,
    overview::Overview,
    policies::{candidate, rejection},
    question::{BadQuestion, WrittenQuestion},
    store::store_status,
    tls::{certificate, tls_rejection},
};
