//! YAML text to a tree of nodes with their places.
//!
//! Policies use the plain part of YAML: maps, lists, scalars, comments. What two YAML libraries read
//! differently or what lets a reader overlook something (anchors, aliases, merge keys, tags,
//! directives, a second document, a key that stands twice) is refused.

use std::{borrow::Cow, cell::OnceCell};

use rustc_hash::FxHashMap;
use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle};

use super::{
    finding::{FindingCode, ReadingProblem, Span, is_private_pem},
    lines::Lines,
};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) at: Span,
    pub(super) value: Value<'t>,
}

#[derive(Debug)]
pub(super) enum Value<'t> {
    Scalar { text: Cow<'t, str>, quoted: bool },
    List(Vec<Node<'t>>),
    Map(Vec<(Key<'t>, Node<'t>)>),
}

#[derive(Debug)]
pub(super) struct Key<'t> {
    pub(super) at: Span,
    pub(super) text: Cow<'t, str>,
}

/// A value of JSON as a file would have it. It has no place.
impl<'t> From<&'t serde_json::Value> for Node<'t> {
    fn from(value: &'t serde_json::Value) -> Self {
        use serde_json::Value as Json;

        let at = Span::default();
        let plain = |text| Value::Scalar { text, quoted: false };
        let value = match value {
            Json::Null => plain(Cow::Borrowed("null")),
            Json::Bool(truth) => plain(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Json::Number(number) => plain(Cow::Owned(number.to_string())),
            Json::String(text) => Value::Scalar { text: Cow::Borrowed(text), quoted: true },
            Json::Array(items) => Value::List(items.iter().map(Self::from).collect()),
            Json::Object(members) => {
                let key = |name: &'t String| Key { at, text: Cow::Borrowed(name.as_str()) };
                Value::Map(members.iter().map(|(name, value)| (key(name), value.into())).collect())
            }
        };
        Self { at, value }
    }
}

impl Node<'_> {
    /// Whether nothing was written: an empty or `null` plain scalar.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether it is a map.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// Where something stands that could be a secret: every value below a key that is about secrets, but
    /// hashes and expiries; what could be a private key, for it is given by mistake where a public one belongs; and what is
    /// PEM of one, wherever it stands.
    pub(super) fn secrets(&self) -> Vec<Span> {
        let mut found = Vec::new();
        self.collect_secrets(Below::Anything, &mut found);
        found
    }

    fn collect_secrets(&self, below: Below, into: &mut Vec<Span>) {
        match &self.value {
            Value::Scalar { text, .. } => {
                let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if below == Below::Key || (below == Below::Secret && !is_hash) || is_private_pem(text) {
                    into.push(self.at);
                }
            }
            Value::List(items) => {
                // a line of it each
                let below = if items.iter().any(Self::is_private_pem) { Below::Key } else { below };
                for item in items {
                    item.collect_secrets(below, into);
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    if is_private_pem(&key.text) {
                        into.push(key.at);
                    }
                    let key = key.text.to_ascii_lowercase();
                    let about = |words: &[&str]| words.iter().any(|word| key.contains(word));
                    let below = match below {
                        _ if key == "expires" => Below::Anything,
                        Below::Key if ["file", "kty", "crv", "kid", "alg", "use"].contains(&&*key) => {
                            Below::Anything
                        }
                        Below::Anything if about(&["secret", "sha256", "password"]) => Below::Secret,
                        Below::Anything if about(&["public_key", "private_key", "jwk", "pem"]) => Below::Key,
                        same => same,
                    };
                    value.collect_secrets(below, into);
                }
            }
        }
    }

    fn is_private_pem(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, .. } if is_private_pem(text))
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
        }
    }
}

/// What a value is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Anything,
    Secret,
    Key,
}

/// How deep maps and lists may stand in each other.
const DEEPEST: usize = 64;

/// Reads one file. A tree comes back wherever there is one to go on with, beside all problems.
pub(super) fn parse(text: &str) -> (Option<Node<'_>>, Vec<ReadingProblem>) {
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut tree =
        Tree { text, lines: OnceCell::new(), frames: Vec::new(), root: None, problems: Vec::new() };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                let at = Span { start, end: start };
                tree.problems.push(match error.kind() {
                    ErrorKind::DirectiveDisallowed => {
                        let message = "directives are not used in policies";
                        ReadingProblem::new(at, FindingCode::YamlFeature, message)
                            .hint("remove the line that starts with `%`")
                    }
                    _ => match bare_braces(text, start) {
                        Some(at) => needs_quotes(at, text),
                        None => ReadingProblem::new(
                            at,
                            FindingCode::YamlSyntax,
                            format!("this is not YAML: {}", error.info()),
                        )
                        .hint("look at this line and the one before: indentation, quotes, `:` and brackets"),
                    },
                });
                return (None, tree.problems);
            }
        };
        let range = span.byte_range().unwrap_or_default();
        let at = Span { start: range.start, end: range.end };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let problem =
                    ReadingProblem::new(at, FindingCode::YamlFeature, "a second document starts here");
                tree.problems.push(problem.hint("put it into a file of its own"));
                break;
            }
        }
        if event.tag().is_some() {
            let range = span.tag_span().and_then(|tag| tag.byte_range()).unwrap_or(at.start..at.start);
            let at = Span { start: range.start, end: range.end };
            let problem = ReadingProblem::new(at, FindingCode::YamlFeature, "tags are not used in policies");
            tree.problems.push(problem.hint("remove the `!name`; quote the value to make it text"));
        }
        if tree.take(event, at).is_none() {
            return (None, tree.problems);
        }
    }
    (tree.root, tree.problems)
}

/// The text without quotes that a brace at `error` cuts in two, as in `[GET /orders/{order}]`: within brackets and
/// braces it starts a map.
fn bare_braces(text: &str, error: usize) -> Option<Span> {
    let (before, from) = text.split_at_checked(error)?;
    let before = before.rsplit('\n').next()?;
    let is_within_text = !before.ends_with(|c: char| c.is_whitespace() || "[]{},:\"'".contains(c));
    if !from.starts_with('{') || before.is_empty() || !is_within_text {
        return None;
    }
    let opened = before.rfind(['[', '{', ',']).map_or(0, |at| at + 1);
    let value = before.get(opened..)?;
    let value = value.split_once(": ").map_or(value, |(_, value)| value).trim_start();
    let end = from.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']')).unwrap_or(from.len());
    let mut rest = from.get(..end)?;
    while rest.matches('}').count() > rest.matches('{').count() {
        rest = rest.strip_suffix('}')?;
    }
    Some(Span { start: error - value.len(), end: error + rest.len() })
}

fn needs_quotes(at: Span, text: &str) -> ReadingProblem {
    let bare = text.get(at.start..at.end).unwrap_or_default();
    let message = format!("`{bare}` needs quotes here: within brackets, a brace starts a map");
    let hint = format!("write `\"{bare}\"`, or put it on a line of its own behind `- `");
    ReadingProblem::new(at, FindingCode::YamlSyntax, message).hint(hint)
}

struct Tree<'t> {
    text: &'t str,
    /// Counted where a problem names another line than its own.
    lines: OnceCell<Lines>,
    frames: Vec<Frame<'t>>,
    root: Option<Node<'t>>,
    problems: Vec<ReadingProblem>,
}

enum Frame<'t> {
    List {
        start: usize,
        items: Vec<Node<'t>>,
    },
    Map {
        start: usize,
        entries: Vec<(Key<'t>, Node<'t>)>,
        seen: FxHashMap<Cow<'t, str>, Span>,
        key: Option<Key<'t>>,
    },
}

impl<'t> Tree<'t> {
    /// Takes one event; `None` where the tree cannot be continued.
    fn take(&mut self, event: Event<'t>, at: Span) -> Option<()> {
        match event {
            Event::Anchor(..) => {
                let problem =
                    ReadingProblem::new(at, FindingCode::YamlFeature, "anchors are not used in policies");
                self.problems.push(problem.hint("remove the `&name`"));
                Some(())
            }
            Event::Scalar(text, style, ..) => {
                let quoted = style != ScalarStyle::Plain;
                self.place(Node { at, value: Value::Scalar { text, quoted } })
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let problem =
                    ReadingProblem::new(at, FindingCode::YamlFeature, "aliases are not used in policies");
                self.problems.push(problem.hint("write the value out"));
                self.place(Node { at, value: Value::Scalar { text: Cow::Borrowed(""), quoted: false } })
            }
            Event::SequenceStart(..) => {
                self.refuse_compound_key(at)?;
                self.frames.push(Frame::List { start: at.start, items: Vec::new() });
                Some(())
            }
            Event::MappingStart(..) => {
                self.refuse_compound_key(at)?;
                self.frames.push(Frame::Map {
                    start: at.start,
                    entries: Vec::new(),
                    seen: FxHashMap::default(),
                    key: None,
                });
                Some(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (start, value) = match self.frames.pop()? {
                    Frame::List { start, mut items } => {
                        items.shrink_to_fit();
                        (start, Value::List(items))
                    }
                    // a map of one entry has room for four, and there may be many
                    Frame::Map { start, mut entries, .. } => {
                        entries.shrink_to_fit();
                        (start, Value::Map(entries))
                    }
                };
                let end = trimmed_end(self.text, start, at.end);
                self.place(Node { at: Span { start, end }, value })
            }
            _ => Some(()),
        }
    }

    fn place(&mut self, node: Node<'t>) -> Option<()> {
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => return self.place_key(node),
            },
        }
        Some(())
    }

    fn place_key(&mut self, node: Node<'t>) -> Option<()> {
        let Some(Frame::Map { seen, key, .. }) = self.frames.last_mut() else { return None };
        let Value::Scalar { text, quoted } = node.value else { return None };
        // in quotes it is a name as any other
        if text == "<<" && !quoted {
            let problem =
                ReadingProblem::new(node.at, FindingCode::YamlFeature, "merge keys are not used in policies");
            self.problems.push(problem.hint("write the entries out"));
        }
        if let Some(first) = seen.insert(text.clone(), node.at) {
            let line = self.lines.get_or_init(|| Lines::of(self.text)).number(self.text, first.start);
            let problem = ReadingProblem::new(
                node.at,
                FindingCode::DuplicateKey,
                format!("`{text}` stands twice in this map"),
            );
            self.problems.push(problem.hint(format!("it stands on line {line} first")));
        }
        *key = Some(Key { at: node.at, text });
        Some(())
    }

    fn refuse_compound_key(&mut self, at: Span) -> Option<()> {
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            let at = Span { start: at.start, end: at.start };
            let problem = ReadingProblem::new(at, FindingCode::YamlFeature, "a key must be a single value");
            self.problems
                .push(problem.hint("write it as `name: value`; quote a name that starts with `[` or `{`"));
            return None;
        }
        Some(())
    }
}

/// Where a block really ends: its last character that is neither blank nor comment.
fn trimmed_end(text: &str, start: usize, end: usize) -> usize {
    let Some(block) = text.get(start..end) else { return end };
    let mut length = block.len();
    for line in block.split_inclusive('\n').rev() {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            return start + length - (line.len() - line.trim_end().len());
        }
        length -= line.len();
    }
    start + length
}
