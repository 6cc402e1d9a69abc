//! The order of names as people have it.

/// What a list of names is sorted by as people do it: 2 before 10. Names of the same numbers are in the order of their
/// bytes, so that no two are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NaturalOrder {
    /// Each a text and the digits behind it as a number: how long that is, and how it is written.
    pieces: Vec<(String, usize, String)>,
    name: String,
}

impl NaturalOrder {
    /// The place of a name.
    ///
    /// ```
    /// use jeton_policy::NaturalOrder;
    ///
    /// let mut names = ["a10", "a2", "b1"];
    /// names.sort_by_cached_key(|name| NaturalOrder::of(name));
    /// assert_eq!(names, ["a2", "a10", "b1"]);
    /// ```
    pub fn of(name: &str) -> Self {
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
        Self { pieces, name: name.to_owned() }
    }
}
