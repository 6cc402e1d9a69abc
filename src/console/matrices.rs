//! Who may do what, as the page shows it: each matrix is asked for once for each change of the policies.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, OnceLock, Weak},
};

use actix_web::web::Bytes;
use arc_swap::ArcSwap;
use flate2::{Compression, write::GzEncoder};
use jeton_oauth::{ApiName, text::printable_json};
use jeton_policy::{
    AccessCode, CompactMatrix, CompactRoute, ContentHash, LivePolicies, PolicySet, PolicySnapshot,
    ProtectedApi,
};
use jiff::Timestamp;
use serde::Serialize;

/// The matrices of the policies in force.
pub(super) struct Matrices {
    policies: Arc<LivePolicies>,
    current: ArcSwap<Index>,
}

/// Those of one snapshot, which this does not keep alive.
struct Index {
    snapshot: Weak<PolicySnapshot>,
    by_api: BTreeMap<ApiName, Arc<OnceLock<Arc<KeptMatrix>>>>,
}

/// A matrix as it is sent.
pub(super) struct KeptMatrix {
    /// JSON.
    pub(super) body: Bytes,
    /// The same, compressed (RFC 1952).
    pub(super) gzipped: Bytes,
    /// By route: how many clients may use it, on some path at least.
    pub(super) clients: Vec<usize>,
}

/// A matrix, to be written as JSON.
#[derive(Serialize)]
pub(super) struct ShownMatrix {
    hash: ContentHash,
    /// The folder of the policies.
    dir: String,
    /// Since when they are in force; `None` where they are not.
    loaded_at: Option<String>,
    #[serde(flatten)]
    matrix: CompactMatrix,
}

impl ShownMatrix {
    /// That of an API.
    pub(super) fn of(
        policies: &PolicySet,
        api: &ProtectedApi,
        dir: &str,
        loaded_at: Option<Timestamp>,
    ) -> Self {
        Self {
            hash: policies.hash().clone(),
            dir: dir.to_owned(),
            loaded_at: loaded_at.map(|time| time.to_string()),
            matrix: policies.compact_matrix(api),
        }
    }
}

impl Matrices {
    /// Those of the policies in force.
    pub(super) fn new(policies: Arc<LivePolicies>) -> Self {
        let current = ArcSwap::from_pointee(Index::of(&policies.current()));
        Self { policies, current }
    }

    /// The matrix of an API of these policies; `None` where they have no such API. The first time takes long.
    pub(super) fn of(&self, snapshot: &Arc<PolicySnapshot>, api: &str) -> Option<Arc<KeptMatrix>> {
        let found = snapshot.policies.api(api)?;
        let kept = Arc::clone(self.index(snapshot).by_api.get(api)?);
        // who comes meanwhile waits for the first
        Some(Arc::clone(kept.get_or_init(|| Arc::new(KeptMatrix::of(snapshot, found)))))
    }

    /// The policies in force.
    pub(super) fn snapshot(&self) -> Arc<PolicySnapshot> {
        self.policies.snapshot()
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
}

impl Index {
    fn of(snapshot: &Arc<PolicySnapshot>) -> Self {
        let apis = snapshot.policies.apis().keys();
        let by_api = apis.map(|api| (api.clone(), Arc::default())).collect();
        Self { snapshot: Arc::downgrade(snapshot), by_api }
    }

    fn is_of(&self, snapshot: &Arc<PolicySnapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }
}

impl KeptMatrix {
    fn of(snapshot: &PolicySnapshot, api: &ProtectedApi) -> Self {
        let dir = snapshot.sources().dir();
        let shown = ShownMatrix::of(&snapshot.policies, api, dir, Some(snapshot.loaded_at));
        let may =
            |route: &CompactRoute| route.access.iter().filter(|code| **code != AccessCode::NEVER).count();
        let clients = shown.matrix.routes.iter().map(may).collect();
        // text and numbers alone, which JSON can always have
        let body = printable_json(&serde_json::to_string(&shown).unwrap_or_default());
        let gzipped = gzip(body.as_bytes()).into();
        Self { body: body.into(), gzipped, clients }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // memory takes whatever is written
    let _ = gzip.write_all(content);
    gzip.finish().unwrap_or_default()
}
