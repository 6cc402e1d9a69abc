//! **jeton** issues tokens that say what their bearer may do, not who the bearer is, and decides requests
//! by them and a folder of policies. No user table, no database.
//!
//! # The two flows
//!
//! ```text
//! request to token ([`issue`])
//!   form, header ─▶ ClientCredentials ─▶ AuthenticatedClient ─▶ ApprovedGrant ─▶ Claims ─▶ SignedToken
//!                     (claimed)            (shown)                (narrowed)
//!
//! token to decision ([`authorize`])
//!   header ─▶ BearerToken ─▶ VerifiedClaims ─▶ Principal ─▶ (method, canonical path) ─▶ Permit
//!              (claimed)      (signature held)                        │
//!                                                                     └▶ Denied
//! ```
//!
//! Each step consumes the type before it, and no other constructor is public. Everything that a decision
//! reads is in memory.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | none (`default-features = false`) | verification, policies, decisions: [`keys`], [`status`], [`policy`], [`token`], [`principal`], [`authorize`] |
//! | `actix` | the middleware [`Protect`](http::Protect) and the extractor of a [`Principal`](principal::Principal), for services that are written with actix |
//! | `server`, on by default | the service itself: everything that issues tokens, the settings, the command line |
//!
//! A service that protects its own API needs no `server`, and has then no code that signs, no settings and no
//! command line in it. `docs/services.md` shows one from the empty folder on.
//!
//! # Modules, in reading order
//!
//! Those with a star are there with `server` only.
//!
//! | module | holds |
//! |---|---|
//! | [`oauth`] | the vocabulary of the RFCs |
//! | [`clock`] | time as a parameter |
//! | [`event`] | what is logged, each event declared once |
//! | [`fetch`] | small documents by HTTP |
//! | `files` | files that are read whole, each with a bound; the last good content of those that change |
//! | [`gateway`] | who asks for others |
//! | [`jose`] | signed JSON as it travels |
//! | [`revocations`] | what else may end a token |
//! | [`keys`] | the keys that verify; with `server` those that sign, and their folder |
//! | [`status`] | revocation that offline verifiers see |
//! | [`clients`] | who may fetch tokens |
//! | [`policy`] | the policies folder: read, compiled, asked |
//! | [`store`]* | what is seen once over all replicas |
//! | [`authenticate`]* | how clients show who they are |
//! | [`token`] | claims to a token, a token to claims |
//! | [`grant`]* | what a client asks for, narrowed to what it is granted |
//! | [`principal`] | who is behind a request |
//! | [`resource`] | what an API says of itself to those who have no token |
//! | [`standing`] | which tokens are in force still |
//! | [`audit`] | decisions written down, and taken again by other policies |
//! | [`issue`]*, [`authorize`] | the two flows |
//! | [`reuse`]* | tokens that are handed out again |
//! | [`introspect`]*, [`revoke`]* | what else clients may ask of tokens |
//! | [`status_lists`]* | the lists of the clients, signed |
//! | [`config`]* | the settings |
//! | [`app`]* | everything loaded and wired, without HTTP |
//! | `follow`* | files that are read again while the service runs, without HTTP |
//! | [`http`] | actix: [`Protect`](http::Protect) with `actix`; the service with `server` |
//! | [`cli`]* | the commands |

pub mod app;
pub mod authenticate;
pub mod cli;
pub mod config;
pub mod event;
pub(crate) mod follow;
pub mod gateway;
pub mod grant;
pub mod http;
pub mod introspect;
pub mod issue;
pub mod keys;
mod private_file;
pub mod reuse;
pub mod revoke;
pub mod status_lists;
pub mod store;
pub mod token;
