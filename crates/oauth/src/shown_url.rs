//! Addresses as they may be printed.

use std::fmt;

/// An address without its secrets. Query and fragment are not shown. If there is an `@`, a user name and a password may
/// stand before it, so nothing behind the scheme is shown. Any text is taken, also one that is not an address.
pub struct ShownUrl<'u>(pub &'u str);

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        match text.split_once("://") {
            Some((scheme, rest)) if rest.contains('@') && !scheme.contains('@') => write!(f, "{scheme}://…"),
            _ if text.contains('@') => f.write_str("…"),
            _ => f.write_str(text.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ShownUrl;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (text, shown) in [
            ("https://a.example:1/x", "https://a.example:1/x"),
            ("https://a.example/x?key=secret", "https://a.example/x"),
            ("https://a.example/x#secret", "https://a.example/x"),
            ("https://me:secret@a.example/x", "https://…"),
            ("https://secret@a.example", "https://…"),
            // parsers stop at the first of these
            ("https://me:sec/ret@a.example", "https://…"),
            ("https://me:sec?ret@a.example", "https://…"),
            ("https://me:sec#ret@a.example", "https://…"),
            ("https://me:sec@ret@a.example", "https://…"),
            ("https://a.example/x?to=secret@b.example", "https://…"),
            ("me:secret@a.example", "…"),
            ("https:me:secret@a.example", "…"),
            ("me:secret@a://b", "…"),
            ("orders", "orders"),
            ("", ""),
        ] {
            assert_eq!(ShownUrl(text).to_string(), shown, "{text}");
        }
    }
}
