//! A client that lost the answer to a refresh asks again: `tokens.refresh_grace`, with a real shared store.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use jeton::store::{FamilyAdvance, RefreshUse, SharedStore, Store, StoreState};
use jeton_oauth::{ScopeSet, TokenId, clock::ManualClock};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    refresh_tokens::{ALL, fetch, policies, refresh, refused, spawn_with, text},
    shared_store::{options, replica, until},
    support::{TestApp, forge::decoded, now, redis::RedisServer},
};

/// Two replicas with a store in common.
struct Replicas {
    one: TestApp,
    two: TestApp,
    redis: RedisServer,
}

impl Replicas {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let (one, two) = (spawn_with(Some(redis.url())), spawn_with(Some(redis.url())));
        one.is_ready().await;
        two.is_ready().await;
        Self { one, two, redis }
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
    let Replicas { one, two, redis } = &replicas;
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
    // ten seconds after the first use by its own clock, however often it was repeated, the server forgets it
    let claims = decoded(token).1;
    let family = claims["jti"].as_str().unwrap().trim_end_matches(".0");
    let key = format!("jeton:used:{{jeton:family:{family}}}");
    let left: i64 = redis.ask(&format!("PTTL {key}"));
    assert!((1..=10_000).contains(&left), "{left}");
    assert_eq!(redis.ask::<u8>(&format!("DEL {key}")), 1);
    ends(two, token, &[], &second).await;
}

/// No retry is too late because the clock of its replica is ahead, as far as tokens are taken at all.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_retry_at_a_replica_whose_clock_differs_is_a_retry() {
    for ahead in [1, 12, 29] {
        let Replicas { one, two, .. } = &Replicas::start().await;
        two.clock.advance(ahead);
        for (at_first, later) in [(one, two), (two, one)] {
            let first = fetch(at_first, "agent").await;
            let second = taken(at_first, text(&first, "refresh_token"), &[]).await;
            let again = taken(later, text(&first, "refresh_token"), &[]).await;
            assert_eq!(name(&again), name(&second), "{ahead} s ahead");
            taken(at_first, text(&again, "refresh_token"), &[]).await;
        }
    }
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

/// The request is the same, so the edit makes no second use of it: it brings what is granted now.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_retry_after_an_edit_brings_what_is_granted_now() {
    let Replicas { one, .. } = &Replicas::start().await;
    let edit = async |grant: &str| {
        one.write_policy("refresh.yaml", &policies(&ALL.replace("roles: [order-agent]", grant)));
        assert_eq!(one.post_reload().await.status(), 200);
    };
    let (all, read) = ("roles: [order-agent]", "scopes: [orders:read]");
    for (before, after, scope) in [(all, read, "orders:read"), (read, all, "orders:read orders:write")] {
        edit(all).await;
        let first = fetch(one, "agent").await;
        edit(before).await;
        let second = taken(one, text(&first, "refresh_token"), &[]).await;
        edit(after).await;
        let again = taken(one, text(&first, "refresh_token"), &[]).await;
        assert_eq!((name(&again), text(&again, "scope")), (name(&second), scope));
        // by name it is the same request too, if what is asked for is granted still
        let whole = [("scope", "orders:write orders:read")];
        if after == all {
            assert_eq!(name(&taken(one, text(&first, "refresh_token"), &whole).await), name(&second));
        } else {
            let beyond = refresh(one, "agent", text(&first, "refresh_token"), &whole).await;
            refused(beyond, "invalid_scope", "no longer granted");
        }
        taken(one, text(&again, "refresh_token"), &[]).await;
    }
}

/// What the answer would be does not count: a request for other scopes is another one.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_second_use_for_what_an_edit_left_is_no_retry() {
    let Replicas { one, .. } = &Replicas::start().await;
    let first = fetch(one, "agent").await;
    let narrow = ALL.replace("roles: [order-agent]", "scopes: [orders:read]");
    one.write_policy("refresh.yaml", &policies(&narrow));
    assert_eq!(one.post_reload().await.status(), 200);
    let second = taken(one, text(&first, "refresh_token"), &[]).await;
    assert_eq!(second["scope"], "orders:read");
    ends(one, text(&first, "refresh_token"), &[("scope", "orders:read")], &second).await;
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
async fn used(store: &Store, family: &str, generation: u32, scopes: &str, grace: u64) -> FamilyAdvance {
    used_within(store, family, generation, scopes, Duration::from_secs(grace)).await
}

async fn used_within(
    store: &Store,
    family: &str,
    generation: u32,
    scopes: &str,
    grace: Duration,
) -> FamilyAdvance {
    let (family, scopes) = (TokenId::parse(family).unwrap(), ScopeSet::parse(scopes).unwrap());
    let used = RefreshUse { family: &family, generation, scopes: &scopes, until: now() + 600, grace };
    store.shared().unwrap().advance(&used).await.unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn the_store_tells_a_retry_from_reuse() {
    let server = RedisServer::start();
    let (one, two) = (replica(&server).await, replica(&server).await);
    let taken = |generation| (generation, "a", 10, FamilyAdvance::Taken);
    let retried = |generation| (generation, "a", 10, FamilyAdvance::Retried);
    let reused = |generation| (generation, "a", 10, FamilyAdvance::Reused);
    let taken_off = |generation| (generation, "a", 0, FamilyAdvance::Taken);
    for (family, steps) in [
        ("retried", vec![taken(0), retried(0), retried(0)]),
        (
            "in-another-order",
            vec![(0, "a b", 10, FamilyAdvance::Taken), (0, "b a", 10, FamilyAdvance::Retried)],
        ),
        (
            "without-scopes",
            vec![(0, "", 10, FamilyAdvance::Taken), (0, "", 10, FamilyAdvance::Retried), reused(0)],
        ),
        ("fewer-scopes", vec![(0, "a b", 10, FamilyAdvance::Taken), reused(0)]),
        ("off", vec![taken_off(0), (0, "a", 0, FamilyAdvance::Reused), (0, "a", 10, FamilyAdvance::Ended)]),
        ("turned-off", vec![taken(0), (0, "a", 0, FamilyAdvance::Reused)]),
        ("turned-on", vec![taken_off(0), reused(0)]),
        ("goes-on", vec![taken(0), retried(0), taken(1), retried(1), reused(0)]),
        ("behind-its-successor", vec![taken(0), taken(1), reused(0), (1, "a", 10, FamilyAdvance::Ended)]),
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

/// A replica whose clock is ahead by so many seconds.
async fn replica_ahead(server: &RedisServer, seconds: i64) -> Store {
    let clock = ManualClock::at(Timestamp::from_second(now() + seconds).unwrap());
    let store = Store::Shared(SharedStore::start(options(server), Arc::new(clock), Duration::ZERO).unwrap());
    until("it is ready", async || store.state() == StoreState::Ready).await;
    store
}

/// The server's clock counts, whatever the clock of a replica says, and each replica goes by its own grace.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_retry_is_taken_for_as_long_as_its_replica_says() {
    let server = RedisServer::start();
    let one = replica(&server).await;
    let key = |family: &str| format!("jeton:used:{{jeton:family:{family}}}");
    let (long, short) = (Duration::from_mins(1), Duration::from_millis(100));
    for ahead in [0, 12, 29, -12, -29] {
        let two = replica_ahead(&server, ahead).await;
        for (name, at_retry, expected) in [
            ("as-long", long, FamilyAdvance::Retried),
            ("a-little-shorter", Duration::from_secs(59), FamilyAdvance::Retried),
            ("shorter", short, FamilyAdvance::Reused),
        ] {
            let family = &format!("{name}.{ahead}");
            assert_eq!(used_within(&one, family, 0, "a", long).await, FamilyAdvance::Taken);
            let left = || server.ask::<i64>(&format!("PTTL {}", key(family)));
            until("the shorter one is over", async || left() < 59_800).await;
            assert_eq!(used_within(&two, family, 0, "a", at_retry).await, expected, "{family}");
            assert!(left() < 59_800, "a retry does not lengthen it");
        }
        // the first use is forgotten when the grace is over that it came with
        let family = &format!("forgotten.{ahead}");
        assert_eq!(used_within(&one, family, 0, "a", short).await, FamilyAdvance::Taken);
        let is_known = || server.ask::<u8>(&format!("EXISTS {}", key(family))) == 1;
        until("it is forgotten", async || !is_known()).await;
        assert_eq!(used_within(&two, family, 0, "a", long).await, FamilyAdvance::Reused);
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
    assert_eq!(used(&new, "a", 0, "s", 10).await, FamilyAdvance::Taken);
    assert_eq!(old("a", 0), "reused");
    assert_eq!(used(&new, "a", 0, "s", 10).await, FamilyAdvance::Ended);
    // used up at the old one, which notes nothing of the use
    assert_eq!(old("b", 0), "taken");
    assert_eq!(used(&new, "b", 0, "s", 10).await, FamilyAdvance::Reused);
    assert_eq!(old("b", 1), "ended");
    // the successor used at the old one, while the new one knows of the use before
    assert_eq!(used(&new, "c", 0, "s", 10).await, FamilyAdvance::Taken);
    assert_eq!(old("c", 1), "taken");
    assert_eq!(used(&new, "c", 0, "s", 10).await, FamilyAdvance::Reused);
    // and one after the other
    assert_eq!(used(&new, "d", 0, "s", 10).await, FamilyAdvance::Taken);
    assert_eq!(used(&new, "d", 0, "s", 10).await, FamilyAdvance::Retried);
    assert_eq!(old("d", 1), "taken");
    assert_eq!(used(&new, "d", 2, "s", 10).await, FamilyAdvance::Taken);
    assert_eq!(used(&new, "d", 2, "s", 10).await, FamilyAdvance::Retried);
}
