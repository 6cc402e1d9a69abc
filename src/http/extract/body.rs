//! A body that is short and comes in time.

use std::{fmt, rc::Rc};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap, HeaderValue},
    web::{Bytes, Payload},
};

use crate::http::{
    connection::{BodyProgress, Exchange},
    error::ProblemKind,
};

/// How long a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimit {
    kibibytes: usize,
}

impl BodyLimit {
    /// That of an endpoint whose questions are short.
    pub(crate) const USUAL: Self = Self { kibibytes: 16 };
    /// That of the console's check of edited policies.
    pub(crate) const POLICIES: Self = Self { kibibytes: 4 * 1024 };

    pub(in crate::http) fn bytes(self) -> usize {
        self.kibibytes * 1024
    }
}

impl fmt::Display for BodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kibibytes {
            kibibytes if kibibytes % 1024 == 0 => write!(f, "{} MiB", kibibytes / 1024),
            kibibytes => write!(f, "{kibibytes} KiB"),
        }
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("a body with a Content-Encoding is not supported: send it unencoded")]
    Coded,
    #[error("the body is longer than {0}")]
    TooLong(BodyLimit),
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body could not be read to its end")]
    Broken,
}

impl From<BodyFault> for ProblemKind {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Coded => Self::CodedBody,
            BodyFault::TooLong(limit) => Self::TooLarge(limit),
            BodyFault::TooSlow | BodyFault::Broken => Self::BadQuestion(fault.to_string().into()),
        }
    }
}

/// Reads the body of a request. Its connection sees to the time.
pub(crate) async fn body(
    request: &HttpRequest,
    payload: Payload,
    limit: BodyLimit,
) -> Result<Bytes, BodyFault> {
    if is_coded(request.headers()) {
        return Err(BodyFault::Coded);
    }
    let within_limits = payload.to_bytes_limited(limit.bytes()).await;
    let within_limits = within_limits.map_err(|_| BodyFault::TooLong(limit))?;
    within_limits.map_err(|_| match request.conn_data().map(|exchange: &Rc<Exchange>| exchange.body()) {
        Some(BodyProgress::TooSlow) => BodyFault::TooSlow,
        Some(BodyProgress::TooLong) => BodyFault::TooLong(limit),
        Some(BodyProgress::Complete | BodyProgress::Pending) | None => BodyFault::Broken,
    })
}

/// Reads the body of a request that is sent as JSON.
pub(in crate::http) async fn json(
    request: &HttpRequest,
    payload: Payload,
    limit: BodyLimit,
) -> Result<Bytes, ProblemKind> {
    if !is_json(request.headers()) {
        return Err(ProblemKind::BadQuestion("send the question as application/json".into()));
    }
    Ok(body(request, payload, limit).await?)
}

/// Whether a body is sent as JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|sent| is_media_type(sent, "application/json"))
}

/// Whether a content type is this one. Parameters such as `charset` say nothing.
pub(super) fn is_media_type(content_type: &HeaderValue, wanted: &str) -> bool {
    let media_type = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

/// Whether the body is something else than its bytes (RFC 9110 section 8.4).
fn is_coded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).any(|codings| {
        let is_none = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        !codings.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).all(is_none)
    })
}
