//! What a difference, a matrix and a finding say, read back from their words.
use jeton_oauth::{ClientId, Role, Scope};
use jeton_policy::{ChangeKind, ChangedFor, Permissions, PolicyChange, PolicyDiff, WitnessToken};

use super::model::{METHODS, covers, parameter};

/// The methods and the pattern of a change of a route.
pub(super) fn route_of(change: &PolicyChange) -> (Vec<&'static str>, &str) {
    let (methods, _) = change.what.split_once(" /").unwrap();
    let pattern = &change.what[methods.len() + 1..];
    let names: Vec<_> = methods.trim_end_matches(" (not HEAD)").split(", ").collect();
    let has = |method: &str| match method {
        "HEAD" => {
            !methods.ends_with(" (not HEAD)")
                && (names.contains(&"HEAD") || names.contains(&"GET") || names == ["ANY"])
        }
        other => names.contains(&other) || names == ["ANY"],
    };
    (METHODS.into_iter().filter(|method| has(method)).collect(), pattern)
}

pub(super) fn routes(difference: &PolicyDiff) -> impl Iterator<Item = &PolicyChange> {
    difference.changes.iter().filter(|change| change.kind == ChangeKind::Route)
}

/// Whether a change is about this request, the rules of which are these.
pub(super) fn is_about(
    change: &PolicyChange,
    method: &str,
    path: &[String],
    before: Option<&str>,
    after: Option<&str>,
) -> bool {
    let (methods, pattern) = route_of(change);
    let rules = (&change.before, &change.after);
    methods.contains(&method)
        && covers(pattern, path)
        && rules.0.as_ref().map(|place| place.rule.as_str()) == before
        && rules.1.as_ref().map(|place| place.rule.as_str()) == after
        && change.on.as_ref().is_none_or(|on| holds(on, pattern, path))
}

/// `tenant is not acme nor globex and order is {tenant}, or ...`
pub(super) fn holds(on: &str, pattern: &str, path: &[String]) -> bool {
    let is = |name: &str, value: &str| is(name, value, pattern, path);
    let clause = |clause: &str| {
        if let Some((name, values)) = clause.split_once(" is not ") {
            return values.split(" nor ").all(|value| !is(name, value));
        }
        let (name, values) = clause.split_once(" is ").unwrap();
        values.split(" or ").any(|value| is(name, value))
    };
    on.split(", or ").any(|all| all.split(" and ").all(clause))
}

/// `tenant != acme, globex & order = {tenant} | ...`
pub(super) fn holds_signs(on: &str, pattern: &str, path: &[String]) -> bool {
    let is = |name: &str, value: &str| is(name, value, pattern, path);
    let clause = |clause: &str| {
        if let Some((name, values)) = clause.split_once(" != ") {
            return values.split(", ").all(|value| !is(name, value));
        }
        let (name, values) = clause.split_once(" = ").unwrap();
        values.split(", ").any(|value| is(name, value))
    };
    on.split(" | ").any(|all| all.split(" & ").all(clause))
}

fn is(name: &str, value: &str, pattern: &str, path: &[String]) -> bool {
    // `name`, `segment 2`, `segment 2 before :x`: without what stands behind the parameter
    let at = |name: &str| {
        let (name, before) = name.split_once(" before ").unwrap_or((name, ""));
        if let Some(number) = name.strip_prefix("segment ") {
            let segment = &path[number.parse::<usize>().unwrap() - 1];
            return segment.strip_suffix(before).unwrap();
        }
        let mut parts = pattern[1..].split('/').map(parameter).zip(path);
        let found = parts.find_map(|(part, segment)| {
            let (_, ending) = part.filter(|(other, _)| *other == name)?;
            Some(segment.strip_suffix(ending).unwrap())
        });
        found.unwrap()
    };
    // what could be taken for more than one value is in quotes
    let expected = match value.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((other, ending)) => format!("{}{ending}", at(other)),
        None => value.trim_matches('"').to_owned(),
    };
    at(name) == expected
}

/// Who a token is for.
pub(super) fn bearer(token: &WitnessToken) -> Permissions {
    let client = token.client.as_ref().map(|client| ClientId::parse(client).unwrap());
    let bearer = Permissions {
        sub: client.clone(),
        client,
        scopes: token.scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
        roles: token.roles.iter().map(|role| Role::parse(role).unwrap()).collect(),
        claims: token.claims.clone(),
    };
    bearer.with_sub_of_claims().unwrap()
}

/// The token that a finding names: ``client `x`, scopes `a`, `b`, t = `v`, u = ["v"]``.
pub(super) fn token(words: &str) -> WitnessToken {
    let mut token = WitnessToken::default();
    let mut kind = "";
    for part in words.split(", ") {
        let quoted = |text: &str| text.trim_matches('`').to_owned();
        if let Some((name, value)) = part.split_once(" = ") {
            let value = match value.strip_prefix('`') {
                Some(_) => quoted(value).into(),
                None => serde_json::from_str(value).unwrap(),
            };
            token.claims.insert(name.strip_prefix("claim ").unwrap().to_owned(), value);
            continue;
        }
        let value = match part.split_once(' ') {
            Some((word, value)) if !part.starts_with('`') => {
                kind = word.trim_end_matches('s');
                quoted(value)
            }
            _ => quoted(part),
        };
        match kind {
            "client" => token.client = Some(value),
            "role" => token.roles.push(value),
            "scope" => token.scopes.push(value),
            other => panic!("`{other}` in `{words}`"),
        }
    }
    token
}

/// What differs, without rules and witnesses; those who gain in one are those who lose in the other.
pub(super) fn outline(difference: &PolicyDiff, mirrored: bool) -> Vec<String> {
    // what everybody gains no client does by itself, and what everybody loses each client may keep
    let of_everybody: Vec<_> = routes(difference)
        .filter(|change| change.who == ChangedFor::Everybody)
        .map(|change| (change.effect, &change.before, &change.after))
        .collect();
    let mut lines: Vec<_> = routes(difference)
        .filter(|change| {
            !matches!(change.who, ChangedFor::Client(_))
                || !of_everybody.contains(&(change.effect, &change.before, &change.after))
        })
        .map(|change| {
            let sign = match (change.effect, mirrored) {
                (jeton_policy::ChangeEffect::Gains, false) | (jeton_policy::ChangeEffect::Loses, true) => '+',
                _ => '-',
            };
            let who = match &change.who {
                ChangedFor::Everybody => "everybody".to_owned(),
                other => other.to_string(),
            };
            format!("{sign} {:?} {who}: {} where {:?}", change.api, change.what, change.on)
        })
        .collect();
    lines.sort();
    lines
}
