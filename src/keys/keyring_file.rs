//! The text of `keyring.yaml`: read with all that is wrong in it, and written.
//!
//! It uses the plain part of YAML, as the policies do: what a reader could overlook or two libraries read differently
//! (anchors, aliases, merge keys, tags, directives, a second document) is refused.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use jeton_oauth::{KeyId, SignatureAlgorithm, clock::parse_time};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_saphyr::{
    MergeKeyPolicy, Spanned,
    granit_parser::{self, ErrorKind, Event, Marker, Parser},
};

use super::{InvalidKeyring, KeyEntry, Keyring};

/// The name of the file with the times.
pub(super) const KEYRING: &str = "keyring.yaml";
/// The first lines of every file that we write.
const HEAD: &str = "\
# When each key of this folder signs: written by `jeton keys`, read by every server that sees the folder.
# A key signs from `activates` until its successor does, and stays published until its last token has ended.
# `jeton keys list` shows what follows from these times now.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Spanned<KeyringFields>>,
}

/// An entry as it was written: a text, or nothing, for each name.
struct KeyringFields(Vec<(Spanned<String>, Spanned<Option<String>>)>);

impl<'de> Deserialize<'de> for KeyringFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = KeyringFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with `kid`, `created` and `activates`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyringFields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(KeyringFields(fields))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl Keyring {
    /// Reads `keyring.yaml`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<InvalidKeyring>> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Err(vec![InvalidKeyring::Empty]);
        }
        let mut faults = unused_yaml(text);
        if !faults.is_empty() {
            return Err(in_order(faults));
        }
        let options = serde_saphyr::options! { merge_keys: MergeKeyPolicy::Error, with_snippet: false };
        let file: File =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| vec![not_read(&error)])?;
        let mut entries: Vec<KeyEntry> = Vec::with_capacity(file.keys.len());
        for fields in &file.keys {
            let Some(entry) = entry(fields, &mut faults) else { continue };
            if entries.iter().any(|other| other.kid == entry.kid) {
                let message = format!("`{}` stands here twice: remove one of the entries", entry.kid);
                faults.push(fault(fields, message));
            }
            entries.push(entry);
        }
        if faults.is_empty() {
            return Self::new(entries).map_err(|error| vec![error]);
        }
        Err(in_order(faults))
    }

    /// The text of a `keyring.yaml` with these entries.
    pub fn render(entries: &[KeyEntry]) -> String {
        format!("{HEAD}keys:\n{}", entries.iter().map(KeyEntry::render).collect::<String>())
    }
}

impl KeyEntry {
    /// The lines of this entry.
    pub fn render(&self) -> String {
        let Self { kid, algorithm, created, activates, retires } = self;
        let kid = scalar(kid);
        let mut text = format!(
            "  - kid: {kid}\n    alg: {algorithm}\n    created: {created}\n    activates: {activates}\n"
        );
        if let Some(retires) = retires {
            let _ = writeln!(text, "    retires: {retires}");
        }
        text
    }
}

/// A `kid` as YAML reads it back. A thumbprint stands there as it is; what YAML may take for something else stands in
/// quotes, which no `kid` holds itself.
fn scalar(kid: &KeyId) -> Cow<'_, str> {
    let text = kid.as_str();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !text.eq_ignore_ascii_case("null");
    if is_plain { text.into() } else { format!("\"{text}\"").into() }
}

/// As somebody reads who goes through the file.
fn in_order(mut faults: Vec<InvalidKeyring>) -> Vec<InvalidKeyring> {
    faults.sort_by_key(|fault| match fault {
        InvalidKeyring::Fault { line, column, .. } => (*line, *column),
        InvalidKeyring::Empty | InvalidKeyring::NoSuccessor(_) => (0, 0),
    });
    faults
}

/// What of YAML is used and must not be. What is not YAML at all is left to the reading.
fn unused_yaml(text: &str) -> Vec<InvalidKeyring> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
    };
    let (mut faults, mut documents) = (Vec::new(), 0);
    let mut refuse = |at: &Marker, what: &str, fix: &str| {
        let (line, column) = (at.line() as u64, at.col() as u64 + 1);
        let message = format!("{what} are not used in `keyring.yaml`: {fix}");
        faults.push(InvalidKeyring::Fault { line, column, message });
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                if matches!(error.kind(), ErrorKind::DirectiveDisallowed) {
                    refuse(error.marker(), "directives", "remove the line that starts with `%`");
                }
                break;
            }
        };
        if event.tag().is_some() {
            refuse(&span.tag_span().unwrap_or(span).start, "tags", "remove the `!name`");
        }
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents == 2 {
                    refuse(&span.start, "several documents", "remove this one");
                }
            }
            Event::Anchor(..) => refuse(&span.start, "anchors", "remove the `&name`"),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                refuse(&span.start, "aliases", "write the value out");
            }
            _ => {}
        }
    }
    faults
}

/// One entry, if it is one; else what is wrong with it.
fn entry(fields: &Spanned<KeyringFields>, faults: &mut Vec<InvalidKeyring>) -> Option<KeyEntry> {
    let before = faults.len();
    let known = ["kid", "alg", "created", "activates", "retires"];
    for (name, _) in &fields.value.0 {
        if !known.contains(&name.value.as_str()) {
            let message = format!("`{}` has no meaning here: an entry has {}", name.value, known.join(", "));
            faults.push(fault(name, message));
        }
    }
    let given = |name: &str| {
        let (_, value) = fields.value.0.iter().find(|(given, _)| given.value == name)?;
        value.value.as_deref().map(|text| (value, text))
    };
    let mut missing = Vec::new();
    let mut required = |name: &'static str| {
        let found = given(name);
        if found.is_none() {
            missing.push(fault(fields, format!("`{name}` is missing in this entry")));
        }
        found
    };
    let (kid, created, activates) = (required("kid"), required("created"), required("activates"));
    faults.append(&mut missing);
    let kid = kid.and_then(|(at, text)| {
        KeyId::parse(text).map_err(|error| faults.push(fault(at, error.to_string()))).ok()
    });
    let algorithm = match given("alg") {
        None => SignatureAlgorithm::Rs256,
        Some((at, text)) => SignatureAlgorithm::parse(text).unwrap_or_else(|| {
            let message = format!("`{text}` is not an algorithm: write RS256, PS256, ES256 or EdDSA");
            faults.push(fault(at, message));
            SignatureAlgorithm::Rs256
        }),
    };
    let mut time = |given: Option<(&Spanned<Option<String>>, &str)>| -> Option<Timestamp> {
        let (at, text) = given?;
        let time = parse_time(text);
        time.map_err(|error| faults.push(fault(at, format!("{error}: {}", error.hint())))).ok()
    };
    let (created, activates, retires) = (time(created), time(activates), time(given("retires")));
    if let (Some((at, _)), Some(retires), Some(activates)) = (given("retires"), retires, activates)
        && retires < activates
    {
        faults
            .push(fault(at, "`retires` is before `activates`: a key must sign before it retires".to_owned()));
    }
    if faults.len() > before {
        return None;
    }
    Some(KeyEntry { kid: kid?, algorithm, created: created?, activates: activates?, retires })
}

fn fault<T>(at: &Spanned<T>, message: String) -> InvalidKeyring {
    let place = at.referenced;
    InvalidKeyring::Fault { line: place.line(), column: place.column(), message }
}

/// What the library says, which ends with the place.
fn not_read(error: &serde_saphyr::Error) -> InvalidKeyring {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default();
    let message = message.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(message);
    InvalidKeyring::Fault { line, column, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(kid: &str, created: &str) -> Keyring {
        let text = format!("keys:\n  - kid: \"{kid}\"\n    created: {created}\n    activates: {created}\n");
        Keyring::parse(&text).unwrap_or_else(|faults| panic!("{kid} {created}: {faults:?}"))
    }

    /// Found by the fuzz target `keyring`.
    #[test]
    fn what_is_written_is_read_again() {
        let kids = "one -one 1 true null NULL ~ # ! % & * ? - --- ' > | @ ` { [ a: [a #a '' a#b : .inf <<"
            .split(' ');
        for kid in kids.chain(["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"]) {
            // the last is before the year 0, which no time here can be
            for created in ["2026-11-23T12:00:00Z", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00+23:59"] {
                let ring = ring(kid, created);
                let written = Keyring::render(ring.entries());
                let read = Keyring::parse(&written).unwrap_or_else(|faults| panic!("{faults:?}\n{written}"));
                assert_eq!(read, ring, "{written}");
            }
        }
    }
}
