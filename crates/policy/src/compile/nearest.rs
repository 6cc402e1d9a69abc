//! What a name that nothing defines may have been meant to be.

use std::collections::HashMap;

use crate::finding::did_you_mean;

/// The names nearest to those that nothing defines.
#[derive(Default)]
pub(super) struct Nearest {
    /// By what it is the name of, and the name. Thousands of clients may name the same API.
    found: HashMap<(&'static str, String), Option<String>>,
    /// How many characters were compared, each with each of another name.
    compared: usize,
}

impl Nearest {
    /// How many characters are worth it: a name of 20 beside 125,000 others. Where thousands of names are missing
    /// beside thousands of others, no slip explains it.
    const MOST: usize = 50_000_000;

    pub(super) fn hint<'k>(
        &mut self,
        what: &'static str,
        written: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Option<String> {
        let Self { found, compared } = self;
        let hint = found.entry((what, written.to_owned())).or_insert_with(|| {
            if *compared > Self::MOST {
                return None;
            }
            let count = |name: &&str| *compared += name.len() * name.len().min(written.len());
            did_you_mean(written, known.inspect(count))
        });
        hint.clone()
    }
}
