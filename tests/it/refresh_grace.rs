//! A client that lost the answer to a refresh asks again: `tokens.refresh_grace`, with a real shared store.

use std::time::Duration;

use futures_util::future::join_all;
use jeton::{
    oauth::{ScopeSet, TokenId},
    store::{Advance, RefreshUse, Store},
};
use serde_json::Value;

use crate::{
    refresh_tokens::{ALL, fetch, policies, refresh, refused, spawn_with, text},
    shared_store::replica,
    support::{TestApp, forge::decoded, now, redis::RedisServer},
};

/// Two replicas with a store in common.
struct Replicas {
    one: TestApp,
    two: TestApp,
    _redis: RedisServer,
}

impl Replicas {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let (one, two) = (spawn_with(Some(redis.url())), spawn_with(Some(redis.url())));
        one.is_ready().await;
        two.is_ready().await;
        Self { one, two, _redis: redis }
    }

    fn advance(&self, seconds: i64) {
        self.one.clock.advance(seconds);
        self.two.clock.advance(seconds);
    }
}

/// Which one of its family a refresh token is.
fn name(body: &Value) -> String {
    decoded(text(body, "refresh_token")).1["jti"].as_str().unwrap().to_owned()
}

/// Uses a refresh token, which must be taken.
async fn taken(app: &TestApp, token: &str, more: &[(&str, &str)]) -> Value {
    let (status, body) = refresh(app, "agent", token, more).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Uses a refresh token, which must end its family and what that brought.
async fn ends(app: &TestApp, token: &str, more: &[(&str, &str)], last: &Value) {
    refused(refresh(app, "agent", token, more).await, "invalid_grant", "a second use");
    refused(refresh(app, "agent", text(last, "refresh_token"), &[]).await, "invalid_grant", "the newest");
    app.until_inactive("plain", text(last, "access_token")).await;
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_retry_brings_the_same_generation_again() {
    let replicas = Replicas::start().await;
    let Replicas { one, two, .. } = &replicas;
    let first = fetch(one, "agent").await;
    let token = text(&first, "refresh_token");
    let second = taken(one, token, &[]).await;
    assert_eq!(name(&second), name(&first).replace(".0", ".1"));
    // at another replica, again and again, and each time for what the first use was for
    for (app, seconds, more) in
        [(two, 0, &[][..]), (one, 5, &[]), (two, 4, &[("scope", "orders:write orders:read")])]
    {
        replicas.advance(seconds);
        let again = taken(app, token, more).await;
        assert_eq!((name(&again), &again["scope"]), (name(&second), &second["scope"]));
        let exp = |body: &Value| decoded(text(body, "refresh_token")).1["exp"].clone();
        assert_eq!(exp(&again), exp(&first), "the end of the family stays");
        for body in [&second, &again] {
            let form = [("token", text(body, "access_token"))];
            let (_, answer) = two.post_form("/oauth2/introspect", "plain", &form).await;
            assert_eq!(answer["active"], true);
        }
    }
    // one second later it is too late: ten seconds after the first use, whenever it was repeated
    replicas.advance(1);
    ends(two, token, &[], &second).await;
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn each_answer_of_a_retry_goes_on() {
    let Replicas { one, two, .. } = &Replicas::start().await;
    for lost in [0, 1] {
        let first = fetch(one, "agent").await;
        let answers = [
            taken(one, text(&first, "refresh_token"), &[]).await,
            taken(two, text(&first, "refresh_token"), &[]).await,
        ];
        // whichever arrived: the family goes on, and the next answer may be lost again
        let third = taken(two, text(&answers[1 - lost], "refresh_token"), &[]).await;
        assert_eq!(name(&third), name(&first).replace(".0", ".2"));
        let again = taken(one, text(&answers[1 - lost], "refresh_token"), &[]).await;
        assert_eq!(name(&again), name(&third));
        // the other answer is the same generation
        let other = taken(one, text(&answers[lost], "refresh_token"), &[]).await;
        assert_eq!(name(&other), name(&third));
        taken(two, text(&third, "refresh_token"), &[]).await;
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_use_behind_that_of_the_successor_ends_the_family() {
    let Replicas { one, two, .. } = &Replicas::start().await;
    let first = fetch(one, "agent").await;
    let second = taken(one, text(&first, "refresh_token"), &[]).await;
    let third = taken(two, text(&second, "refresh_token"), &[]).await;
    // at once, and for the same
    ends(one, text(&first, "refresh_token"), &[], &third).await;
    // and nothing of what was good a moment ago is any more
    refused(refresh(two, "agent", text(&second, "refresh_token"), &[]).await, "invalid_grant", "a retry");
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_second_use_for_other_scopes_is_no_retry() {
    let Replicas { one, two, .. } = &Replicas::start().await;
    let read = &[("scope", "orders:read")][..];
    let write = &[("scope", "orders:write")][..];
    for (at_first, later) in [(&[][..], read), (read, &[]), (read, write)] {
        let first = fetch(one, "agent").await;
        let token = text(&first, "refresh_token");
        let second = taken(one, token, at_first).await;
        assert_eq!(name(&taken(two, token, at_first).await), name(&second), "the same again");
        ends(two, token, later, &second).await;
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_request_that_would_be_refused_anyway_ends_nothing() {
    let Replicas { one, two, .. } = &Replicas::start().await;
    let first = fetch(one, "agent").await;
    let token = text(&first, "refresh_token");
    let second = taken(one, token, &[]).await;
    refused(refresh(two, "other", token, &[]).await, "invalid_grant", "another client");
    let beyond = refresh(two, "agent", token, &[("scope", "orders:refund")]).await;
    refused(beyond, "invalid_scope", "never granted");
    taken(two, token, &[]).await;
    // what ends the family ends its retries
    let form = [("token", text(&second, "refresh_token"))];
    assert_eq!(one.post_form("/oauth2/revoke", "agent", &form).await.0, 200);
    refused(refresh(one, "agent", token, &[]).await, "invalid_grant", "revoked");
    refused(refresh(two, "agent", token, &[]).await, "invalid_grant", "revoked, at the other");
}

/// An edit in between takes a scope away: what the retry would bring is not what the first use brought.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_retry_for_fewer_scopes_than_before_is_none() {
    let Replicas { one, .. } = &Replicas::start().await;
    let first = fetch(one, "agent").await;
    let second = taken(one, text(&first, "refresh_token"), &[]).await;
    let narrow = ALL.replace("roles: [order-agent]", "scopes: [orders:read]");
    one.write_policy("refresh.yaml", &policies(&narrow));
    assert_eq!(one.post_reload().await.status(), 200);
    ends(one, text(&first, "refresh_token"), &[], &second).await;
}

/// Two processes of one client, or one that hangs up too soon.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn of_several_uses_at_once_all_bring_the_same_generation() {
    let Replicas { one, two, .. } = &Replicas::start().await;
    let mut last = fetch(one, "agent").await;
    for generation in 1..=10 {
        let token = text(&last, "refresh_token").to_owned();
        let answers = join_all([one, two, one, two].map(|app| taken(app, &token, &[]))).await;
        for body in &answers {
            assert!(name(body).ends_with(&format!(".{generation}")), "{body}");
        }
        last = answers.into_iter().nth(generation % 4).unwrap();
    }
    taken(two, text(&last, "refresh_token"), &[]).await;
}

/// One use at a store, by the clock of its replica, which stands still.
async fn used(store: &Store, family: &str, generation: u32, scopes: &str, grace: u64) -> Advance {
    let (family, scopes) = (TokenId::parse(family).unwrap(), ScopeSet::parse(scopes).unwrap());
    let grace = Duration::from_secs(grace);
    let used = RefreshUse { family: &family, generation, scopes: &scopes, until: now() + 600, grace };
    store.shared().unwrap().advance(&used).await.unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn the_store_tells_a_retry_from_reuse() {
    let server = RedisServer::start();
    let (one, two) = (replica(&server).await, replica(&server).await);
    let taken = |generation| (generation, "a", 10, Advance::Taken);
    let retried = |generation| (generation, "a", 10, Advance::Retried);
    let reused = |generation| (generation, "a", 10, Advance::Reused);
    let taken_off = |generation| (generation, "a", 0, Advance::Taken);
    for (family, steps) in [
        ("retried", vec![taken(0), retried(0), retried(0)]),
        ("in-another-order", vec![(0, "a b", 10, Advance::Taken), (0, "b a", 10, Advance::Retried)]),
        ("without-scopes", vec![(0, "", 10, Advance::Taken), (0, "", 10, Advance::Retried), reused(0)]),
        ("fewer-scopes", vec![(0, "a b", 10, Advance::Taken), reused(0)]),
        ("off", vec![taken_off(0), (0, "a", 0, Advance::Reused), (0, "a", 10, Advance::Ended)]),
        ("turned-off", vec![taken(0), (0, "a", 0, Advance::Reused)]),
        ("turned-on", vec![taken_off(0), reused(0)]),
        ("goes-on", vec![taken(0), retried(0), taken(1), retried(1), reused(0)]),
        ("behind-its-successor", vec![taken(0), taken(1), reused(0), (1, "a", 10, Advance::Ended)]),
        ("a-use-without-grace-between", vec![taken(0), taken_off(1), reused(1)]),
        ("an-older-one", vec![taken(3), reused(2)]),
        ("one-with-the-same-digits", vec![taken(11), reused(1)]),
        ("the-last", vec![taken(u32::MAX), retried(u32::MAX)]),
    ] {
        for (step, (generation, scopes, grace, expected)) in steps.into_iter().enumerate() {
            let store = if step % 2 == 0 { &one } else { &two };
            let came = used(store, family, generation, scopes, grace).await;
            assert_eq!(came, expected, "{family}, step {step}");
        }
    }
    // nothing is kept of a use for longer than a retry is taken, and no scope is told
    let keys: Vec<String> = server.ask("KEYS jeton:used:*");
    assert!(keys.len() > 3, "{keys:?}");
    for key in keys {
        let (left, value): (i64, String) =
            (server.ask(&format!("PTTL {key}")), server.ask(&format!("GET {key}")));
        assert!(left <= 10_000, "{key}: {left}");
        assert_eq!(value.split(' ').nth(1).unwrap().len(), 22, "a hash: {value}");
    }
}

/// What replicas did that know of no retries; one of them may stand beside a new one during an upgrade.
const ADVANCE_OF_BEFORE: &str = r"
local stored, generation = redis.call('GET', KEYS[1]), tonumber(ARGV[1])
local seconds = math.max(tonumber(ARGV[2]), redis.call('TTL', KEYS[1]))
if stored == 'ended' then return 'ended' end
if stored and generation < tonumber(stored) then
  redis.call('SET', KEYS[1], 'ended', 'EX', seconds)
  return 'reused'
end
redis.call('SET', KEYS[1], string.format('%.0f', generation + 1), 'EX', seconds)
return 'taken'
";

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_replica_from_before_takes_nothing_twice_and_lets_nothing_be() {
    let server = RedisServer::start();
    let new = replica(&server).await;
    let old = |family: &str, generation: u32| -> String {
        let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let before = redis::Script::new(ADVANCE_OF_BEFORE);
        let mut script = before.key(format!("jeton:family:{family}"));
        script.arg(generation).arg(660).invoke(&mut connection).unwrap()
    };
    // used up at the new one
    assert_eq!(used(&new, "a", 0, "s", 10).await, Advance::Taken);
    assert_eq!(old("a", 0), "reused");
    assert_eq!(used(&new, "a", 0, "s", 10).await, Advance::Ended);
    // used up at the old one, which notes nothing of the use
    assert_eq!(old("b", 0), "taken");
    assert_eq!(used(&new, "b", 0, "s", 10).await, Advance::Reused);
    assert_eq!(old("b", 1), "ended");
    // the successor used at the old one, while the new one knows of the use before
    assert_eq!(used(&new, "c", 0, "s", 10).await, Advance::Taken);
    assert_eq!(old("c", 1), "taken");
    assert_eq!(used(&new, "c", 0, "s", 10).await, Advance::Reused);
    // and one after the other
    assert_eq!(used(&new, "d", 0, "s", 10).await, Advance::Taken);
    assert_eq!(used(&new, "d", 0, "s", 10).await, Advance::Retried);
    assert_eq!(old("d", 1), "taken");
    assert_eq!(used(&new, "d", 2, "s", 10).await, Advance::Taken);
    assert_eq!(used(&new, "d", 2, "s", 10).await, Advance::Retried);
}
