//! `jeton policies matrix` of many clients, for spreadsheets and for browsers.
use std::{collections::BTreeSet, fmt::Write};

use jeton_policy::PolicySources;
use serde_json::{Value, json};

use crate::binary::Workplace;

/// Clients of these names, and an API of so many routes that ask for the tenant of each.
fn with_clients<'n>(names: impl IntoIterator<Item = &'n str>, routes: usize) -> Workplace {
    let mut text = "version: 1\nscopes: { orders:read: Read orders }\napis:\n  orders:\n    audience: \
                    https://orders.example.com\n    rules:\n      read:\n        routes:\n"
        .to_owned();
    for number in 0..routes {
        let _ = writeln!(text, "          - GET /tenants/{{tenant}}/things-{number}");
    }
    text +=
        "        require: { scope: orders:read, claims: { tenant: { same_as_path: tenant } } }\nclients:\n";
    for (number, name) in names.into_iter().enumerate() {
        let _ = write!(
            text,
            "  {name:?}:\n    secrets: [{{ sha256: {number:064x} }}]\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n    \
             claims: {{ tenant: \"{number}\" }}\n"
        );
    }
    let workplace = Workplace::new();
    workplace.write("policies/policies.yaml", &text);
    workplace
}

fn matrix(workplace: &Workplace, format: &str) -> String {
    workplace.run(&["policies", "matrix", "--format", format]).exits(0).stdout
}

/// The data in the page of `--format html`, as a browser reads them.
pub(crate) fn data_of(page: &str) -> Value {
    let (_, data) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    serde_json::from_str(data.split_once("</script").unwrap().0).unwrap()
}

/// The data of the page as `--format json` has them: they are the same, with codes for the access, the place of each rule, and each
/// `bound_tokens` of an API.
#[track_caller]
pub(crate) fn as_command(data: &Value) -> Value {
    let mut matrices = data.clone();
    for matrix in matrices.as_array_mut().unwrap() {
        let matrix = matrix.as_object_mut().unwrap();
        let conditions = matrix.remove("conditions").unwrap();
        if matrix["bound_tokens"] == false {
            matrix.remove("bound_tokens");
        }
        for route in matrix["routes"].as_array_mut().unwrap() {
            let route = route.as_object_mut().unwrap();
            assert!(route.remove("line").unwrap().as_u64().unwrap() > 0, "{route:?}");
            assert!(route.remove("file").unwrap().is_string(), "{route:?}");
            for access in route["access"].as_array_mut().unwrap() {
                *access = match access.as_u64().unwrap() {
                    0 => "never".into(),
                    1 => "always".into(),
                    code => json!({ "when": conditions[usize::try_from(code).unwrap() - 2] }),
                };
            }
        }
    }
    matrices
}

#[test]
fn the_page_holds_what_the_command_says_and_where_each_rule_is() {
    let workplace = Workplace::sample();
    let data = data_of(&matrix(&workplace, "html"));
    let json: Value = serde_json::from_str(&matrix(&workplace, "json")).unwrap();
    assert_eq!(as_command(&data), json);
    let orders = data.as_array().unwrap().iter().find(|matrix| matrix["api"] == "orders").unwrap();
    let route = &orders["routes"][1];
    assert_eq!(route["file"], "policies/orders.yaml");
    let line = usize::try_from(route["line"].as_u64().unwrap()).unwrap();
    let text = workplace.read("policies/orders.yaml");
    assert_eq!(text.lines().nth(line - 1).unwrap().trim(), "read-orders:");
}

/// Each condition stands there once, and each cell is a number: a page of many clients and routes stays small.
#[test]
fn a_large_page_is_small() {
    let names: Vec<_> = (0..100).map(|number| format!("client-{number}")).collect();
    let workplace = with_clients(names.iter().map(String::as_str), 200);
    let few = with_clients(["client-0"], 1);
    let (page, frame) = (matrix(&workplace, "html").len(), matrix(&few, "html").len());
    assert!(page - frame < 100 * 200 * 5, "{page} bytes, {frame} without the matrix");
}

/// All of these take minutes, for which nothing waits that runs the program.
#[test]
fn one_client_of_many_is_looked_at_alone() {
    let names: Vec<_> = (0..8_000).map(|number| format!("client-{number}")).collect();
    let workplace = with_clients(names.iter().map(String::as_str), 400);
    for format in ["table", "json", "csv", "html"] {
        let run = workplace
            .run(&[
                "policies",
                "matrix",
                "--client",
                "client-7",
                "--client",
                "client-4000",
                "--format",
                format,
            ])
            .exits(0);
        assert!(run.stdout.contains("client-4000") && !run.stdout.contains("client-8"), "{}", run.stdout);
    }
}

#[test]
fn names_are_in_the_order_of_their_numbers() {
    let ordered = [
        "a-2b",
        "a-10b",
        "a-010c",
        "client-1",
        "client-2",
        "client-10",
        "client-10-1",
        "client-10-9",
        "client-10-10",
        "z",
        "z0",
    ];
    let workplace = with_clients(
        [
            "client-10-10",
            "z0",
            "a-10b",
            "client-10",
            "client-2",
            "a-010c",
            "client-1",
            "z",
            "client-10-9",
            "client-10-1",
            "a-2b",
        ],
        1,
    );
    let matrices: Value = serde_json::from_str(&matrix(&workplace, "json")).unwrap();
    let ids: Vec<_> = matrices[0]["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|client| client["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ordered);
    for format in ["csv", "html", "table"] {
        let text = matrix(&workplace, format);
        let places: Vec<_> =
            ["client-1", "client-2", "client-10-9", "client-10-10"].map(|name| text.find(name)).into();
        assert!(places.is_sorted() && places.iter().all(Option::is_some), "{format}: {places:?} {text}");
    }
}

#[test]
fn no_cell_is_a_formula() {
    let names = ["=1+1", "+1", "-1", "@SUM(A1)", "a=1", "'=1", "1-1"];
    let text = matrix(&with_clients(names, 1), "csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let cells: BTreeSet<_> = reader.records().map(|record| record.unwrap()[1].to_owned()).collect();
    let expected = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "a=1", "'=1", "1-1"];
    assert_eq!(cells, expected.map(str::to_owned).into());
}

#[test]
fn the_name_of_a_rule_is_no_formula_either() {
    for (written, cell) in
        [("=1", "'=1"), ("\t=1", "'\\t=1"), ("\r@x", "'\\r@x"), ("\n=1", "\\n=1"), (" =1", " =1")]
    {
        let workplace = with_clients(["acme"], 1);
        let text =
            workplace.read("policies/policies.yaml").replace("      read:", &format!("      {written:?}:"));
        workplace.write("policies/policies.yaml", &text);
        let text = matrix(&workplace, "csv");
        assert!(text.contains(&format!(",{cell},when,tenant = 0,a secret\n")), "{text}");
    }
}

#[test]
fn a_page_says_of_which_policies_it_is() {
    let workplace = Workplace::sample();
    let page = matrix(&workplace, "html");
    let (_, about) = page.split_once("<p class=\"about\">").unwrap();
    let (about, _) = about.split_once("</p>").unwrap();
    let [of, hash, r#in, dir, read, day, time, utc] = about.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{about}")
    };
    assert_eq!((of, r#in, dir, read, utc), ("policies", "in", "policies,", "read", "UTC"), "{about}");
    assert_eq!(hash, PolicySources::read(&workplace.path("policies")).unwrap().hash().to_string());
    assert!(day.len() == 10 && time.len() == 5, "{about}");
}

#[test]
fn an_odd_folder_is_harmless_in_the_page() {
    let workplace = Workplace::new();
    let name = "<img src=x onerror=alert(1)>&amp;/*DATA*/\u{1b}[2J";
    workplace.write(&format!("{name}/x.yaml"), "version: 1\nscopes: { x: x }\n");
    let page = workplace.run(&["policies", "matrix", name, "--format", "html"]).exits(0).stdout;
    assert!(!page.contains("<img") && !page.contains('\u{1b}'), "{page}");
    assert!(
        page.contains(" in &lt;img src=x onerror=alert(1)&gt;&amp;amp;/*DATA*/\\u{1b}[2J, read "),
        "{page}"
    );
    assert!(page.contains("<script id=\"data\" type=\"application/json\">["), "{page}");
}

/// An API that takes bound tokens only, one that takes any, a client that gets no others, and one that gets any.
#[test]
fn every_format_says_where_tokens_must_be_bound() {
    let workplace = with_clients(["free", "bound"], 1);
    let text = workplace.read("policies/policies.yaml");
    let text = text.replace("  \"bound\":\n", "  \"bound\":\n    bound_tokens: true\n");
    workplace.write("policies/policies.yaml", &text);
    let table = matrix(&workplace, "table");
    assert!(table.contains("\nbound may be had by a secret; bound tokens only\n"), "{table}");
    assert!(table.contains("\nfree may be had by a secret\n") && !table.contains("orders: takes"), "{table}");
    let csv = matrix(&workplace, "csv");
    assert!(csv.contains("= 1,a secret; bound tokens only\n") && csv.contains("= 0,a secret\n"), "{csv}");
    let of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let json = of(&matrix(&workplace, "json"));
    let bound = |value: &Value| value.get("bound_tokens").cloned();
    assert_eq!(json[0]["clients"][0]["id"], "bound");
    let flags = |json: &Value| [&json[0], &json[0]["clients"][0], &json[0]["clients"][1]].map(bound);
    assert_eq!(flags(&json), [None, Some(true.into()), None]);

    workplace
        .write("policies/policies.yaml", &text.replace("    rules:", "    bound_tokens: true\n    rules:"));
    let table = matrix(&workplace, "table");
    assert!(table.contains("orders: takes bound tokens only\n"), "{table}");
    let csv = matrix(&workplace, "csv");
    assert_eq!(csv.matches("; bound tokens only\n").count(), 2, "{csv}");
    let json = of(&matrix(&workplace, "json"));
    assert_eq!(flags(&json), [Some(true.into()), Some(true.into()), None]);
    let page = matrix(&workplace, "html");
    assert_eq!(as_command(&data_of(&page)), json);
    assert!(page.contains("takes bound tokens only"));
}

/// A client may have certificates and nothing else.
#[test]
fn every_format_says_that_a_client_may_be_had_by_a_certificate() {
    let workplace = with_clients(["bare", "known", "late", "named", "pinned"], 1);
    let mut text = workplace.read("policies/policies.yaml");
    for (number, credentials) in [
        (0, String::new()),
        (
            1,
            format!(
                "certificates: [{{ sha256: {0} }}, {{ san_uri: 'spiffe://example.com/known' }}]",
                "a".repeat(64)
            ),
        ),
        (2, format!("certificates: [{{ sha256: {0}, expires: 2020-01-01T00:00:00Z }}]", "b".repeat(64))),
        (3, "certificates: [{ subject: 'CN=named,O=Example' }]".to_owned()),
        (4, format!("certificates: [{{ sha256: {0} }}]", "c".repeat(64))),
    ] {
        text = text.replace(&format!("secrets: [{{ sha256: {number:064x} }}]"), &credentials);
    }
    workplace.write("policies/policies.yaml", &text);
    let spiffe = "a certificate with san_uri spiffe://example.com/known";
    let expected: [(&str, &[&str]); 5] = [
        ("bare", &[]),
        ("known", &["a certificate", spiffe]),
        ("late", &[]),
        ("named", &["a certificate with subject CN=named,O=Example"]),
        ("pinned", &["a certificate"]),
    ];
    let of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let json = of(&matrix(&workplace, "json"));
    let page = matrix(&workplace, "html");
    assert_eq!(as_command(&data_of(&page)), json);
    let csv = matrix(&workplace, "csv");
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let cells: Vec<_> =
        rows.records().map(|row| row.unwrap()).map(|row| (row[1].to_owned(), row[6].to_owned())).collect();
    for (at, (id, credentials)) in expected.into_iter().enumerate() {
        let client = &json[0]["clients"][at];
        assert_eq!((&client["id"], &client["credentials"]), (&id.into(), &credentials.into()), "{client}");
        assert_eq!(cells[at], (id.to_owned(), credentials.join(" or ")), "{csv}");
    }
    let table = matrix(&workplace, "table");
    let table = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "bare, late cannot be had: no credentials, or all have expired".to_owned(),
        format!("known may be had by a certificate, or {spiffe}"),
        "named may be had by a certificate with subject CN=named,O=Example".to_owned(),
        "pinned may be had by a certificate".to_owned(),
    ] {
        assert!(table.contains(&line), "{line}: {table}");
    }
}
