//! What changes at routes: which requests pass with which token.

use std::{cell::OnceCell, collections::BTreeMap, fmt::Write, ops::ControlFlow};

use super::{Budget, Change, ChangeKind, Effect, RulePlace, Who};
use crate::{
    clients::{Client, ClientState},
    oauth::{ApiName, Role, ScopeSet},
    policy::{
        condition::{Alternative, Subject},
        explain::Permissions,
        guarantee::Witness,
        path::CanonicalPath,
        route::Method,
        set::{Access, Api, PolicySet},
        space::{Compared, Grid, Point, RouteIndex, Seen, Shape, Tail, Token, Wording, smallest_tokens},
        trie::RouteId,
    },
};

/// Compares one API. `None` where the budget does not suffice.
pub(super) fn compare(
    old: &PolicySet,
    new: &PolicySet,
    api: &ApiName,
    budget: &mut Budget,
    into: &mut Vec<Change>,
) -> Option<()> {
    let (old, new) = (Side::new(old, api), Side::new(new, api));
    let bearers = Bearer::all(&old, &new, api);
    let changed: Vec<_> = bearers.iter().filter(|bearer| bearer.is_changed).collect();
    let all: Vec<_> = bearers.iter().collect();
    let comparison = Comparison { old: &old, new: &new, api, all: &all, changed: &changed };
    for before in old.routes() {
        let Some(shape) = old.index.shape(before) else { continue };
        comparison.compare(Pair { before: Some(before), after: None }, shape, budget, into)?;
        for (after, common) in new.index.meeting(shape) {
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
struct Side<'p> {
    policies: &'p PolicySet,
    api: Option<&'p Api>,
    index: RouteIndex<'p>,
}

/// The route that decides before and after; `None` is no route, and so nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    before: Option<RouteId>,
    after: Option<RouteId>,
}

/// A client and what it is granted before and after.
struct Bearer<'p> {
    client: &'p Client,
    is_changed: bool,
    granted: OnceCell<Granted>,
}

struct Granted {
    before: Option<Permissions>,
    after: Option<Permissions>,
}

impl<'p> Side<'p> {
    fn new(policies: &'p PolicySet, api: &ApiName) -> Self {
        let api = policies.apis().get(api);
        let index = RouteIndex::new(api.map_or(&[], |api| &api.routes.written));
        Self { policies, api, index }
    }

    fn routes(&self) -> impl Iterator<Item = RouteId> + use<> {
        (0..).take(self.api.map_or(0, |api| api.routes.written.len()))
    }

    fn deciding(&self, method: Method, path: &CanonicalPath<'_>) -> Option<RouteId> {
        self.api?.routes.trie.find(method, path)
    }

    fn access(&self, route: Option<RouteId>) -> Option<&'p Access> {
        self.api?.access(route?).map(|(_, access)| access)
    }

    fn is_public(&self, route: Option<RouteId>) -> bool {
        self.access(route).is_some_and(Access::is_public)
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
        let (rule, file, line) = (rule.name().to_owned(), self.policies.file_of(rule).to_owned(), rule.line);
        Some(RulePlace { rule, file, line })
    }
}

impl<'p> Bearer<'p> {
    fn all(old: &Side<'p>, new: &Side<'p>, api: &ApiName) -> Vec<Self> {
        let mut clients: BTreeMap<_, &Client> = BTreeMap::new();
        for policies in [old.policies, new.policies] {
            clients.extend(policies.clients().iter().map(|client| (&client.id, &**client)));
        }
        let bearers = clients.into_values().map(|client| {
            let found = |side: &Side<'p>| {
                let client = side.policies.clients().find(client.id.as_str())?;
                let grant = client.grants.iter().find(|grant| grant.api == *api)?;
                (client.state == ClientState::Enabled).then_some((grant, client.kind, &client.claims))
            };
            let (before, after) = (found(old), found(new));
            let has_grant = before.is_some() || after.is_some();
            has_grant.then(|| Self { client, is_changed: before != after, granted: OnceCell::new() })
        });
        bearers.flatten().collect()
    }

    /// Put together when it is asked for: of many clients, most stay as they are.
    fn granted(&self, old: &Side<'_>, new: &Side<'_>, api: &ApiName) -> &Granted {
        self.granted.get_or_init(|| {
            let granted = |side: &Side<'_>| side.policies.granted(self.client.id.as_str(), api.as_str());
            Granted { before: granted(old), after: granted(new) }
        })
    }
}

struct Comparison<'a, 'p> {
    old: &'a Side<'p>,
    new: &'a Side<'p>,
    api: &'a ApiName,
    all: &'a [&'a Bearer<'p>],
    changed: &'a [&'a Bearer<'p>],
}

/// The paths of a pair of one length, for methods that it decides alike.
struct Region<'a, 'p> {
    shape: &'a Shape<'p>,
    tail: Tail,
}

/// Changes of one pair that differ only in how long the path is: the witness, and the regions by length
/// with their methods.
type Merged<'a, 'p> = BTreeMap<(Effect, Who, Option<String>), (Witness, Vec<(Region<'a, 'p>, Vec<Method>)>)>;

impl<'p> Comparison<'_, 'p> {
    /// What changes on the paths that a pair has in common.
    fn compare(
        &self,
        pair: Pair,
        common: &Shape<'p>,
        budget: &mut Budget,
        into: &mut Vec<Change>,
    ) -> Option<()> {
        let asks_the_same = self.asks_the_same(pair);
        let bearers = if asks_the_same { self.changed } else { self.all };
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
            let bare = Grid::for_any_token(shape.clone(), &Compared::default(), &|text| self.names(text));
            if self.decided(pair, &bare).is_empty() {
                continue;
            }
            budget.spend(1 + bearers.len())?;
            let mut note = |methods: &[Method], effect, who, on, witness| {
                let (_, regions) = merged.entry((effect, who, on)).or_insert_with(|| (witness, Vec::new()));
                match regions.last_mut() {
                    Some((last, all)) if std::ptr::eq(last.shape, shape) => all.extend(methods),
                    _ => regions.push((Region { shape, tail: *tail }, methods.to_vec())),
                }
            };
            if !asks_the_same {
                let grid = Grid::for_any_token(shape.clone(), &compared, &|text| self.names(text));
                for decided in self.decided(pair, &grid) {
                    self.everybody(pair, &grid, &decided, &mut note);
                    self.any_token(pair, &grid, &decided, &mut note);
                }
            }
            for bearer in bearers {
                self.bearer(pair, shape, &compared, bearer, &mut note);
            }
        }
        self.report(pair, merged, into);
        Some(())
    }

    fn names(&self, text: &str) -> bool {
        self.old.index.names(text) || self.new.index.names(text)
    }

    /// Whether the same is written on both sides.
    fn asks_the_same(&self, pair: Pair) -> bool {
        self.old.is_public(pair.before) == self.new.is_public(pair.after)
            && self
                .old
                .alternatives(pair.before)
                .map(|one| one.0)
                .eq(self.new.alternatives(pair.after).map(|one| one.0))
    }

    /// The points on which the pair decides, by methods for which these are the same.
    fn decided(&self, pair: Pair, grid: &Grid<'p>) -> Vec<Decided> {
        let mut by_points: Vec<Decided> = Vec::new();
        let points = grid.points();
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
        by_points
    }

    fn everybody(&self, pair: Pair, grid: &Grid<'p>, decided: &Decided, note: &mut Note<'_>) {
        let (before, after) = (self.old.is_public(pair.before), self.new.is_public(pair.after));
        if let (Some(effect), Some((_, path))) = (Effect::between(before, after), decided.points.first()) {
            let mut seen = Seen::default();
            decided.points.iter().for_each(|(point, _)| seen.note(point.clone(), true));
            let on = worded(grid, &seen);
            note(&decided.methods, effect, Who::Everybody, on, decided.witness(path, None));
        }
    }

    /// What any token gains or loses by what it carries.
    fn any_token(&self, pair: Pair, grid: &Grid<'p>, decided: &Decided, note: &mut Note<'_>) {
        if self.old.is_public(pair.before) || self.new.is_public(pair.after) {
            return;
        }
        let sides = [
            (Effect::Gains, self.new, pair.after, self.old, pair.before),
            (Effect::Loses, self.old, pair.before, self.new, pair.after),
        ];
        for (effect, side, route, other, other_route) in sides {
            for alternative in side.alternatives(route) {
                let mut found: BTreeMap<String, (Seen, Witness)> = BTreeMap::new();
                let mut reached = Vec::new();
                for (point, target) in &decided.points {
                    let Ok(path) = CanonicalPath::parse(target) else { continue };
                    let passes_other =
                        |token: &Permissions| other.lets_through(other_route, &path, Some(&token.subject()));
                    let roles = side.policies.roles();
                    for (words, token) in tokens_beyond(alternative, &path, roles, &passes_other) {
                        let witness = decided.witness(target, Some(Token::from(&token)));
                        found
                            .entry(words)
                            .or_insert_with(|| (Seen::default(), witness))
                            .0
                            .note(point.clone(), true);
                    }
                    reached.push(point);
                }
                for (words, (mut seen, witness)) in found {
                    for point in &reached {
                        if !seen.has(point) {
                            seen.note((*point).clone(), false);
                        }
                    }
                    note(&decided.methods, effect, Who::AnyTokenWith(words), worded(grid, &seen), witness);
                }
            }
        }
    }

    /// What a client gains or loses.
    fn bearer(
        &self,
        pair: Pair,
        shape: &Shape<'p>,
        compared: &Compared<'p>,
        bearer: &Bearer<'p>,
        note: &mut Note<'_>,
    ) {
        let Granted { before, after } = bearer.granted(self.old, self.new, self.api);
        let may = |side: &Side<'p>, route, permissions: &Option<Permissions>| {
            side.is_public(route)
                || permissions
                    .as_ref()
                    .is_some_and(|bearer| side.alternatives(route).any(|one| one.may_hold(&bearer.subject())))
        };
        // what becomes public, everybody gains
        let is_everybodys = self.new.is_public(pair.after) && !self.old.is_public(pair.before);
        if is_everybodys || !(may(self.old, pair.before, before) || may(self.new, pair.after, after)) {
            return;
        }
        let claims: Vec<_> = before.iter().chain(after).map(|permissions| &permissions.claims).collect();
        let grid = Grid::for_claims(shape.clone(), compared, &claims, &|text| self.names(text));
        for decided in self.decided(pair, &grid) {
            for effect in [Effect::Gains, Effect::Loses] {
                let mut seen = Seen::default();
                let mut witness = None;
                for (point, target) in &decided.points {
                    let Ok(path) = CanonicalPath::parse(target) else { continue };
                    let passes = |side: &Side<'_>, route, bearer: &Option<Permissions>| {
                        side.lets_through(route, &path, bearer.as_ref().map(Permissions::subject).as_ref())
                    };
                    let passed = passes(self.old, pair.before, before);
                    let passes_now = passes(self.new, pair.after, after);
                    let is_hit = Effect::between(passed, passes_now) == Some(effect);
                    if is_hit {
                        let token = if effect == Effect::Gains { after } else { before };
                        witness
                            .get_or_insert_with(|| decided.witness(target, token.as_ref().map(Token::from)));
                    }
                    seen.note(point.clone(), is_hit);
                }
                if let Some(witness) = witness {
                    let who = Who::Client(bearer.client.id.to_string());
                    note(&decided.methods, effect, who, worded(&grid, &seen), witness);
                }
            }
        }
    }

    fn report(&self, pair: Pair, merged: Merged<'_, 'p>, into: &mut Vec<Change>) {
        for ((effect, who, on), (witness, regions)) in merged {
            for route in patterns(&regions) {
                into.push(Change {
                    api: self.new.api.or(self.old.api).map(|api| api.name().to_string()),
                    what: route,
                    on: on.clone(),
                    before: self.old.rule(pair.before),
                    after: self.new.rule(pair.after),
                    witness: Some(witness.clone()),
                    ..Change::of(ChangeKind::Route, effect, who.clone())
                });
            }
        }
    }
}

/// Methods for which a pair decides on the same points.
struct Decided {
    methods: Vec<Method>,
    points: Vec<(Point, String)>,
}

/// Takes a change for these methods.
type Note<'n> = dyn FnMut(&[Method], Effect, Who, Option<String>, Witness) + 'n;

impl Decided {
    fn witness(&self, path: &str, token: Option<Token>) -> Witness {
        let method = self.methods.first().map_or_else(String::new, ToString::to_string);
        Witness { method, path: path.to_owned(), token }
    }
}

fn worded(grid: &Grid<'_>, seen: &Seen) -> Option<String> {
    let clauses = grid.clauses(seen);
    (!clauses.is_always()).then(|| clauses.worded(Wording::Words))
}

/// The smallest tokens that an alternative lets through and the other side does not, each in words: the
/// words of the alternative where that is so for all of its tokens.
fn tokens_beyond(
    alternative: Alternative<'_>,
    path: &CanonicalPath<'_>,
    roles: &BTreeMap<Role, ScopeSet>,
    passes_other: &dyn Fn(&Permissions) -> bool,
) -> Vec<(String, Permissions)> {
    let mut beyond = Vec::new();
    let _ = smallest_tokens(alternative, path, roles, passes_other, &mut |token| {
        beyond.push(token);
        ControlFlow::Continue(())
    });
    let some_pass = smallest_tokens(alternative, path, roles, &|_| false, &mut |token| {
        if passes_other(&token) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if some_pass.is_break() {
        return beyond.into_iter().map(|token| (Token::from(&token).to_string(), token)).collect();
    }
    let words: Vec<_> = alternative.0.iter().map(ToString::to_string).collect();
    beyond.into_iter().next().map(|token| (words.join(", "), token)).into_iter().collect()
}

/// Regions as routes: those that go on alike to any length as one that ends in `**`.
fn patterns(regions: &[(Region<'_, '_>, Vec<Method>)]) -> Vec<String> {
    let mut patterns = Vec::new();
    let open = regions.last().is_some_and(|(region, _)| region.tail == Tail::More);
    // from where on all lengths are there, with the same methods
    let alike = regions.windows(2).rev().take_while(|pair| match pair {
        [(a, of_a), (b, of_b)] => of_a == of_b && a.shape.depth() + 1 == b.shape.depth(),
        _ => false,
    });
    let first_alike = if open { regions.len() - 1 - alike.count() } else { regions.len() };
    for (at, (region, methods)) in regions.iter().enumerate().take(first_alike + 1) {
        let tail = if at == first_alike { Tail::More } else { Tail::End };
        let mut pattern = methods_in_words(methods);
        let _ = write!(pattern, " {}", region.shape.pattern(tail));
        patterns.push(pattern);
    }
    patterns
}

/// `GET` where `HEAD` goes along, `ANY` for all.
fn methods_in_words(methods: &[Method]) -> String {
    let has = |method: Method| methods.contains(&method);
    if Method::ALL.into_iter().all(has) {
        return "ANY".to_owned();
    }
    let shown = Method::ALL.into_iter().filter(|method| has(*method));
    let shown = shown.filter(|method| *method != Method::Head || !has(Method::Get));
    let names: Vec<_> = shown.map(Method::as_str).collect();
    let but_head = if has(Method::Get) && !has(Method::Head) { " (not HEAD)" } else { "" };
    names.join(", ") + but_head
}
