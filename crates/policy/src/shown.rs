//! The texts of the policies in force, without the hashes of secrets.
//!
//! A hash of a client's secret keeps its first eight digits, and zeros take the place of the others: the text still
//! compiles, and whoever edits it can give it back ([`PolicySnapshot::edited`] finds the whole hash again). What is shown
//! is searched once more, without a look at how it was made: a file that still holds a part of a hash, in whatever
//! spelling, is withheld.

use std::{borrow::Cow, ops::Range};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::{
    compile::built_in_file,
    edit::{block_end, column, entry, line_end, pair},
    finding::{Findings, Span},
    live::PolicySnapshot,
    rule::RulePlace,
    source::PolicySources,
    yaml::{self, Key, Node, Value},
};
use crate::clients::{ClientSecret, SecretHash};

/// The digits of a hash that are shown.
const SHOWN_DIGITS: usize = 8;
/// The digits of a hash.
const ALL_DIGITS: usize = 64;

/// The policy files in force as others may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShownTexts {
    /// The files, in order of the paths.
    pub files: Vec<ShownText>,
    /// The files that are not shown.
    pub withheld: Vec<WithheldText>,
}

/// A policy file as others may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownText {
    /// Its name, as findings show it.
    pub name: String,
    /// Its text: each hash of a secret has 8 digits, and zeros behind. Lines have the numbers that they have in the file.
    pub text: String,
}

/// A policy file that nobody is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithheldText {
    /// Its name, as findings show it.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A rule as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleText {
    /// Its name and place.
    #[serde(flatten)]
    pub place: RulePlace,
    /// Its lines, with the comments directly above its name. Empty where its file is withheld.
    pub text: Vec<NumberedLine>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The line without its end.
    pub text: String,
}

impl PolicySnapshot {
    /// The texts in force as others may see them. Of a hash of a secret, they hold 8 digits at most; the hashes of
    /// certificates, which are public, are whole.
    pub fn shown_texts(&self) -> ShownTexts {
        let hashes = self.hash_parts();
        let mut shown = ShownTexts::default();
        for file in self.sources().files.iter() {
            let name = file.name.clone();
            match shown_text(&file.text, &hashes) {
                Ok(text) => shown.files.push(ShownText { name, text: text.into_owned() }),
                Err(why) => shown.withheld.push(WithheldText { name, why: why.to_owned() }),
            }
        }
        shown
    }

    /// A rule of an API as its file has it, by the name that [`RulePlace`] shows. `None` where there is no such rule.
    pub fn rule_text(&self, api: &str, rule: &str) -> Option<RuleText> {
        let known = self.policies.api(api)?.rules().iter().find(|known| known.name() == rule)?;
        let place = self.policies.place_of(known);
        let file = self.sources().files.iter().find(|file| file.name == place.file);
        let text = file.map_or_else(|| built_in_file(&place.file), |file| Some(file.text.as_str()));
        Some(RuleText {
            text: text.map(|text| self.rule_lines(text, api, &place)).unwrap_or_default(),
            place,
        })
    }

    fn rule_lines(&self, text: &str, api: &str, place: &RulePlace) -> Vec<NumberedLine> {
        let Some(lines) = lines_of_rule(text, api, place) else { return Vec::new() };
        let found = text.get(lines.clone()).unwrap_or_default();
        // mostly there is nothing that looks like a hash, so the rest of the file does not matter
        let shown = if looks_clean(found) {
            Cow::Borrowed(text)
        } else {
            shown_text(text, &self.hash_parts()).unwrap_or_default()
        };
        let before = |byte| text.get(..byte).unwrap_or_default().matches('\n').count();
        let (first, count) = (before(lines.start), found.lines().count());
        let numbered = shown.lines().enumerate().skip(first).take(count);
        numbered.map(|(at, text)| NumberedLine { line: at + 1, text: text.to_owned() }).collect()
    }

    /// These texts in the place of those in force, to be compiled: each file by a name as in [`ShownTexts`], or by its
    /// path below the folder. A hash that is shown in part stands for the whole one. The files of public keys are those in
    /// force. With the texts that are shown, the hash of the policies is that in force.
    ///
    /// # Errors
    /// One finding for each name that is no policy file's below the folder or stands twice, and for texts that are too
    /// long.
    pub fn edited(&self, files: Vec<(String, String)>) -> Result<PolicySources, Findings> {
        let mut known = KnownHashes::default();
        let restored = files.into_iter().map(|(name, text)| {
            let whole = self.with_whole_hashes(&text, &mut known);
            (name, whole.unwrap_or(text))
        });
        self.sources().with_texts(restored.collect())
    }

    /// A text with the whole hashes in the place of those that are shown in part; `None` where there are none.
    fn with_whole_hashes(&self, text: &str, known: &mut KnownHashes) -> Option<String> {
        let (root, _) = yaml::parse(text);
        let mut pieces = Vec::new();
        for (client, hash) in secrets(root.as_ref()?) {
            let Value::Scalar { text: shown, .. } = &hash.value else { continue };
            let digits = digits_at(text, hash.at, shown).filter(|_| is_cut(shown));
            let whole = digits.and_then(|at| Some((at, known.find(self, &client.text, shown)?)));
            pieces.extend(whole);
        }
        (!pieces.is_empty()).then(|| with_pieces(text, pieces))
    }

    /// The hashes of all secrets, to be searched for.
    fn hash_parts(&self) -> HashParts {
        let clients = self.policies.clients();
        HashParts::of(clients.iter().flat_map(|client| client.secrets.iter().map(|secret| &secret.sha256)))
    }
}

/// Whole hashes by their beginning.
#[derive(Default)]
struct KnownHashes(Option<FxHashMap<String, Option<SecretHash>>>);

impl KnownHashes {
    /// The hash in force that is shown as this: the client's own, or the only one of all clients.
    fn find(&mut self, snapshot: &PolicySnapshot, client: &str, shown: &str) -> Option<String> {
        let beginning = shown.get(..SHOWN_DIGITS)?.to_ascii_lowercase();
        let clients = snapshot.policies.clients();
        let own = clients.find(client).into_iter().flat_map(|client| &client.secrets);
        let own = own.map(|secret| secret.sha256).find(|hash| hash.beginning() == beginning);
        let all = || {
            let mut known: FxHashMap<String, Option<SecretHash>> = FxHashMap::default();
            for hash in clients.iter().flat_map(|client| &client.secrets).map(|secret| secret.sha256) {
                let of_all = known.entry(hash.beginning()).or_insert(Some(hash));
                *of_all = of_all.filter(|other| *other == hash);
            }
            known
        };
        let hash = own.or_else(|| *self.0.get_or_insert_with(all).get(&beginning)?)?;
        Some(hash.to_string())
    }
}

/// The hashes of clients' secrets that a file has, each with its client.
fn secrets<'n, 't>(root: &'n Node<'t>) -> Vec<(&'n Key<'t>, &'n Node<'t>)> {
    let Some(Node { value: Value::Map(clients), .. }) = entry(root, "clients") else { return Vec::new() };
    let each = clients.iter().filter_map(|(key, client)| match &entry(client, "secrets")?.value {
        Value::List(secrets) => Some((key, secrets)),
        Value::Map(_) | Value::Scalar { .. } => None,
    });
    each.flat_map(|(key, secrets)| {
        secrets.iter().filter_map(move |secret| Some((key, entry(secret, "sha256")?)))
    })
    .collect()
}

/// Whether zeros stand behind the digits that are shown.
fn is_cut(hash: &str) -> bool {
    hash.len() == ALL_DIGITS
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && hash.get(SHOWN_DIGITS..).is_some_and(|rest| rest.bytes().all(|byte| byte == b'0'))
}

/// The bytes of a value of which every character is written as it is, whatever stands around it.
fn digits_at(text: &str, at: Span, value: &str) -> Option<Range<usize>> {
    let from = at.start + text.get(at.start..at.end)?.find(value)?;
    Some(from..from + value.len())
}

/// A text with these in the place of some of its bytes.
fn with_pieces(text: &str, mut pieces: Vec<(Range<usize>, String)>) -> String {
    pieces.sort_by_key(|(at, _)| at.start);
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    for (at, piece) in pieces {
        // what overlaps is replaced already
        if at.start >= from {
            result.push_str(text.get(from..at.start).unwrap_or_default());
            result.push_str(&piece);
            from = at.end;
        }
    }
    result.push_str(text.get(from..).unwrap_or_default());
    result
}

/// A text without the hashes of secrets, or why it is not shown.
fn shown_text<'t>(text: &'t str, hashes: &HashParts) -> Result<Cow<'t, str>, &'static str> {
    let (root, problems) = yaml::parse(text);
    if !problems.is_empty() {
        return Err("it cannot be read as YAML, so that nobody knows where a hash of a secret stands");
    }
    let mut pieces: Vec<_> = root.iter().flat_map(secrets).filter_map(|(_, hash)| cut(text, hash)).collect();
    let values = root.as_ref().map(values).unwrap_or_default();
    let is_value = |at: &Range<usize>| {
        let next = values.partition_point(|value| value.start <= at.start);
        next.checked_sub(1).and_then(|last| values.get(last)).is_some_and(|value| at.start < value.end)
    };
    pieces.extend(hashes_written(text).filter(|at| !is_value(at)).filter_map(|at| {
        let shown = text.get(at.start..at.start + SHOWN_DIGITS)?;
        Some((at.clone(), format!("{shown}{}", "0".repeat(at.len() - SHOWN_DIGITS))))
    }));
    pieces.extend(secrets_written(text));
    let shown = if pieces.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(with_pieces(text, pieces)) };
    let (root, problems) = yaml::parse(&shown);
    let is_cut =
        |(_, hash): (_, &Node<'_>)| matches!(&hash.value, Value::Scalar { text, .. } if is_cut(text));
    if !problems.is_empty() || !root.iter().flat_map(secrets).all(is_cut) {
        return Err("a hash of a secret is not on the line of its `sha256`: write it there, without quotes");
    }
    if hashes.are_in(&shown) || root.as_ref().is_some_and(|root| hashes.are_within(root)) {
        return Err("it holds a part of the hash of a secret in another place than `sha256`: remove it");
    }
    drop(root);
    Ok(shown)
}

/// A hash of a secret, and what is shown in its place. There are as many ends of lines.
fn cut(text: &str, hash: &Node<'_>) -> Option<(Range<usize>, String)> {
    let Value::Scalar { text: value, .. } = &hash.value else { return None };
    let shown = format!("{}{}", value.get(..SHOWN_DIGITS)?, "0".repeat(ALL_DIGITS - SHOWN_DIGITS));
    if let Some(at) = digits_at(text, hash.at, value).filter(|at| at.len() == ALL_DIGITS) {
        return Some((at, shown));
    }
    let at = hash.at.start..hash.at.end;
    let ends = text.get(at.clone())?.matches('\n').count();
    Some((at, format!("\"{shown}\"{}", "\n".repeat(ends))))
}

/// Where keys and values stand, in order.
fn values(root: &Node<'_>) -> Vec<Span> {
    fn collect(node: &Node<'_>, into: &mut Vec<Span>) {
        match &node.value {
            Value::Scalar { .. } => into.push(node.at),
            Value::List(items) => items.iter().for_each(|item| collect(item, into)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    into.push(key.at);
                    collect(value, into);
                }
            }
        }
    }
    let mut values = Vec::new();
    collect(root, &mut values);
    values.sort_unstable_by_key(|value| value.start);
    values
}

/// Where so many hexadecimal digits stand as a hash has, or more.
fn hashes_written(text: &str) -> impl Iterator<Item = Range<usize>> {
    runs(text, |byte| byte.is_ascii_hexdigit()).filter(|run| run.len() >= ALL_DIGITS)
}

/// Where a secret of ours stands in clear, and what is shown in its place.
fn secrets_written(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let words = runs(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    words.filter_map(|word| {
        let at = word.start + text.get(word.clone())?.find("jeton_")?;
        let secret = at..word.end;
        ClientSecret::is_like(text.get(secret.clone())?).then(|| {
            let shown = format!("jeton_{}", "0".repeat(secret.len() - "jeton_".len()));
            (secret, shown)
        })
    })
}

/// The longest pieces of a text that are made of these bytes.
fn runs(text: &str, is_of: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.as_bytes().get(at..)?;
        let start = at + rest.iter().position(|byte| is_of(*byte))?;
        let run = text.as_bytes().get(start..)?;
        let end = run.iter().position(|byte| !is_of(*byte)).map_or(text.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}

/// Parts of the hashes of secrets: 16 digits from each eighth on. Whatever has 23 digits of a hash in a row, has one.
struct HashParts(FxHashSet<u64>);

/// The digits of a part.
const PART_DIGITS: usize = 16;

impl HashParts {
    fn of<'h>(hashes: impl Iterator<Item = &'h SecretHash>) -> Self {
        // zeros tell nothing, and stand in what is shown
        Self(hashes.flat_map(SecretHash::parts).filter(|part| *part != 0).collect())
    }

    /// Whether a text holds one, in whatever case and whatever stands between the digits but other letters.
    fn are_in(&self, text: &str) -> bool {
        hexadecimal(text).any(|digits| self.0.contains(&digits))
    }

    /// Whether a key or a value below holds one, however it is written.
    fn are_within(&self, node: &Node<'_>) -> bool {
        match &node.value {
            Value::Scalar { text, .. } => self.are_in(text),
            Value::List(items) => items.iter().any(|item| self.are_within(item)),
            Value::Map(entries) => {
                entries.iter().any(|(key, value)| self.are_in(&key.text) || self.are_within(value))
            }
        }
    }
}

/// Each 16 hexadecimal digits in a row, without what stands between them.
fn hexadecimal(text: &str) -> impl Iterator<Item = u64> {
    let mut digits = 0_usize;
    let mut last = 0_u64;
    text.chars().filter(|c| c.is_alphanumeric()).filter_map(move |c| {
        let Some(digit) = c.to_digit(16) else {
            digits = 0;
            return None;
        };
        digits += 1;
        last = last << 4 | u64::from(digit);
        (digits >= PART_DIGITS).then_some(last)
    })
}

/// Whether a text cannot hold a part of a hash, nor a secret: no 16 hexadecimal digits in a row, and no escapes.
fn looks_clean(text: &str) -> bool {
    !text.contains('\\') && !text.contains("jeton_") && hexadecimal(text).next().is_none()
}

/// The lines of a rule, whole: from the comments directly above its name on.
fn lines_of_rule(text: &str, api: &str, place: &RulePlace) -> Option<Range<usize>> {
    let (root, _) = yaml::parse(text);
    let root = root?;
    let rules = entry(entry(entry(&root, "apis")?, api)?, "rules")?;
    // a built-in rule that was given another name
    let written = place.rule.strip_suffix(" (built in)").unwrap_or(&place.rule);
    let (key, value) = pair(rules, &place.rule).or_else(|| pair(rules, written))?;
    let indent = column(text, key.at.start);
    let start = key.at.start - indent;
    let is_own_line = text.get(start..key.at.start)?.trim().is_empty();
    let last = value.at.end.max(key.at.end);
    let end = if is_own_line { block_end(text, last, indent) } else { line_end(text, last) };
    let start = if is_own_line { comments_above(text, start, indent) } else { start };
    Some(start..end)
}

/// Where the comments begin that stand directly above a line, and no deeper than what it starts with.
fn comments_above(text: &str, line: usize, indent: usize) -> usize {
    let mut start = line;
    for above in text.get(..line).unwrap_or_default().split_inclusive('\n').rev() {
        let content = above.trim_start();
        if !content.starts_with('#') || above.len() - content.len() > indent {
            break;
        }
        start -= above.len();
    }
    start
}
