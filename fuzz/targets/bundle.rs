//! A bundle of policies that somebody sent: the signed document, and the policies in it.
//!
//! Input: the `policies` of a bundle, as JSON. Or two lines, a header and claims, which the target signs: no mutation makes
//! a signature that holds.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{PublicKeys, strict_object};
use jeton_oauth::{ApiName, Issuer, Scope, ScopeSet, text::is_unseen};
use jeton_policy::{ContentHash, Findings, Permissions, PolicySet};
use jeton_verify::{Bundle, BundleTerms, InvalidBundle};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const ADDRESS: &str = "https://tokens.example.com/policies/orders";
const KID: &str = "fuzz";
const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];

static ISSUER: LazyLock<Issuer> =
    LazyLock::new(|| Issuer::parse("https://tokens.example.com").expect("an issuer"));
static API: LazyLock<ApiName> = LazyLock::new(|| ApiName::parse("orders").expect("a name"));

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x }] });
    PublicKeys::from_jwks(set.to_string().as_bytes()).expect("the key is sound")
});

fuzz_target!(|data: &[u8]| {
    let lines = std::str::from_utf8(data).ok().and_then(|text| text.split_once("\n{"));
    if let Some((header, claims)) = lines.filter(|(header, _)| header.starts_with('{')) {
        return a_signed_bundle_is_taken_if_all_of_it_is_right(header, &format!("{{{claims}"));
    }
    assert!(open(data).is_err(), "nobody signed it");
    let Ok(policies) = strict_object(data).map(Value::Object) else { return };
    match read(&policies) {
        Ok(set) => {
            names_stand_in_the_document(&set, &policies);
            what_is_read_is_written_again(&set);
        }
        Err(findings) => findings_can_be_shown(&findings),
    }
});

fn read(policies: &Value) -> Result<PolicySet, Findings> {
    let hash = ContentHash::parse(HASH).expect("a hash");
    PolicySet::from_bundle(policies, hash, &ISSUER, &API, now())
}

fn open(document: &[u8]) -> Result<Bundle, InvalidBundle> {
    let terms = BundleTerms { issuer: &ISSUER, api: &API, now: now(), leeway: LEEWAY };
    Bundle::open(document, &KEYS, &terms)
}

fn now() -> Timestamp {
    Timestamp::constant(NOW, 0)
}

fn findings_can_be_shown(findings: &Findings) {
    assert!(findings.has_errors());
    let shown = findings.to_string();
    assert!(!shown.chars().any(|c| is_unseen(c) && !matches!(c, '\n' | '\t')), "{shown:?}");
}

/// Rules, scopes and clients are those that the document names.
fn names_stand_in_the_document(set: &PolicySet, policies: &Value) {
    let has = |section: &str, name: &str| policies[section].get(name).is_some();
    let api = set.api("orders").expect("it is a bundle of this API");
    let rules = &policies["apis"]["orders"]["rules"];
    assert!(api.rules().iter().all(|rule| rules.get(rule.name()).is_some()), "a rule comes from elsewhere");
    assert_eq!(api.rules().len(), rules.as_object().map_or(0, Map::len), "a rule is lost");
    assert!(api.scopes().iter().all(|scope| has("scopes", scope.as_str())));
    assert!(set.clients().iter().all(|client| has("clients", client.id.as_str())));
    assert_eq!(api.bound_tokens(), policies["apis"]["orders"]["bound_tokens"] == json!(true));
    assert!(set.warnings().0.is_empty());
}

/// A set that was read makes a bundle, which decides alike, and makes the same bundle again.
fn what_is_read_is_written_again(set: &PolicySet) {
    let written = set.bundle(&API).expect("it has the API");
    let again = read(&written).unwrap_or_else(|findings| panic!("{findings}\n{written}"));
    assert_eq!(again.bundle(&API).as_ref(), Some(&written));
    let [one, other] = [set, &again].map(|set| set.api("orders").expect("it has the API"));
    let (scopes, roles) = (one.scopes().clone(), set.roles().keys().take(2).cloned().collect());
    let tenant = Map::from_iter([("tenant".to_owned(), json!("acme"))]);
    let all = Permissions { scopes, roles, claims: tenant, client: None, sub: None };
    let some: ScopeSet = all.scopes.iter().take(1).cloned().collect::<Vec<Scope>>().into_iter().collect();
    let less = Permissions { scopes: some, roles: Vec::new(), claims: Map::new(), ..all.clone() };
    let values = ["acme".to_owned(), "7".to_owned()];
    for (method, target) in one.sample_requests(&values).take(24) {
        let allows = |bearer: Option<&Permissions>| {
            let [one, other] = [one, other].map(|api| {
                api.decide(method.as_str(), &target, bearer.map(Permissions::subject).as_ref()).is_allowed()
            });
            assert_eq!(one, other, "{method} {target} with {bearer:?}");
            one
        };
        let (whole, narrow, nobody) = (allows(Some(&all)), allows(Some(&less)), allows(None));
        assert!(whole || !narrow, "less opens more: {method} {target}");
        assert!(narrow || !nobody, "a token closes {method} {target}");
    }
}

fn a_signed_bundle_is_taken_if_all_of_it_is_right(header: &str, claims: &str) {
    let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let document = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes())));
    let opened = open(document.as_bytes());
    let header = strict_object(header.as_bytes()).ok().filter(is_right);
    let claims = header.and(strict_object(claims.as_bytes()).ok()).filter(count_now);
    let expected = claims.and_then(|claims| read(claims.get("policies")?).ok());
    match (opened, expected) {
        (Ok(opened), Some(expected)) => {
            assert_eq!(opened.policies.bundle(&API), expected.bundle(&API));
            assert!(!opened.has_ended(NOW, LEEWAY) && opened.has_ended(opened.expires_at + LEEWAY, LEEWAY));
        }
        (Ok(_), None) => panic!("taken, though the header or a claim is wrong"),
        (Err(error), Some(_)) => panic!("refused, though all of it is right: {error}"),
        (Err(error), None) => {
            let told = error.to_string();
            assert!(!told.chars().any(|c| is_unseen(c) && !matches!(c, '\n' | '\t')), "{told:?}");
        }
    }
}

/// What the header of a bundle must be.
fn is_right(header: &Map<String, Value>) -> bool {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = text("typ").unwrap_or_default().to_ascii_lowercase();
    !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && text("alg") == Some("EdDSA")
        && text("kid") == Some(KID)
        && typ.strip_prefix("application/").unwrap_or(&typ) == "policies+jwt"
}

/// Whether claims are of the issuer, for this API, and count now.
fn count_now(claims: &Map<String, Value>) -> bool {
    let date = |name: &str| claims.get(name)?.as_i64().filter(|date| *date >= 0);
    let (Some(issued), Some(expires)) = (date("iat"), date("exp")) else { return false };
    claims.get("iss") == Some(&json!(ISSUER.as_str()))
        && claims.get("aud") == Some(&json!(ADDRESS))
        && issued <= NOW + LEEWAY
        && expires.saturating_add(LEEWAY) > NOW
        && claims.get("hash").and_then(Value::as_str).is_some_and(|hash| ContentHash::parse(hash).is_some())
}
