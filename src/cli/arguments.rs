//! Values of arguments that several commands take.

use std::time::Duration;

use jeton_oauth::clock::{parse_duration, parse_time};
use jiff::Timestamp;

/// A duration as settings have it, such as `15m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a whole number and `s`, `m`, `h` or `d`".to_owned())
}

/// A time of RFC 3339.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text).map_err(|error| error.hint().to_owned())
}
