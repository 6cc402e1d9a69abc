//! Why a request is allowed or refused: the route, the rule, and each condition.

use std::{collections::BTreeSet, fmt};

use jeton_oauth::text::printable;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    decision::{Decision, Grounds},
    path::CanonicalPath,
    position::RouteId,
    route::Method,
    set::{PolicySet, ProtectedApi},
    subject::{Permissions, Subject},
};
use crate::{
    client_tokens::{ClientTokens, CountedWays, Passing},
    clients::{Client, ClientKind, ClientState},
    condition::Condition,
};

/// The reason where the answer depends on claims that nobody supposed.
pub(super) const DEPENDS: &str = "depends";

/// A decision with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The answer.
    pub allowed: bool,
    /// The stable name of the reason: `public`, `met`, `bad-path`, `bad-method`, `no-api`, `no-route`,
    /// `no-token`, `invalid-token`, `not-met`, and `depends` for a client that some of its tokens let through, by
    /// claims that come from another issuer's token.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
    /// The API that was asked.
    pub api: String,
    /// The method that was asked.
    pub method: String,
    /// The path that was asked.
    pub path: String,
    /// The route that decided.
    pub decided_by: Option<ExplainedRoute>,
    /// The routes that match too and are less specific.
    pub also_matching: Vec<LessSpecific>,
    /// The routes at this path that do not take this method.
    pub other_methods: Vec<ExplainedRoute>,
    /// What else to look at: where no route matches, `without the slash at the end, ... would decide`; of a
    /// client that is disabled or has `revoked_before`, which tokens are not taken; of a bound token, or an API
    /// that takes no other, what a request must show beside it.
    pub hint: Option<String>,
    /// The alternatives of the rule, the one that lacks least first.
    pub alternatives: Vec<ExplainedAlternative>,
}

/// A route that matches and does not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LessSpecific {
    /// The route.
    #[serde(flatten)]
    pub route: ExplainedRoute,
    /// What makes the other one more specific.
    pub because: String,
}

/// A route with its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedRoute {
    /// Method and pattern.
    pub route: String,
    /// The name of the rule.
    pub rule: String,
    /// The file of the rule.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

/// One alternative of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedAlternative {
    /// Its position in the rule, from 1.
    pub position: usize,
    /// Whether every condition holds.
    pub holds: bool,
    /// Each condition.
    pub conditions: Vec<ExplainedCondition>,
}

impl ExplainedAlternative {
    /// Everything that it asks.
    pub fn asked(&self) -> String {
        let all: Vec<_> = self.conditions.iter().map(|condition| condition.condition.as_str()).collect();
        all.join(", ")
    }

    /// The conditions that do not hold.
    pub fn missing(&self) -> Vec<&str> {
        let failing = self.conditions.iter().filter(|condition| !condition.holds);
        failing.map(|condition| condition.condition.as_str()).collect()
    }
}

/// No token of a client carries the claims that are supposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NoSuchClaims {
    client: String,
    /// Those that it may carry with any value.
    taken: BTreeSet<String>,
}

impl fmt::Display for NoSuchClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, taken } = self;
        let taken: Vec<_> = taken.iter().map(|name| format!("`{name}`")).collect();
        if taken.is_empty() {
            write!(f, "client `{client}` takes no claim over from a token of another issuer (`claims_from`)")
        } else {
            write!(
                f,
                "no token of client `{client}` has these claims: one entry of its `federated` must take all of them \
                 over and let tokens with these values stand for it; it takes over {}",
                taken.join(", ")
            )
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedCondition {
    /// As the policy file has it.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found instead, where it does not hold and that is not plain.
    pub found: Option<String>,
}

impl PolicySet {
    /// What a client is granted at an API: all of it.
    pub fn permissions_of(&self, client: &str, api: &str) -> Option<Permissions> {
        let client = self.clients().find(client)?;
        let grant = client.grants.iter().find(|grant| grant.api.as_str() == api)?;
        let named = match client.kind {
            ClientKind::Named => Some(client.id.clone()),
            ClientKind::Anonymous => None,
        };
        Some(Permissions {
            client: named.clone(),
            sub: named,
            scopes: grant.scopes.clone(),
            roles: grant.roles_within(&grant.scopes),
            claims: (*client.claims).clone(),
        })
    }

    /// As [`Self::permissions_of`], for a client that is enabled and so gets tokens.
    pub(super) fn granted(&self, client: &str, api: &str) -> Option<Permissions> {
        let is_enabled = self.clients().find(client)?.state == ClientState::Enabled;
        is_enabled.then(|| self.permissions_of(client, api))?
    }

    /// Decides a request as [`ProtectedApi::decide`] does, and says why.
    pub fn explain(
        &self,
        api: &str,
        method: &str,
        target: &str,
        subject: Option<&Subject<'_>>,
    ) -> Explanation {
        let mut explanation = Explanation {
            allowed: false,
            reason: "no-api",
            detail: "no policy file defines this API".to_owned(),
            api: api.to_owned(),
            method: method.to_owned(),
            path: target.to_owned(),
            decided_by: None,
            also_matching: Vec::new(),
            other_methods: Vec::new(),
            hint: None,
            alternatives: Vec::new(),
        };
        let Some(api) = self.api(api) else { return explanation };
        let decision = api.decide(method, target, subject);
        explanation.allowed = decision.is_allowed();
        (explanation.reason, explanation.detail) = match &decision {
            Decision::Allow { grounds: Grounds::Public, .. } => ("public", "the rule is public".to_owned()),
            Decision::Allow { grounds: Grounds::Alternative(position), .. } => {
                ("met", format!("alternative {} holds", position + 1))
            }
            Decision::Deny(denial) => (denial.reason(), denial.to_string()),
        };
        if let (Ok(path), Some(method)) = (CanonicalPath::parse(target), Method::parse(method)) {
            self.explain_match(api, method, &path, subject, &mut explanation);
        }
        explanation
    }

    /// As [`Self::explain`] for a client with all that it is granted; `None` where it has no grant. One that
    /// is disabled, or has tokens that are revoked, is judged alike, and the hint says what is not taken.
    ///
    /// `claims` are those of its claims that a token of another issuer decides, as far as they are supposed. Where the
    /// answer depends on others, the reason is `depends`.
    ///
    /// # Errors
    /// [`NoSuchClaims`] where none of its tokens carries `claims`.
    pub fn explain_client(
        &self,
        api: &str,
        method: &str,
        target: &str,
        client: &str,
        claims: &Map<String, Value>,
    ) -> Result<Option<Explanation>, NoSuchClaims> {
        let Some(tokens) = self.supposed_tokens(client, api, claims)? else { return Ok(None) };
        let explanation = self.explain_tokens(api, method, target, &tokens);
        Ok(self.with_ends(explanation, client))
    }

    /// The tokens of a client that carry these claims, disabled or not.
    pub(super) fn supposed_tokens(
        &self,
        client: &str,
        api: &str,
        claims: &Map<String, Value>,
    ) -> Result<Option<ClientTokens<'_>>, NoSuchClaims> {
        let Some(tokens) = self.tokens_of(client, api, CountedWays::All) else { return Ok(None) };
        let taken: BTreeSet<_> = tokens.open_claims().into_iter().map(str::to_owned).collect();
        let tokens = tokens.with(claims).ok_or_else(|| NoSuchClaims { client: client.to_owned(), taken })?;
        Ok(Some(tokens))
    }

    /// As [`Self::explain`] for whatever token of these a client has.
    pub(super) fn explain_tokens(
        &self,
        api: &str,
        method: &str,
        target: &str,
        tokens: &ClientTokens<'_>,
    ) -> Explanation {
        let mut explanation = self.explain(api, method, target, Some(&tokens.base.subject()));
        let decided = || {
            let api = self.api(api)?;
            let path = CanonicalPath::parse(target).ok()?;
            let route = api.routes.trie.find(Method::parse(method)?, &path)?;
            Some((api, path, api.access(route)?.1))
        };
        let Some((known, path, access)) = decided().filter(|_| !explanation.allowed) else {
            return explanation;
        };
        match tokens.pass(known.routes.alternatives(access), &path) {
            Passing::Always => {
                if let Some(token) = tokens.passing_token(known.routes.alternatives(access), &path) {
                    explanation = self.explain(api, method, target, Some(&token.subject()));
                }
                return explanation;
            }
            Passing::Never => {}
            Passing::When(conditions) => {
                let conditions: Vec<_> = conditions.into_iter().collect();
                explanation.reason = DEPENDS;
                explanation.detail = format!(
                    "it depends on a token of another issuer: allowed where {}",
                    conditions.join(", or where ")
                );
            }
        }
        // a token may carry the claim: say where it comes from, not that it is missing
        let alternatives = known.routes.alternatives(access).collect::<Vec<_>>();
        for explained in &mut explanation.alternatives {
            let conditions = explained.position.checked_sub(1).and_then(|at| alternatives.get(at));
            for (shown, condition) in
                explained.conditions.iter_mut().zip(conditions.map_or(&[][..], |one| one.0))
            {
                let Condition::Claim { name, .. } = condition else { continue };
                if let Some(origin) = tokens.origin(name) {
                    shown.found = Some(format!("it comes from {origin}"));
                }
            }
        }
        explanation
    }

    /// With what ends tokens of the client.
    fn with_ends(&self, mut explanation: Explanation, client: &str) -> Option<Explanation> {
        let mut hints = ends_of(self.clients().find(client)?);
        hints.extend(explanation.hint);
        explanation.hint = (!hints.is_empty()).then(|| hints.join("; "));
        Some(explanation)
    }

    /// As [`Self::explain`] for a token that is good for nothing.
    pub fn explain_bad_token(&self, api: &str, method: &str, target: &str, why: &str) -> Explanation {
        let mut explanation = self.explain(api, method, target, None);
        // a token that is sent must verify, on public routes too; what it would lack is not known
        explanation.allowed = false;
        explanation.alternatives.clear();
        explanation.reason = "invalid-token";
        explanation.detail = format!("the token is rejected: {why}");
        explanation
    }

    fn explain_match(
        &self,
        api: &ProtectedApi,
        method: Method,
        path: &CanonicalPath<'_>,
        subject: Option<&Subject<'_>>,
        explanation: &mut Explanation,
    ) {
        let matching = api.routes.trie.find_all(method, path);
        let at_path = Method::ALL.into_iter().flat_map(|other| api.routes.trie.find_all(other, path));
        let others: BTreeSet<_> = at_path.filter(|route| !matching.contains(route)).collect();
        explanation.other_methods = others.into_iter().filter_map(|id| self.explain_route(api, id)).collect();
        let [route, others @ ..] = matching.as_slice() else {
            explanation.hint = self.near_miss(api, method, &explanation.path);
            return;
        };
        explanation.decided_by = self.explain_route(api, *route);
        explanation.also_matching = others
            .iter()
            .filter_map(|other| {
                let (chosen, passed_over) = (api.written(*route)?, api.written(*other)?);
                let because = chosen.why_before(passed_over);
                Some(LessSpecific { route: self.explain_route(api, *other)?, because })
            })
            .collect();
        let Some((_, access)) = api.access(*route) else { return };
        // without a token everything is missing
        let nothing = Permissions::default();
        let nobody = nothing.subject();
        let subject = subject.unwrap_or(&nobody);
        for (position, alternative) in api.routes.alternatives(access).enumerate() {
            let each = alternative.0.iter().map(|condition| {
                let holds = condition.holds(subject, path);
                let found = if holds { None } else { condition.found(subject, path) };
                ExplainedCondition { condition: condition.to_string(), holds, found }
            });
            explanation.alternatives.push(ExplainedAlternative {
                position: position + 1,
                holds: alternative.holds(subject, path),
                conditions: each.collect(),
            });
        }
        explanation.alternatives.sort_by_key(|alternative| alternative.missing().len());
    }

    /// A path much like this one that a route does match.
    fn near_miss(&self, api: &ProtectedApi, method: Method, target: &str) -> Option<String> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let near = [
            ("without the slash at the end", path.strip_suffix('/').map(str::to_owned)),
            ("with a slash at the end", Some(format!("{path}/"))),
            ("in lower case", Some(path.to_ascii_lowercase())),
        ];
        near.into_iter().filter_map(|(how, path)| Some((how, path?))).find_map(|(how, near)| {
            let route = api.routes.trie.find(method, &CanonicalPath::parse(&near).ok()?)?;
            Some(format!("{how}, {} would decide", self.explain_route(api, route)?))
        })
    }

    fn explain_route(&self, api: &ProtectedApi, id: RouteId) -> Option<ExplainedRoute> {
        let (rule, _) = api.access(id)?;
        Some(ExplainedRoute {
            route: api.written(id)?.to_string(),
            rule: rule.name().to_owned(),
            file: self.file_of(rule).to_owned(),
            line: rule.line,
        })
    }
}

/// What ends tokens of a client, in words.
pub(super) fn ends_of(known: &Client) -> Vec<String> {
    let client = &known.id;
    let disabled = match (known.state, known.kind) {
        (ClientState::Enabled, _) => None,
        (ClientState::Disabled, ClientKind::Named) => {
            Some("gets no token, and this service rejects the tokens that it has")
        }
        (ClientState::Disabled, ClientKind::Anonymous) => {
            Some("gets no token; the tokens that it has do not name it, and are judged as shown here")
        }
    };
    let disabled = disabled.map(|so| format!("client `{client}` is disabled: it {so}"));
    let revoked_before = known.revoked_before.filter(|_| known.kind == ClientKind::Named);
    let revoked = revoked_before.map(|seconds| {
        let time = Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string());
        format!("tokens of client `{client}` issued before {time} are rejected")
    });
    [disabled, revoked].into_iter().flatten().collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // path, method and claims are others' words
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", printable(line)))
    }
}

impl Explanation {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let answer = match (self.allowed, self.reason) {
            (true, _) => "ALLOWED",
            (false, DEPENDS) => "DEPENDS",
            (false, _) => "DENIED",
        };
        lines.push(format!("{answer} {} {} at {}: {}", self.method, self.path, self.api, self.detail));
        if let Some(route) = &self.decided_by {
            lines.push(format!("  decided by {route}"));
        }
        for LessSpecific { route, because } in &self.also_matching {
            lines.push(format!("  passed over {route}: {because}"));
        }
        for route in &self.other_methods {
            lines.push(format!("  for other methods {route}"));
        }
        if let Some(hint) = &self.hint {
            lines.push(format!("  {hint}"));
        }
        for (at, alternative) in self.alternatives.iter().enumerate() {
            let state = match (alternative.holds, at) {
                (true, _) => "holds",
                (false, 0) if self.alternatives.len() > 1 => "does not hold, but lacks the least",
                (false, _) => "does not hold",
            };
            lines.push(format!("  alternative {} {state}", alternative.position));
            for ExplainedCondition { condition, holds, found } in &alternative.conditions {
                let mark = if *holds { "held   " } else { "MISSING" };
                let found = found.as_ref().map(|found| format!(": {found}")).unwrap_or_default();
                lines.push(format!("    {mark}  {condition}{found}"));
            }
        }
        lines
    }
}

impl fmt::Display for ExplainedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of rule `{}` ({}:{})", self.route, self.rule, self.file, self.line)
    }
}
