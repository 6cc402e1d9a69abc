//! Differences in words.

use std::fmt::{self, Write};

use jeton_oauth::text::printable;

use super::{
    ChangeEffect, ChangedFor, DiffCounts, DiffSummary, PolicyChange, PolicyDiff, RulePlace,
    lines::{ReportLine, fitting, lines},
};

/// How many routes a line names that decide by themselves.
const MOST_EXCEPTIONS: usize = 5;
/// How many clients or tokens a line names.
const MOST_NAMED: usize = 10;
/// The longest piece of a line, in characters.
const LONGEST_PIECE: usize = 1_000;
/// The most that all lines take, in bytes: a comment on GitHub has at most 65,536 characters.
const LONGEST: usize = 60_000;

impl DiffSummary {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Narrows => "narrows",
            Self::Widens => "widens",
            Self::Both => "both",
            Self::Neither => "neither",
        }
    }
}

impl fmt::Display for ChangedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody, even without a token,"),
            Self::AnyTokenWith(what) => write!(f, "any token that carries {what}"),
            Self::AnyUnboundToken => f.write_str("any token that is not bound"),
            Self::Client(client) => f.write_str(client),
            Self::Token(jti) => write!(f, "token {jti}"),
            Self::Operators => Ok(()),
        }
    }
}

/// One sentence: `acme-sync gains GET /tenants/{tenant}/orders where tenant is not acme`.
impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ReportLine::of(self).fmt(f)
    }
}

/// As of a change; of several clients `each of acme-sync, books and 7 more gains GET /orders`.
impl fmt::Display for ReportLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyChange { what, effect, .. } = self.change;
        let verb = match effect {
            ChangeEffect::Gains => "gains",
            ChangeEffect::Loses => "loses",
            ChangeEffect::Changes => "changes",
        };
        let change = match self.who.as_slice() {
            [ChangedFor::Operators] => what.clone(),
            [one] => format!("{one} {verb} {what}"),
            several => format!("each of {} {verb} {what}", named(several)),
        };
        f.write_str(&printable(&change))?;
        match self.on {
            Some(on) => write!(f, " where {}", printable(on)),
            None => Ok(()),
        }
    }
}

/// `acme-sync, books and 7 more`
fn named(several: &[&ChangedFor]) -> String {
    let named = if several.len() > MOST_NAMED { MOST_NAMED } else { several.len().saturating_sub(1) };
    let (named, others) = several.split_at(named);
    let named: Vec<_> = named.iter().map(ToString::to_string).collect();
    let others = match others {
        [one] => one.to_string(),
        more => format!("{} more", more.len()),
    };
    format!("{} and {others}", named.join(", "))
}

impl PolicyChange {
    /// What other rules decide on these paths: `but for GET /files/secret`.
    fn exception(&self) -> Option<String> {
        let shown: Vec<_> = self.except.iter().take(MOST_EXCEPTIONS).map(|route| printable(route)).collect();
        let more = match self.except.len().saturating_sub(MOST_EXCEPTIONS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!shown.is_empty()).then(|| format!("except {}{more}, which other rules decide", shown.join(", ")))
    }

    /// `+`, `-` or `~`.
    fn sign(&self) -> char {
        match self.effect {
            ChangeEffect::Gains => '+',
            ChangeEffect::Loses => '-',
            ChangeEffect::Changes => '~',
        }
    }

    /// A request to try: `GET /tenants/some-tenant/orders`, with what a token of nobody in particular carries.
    fn example(&self) -> Option<String> {
        let witness = self.witness.as_ref()?;
        let request = format!("{} {}", witness.method, witness.path);
        Some(match (&self.who, &witness.token) {
            (ChangedFor::AnyTokenWith(_), Some(token)) => printable(&format!("{request} with {token}")),
            _ => request,
        })
    }

    /// The rules that decide before and after: `rule read-orders (policies/orders.yaml:22)`.
    fn rules(&self) -> Option<String> {
        let place = |place: &RulePlace| printable(&format!("{} ({}:{})", place.rule, place.file, place.line));
        Some(match (&self.before, &self.after) {
            (Some(before), Some(after)) if before.rule == after.rule => format!("rule {}", place(after)),
            (Some(before), Some(after)) => format!("rule {}, was {}", place(after), place(before)),
            (None, Some(after)) => format!("rule {}, was none", place(after)),
            (Some(before), None) => format!("no rule, was {}", place(before)),
            (None, None) => return None,
        })
    }
}

impl PolicyDiff {
    /// One line: `widens: 2 gains, no losses`.
    pub fn headline(&self) -> String {
        let DiffCounts { gains, losses, clients, .. } = self.counts();
        let mut counts = format!("{}, {}", count(gains, "gain", "gains"), count(losses, "loss", "losses"));
        // several share a line, of which the number says little
        if gains < self.gains || losses < self.losses {
            let _ = write!(counts, ", {clients} clients");
        }
        match self.summary {
            DiffSummary::Narrows => format!("narrows: {counts}"),
            DiffSummary::Widens => format!("widens: {counts}"),
            DiffSummary::Both => format!("both narrows and widens: {counts}"),
            DiffSummary::Neither if self.is_empty() => "no difference".to_owned(),
            DiffSummary::Neither => format!("neither narrows nor widens: {counts}"),
        }
    }

    /// As many lines as fit, by API; what is about none comes last.
    fn report(&self, form: &ReportForm) -> String {
        let lines = lines(&self.changes);
        let title = |line: &ReportLine<'_>| line.change.api.as_deref().unwrap_or("clients").to_owned();
        let heading = |line: &ReportLine<'_>| (form.heading)(&title(line));
        let fits = fitting(&lines, |line| (form.row)(line).len(), |line| heading(line).len(), LONGEST);
        let (shown, cut): (Vec<_>, Vec<_>) = lines.iter().zip(fits).partition(|(_, fits)| *fits);
        let (of_apis, others): (Vec<_>, Vec<_>) =
            shown.into_iter().map(|(line, _)| line).partition(|line| line.change.api.is_some());
        let mut text = String::new();
        for section in
            [of_apis, others].iter().flat_map(|lines| lines.chunk_by(|a, b| a.change.api == b.change.api))
        {
            text.extend(section.first().map(|line| heading(line)));
            text.extend(section.iter().map(|line| (form.row)(line)));
        }
        let cut = DiffCounts::of(cut.into_iter().map(|(line, _)| line));
        if cut.lines() > 0 {
            let _ = writeln!(
                text,
                "\nand {} more: {}, {}, {}; `--format json` has all",
                cut.lines(),
                count(cut.gains, "gain", "gains"),
                count(cut.losses, "loss", "losses"),
                count(cut.others, "other change", "other changes")
            );
        }
        text
    }

    /// For a comment on a pull request, in which there are at most 65,536 characters.
    pub fn to_markdown(&self) -> String {
        let form = ReportForm {
            heading: |title| format!("\n**{title}**\n\n| | change | try | rule |\n|---|---|---|---|\n"),
            row: |line| {
                let change = line.change;
                let code = |text: Option<String>| text.map_or_else(String::new, |text| as_code(&text));
                let said = [Some(line.to_string()), change.exception()].into_iter().flatten();
                format!(
                    "| {} | {} | {} | {} |\n",
                    change.sign(),
                    as_code(&said.collect::<Vec<_>>().join(", ")),
                    code(change.example()),
                    code(change.rules())
                )
            },
        };
        format!("### Policies: {}\n{}", self.headline(), self.report(&form))
    }
}

/// How a report looks.
struct ReportForm {
    heading: fn(&str) -> String,
    row: fn(&ReportLine<'_>) -> String,
}

fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        more => format!("{more} {many}"),
    }
}

/// A text with a mark where it is cut.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_PIECE).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// As code in a cell of a table: nothing in it is markup, and it stays in its cell.
fn as_code(text: &str) -> String {
    let text = cut(text).replace('|', "\\|");
    // a fence of one backtick more than ever stand side by side
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// For a terminal.
impl fmt::Display for PolicyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = ReportForm {
            heading: |title| format!("\n{title}\n"),
            row: |line| {
                let change = line.change;
                let example = change.example().map(|example| format!("try {example}"));
                let below = [change.exception(), example, change.rules()].into_iter().flatten();
                let mut row = format!("  {} {}\n", change.sign(), cut(&line.to_string()));
                below.for_each(|text| row.extend(["      ", &cut(&text), "\n"]));
                row
            },
        };
        write!(f, "{}\n{}", self.headline(), self.report(&form))
    }
}
