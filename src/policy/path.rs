//! The one reading of a request's path on which decisions are made.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a path is not judged but refused: two servers might read it differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It does not start with `/`.
    #[error("the path is empty or does not start with `/`")]
    NotAbsolute,
    /// Over [`CanonicalPath::LONGEST`] bytes.
    #[error("the path is longer than 8 KiB")]
    TooLong,
    /// Over [`CanonicalPath::MOST_SEGMENTS`] segments.
    #[error("the path has more than 64 segments")]
    TooManySegments,
    /// A character that must not stand in a path as it is.
    #[error("`{}` must not stand in a path", .0.escape_default())]
    Forbidden(char),
    /// An escape that decodes to a character that must not be hidden in one.
    #[error("`{}` must not stand in a path, and not as an escape either", .0.escape_default())]
    Escaped(char),
    /// `%` without two hexadecimal digits.
    #[error("a `%` is not followed by two hexadecimal digits")]
    MalformedEscape,
    /// The escapes decode to bytes that are no text.
    #[error("the escapes do not decode to UTF-8")]
    NotUtf8,
    /// `//`.
    #[error("an empty segment (`//`)")]
    EmptySegment,
    /// `.`, `..`, `...`, in any spelling.
    #[error("a segment made only of dots")]
    Dots,
}

const MOST_SEGMENTS: usize = 64;

/// A path that every server reads the same way: absolute, percent-decoded once, nothing normalised away.
#[derive(Debug)]
pub struct CanonicalPath<'r> {
    /// The decoded path without its first slash.
    text: Cow<'r, str>,
    /// Where each segment ends in `text`.
    ends: [u16; MOST_SEGMENTS],
    segments: usize,
}

impl<'r> CanonicalPath<'r> {
    /// The longest path that is judged, in bytes as sent.
    pub const LONGEST: usize = 8 * 1024;
    /// The most segments that are judged.
    pub const MOST_SEGMENTS: usize = MOST_SEGMENTS;

    /// Reads the path of a request target in origin form (RFC 9112 section 3.2.1), up to the first `?`.
    ///
    /// # Errors
    /// [`BadPath`] for whatever two servers might read differently.
    pub fn parse(target: &'r str) -> Result<Self, BadPath> {
        let raw = target.split_once('?').map_or(target, |(path, _)| path);
        if raw.len() > Self::LONGEST {
            return Err(BadPath::TooLong);
        }
        let raw = raw.strip_prefix('/').ok_or(BadPath::NotAbsolute)?;
        let text = decode(raw)?;
        let mut ends = [0; Self::MOST_SEGMENTS];
        let mut segments = 0;
        let mut start = 0;
        loop {
            let rest = text.get(start..).unwrap_or_default();
            let (segment, is_last) = match rest.split_once('/') {
                Some((segment, _)) => (segment, false),
                None => (rest, true),
            };
            if segment.is_empty() && !is_last {
                return Err(BadPath::EmptySegment);
            }
            if !segment.is_empty() && segment.bytes().all(|byte| byte == b'.') {
                return Err(BadPath::Dots);
            }
            let end = start + segment.len();
            *ends.get_mut(segments).ok_or(BadPath::TooManySegments)? =
                u16::try_from(end).map_err(|_| BadPath::TooLong)?;
            segments += 1;
            if is_last {
                return Ok(Self { text, ends, segments });
            }
            start = end + 1;
        }
    }

    /// The decoded segment at `index`; a trailing slash makes an empty last one.
    pub(super) fn segment(&self, index: usize) -> Option<&str> {
        if index >= self.segments {
            return None;
        }
        let end = usize::from(*self.ends.get(index)?);
        let start = match index.checked_sub(1) {
            Some(previous) => usize::from(*self.ends.get(previous)?) + 1,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// Whether the last segment is empty.
    pub(super) fn ends_with_slash(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('/')
    }
}

/// Percent-decodes once, without the characters that servers disagree about.
fn decode(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    let mut bytes = raw.bytes();
    let mut escaped = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                escaped = true;
                let digits = [bytes.next(), bytes.next()];
                if !digits.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())) {
                    return Err(BadPath::MalformedEscape);
                }
            }
            b'\\' | b';' | b'#' | b' ' | 0x00..=0x1f | 0x7f.. => {
                return Err(BadPath::Forbidden(char::from(byte)));
            }
            _ => {}
        }
    }
    if !escaped {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| BadPath::NotUtf8)?;
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    if slashes(&decoded) != slashes(raw) {
        return Err(BadPath::Escaped('/'));
    }
    let hidden = |c: &char| c.is_control() || matches!(c, '\\' | '%' | ';' | '?' | '#');
    match decoded.chars().find(hidden) {
        Some(c) => Err(BadPath::Escaped(c)),
        None => Ok(decoded),
    }
}
