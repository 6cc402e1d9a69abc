//! The documents of `examples/openapi/`, and that an import comes out the same each time.
use serde_json::json;

use super::{import, import_as};
use crate::binary::{Run, Workplace};

/// Each with the options that the README beside them has.
const EXAMPLES: [(&str, &str, &str); 3] = [
    ("shop.yaml", "shop", "tag"),
    ("library.json", "library", "operation"),
    ("payments.yaml", "payments", "security"),
];

fn import_example(file: &str, api: &str, scope_from: &str) -> Run {
    let file = format!("{}/examples/openapi/{file}", env!("CARGO_MANIFEST_DIR"));
    let audience = format!("https://{api}.example.com");
    let arguments = ["policies", "import", &file, "--api", api, "--audience", &audience];
    Workplace::empty().run(&[&arguments[..], &["--scope-from", scope_from]].concat()).exits(0)
}

#[test]
fn the_examples_become_policy_files() {
    for (file, api, scope_from) in EXAMPLES {
        let Run { stdout, stderr, .. } = import_example(file, api, scope_from);
        insta::assert_snapshot!(format!("import-{api}"), format!("{stdout}--- standard error\n{stderr}"));
    }
}

#[test]
fn every_example_passes_check_however_it_is_imported() {
    for (file, api, _) in EXAMPLES {
        for scope_from in ["tag", "operation", "security"] {
            let run = import_example(file, api, scope_from);
            let workplace = Workplace::new();
            workplace.write("policies/api.yaml", &run.stdout);
            workplace.run(&["policies", "check"]).exits(0).says(&["ok: 1 file, 1 API"]);
        }
    }
}

#[test]
fn the_readme_has_the_commands_that_are_tested() {
    let readme = include_str!("../../../examples/openapi/README.md");
    for (file, api, scope_from) in EXAMPLES {
        let audience = format!("https://{api}.example.com");
        let from = if scope_from == "tag" { String::new() } else { format!(" --scope-from {scope_from}") };
        let command = format!("jeton policies import {file} --api {api} --audience {audience}{from} > ");
        assert!(readme.contains(&command), "{command}");
    }
}

#[test]
fn neither_the_order_nor_the_form_of_a_document_matters() {
    let one = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"tags":["x"]},"post":{}},"/b":{"get":{}}}}"#;
    let other = r#"{"paths":{"/b":{"get":{}},"/a":{"post":{},"get":{"tags":["x"]}}},"openapi":"3.1.0"}"#;
    let yaml = "openapi: 3.1.0\npaths:\n  /b:\n    get: {}\n  /a:\n    post: {}\n    get:\n      tags: [x]\n";
    for scope_from in ["tag", "operation", "security"] {
        let [one, other, yaml] =
            [one, other, yaml].map(|document| import_as("api", document, scope_from).run.stdout);
        assert_eq!(one, other);
        assert_eq!(one, yaml);
    }
}

#[test]
fn a_client_can_be_added_to_what_was_imported() {
    let imported = import(
        &super::paths(&json!({ "/a/{b}": { "get": { "tags": ["x"] } }, "/{a}-{b}": { "get": {} } })),
        "tag",
    );
    let workplace = Workplace::new();
    workplace.write("policies/api.yaml", &imported.run.stdout);
    let client = ["clients", "add", "me", "--api", "api", "--scope", "api:x"];
    workplace.run(&client).exits(0);
    let explain = ["policies", "explain", "--api", "api", "--as", "me", "GET"];
    workplace.run(&[&explain[..], &["/a/1"]].concat()).exits(0);
    workplace.run(&[&explain[..], &["/1-2"]].concat()).exits(3);
}
