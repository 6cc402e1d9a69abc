//! Segments as they are sent.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::path::CanonicalPath;

/// The most paths of one grid that are looked at.
pub(super) const MOST_POINTS: usize = 1 << 16;

/// What must be escaped in a segment (RFC 3986 section 3.3), and `;`, which is refused bare.
pub(super) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A segment as it is sent.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Whether a path can have this segment.
pub(crate) fn is_segment(text: &str) -> bool {
    !text.is_empty() && CanonicalPath::parse(&format!("/{}", encoded(text))).is_ok()
}
