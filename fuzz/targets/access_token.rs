//! The claims of an access token, which a key of the issuer signed.
//!
//! Input: two lines, a header and a payload, which the target signs: no mutation makes a signature that holds.
#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, PublicKeys, strict_object};
use jeton_oauth::{
    Audience, Issuer, Scope,
    clock::{Clock, ManualClock},
    text::is_unseen,
};
use jeton_verify::{BearerToken, VerifiedClaims, Verifier};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const ISSUER: &str = "https://tokens.example.com";
const AUDIENCE: &str = "https://orders.example.com";
const KID: &str = "fuzz";
const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];
/// Claims that say something by themselves; all others are the client's own.
const READ: [&str; 15] = [
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "sub",
    "client_id",
    "scope",
    "roles",
    "exchanges",
    "act",
    "auth_time",
    "status",
    "cnf",
];

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x }] });
    let keys = Arc::new(PublicKeys::from_jwks(set.to_string().as_bytes()).expect("the key is sound"));
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::constant(NOW, 0)));
    Verifier::new(issuer, keys, Duration::from_secs(LEEWAY.unsigned_abs()), clock)
});
/// The same, with a memory for a few tokens.
static REMEMBERING: LazyLock<Verifier> = LazyLock::new(|| VERIFIER.clone().remembering(16));
static API: LazyLock<Audience> = LazyLock::new(|| Audience::parse(AUDIENCE).expect("an audience"));

fuzz_target!(|data: &[u8]| {
    let Some((header, payload)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let signed = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let text = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes())));
    let is_short = text.len() <= CompactJws::LONGEST;
    let token = BearerToken::new(text);
    let verified = VERIFIER.verify(&token, &API);
    let claims = strict_object(payload.as_bytes()).ok();
    let expected = strict_object(header.as_bytes()).ok().and_then(|header| typ(&header));
    let expected = expected.zip(claims).filter(|(typ, claims)| is_short && are_right(typ, claims));
    match (&verified, expected) {
        (Ok(verified), Some((_, claims))) => {
            say_what_the_token_says(verified, &claims);
            is_remembered(&token, verified);
        }
        (Ok(_), None) => panic!("taken, though the header or a claim is wrong"),
        (Err(error), Some(_)) => panic!("refused, though all of it is right: {error}"),
        (Err(error), None) => assert!(!error.to_string().chars().any(is_unseen), "{error:?}"),
    }
});

/// The type of a header that is right.
fn typ(header: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = text("typ")?.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ).to_owned();
    let is_right = !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && text("alg") == Some("EdDSA")
        && text("kid") == Some(KID)
        && ["at+jwt", "jwt"].contains(&&*typ);
    is_right.then_some(typ)
}

fn is_name(value: &Value, is_allowed: fn(u8) -> bool) -> bool {
    value.as_str().is_some_and(|text| (1..=512).contains(&text.len()) && text.bytes().all(is_allowed))
}

fn is_nqchar(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\'
}

fn is_client(value: &Value) -> bool {
    is_name(value, |byte| (0x20..=0x7e).contains(&byte))
}

/// Whether claims are of the issuer, for the API, count now, and each is of its form.
fn are_right(typ: &str, claims: &Map<String, Value>) -> bool {
    let is_if_any = |name: &str, is_right: fn(&Value) -> bool| claims.get(name).is_none_or(is_right);
    let date = |name: &str| claims.get(name)?.as_i64().filter(|date| *date >= 0);
    let (Some(expires), Some(issued)) = (date("exp"), date("iat")) else { return false };
    let audiences = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let is_date = |value: &Value| value.as_i64().is_some_and(|date| date >= 0);
    let is_for_us = audiences.iter().all(|it| is_name(it, is_nqchar)) && audiences.contains(&json!(AUDIENCE));
    claims.get("iss") == Some(&json!(ISSUER))
        && is_for_us
        && expires.saturating_add(LEEWAY) > NOW
        && issued <= NOW + LEEWAY
        && is_if_any("nbf", is_date)
        && date("nbf").is_none_or(|start| start <= NOW + LEEWAY)
        && claims.get("jti").is_some_and(|id| is_name(id, is_nqchar))
        && is_if_any("sub", is_client)
        && is_if_any("client_id", is_client)
        && claims.contains_key("sub") == claims.contains_key("client_id")
        && claims.contains_key("client_id") == (typ == "at+jwt")
        && is_if_any("scope", are_scopes)
        && is_if_any("roles", |roles| {
            roles.as_array().is_some_and(|it| it.iter().all(|role| is_name(role, is_nqchar)))
        })
        && is_if_any("exchanges", |it| it.as_u64().is_some_and(|it| it <= u64::from(u32::MAX)))
        && is_if_any("act", is_actor)
        && is_if_any("auth_time", is_date)
        && is_if_any("status", |it| it["status_list"]["idx"].is_u64() && it["status_list"]["uri"].is_string())
        && is_if_any("cnf", is_confirmation)
}

fn are_scopes(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.is_empty() || text.split(' ').all(|it| is_name(&json!(it), is_nqchar)))
}

fn is_actor(value: &Value) -> bool {
    value.get("sub").is_some_and(is_client) && value.get("act").is_none_or(is_actor)
}

/// Of both members one at least, each the base64url of 32 bytes.
fn is_confirmation(value: &Value) -> bool {
    let members: Vec<_> = ["jkt", "x5t#S256"].iter().filter_map(|name| value.get(*name)).collect();
    let is_thumbprint = |value: &&Value| {
        let bytes = value.as_str().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
        bytes.is_some_and(|bytes| bytes.len() == 32)
    };
    !members.is_empty() && members.iter().all(is_thumbprint)
}

fn say_what_the_token_says(verified: &VerifiedClaims, claims: &Map<String, Value>) {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    assert_eq!(Some(verified.expires_at()), number("exp"));
    assert_eq!(Some(verified.issued_at()), number("iat"));
    assert_eq!(Some(verified.authenticated_at()), number("auth_time").or(number("iat")));
    assert_eq!(Some(verified.token_id().as_str()), text("jti"));
    assert_eq!(verified.subject().map(|it| it.as_str()), text("sub"));
    assert_eq!(verified.client().map(|it| it.as_str()), text("client_id"));
    assert_eq!(i64::from(verified.exchanges()), number("exchanges").unwrap_or(0));
    let mut scopes: Vec<_> =
        text("scope").unwrap_or_default().split(' ').filter(|it| !it.is_empty()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    assert!(verified.scopes().iter().map(Scope::as_str).eq(scopes));
    let roles = claims.get("roles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    assert!(verified.roles().iter().map(|role| role.as_str()).eq(roles));
    let (mut actors, mut next) = (Vec::new(), claims.get("act"));
    while let Some(actor) = next {
        actors.extend(actor["sub"].as_str());
        next = actor.get("act");
    }
    assert!(verified.actors().iter().map(|actor| actor.as_str()).eq(actors));
    assert_eq!(verified.confirmation().is_some(), claims.contains_key("cnf"), "a binding is lost");
    let own: Map<String, Value> = claims
        .iter()
        .filter(|(name, _)| !READ.contains(&name.as_str()))
        .map(|(name, it)| (name.clone(), it.clone()))
        .collect();
    assert_eq!(*verified.own(), own);
    // a client stands behind it alone where nobody exchanged it
    let sole = verified.judged().client.map(|it| it.as_str());
    assert!(
        sole.is_none()
            || (sole == text("client_id") && sole == text("sub") && number("exchanges").unwrap_or(0) == 0)
    );
}

/// A token that was seen a moment ago says the same again.
fn is_remembered(token: &BearerToken, verified: &VerifiedClaims) {
    for time in ["first", "second"] {
        let again = REMEMBERING.verify(token, &API).expect("it was verified");
        assert_eq!((again.token_id(), again.own()), (verified.token_id(), verified.own()), "the {time} time");
        assert_eq!(again.scopes(), verified.scopes());
    }
    assert!(
        REMEMBERING.verify(token, &Audience::parse("x").expect("an audience")).is_err() || holds_x(verified)
    );
}

fn holds_x(verified: &VerifiedClaims) -> bool {
    verified.audiences().iter().any(|audience| audience.as_str() == "x")
}
