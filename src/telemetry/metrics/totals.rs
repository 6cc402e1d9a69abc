//! What was counted in all, whatever the labels.

/// Totals of counters since the start of the server, or within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CounterTotals {
    pub(crate) tokens_issued: u64,
    pub(crate) tokens_reused: u64,
    pub(crate) token_requests_refused: u64,
    pub(crate) decisions_allowed: u64,
    pub(crate) decisions_denied: u64,
    pub(crate) decisions_unauthenticated: u64,
    pub(crate) gateway_questions: u64,
    pub(crate) introspections: u64,
    pub(crate) rate_limited: u64,
}

impl CounterTotals {
    /// Each with its name.
    pub(crate) fn named(&self) -> [(&'static str, u64); 9] {
        let Self {
            tokens_issued,
            tokens_reused,
            token_requests_refused,
            decisions_allowed,
            decisions_denied,
            decisions_unauthenticated,
            gateway_questions,
            introspections,
            rate_limited,
        } = *self;
        [
            ("tokens_issued", tokens_issued),
            ("tokens_reused", tokens_reused),
            ("token_requests_refused", token_requests_refused),
            ("decisions_allowed", decisions_allowed),
            ("decisions_denied", decisions_denied),
            ("decisions_unauthenticated", decisions_unauthenticated),
            ("gateway_questions", gateway_questions),
            ("introspections", introspections),
            ("rate_limited", rate_limited),
        ]
    }

    /// What was counted after these totals.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }

    /// These and others.
    pub(super) fn and(&self, others: &Self) -> Self {
        self.each(others, u64::saturating_add)
    }

    fn each(&self, others: &Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            tokens_issued: of(self.tokens_issued, others.tokens_issued),
            tokens_reused: of(self.tokens_reused, others.tokens_reused),
            token_requests_refused: of(self.token_requests_refused, others.token_requests_refused),
            decisions_allowed: of(self.decisions_allowed, others.decisions_allowed),
            decisions_denied: of(self.decisions_denied, others.decisions_denied),
            decisions_unauthenticated: of(self.decisions_unauthenticated, others.decisions_unauthenticated),
            gateway_questions: of(self.gateway_questions, others.gateway_questions),
            introspections: of(self.introspections, others.introspections),
            rate_limited: of(self.rate_limited, others.rate_limited),
        }
    }
}
