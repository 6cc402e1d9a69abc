//! YAML text to a tree of nodes with their places.
//!
//! Policies use the plain part of YAML: maps, lists, scalars, comments. What two YAML libraries read
//! differently or what lets a reader overlook something (anchors, aliases, merge keys, tags,
//! directives, a second document, a key that stands twice) is refused.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use super::finding::{Code, Problem, Span};

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

impl Node<'_> {
    /// Whether nothing was written: an empty or `null` plain scalar.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
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

/// How deep maps and lists may stand in each other.
const DEEPEST: usize = 64;

/// Reads one file. A tree comes back wherever there is one to go on with, beside all problems.
pub(super) fn parse(text: &str) -> (Option<Node<'_>>, Vec<Problem>) {
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut tree = Tree { text, frames: Vec::new(), root: None, problems: Vec::new() };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                let at = Span { start, end: start };
                tree.problems.push(Problem::new(at, Code::YamlSyntax, error.info()));
                return (None, tree.problems);
            }
        };
        let range = span.byte_range().unwrap_or_default();
        let at = Span { start: range.start, end: range.end };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let problem = Problem::new(at, Code::YamlFeature, "a second document starts here");
                tree.problems.push(problem.hint("put it into a file of its own"));
                break;
            }
        }
        if tree.take(event, at).is_none() {
            return (None, tree.problems);
        }
    }
    (tree.root, tree.problems)
}

struct Tree<'t> {
    text: &'t str,
    frames: Vec<Frame<'t>>,
    root: Option<Node<'t>>,
    problems: Vec<Problem>,
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
        self.refuse_properties(&event, at);
        match event {
            Event::Scalar(text, style, ..) => {
                let quoted = style != ScalarStyle::Plain;
                self.place(Node { at, value: Value::Scalar { text, quoted } })
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let problem = Problem::new(at, Code::YamlFeature, "aliases are not used in policies");
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
                    Frame::List { start, items } => (start, Value::List(items)),
                    Frame::Map { start, entries, .. } => (start, Value::Map(entries)),
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
        if text == "<<" && !quoted {
            let problem = Problem::new(node.at, Code::YamlFeature, "merge keys are not used in policies");
            self.problems.push(problem.hint("write the entries out"));
        }
        if let Some(first) = seen.insert(text.clone(), node.at) {
            let line = self.text.get(..first.start).map_or(0, |before| before.matches('\n').count()) + 1;
            let problem =
                Problem::new(node.at, Code::DuplicateKey, format!("`{text}` stands twice in this map"));
            self.problems.push(problem.hint(format!("it stands on line {line} first")));
        }
        *key = Some(Key { at: node.at, text });
        Some(())
    }

    fn refuse_compound_key(&mut self, at: Span) -> Option<()> {
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            let at = Span { start: at.start, end: at.start };
            self.problems.push(Problem::new(at, Code::YamlFeature, "a key must be a single value"));
            return None;
        }
        Some(())
    }

    fn refuse_properties(&mut self, event: &Event<'t>, at: Span) {
        let at = Span { start: at.start, end: at.start };
        let mut refuse = |what, hint: &str| {
            let message = format!("{what} are not used in policies");
            self.problems.push(Problem::new(at, Code::YamlFeature, message).hint(hint));
        };
        if event.is_node() && !event.is_alias() && event.anchor_id().is_some_and(|id| id != 0) {
            refuse("anchors", "remove the `&name`");
        }
        if event.tag().is_some() {
            refuse("tags", "remove the `!name`; quote the value to make it text");
        }
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
