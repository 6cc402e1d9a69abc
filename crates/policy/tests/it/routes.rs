//! Which route decides: matching and specificity, by cases and against a naive model.
use jeton_policy::{Decision, PolicySet};
use proptest::prelude::*;

use crate::policy_text::{compile, compile_good, with_scopes};

/// One API whose rules are named after their one route, and ask for the scope `s`.
pub(crate) fn with_routes(routes: &[&str]) -> PolicySet {
    let rule = |route: &&str| {
        format!("      '{route}':\n        routes: ['{route}']\n        require: {{ scope: s }}\n")
    };
    let rules: Vec<_> = routes.iter().map(rule).collect();
    compile_good(&format!(
        "version: 1\nscopes: {{ s: x }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n{}",
        rules.concat()
    ))
}

/// The rule that decides, or the reason why none does.
pub(crate) fn decided_by(policies: &PolicySet, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    match policies.api("api").unwrap().decide(method, target, Some(&with_scopes(&["s"]).subject())) {
        Decision::Allow { rule, .. } => rule.name().to_owned(),
        Decision::Deny(denial) => denial.reason().to_owned(),
    }
}

/// Each request with the route of these that decides it, whatever their order in the file.
#[track_caller]
pub(crate) fn check(routes: &[&str], rows: &[(&str, &str)]) {
    let backwards: Vec<_> = routes.iter().rev().copied().collect();
    for order in [routes, &backwards] {
        let policies = with_routes(order);
        for (request, expected) in rows {
            assert_eq!(decided_by(&policies, request), *expected, "{request} of {order:?}");
        }
    }
}

#[test]
fn a_literal_is_before_a_parameter_is_before_the_rest() {
    check(
        &["GET /a/b", "GET /a/{x}", "GET /a/**", "GET /{x}/b", "GET /{x}/{y}", "GET /**"],
        &[
            ("GET /a/b", "GET /a/b"),
            ("GET /a/c", "GET /a/{x}"),
            ("GET /a/b/c", "GET /a/**"),
            ("GET /c/b", "GET /{x}/b"),
            ("GET /c/d", "GET /{x}/{y}"),
            ("GET /c", "GET /**"),
            ("GET /c/d/e", "GET /**"),
            ("GET /a", "GET /**"),
        ],
    );
}

#[test]
fn specificity_is_read_from_the_left() {
    check(
        &["GET /a/**", "GET /{x}/b/c"],
        &[("GET /a/b/c", "GET /a/**"), ("GET /d/b/c", "GET /{x}/b/c"), ("GET /d/b/e", "no-route")],
    );
    check(
        &["GET /a/{x}/c", "GET /{x}/b/c"],
        &[("GET /a/b/c", "GET /a/{x}/c"), ("GET /d/b/c", "GET /{x}/b/c")],
    );
    check(&["GET /{x}/**", "GET /**"], &[("GET /a/b", "GET /{x}/**"), ("GET /a", "GET /**")]);
    check(&["GET /a/{x}/**", "GET /a/**"], &[("GET /a/b/c", "GET /a/{x}/**"), ("GET /a/b", "GET /a/**")]);
}

#[test]
fn a_more_specific_prefix_that_leads_nowhere_is_left_again() {
    check(
        &["GET /a/b/c", "GET /a/{x}/d", "GET /{x}/b/e", "GET /{x}/{y}/f", "GET /**"],
        &[
            ("GET /a/b/c", "GET /a/b/c"),
            ("GET /a/b/d", "GET /a/{x}/d"),
            ("GET /a/b/e", "GET /{x}/b/e"),
            ("GET /a/b/f", "GET /{x}/{y}/f"),
            ("GET /a/b/g", "GET /**"),
        ],
    );
}

#[test]
fn a_more_specific_pattern_of_another_method_is_left_again() {
    check(
        &["POST /a/b", "GET /a/{x}", "DELETE /a/**", "ANY /{x}/b"],
        &[
            ("POST /a/b", "POST /a/b"),
            ("GET /a/b", "GET /a/{x}"),
            ("DELETE /a/b", "DELETE /a/**"),
            ("PUT /a/b", "ANY /{x}/b"),
            ("PUT /a/c", "no-route"),
        ],
    );
}

#[test]
fn at_one_pattern_a_named_method_is_before_get_for_head_is_before_any() {
    check(
        &["HEAD /a", "GET /a", "ANY /a"],
        &[("HEAD /a", "HEAD /a"), ("GET /a", "GET /a"), ("POST /a", "ANY /a"), ("OPTIONS /a", "ANY /a")],
    );
    check(&["GET /a", "ANY /a"], &[("HEAD /a", "GET /a"), ("GET /a", "GET /a"), ("PUT /a", "ANY /a")]);
    check(&["HEAD /a", "ANY /a"], &[("HEAD /a", "HEAD /a"), ("GET /a", "ANY /a")]);
    check(&["GET /a/**", "ANY /a/**"], &[("HEAD /a/b", "GET /a/**"), ("PATCH /a/b", "ANY /a/**")]);
}

#[test]
fn the_pattern_counts_before_the_method() {
    check(&["ANY /a/b", "GET /a/{x}"], &[("GET /a/b", "ANY /a/b"), ("GET /a/c", "GET /a/{x}")]);
    check(&["GET /a/b", "HEAD /a/{x}"], &[("HEAD /a/b", "GET /a/b"), ("HEAD /a/c", "HEAD /a/{x}")]);
    check(&["ANY /{x}", "HEAD /**"], &[("HEAD /a", "ANY /{x}"), ("HEAD /a/b", "HEAD /**")]);
}

#[test]
fn get_covers_head_and_nothing_covers_get() {
    check(
        &["GET /get", "HEAD /head", "ANY /any"],
        &[
            ("HEAD /get", "GET /get"),
            ("GET /head", "no-route"),
            ("POST /get", "no-route"),
            ("OPTIONS /get", "no-route"),
            ("GET /any", "ANY /any"),
            ("HEAD /any", "ANY /any"),
            ("POST /any", "ANY /any"),
            ("PUT /any", "ANY /any"),
            ("PATCH /any", "ANY /any"),
            ("DELETE /any", "ANY /any"),
            ("OPTIONS /any", "ANY /any"),
        ],
    );
}

#[test]
fn methods_that_no_route_can_name_are_never_allowed() {
    let requests = [
        "TRACE /x",
        "CONNECT /x",
        "get /x",
        "Get /x",
        "head /x",
        "any /x",
        "ANY /x",
        "PURGE /x",
        "PROPFIND /x",
        "QUERY /x",
        "GETX /x",
        "GE /x",
        " /x",
    ];
    check(&["ANY /**"], &requests.map(|request| (request, "bad-method")));
    let open = compile_good(
        "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      all:\n        routes: ['ANY /**']\n        public: true\n",
    );
    for request in requests {
        assert_eq!(decided_by(&open, request), "bad-method", "{request}");
    }
}

#[test]
fn a_trailing_slash_matches_only_a_pattern_that_ends_in_one() {
    check(
        &["GET /a", "GET /b/", "GET /c/{x}", "GET /d/**", "GET /e/{x}/", "GET /f", "GET /f/"],
        &[
            ("GET /a", "GET /a"),
            ("GET /a/", "no-route"),
            ("GET /b/", "GET /b/"),
            ("GET /b", "no-route"),
            ("GET /c/x", "GET /c/{x}"),
            ("GET /c/x/", "no-route"),
            ("GET /c/", "no-route"),
            ("GET /c", "no-route"),
            ("GET /d/x", "GET /d/**"),
            ("GET /d/x/y", "GET /d/**"),
            ("GET /d/x/", "no-route"),
            ("GET /d/x/y/", "no-route"),
            ("GET /d/", "no-route"),
            ("GET /d", "no-route"),
            ("GET /e/x/", "GET /e/{x}/"),
            ("GET /e/x", "no-route"),
            ("GET /e//", "bad-path"),
            ("GET /f", "GET /f"),
            ("GET /f/", "GET /f/"),
        ],
    );
}

#[test]
fn a_trailing_slash_does_not_slip_past_a_rule_through_the_rest() {
    check(
        &["GET /files/secret", "GET /files/**"],
        &[
            ("GET /files/secret", "GET /files/secret"),
            ("GET /files/secret/", "no-route"),
            ("GET /files/secre%74", "GET /files/secret"),
            ("GET /files/%73ecret?x", "GET /files/secret"),
            ("GET /files/./secret", "bad-path"),
            ("GET /files//secret", "bad-path"),
            ("GET /files/x/../secret", "bad-path"),
            ("GET /files/secret;x", "bad-path"),
            ("GET /files/secret%2f", "bad-path"),
            ("GET /files/secret%00", "bad-path"),
            ("GET /files/Secret", "GET /files/**"),
        ],
    );
}

#[test]
fn the_root_is_one_empty_segment() {
    check(&["GET /"], &[("GET /", "GET /"), ("GET /a", "no-route"), ("GET /?a", "GET /")]);
    check(&["GET /**"], &[("GET /", "no-route"), ("GET /a", "GET /**"), ("GET /a/b", "GET /**")]);
    check(&["GET /{x}"], &[("GET /", "no-route"), ("GET /a", "GET /{x}"), ("GET /a/b", "no-route")]);
}

#[test]
fn matching_is_case_sensitive_and_of_whole_segments() {
    check(
        &["GET /Orders", "GET /a.b", "GET /x-y", "GET /caf\u{e9}", "GET /a b"],
        &[
            ("GET /Orders", "GET /Orders"),
            ("GET /orders", "no-route"),
            ("GET /ORDERS", "no-route"),
            ("GET /Order", "no-route"),
            ("GET /Orders2", "no-route"),
            ("GET /a.b", "GET /a.b"),
            ("GET /axb", "no-route"),
            ("GET /x-y", "GET /x-y"),
            ("GET /caf%C3%A9", "GET /caf\u{e9}"),
            ("GET /caf%c3%a9", "GET /caf\u{e9}"),
            ("GET /cafe%CC%81", "no-route"),
            ("GET /a%20b", "GET /a b"),
            ("GET /a+b", "no-route"),
        ],
    );
}

#[test]
fn no_route_and_no_rule_means_no() {
    check(&["GET /a/b"], &[("GET /a", "no-route"), ("GET /a/b/c", "no-route"), ("GET /b", "no-route")]);
    let empty = compile_good("version: 1\napis:\n  api:\n    audience: https://api.example.com\n");
    assert_eq!(decided_by(&empty, "GET /"), "no-route");
}

#[test]
fn the_most_specific_route_decides_alone() {
    let policies = compile_good(
        "version: 1
scopes: { narrow: x, wide: x }
apis:
  api:
    audience: https://api.example.com
    rules:
      narrow:
        routes: ['GET /files/secret']
        require: { scope: narrow }
      wide:
        routes: ['GET /files/**']
        require: { scope: wide }
      open:
        routes: ['GET /**']
        public: true
",
    );
    let api = policies.api("api").unwrap();
    for (target, scope, allowed) in [
        ("/files/secret", "narrow", true),
        ("/files/secret", "wide", false),
        ("/files/other", "narrow", false),
        ("/files/other", "wide", true),
        ("/other", "wide", true),
    ] {
        let decision = api.decide("GET", target, Some(&with_scopes(&[scope]).subject()));
        assert_eq!(decision.is_allowed(), allowed, "{target} with {scope}: {decision:?}");
    }
    assert!(!api.decide("GET", "/files/secret", None).is_allowed());
    assert!(!api.decide("GET", "/files/other", None).is_allowed());
    assert!(api.decide("GET", "/other", None).is_allowed());
}

#[test]
fn the_longest_pattern_matches_the_longest_path() {
    let route = format!("GET {}", "/x".repeat(64));
    check(&[&route, "GET /**"], &[(&route, &route), (&format!("{route}/x"), "bad-path")]);
    let rest = format!("GET {}/**", "/x".repeat(63));
    check(&[&rest], &[(&format!("GET {}", "/x".repeat(64)), &rest)]);
}

proptest! {
    /// Two rules of one method and pattern are an error, whatever the parameters are called and however
    /// the two are written.
    #[test]
    fn the_same_route_twice_is_an_error(route in crate::route_model::route()) {
        let other = route.replace("{p}", "{r}").replace("{q}", "{s}");
        let rule = |name: &str, route: &str| format!("      {name}:\n        routes: ['{route}']\n        public: true\n");
        let text = format!(
            "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n{}{}",
            rule("one", &route),
            rule("two", &other),
        );
        let findings = compile(&text).map(|_| ()).unwrap_err().to_string();
        prop_assert!(findings.contains("[duplicate-route]"), "{}", findings);
    }
}
