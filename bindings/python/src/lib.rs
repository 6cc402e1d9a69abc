//! `jeton._jeton`: `jeton-verify` for Python. What it offers stands in `python/jeton/_jeton.pyi`.
//!
//! A decision is made in the thread that asks for it. What is fetched beside the requests is fetched in a thread of the
//! [`process`], which never holds the lock of the interpreter. What Python is to hear of that thread goes through the
//! [`courier`].

mod authorizer;
mod courier;
mod decision;
mod engine;
mod options;
mod process;
mod values;

/// The engine of the package `jeton`.
#[pyo3::pymodule]
mod _jeton {
    #[pymodule_export]
    use crate::{
        authorizer::Authorizer,
        courier::{Mailbox, TokenReply},
        decision::{Decision, Principal},
    };
}
