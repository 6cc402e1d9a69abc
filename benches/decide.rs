//! Deciding a request in process, from 10 rules to 100,000.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

mod support;

use std::{fmt::Write, fs, io::Write as _, path::Path, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use jeton::telemetry::metrics::Metrics;
use jeton_jose::{PublicKeys, TokenKind};
use jeton_oauth::{
    ApiName, Audience, ClientId, Issuer, ScopeSet, TokenId,
    clock::{Clock, SystemClock},
};
use jeton_policy::{
    CandidatePolicies, ContentHash, DemoSecrets, PolicySet, PolicySources, ProtectedApi, Subject,
    Surroundings,
};
use jeton_verify::{
    TokenOrigin,
    audit::{
        Audit, AuditedBearer, AuditedBinding, AuditedRequest, DecisionLog, DecisionOutcome, Shadow,
        TakenDecision,
    },
};
use serde_json::json;

/// Policies with this many rules in one API: each a route with a parameter, a scope and a claim.
fn write_policies(rules: usize, dir: &Path) {
    let mut text = String::from(
        "version: 1\nscopes:\n  a:read: x\napis:\n  big:\n    audience: https://big.example\n    rules:\n",
    );
    for rule in 0..rules {
        let (group, item) = (rule / 100, rule % 100);
        write!(
            text,
            "      r{rule}:\n        routes: [\"GET /tenants/{{tenant}}/group{group}/item{item}/{{id}}\"]\n        \
             require:\n          scope: a:read\n          claims: {{ tenant: {{ same_as_path: tenant }} }}\n"
        )
        .unwrap();
    }
    fs::write(dir.join("big.yaml"), text).unwrap();
}

fn surroundings() -> Surroundings {
    Surroundings {
        issuer: Audience::parse("http://127.0.0.1:8080").unwrap(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    }
}

fn policies(rules: usize) -> PolicySet {
    let dir = tempfile::tempdir().unwrap();
    write_policies(rules, dir.path());
    let start = std::time::Instant::now();
    let set =
        PolicySet::compile(&PolicySources::read(dir.path()).unwrap(), &surroundings(), SystemClock.now())
            .unwrap();
    println!("  {rules:>7} rules read and compiled in {:?}", start.elapsed());
    set
}

fn main() {
    println!("\nload");
    let sets = [10, 1_000, 100_000].map(|rules| (rules, policies(rules)));
    let scopes = ScopeSet::parse("a:read b:read c:write").unwrap();
    let serde_json::Value::Object(claims) = json!({ "tenant": "acme", "region": "eu" }) else {
        unreachable!()
    };
    let subject = Subject { client: None, sub: None, scopes: &scopes, roles: &[], claims: &claims };

    for (title, allowed) in [("decide: allowed", true), ("decide: refused, another tenant's path", false)] {
        let tenant = if allowed { "acme" } else { "globex" };
        // 1,024 different questions, spread over all rules
        let questions = sets.each_ref().map(|(rules, set)| {
            let paths: Vec<String> = (0..1024usize)
                .map(|n| {
                    let rule = n.wrapping_mul(2_654_435_761) % rules;
                    format!("/tenants/{tenant}/group{}/item{}/42", rule / 100, rule % 100)
                })
                .collect();
            (set.api("big").unwrap(), paths)
        });
        if allowed {
            for (api, paths) in &questions {
                let counted = allocation_counter::measure(|| {
                    for path in paths {
                        assert!(api.decide("GET", path, Some(&subject)).is_allowed());
                    }
                });
                assert_eq!(counted.count_total, 0, "an allowed decision allocates");
            }
        }
        let ask = |(api, paths): &(&ProtectedApi, Vec<String>), at: &mut usize| {
            *at = (*at + 1) % paths.len();
            assert_eq!(api.decide("GET", &paths[*at], Some(&subject)).is_allowed(), allowed);
        };
        let [mut a, mut b, mut c] = [0; 3];
        let measured = support::in_turns(
            20_000,
            &mut [
                ("10 rules", &mut || ask(&questions[0], &mut a)),
                ("1,000 rules", &mut || ask(&questions[1], &mut b)),
                ("100,000 rules", &mut || ask(&questions[2], &mut c)),
            ],
        );
        support::print(title, &measured);
    }
    told(&sets[1].1, &subject);
    taken_in(&sets[1].1);
}

/// What it costs a service to take a bundle in: its signature, its JSON and its rules; and how long it is on the wire.
fn taken_in(set: &PolicySet) {
    let (issuer, api) = (Issuer::parse("http://127.0.0.1:8080").unwrap(), ApiName::parse("big").unwrap());
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k" }] });
    let keys = PublicKeys::from_jwks(jwks.to_string().as_bytes()).unwrap();
    let claims = json!({ "hash": set.hash().to_string(), "policies": set.bundle(&api).unwrap() });
    let header = json!({ "typ": "policies+jwt", "alg": "EdDSA", "kid": "k" });
    let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let bundle = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())));
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bundle.as_bytes()).unwrap();
    let packed = packed.finish().unwrap().len();
    println!("\na bundle of 1,000 rules: {} KiB, packed {} KiB", bundle.len() / 1024, packed / 1024);
    let kind = TokenKind { name: "a bundle", types: &["policies+jwt"] };
    let measured = support::in_turns(
        10,
        &mut [("taken in", &mut || {
            let claims = keys.open_long(&bundle, kind).unwrap().into_claims();
            let hash = ContentHash::parse(claims["hash"].as_str().unwrap()).unwrap();
            let now = SystemClock.now();
            let policies = PolicySet::from_bundle(&claims["policies"], hash, &issuer, &api, now).unwrap();
            assert!(policies.api("big").is_some());
        })],
    );
    support::print("a service takes a bundle of 1,000 rules in", &measured);
}

/// What it costs to tell of a decision, where it is taken.
fn told(set: &PolicySet, subject: &Subject<'_>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dir = tempfile::tempdir().unwrap();
    write_policies(1_000, dir.path());
    let candidate = CandidatePolicies::new(dir.path(), surroundings(), Arc::clone(&clock));
    candidate.reload();
    assert!(candidate.snapshot().is_some());
    let shadow = Arc::new(Shadow::new(Arc::new(candidate), Arc::clone(&clock)));
    // what the thread costs that writes is the disk's affair
    let log = Arc::new(DecisionLog::open(Path::new("/dev/null"), clock).unwrap());
    let [neither, written, asked_too] =
        [(None, None), (Some(log), None), (None, Some(shadow))].map(|(log, shadow)| Audit::new(log, shadow));
    let counted = Audit::default().with_listener(Arc::new(Metrics::new([]).unwrap()));

    let api = set.api("big").unwrap();
    let (client, token_id) =
        (ClientId::parse("acme-sync").unwrap(), TokenId::parse("c2h1dCB1cCBhbmQgdGFrZQ").unwrap());
    let audiences = [api.audience().clone()];
    let origin = TokenOrigin {
        token_id: &token_id,
        subject: Some(&client),
        client: Some(&client),
        issued_at: 1_800_000_000,
        authenticated_at: 1_800_000_000,
        earlier_actors: &[],
    };
    let binding = AuditedBinding::Unbound;
    let bearer = Some(AuditedBearer { audiences: &audiences, origin, subject: *subject, binding });
    let path = "/tenants/acme/group3/item14/42";
    let asked = AuditedRequest { api: "big", method: "GET", path, bearer };
    let taken =
        TakenDecision { outcome: DecisionOutcome::Allowed, rule: Some("r314"), reason: "met", detail: None };
    let decide = |audit: &Audit| {
        assert!(api.decide("GET", path, Some(subject)).is_allowed());
        audit.tell(&asked, &taken, Some(&"0123456789abcdef"));
    };
    let measured = support::in_turns(
        20_000,
        &mut [
            ("decided", &mut || decide(&neither)),
            ("decided and counted", &mut || decide(&counted)),
            ("decided and written down", &mut || decide(&written)),
            ("decided and asked of a candidate", &mut || decide(&asked_too)),
        ],
    );
    support::print("decide: who is told (1,000 rules)", &measured);
}
