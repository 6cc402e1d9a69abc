//! What several settings may be.

use std::{borrow::Cow, net::SocketAddr, path::Path, time::Duration};

use jeton_oauth::clock::parse_duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!("`{text}` is not a duration: write a whole number and `s`, `m`, `h` or `d`, such as `90s`")
    })
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an address and port: write it as `127.0.0.1:8080` or `[::1]:8080`")
    })
}

pub(super) fn folder(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    let what = if path.exists() { "is not a folder" } else { "does not exist" };
    Err(format!("the folder `{}` {what}", path.display()))
}

/// What stands in the place of a secret.
pub(super) const SET: &str = "(set)";

/// A value without what may be a user name, a password, or a key in a query: somebody may write an address with them
/// where none belongs.
pub(super) fn without_secrets(text: &str) -> Cow<'_, str> {
    let without_user =
        match text.rsplit_once('@').map(|(before, rest)| (before.split_once("://"), before, rest)) {
            Some((Some((scheme, _)), _, rest)) => Cow::Owned(format!("{scheme}://{SET}@{rest}")),
            Some((None, before, rest)) if before.contains(':') => Cow::Owned(format!("{SET}@{rest}")),
            Some(_) | None => Cow::Borrowed(text),
        };
    match without_user.split_once('?') {
        Some((before, _)) if before.contains("://") => Cow::Owned(format!("{before}?{SET}")),
        Some(_) | None => without_user,
    }
}

/// A message about a value, which it may quote, without what is secret in the value.
pub(super) fn without_secrets_of(text: &str, message: String) -> String {
    match without_secrets(text) {
        Cow::Borrowed(_) => message,
        Cow::Owned(shown) => message.replace(text, &shown),
    }
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn what_may_be_secret_in_a_value_is_not_shown() {
        for (given, shown) in [
            ("", ""),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://a.example/tokens#x", "https://a.example/tokens#x"),
            ("http://me:hush@a.example:1/x", "http://(set)@a.example:1/x"),
            ("http://hush@a.example", "http://(set)@a.example"),
            // parsers stop at the first of these
            ("http://me:hu/sh@a.example", "http://(set)@a.example"),
            ("http://me:hu?sh@a.example", "http://(set)@a.example"),
            ("http://me:hu#sh@a.example", "http://(set)@a.example"),
            ("http://me:hu@sh@a.example", "http://(set)@a.example"),
            ("http://me:hu sh@a.example:port", "http://(set)@a.example:port"),
            ("https://a.example/x?key=hush", "https://a.example/x?(set)"),
            ("https://me:hush@a.example/x?key=hush", "https://(set)@a.example/x?(set)"),
            ("me:hush@a.example:8080", "(set)@a.example:8080"),
            ("me:hush@a://b", "(set)@a://b"),
            // no addresses
            ("/srv/jeton@1/policies", "/srv/jeton@1/policies"),
            ("what?", "what?"),
            ("127.0.0.1/32", "127.0.0.1/32"),
        ] {
            assert_eq!(without_secrets(given), shown, "{given}");
        }
    }
}
