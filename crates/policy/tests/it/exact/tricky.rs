//! Cases that are easily got wrong, one by one.
use std::fmt::Write;

use jeton_policy::{FindingCode, MatrixAccess, PolicyDiff, PolicyDraft};

use super::{model::draft_of, words::routes};

/// Policies of one API over the scopes `s` and `s2`, the role `r` and some clients.
fn draft(rules: &str, clients: &str) -> PolicyDraft {
    draft_with("r: [s]", rules, clients)
}

#[track_caller]
fn draft_with(role: &str, rules: &str, clients: &str) -> PolicyDraft {
    let text = format!(
        "version: 1\nscopes: {{ s: x, s2: x }}\nroles: {{ {role} }}\napis:\n  api:\n    audience: https://a.example.com\n{rules}\nclients:\n{clients}"
    );
    draft_of(vec![text]).unwrap()
}

fn rules(rules: &[(&str, &str)]) -> String {
    let mut text = String::from("    rules:\n");
    for (at, (route, rest)) in rules.iter().enumerate() {
        writeln!(text, "      rule-{at}: {{ routes: [\"{route}\"], {rest} }}").unwrap();
    }
    text
}

fn client(id: &str, claims: &str) -> String {
    format!("  {id}: {{ grants: {{ api: {{ scopes: [s] }} }}, claims: {claims} }}\n")
}

fn lines(difference: &PolicyDiff) -> Vec<String> {
    routes(difference).map(ToString::to_string).collect()
}

#[track_caller]
fn check(old: &PolicyDraft, new: &PolicyDraft, expected: &[&str]) {
    assert_eq!(lines(&old.difference(new)), expected);
}

const OWN: &str = "require: { scope: s, claims: { tenant: { same_as_path: tenant } } }";

#[test]
fn segments_that_are_the_same_by_a_third_one_are() {
    // the new token has `u`, which is `p1`, and `t`, which is `p0`; the old side lets it pass where both are `v`
    let old = draft(
        &rules(&[("GET /{p0}/{p1}", "require: { claims: { t: { same_as_path: p1 }, u: { is: v } } }")]),
        "  x: {}\n",
    );
    let new = draft(
        &rules(&[(
            "GET /{p0}/{p1}",
            "require: { claims: { t: { same_as_path: p0 }, u: { same_as_path: p1 } } }",
        )]),
        "  x: {}\n",
    );
    check(
        &old,
        &new,
        &[
            "any token that carries claims.t same_as_path `p0`, claims.u same_as_path `p1` gains GET /{p0}/{p1} where p0 is v and p1 is not v, or p0 is not v",
            "any token that carries claims.t same_as_path `p1`, claims.u is `v` loses GET /{p0}/{p1} where p0 is v and p1 is not v, or p0 is not v",
        ],
    );
}

#[test]
fn one_claim_at_two_parameters_is_the_same_segment() {
    let both = |first: &str, second: &str| {
        rules(&[(
            "GET /{a}/{b}",
            &format!(
                "require: [{{ claims: {{ t: {{ {first} }} }} }}, {{ claims: {{ t: {{ {second} }} }} }}]"
            ),
        )])
    };
    let old = draft(&both("same_as_path: a", "same_as_path: a"), "  x: {}\n");
    let new = draft(&both("same_as_path: b", "contains_path: b"), "  x: {}\n");
    check(
        &old,
        &new,
        &[
            "any token that carries claims.t contains_path `b` gains GET /{a}/{b}",
            "any token that carries claims.t same_as_path `b` gains GET /{a}/{b} where b is not {a}",
            "any token that carries claims.t same_as_path `a` loses GET /{a}/{b} where b is not {a}",
        ],
    );
}

#[test]
fn a_literal_route_takes_the_path_of_one_tenant() {
    let clients = client("acme", "{ tenant: acme }") + &client("globex", "{ tenant: globex }");
    let old = draft(&rules(&[("GET /{tenant}/orders", OWN)]), &clients);
    let new = draft(
        &rules(&[("GET /{tenant}/orders", OWN), ("GET /acme/orders", "require: { scope: s2 }")]),
        &clients,
    );
    check(
        &old,
        &new,
        &[
            "any token that carries scope: s2 gains GET /acme/orders",
            "any token that carries scope: s, claims.tenant same_as_path `tenant` loses GET /acme/orders",
            "acme loses GET /acme/orders",
        ],
    );
    let matrix = new.policies().matrix(new.policies().api("api").unwrap());
    let access: Vec<_> = matrix.routes.iter().flat_map(|route| &route.access).collect();
    let never = &MatrixAccess::Never;
    assert_eq!(access, [never, &MatrixAccess::When("tenant = globex".to_owned()), never, never]);
}

#[test]
fn a_route_reaches_further_than_the_literal_that_hides_its_shortest_path() {
    let two = [("GET /b/{tenant}/**", OWN), ("GET /b/a/{x}", "require: { scope: s2 }")];
    let policies = draft(&rules(&two), &client("own", "{ tenant: a }"));
    let matrix = policies.policies().matrix(policies.policies().api("api").unwrap());
    assert_eq!(matrix.routes[0].access, [MatrixAccess::When("tenant = a".to_owned())]);
    let warnings = &policies.policies().warnings().0;
    let warned: Vec<_> =
        warnings.iter().filter(|finding| finding.code == FindingCode::UnreachableRoute).collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warned[0].message, "no client can reach `GET /b/a/{x}`");
    check(
        &policies,
        &draft(&rules(&two[1..]), &client("own", "{ tenant: a }")),
        &[
            "any token that carries scope: s, claims.tenant same_as_path `tenant` loses GET /b/{tenant}/**",
            "own loses GET /b/{tenant}/{_}/** where tenant is a",
        ],
    );
}

#[test]
fn clients_are_told_apart_by_which_claims_are_the_same() {
    let both = "require: { claims: { t: { same_as_path: p }, u: { same_as_path: p } } }";
    for clients in [["{ t: k, u: k }", "{ t: k, u: l }"], ["{ t: k, u: l }", "{ t: k, u: k }"]] {
        let policies =
            draft(&rules(&[("GET /{p}", both)]), &(client("x", clients[0]) + &client("y", clients[1])));
        let warnings = &policies.policies().warnings().0;
        assert!(warnings.iter().all(|finding| finding.code != FindingCode::UnreachableRoute), "{warnings:?}");
    }
    let policies = draft(&rules(&[("GET /{p}", both)]), &client("y", "{ t: k, u: l }"));
    let warnings = &policies.policies().warnings().0;
    assert!(warnings.iter().any(|finding| finding.code == FindingCode::UnreachableRoute), "{warnings:?}");
}

#[test]
fn rests_of_different_depth_meet() {
    let ask = "require: { scope: s }";
    let old =
        draft(&rules(&[("GET /a/**", ask), ("GET /a/b/{x}/**", "require: { scope: s2 }")]), "  x: {}\n");
    let new = draft(&rules(&[("GET /a/b/**", ask)]), "  x: {}\n");
    check(
        &old,
        &new,
        &[
            "any token that carries scope: s gains GET /a/b/{x}/**",
            "any token that carries scope: s loses GET /a/**",
            "any token that carries scope: s2 loses GET /a/b/{x}/**",
        ],
    );
    // the paths that the new route has too are no loss
    let losing = old.difference(&new);
    let witness = routes(&losing).nth(1).unwrap().witness.as_ref().unwrap();
    assert_eq!(witness.path, "/a/some-path");
}

#[test]
fn values_that_need_escapes_are_shown_as_they_are_and_sent_as_they_must_be() {
    let clients = client("x", "{ tenant: acme corp }") + &client("y", "{ tenant: é }");
    let old = draft(&rules(&[("GET /none", "require: { scope: s }")]), &clients);
    let new = draft(&rules(&[("GET /none", "require: { scope: s }"), ("GET /{tenant}", OWN)]), &clients);
    let difference = old.difference(&new);
    let shown: Vec<_> = routes(&difference)
        .map(|change| (change.to_string(), change.witness.as_ref().unwrap().path.as_str()))
        .collect();
    assert_eq!(
        shown[1..],
        [
            ("x gains GET /{tenant} where tenant is \"acme corp\"".to_owned(), "/acme%20corp"),
            ("y gains GET /{tenant} where tenant is é".to_owned(), "/%C3%A9"),
        ]
    );
}

#[test]
fn a_claim_that_no_path_can_have_gives_nothing() {
    for claim in ["a/b", "..", "\"\"", "a%b", "a;b", "\"a\\nb\"", "[\"\", \"a/b\"]", "1.5", "true"] {
        let clients = client("x", &format!("{{ tenant: {claim} }}"));
        let old = draft(&rules(&[("GET /none", "require: { scope: s }")]), &clients);
        let new = draft(&rules(&[("GET /none", "require: { scope: s }"), ("GET /{tenant}", OWN)]), &clients);
        let lines = lines(&old.difference(&new));
        assert_eq!(lines.len(), 1, "{claim}: {lines:?}");
        let warnings = &new.policies().warnings().0;
        let warned = warnings.iter().any(|finding| finding.message == "no client can reach `GET /{tenant}`");
        assert!(warned, "{claim}: {warnings:?}");
    }
}

#[test]
fn head_and_any_go_their_own_ways() {
    let ask = "require: { scope: s }";
    let old = draft(&rules(&[("GET /x", ask)]), "  x: {}\n");
    let new = draft(&rules(&[("GET /x", ask), ("HEAD /x", "require: { scope: s2 }")]), "  x: {}\n");
    check(
        &old,
        &new,
        &["any token that carries scope: s2 gains HEAD /x", "any token that carries scope: s loses HEAD /x"],
    );
    let any = draft(&rules(&[("ANY /x", ask)]), "  x: {}\n");
    check(&old, &any, &["any token that carries scope: s gains POST, PUT, PATCH, DELETE, OPTIONS /x"]);
    let head = draft(&rules(&[("HEAD /x", ask)]), "  x: {}\n");
    check(&old, &head, &["any token that carries scope: s loses GET (not HEAD) /x"]);
    let none = draft("", "  x: {}\n");
    check(&any, &none, &["any token that carries scope: s loses ANY /x"]);
}

#[test]
fn a_role_that_brings_another_scope_is_the_clients_gain_alone() {
    let two = rules(&[("GET /s", "require: { scope: s }"), ("GET /s2", "require: { scope: s2 }")]);
    let clients = "  x: { grants: { api: { roles: [r] } } }\n";
    let old = draft_with("r: [s]", &two, clients);
    let new = draft_with("r: [s2]", &two, clients);
    check(&old, &new, &["x gains GET /s2", "x loses GET /s"]);
}

#[test]
fn a_witness_has_no_scope_that_every_role_brings() {
    let ask = |more: &str| {
        rules(&[("GET /x", &format!("require: {{ any_role: [r, q], any_scope: [s, s2]{more} }}"))])
    };
    for role in ["r: [s], q: [s2]", "r: [s, s2], q: [s, s2]", "r: [s], q: [s]"] {
        let old =
            draft_with(role, &rules(&[("GET /x", "require: { any_scope: [s], role: r }")]), "  x: {}\n");
        let new = draft_with(role, &ask(""), "  x: {}\n");
        let difference = old.difference(&new);
        for change in routes(&difference) {
            let token = change.witness.as_ref().unwrap().token.as_ref().unwrap();
            let brought = if role.contains("[s, s2]") { 2 } else { 1 };
            assert_eq!((token.roles.len(), token.scopes.len()), (1, brought), "{change}: {token}");
        }
        assert_eq!((difference.gains, difference.losses), (1, 0), "{difference}");
    }
}

#[test]
fn a_client_that_becomes_another_tenant_gains_one_and_loses_one() {
    let one = rules(&[("GET /{tenant}", OWN)]);
    let old = draft(&one, &client("x", "{ tenant: acme }"));
    let new = draft(&one, &client("x", "{ tenant: globex }"));
    check(
        &old,
        &new,
        &["x gains GET /{tenant} where tenant is globex", "x loses GET /{tenant} where tenant is acme"],
    );
}

#[test]
fn a_client_whose_tokens_do_not_name_it_is_no_client() {
    let one = rules(&[("GET /x", "require: { client: x }")]);
    let anonymous = "  x: { anonymous: true, grants: { api: { scopes: [s] } } }\n";
    let old = draft("", anonymous);
    let new = draft(&one, anonymous);
    check(&old, &new, &["any token that carries client: x gains GET /x"]);
    check(&new, &draft(&one, &client("x", "{}")), &["x gains GET /x"]);
}

#[test]
fn an_api_that_is_new_is_all_gain() {
    let text = |api: &str| {
        format!(
            "version: 1\nscopes: {{ s: x }}\napis:\n  {api}:\n    audience: https://{api}.example.com\n    rules:\n      rule: {{ routes: [GET /x], require: {{ scope: s }} }}\nclients:\n  x: {{ grants: {{ {api}: {{ scopes: [s] }} }} }}\n"
        )
    };
    let (old, new) = (draft_of(vec![text("one")]).unwrap(), draft_of(vec![text("two")]).unwrap());
    let difference = old.difference(&new);
    let shown: Vec<_> =
        routes(&difference).map(|change| format!("{}: {change}", change.api.as_ref().unwrap())).collect();
    assert_eq!(
        shown,
        [
            "one: any token that carries scope: s loses GET /x",
            "one: x loses GET /x",
            "two: any token that carries scope: s gains GET /x",
            "two: x gains GET /x",
        ]
    );
}

#[test]
fn the_longest_patterns_are_looked_at_to_their_end() {
    let pattern: String = (0..64).fold(String::new(), |path, at| format!("{path}/{{p{at}}}"));
    let own = "require: { scope: s, claims: { t: { same_as_path: p63 } } }";
    let old = draft(&rules(&[("GET /**", "require: { scope: s }")]), "  x: {}\n");
    let new =
        draft(&rules(&[("GET /**", "require: { scope: s }"), (&format!("GET {pattern}"), own)]), "  x: {}\n");
    let difference = old.difference(&new);
    let shown = lines(&difference);
    assert_eq!(shown, [format!("any token that carries scope: s loses GET {pattern}")]);
    // parts so long that only the shortest text stands beside them
    let long = "v".repeat(8187);
    let rule = (format!("GET /{{p}}/{long}"), "require: { scope: s }");
    let new = draft(&rules(&[(&rule.0, rule.1)]), &client("x", "{ tenant: acme }"));
    let difference = draft("", &client("x", "{}")).difference(&new);
    assert_eq!(lines(&difference).len(), 2);
    let guaranteed = format!(
        "{}    guarantees:\n      g: {{ routes: [ANY /**], only_when: [{{ scope: s2 }}] }}\n",
        rules(&[(&rule.0, rule.1)])
    );
    let findings = draft(&guaranteed, &client("x", "{}")).findings();
    assert!(findings.0.iter().any(|finding| finding.code == FindingCode::BrokenGuarantee));
}

#[test]
fn long_lists_are_compared_and_proved_in_no_time() {
    let count = 60;
    let list = |prefix: &str, count: usize| {
        let names: Vec<_> = (0..count).map(|at| format!("{prefix}{at}")).collect();
        names.join(", ")
    };
    let policies = |scopes: usize, roles: usize, clients: usize, values: usize, guarantee: &str| {
        let mut text = String::from("version: 1\nscopes:\n");
        (0..count).for_each(|at| writeln!(text, "  s{at}: x\n  of-r{at}: x").unwrap());
        text.push_str("roles:\n");
        (0..count).for_each(|at| writeln!(text, "  r{at}: [of-r{at}]").unwrap());
        writeln!(
            text,
            "apis:\n  api:\n    audience: https://a.example.com\n    rules:\n      one:\n        routes: [\"GET /{{p}}/{{q}}\"]\n        require:\n          any_scope: [{}]\n          any_role: [{}]\n          any_client: [{}]\n          claims: {{ t: {{ in: [{}] }}, u: {{ same_as_path: p }} }}\n{guarantee}clients:",
            list("s", scopes), list("r", roles), list("c", clients), list("v", values)
        )
        .unwrap();
        (0..count).for_each(|at| writeln!(text, "  c{at}: {{}}").unwrap());
        draft_of(vec![text]).unwrap()
    };
    let whole = policies(count, count, count, count, "");
    let without_one_client = whole.difference(&policies(count, count, count - 1, count, ""));
    let shown = lines(&without_one_client);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].starts_with("any token that carries client `c59`, "), "{shown:?}");
    let narrower = whole.difference(&policies(1, count, count - 1, count - 1, ""));
    assert!(narrower.gains == 0 && narrower.losses > 0);
    let other = whole.difference(&policies(1, 1, 1, 1, ""));
    assert!(other.gains == 0 && other.losses > 0);
    for (ask, holds) in [
        (format!("any_client: [{}]", list("c", count)), true),
        (format!("any_client: [{}]", list("c", count - 1)), false),
        (format!("any_role: [{}]", list("r", count)), true),
        (format!("any_scope: [{}]", list("of-r", count)), true),
        (format!("claims: {{ t: {{ in: [{}] }} }}", list("v", count)), true),
        (format!("claims: {{ t: {{ in: [{}] }} }}", list("v", count - 1)), false),
        ("scope: s7".to_owned(), false),
    ] {
        let guarantee = format!(
            "    guarantees:\n      g:\n        routes: [\"GET /{{x}}/**\"]\n        only_when:\n          {ask}\n"
        );
        let findings = policies(count, count, count, count, &guarantee).findings();
        let broken = findings.0.iter().any(|finding| finding.code == FindingCode::BrokenGuarantee);
        assert_eq!(broken, !holds, "{ask}");
    }
}

/// Seven segments of which each is compared with twelve values have 62,748,517 combinations; what is told of
/// the twelve is the same, so that a hundred or so stand for all.
#[test]
fn many_segments_with_many_values_are_proved_and_compared() {
    let parameters: Vec<_> = (0..7).map(|at| format!("{{p{at}}}")).collect();
    let values: Vec<_> = (0..12).map(|at| format!("v{at}")).collect();
    let asks = |values: &[String]| {
        let claims: Vec<_> = (0..7)
            .map(|at| format!("c{at}: {{ same_as_path: p{at}, in: [{}] }}", values.join(", ")))
            .collect();
        let require = format!("require: {{ scope: s, claims: {{ {} }} }}", claims.join(", "));
        rules(&[(&format!("GET /{}", parameters.join("/")), &require)])
    };
    let claims: Vec<_> = (0..7).map(|at| format!("c{at}: v{at}")).collect();
    let clients = client("x", &format!("{{ {} }}", claims.join(", ")));
    let guarantee = "    guarantees: { g: { routes: [\"GET /**\"], only_when: { scope: s } } }\n";
    let old = draft(&(asks(&values) + guarantee), &clients);
    assert!(!old.findings().has_errors(), "{}", old.findings());
    let new = draft(&(asks(&values[..3]) + guarantee), &clients);
    let lost = lines(&old.difference(&new));
    assert!(lost.iter().any(|line| line.starts_with("x loses GET")), "{lost:?}");
}

/// As above, for claims that are lists.
#[test]
fn a_client_with_many_long_lists_is_compared() {
    let contains: Vec<_> = (0..5).map(|at| format!("c{at}: {{ contains_path: p{at} }}")).collect();
    let route = "GET /{p0}/{p1}/{p2}/{p3}/{p4}";
    let require = format!("require: {{ claims: {{ {} }} }}", contains.join(", "));
    let lists: Vec<_> = (0..5)
        .map(|at| {
            let items: Vec<_> = (0..40).map(|item| format!("x{at}-{item}")).collect();
            format!("c{at}: [{}]", items.join(", "))
        })
        .collect();
    let draft = draft(&rules(&[(route, &require)]), &client("x", &format!("{{ {} }}", lists.join(", "))));
    let api = draft.policies().api("api").unwrap();
    let MatrixAccess::When(condition) = &draft.policies().matrix(api).routes[0].access[0] else { panic!() };
    assert!(condition.starts_with("p0 = x0-0, x0-1, "), "{condition}");
    assert_eq!(condition.matches(", ").count(), 5 * 39, "{condition}");
}

/// A line about `**` says nothing of what more specific routes decide.
#[test]
fn what_more_specific_routes_decide_is_left_out_by_name() {
    let inside =
        [("GET /files/secret", "require: { scope: s2 }"), ("GET /files/{x}/keys", "require: { scope: s2 }")];
    let old = draft(&rules(&inside), &client("k", "{}"));
    let with_all = [&inside[..], &[("GET /files/**", "require: { scope: s }")]].concat();
    let difference = old.difference(&draft(&rules(&with_all), &client("k", "{}")));
    let of_client = routes(&difference).find(|change| change.to_string().starts_with("k gains")).unwrap();
    assert_eq!(of_client.to_string(), "k gains GET /files/**");
    assert_eq!(of_client.except, ["GET /files/secret", "GET /files/{x}/keys"]);
    let shown = "except GET /files/secret, GET /files/{x}/keys, which other rules decide";
    assert!(difference.to_string().contains(shown), "{difference}");
}
