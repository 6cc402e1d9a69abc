//! The routes that paths, servers and references become, and what becomes none.
use serde_json::{Value, json};

use super::{Imported, import, import_as, paths};

/// The only route of a document with one operation.
#[track_caller]
fn only_route(document: &Value) -> (String, Imported) {
    let imported = import(document, "tag");
    let routes: Vec<_> = imported.routes().into_keys().collect();
    let [route] = routes.try_into().unwrap_or_else(|routes| panic!("{routes:?}\n{:#?}", imported.run));
    (route, imported)
}

#[test]
fn each_method_is_a_route_but_those_that_are_never_allowed() {
    let operations = json!({
        "summary": "Anything", "parameters": [{ "name": "a", "in": "path" }], "x-more": [1],
        "get": {}, "put": {}, "post": {}, "delete": {}, "options": {}, "head": {}, "patch": {},
        "trace": {}, "query": {}, "additionalOperations": { "COPY": {} },
    });
    let imported = import(&paths(&json!({ "/a/{a}": operations, "x-more": "anything" })), "tag");
    let routes: Vec<_> = imported.routes().into_keys().collect();
    let methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    assert_eq!(routes, methods.map(|method| format!("{method} /a/{{a}}")));
    imported.run.says(&[
        "not covered: TRACE /a/{a}: `TRACE` is never allowed\n",
        "not covered: QUERY /a/{a}: unknown method `QUERY`\n",
        "not covered: COPY /a/{a}: unknown method `COPY`\n",
        "operations: 7 as routes, 0 covered by others, 3 not covered; rules: 1, scopes: 1\n",
    ]);
}

#[test]
fn an_operation_that_says_nothing_is_a_route() {
    let imported = import_as("api.yaml", "openapi: 3.0\npaths:\n  /a:\n    get:\n  /b:\n", "tag");
    assert_eq!(imported.routes().into_keys().collect::<Vec<_>>(), ["GET /a"]);
}

#[test]
fn a_path_becomes_a_pattern() {
    for (path, pattern) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a/{b}/c/{d-E_1}", "/a/{b}/c/{d-E_1}"),
        ("/a:b", "/a:b"),
        ("/a/{b}:verb", "/a/{b}:verb"),
        ("/a/{b}.json", "/a/{b}.json"),
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/café"),
        ("/a/{b}%3Averb", "/a/{b}:verb"),
        // what YAML reads otherwise, if it stands there as it is
        ("/a: b", "/a: b"),
        ("/a:", "/a:"),
        ("/'a'/\"b\"", "/'a'/\"b\""),
        ("/a,b&c=d!e@f$g~(h)", "/a,b&c=d!e@f$g~(h)"),
        ("/$metadata", "/$metadata"),
    ] {
        let (route, imported) = only_route(&paths(&json!({ path: { "get": {} } })));
        assert_eq!(route, format!("GET {pattern}"), "{path}");
        assert!(!imported.run.stdout.contains("in the document"), "{path}: {:#?}", imported.run);
    }
}

#[test]
fn parameters_get_names_that_routes_have() {
    for (path, pattern, remark) in [
        ("/{user.id}", "/{user_id}", "`{user.id}`"),
        ("/{$id}", "/{id}", "`{$id}`"),
        ("/{user id}", "/{user_id}", "`{user id}`"),
        ("/{id:int}", "/{id_int}", "`{id:int}`"),
        ("/{b.c}:verb", "/{b_c}:verb", "`{b.c}`"),
        ("/{b}/{b}", "/{b}/{b-2}", "`{b}`"),
        ("/{a.b}/{a_b}", "/{a_b}/{a_b-2}", "`{a.b}` in the document, `{a_b}`"),
        ("/{名前}", "/{parameter}", "`{名前}`"),
    ] {
        let (route, imported) = only_route(&paths(&json!({ path: { "get": {} } })));
        assert_eq!(route, format!("GET {pattern}"), "{path}");
        imported.run.shows(&[&format!("  - GET {pattern}  # {remark} in the document\n")]);
    }
}

#[test]
fn what_no_route_says_is_left_out_and_told() {
    for (path, why) in [
        ("/{a}...{b}", "`...{b}` mixes a literal"),
        ("/{a}-{b}", "`{a}-{b}`"),
        ("/{a}:{b}", "`:{b}` mixes a literal"),
        ("/v{a}", "`v{a}`"),
        ("/{a}suffix", "`{a}suffix`"),
        ("/a?b={c}", "`a?b={c}`"),
        ("/a?b", "`?` never matches"),
        ("/a#b", "`#` never matches"),
        ("/a;b", "`;` never matches"),
        ("/a//b", "an empty segment"),
        ("/../a", "dots-only segments are refused"),
        ("/%2e%2e/a", "dots-only segments are refused"),
        ("/a%2Fb", "`/a%2Fb` has an escape that no route has"),
        ("/%7Bb%7D", "`/%7Bb%7D` has an escape that no route has"),
        ("/a/%2A%2A", "`/a/%2A%2A` has an escape that no route has"),
        ("/a%FF", "`/a%FF` is not UTF-8"),
        ("/a%zz", "`%` never matches"),
        ("/{+a}", "`{+a}` may stand for more than one segment"),
        ("/{a*}", "`{a*}` may stand for more than one segment"),
        ("/{a+}", "`{a+}` may stand for more than one segment"),
        ("/{a...}", "`{a...}` may stand for more than one segment"),
        ("/{a=b/*}", "`{a=b/*}` may stand for more than one segment"),
        ("/a/**", "a `*` stands for itself in OpenAPI, and for more in a route"),
        ("/a/*", "a `*` stands for itself in OpenAPI, and for more in a route"),
        ("/{}", "`{}` names no parameter"),
        ("/{a", "a `{` has no `}`"),
        ("/a}", "`a}`"),
        ("/a\u{202e}b", "a character of it is not seen"),
        ("/:id", "`:id`"),
        ("/<id>", "`<id>`"),
        ("/[id]", "`[id]`"),
        ("/(a|b)", "`(a|b)`"),
        ("a", "a path begins with `/`"),
        ("", "a path begins with `/`"),
    ] {
        let imported = import(&paths(&json!({ path: { "get": {} } })), "tag");
        assert!(imported.routes().is_empty(), "{path}: {:?}", imported.routes());
        let run = &imported.run;
        let comment = run.stdout.lines().find(|line| line.starts_with("# - GET"));
        assert!(comment.is_some_and(|line| line.contains(why)), "{path}: {why}\n{run:#?}");
        assert!(run.stdout.contains("# Not covered: 1; see the end.\n"), "{path}: {run:#?}");
        assert!(run.stderr.starts_with("not covered: GET") && run.stderr.contains(why), "{path}: {run:#?}");
        assert!(run.stderr.contains("0 as routes, 0 covered by others, 1 not covered;"), "{path}: {run:#?}");
        assert!(!run.stderr.contains('\u{202e}') && !run.stdout.contains('\u{202e}'), "{path}: {run:#?}");
    }
}

#[test]
fn what_is_left_out_says_which_route_decides_it() {
    let imported = import(
        &paths(&json!({
            "/compare/{range}": { "get": {} },
            "/compare/{from}..{to}": { "get": {}, "head": {}, "post": {} },
            "/compare/{from}..{to}/files": { "get": {} },
            "/contrast/{from}..{to}": { "get": {} },
        })),
        "tag",
    );
    let decided: Vec<_> =
        imported.run.stderr.lines().filter(|line| line.contains("; GET /compare/{range} decides")).collect();
    assert_eq!(decided.len(), 2, "{:#?}", imported.run);
    assert!(decided[0].starts_with("not covered: GET /compare/{from}..{to}: "), "{decided:?}");
    assert!(decided[1].starts_with("not covered: HEAD /compare/{from}..{to}: "), "{decided:?}");
}

#[test]
fn of_two_paths_with_one_pattern_the_first_has_the_route() {
    let imported = import(
        &paths(&json!({
            "/a/{b.c}": { "get": { "tags": ["one"] } },
            "/a/{b}": { "get": { "tags": ["two"] }, "post": { "tags": ["two"] } },
        })),
        "tag",
    );
    let routes: Vec<_> = imported.routes().into_iter().collect();
    let route = |route: &str, rule: &str| (route.to_owned(), rule.to_owned());
    assert_eq!(routes, [route("GET /a/{b_c}", "one"), route("POST /a/{b}", "two")]);
    let line = "GET /a/{b}: it has the pattern of GET /a/{b.c}, whose rule decides\n";
    let run = imported.run.shows(&[&format!("# - {line}")]);
    run.says(&[&format!("covered by another: {line}"), "2 as routes, 1 covered by others, 0 not covered;"]);
}

#[test]
fn routes_begin_with_the_path_of_the_first_server() {
    for (servers, route, comment) in [
        (
            json!([{ "url": "https://a.example.com/v1" }]),
            "GET /v1/a",
            "# Routes begin with /v1: the server is https://a",
        ),
        (json!([{ "url": "https://a.example.com/v1/" }]), "GET /v1/a", "# Routes begin with /v1: "),
        (json!([{ "url": "https://a.example.com/v1?x=/y#z" }]), "GET /v1/a", "# Routes begin with /v1: "),
        (json!([{ "url": "/v1/b" }]), "GET /v1/b/a", "# Routes begin with /v1/b: "),
        (json!([{ "url": "//a.example.com/v1" }]), "GET /v1/a", "# Routes begin with /v1: "),
        (json!([{ "url": "/caf%C3%A9" }]), "GET /café/a", "# Routes begin with /caf%C3%A9: "),
        (
            json!([{ "url": "/v1" }, { "url": "/v2" }]),
            "GET /v1/a",
            "# The document has 2 servers; the routes are those",
        ),
        (
            json!([{ "url": "https://{host}/{version}", "variables": {
                "host": { "default": "a.example.com/x" }, "version": { "default": 2 },
            } }]),
            "GET /x/2/a",
            "# Routes begin with /x/2: the server is https://a.example.com/x/2.\n",
        ),
        (
            json!([{ "url": "https://a.example.com/{tenant}" }]),
            "GET /{tenant}/a",
            "# Routes begin with /{tenant}: ",
        ),
        (
            json!([{ "url": "v1" }]),
            "GET /a",
            "# Note: the server `v1` is relative to where the document lies",
        ),
    ] {
        let mut document = paths(&json!({ "/a": { "get": {} } }));
        document["servers"] = servers;
        let (found, imported) = only_route(&document);
        assert_eq!(found, route, "{document}");
        imported.run.shows(&[comment]);
    }
    for nowhere in
        [json!([]), json!(null), json!([{ "url": "/" }]), json!([{ "url": "https://a.example.com" }])]
    {
        let mut document = paths(&json!({ "/a": { "get": {} } }));
        document["servers"] = nowhere;
        let (found, imported) = only_route(&document);
        assert_eq!(found, "GET /a", "{document}");
        assert!(!imported.run.stdout.contains("Routes begin"), "{document}");
    }
}

#[test]
fn paths_and_operations_have_servers_of_their_own() {
    let mut document = paths(&json!({
        "/a": { "servers": [{ "url": "/path" }], "get": {}, "put": { "servers": [{ "url": "https://up.example.com/own" }] } },
        "/b": { "get": {} },
    }));
    document["servers"] = json!([{ "url": "/all" }]);
    import(&document, "tag").run.shows(&[
        "  - GET /all/b\n",
        "  - GET /path/a  # at /path\n",
        "  - PUT /own/a  # at https://up.example.com/own\n",
    ]);
}

#[test]
fn references_within_the_document_are_followed() {
    let mut document = paths(&json!({
        "/a": { "get": {}, "x-about": "anything" },
        "/b": { "$ref": "#/paths/~1a" },
        "/c/{d}": { "get": {} },
        "/e/{f}": { "$ref": "#/paths/~1c~1%7Bd%7D" },
        "/g": { "$ref": "#/components/pathItems/one", "put": {} },
    }));
    document["components"] = json!({ "pathItems": {
        "one": { "$ref": "#/components/pathItems/two", "get": { "tags": ["near"] } },
        "two": { "get": { "tags": ["far"] }, "post": { "tags": ["far"] } },
    } });
    let imported = import(&document, "tag");
    let routes: Vec<_> =
        imported.routes().into_iter().map(|(route, rule)| format!("{route} {rule}")).collect();
    assert_eq!(
        routes,
        [
            "GET /a untagged",
            "GET /b untagged",
            "GET /c/{d} untagged",
            "GET /e/{f} untagged",
            "GET /g near",
            "POST /g far",
            "PUT /g untagged",
        ]
    );
}

#[test]
fn references_that_lead_nowhere_are_left_out_and_told() {
    for (reference, why) in [
        ("#/paths/~1self", "leads back to itself"),
        ("#/components/pathItems/one", "leads back to itself"),
        ("#/components/pathItems/absent", "leads to no path of the document"),
        ("#/components/schemas/one", "leads to no path of the document"),
        ("#/paths/~1self/get", "leads to no path of the document"),
        ("#", "leads to no path of the document"),
        ("#/paths/%FF", "leads to no path of the document"),
        ("paths/self.yaml", "leads to another file: make one document of them first"),
        ("https://example.com/api.yaml#/paths/~1self", "leads to another file"),
        ("", "leads to another file"),
    ] {
        let mut document = paths(&json!({ "/self": { "$ref": reference, "get": {} }, "/b": { "get": {} } }));
        document["components"] = json!({ "pathItems": {
            "one": { "$ref": "#/components/pathItems/two" }, "two": { "$ref": "#/components/pathItems/one" },
        } });
        let (route, imported) = only_route(&document);
        assert_eq!(route, "GET /b", "{reference}");
        let why = format!("/self: `$ref: {reference}` {why}");
        imported.run.shows(&[&format!("# - {why}")]).says(&[&format!("not covered: {why}")]);
    }
    let (_, imported) =
        only_route(&paths(&json!({ "/a": { "get": { "$ref": "a.yaml" } }, "/b": { "get": {} } })));
    imported
        .run
        .says(&["not covered: GET /a: `$ref: a.yaml` stands in the place of an operation: write it out\n"]);
}
