//! Small changes to policy files that keep every comment and the order of everything else.

use super::{
    finding::Span,
    source::Sources,
    yaml::{self, Node, Value},
};

/// Why a file cannot be changed by machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It does not load as it is.
    #[error("{file} cannot be read as a policy file: run `jeton policies check` first")]
    Broken {
        /// The file.
        file: String,
    },
    /// The section stands in one line of braces.
    #[error("{file}: `{section}` is written in braces: write it as a block of lines first")]
    Flow {
        /// The file.
        file: String,
        /// The key.
        section: String,
    },
    /// No file has the client.
    #[error("client `{0}` is not defined in any file")]
    UnknownClient(String),
}

/// One file with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file, by the name that [`Sources::read`] gave it.
    pub file: String,
    /// Its new text.
    pub text: String,
}

impl Sources {
    /// The files that have a `clients:` section.
    pub fn files_with_clients(&self) -> Vec<&str> {
        let with = self.files.iter().filter(|file| {
            yaml::parse(&file.text).0.as_ref().and_then(|root| entry(root, "clients")).is_some()
        });
        with.map(|file| file.name.as_str()).collect()
    }

    /// The file in which a client is defined.
    pub fn file_of_client(&self, id: &str) -> Option<&str> {
        let defines = |text: &str| {
            let root = yaml::parse(text).0;
            root.as_ref()
                .and_then(|root| entry(root, "clients"))
                .and_then(|clients| entry(clients, id))
                .is_some()
        };
        self.files.iter().find(|file| defines(&file.text)).map(|file| file.name.as_str())
    }

    /// These sources with one file changed or added.
    #[must_use]
    pub fn with(&self, edited: &Edited) -> Self {
        let mut sources = self.clone();
        match sources.files.iter_mut().find(|file| file.name == edited.file) {
            Some(file) => file.text.clone_from(&edited.text),
            None => sources
                .files
                .push(super::source::Source { name: edited.file.clone(), text: edited.text.clone() }),
        }
        sources
    }

    /// Adds a client at the end of the `clients:` section of `file`, which is made if it is not there.
    /// `body` are the lines below the client's name, without indentation of their own.
    ///
    /// # Errors
    /// [`EditError`] for a file that cannot be changed line by line.
    pub fn add_client(&self, file: &str, id: &str, body: &[String]) -> Result<Edited, EditError> {
        let source = self.files.iter().find(|source| source.name == file);
        let text = source.map_or("version: 1\n", |source| source.text.as_str());
        let block = |indent: usize| {
            let pad = " ".repeat(indent);
            let lines: Vec<_> = body.iter().map(|line| format!("{pad}  {line}\n")).collect();
            format!("{pad}{}:\n{}", scalar(id), lines.concat())
        };
        let broken = || EditError::Broken { file: file.to_owned() };
        let root = yaml::parse(text).0.ok_or_else(broken)?;
        let (at, added) = match entry(&root, "clients") {
            None => (text.len(), format!("\nclients:\n{}", block(2))),
            Some(clients) if clients.is_null() => (line_end(text, clients.at.end), block(2)),
            Some(clients) => {
                let Value::Map(entries) = &clients.value else { return Err(broken()) };
                let first = entries.first().map(|(key, _)| key.at.start).ok_or_else(|| EditError::Flow {
                    file: file.to_owned(),
                    section: "clients".to_owned(),
                })?;
                let indent = column(text, first);
                refuse_flow(text, clients.at, file, "clients")?;
                (block_end(text, clients.at.end, indent), block(indent))
            }
        };
        Ok(Edited { file: file.to_owned(), text: insert(text, vec![(at, added)]) })
    }

    /// Adds a secret to a client, and an expiry to those of its secrets that have none.
    ///
    /// # Errors
    /// [`EditError`] for a client that is not there or cannot be changed line by line.
    pub fn add_secret(&self, id: &str, sha256: &str, old_expire: &str) -> Result<Edited, EditError> {
        let unknown = || EditError::UnknownClient(id.to_owned());
        let file = self.file_of_client(id).ok_or_else(unknown)?;
        let source = self.files.iter().find(|source| source.name == file).ok_or_else(unknown)?;
        let text = source.text.as_str();
        let root = yaml::parse(text).0.ok_or_else(unknown)?;
        let client = entry(&root, "clients").and_then(|clients| entry(clients, id)).ok_or_else(unknown)?;
        let mut added = Vec::new();
        match entry(client, "secrets") {
            Some(Node { at, value: Value::List(items) }) if !items.is_empty() => {
                refuse_flow(text, *at, file, "secrets")?;
                let dash = column(text, at.start);
                for item in items {
                    if entry(item, "expires").is_none() {
                        added.push(expiry(text, item, old_expire));
                    }
                }
                let end = block_end(text, at.end, dash);
                added.push((end, format!("{}- sha256: {sha256}\n", " ".repeat(dash))));
            }
            _ => {
                let Value::Map(entries) = &client.value else { return Err(unknown()) };
                refuse_flow(text, client.at, file, id)?;
                if entry(client, "secrets").is_some() {
                    return Err(EditError::Flow { file: file.to_owned(), section: "secrets".to_owned() });
                }
                let indent = entries.first().map_or(4, |(key, _)| column(text, key.at.start));
                let pad = " ".repeat(indent);
                let end = block_end(text, client.at.end, indent);
                added.push((end, format!("{pad}secrets:\n{pad}  - sha256: {sha256}\n")));
            }
        }
        Ok(Edited { file: file.to_owned(), text: insert(text, added) })
    }
}

/// Where and how an expiry is added to a secret, which is a block of lines or stands in braces.
fn expiry(text: &str, item: &Node<'_>, time: &str) -> (usize, String) {
    let last = match &item.value {
        Value::Map(entries) => entries.last(),
        Value::List(_) | Value::Scalar { .. } => None,
    };
    let Some((key, value)) = last else { return (item.at.end, String::new()) };
    if text.get(item.at.start..).is_some_and(|item| item.starts_with('{')) {
        return (value.at.end, format!(", expires: {time}"));
    }
    let pad = " ".repeat(column(text, key.at.start));
    (line_end(text, value.at.end), format!("{pad}expires: {time}\n"))
}

fn entry<'n, 't>(node: &'n Node<'t>, name: &str) -> Option<&'n Node<'t>> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
        Value::List(_) | Value::Scalar { .. } => None,
    }
}

fn refuse_flow(text: &str, at: Span, file: &str, section: &str) -> Result<(), EditError> {
    if text.get(at.start..).is_some_and(|block| block.starts_with(['{', '['])) {
        return Err(EditError::Flow { file: file.to_owned(), section: section.to_owned() });
    }
    Ok(())
}

/// The column of a byte, from 0.
fn column(text: &str, byte: usize) -> usize {
    let before = text.get(..byte).unwrap_or_default();
    before.len() - before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// The byte after the line in which `byte` stands.
fn line_end(text: &str, byte: usize) -> usize {
    text.get(byte..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| byte + newline + 1)
}

/// The byte after a block, with the comments that are indented deeper than its keys.
fn block_end(text: &str, end: usize, indent: usize) -> usize {
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

/// Inserts pieces at their places, with a line break before one that follows an unfinished line.
fn insert(text: &str, mut pieces: Vec<(usize, String)>) -> String {
    pieces.sort_by_key(|(at, _)| *at);
    let mut result = String::with_capacity(text.len() + 256);
    let mut from = 0;
    for (at, piece) in pieces {
        result.push_str(text.get(from..at).unwrap_or_default());
        if piece.ends_with('\n') && !result.is_empty() && !result.ends_with('\n') {
            result.push('\n');
        }
        result.push_str(&piece);
        from = at;
    }
    result.push_str(text.get(from..).unwrap_or_default());
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
