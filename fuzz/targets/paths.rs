//! The path of a request, and the routes that may decide about it, against models that share nothing with the engine.
//!
//! Input: the request target. Each further line is a route.
#![no_main]

use std::{cmp::Reverse, path::Path};

use jeton_oauth::Audience;
use jeton_policy::{CanonicalPath, DemoSecrets, Method, PathPrefix, PolicySet, Route, Sources, Surroundings};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let target = lines.next().unwrap_or_default();
    let path = a_path_is_read_in_one_way(target);
    let mut routes: Vec<String> = Vec::new();
    for line in lines.take(8) {
        if let Ok(route) = Route::parse(line) {
            assert_eq!(route.to_string(), line, "a route is written as it was read");
            routes.push(line.to_owned());
        }
    }
    if let Some(policies) = compiled(&routes) {
        for method in ["GET", "HEAD", "DELETE", "TRACE", "get"] {
            the_most_specific_route_decides(&policies, &routes, method, target, path.as_deref());
        }
    }
});

/// Its segments, if it is taken.
fn a_path_is_read_in_one_way(target: &str) -> Option<Vec<String>> {
    let parsed = CanonicalPath::parse(target);
    let segments = parsed.as_ref().ok().map(|path| path.segments().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(segments, model(target), "{target:?} is {parsed:?}");
    let segments = segments?;
    let read = |spelled: &str| {
        let path = CanonicalPath::parse(spelled).ok()?;
        Some(path.segments().map(str::to_owned).collect::<Vec<_>>())
    };
    // the query is none of it, and nor is how its characters are spelled
    let (raw, _) = target.split_once('?').unwrap_or((target, ""));
    assert_eq!(read(&format!("{raw}?/../x")).as_ref(), Some(&segments));
    let spelled = |escape: fn(u8) -> String| {
        segments
            .iter()
            .map(|segment| format!("/{}", segment.bytes().map(escape).collect::<String>()))
            .collect::<String>()
    };
    let (upper, lower) = (spelled(|byte| format!("%{byte:02X}")), spelled(|byte| format!("%{byte:02x}")));
    for again in [upper, lower] {
        let expected = (again.len() <= CanonicalPath::LONGEST).then_some(&segments);
        assert_eq!(read(&again).as_ref(), expected, "{target:?} as {again:?}");
    }
    if let Ok(prefix) = PathPrefix::parse(target) {
        let below = format!("{raw}/x?y");
        assert_eq!(prefix.cut(&below), Ok("/x?y"), "{target:?}");
    }
    Some(segments)
}

/// What the contract says of a path: decoded once, or refused.
fn model(target: &str) -> Option<Vec<String>> {
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    if path.len() > 8192 || !path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b"\\;#".contains(&byte))
    {
        return None;
    }
    let decoded: Option<Vec<String>> = path.strip_prefix('/')?.split('/').map(decoded).collect();
    let segments = decoded?;
    let (_, before) = segments.split_last()?;
    let is_dots = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte == b'.');
    let is_hidden = |c: char| c.is_control() || "/\\%;?#".contains(c);
    let is_fine = segments.len() <= 64
        && before.iter().all(|segment| !segment.is_empty())
        && !segments.iter().any(|segment| is_dots(segment) || segment.contains(is_hidden));
    is_fine.then_some(segments)
}

fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, behind @ ..] = rest {
        if *first == b'%' {
            let digits = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Policies with a public rule for each route; `None` where they do not fit together, as when one stands twice.
fn compiled(routes: &[String]) -> Option<PolicySet> {
    if routes.is_empty() {
        return None;
    }
    let rules: Map<String, Value> = routes
        .iter()
        .enumerate()
        .map(|(at, route)| (format!("r{at}"), json!({ "routes": [route], "public": true })))
        .collect();
    let file = json!({
        "version": 1,
        "apis": { "api": { "audience": "https://api.example.com", "rules": rules } },
    });
    let surroundings = Surroundings {
        issuer: Audience::parse("https://tokens.example.com").expect("an audience"),
        max_ttl: None,
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let files = vec![("a.yaml".into(), file.to_string().into_bytes())];
    let sources = Sources::of_files(Path::new("policies"), files).expect("it is UTF-8");
    let now = Timestamp::from_second(1_795_000_000).expect("a time");
    PolicySet::compile(&sources, &surroundings, now).ok()
}

fn the_most_specific_route_decides(
    policies: &PolicySet,
    routes: &[String],
    method: &str,
    target: &str,
    path: Option<&[String]>,
) {
    let api = policies.api("api").expect("it was compiled");
    let decision = api.decide(method, target, None);
    let decided = match &decision {
        jeton_policy::Decision::Allow { rule, .. } => Some(rule.name().to_owned()),
        jeton_policy::Decision::Deny(_) => None,
    };
    let ranks = routes.iter().enumerate().filter_map(|(at, route)| {
        let path = path.filter(|_| Method::parse(method).is_some())?;
        rank(route, method, path).map(|rank| (rank, format!("r{at}")))
    });
    let expected = ranks.min().map(|(_, rule)| rule);
    assert_eq!(decided, expected, "{method} {target:?} by {routes:?}");
}

/// How specific a segment of a pattern is, the first is most.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Literal,
    /// By how long its ending is: longer is more.
    Ended(Reverse<usize>),
    Parameter,
    Rest,
}

/// How specific a route is for a request, smaller is more; `None` where it does not match.
fn rank(route: &str, method: &str, path: &[String]) -> Option<(Vec<Kind>, u8)> {
    let (route_method, pattern) = route.split_once(' ')?;
    let precision = match (route_method, method) {
        (named, method) if named == method => 0,
        ("GET", "HEAD") => 1,
        ("ANY", _) => 2,
        _ => return None,
    };
    let pattern: Vec<_> = pattern.strip_prefix('/')?.split('/').collect();
    let mut kinds = Vec::new();
    for (position, part) in pattern.iter().enumerate() {
        let segment = path.get(position)?.as_str();
        if *part == "**" {
            // with a slash at the end where the pattern has one
            let fits = !segment.is_empty() && path.last()?.is_empty() == pattern.last()?.is_empty();
            kinds.push(Kind::Rest);
            return fits.then_some((kinds, precision));
        }
        kinds.push(match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            None if *part == segment => Kind::Literal,
            None => return None,
            Some((_, ending)) => {
                segment.strip_suffix(ending).filter(|before| !before.is_empty())?;
                if ending.is_empty() { Kind::Parameter } else { Kind::Ended(Reverse(ending.len())) }
            }
        });
    }
    (path.len() == pattern.len()).then_some((kinds, precision))
}
