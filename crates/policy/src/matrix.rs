//! Who may do what: clients by routes.

mod cells;
mod compact;

use std::collections::BTreeSet;

use jeton_oauth::ClientId;
use serde::Serialize;

use self::cells::Cells;
pub(crate) use self::cells::cell;
pub use self::compact::{AccessCode, CompactMatrix, CompactRoute};
use super::{
    client_tokens::{ClientTokens, Passing},
    clients::{Client, KnownCertificate},
    condition::Alternative,
    natural::NaturalOrder,
    path::CanonicalPath,
    position::{RouteId, numbered},
    route::Method,
    set::{PolicySet, ProtectedApi},
    space::{Clauses, Compared, Grid, GridPoint, RouteIndex, SeenPoints, Wording},
    subject::Permissions,
};

/// The access of every client to every route of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessMatrix {
    /// The API.
    pub api: String,
    /// Whether it takes bound tokens only. Not there where it does not.
    #[serde(skip_serializing_if = "is_false")]
    pub bound_tokens: bool,
    /// The clients in order: 2 before 10.
    pub clients: Vec<MatrixClient>,
    /// The routes in the order of the file.
    pub routes: Vec<MatrixRoute>,
}

/// A client, the head of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixClient {
    /// Its id.
    pub id: String,
    /// Whether it has a grant for the API and is enabled. Without, only public routes are open to it.
    pub has_grant: bool,
    /// Whether it gets bound tokens only, at every API. Not there where it does not.
    #[serde(skip_serializing_if = "is_false")]
    pub bound_tokens: bool,
    /// How it may be had: by a secret, by a public key, by a certificate, by each kind of token of another issuer that stands for it. Empty
    /// where it cannot be had.
    pub credentials: Vec<String>,
}

/// A route, a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixRoute {
    /// Method and pattern.
    pub route: String,
    /// The rule.
    pub rule: String,
    /// Whether no token is needed.
    pub public: bool,
    /// By client, in the order of [`AccessMatrix::clients`].
    pub access: Vec<MatrixAccess>,
}

/// Whether a client may use a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixAccess {
    /// On every path.
    Always,
    /// On the paths of which this holds, such as `tenant = acme`, or with the tokens of which it does, such as
    /// `claim repository = acme/x (from github's repository)`.
    When(String),
    /// On none.
    Never,
}

impl PolicySet {
    /// The access of every client to every route of an API. Clients have all that they are granted; one
    /// that is disabled has nothing.
    pub fn matrix(&self, api: &ProtectedApi) -> AccessMatrix {
        self.matrix_of(api, |_| true)
    }

    /// As [`Self::matrix`], of some clients. The others cost nothing.
    pub fn matrix_of(&self, api: &ProtectedApi, is_wanted: impl Fn(&ClientId) -> bool) -> AccessMatrix {
        self.compact_matrix_of(api, is_wanted).into()
    }

    /// As [`Self::matrix`], with a code for each cell.
    pub fn compact_matrix(&self, api: &ProtectedApi) -> CompactMatrix {
        self.compact_matrix_of(api, |_| true)
    }

    /// As [`Self::compact_matrix`], of some clients. The others cost nothing.
    pub fn compact_matrix_of(
        &self,
        api: &ProtectedApi,
        is_wanted: impl Fn(&ClientId) -> bool,
    ) -> CompactMatrix {
        let mut clients: Vec<_> = self.clients().iter().filter(|client| is_wanted(&client.id)).collect();
        clients.sort_by_cached_key(|client| NaturalOrder::of(client.id.as_str()));
        let columns: Vec<Option<ClientTokens<'_>>> =
            clients.iter().map(|client| self.granted_tokens(client, api.name())).collect();
        let mut cells = Cells::of(api, &columns);
        let routes = numbered(RouteId::at, &api.routes.written).filter_map(|(id, written)| {
            let (rule, access) = api.access(id)?;
            Some(CompactRoute {
                route: written.to_string(),
                place: self.place_of(rule),
                public: access.is_public(),
                access: cells.row(id, access),
            })
        });
        let routes = routes.collect();
        CompactMatrix {
            api: api.name().to_string(),
            bound_tokens: api.bound_tokens(),
            routes,
            conditions: cells.words.into_conditions(),
            clients: clients
                .iter()
                .zip(&columns)
                .map(|(client, tokens)| MatrixClient {
                    id: client.id.to_string(),
                    has_grant: tokens.is_some(),
                    bound_tokens: client.bound_tokens,
                    credentials: self.credentials(client),
                })
                .collect(),
        }
    }
}

impl PolicySet {
    /// With what somebody is a client.
    pub(super) fn credentials(&self, client: &Client) -> Vec<String> {
        let secrets = client.secrets.iter().filter(|secret| secret.is_live(self.read_at)).map(|_| "a secret");
        let keys = client.public_keys.first().map(|_| "a public key");
        let live = client.certificates.iter().filter(|terms| terms.is_live(self.read_at));
        let certificates = live.map(|terms| match &terms.certificate {
            KnownCertificate::Sha256(_) => "a certificate".to_owned(),
            KnownCertificate::Named(name) => {
                format!("a certificate with {} {name}", name.field().as_str())
            }
        });
        let certificates: BTreeSet<_> = certificates.collect();
        let tokens = client.federated.iter().map(|terms| {
            let issuer = self.issuers().find(terms.issuer().as_str());
            let is_disabled = issuer.is_none_or(|issuer| !issuer.enabled);
            format!("a token of {terms}{}", if is_disabled { " (the issuer is disabled)" } else { "" })
        });
        secrets.take(1).chain(keys).map(str::to_owned).chain(certificates).chain(tokens).collect()
    }
}

impl MatrixAccess {
    /// `always`, `when` or `never`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::When(_) => "when",
            Self::Never => "never",
        }
    }

    /// The condition, where there is one.
    pub fn condition(&self) -> Option<&str> {
        match self {
            Self::When(condition) => Some(condition),
            Self::Always | Self::Never => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(given: &bool) -> bool {
    !given
}

/// On which of the paths on which the route decides it lets the bearer through.
pub(super) fn reach(
    api: &ProtectedApi,
    index: &RouteIndex<'_>,
    route: RouteId,
    bearer: &Permissions,
) -> Clauses {
    let (Some(shape), Some((_, access))) = (index.shape(route), api.access(route)) else {
        return Clauses::never();
    };
    let mut compared = Compared::default();
    compared.add(api.routes.alternatives(access));
    // conditions look at no segment below `**`, so that a point is let through at every length or at none;
    // but at some lengths another route may decide there
    let mut seen = SeenPoints::default();
    let mut last = None;
    for (shape, _) in shape.lengths(index.deepest()) {
        let grid = Grid::for_bearers(shape, &compared, &[bearer], &|text| index.known(text));
        let Some(points) = grid.points() else { return Clauses::too_many() };
        for (point, target) in points {
            let Ok(path) = CanonicalPath::parse(&target) else { continue };
            if Method::ALL.into_iter().any(|method| api.routes.trie.find(method, &path) == Some(route)) {
                seen.note(&point, api.lets_through(route, &path, Some(&bearer.subject())));
            }
        }
        last = Some(grid);
    }
    last.map_or_else(Clauses::never, |grid| grid.clauses(&seen))
}

/// As [`reach`], of a client some of whose tokens take claims over from those of another issuer. `None` where a value
/// that is compared is not `wanted`.
fn reach_by_claims(
    api: &ProtectedApi,
    index: &RouteIndex<'_>,
    route: RouteId,
    tokens: &ClientTokens<'_>,
    wanted: &dyn Fn(&str) -> bool,
) -> Option<MatrixAccess> {
    let (shape, (_, access)) = index.shape(route).zip(api.access(route))?;
    let alternatives = || api.routes.alternatives(access);
    let values = tokens.compared(alternatives());
    let mut compared = Compared::default();
    compared.add(alternatives());
    compared.add([Alternative(&values)].into_iter());
    let mut seen: Vec<(GridPoint, Passing)> = Vec::new();
    let mut last = None;
    for (shape, _) in shape.lengths(index.deepest()) {
        let grid = Grid::for_any_token(shape, &compared, &|text| index.known(text));
        grid.texts().all(wanted).then_some(())?;
        let Some(points) = grid.points() else { return Some(Clauses::too_many().into()) };
        for (point, target) in points {
            let Ok(path) = CanonicalPath::parse(&target) else { continue };
            if Method::ALL.into_iter().any(|method| api.routes.trie.find(method, &path) == Some(route)) {
                seen.push((point, tokens.pass(alternatives(), &path)));
            }
        }
        last = Some(grid);
    }
    let Some(grid) = last else { return Some(MatrixAccess::Never) };
    let on = |is_hit: &dyn Fn(&Passing) -> bool| {
        let mut points = SeenPoints::default();
        for (point, passing) in &seen {
            points.note(point, is_hit(passing));
        }
        grid.clauses(&points)
    };
    let always = on(&|passing| *passing == Passing::Always);
    if always.is_always() {
        return Some(MatrixAccess::Always);
    }
    let conditions: BTreeSet<&String> = seen.iter().flat_map(|(_, passing)| passing.conditions()).collect();
    let by_claims = conditions.into_iter().map(|condition| {
        // where it passes anyway, it passes with these claims too
        let on = on(&|passing| {
            *passing == Passing::Always || passing.conditions().any(|other| other == condition)
        });
        if on.is_always() { condition.clone() } else { format!("{} & {condition}", on.grouped()) }
    });
    let own = (!always.is_never()).then(|| always.worded(Wording::Signs));
    let all: Vec<_> = own.into_iter().chain(by_claims).collect();
    Some(if all.is_empty() { MatrixAccess::Never } else { MatrixAccess::When(all.join(" | ")) })
}

/// The few paths that stand for all on which a route decides, for somebody with these tokens. `None` where they are too
/// many to look at.
pub(super) fn deciding_targets(
    api: &ProtectedApi,
    index: &RouteIndex<'_>,
    route: RouteId,
    tokens: &ClientTokens<'_>,
) -> Option<Vec<String>> {
    let (shape, (_, access)) = index.shape(route).zip(api.access(route))?;
    let alternatives = || api.routes.alternatives(access);
    let values = tokens.compared(alternatives());
    let mut compared = Compared::default();
    compared.add(alternatives());
    compared.add([Alternative(&values)].into_iter());
    let mut targets = Vec::new();
    for (shape, _) in shape.lengths(index.deepest()) {
        let points = Grid::for_any_token(shape, &compared, &|text| index.known(text)).points()?;
        targets.extend(points.into_iter().map(|(_, target)| target).filter(|target| {
            let path = CanonicalPath::parse(target);
            let decides =
                |method: Method, path: &CanonicalPath<'_>| api.routes.trie.find(method, path) == Some(route);
            path.is_ok_and(|path| Method::ALL.into_iter().any(|method| decides(method, &path)))
        }));
    }
    Some(targets)
}

impl From<Clauses> for MatrixAccess {
    fn from(clauses: Clauses) -> Self {
        if clauses.is_always() {
            Self::Always
        } else if clauses.is_never() {
            Self::Never
        } else {
            Self::When(clauses.worded(Wording::Signs))
        }
    }
}

#[cfg(test)]
mod tests;
