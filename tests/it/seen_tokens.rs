//! A verifier that remembers tokens: what it saves, and that nothing outlives what it depends on.

use std::{ptr, sync::Arc, thread, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use jeton::keys::{KeyFolder, KeyKeeper, KeyReload, KeyTerms, LiveKeys};
use jeton_jose::JwsError;
use jeton_oauth::{
    ApiName, Audience, Issuer,
    clock::{Clock, ManualClock},
};
use jeton_policy::Reload;
use jeton_verify::{
    Authorizer, BearerToken, Denied, TokenError, TrustedKeys, VerifiedClaims, Verifier,
    status::{EndedTokens, StatusError, StatusFetchOptions, StatusList},
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    ISSUER, NOW,
    forge::{Draft, Forge},
    install_key,
    issuer::FakeIssuer,
    live_keys, now,
};

struct Scene {
    verifier: Verifier,
    keys: Arc<LiveKeys>,
    clock: Arc<ManualClock>,
    dir: TempDir,
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW.parse().unwrap()))
}

fn verifier(issuer: &Issuer, keys: impl Into<TrustedKeys>, clock: &Arc<ManualClock>) -> Verifier {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Verifier::new(issuer.clone(), keys, Duration::from_secs(30), clock).remembering(1_000)
}

fn scene() -> Scene {
    let dir = TempDir::new().unwrap();
    install_key("test-only-signing.pem", dir.path());
    let clock = clock();
    let keys = live_keys(dir.path(), &clock);
    let verifier = verifier(&Issuer::parse(ISSUER).unwrap(), Arc::clone(&keys), &clock);
    Scene { verifier, keys, clock, dir }
}

fn own() -> Audience {
    Audience::parse(ISSUER).unwrap()
}

fn draft() -> Draft {
    Draft::good(&Forge::with_the_servers_key().kid(), now())
}

fn signed(draft: &Draft) -> BearerToken {
    BearerToken::new(draft.sign(&Forge::with_the_servers_key()))
}

#[track_caller]
fn verified(verifier: &Verifier, token: &BearerToken) -> VerifiedClaims {
    verifier.verify(token, &own()).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether both are one piece of memory. While both are alive, that can only be if the second was not read
/// from the token again, for reading makes a new one.
fn are_one(first: &VerifiedClaims, second: &VerifiedClaims) -> bool {
    ptr::eq(first.own(), second.own())
}

#[test]
fn a_token_seen_before_is_not_read_again() {
    let scene = scene();
    let token = signed(&draft());
    let first = verified(&scene.verifier, &token);
    assert!(are_one(&first, &verified(&scene.verifier, &token)));
    assert!(are_one(&first, &verified(&scene.verifier.clone(), &token)), "a clone remembers the same");
    let any = scene.verifier.verify_for_any(&token).unwrap_or_else(|error| panic!("{error}"));
    assert!(are_one(&first, &any));
    // and the measure measures
    let forgetful = verifier(&Issuer::parse(ISSUER).unwrap(), Arc::clone(&scene.keys), &scene.clock);
    assert!(!are_one(&first, &verified(&forgetful, &token)));
    let none = forgetful.remembering(0);
    assert!(!are_one(&verified(&none, &token), &verified(&none, &token)));
}

#[test]
fn a_token_that_differs_in_one_bit_is_another_token() {
    let scene = scene();
    let token = draft().sign(&Forge::with_the_servers_key());
    verified(&scene.verifier, &BearerToken::new(token.clone()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in [0, 1, 7, 8, 1_023, 2_046, 2_047] {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let forged = BearerToken::new(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        for _ in 0..2 {
            let refused = scene.verifier.verify(&forged, &own()).err();
            assert_eq!(refused, Some(JwsError::Signature.into()), "bit {bit}");
        }
    }
    let widened = draft().claim("scope", r#""jeton:principal jeton:ops""#);
    let stolen = widened.sign(&Forge::with("test-only-other.pem"));
    let (widened, _) = stolen.rsplit_once('.').unwrap();
    let forged = BearerToken::new(format!("{widened}.{signature}"));
    assert_eq!(scene.verifier.verify(&forged, &own()).err(), Some(JwsError::Signature.into()));
}

#[test]
fn times_are_judged_each_time() {
    let scene = scene();
    let token = signed(&draft().claim("nbf", (now() + 10).to_string()));
    let first = verified(&scene.verifier, &token);
    for (name, moved, expected) in [
        ("at its last second", 329, None),
        ("expired", 1, Some(TokenError::Expired)),
        ("the clock was set back", -330, None),
        ("before `nbf`", -21, Some(TokenError::NotYetValid)),
        ("before `iat` too", -10, Some(TokenError::NotYetValid)),
        ("and good again", 31, None),
    ] {
        scene.clock.advance(moved);
        assert_eq!(scene.verifier.verify(&token, &own()).err(), expected, "{name}");
        assert_eq!(scene.verifier.verify_for_any(&token).err(), expected, "{name}");
    }
    assert!(!are_one(&first, &verified(&scene.verifier, &token)), "what had expired was forgotten");
}

#[test]
fn the_audience_is_judged_at_each_call() {
    let scene = scene();
    let [orders, other] =
        ["https://orders.example.com", "https://other.example"].map(|text| Audience::parse(text).unwrap());
    let token = signed(&draft().claim("aud", format!(r#"["{ISSUER}","{orders}"]"#)));
    for _ in 0..2 {
        let first = verified(&scene.verifier, &token);
        let at_orders = scene.verifier.verify(&token, &orders).unwrap_or_else(|error| panic!("{error}"));
        assert!(are_one(&first, &at_orders));
        assert_eq!(scene.verifier.verify(&token, &other).err(), Some(TokenError::Audience));
    }
    // seen first where it is not taken
    let token = signed(&draft());
    assert_eq!(scene.verifier.verify(&token, &orders).err(), Some(TokenError::Audience));
    verified(&scene.verifier, &token);
    assert_eq!(scene.verifier.verify(&token, &orders).err(), Some(TokenError::Audience));
}

#[test]
fn a_key_that_was_dropped_takes_its_tokens_along() {
    let scene = scene();
    let token = signed(&draft());
    verified(&scene.verifier, &token);
    let clock = Arc::clone(&scene.clock) as Arc<dyn Clock>;
    let keeper = KeyKeeper::new(KeyFolder::new(scene.dir.path()), KeyTerms::default(), clock);
    // a successor that signs: the old key stays published, and so its tokens stay good
    keeper.rotate().unwrap();
    assert!(matches!(scene.keys.reload(), KeyReload::Reloaded { .. }));
    scene.clock.advance(2 * 60 * 60);
    let late = signed(&Draft::good(&Forge::with_the_servers_key().kid(), now() + 2 * 60 * 60));
    let first = verified(&scene.verifier, &late);
    assert!(are_one(&first, &verified(&scene.verifier, &late)), "retired, and published still");
    // it leaves the set as time passes
    let retention = KeyTerms::default().retention.as_secs();
    let lasting = draft().claim("exp", (now() + 2 * retention).to_string());
    let lasting = signed(&lasting);
    verified(&scene.verifier, &lasting);
    scene.clock.advance(retention);
    assert_eq!(scene.verifier.verify(&lasting, &own()).err(), Some(JwsError::UnknownKey.into()));
}

#[test]
fn rotate_now_ends_tokens_at_once() {
    let scene = scene();
    let token = signed(&draft());
    let first = verified(&scene.verifier, &token);
    assert!(are_one(&first, &verified(&scene.verifier, &token)));
    let clock = Arc::clone(&scene.clock) as Arc<dyn Clock>;
    KeyKeeper::new(KeyFolder::new(scene.dir.path()), KeyTerms::default(), clock).rotate_now().unwrap();
    assert!(matches!(scene.keys.reload(), KeyReload::Reloaded { .. }));
    assert_eq!(scene.verifier.verify(&token, &own()).err(), Some(JwsError::UnknownKey.into()));
}

#[actix_web::test]
async fn the_status_list_is_asked_each_time() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&StatusFetchOptions::default());
    let verifier = verifier(&issuer.issuer, Arc::clone(&issuer.keys), &issuer.clock)
        .with_status_lists(Arc::clone(&lists));
    let serve = |revocation: EndedTokens| {
        let list = StatusList::of(revocation, issuer.now() + 86_400);
        let said = json!({ "bits": list.bits(), "lst": list.encode().unwrap() });
        let mut claims = issuer.good();
        claims["status_list"] = said;
        issuer.serves(&claims);
    };
    let name = format!("\"{}\"", issuer.issuer);
    let status = json!({ "status_list": { "idx": 1, "uri": issuer.uri("a") } });
    let token =
        signed(&draft().claim("iss", name.clone()).claim("aud", name).claim("status", status.to_string()));
    let own = issuer.issuer.audience();
    let unknown = StatusError::Unknown(issuer.uri("a").into());
    assert_eq!(verifier.verify(&token, own).err(), Some(unknown.into()), "verified, and not judged yet");
    serve(EndedTokens::Nothing);
    lists.fetch(&issuer.uri("a")).await;
    let first = verifier.verify(&token, own).unwrap_or_else(|error| panic!("{error}"));
    let again = verifier.verify(&token, own).unwrap_or_else(|error| panic!("{error}"));
    assert!(are_one(&first, &again));
    issuer.clock.advance(61);
    serve(EndedTokens::Everything);
    lists.refresh().await;
    assert_eq!(verifier.verify(&token, own).err(), Some(StatusError::Revoked.into()));
    issuer.clock.advance(61);
    serve(EndedTokens::Nothing);
    lists.refresh().await;
    assert!(verifier.verify(&token, own).is_ok());
}

/// Policies that take over are asked of tokens that were seen under those before.
#[actix_web::test]
async fn revocations_in_the_files_hold_at_the_next_decision() {
    let issuer = FakeIssuer::start().await;
    let policies = issuer.policies();
    let verifier = verifier(&issuer.issuer, Arc::clone(&issuer.keys), &issuer.clock);
    let authorizer =
        Authorizer::new(verifier.clone(), Arc::clone(&policies), ApiName::parse("jeton").unwrap());
    let name = format!("\"{}\"", issuer.issuer);
    let token = signed(&draft().claim("iss", name.clone()).claim("aud", name));
    let authorize = || authorizer.authorize("GET", "/principal", Some(&token)).now_or_never();
    let decide = || match authorize().expect("nothing is to be fetched") {
        Ok(_) => None,
        Err(Denied::InvalidToken(error, _)) => Some(error.to_string()),
        Err(Denied::NoToken(_) | Denied::NotHeld(_) | Denied::NotAllowed(_) | Denied::Unavailable(_)) => {
            panic!("another reason")
        }
    };
    assert_eq!((decide(), decide()), (None, None));
    let seen = verifier.verify_for_any(&token).unwrap_or_else(|error| panic!("{error}"));
    let file = issuer.dir.path().join("policies/ended.yaml");
    std::fs::write(&file, "version: 1\nrevoked_tokens: [forged]\n").unwrap();
    assert!(matches!(policies.reload(), Reload::Reloaded { .. }));
    assert_eq!(decide(), Some(TokenError::Revoked.to_string()));
    let still_seen = verifier.verify_for_any(&token).unwrap_or_else(|error| panic!("{error}"));
    assert!(are_one(&seen, &still_seen), "remembered all the while");
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(policies.reload(), Reload::Reloaded { .. }));
    assert_eq!(decide(), None);
}

#[test]
fn threads_share_what_was_seen() {
    let scene = scene();
    let tokens: Vec<_> =
        (0..50).map(|number| signed(&draft().claim("jti", format!("\"{number}\"")))).collect();
    let forged = BearerToken::new(draft().sign(&Forge::with("test-only-other.pem")));
    thread::scope(|scope| {
        for start in 0..8 {
            let (scene, tokens, forged) = (&scene, &tokens, &forged);
            scope.spawn(move || {
                for round in 0..500 {
                    let number = (start * 13 + round) % tokens.len();
                    let claims = verified(&scene.verifier, &tokens[number]);
                    assert_eq!(claims.token_id().as_str(), number.to_string());
                }
                assert!(scene.verifier.verify(forged, &own()).is_err());
            });
        }
    });
    for token in &tokens {
        assert!(are_one(&verified(&scene.verifier, token), &verified(&scene.verifier, token)));
    }
}
