//! Tokens that are handed out again: within a window, who asks for the same gets the same.
//!
//! It serves fleets that ask for a token before every call, for such an answer costs no signature. Who asks is
//! let in, and what is asked for is approved, as for a new token; here stands only what was issued for that.

use std::{
    hash::RandomState,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{
    grant::ApprovedGrant,
    oauth::{ApiName, ClientId, KeyId, ScopeSet, TokenId},
    policy::Snapshot,
    token::SignedToken,
};

/// How many tokens are kept, of at most [`USUAL_LENGTH`] each: some 6 MiB. Where there are more, those that
/// were asked for once go first.
const MOST_KEPT: usize = 4_096;
/// Up to this length, in bytes, a token counts as one.
const USUAL_LENGTH: usize = 1_024;

/// The tokens that may be handed out again: those that were issued under the policies in force.
pub struct TokenReuse {
    /// In seconds.
    window: i64,
    current: ArcSwap<Shelf>,
}

/// The tokens that were issued under one snapshot of the policies, from which roles, claims and lifetimes
/// follow. Does not keep the snapshot alive.
pub(crate) struct Shelf {
    snapshot: Weak<Snapshot>,
    window: i64,
    tokens: Cache<Wish, Arc<KeptToken>, BySize, RandomState>,
}

/// What a token was asked for, as it was approved. However the scopes were written, they are one set.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    client: ClientId,
    api: ApiName,
    scopes: ScopeSet,
}

/// A token that was issued a while ago.
pub(crate) struct KeptToken {
    /// The token itself.
    pub(crate) token: SignedToken,
    /// Its `jti`.
    pub(crate) token_id: TokenId,
    /// The key that signed it.
    pub(crate) kid: KeyId,
    /// `iat`, in seconds since 1970.
    pub(crate) issued_at: i64,
    /// `exp`, in seconds since 1970.
    pub(crate) expires_at: i64,
}

#[derive(Clone)]
struct BySize;

impl Weighter<Wish, Arc<KeptToken>> for BySize {
    fn weight(&self, _: &Wish, kept: &Arc<KeptToken>) -> u64 {
        u64::try_from(kept.token.as_str().len().div_ceil(USUAL_LENGTH)).unwrap_or(u64::MAX).max(1)
    }
}

impl TokenReuse {
    /// Hands tokens out again until they are as old as this (cut to whole seconds).
    pub fn within(window: Duration) -> Self {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
        Self { window, current: ArcSwap::from_pointee(Shelf::of(Weak::new(), window)) }
    }

    /// The tokens of a snapshot: those at hand, or none yet. Those of another one are let go.
    pub(crate) fn shelf(&self, snapshot: &Arc<Snapshot>) -> Arc<Shelf> {
        let current = self.current.load_full();
        if current.is_of(snapshot) {
            return current;
        }
        let new = Arc::new(Shelf::of(Arc::downgrade(snapshot), self.window));
        let before = self.current.compare_and_swap(&current, Arc::clone(&new));
        // another thread may have been faster
        if before.is_of(snapshot) { Arc::clone(&before) } else { new }
    }
}

impl Shelf {
    fn of(snapshot: Weak<Snapshot>, window: i64) -> Self {
        let room = u64::try_from(MOST_KEPT).unwrap_or(u64::MAX);
        let tokens = Cache::with(MOST_KEPT, room, BySize, RandomState::new(), DefaultLifecycle::default());
        Self { snapshot, window, tokens }
    }

    fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }

    /// The token that was issued for this, if at `now` (seconds since 1970) it is young enough and `signing`
    /// still signs. Whether it was revoked is not looked at.
    pub(crate) fn find(&self, wish: &Wish, now: i64, signing: &KeyId) -> Option<Arc<KeptToken>> {
        let kept = self.tokens.get(wish)?;
        // one from the future was issued before the clock was set back
        let is_young = (0..self.window).contains(&now.saturating_sub(kept.issued_at));
        (is_young && now < kept.expires_at && kept.kid == *signing).then_some(kept)
    }

    /// Keeps a token, in the place of the former one for the same.
    pub(crate) fn keep(&self, wish: Wish, token: KeptToken) {
        self.tokens.insert(wish, Arc::new(token));
    }
}

impl Wish {
    pub(crate) fn of(approved: &ApprovedGrant) -> Self {
        Self {
            client: approved.client().clone(),
            api: approved.api().clone(),
            scopes: approved.scopes().clone(),
        }
    }
}
