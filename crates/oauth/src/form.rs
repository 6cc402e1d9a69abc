//! The encoding of forms and query strings (RFC 6749 appendix B), undone strictly.

/// The names in a query string.
pub fn names(query: &str) -> impl Iterator<Item = String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| decode(pair.split_once('=').map_or(pair, |(name, _)| name)))
}

/// Undoes the form encoding of one name or value; `None` where it is malformed or not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let Some(plain) = text.bytes().position(|byte| matches!(byte, b'+' | b'%')) else {
        return Some(text.to_owned());
    };
    let mut decoded = Vec::with_capacity(text.len());
    let (plain, encoded) = text.as_bytes().split_at(plain);
    decoded.extend_from_slice(plain);
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| digit.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn form_decoding_is_strict() {
        for (text, expected) in [
            ("a+b", Some("a b")),
            ("a%2Bb", Some("a+b")),
            ("%C3%A9", Some("é")),
            ("", Some("")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%C3", None),
            ("%41%", None),
            ("%+1", None),
            ("%1é", None),
            ("a%4F%6f+%c3%a9é", Some("aOo éé")),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
