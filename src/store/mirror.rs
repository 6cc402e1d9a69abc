//! What is revoked, in memory.

use std::{
    collections::HashSet,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use jeton_oauth::TokenId;

use super::{RevocationsUnknown, expiring::Expiring};

/// How many of those that have passed are dropped under one lock.
const DROPS: usize = 1000;

/// The revoked tokens as far as this process knows them. None is forgotten before its time, whatever
/// becomes of the server. The lock is held for single look-ups and additions.
pub(super) struct Mirror {
    revoked: RwLock<Expiring<TokenId>>,
    was_read: AtomicBool,
}

impl Mirror {
    /// Knows nothing yet.
    pub(super) fn new() -> Self {
        Self { revoked: RwLock::new(Expiring::new()), was_read: AtomicBool::new(false) }
    }

    /// Whether everything that the server had was read once.
    pub(super) fn was_read(&self) -> bool {
        self.was_read.load(Ordering::Acquire)
    }

    /// Notes that everything was read.
    pub(super) fn set_read(&self) {
        self.was_read.store(true, Ordering::Release);
    }

    /// Whether a token is revoked.
    pub(super) fn is_revoked(&self, token: &str) -> Result<bool, RevocationsUnknown> {
        if self.was_read() { Ok(self.read().until(token).is_some()) } else { Err(RevocationsUnknown) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    /// Adds a token.
    pub(super) fn add(&self, token: TokenId, until: i64) {
        self.write().keep(token, until);
    }

    /// Those that are not among `others`.
    pub(super) fn beyond(&self, others: &HashSet<TokenId>) -> Vec<(TokenId, i64)> {
        let revoked = self.read();
        let missing = revoked.iter().filter(|(token, _)| !others.contains(*token));
        missing.map(|(token, until)| (token.clone(), until)).collect()
    }

    /// Drops some of those whose time lies before `now`.
    pub(super) fn drop_passed(&self, now: i64) -> Vec<(TokenId, i64)> {
        self.write().drop_passed(now, DROPS)
    }

    fn read(&self) -> RwLockReadGuard<'_, Expiring<TokenId>> {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Expiring<TokenId>> {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner)
    }
}
