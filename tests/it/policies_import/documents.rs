//! What is read as an OpenAPI document, and what is refused as which other thing.
use std::{fmt::Write, fs::File, process::Command};

use super::{import_as, refusal_or_result};
use crate::binary::Workplace;

#[test]
fn json_and_yaml_are_read_whatever_the_file_is_called() {
    for (name, document) in [
        ("api.json", r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}}}"#),
        ("api.yaml", r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}}}"#),
        ("api.json", "openapi: 3.0.0\npaths:\n  /a:\n    get: {}\n"),
        ("api", "# a comment\n---\nopenapi: '3.1.0'\npaths: {/a: {get: {}}}\n"),
        ("api.yaml", "%YAML 1.2\r\n---\r\nopenapi: 3.2.0\r\npaths:\r\n  /a:\r\n    get: {}\r\n"),
        ("api.yaml", "\u{feff}openapi: 3.0\npaths: {/a: {get: {}}}\n"),
        ("api.json", "\u{feff} {\"openapi\":\"3.0.0\",\"paths\":{\"/a\":{\"get\":{}}}}"),
        // YAML that looks like JSON
        ("api.json", "{openapi: 3.0.0, paths: {/a: {get: {}}}}"),
        ("api.yaml", "{\"openapi\": \"3.0.0\", \"paths\": {\"/a\": {\"get\": {},}, }, } # more\n"),
        // what is passed over may be anything
        (
            "api.yaml",
            "openapi: 3.0.0\nx: [.inf, 1e999, !!binary AAAA, !own 1]\npaths: {/a: {get: {responses: {200: {}}}}}\n",
        ),
        // values by reference
        ("api.yaml", "openapi: 3.0.0\nx: &x {get: {}}\npaths: {/a: *x}\n"),
        ("api.yaml", "openapi: 3.0.0\nx: &x {get: {}}\npaths: {/a: {<<: *x}}\n"),
    ] {
        let imported = import_as(name, document, "tag");
        assert_eq!(imported.routes().into_keys().collect::<Vec<_>>(), ["GET /a"], "{document}");
    }
}

#[test]
fn one_anchor_may_be_used_often() {
    let uses: Vec<_> = (0..2000).map(|number| format!("  /{number}: *x\n")).collect();
    let uses = uses.concat();
    let document = format!("openapi: 3.0.0\nx: &x {{get: {{responses: {{200: {{}}}}}}}}\npaths:\n{uses}");
    assert_eq!(import_as("api.yaml", &document, "tag").routes().len(), 2000);
}

#[test]
fn long_documents_are_read() {
    // beyond what the YAML library takes by default: 250,000 values
    let examples = "      - {a: 1, b: [2, 3], c: text}\n".repeat(45_000);
    let document = format!("openapi: 3.0.0\npaths:\n  /a:\n    get:\n      x:\n{examples}");
    assert_eq!(import_as("api.yaml", &document, "tag").routes().len(), 1);
}

#[test]
fn other_documents_are_refused_with_what_they_are() {
    let deep: Vec<_> = (1..300).map(|depth| format!("\n{}a:", " ".repeat(depth))).collect();
    let deep = format!("openapi: 3.0.0\nx:{}\n", deep.concat());
    let tenfold = |step| format!("a{step}: &a{step} [{}]\n", vec![format!("*a{}", step - 1); 10].join(","));
    let bomb: Vec<_> = (1..12).map(tenfold).collect();
    let bomb = format!("a0: &a0 [x]\n{}openapi: 3.0.0\npaths: {{/a: {{get: {{}}}}}}\n", bomb.concat());
    for (document, says) in [
        ("", "this is empty"),
        (" \n", "this is empty"),
        ("\u{feff}", "this is empty"),
        ("# nothing\n", "this text cannot be read as an OpenAPI 3 document: unexpected end of file"),
        ("<!DOCTYPE html><html></html>", "this is HTML or XML: fetch the document itself"),
        ("\n<?xml version=\"1.0\"?>", "this is HTML or XML"),
        ("[]", "expected an object with the member `openapi`"),
        ("- openapi: 3.0.0", "expected an object with the member `openapi`"),
        ("\"openapi\"", "expected an object with the member `openapi`"),
        ("openapi", "expected an object with the member `openapi`"),
        ("3", "expected an object with the member `openapi`"),
        ("null", "expected an object with the member `openapi`"),
        ("{}", "this is not an OpenAPI document: name one that has the member `openapi`"),
        (
            "{\"paths\":{\"/a\":{\"get\":{}}}}",
            "this is not an OpenAPI document: name one that has the member `openapi`",
        ),
        (
            "{\"swagger\":\"2.0\",\"paths\":{\"/a\":{\"get\":{}}}}",
            "this is a Swagger document (`swagger: 2.0`)",
        ),
        (
            "swagger: '2.0'\npaths: {/a: {get: {}}}\n",
            "convert it to OpenAPI 3 first, for example by `npx swagger2openapi`",
        ),
        // told as what it is, though it would not be read either
        ("swagger: 2.0\npaths: []\n", "this is a Swagger document (`swagger: 2.0`)"),
        ("{\"swaggerVersion\":\"1.2\"}", "this is a Swagger 1 document"),
        ("asyncapi: 3.0.0\n", "this is an AsyncAPI document (`asyncapi: 3.0.0`)"),
        ("{\"discoveryVersion\":\"v1\"}", "this is a Google discovery document"),
        ("openapi: 4.0.0\npaths: {/a: {get: {}}}\n", "this is OpenAPI 4.0.0, but jeton reads only OpenAPI 3"),
        ("openapi: 2.0\n", "this is OpenAPI 2.0, but jeton reads only OpenAPI 3"),
        ("openapi: 30.0\n", "this is OpenAPI 30.0, but jeton reads only OpenAPI 3"),
        ("openapi: 3.0.0\n", "this document has no paths"),
        ("openapi: 3.1.0\nwebhooks: {a: {post: {}}}\npaths: {}\n", "this document has no paths"),
        ("openapi: 3.0.0\npaths: []\n", "expected the `paths` of a document"),
        ("openapi: 3.0.0\npaths: {/a: [get]}\n", "expected the operations of a path"),
        ("{\"openapi\":\"3.0.0\",\"paths\":{\"/a\":{\"get\":5}}}", "expected an operation at line 1 column"),
        (
            "{\"openapi\":\"3.0.0\",\"paths\":{\"/a\":{\"get\":{\"security\":{}}}}}",
            "this document cannot be read: ",
        ),
        ("openapi: 3.0.0\npaths: {/a: {get: {security: [key]}}}\n", "this document cannot be read: "),
        ("{\"openapi\":\"3.0.0\",", "at line 1 column 19"),
        ("openapi: 3.0.0\npaths: {/a: {get: {}}\n", "this text cannot be read as an OpenAPI 3 document: "),
        (
            "openapi: 3.0.0\npaths: {/a: {get: {}}, /a: {get: {}}}\n",
            "this text cannot be read as an OpenAPI 3 document: duplicate",
        ),
        ("openapi: 3.0.0\n---\npaths: {/a: {get: {}}}\n", "only single YAML document expected"),
        ("openapi: 3.0.0\npaths: {/a: *x}\n", "reference to unknown value"),
        (&deep, "too deep, or aliases that repeat too much"),
        (&bomb, "too large or too complex"),
    ] {
        let workplace = Workplace::empty();
        workplace.write("api.yaml", document);
        let run =
            refusal_or_result(&workplace, "api.yaml", "tag").exits(1).says(&["error: api.yaml: ", says]);
        assert_eq!(run.stdout, "", "{document}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
        assert!(run.stderr.len() < 400, "{run:#?}");
    }
}

#[test]
fn what_stands_twice_is_refused_in_json_and_yaml() {
    for document in [
        // methods, paths, and what they need
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[]},"get":{"security":[{"o":["x"]}]}}}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[{"o":["x"]}]},"get":{"security":[]}}}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"delete":{}},"/a":{"get":{}}}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[{"o":["x"]}],"security":[]}}}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[{"o":["x"],"o":[]}]}}}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}},"security":[{"o":[]}],"security":[]}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}},"paths":{"/b":{"get":{}}}}"#,
        r##"{"openapi":"3.0.0","paths":{"/a":{"$ref":"#/paths/~1b","$ref":"#/paths/~1c"},"/b":{"get":{}},"/c":{"get":{}}}}"##,
        r#"{"openapi":"3.0.0","paths":{"/a":{"servers":[],"get":{},"servers":[{"url":"/b"}]}}}"#,
        r#"{"openapi":"3.2.0","paths":{"/a":{"additionalOperations":{"GET":{},"GET":{"security":[]}}}}}"#,
        r#"{"openapi":"3.2.0","paths":{"/a":{"additionalOperations":{},"additionalOperations":{"GET":{}}}}}"#,
        // what is used from elsewhere
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}},"components":{"securitySchemes":{"o":{},"o":{}}}}"#,
        r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}},"components":{"pathItems":{"o":{},"o":{}}}}"#,
        r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}},"components":{},"components":{}}"#,
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}}},"servers":[{"url":"/{v}","variables":{"v":{"default":"a"},"v":{"default":"b"}}}]}"#,
        // by an escape
        r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[{"o":["x"]}]},"\u0067et":{"security":[]}}}}"#,
        // what it is
        r#"{"openapi":"3.0.0","openapi":"3.1.0","paths":{"/a":{"get":{}}}}"#,
        r#"{"swagger":"2.0","swagger":"2.0"}"#,
    ] {
        let yaml = format!("# as YAML\n{document}");
        for document in [document, &yaml] {
            let workplace = Workplace::empty();
            workplace.write("api.json", document);
            let run = refusal_or_result(&workplace, "api.json", "security").exits(1);
            let is_told = ["twice", "duplicate"].iter().any(|word| run.stderr.contains(word));
            assert!(is_told && run.stderr.contains("at line ") | run.stderr.contains("line 2"), "{run:#?}");
            assert_eq!(run.stdout, "", "{document}");
        }
    }
}

#[test]
fn plain_scalars_of_yaml_are_the_text_that_is_written() {
    let words = [
        "on",
        "off",
        "y",
        "n",
        "yes",
        "no",
        "On",
        "YES",
        "true",
        "True",
        "false",
        "1.10",
        "1.1",
        "1.0",
        "1",
        "0x10",
        "010",
        "0o10",
        "1_000",
        "1000",
        "1e3",
        "12:30",
        "2020-01-01",
        ".inf",
        ".nan",
        "+1",
        "-0",
        "123456789012345678901234567890",
    ];
    let mut document = "openapi: 3.1\npaths:\n".to_owned();
    for (position, word) in words.iter().enumerate() {
        let needs = format!("tags: [{word}], operationId: {word}, security: [{{o: [{word}]}}]");
        writeln!(document, "  /{position}: {{get: {{{needs}}}}}").unwrap();
    }
    let imported = import_as("api.yaml", &document, "security");
    for (position, word) in words.iter().enumerate() {
        assert_eq!(imported.asks(&format!("GET /{position}"))["scope"], *word);
    }
    for scope_from in ["tag", "operation"] {
        let imported = import_as("api.yaml", &document, scope_from);
        let rules = imported.rules();
        assert_eq!(rules.len(), words.len(), "{rules:#?}");
        let found = words.iter().filter(|word| imported.run.stdout.contains(&format!("api:{word}\n")));
        assert!(found.count() > 20, "{}", imported.run.stdout);
    }
    // names of schemes, and a version
    let document = "openapi: 3.0\ninfo: {title: on, version: 1.10}\nsecurity: [{on: []}]\npaths: {/a: {get: {}}, /b: {get: {security: [{yes: []}]}}}\n";
    let imported = import_as("api.yaml", document, "security");
    assert_eq!(imported.asks("GET /a")["scope"], "api:on");
    assert_eq!(imported.asks("GET /b")["scope"], "api:yes");
    imported.run.shows(&["from api.yaml: on 1.10, OpenAPI 3.0.\n"]);
    // a number where JSON wants a text
    let document = r#"{"openapi":3.0,"info":{"version":1.10},"paths":{"/a":{"get":{"tags":[1.10]}},"/b":{"get":{"tags":[1.1]}}}}"#;
    let imported = import_as("api.json", document, "tag");
    assert_eq!(imported.asks("GET /a")["scope"], "api:1.10");
    assert_eq!(imported.asks("GET /b")["scope"], "api:1.1");
}

#[test]
fn nothing_but_a_file_of_some_size_is_read() {
    let workplace = Workplace::empty();
    std::fs::create_dir(workplace.path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(workplace.path("pipe")).status().unwrap().success());
    File::create(workplace.path("large")).unwrap().set_len(128 * 1024 * 1024 + 1).unwrap();
    std::fs::write(workplace.path("utf-16"), [0xff, 0xfe, b'{', 0]).unwrap();
    for (name, says) in [
        ("absent", "absent cannot be read: No such file or directory"),
        ("folder", "folder is a folder, and not a file: name a file in which the document is saved"),
        ("pipe", "pipe is a pipe, and not a file: name a file"),
        ("/dev/zero", "/dev/zero is a device, and not a file: name a file"),
        ("large", "large holds more than 128 MiB"),
        ("utf-16", "utf-16 is not UTF-8: save it as UTF-8"),
    ] {
        let run = refusal_or_result(&workplace, name, "tag").exits(1).says(&[&format!("error: {says}")]);
        assert_eq!(run.stdout, "", "{name}");
    }
}

#[test]
fn wrong_usage_exits_2() {
    let workplace = Workplace::empty();
    workplace.write("api.yaml", "openapi: 3.0.0\npaths: {/a: {get: {}}}\n");
    let long = "a".repeat(257);
    for arguments in [
        &[][..],
        &["api.yaml"],
        &["api.yaml", "--api", "a"],
        &["api.yaml", "--audience", "https://a"],
        &["--api", "a", "--audience", "https://a"],
        &["api.yaml", "--api", "a b", "--audience", "https://a"],
        &["api.yaml", "--api", "a", "--audience", "https://a b"],
        &["api.yaml", "--api", "", "--audience", "https://a"],
        &["api.yaml", "--api", &long, "--audience", "https://a"],
        &["api.yaml", "--api", "jeton", "--audience", "https://a"],
        &["api.yaml", "--api", "a", "--audience", "https://a", "--scope-from", "path"],
        &["api.yaml", "more.yaml", "--api", "a", "--audience", "https://a"],
    ] {
        let run = workplace.run(&[&["policies", "import"], arguments].concat()).exits(2);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{run:#?}");
    }
    // the longest name leaves room for scopes
    let name = "a".repeat(256);
    let run = workplace
        .run(&["policies", "import", "api.yaml", "--api", &name, "--audience", "https://a"])
        .exits(0);
    workplace.write("policies/a.yaml", &run.stdout).run(&["policies", "check"]).exits(0);
}
