//! When secrets were used: an operator who rotates them must know which ones still are.

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicI64, Ordering},
};

use jeton_oauth::ClientId;
use jeton_policy::clients::{ClientRegistry, SecretHash};
use rustc_hash::FxHashMap;

/// When each secret of each client was used last, in seconds since 1970, since the start of the server.
#[derive(Default)]
pub struct SecretUses(RwLock<FxHashMap<(ClientId, SecretHash), AtomicI64>>);

impl SecretUses {
    /// The client was let in by this secret.
    pub(super) fn note(&self, client: &ClientId, secret: SecretHash, now: i64) {
        let key = (client.clone(), secret);
        if let Some(last) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            last.store(now, Ordering::Relaxed);
            return;
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, now.into());
    }

    /// When the client used this secret last, if it did.
    pub fn last_used(&self, client: &ClientId, secret: SecretHash) -> Option<i64> {
        let uses = self.0.read().unwrap_or_else(PoisonError::into_inner);
        uses.get(&(client.clone(), secret)).map(|last| last.load(Ordering::Relaxed))
    }

    /// Every secret that was used, with the time.
    pub fn all(&self) -> Vec<(ClientId, SecretHash, i64)> {
        let uses = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let each = uses.iter();
        each.map(|((client, secret), last)| (client.clone(), *secret, last.load(Ordering::Relaxed))).collect()
    }

    /// Forgets the secrets that these clients do not have.
    pub fn keep_secrets_of(&self, clients: &ClientRegistry) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|(client, secret), _| {
            let client = clients.find(client.as_str());
            client.is_some_and(|client| client.secrets.iter().any(|stored| stored.sha256 == *secret))
        });
    }
}
