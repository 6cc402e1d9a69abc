//! `jeton policies diff` by the real binary, between two folders.
use std::fs;

use serde_json::{Value, json};

use crate::binary::{Run, Workplace};

pub(crate) const POLICIES: &str = "version: 1

scopes:
  orders:read: Read orders
  orders:write: Change orders

roles:
  reader: [orders:read]

apis:
  orders:
    audience: https://orders.example.com
    rules:
      health:
        routes: [GET /healthz]
        public: true
      read:
        routes:
          - GET /tenants/{tenant}/orders
        require:
          scope: orders:read
          claims: { tenant: { same_as_path: tenant } }
      write:
        routes: [PUT /orders]
        require: { scope: orders:write }
      named:
        routes: [GET /named]
        require: { client: acme-sync }
    guarantees:
      writes:
        routes: [ANY /orders]
        only_when: { scope: orders:write }

clients:
  acme-sync:
    description: Nightly sync
    enabled: true
    secrets:
      - sha256: 1111111111111111111111111111111111111111111111111111111111111111
        expires: 2030-01-01T00:00:00Z
      - sha256: 2222222222222222222222222222222222222222222222222222222222222222
    grants:
      orders: { roles: [reader] }
    claims: { tenant: acme }
    ttl: 15m
  blocked:
    enabled: false
    secrets:
      - sha256: 3333333333333333333333333333333333333333333333333333333333333333
    grants:
      orders: { scopes: [orders:write] }
";

/// The difference between these policies and the same with `edits`: parts to be replaced.
#[track_caller]
fn edited(edits: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut new = POLICIES.to_owned();
    for (from, to) in edits {
        assert_eq!(new.matches(from).count(), 1, "{from:?}");
        new = new.replacen(from, to, 1);
    }
    compared(POLICIES, &new, arguments)
}

fn compared(old: &str, new: &str, arguments: &[&str]) -> Run {
    let workplace = Workplace::empty();
    workplace.write("old/policies.yaml", old).write("new/policies.yaml", new);
    let run = workplace.run(&[&["policies", "diff", "old", "new"], arguments].concat());
    assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run:#?}");
    run
}

/// An edit, and how it and its reverse end, with the changes that they show.
struct Edit {
    name: &'static str,
    edits: &'static [(&'static str, &'static str)],
    there: (i32, &'static [&'static str]),
    back: (i32, &'static [&'static str]),
}

const EDITS: &[Edit] = &[
    Edit {
        name: "a longer lifetime",
        edits: &[("ttl: 15m", "ttl: 30m")],
        there: (3, &["+ acme-sync gains token lifetime, from 900 s to 1800 s"]),
        back: (0, &["- acme-sync loses token lifetime, from 1800 s to 900 s"]),
    },
    Edit {
        name: "the default lifetime, which is a setting",
        edits: &[("    ttl: 15m\n", "")],
        there: (0, &["~ acme-sync changes token lifetime, from 900 s to the default"]),
        back: (0, &["~ acme-sync changes token lifetime, from the default to 900 s"]),
    },
    Edit {
        name: "a claim that no rule looks at",
        edits: &[("claims: { tenant: acme }", "claims: { tenant: acme, region: [eu] }")],
        there: (0, &["~ acme-sync changes claim region, from nothing to [\"eu\"]"]),
        back: (0, &["~ acme-sync changes claim region, from [\"eu\"] to nothing"]),
    },
    Edit {
        name: "a claim that a rule looks at",
        edits: &[("claims: { tenant: acme }", "claims: { tenant: globex }")],
        there: (
            3,
            &[
                "+ acme-sync gains GET /tenants/{tenant}/orders where tenant is globex",
                "- acme-sync loses GET /tenants/{tenant}/orders where tenant is acme",
                "~ acme-sync changes claim tenant, from \"acme\" to \"globex\"",
            ],
        ),
        back: (
            3,
            &[
                "+ acme-sync gains GET /tenants/{tenant}/orders where tenant is acme",
                "- acme-sync loses GET /tenants/{tenant}/orders where tenant is globex",
                "~ acme-sync changes claim tenant, from \"globex\" to \"acme\"",
            ],
        ),
    },
    Edit {
        name: "a secret less",
        edits: &[("      - sha256: 2222222222222222222222222222222222222222222222222222222222222222\n", "")],
        there: (0, &["- acme-sync loses a secret (sha256 22222222...)"]),
        back: (3, &["+ acme-sync gains a secret (sha256 22222222..., good for ever)"]),
    },
    Edit {
        name: "a secret that is good for longer",
        edits: &[("2030-01-01", "2031-01-01")],
        there: (
            3,
            &[
                "+ acme-sync gains time for a secret (sha256 11111111..., good until 2031-01-01T00:00:00Z, was until \
               2030-01-01T00:00:00Z)",
            ],
        ),
        back: (
            0,
            &[
                "- acme-sync loses time for a secret (sha256 11111111..., good until 2030-01-01T00:00:00Z, was until \
               2031-01-01T00:00:00Z)",
            ],
        ),
    },
    Edit {
        name: "a secret that is good for ever",
        edits: &[("        expires: 2030-01-01T00:00:00Z\n", "")],
        there: (
            3,
            &[
                "+ acme-sync gains time for a secret (sha256 11111111..., good for ever, was until 2030-01-01T00:00:00Z)",
            ],
        ),
        back: (
            0,
            &[
                "- acme-sync loses time for a secret (sha256 11111111..., good until 2030-01-01T00:00:00Z, was for ever)",
            ],
        ),
    },
    Edit {
        name: "a client that is blocked",
        edits: &[("enabled: true", "enabled: false")],
        there: (
            0,
            &[
                "- acme-sync loses GET /named",
                "- acme-sync loses GET /tenants/{tenant}/orders where tenant is acme",
                "- acme-sync loses all of its grants: it is disabled",
            ],
        ),
        back: (
            3,
            &[
                "+ acme-sync gains GET /named",
                "+ acme-sync gains GET /tenants/{tenant}/orders where tenant is acme",
                "+ acme-sync gains all of its grants: it is enabled",
            ],
        ),
    },
    Edit {
        name: "a client that is blocked, and gets another grant",
        edits: &[("enabled: true", "enabled: false"), ("{ roles: [reader] }", "{ scopes: [orders:write] }")],
        there: (
            0,
            &[
                "- acme-sync loses GET /named",
                "- acme-sync loses GET /tenants/{tenant}/orders where tenant is acme",
                "- acme-sync loses role reader",
                "- acme-sync loses scope orders:read",
                "~ acme-sync changes scope orders:write",
                "- acme-sync loses all of its grants: it is disabled",
            ],
        ),
        back: (
            3,
            &[
                "+ acme-sync gains GET /named",
                "+ acme-sync gains GET /tenants/{tenant}/orders where tenant is acme",
                "+ acme-sync gains role reader",
                "+ acme-sync gains scope orders:read",
                "~ acme-sync changes scope orders:write",
                "+ acme-sync gains all of its grants: it is enabled",
            ],
        ),
    },
    Edit {
        name: "a client whose tokens do not name it",
        edits: &[("    enabled: true\n", "    anonymous: true\n")],
        there: (
            0,
            &["- acme-sync loses GET /named", "~ acme-sync changes anonymity: its tokens no longer name it"],
        ),
        back: (3, &["+ acme-sync gains GET /named", "~ acme-sync changes anonymity: its tokens name it now"]),
    },
    Edit {
        name: "a scope more",
        edits: &[("{ roles: [reader] }", "{ roles: [reader], scopes: [orders:write] }")],
        there: (3, &["+ acme-sync gains PUT /orders", "+ acme-sync gains scope orders:write"]),
        back: (0, &["- acme-sync loses PUT /orders", "- acme-sync loses scope orders:write"]),
    },
    Edit {
        name: "a role that holds more",
        edits: &[("reader: [orders:read]", "reader: [orders:read, orders:write]")],
        there: (3, &["+ acme-sync gains PUT /orders", "+ acme-sync gains scope orders:write"]),
        back: (0, &["- acme-sync loses PUT /orders", "- acme-sync loses scope orders:write"]),
    },
    Edit {
        name: "another audience",
        edits: &[("https://orders.example.com", "https://orders.example.org")],
        there: (0, &["~ audience, from https://orders.example.com to https://orders.example.org"]),
        back: (0, &["~ audience, from https://orders.example.org to https://orders.example.com"]),
    },
    Edit {
        name: "a guarantee of something else",
        edits: &[(
            "only_when: { scope: orders:write }",
            "only_when: { any_scope: [orders:read, orders:write] }",
        )],
        there: (0, &["~ guarantee writes is changed"]),
        back: (0, &["~ guarantee writes is changed"]),
    },
    Edit {
        name: "no guarantee",
        edits: &[(
            "    guarantees:\n      writes:\n        routes: [ANY /orders]\n        only_when: { scope: orders:write }\n",
            "",
        )],
        there: (0, &["~ guarantee writes is removed"]),
        back: (0, &["~ guarantee writes is added"]),
    },
    Edit {
        name: "a client more",
        edits: &[(
            "  blocked:\n",
            "  more:\n    secrets: []\n    grants:\n      orders: { scopes: [orders:write] }\n  blocked:\n",
        )],
        there: (
            3,
            &[
                "+ more gains PUT /orders",
                "+ more gains scope orders:write",
                "+ more gains a place among the clients: it is added",
            ],
        ),
        back: (
            0,
            &[
                "- more loses PUT /orders",
                "- more loses scope orders:write",
                "- more loses its place among the clients: it is removed",
            ],
        ),
    },
    Edit {
        name: "an alternative more",
        edits: &[(
            "        require: { scope: orders:write }\n",
            "        require: [{ scope: orders:write }, { role: reader, client: acme-sync, claims: { tenant: { is: acme } } }]\n",
        )],
        there: (
            3,
            &[
                "+ any token that carries role: reader, client: acme-sync, claims.tenant is `acme` gains PUT /orders",
                "+ acme-sync gains PUT /orders",
            ],
        ),
        back: (
            0,
            &[
                "- any token that carries role: reader, client: acme-sync, claims.tenant is `acme` loses PUT /orders",
                "- acme-sync loses PUT /orders",
            ],
        ),
    },
];

/// The changes of a report in text.
pub(crate) fn changes(run: &Run) -> Vec<&str> {
    run.stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with(['+', '-', '~'])))
        .collect()
}

#[test]
fn each_kind_of_edit_has_its_line_and_its_effect() {
    for Edit { name, edits, there, back } in EDITS {
        let reversed: Vec<_> = edits.iter().map(|(from, to)| (*to, *from)).collect();
        let mut new = POLICIES.to_owned();
        for (to, from) in &reversed {
            assert_eq!(new.matches(from).count(), 1, "{name}: {from:?}");
            new = new.replacen(from, to, 1);
        }
        for (run, (code, expected)) in
            [(compared(POLICIES, &new, &[]), there), (compared(&new, POLICIES, &[]), back)]
        {
            assert_eq!(changes(&run), *expected, "{name}: {run:#?}");
            assert_eq!(run.code, Some(*code), "{name}: {run:#?}");
            let gains = expected.iter().any(|line| line.starts_with('+'));
            let losses = expected.iter().any(|line| line.starts_with('-'));
            let headline = match (gains, losses) {
                (true, true) => "both narrows and widens: ",
                (true, false) => "widens: ",
                (false, true) => "narrows: ",
                (false, false) => "neither narrows nor widens: ",
            };
            assert!(run.stdout.starts_with(headline), "{name}: {run:#?}");
        }
    }
}

#[test]
fn what_becomes_public_is_everybodys() {
    let status = ("routes: [GET /healthz]", "routes: [GET /healthz, GET /status]");
    let run = edited(&[status], &[]).exits(3);
    assert_eq!(changes(&run), ["+ everybody, even without a token, gains GET /status"]);
    let run = edited(&[("routes: [GET /healthz]", "routes: [GET /status]")], &[]).exits(3);
    run.shows(&["both narrows and widens", "- everybody, even without a token, loses GET /healthz"]);
    let run =
        edited(&[("        public: true\n", "        require: { scope: orders:read }\n")], &[]).exits(0);
    run.shows(&["narrows: ", "- everybody, even without a token, loses GET /healthz"]);
}

/// A limit is told as a lifetime is: more, less, or something else.
#[test]
fn a_change_of_a_limit_says_which_one_lets_more_through() {
    let with = |limit: &str| match limit {
        "the default" => POLICIES.to_owned(),
        limit => POLICIES.replace("ttl: 15m\n", &format!("ttl: 15m\n    limit: {limit}\n")),
    };
    for (before, after, code, effect) in [
        ("2/m", "3/m", 3, "+ acme-sync gains"),
        ("3/m", "2/m", 0, "- acme-sync loses"),
        ("2/h", "2/m", 3, "+ acme-sync gains"),
        ("1000/s", "off", 3, "+ acme-sync gains"),
        ("off", "1000/s", 0, "- acme-sync loses"),
        ("100/h", "2/m", 0, "~ acme-sync changes"),
        ("the default", "2/s", 0, "~ acme-sync changes"),
        ("off", "the default", 0, "~ acme-sync changes"),
    ] {
        let run = compared(&with(before), &with(after), &[]).exits(code);
        run.shows(&[&format!("{effect} token requests, from {before} to {after}\n")]);
    }
    compared(&with("off"), &with("off"), &[]).exits(0).shows(&["no difference"]);
    let run = compared(&with("2/m"), &with("3/m"), &["--format", "json"]).exits(3);
    let difference: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(difference["changes"][0]["kind"], "limit");
}

#[test]
fn what_changes_nothing_is_no_difference() {
    for (name, edits) in [
        ("nothing", &[][..]),
        ("another name for a rule", &[("      read:\n", "      list-orders:\n")]),
        ("another description", &[("Nightly sync", "Daily sync"), ("Read orders", "See orders")]),
        (
            "another name for a parameter",
            &[
                ("GET /tenants/{tenant}/orders", "GET /tenants/{id}/orders"),
                ("same_as_path: tenant", "same_as_path: id"),
            ],
        ),
        ("the default written out", &[("    enabled: true\n", "    anonymous: false\n")]),
        (
            "another order",
            &[(
                "        routes: [ANY /orders]\n        only_when: { scope: orders:write }\n",
                "        only_when: { scope: orders:write }\n        routes: [ANY /orders]\n",
            )],
        ),
        ("the same of a role", &[("{ roles: [reader] }", "{ roles: [reader], scopes: [orders:read] }")]),
        ("a scope that nobody uses", &[("roles:\n  reader", "  orders:more: x\n\nroles:\n  reader")]),
        (
            "what follows from the rest",
            &[(
                "        require: { scope: orders:write }\n",
                "        require: [{ scope: orders:write }, { all_scopes: [orders:write, orders:read] }]\n",
            )],
        ),
        (
            "a test",
            &[(
                "clients:\n  acme-sync",
                "tests: [{ as: blocked, api: orders, deny: [GET /named] }]\nclients:\n  acme-sync",
            )],
        ),
        ("the end of lines", &[("version: 1\n\n", "version: 1\r\n\r\n")]),
    ] {
        let run = edited(edits, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "no difference\n"), "{name}: {run:#?}");
        assert_eq!(run.stderr, "", "{name}");
        let run = edited(edits, &["--format", "json"]).exits(0);
        let difference: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            difference,
            json!({ "summary": "neither", "gains": 0, "losses": 0, "changes": [] }),
            "{name}"
        );
        let run = edited(edits, &["--format", "markdown"]).exits(0);
        assert_eq!(run.stdout, "### Policies: no difference\n", "{name}");
    }
}

#[test]
fn a_rule_in_another_file_is_no_difference() {
    let workplace = Workplace::sample();
    fs::create_dir_all(workplace.path("moved/team")).unwrap();
    let rename = |from: &str, to: &str| fs::copy(workplace.path(from), workplace.path(to)).unwrap();
    rename("policies/orders.yaml", "moved/team/z.yaml");
    rename("policies/clients.yaml", "moved/team/a b.yaml");
    rename("policies/jeton.yaml", "moved/jeton.yaml");
    let run = workplace.run(&["policies", "diff", "policies", "moved"]).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("no difference\n", ""));
}

/// The sample, of which one alternative does not look at the tenant any more.
fn without_the_tenant(workplace: &Workplace, file: &str) {
    let sample = workplace.read("policies/orders.yaml");
    let same = "          - scope: orders:read\n            claims:\n              tenant: { same_as_path: tenant }\n";
    assert_eq!(sample.matches(same).count(), 1);
    workplace.write(file, &sample.replacen(same, "          - scope: orders:read\n", 1));
}

#[test]
fn a_lost_tenant_is_refused_by_the_guarantee_and_shown_as_a_gain() {
    let workplace = Workplace::sample();
    for file in ["clients.yaml", "jeton.yaml"] {
        workplace.write(&format!("new/{file}"), &workplace.read(&format!("policies/{file}")));
    }
    without_the_tenant(&workplace, "new/orders.yaml");
    let run = workplace.run(&["policies", "check", "new"]).exits(1);
    run.shows(&[
        "error: guarantee `tenant-isolation` does not hold: alternative 1 of rule `read-orders`",
        "lets `GET /tenants/some-tenant/orders` through with only scope `orders:read`",
    ]);
    // the gain is the answer, also where the policies are refused for it
    let run = workplace.run(&["policies", "diff", "policies", "new"]).exits(3);
    let run = run.says(&["a server would refuse these policies; see `jeton policies check new`"]);
    let run = run.shows(&["+ acme-sync gains GET /tenants/{tenant}/orders where tenant is not acme\n"]);
    insta::assert_snapshot!(run.stdout);
    let run = workplace.run(&["policies", "diff", "policies", "new", "--format", "markdown"]).exits(3);
    insta::assert_snapshot!(run.stdout);
    let back = workplace.run(&["policies", "diff", "new", "policies"]).exits(0);
    assert_eq!(back.stderr, "", "what was before may have been broken");
    back.shows(&["- acme-sync loses GET /tenants/{tenant}/orders where tenant is not acme\n"]);
}

#[test]
fn new_policies_that_a_server_would_refuse_exit_1_where_nobody_gains() {
    let broken = ("only_when: { scope: orders:write }", "only_when: { scope: orders:read }");
    edited(&[broken], &[])
        .exits(1)
        .says(&["a server would refuse these policies"])
        .shows(&["guarantee writes is changed"]);
    let failing = (
        "clients:\n  acme-sync",
        "tests: [{ as: acme-sync, api: orders, deny: [GET /named] }]\nclients:\n  acme-sync",
    );
    edited(&[failing], &[]).exits(1).says(&["a server would refuse"]).shows(&["no difference"]);
}

#[test]
fn broken_policies_cannot_be_compared() {
    for (old, new, name) in [("version: 2\n", POLICIES, "old"), (POLICIES, "version: 2\n", "new")] {
        let run = compared(old, new, &[]).exits(1);
        let run = run
            .says(&[&format!("{name} cannot be compared"), &format!("{name}/policies.yaml:1:10: error: ")]);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_difference_as_json_has_stable_fields() {
    let run =
        edited(&[("          claims: { tenant: { same_as_path: tenant } }\n", "")], &["--format", "json"])
            .exits(3);
    let difference: Value = serde_json::from_str(&run.stdout).unwrap();
    let place =
        |folder: &str| json!({ "rule": "read", "file": format!("{folder}/policies.yaml"), "line": 17 });
    let change = |who: Value, on: Value, token: Value| {
        json!({
            "api": "orders", "kind": "route",
                    "except": [], "effect": "gains", "who": who,
            "what": "GET /tenants/{tenant}/orders", "where": on,
            "before": place("old"), "after": place("new"),
            "witness": { "method": "GET", "path": "/tenants/some-tenant/orders", "token": token },
        })
    };
    assert_eq!(
        difference,
        json!({
            "summary": "widens", "gains": 2, "losses": 0,
            "changes": [
                change(
                    json!({ "any_token_with": "scope: orders:read" }),
                    Value::Null,
                    json!({ "scopes": ["orders:read"], "roles": [], "claims": {} }),
                ),
                change(
                    json!({ "client": "acme-sync" }),
                    json!("tenant is not acme"),
                    json!({
                        "client": "acme-sync", "scopes": ["orders:read"], "roles": ["reader"],
                        "claims": { "tenant": "acme" },
                    }),
                ),
            ],
        })
    );
    let run = edited(&[("ttl: 15m", "ttl: 30m")], &["--format", "json"]).exits(3);
    let difference: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        difference["changes"][0],
        json!({
            "api": null, "kind": "ttl",
            "except": [], "effect": "gains", "who": { "client": "acme-sync" },
            "what": "token lifetime, from 900 s to 1800 s", "where": null, "before": null, "after": null,
            "witness": null,
        })
    );
}

/// The cells of a row, as GitHub splits it: at pipes without a backslash before.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut before = ' ';
    for c in row.chars() {
        match (before, c) {
            ('\\', '|') => {
                cells.last_mut().unwrap().pop();
                cells.last_mut().unwrap().push('|');
            }
            (_, '|') => cells.push(String::new()),
            (_, c) => cells.last_mut().unwrap().push(c),
        }
        before = c;
    }
    cells
}

#[test]
fn odd_names_stay_in_their_cell_and_on_their_line() {
    let odd = POLICIES
        .replace("acme-sync", "\"|`` <img src=x> `a|b```\\\\| @all\"")
        .replace("GET /named", "GET /a|b`c")
        .replace("      named:", "      \"x\\n### forged | \\e[31m`\":")
        .replace("claims: { tenant: acme }", "claims: { tenant: \"a\\u009b2J\\n|`\" }");
    let new = odd.replace("tenant: \"a", "tenant: \"b").replace("GET /a|b`c", "GET /a|b`d");
    for format in ["text", "markdown"] {
        let run = compared(&odd, &new, &["--format", format]).exits(3);
        assert!(!run.stdout.contains(|c: char| c.is_control() && c != '\n'), "{run:#?}");
        assert!(!run.stdout.lines().any(|line| line.starts_with("### forged")), "{run:#?}");
        if format == "markdown" {
            let rows: Vec<_> = run.stdout.lines().filter(|line| line.starts_with('|')).collect();
            assert!(rows.len() > 5, "{run:#?}");
            for row in rows.into_iter().filter(|row| !row.starts_with("|---") && !row.starts_with("| |")) {
                let cells = cells(row);
                assert_eq!(cells.len(), 6, "{row}");
                assert!(matches!(cells[1].trim(), "+" | "-" | "~"), "{row}");
                for cell in cells.iter().map(|cell| cell.trim()).filter(|cell| cell.len() > 1) {
                    // one piece of code, from the first backtick to the last, and none like its fence within
                    let fence: String = cell.chars().take_while(|c| *c == '`').collect();
                    let inner = cell.strip_prefix(&fence).and_then(|cell| cell.strip_suffix(&fence)).unwrap();
                    assert!(!fence.is_empty() && !inner.ends_with('`') || inner.ends_with(' '), "{cell}");
                    let runs = inner.split(|c| c != '`').map(str::len);
                    assert!(runs.into_iter().all(|run| run != fence.len()), "{cell}");
                }
            }
        }
        insta::assert_snapshot!(format!("odd-names-as-{format}"), run.stdout);
    }
}
