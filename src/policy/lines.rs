//! Lines and columns of a text, counted once: there may be a finding on each line, and all of them on one.

use std::ops::Range;

/// Characters are counted in pieces of so many bytes.
const PIECE: usize = 1024;

/// Where the lines of a text are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The byte at which each line but the first starts.
    starts: Vec<usize>,
    /// How many characters start before each piece of the text, and how many in all of it.
    characters: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let mut counted = 0;
        let mut characters = vec![0];
        characters.extend(text.as_bytes().chunks(PIECE).map(|piece| {
            counted += count(piece);
            counted
        }));
        Self { starts: text.match_indices('\n').map(|(newline, _)| newline + 1).collect(), characters }
    }

    /// The line of a byte, from 1.
    pub(super) fn number(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) + 1
    }

    /// The column of a byte in characters, from 1.
    pub(super) fn column(&self, text: &str, byte: usize) -> usize {
        let before = |byte| self.characters_before(text, byte);
        before(byte) - before(self.start(self.number(byte))) + 1
    }

    /// The bytes of a line without its end.
    pub(super) fn bytes(&self, text: &str, number: usize) -> Range<usize> {
        let start = self.start(number);
        let Some(newline) = self.starts.get(number - 1).map(|next| next - 1) else {
            return start..text.len();
        };
        let line = text.get(start..newline).unwrap_or_default();
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }

    fn start(&self, number: usize) -> usize {
        number.checked_sub(2).and_then(|before| self.starts.get(before)).copied().unwrap_or(0)
    }

    fn characters_before(&self, text: &str, byte: usize) -> usize {
        let piece = byte / PIECE;
        let rest = text.as_bytes().get(piece * PIECE..byte).unwrap_or_default();
        self.characters.get(piece).copied().unwrap_or(0) + count(rest)
    }
}

/// How many characters start in these bytes.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}
