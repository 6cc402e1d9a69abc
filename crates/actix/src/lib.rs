//! A guard before the handlers of actix-web: [`Protect`] lets through what jeton's policies allow, and handlers take a
//! [`Caller`].
//!
//! # Examples
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use jeton_actix::{Caller, Protect};
//! use jeton_verify::Authorizer;
//!
//! async fn orders(caller: Caller) -> HttpResponse {
//!     HttpResponse::Ok().json(caller.client())
//! }
//!
//! fn configure(authorizer: Authorizer, service: &mut web::ServiceConfig) {
//!     let orders = web::scope("/orders").wrap(Protect::new(authorizer)).route("", web::get().to(orders));
//!     service.service(orders);
//! }
//! # let _ = App::new();
//! ```
//!
//! [`Protect`] has a whole example, from the folder of policies to the answer.

mod bearer;
mod certificate;
pub mod event;

mod problem;
mod protect;
mod span;
mod trace_parent;

pub use bearer::{bearer_token, shown_proof};
pub use certificate::ClientCertificate;
pub use jeton_verify::{BearerFault, GuardFault, JudgedRequest, Refusal};
pub use problem::{GuardProblem, guard_response, guard_status, problem_document};
pub use protect::{Caller, Protect, Protected};
pub use span::RequestSpan;
pub use trace_parent::TraceParent;
