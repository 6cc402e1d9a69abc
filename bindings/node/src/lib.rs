//! `jeton-verify` for Node. What a user sees of it stands in `lib/`.
//!
//! A decision is made in the thread that asks for it. What is fetched beside the requests is fetched in threads of the
//! [`engine`], which never enter JavaScript: decisions and events of the log go to the event loop as messages.

mod engine;
mod giver;
mod listener;
mod options;
mod shown;
