//! JSON without duplicate names, at any depth.
//!
//! Of two members with one name some readers take the first and some the last (RFC 8259 section 4), so
//! that one token could mean two things.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a JSON object and nothing after it.
pub fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_slice(bytes)? {
        Strict(Value::Object(object)) => Ok(object),
        Strict(_) => Err(Error::custom("not an object")),
    }
}

/// As [`strict_object`], but an object within it that has a name twice is nothing: it spoils no other.
pub(crate) fn object_of_strict_values(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_slice(bytes)? {
        StrictWithin(Value::Object(object)) => Ok(object),
        StrictWithin(_) => Err(Error::custom("not an object")),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue { depth: 0, tolerates_from: None }.deserialize(deserializer).map(Self)
    }
}

struct StrictWithin(Value);

impl<'de> Deserialize<'de> for StrictWithin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue { depth: 0, tolerates_from: Some(1) }.deserialize(deserializer).map(Self)
    }
}

#[derive(Clone, Copy)]
struct StrictValue {
    depth: usize,
    /// From which depth on an object that has a name twice is nothing, and no error.
    tolerates_from: Option<usize>,
}

impl StrictValue {
    fn within(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.within())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut object, mut is_doubled) = (Map::new(), false);
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.within())?;
            is_doubled |= object.insert(name, value).is_some();
            if is_doubled && self.tolerates_from.is_none_or(|from| self.depth < from) {
                return Err(Error::custom("a name stands twice"));
            }
        }
        Ok(if is_doubled { Value::Null } else { Value::Object(object) })
    }
}

#[cfg(test)]
mod tests {
    use super::strict_object;

    #[test]
    fn only_one_object_with_each_name_once() {
        let good = r#"{"a":1,"b":{"a":[null,true,false,-2,18446744073709551615,1.5,"x","\u00e9"]}}"#;
        let read = strict_object(good.as_bytes()).unwrap();
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            serde_json::from_str::<serde_json::Value>(good).unwrap()
        );
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"a":2}]}"#,
            r#"{"a":1} {}"#,
            r#"{"a":1}x"#,
            r#"{"a":1,}"#,
            r"[1]",
            r"null",
            "",
        ] {
            assert!(strict_object(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
