//! Subjects of certificates, as RFC 4514 writes them.

use std::fmt;

/// A distinguished name (X.501): the subject of a certificate.
///
/// Two are equal if they have the same attributes with the same values in the same order, byte by byte. The order of
/// attributes that stand in one relative name together has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinguishedName(Vec<RelativeName>);

/// The attributes that stand at one level: almost always one.
type RelativeName = Vec<(Box<str>, AttributeValue)>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AttributeValue {
    /// Text. Whether a certificate has it as `UTF8String`, `PrintableString` or `IA5String` makes no difference.
    Text(Box<str>),
    /// A value of another ASN.1 type.
    Other {
        /// The first byte of its DER.
        tag: u8,
        /// Its contents.
        contents: Box<[u8]>,
    },
}

impl AttributeValue {
    /// The value that DER has as `tag` and `contents`.
    pub fn of_der(tag: u8, contents: &[u8]) -> Self {
        const UTF8_STRING: u8 = 0x0c;
        const PRINTABLE_STRING: u8 = 0x13;
        const IA5_STRING: u8 = 0x16;
        let text = match tag {
            UTF8_STRING => str::from_utf8(contents).ok(),
            PRINTABLE_STRING | IA5_STRING if contents.is_ascii() => str::from_utf8(contents).ok(),
            _ => None,
        };
        text.map_or_else(|| Self::Other { tag, contents: contents.into() }, |text| Self::Text(text.into()))
    }

    /// The value whose whole DER these bytes are; only lengths that fit into two bytes.
    fn of_whole_der(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (contents, length) = match *rest {
            [length @ 0..=0x7f, ref contents @ ..] | [0x81, length @ 0x80..=0xff, ref contents @ ..] => {
                (contents, usize::from(length))
            }
            [0x82, high @ 1..=0xff, low, ref contents @ ..] => {
                (contents, usize::from(u16::from_be_bytes([high, low])))
            }
            _ => return None,
        };
        (contents.len() == length).then(|| Self::of_der(*tag, contents))
    }
}

/// Why a text is not a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDistinguishedName {
    /// It names nothing.
    #[error("it is empty")]
    Empty,
    /// A part that is not `TYPE=VALUE`.
    #[error("`{0}` is not `TYPE=VALUE`")]
    NoValue(String),
    /// A type that is neither a known name nor an object identifier.
    #[error("`{0}` is not a known type of attribute")]
    UnknownType(String),
    /// A value that begins or ends with a space.
    #[error("the value of `{0}` begins or ends with a space")]
    Space(String),
    /// A character that must be escaped.
    #[error("`{character}` in the value of `{of}` must be written as `\\{character}`")]
    Unescaped {
        /// The type of the attribute.
        of: String,
        /// The character.
        character: char,
    },
    /// A backslash before something that has no meaning there.
    #[error(
        "an escape in the value of `{0}` is neither `\\` and a special character nor `\\` and two hexadecimal digits"
    )]
    Escape(String),
    /// Escaped bytes that are not UTF-8.
    #[error("the value of `{0}` is not UTF-8")]
    NotUtf8(String),
    /// `#` and something other than the hexadecimal digits of a DER value.
    #[error("the value of `{0}` begins with `#`, and is not the hexadecimal DER of a value")]
    Hex(String),
}

/// The types of attributes that have a name: those of RFC 4514 section 3 first, then those that certificates have too.
const TYPES: [(&str, &str); 36] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("commonName", "2.5.4.3"),
    ("localityName", "2.5.4.7"),
    ("stateOrProvinceName", "2.5.4.8"),
    ("organizationName", "2.5.4.10"),
    ("organizationalUnitName", "2.5.4.11"),
    ("countryName", "2.5.4.6"),
    ("streetAddress", "2.5.4.9"),
    ("domainComponent", "0.9.2342.19200300.100.1.25"),
    ("userId", "0.9.2342.19200300.100.1.1"),
    ("SN", "2.5.4.4"),
    ("surname", "2.5.4.4"),
    ("serialNumber", "2.5.4.5"),
    ("title", "2.5.4.12"),
    ("description", "2.5.4.13"),
    ("businessCategory", "2.5.4.15"),
    ("postalCode", "2.5.4.17"),
    ("name", "2.5.4.41"),
    ("GN", "2.5.4.42"),
    ("givenName", "2.5.4.42"),
    ("initials", "2.5.4.43"),
    ("generationQualifier", "2.5.4.44"),
    ("dnQualifier", "2.5.4.46"),
    ("pseudonym", "2.5.4.65"),
    ("organizationIdentifier", "2.5.4.97"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
    ("unstructuredName", "1.2.840.113549.1.9.2"),
];

impl DistinguishedName {
    /// The name with these relative names, in the order of a certificate: of each the object identifiers, such as
    /// `2.5.4.3`, and values of its attributes.
    pub fn new(relative: impl IntoIterator<Item = Vec<(Box<str>, AttributeValue)>>) -> Self {
        let sorted = relative.into_iter().map(|mut attributes| {
            attributes.sort();
            attributes
        });
        Self(sorted.collect())
    }

    /// Reads the string of a name (RFC 4514 section 3), which begins with the last relative name of the certificate.
    ///
    /// # Errors
    /// [`InvalidDistinguishedName`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidDistinguishedName> {
        if text.is_empty() {
            return Err(InvalidDistinguishedName::Empty);
        }
        let relative =
            unescaped_parts(text, ',').map(|part| unescaped_parts(part, '+').map(attribute).collect());
        let mut relative = relative.collect::<Result<Vec<RelativeName>, _>>()?;
        relative.reverse();
        Ok(Self::new(relative))
    }
}

/// As RFC 4514 writes it.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, attributes) in self.0.iter().rev().enumerate() {
            f.write_str(if position > 0 { "," } else { "" })?;
            for (position, (oid, value)) in attributes.iter().enumerate() {
                let known = TYPES.iter().find(|(_, known)| *known == &**oid);
                let name = known.map_or(&**oid, |(name, _)| name);
                write!(f, "{}{name}=", if position > 0 { "+" } else { "" })?;
                match value {
                    AttributeValue::Text(text) => write_escaped(f, text)?,
                    AttributeValue::Other { tag, contents } => {
                        write!(f, "#{tag:02x}")?;
                        match u16::try_from(contents.len()).map(u16::to_be_bytes) {
                            Ok([0, length @ 0..=0x7f]) => write!(f, "{length:02x}")?,
                            Ok([0, length]) => write!(f, "81{length:02x}")?,
                            Ok([high, low]) => write!(f, "82{high:02x}{low:02x}")?,
                            Err(_) => f.write_str("83")?,
                        }
                        contents.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a value has an escape before, wherever it stands.
const ESCAPED: [char; 7] = ['"', '+', ',', ';', '<', '>', '\\'];

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let last = text.char_indices().last().map_or(0, |(at, _)| at);
    for (at, c) in text.char_indices() {
        match c {
            c if ESCAPED.contains(&c) || (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ') => {
                write!(f, "\\{c}")?;
            }
            c if c.is_control() => {
                c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\{byte:02x}"))?;
            }
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

/// The parts between separators that no backslash stands before.
fn unescaped_parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    text.split(move |c| {
        let is_separator = c == separator && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_separator
    })
}

fn attribute(text: &str) -> Result<(Box<str>, AttributeValue), InvalidDistinguishedName> {
    let no_value = || InvalidDistinguishedName::NoValue(text.to_owned());
    let (name, value) = text.split_once('=').ok_or_else(no_value)?;
    let unknown = || InvalidDistinguishedName::UnknownType(name.to_owned());
    let oid = oid(name).ok_or_else(unknown)?;
    let value = match value.strip_prefix('#') {
        Some(hex) => {
            let value = bytes(hex).and_then(|der| AttributeValue::of_whole_der(&der));
            value.ok_or_else(|| InvalidDistinguishedName::Hex(name.to_owned()))?
        }
        None => AttributeValue::Text(unescaped(name, value)?.into()),
    };
    Ok((oid.into(), value))
}

/// The object identifier of a type, which may be written as such.
fn oid(name: &str) -> Option<&str> {
    if let Some((_, oid)) = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(oid);
    }
    let is_arc = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    (name.contains('.') && name.split('.').all(is_arc)).then_some(name)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let each = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| each.collect())?
}

/// The text of a value.
fn unescaped(name: &str, value: &str) -> Result<String, InvalidDistinguishedName> {
    let of = || name.to_owned();
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut ends_with_escape = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != '\\' {
            if ESCAPED.contains(&c) {
                return Err(InvalidDistinguishedName::Unescaped { of: of(), character: c });
            }
            if c == '\0' {
                return Err(InvalidDistinguishedName::Escape(of()));
            }
            text.extend(c.encode_utf8(&mut [0; 4]).bytes());
            (rest, ends_with_escape) = (after, false);
            continue;
        }
        let special = after.chars().next().filter(|c| ESCAPED.contains(c) || matches!(c, ' ' | '#' | '='));
        let escaped = match special {
            Some(special) => Some((special as u32, 1)),
            None => after.get(..2).and_then(bytes).and_then(|pair| Some((u32::from(*pair.first()?), 2))),
        };
        let (byte, length) = escaped.ok_or_else(|| InvalidDistinguishedName::Escape(of()))?;
        text.extend(u8::try_from(byte));
        (rest, ends_with_escape) = (after.get(length..).unwrap_or_default(), true);
    }
    if value.starts_with(' ') || (value.ends_with(' ') && !ends_with_escape) {
        return Err(InvalidDistinguishedName::Space(of()));
    }
    String::from_utf8(text).map_err(|_| InvalidDistinguishedName::NotUtf8(of()))
}

#[cfg(test)]
mod tests {
    use super::{AttributeValue, DistinguishedName, InvalidDistinguishedName};

    fn text(oid: &str, text: &str) -> (Box<str>, AttributeValue) {
        (oid.into(), AttributeValue::Text(text.into()))
    }

    #[track_caller]
    fn reads(written: &str, relative: Vec<Vec<(Box<str>, AttributeValue)>>) {
        let read = DistinguishedName::parse(written).unwrap();
        assert_eq!(read, DistinguishedName::new(relative), "{written}");
        assert_eq!(DistinguishedName::parse(&read.to_string()), Ok(read), "{written}");
    }

    /// The examples of RFC 4514 section 4, and what `openssl x509 -nameopt RFC2253` prints.
    #[test]
    fn names_are_read() {
        reads(
            "UID=jsmith,DC=example,DC=net",
            vec![
                vec![text("0.9.2342.19200300.100.1.25", "net")],
                vec![text("0.9.2342.19200300.100.1.25", "example")],
                vec![text("0.9.2342.19200300.100.1.1", "jsmith")],
            ],
        );
        let both = vec![text("2.5.4.3", "J.  Smith"), text("2.5.4.11", "Sales")];
        let net = vec![text("0.9.2342.19200300.100.1.25", "net")];
        reads("OU=Sales+CN=J.  Smith,DC=net", vec![net.clone(), both.clone()]);
        reads("CN=J.  Smith+ou=Sales,dc=net", vec![net.clone(), both]);
        reads(
            r#"CN=James \"Jim\" Smith\, III,DC=net"#,
            vec![net.clone(), vec![text("2.5.4.3", r#"James "Jim" Smith, III"#)]],
        );
        reads(r"CN=Before\0dAfter,DC=net", vec![net, vec![text("2.5.4.3", "Before\rAfter")]]);
        let octets = AttributeValue::Other { tag: 4, contents: b"Hi".as_slice().into() };
        reads("1.3.6.1.4.1.1466.0=#04024869", vec![vec![("1.3.6.1.4.1.1466.0".into(), octets)]]);
        reads(r"CN=Lu\C4\8Di\C4\87", vec![vec![text("2.5.4.3", "Lu\u{10d}i\u{107}")]]);
        reads("CN=Lu\u{10d}i\u{107}", vec![vec![text("2.5.4.3", "Lu\u{10d}i\u{107}")]]);
        reads(
            "emailAddress=ops@acme.example,serialNumber=4711",
            vec![vec![text("2.5.4.5", "4711")], vec![text("1.2.840.113549.1.9.1", "ops@acme.example")]],
        );
    }

    #[test]
    fn spaces_signs_and_lengths_come_through() {
        reads(r"CN=\ a\ ", vec![vec![text("2.5.4.3", " a ")]]);
        reads(r"CN=\#a=b\=c", vec![vec![text("2.5.4.3", "#a=b=c")]]);
        reads(r"CN=\\\,", vec![vec![text("2.5.4.3", r"\,")]]);
        reads(r"CN=a\00\1b\c2\85", vec![vec![text("2.5.4.3", "a\0\u{1b}\u{85}")]]);
        assert!(!DistinguishedName::parse(r"CN=\1b").unwrap().to_string().contains('\u{1b}'));
        reads("CN=", vec![vec![text("2.5.4.3", "")]]);
        // text, however it is written
        reads("CN=#0c0161", vec![vec![text("2.5.4.3", "a")]]);
        reads("CN=#130161", vec![vec![text("2.5.4.3", "a")]]);
        for length in [0, 1, 127, 128, 255, 256, 65_535] {
            let other = AttributeValue::Other { tag: 4, contents: vec![7; length].into() };
            let name = DistinguishedName::new([vec![("2.5.4.3".into(), other)]]);
            assert_eq!(DistinguishedName::parse(&name.to_string()), Ok(name), "{length}");
        }
    }

    #[test]
    fn another_order_case_or_type_is_another_name() {
        let name = DistinguishedName::parse("CN=a,O=b").unwrap();
        for other in
            ["O=b,CN=a", "CN=A,O=b", "CN=a+O=b", "CN=a,O=b,C=DE", "CN=a", "OU=a,O=b", "CN=#04016a,O=b"]
        {
            assert_ne!(DistinguishedName::parse(other).unwrap(), name, "{other}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        use InvalidDistinguishedName as Bad;

        let of = |name: &str| name.to_owned();
        for (written, error) in [
            ("", Bad::Empty),
            ("orders", Bad::NoValue(of("orders"))),
            ("CN=a,", Bad::NoValue(of(""))),
            ("CN=a,,O=b", Bad::NoValue(of(""))),
            ("CN=a+", Bad::NoValue(of(""))),
            ("=a", Bad::UnknownType(of(""))),
            ("XY=a", Bad::UnknownType(of("XY"))),
            ("2=a", Bad::UnknownType(of("2"))),
            ("2.05=a", Bad::UnknownType(of("2.05"))),
            ("2.5.=a", Bad::UnknownType(of("2.5."))),
            // as `openssl x509 -subject` prints it unless told otherwise, in the other order
            ("O=ACME, CN=orders", Bad::UnknownType(of(" CN"))),
            ("O = ACME", Bad::UnknownType(of("O "))),
            ("/O=ACME/CN=orders", Bad::UnknownType(of("/O"))),
            ("CN= a", Bad::Space(of("CN"))),
            ("CN=a ", Bad::Space(of("CN"))),
            ("CN=a;O=b", Bad::Unescaped { of: of("CN"), character: ';' }),
            ("CN=\"a\"", Bad::Unescaped { of: of("CN"), character: '"' }),
            (r"CN=a\", Bad::Escape(of("CN"))),
            (r"CN=a\x", Bad::Escape(of("CN"))),
            (r"CN=\C4", Bad::NotUtf8(of("CN"))),
            ("CN=#", Bad::Hex(of("CN"))),
            ("CN=#0c", Bad::Hex(of("CN"))),
            ("CN=#0c0261", Bad::Hex(of("CN"))),
            ("CN=#0c016161", Bad::Hex(of("CN"))),
            ("CN=#0c01zz", Bad::Hex(of("CN"))),
            ("CN=#0c810161", Bad::Hex(of("CN"))),
        ] {
            assert_eq!(DistinguishedName::parse(written), Err(error), "{written}");
        }
    }
}
