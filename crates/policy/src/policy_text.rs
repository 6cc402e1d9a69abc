//! The text of a policy file: its places, and what of it is not shown.

use super::{
    finding::{Finding, FindingCode, Severity, Snippet, Span},
    lines::Lines,
};

/// The text of one policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyText {
    /// The path as findings show it: the folder as it was given, then the way below it.
    pub(super) name: String,
    pub(super) text: String,
    lines: Lines,
}

/// The parts of a file that are not shown.
#[derive(Clone, Debug)]
pub(super) enum Hidden {
    /// These bytes, in order and apart from each other.
    Parts(Vec<Span>),
    /// The file could not be parsed, so nobody knows: by line, whether it or the one before looks like a secret's.
    Lines(Vec<bool>),
}

impl PolicyText {
    pub(super) fn new(name: String, text: String) -> Self {
        let lines = Lines::of(&text);
        Self { name, text, lines }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.lines.number(&self.text, byte)
    }

    /// The line and column of a byte, both from 1.
    pub(super) fn locate(&self, byte: usize) -> (usize, usize) {
        (self.line(byte), self.lines.column(&self.text, byte))
    }

    /// A finding at a place of this file, with the source line. It costs the same wherever that is, and however
    /// long the line.
    pub(super) fn finding(
        &self,
        severity: Severity,
        at: Span,
        code: FindingCode,
        message: String,
        hidden: &Hidden,
    ) -> Finding {
        let (line, column) = self.locate(at.start);
        let bytes = self.lines.bytes(&self.text, line);
        let meant = self.text.get(at.start..at.end.min(bytes.end)).unwrap_or_default();
        let width = meant.trim_end().chars().take(Snippet::WIDEST).count().max(1);
        let start = bytes.start;
        let shown = self.text.get(bytes).unwrap_or_default();
        let snippet = match hidden {
            Hidden::Parts(parts) => {
                let is_hidden = |byte: usize| {
                    let part = parts.partition_point(|part| part.start <= byte).checked_sub(1);
                    part.and_then(|part| parts.get(part)).is_some_and(|part| byte < part.end)
                };
                let shown = shown.char_indices().map(|(at, c)| if is_hidden(start + at) { '*' } else { c });
                Some(Snippet::of(shown, width))
            }
            Hidden::Lines(lines) => {
                let is_shown = lines.get(line - 1) == Some(&false);
                is_shown.then(|| Snippet::of(shown.chars(), width))
            }
        };
        Finding { severity, code, message, file: self.name.clone(), line, column, hint: None, snippet }
    }
}

impl Hidden {
    /// These parts, in any order.
    pub(super) fn parts(mut parts: Vec<Span>) -> Self {
        parts.sort_unstable_by_key(|part| part.start);
        parts.dedup_by(|next, part| {
            let is_one = next.start <= part.end;
            part.end = if is_one { part.end.max(next.end) } else { part.end };
            is_one
        });
        Self::Parts(parts)
    }

    /// What could be a secret in a file that could not be parsed.
    pub(super) fn in_unparsed(source: &PolicyText) -> Self {
        let mut hidden = Vec::new();
        // of a key in PEM, a line that is short too
        let mut in_pem = false;
        let mut is_suspicious = false;
        for line in source.text.split('\n') {
            let before = std::mem::replace(&mut is_suspicious, could_hold_a_secret(line));
            hidden.push(in_pem || before || is_suspicious);
            let (begin, end) = (line.rfind("-----BEGIN"), line.rfind("-----END"));
            in_pem = if begin == end { in_pem } else { begin > end };
        }
        Self::Lines(hidden)
    }
}

/// Whether a line is about secrets, or holds what could be one.
fn could_hold_a_secret(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let is_about_secrets = ["secret", "sha256", "password"].iter().any(|word| lower.contains(word));
    is_about_secrets || holds_key_material(line)
}

/// Whether part of a key could stand in a line: 40 digits of base64 in a row.
fn holds_key_material(line: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    line.split(|c| !is_digit(c)).any(|run| run.len() >= 40)
}
