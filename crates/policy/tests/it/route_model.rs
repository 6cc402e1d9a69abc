//! The engine against a model of a few lines: all routes filtered, sorted by specificity, evaluated.
use std::fmt::Write;

use jeton_oauth::{ClientId, Role, Scope};
use jeton_policy::{BadPath, CanonicalPath, Permissions, PolicySet};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

use crate::policy_text::{cases, compile};

/// A rule of a generated policy: its routes, and what it asks for.
#[derive(Clone, Debug)]
struct ModelRule {
    routes: Vec<String>,
    /// `None` for a public one.
    require: Option<Vec<Vec<Ask>>>,
}

/// One condition.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Scope(&'static str),
    AnyScope([&'static str; 2]),
    AllScopes([&'static str; 2]),
    Role(&'static str),
    AnyRole([&'static str; 2]),
    /// Values are written as YAML has them.
    Is(&'static str),
    In([&'static str; 2]),
    Contains(&'static str),
    SameAsPath,
    ContainsPath,
    /// As before, of what stands within the claim.
    IsWithin(&'static str),
    SameWithin,
    /// Of the client whom the token is about.
    SubSameAsPath,
}

/// A value as YAML has it.
fn read(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
}

/// What a path has for a value: text as it is, a whole number by its digits.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

impl Ask {
    fn yaml(self) -> (&'static str, String) {
        match self {
            Self::Scope(scope) => ("scope", scope.to_owned()),
            Self::AnyScope(scopes) => ("any_scope", format!("[{}]", scopes.join(", "))),
            Self::AllScopes(scopes) => ("all_scopes", format!("[{}]", scopes.join(", "))),
            Self::Role(role) => ("role", role.to_owned()),
            Self::AnyRole(roles) => ("any_role", format!("[{}]", roles.join(", "))),
            Self::Is(value) => ("claims", format!("{{ t: {{ is: {value} }} }}")),
            Self::In(values) => ("claims", format!("{{ t: {{ in: [{}] }} }}", values.join(", "))),
            Self::Contains(value) => ("claims", format!("{{ t: {{ contains: {value} }} }}")),
            Self::SameAsPath => ("claims", "{ t: { same_as_path: p } }".to_owned()),
            Self::ContainsPath => ("claims", "{ t: { contains_path: p } }".to_owned()),
            Self::IsWithin(value) => ("claims", format!("{{ /t/a: {{ is: {value} }} }}")),
            Self::SameWithin => ("claims", "{ /t/0: { same_as_path: p } }".to_owned()),
            Self::SubSameAsPath => ("claims", "{ sub: { same_as_path: p } }".to_owned()),
        }
    }

    fn holds(self, bearer: &Permissions, parameter: &str) -> bool {
        let scope = |scope: &str| bearer.scopes.contains(&Scope::parse(scope).unwrap());
        let role = |role: &str| bearer.roles.contains(&Role::parse(role).unwrap());
        let claim = bearer.claims.get("t").cloned().unwrap_or(Value::Null);
        let items = claim.as_array().cloned().unwrap_or_default();
        let is_there = |value: &Value| text(value).as_deref() == Some(parameter);
        let within = |pointer| claim.pointer(pointer).cloned().unwrap_or(Value::Null);
        match self {
            Self::Scope(name) => scope(name),
            Self::AnyScope(names) => names.into_iter().any(scope),
            Self::AllScopes(names) => names.into_iter().all(scope),
            Self::Role(name) => role(name),
            Self::AnyRole(names) => names.into_iter().any(role),
            Self::Is(value) => claim == read(value),
            Self::In(values) => values.iter().any(|value| claim == read(value)),
            Self::Contains(value) => items.contains(&read(value)),
            Self::SameAsPath => is_there(&claim),
            Self::ContainsPath => items.iter().any(is_there),
            Self::IsWithin(value) => within("/a") == read(value),
            Self::SameWithin => is_there(&within("/0")),
            Self::SubSameAsPath => bearer.sub.as_ref().is_some_and(|sub| sub.as_str() == parameter),
        }
    }
}

/// The policy as a file. Each rule has a route that nothing else matches, so that none is dead.
fn yaml(rules: &[ModelRule]) -> String {
    let mut text = String::from(
        "version: 1\nscopes: { s1: x, s2: x }\nroles: { r1: [s1], r2: [s2] }\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n",
    );
    for (position, rule) in rules.iter().enumerate() {
        writeln!(text, "      rule-{position}:\n        routes:\n          - OPTIONS /own-{position}/{{p}}")
            .unwrap();
        for route in &rule.routes {
            writeln!(text, "          - \"{route}\"").unwrap();
        }
        match &rule.require {
            None => text.push_str("        public: true\n"),
            Some(alternatives) => {
                text.push_str("        require:\n");
                for alternative in alternatives {
                    let keys: Vec<_> = alternative.iter().map(|ask| ask.yaml()).collect();
                    let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    writeln!(text, "          - {{ {} }}", keys.join(", ")).unwrap();
                }
            }
        }
    }
    text
}

/// How specific a segment of a pattern is, the first is most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Literal,
    /// By how long its ending is: longer is more.
    Ended(std::cmp::Reverse<usize>),
    Parameter,
    Rest,
}

/// The name of a parameter and what stands behind it.
fn parameter(part: &str) -> Option<(&str, &str)> {
    part.strip_prefix('{')?.split_once('}')
}

/// How specific a route is for a request, smaller is more; `None` where it does not match. The parameter
/// `p` as well.
fn rank(route: &str, method: &str, path: &[&str]) -> Option<(Vec<Kind>, u8, String)> {
    let (route_method, pattern) = route.split_once(' ').unwrap();
    let precision = match (route_method, method) {
        (named, method) if named == method => 0,
        ("GET", "HEAD") => 1,
        ("ANY", _) => 2,
        _ => return None,
    };
    let pattern: Vec<_> = pattern[1..].split('/').collect();
    let mut ranks = Vec::new();
    let mut value = String::new();
    for (position, part) in pattern.iter().enumerate() {
        let segment = *path.get(position)?;
        if *part == "**" {
            // with a slash at the end where the pattern has one
            let in_slash = pattern.last()?.is_empty();
            let fits = !segment.is_empty() && path.last()?.is_empty() == in_slash;
            ranks.push(Kind::Rest);
            return fits.then_some((ranks, precision, value));
        }
        ranks.push(match parameter(part) {
            None if *part == segment => Kind::Literal,
            None => return None,
            Some((name, ending)) => {
                let before = segment.strip_suffix(ending).filter(|before| !before.is_empty())?;
                if name == "p" {
                    before.clone_into(&mut value);
                }
                if ending.is_empty() { Kind::Parameter } else { Kind::Ended(std::cmp::Reverse(ending.len())) }
            }
        });
    }
    (path.len() == pattern.len()).then_some((ranks, precision, value))
}

/// What the contract says of a request, with the position of the rule.
fn model(
    rules: &[ModelRule],
    method: &str,
    path: &[&str],
    bearer: Option<&Permissions>,
) -> (Option<usize>, bool) {
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method) {
        return (None, false);
    }
    let routes =
        rules.iter().enumerate().flat_map(|(at, rule)| rule.routes.iter().map(move |route| (at, route)));
    let mut matching: Vec<_> =
        routes.filter_map(|(at, route)| rank(route, method, path).map(|rank| (rank, at))).collect();
    matching.sort();
    let Some(((_, _, parameter), at)) = matching.into_iter().next() else { return (None, false) };
    let allowed = match (&rules[at].require, bearer) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(alternatives), Some(bearer)) => {
            alternatives.iter().any(|asks| asks.iter().all(|ask| ask.holds(bearer, &parameter)))
        }
    };
    (Some(at), allowed)
}

/// A route over few words, so that many of them overlap.
pub(crate) fn route() -> impl Strategy<Value = String> {
    let method = select(vec!["GET", "GET", "HEAD", "POST", "ANY", "ANY", "DELETE"]);
    let literal = select(vec!["a", "b", "a", "b", "a:x", "a.g", "b.t.g", ".g"]);
    let ending = select(vec!["", "", "", "", ":x", ":x", ".g", ".g", ".t.g", ":x.g", ".", ":", ":y"]);
    let part =
        prop_oneof![3 => literal.prop_map(str::to_owned), 4 => ending.prop_map(|end| format!("{{}}{end}"))];
    let end = select(vec!["", "", "", "/", "/**", "/**", "/**/", "/**/"]);
    (method, vec(part, 0..4), end).prop_map(|(method, parts, end)| {
        let mut names = ["{p}", "{q}", "{u}", "{v}"].into_iter();
        let parts = parts.into_iter().map(|part| match part.strip_prefix("{}") {
            Some(ending) => format!("{}{ending}", names.next().unwrap()),
            None => part,
        });
        let parts: Vec<_> = parts.collect();
        match (parts.is_empty(), end) {
            (true, "/**" | "/**/") => format!("{method} {end}"),
            (true, _) => format!("{method} /"),
            (false, end) => format!("{method} /{}{end}", parts.join("/")),
        }
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    select(vec![
        Ask::Scope("s1"),
        Ask::Scope("s2"),
        Ask::AnyScope(["s1", "s2"]),
        Ask::AllScopes(["s1", "s2"]),
        Ask::Role("r1"),
        Ask::AnyRole(["r1", "r2"]),
        Ask::Is("a"),
        Ask::In(["a", "b"]),
        Ask::Contains("b"),
        Ask::Is("7"),
        Ask::Is("\"7\""),
        Ask::Is("true"),
        Ask::In(["7", "b"]),
        Ask::Contains("7"),
        Ask::Contains("\"7\""),
        Ask::IsWithin("a"),
        Ask::IsWithin("7"),
        Ask::SameAsPath,
        Ask::SameAsPath,
        Ask::SameAsPath,
        Ask::ContainsPath,
        Ask::ContainsPath,
        Ask::SameWithin,
        Ask::SubSameAsPath,
    ])
}

/// Up to eight rules with up to four routes each; no route stands twice.
fn rules() -> impl Strategy<Value = Vec<ModelRule>> {
    let require = prop::option::weighted(0.85, vec(vec(ask(), 1..3), 1..3));
    let rule = (vec(route(), 1..5), require).prop_map(|(routes, require)| ModelRule { routes, require });
    vec(rule, 1..9).prop_map(|mut rules| {
        let mut seen = Vec::new();
        for rule in &mut rules {
            rule.routes.retain(|route| {
                let shape =
                    route.replace("{p}", "{}").replace("{q}", "{}").replace("{u}", "{}").replace("{v}", "{}");
                let is_new = !seen.contains(&shape);
                seen.push(shape);
                is_new
            });
            // a parameter that a condition names must stand in every route
            let names_all = rule.routes.iter().all(|route| route.contains("{p}"));
            for alternative in rule.require.iter_mut().flatten() {
                if !names_all {
                    for ask in alternative.iter_mut() {
                        *ask = match *ask {
                            Ask::SameAsPath | Ask::SubSameAsPath => Ask::Is("b"),
                            Ask::SameWithin => Ask::IsWithin("7"),
                            Ask::ContainsPath => Ask::Contains("a"),
                            other => other,
                        };
                    }
                }
                // a key stands once in a map
                let mut keys = Vec::new();
                alternative.retain(|ask| {
                    let (key, _) = ask.yaml();
                    let is_new = !keys.contains(&key);
                    keys.push(key);
                    is_new
                });
            }
        }
        rules
    })
}

fn bearer() -> impl Strategy<Value = Permissions> {
    let claim = select(vec![
        None,
        Some(json!("a")),
        Some(json!("b")),
        Some(json!(["a"])),
        Some(json!(["a", "b"])),
        Some(json!(["b", 1])),
        Some(json!([])),
        Some(json!(1)),
        Some(json!(true)),
        Some(json!(null)),
        Some(json!({ "a": "a" })),
        Some(json!({ "a": 7, "0": "b" })),
        Some(json!(7)),
        Some(json!("7")),
        Some(json!(7.0)),
        Some(json!([7])),
        Some(json!(["7", "a"])),
        Some(json!("true")),
        Some(json!("07")),
    ]);
    let sub = select(vec![None, None, Some("a"), Some("7"), Some("b")]);
    (subsequence(vec!["s1", "s2"], 0..=2), subsequence(vec!["r1", "r2"], 0..=2), claim, sub).prop_map(
        |(scopes, roles, claim, sub)| Permissions {
            client: None,
            sub: sub.map(|sub| ClientId::parse(sub).unwrap()),
            scopes: scopes.into_iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
            roles: roles.into_iter().map(|role| Role::parse(role).unwrap()).collect(),
            claims: claim.into_iter().map(|claim| ("t".to_owned(), claim)).collect(),
        },
    )
}

/// A method and a path; each segment as it is sent and as it is meant.
fn request() -> impl Strategy<Value = (&'static str, String)> {
    let method =
        select(vec!["GET", "GET", "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "ANY"]);
    let segment = prop_oneof![
        2 => select(vec!["a", "a", "b", "b", "c", "7", "7", "07", "%37", "%61", "A", "a%20b", "%C3%A9"]),
        1 => select(vec![
            "a:x", "a.g", "b.t.g", ".g", ".t.g", ":x", "a:x:x", "c:x", "%61%3Ax", "c%2Eg", "a.", "a:", "a..g", "c:x.g", "%C3%A9:x",
            "c:y", "b.t.g.t.g", "a%3ax",
        ]),
    ];
    let end = select(vec!["", "", "", "", "/", "/", "?x=/a"]);
    (method, vec(segment, 0..5), end).prop_map(|(method, segments, end)| {
        let path = format!("/{}", segments.join("/"));
        let path = if path == "/" && end == "/" { path } else { format!("{path}{end}") };
        (method, path)
    })
}

fn segments(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap();
    let decode = |segment: &str| {
        let decoded =
            segment.replace("%61", "a").replace("%37", "7").replace("%20", " ").replace("%C3%A9", "é");
        decoded.replace("%3A", ":").replace("%3a", ":").replace("%2E", ".")
    };
    path[1..].split('/').map(decode).collect()
}

#[track_caller]
fn compiled(rules: &[ModelRule]) -> PolicySet {
    let text = yaml(rules);
    compile(&text).unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn the_engine_decides_as_the_model(
        rules in rules(),
        requests in vec(request(), 1..24),
        bearers in vec(bearer(), 1..4),
    ) {
        let policies = compiled(&rules);
        let api = policies.api("api").unwrap();
        for (method, target) in &requests {
            let path = segments(target);
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            for bearer in bearers.iter().map(Some).chain([None]) {
                let (rule, allowed) = model(&rules, method, &path, bearer);
                let subject = bearer.map(Permissions::subject);
                let explained = policies.explain("api", method, target, subject.as_ref());
                let decided = explained.decided_by.map(|route| route.rule);
                prop_assert_eq!(
                    api.decide(method, target, subject.as_ref()).is_allowed(), allowed,
                    "{} {} for {:?}\n{}", method, target, bearer, yaml(&rules)
                );
                prop_assert_eq!(explained.allowed, allowed, "explain {} {}", method, target);
                prop_assert_eq!(decided, rule.map(|at| format!("rule-{at}")), "explain {} {}", method, target);
            }
        }
    }

    /// Invariant 4.
    #[test]
    fn taking_a_scope_a_role_or_a_claim_away_never_turns_no_into_yes(
        rules in rules(),
        requests in vec(request(), 1..16),
        bearer in bearer(),
    ) {
        let policies = compiled(&rules);
        let api = policies.api("api").unwrap();
        for (method, target) in &requests {
            let allows = |bearer: &Permissions| api.decide(method, target, Some(&bearer.subject())).is_allowed();
            let before = allows(&bearer);
            for narrower in narrower(&bearer) {
                prop_assert!(
                    before || !allows(&narrower),
                    "{} {}: {:?} may, {:?} may not\n{}", method, target, narrower, bearer, yaml(&rules)
                );
            }
            prop_assert!(before || !api.decide(method, target, None).is_allowed());
        }
    }

    /// Whatever is sent, the answer is one of the two, and a path that is refused is never allowed.
    #[test]
    fn no_target_is_beyond_an_answer(target in "\\PC{0,40}|[/.%a-f0-9;\\\\?#]{0,24}") {
        let open = [ModelRule { routes: vec!["ANY /**".to_owned(), "ANY /".to_owned()], require: None }];
        let policies = compiled(&open);
        let allowed = policies.api("api").unwrap().decide("GET", &target, None).is_allowed();
        match CanonicalPath::parse(&target) {
            Ok(_) => {}
            Err(bad) => {
                prop_assert!(!allowed);
                prop_assert!(!bad.to_string().is_empty() && bad != BadPath::TooLong);
            }
        }
    }
}

/// Every bearer with one thing less.
fn narrower(bearer: &Permissions) -> Vec<Permissions> {
    let mut all = Vec::new();
    for scope in bearer.scopes.iter() {
        let scopes = bearer.scopes.iter().filter(|other| *other != scope).cloned().collect();
        all.push(Permissions { scopes, ..bearer.clone() });
    }
    for role in &bearer.roles {
        let roles = bearer.roles.iter().filter(|other| *other != role).cloned().collect();
        all.push(Permissions { roles, ..bearer.clone() });
    }
    for (name, value) in &bearer.claims {
        let mut without = bearer.clone();
        without.claims.remove(name);
        all.push(without);
        // the others keep their positions, which pointers name
        for position in 0..value.as_array().map_or(0, Vec::len) {
            let mut less = bearer.clone();
            less.claims[name][position] = Value::Null;
            all.push(less);
        }
    }
    all
}
