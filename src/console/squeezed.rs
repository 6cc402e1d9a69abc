//! Scripts and style sheets as they are sent: without what only their readers need. Names stay, so an error still says where it was.

use std::{iter::Peekable, str::Chars};

/// Signs of a script beside which a space says nothing.
const SIGNS: &str = "=,;:{}()[]<>?&|!";
/// Signs behind which a slash begins a pattern, and is no division.
const BEFORE_PATTERN: &str = "(,=:[!&|?{};>";
/// The same of a style sheet; behind a colon a space says nothing either, before it a space does.
const STYLE_SIGNS: &str = "{};,>";

/// A module without lines of comments, indents, and spaces beside signs. Texts, templates and patterns stay as they are; none may go over
/// lines.
pub(super) fn script(text: &str) -> String {
    let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let mut sent = String::with_capacity(text.len());
    for line in code {
        sent.push_str(&ScriptLine { rest: line.chars().peekable(), sent: String::new() }.squeezed());
        sent.push('\n');
    }
    sent
}

/// A style sheet without comments that begin a line, indents, and spaces beside signs.
pub(super) fn style(text: &str) -> String {
    let mut sent = String::with_capacity(text.len());
    let mut is_within_comment = false;
    for line in text.lines().map(str::trim) {
        is_within_comment |= line.starts_with("/*");
        if !is_within_comment && !line.is_empty() {
            let mut rest = line.chars().peekable();
            while let Some(c) = rest.next() {
                let after = sent.chars().next_back();
                let is_beside =
                    has(STYLE_SIGNS, after) || after == Some(':') || has(STYLE_SIGNS, rest.peek().copied());
                if c != ' ' || !is_beside {
                    sent.push(c);
                }
            }
            sent.push('\n');
        }
        is_within_comment &= !line.ends_with("*/");
    }
    sent
}

fn has(signs: &str, c: Option<char>) -> bool {
    c.is_some_and(|c| signs.contains(c))
}

/// A line of a script on its way.
struct ScriptLine<'t> {
    rest: Peekable<Chars<'t>>,
    sent: String,
}

impl ScriptLine<'_> {
    fn squeezed(mut self) -> String {
        while let Some(c) = self.rest.next() {
            match c {
                '"' | '`' => self.text(c),
                '/' if self.begins_pattern() => self.pattern(),
                ' ' if has(SIGNS, self.last()) || has(SIGNS, self.rest.peek().copied()) => {}
                c => self.sent.push(c),
            }
        }
        self.sent
    }

    fn last(&self) -> Option<char> {
        self.sent.chars().next_back()
    }

    fn begins_pattern(&self) -> bool {
        self.sent.is_empty() || has(BEFORE_PATTERN, self.last())
    }

    /// Takes the next character as it is.
    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.sent.push(c);
        Some(c)
    }

    /// A text or a template to its end.
    fn text(&mut self, quote: char) {
        self.sent.push(quote);
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                '$' if quote == '`' && self.rest.peek() == Some(&'{') => self.embedded(),
                c if c == quote => return,
                _ => {}
            }
        }
    }

    /// The code in a template, from its brace to the end of that.
    fn embedded(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.rest.next() {
            match c {
                '"' | '`' => {
                    self.text(c);
                    continue;
                }
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.sent.push(c);
            if depth == 0 {
                return;
            }
        }
    }

    /// A regular expression to its end; in a class a slash is itself.
    fn pattern(&mut self) {
        self.sent.push('/');
        let mut is_in_class = false;
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                '[' => is_in_class = true,
                ']' => is_in_class = false,
                '/' if !is_in_class => return,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[(&str, &str, &str)], squeeze: fn(&str) -> String) {
        for (name, text, sent) in rows {
            assert_eq!(squeeze(text).trim_end(), *sent, "{name}");
        }
    }

    #[test]
    fn a_script_loses_what_says_nothing() {
        let rows = [
            ("comments", "// why\na();\n  // why not\n\n  b();", "a();\nb();"),
            ("spaces beside signs", "const { a } = f(b, [c], d ? 1 : 2);", "const{a}=f(b,[c],d?1:2);"),
            (
                "words",
                "export async function f(a) { return a in b; }",
                "export async function f(a){return a in b;}",
            ),
            ("plus and minus", "a - -b + +c - (d);", "a - -b + +c -(d);"),
            ("a text", r#"f("a, { b } \" // c", d);"#, r#"f("a, { b } \" // c",d);"#),
            (
                "a template",
                "f(`a, ${b ? `c, ${d} ` : \"} \"} , e`, g);",
                "f(`a, ${b ? `c, ${d} ` : \"} \"} , e`,g);",
            ),
            ("a pattern", r#"a.split( /[/ ,] ( = )\/ "/, b);"#, r#"a.split(/[/ ,] ( = )\/ "/,b);"#),
            ("a division", "a = (b) / 2 / c;", "a=(b)/ 2 / c;"),
            ("other letters", "f(\"\u{2013} , \", g);", "f(\"\u{2013} , \",g);"),
        ];
        check(&rows, script);
    }

    #[test]
    fn a_style_sheet_loses_what_says_nothing() {
        let rows = [
            ("comments", "/* a { b: c; } */\n/* d\n   e { } */\nf { g: h; }", "f{g:h;}"),
            ("selectors", ".a > .b, .c :is(d, e):not(f) { g: h i; }", ".a>.b,.c :is(d,e):not(f){g:h i;}"),
            (
                "sums",
                "a { width: calc(100% - 2rem); margin: 0 -1px; }",
                "a{width:calc(100% - 2rem);margin:0 -1px;}",
            ),
            (
                "a rule about the screen",
                "@media (max-width: 2rem) { a { b: c !important; } }",
                "@media (max-width:2rem){a{b:c !important;}}",
            ),
        ];
        check(&rows, style);
    }
}
