//! A bundle decides as the whole policies do, and holds no more than a service needs.
use std::{fs, path::Path};

use jeton_oauth::{ApiName, Issuer};
use jeton_policy::{
    BundleAccess, ChangeKind, ContentHash, Decision, DemoSecrets, Denial, DiffEffort, FindingCode,
    Permissions, PolicySet,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    generate::policy,
    model::{METHODS, paths, target, tokens},
};
use crate::policy_text::{cases, compile_folder, compile_good, now};

fn issuer() -> Issuer {
    Issuer::parse("https://tokens.example.com").unwrap()
}

fn api(name: &str) -> ApiName {
    ApiName::parse(name).unwrap()
}

/// What a service reads of the bundle, after it went over the wire as text.
#[track_caller]
fn read_again(policies: &PolicySet, name: &str) -> PolicySet {
    let text = policies.bundle(&api(name)).unwrap().to_string();
    let bundle = serde_json::from_str(&text).unwrap();
    let read = PolicySet::from_bundle(&bundle, policies.hash().clone(), &issuer(), &api(name), now());
    read.unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

/// All that a decision says; the order in which conditions stand in a file is not a part of it.
fn said(decision: &Decision<'_>) -> (String, Vec<String>) {
    match decision {
        Decision::Allow { rule, grounds } => (format!("{} {grounds:?}", rule.name()), Vec::new()),
        Decision::Deny(Denial::NotMet { rule, missing, scopes_that_would_do }) => {
            let mut missing = missing.clone();
            missing.sort();
            let would_do = scopes_that_would_do.as_ref().map(ToString::to_string);
            (format!("{} {would_do:?}", rule.name()), missing)
        }
        Decision::Deny(Denial::NoToken { rule }) => (format!("{} no token", rule.name()), Vec::new()),
        Decision::Deny(other) => (format!("{other:?}"), Vec::new()),
    }
}

#[track_caller]
fn decide_alike<'a>(
    whole: &PolicySet,
    bundled: &PolicySet,
    name: &str,
    requests: impl IntoIterator<Item = (&'a str, String)>,
    bearers: &[Permissions],
) {
    let (whole, bundled) = (whole.api(name).unwrap(), bundled.api(name).unwrap());
    assert_eq!(whole.audience(), bundled.audience());
    assert_eq!(whole.scopes(), bundled.scopes());
    for (method, target) in requests {
        for bearer in bearers.iter().map(Some).chain([None]) {
            let subject = bearer.map(Permissions::subject);
            let [one, other] =
                [whole, bundled].map(|api| said(&api.decide(method, &target, subject.as_ref())));
            assert_eq!(one, other, "{method} {target} {bearer:?}");
        }
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn a_bundle_decides_as_the_whole_policies_do(policy in policy(4), from in 0_usize..1000) {
        let Some(draft) = policy.draft() else { return Ok(()) };
        let whole = draft.policies();
        let bundled = read_again(whole, "api");
        let requests = some(paths(policy.dialect), from).into_iter();
        let requests = requests.flat_map(|path| METHODS.map(|method| (method, target(&path))));
        let bearers = some(tokens(policy.dialect), from);
        decide_alike(whole, &bundled, "api", requests, &bearers);
        // what is read says the same again
        prop_assert_eq!(whole.bundle(&api("api")), bundled.bundle(&api("api")).map(|again| with_grants_of(again, whole)));
    }
}

/// Twenty of all, from another one on each time.
fn some<T>(all: Vec<T>, from: usize) -> Vec<T> {
    let step = (all.len() / 20).max(1);
    all.into_iter().skip(from % step).step_by(step).collect()
}

/// A set that was read from a bundle knows no grants: the scopes and roles that only these name are missing from its own.
fn with_grants_of(mut bundle: Value, whole: &PolicySet) -> Value {
    let granted = whole.bundle(&api("api")).unwrap();
    for section in ["scopes", "roles", "clients"] {
        for (name, value) in granted[section].as_object().unwrap() {
            bundle[section].as_object_mut().unwrap().entry(name).or_insert(value.clone());
        }
    }
    bundle
}

/// Every folder of the fixtures that loads, the sample, and each of their APIs.
#[test]
fn every_policies_folder_of_this_house_decides_alike() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = here.join("tests/fixtures/policies");
    let folders = ["warned", "silent"].map(|kind| fs::read_dir(fixtures.join(kind)).unwrap());
    let folders = folders.into_iter().flatten().map(|folder| folder.unwrap().path());
    let (mut sets, mut decided) = (0, 0);
    for folder in folders.chain([fixtures.join("good"), here.join("../../policies")]) {
        let Ok(whole) = compile_folder(&folder, DemoSecrets::Allowed) else {
            panic!("{} loads", folder.display());
        };
        for name in whole.apis().keys().map(ApiName::as_str) {
            let bundled = read_again(&whole, name);
            let values: Vec<String> = ["acme", "x", "7", "a.json", "a:purge"].map(str::to_owned).into();
            let requests: Vec<_> = whole.api(name).unwrap().sample_requests(&values).collect();
            let requests = requests.iter().map(|(method, target)| (method.as_str(), target.clone()));
            let bearers: Vec<_> = whole
                .clients()
                .iter()
                .filter_map(|client| whole.permissions_of(client.id.as_str(), name))
                .chain([Permissions::default()])
                .collect();
            decided += requests.len() * bearers.len();
            decide_alike(&whole, &bundled, name, requests, &bearers);
            assert_eq!(bundled.warnings().0, [], "they are the issuer's business");
            sets += 1;
        }
    }
    assert!(sets > 40 && decided > 1000, "{sets} bundles, {decided} decisions");
}

const TWO_APIS: &str = "version: 1
scopes:
  orders:read: READ-WORDS
  orders:write: x
  orders:audit: x
  orders:bulk: x
  billing:read: x
roles:
  agent: [orders:read, orders:write]
  auditor: [orders:audit]
  accountant: [billing:read]
apis:
  orders:
    audience: https://orders.example.com
    rules:
      read: { routes: ['GET /orders/{order}'], require: { scope: 'orders:read', claims: { tenant: { is: acme } } } }
      audit: { routes: [GET /audit], require: { role: auditor } }
      one: { routes: [GET /one], require: [{ client: named }, { any_client: [billing-only, listed] }] }
    guarantees:
      GUARANTEED: { routes: [GET /audit], only_when: { role: auditor } }
  billing:
    audience: https://billing.example.com
    rules:
      read: { routes: [GET /bills], require: { scope: 'billing:read' } }
issuers:
  platform: { issuer: 'https://platform.example.com', audience: 'https://tokens.example.com', keys: { discover: true } }
clients:
  granted:
    description: DESCRIBED
    secrets: [{ sha256: 0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c }]
    federated: [{ issuer: platform, claims: { sub: { is: FOREIGN } } }]
    introspect: true
    grants: { orders: { roles: [agent], scopes: ['orders:bulk'] }, billing: { scopes: ['billing:read'] } }
    claims: { tenant: CLAIMED }
    ttl: 15m
  disabled: { enabled: false, grants: { orders: { scopes: ['orders:read'] } } }
  stopped: { revoked_before: '2026-11-20T10:00:00.5Z', grants: { orders: { scopes: ['orders:read'] } } }
  nameless: { anonymous: true, grants: { orders: { scopes: ['orders:read'] } } }
  named: {}
  listed: {}
  billing-only: { grants: { billing: { roles: [accountant] } } }
  elsewhere: { grants: { billing: { scopes: ['billing:read'] } } }
  ended-elsewhere: { enabled: false, grants: { billing: { scopes: ['billing:read'] } } }
  stopped-elsewhere: { revoked_before: '2026-11-20T10:00:00Z' }
revoked_tokens: [zz, { jti: aa, until: '2026-12-01T00:00:00Z' }]
tests:
  - as: granted
    api: billing
    allow: [GET /bills]
";

#[test]
fn a_bundle_holds_what_a_service_needs_and_nothing_else() {
    let policies = compile_good(TWO_APIS);
    let bundle = policies.bundle(&api("orders")).unwrap();
    assert_eq!(
        bundle,
        json!({
            "version": 1,
            "scopes": { "orders:audit": "", "orders:bulk": "", "orders:read": "", "orders:write": "" },
            "roles": { "agent": ["orders:read", "orders:write"], "auditor": ["orders:audit"] },
            "apis": { "orders": {
                "audience": "https://orders.example.com",
                "rules": {
                    "read": {
                        "routes": ["GET /orders/{order}"],
                        "require": { "scope": "orders:read", "claims": { "tenant": { "is": "acme" } } },
                    },
                    "audit": { "routes": ["GET /audit"], "require": { "role": "auditor" } },
                    "one": {
                        "routes": ["GET /one"],
                        "require": [{ "client": "named" }, { "any_client": ["billing-only", "listed"] }],
                    },
                },
            } },
            "clients": {
                "billing-only": {},
                "disabled": { "enabled": false },
                "ended-elsewhere": { "enabled": false },
                "granted": {},
                "listed": {},
                "named": {},
                "nameless": {},
                "stopped": { "revoked_before": "2026-11-20T10:00:01Z" },
                "stopped-elsewhere": { "revoked_before": "2026-11-20T10:00:00Z" },
            },
            "revoked_tokens": [{ "jti": "aa", "until": "2026-12-01T00:00:00Z" }, "zz"],
        })
    );
    let read = read_again(&policies, "orders");
    assert!(read.has_revoked("zz") && read.has_revoked("aa") && !read.has_revoked("bb"));
    for id in ["disabled", "stopped", "ended-elsewhere", "stopped-elsewhere", "granted"] {
        let [one, other] = [&policies, &read].map(|set| {
            let client = set.clients().find(id).unwrap();
            (client.state, client.revoked_before)
        });
        assert_eq!(one, other, "{id}");
    }
    assert_eq!(read.hash(), policies.hash());
    assert_eq!(policies.bundle(&api("nothing")), None);
}

#[test]
fn a_bundle_of_the_own_api_has_its_built_in_rules() {
    let policies = compile_good(
        "version: 1
apis:
  jeton:
    rules:
      ops: { routes: [GET /ops/keys, GET /ops/more], require: { all_scopes: ['jeton:ops', 'jeton:pdp'] } }
clients: { operator: { grants: { jeton: { roles: [operator] } } } }
",
    );
    let read = read_again(&policies, "jeton");
    let operator = policies.permissions_of("operator", "jeton").unwrap();
    let requests = ["/ops/keys", "/ops/more", "/ops/policies", "/principal", "/nothing"];
    let requests = requests.map(|target| ("GET", target.to_owned()));
    decide_alike(&policies, &read, "jeton", requests, &[operator]);
    let bundle = policies.bundle(&api("jeton")).unwrap();
    assert_eq!(bundle["apis"]["jeton"].get("audience"), None, "it is the issuer");
    assert_eq!(
        bundle["apis"]["jeton"]["rules"]["ops (built in)"]["require"],
        json!({ "scope": "jeton:ops" })
    );
}

/// One claim, asked by its name and by a pointer: both conditions must come through.
#[test]
fn a_claim_of_two_spellings_keeps_both_conditions() {
    let require = "{ claims: { tenant: { in: [a, b] }, /tenant: { in: [b, c] }, /~1odd~0: { is: 1 }, /a/b: { is: true } } }";
    let policies = compile_good(&format!(
        "version: 1
apis:
  api:
    audience: https://api.example.com
    rules: {{ rule: {{ routes: [GET /x], require: {require} }} }}
"
    ));
    let read = read_again(&policies, "api");
    let bearer = |tenant: &str| Permissions {
        claims: json!({ "tenant": tenant, "/odd~": 1, "odd~": 2, "a": { "b": true } })
            .as_object()
            .unwrap()
            .clone(),
        ..Permissions::default()
    };
    let bearers = ["a", "b", "c"].map(bearer);
    decide_alike(&policies, &read, "api", [("GET", "/x".to_owned())], &bearers);
    let allowed = bearers
        .map(|bearer| read.api("api").unwrap().decide("GET", "/x", Some(&bearer.subject())).is_allowed());
    assert_eq!(allowed, [false, true, false]);
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Value), expected: FindingCode) {
    let policies = compile_good(TWO_APIS);
    let mut bundle = policies.bundle(&api("orders")).unwrap();
    change(&mut bundle);
    let read = PolicySet::from_bundle(&bundle, policies.hash().clone(), &issuer(), &api("orders"), now());
    let findings = read.unwrap_err();
    let codes: Vec<_> = findings.errors().map(|finding| finding.code).collect();
    assert_eq!(codes, [expected], "{findings}");
    assert_eq!(findings.0[0].place(), "https://tokens.example.com/policies/orders");
}

#[test]
fn a_bundle_is_read_as_strictly_as_a_file() {
    refused(|bundle| bundle["more"] = json!(1), FindingCode::UnknownKey);
    refused(|bundle| bundle["version"] = json!(2), FindingCode::BadVersion);
    refused(|bundle| bundle["version"] = json!("1"), FindingCode::WrongType);
    refused(|bundle| bundle["scopes"] = json!([]), FindingCode::WrongType);
    refused(
        |bundle| drop(bundle["scopes"].as_object_mut().unwrap().remove("orders:audit")),
        FindingCode::UnknownScope,
    );
    refused(|bundle| bundle["clients"]["granted"]["enabled"] = json!("false"), FindingCode::WrongType);
    refused(|bundle| bundle["clients"]["stopped"]["revoked_before"] = json!("soon"), FindingCode::BadTime);
    refused(|bundle| bundle["apis"]["orders"]["rules"]["audit"]["routes"] = json!([]), FindingCode::Missing);
    refused(
        |bundle| bundle["apis"]["orders"]["rules"]["audit"]["require"] = json!({}),
        FindingCode::BadRequirement,
    );
    refused(
        |bundle| bundle["apis"]["orders"]["rules"]["audit"]["public"] = json!(true),
        FindingCode::BadRequirement,
    );
    refused(|bundle| bundle["revoked_tokens"] = json!(["a b"]), FindingCode::BadName);
    // another API's, and none
    refused(
        |bundle| {
            let entry = bundle["apis"]["orders"].take();
            bundle["apis"] = json!({ "other": entry });
        },
        FindingCode::UnknownApi,
    );
    refused(|bundle| bundle["apis"] = json!({}), FindingCode::UnknownApi);
}

#[test]
fn what_is_no_map_is_no_bundle() {
    for text in ["null", "[]", "1", "\"version: 1\"", "true"] {
        let bundle = serde_json::from_str(text).unwrap();
        let hash = compile_good("version: 1\n").hash().clone();
        let read = PolicySet::from_bundle(&bundle, hash, &issuer(), &api("orders"), now());
        assert!(read.is_err(), "{text}");
    }
}

#[test]
fn a_hash_is_64_digits() {
    let hash = compile_good("version: 1\n").hash().clone();
    assert_eq!(ContentHash::parse(hash.as_str()), Some(hash.clone()));
    let text = hash.as_str();
    for bad in [
        "",
        &text[1..],
        &format!("{text}0"),
        &text.replace(|c: char| c.is_ascii_digit(), "G"),
        &text.to_uppercase(),
    ] {
        assert_eq!(ContentHash::parse(bad), None, "{bad}");
    }
}

/// Policies whose API has this, and nothing else.
fn with_bundle(bundle: &str) -> PolicySet {
    compile_good(&format!("version: 1\napis:\n  api:\n    audience: https://api.example.com\n{bundle}"))
}

#[test]
fn the_files_say_who_may_fetch_a_bundle() {
    let access = |bundle| with_bundle(bundle).api("api").unwrap().bundle_access();
    assert_eq!(access(""), None);
    assert_eq!(access("    bundle: public\n"), Some(BundleAccess::Public));
    assert_eq!(access("    bundle: \"clients\"\n"), Some(BundleAccess::Clients));
    let own = compile_good("version: 1\napis: { jeton: { bundle: clients } }\n");
    assert_eq!(own.api("jeton").unwrap().bundle_access(), Some(BundleAccess::Clients));
    assert_eq!(with_bundle("").api("jeton").unwrap().bundle_access(), None, "what is built in has none");
}

#[test]
fn a_difference_says_who_may_newly_fetch_a_bundle() {
    let change = |old: &PolicySet, new: &PolicySet| {
        let difference = old.difference(new, DiffEffort::Whole).unwrap();
        let of_bundles = difference.changes.iter().filter(|change| change.kind == ChangeKind::Bundle);
        of_bundles.map(ToString::to_string).collect::<Vec<_>>()
    };
    let what = "the bundle of api, which shows its rules and names its clients";
    let [none, clients, public] = ["", "    bundle: clients\n", "    bundle: public\n"].map(with_bundle);
    let without_the_api = compile_good("version: 1\n");
    for none in [&none, &without_the_api] {
        let said = format!("any token that carries scope: jeton:policies gains {what}");
        assert_eq!(change(none, &clients), [said.as_str()]);
        assert_eq!(change(&clients, none), [said.replace("gains", "loses")]);
        let said = format!("everybody, even without a token, gains {what}");
        assert_eq!(change(none, &public), [said.as_str()]);
        assert_eq!(change(&public, none), [said.replace("gains", "loses")]);
    }
    assert_eq!(change(&clients, &public), [format!("everybody, even without a token, gains {what}")]);
    assert_eq!(change(&public, &clients), [format!("everybody, even without a token, loses {what}")]);
    for same in [&none, &clients, &public] {
        assert_eq!(change(same, same), [""; 0]);
    }
}
