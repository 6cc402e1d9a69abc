//! A service that follows the bundle of its API, against an issuer that answers what a row says.

use jeton_verify::BundleSource;
use serde_json::{Value, json};

use crate::{
    jwks_source::{first, second},
    support::{
        ORDERS,
        bundle::{
            ALLOWED, BUNDLE, BundleIssuer, HEADERS, HOUR, METADATA, NO_POLICIES, bundle, bundle_of, signed,
            with, without, zipped,
        },
        forge::{Forge, sign_hs256},
        issuer::{Answer, JWKS},
    },
};

/// Everything that is no good bundle, and what is told of it. Whoever took one would refuse the reader of orders.
fn bad_answers(issuer: &BundleIssuer) -> Vec<(&'static str, Answer, &'static str)> {
    let other = issuer.other();
    let now = issuer.issuer.now();
    let good = signed(&first(), "policies+jwt", &other);
    let header = |alg: &str| json!({ "typ": "policies+jwt", "alg": alg, "kid": first().kid() }).to_string();
    let raw = |text: String| Answer::Status(200, HEADERS, text.into_bytes());
    let sign = |claims: &Value| bundle(&first(), claims);
    let forged = second().sign(header("RS256"), other.to_string());
    let none = first().sign(header("none"), other.to_string());
    let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
    let by_public = |secret: &[u8]| sign_hs256(secret, &header("HS256"), &other.to_string());
    let mut spoiled = good.clone().into_bytes();
    let middle = spoiled.len() / 2;
    spoiled[middle] = if spoiled[middle] == b'A' { b'B' } else { b'A' };
    let mut long = good.clone().into_bytes();
    long.resize(BundleSource::LONGEST + 1, b' ');
    let packed = "Content-Type: application/policies+jwt\r\nContent-Encoding: gzip\r\n";
    let plain = "Content-Type: application/jwt\r\n";
    let foreign = "http://127.0.0.1:1";
    let mut broken = other.clone();
    broken["policies"]["apis"]["orders"]["rules"]["read-orders"]["require"] = json!({ "scop": "x" });
    let mut nothing = other.clone();
    nothing["policies"]["apis"] = json!({});
    vec![
        ("not found", Answer::Status(404, "", Vec::new()), "`bundle: public`"),
        ("for clients", Answer::Status(401, "", Vec::new()), "credentials"),
        ("not for this one", Answer::Status(403, "", Vec::new()), "credentials"),
        ("an error", Answer::Status(500, HEADERS, good.clone().into()), "500"),
        ("a redirect", Answer::Status(302, "Location: /other\r\n", good.clone().into()), "302"),
        ("a closed connection", Answer::HangUp, "cannot be fetched"),
        ("nothing", raw(String::new()), "JWS"),
        ("a page", Answer::Status(200, "Content-Type: text/html\r\n", b"<html>".to_vec()), "text/html"),
        ("another media type", Answer::Status(200, plain, good.clone().into()), "application/jwt"),
        ("half of it", raw(good[..good.len() / 2].to_owned()), "JWS"),
        ("two parts", raw(good.rsplit_once('.').unwrap().0.to_owned()), "JWS"),
        ("spoiled", Answer::Status(200, HEADERS, spoiled), ""),
        ("too long", Answer::Status(200, HEADERS, long.clone()), "32 MiB"),
        ("too long, packed", Answer::Status(200, packed, zipped(&long)), "32 MiB"),
        ("packed otherwise", Answer::Status(200, packed, good.clone().into()), "packed"),
        ("half packed", Answer::Status(200, packed, zipped(good.as_bytes())[..200].to_vec()), "packed"),
        ("another key", raw(forged), "signature"),
        ("no algorithm", raw(unsigned), "alg"),
        ("signed by the public key", raw(by_public(first().public_pem().as_bytes())), "alg"),
        ("signed by the modulus", raw(by_public(first().modulus())), "alg"),
        ("an access token", raw(signed(&first(), "at+jwt", &other)), "typ"),
        ("a status list", raw(signed(&first(), "statuslist+jwt", &other)), "typ"),
        ("another issuer's", sign(&with(&other, "iss", foreign)), "iss"),
        ("nobody's", sign(&without(&other, "iss")), "iss"),
        (
            "another API's",
            sign(&with(&other, "aud", format!("{}/policies/billing", issuer.issuer.issuer))),
            "aud",
        ),
        ("for the API itself", sign(&with(&other, "aud", ORDERS)), "aud"),
        ("for several", sign(&with(&other, "aud", json!([other["aud"]]))), "aud"),
        ("for nobody", sign(&without(&other, "aud")), "aud"),
        ("expired", sign(&with(&other, "exp", now - 30)), "`exp` has passed"),
        ("no exp", sign(&without(&other, "exp")), "exp"),
        ("exp as text", sign(&with(&other, "exp", (now + HOUR).to_string())), "exp"),
        ("from the future", sign(&with(&other, "iat", now + 31)), "`iat`"),
        ("no iat", sign(&without(&other, "iat")), "iat"),
        ("no hash", sign(&without(&other, "hash")), "hash"),
        ("no such hash", sign(&with(&other, "hash", "abc")), "hash"),
        ("no policies", sign(&without(&other, "policies")), "policies"),
        ("policies as text", sign(&with(&other, "policies", other["policies"].to_string())), "policies"),
        ("policies of no API", sign(&nothing), "policies"),
        ("unknown words", sign(&broken), "scop"),
    ]
}

#[actix_web::test]
async fn what_is_no_good_bundle_is_not_taken() {
    let issuer = BundleIssuer::start().await;
    for (name, answer, part) in bad_answers(&issuer) {
        issuer.answers(answer);
        let service = issuer.service();
        issuer.check(&service, NO_POLICIES, name).await;
        let public = service.answer("GET", "/healthz", []).await;
        assert_eq!((public.status, public.reason), NO_POLICIES, "{name}: also where all may");
        let state = bundle_of(&service).state();
        let error = state.failure.unwrap_or_else(|| panic!("{name}: no failure")).error;
        assert!(error.contains(part), "{name}: {error}");
        assert_eq!((state.hash, state.fetched_at), (None, None), "{name}");
    }
}

#[actix_web::test]
async fn the_last_good_bundle_counts_until_it_ends() {
    let issuer = BundleIssuer::start().await;
    let service = issuer.service();
    issuer.check(&service, ALLOWED, "at first").await;
    let bundle = bundle_of(&service);
    for row in 0..bad_answers(&issuer).len() {
        issuer.issuer.clock.advance(61);
        let (name, answer, _) = bad_answers(&issuer).swap_remove(row);
        issuer.answers(answer);
        let before = issuer.asked(BUNDLE);
        bundle.refresh().await;
        assert!(issuer.asked(BUNDLE) > before, "{name}: it was fetched");
        assert!(bundle.state().failure.is_some(), "{name}");
        issuer.check(&service, ALLOWED, name).await;
    }
    issuer.goes_away();
    let ends = bundle.state().expires_at.unwrap().as_second();
    issuer.issuer.clock.advance(ends + 29 - issuer.issuer.now());
    issuer.check(&service, ALLOWED, "within the leeway").await;
    issuer.issuer.clock.advance(1);
    issuer.check(&service, NO_POLICIES, "over").await;
    issuer.comes_back();
    issuer.issuer.clock.advance(60);
    issuer.check(&service, ALLOWED, "again").await;
}

#[actix_web::test]
async fn an_older_bundle_is_refused() {
    let issuer = BundleIssuer::start().await;
    let (good, other) = (issuer.good(), issuer.other());
    let refused = (403, "not-met");
    let (iat, exp) = (good["iat"].as_i64().unwrap(), good["exp"].as_i64().unwrap());
    issuer.issuer.clock.advance(300);
    // signed five minutes after the one that was good at first
    let held = with(&good, "iat", iat + 200);
    for (name, next, expected) in [
        ("an earlier end", with(&with(&other, "exp", exp - 1), "iat", iat + 300), ALLOWED),
        ("an earlier end, the same policies", with(&held, "exp", exp - HOUR), ALLOWED),
        ("a replica that lags behind", with(&other, "iat", iat), ALLOWED),
        ("just too long before", with(&other, "iat", iat + 169), ALLOWED),
        ("clocks that differ", with(&other, "iat", iat + 170), refused),
        ("an edit within the hour", with(&other, "iat", iat + 250), refused),
        ("a later end, signed before", with(&with(&other, "exp", exp + HOUR), "iat", iat), refused),
    ] {
        issuer.serves(&held);
        let service = issuer.service();
        issuer.check(&service, ALLOWED, name).await;
        issuer.serves(&next);
        issuer.issuer.clock.advance(60);
        let bundle = bundle_of(&service);
        bundle.refresh().await;
        issuer.check(&service, expected, name).await;
        assert_eq!(bundle.state().failure.is_some(), expected == ALLOWED, "{name}: {:?}", bundle.state());
    }
}

#[actix_web::test]
async fn it_is_asked_for_again_at_its_time_and_not_sent_again() {
    let issuer = BundleIssuer::start().await;
    let service = issuer.service();
    issuer.check(&service, ALLOWED, "at first").await;
    let bundle = bundle_of(&service);
    issuer.issuer.clock.advance(59);
    bundle.refresh().await;
    assert_eq!(issuer.asked(BUNDLE), 1, "before its time");
    issuer.answers(Answer::Status(304, "Cache-Control: max-age=600\r\n", Vec::new()));
    issuer.issuer.clock.advance(1);
    bundle.refresh().await;
    let heads = issuer.issuer.requests();
    let last = heads.iter().rfind(|head| head.contains(BUNDLE)).unwrap();
    assert!(last.contains("if-none-match: \"one\""), "{last}");
    assert!(
        last.contains("accept: application/policies+jwt") && last.contains("accept-encoding: gzip"),
        "{last}"
    );
    assert_eq!((issuer.asked(BUNDLE), bundle.state().failure), (2, None));
    issuer.issuer.clock.advance(599);
    bundle.refresh().await;
    assert_eq!(issuer.asked(BUNDLE), 2, "the answer put it off");
    let packed: &str = "Content-Type: Application/Policies+JWT; x=y\r\nContent-Encoding: gzip\r\n";
    let body = zipped(
        signed(&first(), "policies+jwt", &with(&issuer.other(), "iat", issuer.issuer.now())).as_bytes(),
    );
    issuer.answers(Answer::Status(200, packed, body));
    issuer.issuer.clock.advance(1);
    bundle.refresh().await;
    issuer.check(&service, (403, "not-met"), "an edit, packed").await;
}

#[actix_web::test]
async fn an_issuer_that_is_away_at_the_start_is_waited_for() {
    let issuer = BundleIssuer::start().await;
    issuer.goes_away();
    let service = issuer.service();
    issuer.check(&service, NO_POLICIES, "away").await;
    let asked = issuer.asked(METADATA);
    for _ in 0..20 {
        issuer.check(&service, NO_POLICIES, "away").await;
    }
    assert_eq!(issuer.asked(METADATA), asked, "requests do not multiply fetches");
    issuer.comes_back();
    issuer.issuer.clock.advance(60);
    issuer.check(&service, ALLOWED, "back").await;
}

#[actix_web::test]
async fn a_bundle_by_a_new_key_has_the_keys_fetched_once() {
    let issuer = BundleIssuer::start().await;
    let service = issuer.service();
    issuer.check(&service, ALLOWED, "at first").await;
    let before = issuer.asked(JWKS);
    issuer.has_keys(&[first().jwk(), second().jwk()]);
    issuer.issuer.clock.advance(60);
    issuer.answers(bundle(&second(), &with(&issuer.other(), "iat", issuer.issuer.now())));
    bundle_of(&service).refresh().await;
    issuer.check(&service, (403, "not-met"), "by the new key").await;
    assert_eq!(issuer.asked(JWKS), before + 1);
    // nobody's key: one more fetch, and then none within the cooldown
    issuer.issuer.clock.advance(60);
    issuer.answers(bundle(&Forge::with("test-only-client-rsa.pem"), &issuer.good()));
    for _ in 0..5 {
        issuer.issuer.clock.advance(5);
        bundle_of(&service).refresh().await;
    }
    assert!(issuer.asked(JWKS) <= before + 2, "{} fetches", issuer.asked(JWKS) - before);
    issuer.check(&service, (403, "not-met"), "the last good one counts").await;
}
