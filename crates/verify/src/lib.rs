//! All that a service needs to take tokens of jeton, without a web framework.
//!
//! Each step consumes the type before it, and no other constructor is public:
//!
//! ```text
//! BearerToken ─▶ VerifiedClaims ─▶ InForce ─▶ Held ─▶ Principal ─▶ (method, canonical path) ─▶ Permit
//!  (claimed)      (signature)   (not revoked) (its holder's)                  │
//!                                                                             └▶ Denied
//! ```
//!
//! Everything that a decision reads is in memory. It waits for at most one fetch of a key ([`JwksSource`]), of a status
//! list ([`status`]) and of a bundle ([`BundleSource`]) that are not known yet. `jeton-actix` guards a service that is
//! written with actix-web.
//!
//! # Examples
//!
//! By the issuer's address alone, from which keys, policies and status lists are followed ([`ServiceOptions`]):
//!
//! ```no_run
//! # async fn serve() -> Result<(), jeton_verify::ServiceError> {
//! use jeton_verify::Authorizer;
//!
//! let authorizer = Authorizer::from_issuer("https://tokens.example.com", "orders")?;
//! let answer = authorizer.answer("GET", "/orders?page=2", Some(b"Bearer eyJ...".as_slice())).await;
//! println!("{} {:?}", answer.status, answer.headers);
//! # Ok(())
//! # }
//! ```
//!
//! By a folder of policies and a key set, without asking anybody:
//!
//! ```
//! use std::{fs, sync::Arc, time::Duration};
//!
//! use jeton_jose::PublicKeys;
//! use jeton_oauth::{ApiName, Issuer, clock::ManualClock};
//! use jeton_policy::{LivePolicies, Surroundings};
//! use jeton_verify::{Authorizer, BearerToken, Denied, Verifier};
//!
//! # const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"one",
//! #     "x":"WzFX-_IFaIiA6kVJz2xmGqBZND7w3mkbmZm1D-sO0qU","y":"9ASjTXJrs-X-3i0kDajoU9BUJoDI5c4urs4uet9rALc"}]}"#;
//! # const TOKEN: &str = concat!(
//! #     "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL3Rva2Vucy5leGFtcGxlLmN",
//! #     "vbSIsInN1YiI6ImFjbWUtc3luYyIsImF1ZCI6Imh0dHBzOi8vb3JkZXJzLmV4YW1wbGUuY29tIiwiZXhwIjoxNzk1NDM2MTAwLCJ",
//! #     "pYXQiOjE3OTU0MzUyMDAsImp0aSI6InQxIiwiY2xpZW50X2lkIjoiYWNtZS1zeW5jIiwic2NvcGUiOiJvcmRlcnM6cmVhZCJ9.iZ",
//! #     "fxfXy0IES6zlPngfMExsYsTjDYhZFE93VHaIh_QJT0wRtGnYRNp6IeYd0sEuGNz8P_xctf0aKp1EVNbzT15g",
//! # );
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! fs::write(
//!     folder.path().join("orders.yaml"),
//!     "version: 1
//! scopes:
//!   orders:read: Read orders
//!   orders:write: Place orders
//! apis:
//!   orders:
//!     audience: https://orders.example.com
//!     rules:
//!       read:
//!         routes: [GET /orders]
//!         require: { scope: orders:read }
//!       write:
//!         routes: [POST /orders]
//!         require: { scope: orders:write }
//! ",
//! )?;
//!
//! let clock = Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse()?)); // a service takes `SystemClock`
//! let issuer = Issuer::parse("https://tokens.example.com")?;
//! let api = ApiName::parse("orders")?;
//! let surroundings = Surroundings::of_service(&issuer, api.clone());
//! let policies = Arc::new(LivePolicies::load(folder.path(), surroundings, clock.clone())?);
//! let keys = Arc::new(PublicKeys::from_jwks(JWKS.as_bytes())?);
//! let verifier = Verifier::new(issuer, keys, Duration::from_secs(30), clock);
//! let authorizer = Authorizer::new(verifier, policies, api);
//!
//! // a token of `acme-sync` with the scope `orders:read`
//! let token = BearerToken::new(TOKEN);
//! let permit = authorizer.authorize("GET", "/orders", Some(&token)).await.ok().ok_or("refused")?;
//! assert_eq!(permit.rule(), "read");
//! assert_eq!(permit.principal().and_then(|bearer| bearer.client()).map(|client| client.as_str()), Some("acme-sync"));
//!
//! let denied = authorizer.authorize("POST", "/orders", Some(&token)).await.err().ok_or("allowed")?;
//! let Denied::NotAllowed(why) = denied else { return Err("the token is good".into()) };
//! assert_eq!(why.scopes_that_would_do.map(|scopes| scopes.to_string()).as_deref(), Some("orders:write"));
//!
//! assert!(matches!(authorizer.authorize("GET", "/orders", None).await, Err(Denied::NoToken(_))));
//! # Ok(())
//! # }
//! ```

mod answer;
pub mod audit;
mod authorize;
mod bundle;
mod credentials;
pub mod event;
pub mod fetch;
pub mod gateway;
mod keep;
mod keys;
mod policies;
mod possession;
mod principal;
mod resource;
mod revocations;
mod service;
mod standing;
pub mod status;
mod token;

pub use answer::{Answer, GuardFault, JudgedRequest, Refusal, problem_json};
pub use authorize::{
    AccessRequest, Authorizer, Denied, ExplainedAsker, ExplainedRequest, NoAnswer, NoToken, NotAllowed,
    Permit,
};
pub use bundle::{Bundle, BundleSource, BundleState, BundleTerms, InvalidBundle, PoliciesUnknown};
pub use credentials::{GiveToken, ServiceCredentials};
pub use fetch::FailedFetch;
pub use keep::KeepError;
pub use keys::{JwksOptions, JwksSource, JwksSourceError, JwksState, KeySource, TrustedKeys};
pub use policies::{PolicySource, Unavailable};
pub use possession::{
    DPOP_ALGORITHMS, DpopProof, Held, InvalidOrigin, NotNoted, Origin, PossessionFault, ProofFault,
    ProofTerms, SeenProofs, Shown, ShownProof, TargetUri, UsedProof, certificate_thumbprint,
};
pub use principal::Principal;
pub use resource::{NoMetadata, ResourceMetadata};
pub use revocations::{Revocations, RevocationsUnknown};
pub use service::{ServiceError, ServiceOptions};
pub use standing::{InForce, NotInForce, Standing};
pub use token::{
    AT_JWT, BearerFault, BearerToken, InsecureParts, Revocable, TokenError, TokenOrigin, TokenPayload,
    TokenScheme, VerifiedClaims, Verifier, bearer_token, insecure_parts,
};
