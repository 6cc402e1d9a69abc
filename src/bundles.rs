//! The bundles of the policies in force, signed and kept in memory: by one, a service decides without the folder.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use jeton_oauth::{ApiName, Issuer, KeyId, clock::Clock};
use jeton_policy::{BundleAccess, ContentHash, LivePolicies, PolicySnapshot, bundle};
use jeton_verify::BundleSource;
use serde_json::json;
use tokio::{
    runtime::Handle,
    sync::Mutex,
    task::{self, JoinError},
};

use crate::{
    event,
    keys::{LiveKeys, SigningError, SigningKey},
};

/// How often bundles get another `exp`, in seconds.
const HOUR: i64 = 60 * 60;
/// For how long a bundle can be used from the next whole hour on, should its issuer be away, in seconds.
const LIFETIME: i64 = 24 * HOUR;

/// The bundles of all APIs that have one: each is signed once for each change of the policies, each hour and each key.
///
/// Hours begin at the same time everywhere, so replicas with the same policies answer with the same entity tag.
pub struct PolicyBundles {
    issuer: Issuer,
    keys: Arc<LiveKeys>,
    policies: Arc<LivePolicies>,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Index>,
    /// Held while a bundle is signed: one at a time, so that requests have the other cores.
    signing: Arc<Mutex<()>>,
}

/// A signed bundle as it goes over the wire.
pub struct SignedBundle {
    body: Bytes,
    gzipped: Bytes,
    etag: String,
}

/// How often a bundle was handed out, or found to be what the caller has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFetches {
    /// The API.
    pub api: ApiName,
    /// The content hash of its policies.
    pub hash: ContentHash,
    /// Since these policies came into force, or the server started.
    pub fetched: u64,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum NoBundle {
    /// It could not be compressed.
    #[error("the bundle could not be compressed: {0}")]
    Compress(#[from] io::Error),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] SigningError),
    /// It was given up, because the server ends or something panicked.
    #[error("the bundle was not made to its end: {0}")]
    Abandoned(#[from] JoinError),
}

/// A bundle that is about to be made.
struct Draft {
    issuer: Issuer,
    api: ApiName,
    snapshot: Arc<PolicySnapshot>,
    key: Arc<SigningKey>,
    issued_at: i64,
    expires_at: i64,
}

/// What is kept of the bundles of one snapshot. Does not keep the snapshot alive.
struct Index {
    snapshot: Weak<PolicySnapshot>,
    entries: BTreeMap<ApiName, Entry>,
    fetches: Arc<Fetches>,
    /// Those of the policies before: no more are told, so that edits do not add up.
    before: Option<Arc<Fetches>>,
}

struct Entry {
    access: BundleAccess,
    signed: Arc<ArcSwapOption<Kept>>,
}

/// A bundle, and what it was signed for.
struct Kept {
    hour: i64,
    kid: KeyId,
    bundle: Arc<SignedBundle>,
}

/// How often each bundle of one snapshot was fetched.
struct Fetches {
    hash: ContentHash,
    by_api: BTreeMap<ApiName, AtomicU64>,
}

impl PolicyBundles {
    /// The bundles of the APIs in `policies`, signed with the key of `keys` that signs.
    pub fn new(
        issuer: Issuer,
        keys: Arc<LiveKeys>,
        policies: Arc<LivePolicies>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let current = ArcSwap::from_pointee(Index::of(&policies.current(), None));
        Self { issuer, keys, policies, clock, current, signing: Arc::default() }
    }

    /// Who may fetch the bundle of an API; `None` if the API has no bundle.
    pub fn access(&self, api: &str) -> Option<BundleAccess> {
        self.policies.current().policies.api(api)?.bundle_access()
    }

    /// The bundle of an API with this `access`; `None` if the API has no bundle, or one with another access.
    ///
    /// # Errors
    /// [`NoBundle`] if a library fails.
    pub async fn serve(
        &self,
        api: &str,
        access: BundleAccess,
    ) -> Result<Option<Arc<SignedBundle>>, NoBundle> {
        let snapshot = self.policies.snapshot();
        let index = self.index(&snapshot);
        let Some((api, entry)) = index.entries.get_key_value(api).filter(|(_, entry)| entry.access == access)
        else {
            return Ok(None);
        };
        let bundle = self.signed(&snapshot, api, entry).await?;
        if bundle.is_some() {
            index.fetches.count(api);
        }
        Ok(bundle)
    }

    /// How often the bundle of each API was fetched, of the policies in force and of those before.
    pub fn fetches(&self) -> Vec<BundleFetches> {
        let index = self.index(&self.policies.snapshot());
        let before = index.before.iter().filter(|before| before.hash != index.fetches.hash);
        before.chain([&index.fetches]).flat_map(|fetches| fetches.all()).collect()
    }

    async fn signed(
        &self,
        snapshot: &Arc<PolicySnapshot>,
        api: &ApiName,
        entry: &Entry,
    ) -> Result<Option<Arc<SignedBundle>>, NoBundle> {
        let now = self.clock.numeric_date();
        let hour = now.div_euclid(HOUR) * HOUR;
        let ring = self.keys.ring();
        let key = ring.signing();
        let kept = || entry.signed.load_full().filter(|kept| kept.hour == hour && kept.kid == *key.kid());
        if let Some(kept) = kept() {
            return Ok(Some(Arc::clone(&kept.bundle)));
        }
        let alone = Arc::clone(&self.signing).lock_owned().await;
        if let Some(kept) = kept() {
            return Ok(Some(Arc::clone(&kept.bundle)));
        }
        // what came into force within the hour is newer than its start; not from the future, should the clock have been
        // set back
        let issued_at = hour.max(snapshot.loaded_at.as_second().min(now));
        let draft = Draft {
            issuer: self.issuer.clone(),
            api: api.clone(),
            snapshot: Arc::clone(snapshot),
            key: Arc::clone(key),
            issued_at,
            expires_at: hour + HOUR + LIFETIME,
        };
        let (runtime, signed) = (Handle::current(), Arc::clone(&entry.signed));
        // A bundle of a million clients takes seconds, so other requests of this thread do not wait for it. If its caller
        // goes away, the next caller gets it.
        let sign = move || {
            let bundle = runtime.block_on(draft.sign())?.map(Arc::new);
            if let Some(bundle) = &bundle {
                warn_if_too_long(&draft.api, bundle.body.len());
                let kept = Kept { hour, kid: draft.key.kid().clone(), bundle: Arc::clone(bundle) };
                signed.store(Some(Arc::new(kept)));
            }
            drop(alone);
            Ok(bundle)
        };
        task::spawn_blocking(sign).await?
    }

    /// The index of a snapshot: that at hand, or a new one.
    fn index(&self, snapshot: &Arc<PolicySnapshot>) -> Arc<Index> {
        let current = self.current.load_full();
        if current.is_of(snapshot) {
            return current;
        }
        let new = Arc::new(Index::of(snapshot, Some(Arc::clone(&current.fetches))));
        let before = self.current.compare_and_swap(&current, Arc::clone(&new));
        // another thread may have been faster
        if before.is_of(snapshot) { Arc::clone(&before) } else { new }
    }
}

impl Draft {
    async fn sign(&self) -> Result<Option<SignedBundle>, NoBundle> {
        let policies = &self.snapshot.policies;
        let hash = policies.hash();
        let Some(bundled) = policies.bundle(&self.api) else { return Ok(None) };
        let claims = json!({
            "iss": self.issuer.as_str(),
            "aud": bundle::address(&self.issuer, &self.api),
            "iat": self.issued_at,
            "exp": self.expires_at,
            "hash": hash,
            "policies": bundled,
        });
        let body = self.key.sign(bundle::TYP, &claims).await?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(body.as_bytes())?;
        // weak: another key signs the same, and another coding holds it
        let etag = format!("W/\"{hash}-{}\"", self.expires_at);
        Ok(Some(SignedBundle { body: body.into(), gzipped: gzip.finish()?.into(), etag }))
    }
}

/// Logs a bundle of so many bytes that services refuse it.
fn warn_if_too_long(api: &ApiName, bytes: usize) {
    let longest = BundleSource::LONGEST;
    if bytes > longest {
        event::BundleTooLong { api: api.as_str(), bytes, longest }.error();
    }
}

impl Index {
    fn of(snapshot: &Arc<PolicySnapshot>, before: Option<Arc<Fetches>>) -> Self {
        let apis = snapshot.policies.apis().values();
        let entry = |access| Entry { access, signed: Arc::default() };
        let entries: BTreeMap<_, _> =
            apis.filter_map(|api| Some((api.name().clone(), entry(api.bundle_access()?)))).collect();
        let by_api = entries.keys().map(|api| (api.clone(), AtomicU64::new(0))).collect();
        let fetches = Arc::new(Fetches { hash: snapshot.policies.hash().clone(), by_api });
        Self { snapshot: Arc::downgrade(snapshot), entries, fetches, before }
    }

    fn is_of(&self, snapshot: &Arc<PolicySnapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }
}

impl Fetches {
    fn count(&self, api: &ApiName) {
        if let Some(count) = self.by_api.get(api) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn all(&self) -> impl Iterator<Item = BundleFetches> {
        self.by_api.iter().map(|(api, count)| BundleFetches {
            api: api.clone(),
            hash: self.hash.clone(),
            fetched: count.load(Ordering::Relaxed),
        })
    }
}

impl SignedBundle {
    /// The bundle as a compact JWS.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same, compressed (RFC 1952): a quarter of its length or less.
    pub fn gzipped(&self) -> &Bytes {
        &self.gzipped
    }

    /// The weak entity tag (RFC 9110 section 8.8.3): the hash of the policies and the `exp`.
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::NamedTempFile;

    use super::*;

    #[test]
    fn a_bundle_that_no_service_takes_is_logged() {
        let log = NamedTempFile::new().unwrap();
        let writer = Arc::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let text = || fs::read_to_string(log.path()).unwrap();
        let api = ApiName::parse("orders").unwrap();
        tracing::subscriber::with_default(subscriber, || {
            warn_if_too_long(&api, BundleSource::LONGEST);
            assert_eq!(text(), "", "services take this one");
            warn_if_too_long(&api, BundleSource::LONGEST + 1);
        });
        assert!(text().contains("bundle.too_long") && text().contains("orders"), "{}", text());
    }
}
