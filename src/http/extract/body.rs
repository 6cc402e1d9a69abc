//! A body that is short and comes in time.

use std::time::Duration;

use actix_web::{
    rt::time,
    web::{Bytes, Payload},
};

/// The longest body, in bytes.
const LONGEST: usize = 16 * 1024;

/// How long a body may take to come.
const TIMEOUT: Duration = Duration::from_secs(10);

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

/// Reads the body of a request.
pub(in crate::http) async fn body(payload: Payload) -> Result<Bytes, BodyFault> {
    let read = time::timeout(TIMEOUT, payload.to_bytes_limited(LONGEST));
    let within_limits = read.await.map_err(|_| BodyFault::TooSlow)?.map_err(|_| BodyFault::TooLong)?;
    within_limits.map_err(|_| BodyFault::Broken)
}
