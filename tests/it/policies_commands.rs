//! `jeton policies check`, `test` and `matrix` by the real binary: exit codes, what goes where, every format.
use std::{collections::BTreeSet, fmt::Write, fs};

use quick_junit::{Report, TestCaseStatus};
use serde_json::{Value, json};

use crate::{
    binary::{Run, Workplace},
    policies_matrix::{as_command, data_of},
};

/// One mistake of structure, so that there are no policies at all.
const BROKEN: &str = "version: 1\nscope: {}\n";

/// Tests that pass and fail, for clients and for bearers, and rules that none touches.
const TESTED: &str = r#"version: 1

scopes:
  orders:read: Read orders
  orders:write: Change orders

roles:
  lead: [orders:read, orders:write]

apis:
  orders:
    audience: https://orders.example.com
    rules:
      health:
        routes: [GET /healthz]
        public: true
      read:
        routes: ["GET /tenants/{tenant}/orders"]
        require:
          - scope: orders:read
            claims: { tenant: { same_as_path: tenant } }
          - role: lead
      write:
        routes: ["POST /tenants/{tenant}/orders"]
        require: { scope: orders:write }

clients:
  acme-sync:
    secrets: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }]
    grants:
      orders: { scopes: [orders:read] }
    claims: { tenant: acme }
  lead:
    secrets: [{ sha256: 2222222222222222222222222222222222222222222222222222222222222222 }]
    grants:
      orders: { roles: [lead] }
"#;

const TESTS: &str = r#"version: 1

tests:
  - as: acme-sync
    api: orders
    allow:
      - GET /tenants/acme/orders
      - GET /tenants/globex/orders
      - GET /tenants/acme/stock
    deny:
      - GET /tenants/globex/orders
      - GET /tenants/acme/orders
  - as: { scopes: [orders:read], claims: { tenant: "<a&\"b\">" } }
    api: orders
    deny:
      - GET /tenants/acme/orders
"#;

fn tested() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", TESTED).write("policies/tests.yaml", TESTS);
    workplace
}

/// Holds that nothing is written for a terminal that is none.
#[track_caller]
fn plain(run: Run) -> Run {
    assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run:#?}");
    run
}

/// What a command prints where colours are asked for, and the same without them.
#[track_caller]
fn coloured(workplace: &mut Workplace, arguments: &[&str]) -> String {
    let plain = plain(workplace.run(arguments)).stdout;
    workplace.set("CLICOLOR_FORCE", "1");
    let coloured = workplace.run(arguments).stdout;
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain, "{arguments:?}");
    workplace.set("NO_COLOR", "1").set("CLICOLOR_FORCE", "0");
    assert_eq!(workplace.run(arguments).stdout, plain, "{arguments:?}");
    coloured
}

#[test]
fn findings_are_coloured_for_a_terminal_alone() {
    let mut workplace = Workplace::new();
    workplace.write("policies/a.yaml", "version: 1\nscopes: { a:read: Read }\n");
    let warned = coloured(&mut workplace, &["policies", "check"]);
    assert!(warned.contains("\u{1b}[33mwarning:"), "{warned:?}");
    let mut workplace = Workplace::new();
    workplace.write("policies/a.yaml", "version: 1\nscope: {}\n\"\\e[32m: error: [b]\": 1\n");
    let broken = coloured(&mut workplace, &["policies", "check"]);
    for shown in ["\u{1b}[2mpolicies/a.yaml:2:1:", "\u{1b}[31merror:", "\u{1b}[31m ^^^^^"] {
        assert!(broken.contains(shown), "{shown:?} in {broken:?}");
    }
    assert!(!broken.contains("\u{1b}[32m"), "{broken:?}");
}

#[test]
fn explanations_are_coloured_for_a_terminal_alone() {
    for (path, shown) in [
        ("/tenants/acme/orders", ["\u{1b}[32mALLOWED", "\u{1b}[32mheld"]),
        ("/tenants/globex/orders", ["\u{1b}[31mDENIED", "\u{1b}[31mMISSING"]),
    ] {
        let arguments = ["policies", "explain", "--api", "orders", "--as", "acme-sync", "GET", path];
        let coloured = coloured(&mut Workplace::sample(), &arguments);
        assert!(shown.iter().all(|shown| coloured.contains(shown)), "{coloured:?}");
        assert!(coloured.contains("\u{1b}[2m(policies/orders.yaml:"), "{coloured:?}");
    }
}

#[test]
fn wrong_usage_of_the_policies_commands_exits_2() {
    let workplace = Workplace::sample();
    for arguments in [
        &["test", "policies", "extra"][..],
        &["test", "--junit"],
        &["test", "--format", "json"],
        &["matrix", "--format", "xml"],
        &["matrix", "--api"],
        &["matrix", "--client"],
        &["matrix", "policies", "extra"],
        &["diff"],
        &["diff", "policies"],
        &["diff", "a", "b", "c"],
        &["diff", "policies", "policies", "--format", "table"],
        &["diff", "--git"],
        &["diff", "--git", "HEAD", "old", "new"],
        &["diff", "--git", "HEAD", "--git", "HEAD"],
    ] {
        let run = workplace.run(&[&["policies"], arguments].concat());
        assert_eq!(run.code, Some(2), "policies {}: {run:#?}", arguments.join(" "));
        assert_eq!(run.stdout, "", "policies {}", arguments.join(" "));
        assert!(!run.stderr.is_empty(), "policies {}", arguments.join(" "));
    }
}

#[test]
fn policies_that_do_not_load_exit_1_and_say_where() {
    let workplace = Workplace::sample();
    workplace.write("policies/broken.yaml", BROKEN);
    for arguments in [
        &["test"][..],
        &["test", "--junit", "out.xml"],
        &["matrix"],
        &["matrix", "--format", "csv"],
        &["matrix", "--format", "json"],
        &["matrix", "--format", "html"],
        &["diff", "policies", "policies"],
    ] {
        let run = workplace.run(&[&["policies"], arguments].concat()).exits(1);
        let run = plain(run).says(&["policies/broken.yaml:2:1: error: unknown key `scope`"]);
        assert_eq!(run.stdout, "", "policies {}", arguments.join(" "));
    }
    let report = Report::deserialize_from_str(&workplace.read("out.xml")).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (1, 0, 1), "a CI system is told too");
    let run = workplace.run(&["policies", "check"]).exits(1).says(&["1 finding: 1 error, no warnings"]);
    assert!(run.stdout.contains("policies/broken.yaml:2:1: error"), "{run:#?}");
}

#[test]
fn a_folder_that_is_not_there_exits_1() {
    let workplace = Workplace::sample();
    for arguments in [
        &["test", "nowhere"][..],
        &["matrix", "nowhere"],
        &["diff", "nowhere", "policies"],
        &["diff", "policies", "nowhere"],
    ] {
        let run = workplace.run(&[&["policies"], arguments].concat()).exits(1).says(&["nowhere"]);
        assert_eq!(run.stdout, "", "policies {}", arguments.join(" "));
    }
}

#[test]
fn check_counts_errors_and_warnings() {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", TESTED).write("policies/more.yml", "");
    let run = workplace.run(&["policies", "check"]).exits(0);
    let run = run.says(&["ok: 1 file, 1 API, 3 rules, 2 scopes, 1 role, 2 clients, no tests"]);
    let run =
        run.says(&["1 finding: no errors, 1 warning"]).shows(&["policies/more.yml: warning: is ignored"]);
    assert!(!run.stdout.contains("error"), "{run:#?}");
    let json = workplace.run(&["policies", "check", "--format", "json"]).exits(0);
    let findings: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(findings[0]["severity"], "warning");
    assert_eq!(findings[0]["code"], "passed-over");
    workplace.write("policies/tests.yaml", TESTS);
    workplace.run(&["policies", "check"]).exits(1).says(&["4 findings: 3 errors, 1 warning"]);
}

#[test]
fn tests_that_pass_exit_0() {
    let run = plain(Workplace::sample().run(&["policies", "test"]).exits(0));
    assert_eq!(run.stderr, "");
    let lines: Vec<_> = run.stdout.lines().collect();
    let (last, passed) = lines.split_last().unwrap();
    assert_eq!(*last, format!("{} passed, 0 failed", passed.len()));
    assert!(passed.iter().all(|line| line.starts_with("pass  ")), "{run:#?}");
    let line = "pass  deny  GET /tenants/globex/orders by acme-sync at orders: denied by rule read-orders";
    run.shows(&[line]);
}

#[test]
fn tests_that_fail_exit_1_and_say_what_would_have_to_be_different() {
    let run = plain(tested().run(&["policies", "test"]).exits(1));
    assert_eq!(run.stderr, "");
    insta::assert_snapshot!(run.stdout);
}

/// One line for each case, so that a line can be found by `grep`.
#[test]
fn a_failure_is_on_a_line_of_its_own_with_its_place() {
    let run = tested().run(&["policies", "test"]);
    let failing = run.stdout.lines().filter(|line| line.starts_with("FAIL")).count();
    let places: Vec<_> =
        run.stdout.lines().filter(|line| line.starts_with("      policies/tests.yaml:")).collect();
    assert_eq!((failing, places.len()), (3, 3), "{run:#?}");
    for (place, line) in places.iter().zip([8, 9, 12]) {
        assert!(place.contains(&format!("policies/tests.yaml:{line}: to pass, ")), "{place}");
    }
}

#[test]
fn policies_without_tests_are_told_so() {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", TESTED);
    let run = workplace.run(&["policies", "test"]).exits(0).says(&["no tests in policies", "`tests:`"]);
    assert!(run.stdout.ends_with("0 passed, 0 failed\n"), "{run:#?}");
}

#[test]
fn tests_may_be_required() {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", TESTED);
    let required = ["policies", "test", "--require-tests", "--junit", "out.xml"];
    let run = workplace.run(&required).exits(1).says(&["error: there are no tests in policies; write some"]);
    assert!(run.stdout.ends_with("0 passed, 0 failed\n") && !run.stderr.contains("note:"), "{run:#?}");
    let report = Report::deserialize_from_str(&workplace.read("out.xml")).unwrap();
    assert_eq!((report.tests, report.errors), (1, 1), "{report:#?}");
    // an empty list is none either
    workplace.write("policies/tests.yaml", "version: 1\ntests: []\n");
    workplace.run(&required).exits(1);
    Workplace::sample().run(&required).exits(0);
    tested().run(&required).exits(1).shows(&["3 passed, 3 failed"]);
}

/// `test` is not `check`, and still must not look as if all were well.
#[test]
fn tests_that_pass_say_that_a_guarantee_does_not_hold() {
    let workplace = Workplace::new();
    let guarantee = "    guarantees:\n      isolation:\n        routes: [\"GET /tenants/{tenant}/**\"]\n        \
                     only_when: { claims: { tenant: { same_as_path: tenant } } }\n\nclients:\n";
    workplace.write("policies/orders.yaml", &TESTED.replacen("\nclients:\n", guarantee, 1));
    workplace
        .run(&["policies", "test"])
        .exits(1)
        .says(&["a guarantee does not hold", "jeton policies check policies"]);
    let run = workplace.run(&["policies", "matrix"]).exits(0).says(&["a server would refuse these policies"]);
    assert!(run.stdout.starts_with("orders\n"), "{run:#?}");
}

#[test]
fn junit_has_a_case_for_each_line_and_counts_the_failures() {
    let workplace = tested();
    let run = workplace.run(&["policies", "test", "--junit", "out dir.xml"]).exits(1);
    assert!(run.stdout.contains("3 passed, 3 failed"), "{run:#?}");
    let report = Report::deserialize_from_str(&workplace.read("out dir.xml")).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (6, 3, 0));
    let [suite] = report.test_suites.as_slice() else { panic!("{report:#?}") };
    assert_eq!(suite.name.to_string(), "policies/tests.yaml");
    let failing: Vec<_> = suite
        .test_cases
        .iter()
        .filter_map(|case| match &case.status {
            TestCaseStatus::NonSuccess { message, description, .. } => {
                Some((case.name.to_string(), message.clone().unwrap(), description.clone().unwrap()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(failing.len(), 3, "{report:#?}");
    let (name, message, description) = &failing[0];
    assert_eq!(name, "allow GET /tenants/globex/orders by acme-sync at orders (line 8)");
    assert_eq!(message.as_str(), "to pass, `acme-sync` would need claims.tenant same_as_path `tenant`");
    assert!(description.as_str().contains("DENIED GET /tenants/globex/orders at orders"), "{description:?}");
    let passing = Workplace::sample();
    passing.run(&["policies", "test", "--junit", "out.xml"]).exits(0);
    let report = Report::deserialize_from_str(&passing.read("out.xml")).unwrap();
    assert!(report.tests > 10 && report.failures == 0 && report.errors == 0, "{report:#?}");
}

#[test]
fn junit_that_cannot_be_written_exits_1() {
    let run = Workplace::sample().run(&["policies", "test", "--junit", "no/such/folder.xml"]).exits(1);
    run.says(&["no/such/folder.xml", "cannot be written"]).shows(&[" passed, 0 failed"]);
}

/// What stands in a file must not write to the operator's terminal, nor look like a line of the report.
#[test]
fn odd_names_stay_on_their_line() {
    let workplace = odd();
    for (arguments, code) in [
        (&["test", "--junit", "out.xml"][..], 1),
        (&["matrix"], 0),
        (&["matrix", "--format", "csv"], 0),
        (&["check"], 1),
    ] {
        let run = workplace.run(&[&["policies"], arguments].concat()).exits(code);
        for text in [&run.stdout, &run.stderr] {
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!text.contains(control), "policies {}: {text:?}", arguments.join(" "));
            assert!(!text.lines().any(|line| line.starts_with("forged")), "{}: {text}", arguments.join(" "));
        }
    }
    let report = Report::deserialize_from_str(&workplace.read("out.xml")).unwrap();
    assert_eq!((report.tests, report.failures), (2, 1));
}

/// Every character that names, routes and claims may hold, at its worst.
const ODD: &str = r#"version: 1

scopes:
  "</script><img/onerror=alert(1)>": a

apis:
  orders:
    audience: https://orders.example.com
    rules:
      "</script>\nforged":
        routes:
          - GET /<!--<script>/{tenant}
          - GET /a|b`c"d'e,f/größe/{tenant}
        require:
          scope: "</script><img/onerror=alert(1)>"
          claims: { tenant: { same_as_path: tenant } }
      "\e[31mred":
        routes:
          - GET /<!--<script>
        require:
          claims: { "te\e[1mnant": { is: "\u009b2J" } }

clients:
  "</script><img src=x onerror=`alert(1)` ,\"|\\>":
    secrets: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }]
    grants:
      orders: { scopes: ["</script><img/onerror=alert(1)>"] }
    claims: { tenant: "<script src=//x>\u2028,\"" }
  "=cmd|' /c calc'!a1": {}

tests:
  - as: "=cmd|' /c calc'!a1"
    api: orders
    deny:
      - "GET /a\nforged\e[2J"
  - as: { claims: { tenant: "\e[31m</testcase>" } }
    api: orders
    allow:
      - "GET /a\nforged\e[2J]]>"
"#;

fn odd() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", ODD);
    workplace
}

#[test]
fn a_matrix_shows_who_may_do_what() {
    let run = plain(Workplace::sample().run(&["policies", "matrix"]).exits(0));
    assert_eq!(run.stderr, "");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{run:#?}");
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn a_matrix_is_of_the_api_and_the_clients_that_are_named() {
    let workplace = Workplace::sample();
    let matrix = |arguments: &[&str]| workplace.run(&[&["policies", "matrix"], arguments].concat());
    let run = matrix(&["--api", "orders", "--client", "globex-sync"]).exits(0);
    assert!(!run.stdout.contains("/principal") && !run.stdout.contains("acme"), "{run:#?}");
    run.shows(&["GET /tenants/{tenant}/orders", "tenant = globex"]);
    // somebody asked for it, so it has its column
    let run = matrix(&["policies", "--api", "orders", "--client", "operator"]).exits(0);
    run.shows(&["route                                         operator", "GET /healthz", "always"]);
    let run = matrix(&["--client", "acme-sync", "--client", "operator", "--format", "json"]).exits(0);
    let matrices: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(matrices.as_array().unwrap().len(), 2);
    assert_eq!(matrices[0]["clients"].as_array().unwrap().len(), 2);
    assert_eq!(matrices[0]["routes"][0]["access"].as_array().unwrap().len(), 2);
    matrix(&["--api", "stock"]).exits(1).says(&["no API `stock`"]);
    matrix(&["--client", "nobody"]).exits(1).says(&["no client `nobody`"]);
}

/// A folder with many clients, long names, long routes and long conditions.
fn wide(count: usize) -> Workplace {
    let workplace = Workplace::new();
    let mut clients = String::from("version: 1\n\nclients:\n");
    for number in 1..=count {
        let name = format!("client-{number}-{}", "x".repeat(number));
        let tenants: Vec<_> = (0..number % 8).map(|tenant| format!("tenant-{tenant}")).collect();
        let (secret, tenants) = ("1".repeat(64), tenants.join(", "));
        writeln!(
            clients,
            "  {name}:\n    secrets: [{{ sha256: {secret} }}]\n    claims: {{ tenants: [{tenants}] }}"
        )
        .unwrap();
        if number % 3 > 0 {
            clients += "    grants: { orders: { scopes: [orders:read] } }\n";
        }
    }
    workplace.write("policies/clients.yaml", &clients);
    workplace.write(
        "policies/orders.yaml",
        "version: 1\n\nscopes: { orders:read: x }\n\napis:\n  orders:\n    audience: https://orders.example.com\n    \
         rules:\n      read:\n        routes:\n          - GET /tenants/{tenant}/orders\n          \
         - DELETE /tenants/{tenant}/a-route/that-is/longer-than/what-stands/beside/a-cell\n        require:\n          \
         scope: orders:read\n          claims: { tenants: { contains_path: tenant } }\n",
    );
    workplace
}

#[test]
fn a_table_fits_a_terminal_of_80_columns() {
    let run = plain(wide(60).run(&["policies", "matrix"]).exits(0));
    for line in run.stdout.lines() {
        let width = line.chars().count();
        assert!(width <= 80, "{width}: {line}");
        assert_eq!(line.trim_end(), line, "spaces at the end");
    }
    for number in (1..=60).filter(|number| number % 3 > 0) {
        let client = format!("client-{number}-{}", "x".repeat(number));
        let heads = run.stdout.lines().filter(|line| line.split("  ").any(|cell| cell.trim() == client));
        assert_eq!(heads.count(), 1, "{client}\n{}", run.stdout);
    }
    insta::assert_snapshot!(wide(7).run(&["policies", "matrix"]).stdout);
}

/// What is wider than a terminal by itself stands on a line by itself.
#[test]
fn a_cell_that_is_too_wide_has_a_line_of_its_own() {
    let workplace = wide(1);
    let tenants: Vec<_> = (0..30).map(|tenant| format!("tenant-{tenant}")).collect();
    let clients =
        workplace.read("policies/clients.yaml").replace("[tenant-0]", &format!("[{}]", tenants.join(", ")));
    workplace.write("policies/clients.yaml", &clients);
    let run = workplace.run(&["policies", "matrix"]).exits(0);
    let wide: Vec<_> = run.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(
        wide.len() == 2 && wide.iter().all(|line| line.trim_start().starts_with("tenant = ")),
        "{run:#?}"
    );
}

#[test]
fn a_matrix_as_csv_has_a_record_for_each_client_and_route() {
    for workplace in [Workplace::sample(), odd(), wide(60)] {
        let run = plain(workplace.run(&["policies", "matrix", "--format", "csv"]).exits(0));
        let mut reader = csv::Reader::from_reader(run.stdout.as_bytes());
        let headers = vec!["api", "client", "route", "rule", "access", "condition", "credentials"];
        assert_eq!(reader.headers().unwrap(), headers);
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        let distinct: BTreeSet<_> =
            records.iter().map(|record| (&record[0], &record[1], &record[2])).collect();
        assert_eq!(distinct.len(), records.len());
        let json = workplace.run(&["policies", "matrix", "--format", "json"]).exits(0);
        let matrices: Value = serde_json::from_str(&json.stdout).unwrap();
        let mut expected = Vec::new();
        for matrix in matrices.as_array().unwrap() {
            for route in matrix["routes"].as_array().unwrap() {
                for (client, access) in
                    matrix["clients"].as_array().unwrap().iter().zip(route["access"].as_array().unwrap())
                {
                    // a name with control characters does not write to the terminal, and is no formula
                    let text = |value: &Value| {
                        let text = value.as_str().unwrap();
                        let guard = if text.starts_with('=') { "'" } else { "" };
                        format!("{guard}{text}").replace('\u{1b}', "\\u{1b}").replace('\n', "\\n")
                    };
                    let (access, condition) = match access.as_str() {
                        Some(access) => (access.to_owned(), String::new()),
                        None => ("when".to_owned(), text(&access["when"])),
                    };
                    let [api, id, way, rule] =
                        [&matrix["api"], &client["id"], &route["route"], &route["rule"]].map(text);
                    let credentials: Vec<_> =
                        client["credentials"].as_array().unwrap().iter().map(text).collect();
                    let credentials = credentials.join(" or ");
                    let record = vec![api, id, way, rule, access, condition, credentials];
                    expected.push(csv::StringRecord::from(record));
                }
            }
        }
        assert_eq!(records, expected);
    }
}

#[test]
fn a_matrix_as_json_has_stable_fields() {
    let run =
        Workplace::sample().run(&["policies", "matrix", "--api", "orders", "--format", "json"]).exits(0);
    let matrices: Value = serde_json::from_str(&run.stdout).unwrap();
    let orders = &matrices[0];
    assert_eq!(orders["api"], "orders");
    assert_eq!(
        orders["clients"],
        json!([
            { "id": "acme-sync", "has_grant": true, "credentials": ["a secret"] },
            { "id": "globex-sync", "has_grant": true, "credentials": ["a secret"] },
            { "id": "operator", "has_grant": false, "credentials": ["a secret"] },
            { "id": "support-desk", "has_grant": true, "credentials": ["a secret"] },
        ])
    );
    assert_eq!(
        orders["routes"][1],
        json!({
            "route": "GET /tenants/{tenant}/orders", "rule": "read-orders", "public": false,
            "access": [{ "when": "tenant = acme" }, { "when": "tenant = globex" }, "never", "always"],
        })
    );
    assert_eq!(orders["routes"][0]["public"], true);
}

/// The page without what it says of the policies as a whole, and the data in it.
fn page(workplace: &Workplace) -> (String, Value) {
    let mut run = plain(workplace.run(&["policies", "matrix", "--format", "html"]).exits(0));
    let about = run.stdout.lines().find(|line| line.starts_with("<p class=\"about\">")).unwrap().to_owned();
    run.stdout = run.stdout.replacen(&about, "", 1);
    let data = data_of(&run.stdout);
    let start = "<script id=\"data\" type=\"application/json\">";
    let (before, rest) = run.stdout.split_once(start).unwrap();
    // as a browser ends the element
    let (_, after) = rest.split_once("</script").unwrap();
    (format!("{before}{start}</script{after}"), data)
}

#[test]
fn the_page_loads_nothing_from_anywhere() {
    let (page, data) = page(&Workplace::sample());
    for text in ["http:", "https:", "//", "src=", "href=", "@import", "url(", "fetch(", "innerHTML", "eval("]
    {
        // a hash may hold any letters
        let is_said =
            |line: &str| line.trim_start().starts_with("// ") || line.starts_with("<meta http-equiv=");
        let found = page.lines().find(|line| line.contains(text) && !is_said(line));
        assert_eq!(found, None, "{text}");
    }
    assert!(
        page.contains("Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-"),
        "{page}"
    );
    assert!(!page.contains("unsafe-inline"));
    let json = Workplace::sample().run(&["policies", "matrix", "--format", "json"]).exits(0);
    assert_eq!(as_command(&data), serde_json::from_str::<Value>(&json.stdout).unwrap());
}

/// Whatever stands in the files is data: the page around it is the same, byte by byte.
#[test]
fn odd_names_are_harmless_in_the_page() {
    let (sample, _) = page(&Workplace::sample());
    let (odd_page, data) = page(&odd());
    assert_eq!(odd_page, sample);
    let client = &data[0]["clients"][0]["id"];
    assert_eq!(client, "</script><img src=x onerror=`alert(1)` ,\"|\\>");
    let run = odd().run(&["policies", "matrix", "--format", "html"]).exits(0);
    assert_eq!(run.stdout.matches("</script").count(), 2);
    assert!(!run.stdout.contains("<img") && !run.stdout.contains("<!--"), "{}", run.stdout);
}

/// `| head` ends the reading early, and is no failure of ours.
#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let workplace = wide(60);
    let script = "for format in table csv json html; do \
                  \"$0\" policies matrix --format $format | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}; done";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_jeton")])
        .current_dir(workplace.path("."))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n0\n0\n0\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(fs::exists(workplace.path("policies")).unwrap());
}
