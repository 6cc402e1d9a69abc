//! A body that is short and comes in time.

use std::rc::Rc;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap, HeaderValue},
    web::{Bytes, Payload},
};

use crate::http::{
    connection::{BodyProgress, Exchange},
    error::ProblemKind,
};

/// The longest body, in bytes.
const LONGEST: usize = 16 * 1024;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum BodyFault {
    #[error("a body with a Content-Encoding is not supported: send it unencoded")]
    Coded,
    #[error("the body is longer than 16 KiB")]
    TooLong,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body could not be read to its end")]
    Broken,
}

impl From<BodyFault> for ProblemKind {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Coded => Self::CodedBody,
            BodyFault::TooLong => Self::TooLarge,
            BodyFault::TooSlow | BodyFault::Broken => Self::BadQuestion(fault.to_string().into()),
        }
    }
}

/// Reads the body of a request. Its connection sees to the time.
pub(in crate::http) async fn body(request: &HttpRequest, payload: Payload) -> Result<Bytes, BodyFault> {
    if is_coded(request.headers()) {
        return Err(BodyFault::Coded);
    }
    let within_limits = payload.to_bytes_limited(LONGEST).await.map_err(|_| BodyFault::TooLong)?;
    within_limits.map_err(|_| match request.conn_data().map(|exchange: &Rc<Exchange>| exchange.body()) {
        Some(BodyProgress::TooSlow) => BodyFault::TooSlow,
        Some(BodyProgress::TooLong) => BodyFault::TooLong,
        Some(BodyProgress::Complete | BodyProgress::Pending) | None => BodyFault::Broken,
    })
}

/// Reads the body of a request that is sent as JSON.
pub(in crate::http) async fn json(request: &HttpRequest, payload: Payload) -> Result<Bytes, ProblemKind> {
    if !request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|sent| is_media_type(sent, "application/json"))
    {
        return Err(ProblemKind::BadQuestion("send the question as application/json".into()));
    }
    Ok(body(request, payload).await?)
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
