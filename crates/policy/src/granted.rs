//! What a client may do with every token that it may have: for a policy decision point, which sees none of them.

use serde_json::{Map, Value};

use super::{
    client_tokens::{ClientTokens, CountedWays, Passing},
    decision::{Decision, Denial},
    path::CanonicalPath,
    position::RouteId,
    route::ParameterPlace,
    rule::PolicyRule,
    set::{PolicySet, ProtectedApi},
};

/// The tokens that a client may have at an API.
pub struct GrantedTokens<'p>(ClientTokens<'p>);

/// A decision about whoever has one of several tokens.
#[derive(Debug)]
#[non_exhaustive]
pub enum GrantedDecision<'p> {
    /// It is the same with each of them.
    Decided(Decision<'p>),
    /// It depends on a claim that comes from another issuer's token (`claims_from`).
    Depends(&'p PolicyRule),
}

impl PolicySet {
    /// The tokens that a client may have at an API, disabled or not; `None` where it has no grant.
    pub fn tokens_granted(&self, client: &str, api: &str) -> Option<GrantedTokens<'_>> {
        self.tokens_of(client, api, CountedWays::Live).map(GrantedTokens)
    }
}

impl ProtectedApi {
    /// Decides as [`Self::decide`] for whatever token of these somebody has.
    pub fn decide_granted(
        &self,
        method: &str,
        target: &str,
        tokens: &GrantedTokens<'_>,
    ) -> GrantedDecision<'_> {
        match self.located(method, target) {
            Ok((route, path)) => self.decide_granted_at(route, &path, &[], tokens),
            Err(denial) => GrantedDecision::Decided(Decision::Deny(denial)),
        }
    }

    /// Decides as [`Self::decide_pattern`] for whatever token of these somebody has.
    pub fn decide_pattern_granted(
        &self,
        method: &str,
        pattern: &str,
        parameters: &Map<String, Value>,
        tokens: &GrantedTokens<'_>,
    ) -> GrantedDecision<'_> {
        self.at_pattern(method, pattern, parameters, |route, path, absent| {
            self.decide_granted_at(route, path, absent, tokens)
        })
        .unwrap_or_else(|denial| GrantedDecision::Decided(Decision::Deny(denial)))
    }

    fn decide_granted_at(
        &self,
        route: RouteId,
        path: &CanonicalPath<'_>,
        absent: &[ParameterPlace],
        GrantedTokens(tokens): &GrantedTokens<'_>,
    ) -> GrantedDecision<'_> {
        let decision = self.decide_at(route, path, absent, Some(&tokens.base.subject()));
        let Decision::Deny(Denial::NotMet { rule, .. }) = &decision else {
            return GrantedDecision::Decided(decision);
        };
        let Some((_, access)) = self.access(route) else { return GrantedDecision::Decided(decision) };
        let alternatives = || {
            let all = self.routes.alternatives(access);
            all.filter(|alternative| absent.is_empty() || !alternative.looks_at(absent))
        };
        match tokens.pass(alternatives(), path) {
            Passing::Never => GrantedDecision::Decided(decision),
            Passing::When(_) => GrantedDecision::Depends(rule),
            // each of them passes: so does this one
            Passing::Always => GrantedDecision::Decided(match tokens.passing_token(alternatives(), path) {
                Some(token) => self.decide_at(route, path, absent, Some(&token.subject())),
                None => decision,
            }),
        }
    }
}
