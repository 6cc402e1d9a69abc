//! All cells of a matrix. Of many clients and routes most are alike, and each kind is looked at once.
//!
//! The condition of a cell is found by looking at the few paths that stand for all ([`reach`]). Two routes have the same
//! cell for a client where
//!
//! - both ask the same of the parameters of the path, and these are called the same in the same order, and
//! - no route of the API names a value that is compared: such a value and any other then lead to the same route, so
//!   that either decides on all of its paths.
//!
//! What else a rule asks (scopes, roles, the client, claims with constants) does not depend on the path: it is asked
//! once for each client and leaves some of the alternatives. So a cell is known by the parameters, by what the
//! alternatives that are left ask of them, and by the client's claims with which they are compared. Whatever is not of
//! this kind is looked at by itself.

use std::{
    collections::BTreeMap,
    hash::Hash,
    mem::{Discriminant, discriminant},
    rc::Rc,
};

use rustc_hash::FxHashMap;

use super::{AccessCode, MatrixAccess, reach, reach_by_claims};
use crate::{
    claim::{Claim, ClaimName},
    client_tokens::ClientTokens,
    condition::{ClaimTest, Condition},
    path::CanonicalPath,
    position::RouteId,
    route::Method,
    set::{ProtectedApi, RuleAccess},
    space::{Compared, Grid, Known, RouteIndex},
    subject::Permissions,
};

/// The longest value that is taken for one of many, in bytes.
const LONGEST_VALUE: usize = 128;
/// The longest path on which values are put, in bytes: with them it is far from too long.
const LONGEST_PATH: usize = 4096;
/// The most points of a grid that is taken for one of many.
const MOST_POINTS: usize = 1024;

/// The cells of some clients.
pub(super) struct Cells<'p> {
    api: &'p ProtectedApi,
    index: RouteIndex<'p>,
    columns: &'p [Option<ClientTokens<'p>>],
    pub(super) words: ConditionWords,
    /// Which columns meet a condition that does not depend on the path.
    met: FxHashMap<&'p Condition, Rc<Vec<bool>>>,
    kinds: FxHashMap<RouteKind<'p>, Rc<Vec<Option<AccessCode>>>>,
    axes: Numbered<Axes<'p>>,
    asked: Numbered<Asked<'p>>,
    values: Numbered<String>,
    /// By axes and column: the claims that are compared; `None` where a route names one of their values, or there are too
    /// many.
    columns_by_axes: FxHashMap<Number, Rc<Vec<Option<Number>>>>,
    known: FxHashMap<CellKind, AccessCode>,
}

/// The number of something that many cells have in common.
type Number = usize;

/// What tells a cell: the axes, the values of the client, and what the alternatives that are left ask.
type CellKind = (Number, Number, Vec<Number>);

/// Things of a kind by their numbers.
struct Numbered<T>(FxHashMap<T, Number>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<T: Eq + Hash> Numbered<T> {
    fn number(&mut self, thing: T) -> Number {
        let next = self.0.len();
        *self.0.entry(thing).or_insert(next)
    }
}

/// The words of conditions, each once.
#[derive(Default)]
pub(super) struct ConditionWords {
    codes: FxHashMap<Rc<str>, AccessCode>,
    in_order: Vec<Rc<str>>,
}

/// The parameters of a route that conditions compare, in their order: how each is called, and with which claims it is
/// compared.
type Axes<'p> = Vec<(String, Vec<&'p ClaimName>)>;

/// What conditions of an alternative ask of parameters: which of the axes, of which claim, and by which operator.
type Asked<'p> = Vec<(usize, &'p ClaimName, Discriminant<ClaimTest>)>;

/// Routes of a kind have the same cells.
#[derive(Clone, PartialEq, Eq, Hash)]
struct RouteKind<'p> {
    axes: Number,
    alternatives: Vec<KindAlternative<'p>>,
}

/// An alternative of the routes of a kind.
#[derive(Clone, PartialEq, Eq, Hash)]
struct KindAlternative<'p> {
    /// What does not depend on the path.
    anywhere: Vec<&'p Condition>,
    asked: Asked<'p>,
}

impl ConditionWords {
    fn code(&mut self, access: MatrixAccess) -> AccessCode {
        let condition = match access {
            MatrixAccess::Never => return AccessCode::NEVER,
            MatrixAccess::Always => return AccessCode::ALWAYS,
            MatrixAccess::When(condition) => condition,
        };
        if let Some(code) = self.codes.get(condition.as_str()) {
            return *code;
        }
        let (words, code): (Rc<str>, _) = (condition.into(), AccessCode::when(self.in_order.len()));
        self.in_order.push(Rc::clone(&words));
        self.codes.insert(words, code);
        code
    }

    pub(super) fn into_conditions(self) -> Vec<String> {
        self.in_order.iter().map(ToString::to_string).collect()
    }
}

impl<'p> Cells<'p> {
    pub(super) fn of(api: &'p ProtectedApi, columns: &'p [Option<ClientTokens<'p>>]) -> Self {
        Self {
            api,
            index: RouteIndex::new(&api.routes.written),
            columns,
            words: ConditionWords::default(),
            met: FxHashMap::default(),
            kinds: FxHashMap::default(),
            axes: Numbered::default(),
            asked: Numbered::default(),
            values: Numbered::default(),
            columns_by_axes: FxHashMap::default(),
            known: FxHashMap::default(),
        }
    }

    /// The cells of a route, by column.
    pub(super) fn row(&mut self, route: RouteId, access: &'p RuleAccess) -> Vec<AccessCode> {
        if access.is_public() {
            return vec![AccessCode::ALWAYS; self.columns.len()];
        }
        let row = self.kind(route, access).map(|kind| {
            if let Some(row) = self.kinds.get(&kind) {
                return Rc::clone(row);
            }
            let row = Rc::new(self.row_of_kind(route, &kind));
            self.kinds.insert(kind, Rc::clone(&row));
            row
        });
        let columns = self.columns.iter().enumerate();
        let each = columns.map(|(at, tokens)| match (tokens, row.as_ref().and_then(|row| *row.get(at)?)) {
            (None, _) => AccessCode::NEVER,
            (Some(_), Some(code)) => code,
            (Some(tokens), None) => self.words.code(cell(self.api, &self.index, route, tokens)),
        });
        each.collect()
    }

    /// What other routes must have in common with this one to have the same cells, if that can be told.
    fn kind(&mut self, route: RouteId, access: &'p RuleAccess) -> Option<RouteKind<'p>> {
        let shape = self.index.shape(route)?;
        let mut compared = Compared::default();
        compared.add(self.api.routes.alternatives(access));
        let mut is_decided = false;
        let mut axes = None;
        for (shape, _) in shape.lengths(self.index.deepest()) {
            let grid = Grid::for_bearers(shape, &compared, &[], &|text| self.index.known(text));
            let points = grid.points()?;
            let [(_, target)] = points.as_slice() else { return None };
            if target.len() + grid.parameters().count() * LONGEST_VALUE > LONGEST_PATH {
                return None;
            }
            let path = CanonicalPath::parse(target).ok()?;
            is_decided |=
                Method::ALL.into_iter().any(|method| self.api.routes.trie.find(method, &path) == Some(route));
            let each = grid.parameters().map(|(position, name)| {
                let claims = compared.places_in(position).flat_map(|(_, claims)| claims).copied();
                let is_whole = compared.places_in(position).all(|(place, _)| place.ending == 0);
                is_whole.then(|| (position, (name.to_owned(), claims.collect::<Vec<_>>())))
            });
            axes = Some(each.collect::<Option<BTreeMap<usize, _>>>()?);
        }
        let axes = axes.filter(|_| is_decided)?;
        let alternatives = self.api.routes.alternatives(access).map(|alternative| {
            let mut anywhere = Vec::new();
            let mut asked = Vec::new();
            for condition in alternative.0 {
                let (Condition::Claim { name, test }, Some(parameter)) = (condition, condition.parameter())
                else {
                    anywhere.push(condition);
                    continue;
                };
                let segment = usize::from(parameter.place?.segment);
                let at = axes.keys().position(|position| *position == segment)?;
                asked.push((at, name, discriminant(test)));
            }
            Some(KindAlternative { anywhere, asked })
        });
        let alternatives = alternatives.collect::<Option<_>>()?;
        let axes = self.number_of_axes(axes.into_values().collect());
        Some(RouteKind { axes, alternatives })
    }

    /// The cells of all routes of a kind, of which this is one; `None` for those that differ from route to route.
    fn row_of_kind(&mut self, route: RouteId, kind: &RouteKind<'p>) -> Vec<Option<AccessCode>> {
        let values = self.columns_by_axes.get(&kind.axes).cloned().unwrap_or_default();
        let asked: Vec<Number> = kind
            .alternatives
            .iter()
            .map(|alternative| self.asked.number(alternative.asked.clone()))
            .collect();
        let met: Vec<Vec<Rc<Vec<bool>>>> = kind
            .alternatives
            .iter()
            .map(|alternative| alternative.anywhere.iter().map(|condition| self.met(condition)).collect())
            .collect();
        let mut row = Vec::with_capacity(self.columns.len());
        for (at, tokens) in self.columns.iter().enumerate() {
            let Some(tokens) = tokens else {
                row.push(Some(AccessCode::NEVER));
                continue;
            };
            if tokens.take_over() {
                row.push(self.by_claims(route, tokens));
                continue;
            }
            let Some(Some(values)) = values.get(at) else {
                row.push(None);
                continue;
            };
            let (mut left, mut is_always) = (Vec::new(), false);
            for ((alternative, asked), conditions) in kind.alternatives.iter().zip(&asked).zip(&met) {
                // without a condition an alternative is no permission
                let is_empty = alternative.anywhere.is_empty() && alternative.asked.is_empty();
                if !is_empty && conditions.iter().all(|met| met.get(at) == Some(&true)) {
                    is_always |= alternative.asked.is_empty();
                    left.push(*asked);
                }
            }
            row.push(Some(if is_always {
                AccessCode::ALWAYS
            } else if left.is_empty() {
                AccessCode::NEVER
            } else {
                let (api, index, words) = (self.api, &self.index, &mut self.words);
                let look = || words.code(reach(api, index, route, &tokens.base).into());
                *self.known.entry((kind.axes, *values, left)).or_insert_with(look)
            }));
        }
        row
    }

    /// The cell of a client whose tokens take claims over, if other routes of the kind have the same.
    fn by_claims(&mut self, route: RouteId, tokens: &ClientTokens<'_>) -> Option<AccessCode> {
        let is_one_of_many = |text: &str| is_one_of_many(&self.index, text);
        let access = reach_by_claims(self.api, &self.index, route, tokens, &is_one_of_many)?;
        Some(self.words.code(access))
    }

    /// Which columns meet a condition that does not depend on the path.
    fn met(&mut self, condition: &'p Condition) -> Rc<Vec<bool>> {
        let columns = self.columns;
        let met = self.met.entry(condition).or_insert_with(|| {
            let anywhere = CanonicalPath::parse("/").ok();
            let holds = |bearer: &Permissions| {
                anywhere.as_ref().is_some_and(|path| condition.holds(&bearer.subject(), path))
            };
            Rc::new(columns.iter().map(|tokens| tokens.as_ref().is_some_and(|it| holds(&it.base))).collect())
        });
        Rc::clone(met)
    }

    /// The number of axes, once it is known what the columns have there.
    fn number_of_axes(&mut self, axes: Axes<'p>) -> Number {
        if let Some(number) = self.axes.0.get(&axes) {
            return *number;
        }
        let of_column =
            |tokens: &Option<ClientTokens<'_>>| values_of(&self.index, &axes, &tokens.as_ref()?.base);
        let values: Vec<_> = self.columns.iter().map(of_column).collect();
        let values = values.into_iter().map(|values| Some(self.values.number(values?)));
        self.columns_by_axes.insert(self.axes.0.len(), Rc::new(values.collect()));
        self.axes.number(axes)
    }
}

/// The claims of a client with which these parameters are compared, as text.
fn values_of(index: &RouteIndex<'_>, axes: &Axes<'_>, bearer: &Permissions) -> Option<String> {
    let mut values = Vec::new();
    let mut points = 1_usize;
    for (_, claims) in axes {
        let mut choices = 1;
        for name in claims {
            let Some(claim) = name.find(&bearer.subject()) else {
                values.push(serde_json::Value::Null);
                continue;
            };
            for value in claim.items().iter().map(Claim::of).chain([claim]).filter_map(Claim::in_path) {
                choices += 1;
                is_one_of_many(index, &value).then_some(())?;
            }
            values.push(match claim {
                Claim::Text(text) => text.into(),
                Claim::Other(other) => serde_json::json!([other]),
            });
        }
        points = points.saturating_mul(choices);
    }
    (points <= MOST_POINTS).then(|| serde_json::Value::Array(values).to_string())
}

/// Whether a text may be a segment, and no route tells it from most others.
fn is_one_of_many(index: &RouteIndex<'_>, text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_VALUE).contains(&text.len())
        && text.bytes().all(is_plain)
        && index.known(text) == Known::By(None)
}

/// Whether somebody with these tokens may use a route.
pub(crate) fn cell(
    api: &ProtectedApi,
    index: &RouteIndex<'_>,
    route: RouteId,
    tokens: &ClientTokens<'_>,
) -> MatrixAccess {
    if tokens.take_over() {
        reach_by_claims(api, index, route, tokens, &|_| true).unwrap_or(MatrixAccess::Never)
    } else {
        reach(api, index, route, &tokens.base).into()
    }
}
