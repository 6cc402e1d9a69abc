//! From nodes to the types of [`super::document`], through serde, without stopping at the first error.
//!
//! A deserializer of serde gives up at an error, and so do those of the libraries for YAML: whoever has ten mistakes
//! in a file would need ten runs. Here every error is noted with its place where it arises, and the three types
//! [`Field`], [`Items`] and [`Named`] go on without the part that is wrong. They may drop an error, for no method of
//! [`Reader`] returns one that is not noted; the property test below holds that.

use std::{cell::RefCell, fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
        VariantAccess, Visitor,
        value::{StrDeserializer, UsizeDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    finding::{FindingCode, ReadingProblem, Span, did_you_mean},
    yaml::{Key, Node, Value},
};

/// Reads `node` as a `T`, adding to `problems` whatever is wrong in it.
pub(super) fn read<'n, T: Deserialize<'n>>(
    node: &'n Node<'n>,
    problems: &RefCell<Vec<ReadingProblem>>,
) -> Option<T> {
    T::deserialize(Reader { node, problems }).ok()
}

/// The variant of an enum for `true` and `false`.
const SWITCH: &str = "switch";

/// A value and its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Spanned<T> {
    pub(super) at: Span,
    pub(super) value: T,
}

/// A value that may be left out, and whose error leaves its neighbours readable.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    /// It was there and wrong; the problem is noted.
    Wrong,
    Given(T),
}

impl<T> Field<T> {
    pub(super) fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Whether all that was written could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadExtent {
    Whole,
    InPart,
}

/// A list without its wrong items.
#[derive(Debug)]
pub(super) struct Items<T>(pub(super) Vec<T>, pub(super) ReadExtent);

/// A map in the order of the file. An entry that is wrong keeps its name, so that what refers to it
/// is not reported as well.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Spanned<String>, Option<T>)>, pub(super) ReadExtent);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new(), ReadExtent::Whole)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new(), ReadExtent::Whole)
    }
}

impl<T> Items<T> {
    /// Whether the list was written without an item; one whose items are all wrong was not.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1 == ReadExtent::Whole
    }
}

impl<T> Named<T> {
    /// Whether the map was written without an entry.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1 == ReadExtent::Whole
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(T::deserialize(deserializer).map_or(Self::Wrong, Self::Given))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Items<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                // exact, for there may be many short lists
                let mut items = Items(Vec::with_capacity(seq.size_hint().unwrap_or(0)), ReadExtent::Whole);
                while let Some(item) = seq.next_element::<Field<T>>()? {
                    match item {
                        Field::Given(item) => items.0.push(item),
                        Field::Absent | Field::Wrong => items.1 = ReadExtent::InPart,
                    }
                }
                Ok(items)
            }
        }
        Ok(deserializer.deserialize_seq(Collect(PhantomData)).unwrap_or(Self(Vec::new(), ReadExtent::InPart)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Named(Vec::with_capacity(map.size_hint().unwrap_or(0)), ReadExtent::Whole);
                while let Some((name, value)) = map.next_entry::<Spanned<String>, Field<T>>()? {
                    let value = match value {
                        Field::Given(value) => Some(value),
                        Field::Absent | Field::Wrong => None,
                    };
                    entries.0.push((name, value));
                }
                Ok(entries)
            }
        }
        Ok(deserializer.deserialize_map(Collect(PhantomData)).unwrap_or(Self(Vec::new(), ReadExtent::InPart)))
    }
}

/// The name by which [`Spanned`] asks a [`Reader`] for its place.
const SPANNED: &str = "$spanned";
const SPANNED_FIELDS: &[&str] = &["start", "end", "value"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let missing = || de::Error::custom("a place");
                let start = seq.next_element()?.ok_or_else(missing)?;
                let end = seq.next_element()?.ok_or_else(missing)?;
                let value = seq.next_element()?.ok_or_else(missing)?;
                Ok(Spanned { at: Span { start, end }, value })
            }
        }
        deserializer.deserialize_struct(SPANNED, SPANNED_FIELDS, Collect(PhantomData))
    }
}

/// The error of a [`Reader`]: noted already, or still without a place.
#[derive(Debug)]
pub(super) enum ReadError {
    Noted,
    New { code: FindingCode, message: String },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noted => f.write_str("noted"),
            Self::New { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::New { code: FindingCode::WrongType, message: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::New { code: FindingCode::Missing, message: format!("`{field}` is missing") }
    }
}

/// What a plain scalar is, of the numbers of YAML.
enum Number {
    Negative(i64),
    Whole(u64),
    Fraction(f64),
    TooLarge,
    /// `007`, `0x10`, `1_000`, `+1`: YAML 1.1 and 1.2 read other numbers, or text.
    Unclear,
    None,
}

impl Number {
    fn of(text: &str) -> Self {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let starts_with_digit = unsigned.starts_with(|c: char| c.is_ascii_digit());
        let is_of = |allowed: fn(char) -> bool| starts_with_digit && unsigned.chars().all(allowed);
        let is_decimal = is_of(|c| c.is_ascii_digit());
        let has_zero = unsigned.len() > 1 && unsigned.starts_with('0');
        let has_base = |prefix: &str, base: u32| {
            let digits = unsigned.strip_prefix(prefix).filter(|digits| !digits.is_empty());
            digits.is_some_and(|digits| digits.chars().all(|c| c.is_digit(base) || c == '_'))
        };
        if has_base("0x", 16)
            || has_base("0o", 8)
            || has_base("0b", 2)
            || (is_decimal && (has_zero || text.starts_with('+') || text == "-0"))
            || (!is_decimal && is_of(|c| c.is_ascii_digit() || c == '_'))
        {
            return Self::Unclear;
        }
        if is_decimal {
            return match (text.parse(), text.parse()) {
                (Ok(number), _) => Self::Whole(number),
                (_, Ok(number)) => Self::Negative(number),
                (_, _) => Self::TooLarge,
            };
        }
        match text.parse::<f64>() {
            Ok(number) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                if number.is_finite() { Self::Fraction(number) } else { Self::TooLarge }
            }
            _ => Self::None,
        }
    }
}

/// One node as serde sees it.
#[derive(Clone, Copy)]
struct Reader<'n, 'p> {
    node: &'n Node<'n>,
    problems: &'p RefCell<Vec<ReadingProblem>>,
}

impl<'n> Reader<'n, '_> {
    fn expected(self, what: &str) -> ReadError {
        let message = if self.node.is_null() {
            format!("expected {what}, found nothing")
        } else {
            format!("expected {what}, found {}", self.node.kind())
        };
        self.note(ReadError::New { code: FindingCode::WrongType, message })
    }

    /// Notes an error that has no place yet at this node.
    fn note(self, error: ReadError) -> ReadError {
        if let ReadError::New { code, message } = error {
            self.problems.borrow_mut().push(ReadingProblem::new(self.node.at, code, message));
        }
        ReadError::Noted
    }

    fn text(self) -> Result<&'n str, ReadError> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Ok(text),
            _ => Err(self.expected("text")),
        }
    }

    fn list(self) -> Result<&'n [Node<'n>], ReadError> {
        match &self.node.value {
            Value::List(items) => Ok(items),
            _ if self.node.is_null() => Ok(&[]),
            _ => Err(self.expected("a list, such as `[a, b]`")),
        }
    }

    fn map(self) -> Result<&'n [(Key<'n>, Node<'n>)], ReadError> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            _ if self.node.is_null() => Ok(&[]),
            _ => Err(self.expected("a map of `key: value`")),
        }
    }

    /// Reads what a `struct` has fields for; other keys are noted and left out.
    fn known(self, fields: &'static [&'static str]) -> Result<Vec<(&'n Key<'n>, &'n Node<'n>)>, ReadError> {
        let mut known: Vec<(&Key<'_>, &Node<'_>)> = Vec::new();
        for (key, node) in self.map()? {
            // a merge key is refused where it is read
            if key.text == "<<" {
                continue;
            }
            if !fields.contains(&&*key.text) {
                let message = format!("unknown key `{}`", key.text);
                let hint = did_you_mean(&key.text, fields.iter().copied())
                    .unwrap_or_else(|| format!("known here: {}", fields.join(", ")));
                self.problems
                    .borrow_mut()
                    .push(ReadingProblem::new(key.at, FindingCode::UnknownKey, message).hint(hint));
            } else if !known.iter().any(|(other, _)| other.text == key.text) {
                known.push((key, node));
            }
        }
        Ok(known)
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = ReadError;

    /// A value of any kind, by the core schema of YAML 1.2 (section 10.3).
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let visited = match &self.node.value {
            Value::List(_) => return self.deserialize_seq(visitor),
            Value::Map(_) => return self.deserialize_map(visitor),
            Value::Scalar { .. } if self.node.is_null() => visitor.visit_unit(),
            Value::Scalar { text, quoted: true } => visitor.visit_str(text),
            Value::Scalar { text, quoted: false } => match &**text {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                text => match Number::of(text) {
                    Number::Negative(number) => visitor.visit_i64(number),
                    Number::Whole(number) => visitor.visit_u64(number),
                    Number::Fraction(number) => visitor.visit_f64(number),
                    Number::TooLarge => {
                        // a float would stand for another number
                        let message = format!("`{text}` is too large a number: write it in quotes");
                        Err(ReadError::New { code: FindingCode::WrongType, message })
                    }
                    Number::Unclear => {
                        let message = format!(
                            "expected a decimal number or text in quotes, found `{text}`, which YAML readers read differently"
                        );
                        Err(ReadError::New { code: FindingCode::YamlFeature, message })
                    }
                    Number::None => visitor.visit_str(text),
                },
            },
        };
        visited.map_err(|error| self.note(error))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.text()?).map_err(|error: ReadError| self.note(error))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Scalar { text, quoted: false } if text == "true" => visitor.visit_bool(true),
            Value::Scalar { text, quoted: false } if text == "false" => visitor.visit_bool(false),
            Value::Scalar { text, quoted: false } if !self.node.is_null() => {
                let message = format!("expected `true` or `false`, found `{text}`");
                Err(self.note(ReadError::New { code: FindingCode::WrongType, message }))
            }
            Value::Scalar { quoted: true, .. } => Err(self.expected("`true` or `false` without quotes")),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let text = self.text()?;
        if matches!(self.node.value, Value::Scalar { quoted: true, .. }) {
            return Err(self.expected("a whole number without quotes"));
        }
        match text.parse() {
            Ok(number) => visitor.visit_u64(number).map_err(|error: ReadError| self.note(error)),
            Err(_) => Err(self.expected("a whole number")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let mut items = self.list()?.iter();
        let next = Nodes { items: &mut items, problems: self.problems };
        visitor.visit_seq(next).map_err(|error| self.note(error))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let entries = self.map()?.iter().map(|(key, node)| (key, node)).collect();
        let entries = MapEntries { pairs: entries, position: 0, problems: self.problems };
        visitor.visit_map(entries).map_err(|error| self.note(error))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == SPANNED {
            let place = SpannedParts { at: self.node.at, value: Some(self), next: 0 };
            return visitor.visit_seq(place).map_err(|error| self.note(error));
        }
        let entries = MapEntries { pairs: self.known(fields)?, position: 0, problems: self.problems };
        visitor.visit_map(entries).map_err(|error| self.note(error))
    }

    /// Picks the variant by the kind of what is there: `text`, `list` or `map`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let kind = match &self.node.value {
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Scalar { .. } if variants.contains(&SWITCH) => SWITCH,
            Value::Scalar { .. } => "text",
        };
        if self.node.is_null() || !variants.contains(&kind) {
            let named = |kind: &&str| if *kind == SWITCH { "`true`".to_owned() } else { format!("a {kind}") };
            let expected: Vec<_> = variants.iter().map(named).collect();
            return Err(self.expected(&expected.join(" or ")));
        }
        visitor.visit_enum(Variant { kind, reader: self }).map_err(|error| self.note(error))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The items of a list.
struct Nodes<'i, 'n, 'p> {
    items: &'i mut std::slice::Iter<'n, Node<'n>>,
    problems: &'p RefCell<Vec<ReadingProblem>>,
}

impl<'n> SeqAccess<'n> for Nodes<'_, 'n, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let problems = self.problems;
        self.items.next().map(|node| seed.deserialize(Reader { node, problems })).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map.
struct MapEntries<'n, 'p> {
    pairs: Vec<(&'n Key<'n>, &'n Node<'n>)>,
    position: usize,
    problems: &'p RefCell<Vec<ReadingProblem>>,
}

impl<'n> MapAccess<'n> for MapEntries<'n, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.pairs.get(self.position).map(|(key, _)| seed.deserialize(KeyReader(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let entry = self.pairs.get(self.position);
        self.position += 1;
        match entry {
            Some((_, node)) => seed.deserialize(Reader { node, problems: self.problems }),
            None => Err(de::Error::custom("a value without its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len().saturating_sub(self.position))
    }
}

/// A key as serde sees it.
struct KeyReader<'n>(&'n Key<'n>);

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_seq(SpannedParts { at: self.0.at, value: Some(self), next: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// What [`Spanned`] reads: where the value starts, where it ends, the value.
struct SpannedParts<D> {
    at: Span,
    value: Option<D>,
    next: u8,
}

impl<'n, D: Deserializer<'n, Error = ReadError>> SeqAccess<'n> for SpannedParts<D> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.next += 1;
        let byte = |at: usize| -> UsizeDeserializer<ReadError> { at.into_deserializer() };
        match self.next {
            1 => seed.deserialize(byte(self.at.start)).map(Some),
            2 => seed.deserialize(byte(self.at.end)).map(Some),
            _ => self.value.take().map(|value| seed.deserialize(value)).transpose(),
        }
    }
}

/// A value whose kind names the variant.
struct Variant<'n, 'p> {
    kind: &'static str,
    reader: Reader<'n, 'p>,
}

impl<'n> EnumAccess<'n> for Variant<'n, '_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.kind.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'n> VariantAccess<'n> for Variant<'n, '_> {
    type Error = ReadError;

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.reader)
    }

    fn unit_variant(self) -> Result<(), ReadError> {
        Err(de::Error::custom("a variant has a value"))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _length: usize, _visitor: V) -> Result<V::Value, ReadError> {
        Err(de::Error::custom("a variant has one value"))
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, ReadError> {
        Err(de::Error::custom("a variant has one value"))
    }
}

#[cfg(test)]
mod tests;
