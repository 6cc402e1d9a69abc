//! The shared store with a real server: what one replica does, the others see, and what happens while the
//! server is away.
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use jeton::store::{
    FamilyAdvance, NameUse, OnceName, RefreshUse, SharedStore, SharedStoreOptions, Store, StoreError,
    StoreState,
};
use jeton_oauth::{
    ScopeSet, TokenId,
    clock::{Clock, ManualClock, SystemClock},
};
use jeton_verify::{Revocations, RevocationsUnknown};
use jiff::Timestamp;
use tokio::time;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{NOW, program::PATIENCE, redis::RedisServer};

/// How long a call may take while the server is away.
const PROMPTLY: Duration = Duration::from_millis(1500);

pub(crate) fn now() -> i64 {
    NOW.parse::<Timestamp>().unwrap().as_second()
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW.parse().unwrap()))
}

pub(crate) fn options(server: &RedisServer) -> SharedStoreOptions {
    SharedStoreOptions { url: server.url(), password: None, prefix: "jeton".to_owned(), ca: None }
}

pub(crate) fn start(options: SharedStoreOptions) -> Store {
    Store::Shared(SharedStore::start(options, clock(), Duration::ZERO).unwrap())
}

/// A replica that has read what is revoked.
pub(crate) async fn replica(server: &RedisServer) -> Store {
    replica_with(options(server)).await
}

pub(crate) async fn replica_with(options: SharedStoreOptions) -> Store {
    let store = start(options);
    comes_to(&store, StoreState::Ready).await;
    store
}

pub(crate) fn shared(store: &Store) -> &SharedStore {
    store.shared().unwrap()
}

/// One use of a refresh token, of which no retry is taken.
pub(crate) async fn advance(
    store: &Store,
    family: &TokenId,
    generation: u32,
    until: i64,
) -> Result<FamilyAdvance, StoreError> {
    let scopes = ScopeSet::default();
    let used = RefreshUse { family, generation, scopes: &scopes, until, grace: Duration::ZERO };
    shared(store).advance(&used).await
}

pub(crate) fn name(text: &str) -> OnceName {
    OnceName::of(&[text.as_bytes()])
}

pub(crate) fn id(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}

/// Waits for what must come.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) async fn comes_to(store: &Store, state: StoreState) {
    until(&format!("{state:?}"), async || store.state() == state).await;
}

pub(crate) async fn learns(store: &Store, token: &str) {
    until(&format!("{token} is revoked"), async || store.is_revoked(token) == Ok(true)).await;
}

/// Every call fails, and soon.
#[track_caller]
fn unreachable<T: std::fmt::Debug>(outcome: Result<Result<T, StoreError>, time::error::Elapsed>) {
    let outcome = outcome.expect("a call takes too long");
    assert!(matches!(outcome, Err(StoreError::Unreachable(_))), "{outcome:?}");
}

pub(crate) async fn every_call_fails(store: &Store) {
    let (family, until) = (id("family"), now() + 60);
    unreachable(time::timeout(PROMPTLY, store.use_once(name("any"), until)).await);
    unreachable(time::timeout(PROMPTLY, advance(store, &family, 0, until)).await);
    unreachable(time::timeout(PROMPTLY, shared(store).end_family(&family, until)).await);
    unreachable(time::timeout(PROMPTLY, shared(store).revoke(&id("other"), until)).await);
    assert_ne!(store.is_revoked("other"), Ok(true), "what the server did not take does not count");
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What is logged in this thread from now on.
    pub(crate) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines with this event.
    pub(crate) fn lines(&self, event: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(event)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// From both replicas, and from threads with runtimes of their own, as the workers of a server are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_name_is_used_once_over_all_replicas() {
    let server = RedisServer::start();
    let stores = [Arc::new(start(options(&server))), Arc::new(start(options(&server)))];
    let worker = |number: usize| {
        let store = Arc::clone(&stores[number % 2]);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            let uses = (0..10).map(|_| {
                let store = Arc::clone(&store);
                local.spawn_local(async move { store.use_once(name("jti"), now() + 60).await.unwrap() })
            });
            let uses: Vec<_> = uses.collect();
            runtime.block_on(local);
            runtime.block_on(async {
                let mut firsts = 0;
                for one in uses {
                    firsts += usize::from(one.await.unwrap() == NameUse::First);
                }
                firsts
            })
        })
    };
    let workers: Vec<_> = (0..6).map(worker).collect();
    let firsts = tokio::task::spawn_blocking(|| {
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    assert_eq!(firsts.await.unwrap(), 1);
    assert_eq!(stores[0].use_once(name("another"), now() + 60).await.unwrap(), NameUse::First);
    assert_eq!(stores[1].use_once(name("another"), now() + 60).await.unwrap(), NameUse::Again);
}

/// It is kept somewhat longer than it is told, so one whose time has passed goes in a second.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_use_is_kept_past_its_time_and_then_forgotten() {
    let server = RedisServer::start();
    let store = replica(&server).await;
    assert_eq!(store.use_once(name("short"), now() - 59).await.unwrap(), NameUse::First);
    until("it is forgotten", async || {
        store.use_once(name("short"), now() - 59).await.unwrap() == NameUse::First
    })
    .await;
    store.use_once(name("long"), now() + 600).await.unwrap();
    advance(&store, &id("f"), 0, now() + 600).await.unwrap();
    shared(&store).end_family(&id("g"), now() + 600).await.unwrap();
    let keys: Vec<String> = server.ask("KEYS *");
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys.iter().filter(|key| key.contains(":once:") || key.contains(":family:")) {
        let seconds: i64 = server.ask(&format!("TTL {key}"));
        let expected = if seconds <= 1 { 0..=1 } else { 601..=660 };
        assert!(expected.contains(&seconds), "{key} for {seconds} s");
    }
    // what ended stays ended for as long as it was to be kept, whatever a later call says
    shared(&store).end_family(&id("g"), now() - 600).await.unwrap();
    assert!(server.ask::<i64>("TTL jeton:family:g") > 600);
    assert_eq!(advance(&store, &id("g"), 0, now() + 1).await.unwrap(), FamilyAdvance::Ended);
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn using_a_generation_again_ends_the_family() {
    let server = RedisServer::start();
    let (one, other) = (replica(&server).await, replica(&server).await);
    let last = u32::MAX;
    let families: [(&str, &[(u32, FamilyAdvance)]); 6] = [
        ("a", &[(0, FamilyAdvance::Taken), (1, FamilyAdvance::Taken), (2, FamilyAdvance::Taken)]),
        (
            "b",
            &[
                (0, FamilyAdvance::Taken),
                (0, FamilyAdvance::Reused),
                (1, FamilyAdvance::Ended),
                (0, FamilyAdvance::Ended),
            ],
        ),
        (
            "c",
            &[
                (0, FamilyAdvance::Taken),
                (1, FamilyAdvance::Taken),
                (0, FamilyAdvance::Reused),
                (2, FamilyAdvance::Ended),
            ],
        ),
        // after a loss of data the newest goes on, and older ones are reuse
        (
            "d",
            &[
                (7, FamilyAdvance::Taken),
                (8, FamilyAdvance::Taken),
                (3, FamilyAdvance::Reused),
                (9, FamilyAdvance::Ended),
            ],
        ),
        ("e", &[(0, FamilyAdvance::Taken), (5, FamilyAdvance::Taken), (5, FamilyAdvance::Reused)]),
        (
            "f",
            &[(last - 1, FamilyAdvance::Taken), (last, FamilyAdvance::Taken), (last, FamilyAdvance::Reused)],
        ),
    ];
    for (family, steps) in families {
        for (step, (generation, expected)) in steps.iter().enumerate() {
            let store = if step % 2 == 0 { &one } else { &other };
            let came = advance(store, &id(family), *generation, now() + 60).await.unwrap();
            assert_eq!(came, *expected, "family {family}, generation {generation}");
        }
    }
    shared(&one).end_family(&id("a"), now() + 60).await.unwrap();
    assert_eq!(advance(&other, &id("a"), 3, now() + 60).await.unwrap(), FamilyAdvance::Ended);
    shared(&one).end_family(&id("new"), now() + 60).await.unwrap();
    assert_eq!(advance(&other, &id("new"), 0, now() + 60).await.unwrap(), FamilyAdvance::Ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn of_two_that_use_a_generation_at_once_one_takes_it() {
    let server = RedisServer::start();
    let stores = [Arc::new(replica(&server).await), Arc::new(replica(&server).await)];
    for family in (0..20).map(|number| id(&format!("family-{number}"))) {
        let tasks = stores.clone().map(|store| {
            let family = family.clone();
            tokio::spawn(async move { advance(&store, &family, 0, now() + 60).await.unwrap() })
        });
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        let taken = outcomes.iter().filter(|outcome| **outcome == FamilyAdvance::Taken).count();
        let reused = outcomes.iter().filter(|outcome| **outcome == FamilyAdvance::Reused).count();
        assert_eq!((taken, reused), (1, 1), "{outcomes:?}");
        let after = advance(&stores[0], &family, 1, now() + 60).await.unwrap();
        assert_eq!(after, FamilyAdvance::Ended);
    }
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn what_one_replica_revokes_all_learn() {
    let server = RedisServer::start();
    let (one, other) = (replica(&server).await, replica(&server).await);
    assert_eq!(one.is_revoked("jti"), Ok(false));
    shared(&one).revoke(&id("jti"), now() + 60).await.unwrap();
    assert_eq!(one.is_revoked("jti"), Ok(true), "here it holds at once");
    learns(&other, "jti").await;
    shared(&other).revoke(&id("back"), now() + 60).await.unwrap();
    learns(&one, "back").await;
    let late = replica(&server).await;
    assert_eq!(late.is_revoked("jti"), Ok(true));
    assert_eq!(late.is_revoked("back"), Ok(true));
    assert_eq!(late.is_revoked("neither"), Ok(false));
}

/// More than are read at a time.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn many_are_read_whole() {
    let server = RedisServer::start();
    let one = replica(&server).await;
    let tokens: Vec<_> = (0..2500).map(|number| id(&format!("jti-{number}"))).collect();
    for token in &tokens {
        shared(&one).revoke(token, now() + 60).await.unwrap();
    }
    let other = replica(&server).await;
    assert!(tokens.iter().all(|token| other.is_revoked(token.as_str()) == Ok(true)));
    // written back in pieces, too
    server.ask::<()>("FLUSHALL");
    until("all are back", async || server.ask::<usize>("ZCARD jeton:revoked") == 2502).await;
    let third = replica(&server).await;
    assert!(tokens.iter().all(|token| third.is_revoked(token.as_str()) == Ok(true)));
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn what_has_passed_is_dropped_here_and_there() {
    let server = RedisServer::start();
    let clock = clock();
    let store = Store::Shared(SharedStore::start(options(&server), clock.clone(), Duration::ZERO).unwrap());
    comes_to(&store, StoreState::Ready).await;
    shared(&store).revoke(&id("short"), now() + 60).await.unwrap();
    shared(&store).revoke(&id("long"), now() + 600).await.unwrap();
    // the set has two members of its own
    assert_eq!(server.ask::<usize>("ZCARD jeton:revoked"), 4);
    clock.advance(121);
    until("it is dropped here", async || store.is_revoked("short") == Ok(false)).await;
    until("it is dropped there", async || server.ask::<usize>("ZCARD jeton:revoked") == 3).await;
    assert_eq!(store.is_revoked("long"), Ok(true));
}

/// What a replica notes whose clock is ahead counts for one whose clock is behind until its time has come there.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn what_is_noted_outlives_the_difference_of_clocks() {
    for leeway in [0, 1, 30, 60, 61, 200, 300] {
        let server = RedisServer::start();
        let its_clock = clock();
        its_clock.advance(leeway);
        let apart = Duration::from_secs(leeway.try_into().unwrap());
        let started = SharedStore::start(options(&server), its_clock.clone(), apart);
        let ahead = Store::Shared(started.unwrap());
        comes_to(&ahead, StoreState::Ready).await;
        let end = now() + leeway + 30;
        assert_eq!(ahead.use_once(name("one"), end).await.unwrap(), NameUse::First);
        shared(&ahead).end_family(&id("family"), end).await.unwrap();
        shared(&ahead).revoke(&id("jti"), end).await.unwrap();
        // by the clock that is behind
        let counts_for = end - now();
        let keys: Vec<String> = server.ask("KEYS jeton:once:*");
        for key in keys.iter().map(String::as_str).chain(["jeton:family:family"]) {
            let kept: i64 = server.ask(&format!("TTL {key}"));
            assert!(
                kept > counts_for,
                "leeway {leeway}: {key} is kept for {kept} s, and counts for {counts_for}"
            );
        }
        assert_eq!(keys.len(), 1);
        // it ends there now, and is not dropped before
        its_clock.advance(counts_for);
        shared(&ahead).revoke(&id("early"), now() - 1000).await.unwrap();
        until("what passed is dropped", async || ahead.is_revoked("early") == Ok(false)).await;
        assert_eq!(ahead.is_revoked("jti"), Ok(true), "leeway {leeway}");
    }
}

/// A replica whose clock is far ahead takes no revocation from the others, and knows it still when its clock is right.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_clock_that_is_far_ahead_drops_nothing() {
    let server = RedisServer::start();
    let wild = Arc::new(ManualClock::at(SystemClock.now()));
    wild.advance(100_000);
    let started = SharedStore::start(options(&server), wild, Duration::from_mins(1));
    let (ahead, right) = (Store::Shared(started.unwrap()), replica(&server).await);
    comes_to(&ahead, StoreState::Ready).await;
    let now = SystemClock.numeric_date();
    shared(&right).revoke(&id("jti"), now + 60).await.unwrap();
    learns(&ahead, "jti").await;
    shared(&ahead).revoke(&id("long-ago"), now - 1000).await.unwrap();
    until("what passed by both clocks is dropped", async || ahead.is_revoked("long-ago") == Ok(false)).await;
    assert_eq!(ahead.is_revoked("jti"), Ok(true));
    let fresh = replica(&server).await;
    assert_eq!(fresh.is_revoked("jti"), Ok(true), "it is there still");
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn while_the_server_is_away_calls_fail_and_what_is_known_stays() {
    let (log, _guard) = Log::capture();
    let mut server = RedisServer::start();
    let store = replica(&server).await;
    shared(&store).revoke(&id("jti"), now() + 60).await.unwrap();
    server.stop();
    every_call_fails(&store).await;
    comes_to(&store, StoreState::Unreachable).await;
    for _ in 0..20 {
        every_call_fails(&store).await;
        assert_eq!(store.is_revoked("jti"), Ok(true));
        assert_eq!(store.is_revoked("another"), Ok(false));
    }
    assert_eq!(log.lines("store.unreachable").len(), 1, "{}", log.text());
    server.start_again();
    comes_to(&store, StoreState::Ready).await;
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
    assert_eq!(log.lines("store.unreachable").len(), 1, "{}", log.text());
    assert_eq!(log.lines("store.reachable").len(), 2, "at the start, and now: {}", log.text());
    assert!(log.lines("store.unreachable")[0].contains("WARN"), "{}", log.text());
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_that_came_back_empty_is_told_what_is_revoked() {
    let mut server = RedisServer::start();
    let (one, other) = (replica(&server).await, replica(&server).await);
    shared(&one).revoke(&id("first"), now() + 60).await.unwrap();
    shared(&other).revoke(&id("second"), now() + 60).await.unwrap();
    learns(&one, "second").await;
    learns(&other, "first").await;
    server.stop();
    comes_to(&one, StoreState::Unreachable).await;
    comes_to(&other, StoreState::Unreachable).await;
    server.start_again();
    comes_to(&one, StoreState::Ready).await;
    let fresh = replica(&server).await;
    for store in [&fresh, &one, &other] {
        assert_eq!(store.is_revoked("first"), Ok(true));
        assert_eq!(store.is_revoked("second"), Ok(true));
    }
    shared(&fresh).revoke(&id("third"), now() + 60).await.unwrap();
    comes_to(&other, StoreState::Ready).await;
    learns(&one, "third").await;
    learns(&other, "third").await;
}

/// The connection holds, and the set is another one: places in it mean nothing any more, however many
/// tokens were revoked since.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_that_is_emptied_under_way_is_told_what_is_revoked() {
    let server = RedisServer::start();
    let (one, other) = (replica(&server).await, replica(&server).await);
    shared(&one).revoke(&id("first"), now() + 60).await.unwrap();
    learns(&other, "first").await;
    server.ask::<()>("FLUSHALL");
    for number in 0..5 {
        shared(&one).revoke(&id(&format!("later-{number}")), now() + 60).await.unwrap();
    }
    for number in 0..5 {
        learns(&other, &format!("later-{number}")).await;
    }
    until("all are back", async || server.ask::<usize>("ZCARD jeton:revoked") == 8).await;
    let fresh = replica(&server).await;
    assert_eq!(fresh.is_revoked("first"), Ok(true));
    assert_eq!((one.state(), other.state()), (StoreState::Ready, StoreState::Ready));
}

/// An older state of the same set, as a replica that takes over may have it.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_set_that_went_back_in_time_is_read_anew() {
    let server = RedisServer::start();
    let (one, other) = (replica(&server).await, replica(&server).await);
    for number in 0..5 {
        shared(&one).revoke(&id(&format!("jti-{number}")), now() + 60).await.unwrap();
    }
    learns(&other, "jti-4").await;
    let entries: BTreeMap<String, f64> = server.ask("ZRANGE jeton:revoked 0 -1 WITHSCORES");
    let lost = entries.iter().find(|(entry, _)| entry.ends_with(" jti-4")).unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut back = redis::pipe();
    back.atomic()
        .cmd("ZREM")
        .arg("jeton:revoked")
        .arg(lost.0)
        .cmd("ZADD")
        .arg("jeton:revoked")
        .arg(4)
        .arg("n");
    back.query::<()>(&mut connection).unwrap();
    until("it is back", async || server.ask::<usize>("ZCARD jeton:revoked") == 7).await;
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn until_it_was_read_nothing_is_known_of_any_token() {
    let (log, _guard) = Log::capture();
    let mut server = RedisServer::away();
    let store = start(options(&server));
    assert_eq!(store.state(), StoreState::NotYetRead);
    every_call_fails(&store).await;
    assert_eq!(store.is_revoked("jti"), Err(RevocationsUnknown));
    until("it is logged", async || log.lines("store.unreachable").len() == 1).await;
    assert_eq!(store.state(), StoreState::NotYetRead);
    server.start_again();
    comes_to(&store, StoreState::Ready).await;
    assert_eq!(store.is_revoked("jti"), Ok(false));
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
    assert_eq!(log.lines("store.unreachable").len(), 1, "{}", log.text());
}

/// It takes commands and says nothing: no connection breaks.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_that_does_not_answer_is_away() {
    let server = RedisServer::start();
    let store = replica(&server).await;
    shared(&store).revoke(&id("jti"), now() + 60).await.unwrap();
    server.freeze();
    every_call_fails(&store).await;
    comes_to(&store, StoreState::Unreachable).await;
    every_call_fails(&store).await;
    assert_eq!(store.is_revoked("jti"), Ok(true));
    server.thaw();
    comes_to(&store, StoreState::Ready).await;
    assert_eq!(store.use_once(name("new"), now() + 60).await.unwrap(), NameUse::First);
}

/// It answers, and takes no writes: what must be seen once cannot be noted.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_that_became_a_replica_is_away() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::start();
    let store = replica(&server).await;
    server.ask::<()>("REPLICAOF 127.0.0.1 1");
    every_call_fails(&store).await;
    comes_to(&store, StoreState::Unreachable).await;
    until("it is logged", async || log.lines("store.unreachable").len() == 1).await;
    server.ask::<()>("REPLICAOF NO ONE");
    comes_to(&store, StoreState::Ready).await;
    assert_eq!(store.use_once(name("new"), now() + 60).await.unwrap(), NameUse::First);
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_without_memory_is_full() {
    let server = RedisServer::start();
    let store = replica(&server).await;
    server.ask::<()>("CONFIG SET maxmemory 1");
    assert!(matches!(store.use_once(name("any"), now() + 60).await, Err(StoreError::Full)));
    assert!(matches!(shared(&store).revoke(&id("jti"), now() + 60).await, Err(StoreError::Full)));
    assert_eq!(store.is_revoked("jti"), Ok(false));
    server.ask::<()>("CONFIG SET maxmemory 0");
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
}
