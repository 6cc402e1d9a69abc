//! A decision log, asked again by other policies.

use std::{collections::BTreeMap, fmt};

use jeton_oauth::text::printable;
use jeton_policy::{PolicySet, ProtectedApi};
use serde::Serialize;

use super::{
    AuditedBinding, DecisionLine, DecisionLineError, PolicyVerdict, RecordedDecision, is_of_a_bad_token,
};

/// Takes the decisions of a log again, line by line. Holds what differs, each kind once.
pub struct Replay<'p> {
    policies: &'p PolicySet,
    lines: u64,
    totals: Totals,
    differences: BTreeMap<ReplayedKind, SeenDifference>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    judged: u64,
    would_be_refused: u64,
    would_be_let_in: u64,
    taken_as_bound: u64,
    bad_tokens: u64,
    dropped: u64,
}

/// What is counted together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ReplayedKind {
    api: String,
    direction: ReplayDirection,
    client: Option<String>,
    has_token: bool,
    before: ReplayedSide,
    after: ReplayedSide,
}

struct SeenDifference {
    count: u64,
    detail: String,
    first: FirstSeen,
}

/// Which way a decision differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayDirection {
    /// It was allowed.
    WouldBeRefused,
    /// It was refused.
    WouldBeLetIn,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReplayedSide {
    /// The rule that decides, if one does.
    pub rule: Option<String>,
    /// The stable name of the reason.
    pub reason: String,
    /// The file of the rule, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// The first decision of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstSeen {
    /// Its line in the log, from 1.
    pub line: u64,
    /// When it was taken.
    pub time: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
}

/// Decisions that come out otherwise for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedDifference {
    /// The API.
    pub api: String,
    /// Which way.
    pub direction: ReplayDirection,
    /// The client, if the token names one.
    pub client: Option<String>,
    /// Whether there was a token.
    pub token: bool,
    /// How it was decided.
    pub before: ReplayedSide,
    /// How it would be.
    pub after: ReplayedSide,
    /// Why, in words, of the first.
    pub detail: String,
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: FirstSeen,
}

/// What a log comes to by other policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Decisions that were judged again.
    pub judged: u64,
    /// Those that come out the same.
    pub same: u64,
    /// Those that were allowed, and would not be.
    pub would_be_refused: u64,
    /// Those that were refused, and would not be.
    pub would_be_let_in: u64,
    /// Those that would be allowed if the token was bound, which their lines do not say: the API takes bound tokens
    /// only. They are the same, or let in.
    pub taken_as_bound: u64,
    /// Decisions that were passed over, because the token was bad.
    pub bad_tokens: u64,
    /// Decisions that never came into the log.
    pub dropped: u64,
    /// What differs: by API, those who would be refused first.
    pub differences: Vec<ReplayedDifference>,
}

impl<'p> Replay<'p> {
    /// By these policies.
    pub fn new(policies: &'p PolicySet) -> Self {
        Self { policies, lines: 0, totals: Totals::default(), differences: BTreeMap::new() }
    }

    /// The number of lines read.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// [`DecisionLineError`] for a line that does not belong to a decision log. The line is not counted.
    pub fn take(&mut self, line: &[u8]) -> Result<(), DecisionLineError> {
        let line = DecisionLine::parse(line)?;
        self.lines += 1;
        match line {
            DecisionLine::Dropped(dropped) => {
                self.totals.dropped = self.totals.dropped.saturating_add(dropped);
            }
            DecisionLine::Decision(decision) if is_of_a_bad_token(&decision.reason) => {
                self.totals.bad_tokens += 1;
            }
            DecisionLine::Decision(decision) => self.judge(&decision),
        }
        Ok(())
    }

    fn judge(&mut self, decision: &RecordedDecision) {
        let verdict = decision.asked().judged_by(self.policies);
        self.totals.judged += 1;
        let bearer = decision.bearer.as_ref();
        if verdict.is_allowed()
            && bearer.is_some_and(|bearer| bearer.binding() == AuditedBinding::Unknown)
            && self.policies.api(&decision.api).is_some_and(ProtectedApi::bound_tokens)
        {
            self.totals.taken_as_bound += 1;
        }
        let direction = match (decision.allowed, verdict.is_allowed()) {
            (true, false) => ReplayDirection::WouldBeRefused,
            (false, true) => ReplayDirection::WouldBeLetIn,
            (true, true) | (false, false) => return,
        };
        match direction {
            ReplayDirection::WouldBeRefused => self.totals.would_be_refused += 1,
            ReplayDirection::WouldBeLetIn => self.totals.would_be_let_in += 1,
        }
        let kind = ReplayedKind {
            direction,
            client: bearer.and_then(|bearer| bearer.client()).map(ToString::to_string),
            has_token: bearer.is_some(),
            after: ReplayedSide::after(&verdict, self.policies),
            before: ReplayedSide {
                rule: decision.rule.clone(),
                reason: decision.reason.clone(),
                file: None,
                line: None,
            },
            api: decision.api.clone(),
        };
        let line = self.lines;
        let seen = self.differences.entry(kind).or_insert_with(|| SeenDifference {
            count: 0,
            detail: verdict.to_string(),
            first: FirstSeen {
                line,
                time: decision.time.clone(),
                method: decision.method.clone(),
                path: decision.path.clone(),
            },
        });
        seen.count += 1;
    }

    /// What it came to.
    pub fn finish(self) -> Replayed {
        let Totals { judged, would_be_refused, would_be_let_in, taken_as_bound, bad_tokens, dropped } =
            self.totals;
        let differences = self.differences.into_iter().map(|(kind, seen)| ReplayedDifference {
            api: kind.api,
            direction: kind.direction,
            client: kind.client,
            token: kind.has_token,
            before: kind.before,
            after: kind.after,
            detail: seen.detail,
            count: seen.count,
            first: seen.first,
        });
        Replayed {
            judged,
            same: judged - would_be_refused - would_be_let_in,
            would_be_refused,
            would_be_let_in,
            taken_as_bound,
            bad_tokens,
            dropped,
            differences: differences.collect(),
        }
    }
}

impl ReplayedSide {
    fn after(verdict: &PolicyVerdict<'_>, policies: &PolicySet) -> Self {
        let place = verdict.rule().map(|rule| policies.place_of(rule));
        let (file, line) = place.as_ref().map(|place| (place.file.clone(), place.line)).unzip();
        Self { rule: place.map(|place| place.rule), reason: verdict.reason().to_owned(), file, line }
    }
}

/// The rule and its place, or the reason if no rule decided.
impl fmt::Display for ReplayedSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rule, &self.file, self.line) {
            (Some(rule), Some(file), Some(line)) => write!(f, "{rule} ({file}:{line})"),
            (Some(rule), _, _) => f.write_str(rule),
            (None, _, _) => f.write_str(&self.reason),
        }
    }
}

impl ReplayedDifference {
    fn lines(&self) -> [String; 3] {
        let Self { api, direction, client, token, before, after, detail, count, first } = self;
        let who = match (client, token) {
            (Some(client), _) => client.as_str(),
            (None, true) => "anyone with a token that names no client",
            (None, false) => "anyone without a token",
        };
        let (sign, what) = match direction {
            ReplayDirection::WouldBeRefused => ('-', "would be refused"),
            ReplayDirection::WouldBeLetIn => ('+', "would be let in"),
        };
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        [
            format!("{sign} {who} {what} at {api}, {times}"),
            format!("    {before} -> {after}: {detail}"),
            format!("    first in line {}: {} {} {}", first.line, first.time, first.method, first.path),
        ]
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            for line in difference.lines() {
                writeln!(f, "{}", printable(&line))?;
            }
        }
        if !self.differences.is_empty() {
            writeln!(f)?;
        }
        let Self { judged, same, would_be_refused, would_be_let_in, .. } = self;
        let Self { taken_as_bound, bad_tokens, dropped, .. } = self;
        writeln!(
            f,
            "{judged} judged: {same} the same, {would_be_refused} would be refused, {would_be_let_in} would be let in"
        )?;
        if *taken_as_bound > 0 {
            writeln!(
                f,
                "{taken_as_bound} judged as if the token was bound, because the log does not say it"
            )?;
        }
        if *bad_tokens > 0 {
            writeln!(f, "{bad_tokens} passed over, because the token was bad")?;
        }
        if *dropped > 0 {
            writeln!(f, "{dropped} missing, because the server could not write them")?;
        }
        Ok(())
    }
}
