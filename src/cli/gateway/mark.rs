//! The number of an attempt: each request has one, the upstream answers with it, and so both ends know what became of
//! what.

use crate::oauth::TokenId;

/// The header that has it.
pub(super) const MARK_HEADER: &str = "X-Jeton-Check";
/// What the upstream answers to a request that has none.
pub(super) const NO_MARK: &str = "no number";
/// Stands for it in requests that are not sent yet, and is as long, for a body has a length.
pub(super) const PLACE: &str = "<the number of this attempt.>";

/// Numbers of one run, which no other run has.
pub(super) struct Marks {
    nonce: TokenId,
}

impl Marks {
    pub(super) fn of(nonce: TokenId) -> Self {
        Self { nonce }
    }

    /// As it is sent.
    pub(super) fn text(&self, number: usize) -> String {
        format!("{number:06}.{}", self.nonce)
    }

    /// The first number of this run in a text, which may be what a gateway made of a header in two lines.
    pub(super) fn number_in(&self, text: &str) -> Option<usize> {
        let end = text.find(&format!(".{}", self.nonce))?;
        text.get(end.checked_sub(6)?..end)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Marks, PLACE};
    use crate::grant::random_id;

    #[test]
    fn a_mark_is_read_back_and_as_long_as_its_place() {
        let [marks, others] = [(); 2].map(|()| Marks::of(random_id().unwrap()));
        let text = marks.text(42);
        assert_eq!(text.len(), PLACE.len());
        let within = format!("it is {text} x-nothing: a\n");
        assert_eq!((marks.number_in(&text), marks.number_in(&within)), (Some(42), Some(42)));
        assert_eq!((others.number_in(&text), marks.number_in(PLACE)), (None, None));
    }
}
