//! The first key, which may be made ahead of its order.

use std::thread;

use tokio::sync::oneshot;

use super::{KeyErrors, KeyKeeper, KeyTerms, NewKey, PrivateKey};

/// Whether there was a key already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstKey {
    /// There was.
    Found,
    /// One was made.
    Made(NewKey),
}

/// A key that was made and is not written yet.
pub struct ReadyKey(pub(super) PrivateKey);

impl KeyKeeper {
    /// Makes a key for a folder that has none, on a thread of its own: an RSA key may take seconds. Whoever waits no longer
    /// leaves the thread to itself, and nothing is written. `None` also where that fails, for
    /// [`Self::ensure_first_key`] says why.
    pub async fn make_ready(&self) -> Option<ReadyKey> {
        self.folder.load().err().filter(KeyErrors::is_missing)?;
        let (sender, receiver) = oneshot::channel();
        let KeyTerms { algorithm, rsa_bits, .. } = self.terms;
        let make = move || sender.send(PrivateKey::generate(algorithm, rsa_bits));
        thread::Builder::new().name("first key".to_owned()).spawn(make).ok()?;
        receiver.await.ok()?.ok().map(ReadyKey)
    }
}
