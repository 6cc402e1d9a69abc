//! What a running service tells of itself.

mod log;
mod together;

pub use log::init as init_log;
