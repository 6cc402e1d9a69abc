//! Answers that callers and proxies keep.

use actix_web::{HttpRequest, HttpResponse, http::header};

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
pub(super) fn has_current(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).map(str::trim).any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// An entity tag without what says that it is weak.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
