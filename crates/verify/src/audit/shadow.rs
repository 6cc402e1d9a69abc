//! Candidate policies, asked beside those in force and never enforced.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jeton_oauth::{ClientId, clock::Clock};
use jeton_policy::CandidatePolicies;

use super::{AuditedRequest, PolicyVerdict, TakenDecision, is_of_a_bad_token};
use crate::event;

/// For how long, in seconds, a difference of one kind is counted before it is told again.
const QUIET: i64 = 60;
/// How many kinds are told one by one. With names of usual length they take 200 KiB.
const MOST_KINDS: usize = 1_024;
/// The longest piece of a path that is told, in bytes.
const LONGEST_PATH: usize = 512;

/// Candidate policies and how often they would have decided otherwise.
pub struct Shadow {
    candidate: Arc<CandidatePolicies>,
    clock: Arc<dyn Clock>,
    compared: AtomicU64,
    would_allow: AtomicU64,
    would_deny: AtomicU64,
    told: Mutex<ToldKinds>,
}

/// What was compared since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Decisions that the candidate took too.
    pub compared: u64,
    /// Those that refused, where the candidate would allow.
    pub would_allow: u64,
    /// Those that allowed, where the candidate would refuse.
    pub would_deny: u64,
}

impl Shadow {
    /// Compares with these.
    pub fn new(candidate: Arc<CandidatePolicies>, clock: Arc<dyn Clock>) -> Self {
        Self {
            candidate,
            clock,
            compared: AtomicU64::new(0),
            would_allow: AtomicU64::new(0),
            would_deny: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// The policies that are tried.
    pub fn candidate(&self) -> &Arc<CandidatePolicies> {
        &self.candidate
    }

    /// What was compared so far.
    pub fn counts(&self) -> ShadowCounts {
        ShadowCounts {
            compared: self.compared.load(Ordering::Relaxed),
            would_allow: self.would_allow.load(Ordering::Relaxed),
            would_deny: self.would_deny.load(Ordering::Relaxed),
        }
    }

    /// Takes a decision too, and tells if it comes out otherwise.
    pub fn compare(&self, asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>) {
        if is_of_a_bad_token(taken.reason) {
            return;
        }
        let current = self.candidate.current();
        let Some(snapshot) = &**current else { return };
        let verdict = asked.judged_by(&snapshot.policies);
        self.compared.fetch_add(1, Ordering::Relaxed);
        match (taken.is_allowed(), verdict.is_allowed()) {
            (true, false) => self.would_deny.fetch_add(1, Ordering::Relaxed),
            (false, true) => self.would_allow.fetch_add(1, Ordering::Relaxed),
            (true, true) | (false, false) => return,
        };
        let kind = ShadowedKind::of(asked, taken, &verdict);
        let due = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.count(kind, self.clock.numeric_date())
        };
        match due {
            None => {}
            Some(Due::One(count)) => tell(asked, taken, &verdict, count),
            Some(Due::Others(count)) => {
                event::OtherDecisionsDiffer { count }.warn();
            }
        }
    }
}

fn tell(asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, verdict: &PolicyVerdict<'_>, count: u64) {
    let [in_force, candidate] =
        [taken.is_allowed(), verdict.is_allowed()].map(|allowed| if allowed { "allowed" } else { "denied" });
    let detail = match taken.detail {
        Some(detail) if verdict.is_allowed() => detail.to_string(),
        _ => verdict.to_string(),
    };
    event::DecisionDiffers {
        api: asked.api,
        method: asked.method,
        path: up_to(asked.path, LONGEST_PATH),
        client: asked.bearer.and_then(|bearer| bearer.origin.client).map(ClientId::as_str),
        rule: taken.rule,
        candidate_rule: verdict.rule().map(jeton_policy::PolicyRule::name),
        in_force,
        candidate,
        detail: &detail,
        count,
    }
    .warn();
}

/// The text up to so many bytes, and no half character.
pub(super) fn up_to(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// What is told once in a while, however often it happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ShadowedKind {
    api: Box<str>,
    /// The rule in force, or the candidate's where none is.
    rule: Option<Box<str>>,
    client: Option<ClientId>,
    would_allow: bool,
}

impl ShadowedKind {
    fn of(asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, verdict: &PolicyVerdict<'_>) -> Self {
        Self {
            api: asked.api.into(),
            rule: taken.rule.or(verdict.rule().map(jeton_policy::PolicyRule::name)).map(Into::into),
            client: asked.bearer.and_then(|bearer| bearer.origin.client).cloned(),
            would_allow: verdict.is_allowed(),
        }
    }
}

/// Which kinds were told when.
#[derive(Debug, Default)]
struct ToldKinds {
    kinds: HashMap<ShadowedKind, Since>,
    /// Those for which there is no room, together.
    others: Since,
}

#[derive(Clone, Copy, Debug, Default)]
struct Since {
    /// When a line was written, in seconds since 1970.
    line: Option<i64>,
    /// How many came since.
    count: u64,
}

/// A line is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Of this kind, for so many.
    One(u64),
    /// Of kinds without room, for so many.
    Others(u64),
}

impl Since {
    fn is_quiet(&self, now: i64) -> bool {
        self.line.is_some_and(|line| (line..line.saturating_add(QUIET)).contains(&now))
    }

    /// Counts one more; how many a line is to tell of, if one is due.
    fn count(&mut self, now: i64) -> Option<u64> {
        self.count += 1;
        if self.is_quiet(now) {
            return None;
        }
        self.line = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl ToldKinds {
    fn count(&mut self, kind: ShadowedKind, now: i64) -> Option<Due> {
        if let Some(since) = self.kinds.get_mut(&kind) {
            return since.count(now).map(Due::One);
        }
        if self.kinds.len() >= MOST_KINDS && !self.others.is_quiet(now) {
            self.make_room(now);
        }
        if self.kinds.len() >= MOST_KINDS {
            return self.others.count(now).map(Due::Others);
        }
        self.kinds.entry(kind).or_default().count(now).map(Due::One)
    }

    /// Forgets kinds of which a line may be written again; what they counted is told with the others.
    fn make_room(&mut self, now: i64) {
        let mut forgotten = 0;
        self.kinds.retain(|_, since| {
            let stays = since.is_quiet(now);
            forgotten += if stays { 0 } else { since.count };
            stays
        });
        self.others.count += forgotten;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(number: usize) -> ShadowedKind {
        ShadowedKind {
            api: "a".into(),
            rule: Some(number.to_string().into()),
            client: None,
            would_allow: true,
        }
    }

    #[test]
    fn one_kind_is_told_once_a_minute_with_its_count() {
        let mut told = ToldKinds::default();
        for (now, due) in [(0, Some(1)), (0, None), (59, None), (60, Some(3)), (61, None), (200, Some(2))] {
            assert_eq!(told.count(kind(0), now), due.map(Due::One), "at {now}");
        }
        assert_eq!(told.count(kind(0), 100), Some(Due::One(1)), "the clock was set back");
    }

    #[test]
    fn a_flood_of_kinds_is_one_line_and_stays_small() {
        let mut told = ToldKinds::default();
        for number in 0..MOST_KINDS {
            assert_eq!(told.count(kind(number), 0), Some(Due::One(1)), "{number}");
        }
        assert_eq!(told.count(kind(0), 1), None, "counted, and not told");
        assert_eq!(told.count(kind(MOST_KINDS), 1), Some(Due::Others(1)));
        for number in 1..5_000 {
            assert_eq!(told.count(kind(MOST_KINDS + number), 2), None);
        }
        assert_eq!(told.kinds.len(), MOST_KINDS);
        // a minute later there is room again, and nothing that was counted is lost
        assert_eq!(told.count(kind(9_999), 61), Some(Due::One(1)));
        assert_eq!(told.others.count, 4_999 + 1);
        for number in 20_000..20_000 + MOST_KINDS - 1 {
            assert_eq!(told.count(kind(number), 61), Some(Due::One(1)));
        }
        assert_eq!(told.count(kind(30_000), 61), Some(Due::Others(5_001)));
    }
}
