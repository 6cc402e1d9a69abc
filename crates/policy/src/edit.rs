//! Small changes to policy files that keep every comment and the order of everything else.

use std::sync::Arc;

use jeton_oauth::clock::parse_time;

use super::{
    finding::{Span, did_you_mean},
    policy_text::PolicyText,
    source::PolicySources,
    yaml::{self, Key, Node, Value},
};

/// Why a file cannot be changed by machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file does not load.
    #[error("{file} cannot be read as a policy file: run `jeton policies check` first")]
    Broken {
        /// The file.
        file: String,
    },
    /// The section is written in braces.
    #[error("{file}: `{section}` is written in braces: write it as a block of lines first")]
    Flow {
        /// The file.
        file: String,
        /// The key.
        section: String,
    },
    /// The client is there already.
    #[error(
        "client `{id}` exists already ({place}), and nothing was written: give it a second secret with `jeton \
         clients rotate {id}`, or choose another id"
    )]
    Exists {
        /// The client.
        id: String,
        /// File and line.
        place: String,
    },
    /// No file has the client.
    #[error("client `{id}` is not defined in any file{}", hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}")))]
    UnknownClient {
        /// The client.
        id: String,
        /// A client of nearly this name, as a question.
        hint: Option<String>,
    },
    /// What would have to change is not written as it should be.
    #[error("{file}: `{key}` is not understood: run `jeton policies check` first")]
    Strange {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
}

/// One file with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedFile {
    /// The file, by the name that [`PolicySources::read`] gave it.
    pub file: String,
    /// Its new text.
    pub text: String,
}

impl PolicySources {
    /// The files that have a section of this name, such as `clients`.
    pub fn files_with(&self, section: &str) -> Vec<&str> {
        let with = self.files.iter().filter(|file| {
            yaml::parse(&file.text).0.as_ref().and_then(|root| entry(root, section)).is_some()
        });
        with.map(|file| file.name.as_str()).collect()
    }

    /// A client, with the file in which it is defined.
    pub(super) fn client(&self, id: &str) -> Result<DefinedClient<'_>, EditError> {
        let mut broken = None;
        let mut others = Vec::new();
        for source in self.files.iter() {
            let Some(root) = yaml::parse(&source.text).0 else {
                // it may stand in there
                if !source.text.trim().is_empty() {
                    broken = Some(source.name.clone());
                }
                continue;
            };
            for (key, node) in take(root, "clients").map(|(_, clients)| entries(clients)).unwrap_or_default()
            {
                if key.text == id {
                    return Ok(DefinedClient { source, key, node });
                }
                others.push(key.text);
            }
        }
        Err(match broken {
            Some(file) => EditError::Broken { file },
            None => EditError::UnknownClient {
                id: id.to_owned(),
                hint: did_you_mean(id, others.iter().map(AsRef::as_ref)),
            },
        })
    }

    /// These sources with some files changed or added.
    #[must_use]
    pub fn with(&self, edited: &[EditedFile]) -> Self {
        let mut sources = self.clone();
        let files = Arc::make_mut(&mut sources.files);
        for EditedFile { file: name, text } in edited {
            let new = PolicyText::new(name.clone(), text.clone());
            match files.iter_mut().find(|file| file.name == *name) {
                Some(file) => *file = new,
                None => files.push(new),
            }
        }
        sources
    }

    /// Holds that no file defines a client of this id.
    ///
    /// # Errors
    /// [`EditError::Exists`].
    pub fn lacks_client(&self, id: &str) -> Result<(), EditError> {
        let Ok(DefinedClient { source, key, .. }) = self.client(id) else { return Ok(()) };
        let place = format!("{}:{}", source.name, source.line(key.at.start));
        Err(EditError::Exists { id: id.to_owned(), place })
    }

    /// Adds a client at the end of the `clients:` section of `file`, which is made if it is not there.
    /// `body` are the lines below the client's name, without indentation of their own.
    ///
    /// # Errors
    /// [`EditError`] for a client that is there already, or a file that cannot be changed line by line.
    pub fn add_client(&self, file: &str, id: &str, body: &[String]) -> Result<EditedFile, EditError> {
        self.lacks_client(id)?;
        let source = self.files.iter().find(|source| source.name == file);
        let text = source.map_or("version: 1\n", |source| source.text.as_str());
        let broken = || EditError::Broken { file: file.to_owned() };
        let root = yaml::parse(text).0.ok_or_else(broken)?;
        let block = |indent: usize| format!("{}{}:\n{}", pad(indent), scalar(id), lines(indent + 2, body));
        let piece = match pair(&root, "clients") {
            None => EditedPiece::insert(text.len(), format!("\nclients:\n{}", block(2))),
            Some((key, clients)) if clients.is_null() => EditedPiece::below(text, key, clients, &block(2)),
            Some((_, clients)) => {
                refuse_flow(text, clients.at, file, "clients")?;
                let Value::Map(entries) = &clients.value else { return Err(broken()) };
                let indent = entries.first().map_or(2, |(key, _)| column(text, key.at.start));
                EditedPiece::insert(block_end(text, clients.at.end, indent), block(indent))
            }
        };
        Ok(EditedFile { file: file.to_owned(), text: apply(text, vec![piece]) })
    }

    /// Adds a secret to a client, and lets its other secrets expire at `old_expire` at the latest.
    ///
    /// # Errors
    /// [`EditError`] for a client that is not there or cannot be changed line by line.
    pub fn add_secret(&self, id: &str, sha256: &str, old_expire: &str) -> Result<EditedFile, EditError> {
        let defined = self.client(id)?;
        let DefinedClient { source, key: client_key, node: client } = &defined;
        let (file, text) = (source.name.as_str(), source.text.as_str());
        let secret = [format!("- sha256: {sha256}")];
        let section = |indent: usize| format!("{}secrets:\n{}", pad(indent), lines(indent + 2, &secret));
        let mut pieces = Vec::new();
        match (pair(client, "secrets"), &client.value) {
            (Some((key, secrets)), _) if secrets.is_null() => {
                let indent = column(text, key.at.start) + 2;
                pieces.push(EditedPiece::below(text, key, secrets, &lines(indent, &secret)));
            }
            (Some((_, secrets)), _) => {
                refuse_flow(text, secrets.at, file, "secrets")?;
                let Value::List(items) = &secrets.value else { return Err(defined.strange("secrets")) };
                pieces.extend(items.iter().filter_map(|item| expiry(text, item, old_expire)));
                // the dash stands on the line of its item, under `secrets` or deeper
                let dash = |item: &Node<'_>| text.get(..item.at.start).and_then(|before| before.rfind('-'));
                let indent = items.first().and_then(dash).map_or(0, |dash| column(text, dash));
                let end = items.last().map_or(secrets.at.end, |item| item.at.end);
                pieces.push(EditedPiece::insert(block_end(text, end, indent), lines(indent, &secret)));
            }
            (None, Value::Map(entries)) => {
                refuse_flow(text, client.at, file, id)?;
                let indent = entries.first().map_or(4, |(key, _)| column(text, key.at.start));
                pieces.push(EditedPiece::insert(block_end(text, client.at.end, indent), section(indent)));
            }
            (None, _) => {
                let indent = column(text, client_key.at.start) + 2;
                pieces.push(EditedPiece::below(text, client_key, client, &section(indent)));
            }
        }
        Ok(EditedFile { file: file.to_owned(), text: apply(text, pieces) })
    }
}

/// A client as a file has it.
pub(super) struct DefinedClient<'s> {
    pub(super) source: &'s PolicyText,
    pub(super) key: Key<'s>,
    pub(super) node: Node<'s>,
}

impl DefinedClient<'_> {
    /// That this key of it cannot be changed by machine.
    pub(super) fn strange(&self, key: &str) -> EditError {
        EditError::Strange { file: self.source.name.clone(), key: key.to_owned() }
    }
}

/// A change: these bytes make way for this text.
pub(super) struct EditedPiece {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) text: String,
}

impl EditedPiece {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { from: at, to: at, text }
    }

    /// Puts lines below a key that has no value; a `null` or `~` makes way, a comment behind it stays.
    pub(super) fn below(text: &str, key: &Key<'_>, null: &Node<'_>, lines: &str) -> Self {
        let end = line_end(text, key.at.end);
        let from = null.at.start.min(end).max(key.at.end);
        let to = null.at.end.clamp(from, end);
        let rest = text.get(to..end).unwrap_or_default().trim_end();
        let line = if from == to { text.get(from..end).unwrap_or_default().trim_end() } else { rest };
        Self { from, to: end, text: format!("{line}\n{lines}") }
    }
}

pub(super) fn pad(indent: usize) -> String {
    " ".repeat(indent)
}

pub(super) fn lines(indent: usize, lines: &[String]) -> String {
    let pad = pad(indent);
    let lines: Vec<_> = lines.iter().map(|line| format!("{pad}{line}\n")).collect();
    lines.concat()
}

/// An expiry for a secret, which is a block of lines or stands in braces; none if it expires before.
fn expiry(text: &str, item: &Node<'_>, time: &str) -> Option<EditedPiece> {
    if let Some(Node { at, value: Value::Scalar { text: written, .. } }) = entry(item, "expires") {
        let instant = |time: &str| parse_time(time).ok();
        let is_sooner = instant(written).zip(instant(time)).is_some_and(|(old, new)| old <= new);
        return (!is_sooner).then(|| EditedPiece { from: at.start, to: at.end, text: time.to_owned() });
    }
    let last = match &item.value {
        Value::Map(entries) => entries.last(),
        Value::List(_) | Value::Scalar { .. } => None,
    };
    let (key, value) = last?;
    if text.get(item.at.start..).is_some_and(|item| item.starts_with('{')) {
        return Some(EditedPiece::insert(value.at.end, format!(", expires: {time}")));
    }
    let indent = column(text, key.at.start);
    Some(EditedPiece::insert(line_end(text, value.at.end), lines(indent, &[format!("expires: {time}")])))
}

pub(super) fn pair<'n, 't>(node: &'n Node<'t>, name: &str) -> Option<(&'n Key<'t>, &'n Node<'t>)> {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().find(|(key, _)| key.text == name).map(|(key, value)| (key, value))
        }
        Value::List(_) | Value::Scalar { .. } => None,
    }
}

/// The entries of a map.
fn entries(node: Node<'_>) -> Vec<(Key<'_>, Node<'_>)> {
    match node.value {
        Value::Map(entries) => entries,
        Value::List(_) | Value::Scalar { .. } => Vec::new(),
    }
}

/// The entry of a map that has this name.
fn take<'t>(node: Node<'t>, name: &str) -> Option<(Key<'t>, Node<'t>)> {
    entries(node).into_iter().find(|(key, _)| key.text == name)
}

pub(super) fn entry<'n, 't>(node: &'n Node<'t>, name: &str) -> Option<&'n Node<'t>> {
    pair(node, name).map(|(_, value)| value)
}

pub(super) fn refuse_flow(text: &str, at: Span, file: &str, section: &str) -> Result<(), EditError> {
    if text.get(at.start..).is_some_and(|block| block.starts_with(['{', '['])) {
        return Err(EditError::Flow { file: file.to_owned(), section: section.to_owned() });
    }
    Ok(())
}

/// The column of a byte, from 0.
pub(super) fn column(text: &str, byte: usize) -> usize {
    let before = text.get(..byte).unwrap_or_default();
    before.len() - before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// The byte after the line in which `byte` stands.
pub(super) fn line_end(text: &str, byte: usize) -> usize {
    text.get(byte..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| byte + newline + 1)
}

/// The byte after a block, with the comments that are indented deeper than its keys.
pub(super) fn block_end(text: &str, end: usize, indent: usize) -> usize {
    let mut at = line_end(text, end);
    let mut settled = at;
    for line in text.get(at..).unwrap_or_default().split_inclusive('\n') {
        let content = line.trim_start();
        at += line.len();
        match content.chars().next() {
            Some('#') if line.len() - content.len() > indent => settled = at,
            None => {}
            Some(_) => break,
        }
    }
    settled
}

/// Makes the changes, with a line break before a line that follows an unfinished one.
pub(super) fn apply(text: &str, mut pieces: Vec<EditedPiece>) -> String {
    pieces.sort_by_key(|piece| piece.from);
    let mut result = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for piece in pieces {
        result.push_str(text.get(at..piece.from).unwrap_or_default());
        let starts_line = piece.from == piece.to && piece.text.ends_with('\n');
        if starts_line && !result.is_empty() && !result.ends_with('\n') {
            result.push('\n');
        }
        result.push_str(&piece.text);
        at = piece.to;
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}

/// A text as a YAML scalar: plain where nobody could read it otherwise, else in quotes.
pub fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let reserved = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if starts_plain && text.chars().all(plain) && !text.ends_with(':') && !reserved {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
