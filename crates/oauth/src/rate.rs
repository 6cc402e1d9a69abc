//! How often something may happen, as settings and policies write it.

use std::{cmp::Ordering, fmt, num::NonZeroU32, time::Duration};

/// So many times at once, and then again as evenly as they come back: `100/m` is 100 at once, and one each 600 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    times: NonZeroU32,
    unit: RateUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RateUnit {
    Second,
    Minute,
    Hour,
}

/// A rate, or none: `N/s`, `N/m`, `N/h` or `off`. The greater of two limits lets more through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimit {
    /// `off`: as often as anybody likes.
    Off,
    /// No more often than this.
    At(Rate),
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct InvalidRate {
    text: String,
    problem: &'static str,
    hint: &'static str,
}

impl InvalidRate {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        self.hint
    }
}

impl Rate {
    /// The most times, so that the time from one to the next is never nothing.
    const MOST_TIMES: u32 = 1_000_000;

    /// How many there are at once.
    pub fn times(self) -> NonZeroU32 {
        self.times
    }

    /// In what time all of them come back.
    pub fn period(self) -> Duration {
        match self.unit {
            RateUnit::Second => Duration::from_secs(1),
            RateUnit::Minute => Duration::from_mins(1),
            RateUnit::Hour => Duration::from_hours(1),
        }
    }
}

impl RateLimit {
    /// Reads `N/s`, `N/m`, `N/h` or `off`.
    ///
    /// # Errors
    /// [`InvalidRate`] for anything else: no spaces, no fractions, from 1 to 1,000,000.
    ///
    /// # Examples
    ///
    /// ```
    /// use jeton_oauth::RateLimit;
    ///
    /// assert_eq!(RateLimit::parse("off"), Ok(RateLimit::Off));
    /// assert_eq!(RateLimit::parse("100/m").unwrap().to_string(), "100/m");
    /// assert!(RateLimit::parse("0/m").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidRate> {
        let wrong = |problem, hint| InvalidRate { text: text.to_owned(), problem, hint };
        let no_rate = || {
            let hint = "write a whole number and `/s`, `/m` or `/h`, such as `30/m`, or `off` for no limit";
            wrong("is not a rate", hint)
        };
        if text == "off" {
            return Ok(Self::Off);
        }
        let (times, unit) = text.split_once('/').ok_or_else(no_rate)?;
        let unit = match unit {
            "s" => RateUnit::Second,
            "m" => RateUnit::Minute,
            "h" => RateUnit::Hour,
            _ => return Err(no_rate()),
        };
        if times.is_empty() || !times.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_rate());
        }
        // digits alone: what does not fit is too much
        let times = times.parse().unwrap_or(u32::MAX);
        if times > Rate::MOST_TIMES {
            return Err(wrong("is more than 1000000 at once", "write less, or `off` for no limit"));
        }
        let times = NonZeroU32::new(times)
            .ok_or_else(|| wrong("lets nothing through", "write `1` or more, or `off` for no limit"))?;
        Ok(Self::At(Rate { times, unit }))
    }

    /// The rate, where there is one.
    pub fn rate(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::At(rate) => Some(rate),
        }
    }
}

/// Of two rates of which one has more at once and the other more in the long run, neither is greater.
impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let hours = |rate: &Self| Duration::from_hours(1).as_secs() / rate.period().as_secs();
        let in_an_hour = |rate: &Self| u64::from(rate.times.get()) * hours(rate);
        match (self.times.cmp(&other.times), in_an_hour(self).cmp(&in_an_hour(other))) {
            (at_once, Ordering::Equal) => Some(at_once),
            (at_once, in_the_long_run) if at_once == in_the_long_run => Some(at_once),
            (Ordering::Equal, in_the_long_run) => Some(in_the_long_run),
            (_, _) => None,
        }
    }
}

impl PartialOrd for RateLimit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Off, Self::Off) => Some(Ordering::Equal),
            (Self::Off, Self::At(_)) => Some(Ordering::Greater),
            (Self::At(_), Self::Off) => Some(Ordering::Less),
            (Self::At(own), Self::At(other)) => own.partial_cmp(other),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            RateUnit::Second => 's',
            RateUnit::Minute => 'm',
            RateUnit::Hour => 'h',
        };
        write!(f, "{}/{unit}", self.times)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(rate) => rate.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_whole_number_and_a_unit() {
        for (text, times, seconds) in [
            ("1/s", 1, 1),
            ("30/m", 30, 60),
            ("100/h", 100, 3600),
            ("007/m", 7, 60),
            ("1000000/s", 1_000_000, 1),
        ] {
            let rate = RateLimit::parse(text).unwrap().rate().unwrap();
            assert_eq!((rate.times().get(), rate.period().as_secs()), (times, seconds), "{text}");
        }
        assert_eq!(RateLimit::parse("off").unwrap().rate(), None);
        for text in ["off", "1/s", "30/m", "100/h"] {
            assert_eq!(RateLimit::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in [
            "",
            "30",
            "/m",
            "m",
            "30/",
            "30/d",
            "30/M",
            "30m",
            "30 / m",
            " 30/m",
            "30/m ",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1e3/s",
            "1_000/s",
            "1,000/s",
            "30/m/m",
            "30/min",
            "x/m",
            "٣/m",
            "OFF",
            "Off",
            "on",
            "none",
            "false",
            "0",
            "∞/s",
            "30\u{a0}/m",
        ] {
            let error = RateLimit::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a rate"));
            assert!(error.hint().contains("`30/m`") && error.hint().contains("`off`"), "{text}");
        }
        for text in ["0/s", "0/m", "00/h"] {
            assert!(
                RateLimit::parse(text).unwrap_err().to_string().contains("lets nothing through"),
                "{text}"
            );
        }
        for text in ["1000001/s", "4294967296/h", "99999999999999999999999999/m"] {
            assert!(
                RateLimit::parse(text).unwrap_err().to_string().contains("is more than 1000000"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_greater_of_two_limits_lets_more_through() {
        let parse = |text| RateLimit::parse(text).unwrap();
        for (less, more) in
            [("30/m", "31/m"), ("30/h", "30/m"), ("59/m", "60/s"), ("1000000/s", "off"), ("1/s", "60/m")]
        {
            assert_eq!(parse(less).partial_cmp(&parse(more)), Some(Ordering::Less), "{less}, {more}");
            assert_eq!(parse(more).partial_cmp(&parse(less)), Some(Ordering::Greater), "{less}, {more}");
        }
        // 100 at once, and 1.7 a minute; two at once, and two a minute
        assert_eq!(parse("100/h").partial_cmp(&parse("2/m")), None);
        for text in ["off", "30/m"] {
            assert_eq!(parse(text).partial_cmp(&parse(text)), Some(Ordering::Equal));
        }
    }
}
