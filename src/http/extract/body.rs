//! A body that is short and comes in time.

use std::rc::Rc;

use actix_web::{
    HttpRequest,
    web::{Bytes, Payload},
};

use crate::http::connection::{BodyProgress, Exchange};

/// The longest body, in bytes.
const LONGEST: usize = 16 * 1024;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum BodyFault {
    #[error("the body is longer than 16 KiB")]
    TooLong,
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body could not be read to its end")]
    Broken,
}

/// Reads the body of a request. Its connection sees to the time.
pub(in crate::http) async fn body(request: &HttpRequest, payload: Payload) -> Result<Bytes, BodyFault> {
    let within_limits = payload.to_bytes_limited(LONGEST).await.map_err(|_| BodyFault::TooLong)?;
    within_limits.map_err(|_| match request.conn_data().map(|exchange: &Rc<Exchange>| exchange.body()) {
        Some(BodyProgress::TooSlow) => BodyFault::TooSlow,
        Some(BodyProgress::TooLong) => BodyFault::TooLong,
        Some(BodyProgress::Complete | BodyProgress::Pending) | None => BodyFault::Broken,
    })
}
