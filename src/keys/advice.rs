//! What an operator can order of the keys, from when on it is safe, and by which command. [`KeyKeeper`](super::KeyKeeper)
//! refuses what is not safe; this says it before.

use jeton_oauth::KeyId;
use jiff::Timestamp;

use super::{KeyRing, KeyState, KeyTerms, PlannedKey, RingKey, orders::TOO_CLOSE};

/// Something that can be done, or happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAdvice {
    /// From when on it is safe, or happens; `None` for now.
    pub from: Option<Timestamp>,
    /// What it is, in words.
    pub what: String,
    /// The command; `None` for what happens by itself.
    pub command: Option<String>,
    /// The key that it is about.
    pub kid: KeyId,
}

impl KeyAdvice {
    fn new(kid: &KeyId, what: impl Into<String>) -> Self {
        Self { from: None, what: what.into(), command: None, kid: kid.clone() }
    }

    fn by(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    fn from(self, from: Timestamp) -> Self {
        Self { from: Some(from), ..self }
    }
}

impl KeyRing {
    /// What can be done at `now`, first what is to be done, last what only a leak is a reason for.
    pub fn advice(&self, planned: Option<PlannedKey>, terms: &KeyTerms, now: Timestamp) -> Vec<KeyAdvice> {
        // as orders do, which know no parts of a second
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let signing = self.keys().iter().find(|key| matches!(key.state, KeyState::Active { .. }));
        let next = self.keys().iter().find(|key| matches!(key.state, KeyState::Next { .. }));
        let mut advice = Vec::new();
        if let Some(signing) = signing {
            match next {
                None => advice.extend(successor(signing, planned, terms, now)),
                Some(next) => advice.extend(handover(signing, next, terms, now)),
            }
        }
        for key in self.keys() {
            match key.state {
                KeyState::Retired { until, .. } => {
                    let what = "no token that it signed is valid any more: it leaves the key set by itself, and its file can \
                                be deleted";
                    advice.push(KeyAdvice::new(&key.kid, what).from(until).by("jeton keys prune"));
                }
                KeyState::Expired { .. } => {
                    let what = "it is not published any more: delete its file";
                    advice.push(KeyAdvice::new(&key.kid, what).by("jeton keys prune"));
                }
                KeyState::Next { .. } | KeyState::Active { .. } => {}
            }
        }
        for key in self.unlisted() {
            let what = "its file has no entry in `keyring.yaml`, so it never signs: delete it";
            advice.push(KeyAdvice::new(&key.kid, what).by("jeton keys prune"));
        }
        advice.extend(self.keys().iter().filter_map(after_a_leak));
        advice
    }
}

/// How another key comes to follow the one that signs.
fn successor(
    signing: &RingKey,
    planned: Option<PlannedKey>,
    terms: &KeyTerms,
    now: Timestamp,
) -> Vec<KeyAdvice> {
    let by_hand = |what: String| KeyAdvice::new(&signing.kid, what).by("jeton keys rotate");
    let signs_from = now + terms.publish_ahead;
    match planned {
        None => vec![by_hand(format!(
            "make the next key: it is published at once, and signs from {signs_from} on (`keys.publish_ahead`)"
        ))],
        Some(PlannedKey { made, activates }) if made <= now => vec![by_hand(format!(
            "the next key is due (`keys.rotate_every`): a server that may write the folder makes it, and it signs from \
             {activates} on; make it yourself if none may"
        ))],
        Some(PlannedKey { made, activates }) => {
            let what =
                format!("a server makes the next key (`keys.rotate_every`), which signs from {activates} on");
            let sooner =
                format!("make the next key sooner: it is published at once, and signs from {signs_from} on");
            vec![KeyAdvice::new(&signing.kid, what).from(made), by_hand(sooner)]
        }
    }
}

/// How the next key takes over.
fn handover(signing: &RingKey, next: &RingKey, terms: &KeyTerms, now: Timestamp) -> Vec<KeyAdvice> {
    let mut advice = vec![
        KeyAdvice::new(&next.kid, "it begins to sign by itself: nothing is to be done").from(next.activates),
    ];
    let fetched = next.created + terms.publish_ahead;
    if fetched < next.activates {
        let what = "verifiers have had the time to fetch the next key: it can begin to sign before its time";
        let early = KeyAdvice::new(&signing.kid, what).by(format!("jeton keys retire {}", signing.kid));
        advice.push(if fetched <= now { early } else { early.from(fetched) });
    }
    if next.activates > now + TOO_CLOSE {
        let until = next.activates - TOO_CLOSE;
        let what = format!("it can be withdrawn, if it was made by mistake, until {until}");
        advice.push(KeyAdvice::new(&next.kid, what).by(format!("jeton keys retire {}", next.kid)));
    }
    advice
}

/// What ends the tokens of a key at once.
fn after_a_leak(key: &RingKey) -> Option<KeyAdvice> {
    let (what, command) = match key.state {
        KeyState::Active { .. } => (
            "only if its private key has leaked: a new key signs at once, and every token that this one signed is refused",
            "jeton keys rotate --now".to_owned(),
        ),
        KeyState::Retired { .. } => (
            "only if its private key has leaked: it leaves the key set at once, and every token that it signed is refused",
            format!("jeton keys retire {} --now", key.kid),
        ),
        KeyState::Next { .. } | KeyState::Expired { .. } => return None,
    };
    Some(KeyAdvice::new(&key.kid, what).by(command))
}
