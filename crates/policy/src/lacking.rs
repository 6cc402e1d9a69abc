//! What a client lacks at a route, and how an operator closes the gap.

use jeton_oauth::{ClientId, Role, Scope};
use serde::{Serialize, Serializer};

use super::{
    claim::{Claim, ClaimName, Types},
    client_tokens::{ClientTokens, CountedWays, Passing},
    clients::{Client, ClientKind, ClientState},
    condition::{Alternative, ClaimTest, Condition},
    explain::ends_of,
    matrix::{self, MatrixAccess},
    natural::NaturalOrder,
    path::CanonicalPath,
    position::{RouteId, numbered},
    rule::RulePlace,
    set::{PolicySet, ProtectedApi},
    space::RouteIndex,
    subject::Permissions,
};

/// How many names a sentence lists.
const MOST_NAMED: usize = 5;

/// The access of a client to a route, and what it depends on: a cell of the matrix with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientAccess {
    /// The access, as the matrix has it: in JSON `access` and `condition`.
    #[serde(flatten, serialize_with = "worded")]
    pub access: MatrixAccess,
    /// Whether no token is needed.
    pub public: bool,
    /// The rule of the route.
    pub rule: RulePlace,
    /// The alternatives of the rule, the one that lacks least first.
    pub alternatives: Vec<JudgedAlternative>,
    /// What is missing at least, where the client has no access.
    pub least: Option<AccessGap>,
    /// What else to look at: that the client is disabled, cannot be had, has revoked tokens, or needs bound ones.
    pub hint: Option<String>,
}

/// An alternative of a rule, judged for a client on all paths of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgedAlternative {
    /// Its position in the rule, from 1.
    pub position: usize,
    /// Each condition.
    pub conditions: Vec<JudgedCondition>,
    /// The conditions that keep the client out.
    pub missing: Vec<String>,
}

/// A condition, judged for a client on all paths of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgedCondition {
    /// As the policy file has it.
    pub condition: String,
    /// Whether the client meets it.
    pub met: ConditionMet,
}

/// Whether a client meets a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionMet {
    /// On every path, with each of its tokens.
    Yes,
    /// On no path, with none of its tokens.
    No,
    /// On some paths, or with the tokens that carry the claim of another issuer's token.
    Depends,
}

/// What keeps a client from a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessGap {
    /// The conditions that are missing, as the policy file has them. Empty where the client has all but a grant, or is
    /// disabled.
    pub missing: Vec<String>,
    /// What an operator would do, in words, in this order.
    pub how: Vec<String>,
    /// The other clients that have what is missing: enabled ones with a grant for the API, 2 before 10.
    pub held_by: Vec<ClientId>,
}

impl PolicySet {
    /// The access of a client to a route of an API, with the reasons. The route is written as the matrix has it, such as
    /// `GET /orders/{order}`. `None` where there is no such client or route.
    ///
    /// A client without a grant is judged by the token that an empty grant would give it, and one that is disabled as if
    /// it was enabled.
    pub fn client_access(&self, api: &ProtectedApi, client: &str, route: &str) -> Option<ClientAccess> {
        let client = self.clients().find(client)?;
        let mut routes = numbered(RouteId::at, &api.routes.written);
        let (id, _) = routes.find(|(_, written)| written.to_string() == route)?;
        let (rule, access) = api.access(id)?;
        let index = RouteIndex::new(&api.routes.written);
        let granted = self.granted_tokens(client, api.name());
        let cell = match &granted {
            _ if access.is_public() => MatrixAccess::Always,
            None => MatrixAccess::Never,
            Some(tokens) => matrix::cell(api, &index, id, tokens),
        };
        let tokens = self.tokens_of(client.id.as_str(), api.name().as_str(), CountedWays::Live);
        let has_grant = tokens.is_some();
        let judged = JudgedClient {
            policies: self,
            api,
            client,
            has_grant,
            tokens: tokens.unwrap_or_else(|| self.tokens_with(bare(client), client, CountedWays::Live)),
            rule: self.place_of(rule),
        };
        let targets = matrix::deciding_targets(api, &index, id, &judged.tokens);
        let alternatives = api.routes.alternatives(access).enumerate();
        let mut alternatives: Vec<_> = alternatives
            .map(|(at, one)| (one, judged.alternative(at + 1, one, targets.as_deref())))
            .collect();
        alternatives.sort_by_key(|(_, judged)| judged.missing.len());
        let least = alternatives.first().filter(|_| cell == MatrixAccess::Never);
        let least = least.map(|(alternative, found)| judged.gap(*alternative, found));
        Some(ClientAccess {
            access: cell,
            public: access.is_public(),
            least,
            hint: judged.hint(),
            rule: judged.rule,
            alternatives: alternatives.into_iter().map(|(_, judged)| judged).collect(),
        })
    }
}

/// What every token of a client would carry that is granted nothing.
fn bare(client: &Client) -> Permissions {
    let named = (client.kind == ClientKind::Named).then(|| client.id.clone());
    let claims = (*client.claims).clone();
    Permissions { client: named.clone(), sub: named, claims, ..Permissions::default() }
}

fn worded<S: Serializer>(access: &MatrixAccess, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Worded<'a> {
        access: &'static str,
        condition: Option<&'a str>,
    }
    Worded { access: access.as_str(), condition: access.condition() }.serialize(serializer)
}

/// A client at a route.
struct JudgedClient<'p> {
    policies: &'p PolicySet,
    api: &'p ProtectedApi,
    client: &'p Client,
    has_grant: bool,
    tokens: ClientTokens<'p>,
    rule: RulePlace,
}

impl JudgedClient<'_> {
    /// Judges an alternative on the paths on which the route decides; `None` where there are too many to look at.
    fn alternative(
        &self,
        position: usize,
        alternative: Alternative<'_>,
        targets: Option<&[String]>,
    ) -> JudgedAlternative {
        let judged: Vec<_> =
            alternative.0.iter().map(|condition| (condition, self.met(condition, targets))).collect();
        let with = |met: ConditionMet| {
            let of_kind = judged.iter().filter(move |(_, other)| *other == met);
            of_kind.map(|(condition, _)| condition.to_string()).collect::<Vec<_>>()
        };
        let mut missing = with(ConditionMet::No);
        if missing.is_empty() && self.meets(alternative, targets) == Some(ConditionMet::No) {
            // each holds somewhere, and all of them nowhere
            missing = with(ConditionMet::Depends);
        }
        let conditions = judged
            .iter()
            .map(|(condition, met)| JudgedCondition { condition: condition.to_string(), met: *met });
        JudgedAlternative { position, conditions: conditions.collect(), missing }
    }

    fn met(&self, condition: &Condition, targets: Option<&[String]>) -> ConditionMet {
        self.meets(Alternative(std::slice::from_ref(condition)), targets).unwrap_or_else(|| {
            if may_meet(&self.tokens, condition) { ConditionMet::Depends } else { ConditionMet::No }
        })
    }

    /// Whether the client meets all of these on these paths. `None` where there is no path to look at.
    fn meets(&self, conditions: Alternative<'_>, targets: Option<&[String]>) -> Option<ConditionMet> {
        let paths = targets?.iter().filter_map(|target| CanonicalPath::parse(target).ok());
        let each = paths.map(|path| match self.tokens.pass([conditions].into_iter(), &path) {
            Passing::Always => ConditionMet::Yes,
            Passing::When(_) => ConditionMet::Depends,
            Passing::Never => ConditionMet::No,
        });
        each.reduce(|one, other| if one == other { one } else { ConditionMet::Depends })
    }

    /// What is missing of an alternative, and how to close the gap.
    fn gap(&self, alternative: Alternative<'_>, judged: &JudgedAlternative) -> AccessGap {
        let Self { policies, api, client, .. } = self;
        let missing: Vec<&Condition> = alternative
            .0
            .iter()
            .filter(|condition| judged.missing.contains(&condition.to_string()))
            .collect();
        let mut how = Vec::new();
        if client.state == ClientState::Disabled {
            how.push(format!("enable client `{}`: remove `enabled: false`", client.id));
        }
        let is_of_grant = |condition: &&Condition| {
            matches!(
                condition,
                Condition::Scope(_)
                    | Condition::AllScopes(_)
                    | Condition::AnyScope(_)
                    | Condition::Role(_)
                    | Condition::AnyRole(_)
            )
        };
        if !self.has_grant {
            let any = if missing.iter().any(is_of_grant) { "" } else { ", with any scope or role" };
            how.push(format!("give client `{}` a grant for API `{}`{any}", client.id, api.name()));
        }
        let is_never_together = judged.conditions.iter().all(|condition| condition.met != ConditionMet::No);
        if is_never_together && !missing.is_empty() {
            let all: Vec<_> = judged.missing.iter().map(|condition| format!("`{condition}`")).collect();
            how.push(format!(
                "change the claims of client `{}`: on no path of the route do {} hold together",
                client.id,
                all.join(" and ")
            ));
        } else {
            how.extend(missing.iter().map(|condition| self.words(condition)));
        }
        let has_all = |tokens: &ClientTokens<'_>| missing.iter().all(|condition| may_meet(tokens, condition));
        let others = policies.clients().iter().filter(|other| other.id != client.id);
        let holders = others.filter(|other| {
            policies.granted_tokens(other, api.name()).is_some_and(|tokens| has_all(&tokens))
        });
        let mut held_by: Vec<_> = holders.map(|other| other.id.clone()).collect();
        held_by.sort_by_cached_key(|id| NaturalOrder::of(id.as_str()));
        AccessGap { missing: judged.missing.clone(), how, held_by }
    }

    /// What an operator would do so that the client meets a condition.
    fn words(&self, condition: &Condition) -> String {
        let api = self.api.name();
        match condition {
            Condition::Scope(scope) => self.grant_scopes(std::slice::from_ref(scope)),
            Condition::AllScopes(scopes) => {
                let lacks = |scope: &&Scope| !self.tokens.base.scopes.contains(scope);
                self.grant_scopes(&scopes.iter().filter(lacks).cloned().collect::<Vec<_>>())
            }
            Condition::AnyScope(scopes) => {
                format!("grant one of the scopes {} at API `{api}`", named(scopes.iter().map(Scope::as_str)))
            }
            Condition::Role(role) => {
                let scopes = self.policies.roles().get(role);
                let scopes = scopes.map(|scopes| named(scopes.iter().map(Scope::as_str))).unwrap_or_default();
                format!("grant role `{role}` at API `{api}`, which has {scopes}")
            }
            Condition::AnyRole(roles) => {
                format!("grant one of the roles {} at API `{api}`", named(roles.iter().map(Role::as_str)))
            }
            Condition::Client(id) => self.name_client(condition, std::slice::from_ref(id)),
            Condition::AnyClient(ids) => self.name_client(condition, ids),
            Condition::Claim { name: ClaimName::Sub, .. } => self.name_client(condition, &[]),
            Condition::Claim { name, test } => self.give_claim(name, test),
        }
    }

    fn grant_scopes(&self, scopes: &[Scope]) -> String {
        let having =
            self.policies.roles().iter().filter(|(_, of_role)| scopes.iter().all(|it| of_role.contains(it)));
        let having: Vec<_> = having.map(|(role, _)| role.as_str()).collect();
        let or = match having.as_slice() {
            [] => String::new(),
            [role] => {
                format!(", or role `{role}`, which has {}", if scopes.len() == 1 { "it" } else { "them" })
            }
            roles => format!(
                ", or one of the roles that have {}: {}",
                if scopes.len() == 1 { "it" } else { "them" },
                named(roles.iter().copied())
            ),
        };
        let scope = if scopes.len() == 1 { "scope" } else { "scopes" };
        format!("grant {scope} {} at API `{}`{or}", named(scopes.iter().map(Scope::as_str)), self.api.name())
    }

    /// What to do where a rule is for other clients.
    fn name_client(&self, condition: &Condition, ids: &[ClientId]) -> String {
        let Self { client, rule, .. } = self;
        let id = &client.id;
        if client.kind == ClientKind::Anonymous && (ids.is_empty() || ids.contains(id)) {
            return format!("remove `anonymous: true` from client `{id}`: its tokens do not name it");
        }
        let place = format!("rule `{}` ({}:{})", rule.rule, rule.file, rule.line);
        format!("let {place} take client `{id}` too: it asks for `{condition}`")
    }

    fn give_claim(&self, name: &ClaimName, test: &ClaimTest) -> String {
        let id = &self.client.id;
        if let Some(origin) = self.tokens.origin(name) {
            return format!(
                "let the claim `{name}` of client `{id}` meet `{test}`: it comes from {origin}, and the `federated` \
                 entries of the client let in no such token"
            );
        }
        let subject = self.tokens.base.subject();
        let claim = name.find(&subject);
        if let Some(claim) = claim.filter(|claim| !test.types().meets(Types::of(*claim))) {
            let found = Types::of(claim);
            return format!(
                "write the claim `{name}` of client `{id}` as {}: it is {}, and {}",
                test.types().asked(),
                found.named(),
                test.types().instead_of(found)
            );
        }
        let values =
            || named(test.values().iter().map(ToString::to_string).map(|it| it.trim_matches('`').to_owned()));
        let wanted = match test {
            ClaimTest::Is(_) => values(),
            ClaimTest::In(_) => format!("one of {}", values()),
            ClaimTest::Contains(_) => format!("a list with {}", values()),
            ClaimTest::SameAsPath(parameter) => {
                format!("the value that the path has at `{}`", parameter.name)
            }
            ClaimTest::ContainsPath(parameter) => {
                format!("a list of the values that paths may have at `{}`", parameter.name)
            }
        };
        match (claim, test) {
            (None, _) => format!("give client `{id}` the claim `{name}`: {wanted}"),
            (Some(claim), ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_)) => format!(
                "give client `{id}` another claim `{name}` than {}: the route decides on no path with it",
                shown(claim)
            ),
            (Some(claim), ClaimTest::Contains(_)) => {
                format!("add {} to the claim `{name}` of client `{id}`, which is {}", values(), shown(claim))
            }
            (Some(claim), ClaimTest::Is(_) | ClaimTest::In(_)) => {
                format!("change the claim `{name}` of client `{id}` from {} to {wanted}", shown(claim))
            }
        }
    }

    fn hint(&self) -> Option<String> {
        let Self { policies, api, client, .. } = self;
        let mut hints = ends_of(client);
        if policies.credentials(client).is_empty() {
            hints.push(format!(
                "client `{}` gets no token: it has no credentials, or all have expired",
                client.id
            ));
        }
        if api.bound_tokens() || client.bound_tokens {
            let whose = if api.bound_tokens() { "the API takes" } else { "the client gets" };
            hints.push(format!(
                "{whose} bound tokens only (`bound_tokens`): a request must also prove the key or certificate of the token"
            ));
        }
        (!hints.is_empty()).then(|| hints.join("; "))
    }
}

/// Whether some token meets a condition on some path.
fn may_meet(tokens: &ClientTokens<'_>, condition: &Condition) -> bool {
    let Ok(anywhere) = CanonicalPath::parse("/") else { return false };
    let conditions = Alternative(std::slice::from_ref(condition));
    match condition {
        Condition::Claim { name, test } if condition.parameter().is_some() => {
            let subject = tokens.base.subject();
            let claim = name.find(&subject);
            tokens.origin(name).is_some() || claim.is_some_and(|claim| test.types().meets(Types::of(claim)))
        }
        _ => tokens.pass([conditions].into_iter(), &anywhere) != Passing::Never,
    }
}

/// Names in backticks, the first of them.
fn named<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    let all: Vec<_> = names.collect();
    let mut first: Vec<_> = all.iter().take(MOST_NAMED).map(|name| format!("`{}`", name.as_ref())).collect();
    if all.len() > MOST_NAMED {
        first.push(format!("and {} more", all.len() - MOST_NAMED));
    }
    first.join(", ")
}

/// A claim in backticks.
fn shown(claim: Claim<'_>) -> String {
    format!("`{}`", claim.to_string().trim_matches('`'))
}
