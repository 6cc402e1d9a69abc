//! For which API a client asks, as it was sent.

use std::fmt;

use jeton_oauth::Audience;

/// A `resource` or `audience` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedTarget {
    /// What may be the audience of an API.
    Audience(Audience),
    /// Text that is no audience, kept for the error alone.
    Malformed(Box<str>),
}

impl RequestedTarget {
    /// Reads what was sent.
    pub fn parse(text: &str) -> Self {
        Audience::parse(text).map_or_else(|_| Self::Malformed(text.into()), Self::Audience)
    }

    /// The audience, if it is one.
    pub fn audience(&self) -> Option<&Audience> {
        match self {
            Self::Audience(audience) => Some(audience),
            Self::Malformed(_) => None,
        }
    }
}

impl fmt::Display for RequestedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // errors bound the length of what they echo
        f.pad(match self {
            Self::Audience(audience) => audience.as_str(),
            Self::Malformed(text) => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_audience_is_compared_with_those_of_apis() {
        assert_eq!(RequestedTarget::parse("orders").audience(), Some(&Audience::parse("orders").unwrap()));
        for malformed in ["a b", "", "é", &"t".repeat(513)] {
            assert_eq!(RequestedTarget::parse(malformed).audience(), None, "{malformed}");
        }
    }

    #[test]
    fn an_error_echoes_no_more_than_its_bound() {
        for text in ["t".repeat(300), "t".repeat(600), "é".repeat(300)] {
            let shown: String = text.chars().take(200).collect();
            assert_eq!(format!("{:.200}", RequestedTarget::parse(&text)), shown);
        }
    }
}
