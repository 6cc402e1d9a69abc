//! Which scopes and rules there are, and that nothing is public which the document does not call so.
use serde_json::{Value, json};

use super::{Imported, import, import_as, paths};

/// A document whose operations at `/a` ask what is written, beside what all ask.
fn secured(of_document: &Value, of_operation: &Value) -> Value {
    let mut document = paths(&json!({ "/a": { "get": {} } }));
    if *of_document != json!("absent") {
        document["security"] = of_document.clone();
    }
    if *of_operation != json!("absent") {
        document["paths"]["/a"]["get"]["security"] = of_operation.clone();
    }
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "apiKey" }, "basic": { "type": "http" }, "login": { "type": "oauth2" },
    });
    document
}

#[test]
fn security_is_what_the_document_says() {
    let absent = json!("absent");
    let scope = |scope: &str| json!({ "scope": scope });
    let unsaid = scope("api:unsaid");
    for (of_document, of_operation, asks) in [
        // public, in so many words
        (&absent, json!([]), json!("public")),
        (&json!([{ "key": [] }]), json!([]), json!("public")),
        (&absent, json!([{}]), json!("public")),
        (&json!([{ "key": [] }]), json!([{ "key": [] }, {}]), json!("public")),
        (&json!([{ "key": [] }, {}]), absent.clone(), json!("public")),
        // not said
        (&absent, absent.clone(), unsaid.clone()),
        (&json!(null), absent.clone(), unsaid.clone()),
        (&json!([]), absent.clone(), unsaid.clone()),
        (&absent, json!(null), unsaid.clone()),
        (&absent, json!([null]), unsaid.clone()),
        (&json!([null]), absent.clone(), unsaid),
        // schemes and scopes
        (&absent, json!([{ "key": [] }]), scope("api:key")),
        (&absent, json!([{ "key": null }]), scope("api:key")),
        (&json!([{ "key": [] }]), absent.clone(), scope("api:key")),
        (&json!([{ "key": [] }]), json!(null), scope("api:key")),
        (&json!([{ "key": [] }]), json!([{ "basic": [] }]), scope("api:basic")),
        (&absent, json!([null, { "key": [] }]), scope("api:key")),
        (&absent, json!([{ "login": [] }]), scope("api:login")),
        (&absent, json!([{ "login": ["a:read"] }]), scope("a:read")),
        (&absent, json!([{ "login": ["b", "a"] }]), json!({ "all_scopes": ["a", "b"] })),
        (&absent, json!([{ "login": ["a"], "key": [] }]), json!({ "all_scopes": ["a", "api:key"] })),
        (
            &absent,
            json!([{ "key": [] }, { "login": ["a"] }]),
            json!([{ "scope": "a" }, { "scope": "api:key" }]),
        ),
        (
            &absent,
            json!([{ "login": ["a", "b"] }, { "login": ["c"] }]),
            json!([{ "all_scopes": ["a", "b"] }, { "scope": "c" }]),
        ),
        (&absent, json!([{ "key": [] }, { "key": [] }]), scope("api:key")),
        // roles of a scheme that is not of OAuth (OpenAPI 3.1)
        (&absent, json!([{ "basic": ["admin"] }]), scope("admin")),
    ] {
        let imported = import(&secured(of_document, &of_operation), "security");
        assert_eq!(imported.asks("GET /a"), asks, "{of_document} {of_operation}");
    }
}

#[test]
fn nothing_is_public_by_tags_and_operations() {
    for of_operation in [json!([]), json!([{}])] {
        for (scope_from, scope) in [("tag", "api:untagged"), ("operation", "api:get-a")] {
            let imported = import(&secured(&json!([{}]), &of_operation), scope_from);
            assert_eq!(imported.asks("GET /a"), json!({ "scope": scope }));
        }
    }
}

#[test]
fn of_two_operations_with_one_pattern_the_public_one_gives_way() {
    for (one, other) in [(json!([]), json!([{ "key": [] }])), (json!([{ "key": [] }]), json!([]))] {
        let document = paths(&json!({
            "/a/{b}": { "get": { "security": one } }, "/a/{c}": { "get": { "security": other } },
        }));
        let imported = import(&document, "security");
        assert_eq!(imported.routes().len(), 1);
        let rules: Vec<_> = imported.rules().into_values().collect();
        assert_eq!(rules[0]["require"], json!({ "scope": "api:key" }), "{document}");
        imported.run.says(&["1 as routes, 1 covered by others"]);
    }
}

#[test]
fn what_the_document_does_not_say_is_told() {
    let imported = import(&secured(&json!("absent"), &json!("absent")), "security");
    let note = "operations for which the document states no security: 1 (scope `api:unsaid`)";
    let run = imported
        .run
        .shows(&[&format!("# Note: {note}.\n"), "      # the document does not say what these need\n"]);
    run.says(&[&format!("note: {note}\n")]);
    let imported = import(&secured(&json!([{ "other": [] }]), &json!("absent")), "security");
    assert_eq!(imported.asks("GET /a"), json!({ "scope": "api:other" }));
    imported.run.says(&["note: the security scheme `other` is not defined in the document\n"]);
}

#[test]
fn there_is_a_scope_and_a_rule_for_each_first_tag() {
    let imported = import(
        &paths(&json!({
            "/a": { "get": { "tags": ["pets", "all"] }, "post": { "tags": [] } },
            "/b": { "get": { "tags": ["pets"] }, "put": { "tags": null } },
            "/c": { "get": { "tags": ["User Management"] } },
        })),
        "tag",
    );
    let rules: Vec<_> =
        imported.routes().into_iter().map(|(route, rule)| format!("{route} {rule}")).collect();
    let tagged =
        ["GET /a pets", "GET /b pets", "GET /c User-Management", "POST /a untagged", "PUT /b untagged"];
    assert_eq!(rules, tagged);
    assert_eq!(imported.asks("GET /a"), json!({ "scope": "api:pets" }));
    assert_eq!(imported.asks("GET /c"), json!({ "scope": "api:User-Management" }));
    imported.run.shows(&["      # tag: User Management\n      User-Management:\n"]);
}

#[test]
fn there_is_a_scope_and_a_rule_for_each_operation() {
    let imported = import(
        &paths(&json!({
            "/a/{b}": { "get": { "operationId": "showOne" }, "post": {} },
            "/": { "get": { "operationId": "repos/list for org" } },
            "/c": { "get": { "operationId": "" }, "put": { "operationId": 5 } },
        })),
        "operation",
    );
    let rules: Vec<_> =
        imported.routes().into_iter().map(|(route, rule)| format!("{route} {rule}")).collect();
    let named = [
        "GET / repos/list-for-org",
        "GET /a/{b} showOne",
        "GET /c get-c",
        "POST /a/{b} post-a-b",
        "PUT /c 5",
    ];
    assert_eq!(rules, named);
    assert_eq!(imported.asks("GET /"), json!({ "scope": "api:repos/list-for-org" }));
    imported.run.shows(&["      # operation: repos/list for org\n"]);
}

fn names(scope_from: &str, words: &[&str]) -> (Imported, Vec<String>) {
    let mut of_paths = json!({});
    for (position, word) in words.iter().enumerate() {
        let operation = match scope_from {
            "tag" => json!({ "tags": [word] }),
            "operation" => json!({ "operationId": word }),
            _ => json!({ "security": [{ "login": [word] }] }),
        };
        of_paths[format!("/{position}")] = json!({ "get": operation });
    }
    let imported = import(&paths(&of_paths), scope_from);
    let scopes = (0..words.len()).map(|position| {
        let asks = imported.asks(&format!("GET /{position}"));
        asks["scope"].as_str().unwrap_or_else(|| panic!("{asks}")).to_owned()
    });
    let scopes = scopes.collect();
    (imported, scopes)
}

#[test]
fn names_fit_and_differ() {
    let long = "long".repeat(300);
    let cut = format!("api:{}", "long".repeat(25));
    for scope_from in ["tag", "operation"] {
        for (words, scopes) in [
            (&["a b", "a-b", "a  b", "-a-b-"][..], &["api:a-b-4", "api:a-b", "api:a-b-3", "api:a-b-2"][..]),
            (
                &["true", "2024", "1.0", "null", "a:b", "a/b", "[x]", "x"],
                &["api:true", "api:2024", "api:1.0", "api:null", "api:a-b", "api:a/b", "api:x-2", "api:x"],
            ),
            (&[&long, &format!("{long}2")], &[&cut, &format!("{cut}-2")]),
        ] {
            assert_eq!(names(scope_from, words).1, scopes, "{scope_from} {words:?}");
        }
    }
    // without a letter that names have
    let words = ["用户", "é", "\"", "%"];
    assert_eq!(names("tag", &words).1, ["api:tag-4", "api:tag-3", "api:tag", "api:tag-2"]);
    assert_eq!(names("operation", &words).1, ["api:get-0", "api:get-1", "api:get-2", "api:get-3"]);
}

#[test]
fn a_rule_has_the_number_of_its_scope() {
    for scope_from in ["tag", "operation", "security"] {
        for words in [
            &["pay out", "pay-out"][..],
            &["pay-out", "pay out"],
            &["a b", "a-b", "a  b", "a-b-2", "-a-b-"],
            &["a:b", "a-b", "a b"],
            &["é", "tag", "operation", "scope", "%"],
        ] {
            let (imported, scopes) = names(scope_from, words);
            let routes = imported.routes();
            for (position, scope) in scopes.iter().enumerate() {
                let rule = &routes[&format!("GET /{position}")];
                let scope = scope.strip_prefix("api:").unwrap_or(scope);
                // a scope of the document may have letters that rules have not
                let differs =
                    scope_from == "security" && (scope.contains([':', '%']) || scope.starts_with('-'));
                assert_eq!(rule != scope, differs, "{scope_from} {words:?}: {rule} {scope}");
            }
        }
    }
}

#[test]
fn a_scope_may_have_any_name_that_yaml_has_a_use_for() {
    let words = [
        "<<", "=", "null", "~", "true", "-", "?", "&a", "*a", "!a", "%a", "@a", "`", "#a", "{}", "[]", "|",
        ">",
    ];
    let (_, scopes) = names("security", &words);
    assert_eq!(scopes, words);
}

#[test]
fn one_operation_id_twice_makes_two_rules() {
    let (imported, mut scopes) = names("operation", &["same", "same", "same-2"]);
    scopes.sort();
    assert_eq!(scopes, ["api:same", "api:same-2", "api:same-2-2"]);
    assert_eq!(imported.rules().len(), 3);
}

#[test]
fn scopes_of_the_document_keep_their_names() {
    let (imported, scopes) = names(
        "security",
        &[
            "orders:read",
            "https://api.example.com/auth/x.readonly",
            "read users",
            "read-users",
            "api:key",
            "用户",
        ],
    );
    let kept = [
        "orders:read",
        "https://api.example.com/auth/x.readonly",
        "read-users-2",
        "read-users",
        "api:key",
        "scope",
    ];
    assert_eq!(scopes, kept);
    imported.run.says(&["note: the scope `read users` is written `read-users-2`\n"]);
    // one of the document's goes before one that is made
    let document = paths(&json!({
        "/a": { "get": { "security": [{ "key": [] }] } }, "/b": { "get": { "security": [{ "login": ["api:key"] }] } },
    }));
    let imported = import(&document, "security");
    assert_eq!(imported.asks("GET /a"), json!({ "scope": "api:key-2" }));
    assert_eq!(imported.asks("GET /b"), json!({ "scope": "api:key" }));
}

#[test]
fn descriptions_are_one_line_of_the_document() {
    let long = "word ".repeat(100);
    for (text, description) in [
        ("All about pets", "All about pets".to_owned()),
        ("  Pets:\n\n* cats # and dogs\n", "Pets: * cats # and dogs".to_owned()),
        ("\"quoted\" \\ back", "\"quoted\" \\ back".to_owned()),
        ("- item", "- item".to_owned()),
        ("yes", "yes".to_owned()),
        ("a: b", "a: b".to_owned()),
        ("{a} [b] &c *d !e |f >g %h @i `j`", "{a} [b] &c *d !e |f >g %h @i `j`".to_owned()),
        ("turned \u{202e} round\u{feff}", "turned \\u{202e} round\\u{feff}".to_owned()),
        ("bell \u{7} rings", "bell \\u{7} rings".to_owned()),
        ("ends with:", "ends with:".to_owned()),
        (&long, format!("{}…", "word ".repeat(24).trim_end())),
        (" \n", "Operations tagged x".to_owned()),
        ("Übung 用户", "Übung 用户".to_owned()),
    ] {
        let mut document = paths(&json!({ "/a": { "get": { "tags": ["x"] } } }));
        document["tags"] =
            json!([{ "name": "y", "description": "other" }, { "name": "x", "description": text }]);
        assert_eq!(import(&document, "tag").scopes()["api:x"], description, "{text:?}");
    }
}

#[test]
fn descriptions_come_from_where_the_scopes_come_from() {
    let document = json!({
        "openapi": "3.1.0",
        "paths": {
            "/a": { "get": { "operationId": "a", "summary": "Short", "description": "Long", "security": [{ "login": ["x"] }] } },
            "/b": { "get": { "operationId": "b", "description": "Long", "security": [{ "login": ["y"] }] } },
            "/c": { "get": { "operationId": "c", "security": [{ "key": [] }] } },
            "/d": { "get": { "operationId": "d", "security": [{ "basic": [] }] } },
            "/e": { "get": { "operationId": "e", "security": [{ "login": ["z"] }] } },
        },
        "components": { "securitySchemes": {
            "key": { "type": "apiKey", "description": "A key" },
            "basic": { "type": "http" },
            "login": { "type": "oauth2", "flows": {
                "x-more": 1,
                "implicit": { "scopes": { "x": "See x" } },
                "clientCredentials": { "scopes": { "y": "See y", "unused": "Nothing" } },
            } },
        } },
    });
    let described = |scope_from| {
        let scopes = import(&document, scope_from).scopes();
        scopes.into_iter().map(|(scope, text)| format!("{scope}={text}")).collect::<Vec<_>>()
    };
    assert_eq!(
        described("operation"),
        ["api:a=Short", "api:b=Long", "api:c=GET /c", "api:d=GET /d", "api:e=GET /e"]
    );
    assert_eq!(
        described("security"),
        [
            "api:basic=Operations behind the security scheme basic",
            "api:key=A key",
            "x=See x",
            "y=See y",
            "z=z"
        ]
    );
    assert_eq!(described("tag"), ["api:untagged=Operations without a tag"]);
}

#[test]
fn comments_stay_comments() {
    let document = "openapi: 3.0.3\ninfo:\n  title: \"x\\n  apis: {}\\u2028\\e[31m\"\n  version: 1\nservers: [{url: \"/a\\nb\"}]\npaths:\n  \"/v{a}\\nclients: {}\": {get: {}}\n  /b: {get: {tags: [\"c\\nd: e\"]}}\n";
    let imported = import_as("api.yaml", document, "tag");
    assert_eq!(
        imported.policies.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["apis", "scopes", "version"]
    );
    assert!(!imported.run.stdout.contains(['\u{2028}', '\u{1b}']), "{}", imported.run.stdout);
    assert!(!imported.run.stderr.contains(['\u{2028}', '\u{1b}']), "{}", imported.run.stderr);
}
