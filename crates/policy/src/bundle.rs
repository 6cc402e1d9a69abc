//! Bundles: what a service needs of the policies of one API, without the folder.
//!
//! The issuer makes one with [`PolicySet::bundle`], signs it and serves it. A service reads it with
//! [`PolicySet::from_bundle`], by the reader and the compiler of policy files. Both decide alike for every token of the
//! API.

use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::{ApiName, ClientId, Issuer, Role, Scope, ScopeSet};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    claim::{ClaimName, ClaimValue},
    clients::{Client, ClientState},
    compile::{PolicyDraft, Surroundings},
    condition::{Alternative, ClaimTest, Condition},
    finding::Findings,
    position::{RouteId, numbered},
    set::{PolicySet, ProtectedApi, Warnings},
    source::{ContentHash, PolicySources},
};

impl PolicySet {
    /// What a service needs of an API, in the form of a policy file. `None` if there is no such API.
    ///
    /// It has the API with its rules and `bound_tokens`, the scopes and roles that these and the grants at the API name, `revoked_tokens`,
    /// and of clients their id, `enabled: false` and `revoked_before`: those with a grant at the API, those in its
    /// rules, and each that is disabled or has `revoked_before`. A token can outlive the grant by which it was issued,
    /// and after an exchange it names clients that never had one.
    ///
    /// It has no secret, key, grant, claim, description, guarantee or test. Equal policies give equal bundles.
    pub fn bundle(&self, api: &ApiName) -> Option<Value> {
        let api = self.api(api.as_str())?;
        let mut names = BundledNames::of_rules(api);
        for client in self.clients.iter() {
            let mut grants = client.grants.iter().filter(|grant| grant.api == api.name).peekable();
            if grants.peek().is_some() || is_ended(client) {
                names.clients.insert(&client.id);
            }
            for grant in grants {
                names.scopes.extend(grant.scopes.iter());
                names.roles.extend(grant.roles.iter().map(|granted| &granted.role));
            }
        }
        let roles: BTreeMap<&Role, &ScopeSet> =
            names.roles.into_iter().filter_map(|role| self.roles.get_key_value(role)).collect();
        names.scopes.extend(roles.values().flat_map(|scopes| scopes.iter()));
        let clients = names.clients.into_iter().filter_map(|id| self.clients.find(id.as_str()));
        let mut entry = Map::from_iter([("rules".to_owned(), Value::Object(rules(api)))]);
        if api.name.as_str() != ApiName::OWN {
            entry.insert("audience".to_owned(), api.audience.as_str().into());
        }
        if api.bound_tokens() {
            entry.insert("bound_tokens".to_owned(), true.into());
        }
        Some(json!({
            "version": 1,
            "scopes": names.scopes.into_iter().map(|scope| (scope.to_string(), "".into())).collect::<Map<_, _>>(),
            "roles": roles
                .into_iter()
                .map(|(role, scopes)| (role.to_string(), scopes.iter().map(Scope::as_str).collect()))
                .collect::<Map<_, _>>(),
            "apis": { (api.name.as_str()): entry },
            "clients": clients.map(|client| (client.id.to_string(), standing_of(client))).collect::<Map<_, _>>(),
            "revoked_tokens": self.revoked_tokens(),
        }))
    }

    /// Reads the `policies` of a bundle whose signature was verified, strictly. `hash` is the issuer's, and
    /// `now` the time at which they come into force.
    ///
    /// There are no [warnings](Self::warnings): they are the issuer's business.
    ///
    /// # Errors
    /// Everything that is wrong with it; also if it is not of this API.
    pub fn from_bundle(
        policies: &Value,
        hash: ContentHash,
        issuer: &Issuer,
        api: &ApiName,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        let sources = PolicySources::of_bundle(address(issuer, api), hash);
        let surroundings = Surroundings::of_service(issuer, api.clone());
        let compiled = PolicyDraft::of_value(policies, &sources, &surroundings, now)
            .and_then(PolicyDraft::into_policies);
        match compiled {
            Ok(policies) => Ok(Self { warnings: Warnings::default(), ..policies }),
            Err(mut findings) => {
                for finding in &mut findings.0 {
                    (finding.line, finding.column) = (0, 0);
                }
                Err(Findings::sorted(findings.0))
            }
        }
    }

    fn revoked_tokens(&self) -> Vec<Value> {
        let sorted: BTreeMap<_, _> = self.revoked.iter().collect();
        let entry = |(token, until): (_, &Option<Timestamp>)| match until {
            None => json!(token),
            Some(until) => json!({ "jti": token, "until": until.to_string() }),
        };
        sorted.into_iter().map(|(token, until)| entry((token.as_str(), until))).collect()
    }
}

/// The path below the issuer at which bundles are served, each by the name of its API behind a slash.
pub const PATH: &str = "/policies";

/// The `typ` of bundles: no verifier of tokens takes one.
pub const TYP: &str = "policies+jwt";

/// Where an issuer serves the bundle of an API, which is also the `aud` of that bundle.
pub fn address(issuer: &Issuer, api: &ApiName) -> String {
    issuer.endpoint(&format!("{PATH}/{api}"))
}

/// What rules and grants name.
struct BundledNames<'p> {
    scopes: BTreeSet<&'p Scope>,
    roles: BTreeSet<&'p Role>,
    clients: BTreeSet<&'p ClientId>,
}

impl<'p> BundledNames<'p> {
    fn of_rules(api: &'p ProtectedApi) -> Self {
        let mut names = Self { scopes: BTreeSet::new(), roles: BTreeSet::new(), clients: BTreeSet::new() };
        for condition in &api.routes.conditions {
            match condition {
                Condition::Scope(scope) => drop(names.scopes.insert(scope)),
                Condition::AllScopes(scopes) | Condition::AnyScope(scopes) => names.scopes.extend(scopes),
                Condition::Role(role) => drop(names.roles.insert(role)),
                Condition::AnyRole(roles) => names.roles.extend(roles),
                Condition::Client(client) => drop(names.clients.insert(client)),
                Condition::AnyClient(clients) => names.clients.extend(clients),
                Condition::Claim { .. } => {}
            }
        }
        names
    }
}

/// Whether tokens that name the client may be revoked by that.
fn is_ended(client: &Client) -> bool {
    client.state == ClientState::Disabled || client.revoked_before.is_some()
}

/// What of a client says whether its tokens are in force.
fn standing_of(client: &Client) -> Value {
    let mut entry = Map::new();
    if client.state == ClientState::Disabled {
        entry.insert("enabled".to_owned(), false.into());
    }
    if let Some(before) = client.revoked_before {
        // what lies behind the last instant there is was rounded up from it
        let before = Timestamp::from_second(before).unwrap_or(Timestamp::MAX);
        entry.insert("revoked_before".to_owned(), before.to_string().into());
    }
    entry.into()
}

/// The rules of an API by name, those that are built in too: another version may have others.
fn rules(api: &ProtectedApi) -> Map<String, Value> {
    let mut routes: Vec<Vec<RouteId>> = vec![Vec::new(); api.rules.len()];
    for (id, access) in numbered(RouteId::at, &api.routes.access) {
        if let Some(of_rule) = usize::try_from(access.rule).ok().and_then(|rule| routes.get_mut(rule)) {
            of_rule.push(id);
        }
    }
    let mut rules = Map::new();
    for (rule, routes) in api.rules.iter().zip(routes) {
        // the routes of a rule ask the same, each with the parameters at its own places
        let Some((_, access)) = routes.first().and_then(|route| api.access(*route)) else { continue };
        let written = routes.iter().filter_map(|route| api.written(*route)).map(ToString::to_string);
        let mut entry = Map::from_iter([("routes".to_owned(), written.collect())]);
        if access.is_public() {
            entry.insert("public".to_owned(), true.into());
        } else {
            let mut alternatives: Vec<Value> = api.routes.alternatives(access).map(alternative).collect();
            let only = if alternatives.len() == 1 { alternatives.pop() } else { None };
            entry.insert("require".to_owned(), only.unwrap_or(Value::Array(alternatives)));
        }
        let mut name = rule.name().to_owned();
        // a file can give a rule the name by which a built-in one is told apart
        while rules.contains_key(&name) {
            name.push('\'');
        }
        rules.insert(name, entry.into());
    }
    rules
}

fn alternative(Alternative(conditions): Alternative<'_>) -> Value {
    let mut entry = Map::new();
    let mut claims = Map::new();
    for condition in conditions {
        let (key, value) = match condition {
            Condition::Scope(scope) => ("scope", json!(scope.as_str())),
            Condition::AllScopes(scopes) => ("all_scopes", scopes.iter().map(Scope::as_str).collect()),
            Condition::AnyScope(scopes) => ("any_scope", scopes.iter().map(Scope::as_str).collect()),
            Condition::Role(role) => ("role", json!(role.as_str())),
            Condition::AnyRole(roles) => ("any_role", roles.iter().map(Role::as_str).collect()),
            Condition::Client(client) => ("client", json!(client.as_str())),
            Condition::AnyClient(clients) => ("any_client", clients.iter().map(ClientId::as_str).collect()),
            Condition::Claim { name, test } => {
                add_test(&mut claims, name, test);
                continue;
            }
        };
        entry.insert(key.to_owned(), value);
    }
    if !claims.is_empty() {
        entry.insert("claims".to_owned(), claims.into());
    }
    entry.into()
}

/// Adds what must hold of a claim. A file can ask one claim the same way twice, by its name and by a pointer.
fn add_test(claims: &mut Map<String, Value>, name: &ClaimName, test: &ClaimTest) {
    let (operator, value) = match test {
        ClaimTest::Is(value) => ("is", value.into()),
        ClaimTest::In(values) => ("in", values.iter().map(|value: &ClaimValue| Value::from(value)).collect()),
        ClaimTest::Contains(value) => ("contains", value.into()),
        ClaimTest::SameAsPath(parameter) => ("same_as_path", (&*parameter.name).into()),
        ClaimTest::ContainsPath(parameter) => ("contains_path", (&*parameter.name).into()),
    };
    let has_it = |spelled: &str| claims.get(spelled).is_some_and(|tests| tests.get(operator).is_some());
    // there are as many spellings as a file can use; if there were not, the condition would never hold
    let spelled = name.spellings().into_iter().find(|spelled| !has_it(spelled)).unwrap_or_default();
    let tests = claims.entry(spelled).or_insert_with(|| Map::new().into());
    if let Value::Object(tests) = tests {
        tests.insert(operator.to_owned(), value);
    }
}
