//! What changes at routes: which requests pass with which token.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use jeton_oauth::ApiName;
use serde_json::{Map, Value};

use super::{
    Budget, ChangeEffect, ChangeKind, ChangedFor, PolicyChange, RulePlace,
    bearers::{Changed, Granted, GrantedClient},
    taken_over::{PassingTokens, TokenBeyond},
};
use crate::{
    condition::{Alternative, ask_the_same},
    path::CanonicalPath,
    position::RouteId,
    route::Method,
    set::{PolicySet, ProtectedApi, RuleAccess},
    space::{
        Beyond, Clauses, Compared, Grid, GridPoint, Known, RouteIndex, SeenPoints, Shape, Tail, Witness,
        WitnessToken, Wording,
    },
    subject::{Permissions, Subject},
};

/// Compares one API. `None` where the budget does not suffice.
pub(super) fn compare<'p>(
    old: &'p PolicySet,
    new: &'p PolicySet,
    api: &'p ApiName,
    budget: &mut Budget,
    into: &mut Vec<PolicyChange>,
) -> Option<()> {
    let bearers = GrantedClient::all(old, new, api);
    let (old, new) = (ComparedSide::new(old, api), ComparedSide::new(new, api));
    let comparison = Comparison {
        old: &old,
        new: &new,
        bearers: bearers.iter().collect(),
        changed: Changed::of(&bearers),
    };
    for before in old.routes() {
        let Some(shape) = old.index.shape(before) else { continue };
        comparison.compare(Pair { before: Some(before), after: None }, shape, budget, into)?;
        let meeting = new.index.meeting(shape);
        budget.spend(1 + meeting.len())?;
        for (after, common) in meeting {
            comparison.compare(Pair { before: Some(before), after: Some(after) }, &common, budget, into)?;
        }
    }
    for after in new.routes() {
        let Some(shape) = new.index.shape(after) else { continue };
        comparison.compare(Pair { before: None, after: Some(after) }, shape, budget, into)?;
    }
    Some(())
}

/// The old or the new policies of one API, which may be in one of them only.
struct ComparedSide<'p> {
    policies: &'p PolicySet,
    api: Option<&'p ProtectedApi>,
    index: RouteIndex<'p>,
}

/// The route that decides before and after; `None` is no route, and so nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    before: Option<RouteId>,
    after: Option<RouteId>,
}

impl<'p> ComparedSide<'p> {
    fn new(policies: &'p PolicySet, api: &ApiName) -> Self {
        let api = policies.apis().get(api);
        let index = RouteIndex::new(api.map_or(&[], |api| &api.routes.written));
        Self { policies, api, index }
    }

    fn routes(&self) -> impl Iterator<Item = RouteId> + use<> {
        (0..self.api.map_or(0, |api| api.routes.written.len())).map(RouteId::at)
    }

    fn deciding(&self, method: Method, path: &CanonicalPath<'_>) -> Option<RouteId> {
        self.api?.routes.trie.find(method, path)
    }

    fn access(&self, route: Option<RouteId>) -> Option<&'p RuleAccess> {
        self.api?.access(route?).map(|(_, access)| access)
    }

    fn is_public(&self, route: Option<RouteId>) -> bool {
        self.access(route).is_some_and(RuleAccess::is_public)
    }

    fn alternatives(&self, route: Option<RouteId>) -> impl Iterator<Item = Alternative<'p>> {
        let found = self.api.zip(self.access(route));
        found.into_iter().flat_map(|(api, access)| api.routes.alternatives(access))
    }

    fn lets_through(
        &self,
        route: Option<RouteId>,
        path: &CanonicalPath<'_>,
        subject: Option<&Subject<'_>>,
    ) -> bool {
        self.api.zip(route).is_some_and(|(api, route)| api.lets_through(route, path, subject))
    }

    fn rule(&self, route: Option<RouteId>) -> Option<RulePlace> {
        let (rule, _) = self.api?.access(route?)?;
        Some(self.policies.place_of(rule))
    }
}

struct Comparison<'a, 'p> {
    old: &'a ComparedSide<'p>,
    new: &'a ComparedSide<'p>,
    bearers: Vec<&'a GrantedClient<'p>>,
    changed: Changed<'a, 'p>,
}

/// The paths of a pair of one length, the methods that it decides alike there, and a request among these.
struct Region<'a, 'p> {
    shape: &'a Shape<'p>,
    tail: Tail,
    methods: BTreeSet<Method>,
    witness: Witness,
}

/// Changes of one pair that differ only in method and length of the path.
type Merged<'a, 'p> = BTreeMap<(ChangeEffect, ChangedFor, Option<On>), Vec<Region<'a, 'p>>>;

/// On which paths something changes, in words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct On {
    words: String,
    by_claims: Option<String>,
}

impl On {
    /// `None` is all.
    fn of(clauses: Clauses, claims: Option<&Map<String, Value>>) -> Option<Self> {
        (!clauses.is_always()).then(|| Self {
            words: clauses.worded(Wording::Words),
            by_claims: claims.map(|claims| clauses.by_claims(claims).worded(Wording::Words)),
        })
    }
}

impl<'p> Comparison<'_, 'p> {
    /// What changes on the paths that a pair has in common.
    fn compare(
        &self,
        pair: Pair,
        common: &Shape<'p>,
        budget: &mut Budget,
        into: &mut Vec<PolicyChange>,
    ) -> Option<()> {
        if self.old.is_public(pair.before) && self.new.is_public(pair.after) {
            return Some(());
        }
        let asks_the_same = self.asks_the_same(pair);
        let changed;
        let bearers = if asks_the_same {
            changed = self.changed.by(self.new.alternatives(pair.after));
            &changed
        } else {
            &self.bearers
        };
        if asks_the_same && bearers.is_empty() {
            return Some(());
        }
        let mut compared = Compared::default();
        compared.add(self.old.alternatives(pair.before));
        compared.add(self.new.alternatives(pair.after));
        let deepest = self.old.index.deepest().max(self.new.index.deepest());
        let lengths = common.lengths(deepest);
        let mut merged = Merged::new();
        for (shape, tail) in &lengths {
            let bare = Grid::for_any_token(shape.clone(), &Compared::default(), &|text| self.known(text));
            if self.decided(pair, &bare).is_none_or(|decided| decided.is_empty()) {
                continue;
            }
            budget.spend(1)?;
            let mut note = |methods: &[Method], effect, who, on, witness| {
                let regions = merged.entry((effect, who, on)).or_default();
                match regions.last_mut() {
                    Some(last) if std::ptr::eq(last.shape, shape) => last.methods.extend(methods),
                    _ => regions.push(Region {
                        shape,
                        tail: *tail,
                        methods: methods.iter().copied().collect(),
                        witness,
                    }),
                }
            };
            if !asks_the_same {
                let grid = Grid::for_any_token(shape.clone(), &compared, &|text| self.known(text));
                budget.spend(grid.size())?;
                let Some(decided) = self.decided(pair, &grid) else {
                    self.too_much(shape, into);
                    return Some(());
                };
                for decided in decided {
                    self.everybody(pair, &grid, &decided, &mut note);
                    self.any_token(pair, &grid, &decided, &mut note);
                }
            }
            for bearer in bearers {
                budget.spend(1)?;
                if bearer.granted().take_over() {
                    // what becomes public, everybody gains
                    let is_everybodys = self.new.is_public(pair.after) && !self.old.is_public(pair.before);
                    if !is_everybodys
                        && self.by_taken_claims(pair, shape, bearer, budget, &mut note)?.is_err()
                    {
                        self.too_much(shape, into);
                        return Some(());
                    }
                    continue;
                }
                let Some(grid) = self.concerns(pair, shape, &compared, bearer) else { continue };
                budget.spend(grid.size())?;
                let Some(decided) = self.decided(pair, &grid) else {
                    self.too_much(shape, into);
                    return Some(());
                };
                self.bearer(pair, &grid, &decided, bearer, &mut note);
            }
        }
        self.report(pair, common, merged, into);
        Some(())
    }

    /// Says that a route is not compared, for it compares too many segments with too many values.
    fn too_much(&self, shape: &Shape<'p>, into: &mut Vec<PolicyChange>) {
        into.push(PolicyChange {
            api: self.new.api.or(self.old.api).map(|api| api.name().to_string()),
            what: format!("{}: too many segments and values to compare", shape.pattern(Tail::End)),
            ..PolicyChange::of(ChangeKind::Route, ChangeEffect::Changes, ChangedFor::Operators)
        });
    }

    fn known<'t>(&self, text: &'t str) -> Known<'t> {
        self.old.index.known(text).or(self.new.index.known(text))
    }

    /// Whether the same is written on both sides.
    fn asks_the_same(&self, pair: Pair) -> bool {
        self.old.is_public(pair.before) == self.new.is_public(pair.after)
            && ask_the_same(self.old.alternatives(pair.before), self.new.alternatives(pair.after))
    }

    /// The points on which the pair decides, by methods for which these are the same.
    fn decided(&self, pair: Pair, grid: &Grid<'_>) -> Option<Vec<Decided>> {
        let mut by_points: Vec<Decided> = Vec::new();
        let points = grid.points()?;
        for method in Method::ALL {
            let is_decided = |target: &str| {
                CanonicalPath::parse(target).is_ok_and(|path| {
                    self.old.deciding(method, &path) == pair.before
                        && self.new.deciding(method, &path) == pair.after
                })
            };
            let points: Vec<_> = points.iter().filter(|(_, target)| is_decided(target)).cloned().collect();
            if points.is_empty() {
                continue;
            }
            match by_points.iter_mut().find(|decided| decided.points == points) {
                Some(decided) => decided.methods.push(method),
                None => by_points.push(Decided { methods: vec![method], points }),
            }
        }
        Some(by_points)
    }

    fn everybody(&self, pair: Pair, grid: &Grid<'p>, decided: &Decided, note: &mut Note<'_>) {
        let (before, after) = (self.old.is_public(pair.before), self.new.is_public(pair.after));
        if let (Some(effect), Some((_, path))) =
            (ChangeEffect::between(before, after), decided.points.first())
        {
            let mut seen = SeenPoints::default();
            decided.points.iter().for_each(|(point, _)| seen.note(point, true));
            let on = On::of(grid.clauses(&seen), None);
            note(&decided.methods, effect, ChangedFor::Everybody, on, decided.witness(path, None));
        }
    }

    /// What any token gains or loses by what it carries.
    fn any_token(&self, pair: Pair, grid: &Grid<'p>, decided: &Decided, note: &mut Note<'_>) {
        if self.old.is_public(pair.before) || self.new.is_public(pair.after) {
            return;
        }
        let sides = [
            (ChangeEffect::Gains, self.new, pair.after, self.old, pair.before),
            (ChangeEffect::Loses, self.old, pair.before, self.new, pair.after),
        ];
        for (effect, side, route, other, other_route) in sides {
            let others: Vec<_> = other.alternatives(other_route).collect();
            let roles = side.policies.roles();
            for alternative in side.alternatives(route) {
                let mut found: BTreeMap<String, (SeenPoints, Witness)> = BTreeMap::new();
                for (point, target) in &decided.points {
                    let Ok(path) = CanonicalPath::parse(target) else { continue };
                    let beyond =
                        Beyond { path: &path, roles, others: &others, others_path: &path, no_objects: &[] };
                    for (words, token) in beyond.all(alternative) {
                        let witness = || decided.witness(target, Some(WitnessToken::from(&token)));
                        let (seen, _) =
                            found.entry(words).or_insert_with(|| (SeenPoints::default(), witness()));
                        seen.note(point, true);
                    }
                }
                for (words, (mut seen, witness)) in found {
                    decided.points.iter().for_each(|(point, _)| seen.note(point, false));
                    let on = On::of(grid.clauses(&seen), None);
                    note(&decided.methods, effect, ChangedFor::AnyTokenWith(words), on, witness);
                }
            }
        }
    }

    /// The paths to look at for a client, if the pair may decide otherwise for it.
    fn concerns(
        &self,
        pair: Pair,
        shape: &Shape<'p>,
        compared: &Compared<'p>,
        bearer: &GrantedClient<'p>,
    ) -> Option<Grid<'p>> {
        let granted = bearer.granted();
        let [before, after] = granted.bases();
        let may = |side: &ComparedSide<'p>, route, permissions: Option<&Permissions>| {
            side.is_public(route)
                || permissions
                    .is_some_and(|bearer| side.alternatives(route).any(|one| one.may_hold(&bearer.subject())))
        };
        // what becomes public, everybody gains
        let is_everybodys = self.new.is_public(pair.after) && !self.old.is_public(pair.before);
        let may_pass = may(self.old, pair.before, before) || may(self.new, pair.after, after);
        let bearers: Vec<_> = before.into_iter().chain(after).collect();
        (may_pass && !is_everybodys)
            .then(|| Grid::for_bearers(shape.clone(), compared, &bearers, &|text| self.known(text)))
    }

    /// What a client gains or loses some of whose tokens take claims over from those of another issuer.
    fn by_taken_claims(
        &self,
        pair: Pair,
        shape: &Shape<'p>,
        bearer: &GrantedClient<'p>,
        budget: &mut Budget,
        note: &mut Note<'_>,
    ) -> Option<Result<(), TooMuch>> {
        let Granted { before, after } = bearer.granted();
        let values: Vec<_> = [(self.old, pair.before, before), (self.new, pair.after, after)]
            .into_iter()
            .flat_map(|(side, route, tokens)| {
                tokens.iter().map(move |tokens| tokens.compared(side.alternatives(route)))
            })
            .collect();
        let mut compared = Compared::default();
        compared.add(self.old.alternatives(pair.before));
        compared.add(self.new.alternatives(pair.after));
        compared.add(values.iter().map(|values| Alternative(values)));
        let grid = Grid::for_any_token(shape.clone(), &compared, &|text| self.known(text));
        budget.spend(grid.size())?;
        let Some(decided) = self.decided(pair, &grid) else { return Some(Err(TooMuch)) };
        for decided in decided {
            let passing = |path: &CanonicalPath<'_>| {
                [(self.old, pair.before, before), (self.new, pair.after, after)].map(
                    |(side, route, tokens)| {
                        let alternatives = (!side.is_public(route)).then(|| side.alternatives(route));
                        PassingTokens::of(tokens.as_ref(), alternatives, path)
                    },
                )
            };
            let mut found: BTreeMap<(ChangeEffect, Option<String>), (SeenPoints, Witness)> = BTreeMap::new();
            for (point, target) in &decided.points {
                let Ok(path) = CanonicalPath::parse(target) else { continue };
                let [old, new] = passing(&path);
                for (effect, more, less) in
                    [(ChangeEffect::Gains, &new, &old), (ChangeEffect::Loses, &old, &new)]
                {
                    for TokenBeyond { words, token } in more.beyond(less, &path) {
                        let witness = || decided.witness(target, Some(WitnessToken::from(&token)));
                        let (seen, _) = found
                            .entry((effect, words))
                            .or_insert_with(|| (SeenPoints::default(), witness()));
                        seen.note(point, true);
                    }
                }
            }
            for ((effect, words), (mut seen, witness)) in found {
                decided.points.iter().for_each(|(point, _)| seen.note(point, false));
                let on = On::of(grid.clauses(&seen), None);
                let both = on.into_iter().map(|on| on.words).chain(words).collect::<Vec<_>>();
                let on = (!both.is_empty()).then(|| On { words: both.join(" and "), by_claims: None });
                let who = ChangedFor::Client(bearer.client.id.to_string());
                note(&decided.methods, effect, who, on, witness);
            }
        }
        Some(Ok(()))
    }

    /// What a client gains or loses.
    fn bearer(
        &self,
        pair: Pair,
        grid: &Grid<'p>,
        decided: &[Decided],
        bearer: &GrantedClient<'p>,
        note: &mut Note<'_>,
    ) {
        let [before, after] = bearer.granted().bases();
        for decided in decided {
            for (effect, granted) in [(ChangeEffect::Gains, after), (ChangeEffect::Loses, before)] {
                let mut seen = SeenPoints::default();
                let mut witness = None;
                for (point, target) in &decided.points {
                    let Ok(path) = CanonicalPath::parse(target) else { continue };
                    let passes = |side: &ComparedSide<'_>, route, bearer: Option<&Permissions>| {
                        side.lets_through(route, &path, bearer.map(Permissions::subject).as_ref())
                    };
                    let was = passes(self.old, pair.before, before);
                    let is = passes(self.new, pair.after, after);
                    let is_hit = ChangeEffect::between(was, is) == Some(effect);
                    if is_hit {
                        witness
                            .get_or_insert_with(|| decided.witness(target, granted.map(WitnessToken::from)));
                    }
                    seen.note(point, is_hit);
                }
                if let Some(witness) = witness {
                    let who = ChangedFor::Client(bearer.client.id.to_string());
                    let claims = granted.map(|granted| &granted.claims);
                    note(&decided.methods, effect, who, On::of(grid.clauses(&seen), claims), witness);
                }
            }
        }
    }

    /// The routes that decide on some paths of a pair instead of it.
    fn except(&self, pair: Pair, common: &Shape<'p>, regions: &[Region<'_, '_>]) -> Vec<String> {
        let mut except = BTreeSet::new();
        for (side, own) in [(self.old, pair.before), (self.new, pair.after)] {
            for (other, inside) in side.index.meeting(common) {
                let Some((shape, _)) = inside.lengths(0).into_iter().next() else { continue };
                let grid = Grid::for_any_token(shape, &Compared::default(), &|text| self.known(text));
                let target = grid.points().and_then(|points| Some(points.into_iter().next()?.1));
                let takes = target.as_ref().is_some_and(|target| {
                    let Ok(path) = CanonicalPath::parse(target) else { return false };
                    let mut methods = regions.iter().flat_map(|region| &region.methods);
                    Some(other) != own && methods.any(|method| side.deciding(*method, &path) == Some(other))
                });
                except
                    .extend(side.api.filter(|_| takes).and_then(|api| Some(api.written(other)?.to_string())));
            }
        }
        except.into_iter().collect()
    }

    fn report(&self, pair: Pair, common: &Shape<'p>, merged: Merged<'_, 'p>, into: &mut Vec<PolicyChange>) {
        for ((effect, who, on), regions) in merged {
            let except = self.except(pair, common, &regions);
            for (route, witness) in patterns(&regions) {
                into.push(PolicyChange {
                    api: self.new.api.or(self.old.api).map(|api| api.name().to_string()),
                    what: route,
                    on: on.as_ref().map(|on| on.words.clone()),
                    by_claims: on.as_ref().and_then(|on| on.by_claims.clone()),
                    except: except.clone(),
                    before: self.old.rule(pair.before),
                    after: self.new.rule(pair.after),
                    witness: Some(witness.clone()),
                    ..PolicyChange::of(ChangeKind::Route, effect, who.clone())
                });
            }
        }
    }
}

/// There are too many segments and values to compare.
struct TooMuch;

/// Methods for which a pair decides on the same points.
struct Decided {
    methods: Vec<Method>,
    points: Vec<(GridPoint, String)>,
}

/// Takes a change for these methods.
type Note<'n> = dyn FnMut(&[Method], ChangeEffect, ChangedFor, Option<On>, Witness) + 'n;

impl Decided {
    fn witness(&self, path: &str, token: Option<WitnessToken>) -> Witness {
        let method = self.methods.first().map_or_else(String::new, ToString::to_string);
        Witness { method, path: path.to_owned(), token }
    }
}

/// Regions as routes, each with a request: those that go on alike to any length as one that ends in `**`.
fn patterns<'r>(regions: &'r [Region<'_, '_>]) -> Vec<(String, &'r Witness)> {
    let mut patterns = Vec::new();
    let open = regions.last().is_some_and(|region| region.tail == Tail::More);
    // from where on all lengths are there, with the same methods
    let alike = regions.windows(2).rev().take_while(|pair| match pair {
        [a, b] => a.methods == b.methods && a.shape.depth() + 1 == b.shape.depth(),
        _ => false,
    });
    let first_alike = if open { regions.len() - 1 - alike.count() } else { regions.len() };
    for (at, region) in regions.iter().enumerate().take(first_alike + 1) {
        let tail = if at == first_alike { Tail::More } else { Tail::End };
        let mut pattern = methods_in_words(&region.methods);
        let _ = write!(pattern, " {}", region.shape.pattern(tail));
        patterns.push((pattern, &region.witness));
    }
    patterns
}

/// `GET` where `HEAD` goes along, `ANY` for all.
fn methods_in_words(methods: &BTreeSet<Method>) -> String {
    let has = |method: Method| methods.contains(&method);
    if Method::ALL.into_iter().all(has) {
        return "ANY".to_owned();
    }
    let shown = methods.iter().filter(|method| **method != Method::Head || !has(Method::Get));
    let names: Vec<_> = shown.map(|method| method.as_str()).collect();
    let but_head = if has(Method::Get) && !has(Method::Head) { " (not HEAD)" } else { "" };
    names.join(", ") + but_head
}
