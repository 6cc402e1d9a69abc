//! How a store is reached: by password, prefix and TLS; and the store in memory.
use std::time::Duration;

use jeton::store::{
    FamilyAdvance, MemoryStore, NameUse, SharedStore, SharedStoreOptions, Store, StoreError, StoreState,
};
use jeton_verify::Revocations;
use zeroize::Zeroizing;

use crate::{
    shared_store::{
        Log, advance, clock, comes_to, every_call_fails, id, name, now, options, replica, shared, start,
        until,
    },
    support::redis::RedisServer,
};

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_password_is_asked_for_and_never_logged() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::with_password("open-sesame");
    let with = |password: Option<&str>| SharedStoreOptions {
        password: password.map(|password| Zeroizing::new(password.to_owned())),
        ..options(&server)
    };
    let right = start(with(Some("open-sesame")));
    comes_to(&right, StoreState::Ready).await;
    assert_eq!(right.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
    let url = server.url().replace("://", "://:open-sesame@");
    let in_url = start(SharedStoreOptions { url, ..options(&server) });
    comes_to(&in_url, StoreState::Ready).await;
    assert_eq!(in_url.use_once(name("any"), now() + 60).await.unwrap(), NameUse::Again);
    assert_eq!(log.lines("store.unreachable"), Vec::<String>::new());
    for (wrong, lines) in [(Some("open-barley"), 1), (None, 2)] {
        let store = start(with(wrong));
        every_call_fails(&store).await;
        until("it is logged", async || log.lines("store.unreachable").len() == lines).await;
        let line = log.lines("store.unreachable").pop().unwrap();
        assert!(line.contains("the password is refused"), "{line}");
        assert_eq!(store.state(), StoreState::NotYetRead);
    }
    assert!(!log.text().contains("open-"), "{}", log.text());
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn two_services_with_prefixes_of_their_own_share_a_server() {
    let server = RedisServer::start();
    let with = |prefix: &str| start(SharedStoreOptions { prefix: prefix.to_owned(), ..options(&server) });
    let (one, other) = (with("one"), with("other"));
    for store in [&one, &other] {
        comes_to(store, StoreState::Ready).await;
        assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
        assert_eq!(advance(store, &id("f"), 0, now() + 60).await.unwrap(), FamilyAdvance::Taken);
    }
    shared(&one).revoke(&id("jti"), now() + 60).await.unwrap();
    shared(&other).revoke(&id("end"), now() + 60).await.unwrap();
    let late = with("other");
    comes_to(&late, StoreState::Ready).await;
    assert_eq!(late.is_revoked("end"), Ok(true));
    assert_eq!(late.is_revoked("jti"), Ok(false));
    let keys: Vec<String> = server.ask("KEYS *");
    assert!(keys.iter().all(|key| key.starts_with("one:") || key.starts_with("other:")), "{keys:?}");
}

#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn over_tls_the_certificate_is_checked() {
    let server = RedisServer::with_tls();
    let with = |ca| SharedStoreOptions { ca, ..options(&server) };
    let store = start(with(Some(RedisServer::authority())));
    comes_to(&store, StoreState::Ready).await;
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
    shared(&store).revoke(&id("jti"), now() + 60).await.unwrap();
    // by a name that the certificate has too
    let url = server.url().replace("127.0.0.1", "localhost");
    let by_name = start(SharedStoreOptions { url, ..with(Some(RedisServer::authority())) });
    comes_to(&by_name, StoreState::Ready).await;
    assert_eq!(by_name.is_revoked("jti"), Ok(true));
    let by_another_name = server.url().replace("127.0.0.1", "127.0.0.2");
    for (wrong, says) in [
        (with(None), "UnknownIssuer"),
        (
            SharedStoreOptions { url: by_another_name, ..with(Some(RedisServer::authority())) },
            "not valid for name",
        ),
        (SharedStoreOptions { url: server.plain_url(), ..with(None) }, ""),
    ] {
        let (log, _guard) = Log::capture();
        let store = start(wrong);
        every_call_fails(&store).await;
        until("it is logged", async || !log.lines("store.unreachable").is_empty()).await;
        assert!(log.text().contains(says), "{says}: {}", log.text());
        assert_eq!(store.state(), StoreState::NotYetRead);
    }
}

/// The task behind it ends with the store, and its connection.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_store_that_is_dropped_lets_go() {
    let server = RedisServer::start();
    let store = replica(&server).await;
    let clients = || server.ask::<String>("CLIENT LIST").lines().count();
    assert_eq!(clients(), 2, "the store and who asks");
    drop(store);
    until("its connection is closed", async || clients() == 1).await;
}

#[test]
fn options_that_can_never_work_are_refused() {
    let ca = |name: &str| Some(crate::support::root().join(name));
    for (url, ca, says) in [
        ("", None, "is not a URL"),
        ("127.0.0.1:6379", None, "is not a URL"),
        ("http://127.0.0.1", None, "has the wrong scheme"),
        ("unix:///run/redis.sock", None, "has the wrong scheme"),
        ("redis://", None, "has no host"),
        ("redis://:hunter2@h/#insecure", None, "has a `?` or `#`"),
        ("redis://h?protocol=resp3", None, "has a `?` or `#`"),
        ("redis://:hunter2@h/first", None, "the URL of the store: "),
        ("redis://h", ca("tests/fixtures/tls/ca.pem"), "write `rediss://`"),
        ("rediss://h", ca("nowhere"), "nowhere: cannot be read"),
        ("rediss://h", ca("Cargo.toml"), "Cargo.toml: there is no certificate in it"),
        ("rediss://h", ca("tests/fixtures/tls/test-only-key.pem"), "there is no certificate in it"),
    ] {
        let options =
            SharedStoreOptions { url: url.to_owned(), password: None, prefix: "jeton".to_owned(), ca };
        let error = SharedStore::start(options, clock(), Duration::ZERO).err().unwrap();
        assert!(matches!(error, StoreError::Options(_)), "{url}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(says) && !text.contains("hunter2"), "{url}: {text}");
    }
}

#[tokio::test]
async fn the_store_in_memory_is_always_there() {
    let store = Store::Memory(MemoryStore::new(clock()));
    assert_eq!(store.state(), StoreState::Memory);
    assert!(store.shared().is_none());
    assert_eq!(store.is_revoked("jti"), Ok(false));
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::First);
    assert_eq!(store.use_once(name("any"), now() + 60).await.unwrap(), NameUse::Again);
}
