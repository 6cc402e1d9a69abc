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
//! # Modules, in reading order
//!
//! | module | holds |
//! |---|---|
//! | [`oauth`] | the vocabulary of the RFCs |
//! | [`clock`] | time as a parameter |
//! | [`fetch`] | small documents by HTTP |
//! | [`jose`] | signed JSON as it travels |
//! | [`keys`] | the keys that sign and verify, and their folder |
//! | [`status`] | revocation that offline verifiers see |
//! | [`clients`] | who may fetch tokens, and how they show who they are |
//! | [`policy`] | the policies folder: read, compiled, asked |
//! | [`store`] | what is seen once over all replicas |
//! | [`token`] | claims to a token, a token to claims |
//! | [`grant`] | what a client asks for, narrowed to what it is granted |
//! | [`principal`] | who is behind a request |
//! | [`standing`] | which tokens are in force still |
//! | [`audit`] | decisions written down, and taken again by other policies |
//! | [`issue`], [`authorize`] | the two flows |
//! | [`reuse`] | tokens that are handed out again |
//! | [`introspect`], [`revoke`] | what else clients may ask of tokens |
//! | [`status_lists`] | the lists of the clients, signed |
//! | [`config`] | the settings |
//! | [`http`] | actix |
//! | [`cli`] | the commands |

pub mod audit;
pub mod authorize;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod fetch;
pub mod grant;
pub mod http;
pub mod introspect;
pub mod issue;
pub mod jose;
pub mod keys;
pub mod oauth;
pub mod policy;
pub mod principal;
pub mod reuse;
pub mod revoke;
pub mod standing;
pub mod status;
pub mod status_lists;
pub mod store;
pub mod token;
