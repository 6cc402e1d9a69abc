//! Claims in conditions: which claim, and what it is compared with.

use std::{borrow::Cow, fmt, sync::Arc};

use jeton_oauth::is_registered_claim;
use serde_json::{Map, Value};

use super::subject::Subject;

/// Which claim a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ClaimName {
    /// `sub`.
    Sub,
    /// One that the client's policies or another issuer gave.
    Named(Arc<str>),
    /// What stands within one.
    Pointer(Arc<Pointer>),
}

/// A JSON Pointer (RFC 6901) into the claims, of two names or more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pointer {
    written: Box<str>,
    names: Box<[Box<str>]>,
}

/// The claims of another issuer's token that no condition is about, because whoever verifies it looks at them.
pub(super) const VERIFIED_CLAIMS: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// Why a condition cannot be about a claim of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadClaimName {
    /// A registered claim, or a pointer into one.
    Registered,
    /// It starts with `/`, and is no JSON Pointer.
    NoPointer,
}

impl ClaimName {
    /// Reads a name, or a pointer, which starts with `/`.
    pub(super) fn parse(text: &str, intern: impl FnOnce(&str) -> Arc<str>) -> Result<Self, BadClaimName> {
        if text == "sub" { Ok(Self::Sub) } else { Self::parse_but(text, intern, is_registered_claim) }
    }

    /// As [`Self::parse`], of a claim of another issuer's token, whose `sub` is a claim like others.
    pub(super) fn parse_foreign(
        text: &str,
        intern: impl FnOnce(&str) -> Arc<str>,
    ) -> Result<Self, BadClaimName> {
        Self::parse_but(text, intern, |name| VERIFIED_CLAIMS.contains(&name))
    }

    /// As [`Self::parse_foreign`], of a claim that is only read.
    pub(super) fn parse_source(
        text: &str,
        intern: impl FnOnce(&str) -> Arc<str>,
    ) -> Result<Self, BadClaimName> {
        Self::parse_but(text, intern, |_| false)
    }

    fn parse_but(
        text: &str,
        intern: impl FnOnce(&str) -> Arc<str>,
        is_excluded: fn(&str) -> bool,
    ) -> Result<Self, BadClaimName> {
        let Some(pointer) = text.strip_prefix('/') else {
            return if is_excluded(text) {
                Err(BadClaimName::Registered)
            } else {
                Ok(Self::Named(intern(text)))
            };
        };
        let names: Option<Vec<_>> = pointer.split('/').map(unescaped).collect();
        let names = names.ok_or(BadClaimName::NoPointer)?;
        match names.as_slice() {
            [first, ..] if is_excluded(first) => Err(BadClaimName::Registered),
            [only] => Ok(Self::Named(intern(only))),
            _ => Ok(Self::Pointer(Arc::new(Pointer { written: text.into(), names: names.into() }))),
        }
    }

    /// What stands at these names, from a claim of another issuer's token on.
    pub(super) fn at(names: &[&str]) -> Self {
        match names {
            [only] => Self::Named((*only).into()),
            names => {
                let escaped = names.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
                let written = escaped.fold(String::new(), |written, name| written + "/" + &name).into();
                let names = names.iter().map(|name| (*name).into()).collect();
                Self::Pointer(Arc::new(Pointer { written, names }))
            }
        }
    }

    /// How a file can write it.
    pub(super) fn spellings(&self) -> Vec<String> {
        let Self::Named(name) = self else { return vec![self.to_string()] };
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        // what starts with `/` is read as a pointer
        if name.starts_with('/') { vec![pointer] } else { vec![name.to_string(), pointer] }
    }

    /// What a subject has there.
    pub(super) fn find<'s>(&self, subject: &Subject<'s>) -> Option<Claim<'s>> {
        match self {
            Self::Sub => Some(Claim::Text(subject.sub?.as_str())),
            Self::Named(_) | Self::Pointer(_) => self.find_in(subject.claims).map(Claim::of),
        }
    }

    /// What stands there among claims that are not registered.
    pub(super) fn find_in<'s>(&self, claims: &'s Map<String, Value>) -> Option<&'s Value> {
        match self {
            Self::Sub => None,
            Self::Named(name) => claims.get(&**name),
            Self::Pointer(pointer) => {
                let (first, within) = pointer.names.split_first()?;
                within.iter().try_fold(claims.get(&**first)?, |value, name| match value {
                    Value::Object(members) => members.get(&**name),
                    Value::Array(items) => items.get(index(name)?),
                    _ => None,
                })
            }
        }
    }

    /// The names that lead to it, from the claim on.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Sub => vec!["sub"],
            Self::Named(name) => vec![name],
            Self::Pointer(pointer) => pointer.names.iter().map(|name| &**name).collect(),
        }
    }

    /// The claim in which it stands.
    pub(super) fn root(&self) -> &str {
        match self {
            Self::Sub => "sub",
            Self::Named(name) => name,
            Self::Pointer(pointer) => pointer.names.first().map_or("", |name| name),
        }
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sub => "sub",
            Self::Named(name) => name,
            Self::Pointer(pointer) => &pointer.written,
        })
    }
}

/// A name in a pointer: `~1` is `/`, `~0` is `~`, and no other `~` stands there.
fn unescaped(name: &str) -> Option<Box<str>> {
    let is_escape = |rest: &str| rest.starts_with(['0', '1']);
    let is_right = name.split('~').skip(1).all(is_escape);
    is_right.then(|| name.replace("~1", "/").replace("~0", "~").into())
}

/// The longest list that a token of 8 KiB has room for.
pub(super) const LONGEST_LIST: usize = 4096;

/// The position in a list that a name in a pointer means: digits without a zero in front (RFC 6901 section 4).
pub(super) fn index(name: &str) -> Option<usize> {
    let is_index = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { name.parse().ok() } else { None }
}

/// The value of a claim.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claim<'c> {
    Text(&'c str),
    /// No text.
    Other(&'c Value),
}

impl<'c> Claim<'c> {
    pub(super) fn of(value: &'c Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            other => Self::Other(other),
        }
    }

    /// The items of a list; nothing else has some.
    pub(super) fn items(self) -> &'c [Value] {
        match self {
            Self::Other(Value::Array(items)) => items,
            Self::Text(_) | Self::Other(_) => &[],
        }
    }

    /// What conditions compare of it; nothing of a list.
    pub(super) fn value(self) -> Option<ClaimValue> {
        match self {
            Self::Text(text) => Some(ClaimValue::Text(text.into())),
            Self::Other(value) => ClaimValue::of(value),
        }
    }

    /// Whether a path that has this text has the value: text as it is, a whole number by its digits.
    pub(super) fn is_in_path(self, text: &str) -> bool {
        match self {
            Self::Text(claim) => claim == text,
            Self::Other(Value::Number(_)) => {
                self.whole().is_some_and(|claim| Whole::parse(text) == Some(claim))
            }
            Self::Other(_) => false,
        }
    }

    /// The text that a path has for the value.
    pub(super) fn in_path(self) -> Option<Cow<'c, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Other(_) => Some(Cow::Owned(self.whole()?.to_string())),
        }
    }

    fn whole(self) -> Option<Whole> {
        match self {
            Self::Other(Value::Number(number)) => Whole::of(number),
            Self::Text(_) | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Other(value) => write!(f, "{value}"),
        }
    }
}

/// A value that conditions compare with. Two are the same if their types are, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ClaimValue {
    Text(Box<str>),
    Whole(Whole),
    Truth(bool),
}

/// A whole number as JSON has it without fraction and exponent, from -2^63 to 2^64 - 1. What is larger, JSON is read
/// as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Whole {
    is_negative: bool,
    magnitude: u64,
}

impl Whole {
    fn of(number: &serde_json::Number) -> Option<Self> {
        match (number.as_u64(), number.as_i64()) {
            (Some(magnitude), _) => Some(Self { is_negative: false, magnitude }),
            (None, Some(number)) => Some(Self { is_negative: true, magnitude: number.unsigned_abs() }),
            (None, None) => None,
        }
    }

    /// The number whose digits these are: no other text is the number's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let has_zero = digits.starts_with('0') && (is_negative || digits.len() > 1);
        let magnitude = if is_plain && !has_zero { digits.parse().ok()? } else { return None };
        (!is_negative || magnitude <= i64::MIN.unsigned_abs()).then_some(Self { is_negative, magnitude })
    }
}

impl From<Whole> for Value {
    fn from(whole: Whole) -> Self {
        let Whole { is_negative, magnitude } = whole;
        if is_negative { 0_i64.wrapping_sub_unsigned(magnitude).into() } else { magnitude.into() }
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_negative { "-" } else { "" }, self.magnitude)
    }
}

impl ClaimValue {
    /// Takes a text, a whole number or a truth value.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.as_str().into())),
            Value::Number(number) => Whole::of(number).map(Self::Whole),
            Value::Bool(truth) => Some(Self::Truth(*truth)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The values that a path with this text has: the text, and the number whose digits it is.
    pub(super) fn in_path(text: &str) -> Vec<Self> {
        [Self::Text(text.into())].into_iter().chain(Whole::parse(text).map(Self::Whole)).collect()
    }

    /// The text that a path has for it.
    pub(super) fn path_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Whole(whole) => Some(Cow::Owned(whole.to_string())),
            Self::Truth(_) => None,
        }
    }

    pub(super) fn is(&self, claim: Claim<'_>) -> bool {
        match (self, claim) {
            (Self::Text(text), Claim::Text(claim)) => **text == *claim,
            (Self::Whole(whole), Claim::Other(_)) => claim.whole() == Some(*whole),
            (Self::Truth(truth), Claim::Other(claim)) => claim.as_bool() == Some(*truth),
            (Self::Text(_), Claim::Other(_)) | (Self::Whole(_) | Self::Truth(_), Claim::Text(_)) => false,
        }
    }
}

impl From<&ClaimValue> for Value {
    fn from(value: &ClaimValue) -> Self {
        match value {
            ClaimValue::Text(text) => (&**text).into(),
            ClaimValue::Whole(whole) => (*whole).into(),
            ClaimValue::Truth(truth) => (*truth).into(),
        }
    }
}

/// As a condition says it by itself.
impl fmt::Display for ClaimValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Truth(truth) => write!(f, "{truth}"),
        }
    }
}

/// As a list has it: text that could be taken for something else is in quotes.
pub(super) struct Item<'v>(pub(super) &'v ClaimValue);

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClaimValue::Text(text) if Whole::parse(text).is_some() || matches!(&**text, "true" | "false") => {
                write!(f, "{text:?}")
            }
            ClaimValue::Text(text) => f.write_str(text),
            other => write!(f, "{other}"),
        }
    }
}

/// Types of claims, as far as conditions tell them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const TEXT: Self = Self(1);
    pub(super) const NUMBER: Self = Self(2);
    const TRUTH: Self = Self(4);
    /// A list without an item is one of everything.
    const EMPTY_LIST: Self = Self(1 << 6);
    /// What no condition compares.
    const OTHER: Self = Self(1 << 7);
    const SCALARS: u8 = 7;
    /// Whatever there is.
    pub(super) const ANY: Self = Self(u8::MAX);

    /// The types of a value: of a list, those of its items.
    pub(super) fn of(claim: Claim<'_>) -> Self {
        match claim {
            Claim::Text(_) => Self::TEXT,
            Claim::Other(Value::Array(items)) if items.is_empty() => Self::EMPTY_LIST,
            Claim::Other(Value::Array(items)) => {
                let types = items.iter().filter_map(ClaimValue::of).map(|item| Self::of_value(&item));
                let types = types.fold(Self::default(), Self::or);
                if types == Self::default() { Self::OTHER } else { Self(types.0 << 3) }
            }
            Claim::Other(value) => ClaimValue::of(value).map_or(Self::OTHER, |value| Self::of_value(&value)),
        }
    }

    pub(super) fn of_value(value: &ClaimValue) -> Self {
        match value {
            ClaimValue::Text(_) => Self::TEXT,
            ClaimValue::Whole(_) => Self::NUMBER,
            ClaimValue::Truth(_) => Self::TRUTH,
        }
    }

    /// Lists with an item of these.
    pub(super) fn listed(self) -> Self {
        Self((self.0 & Self::SCALARS) << 3).or(Self::EMPTY_LIST)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is one.
    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }

    fn wants_list(self) -> bool {
        self.0 & Self::SCALARS == 0
    }

    /// What of these types is wanted, in words.
    pub(super) fn wanted(self) -> String {
        let scalars = if self.wants_list() { self.0 >> 3 } else { self.0 };
        let names = [(Self::TEXT, "text"), (Self::NUMBER, "number"), (Self::TRUTH, "boolean")];
        let names = names.into_iter().filter(|(one, _)| one.0 & scalars != 0).map(|(_, name)| name);
        names.collect::<Vec<_>>().join(" or ")
    }

    /// What a condition of these types asks for.
    pub(super) fn asked(self) -> String {
        let (before, scalars) = if self.wants_list() { ("a list with ", self.0 >> 3) } else { ("", self.0) };
        let names = [(Self::TEXT, "text"), (Self::NUMBER, "a number"), (Self::TRUTH, "a boolean")];
        let names = names.into_iter().filter(|(one, _)| one.0 & scalars != 0).map(|(_, name)| name);
        format!("{before}{}", names.collect::<Vec<_>>().join(" or "))
    }

    /// What claims of these types are.
    pub(super) fn named(self) -> String {
        let names = [
            (Self::TEXT.0, "a text"),
            (Self::NUMBER.0, "a number"),
            (Self::TRUTH.0, "a boolean"),
            (Self::TEXT.0 << 3, "a list of text"),
            (Self::NUMBER.0 << 3, "a list of numbers"),
            (Self::TRUTH.0 << 3, "a list of booleans"),
            (Self::EMPTY_LIST.0, "an empty list"),
            (Self::OTHER.0, "of a type that is not compared"),
        ];
        let names = names.into_iter().filter(|(one, _)| self.0 & one != 0).map(|(_, name)| name);
        names.collect::<Vec<_>>().join(" or ")
    }

    /// What to do where a condition of these types meets claims of others.
    pub(super) fn instead_of(self, found: Self) -> &'static str {
        let is_list = found.0 & !Self::SCALARS & !Self::OTHER.0 != 0;
        if found == Self::OTHER {
            return "conditions compare text, whole numbers, booleans, and lists of these";
        }
        match (self.wants_list(), is_list) {
            (false, true) => "for a list use `contains` or `contains_path`",
            (true, false) => "for what is no list use `is`, `in` or `same_as_path`",
            (false, false) | (true, true) => {
                "write the value as the claims have it: `42` is a number and `\"42\"` a text"
            }
        }
    }

    /// The type of a claim, and the types that it does not have: `a number, no text`.
    pub(super) fn but(self, claim: Claim<'_>) -> String {
        let is = match claim {
            Claim::Text(_) => "a text",
            Claim::Other(Value::Number(number)) if Whole::of(number).is_some() => "a number",
            Claim::Other(Value::Number(_)) => "a fraction",
            Claim::Other(Value::Bool(_)) => "a boolean",
            Claim::Other(Value::Array(_)) if self.wants_list() => {
                return format!("a list without {}", self.wanted());
            }
            Claim::Other(Value::Array(_)) => "a list",
            Claim::Other(Value::Object(_)) => "an object",
            Claim::Other(Value::Null | Value::String(_)) => "nothing",
        };
        let wanted = if self.wants_list() { "list".to_owned() } else { self.wanted() };
        let wanted = if is == "a fraction" { wanted.replace("number", "whole number") } else { wanted };
        format!("{is}, no {wanted}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BadClaimName, Claim, ClaimName, ClaimValue, Whole};

    fn parse(text: &str) -> Result<ClaimName, BadClaimName> {
        ClaimName::parse(text, |name| name.into())
    }

    /// The table of RFC 6901 section 5, below one claim.
    #[test]
    fn a_pointer_leads_where_rfc_6901_says() {
        let document = json!({ "d": {
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        }, "a/b": 9, "": { "": 10 } });
        let claims = document.as_object().unwrap();
        for (pointer, value) in [
            ("/d/foo", Some(json!(["bar", "baz"]))),
            ("/d/foo/0", Some(json!("bar"))),
            ("/d/", Some(json!(0))),
            ("/d/a~1b", Some(json!(1))),
            ("/d/c%d", Some(json!(2))),
            ("/d/e^f", Some(json!(3))),
            ("/d/g|h", Some(json!(4))),
            ("/d/i\\j", Some(json!(5))),
            ("/d/k\"l", Some(json!(6))),
            ("/d/ ", Some(json!(7))),
            ("/d/m~0n", Some(json!(8))),
            ("/a~1b", Some(json!(9))),
            ("//", Some(json!(10))),
            ("/d/foo/1", Some(json!("baz"))),
            ("/d/foo/2", None),
            ("/d/foo/-", None),
            ("/d/foo/01", None),
            ("/d/foo/+1", None),
            ("/d/foo/0/0", None),
            ("/d/foo/", None),
            ("/d/a/b", None),
            ("/d/m~01n", None),
            ("/e", None),
            ("/D/foo", None),
        ] {
            assert_eq!(parse(pointer).unwrap().find_in(claims), value.as_ref(), "{pointer}");
        }
        for bad in ["/a~", "/a~2", "/~", "/a/~~0", "/~a/b"] {
            assert_eq!(parse(bad), Err(BadClaimName::NoPointer), "{bad}");
        }
        for registered in ["iss", "exp", "client_id", "/sub", "/sub/x", "/aud/0", "/cnf/jkt", "/act/sub"] {
            assert_eq!(parse(registered), Err(BadClaimName::Registered), "{registered}");
        }
        assert_eq!(parse("sub"), Ok(ClaimName::Sub));
        assert_eq!(parse("/tenant"), parse("tenant"));
        let foreign = |text| ClaimName::parse_foreign(text, |name| name.into());
        for verified in ["iss", "/aud", "/aud/0", "exp", "nbf", "/iat", "jti"] {
            assert_eq!(foreign(verified), Err(BadClaimName::Registered), "{verified}");
        }
        assert_eq!(foreign("/sub"), Ok(ClaimName::Named("sub".into())), "a claim like others");
        assert_eq!(foreign("scope"), Ok(ClaimName::Named("scope".into())));
        assert_eq!(foreign("/a~"), Err(BadClaimName::NoPointer));
    }

    #[test]
    fn a_number_has_one_text() {
        for number in ["0", "7", "42", "-1", "18446744073709551615", "-9223372036854775808"] {
            let value: Value = serde_json::from_str(number).unwrap();
            let whole = Whole::parse(number).unwrap();
            assert_eq!(whole.to_string(), number);
            assert_eq!(Value::from(whole), value);
            assert_eq!(ClaimValue::of(&value), Some(ClaimValue::Whole(whole)));
            assert!(Claim::of(&value).is_in_path(number), "{number}");
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "07",
            "-07",
            "+7",
            "7.0",
            "7e0",
            " 7",
            "0x7",
            "7_0",
            "\u{667}",
            "18446744073709551616",
        ] {
            assert_eq!(Whole::parse(text), None, "{text}");
        }
        assert_eq!(Whole::parse("-9223372036854775809"), None);
        for fraction in ["7.0", "7e0", "-0", "18446744073709551616", "1.5"] {
            let value: Value = serde_json::from_str(fraction).unwrap();
            assert_eq!(ClaimValue::of(&value), None, "{fraction}");
            assert!(!Claim::of(&value).is_in_path(fraction), "{fraction}");
            assert_eq!(Claim::of(&value).in_path(), None, "{fraction}");
        }
    }
}
