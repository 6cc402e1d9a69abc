//! The trace that a request belongs to, as its caller says.

use actix_web::http::header::HeaderMap;

/// What `traceparent` says of the caller (W3C Trace Context, section 3.2). Nobody vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent<'h> {
    /// The trace: 32 lowercase hex digits, not all zero.
    pub trace_id: &'h str,
    /// The caller's span: 16 lowercase hex digits, not all zero.
    pub span_id: &'h str,
    /// Whether the caller records the trace.
    pub is_sampled: bool,
}

/// The header.
const TRACEPARENT: &str = "traceparent";

impl<'h> TraceParent<'h> {
    /// What a request says, if it says it once and well. Everything else counts as nothing (section 4.3).
    pub fn of(headers: &'h HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let only = values.next().filter(|_| values.next().is_none())?;
        Self::parse(only.to_str().ok()?)
    }

    /// Reads the value of the header. Of a later version than `00`, more may follow behind another `-`.
    pub fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let [version, trace_id, span_id, flags] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_whole = version != "00" || parts.next().is_none();
        let is_right = is_hex(version, 2)
            && version != "ff"
            && is_whole
            && is_id(trace_id, 32)
            && is_id(span_id, 16)
            && is_hex(flags, 2);
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        is_right.then_some(Self { trace_id, span_id, is_sampled })
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

    use super::TraceParent;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_well_formed_is_taken() {
        for (text, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("00-{TRACE}-{SPAN}-fe"), false),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            let expected = TraceParent { trace_id: TRACE, span_id: SPAN, is_sampled };
            assert_eq!(TraceParent::parse(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_counts_as_nothing() {
        let (none, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for text in [
            String::new(),
            "-".repeat(55),
            TRACE.to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-012"),
            format!("cc-{TRACE}-{SPAN}-01x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{none}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{SPAN}-{TRACE}-01"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{TRACE}é-{SPAN}-01"),
        ] {
            assert_eq!(TraceParent::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn two_headers_count_as_none() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("traceparent");
        for (count, is_there) in [(0, false), (1, true), (2, false)] {
            headers.clear();
            for _ in 0..count {
                let value = HeaderValue::try_from(format!("00-{TRACE}-{SPAN}-01")).unwrap();
                headers.append(name.clone(), value);
            }
            assert_eq!(TraceParent::of(&headers).is_some(), is_there, "{count}");
        }
    }
}
