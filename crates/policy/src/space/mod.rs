//! All requests and all tokens, by the few that stand for the rest.
//!
//! A policy can tell two paths apart only by the literals of its routes, by the values that it compares
//! with, and by which segments are the same. So for every pattern a handful of paths stands for all of
//! them ([`Shape`], [`Grid`]), and since no condition is negated, an alternative holds for a token exactly
//! when the token carries one of its smallest ones ([`Beyond`]). Proofs and comparisons look at
//! these and are exact; every answer is one that the engine itself gave.

mod build;
mod clauses;
mod compared;
mod grid;
mod index;
mod segment;
mod shape;
mod token;
mod witness;

pub(super) use build::Beyond;
pub(super) use clauses::{Clauses, SeenPoints, Wording};
pub(super) use compared::Compared;
pub(super) use grid::{Grid, GridPoint};
pub(super) use index::{Known, RouteIndex};
pub(super) use segment::{encoded, is_segment};
pub(super) use shape::{Shape, Tail};
pub use token::WitnessToken;
pub use witness::Witness;
