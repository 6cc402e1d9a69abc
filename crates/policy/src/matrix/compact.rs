//! Matrices with a number in the place of each cell: of many clients and routes, most conditions are the same.

use serde::Serialize;

use super::{AccessMatrix, MatrixAccess, MatrixClient, MatrixRoute};
use crate::rule::RulePlace;

/// An [`AccessMatrix`] with a code for each cell, for programs that draw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompactMatrix {
    /// The API.
    pub api: String,
    /// Whether it takes bound tokens only.
    pub bound_tokens: bool,
    /// The clients in order: 2 before 10.
    pub clients: Vec<MatrixClient>,
    /// The routes in the order of the file.
    pub routes: Vec<CompactRoute>,
    /// The conditions that codes stand for, each once.
    pub conditions: Vec<String>,
}

/// A route, a row of codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompactRoute {
    /// Method and pattern.
    pub route: String,
    /// The rule, its file and line.
    #[serde(flatten)]
    pub place: RulePlace,
    /// Whether no token is needed.
    pub public: bool,
    /// By client, in the order of [`CompactMatrix::clients`].
    pub access: Vec<AccessCode>,
}

/// A cell as a number: 0 is never, 1 is always, and `n` from 2 on is when condition `n - 2` of
/// [`CompactMatrix::conditions`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccessCode(u32);

impl AccessCode {
    /// On no path.
    pub const NEVER: Self = Self(0);
    /// On every path.
    pub const ALWAYS: Self = Self(1);

    /// On the paths, or with the tokens, of which the condition at a position holds.
    pub(super) fn when(position: usize) -> Self {
        Self(u32::try_from(position).map_or(u32::MAX, |position| position.saturating_add(2)))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The position of its condition, if it has one.
    fn condition(self) -> Option<usize> {
        usize::try_from(self.0.checked_sub(2)?).ok()
    }
}

impl CompactMatrix {
    /// The access that a code stands for.
    pub fn access(&self, code: AccessCode) -> MatrixAccess {
        match (code, code.condition()) {
            (AccessCode::ALWAYS, _) => MatrixAccess::Always,
            (_, Some(position)) => {
                self.conditions.get(position).map_or(MatrixAccess::Never, |it| MatrixAccess::When(it.clone()))
            }
            (_, None) => MatrixAccess::Never,
        }
    }
}

impl From<CompactMatrix> for AccessMatrix {
    fn from(mut matrix: CompactMatrix) -> Self {
        let routes = std::mem::take(&mut matrix.routes);
        let routes = routes.into_iter().map(|route| MatrixRoute {
            access: route.access.iter().map(|code| matrix.access(*code)).collect(),
            route: route.route,
            rule: route.place.rule,
            public: route.public,
        });
        let routes = routes.collect();
        let CompactMatrix { api, bound_tokens, clients, .. } = matrix;
        Self { api, bound_tokens, clients, routes }
    }
}
