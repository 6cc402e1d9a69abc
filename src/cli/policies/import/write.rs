//! The policy file.

use std::{collections::BTreeSet, fmt};

use jeton_oauth::{ApiName, Audience, text::printable};
use jeton_policy::scalar;

use super::{
    document::{DocumentText, OpenApiDocument, Server},
    operations::{LeftOut, Operations, path_of},
    plan::{ImportPlan, PlannedAccess, PlannedRule},
};

/// How much of a long text is written, in characters.
const LONGEST: usize = 120;

/// What a policy file is written from.
pub(super) struct PolicyFile<'d> {
    /// The name of the document's file.
    pub(super) source: String,
    pub(super) api: &'d ApiName,
    pub(super) audience: &'d Audience,
    pub(super) document: &'d OpenApiDocument,
    pub(super) operations: &'d Operations<'d>,
    pub(super) plan: &'d ImportPlan<'d>,
}

impl fmt::Display for PolicyFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        writeln!(f, "version: 1\n\nscopes:")?;
        for (scope, description) in &self.plan.scopes {
            writeln!(f, "  {}: {}", scalar(scope), plain(&cut(description)))?;
        }
        writeln!(f, "\napis:\n  {}:", scalar(self.api.as_str()))?;
        writeln!(f, "    audience: {}\n    rules:", scalar(self.audience.as_str()))?;
        for (name, rule) in &self.plan.rules {
            write_rule(f, name, rule)?;
        }
        let Operations { left_out, covered, .. } = self.operations;
        write_without_route(
            f,
            "Not covered: no route can say these. They are denied, except for what a route named here matches:",
            left_out,
        )?;
        write_without_route(f, "Covered by the route of another operation:", covered)
    }
}

impl PolicyFile<'_> {
    /// The comment at the top: the source document, and what to check before use.
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenApiDocument { info, openapi, servers, .. } = self.document;
        let text = |text: &Option<DocumentText>| {
            text.as_ref().map(|DocumentText(text)| cut(text)).unwrap_or_default()
        };
        let title = [text(&info.title), text(&info.version)].join(" ");
        let source = line(&self.source);
        writeln!(
            f,
            "# Made by `jeton policies import` from {source}: {}, OpenAPI {}.",
            title.trim(),
            text(openapi)
        )?;
        writeln!(f, "# A start, to be edited: read the comments, and then grant the scopes to clients.")?;
        for warning in &self.operations.warnings {
            writeln!(f, "# Error: {}.", line(warning))?;
        }
        let servers = servers.as_deref().unwrap_or_default();
        if let Some(server) = servers.first().map(Server::address)
            && let Some(path) = path_of(&server).filter(|path| !path.is_empty())
        {
            writeln!(f, "# Routes begin with {}: the server is {}.", line(path), line(&server))?;
        }
        if servers.len() > 1 {
            writeln!(f, "# The document has {} servers; the routes are those of the first.", servers.len())?;
        }
        for remark in self.operations.remarks.iter().chain(&self.plan.remarks) {
            writeln!(f, "# Note: {}.", line(remark))?;
        }
        match self.operations.left_out.len() {
            0 => Ok(()),
            count => writeln!(f, "# Not covered: {count}; see the end."),
        }
    }
}

fn write_rule(f: &mut fmt::Formatter<'_>, name: &str, rule: &PlannedRule<'_>) -> fmt::Result {
    let PlannedRule { remark, operations, access } = rule;
    if let Some(remark) = remark {
        writeln!(f, "      # {}", line(remark))?;
    }
    writeln!(f, "      {}:\n        routes:", scalar(name))?;
    for operation in operations {
        write!(f, "          - {}", plain(&operation.route))?;
        if let Some(remark) = &operation.remark {
            write!(f, "  # {}", line(remark))?;
        }
        writeln!(f)?;
    }
    match access {
        PlannedAccess::Public => writeln!(f, "        public: true"),
        PlannedAccess::AnyOf(any_of) => {
            writeln!(f, "        require:")?;
            let item = if any_of.len() == 1 { "" } else { "- " };
            any_of.iter().try_for_each(|all_of| writeln!(f, "          {item}{}", condition(all_of)))
        }
    }
}

fn condition(all_of: &BTreeSet<String>) -> String {
    let scopes: Vec<_> = all_of.iter().map(|scope| scalar(scope)).collect();
    match scopes.as_slice() {
        [scope] => format!("scope: {scope}"),
        scopes => format!("all_scopes: [{}]", scopes.join(", ")),
    }
}

fn write_without_route(f: &mut fmt::Formatter<'_>, what: &str, these: &[LeftOut]) -> fmt::Result {
    if these.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n# {what}")?;
    these.iter().try_for_each(|it| writeln!(f, "# - {}: {}", line(&it.title), line(&it.why)))
}

/// A text of the document on one line, where all of it is seen.
pub(super) fn line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The beginning of a text, on one line.
pub(super) fn cut(text: &str) -> String {
    let line = line(text);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

/// A text of several words as a YAML scalar, without quotes where that reads the same.
fn plain(text: &str) -> String {
    let marks = " -_./{}()~$@+=&',!";
    let is_safe = |c: char| c.is_alphanumeric() || marks.contains(c) || c == ':';
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.contains(' ')
        && text.chars().all(is_safe)
        && !text.contains(": ")
        && !text.ends_with([':', ' ']);
    if is_plain { text.to_owned() } else { scalar(text) }
}
