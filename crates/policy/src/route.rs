//! Routes: a method and a path pattern.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    path::CanonicalPath,
    spelling::{self, BadRoute},
};

/// What is escaped in a segment: all but the unreserved characters (RFC 3986 section 2.3).
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request method that policies can allow (RFC 9110 section 9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
}

impl Method {
    /// Every method; what `ANY` covers.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The method of this name, byte by byte; methods are case-sensitive (RFC 9110 section 9.1).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RouteMethod {
    Named(Method),
    Any,
}

impl RouteMethod {
    /// How exactly this names `method`: a named one before `GET` for `HEAD` before `ANY`. Smaller is
    /// more specific; `None` does not match.
    pub(super) fn precision(self, method: Method) -> Option<u8> {
        match (self, method) {
            (Self::Named(named), method) if named == method => Some(0),
            (Self::Named(Method::Get), Method::Head) => Some(1),
            (Self::Named(_), _) => None,
            (Self::Any, _) => Some(2),
        }
    }
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text; empty only at the end, for a trailing slash.
    Literal(Box<str>),
    /// One whole segment that is not empty.
    Parameter(Box<str>),
    /// A text that is not empty, and behind it this ending, which starts with `:` or `.`.
    Ended { name: Box<str>, ending: Box<str> },
    /// One or more segments, the last not empty; only at the end.
    Rest,
    /// One or more segments and a slash at the end; only at the end.
    RestWithSlash,
}

/// Where a parameter stands in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ParameterPlace {
    /// The segment, from 0.
    pub(super) segment: u8,
    /// How many bytes of it are the ending. The parameter does not have them.
    pub(super) ending: u16,
}

impl ParameterPlace {
    /// What a path has there.
    pub(super) fn of<'p>(self, path: &'p CanonicalPath<'_>) -> Option<&'p str> {
        self.of_segment(path.segment(usize::from(self.segment))?)
    }

    /// What its segment has there.
    pub(super) fn of_segment(self, segment: &str) -> Option<&str> {
        segment.get(..segment.len().checked_sub(usize::from(self.ending))?)
    }
}

/// Whether a segment is something that is not empty, and behind it this ending.
pub(super) fn ends_in(segment: &str, ending: &str) -> bool {
    segment.len() > ending.len() && segment.ends_with(ending)
}

/// What may be the ending of a segment: all that starts with `:` or `.` and is not the whole. The longest comes first.
pub(super) fn endings_of(segment: &str) -> impl Iterator<Item = &str> {
    let starts = segment.char_indices().filter(|(at, c)| *at > 0 && matches!(c, ':' | '.'));
    starts.filter_map(|(at, _)| segment.get(at..))
}

/// A method and a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) method: RouteMethod,
    pub(super) segments: Vec<Segment>,
}

impl Route {
    /// Reads `METHOD /pattern`.
    ///
    /// # Errors
    /// [`BadRoute`] with what to write instead.
    pub fn parse(text: &str) -> Result<Self, BadRoute> {
        let bad = |message: &str, hint: &str| BadRoute { message: message.to_owned(), hint: hint.to_owned() };
        let example = "write a method and a path, such as `GET /orders/{order}`";
        let (method, pattern) =
            text.split_once(' ').ok_or_else(|| bad("a route needs a method and a path", example))?;
        let method = match (method, Method::parse(method)) {
            ("ANY", _) => RouteMethod::Any,
            (_, Some(method)) => RouteMethod::Named(method),
            ("TRACE" | "CONNECT", None) => {
                return Err(bad(&format!("`{method}` is never allowed"), "remove this route"));
            }
            (_, None) => {
                let known: Vec<_> = Method::ALL.iter().map(|method| method.as_str()).collect();
                let hint = format!("write one of {}, ANY in upper case", known.join(", "));
                return Err(bad(&format!("unknown method `{method}`"), &hint));
            }
        };
        if pattern.starts_with(' ') {
            return Err(bad("more than one space stands between method and path", "leave one"));
        }
        let path = pattern.strip_prefix('/').ok_or_else(|| bad("the path must start with `/`", example))?;
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > CanonicalPath::MOST_SEGMENTS || pattern.len() > CanonicalPath::LONGEST {
            return Err(bad(
                "the pattern is longer than any path that jeton accepts",
                "a path has at most 64 segments and 8 KiB",
            ));
        }
        let mut segments = Vec::with_capacity(parts.len());
        for (position, part) in parts.iter().enumerate() {
            match parts.get(position + 1..).unwrap_or_default() {
                [""] if *part == "**" => {
                    segments.push(Segment::RestWithSlash);
                    break;
                }
                behind => segments.push(segment(part, behind.is_empty())?),
            }
        }
        let route = Self { method, segments };
        let mut names: Vec<_> = route.parameters().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(bad(
                &format!("`{{{name}}}` stands twice in this pattern"),
                "give each parameter its own name",
            ));
        }
        Ok(route)
    }

    /// The parameters by name and place.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, ParameterPlace)> {
        self.segments.iter().enumerate().filter_map(|(position, segment)| {
            let (name, ending) = match segment {
                Segment::Parameter(name) => (name, 0),
                Segment::Ended { name, ending } => (name, ending.len()),
                Segment::Literal(_) | Segment::Rest | Segment::RestWithSlash => return None,
            };
            let (segment, ending) = (u8::try_from(position).ok()?, u16::try_from(ending).ok()?);
            Some((&**name, ParameterPlace { segment, ending }))
        })
    }

    /// Whether it ends in `**` or `**/`.
    pub(super) fn ends_in_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest | Segment::RestWithSlash))
    }
}

impl Route {
    /// The path with this text in the place of each parameter, percent-encoded as a client sends it.
    pub(super) fn with_parameters(&self, value: &str) -> String {
        self.with_each(|_| value, value)
    }

    /// The path with a text in the place of each parameter, by its name, and one in the place of `**`,
    /// percent-encoded as a client sends it.
    pub(super) fn with_each<'v>(&self, value: impl Fn(&str) -> &'v str, rest: &str) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, IN_SEGMENT).to_string();
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => encoded(text),
            Segment::Parameter(name) => encoded(value(name)),
            Segment::Ended { name, ending } => encoded(value(name)) + &encoded(ending),
            Segment::Rest => encoded(rest),
            Segment::RestWithSlash => encoded(rest) + "/",
        };
        self.segments.iter().flat_map(|it| ["/".to_owned(), segment(it)]).collect()
    }

    /// Its path pattern, without the method.
    pub fn pattern(&self) -> String {
        self.segments.iter().flat_map(|segment| ["/".to_owned(), segment.to_string()]).collect()
    }

    /// Why this route decides and not `other`, where both match a request.
    pub(super) fn why_before(&self, other: &Self) -> String {
        let mut pairs = self.segments.iter().zip(&other.segments).enumerate();
        let first = pairs.find_map(|(at, pair)| match pair {
            (Segment::Parameter(_), Segment::Parameter(_)) => None,
            (Segment::Ended { ending: mine, .. }, Segment::Ended { ending: theirs, .. })
                if mine == theirs =>
            {
                None
            }
            (mine, theirs) if mine == theirs => None,
            (mine, theirs) => Some(format!("in segment {}, `{mine}` goes before `{theirs}`", at + 1)),
        });
        first.unwrap_or_else(|| format!("at the same path, `{}` goes before `{}`", self.method, other.method))
    }
}

fn segment(part: &str, is_last: bool) -> Result<Segment, BadRoute> {
    let bad = |message: String, hint: &str| Err(BadRoute { message, hint: hint.to_owned() });
    if part.is_empty() && !is_last {
        return bad("an empty segment (`//`) never matches".to_owned(), "remove one of the slashes");
    }
    if part == "**" {
        if is_last {
            return Ok(Segment::Rest);
        }
        return bad("`**` must be at the end".to_owned(), "use `{name}` for one segment");
    }
    spelling::refuse(part, |here| segment(here, is_last).is_ok())?;
    if let Some((name, ending)) = part.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(word) {
            let message = format!("`{part}` is not a parameter");
            return bad(message, "write `{name}` with letters, digits, `_` and `-`");
        }
        if ending.is_empty() {
            return Ok(Segment::Parameter(name.into()));
        }
        if ending.starts_with([':', '.']) {
            literal(ending)?;
            return Ok(Segment::Ended { name: name.into(), ending: ending.into() });
        }
    }
    literal(part)?;
    if !part.is_empty() && part.bytes().all(|byte| byte == b'.') {
        return bad(
            format!("`{part}` never matches: dots-only segments are refused"),
            "write the intended path",
        );
    }
    Ok(Segment::Literal(part.into()))
}

/// Refuses what cannot stand in a segment, or in what is behind a parameter.
fn literal(text: &str) -> Result<(), BadRoute> {
    let bad = |message: String, hint: &str| Err(BadRoute { message, hint: hint.to_owned() });
    if text.contains(['{', '}', '*']) {
        let message = format!("`{text}` mixes a literal with `{{`, `}}` or `*`");
        return bad(
            message,
            "a parameter is a whole segment or stands before an ending, as in `/{order}`, `/{order}:cancel`, \
             `/{file}.json`; `**` stands alone at the end",
        );
    }
    if let Some(c) = text.chars().find(|c| c.is_control() || matches!(c, '\\' | '%' | ';' | '?' | '#')) {
        let shown = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        let message = format!("`{shown}` never matches: jeton refuses paths that contain it");
        let is_slash = text.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2f"));
        let hint = match c {
            '%' if is_slash => "an encoded `/` is refused in every path: no rule can let it through",
            '%' => "write the decoded character",
            _ => "write the path without it",
        };
        return bad(message, hint);
    }
    Ok(())
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Parameter(name) => write!(f, "{{{name}}}"),
            Self::Ended { name, ending } => write!(f, "{{{name}}}{ending}"),
            Self::Rest => f.write_str("**"),
            Self::RestWithSlash => f.write_str("**/"),
        }
    }
}

impl fmt::Display for RouteMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named(method) => method.as_str(),
            Self::Any => "ANY",
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.pattern())
    }
}
