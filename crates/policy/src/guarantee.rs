//! Guarantees: what must hold of every request that passes, proved for all paths and tokens.
//!
//! A guarantee is not evaluated at a request. It is checked once, when the policies load: for each route
//! that shares paths with it, every smallest token that gets through must meet it. Since conditions are
//! never negated, that is then so for every token.

use std::collections::BTreeMap;

use jeton_oauth::{Role, ScopeSet};

use super::{
    condition::{Alternative, Condition, ask_the_same},
    path::CanonicalPath,
    position::RouteId,
    route::{Method, Route},
    rule::PolicyRule,
    set::ProtectedApi,
    space::{Beyond, Compared, Grid, RouteIndex, Shape, Witness, WitnessToken},
    subject::Permissions,
};

/// One route of a guarantee, with what must hold there.
#[derive(Debug)]
pub(super) struct Guaranteed {
    pub(super) route: Route,
    /// Alternatives of conditions, each parameter at its place in this route.
    pub(super) only_when: Vec<Vec<Condition>>,
}

impl Guaranteed {
    /// Whether both guarantee the same on the same paths, whatever parameters are called.
    pub(super) fn guarantees_the_same(&self, other: &Self) -> bool {
        self.route.method == other.route.method
            && Shape::of(&self.route).is_same_paths(&Shape::of(&other.route))
            && ask_the_same(self.only_when(), other.only_when())
    }

    fn only_when(&self) -> impl Iterator<Item = Alternative<'_>> {
        self.only_when.iter().map(|conditions| Alternative(conditions))
    }
}

/// A way around a guarantee.
#[derive(Debug)]
pub(super) struct Violation<'p> {
    pub(super) rule: &'p PolicyRule,
    /// The alternative of the rule, from 0; `None` where it is public.
    pub(super) alternative: Option<usize>,
    /// How many alternatives the rule has.
    pub(super) alternatives: usize,
    pub(super) witness: Witness,
    /// What the guarantee asks and this request lacks.
    pub(super) lacking: Vec<String>,
}

/// Whether a rule has a route on the paths and methods that are guaranteed.
pub(super) fn meets_a_rule(api: &ProtectedApi, index: &RouteIndex<'_>, guaranteed: &Guaranteed) -> bool {
    let covers = |method: &Method| guaranteed.route.method.precision(*method).is_some();
    index.meeting(&Shape::of(&guaranteed.route)).into_iter().any(|(id, _)| {
        api.written(id).is_some_and(|route| {
            Method::ALL.iter().any(|method| covers(method) && route.method.precision(*method).is_some())
        })
    })
}

/// A guarantee that cannot be proved for a rule: together they compare too many segments with too many values.
#[derive(Debug)]
pub(super) struct TooComplex<'p>(pub(super) &'p PolicyRule);

/// Every alternative of a rule that lets a request through without what is guaranteed; none if the
/// guarantee holds.
pub(super) fn violations<'p>(
    api: &'p ProtectedApi,
    index: &RouteIndex<'p>,
    roles: &BTreeMap<Role, ScopeSet>,
    guaranteed: &'p Guaranteed,
) -> Result<Vec<Violation<'p>>, TooComplex<'p>> {
    let shape = Shape::of(&guaranteed.route);
    let deepest = index.deepest().max(shape.depth());
    let mut violations = Vec::new();
    for (id, common) in index.meeting(&shape) {
        let proof = Proof { api, index, roles, guaranteed, route: id };
        proof.violations_on(&common, deepest, &mut violations)?;
    }
    Ok(violations)
}

/// The routes that end in a slash, by their paths without it.
pub(super) struct Endings<'p> {
    routes: Vec<RouteId>,
    index: RouteIndex<'p>,
}

impl<'p> Endings<'p> {
    pub(super) fn of(index: &RouteIndex<'p>) -> Self {
        let endings = index.shapes().filter_map(|(id, shape)| Some((id, shape.without_slash()?)));
        let (routes, shapes): (Vec<_>, Vec<_>) = endings.unzip();
        Self { routes, index: RouteIndex::of(shapes) }
    }

    /// The routes that have paths in common with a shape but for the slash, and these paths with it.
    fn meeting(&self, shape: &Shape<'p>) -> Vec<(RouteId, Shape<'p>)> {
        let mut positions: Vec<_> = self.index.meeting(shape).into_iter().map(|(at, _)| at).collect();
        positions.sort_unstable();
        let meeting = positions.into_iter().filter_map(|at| {
            let common = self.index.shape(at)?.meet(shape)?;
            Some((*self.routes.get(at.position())?, common.with_slash()))
        });
        meeting.collect()
    }
}

/// As [`violations`], on the paths that end in a slash where the others are guaranteed: `**` covers none.
pub(super) fn gaps<'p>(
    api: &'p ProtectedApi,
    index: &RouteIndex<'p>,
    endings: &Endings<'p>,
    roles: &BTreeMap<Role, ScopeSet>,
    guaranteed: &'p Guaranteed,
) -> Result<Vec<Violation<'p>>, TooComplex<'p>> {
    let mut gaps = Vec::new();
    let shape = Shape::of(&guaranteed.route);
    if shape.has_rest() {
        for (route, ending) in endings.meeting(&shape) {
            let proof = Proof { api, index, roles, guaranteed, route };
            proof.violations_on(&ending, index.deepest(), &mut gaps)?;
        }
    }
    Ok(gaps)
}

struct Proof<'a, 'p> {
    api: &'p ProtectedApi,
    index: &'a RouteIndex<'p>,
    roles: &'a BTreeMap<Role, ScopeSet>,
    guaranteed: &'p Guaranteed,
    /// The route whose rule is looked at.
    route: RouteId,
}

impl<'p> Proof<'_, 'p> {
    fn violations_on(
        &self,
        common: &Shape<'p>,
        deepest: usize,
        into: &mut Vec<Violation<'p>>,
    ) -> Result<(), TooComplex<'p>> {
        let Some((rule, access)) = self.api.access(self.route) else { return Ok(()) };
        let alternatives: Vec<_> = self.api.routes.alternatives(access).collect();
        let mut compared = Compared::default();
        compared.add(alternatives.iter().copied());
        compared.add(self.guaranteed.only_when());
        // each with its position
        let mut open: Vec<Option<(usize, Alternative<'_>)>> = if access.is_public() {
            vec![None]
        } else {
            alternatives.iter().copied().enumerate().map(Some).collect()
        };
        for (common, _) in common.lengths(deepest) {
            let grid = Grid::for_any_token(common, &compared, &|text| self.index.known(text));
            for (_, target) in grid.points().ok_or(TooComplex(rule))? {
                let Ok(path) = CanonicalPath::parse(&target) else { continue };
                let Some(method) = self.deciding_method(&path) else { continue };
                open.retain(|open| {
                    let alternative = open.map(|(_, alternative)| alternative);
                    let Some((token, lacking)) = self.way_around(alternative, &path) else { return true };
                    let witness = Witness { method: method.to_string(), path: target.clone(), token };
                    let (alternative, alternatives) = (open.map(|(at, _)| at), alternatives.len());
                    into.push(Violation { rule, alternative, alternatives, witness, lacking });
                    false
                });
            }
        }
        Ok(())
    }

    /// A method that the guarantee covers and for which the route decides on this path.
    fn deciding_method(&self, path: &CanonicalPath<'_>) -> Option<Method> {
        Method::ALL.into_iter().find(|method| {
            self.guaranteed.route.method.precision(*method).is_some()
                && self.api.routes.trie.find(*method, path) == Some(self.route)
        })
    }

    /// A token that the alternative lets through and that lacks what is guaranteed, and what that is; without
    /// an alternative everybody is let through.
    fn way_around(
        &self,
        alternative: Option<Alternative<'_>>,
        path: &CanonicalPath<'_>,
    ) -> Option<(Option<WitnessToken>, Vec<String>)> {
        let lacking = |token: &Permissions| {
            let missing = self.guaranteed.only_when().map(|one| one.missing(&token.subject(), path));
            missing.min_by_key(Vec::len).unwrap_or_default()
        };
        let Some(alternative) = alternative else {
            return Some((None, lacking(&Permissions::default())));
        };
        let others: Vec<_> = self.guaranteed.only_when().collect();
        let beyond = Beyond { path, roles: self.roles, others: &others, others_path: path, no_objects: &[] };
        beyond.first(alternative).map(|token| (Some(WitnessToken::from(&token)), lacking(&token)))
    }
}
