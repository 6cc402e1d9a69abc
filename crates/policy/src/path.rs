//! The one reading of a request's path on which decisions are made.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a path is not judged but refused: two servers might read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    /// A character that must not be in a path as it is.
    #[error("`{}` must not be in a path", .0.escape_default())]
    Forbidden(char),
    /// An escape that decodes to a character that must not be hidden in one.
    #[error("`{}` must not be in a path, not even as an escape", .0.escape_default())]
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
    /// It does not lie below the prefix of those who judge it.
    #[error("the path does not begin with the prefix at which the API is mounted")]
    Elsewhere,
    /// The request was routed by a path with other segments.
    #[error("the request was routed by a path that is not its own")]
    RoutedElsewhere,
}

impl BadPath {
    fn forbidden(raw: &str, position: usize) -> Self {
        let c = raw.get(position..).and_then(|rest| rest.chars().next());
        Self::Forbidden(c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

const MOST_SEGMENTS: usize = 64;

/// A path that every server reads the same way: absolute, percent-decoded once, nothing normalised away.
#[derive(Debug)]
pub struct CanonicalPath<'r> {
    /// The decoded path without its first slash.
    text: Cow<'r, str>,
    segments: Segments,
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
        let raw = target.strip_prefix('/').ok_or(BadPath::NotAbsolute)?;
        let mut segments = Segments::default();
        let mut end = raw.len();
        for (position, byte) in raw.bytes().enumerate() {
            match byte {
                b'/' => segments.end_at(position, raw)?,
                b'?' => {
                    end = position;
                    break;
                }
                b'%' => return Self::decode(raw.split_once('?').map_or(raw, |(path, _)| path)),
                b'\\' | b';' | b'#' | 0x00..=0x20 | 0x7f.. => {
                    return Err(BadPath::forbidden(raw, position));
                }
                _ => {}
            }
        }
        segments.end(end, raw)?;
        Ok(Self { text: Cow::Borrowed(raw.get(..end).unwrap_or_default()), segments })
    }

    /// Reads a path with escapes: decoded once, and then without what servers disagree about.
    fn decode(raw: &'r str) -> Result<Self, BadPath> {
        if raw.len() >= Self::LONGEST {
            return Err(BadPath::TooLong);
        }
        let mut bytes = raw.bytes().enumerate();
        while let Some((position, byte)) = bytes.next() {
            match byte {
                b'%' => {
                    let digits = [bytes.next(), bytes.next()];
                    if !digits.iter().all(|digit| digit.is_some_and(|(_, digit)| digit.is_ascii_hexdigit())) {
                        return Err(BadPath::MalformedEscape);
                    }
                }
                b'\\' | b';' | b'#' | 0x00..=0x20 | 0x7f.. => {
                    return Err(BadPath::forbidden(raw, position));
                }
                _ => {}
            }
        }
        let text = percent_decode_str(raw).decode_utf8().map_err(|_| BadPath::NotUtf8)?;
        let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
        if slashes(&text) != slashes(raw) {
            return Err(BadPath::Escaped('/'));
        }
        let hidden = |c: &char| c.is_control() || matches!(c, '\\' | '%' | ';' | '?' | '#');
        if let Some(c) = text.chars().find(hidden) {
            return Err(BadPath::Escaped(c));
        }
        let mut segments = Segments::default();
        for (position, _) in text.match_indices('/') {
            segments.end_at(position, &text)?;
        }
        segments.end(text.len(), &text)?;
        Ok(Self { text, segments })
    }

    /// The decoded segments; a trailing slash makes an empty last one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/')
    }

    /// The decoded segment at `index`; a trailing slash makes an empty last one.
    pub(super) fn segment(&self, index: usize) -> Option<&str> {
        let (start, end) = self.segments.range(index)?;
        self.text.get(start..end)
    }

    /// Whether the last segment is empty.
    pub(super) fn ends_with_slash(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('/')
    }
}

/// The segments at which an API is mounted: they stand before each path that its policies name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefix(Box<[Box<str>]>);

impl PathPrefix {
    /// Reads a prefix such as `/tokens`; the empty text is the prefix of every path.
    ///
    /// # Errors
    /// [`BadPath`] for what [`CanonicalPath::parse`] refuses, and for a slash or a query at the end.
    pub fn parse(prefix: &str) -> Result<Self, BadPath> {
        if prefix.is_empty() {
            return Ok(Self::default());
        }
        if prefix.contains('?') {
            return Err(BadPath::Forbidden('?'));
        }
        let path = CanonicalPath::parse(prefix)?;
        if path.ends_with_slash() {
            return Err(BadPath::EmptySegment);
        }
        Ok(Self::of(path.segments()))
    }

    /// The prefix of these segments, which are not escaped.
    pub fn of<'s>(segments: impl IntoIterator<Item = &'s str>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// What stands behind the prefix in a request target, as it was sent. The prefix may be spelled with escapes, as
    /// in every path; its segments are compared decoded. What remains is not judged yet.
    ///
    /// # Errors
    /// [`BadPath::Elsewhere`] where the target does not begin with every segment of the prefix.
    pub fn cut<'t>(&self, target: &'t str) -> Result<&'t str, BadPath> {
        self.0.iter().try_fold(target, |rest, segment| {
            let rest = rest.strip_prefix('/').ok_or(BadPath::Elsewhere)?;
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (sent, behind) = rest.split_at_checked(end).ok_or(BadPath::Elsewhere)?;
            let is_it = percent_decode_str(sent).eq(segment.bytes());
            if is_it { Ok(behind) } else { Err(BadPath::Elsewhere) }
        })
    }
}

/// Where the segments of a path end.
#[derive(Debug)]
struct Segments {
    ends: [u16; MOST_SEGMENTS],
    count: usize,
    /// Where the next segment starts.
    next: usize,
}

impl Default for Segments {
    fn default() -> Self {
        Self { ends: [0; MOST_SEGMENTS], count: 0, next: 0 }
    }
}

impl Segments {
    /// Ends a segment of `text` before the slash at this byte.
    fn end_at(&mut self, slash: usize, text: &str) -> Result<(), BadPath> {
        if slash == self.next {
            return Err(BadPath::EmptySegment);
        }
        self.end(slash, text)
    }

    /// Ends a segment of `text` before this byte.
    fn end(&mut self, end: usize, text: &str) -> Result<(), BadPath> {
        // with the first slash, which is not in `text`
        if end >= CanonicalPath::LONGEST {
            return Err(BadPath::TooLong);
        }
        let segment = text.as_bytes().get(self.next..end).unwrap_or_default();
        if segment.first() == Some(&b'.') && segment.iter().all(|byte| *byte == b'.') {
            return Err(BadPath::Dots);
        }
        let room = self.ends.get_mut(self.count).ok_or(BadPath::TooManySegments)?;
        *room = u16::try_from(end).map_err(|_| BadPath::TooLong)?;
        self.count += 1;
        self.next = end + 1;
        Ok(())
    }

    fn range(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.count {
            return None;
        }
        let end = usize::from(*self.ends.get(index)?);
        let start = match index.checked_sub(1) {
            Some(previous) => usize::from(*self.ends.get(previous)?) + 1,
            None => 0,
        };
        Some((start, end))
    }
}
