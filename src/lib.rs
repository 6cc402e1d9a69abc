//! **jeton** issues tokens that say what their bearer may do, not who the bearer is, and decides requests
//! by them and a folder of policies. No user table, no database.
//!
//! This crate is the service and its commands. A service that protects its own API takes `jeton-verify` or
//! `jeton-actix` instead; `docs/services.md` shows one from the empty folder on.
//!
//! # The first flow: request to token
//!
//! ```text
//! form, header ─▶ ClientCredentials ─▶ AuthenticatedClient ─▶ ApprovedGrant ─▶ Claims ─▶ SignedToken
//!                   (claimed)            (shown)                (narrowed)
//! ```
//!
//! Each step consumes the type before it, and no other constructor is public. The second flow, token to decision, is
//! in `jeton-verify`.
//!
//! # Modules, in reading order
//!
//! | module | holds |
//! |---|---|
//! | [`authenticate`] | how a client shows which one it is |
//! | [`grant`] | what a client asks for, narrowed to what it is granted |
//! | [`binding`] | what a new token is bound to |
//! | [`keys`] | the issuer's own keys, and their folder |
//! | [`token`] | claims to a signed token; refresh tokens |
//! | [`store`] | what is seen once over all replicas |
//! | [`limits`] | how often clients may ask, and addresses may fail |
//! | [`issue`] | the first flow |
//! | [`reuse`] | tokens that are handed out again |
//! | [`introspect`], [`revoke`] | what else clients may ask of tokens |
//! | [`authzen`] | what a client may do, for who asks by `AuthZEN` |
//! | [`tls`] | the certificates of the listeners |
//! | [`federation`] | tokens of other issuers, and their keys |
//! | [`status_lists`] | the status lists of the clients, signed |
//! | [`gateway`] | who asks for others |
//! | [`config`] | the settings |
//! | [`app`] | everything loaded and wired, without HTTP |
//! | `follow` | files that are read again while the service runs, without HTTP |
//! | [`event`] | every log event |
//! | [`telemetry`] | what a running service tells of itself: its log, its metrics, its traces |
//! | [`http`] | actix: connections, routes, endpoints |
//! | `report` | what operators are told in JSON |
//! | `console` | the console: a page, and its questions |
//! | `admin` | the admin listener |
//! | [`server`] | the listeners, their start and their end |
//! | [`cli`] | the commands |

pub(crate) mod admin;
pub mod app;
pub mod authenticate;
pub mod authzen;
pub mod binding;
pub mod bundles;
pub mod cli;
pub mod config;
pub(crate) mod console;
pub mod event;
pub mod federation;
pub(crate) mod follow;
pub mod gateway;
mod git;
pub mod grant;
pub mod http;
mod inspect;
pub mod introspect;
pub mod issue;
pub mod keys;
pub mod limits;
mod made;
mod private_file;
pub(crate) mod report;
pub mod reuse;
pub mod revoke;
pub mod server;
mod service_manager;
pub mod status_lists;
pub mod store;
pub mod telemetry;
mod terminal;
pub mod tls;
pub mod token;
