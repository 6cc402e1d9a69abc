//! Decisions by a pattern: for each path that it matches, what the rule of the pattern says of that path; and the matrix
//! says the same of all of them.
use jeton_policy::{MatrixAccess, Method, Permissions, Route};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{
    generate::policy,
    model::{METHODS, paths, target},
};
use crate::policy_text::cases;

/// The parameters of a path by their names in a pattern; `None` where it does not match.
fn parameters(pattern: &str, path: &[String]) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    let segments: Vec<&str> = pattern[1..].split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let rest = path.get(at..)?;
        match *segment {
            "**" => {
                let with_slash = segments.get(at + 1) == Some(&"");
                let ends_in_slash = rest.last().is_some_and(String::is_empty);
                let is_long_enough = rest.len() > usize::from(with_slash) && !rest[0].is_empty();
                return (is_long_enough && with_slash == ends_in_slash).then_some(found);
            }
            segment if segment.starts_with('{') => {
                let (name, ending) = segment[1..].split_once('}').unwrap();
                let value = rest.first()?.strip_suffix(ending).filter(|value| !value.is_empty())?;
                found.insert(name.to_owned(), value.into());
            }
            literal => {
                if rest.first().is_none_or(|own| own != literal) {
                    return None;
                }
            }
        }
    }
    (segments.len() == path.len()).then_some(found)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_pattern_is_decided_as_the_paths_are_that_it_decides(policy in policy(5)) {
        let Some(draft) = policy.draft() else { return Ok(()) };
        let policies = draft.policies();
        let api = policies.api("api").unwrap();
        let matrix = policies.matrix(api);
        let bearers: Vec<(usize, Permissions)> = matrix
            .clients
            .iter()
            .enumerate()
            .filter(|(_, client)| client.has_grant)
            .map(|(at, client)| (at, policies.permissions_of(&client.id, "api").unwrap()))
            .collect();
        for path in paths(policy.dialect) {
            let request = target(&path);
            for method in METHODS {
                let explained = policies.explain("api", method, &request, None);
                for route in api.patterns(method) {
                    let pattern = route.pattern();
                    let Some(parameters) = parameters(&pattern, &path) else { continue };
                    let decides = explained.decided_by.as_ref().is_some_and(|by| by.route == route.to_string());
                    for (at, bearer) in &bearers {
                        let subject = bearer.subject();
                        let decided = api.decide_pattern(method, &pattern, &parameters, Some(&subject));
                        if decides {
                            let of_path = api.decide(method, &request, Some(&subject));
                            prop_assert_eq!(
                                decided.is_allowed(), of_path.is_allowed(),
                                "{} {} by {} for {:?}", method, request, pattern, bearer
                            );
                            let row = matrix.routes.iter().find(|row| row.route == route.to_string()).unwrap();
                            match &row.access[*at] {
                                MatrixAccess::Always => prop_assert!(decided.is_allowed()),
                                MatrixAccess::Never => prop_assert!(!decided.is_allowed()),
                                MatrixAccess::When(_) => {}
                            }
                        }
                        // what is not said opens nothing
                        for name in parameters.keys() {
                            let mut fewer = parameters.clone();
                            fewer.remove(name);
                            let less = api.decide_pattern(method, &pattern, &fewer, Some(&subject));
                            prop_assert!(decided.is_allowed() || !less.is_allowed(), "{} without {}", pattern, name);
                        }
                    }
                }
            }
        }
        // each pattern that decides for a method is listed for it, once
        for method in Method::ALL {
            let mut patterns: Vec<_> = api.patterns(method.as_str()).map(Route::pattern).collect();
            let all = patterns.len();
            patterns.sort_unstable();
            patterns.dedup();
            prop_assert_eq!(all, patterns.len());
        }
    }
}
