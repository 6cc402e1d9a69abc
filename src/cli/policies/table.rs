//! Matrices as tables for a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use crate::policy::{Matrix, MatrixAccess};

/// The columns of a terminal.
const WIDTH: usize = 80;
/// The widest route that stands beside its cells; a longer one gets a line of its own.
const WIDEST_ROUTE: usize = 44;
const GAP: &str = "  ";

/// Each API with as many tables as its clients need.
pub(super) fn of(matrices: &[Matrix]) -> String {
    let mut text = String::new();
    for matrix in matrices {
        let _ = writeln!(text, "{}{}{:#}", Style::new().bold(), matrix.api, Style::new().bold());
        let (shown, others): (Vec<usize>, Vec<usize>) = (0..matrix.clients.len())
            .partition(|at| matrix.clients.get(*at).is_some_and(|client| client.has_grant));
        let first = first_column(matrix);
        for page in pages(matrix, &shown, first) {
            one_page(&mut text, matrix, &page, first);
        }
        if !others.is_empty() {
            let ids: Vec<_> =
                others.iter().filter_map(|at| Some(matrix.clients.get(*at)?.id.as_str())).collect();
            let _ = writeln!(text, "{}", wrapped(&format!("public routes only: {}", ids.join(", "))));
        }
        text.push('\n');
    }
    text.push_str("always: on every path; -: never; else on the paths of which the condition holds\n");
    text
}

fn first_column(matrix: &Matrix) -> usize {
    let widths = matrix.routes.iter().map(|route| route.route.chars().count());
    widths.filter(|width| *width <= WIDEST_ROUTE).max().unwrap_or(0).max("route".len())
}

/// A column, by client and width.
type Column = (usize, usize);

/// The clients by page, so that a page fits.
fn pages(matrix: &Matrix, clients: &[usize], first: usize) -> Vec<Vec<Column>> {
    let mut pages: Vec<Vec<Column>> = vec![Vec::new()];
    let mut used = first;
    for at in clients {
        let cells = matrix
            .routes
            .iter()
            .filter_map(|route| route.access.get(*at))
            .map(|access| word(access).chars().count());
        let id = matrix.clients.get(*at).map_or(0, |client| client.id.len());
        let width = cells.max().unwrap_or(0).max(id);
        if used + GAP.len() + width > WIDTH && pages.last().is_some_and(|page| !page.is_empty()) {
            pages.push(Vec::new());
            used = first;
        }
        used += GAP.len() + width;
        if let Some(page) = pages.last_mut() {
            page.push((*at, width));
        }
    }
    pages
}

fn one_page(text: &mut String, matrix: &Matrix, page: &[Column], first: usize) {
    let heads = page.iter().map(|(at, width)| {
        let id = matrix.clients.get(*at).map_or("", |client| client.id.as_str());
        (id.to_owned(), *width, Style::new())
    });
    let dimmed = Style::new().dimmed();
    line(text, "route", first, dimmed, heads);
    for route in &matrix.routes {
        let cells = page.iter().filter_map(|(at, width)| {
            let access = route.access.get(*at)?;
            Some((word(access).to_owned(), *width, style(access)))
        });
        line(text, &route.route, first, Style::new(), cells);
    }
    text.push('\n');
}

fn line(
    text: &mut String,
    route: &str,
    first: usize,
    style: Style,
    cells: impl Iterator<Item = (String, usize, Style)>,
) {
    if route.chars().count() > first {
        let _ = write!(text, "{style}{route}{style:#}\n{:first$}", "");
    } else {
        let _ = write!(text, "{style}{route:first$}{style:#}");
    }
    let cells: Vec<_> = cells.collect();
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
