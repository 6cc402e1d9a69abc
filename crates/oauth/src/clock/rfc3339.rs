//! Times as people write them: RFC 3339, and nothing else that looks like it.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::Offset,
};

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time")]
pub struct InvalidTime {
    text: String,
    hint: String,
}

impl InvalidTime {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// The first second of the year 0. An offset can make a time earlier, which RFC 3339 cannot write: it becomes this one.
const FIRST: i64 = -62_167_219_200;
/// The last second of which a [`Timestamp`] can tell. What is later, up to the end of 9999, is taken for it.
const LAST: i64 = 253_402_207_200;

/// Reads a time as RFC 3339 section 5.6 writes it, such as `2027-06-30T00:00:00Z`. Seconds may have a fraction, of
/// which nine digits count. A leap second, which ends a month, is the second after it.
///
/// # Errors
/// [`InvalidTime`] for everything else, also where it is a time to ISO 8601.
pub fn parse_time(text: &str) -> Result<Timestamp, InvalidTime> {
    read(text).ok_or_else(|| {
        // what others would take for a time, as it is written here
        let meant = text.trim().parse::<Timestamp>().ok().filter(|time| read(&time.to_string()).is_some());
        let hint = match meant {
            Some(time) => format!("write `{time}` (RFC 3339)"),
            None => "write it as `2027-06-30T00:00:00Z` (RFC 3339)".to_owned(),
        };
        InvalidTime { text: text.to_owned(), hint }
    })
}

fn read(text: &str) -> Option<Timestamp> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    mark(&mut rest, b"-")?;
    let month = number(&mut rest, 2)?;
    mark(&mut rest, b"-")?;
    let day = number(&mut rest, 2)?;
    mark(&mut rest, b"Tt")?;
    let hour = number(&mut rest, 2)?;
    mark(&mut rest, b":")?;
    let minute = number(&mut rest, 2)?;
    mark(&mut rest, b":")?;
    let second = number(&mut rest, 2)?;
    let nanosecond = fraction(&mut rest)?;
    let offset = offset(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    let is_leap = second == 60;
    let [month, day, hour, minute, second] =
        [month, day, hour, minute, second - i32::from(is_leap)].map(|part| i8::try_from(part).ok());
    let date = Date::new(i16::try_from(year).ok()?, month?, day?).ok()?;
    let time = Time::new(hour?, minute?, second?, nanosecond).ok()?;
    // years from 0 on leave the range of the library at its end alone
    let utc = DateTime::from_parts(date, time).checked_sub(SignedDuration::from_secs(offset)).ok();
    if is_leap && !utc.is_none_or(ends_a_month) {
        return None;
    }
    let [first, last] = [FIRST, LAST].map(|second| Timestamp::from_second(second).ok());
    let (first, last) = first.zip(last)?;
    let instant = utc.and_then(|utc| Offset::UTC.to_timestamp(utc).ok()).unwrap_or(last);
    let instant = instant.checked_add(SignedDuration::from_secs(i64::from(is_leap))).unwrap_or(last);
    Some(instant.clamp(first, last))
}

/// Whether this is the last second of a month, behind which a leap second may come.
fn ends_a_month(utc: DateTime) -> bool {
    (utc.hour(), utc.minute(), utc.second()) == (23, 59, 59) && utc.date() == utc.date().last_of_month()
}

/// Takes so many digits.
fn number(rest: &mut &[u8], digits: usize) -> Option<i32> {
    let (number, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    number
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i32::from(digit - b'0')))
}

/// Takes one of these characters.
fn mark(rest: &mut &[u8], accepted: &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    accepted.contains(first).then_some(*first)
}

/// Takes a fraction of a second, if there is one, in nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<i32> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some(0) };
    let length = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
    let (digits, behind) = digits.split_at_checked(length)?;
    *rest = behind;
    let nine = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    (length > 0).then(|| nine.fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

/// Takes an offset from UTC, in seconds.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match mark(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = number(rest, 2).filter(|hours| *hours < 24)?;
    mark(rest, b":")?;
    let minutes = number(rest, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * i64::from(hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn times_of_rfc_3339_are_taken() {
        for (text, utc) in [
            ("2027-06-30T00:00:00Z", "2027-06-30T00:00:00Z"),
            ("2027-06-30t00:00:00z", "2027-06-30T00:00:00Z"),
            ("2026-10-25T01:30:00+02:00", "2026-10-24T23:30:00Z"),
            ("2026-10-25T01:30:00-00:00", "2026-10-25T01:30:00Z"),
            ("2026-10-25T01:30:00+23:59", "2026-10-24T01:31:00Z"),
            ("2026-10-25T01:30:00-23:59", "2026-10-26T01:29:00Z"),
            ("2026-10-25T01:30:00.5Z", "2026-10-25T01:30:00.5Z"),
            ("2026-10-25T01:30:00.1234567899999-01:00", "2026-10-25T02:30:00.123456789Z"),
            ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            // an earlier time becomes the first that can be written
            ("0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z"),
            ("0000-01-01T00:00:00.5+00:01", "0000-01-01T00:00:00Z"),
            // leap seconds, wherever they are seen from
            ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
            ("1991-01-01T05:29:60.25+05:30", "1991-01-01T00:00:00.25Z"),
            // a later time becomes the last time that the library has
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00Z"),
            ("9999-12-31T23:59:60Z", "9999-12-30T22:00:00Z"),
            ("9999-12-31T23:59:59-23:59", "9999-12-30T22:00:00Z"),
            ("9999-12-30T22:00:00.5Z", "9999-12-30T22:00:00Z"),
            ("9999-12-31T01:00:00+05:00", "9999-12-30T20:00:00Z"),
        ] {
            let read = parse_time(text).map(|time| time.to_string());
            assert_eq!(read.as_deref(), Ok(utc), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_refused_with_what_to_write() {
        let generic = "write it as `2027-06-30T00:00:00Z` (RFC 3339)";
        for (text, hint) in [
            ("2026-10-25T01:30Z", "write `2026-10-25T01:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00+0200", "write `2026-10-24T23:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00+02", "write `2026-10-24T23:30:00Z` (RFC 3339)"),
            ("20261025T013000Z", "write `2026-10-25T01:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00+24:00", "write `2026-10-24T01:30:00Z` (RFC 3339)"),
            ("2026-10-25 01:30:00Z", "write `2026-10-25T01:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00,5Z", "write `2026-10-25T01:30:00.5Z` (RFC 3339)"),
            (" 2026-10-25T01:30:00Z", "write `2026-10-25T01:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00Z\n", "write `2026-10-25T01:30:00Z` (RFC 3339)"),
            ("2026-10-25T01:30:00[UTC]", generic),
            ("2026-10-25T01:30:00+02:60", generic),
            ("2026-10-25T01:30:00.Z", generic),
            ("2026-10-25T24:00:00Z", generic),
            ("2026-10-25T01:60:00Z", generic),
            ("2026-10-25T01:30:61Z", generic),
            ("2026-02-29T00:00:00Z", generic),
            ("2026-13-01T00:00:00Z", generic),
            ("2026-00-01T00:00:00Z", generic),
            ("2026-10-00T00:00:00Z", generic),
            ("2026-10-25T01:30:00", generic),
            ("2026-10-25", generic),
            ("10000-01-01T00:00:00Z", generic),
            ("２026-10-25T01:30:00Z", generic),
            ("-000001-12-31T00:01:00Z", generic),
            ("1792891800", generic),
            ("tomorrow", generic),
            ("", generic),
        ] {
            let error = parse_time(text).expect_err(text);
            assert_eq!(error.hint(), hint, "{text}");
            assert_eq!(error.to_string(), format!("`{text}` is not a time"));
        }
        // a leap second ends a month
        for text in ["1990-12-31T12:00:60Z", "1990-12-30T23:59:60Z", "1990-12-31T23:59:60+01:00"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
