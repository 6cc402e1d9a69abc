//! jeton's own API is there whatever the files say: built in, and to be changed by them.
use jeton_oauth::Scope;
use jeton_policy::{Decision, Denial, FindingCode, Permissions, PolicySet, Severity};

use crate::{
    binary::Workplace,
    policy_text::{compile, compile_good, with_roles, with_scopes},
    support::{Setup, spawn_app_with},
};

/// A question to the policy decision point.
const QUESTION: &str = "/authzen/desk/access/v1/evaluation";

/// Who decides, as `allow RULE`, or why nobody may.
fn decision(policies: &PolicySet, method: &str, path: &str, bearer: Option<&Permissions>) -> String {
    let api = policies.api("jeton").expect("it is built in");
    match api.decide(method, path, bearer.map(Permissions::subject).as_ref()) {
        Decision::Allow { rule, .. } => format!("allow {}", rule.name()),
        Decision::Deny(Denial::NoToken { rule }) => format!("no token for {}", rule.name()),
        Decision::Deny(Denial::NotMet { rule, .. }) => format!("deny {}", rule.name()),
        Decision::Deny(denial) => format!("{denial:?}"),
    }
}

#[test]
fn a_folder_without_a_word_about_it_has_it() {
    let policies = compile_good("version: 1\n");
    let (principal, operator) = (with_scopes(&["jeton:principal"]), with_scopes(&["jeton:ops"]));
    let gateway = with_scopes(&["jeton:pdp"]);
    for (method, path, bearer, expected) in [
        ("GET", "/principal", Some(&principal), "allow principal"),
        ("HEAD", "/principal", Some(&principal), "allow principal"),
        ("GET", "/principal", Some(&operator), "deny principal"),
        ("GET", "/principal", None, "no token for principal"),
        ("POST", "/principal", Some(&principal), "NoRoute"),
        ("GET", "/principal/", Some(&principal), "NoRoute"),
        ("GET", "/ops/policies", Some(&operator), "allow ops"),
        ("GET", "/ops/keys", Some(&operator), "allow ops"),
        ("POST", "/ops/explain", Some(&operator), "allow ops"),
        ("POST", "/ops/reload", Some(&operator), "allow ops"),
        ("POST", "/ops/reload", Some(&principal), "deny ops"),
        ("POST", "/ops/reload", None, "no token for ops"),
        ("POST", QUESTION, Some(&gateway), "NoRoute"),
    ] {
        assert_eq!(decision(&policies, method, path, bearer), expected, "{method} {path} {bearer:?}");
    }
    assert_eq!(policies.api("jeton").unwrap().audience().as_str(), "https://tokens.example.com");
    let scopes: Vec<_> = policies.scopes().keys().map(Scope::as_str).collect();
    assert_eq!(scopes, ["jeton:ops", "jeton:pdp", "jeton:policies", "jeton:principal"]);
    assert_eq!(policies.warnings().0, []);
    assert_eq!(policies.files().len(), 1);
}

#[test]
fn grants_and_tests_may_name_what_is_built_in() {
    let policies = compile_good(
        "version: 1\nclients:\n  op:\n    secrets: [{ sha256: '00000000000000000000000000000000000000000000000000000000000000aa' }]\n    \
         introspect: [jeton]\n    grants: { jeton: { roles: [operator], scopes: [jeton:pdp, jeton:policies] } }\n\
         tests:\n  - as: op\n    api: jeton\n    allow: [POST /ops/reload, GET /principal]\n    deny: [GET /ops/other]\n",
    );
    let client = policies.clients().find("op").unwrap();
    let scopes: Vec<_> = client.grants[0].scopes.iter().map(Scope::as_str).collect();
    assert_eq!(scopes, ["jeton:ops", "jeton:pdp", "jeton:policies", "jeton:principal"]);
}

/// Where a rule of the files matches, it decides alone, also if it is the less specific one: what files restrict
/// is not opened by what is built in.
#[test]
fn rules_of_the_files_take_the_place_of_built_in_ones() {
    let head =
        "version: 1\nscopes: { own: x }\nroles: { operator: [jeton:ops, own] }\napis: { jeton: { rules: { ";
    let bearers = [
        ("own", with_scopes(&["own"])),
        ("principal", with_scopes(&["jeton:principal"])),
        ("ops", with_scopes(&["jeton:ops"])),
        ("both", with_scopes(&["jeton:ops", "own"])),
    ];
    let own = "require: { scope: own }";
    let both = "require: { all_scopes: [jeton:ops, own] }";
    for (rules, method, path, expected) in [
        ("GET /principal", "GET", "/principal", ["allow r", "deny r", "deny r", "allow r"]),
        ("GET /principal", "HEAD", "/principal", ["allow r", "deny r", "deny r", "allow r"]),
        (
            "HEAD /principal",
            "GET",
            "/principal",
            ["deny principal", "allow principal", "deny principal", "deny principal"],
        ),
        ("HEAD /principal", "HEAD", "/principal", ["allow r", "deny r", "deny r", "allow r"]),
        ("ANY /principal", "GET", "/principal", ["allow r", "deny r", "deny r", "allow r"]),
        ("\"GET /{page}\"", "GET", "/principal", ["allow r", "deny r", "deny r", "allow r"]),
        ("GET /principal", "GET", "/ops/keys", ["deny ops", "deny ops", "allow ops", "allow ops"]),
        ("GET /ops/keys", "GET", "/ops/keys", ["deny r", "deny r", "deny r", "allow r"]),
        ("GET /ops/keys", "GET", "/ops/policies", ["deny ops", "deny ops", "allow ops", "allow ops"]),
        ("ANY /ops/**", "POST", "/ops/reload", ["deny r", "deny r", "deny r", "allow r"]),
        ("\"POST /ops/{what}\"", "POST", "/ops/reload", ["deny r", "deny r", "deny r", "allow r"]),
        ("\"POST /ops/{what}\"", "GET", "/ops/keys", ["deny ops", "deny ops", "allow ops", "allow ops"]),
    ] {
        let require = if rules.contains("/ops/") { both } else { own };
        let policies = compile_good(&format!("{head}r: {{ routes: [{rules}], {require} }} }} }} }}\n"));
        let came = bearers.each_ref().map(|(_, bearer)| decision(&policies, method, path, Some(bearer)));
        assert_eq!(came, expected, "{rules}: {method} {path}");
    }
}

/// A rule of the files and one that is built in may be called alike.
#[test]
fn rules_of_one_name_are_told_apart() {
    let policies = compile_good(
        "version: 1\nscopes: { own: x }\napis: { jeton: { rules: { ops: { routes: [GET /ops/keys], require: { all_scopes: [own, jeton:ops] } } } } }\n",
    );
    let operator = with_scopes(&["jeton:ops"]);
    assert_eq!(decision(&policies, "GET", "/ops/keys", Some(&operator)), "deny ops");
    assert_eq!(decision(&policies, "GET", "/ops/policies", Some(&operator)), "allow ops (built in)");
}

#[test]
fn files_may_describe_the_scopes_and_define_the_role_anew() {
    let policies = compile_good(
        "version: 1\nscopes: { jeton:policies: Theirs, jeton:pdp: Theirs, jeton:ops: Theirs }\nroles: { operator: [jeton:ops] }\n",
    );
    assert_eq!(policies.scopes()["jeton:pdp"], "Theirs");
    assert_eq!(policies.scopes()["jeton:principal"], "See what one's own token says");
    assert_eq!(policies.roles()["operator"].iter().count(), 1);
    assert_eq!(policies.warnings().0, [], "the service itself asks for these scopes");
}

/// Whatever files say, what lies below `/ops` is for those with `jeton:ops` alone.
#[test]
fn the_guarantee_of_what_lies_below_ops_stays() {
    let head =
        "version: 1\nscopes: { own: x }\nroles: { operator: [own] }\napis:\n  jeton:\n    rules:\n      r: ";
    for (rule, holds) in [
        ("{ routes: [GET /ops/keys], public: true }", false),
        ("{ routes: [\"GET /ops/{x}\"], require: { scope: own } }", false),
        ("{ routes: [\"POST /ops/{x}/{y}\"], require: { scope: own } }", false),
        ("{ routes: [ANY /ops/**], require: { role: operator } }", false),
        ("{ routes: [ANY /ops/**/], require: { scope: own } }", false),
        ("{ routes: [GET /**], require: { scope: own } }", false),
        ("{ routes: [\"GET /{a}/{b}\"], public: true }", false),
        ("{ routes: [GET /ops/keys], require: [{ scope: jeton:ops }, { scope: own }] }", false),
        ("{ routes: [GET /ops/keys], require: { all_scopes: [own, jeton:ops] } }", true),
        ("{ routes: [ANY /ops/**], require: { scope: jeton:ops } }", true),
        ("{ routes: [GET /ops], public: true }", true),
        ("{ routes: [\"GET /{a}\"], public: true }", true),
    ] {
        let compiled = compile(&format!("{head}{rule}\n"));
        let errors: Vec<_> = match &compiled {
            Ok(_) => Vec::new(),
            Err(findings) => {
                findings.0.iter().filter(|finding| finding.severity == Severity::Error).collect()
            }
        };
        assert_eq!(errors.is_empty(), holds, "{rule}: {errors:?}");
        for error in errors {
            assert_eq!((error.code, error.line), (FindingCode::BrokenGuarantee, 5), "{rule}: {error:?}");
            assert!(error.message.contains("`ops (built in)`"), "{error:?}");
        }
    }
    let redefined = "version: 1\nroles: { operator: [jeton:principal] }\n";
    let policies = compile_good(redefined);
    assert_eq!(decision(&policies, "GET", "/ops/keys", Some(&with_roles(&["operator"]))), "deny ops");
}

#[test]
fn commands_count_and_show_what_the_files_say() {
    let workplace = Workplace::new();
    let orders = "version: 1\nscopes: { s: x }\napis: { orders: { audience: 'https://o.example', rules: { r: { routes: [GET /x], require: { scope: s } } } } }\n\
                  clients: { c: { secrets: [{ sha256: '00000000000000000000000000000000000000000000000000000000000000aa' }], grants: { orders: { scopes: [s] } } } }\n\
                  tests: [{ as: c, api: orders, allow: [GET /x] }]\n";
    workplace.write("policies/a.yaml", orders);
    let check = workplace.run(&["policies", "check"]).exits(0);
    check.says(&["ok: 1 file, 1 API, 1 rule, 1 scope, no roles, 1 client, 1 test"]);
    let matrix = workplace.run(&["policies", "matrix", "--format", "csv"]).exits(0);
    assert!(!matrix.stdout.contains("jeton,"), "nobody can use it: {}", matrix.stdout);
    let matrix = workplace.run(&["policies", "matrix", "--api", "jeton", "--format", "csv"]).exits(0);
    matrix.shows(&["jeton,c,GET /principal,principal,never,"]);
    let test = workplace.run(&["policies", "test"]).exits(0);
    assert!(!test.stdout.contains("jeton"), "nothing of it is untested: {}", test.stdout);
    let explain = ["policies", "explain", "--api", "jeton", "--scope", "jeton:ops", "GET", "/ops/keys"];
    workplace.run(&explain).exits(0).shows(&["built-in/jeton.yaml:"]);

    let granted = orders
        .replace("{ orders: { scopes: [s] } }", "{ orders: { scopes: [s] }, jeton: { roles: [operator] } }");
    workplace.write("policies/a.yaml", &granted);
    let matrix = workplace.run(&["policies", "matrix", "--format", "csv"]).exits(0);
    matrix.shows(&["jeton,c,POST /ops/reload,ops,always,"]);
}

#[actix_web::test]
async fn a_server_answers_without_a_file_about_it() {
    let app = spawn_app_with(Setup {
        policies: vec![("jeton.yaml", "version: 1\n".to_owned())],
        ..Setup::default()
    });
    let token = app.token_of("acme-sync", "jeton").await;
    assert_eq!(app.get_principal(&token).await.status(), 200);
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(app.get("/principal").await.status(), 401);
}

/// Where an API answers questions, there is a rule about them, and otherwise there is none.
#[test]
fn questions_have_a_rule_where_they_are_answered() {
    let desk = "version: 1\napis: { desk: { audience: https://desk.example.com, pdp: true } }\n";
    let policies = compile_good(desk);
    let (gateway, operator) = (with_scopes(&["jeton:pdp"]), with_scopes(&["jeton:ops"]));
    for (method, path, bearer, expected) in [
        ("POST", "/authzen/desk/access/v1/evaluation", Some(&gateway), "allow pdp"),
        ("POST", "/authzen/desk/access/v1/search/action", Some(&gateway), "allow pdp"),
        ("POST", "/authzen/desk/access/v1/evaluations", Some(&operator), "deny pdp"),
        ("POST", "/authzen/desk/access/v1/evaluation", None, "no token for pdp"),
        ("GET", "/authzen/desk/access/v1/evaluation", Some(&gateway), "NoRoute"),
    ] {
        assert_eq!(decision(&policies, method, path, bearer), expected, "{method} {path} {bearer:?}");
    }
}

/// Such a rule counts for the APIs of which no rule of the files says anything.
#[test]
fn rules_of_the_files_take_the_place_of_that_about_questions() {
    let bearers = [
        ("gateway", with_scopes(&["jeton:pdp"])),
        ("own", with_scopes(&["own"])),
        ("both", with_scopes(&["jeton:pdp", "own"])),
    ];
    for (route, expected) in [
        ("POST /authzen/**", ["deny r", "deny r", "allow r"]),
        ("POST /authzen/{of}/access/v1/evaluation", ["deny r", "deny r", "allow r"]),
        ("POST /authzen/desk/**", ["deny r", "deny r", "allow r"]),
        ("POST /authzen/closed/**", ["allow pdp", "deny pdp", "allow pdp"]),
        ("POST /authzen/x/access/v1/evaluation", ["allow pdp", "deny pdp", "allow pdp"]),
        ("POST /authzen/{of}/access/v1/evaluations", ["allow pdp", "deny pdp", "allow pdp"]),
    ] {
        let policies = compile_good(&format!(
            "version: 1\nscopes: {{ own: x }}\napis:\n  desk: {{ audience: https://desk.example.com, pdp: true }}\n  \
             jeton: {{ rules: {{ r: {{ routes: ['{route}'], require: {{ all_scopes: [jeton:pdp, own] }} }} }} }}\n"
        ));
        let came = bearers.each_ref().map(|(_, bearer)| decision(&policies, "POST", QUESTION, Some(bearer)));
        assert_eq!(came, expected, "{route}");
    }
}

/// Where questions are answered, no file lets anybody ask without the scope. Where none are, old files still load.
#[test]
fn questions_need_the_scope_whatever_files_say() {
    let files = |pdp: bool, require: &str| {
        compile(&format!(
            "version: 1\nscopes: {{ own: x }}\napis:\n  desk: {{ audience: https://desk.example.com, pdp: {pdp} }}\n  \
             jeton: {{ rules: {{ r: {{ routes: ['POST /authzen/**', 'POST /authzen/**/'], {require} }} }} }}\n"
        ))
    };
    let both = "require: { all_scopes: [jeton:pdp, own] }";
    for (pdp, require, loads) in [
        (true, both, true),
        (true, "require: { scope: jeton:pdp }", true),
        (true, "require: { scope: own }", false),
        (true, "public: true", false),
        (false, "require: { scope: own }", true),
        (false, "public: true", true),
    ] {
        match files(pdp, require) {
            Ok(_) => assert!(loads, "{pdp} {require}"),
            Err(findings) => {
                assert!(!loads, "{findings}");
                assert!(
                    findings
                        .0
                        .iter()
                        .all(|one| one.severity == Severity::Warning
                            || one.code == FindingCode::BrokenGuarantee)
                );
                assert!(findings.to_string().contains("guarantee `pdp (built in)`"), "{findings}");
            }
        }
    }
}
