//! Names of scopes and rules.

use std::collections::{BTreeMap, BTreeSet};

/// The longest name that is made of a document's words, in bytes; a number may follow.
const LONGEST: usize = 100;

/// A name of ASCII letters, digits, `.`, `_` and `/`, with `-` for all else; none where nothing is left.
pub(super) fn slug(text: &str) -> Option<String> {
    fitted(text, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/'))
}

/// A scope with `-` for what scopes cannot hold (RFC 6749 section 3.3); none where nothing is left.
pub(super) fn as_scope(text: &str) -> Option<String> {
    fitted(text, |c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '-'))
}

fn fitted(text: &str, is_kept: fn(char) -> bool) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        if is_kept(c) {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() == LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Names that differ: of several that are the same, all but the first get a number.
pub(super) fn distinct<'n>(wanted: impl IntoIterator<Item = &'n String>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |wanted: &'n String| {
        let mut name = wanted.clone();
        while !taken.insert(name.clone()) {
            let number = last.entry(wanted).or_insert(1);
            *number += 1;
            name = format!("{wanted}-{number}");
        }
        name
    };
    wanted.into_iter().map(name).collect()
}
