//! What a service keeps of its issuer, for a start without it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use jeton_verify::Authorizer;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    jwks_source::{first, second},
    support::{
        bundle::{ALLOWED, BundleIssuer, HOUR, NO_POLICIES, ORDERS_OF_ACME, bundle_of, signed, with},
        issuer::{Answer, signed as signed_list},
    },
};

/// Starts with an issuer, and once more without.
async fn restarted(issuer: &BundleIssuer, keep: &Path, spoil: impl FnOnce()) -> Authorizer {
    let options = || {
        let mut options = issuer.options();
        options.keep = Some(keep.to_owned());
        options
    };
    issuer.comes_back();
    let service = options().start().unwrap();
    issuer.check(&service, ALLOWED, "with the issuer").await;
    drop(service);
    spoil();
    issuer.goes_away();
    options().start().unwrap()
}

#[actix_web::test]
async fn a_start_without_the_issuer_goes_on_with_what_was_kept() {
    let issuer = BundleIssuer::start().await;
    let dir = TempDir::new().unwrap();
    let keep = dir.path().join("new/keep");
    let service = restarted(&issuer, &keep, || {}).await;
    issuer.check(&service, ALLOWED, "kept").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keep), 0o700);
    let names: Vec<_> = fs::read_dir(&keep).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing half is left: {names:?}");
    assert!(names.iter().all(|name| mode(&keep.join(name)) == 0o600));
    // one that is older than the one that was kept does not take its place
    issuer.comes_back();
    issuer.serves(&with(&issuer.other(), "exp", issuer.issuer.now() + HOUR));
    issuer.issuer.clock.advance(60);
    bundle_of(&service).refresh().await;
    issuer.check(&service, ALLOWED, "rolled back").await;
    issuer.goes_away();
    issuer.issuer.clock.advance(25 * HOUR);
    issuer.check(&service, NO_POLICIES, "its end counts as ever").await;
}

#[actix_web::test]
async fn what_was_kept_and_is_not_good_is_passed_over() {
    let issuer = BundleIssuer::start().await;
    let (bundle, keys) = ("bundle-orders.json", "jwks.json");
    let kept = |issuer: &str, document: String| json!({ "issuer": issuer, "document": document }).to_string();
    let own = issuer.issuer.issuer.as_str().to_owned();
    let good = issuer.good();
    let forged = signed(&second(), "policies+jwt", &good);
    let renamed = second().sign(
        json!({ "typ": "policies+jwt", "alg": "RS256", "kid": first().kid() }).to_string(),
        good.to_string(),
    );
    let expired = signed(&first(), "policies+jwt", &with(&good, "exp", issuer.issuer.now() - HOUR));
    let genuine = signed(&first(), "policies+jwt", &good);
    for (name, file, text) in [
        ("empty", bundle, String::new()),
        ("half", bundle, kept(&own, genuine.clone())[..500].to_owned()),
        ("another issuer's", bundle, kept("https://other.example", genuine.clone())),
        ("by an unknown key", bundle, kept(&own, forged)),
        ("by another key", bundle, kept(&own, renamed)),
        ("expired", bundle, kept(&own, expired)),
        ("not packed in", bundle, genuine.clone()),
        ("no keys", keys, kept(&own, "{}".to_owned())),
        (
            "keys of another issuer",
            keys,
            kept("https://other.example", json!({ "keys": [first().jwk()] }).to_string()),
        ),
        ("keys that do not fit", keys, kept(&own, json!({ "keys": [second().jwk()] }).to_string())),
        ("bytes", keys, "\0\0".to_owned()),
    ] {
        let dir = TempDir::new().unwrap();
        let keep = dir.path().join("keep");
        let service = restarted(&issuer, &keep, || fs::write(keep.join(file), text).unwrap()).await;
        issuer.check(&service, NO_POLICIES, name).await;
        drop(service);
        issuer.issuer.clock.advance(60);
        let service = restarted(&issuer, &keep, || {}).await;
        issuer.check(&service, ALLOWED, &format!("{name}: written anew")).await;
    }
}

#[actix_web::test]
async fn a_folder_that_others_can_write_is_refused() {
    let issuer = BundleIssuer::start().await;
    let dir = TempDir::new().unwrap();
    for (mode, is_good) in
        [(0o700, true), (0o755, true), (0o750, true), (0o770, false), (0o757, false), (0o777, false)]
    {
        let keep = dir.path().join(format!("{mode:o}"));
        fs::create_dir(&keep).unwrap();
        fs::set_permissions(&keep, fs::Permissions::from_mode(mode)).unwrap();
        let mut options = issuer.options();
        options.keep = Some(keep);
        let started = options.start();
        assert_eq!(started.is_ok(), is_good, "{mode:o}");
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(is_good || error.contains("chmod 700"), "{mode:o}: {error}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let mut options = issuer.options();
    options.keep = Some(file);
    assert!(options.start().is_err(), "a file is no folder");
}

#[actix_web::test]
async fn a_kept_list_ends_tokens_without_the_issuer() {
    let issuer = BundleIssuer::start().await;
    let dir = TempDir::new().unwrap();
    let (fake, list) = (&issuer.issuer, "/status/a");
    fake.answers_at(list, signed_list(&fake.good()));
    let started = || {
        let mut options = issuer.options();
        options.keep = Some(dir.path().join("keep"));
        options.start().unwrap()
    };
    let check = async |service: &Authorizer, index: u64, expected: (u16, &str), name: &str| {
        let status = json!({ "status_list": { "idx": index, "uri": fake.uri("a") } });
        let answer = service.answer("GET", ORDERS_OF_ACME, [&*issuer.bearer_with(&status)]).await;
        assert_eq!((answer.status, answer.reason), expected, "{name}: {index}");
    };
    let service = started();
    check(&service, 1, ALLOWED, "with the issuer").await;
    drop(service);
    issuer.goes_away();
    fake.answers_at(list, Answer::HangUp);
    let service = started();
    check(&service, 1, ALLOWED, "kept").await;
    check(&service, 0, (401, "invalid-token"), "kept").await;
    drop(service);
    fs::write(dir.path().join("keep/status-a.json"), "{").unwrap();
    check(&started(), 1, (401, "invalid-token"), "damaged").await;
}
