//! Who may do what: clients by routes.

use jeton_oauth::ClientId;
use serde::Serialize;

use super::{
    clients::Client,
    path::CanonicalPath,
    position::{RouteId, numbered},
    route::Method,
    set::{PolicySet, ProtectedApi},
    space::{Clauses, Compared, Grid, RouteIndex, SeenPoints, Wording},
    subject::Permissions,
};

/// The access of every client to every route of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessMatrix {
    /// The API.
    pub api: String,
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
    /// How it may be had, if tokens of other issuers stand for it: these tokens, and what else it authenticates with. The
    /// list is empty for a client without `federated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
    /// On the paths of which this holds, such as `tenant = acme`.
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
        let mut clients: Vec<_> = self.clients().iter().filter(|client| is_wanted(&client.id)).collect();
        clients.sort_by_cached_key(|client| (natural(client.id.as_str()), client.id.to_string()));
        let bearers: Vec<Option<Permissions>> =
            clients.iter().map(|client| self.granted(client.id.as_str(), api.name().as_str())).collect();
        let index = RouteIndex::new(&api.routes.written);
        let routes = numbered(RouteId::at, &api.routes.written).filter_map(|(id, written)| {
            let (rule, access) = api.access(id)?;
            let of_bearer = |bearer: &Option<Permissions>| match bearer {
                _ if access.is_public() => MatrixAccess::Always,
                None => MatrixAccess::Never,
                Some(bearer) => reach(api, &index, id, bearer).into(),
            };
            Some(MatrixRoute {
                route: written.to_string(),
                rule: rule.name().to_owned(),
                public: access.is_public(),
                access: bearers.iter().map(of_bearer).collect(),
            })
        });
        AccessMatrix {
            api: api.name().to_string(),
            routes: routes.collect(),
            clients: clients
                .iter()
                .zip(&bearers)
                .map(|(client, bearer)| MatrixClient {
                    id: client.id.to_string(),
                    has_grant: bearer.is_some(),
                    credentials: self.credentials(client),
                })
                .collect(),
        }
    }
}

impl PolicySet {
    /// With what somebody is a client that tokens of other issuers stand for.
    fn credentials(&self, client: &Client) -> Vec<String> {
        if client.federated.is_empty() {
            return Vec::new();
        }
        let secrets = client.secrets.iter().filter(|secret| secret.is_live(self.read_at)).map(|_| "a secret");
        let keys = client.public_keys.first().map(|_| "a public key");
        let tokens = client.federated.iter().map(|terms| {
            let issuer = self.issuers().find(terms.issuer().as_str());
            let is_disabled = issuer.is_none_or(|issuer| !issuer.enabled);
            format!("a token of {terms}{}", if is_disabled { " (the issuer is disabled)" } else { "" })
        });
        secrets.take(1).chain(keys).map(str::to_owned).chain(tokens).collect()
    }
}

/// A name by its pieces, each a text and the digits behind it as a number: how long that is, and how it is
/// written.
fn natural(name: &str) -> Vec<(String, usize, String)> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (text, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let (digits, behind) = behind.split_at(end);
        let digits = digits.trim_start_matches('0');
        pieces.push((text.to_owned(), digits.len(), digits.to_owned()));
        rest = behind;
    }
    pieces
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
