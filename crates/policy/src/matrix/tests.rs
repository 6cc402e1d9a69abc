//! The matrix against each of its cells, looked at by itself.

use std::{fmt::Write, path::Path};

use jeton_oauth::Audience;
use proptest::prelude::*;

use super::*;
use crate::{DemoSecrets, PolicySources, Surroundings};

fn compile(text: &str) -> Option<PolicySet> {
    let surroundings = Surroundings {
        issuer: Audience::parse("https://tokens.example.com").unwrap(),
        max_ttl: None,
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let files = vec![("a.yaml".into(), text.as_bytes().to_vec())];
    let sources = PolicySources::of_files(Path::new("policies"), files).unwrap();
    PolicySet::compile(&sources, &surroundings, "2026-11-23T12:00:00Z".parse().unwrap()).ok()
}

/// Clients of every kind: each may have a grant, claims of each type, and claims of another issuer's token.
const CLIENTS: &str = "
issuers:
  ci: { issuer: https://ci.example, audience: https://tokens.example.com, keys: { discover: true } }
clients:
  zed: { grants: { o: { scopes: [s1] } }, claims: { tenant: zed, owner: zed } }
  zed2: { grants: { o: { scopes: [s1, s2] } }, claims: { tenant: zed, owner: b } }
  acme: { grants: { o: { roles: [r] } }, claims: { tenant: acme, owner: 7 } }
  '7': { grants: { o: { scopes: [s1] } }, claims: { tenant: 7, owner: '7' } }
  seven: { grants: { o: { scopes: [s1] } }, claims: { tenant: 7, owner: true } }
  list: { grants: { o: { roles: [r] } }, claims: { tenant: [zed, acme, 7], owner: [zed] } }
  odd: { grants: { o: { scopes: [s1] } }, claims: { tenant: 'x y', owner: some-t } }
  json: { grants: { o: { scopes: [s1] } }, claims: { tenant: zed.json } }
  bare: { grants: { o: { scopes: [s2] } } }
  off: { enabled: false, grants: { o: { scopes: [s1] } }, claims: { tenant: zed } }
  none: { claims: { tenant: zed } }
  hidden: { anonymous: true, grants: { o: { roles: [r] } }, claims: { tenant: zed } }
  taken:
    grants: { o: { scopes: [s1] } }
    claims: { owner: zed }
    federated: [{ issuer: ci, claims: { id: { is: x } }, claims_from: { tenant: group } }]
  named:
    grants: { o: { roles: [r] } }
    federated: [{ issuer: ci, claims: { id: { is: y }, group: { in: [zed, acme] } }, claims_from: { tenant: group, owner: id } }]
";

/// A route of one rule each, and what the rule asks.
fn rule() -> impl Strategy<Value = (String, String)> {
    let segment = || prop::sample::select(vec!["a", "acme", "{t}", "{u}", "{t}.json", "{u}:go", "b"]);
    let end = prop::sample::select(vec!["", "", "", "/**", "/"]);
    let method = prop::sample::select(vec!["GET", "POST", "ANY"]);
    let path = (method, prop::collection::vec(segment(), 1..4), end)
        .prop_map(|(method, segments, end)| format!("{method} /{}{end}", segments.join("/")));
    let condition = prop::sample::select(vec![
        "scope: s1",
        "scope: s2",
        "role: r",
        "any_client: [zed, '7', taken]",
        "claims: { tenant: { same_as_path: t } }",
        "claims: { tenant: { same_as_path: u } }",
        "claims: { owner: { same_as_path: t } }",
        "claims: { tenant: { contains_path: t } }",
        "claims: { tenant: { same_as_path: t }, owner: { same_as_path: u } }",
        "claims: { tenant: { same_as_path: t }, owner: { same_as_path: t } }",
        "claims: { sub: { same_as_path: u } }",
        "claims: { tenant: { is: zed } }",
        "claims: { /tenant/0: { same_as_path: t } }",
    ]);
    let alternative = prop::collection::btree_map(prop::sample::select(vec![0, 1, 2]), condition, 1..3)
        .prop_map(|conditions| {
            let mut kinds: Vec<(&str, &str)> = Vec::new();
            for condition in conditions.into_values() {
                let (kind, _) = condition.split_once(':').unwrap_or_default();
                if kinds.iter().all(|(other, _)| *other != kind) {
                    kinds.push((kind, condition));
                }
            }
            let all: Vec<_> = kinds.into_iter().map(|(_, condition)| condition).collect();
            format!("{{ {} }}", all.join(", "))
        });
    let require = prop::collection::vec(alternative, 1..4).prop_map(|all| format!("[{}]", all.join(", ")));
    (path, require)
}

fn policies(rules: &[(String, String)]) -> String {
    let mut text = "version: 1\nscopes: { s1: x, s2: x }\nroles: { r: [s1] }\napis:\n  o:\n    audience: https://o.example\n    rules:\n".to_owned();
    for (at, (route, require)) in rules.iter().enumerate() {
        writeln!(text, "      r{at}: {{ routes: [{route:?}], require: {require} }}").unwrap();
    }
    text + CLIENTS
}

/// Each cell as it is where nothing is known of others.
#[track_caller]
fn check(text: &str, policies: &PolicySet) {
    let api = policies.api("o").unwrap();
    let index = RouteIndex::new(&api.routes.written);
    let matrix = policies.matrix(api);
    for (id, written) in numbered(RouteId::at, &api.routes.written) {
        let row = &matrix.routes[id.position()];
        assert_eq!(row.route, written.to_string());
        for (client, access) in matrix.clients.iter().zip(&row.access) {
            let known = policies.clients().find(&client.id).unwrap();
            let tokens = policies.granted_tokens(known, api.name());
            let expected = tokens.map_or(MatrixAccess::Never, |tokens| cell(api, &index, id, &tokens));
            assert_eq!(*access, expected, "{} at {}\n{text}", client.id, row.route);
            // and so does the explanation of the cell
            let explained = policies.client_access(api, &client.id, &row.route).unwrap();
            assert_eq!(explained.access, expected, "{text}");
            let least = explained.alternatives.iter().map(|one| one.missing.len()).min();
            let is_open = least == Some(0) && client.has_grant;
            assert_eq!(
                is_open,
                expected != MatrixAccess::Never,
                "{} at {}: {explained:?}\n{text}",
                client.id,
                row.route
            );
        }
    }
}

#[test]
fn alike_routes_have_the_same_cells() {
    let rules: Vec<_> = (0..30)
        .map(|at| {
            let require = [
                "[{ scope: s1, claims: { tenant: { same_as_path: t } } }, { role: r }]",
                "[{ claims: { tenant: { same_as_path: t } }, any_client: [zed, taken] }]",
            ];
            (format!("GET /a{}/{{t}}/b{at}", at % 3), require[at % 2].to_owned())
        })
        .collect();
    let text = policies(&rules);
    check(&text, &compile(&text).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cell_is_what_it_is_by_itself(candidates in prop::collection::vec(rule(), 1..7)) {
        let mut rules = Vec::new();
        for rule in candidates {
            rules.push(rule);
            // a parameter that is not in its route, a route that stands there already
            if compile(&policies(&rules)).is_none() {
                rules.pop();
            }
        }
        let text = policies(&rules);
        check(&text, &compile(&text).unwrap());
    }
}
