//! The status lists of this issuer's clients, signed and kept in memory.

use std::{
    io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{ClientId, Issuer, KeyId, clock::Clock};
use jeton_policy::{
    LivePolicies, PolicySnapshot,
    clients::{Client, ClientState},
};
use jeton_verify::status::{EndedTokens, STATUS_LIST, StatusHandle, StatusList};
use ring::digest;
use rustc_hash::FxHashMap;
use serde_json::json;
use tokio::{
    sync::Mutex,
    task::{self, JoinError},
};

use crate::keys::{LiveKeys, SigningError, SigningKey};

/// How many signed lists are kept in memory.
const MOST_KEPT: usize = 10_000;
/// For how many times `ttl` a list can be used, where its issuer is away.
const LIFETIME: i64 = 60;
/// The shortest and the longest time for which a list can be used, in seconds.
const LIFETIMES: (i64, i64) = (60 * 60, 24 * 60 * 60);
/// For how many seconds behind its `exp` a list has bits: clocks may differ.
const MARGIN: i64 = 24 * 60 * 60;

/// How lists are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusListOptions {
    /// After what time a verifier fetches a list again (cut to whole seconds).
    pub ttl: Duration,
    /// Whether the clients of which the policies say nothing have one.
    pub by_default: bool,
}

/// The lists of all clients: each is signed once for each change of the policies and each `ttl`.
///
/// Windows of `ttl` begin at the same time everywhere, so replicas with the same policies and keys answer the
/// same bytes.
pub struct StatusLists {
    issuer: Issuer,
    keys: Arc<LiveKeys>,
    policies: Arc<LivePolicies>,
    ttl: i64,
    by_default: bool,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Index>,
}

/// A signed list as it goes over the wire, with its strong entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatusList {
    body: String,
    etag: String,
}

/// A list, and for how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedStatusList {
    /// The list.
    pub list: Arc<SignedStatusList>,
    /// The seconds until another one takes its place.
    pub max_age: i64,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum NoStatusList {
    /// It could not be compressed.
    #[error("the list could not be compressed: {0}")]
    Encode(#[from] io::Error),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] SigningError),
    /// The names of the lists were not made, because the server ends or something panicked.
    #[error("the names of the lists were not made to their end: {0}")]
    Abandoned(#[from] JoinError),
}

/// The clients of one snapshot that have lists. Does not keep the snapshot alive.
struct Index {
    snapshot: Weak<PolicySnapshot>,
    by_handle: OnceLock<FxHashMap<StatusHandle, Entry>>,
    /// Held while the names are made.
    making: Arc<Mutex<()>>,
    kept: AtomicUsize,
}

struct Entry {
    client: ClientId,
    signed: ArcSwapOption<Kept>,
}

/// A list that was signed, and what it was signed for.
struct Kept {
    window: i64,
    kid: KeyId,
    list: Arc<SignedStatusList>,
}

impl StatusLists {
    /// The lists of the clients in `policies`, signed with the key of `keys` that signs.
    pub fn new(
        issuer: Issuer,
        keys: Arc<LiveKeys>,
        policies: Arc<LivePolicies>,
        options: StatusListOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let current = ArcSwap::from_pointee(Index::of(&policies.current()));
        let ttl = i64::try_from(options.ttl.as_secs()).unwrap_or(i64::MAX).clamp(1, LIFETIMES.1);
        Self { issuer, keys, policies, ttl, by_default: options.by_default, clock, current }
    }

    /// The list of this name; `None` where no client has it.
    ///
    /// # Errors
    /// [`NoStatusList`] if a library fails.
    pub async fn serve(&self, handle: &str) -> Result<Option<ServedStatusList>, NoStatusList> {
        let snapshot = self.policies.snapshot();
        let index = self.index(&snapshot);
        let by_handle = index.handles(&snapshot, self.by_default).await?;
        let Some((handle, entry)) = by_handle.get_key_value(handle) else { return Ok(None) };
        let Some(client) = snapshot.policies.clients().find(entry.client.as_str()) else { return Ok(None) };
        let now = self.clock.numeric_date();
        let window = now.div_euclid(self.ttl) * self.ttl;
        let max_age = window + self.ttl - now;
        let ring = self.keys.ring();
        let key = ring.signing();
        if let Some(kept) = &*entry.signed.load()
            && kept.window == window
            && kept.kid == *key.kid()
        {
            return Ok(Some(ServedStatusList { list: Arc::clone(&kept.list), max_age }));
        }
        // what came into force within the window is newer than what was signed at its start; not from the
        // future, should the clock have been set back
        let issued_at = window.max(snapshot.loaded_at.as_second().min(now));
        let list = Arc::new(self.sign(key, handle, client, issued_at).await?);
        index.keep(entry, Kept { window, kid: key.kid().clone(), list: Arc::clone(&list) });
        Ok(Some(ServedStatusList { list, max_age }))
    }

    /// The index of a snapshot: that at hand, or a new one.
    fn index(&self, snapshot: &Arc<PolicySnapshot>) -> Arc<Index> {
        let current = self.current.load_full();
        if current.is_of(snapshot) {
            return current;
        }
        let new = Arc::new(Index::of(snapshot));
        let before = self.current.compare_and_swap(&current, Arc::clone(&new));
        // another thread may have been faster
        if before.is_of(snapshot) { Arc::clone(&before) } else { new }
    }

    async fn sign(
        &self,
        key: &SigningKey,
        handle: &StatusHandle,
        client: &Client,
        issued_at: i64,
    ) -> Result<SignedStatusList, NoStatusList> {
        let revocation = match (client.state, client.revoked_before) {
            (ClientState::Disabled, _) => EndedTokens::Everything,
            (ClientState::Enabled, Some(time)) => EndedTokens::Before(time),
            (ClientState::Enabled, None) => EndedTokens::Nothing,
        };
        let expires_at = issued_at + self.ttl.saturating_mul(LIFETIME).clamp(LIFETIMES.0, LIFETIMES.1);
        // A client gets no token while its `revoked_before` lies ahead, so no token points further than to
        // the minute after that in which it is issued: the list has a bit for each that it will meet.
        let list = StatusList::of(revocation, expires_at + MARGIN);
        let encoded = list.encode()?;
        let claims = json!({
            "sub": handle.uri(&self.issuer),
            "iat": issued_at,
            "exp": expires_at,
            "ttl": self.ttl,
            "status_list": { "bits": list.bits(), "lst": encoded },
        });
        let typ = STATUS_LIST.types.first().copied().unwrap_or_default();
        let body = key.sign(typ, &claims).await?;
        let hash = digest::digest(&digest::SHA256, body.as_bytes());
        let etag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref()));
        Ok(SignedStatusList { body, etag })
    }
}

impl Index {
    fn of(snapshot: &Arc<PolicySnapshot>) -> Self {
        Self {
            snapshot: Arc::downgrade(snapshot),
            by_handle: OnceLock::new(),
            making: Arc::default(),
            kept: AtomicUsize::new(0),
        }
    }

    fn is_of(&self, snapshot: &Arc<PolicySnapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }

    /// The clients with a list, by the name of the list. The first call makes the names, which takes a second with a
    /// million clients, so other requests of this thread do not wait for it. If its caller goes away, the next caller gets
    /// them.
    async fn handles(
        self: &Arc<Self>,
        snapshot: &Arc<PolicySnapshot>,
        by_default: bool,
    ) -> Result<&FxHashMap<StatusHandle, Entry>, JoinError> {
        if self.by_handle.get().is_none() {
            let alone = Arc::clone(&self.making).lock_owned().await;
            let (index, of_snapshot) = (Arc::clone(self), Arc::clone(snapshot));
            let make = move || {
                index.by_handle.get_or_init(|| handles(&of_snapshot, by_default));
                drop(alone);
            };
            task::spawn_blocking(make).await?;
        }
        // it is there
        Ok(self.by_handle.get_or_init(|| handles(snapshot, by_default)))
    }

    /// Keeps a list in the place of the client's former one; where there are too many, alone.
    fn keep(&self, entry: &Entry, kept: Kept) {
        if self.kept.load(Ordering::Relaxed) >= MOST_KEPT {
            self.kept.store(0, Ordering::Relaxed);
            let entries = self.by_handle.get().into_iter().flat_map(FxHashMap::values);
            entries.for_each(|entry| entry.signed.store(None));
        }
        if entry.signed.swap(Some(Arc::new(kept))).is_none() {
            self.kept.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn handles(snapshot: &PolicySnapshot, by_default: bool) -> FxHashMap<StatusHandle, Entry> {
    let clients = snapshot.policies.clients().iter();
    let listed = clients.filter(|client| client.has_status_list(by_default));
    let entry = |client: &Arc<Client>| {
        let entry = Entry { client: client.id.clone(), signed: ArcSwapOption::empty() };
        (StatusHandle::of(&client.id), entry)
    };
    listed.map(entry).collect()
}

impl SignedStatusList {
    /// The list as a compact JWS (draft-ietf-oauth-status-list section 5.1).
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The entity tag, quotes included (RFC 9110 section 8.8.3).
    pub fn etag(&self) -> &str {
        &self.etag
    }
}
