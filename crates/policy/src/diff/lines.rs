//! The lines of a report: what changes alike for several clients is one line, and no more lines than fit.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChangeEffect, ChangedFor, PolicyChange, PolicyDiff};

/// Up to how many clients each have a line with its own condition on the path, where one line could name
/// their claims in place of the values.
const FEW: usize = 5;

/// A change, and all to whom it happens.
pub(super) struct ReportLine<'d> {
    /// The change of the first of them.
    pub(super) change: &'d PolicyChange,
    /// Never empty; each once.
    pub(super) who: Vec<&'d ChangedFor>,
    /// On which paths of the route, where not on all.
    pub(super) on: Option<&'d str>,
}

/// How many lines a report has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffCounts {
    /// Lines by which somebody may do more.
    pub gains: usize,
    /// Lines by which somebody may do less.
    pub losses: usize,
    /// Lines about something else, which no request shows by itself.
    pub others: usize,
    /// How many clients they are about.
    pub clients: usize,
}

impl PolicyDiff {
    /// The lines of a report in text: what changes alike for several clients is one of them.
    pub fn counts(&self) -> DiffCounts {
        DiffCounts::of(&lines(&self.changes))
    }
}

impl DiffCounts {
    pub(super) fn of<'l, 'd: 'l>(lines: impl IntoIterator<Item = &'l ReportLine<'d>>) -> Self {
        let mut counts = Self::default();
        let mut clients = Vec::new();
        for line in lines {
            match line.change.effect {
                ChangeEffect::Gains => counts.gains += 1,
                ChangeEffect::Loses => counts.losses += 1,
                ChangeEffect::Changes => counts.others += 1,
            }
            clients.extend(line.who.iter().copied().filter(|who| matches!(who, ChangedFor::Client(_))));
        }
        clients.sort_unstable();
        clients.dedup();
        Self { clients: clients.len(), ..counts }
    }

    pub(super) fn lines(self) -> usize {
        self.gains + self.losses + self.others
    }
}

impl<'d> ReportLine<'d> {
    /// Of one change.
    pub(super) fn of(change: &'d PolicyChange) -> Self {
        Self { change, who: vec![&change.who], on: change.on() }
    }
}

/// Changes as lines, each where its first change stood.
pub(super) fn lines(changes: &[PolicyChange]) -> Vec<ReportLine<'_>> {
    let mut lines = Vec::new();
    for (line, group) in together(changes.iter(), PolicyChange::on_by_claims) {
        let each = together(group.into_iter(), PolicyChange::on);
        if each.len() > FEW {
            lines.push(line);
        } else {
            lines.extend(each.into_iter().map(|(line, _)| line));
        }
    }
    lines.sort_by(|a, b| a.change.order().cmp(&b.change.order()));
    lines
}

/// Changes that differ in nothing but the client or token and what shows it, with the condition on the path
/// as it is told by `on`.
fn together<'d>(
    changes: impl Iterator<Item = &'d PolicyChange>,
    on: fn(&'d PolicyChange) -> Option<&'d str>,
) -> Vec<(ReportLine<'d>, Vec<&'d PolicyChange>)> {
    let mut found: Vec<(ReportLine<'d>, Vec<&'d PolicyChange>)> = Vec::new();
    let mut places = BTreeMap::new();
    for change in changes {
        let (is_token, other) = match &change.who {
            ChangedFor::Client(_) => (false, None),
            ChangedFor::Token(_) => (true, None),
            other => (false, Some(other)),
        };
        let PolicyChange { api, kind, effect, what, except, before, after, .. } = change;
        let key = (api, kind, effect, is_token, other, what, on(change), except, before, after);
        let place = *places.entry(key).or_insert(found.len());
        match found.get_mut(place) {
            Some((line, group)) => {
                group.push(change);
                if line.who.last() != Some(&&change.who) {
                    line.who.push(&change.who);
                }
            }
            None => found.push((ReportLine { on: on(change), ..ReportLine::of(change) }, vec![change])),
        }
    }
    found
}

/// Which lines fit into `room` bytes, each with its row in bytes and its section with a heading. The kinds of
/// changes at each API take turns, and within a kind the things that change; gains go before others.
pub(super) fn fitting(
    lines: &[ReportLine<'_>],
    row: impl Fn(&ReportLine<'_>) -> usize,
    heading: impl Fn(&ReportLine<'_>) -> usize,
    mut room: usize,
) -> Vec<bool> {
    let mut fits = vec![false; lines.len()];
    let mut sections = BTreeSet::new();
    for at in in_turns(lines) {
        let (Some(line), Some(fits)) = (lines.get(at), fits.get_mut(at)) else { continue };
        let is_new = !sections.contains(&line.change.api);
        let size = row(line) + if is_new { heading(line) } else { 0 };
        if let Some(rest) = room.checked_sub(size) {
            room = rest;
            *fits = true;
            sections.insert(&line.change.api);
        }
    }
    fits
}

fn in_turns(lines: &[ReportLine<'_>]) -> Vec<usize> {
    let mut of_thing: BTreeMap<_, usize> = BTreeMap::new();
    let mut of_kind: BTreeMap<_, usize> = BTreeMap::new();
    let turn = |turns: &mut usize| {
        *turns += 1;
        *turns
    };
    let mut order: Vec<_> = (0..).zip(lines.iter().map(|line| line.change)).collect();
    order.sort_by_cached_key(|(at, change)| {
        let thing = (&change.api, change.kind, change.effect, &change.what);
        (turn(of_thing.entry(thing).or_default()), *at)
    });
    order.sort_by_cached_key(|(at, change)| {
        let kind = (&change.api, change.kind, change.effect);
        (turn(of_kind.entry(kind).or_default()), change.effect != ChangeEffect::Gains, *at)
    });
    order.into_iter().map(|(at, _)| at).collect()
}
