//! What decides an operation without a route, and of two operations with one route: never less than the document asks.
use std::fmt::Write;

use serde_json::{Value, json};

use super::{Imported, import, paths};

fn needs(scope: &str) -> Value {
    json!({ "security": [{ "login": [scope] }] })
}

fn public() -> Value {
    json!({ "security": [] })
}

/// What is said of the only operation that is left out, on standard error and in the file.
#[track_caller]
fn left_out(imported: &Imported) -> String {
    let lines: Vec<_> =
        imported.run.stderr.lines().filter_map(|line| line.strip_prefix("not covered: ")).collect();
    let [line] = lines[..] else { panic!("{:#?}", imported.run) };
    assert!(imported.run.stdout.contains(&format!("\n# - {line}\n")), "{:#?}", imported.run);
    line.to_owned()
}

/// What is loud, on standard error and at the top of the file.
#[track_caller]
fn errors(imported: &Imported) -> Vec<String> {
    let lines = imported.run.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
    let errors: Vec<_> = lines.map(str::to_owned).collect();
    let (head, _) = imported.run.stdout.split_once("\nversion: 1\n").unwrap();
    for error in &errors {
        assert!(head.contains(&format!("\n# Error: {error}.")), "{:#?}", imported.run);
    }
    assert_eq!(head.matches("# Error: ").count(), errors.len(), "{head}");
    errors
}

#[test]
fn a_route_that_may_decide_what_has_none_is_named_and_loud_where_it_is_public() {
    for (path, open) in [
        // a query or a fragment is no part of the path
        ("/search?kind=secret", "/search"),
        ("/search#secret", "/search"),
        ("/search?a={b}", "/search"),
        ("/search{?kind}", "/search"),
        ("/search{&kind}", "/search"),
        ("/search{#part}", "/search"),
        ("/find/{?kind}", "/find/"),
        // several segments, or none
        ("/v1/{+name}", "/v1/{shelf}/books"),
        ("/v1/{name*}", "/v1/{shelf}"),
        ("/v1/{name...}", "/v1/a/b/c"),
        ("/v1/{name=shelves/*}", "/v1/{a}/{b}"),
        ("/v1/{+name}/books", "/v1/{shelf}/books"),
        ("/v1/{+name}:read", "/v1/{shelf}:read"),
        ("/v1/*", "/v1/{a}"),
        ("/v1/**", "/v1/a/b"),
        ("/v1{/name}", "/v1"),
        ("/v1{/name}", "/v1/{a}"),
        ("/v1/{name?}", "/v1"),
        ("/v1/{name?}", "/v1/{a}"),
        ("/{+all}", "/a/b"),
        // text or nothing within a segment
        ("/files{.kind}", "/files"),
        ("/files{.kind}", "/files.json"),
        ("/files/{name}{.kind}", "/files/{name}"),
        ("/files{;kind}", "/files"),
        // what ends in the same, and what is one of the values
        ("/files/{name}.{kind}", "/files/{name}.json"),
        ("/files/{name}.{kind}", "/files/{name}"),
        ("/files/{name}.{kind}", "/files/a.b"),
        ("/r/l{x}", "/r/latest"),
        ("/r/{x}-{y}", "/r/a-b"),
        ("/r/{x}{y}", "/r/ab"),
        ("/r/v{x}/s", "/r/{x}/s"),
        // escapes
        ("/caf%C3%A9/{x}-{y}", "/caf%C3%A9/{x}"),
        ("/caf%C3%A9/{x}-{y}", "/café/a-b"),
        ("/a%20b/{x}-{y}", "/a b/{x}"),
        ("/r/a%2Fb", "/r/{x}"),
        ("/r/%FF", "/r/{x}"),
        ("/r/%7Bx%7D", "/r/{x}"),
        // what may be a parameter elsewhere
        ("/r/:id", "/r/{x}"),
        ("/r/:id", "/r/a"),
        ("/r/<id>", "/r/a"),
        ("/r/{}", "/r/a"),
        ("/r/{x", "/r/a"),
        ("/r/a;b", "/r/{x}"),
    ] {
        let document = paths(&json!({ open: { "get": public() }, path: { "get": needs("admin") } }));
        let imported = import(&document, "security");
        let route = imported.routes().into_keys().next().unwrap();
        assert_eq!(imported.asks(&route), "public", "{document}");
        let line = left_out(&imported);
        assert!(line.ends_with(&format!("; {route} decides the requests that it matches")), "{line}");
        let error = format!(
            "{route} is public in the document and may decide GET {path}, which it does not call public: let its rule ask for the stricter of the two"
        );
        assert_eq!(errors(&imported), [error], "{document}");
    }
}

#[test]
fn a_route_that_never_decides_it_is_not_named() {
    for (path, other) in [
        ("/search?kind=secret", "/search/{x}"),
        ("/search?kind=secret", "/{x}/kind"),
        ("/v1/{+name}", "/v1"),
        ("/v1/{+name}", "/v2/{x}"),
        ("/v1/{+name}:read", "/v1/{shelf}/books"),
        ("/v1/{+name}:read", "/v1/{shelf}:write"),
        ("/files/{name}.{kind}", "/files/a"),
        ("/files/{name}.{kind}", "/files/{name}/kind"),
        ("/files{.kind}", "/file"),
        ("/files{.kind}", "/files/{x}"),
        ("/r/l{x}", "/r/current"),
        ("/r/{x}-{y}", "/r/a"),
        ("/r/{x}-{y}.json", "/r/{x}.yaml"),
        ("/caf%C3%A9/{x}-{y}", "/cafe/{x}"),
    ] {
        let document = paths(&json!({ other: { "get": public() }, path: { "get": needs("admin") } }));
        let imported = import(&document, "security");
        assert!(!left_out(&imported).contains("decide"), "{document} {:#?}", imported.run);
        assert!(errors(&imported).is_empty(), "{document} {:#?}", imported.run);
    }
    let document = paths(&json!({ "/a": { "post": public() }, "/a?b": { "get": needs("admin") } }));
    assert!(errors(&import(&document, "security")).is_empty());
}

#[test]
fn a_path_that_is_elsewhere_may_be_decided_in_every_method() {
    let document = paths(&json!({
        "/users/{id}": { "get": needs("read"), "delete": public() }, "/users/admin": { "$ref": "admin.yaml" },
    }));
    let imported = import(&document, "security");
    let line = left_out(&imported);
    assert!(
        line.ends_with("; DELETE /users/{id}, GET /users/{id} decide the requests that they match"),
        "{line}"
    );
    let error = "DELETE /users/{id} is public in the document and may decide /users/admin, which it does not call public: let its rule ask for the stricter of the two";
    assert_eq!(errors(&imported), [error]);
    // behind the path of the server
    let mut document = paths(&json!({ "/{id}": { "get": public() }, "/admin": { "$ref": "admin.yaml" } }));
    document["servers"] = json!([{ "url": "https://api.example.com/v1" }]);
    assert_eq!(errors(&import(&document, "security")).len(), 1);
}

#[test]
fn a_route_that_asks_for_less_is_loud_too() {
    let all = |scopes: &[&str]| json!({ "security": [{ "login": scopes }] });
    let any = |scopes: &[&str]| json!({ "security": scopes.iter().map(|it| json!({ "login": [it] })).collect::<Vec<_>>() });
    for (of_route, of_other, is_less) in [
        (all(&["a"]), all(&["b"]), true),
        (all(&["a"]), all(&["a", "b"]), true),
        (any(&["a", "b"]), all(&["a"]), true),
        (all(&["a"]), all(&["a"]), false),
        (all(&["a", "b"]), all(&["a"]), false),
        (all(&["a"]), any(&["a", "b"]), false),
        (all(&["a"]), public(), false),
        (public(), public(), false),
        (public(), json!({}), true),
        (all(&["a"]), json!({}), false),
        (json!({}), all(&["a"]), true),
    ] {
        let document = paths(&json!({ "/a": { "get": of_route }, "/a?b": { "get": of_other } }));
        for scope_from in ["security", "tag", "operation"] {
            let imported = import(&document, scope_from);
            assert!(left_out(&imported).contains("; GET /a decides"), "{document}");
            assert_eq!(errors(&imported).len(), usize::from(is_less), "{document} {:#?}", imported.run);
        }
    }
    let document = paths(&json!({ "/a": { "get": needs("a") }, "/a?b": { "get": needs("b") } }));
    let error = "GET /a asks for less than GET /a?b in the document and may decide it: let its rule ask for the stricter of the two";
    assert_eq!(errors(&import(&document, "security")), [error]);
    // what is public comes first
    let document = paths(&json!({
        "/a": { "get": needs("a") }, "/a?b": { "get": needs("b") }, "/c": { "get": public() }, "/c?d": { "get": needs("d") },
    }));
    let errors = errors(&import(&document, "security"));
    assert!(errors[0].starts_with("GET /c is public") && errors[1].starts_with("GET /a asks"), "{errors:?}");
}

#[test]
fn of_many_routes_the_most_open_one_is_named_first() {
    let mut of_paths = json!({ "/v1/{+name}": { "get": needs("admin"), "head": needs("admin") } });
    for name in ["a", "b", "c", "d", "e"] {
        of_paths[format!("/v1/{name}")] =
            json!({ "get": if name == "e" { public() } else { needs("admin") } });
    }
    let imported = import(&paths(&of_paths), "security");
    assert_eq!(errors(&imported).len(), 2);
    let named = "; GET /v1/e, GET /v1/a, GET /v1/b and 2 more decide the requests that they match\n";
    assert_eq!(imported.run.stderr.matches(named).count(), 2, "{:#?}", imported.run);
}

#[test]
fn methods_in_other_letters_are_left_out_and_told() {
    for (written, lower) in [("GET", "get"), ("Get", "get"), ("gEt", "get"), ("Delete", "delete")] {
        let of_paths = json!({ "/a": { written: needs("admin") }, "/{b}": { lower: public() } });
        let imported = import(&paths(&of_paths), "security");
        let line = left_out(&imported);
        let says = format!("{written} /a: OpenAPI has methods in lower case: write `{lower}`");
        assert!(line.starts_with(&says), "{line}");
        assert_eq!(errors(&imported).len(), 1, "{:#?}", imported.run);
    }
}

#[test]
fn one_pattern_for_several_operations_asks_for_what_each_asks() {
    let all = |scopes: &[&str]| json!({ "all_scopes": scopes });
    let one = |scope: &str| json!({ "scope": scope });
    let either = json!({ "security": [{ "login": ["a"] }, { "login": ["b"] }] });
    for (first, second, asks) in [
        (needs("a"), needs("b"), all(&["a", "b"])),
        (needs("b"), needs("a"), all(&["a", "b"])),
        (needs("a"), needs("a"), one("a")),
        (public(), needs("a"), one("a")),
        (needs("a"), public(), one("a")),
        (public(), public(), json!("public")),
        (public(), json!({}), one("api:unsaid")),
        (needs("a"), json!({}), all(&["a", "api:unsaid"])),
        (either.clone(), needs("c"), json!([{ "all_scopes": ["a", "c"] }, { "all_scopes": ["b", "c"] }])),
        (needs("c"), either.clone(), json!([{ "all_scopes": ["a", "c"] }, { "all_scopes": ["b", "c"] }])),
        (either.clone(), either, json!([{ "scope": "a" }, { "scope": "b" }])),
    ] {
        let is_same = first == second;
        let document = paths(&json!({ "/a/{id}": { "get": first }, "/a/{name}": { "get": second } }));
        let imported = import(&document, "security");
        let route = imported.routes().into_keys().next().unwrap();
        assert_eq!(imported.asks(&route), asks, "{document}");
        let run = imported.run.says(&["1 as routes, 1 covered by others, 0 not covered;"]);
        let told = run.stderr.contains("and asks, by `security`, for what both ask for\n");
        assert_eq!(told, !is_same, "{run:#?}");
        // one method twice at one path
        for twice in [
            json!({ "paths": { "/a/{id}": { "$ref": "#/components/pathItems/one", "get": first } },
                "components": { "pathItems": { "one": { "get": second } } } }),
            json!({ "paths": { "/a/{id}": { "get": first, "additionalOperations": { "GET": second } } } }),
        ] {
            let mut document = twice;
            document["openapi"] = json!("3.2.0");
            let imported = import(&document, "security");
            assert_eq!(imported.asks("GET /a/{id}"), asks, "{document}");
            imported
                .run
                .says(&["note: GET /a/{id} stands beside a `$ref` or in `additionalOperations` once more"]);
        }
    }
    // alternatives do not multiply without end
    let mut of_paths = json!({});
    for number in 0..20 {
        let [a, b] = [format!("a{number}"), format!("b{number}")];
        of_paths[format!("/a/{{p{number}}}")] =
            json!({ "get": { "security": [{ "login": [a] }, { "login": [b] }] } });
    }
    let imported = import(&paths(&of_paths), "security");
    let route = imported.routes().into_keys().next().unwrap();
    assert_eq!(imported.asks(&route)["all_scopes"].as_array().unwrap().len(), 40);
}

#[test]
fn large_documents_are_compared_in_little_time() {
    // pair by pair, each of these would be 400 million comparisons in a debug build
    let (mut apart, mut chain, mut family) = (String::new(), String::new(), String::new());
    for number in 0..20_000 {
        write!(apart, "\"/r{number}/{{a}}\":{{\"get\":{{}}}},\"/r{number}/{{a}}{{b}}\":{{\"get\":{{}}}},")
            .unwrap();
        let next = if number == 19_999 { "z".to_owned() } else { format!("c{}", number + 1) };
        write!(chain, "\"/c{number}\":{{\"$ref\":\"#/paths/~1{next}\"}},").unwrap();
        write!(family, "\"/c{number}\":{{\"$ref\":\"#/paths/~1{next}\",\"get\":{{}}}},").unwrap();
    }
    let document =
        |of_paths: &str| format!("{{\"openapi\":\"3.0.0\",\"paths\":{{{of_paths}\"/z\":{{\"get\":{{}}}}}}}}");
    for (of_paths, says) in [
        (apart, "20001 as routes, 0 covered by others, 20000 not covered;"),
        (chain, "20001 as routes, 0 covered by others, 0 not covered;"),
        // no more than a hundred that say something are followed
        (family, "100 as routes, 0 covered by others, 19901 not covered;"),
    ] {
        let workplace = crate::binary::Workplace::empty();
        workplace.write("api.json", &document(&of_paths));
        super::refusal_or_result(&workplace, "api.json", "tag").exits(0).says(&[says]);
    }
}
