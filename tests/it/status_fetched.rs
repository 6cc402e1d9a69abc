//! The status lists as a service elsewhere keeps them, against an issuer that answers what a row says.

use std::{fs, io::Write, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use flate2::{Compression, write::ZlibEncoder};
use futures_util::future::join_all;
use jeton::status_lists::{StatusListOptions, StatusLists};
use jeton_actix::{Caller, Protect};
use jeton_oauth::{ApiName, Audience, ClientId, Issuer, clock::Clock};
use jeton_verify::{
    Authorizer, BearerToken, TokenError, Verifier,
    status::{
        FetchedLists, StatusError, StatusFetchError, StatusFetchOptions, StatusHandle, StatusReference,
        UnknownList, index_of,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time;

use crate::support::{
    NOW,
    forge::{Draft, Forge, base64url},
    http_client,
    issuer::{Answer, EXAMPLE, FakeIssuer, signed, signed_as},
    live_keys,
    program::PATIENCE,
};

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// The member `lst` of a list of sixteen tokens that are VALID.
fn zeros() -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0, 0]).unwrap();
    base64url(encoder.finish().unwrap())
}

fn patient() -> StatusFetchOptions {
    StatusFetchOptions { timeout: PATIENCE, ..StatusFetchOptions::default() }
}

/// Where an issuer is silent, and a busy machine must not seem to be.
fn impatient() -> StatusFetchOptions {
    StatusFetchOptions { timeout: Duration::from_secs(2), ..StatusFetchOptions::default() }
}

/// Everything that is no good list, whatever is in memory.
fn bad_answers(issuer: &FakeIssuer) -> Vec<(&'static str, Answer)> {
    // whoever took one of them would take the first token for valid
    let good = with(&issuer.good(), "status_list", json!({ "bits": 1, "lst": zeros() }));
    let now = issuer.now();
    let list = |bits: Value, lst: &str| with(&good, "status_list", json!({ "bits": bits, "lst": lst }));
    let mut bomb = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..17 {
        bomb.write_all(&vec![0; 1024 * 1024]).unwrap();
    }
    let bomb = base64url(bomb.finish().unwrap());
    let Answer::Status(.., mut spoiled) = signed(&good) else { unreachable!() };
    spoiled[60] ^= 1;
    let Answer::Status(.., body) = signed(&good) else { unreachable!() };
    let mut huge = body.clone();
    huge.resize(2 * 1024 * 1024, b' ');
    let target = format!("Location: {}\r\n", issuer.uri("b"));
    let rows = vec![
        ("not found", Answer::Status(404, "", body.clone())),
        ("an error", Answer::Status(500, "", body.clone())),
        ("a redirect", Answer::Status(302, target.leak(), body.clone())),
        ("not modified", Answer::Status(304, "", Vec::new())),
        ("a part", Answer::Status(206, "", body.clone())),
        ("silence", Answer::Silence),
        ("a closed connection", Answer::HangUp),
        ("half of it", Answer::Half),
        ("nothing", Answer::Status(200, "", Vec::new())),
        ("garbage", Answer::Status(200, "", b"<html>".to_vec())),
        ("bytes", Answer::Status(200, "", vec![0xff; 100])),
        ("too long", Answer::Status(200, "", huge)),
        ("json", Answer::Status(200, "", good.to_string().into_bytes())),
        ("spoiled", Answer::Status(200, "", spoiled)),
        ("another typ", signed_as("at+jwt", &Forge::with_the_servers_key(), &good)),
        ("another key", signed_as("statuslist+jwt", &Forge::with("test-only-other.pem"), &good)),
        ("another sub", signed(&with(&good, "sub", issuer.uri("b").into()))),
        ("no sub", signed(&without(&good, "sub"))),
        ("no iat", signed(&without(&good, "iat"))),
        ("iat ahead", signed(&with(&good, "iat", (now + 3000).into()))),
        ("iat as text", signed(&with(&good, "iat", now.to_string().into()))),
        ("no exp", signed(&without(&good, "exp"))),
        ("expired", signed(&with(&good, "exp", (now - 60).into()))),
        ("a ttl of nothing", signed(&with(&good, "ttl", 0.into()))),
        ("a negative ttl", signed(&with(&good, "ttl", (-1).into()))),
        ("no list", signed(&without(&good, "status_list"))),
        ("no bits", signed(&with(&good, "status_list", json!({ "lst": EXAMPLE })))),
        ("three bits", signed(&list(3.into(), EXAMPLE))),
        ("no zlib", signed(&list(1.into(), "AAAA"))),
        ("a bomb", signed(&list(1.into(), &bomb))),
    ];
    rows
}

#[actix_web::test]
async fn draft_8_3_what_is_no_good_list_is_not_taken() {
    let issuer = FakeIssuer::start().await;
    for (name, answer) in bad_answers(&issuer) {
        let lists = issuer.lists(&impatient());
        issuer.answers(answer);
        lists.fetch(&issuer.uri("a")).await;
        let reference = issuer.at("a", 1);
        let expected = StatusError::Unknown(Arc::clone(&reference.uri));
        assert_eq!(lists.check(&reference), Err(expected), "{name}");
    }
    assert!(issuer.requests().iter().all(|head| head.starts_with("GET /status/a ")), "no redirect");
}

#[actix_web::test]
async fn the_last_good_list_counts() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&impatient());
    issuer.serves(&issuer.good());
    lists.fetch(&issuer.uri("a")).await;
    let rows = bad_answers(&issuer);
    for (name, answer) in rows {
        // a 304 is good once there is something that did not change
        issuer.answers(answer);
        issuer.clock.advance(61);
        let before = issuer.requests().len();
        lists.refresh().await;
        assert!(issuer.requests().len() > before, "{name}: it was fetched");
        assert_eq!(lists.check(&issuer.at("a", 0)), Err(StatusError::Revoked), "{name}");
        assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()), "{name}");
        assert_eq!(lists.check(&issuer.at("a", 16)), Err(StatusError::OutOfBounds), "{name}");
    }
}

#[actix_web::test]
async fn a_list_is_fetched_again_after_its_ttl() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&issuer.good());
    lists.fetch(&issuer.uri("a")).await;
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
    issuer.clock.advance(59);
    lists.refresh().await;
    lists.fetch(&issuer.uri("a")).await;
    assert_eq!(issuer.requests().len(), 1, "it is good still");
    issuer.clock.advance(1);
    issuer.answers(Answer::Status(304, "", Vec::new()));
    lists.refresh().await;
    let requests = issuer.requests();
    assert_eq!(requests.len(), 2);
    assert!(!requests[0].to_lowercase().contains("if-none-match"), "{}", requests[0]);
    assert!(requests[1].to_lowercase().contains("if-none-match: \"one\"\r\n"), "{}", requests[1]);
    assert!(requests[1].to_lowercase().contains("accept: application/statuslist+jwt\r\n"));
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
    lists.refresh().await;
    assert_eq!(issuer.requests().len(), 2, "not modified is good for another ttl");
    issuer.clock.advance(60);
    issuer.serves(&with(&issuer.good(), "status_list", json!({ "bits": 1, "lst": zeros() })));
    lists.refresh().await;
    assert_eq!(lists.check(&issuer.at("a", 0)), Ok(()), "another list took its place");
}

#[actix_web::test]
async fn rfc_9111_5_1_a_cache_uses_up_a_part_of_the_ttl() {
    for (headers, due) in [
        ("ETag: \"one\"\r\nAge: 0\r\n", 60),
        ("ETag: \"one\"\r\nAge: 45\r\n", 15),
        ("ETag: \"one\"\r\nAge: 59\r\n", 5),
        ("ETag: \"one\"\r\nAge: 99999999999999999999\r\n", 5),
        ("ETag: \"one\"\r\nAge: soon\r\n", 60),
    ] {
        let issuer = FakeIssuer::start().await;
        let lists = issuer.lists(&patient());
        let Answer::Status(.., list) = signed(&issuer.good()) else { unreachable!() };
        lists.fetch(&issuer.uri("a")).await;
        issuer.clock.advance(5);
        for answer in [Answer::Status(200, headers, list), Answer::Status(304, headers, Vec::new())] {
            issuer.answers(answer);
            lists.refresh().await;
            let before = issuer.requests().len();
            issuer.clock.advance(due - 1);
            lists.refresh().await;
            assert_eq!(issuer.requests().len(), before, "{headers:?}: within {due} seconds");
            issuer.clock.advance(1);
        }
        let before = issuer.requests().len();
        lists.refresh().await;
        assert_eq!(issuer.requests().len(), before + 1, "{headers:?}: after {due} seconds");
    }
}

#[actix_web::test]
async fn clocks_may_be_off_by_the_leeway() {
    let issuer = FakeIssuer::start().await;
    let reference = issuer.at("a", 1);
    for (name, claim, offset, taken) in [
        ("iat ahead", "iat", 60, true),
        ("iat too far ahead", "iat", 61, false),
        ("just expired", "exp", -59, true),
        ("expired", "exp", -60, false),
    ] {
        let lists = issuer.lists(&patient());
        issuer.serves(&with(&issuer.good(), claim, (issuer.now() + offset).into()));
        lists.fetch(&issuer.uri("a")).await;
        assert_eq!(lists.check(&reference).is_ok(), taken, "{name}");
    }
}

#[actix_web::test]
async fn a_newer_list_is_not_replaced_by_an_older() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&issuer.good());
    lists.fetch(&issuer.uri("a")).await;
    let zeros = json!({ "bits": 1, "lst": zeros() });
    let older = with(&with(&issuer.good(), "iat", (issuer.now() - 1).into()), "status_list", zeros);
    issuer.serves(&older);
    issuer.clock.advance(60);
    lists.refresh().await;
    assert_eq!(issuer.requests().len(), 2);
    assert_eq!(lists.check(&issuer.at("a", 0)), Err(StatusError::Revoked));
}

#[actix_web::test]
async fn a_failed_fetch_is_tried_again_later_and_later() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.answers(Answer::HangUp);
    let uri = issuer.uri("a");
    let mut before = 0;
    for pause in [5, 10, 20, 40, 60, 60] {
        lists.fetch(&uri).await;
        let tried = issuer.requests().len();
        assert!(tried > before, "after the pause before {pause}");
        issuer.clock.advance(pause - 1);
        lists.fetch(&uri).await;
        lists.refresh().await;
        assert_eq!(issuer.requests().len(), tried, "within {pause} seconds");
        issuer.clock.advance(1);
        before = tried;
    }
    issuer.serves(&issuer.good());
    lists.refresh().await;
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
}

#[actix_web::test]
async fn one_fetch_serves_all_who_wait() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&issuer.good());
    let uri = issuer.uri("a");
    join_all((0..20).map(|_| lists.fetch(&uri))).await;
    assert_eq!(issuer.requests().len(), 1);
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
}

#[actix_web::test]
async fn an_old_list_is_refused_by_the_options_or_its_end() {
    for (refuse_after, good_for, stale_from) in [
        (None, 3659, 3660),
        (Some(300), 300, 301),
        // an expired list is of no use, whatever the options say
        (Some(1_000_000), 3659, 3660),
    ] {
        let issuer = FakeIssuer::start().await;
        let refuse_after = refuse_after.map(Duration::from_secs);
        let lists = issuer.lists(&StatusFetchOptions { refuse_after, ..patient() });
        issuer.serves(&issuer.good());
        lists.fetch(&issuer.uri("a")).await;
        issuer.answers(Answer::HangUp);
        issuer.clock.advance(good_for);
        lists.refresh().await;
        assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()), "{refuse_after:?}");
        issuer.clock.advance(stale_from - good_for);
        assert_eq!(lists.check(&issuer.at("a", 1)), Err(StatusError::Stale), "{refuse_after:?}");
        // a list that has ended cannot be `not modified`
        issuer.serves(&issuer.good());
        issuer.clock.advance(60);
        lists.refresh().await;
        assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()), "{refuse_after:?}: it comes back");
    }
}

#[actix_web::test]
async fn an_ended_list_is_not_renewed_by_not_modified() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&issuer.good());
    lists.fetch(&issuer.uri("a")).await;
    issuer.answers(Answer::Status(304, "", Vec::new()));
    issuer.clock.advance(3660);
    lists.refresh().await;
    assert!(!issuer.requests()[1].to_lowercase().contains("if-none-match"));
    assert_eq!(lists.check(&issuer.at("a", 1)), Err(StatusError::Stale));
}

#[actix_web::test]
async fn without_a_list_the_options_decide() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&StatusFetchOptions { on_unknown: UnknownList::Accept, ..patient() });
    issuer.serves(&issuer.good());
    assert_eq!(lists.check(&issuer.at("a", 0)), Ok(()), "no list yet");
    assert!(issuer.requests().is_empty(), "asking fetches nothing");
    lists.refresh().await;
    assert_eq!(lists.check(&issuer.at("a", 0)), Err(StatusError::Revoked), "it was noted as wanted");
}

#[actix_web::test]
async fn a_foreign_list_is_refused_and_never_fetched() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&StatusFetchOptions { on_unknown: UnknownList::Accept, ..patient() });
    issuer.serves(&issuer.good());
    let base = issuer.issuer.as_str();
    for uri in [
        String::new(),
        "https://other.example/status/a".to_owned(),
        format!("{base}@other.example/status/a"),
        format!("{base}.example/status/a"),
        format!("{base}/status"),
        format!("{base}/status/"),
        format!("{base}/status/../a"),
        format!("{base}/status/a/b"),
        format!("{base}/status/a?b"),
        format!("{base}/status/a#b"),
        format!("{base}/status/%61"),
        format!("{base}/status/a b"),
        format!("{base}//status/a"),
        format!("{base}/other/a"),
        format!(" {base}/status/a"),
        format!("{base}/status/{}", "a".repeat(65)),
        base.replace("http", "HTTP") + "/status/a",
    ] {
        let reference = StatusReference { index: 1, uri: uri.clone().into() };
        assert_eq!(lists.check(&reference), Err(StatusError::ForeignList(uri.clone().into())), "{uri}");
        lists.fetch(&uri).await;
    }
    lists.refresh().await;
    assert_eq!(issuer.requests(), Vec::<String>::new());
}

#[actix_web::test]
async fn a_list_that_nobody_needs_is_let_go() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&with(&issuer.good(), "exp", (issuer.now() + 1_000_000).into()));
    lists.fetch(&issuer.uri("a")).await;
    issuer.clock.advance(86_400);
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
    issuer.clock.advance(86_401);
    let before = issuer.requests().len();
    lists.refresh().await;
    assert_eq!(issuer.requests().len(), before, "it is not fetched any more");
    assert!(matches!(lists.check(&issuer.at("a", 1)), Err(StatusError::Unknown(_))));
}

#[actix_web::test]
async fn lists_come_over_https_or_from_this_machine() {
    let issuer = FakeIssuer::start().await;
    for (address, good) in [("http://tokens.example.com", false), ("https://tokens.example.com", true)] {
        let lists = FetchedLists::new(
            Issuer::parse(address).unwrap(),
            Arc::clone(&issuer.keys),
            &StatusFetchOptions::default(),
            Arc::clone(&issuer.clock) as Arc<dyn Clock>,
        );
        match lists {
            Ok(_) => assert!(good, "{address}"),
            Err(error) => {
                assert!(!good && matches!(error, StatusFetchError::Insecure(_)), "{address}: {error}");
            }
        }
    }
}

#[actix_web::test]
async fn the_task_fetches_what_a_token_asks_for() {
    let issuer = FakeIssuer::start().await;
    let lists = issuer.lists(&patient());
    issuer.serves(&issuer.good());
    let task = tokio::spawn(Arc::clone(&lists).run());
    let reference = issuer.at("a", 1);
    let fetched = async {
        let mut looks = time::interval(Duration::from_millis(10));
        while lists.check(&reference).is_err() {
            looks.tick().await;
        }
    };
    time::timeout(PATIENCE, fetched).await.expect("the list is fetched");
    assert_eq!(issuer.requests().len(), 1);
    task.abort();
}

/// From an edit of the files to a verifier that never sees them.
#[actix_web::test]
async fn what_the_policies_end_is_refused_elsewhere() {
    let issuer = FakeIssuer::start().await;
    let policies = issuer.policies();
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    let keys = live_keys(&issuer.dir.path().join("keys"), &issuer.clock);
    let options = StatusListOptions { ttl: Duration::from_mins(1), by_default: true };
    let signed = StatusLists::new(issuer.issuer.clone(), keys, Arc::clone(&policies), options, clock);
    let handle = StatusHandle::of(&ClientId::parse("acme-sync").unwrap());
    let path = issuer.dir.path().join("policies/clients.yaml");
    let enabled = fs::read_to_string(&path).unwrap();
    let disabled = enabled.replace("  acme-sync:\n", "  acme-sync:\n    enabled: false\n");

    let lists = issuer.lists(&patient());
    let token = issuer.at(handle.as_str(), index_of(issuer.now(), None));
    for (text, expected) in [(&enabled, Ok(())), (&disabled, Err(StatusError::Revoked)), (&enabled, Ok(()))] {
        fs::write(&path, text).unwrap();
        policies.reload();
        let served = signed.serve(handle.as_str()).await.unwrap().unwrap();
        let etag: &'static str = format!("ETag: {}\r\n", served.list.etag()).leak();
        issuer.answers(Answer::Status(200, etag, served.list.body().to_owned().into_bytes()));
        lists.fetch(&token.uri).await;
        assert_eq!(lists.check(&token), expected);
        issuer.clock.advance(60);
    }
}

/// An access token of `acme-sync` for jeton's own API, with this claim more.
fn token(issuer: &FakeIssuer, status: &Value) -> String {
    let forge = Forge::with_the_servers_key();
    let name = format!("\"{}\"", issuer.issuer);
    let draft = Draft::good(&forge.kid(), NOW.parse::<Timestamp>().unwrap().as_second());
    let draft = draft.claim("iss", name.clone()).claim("aud", name);
    if status.is_null() { draft } else { draft.claim("status", status.to_string()) }.sign(&forge)
}

fn pointing(uri: &str, index: u64) -> Value {
    json!({ "status_list": { "idx": index, "uri": uri } })
}

#[actix_web::test]
async fn a_verifier_looks_at_the_status_last() {
    let issuer = FakeIssuer::start().await;
    issuer.serves(&issuer.good());
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    let plain =
        Verifier::new(issuer.issuer.clone(), Arc::clone(&issuer.keys), Duration::from_secs(30), clock);
    let lists = issuer.lists(&patient());
    lists.fetch(&issuer.uri("a")).await;
    let looking = plain.clone().with_status_lists(lists);
    let own = issuer.issuer.audience();
    let status = |error| Some(TokenError::Status(error));
    let foreign = "https://other.example/status/a";
    for (name, claim, expected) in [
        ("no status", Value::Null, None),
        ("valid", pointing(&issuer.uri("a"), 1), None),
        ("revoked", pointing(&issuer.uri("a"), 0), status(StatusError::Revoked)),
        ("behind the end", pointing(&issuer.uri("a"), 16), status(StatusError::OutOfBounds)),
        ("unknown", pointing(&issuer.uri("b"), 1), status(StatusError::Unknown(issuer.uri("b").into()))),
        ("foreign", pointing(foreign, 1), status(StatusError::ForeignList(foreign.into()))),
        ("no list", json!({}), Some(TokenError::WrongType("status"))),
    ] {
        let token = BearerToken::new(token(&issuer, &claim));
        assert_eq!(looking.verify(&token, own).err(), expected, "{name}");
        assert_eq!(looking.verify_for_any(&token).err(), expected, "{name}");
        let without = expected.filter(|error| !matches!(error, TokenError::Status(_)));
        assert_eq!(plain.verify(&token, own).err(), without, "{name}, without lists");
    }
    let revoked = BearerToken::new(token(&issuer, &pointing(&issuer.uri("a"), 0)));
    let other = Audience::parse("https://other.example").unwrap();
    assert_eq!(looking.verify(&revoked, &other).err(), Some(TokenError::Audience));
    issuer.clock.advance(1000);
    assert_eq!(looking.verify(&revoked, own).err(), Some(TokenError::Expired));
}

/// The first request of a client waits for its list, and no other does.
#[actix_web::test]
async fn a_protected_service_fetches_a_list_at_first_sight() {
    let issuer = FakeIssuer::start().await;
    issuer.serves(&issuer.good());
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    let verifier = Verifier::new(
        issuer.issuer.clone(),
        Arc::clone(&issuer.keys),
        Duration::from_secs(30),
        Arc::clone(&clock),
    );
    let policies = issuer.policies();
    let verifier = verifier.with_status_lists(issuer.lists(&patient()));
    let authorizer = Authorizer::new(verifier, policies, ApiName::parse("jeton").unwrap());
    let server = HttpServer::new(move || {
        let client = |caller: Caller| async move {
            HttpResponse::Ok().body(caller.client().unwrap().as_str().to_owned())
        };
        App::new().wrap(Protect::new(authorizer.clone())).route("/principal", web::get().to(client))
    });
    let server = server.workers(1).bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/principal", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let http = http_client();
    let get = |token: String| http.get(&url).bearer_auth(token).send();
    for (name, claim, status, requests) in [
        ("no status", Value::Null, 200, 0),
        ("the first", pointing(&issuer.uri("a"), 1), 200, 1),
        ("the second", pointing(&issuer.uri("a"), 1), 200, 1),
        ("revoked", pointing(&issuer.uri("a"), 0), 401, 1),
        ("a list that is not there", pointing(&issuer.uri("b"), 1), 401, 2),
        ("it is not asked for again at once", pointing(&issuer.uri("b"), 1), 401, 2),
    ] {
        let answer = get(token(&issuer, &claim)).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        if status == 200 {
            assert_eq!(answer.text().await.unwrap(), "acme-sync", "{name}");
        } else {
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.contains("invalid_token"), "{name}: {challenge}");
            assert!(!challenge.contains("revoked"), "{name}: {challenge}");
        }
        assert_eq!(issuer.requests().len(), requests, "{name}");
    }
    handle.stop(false).await;
}
