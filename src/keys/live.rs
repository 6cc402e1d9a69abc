//! The keys in force, and how others take their place: as time passes, and as the folder changes.

use std::sync::Arc;

use jeton_jose::PublicKeys;
use jeton_oauth::clock::Clock;
use jeton_policy::{
    LivePolicies,
    files::{Latest, Rejection, Reload, Swapped},
};
use jeton_verify::KeySource;
use jiff::Timestamp;

use super::{
    KeyAdvice, KeyError, KeyErrors, KeyFolder, KeyRing, KeyTerms, PlannedKey,
    watched::{HeldFolder, InFolder},
};

/// The keys in force. Readers are never kept waiting; what a key does changes on the second.
pub struct LiveKeys {
    latest: Latest<InFolder>,
    terms: KeyTerms,
    /// The policies of which bundles are signed.
    policies: Option<Arc<LivePolicies>>,
    clock: Arc<dyn Clock>,
}

/// The outcome of a reading of the key folder.
pub type KeyReload = Reload<Swapped<KeyRing>, KeyErrors>;

impl KeySource for LiveKeys {
    fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(self.ring().public())
    }
}

impl LiveKeys {
    /// The keys of `folder`, by these rules.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(folder: KeyFolder, terms: KeyTerms, clock: Arc<dyn Clock>) -> Result<Self, KeyErrors> {
        let latest = Latest::load(InFolder(folder), Arc::clone(&clock))?;
        Ok(Self { latest, terms, policies: None, clock })
    }

    /// Keeps a retired key published for as long as bundles live, while these policies have one.
    #[must_use]
    pub fn for_bundles_of(self, policies: Arc<LivePolicies>) -> Self {
        Self { policies: Some(policies), ..self }
    }

    /// The keys as they are now.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring_of(&self.latest.current())
    }

    /// Whether it is time for a next key, as far as is known in memory.
    pub fn is_rotation_due(&self) -> bool {
        self.planned().is_some_and(|planned| planned.made <= self.clock.now())
    }

    /// When the next key is to be made, as far as is known in memory.
    pub fn planned(&self) -> Option<PlannedKey> {
        self.latest.current().keys.planned(self.clock.now(), &self.terms)
    }

    /// When a key does something else next, or the next one is due; that lies in the past while a rotation is overdue.
    pub fn next_change(&self) -> Option<Timestamp> {
        let due = self.latest.current().keys.due(self.clock.now(), &self.terms);
        self.ring().next_change().into_iter().chain(due).min()
    }

    /// What can be done with the keys now, and from when on what else.
    pub fn advice(&self) -> Vec<KeyAdvice> {
        self.ring().advice(self.planned(), &self.terms, self.clock.now())
    }

    /// The rules by which keys follow each other.
    pub fn terms(&self) -> &KeyTerms {
        &self.terms
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<KeyErrors>>> {
        self.latest.last_rejection()
    }

    /// Reads the folder again, and lets it take over if it holds something else and nothing is wrong.
    pub fn reload(&self) -> KeyReload {
        self.latest.reload().map(|swapped| self.rings_of(&swapped))
    }

    /// As [`Self::reload`], but only what two polls in a row saw: half of a file that is being written could say
    /// something that nobody wrote.
    pub fn poll(&self) -> KeyReload {
        self.latest.poll().map(|swapped| self.rings_of(&swapped))
    }

    /// Notes that a reload did not come to its end; what was in force stays.
    pub fn reload_failed(&self) {
        self.latest.failed(KeyError::Failed.into());
    }

    fn rings_of(&self, swapped: &Swapped<HeldFolder>) -> Swapped<KeyRing> {
        Swapped { before: self.ring_of(&swapped.before), after: self.ring_of(&swapped.after) }
    }

    /// The ring of these keys. It turns when a key does something else than before; memory alone is needed for that.
    fn ring_of(&self, held: &HeldFolder) -> Arc<KeyRing> {
        let now = self.clock.now();
        let has_bundles = self.policies.as_ref().is_some_and(|live| live.current().policies.has_bundles());
        let terms = if has_bundles { self.terms.with_bundles() } else { self.terms };
        if let Some(ring) = &*held.ring.load()
            && ring.holds_at(now, &terms)
        {
            return Arc::clone(ring);
        }
        let ring = Arc::new(held.keys.at(now, &terms));
        held.ring.store(Some(Arc::clone(&ring)));
        ring
    }
}
