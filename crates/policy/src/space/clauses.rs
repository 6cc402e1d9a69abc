//! What tells some of the points of a grid from the others, in words.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::grid::{Choice, Grid, GridPoint, quoted};

impl Grid<'_> {
    /// What tells the points that were hit from the other points that were seen.
    pub(crate) fn clauses(&self, seen: &SeenPoints) -> Clauses {
        let seen: Vec<_> = seen.0.iter().map(|(point, hit)| (point, *hit)).collect();
        if seen.is_empty() { Clauses::never() } else { Clauses(self.split(0, &seen)) }
    }

    /// By axis: choices that lead to the same further conditions are named together.
    fn split(&self, axis: usize, seen: &[(&GridPoint, bool)]) -> Vec<Vec<Clause>> {
        if seen.iter().all(|(_, hit)| *hit) {
            return vec![Vec::new()];
        }
        let Some(this) = self.axes.get(axis) else { return Vec::new() };
        let mut groups: Vec<(Vec<Vec<Clause>>, Vec<&Choice>)> = Vec::new();
        for (at, choice) in this.choices.iter().enumerate() {
            let chosen: Vec<_> =
                seen.iter().filter(|(point, _)| point.0.get(axis) == Some(&at)).copied().collect();
            if chosen.is_empty() {
                continue;
            }
            let further =
                if chosen.iter().any(|(_, hit)| *hit) { self.split(axis + 1, &chosen) } else { Vec::new() };
            match groups.iter_mut().find(|(other, _)| *other == further) {
                Some((_, choices)) => choices.push(choice),
                None => groups.push((further, vec![choice])),
            }
        }
        let mut clauses = Vec::new();
        let is_one_group = groups.len() == 1;
        for (at, (further, chosen)) in groups.iter().enumerate() {
            let has_other = chosen.contains(&&Choice::Other);
            let named: Vec<&Choice> = if has_other {
                let apart = groups.iter().enumerate().filter(|(other, _)| *other != at);
                apart.flat_map(|(_, (_, choices))| choices.iter().copied()).collect()
            } else {
                chosen.clone()
            };
            let values = named.into_iter().flat_map(|choice| self.words(this, choice)).collect();
            let clause = Clause { name: this.name.clone(), is: !has_other, values };
            for rest in further {
                let first = (!is_one_group).then(|| clause.clone());
                clauses.push(first.into_iter().chain(rest.iter().cloned()).collect());
            }
        }
        clauses
    }
}

/// Points that were looked at, and whether they have what is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenPoints(BTreeMap<GridPoint, bool>);

impl SeenPoints {
    /// Notes a point; one hit is enough for it to have been hit.
    pub(crate) fn note(&mut self, point: &GridPoint, hit: bool) {
        match self.0.get_mut(point) {
            Some(seen) => *seen |= hit,
            None => drop(self.0.insert(point.clone(), hit)),
        }
    }
}

/// A condition on one segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clause {
    name: String,
    is: bool,
    values: Vec<String>,
}

/// Alternatives of conditions on the path: none is never, an empty one is always.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clauses(Vec<Vec<Clause>>);

/// How clauses are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wording {
    /// `tenant is not acme`
    Words,
    /// `tenant != acme`
    Signs,
}

impl Clauses {
    pub(crate) fn never() -> Self {
        Self(Vec::new())
    }

    /// Where there are too many paths to look at.
    pub(crate) fn too_many() -> Self {
        let values = vec!["one of too many to list".to_owned()];
        Self(vec![vec![Clause { name: "path".to_owned(), is: true, values }]])
    }

    pub(crate) fn is_always(&self) -> bool {
        self.0.iter().any(Vec::is_empty)
    }

    pub(crate) fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    /// Says the values that a bearer has in claims by these: what is alike for bearers of other values.
    pub(crate) fn by_claims(mut self, claims: &Map<String, Value>) -> Self {
        let said: Vec<_> = claims
            .iter()
            .filter_map(|(name, value)| Some((quoted(value.as_str()?), format!("its claim {name}"))))
            .collect();
        for value in self.0.iter_mut().flatten().flat_map(|clause| &mut clause.values) {
            if let Some((_, claim)) = said.iter().find(|(own, _)| own == value) {
                value.clone_from(claim);
            }
        }
        self
    }

    /// In signs, as one of several things that must hold together.
    pub(crate) fn grouped(&self) -> String {
        let signs = self.worded(Wording::Signs);
        if self.0.len() > 1 { format!("({signs})") } else { signs }
    }

    pub(crate) fn worded(&self, wording: Wording) -> String {
        let (and, or) = match wording {
            Wording::Words => (" and ", ", or "),
            Wording::Signs => (" & ", " | "),
        };
        let each = self.0.iter().map(|all| {
            let all: Vec<_> = all.iter().map(|clause| clause.worded(wording)).collect();
            all.join(and)
        });
        each.collect::<Vec<_>>().join(or)
    }
}

impl Clause {
    fn worded(&self, wording: Wording) -> String {
        fmt::from_fn(|f| {
            let verb = match (wording, self.is) {
                (Wording::Words, true) => "is",
                (Wording::Words, false) => "is not",
                (Wording::Signs, true) => "=",
                (Wording::Signs, false) => "!=",
            };
            let or = match (wording, self.is) {
                (Wording::Words, true) => " or ",
                (Wording::Words, false) => " nor ",
                (Wording::Signs, _) => ", ",
            };
            write!(f, "{} {verb} {}", self.name, self.values.join(or))
        })
        .to_string()
    }
}
