//! The status lists of this issuer: what the served bits say of each token, and when they are signed anew.

use std::{fs, io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::ZlibEncoder};
use futures_util::FutureExt;
use jeton::status_lists::{ServedStatusList, StatusListOptions, StatusLists};
use jeton_oauth::{
    ClientId, Issuer,
    clock::{Clock, ManualClock},
};
use jeton_policy::{DemoSecrets, LivePolicies, Reload, Surroundings};
use jeton_verify::status::{EndedTokens, StatusHandle, StatusList, index_of};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::support::{
    ISSUER, NOW,
    forge::{base64url, decoded},
    install_key, install_policies, live_keys,
};

/// One replica: lists over a folder of policies.
struct Replica {
    dir: TempDir,
    clock: Arc<ManualClock>,
    policies: Arc<LivePolicies>,
    lists: StatusLists,
}

const EXTRA: &str = "version: 1
clients:
  nobody:
    anonymous: true
    secrets:
      - sha256: 00000000000000000000000000000000000000000000000000000000000000aa
    grants: { jeton: { scopes: [jeton:principal] } }
  gone:
    enabled: false
    secrets:
      - sha256: 00000000000000000000000000000000000000000000000000000000000000ab
    grants: { jeton: { scopes: [jeton:principal] } }
";

impl Replica {
    /// With lists for all clients, made this many seconds after [`NOW`].
    fn started(after: i64, ttl: Duration, by_default: bool) -> Self {
        let dir = TempDir::new().unwrap();
        install_key("test-only-signing.pem", &dir.path().join("keys"));
        install_policies(&dir.path().join("policies"));
        fs::write(dir.path().join("policies/extra.yaml"), EXTRA).unwrap();
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        clock.advance(after);
        let issuer = Issuer::parse(ISSUER).unwrap();
        let surroundings = Surroundings {
            issuer: issuer.audience().clone(),
            max_ttl: Some(86_400),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        };
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let policies =
            LivePolicies::load(&dir.path().join("policies"), surroundings, Arc::clone(&shared)).unwrap();
        let policies = Arc::new(policies);
        let keys = live_keys(&dir.path().join("keys"), &clock);
        let options = StatusListOptions { ttl, by_default };
        let lists = StatusLists::new(issuer, keys, Arc::clone(&policies), options, shared);
        Self { dir, clock, policies, lists }
    }

    fn new() -> Self {
        Self::started(0, Duration::from_mins(1), true)
    }

    fn serve(&self, handle: &str) -> Option<ServedStatusList> {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.lists.serve(handle)).unwrap()
    }

    /// The list of a client: its claims, its entity tag and for how long it may be kept.
    #[track_caller]
    fn list_of(&self, client: &str) -> (Value, String, i64) {
        let served = self.serve(handle(client).as_str()).expect("there is a list");
        let (header, claims) = decoded(served.list.body());
        assert_eq!((&header["typ"], &header["alg"]), (&"statuslist+jwt".into(), &"RS256".into()));
        (claims, served.list.etag().to_owned(), served.max_age)
    }

    fn body_of(&self, client: &str) -> String {
        self.serve(handle(client).as_str()).unwrap().list.body().to_owned()
    }
}

fn handle(client: &str) -> StatusHandle {
    StatusHandle::of(&ClientId::parse(client).unwrap())
}

fn bits(claims: &Value) -> StatusList {
    let list = &claims["status_list"];
    StatusList::decode(list["lst"].as_str().unwrap(), list["bits"].as_u64().unwrap()).unwrap()
}

fn now() -> i64 {
    NOW.parse::<Timestamp>().unwrap().as_second()
}

#[test]
fn draft_5_1_the_claims_of_a_list() {
    let replica = Replica::new();
    let (claims, ..) = replica.list_of("acme-sync");
    assert_eq!(claims["sub"], format!("{ISSUER}/status/{}", handle("acme-sync")));
    assert_eq!((claims["iat"].as_i64(), claims["ttl"].as_i64()), (Some(now()), Some(60)));
    assert_eq!(claims["exp"].as_i64(), Some(now() + 3600));
    assert_eq!(claims["status_list"]["bits"], 1);
    assert_eq!(claims.as_object().unwrap().len(), 5, "{claims}");
}

/// For every token that can be issued while the list may be used there is a bit.
#[test]
fn a_list_is_long_enough_until_it_expires() {
    for (ttl, lifetime) in [(1, 3600), (60, 3600), (600, 36_000), (86_400, 86_400), (1_000_000, 86_400)] {
        let replica = Replica::started(0, Duration::from_secs(ttl), true);
        let (claims, ..) = replica.list_of("acme-sync");
        let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(exp - iat, lifetime, "{ttl}");
        let list = bits(&claims);
        let end = exp + 86_400;
        assert_eq!(list.status(index_of(end, Some(end))), Some(0));
        assert!(list.status(index_of(end + 2 * 86_400, None)).is_none(), "and not much longer");
    }
}

#[test]
fn who_has_a_list() {
    let by_default = Replica::new();
    for (client, has) in [("acme-sync", true), ("operator", true), ("gone", true), ("nobody", false)] {
        let served = by_default.serve(handle(client).as_str());
        assert_eq!(served.is_some(), has, "{client}");
    }
    for name in ["", "acme-sync", "x", &"A".repeat(10_000), &format!("{}x", handle("acme-sync"))] {
        assert!(by_default.serve(name).is_none(), "{name}");
    }
    let asked = Replica::started(0, Duration::from_mins(1), false);
    assert!(asked.serve(handle("acme-sync").as_str()).is_none());
}

#[test]
fn every_token_of_a_disabled_client_is_invalid() {
    let replica = Replica::new();
    let all = |claims: &Value| {
        let list = bits(claims);
        (0..list.len() as u64).map(|index| list.status(index).unwrap()).collect::<Vec<_>>()
    };
    assert!(all(&replica.list_of("gone").0).iter().all(|status| *status == 1));
    assert!(all(&replica.list_of("acme-sync").0).iter().all(|status| *status == 0));
}

#[test]
fn a_list_is_signed_once_for_each_ttl() {
    let replica = Replica::new();
    let serve = || replica.serve(handle("acme-sync").as_str()).unwrap();
    let first = serve();
    assert_eq!(first.max_age, 60);
    replica.clock.advance(59);
    let second = serve();
    assert!(Arc::ptr_eq(&first.list, &second.list), "it is kept");
    assert_eq!(second.max_age, 1);
    replica.clock.advance(1);
    let third = serve();
    assert_eq!(third.max_age, 60);
    assert_ne!(third.list.etag(), first.list.etag());
    assert_eq!(decoded(third.list.body()).1["iat"].as_i64(), Some(now() + 60));
}

#[test]
fn a_list_is_signed_anew_when_the_policies_change() {
    let replica = Replica::new();
    let (_, before, _) = replica.list_of("acme-sync");
    replica.clock.advance(20);
    let path = replica.dir.path().join("policies/clients.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("  acme-sync:\n", "  acme-sync:\n    enabled: false\n")).unwrap();
    assert_eq!(replica.list_of("acme-sync").1, before);
    assert!(matches!(replica.policies.reload(), Reload::Reloaded { .. }));
    let (claims, after, max_age) = replica.list_of("acme-sync");
    assert_ne!(after, before);
    assert_eq!(claims["iat"].as_i64(), Some(now() + 20), "it is newer than that of the window's start");
    assert_eq!(max_age, 40);
    assert_eq!(bits(&claims).status(0), Some(1));
    replica.clock.advance(1);
    assert!(matches!(replica.policies.reload(), Reload::Unchanged));
    assert_eq!(replica.list_of("acme-sync").1, after, "nothing changed");
    assert!(replica.serve(handle("nobody").as_str()).is_none());
}

#[tokio::test]
async fn the_first_caller_holds_up_no_other_request_and_may_go_away() {
    let replica = Replica::new();
    let name = handle("acme-sync");
    assert!(replica.lists.serve(name.as_str()).now_or_never().is_none(), "another thread makes the names");
    assert!(replica.lists.serve(name.as_str()).await.unwrap().is_some());
    assert!(replica.lists.serve(name.as_str()).now_or_never().is_some(), "they are there");
}

#[test]
fn a_list_is_never_from_the_future() {
    let replica = Replica::new();
    replica.clock.advance(-90);
    let (claims, ..) = replica.list_of("acme-sync");
    assert_eq!(claims["iat"].as_i64(), Some(now() - 90), "the clock was set back");
}

#[test]
fn replicas_answer_the_same_bytes() {
    let (one, other) = (Replica::new(), Replica::started(20, Duration::from_mins(1), true));
    one.clock.advance(61);
    other.clock.advance(61 - 20 + 30);
    for client in ["acme-sync", "operator", "gone"] {
        assert_eq!(one.body_of(client), other.body_of(client), "{client}");
    }
}

/// The second 0 of the lists, and the last at which a test issues tokens.
const START: i64 = 1_767_225_600;
const END: i64 = START + 400 * 86_400;

/// Times around each other, so that minutes are shared often.
fn times() -> impl Strategy<Value = (i64, Vec<i64>)> {
    (START..END - 4000).prop_flat_map(|base| {
        let near = base..base + 4000;
        (near.clone(), proptest::collection::vec(prop_oneof![near, START..END], 1..60))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What section 10 of the contract asks: a revocation ends what was issued before it, and nothing else.
    #[test]
    fn the_bits_agree_with_the_time_of_each_token((revoked, issued) in times()) {
        let list = StatusList::of(EndedTokens::Before(revoked), END);
        let list = StatusList::decode(&list.encode().unwrap(), 1).unwrap();
        for issued in issued {
            // before the revocation stood in the files a token points to its own minute
            let before = issued < revoked;
            let index = index_of(issued, (!before).then_some(revoked));
            prop_assert_eq!(list.status(index), Some(u8::from(before)), "{} {}", issued, revoked);
        }
    }

    /// A further revocation after the minute to which the former moved new tokens ends those too.
    #[test]
    fn a_further_revocation_ends_what_the_former_moved((first, issued) in times(), later in 0..5000_i64) {
        let moved_to = START + i64::try_from(index_of(first, Some(first))).unwrap() * 60;
        let second = moved_to + 1 + later;
        let list = StatusList::of(EndedTokens::Before(second), END + 10_000);
        for issued in issued {
            let in_force = if issued < first {
                None
            } else if issued < second {
                Some(first)
            } else {
                Some(second)
            };
            let status = list.status(index_of(issued, in_force));
            prop_assert_eq!(status, Some(u8::from(issued < second)), "{} {} {}", issued, first, second);
        }
    }

    #[test]
    fn each_bit_is_that_of_its_minute(revoked in START - 1000..START + 3 * 86_400, until in START..START + 86_400) {
        let list = StatusList::of(EndedTokens::Before(revoked), until);
        for index in 0..u64::try_from(list.len()).unwrap() {
            let starts = START + i64::try_from(index).unwrap() * 60;
            prop_assert_eq!(list.status(index), Some(u8::from(starts < revoked)), "{}", index);
        }
    }

    /// Bytes of which many are equal, as in real lists, against bits that are counted one by one.
    #[test]
    fn any_list_is_read_as_the_draft_has_it(
        runs in proptest::collection::vec((any::<u8>(), 0..20_usize), 0..6),
        bits in prop_oneof![Just(1_usize), Just(2), Just(4), Just(8)],
    ) {
        let bytes: Vec<_> = runs.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let text = base64url(encoder.finish().unwrap());
        let list = StatusList::decode(&text, bits as u64).unwrap();
        let count = bytes.len() * 8 / bits;
        prop_assert_eq!(list.len(), count);
        for index in 0..count {
            let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1;
            let naive = (0..bits).map(|place| bit(index * bits + place) << place).sum();
            prop_assert_eq!(list.status(index as u64), Some(naive), "{}", index);
        }
        prop_assert_eq!(list.status(count as u64), None);
        prop_assert_eq!(StatusList::decode(&list.encode().unwrap(), bits as u64).unwrap(), list);
    }
}
