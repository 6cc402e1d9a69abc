//! Lines and columns of a text, counted once: there may be a finding on each line, and all of them on one.

use std::ops::Range;

/// Lines and characters are counted in pieces of so many bytes: a text may be nothing but ends of lines.
const PIECE: usize = 1024;

/// Where the lines of a text are. The text itself is given with each question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// How many lines end before each piece of the text, and in all of it.
    ends: Vec<usize>,
    /// How many characters start before each piece of the text, and in all of it.
    characters: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self { ends: tallies(text, ends), characters: tallies(text, characters) }
    }

    /// The line of a byte, from 1.
    pub(super) fn number(&self, text: &str, byte: usize) -> usize {
        before(&self.ends, ends, text, byte) + 1
    }

    /// The column of a byte in characters, from 1.
    pub(super) fn column(&self, text: &str, byte: usize) -> usize {
        let before = |byte| before(&self.characters, characters, text, byte);
        let start = self.start(text, self.number(text, byte)).unwrap_or_default();
        before(byte) - before(start) + 1
    }

    /// The bytes of a line without its end.
    pub(super) fn bytes(&self, text: &str, number: usize) -> Range<usize> {
        let start = self.start(text, number).unwrap_or_default();
        let Some(newline) = self.start(text, number + 1).map(|next| next - 1) else {
            return start..text.len();
        };
        let line = text.get(start..newline).unwrap_or_default();
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The byte at which a line starts, if there is one of this number.
    fn start(&self, text: &str, number: usize) -> Option<usize> {
        let Some(last) = number.checked_sub(2) else { return Some(0) };
        // in this piece the line before ends
        let piece = self.ends.partition_point(|ends| *ends <= last).checked_sub(1)?;
        let from = piece * PIECE;
        let rest = text.as_bytes().get(from..)?.iter().enumerate();
        let mut ends = rest.filter(|(_, byte)| **byte == b'\n');
        ends.nth(last - self.ends.get(piece)?).map(|(at, _)| from + at + 1)
    }
}

/// What is counted before each piece of a text, and in all of it.
fn tallies(text: &str, count: fn(&[u8]) -> usize) -> Vec<usize> {
    let pieces = text.as_bytes().chunks(PIECE).scan(0, |counted, piece| {
        *counted += count(piece);
        Some(*counted)
    });
    [0].into_iter().chain(pieces).collect()
}

/// What is counted before a byte.
fn before(tallies: &[usize], count: fn(&[u8]) -> usize, text: &str, byte: usize) -> usize {
    let piece = byte / PIECE;
    let rest = text.as_bytes().get(piece * PIECE..byte).unwrap_or_default();
    tallies.get(piece).copied().unwrap_or(0) + count(rest)
}

fn ends(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(*byte == b'\n')).sum()
}

/// How many characters start in these bytes.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::Lines;

    /// Each place, as one who counts from the start would have it.
    #[track_caller]
    #[expect(clippy::string_slice, reason = "the test says where it cuts")]
    fn check(text: &str) {
        let lines = Lines::of(text);
        for (byte, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let before = &text[..byte];
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let number = before.matches('\n').count() + 1;
            assert_eq!(lines.number(text, byte), number, "{byte}");
            assert_eq!(lines.column(text, byte), text[start..byte].chars().count() + 1, "{byte}");
            let shown = text[start..].lines().next().unwrap_or_default();
            assert_eq!(&text[lines.bytes(text, number)], shown, "{byte}");
        }
    }

    #[test]
    fn every_byte_has_its_line_and_column() {
        check("");
        check("\n");
        check("a\r\nb\n\nc");
        // of all lengths around that of a piece, and with ends on both sides of its border
        for length in [1, 2, 511, 1023, 1024, 1025] {
            check(&format!("{}\n", "x".repeat(length)).repeat(4));
            check(&"\n".repeat(length * 2));
            check(&format!("{}\r\n{}", "é".repeat(length), "€\n".repeat(9)));
        }
    }
}
