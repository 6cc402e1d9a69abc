//! Other people's text: as it is read, and as it may be shown to a person (file names, claims, paths, whatever a
//! caller sends).
//!
//! Terminals obey control characters, marks of direction make a line read otherwise than it is, and CI systems take
//! orders from what a program prints. Whatever is printed, logged or reported goes through here.

use std::{borrow::Cow, fmt::Write};

/// The longest piece of a text that is logged, in characters.
const LONGEST_SHOWN: usize = 512;

/// A text without the mark of UTF-8 that some editors put before it (U+FEFF).
pub fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// As much of a text as is logged, with a mark where it is cut.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_SHOWN).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…").into(),
        None => text.into(),
    }
}

/// Escapes invisible characters, marks of direction, and orders to CI systems. So the text stays on one line and reads
/// as it is.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if is_unseen(c) {
            shown.extend(c.escape_default());
        } else if is_order(text, at) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// As [`printable`], but keeps line breaks and tabs.
pub fn printable_lines(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The same for JSON that was written already, which means the same afterwards.
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for (at, c) in json.char_indices() {
        // line breaks are never raw within a text
        if c != '\n' && (is_unseen(c) || is_order(json, at)) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A text of so many characters at most: a longer one loses its middle, and its length is told.
pub fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= longest {
        return Cow::Borrowed(text);
    }
    let shown = longest.saturating_sub(1) / 2;
    let start: String = text.chars().take(shown).collect();
    let end: String = text.chars().skip(length.saturating_sub(shown)).collect();
    Cow::Owned(format!("{start}…{end} ({length} characters)"))
}

/// Controls, and marks without width: those that turn the direction of text (Unicode TR 9), joiners, a byte order
/// mark, fillers, tags.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether what stands here is an order to a CI system that reads the line: `::name::` at its start for GitHub,
/// `##[name]` anywhere for GitHub and Azure, `##vso[name]` for Azure, `##teamcity[name]` for `TeamCity`.
pub fn is_order(text: &str, at: usize) -> bool {
    let Some((before, rest)) = text.split_at_checked(at) else { return false };
    if let Some(name) = rest.strip_prefix("##") {
        return name.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('[');
    }
    rest.strip_prefix("::").is_some_and(|name| before.trim_start().is_empty() && name.contains("::"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_unseen, printable, printable_json, printable_lines, shortened};

    /// What must never be shown: controls of both sets, marks of direction, separators of lines, joiners, a byte
    /// order mark, fillers, tags.
    fn unseen() -> impl Iterator<Item = char> {
        let ranges = [
            '\0'..='\x1f',
            '\x7f'..='\u{9f}',
            '\u{ad}'..='\u{ad}',
            '\u{61c}'..='\u{61c}',
            '\u{180e}'..='\u{180e}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{2069}',
            '\u{feff}'..='\u{feff}',
            '\u{fff9}'..='\u{fffb}',
            '\u{e0001}'..='\u{e0001}',
            '\u{e0020}'..='\u{e007f}',
        ];
        ranges.into_iter().flatten()
    }

    #[test]
    fn nothing_that_is_not_seen_is_shown() {
        for c in unseen() {
            let (text, json) =
                (format!("a{c}b"), json!({ "name": format!("a{c}b"), "list": [c.to_string()] }));
            let shown = printable(&text);
            assert!(
                shown.starts_with("a\\") && shown.ends_with('b') && !shown.chars().any(is_unseen),
                "{shown}"
            );
            let lines = printable_lines(&text);
            assert_eq!(lines.chars().any(is_unseen), matches!(c, '\n' | '\t'), "{lines}");
            for written in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                let shown = printable_json(&written);
                assert!(!shown.chars().any(|c| c != '\n' && is_unseen(c)), "{shown}");
                assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json);
            }
        }
    }

    #[test]
    fn what_is_seen_stays_as_it_is() {
        for text in ["", "orders:read", "naïve café", "注文 № 42", "a\\nb", "👩🚒"] {
            assert_eq!(printable(text), text);
            assert_eq!(printable_lines(&format!("\t{text}\n{text}\n")), format!("\t{text}\n{text}\n"));
        }
        assert_eq!(printable("a\nb\tc\u{202e}"), "a\\nb\\tc\\u{202e}");
    }

    #[test]
    fn a_long_text_loses_its_middle_and_tells_its_length() {
        let long = "ä".repeat(30) + &"z".repeat(30);
        for (text, longest, expected) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("äöü", 3, "äöü"),
            ("abcdefgh", 7, "abc…fgh (8 characters)"),
            ("abcdefgh", 6, "ab…gh (8 characters)"),
            ("abcdefgh", 0, "… (8 characters)"),
            (&long, 5, "ää…zz (60 characters)"),
        ] {
            assert_eq!(shortened(text, longest), expected, "{text} in {longest}");
        }
    }

    #[test]
    fn no_line_is_an_order_to_a_ci_system() {
        for (text, shown) in [
            ("::error::x", "\\u{3a}:error::x"),
            ("  ::error file=a,line=1::x", "  \\u{3a}:error file=a,line=1::x"),
            ("\u{a0}::error::x", "\u{a0}\\u{3a}:error::x"),
            ("::stop-commands::x", "\\u{3a}:stop-commands::x"),
            ("##[error]x", "\\u{23}#[error]x"),
            ("a ##[group]x", "a \\u{23}#[group]x"),
            ("###[error]x", "#\\u{23}#[error]x"),
            ("a ##vso[task.setvariable variable=a]b", "a \\u{23}#vso[task.setvariable variable=a]b"),
            ("##teamcity[message text='x']", "\\u{23}#teamcity[message text='x']"),
            // and these are no orders
            ("::1", "::1"),
            ("[::1]:8080", "[::1]:8080"),
            ("a ::error::x", "a ::error::x"),
            ("## Heading [1]", "## Heading [1]"),
            ("#[cfg(test)]", "#[cfg(test)]"),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable_lines(&format!("a\n{text}\n")), format!("a\n{shown}\n"));
            let json = json!({ "name": text });
            let written = printable_json(&json.to_string());
            assert_eq!(written.contains("##"), shown.contains("##"), "{written}");
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json);
        }
    }
}
