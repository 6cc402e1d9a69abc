//! Parameters with something behind them in their segment, and `**/`.
use jeton_policy::{FindingCode, Permissions};
use serde_json::json;

use crate::{
    policy_text::{compile, compile_good, with_claim, with_scopes},
    routes::{check, decided_by, with_routes},
};

#[test]
fn a_literal_is_before_an_ending_is_before_a_parameter_is_before_the_rest() {
    check(
        &["GET /a:x", "GET /{p}:x", "GET /{p}", "GET /**"],
        &[
            ("GET /a:x", "GET /a:x"),
            ("GET /b:x", "GET /{p}:x"),
            ("GET /b:y", "GET /{p}"),
            ("GET /b", "GET /{p}"),
            ("GET /b:x/c", "GET /**"),
        ],
    );
}

#[test]
fn a_longer_ending_is_before_a_shorter_one() {
    check(
        &["GET /{f}.gz", "GET /{f}.tar.gz", "GET /{f}:x", "GET /{f}.gz:x"],
        &[
            ("GET /a.tar.gz", "GET /{f}.tar.gz"),
            ("GET /a.gz", "GET /{f}.gz"),
            // nothing would stand before `.tar.gz`
            ("GET /.tar.gz", "GET /{f}.gz"),
            ("GET /a.gz:x", "GET /{f}.gz:x"),
            ("GET /.gz:x", "GET /{f}:x"),
            ("GET /a.zip:x", "GET /{f}:x"),
            ("GET /a.zip", "no-route"),
            ("GET /agz", "no-route"),
            ("GET /a.GZ", "no-route"),
            ("GET /a.gzip", "no-route"),
        ],
    );
}

#[test]
fn what_stands_before_an_ending_is_not_empty() {
    check(
        &["POST /items/{item}:purge", "GET /{f}.json", "GET /{f}."],
        &[
            ("POST /items/42:purge", "POST /items/{item}:purge"),
            ("POST /items/:purge", "no-route"),
            ("POST /items/a:b:purge", "POST /items/{item}:purge"),
            ("POST /items/:purge:purge", "POST /items/{item}:purge"),
            ("POST /items/42:purge/", "no-route"),
            ("POST /items/42:purg", "no-route"),
            ("POST /items/42", "no-route"),
            ("GET /.json", "no-route"),
            ("GET /..json", "GET /{f}.json"),
            ("GET /a.", "GET /{f}."),
            ("GET /..", "bad-path"),
        ],
    );
}

#[test]
fn an_ending_is_compared_with_the_decoded_segment() {
    check(
        &["POST /{item}:purge", "GET /{f}.caf\u{e9} bar"],
        &[
            ("POST /42%3Apurge", "POST /{item}:purge"),
            ("POST /42%3a%70urge", "POST /{item}:purge"),
            ("POST /%C3%A9:purge", "POST /{item}:purge"),
            ("GET /a.caf%C3%A9%20bar", "GET /{f}.caf\u{e9} bar"),
            ("GET /a.cafe%CC%81%20bar", "no-route"),
        ],
    );
}

#[test]
fn an_ending_that_leads_nowhere_is_left_again() {
    check(
        &[
            "GET /{a}:x/one",
            "GET /{a}.y:x/two",
            "GET /{a}/three",
            "GET /b:x/four",
            "POST /{a}:x/**",
            "ANY /**",
        ],
        &[
            ("GET /b:x/four", "GET /b:x/four"),
            ("GET /b:x/one", "GET /{a}:x/one"),
            ("GET /b.y:x/two", "GET /{a}.y:x/two"),
            ("GET /b.y:x/one", "GET /{a}:x/one"),
            ("GET /b.y:x/three", "GET /{a}/three"),
            ("GET /b.y:x/five", "ANY /**"),
            ("POST /b.y:x/two", "POST /{a}:x/**"),
            ("PUT /b.y:x/two", "ANY /**"),
        ],
    );
    // and so is one of another method
    check(
        &["POST /{a}:x", "GET /{a}", "HEAD /{a}:x", "ANY /{a}.z:x"],
        &[
            ("POST /b:x", "POST /{a}:x"),
            ("GET /b:x", "GET /{a}"),
            ("HEAD /b:x", "HEAD /{a}:x"),
            ("HEAD /b:y", "GET /{a}"),
            ("POST /b.z:x", "ANY /{a}.z:x"),
            ("PUT /b:x", "no-route"),
        ],
    );
}

#[test]
fn in_the_middle_and_below_the_rest() {
    check(
        &["GET /v1/{p}:x/items/{q}.json", "GET /{p}.d/**", "GET /{p}.d/{q}:x/**/"],
        &[
            ("GET /v1/a:x/items/b.json", "GET /v1/{p}:x/items/{q}.json"),
            ("GET /v1/a/items/b.json", "no-route"),
            ("GET /a.d/b", "GET /{p}.d/**"),
            ("GET /a.d", "no-route"),
            ("GET /a.d/b:x/c/", "GET /{p}.d/{q}:x/**/"),
            ("GET /a.d/b:x/", "no-route"),
        ],
    );
}

#[test]
fn the_same_ending_twice_is_the_same_route() {
    for (one, two) in [
        ("GET /{a}:x", "GET /{b}:x"),
        ("GET /a/{b}.json/**/", "GET /a/{c}.json/**/"),
        ("ANY /**/", "ANY /**/"),
    ] {
        let text = format!(
            "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      one: {{ routes: ['{one}'], public: true }}\n      two: {{ routes: ['{two}'], public: true }}\n"
        );
        let findings = compile(&text).unwrap_err();
        assert!(findings.0.iter().any(|finding| finding.code == FindingCode::DuplicateRoute), "{findings}");
    }
    with_routes(&[
        "GET /{a}:x",
        "GET /{a}:y",
        "GET /{a}.x",
        "GET /{a}",
        "GET /**",
        "GET /**/",
        "GET /{a}:x/",
    ]);
}

#[test]
fn the_rest_with_a_slash_is_one_or_more_segments_and_a_slash() {
    check(
        &["GET /a/**/", "GET /a/b/", "GET /a/{x}/c/", "GET /a/**"],
        &[
            ("GET /a/", "no-route"),
            ("GET /a", "no-route"),
            ("GET /a/b/", "GET /a/b/"),
            ("GET /a/c/", "GET /a/**/"),
            ("GET /a/b/c/", "GET /a/{x}/c/"),
            ("GET /a/b/d/", "GET /a/**/"),
            ("GET /a/b/d/e/f/", "GET /a/**/"),
            ("GET /a/b", "GET /a/**"),
            ("GET /a/b/c", "GET /a/**"),
            ("GET /a/b//", "bad-path"),
            ("HEAD /a/c/", "GET /a/**/"),
            ("POST /a/c/", "no-route"),
        ],
    );
    check(
        &["ANY /**/"],
        &[
            ("GET /", "no-route"),
            ("GET /a/", "ANY /**/"),
            ("POST /a/b/?x", "ANY /**/"),
            ("GET /a", "no-route"),
        ],
    );
    check(
        &["ANY /**/", "GET /{x}/", "GET /{x}/**/", "POST /{x}/"],
        &[
            ("GET /a/", "GET /{x}/"),
            ("GET /a/b/", "GET /{x}/**/"),
            ("POST /a/", "POST /{x}/"),
            ("POST /a/b/", "ANY /**/"),
        ],
    );
}

#[test]
fn the_longest_paths_have_a_slash_too() {
    let rest = format!("GET {}/**/", "/x".repeat(62));
    check(
        &[&rest],
        &[
            (&format!("GET {}/", "/x".repeat(63)), &rest),
            (&format!("GET {}/", "/x".repeat(62)), "no-route"),
            (&format!("GET {}/", "/x".repeat(64)), "bad-path"),
        ],
    );
    let too_long = format!(
        "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      r: {{ routes: ['GET {}/**/'], public: true }}\n",
        "/x".repeat(63)
    );
    assert!(compile(&too_long).unwrap_err().to_string().contains("longer than any path"));
}

/// A rule that more specific routes cover is an error, with a slash at the end too.
#[test]
fn a_rest_that_parameters_cover_is_dead() {
    let policies = |routes: &str| {
        compile(&format!(
            "version: 1\nscopes: {{ s: x }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      covered: {{ routes: ['GET /a/**/'], public: true }}\n      covering: {{ routes: [{routes}], require: {{ scope: s }} }}\n"
        ))
    };
    for dead in ["'GET /a/{x}/', 'GET /a/{x}/**/'", "'ANY /a/{x}/', 'GET /a/{x}/{y}/', 'GET /a/{x}/{y}/**/'"]
    {
        let findings = policies(dead).unwrap_err();
        assert!(findings.0.iter().any(|finding| finding.code == FindingCode::DeadRule), "{dead}: {findings}");
    }
    for alive in [
        "'GET /a/{x}/'",
        "'GET /a/{x}/**/'",
        "'GET /a/{x}', 'GET /a/{x}/**'",
        "'GET /a/{x}:y/', 'GET /a/{x}/**/'",
        "'POST /a/{x}/', 'GET /a/{x}/**/'",
    ] {
        assert!(policies(alive).is_ok(), "{alive}");
    }
}

/// A policy with one rule on these routes.
fn rule(routes: &str, require: &str) -> jeton_policy::PolicySet {
    compile_good(&format!(
        "version: 1\nscopes: {{ s: x }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      rule: {{ routes: [{routes}], require: {require} }}\n"
    ))
}

#[test]
fn conditions_compare_what_stands_before_the_ending() {
    let same = rule(
        "'POST /{t}/items:x', 'GET /{t}:x', 'GET /a/{t}.tar.gz'",
        "{ claims: { t: { same_as_path: t } } }",
    );
    let contains = rule("'GET /{t}:x'", "{ claims: { t: { contains_path: t } } }");
    let one = |claim: &str| with_claim("t", claim);
    let list = |claim: &str| with_claim("t", json!([claim]));
    for (policies, request, bearer, allowed) in [
        (&same, "GET /acme:x", one("acme"), true),
        (&same, "GET /acme:x", one("acme:x"), false),
        (&same, "GET /acme:x:x", one("acme:x"), true),
        (&same, "GET /acme:x:x", one("acme"), false),
        (&same, "GET /%61cme%3Ax", one("acme"), true),
        (&same, "GET /caf%C3%A9:x", one("caf\u{e9}"), true),
        (&same, "GET /a/acme.tar.gz", one("acme"), true),
        (&same, "GET /a/acme.tar.gz", one("acme.tar"), false),
        (&same, "POST /acme/items:x", one("acme"), true),
        (&contains, "GET /acme:x", list("acme"), true),
        (&contains, "GET /acme:x", list("acme:x"), false),
        (&contains, "GET /acme:x", one("acme"), false),
    ] {
        let (method, target) = request.split_once(' ').unwrap();
        let decision = policies.api("api").unwrap().decide(method, target, Some(&bearer.subject()));
        assert_eq!(decision.is_allowed(), allowed, "{request} with {bearer:?}: {decision:?}");
    }
}

/// What a request costs does not grow with the rules, nor with what its path is made of.
#[test]
fn deciding_allocates_nothing() {
    let mut routes: Vec<String> = (0..3000).map(|verb| format!("GET /items/{{item}}:verb-{verb}")).collect();
    routes.extend((0..300).map(|at| format!("GET /items/{{item}}.{}", "x.".repeat(at) + "end")));
    routes.extend(["GET /items/{item}", "GET /files/**", "GET /files/**/"].map(str::to_owned));
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    let policies = with_routes(&routes);
    let api = policies.api("api").unwrap();
    let bearer = with_scopes(&["s"]);
    let dots = format!("/items/{}", "a.x:x".repeat(1600));
    for target in [
        "/items/42:verb-2999",
        "/items/42:verb-0",
        "/items/42.x.x.end",
        "/items/42:other",
        "/files/a/b/",
        &dots,
    ] {
        let subject = bearer.subject();
        let counted = allocation_counter::measure(|| {
            assert!(api.decide("GET", target, Some(&subject)).is_allowed(), "{target}");
        });
        assert_eq!(counted.count_total, 0, "{target}");
    }
    assert_eq!(decided_by(&policies, &format!("GET {dots}")), "GET /items/{item}");
}

#[test]
fn explain_says_which_ending_went_before() {
    let policies = with_routes(&[
        "GET /{f}.gz",
        "GET /{f}.tar.gz",
        "GET /{f}",
        "POST /{f}.gz",
        "GET /**/",
        "GET /{x}.gz/",
    ]);
    let explained =
        policies.explain("api", "GET", "/a.tar.gz", Some(&Permissions::default().subject())).to_string();
    for line in [
        "decided by GET /{f}.tar.gz of rule `GET /{f}.tar.gz`",
        "passed over GET /{f}.gz of rule `GET /{f}.gz`",
        "in segment 1, `{f}.tar.gz` goes before `{f}.gz`",
        "in segment 1, `{f}.tar.gz` goes before `{f}`",
        "for other methods POST /{f}.gz of rule `POST /{f}.gz`",
    ] {
        assert!(explained.contains(line), "{explained}");
    }
    let explained =
        policies.explain("api", "GET", "/a.gz/", Some(&Permissions::default().subject())).to_string();
    assert!(explained.contains("in segment 1, `{x}.gz` goes before `**/`"), "{explained}");
    let explained = policies.explain("api", "GET", "/a/b", None).to_string();
    assert!(explained.contains("with a slash at the end, GET /**/ of rule `GET /**/`"), "{explained}");
}
