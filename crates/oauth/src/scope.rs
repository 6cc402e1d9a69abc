//! Scopes (RFC 6749 section 3.3).

use std::fmt;

use serde::{Serialize, Serializer};

use super::name::{InvalidName, is_nqchar, name};

name! {
    /// One scope token (RFC 6749 section 3.3).
    Scope, "a scope", "1 to 512 printable ASCII characters without space, `\"` and `\\`", is_nqchar
}

/// A set of scopes, kept sorted; written as the space-separated list of RFC 6749 section 3.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Reads a space-separated list. An empty text is the empty set.
    ///
    /// # Errors
    /// [`InvalidName`] for an invalid scope, and for an empty one (two spaces in a row, a leading
    /// or trailing space), which the grammar does not allow.
    pub fn parse(list: &str) -> Result<Self, InvalidName> {
        if list.is_empty() {
            return Ok(Self::default());
        }
        list.split(' ').map(Scope::parse).collect()
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &Scope) -> bool {
        // comparing for equality is cheaper than for order, and most sets are small
        if self.0.len() <= 16 { self.0.contains(scope) } else { self.0.binary_search(scope).is_ok() }
    }

    /// Whether every scope of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|scope| other.contains(scope))
    }

    /// The scopes of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|scope| !other.contains(scope)).cloned().collect())
    }

    /// Adds every scope of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
        self.settle();
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    fn settle(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self(scopes.into_iter().collect());
        set.settle();
        set
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_and_holds_each_scope_once() {
        let set = ScopeSet::parse("b a b").unwrap();
        assert_eq!(set.to_string(), "a b");
    }

    #[test]
    fn rfc_6749_section_3_3_grammar() {
        for bad in [" a", "a ", "a  b", "a\tb", "a\"b", "a\\b", "é", "a\u{7f}"] {
            assert!(ScopeSet::parse(bad).is_err(), "{bad:?} must be refused");
        }
        assert!(ScopeSet::parse("orders:read https://x.example/y?z=1#f !~").is_ok());
    }

    #[test]
    fn difference_names_what_is_missing() {
        let wanted = ScopeSet::parse("a b c").unwrap();
        let held = ScopeSet::parse("b").unwrap();
        assert_eq!(wanted.difference(&held).to_string(), "a c");
        assert!(held.is_subset(&wanted) && !wanted.is_subset(&held));
    }
}
