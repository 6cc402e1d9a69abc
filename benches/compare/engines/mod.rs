//! The engines, each with the same rules and the same questions.

use crate::questions::Table;

mod casbin;
mod cedar;
mod jeton;

/// Answers the question of this number: may it?
pub(crate) type Allows = Box<dyn Fn(usize) -> bool>;

/// One way to ask one engine.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    /// Its colour in the picture, and whether its line is dashed.
    pub(crate) line: (&'static str, bool),
    /// Reads the rules and prepares the questions: everything that a decision need not do again.
    pub(crate) set_up: fn(&Table) -> Allows,
}

/// All of them; jeton first, for the others are compared with it.
pub(crate) const ENGINES: [Engine; 6] = [
    Engine { name: "jeton", line: ("#0969da", false), set_up: jeton::set_up },
    Engine { name: "cedar, path", line: ("#bc4c00", false), set_up: cedar::by_path },
    Engine { name: "cedar, route given", line: ("#bc4c00", true), set_up: cedar::by_route },
    Engine { name: "cedar, one policy, route given", line: ("#9a6700", true), set_up: cedar::one_policy },
    Engine { name: "casbin, path", line: ("#8250df", false), set_up: casbin::by_path },
    Engine { name: "casbin, route given", line: ("#8250df", true), set_up: casbin::by_route },
];
