//! Edits of policy files that revoke: a client's tokens, or one token.

use jeton_oauth::{TokenId, clock::parse_time};
use jiff::Timestamp;

use super::{
    edit::{
        DefinedClient, EditError, EditedFile, EditedPiece, apply, block_end, column, entry, line_end, lines,
        pad, pair, refuse_flow, scalar,
    },
    policy_text::PolicyText,
    source::PolicySources,
    yaml::{self, Key, Node, Value},
};

/// A token that is to be revoked, and how.
#[derive(Clone, Copy, Debug)]
pub struct TokenRevocation<'a> {
    /// Its `jti`.
    pub token: &'a TokenId,
    /// When it has expired at the latest.
    pub until: Timestamp,
    /// The file to which it is added, by the name that the sources have for it or will have.
    pub file: &'a str,
    /// Entries whose time has passed by then are removed.
    pub now: Timestamp,
}

/// An entry that was removed, because its time had passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedEntry {
    /// The file in which it stood.
    pub file: String,
    /// Its `jti`.
    pub token: String,
}

impl PolicySources {
    /// `revoked_before` of a client, if it has one.
    ///
    /// # Errors
    /// [`EditError`] for a client that is not there, or what is no time.
    pub fn revoked_before(&self, id: &str) -> Result<Option<Timestamp>, EditError> {
        let client = self.client(id)?;
        match entry(&client.node, "revoked_before") {
            None => Ok(None),
            Some(node) => time(node).map(Some).ok_or_else(|| client.strange("revoked_before")),
        }
    }

    /// Whether a client has `enabled: false`.
    ///
    /// # Errors
    /// [`EditError`] for a client that is not there, or what is neither `true` nor `false`.
    pub fn is_disabled(&self, id: &str) -> Result<bool, EditError> {
        let client = self.client(id)?;
        match entry(&client.node, "enabled").map(|node| &node.value) {
            None => Ok(false),
            Some(Value::Scalar { text, quoted: false }) if text == "true" => Ok(false),
            Some(Value::Scalar { text, quoted: false }) if text == "false" => Ok(true),
            Some(_) => Err(client.strange("enabled")),
        }
    }

    /// Sets keys of a client to single values, each as YAML has it.
    ///
    /// # Errors
    /// [`EditError`] for a client that is not there or cannot be changed line by line.
    pub fn set_client(&self, id: &str, values: &[(&str, String)]) -> Result<EditedFile, EditError> {
        let defined = self.client(id)?;
        let DefinedClient { source, key: client_key, node: client } = &defined;
        let text = source.text.as_str();
        let mut pieces = Vec::new();
        let mut new = Vec::new();
        for (key, value) in values {
            match entry(client, key) {
                None => new.push(format!("{key}: {value}")),
                Some(Node { at, value: Value::Scalar { .. } }) if at.start < at.end => {
                    pieces.push(EditedPiece { from: at.start, to: at.end, text: value.clone() });
                }
                Some(_) => return Err(defined.strange(key)),
            }
        }
        if !new.is_empty() {
            pieces.push(match &client.value {
                _ if client.is_null() => {
                    let indent = column(text, client_key.at.start) + 2;
                    EditedPiece::below(text, client_key, client, &lines(indent, &new))
                }
                Value::Map(entries) => add_to_map(text, client, entries, &new),
                Value::List(_) | Value::Scalar { .. } => return Err(defined.strange(id)),
            });
        }
        Ok(EditedFile { file: source.name.clone(), text: apply(text, pieces) })
    }

    /// Revokes a token, and removes what has expired from the lists of all files. One that is listed already
    /// keeps the later end.
    ///
    /// # Errors
    /// [`EditError`] for a file that cannot be changed line by line.
    pub fn revoke_token(
        &self,
        revocation: &TokenRevocation<'_>,
    ) -> Result<(Vec<EditedFile>, Vec<PrunedEntry>), EditError> {
        let TokenRevocation { token, until, file, now } = revocation;
        let mut edited = Vec::new();
        let mut pruned = Vec::new();
        let is_listed = self.lists(token);
        let new_file = PolicyText::new((*file).to_owned(), self.start_of(file));
        let is_new = self.files.iter().all(|source| source.name != *file);
        for source in self.files.iter().chain(is_new.then_some(&new_file)) {
            let text = source.text.as_str();
            let broken = || EditError::Broken { file: source.name.clone() };
            let root = yaml::parse(text).0.ok_or_else(broken)?;
            let section = pair(&root, "revoked_tokens");
            let mut pieces = Vec::new();
            for item in section.map(|(_, list)| items(list)).unwrap_or_default() {
                let Some((listed, end)) = revoked(item) else { continue };
                if listed == token.as_str() {
                    let later = end.and_then(|node| Some((node, time(node)?))).filter(|(_, end)| end < until);
                    pieces.extend(later.map(|(node, _)| EditedPiece {
                        from: node.at.start,
                        to: node.at.end,
                        text: until.to_string(),
                    }));
                } else if end.and_then(time).is_some_and(|end| end <= *now)
                    && let Some(piece) = removal(text, item)
                {
                    pieces.push(piece);
                    pruned.push(PrunedEntry { file: source.name.clone(), token: listed.to_owned() });
                }
            }
            if source.name == *file && !is_listed {
                let entry = format!("- {{ jti: {}, until: {until} }}", scalar(token.as_str()));
                pieces.push(addition(source, section, &entry)?);
            }
            if !pieces.is_empty() {
                edited.push(EditedFile { file: source.name.clone(), text: apply(text, pieces) });
            }
        }
        Ok((edited, pruned))
    }

    /// Whether a file lists this token as revoked.
    pub fn lists(&self, token: &TokenId) -> bool {
        self.files.iter().any(|source| {
            let root = yaml::parse(&source.text).0;
            let list = root.as_ref().and_then(|root| entry(root, "revoked_tokens"));
            let mut listed = list.map(items).unwrap_or_default().iter().filter_map(revoked);
            listed.any(|(listed, _)| listed == token.as_str())
        })
    }

    /// How a new file starts: as its neighbours, which may name their schema for editors.
    fn start_of(&self, file: &str) -> String {
        let folder = |name: &str| self.below(name).parent().map(ToOwned::to_owned);
        let neighbours = self.files.iter().filter(|source| folder(&source.name) == folder(file));
        let schema = neighbours
            .filter_map(|source| source.text.lines().next())
            .find(|line| line.starts_with("# yaml-language-server:"));
        schema.map(|line| format!("{line}\n")).unwrap_or_default() + "version: 1\n"
    }
}

/// New entries at the end of a map, which is a block of lines or stands in braces.
fn add_to_map(text: &str, map: &Node<'_>, entries: &[(Key<'_>, Node<'_>)], new: &[String]) -> EditedPiece {
    if text.get(map.at.start..).is_some_and(|map| map.starts_with('{')) {
        return match entries.last() {
            Some((key, value)) => {
                EditedPiece::insert(value.at.end.max(key.at.end), format!(", {}", new.join(", ")))
            }
            None => EditedPiece::insert(map.at.start + 1, format!(" {} ", new.join(", "))),
        };
    }
    let indent = entries.first().map_or(4, |(key, _)| column(text, key.at.start));
    EditedPiece::insert(block_end(text, map.at.end, indent), lines(indent, new))
}

/// A new entry at the end of `revoked_tokens:`, which is made if it is not there.
fn addition(
    source: &PolicyText,
    section: Option<(&Key<'_>, &Node<'_>)>,
    entry: &str,
) -> Result<EditedPiece, EditError> {
    let text = source.text.as_str();
    let entry = [entry.to_owned()];
    let Some((key, list)) = section else {
        return Ok(EditedPiece::insert(text.len(), format!("\nrevoked_tokens:\n{}", lines(2, &entry))));
    };
    let is_empty = list.is_null() || matches!(&list.value, Value::List(items) if items.is_empty());
    if is_empty {
        return Ok(EditedPiece::below(text, key, list, &lines(column(text, key.at.start) + 2, &entry)));
    }
    refuse_flow(text, list.at, &source.name, "revoked_tokens")?;
    let end = items(list).last().and_then(|item| Some((dash(text, item)?, item.at.end)));
    let (dash, end) = end.ok_or_else(|| EditError::Broken { file: source.name.clone() })?;
    let indent = column(text, dash);
    Ok(EditedPiece::insert(block_end(text, end, indent), format!("{}{}\n", pad(indent), entry.concat())))
}

fn items<'n, 't>(list: &'n Node<'t>) -> &'n [Node<'t>] {
    match &list.value {
        Value::List(items) => items,
        Value::Map(_) | Value::Scalar { .. } => &[],
    }
}

/// The `jti` of an entry, and until when it matters.
fn revoked<'n, 't>(item: &'n Node<'t>) -> Option<(&'n str, Option<&'n Node<'t>>)> {
    let jti = entry(item, "jti").unwrap_or(item);
    match &jti.value {
        Value::Scalar { text, .. } => Some((text, entry(item, "until"))),
        Value::List(_) | Value::Map(_) => None,
    }
}

fn time(node: &Node<'_>) -> Option<Timestamp> {
    match &node.value {
        Value::Scalar { text, .. } => parse_time(text).ok(),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// The byte of the dash before an item, where nothing else stands before it on its line.
fn dash(text: &str, item: &Node<'_>) -> Option<usize> {
    let before = text.get(..item.at.start)?;
    let dash = before.rfind('-')?;
    let lead = before.get(..dash)?.rsplit('\n').next()?;
    (lead.trim().is_empty() && before.get(dash + 1..)?.trim().is_empty()).then_some(dash)
}

/// Removes an item with its lines; not from braces.
fn removal(text: &str, item: &Node<'_>) -> Option<EditedPiece> {
    let dash = dash(text, item)?;
    Some(EditedPiece {
        from: dash - column(text, dash),
        to: line_end(text, item.at.end),
        text: String::new(),
    })
}
