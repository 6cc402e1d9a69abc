//! A rule of an API, by its name and place.

use std::sync::Arc;

use serde::Serialize;

use super::position::FileIndex;

/// A rule of an API.
#[derive(Debug)]
pub struct PolicyRule {
    pub(super) name: Arc<str>,
    pub(super) file: FileIndex,
    pub(super) line: u32,
}

impl PolicyRule {
    /// Its name within the API.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, to be kept beyond the policies.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// A rule and its place in the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RulePlace {
    /// Its name.
    pub rule: String,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}
