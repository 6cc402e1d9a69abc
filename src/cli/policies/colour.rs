//! Findings and explanations in colours, for a terminal. Names in them are escaped before they are coloured.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use jeton_oauth::text::printable_lines;
use jeton_policy::{ExplainedRoute, Explanation, Finding, Findings, LessSpecific, Severity};

/// Places, margins and codes.
const DIM: Style = Style::new().dimmed();

/// As findings show themselves.
pub(super) fn findings(findings: &Findings) -> String {
    findings.0.iter().map(finding).collect::<Vec<_>>().join("\n")
}

fn finding(finding: &Finding) -> String {
    let (severity, colour) = match finding.severity {
        Severity::Error => ("error", AnsiColor::Red.on_default().bold()),
        Severity::Warning => ("warning", AnsiColor::Yellow.on_default().bold()),
    };
    let plain = printable_lines(&finding.to_string());
    let mut text = String::new();
    let place = finding.place();
    let code = format!(" [{}]", finding.code);
    for (at, line) in plain.lines().enumerate() {
        let message = line.strip_prefix(&format!("{place}: {severity}: "));
        let _ = match (at, message.and_then(|message| message.strip_suffix(&code))) {
            (0, Some(message)) => writeln!(
                text,
                "{DIM}{place}:{DIM:#} {colour}{severity}:{colour:#} {message}{DIM}{code}{DIM:#}"
            ),
            (0, None) => writeln!(text, "{line}"),
            (_, _) => writeln!(text, "{}", below(line, colour)),
        };
    }
    text
}

/// A line below the first one: of the file, of carets, or with help.
fn below(line: &str, colour: Style) -> String {
    let is_margin = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit());
    if let Some((margin, rest)) = line.split_once('|').filter(|(margin, _)| is_margin(margin)) {
        let is_carets = rest.ends_with('^') && rest.bytes().all(|byte| b" \t^".contains(&byte));
        let style = if is_carets { colour } else { Style::new() };
        return format!("{DIM}{margin}|{DIM:#}{style}{rest}{style:#}");
    }
    let help = AnsiColor::Cyan.on_default().bold();
    match line.split_once("= help:").filter(|(margin, _)| is_margin(margin)) {
        Some((margin, rest)) => format!("{margin}{help}= help:{help:#}{rest}"),
        None => line.to_owned(),
    }
}

/// As an explanation shows itself.
pub(super) fn explanation(explanation: &Explanation) -> String {
    let (green, red) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default());
    let words = [
        ("", "ALLOWED", green.bold()),
        ("", "DEPENDS", AnsiColor::Yellow.on_default().bold()),
        ("", "DENIED", red.bold()),
        ("    ", "held", green),
        ("    ", "MISSING", red.bold()),
    ];
    let Explanation { decided_by, also_matching, other_methods, .. } = explanation;
    let less_specific = also_matching.iter().map(|LessSpecific { route, .. }| route);
    let routes: Vec<&ExplainedRoute> = decided_by.iter().chain(less_specific).chain(other_methods).collect();
    let mut text = String::new();
    for line in printable_lines(&explanation.to_string()).lines() {
        let word = words.iter().find_map(|(margin, word, style)| {
            let rest = line.strip_prefix(margin)?.strip_prefix(word)?;
            Some(format!("{margin}{style}{word}{style:#}{rest}"))
        });
        let place = || {
            let places = routes.iter().map(|route| format!("({}:{})", route.file, route.line));
            let place = places.map(|place| printable_lines(&place)).find(|place| line.contains(place))?;
            Some(line.replacen(&place, &format!("{DIM}{place}{DIM:#}"), 1))
        };
        let _ = writeln!(text, "{}", word.or_else(place).unwrap_or_else(|| line.to_owned()));
    }
    text
}
