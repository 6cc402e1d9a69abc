//! Differences in words.

use std::fmt::{self, Write};

use super::{Change, Difference, Effect, RulePlace, Summary, Who};
use crate::printable::printable;

/// How many routes a line names that decide by themselves.
const MOST_EXCEPTIONS: usize = 5;

impl Summary {
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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody, even without a token,"),
            Self::AnyTokenWith(what) => write!(f, "any token that carries {what}"),
            Self::Client(client) => f.write_str(client),
            Self::Token(jti) => write!(f, "token {jti}"),
            Self::Operators => Ok(()),
        }
    }
}

/// One sentence: `acme-sync gains GET /tenants/{tenant}/orders where tenant is not acme`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, what, .. } = self;
        let change = match (who, self.effect) {
            (Who::Operators, _) => what.clone(),
            (who, Effect::Gains) => format!("{who} gains {what}"),
            (who, Effect::Loses) => format!("{who} loses {what}"),
            (who, Effect::Changes) => format!("{who} changes {what}"),
        };
        f.write_str(&printable(&change))?;
        match &self.on {
            Some(on) => write!(f, " where {}", printable(on)),
            None => Ok(()),
        }
    }
}

impl Change {
    /// What other rules decide on these paths: `but for GET /files/secret`.
    fn exception(&self) -> Option<String> {
        let shown: Vec<_> = self.except.iter().take(MOST_EXCEPTIONS).map(|route| printable(route)).collect();
        let more = match self.except.len().saturating_sub(MOST_EXCEPTIONS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!shown.is_empty()).then(|| format!("but for {}{more}, which decide by themselves", shown.join(", ")))
    }

    /// `+`, `-` or `~`.
    fn sign(&self) -> char {
        match self.effect {
            Effect::Gains => '+',
            Effect::Loses => '-',
            Effect::Changes => '~',
        }
    }

    /// A request to try: `GET /tenants/some-tenant/orders`, with what a token of nobody in particular carries.
    fn example(&self) -> Option<String> {
        let witness = self.witness.as_ref()?;
        let request = format!("{} {}", witness.method, witness.path);
        Some(match (&self.who, &witness.token) {
            (Who::AnyTokenWith(_), Some(token)) => printable(&format!("{request} with {token}")),
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

impl Difference {
    /// One line: `widens: 2 gains, no losses`.
    pub fn headline(&self) -> String {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => format!("no {many}"),
            1 => format!("1 {one}"),
            more => format!("{more} {many}"),
        };
        let counts =
            format!("{}, {}", count(self.gains, "gain", "gains"), count(self.losses, "loss", "losses"));
        match self.summary {
            Summary::Narrows => format!("narrows: {counts}"),
            Summary::Widens => format!("widens: {counts}"),
            Summary::Both => format!("both narrows and widens: {counts}"),
            Summary::Neither if self.is_empty() => "no difference".to_owned(),
            Summary::Neither => format!("neither narrows nor widens: {counts}"),
        }
    }

    /// By API; what is about none comes last.
    fn sections(&self) -> impl Iterator<Item = (&str, &[Change])> {
        let (of_apis, others): (Vec<&[Change]>, Vec<&[Change]>) = self
            .changes
            .chunk_by(|a, b| a.api == b.api)
            .partition(|section| section.first().is_some_and(|change| change.api.is_some()));
        of_apis.into_iter().chain(others).map(|section| {
            let api = section.first().and_then(|change| change.api.as_deref());
            (api.unwrap_or("clients"), section)
        })
    }

    /// For a comment on a pull request.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### Policies: {}\n", self.headline());
        for (title, changes) in self.sections() {
            let _ = writeln!(text, "\n**{title}**\n\n| | change | try | rule |\n|---|---|---|---|");
            for change in changes {
                let code = |text: Option<String>| text.map_or_else(String::new, |text| as_code(&text));
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} |",
                    change.sign(),
                    as_code(
                        &[Some(change.to_string()), change.exception()]
                            .into_iter()
                            .flatten()
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                    code(change.example()),
                    code(change.rules())
                );
            }
        }
        text
    }
}

/// As code in a cell of a table: nothing in it is markup, and it stays in its cell.
fn as_code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    // a fence of one backtick more than ever stand side by side
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        for (title, changes) in self.sections() {
            writeln!(f, "\n{title}")?;
            for change in changes {
                writeln!(f, "  {} {change}", change.sign())?;
                if let Some(exception) = change.exception() {
                    writeln!(f, "      {exception}")?;
                }
                if let Some(example) = change.example() {
                    writeln!(f, "      try {example}")?;
                }
                if let Some(rules) = change.rules() {
                    writeln!(f, "      {rules}")?;
                }
            }
        }
        Ok(())
    }
}
