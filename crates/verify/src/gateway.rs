//! What a gateway that asks jeton about each request (forward auth) and the services behind it say of a request: its
//! host, and the headers that tell them who asks.

use std::{fmt, mem::discriminant};

use jeton_oauth::is_registered_claim;
use serde_json::Value;

/// Not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host: write it as clients do, such as `orders.example.com`")]
pub struct InvalidHost(String);

/// Why no header is named after a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClaimHeader {
    /// A claim that jeton sets itself.
    #[error("`{0}` is a registered claim: the answer has client, scopes, roles and the token's id anyway")]
    Registered(String),
    /// A claim from whose name no header can be made.
    #[error(
        "no header can be named after the claim `{0}`: its name may have letters, digits, `-`, `_` and `.`"
    )]
    Name(String),
}

/// A host as clients name it, with its port if there is one. Case says nothing (RFC 9110 section 4.2.3), nor does a dot
/// at the end of the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// Reads a host.
    ///
    /// # Errors
    /// [`InvalidHost`].
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        let host = Self::of(text);
        if host.0.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && host.0.bytes().all(allowed)
        {
            Ok(host)
        } else {
            Err(InvalidHost(text.chars().take(80).collect()))
        }
    }

    /// The host of a request, which may be none that there is.
    pub fn of(text: &str) -> Self {
        let mut host = text.to_ascii_lowercase();
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let end = host
            .rsplit_once(':')
            .filter(|(_, port)| is_port(port))
            .map_or(host.len(), |(name, _)| name.len());
        if let Some(dot) = end.checked_sub(1)
            && host.as_bytes().get(dot) == Some(&b'.')
        {
            host.remove(dot);
        }
        Self(host)
    }

    /// The text, in small letters and without a dot at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A claim of the token that is answered as a header, and the header's name in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The claim.
    pub claim: String,
    /// The header.
    pub header: String,
}

impl ClaimHeader {
    /// The header for a claim: `x-auth-claim-tenant-id` for `tenant_id`, because programs drop or mistake headers
    /// with `_` and `.`.
    ///
    /// # Errors
    /// [`InvalidClaimHeader`] for a registered claim, or a name that does not fit.
    pub fn parse(claim: &str) -> Result<Self, InvalidClaimHeader> {
        if is_registered_claim(claim) {
            return Err(InvalidClaimHeader::Registered(claim.to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if claim.is_empty() || claim.len() > 64 || !claim.bytes().all(allowed) {
            return Err(InvalidClaimHeader::Name(claim.chars().take(80).collect()));
        }
        let name = claim.to_ascii_lowercase().replace(['_', '.'], "-");
        Ok(Self { claim: claim.to_owned(), header: format!("x-auth-claim-{name}") })
    }
}

/// What a header says of a claim: text as it is, a whole number by its digits, a boolean as `true` or `false`, a list of
/// one of these types with spaces between. Of other values it says nothing, as conditions do. `None` where a reader would
/// see another value than the claim: a control character, a space at an end, an item that holds a space, a list of several
/// types or of other values.
pub fn header_text(value: &Value) -> Option<String> {
    let is_plain = |text: &str| !text.chars().any(char::is_control) && text.trim_matches(' ') == text;
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => (number.is_i64() || number.is_u64()).then(|| number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(items) => {
            let is_word = |item: &String| !item.is_empty() && !item.contains(' ') && is_plain(item);
            let is_of_first = |item: &Value| items.first().map(discriminant) == Some(discriminant(item));
            let words =
                items.iter().map(|item| scalar(item).filter(|word| is_of_first(item) && is_word(word)));
            Some(words.collect::<Option<Vec<_>>>()?.join(" "))
        }
        other => match scalar(other) {
            Some(text) => is_plain(&text).then_some(text),
            None => Some(String::new()),
        },
    }
}

/// The headers of every positive answer, in small letters; those of claims come behind them.
pub const IDENTITY_HEADERS: [&str; 4] = ["x-auth-client", "x-auth-scopes", "x-auth-roles", "x-auth-token-id"];

/// What the name of every header begins with that says who is behind a request.
pub const IDENTITY_PREFIX: &str = "x-auth-";

/// Headers by which some frameworks let a request be another method than its own, in small letters.
pub const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ClaimHeader, HostName, header_text};

    #[test]
    fn rfc9110_4_2_3_a_host_is_compared_without_case() {
        for (text, host) in [
            ("orders.example.com", "orders.example.com"),
            ("ORDERS.Example.com", "orders.example.com"),
            ("orders.example.com.", "orders.example.com"),
            ("Orders.example.com.:8443", "orders.example.com:8443"),
            ("[::1]:8443", "[::1]:8443"),
            ("[FE80::1]", "[fe80::1]"),
            ("orders.example.com..", "orders.example.com."),
            (".", ""),
            ("", ""),
        ] {
            assert_eq!(HostName::of(text).as_str(), host, "{text}");
        }
        for bad in ["", ".", "https://orders.example.com", "a b", "a/b", "\u{e9}.example.com", ":80", "a\nb"]
        {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_says_what_the_claim_says_or_nothing() {
        for (claim, expected) in [
            (json!("acme"), Some("acme")),
            (json!("acme corp"), Some("acme corp")),
            (json!("m\u{fc}nchen"), Some("m\u{fc}nchen")),
            (json!(["a", "b"]), Some("a b")),
            (json!([]), Some("")),
            (json!(""), Some("")),
            (json!(7), Some("7")),
            (json!(-7), Some("-7")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(true), Some("true")),
            (json!([1, 2]), Some("1 2")),
            (json!([true, false]), Some("true false")),
            (json!(null), Some("")),
            (json!(7.5), Some("")),
            (json!(7.0), Some("")),
            (json!({ "a": "b" }), Some("")),
            (json!("acme "), None),
            (json!(" acme"), None),
            (json!("a\tb"), None),
            (json!("a\r\nX-Auth-Client: admin"), None),
            (json!("a\u{85}"), None),
            (json!(["a b", "c"]), None),
            (json!(["a", ""]), None),
            (json!(["a", 1]), None),
            (json!([1, "1"]), None),
            (json!([1, 1.5]), None),
            (json!([null]), None),
            (json!([["a"]]), None),
        ] {
            assert_eq!(header_text(&claim).as_deref(), expected, "{claim}");
        }
    }

    #[test]
    fn claims_fit_into_a_header() {
        let header = |claim| ClaimHeader::parse(claim).map(|it| it.header).ok();
        assert_eq!(header("tenant").as_deref(), Some("x-auth-claim-tenant"));
        assert_eq!(header("Tenant_ID.v2").as_deref(), Some("x-auth-claim-tenant-id-v2"));
        for claim in ["", "sub", "scope", "cnf", "a b", "a:b", "ä", "a\r\nb"] {
            assert_eq!(header(claim), None, "{claim}");
        }
    }
}
