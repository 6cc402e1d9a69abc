//! Paths of a document as the patterns of routes.

use std::collections::BTreeSet;

use jeton_oauth::text::printable;
use jeton_policy::Route;
use percent_encoding::percent_decode_str;

use super::document::{self, DocumentText};

/// A path as a route has it.
pub(super) struct Pattern {
    pub(super) text: String,
    /// The same for all patterns that match the same paths.
    pub(super) shape: String,
    /// The parameters that have other names in the document.
    pub(super) renamed: Vec<String>,
}

/// What an expression in braces may stand for in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expression {
    /// One segment, or a part of one.
    Parameter,
    /// A query or a fragment, which is no part of the path.
    NoPath,
    /// Text within a segment, or nothing.
    Part,
    /// One segment or more.
    Segments,
    /// Segments, or nothing.
    MaybeSegments,
}

/// The pattern of an operation, if there is a route for it.
pub(super) fn route(
    method: &str,
    base: &str,
    path: &str,
    says: &document::OperationObject,
) -> Result<Pattern, String> {
    if let Some(DocumentText(reference)) = &says.reference {
        return Err(format!("`$ref: {reference}` stands in the place of an operation: write it out"));
    }
    let pattern = pattern(base, path)?;
    let text = format!("{method} {}", pattern.text);
    if printable(&text) != text {
        return Err("a character of it is not seen".to_owned());
    }
    match Route::parse(&text) {
        Ok(_) => Ok(pattern),
        Err(bad) => Err(bad.message),
    }
}

/// A path with parameters by names that routes have, and with literals as they are after decoding.
fn pattern(base: &str, path: &str) -> Result<Pattern, String> {
    if !path.starts_with('/') {
        return Err("a path begins with `/`".to_owned());
    }
    let path = format!("{base}{path}");
    let mut pattern = Pattern { text: String::new(), shape: String::new(), renamed: Vec::new() };
    let mut names = BTreeSet::new();
    let mut rest = path.as_str();
    loop {
        let (before, after) =
            rest.split_once('{').map_or((rest, None), |(before, after)| (before, Some(after)));
        let before = literal(before)?;
        pattern.text.push_str(&before);
        pattern.shape.push_str(&before);
        let Some(after) = after else { return Ok(pattern) };
        let (written, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
        let name = parameter(written, &mut names)?;
        if name != written {
            pattern.renamed.push(written.to_owned());
        }
        pattern.text.extend(["{", &name, "}"]);
        pattern.shape.push_str("{}");
        rest = after;
    }
}

/// What stands between parameters, decoded.
pub(super) fn literal(text: &str) -> Result<String, String> {
    let star = "a `*` stands for itself in OpenAPI, and for more in a route";
    if text.contains('*') {
        return Err(star.to_owned());
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| format!("`{text}` is not UTF-8"))?;
    if ['/', '{', '}', '*'].iter().any(|c| decoded.matches(*c).count() != text.matches(*c).count()) {
        return Err(format!("`{text}` has an escape that no route has"));
    }
    Ok(decoded.into_owned())
}

impl Expression {
    /// What stands in braces, of OpenAPI, of URI templates (RFC 6570 section 3.2), or of a web framework.
    pub(super) fn of(written: &str) -> Self {
        if written.starts_with(['?', '&', '#']) {
            Self::NoPath
        } else if written.starts_with('/') || written.ends_with('?') {
            Self::MaybeSegments
        } else if written.starts_with(['.', ';']) {
            Self::Part
        } else if written.contains(['*', '+', '=', '|', '/', '{']) || written.contains("...") {
            Self::Segments
        } else {
            Self::Parameter
        }
    }
}

/// A name for a parameter, of the characters that names have, and which no other of the path has.
fn parameter(written: &str, names: &mut BTreeSet<String>) -> Result<String, String> {
    if written.is_empty() {
        return Err("`{}` names no parameter".to_owned());
    }
    match Expression::of(written) {
        Expression::Parameter => {}
        Expression::NoPath => return Err(format!("`{{{written}}}` is no part of the path")),
        Expression::Part => {
            return Err(format!("`{{{written}}}` may stand for nothing, or a part of a segment"));
        }
        Expression::MaybeSegments if written.ends_with('?') => {
            return Err(format!("`{{{written}}}` may be absent: write a path with it and one without"));
        }
        Expression::Segments | Expression::MaybeSegments => {
            return Err(format!("`{{{written}}}` may stand for more than one segment"));
        }
    }
    let word = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let mut name: String = written.chars().map(word).collect();
    if name != written {
        let trimmed = name.trim_matches('_');
        name = if trimmed.is_empty() { "parameter".to_owned() } else { trimmed.to_owned() };
    }
    let mut distinct = name.clone();
    let mut number = 1;
    while !names.insert(distinct.clone()) {
        number += 1;
        distinct = format!("{name}-{number}");
    }
    Ok(distinct)
}
