//! Matrices as tables for a terminal.

use std::{collections::BTreeMap, fmt::Write};

use anstyle::{AnsiColor, Style};
use jeton_policy::{AccessMatrix, MatrixAccess};

/// The columns of a terminal.
const WIDTH: usize = 80;
/// The widest route that stands beside its cells; a longer one gets a line of its own.
const WIDEST_ROUTE: usize = 44;
const GAP: &str = "  ";
/// How many clients without a column are named.
const NAMED: usize = 12;

/// Which clients have a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// Those with a grant for the API; the others are named below.
    Granted,
    /// All, for somebody asked for them by name.
    All,
}

/// Each API with as many tables as its clients need.
pub(super) fn of(matrices: &[AccessMatrix], columns: Columns) -> String {
    let mut text = String::new();
    for matrix in matrices {
        let bold = Style::new().bold();
        let takes = if matrix.bound_tokens { ": takes bound tokens only" } else { "" };
        let _ = writeln!(text, "{bold}{}{bold:#}{takes}", matrix.api);
        let (shown, others): (Vec<usize>, Vec<usize>) = (0..matrix.clients.len()).partition(|at| {
            columns == Columns::All || matrix.clients.get(*at).is_some_and(|client| client.has_grant)
        });
        for page in pages(matrix, &shown) {
            one_page(&mut text, matrix, &page);
            text.push('\n');
        }
        if !others.is_empty() {
            let _ = writeln!(text, "{}\n", without_column(matrix, &others));
        }
    }
    text.push_str(&credentials(matrices, columns));
    text.push_str("always: wherever the route decides; -: never; else where the condition holds\n");
    text
}

/// How each client with a column may be had: those that may be had alike together.
fn credentials(matrices: &[AccessMatrix], columns: Columns) -> String {
    let clients = matrices.iter().flat_map(|matrix| &matrix.clients);
    let mut shown: Vec<_> = clients.filter(|client| columns == Columns::All || client.has_grant).collect();
    shown.sort_by_key(|client| &client.id);
    shown.dedup_by_key(|client| &client.id);
    let mut alike: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for client in shown {
        let alike = alike.entry((&client.credentials, client.bound_tokens)).or_default();
        alike.push(client.id.clone());
    }
    let mut text = String::new();
    for ((credentials, bound_tokens), ids) in &alike {
        let how = match credentials.as_slice() {
            [] => "cannot be had: no credentials, or all have expired".to_owned(),
            some => format!("may be had by {}", some.join(", or ")),
        };
        let how = if *bound_tokens { format!("{how}; bound tokens only") } else { how };
        let _ = writeln!(text, "{}", wrapped(&format!("{} {how}", named(ids))));
    }
    if !alike.is_empty() {
        text.push('\n');
    }
    text
}

/// The first of these, and how many more there are.
fn named(ids: &[String]) -> String {
    let mut named: Vec<_> = ids.iter().take(NAMED).cloned().collect();
    if ids.len() > NAMED {
        named.push(format!("and {} more", ids.len() - NAMED));
    }
    named.join(", ")
}

fn without_column(matrix: &AccessMatrix, others: &[usize]) -> String {
    let ids: Vec<_> = others.iter().filter_map(|at| Some(matrix.clients.get(*at)?.id.clone())).collect();
    let may = if matrix.routes.iter().any(|route| route.public) { " (public routes only)" } else { "" };
    wrapped(&format!("no grant here, or disabled{may}: {}", named(&ids)))
}

struct TableColumn {
    /// The place of the client in the matrix.
    client: usize,
    width: usize,
}

/// Some clients, and how much room the routes have before them.
struct Page {
    first: usize,
    columns: Vec<TableColumn>,
}

/// The clients by page, so that a page fits.
fn pages(matrix: &AccessMatrix, clients: &[usize]) -> Vec<Page> {
    let widths = matrix.routes.iter().map(|route| route.route.chars().count());
    let first = widths.filter(|width| *width <= WIDEST_ROUTE).max().unwrap_or(0).max("route".len());
    let empty = || Page { first, columns: Vec::new() };
    let mut pages = vec![empty()];
    let mut used = first;
    for at in clients {
        let cells = matrix
            .routes
            .iter()
            .filter_map(|route| route.access.get(*at))
            .map(|access| word(access).chars().count());
        let id = matrix.clients.get(*at).map_or(0, |client| client.id.len());
        let width = cells.max().unwrap_or(0).max(id);
        if used + GAP.len() + width > WIDTH && pages.last().is_some_and(|page| !page.columns.is_empty()) {
            pages.push(empty());
            used = first;
        }
        used += GAP.len() + width;
        if let Some(page) = pages.last_mut() {
            page.columns.push(TableColumn { client: *at, width });
        }
    }
    for page in &mut pages {
        // a column that is too wide to stand beside the routes stands below them
        if let [TableColumn { width, .. }] = page.columns.as_slice()
            && page.first + GAP.len() + width > WIDTH
        {
            page.first = WIDTH.saturating_sub(GAP.len() + width).min(GAP.len());
        }
    }
    pages
}

fn one_page(text: &mut String, matrix: &AccessMatrix, page: &Page) {
    let heads = page.columns.iter().map(|TableColumn { client, width }| {
        let id = matrix.clients.get(*client).map_or("", |client| client.id.as_str());
        (id.to_owned(), *width, Style::new())
    });
    let dimmed = Style::new().dimmed();
    line(text, "route", page.first, dimmed, heads);
    for route in &matrix.routes {
        let cells = page.columns.iter().filter_map(|TableColumn { client, width }| {
            let access = route.access.get(*client)?;
            Some((word(access).to_owned(), *width, style(access)))
        });
        line(text, &route.route, page.first, Style::new(), cells);
    }
}

fn line(
    text: &mut String,
    route: &str,
    first: usize,
    style: Style,
    cells: impl Iterator<Item = (String, usize, Style)>,
) {
    let cells: Vec<_> = cells.collect();
    if cells.is_empty() {
        let _ = write!(text, "{style}{route}{style:#}");
    } else if route.chars().count() > first {
        let _ = write!(text, "{style}{route}{style:#}\n{:first$}", "");
    } else {
        let _ = write!(text, "{style}{route:first$}{style:#}");
    }
    let last = cells.len().saturating_sub(1);
    for (at, (cell, width, style)) in cells.into_iter().enumerate() {
        // nothing after the last one, for a line must not be longer than it shows
        let width = if at == last { 0 } else { width };
        let _ = write!(text, "{GAP}{style}{cell:width$}{style:#}");
    }
    text.push('\n');
}

fn word(access: &MatrixAccess) -> &str {
    match access {
        MatrixAccess::Always => "always",
        MatrixAccess::When(condition) => condition,
        MatrixAccess::Never => "-",
    }
}

fn style(access: &MatrixAccess) -> Style {
    match access {
        MatrixAccess::Always => AnsiColor::Green.on_default(),
        MatrixAccess::When(_) => AnsiColor::Yellow.on_default(),
        MatrixAccess::Never => Style::new().dimmed(),
    }
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.len() > WIDTH {
            lines.push_str("\n  ");
            used = 2;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += word.len();
    }
    lines
}
