//! The shared store with servers that allow less than a plain one: in cluster mode, and with the rights of the guide.

use std::time::Duration;

use jeton::store::{FamilyAdvance, NameUse, OnceName, RefreshUse, SharedStoreOptions, Store};
use jeton_oauth::{ScopeSet, TokenId};
use zeroize::Zeroizing;

use crate::{
    shared_store::{learns, options, replica, replica_with},
    support::{now, redis::RedisServer, root},
};

/// Everything that a store is asked for, at two replicas, with `families` refresh families.
async fn does_everything(one: &Store, two: &Store, families: usize) {
    let (scopes, until, grace) = (ScopeSet::parse("a b").unwrap(), now() + 600, Duration::from_mins(1));
    for number in 0..families {
        let family = &TokenId::parse(&format!("family-{number}")).unwrap();
        for (step, (store, generation, expected)) in [
            (one, 0, FamilyAdvance::Taken),
            (two, 0, FamilyAdvance::Retried),
            (two, 1, FamilyAdvance::Taken),
            (one, 1, FamilyAdvance::Retried),
            (one, 0, FamilyAdvance::Reused),
            (two, 1, FamilyAdvance::Ended),
        ]
        .into_iter()
        .enumerate()
        {
            let used = RefreshUse { family, generation, scopes: &scopes, until, grace };
            let came = store.shared().unwrap().advance(&used).await.unwrap();
            assert_eq!(came, expected, "family {number}, step {step}");
        }
        let name = OnceName::of(&[family.as_str().as_bytes()]);
        assert_eq!(one.use_once(name, until).await.unwrap(), NameUse::First);
        assert_eq!(two.use_once(name, until).await.unwrap(), NameUse::Again);
    }
    let never_used = TokenId::parse("never-used").unwrap();
    one.shared().unwrap().end_family(&never_used, until).await.unwrap();
    let used = RefreshUse { family: &never_used, generation: 0, scopes: &scopes, until, grace };
    assert_eq!(two.shared().unwrap().advance(&used).await.unwrap(), FamilyAdvance::Ended);
    one.shared().unwrap().revoke(&TokenId::parse("jti").unwrap(), until).await.unwrap();
    learns(two, "jti").await;
}

/// A script may touch keys of one slot only.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_server_in_cluster_mode_takes_everything() {
    let server = RedisServer::in_cluster_mode();
    let (one, two) = (replica(&server).await, replica(&server).await);
    does_everything(&one, &two, 20).await;
    // and not by chance: in the slot of the family, whose key older replicas read
    let slot = |key: &str| server.ask::<u16>(&format!("CLUSTER KEYSLOT {key}"));
    let keys: Vec<String> = server.ask("KEYS jeton:used:*");
    assert_eq!(keys.len(), 20);
    for key in keys {
        let family = key.trim_start_matches("jeton:used:{").trim_end_matches('}');
        assert!(family.starts_with("jeton:family:"), "{key}");
        assert_eq!(slot(&key), slot(family), "{key}");
    }
}

/// The line that operators copy allows every command and every key.
#[tokio::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn the_rights_of_the_guide_are_enough() {
    let guide = std::fs::read_to_string(root().join("docs/replicas.md")).unwrap();
    let rights = guide.lines().find_map(|line| line.strip_prefix("user jeton ")).unwrap();
    let server = RedisServer::start();
    server.ask::<()>(&format!("ACL SETUSER jeton {rights}"));
    let replica = async || {
        let url = server.url().replace("://", "://jeton@");
        let password = Some(Zeroizing::new("PASSWORD".to_owned()));
        replica_with(SharedStoreOptions { url, password, ..options(&server) }).await
    };
    let (one, two) = (replica().await, replica().await);
    does_everything(&one, &two, 3).await;
}
