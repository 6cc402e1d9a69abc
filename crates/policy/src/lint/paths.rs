//! One path for all of a route's.

use crate::space::{Compared, Grid, RouteIndex, Shape};

/// A path that stands for all of `shape`.
pub(super) fn some_path(shape: &Shape<'_>, index: &RouteIndex<'_>) -> Option<String> {
    let (shape, _) = shape.lengths(0).into_iter().next()?;
    let grid = Grid::for_any_token(shape, &Compared::default(), &|text| index.known(text));
    grid.points()?.into_iter().next().map(|(_, target)| target)
}
