//! Claims that a client takes over from another issuer's token: what they open, against a model that tries every token.
use jeton_oauth::IssuerName;
use jeton_policy::{
    ChangeEffect, ChangeKind, DiffEffort, FindingCode, MatrixAccess, Permissions, PolicyDiff, PolicySet,
    Severity,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::policy_text::{cases, compile, compile_good};

const POLICIES: &str = "version: 1
scopes: { s: x, u: x }
apis:
  api:
    audience: https://api.example.com
    rules:
      pinned: { routes: [GET /pinned], require: { scope: s, claims: { repository: { is: acme/x } } } }
      several: { routes: [GET /several], require: { scope: s, claims: { repository: { in: [acme/x, acme/y] } } } }
      path: { routes: ['GET /r/{r}'], require: { scope: s, claims: { repository: { same_as_path: r } } } }
      tenant: { routes: ['GET /t/{t}'], require: { scope: s, claims: { repository: { is: acme/x }, tenant: { same_as_path: t } } } }
      either:
        routes: ['GET /e/{t}']
        require:
          - { scope: s, claims: { tenant: { same_as_path: t } } }
          - { scope: s, claims: { repository: { is: acme/x } } }
      group: { routes: [GET /group], require: { scope: s, claims: { groups: { contains: admin } } } }
      number: { routes: [GET /number], require: { scope: s, claims: { level: { is: 3 } } } }
      scope: { routes: [GET /scope], require: { scope: s } }
      other: { routes: [GET /other], require: { scope: u, claims: { repository: { is: acme/x } } } }
      both: { routes: [GET /both], require: { scope: s, claims: { repository: { is: acme/x }, level: { is: 3 } } } }
issuers:
  github: { issuer: https://token.actions.githubusercontent.com, audience: aud, keys: { discover: true } }
clients:
";

const DEPLOYER: &str = "  deployer:
    federated:
      - issuer: github
        claims: { repository_id: { is: '1' } }
        claims_from: { repository: repository, level: run_attempt, groups: /custom/groups }
    claims: { tenant: a }
    grants: { api: { scopes: [s] } }
";

/// The access of the first client to each route, without those that it never reaches.
#[track_caller]
fn access(policies: &PolicySet) -> Vec<String> {
    let matrix = policies.matrix(policies.api("api").unwrap());
    let shown = matrix.routes.iter().filter_map(|route| match &route.access[0] {
        MatrixAccess::Always => Some(format!("{}: always", route.rule)),
        MatrixAccess::When(condition) => Some(format!("{}: {condition}", route.rule)),
        MatrixAccess::Never => None,
    });
    shown.collect()
}

#[test]
fn a_matrix_says_which_claims_decide() {
    let policies = compile_good(&format!("{POLICIES}{DEPLOYER}"));
    assert_eq!(
        access(&policies),
        [
            "pinned: claim repository = acme/x (from github's repository)",
            "several: claim repository = acme/x, acme/y (from github's repository)",
            "path: claim repository = {r} (from github's repository)",
            "tenant: t = a & claim repository = acme/x (from github's repository)",
            "either: t = a | claim repository = acme/x (from github's repository)",
            "group: claim groups has admin (from github's /custom/groups)",
            "number: claim level = 3 (from github's run_attempt)",
            "scope: always",
            "both: claim repository = acme/x (from github's repository) & claim level = 3 (from github's run_attempt)",
        ]
    );
}

/// What every token has anyway is no condition, and what none has is no access.
#[test]
fn what_the_entry_asks_of_the_claim_counts() {
    let with = |claims: &str, more: &str| {
        let client = DEPLOYER.replace("repository_id: { is: '1' }", claims);
        assert_ne!(client, DEPLOYER);
        compile_good(&format!("{POLICIES}{client}{more}"))
    };
    let secret = format!("    secrets: [{{ sha256: {} }}]\n", "a".repeat(64));
    let of = |policies: &PolicySet, rule: &str| {
        let all = access(policies);
        all.into_iter().find_map(|line| line.strip_prefix(&format!("{rule}: ")).map(str::to_owned))
    };
    let when = |condition: &str| Some(format!("claim repository = {condition} (from github's repository)"));
    let pinned = with("repository: { is: acme/x }, repository_id: { is: '1' }", "");
    assert_eq!(of(&pinned, "pinned").as_deref(), Some("always"));
    assert_eq!(of(&pinned, "several").as_deref(), Some("always"));
    assert_eq!(of(&pinned, "either").as_deref(), Some("always"));
    let other = with("repository: { is: acme/z }, repository_id: { is: '1' }", "");
    assert_eq!((of(&other, "pinned"), of(&other, "several")), (None, None));
    assert_eq!(of(&other, "either").as_deref(), Some("t = a"));
    let some = with("repository: { in: [acme/x, acme/z] }, repository_id: { is: '1' }", "");
    assert_eq!(of(&some, "pinned"), when("acme/x"));
    // with the secret it has tokens without the claim
    let beside = with("repository: { is: acme/x }, repository_id: { is: '1' }", &secret);
    assert_eq!(of(&beside, "pinned"), when("acme/x"));
    assert_eq!(of(&beside, "scope").as_deref(), Some("always"));
    // nobody comes by an issuer that is disabled
    let disabled = POLICIES.replace("keys: { discover: true }", "keys: { discover: true }, enabled: false");
    let disabled = compile_good(&format!("{disabled}{DEPLOYER}{secret}"));
    assert_eq!(of(&disabled, "pinned"), None);
}

#[track_caller]
fn explained(policies: &PolicySet, request: &str, claims: Value) -> (bool, &'static str, String) {
    let Value::Object(claims) = claims else { panic!() };
    let explanation = policies.explain_client("api", "GET", request, "deployer", &claims).unwrap().unwrap();
    (explanation.allowed, explanation.reason, explanation.to_string())
}

#[test]
fn an_explanation_says_on_which_claim_it_depends() {
    let policies = compile_good(&format!("{POLICIES}{DEPLOYER}"));
    let (allowed, reason, text) = explained(&policies, "/pinned", json!({}));
    assert_eq!((allowed, reason), (false, "depends"));
    let first = "DEPENDS GET /pinned at api: it depends on a token of another issuer: allowed where claim repository = \
                 acme/x (from github's repository)\n";
    assert!(text.starts_with(first), "{text}");
    assert!(
        text.contains("MISSING  claims.repository is `acme/x`: it comes from github's repository"),
        "{text}"
    );
    for (request, claims, expected) in [
        ("/pinned", json!({ "repository": "acme/x" }), "met"),
        ("/pinned", json!({ "repository": "acme/z" }), "not-met"),
        ("/both", json!({ "repository": "acme/x" }), "depends"),
        ("/both", json!({ "repository": "acme/z" }), "not-met"),
        ("/both", json!({ "repository": "acme/x", "level": 3 }), "met"),
        ("/both", json!({ "repository": "acme/x", "level": "3" }), "not-met"),
        ("/group", json!({ "groups": ["staff", "admin"] }), "met"),
        ("/group", json!({ "groups": ["staff"] }), "not-met"),
        ("/other", json!({}), "not-met"),
        ("/scope", json!({}), "met"),
        ("/nothing", json!({}), "no-route"),
    ] {
        assert_eq!(explained(&policies, request, claims.clone()).1, expected, "{request} {claims}");
    }
    for wrong in [
        json!({ "sha": "1" }),
        json!({ "tenant": "a" }),
        json!({ "repository": {} }),
        json!({ "level": null }),
    ] {
        let claims = wrong.as_object().unwrap();
        let error = policies.explain_client("api", "GET", "/pinned", "deployer", claims).unwrap_err();
        assert!(error.to_string().ends_with("it takes over `groups`, `level`, `repository`"), "{error}");
    }
}

#[test]
fn a_test_says_which_values_it_supposes() {
    let with = |test: &str| {
        compile(&format!("{POLICIES}{DEPLOYER}tests:\n  - {{ as: deployer, api: api, {test} }}\n"))
    };
    for good in [
        "allow: [GET /scope], deny: [GET /other]",
        "claims: { repository: acme/x }, allow: [GET /pinned, GET /several]",
        "claims: { repository: acme/z }, deny: [GET /pinned, GET /both]",
    ] {
        assert!(with(good).is_ok(), "{good}");
    }
    for (bad, said) in [
        ("allow: [GET /pinned]", "the test would need `claims:` beside `as:`"),
        ("deny: [GET /pinned]", "the test would need `claims:` beside `as:`"),
        (
            "claims: { repository: acme/x }, deny: [GET /both]",
            "allowed where claim level = 3 (from github's run_attempt)",
        ),
        ("claims: { sha: x }, deny: [GET /pinned]", "it takes over `groups`, `level`, `repository`"),
        (
            "claims: { repository: acme/z }, allow: [GET /pinned]",
            "`deployer` would need claims.repository is `acme/x`",
        ),
    ] {
        let findings = with(bad).unwrap_err();
        let errors = findings.0.iter().filter(|one| one.severity == Severity::Error);
        assert_eq!(errors.map(|one| one.code).collect::<Vec<_>>(), [FindingCode::FailedTest], "{findings}");
        assert!(findings.to_string().contains(said), "{bad}: {findings}");
    }
    let beside = format!(
        "{POLICIES}{DEPLOYER}tests:\n  - {{ as: {{ scopes: [s] }}, claims: {{ repository: acme/x }}, api: api, allow: [GET /pinned] }}\n"
    );
    let findings = compile(&beside).unwrap_err();
    assert!(findings.to_string().contains("write them within: `as: { claims: { ... } }`"), "{findings}");
}

#[track_caller]
fn routes_of(old: &str, new: &str) -> Vec<String> {
    let difference = compile_good(old).difference(&compile_good(new), DiffEffort::Bounded).unwrap();
    let routes = difference.changes.iter().filter(|change| change.kind == ChangeKind::Route);
    routes.map(ToString::to_string).filter(|line| line.starts_with("deployer")).collect()
}

#[test]
fn a_difference_says_which_claims_open_a_route() {
    let old = format!("{POLICIES}{DEPLOYER}");
    let edit = |from: &str, to: &str| {
        let new = old.replace(from, to);
        assert_ne!(new, old);
        new
    };
    let new = edit(
        "/pinned], require: { scope: s, claims: { repository: { is: acme/x } }",
        "/pinned], require: { scope: s, claims: { repository: { in: [acme/x, acme/y] } }",
    );
    let line = |effect: &str, route: &str, condition: &str| {
        format!("deployer {effect} GET {route} where {condition}")
    };
    let other = "its token has claim repository = `acme/y` (from github's repository)";
    assert_eq!(routes_of(&old, &new), [line("gains", "/pinned", other)]);
    assert_eq!(routes_of(&new, &old), [line("loses", "/pinned", other)]);
    // a claim that it did not have
    let without = edit("repository: repository, level", "level");
    let condition = "its token has claims.repository is `acme/x` (from github's repository)";
    let gained = routes_of(&without, &old);
    assert!(gained.contains(&line("gains", "/pinned", condition)), "{gained:#?}");
    assert!(gained.contains(&line("gains", "/t/{t}", &format!("t is a and {condition}"))), "{gained:#?}");
    assert_eq!(routes_of(&old, &without).len(), gained.len());
    // a condition on the claim, where there was none
    let asked = edit(
        "/scope], require: { scope: s }",
        "/scope], require: { scope: s, claims: { repository: { is: acme/x } } }",
    );
    let lacks = "its token lacks claims.repository is `acme/x` (from github's repository)";
    assert_eq!(routes_of(&old, &asked), [line("loses", "/scope", lacks)]);
    assert_eq!(routes_of(&asked, &old), [line("gains", "/scope", lacks)]);
    assert_eq!(routes_of(&old, &old), [""; 0]);
}

/// The claims of the other issuer: `r` and `s` are taken over, `t` is not.
type Conditions = Vec<(&'static str, &'static str, Value)>;

fn values() -> Vec<Value> {
    vec![json!("a"), json!("b"), json!(1)]
}

fn test() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        3 => select(values()).prop_map(|value| ("is", value)),
        2 => vec(select(values()), 1..3).prop_map(|values| ("in", values.into())),
        2 => select(values()).prop_map(|value| ("contains", value)),
    ]
}

fn conditions(
    names: &'static [&'static str],
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Conditions> {
    let one = (select(names), test()).prop_map(|(name, (operator, value))| match operator {
        // there are no lists in lists
        "contains" if name.starts_with('/') => (name, "is", value),
        operator => (name, operator, value),
    });
    vec(one, count)
}

/// By claim, each operator once.
fn written(conditions: &Conditions) -> Map<String, Value> {
    let mut written: Map<String, Value> = Map::new();
    for (name, operator, value) in conditions {
        let tests = written.entry((*name).to_owned()).or_insert_with(|| json!({}));
        tests[*operator] = value.clone();
    }
    written
}

#[derive(Clone, Debug)]
struct World {
    entries: Vec<(Conditions, Vec<&'static str>)>,
    has_secret: bool,
    /// By alternative: whether it asks for a scope that nobody has, and its conditions.
    rule: Vec<(bool, Conditions)>,
}

fn world(taken: &'static [&'static [&'static str]]) -> impl Strategy<Value = World> {
    let own = prop_oneof![
        4 => conditions(&["x", "y", "x", "/x/0", "k"], 0..3),
        2 => (select(&["x", "y", "k"][..]), select(&["same_as_path", "contains_path"][..]), select(&["p", "q"][..]))
            .prop_map(|(name, operator, parameter)| vec![(name, operator, json!(parameter))]),
        1 => select(&["x", "y"][..]).prop_map(|name| vec![(name, "same_as_path", json!("p")), ("x", "contains_path", json!("q"))]),
        1 => Just(vec![("x", "same_as_path", json!("p")), ("y", "same_as_path", json!("q"))]),
    ];
    let entries = (conditions(&["r", "s", "t", "/r/0"], 1..3), select(taken));
    let entries = entries.prop_map(|(conditions, taken)| (conditions, taken.to_vec()));
    let rule = vec((prop_oneof![5 => Just(false), 1 => Just(true)], own), 1..3);
    (vec(entries, 1..3), prop_oneof![3 => Just(false), 1 => Just(true)], rule)
        .prop_map(|(entries, has_secret, rule)| World { entries, has_secret, rule })
}

impl World {
    /// JSON is YAML.
    fn text(&self) -> String {
        let entries = self.entries.iter().map(|(conditions, taken)| {
            let taken = taken.iter().map(|taken| taken.split_once('=').unwrap());
            let claims_from: Map<String, Value> =
                taken.map(|(own, theirs)| (own.to_owned(), theirs.into())).collect();
            json!({ "issuer": "cluster", "claims": written(conditions), "claims_from": claims_from })
        });
        let mut client = json!({
            "federated": entries.collect::<Vec<_>>(),
            "claims": { "k": "a" },
            "grants": { "api": { "scopes": ["s"] } },
        });
        if self.has_secret {
            client["secrets"] = json!([{ "sha256": "a".repeat(64) }]);
        }
        let alternatives = self.rule.iter().map(|(is_foreign, conditions)| {
            let scope = if *is_foreign { "u" } else { "s" };
            let mut alternative = json!({ "scope": scope });
            if !conditions.is_empty() {
                alternative["claims"] = written(conditions).into();
            }
            alternative
        });
        json!({
            "version": 1,
            "scopes": { "s": "x", "u": "x" },
            "apis": { "api": { "audience": "https://api.example.com", "rules": {
                "rule": { "routes": ["GET /t/{p}/{q}"], "require": alternatives.collect::<Vec<_>>() },
            } } },
            "issuers": { "cluster": {
                "issuer": "https://cluster.example.com",
                "audience": "https://tokens.example.com",
                "keys": { "discover": true },
            } },
            "clients": { "deployer": client },
        })
        .to_string()
    }
}

/// Tokens of the other issuer, as far as conditions can tell them apart.
fn foreign_tokens() -> Vec<Map<String, Value>> {
    let other = || json!("zz");
    let scalars = || values().into_iter().chain([other(), json!(true)]);
    let subsets = || {
        (0..16).map(|bits: u32| {
            let items = values().into_iter().chain([other()]).enumerate();
            let chosen = items.filter(move |(at, _)| bits & (1 << at) != 0);
            chosen.map(|(_, value)| value).collect::<Vec<_>>()
        })
    };
    let led = |first: Value| subsets().map(move |rest| [vec![first.clone()], rest].concat().into());
    let firsts = values().into_iter().chain([other(), Value::Null]);
    let of_r: Vec<Option<Value>> =
        scalars().chain(firsts.flat_map(led)).map(Some).chain([None, Some(json!({ "0": "a" }))]).collect();
    let of_s: Vec<Option<Value>> = scalars().chain(led(Value::Null)).map(Some).chain([None]).collect();
    let of_t = [None, Some(json!("a")), Some(json!("b")), Some(json!(1)), Some(json!(["a", "b", 1]))];
    let mut tokens = Vec::new();
    for r in &of_r {
        for s in &of_s {
            for t in &of_t {
                let claims = [("r", r), ("s", s), ("t", t)].into_iter();
                tokens.push(
                    claims.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect(),
                );
            }
        }
    }
    tokens
}

/// Every set of claims that the client's tokens may carry.
fn own_claims(world: &World, policies: &PolicySet) -> Vec<Map<String, Value>> {
    let issuer = IssuerName::parse("cluster").unwrap();
    let mut claims: Vec<_> = foreign_tokens()
        .iter()
        .filter_map(|token| Some(policies.federation().client_of(&issuer, token).ok()?.claims))
        .collect();
    if world.has_secret || claims.is_empty() {
        claims.push(Map::new());
    }
    claims.sort_by_key(|claims| json!(claims).to_string());
    claims.dedup();
    claims
}

const SEGMENTS: [&str; 4] = ["a", "b", "1", "zz"];

fn paths() -> impl Iterator<Item = String> {
    SEGMENTS.into_iter().flat_map(|p| SEGMENTS.into_iter().map(move |q| format!("/t/{p}/{q}")))
}

fn passes(policies: &PolicySet, path: &str, taken: &Map<String, Value>) -> bool {
    let base = policies.permissions_of("deployer", "api").unwrap();
    let claims = base.claims.clone().into_iter().chain(taken.clone()).collect();
    let bearer = Permissions { claims, ..base };
    policies.api("api").unwrap().decide("GET", path, Some(&bearer.subject())).is_allowed()
}

fn agrees(world: &World) {
    let policies = compile_good(&world.text());
    let claims = own_claims(world, &policies);
    let matrix = policies.matrix(policies.api("api").unwrap());
    let (mut is_ever, mut is_always) = (false, true);
    for path in paths() {
        let passing = claims.iter().filter(|claims| passes(&policies, &path, claims)).count();
        let expected = match passing {
            0 => "not-met",
            all if all == claims.len() => "met",
            _ => "depends",
        };
        let none = Map::new();
        let explanation = policies.explain_client("api", "GET", &path, "deployer", &none).unwrap().unwrap();
        assert_eq!(explanation.reason, expected, "{path}\n{explanation}\n{}", world.text());
        is_ever |= passing > 0;
        is_always &= passing == claims.len();
        for supposed in claims.iter().filter(|claims| !claims.is_empty()).step_by(1 + claims.len() / 5) {
            let explanation = policies.explain_client("api", "GET", &path, "deployer", supposed);
            let explanation = explanation.unwrap().unwrap();
            // other tokens may carry more than these
            let is_more = |other: &&Map<String, Value>| {
                supposed.iter().all(|(name, value)| other.get(name) == Some(value))
            };
            let passing: Vec<_> =
                claims.iter().filter(is_more).map(|claims| passes(&policies, &path, claims)).collect();
            let expected = match (passing.contains(&true), passing.contains(&false)) {
                (true, true) => "depends",
                (true, false) => "met",
                (false, _) => "not-met",
            };
            assert_eq!(explanation.reason, expected, "{path} {supposed:?}\n{}", world.text());
        }
    }
    match &matrix.routes[0].access[0] {
        MatrixAccess::Always => assert!(is_always, "{}", world.text()),
        MatrixAccess::Never => assert!(!is_ever, "{}", world.text()),
        MatrixAccess::When(condition) => assert!(is_ever && !is_always, "{condition}\n{}", world.text()),
    }
}

fn contains(
    all: &[Map<String, Value>],
    claims: &Map<String, Value>,
    is_so: impl Fn(&Map<String, Value>) -> bool,
) -> bool {
    let is_within =
        |less: &&Map<String, Value>| less.iter().all(|(name, value)| claims.get(name) == Some(value));
    all.iter().filter(is_within).any(is_so)
}

fn differ(old: &World, new: &World) {
    let [of_old, of_new] = [old, new].map(|world| compile_good(&world.text()));
    let difference: PolicyDiff = of_old.difference(&of_new, DiffEffort::Whole).unwrap();
    let claims = [own_claims(old, &of_old), own_claims(new, &of_new)];
    let sides = [
        (ChangeEffect::Gains, &of_new, &claims[1], &of_old, &claims[0]),
        (ChangeEffect::Loses, &of_old, &claims[0], &of_new, &claims[1]),
    ];
    for (effect, more, of_more, less, of_less) in sides {
        let is_hit = paths().any(|path| {
            let mut passing = of_more.iter().filter(|claims| passes(more, &path, claims));
            let none = Map::new();
            // where the client passes whatever claims it has, another way to have it opens no more
            !passes(less, &path, &none)
                && passing.any(|claims| !contains(of_less, claims, |claims| passes(less, &path, claims)))
        });
        let told: Vec<_> = difference
            .changes
            .iter()
            .filter(|change| {
                change.kind == ChangeKind::Route
                    && change.effect == effect
                    && format!("{:?}", change.who).starts_with("Client")
            })
            .collect();
        assert_eq!(!told.is_empty(), is_hit, "{effect:?}\n{difference}\n{}\n{}", old.text(), new.text());
    }
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn what_depends_on_claims_is_what_some_tokens_open(world in world(&[&["x=r"], &["x=r", "y=s"], &["y=r"], &["y=s"]])) {
        agrees(&world);
    }

    #[test]
    fn who_gains_by_claims_is_told(old in world(&[&["x=r", "y=s"]]), new in world(&[&["x=r", "y=s"]])) {
        differ(&old, &new);
    }

    #[test]
    fn a_small_edit_of_claims_is_told(old in world(&[&["x=r", "y=s"]]), other in world(&[&["x=r", "y=s"]]), at in 0..3_usize) {
        let mut new = old.clone();
        match at {
            0 => new.rule = other.rule,
            1 => new.entries = other.entries,
            _ => new.has_secret = !old.has_secret,
        }
        differ(&old, &new);
    }
}
