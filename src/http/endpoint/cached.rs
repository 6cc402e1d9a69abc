//! Answers that callers and proxies keep.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName},
};

/// A document that anybody may have and keep.
pub(super) struct CachedDocument<'d> {
    pub(super) content_type: &'static str,
    pub(super) body: &'d str,
    /// A strong entity tag, quotes included.
    pub(super) etag: &'d str,
    /// For how many seconds it may be kept.
    pub(super) max_age: i64,
}

impl CachedDocument<'_> {
    /// The document, or that the caller has it.
    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let has_current = has_current(request, self.etag);
        let mut response = if has_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", self.max_age)))
            .insert_header((header::ETAG, self.etag));
        if has_current {
            return response.finish();
        }
        response.content_type(self.content_type).body(self.body.to_owned())
    }
}

/// Whether the caller's copy is this one (RFC 9110 section 13.1.2, weak comparison).
pub(crate) fn has_current(request: &HttpRequest, etag: &str) -> bool {
    let mut values = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    values.any(|value| value.trim() == "*" || opaque_tags(value).any(|tag| tag == opaque(etag)))
}

/// The entity tags of a list, without what says that they are weak. A comma may stand within one (section 8.8.3).
fn opaque_tags(list: &str) -> impl Iterator<Item = &str> {
    // whatever stands between two quotes
    list.split('"').skip(1).step_by(2)
}

/// An entity tag without quotes and what says that it is weak.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

/// Whether the caller names gzip among the codings that it takes, and not with a weight of zero (RFC 9110 section 12.5.3).
pub(crate) fn takes_gzip(request: &HttpRequest) -> bool {
    const NAME: HeaderName = header::ACCEPT_ENCODING;
    let lists = request.headers().get_all(NAME).filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix(['q', 'Q']).map(str::trim_start);
        let is_zero = weight
            .and_then(|weight| weight.strip_prefix('='))
            .is_some_and(|number| number.trim().parse::<f32>().is_ok_and(|number| number <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !is_zero
    })
}
