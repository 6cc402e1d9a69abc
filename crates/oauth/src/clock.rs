//! Time as a parameter: nothing else in the crate reads the system clock.

mod rfc3339;

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

pub use rfc3339::{InvalidTime, parse_time};

/// Where "now" comes from.
pub trait Clock: Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;

    /// The current instant as a `NumericDate`: whole seconds since 1970-01-01T00:00:00Z
    /// (RFC 7519 section 2).
    fn numeric_date(&self) -> i64 {
        self.now().as_second()
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock of the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that moves only when told to, for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`, cut to whole seconds.
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_second()))
    }

    /// Moves the clock by `seconds`, backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// An instant in whole seconds since 1970, rounded up.
pub fn seconds_up(time: Timestamp) -> i64 {
    time.as_second() + i64::from(time.subsec_nanosecond() > 0)
}

/// Reads a duration such as `90s`, `15m`, `1h` or `30d`; `None` for anything else.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    // a hundred years: beyond any lifetime, and far from every overflow
    let duration = number.checked_mul(seconds).filter(|total| *total <= 100 * 366 * 24 * 60 * 60)?;
    Some(std::time::Duration::from_secs(duration))
}

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "s",
            "90",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1H",
            "1w",
            "1ms",
            "99999999999999999999s",
            "36601d",
            "1h30m",
            "é",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
