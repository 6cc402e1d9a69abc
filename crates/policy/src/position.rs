//! Positions in lists, each kind a type of its own.

use std::num::NonZeroU32;

/// A position as it is stored: more than four thousand million of anything do not fit into memory.
pub(super) fn small(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// All items, each with its position.
pub(super) fn numbered<P, T>(
    at: fn(usize) -> P,
    items: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (P, T)> {
    (0..).map(at).zip(items)
}

/// Declares kinds of positions. Each takes four bytes, as an `Option` too.
macro_rules! positions {
    ($(#[doc = $doc:literal] $name:ident;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(NonZeroU32);

        impl $name {
            /// The first.
            pub(super) const FIRST: Self = Self(NonZeroU32::MIN);

            /// The one at a position, from 0.
            pub(super) fn at(position: usize) -> Self {
                Self(Self::FIRST.0.saturating_add(small(position)))
            }

            /// Its position, from 0.
            pub(super) fn position(self) -> usize {
                usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX)
            }
        }
    )*};
}
positions! {
    /// A route in its API.
    RouteId;
    /// A node of a tree of routes.
    NodeId;
    /// What one rest of a path leads to.
    RestId;
    /// The lengths of the endings below a node.
    LengthsId;
    /// A file of the policies.
    FileIndex;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_what_it_was_made_of_and_takes_four_bytes() {
        for position in [0, 1, 255, 65_536] {
            assert_eq!(RouteId::at(position).position(), position);
        }
        assert_eq!(NodeId::FIRST, NodeId::at(0));
        assert_eq!(size_of::<Option<RouteId>>(), 4);
    }
}
