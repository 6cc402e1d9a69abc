//! The shared store.

use crate::store::StoreState;

/// How the store is, in words.
pub(crate) fn store_status(state: StoreState) -> &'static str {
    match state {
        StoreState::Memory => "memory",
        StoreState::Ready => "ready",
        StoreState::Unreachable => "unreachable",
        StoreState::NotYetRead => "not yet read",
    }
}
