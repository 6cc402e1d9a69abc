//! The number of an attempt: each request has one, the upstream answers with it, and so both ends know what became of
//! what.

use jeton_oauth::TokenId;

/// The header that has it.
pub(crate) const MARK_HEADER: &str = "X-Jeton-Check";
/// What the upstream answers to a request that has none.
pub(crate) const NO_MARK: &str = "no number";
/// Stands for it in requests that are not sent yet, and is as long, for a body has a length.
pub(crate) const PLACE: &str = "<the number of this attempt.>";

/// Numbers of one run, which no other run has.
pub(crate) struct Marks {
    nonce: TokenId,
}

impl Marks {
    /// `None` where the text of a mark would be shorter or longer than its place.
    pub(crate) fn of(nonce: TokenId) -> Option<Self> {
        let marks = Self { nonce };
        (marks.text(0).len() == PLACE.len()).then_some(marks)
    }

    /// As it is sent.
    pub(crate) fn text(&self, number: usize) -> String {
        format!("{number:06}.{}", self.nonce)
    }

    /// The first number of this run in a text, which may be what a gateway made of a header in two lines.
    pub(crate) fn number_in(&self, text: &str) -> Option<usize> {
        let end = text.find(&format!(".{}", self.nonce))?;
        text.get(end.checked_sub(6)?..end)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use jeton_oauth::TokenId;

    use super::{Marks, PLACE};

    #[test]
    fn a_mark_is_read_back_and_as_long_as_its_place() {
        let marks = |nonce: &str| Marks::of(TokenId::parse(nonce).unwrap());
        let [marks, others] =
            ["AZaz09-_AZaz09-_AZaz09", "AZaz09-_AZaz09-_AZaz0x"].map(|it| marks(it).unwrap());
        let text = marks.text(42);
        assert_eq!(text.len(), PLACE.len());
        let within = format!("it is {text} x-nothing: a\n");
        assert_eq!((marks.number_in(&text), marks.number_in(&within)), (Some(42), Some(42)));
        assert!(super::Marks::of(TokenId::parse("short").unwrap()).is_none());
        assert_eq!((others.number_in(&text), marks.number_in(PLACE)), (None, None));
    }
}
