//! What a check found, for people: the verdict, a table, and the holes in groups.

use std::{collections::BTreeMap, fmt::Write};

use jeton_oauth::text::printable;

/// What a class of attempts came to.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) refused: usize,
    /// Reached the upstream, as something that the policies allow.
    pub(crate) passed: usize,
    pub(crate) holes: usize,
}

/// Something that got through and must not.
pub(crate) struct Hole {
    pub(crate) class: &'static str,
    pub(crate) title: String,
    pub(crate) bearer: String,
    pub(crate) seen: String,
    pub(crate) why: String,
}

/// What a check found.
pub struct CheckReport {
    /// What was checked.
    title: String,
    pub(crate) tallies: BTreeMap<&'static str, Tally>,
    pub(crate) holes: Vec<Hole>,
    /// What took no part, and why.
    pub(crate) untested: Vec<String>,
    /// What must pass and does not.
    pub(crate) not_passing: Vec<String>,
    /// Why it ended before its end.
    pub(crate) stopped: Option<String>,
    /// How many attempts were answered with 429.
    pub(crate) limited: usize,
    /// A path as it was sent, and as it arrived.
    pub(crate) rewritten: Option<(String, String)>,
}

/// What comes of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Nothing got through that must not.
    Sound,
    /// Something got through that must not.
    Holes,
    /// Nothing was seen to get through, but not every attempt was judged, or something does not pass that must.
    NotWhole,
}

/// The most holes of one group that are shown.
const MOST_EXAMPLES: usize = 3;
const NOT_TRIED: &str = "not tried: what the gateway does while jeton is away (stop jeton: nothing may pass), and hosts and paths that neither settings nor policies name\n";

impl CheckReport {
    pub(crate) fn new(title: String) -> Self {
        Self {
            title,
            tallies: BTreeMap::new(),
            holes: Vec::new(),
            untested: Vec::new(),
            not_passing: Vec::new(),
            stopped: None,
            limited: 0,
            rewritten: None,
        }
    }

    /// The verdict alone.
    pub fn verdict(&self) -> CheckVerdict {
        match (self.holes.is_empty(), self.is_whole()) {
            (false, _) => CheckVerdict::Holes,
            (true, false) => CheckVerdict::NotWhole,
            (true, true) => CheckVerdict::Sound,
        }
    }

    /// Whether every attempt was sent and judged, and could have passed.
    fn is_whole(&self) -> bool {
        self.stopped.is_none() && self.limited == 0 && self.not_passing.is_empty()
    }

    /// All of it, for people: the verdict, a table, and the holes in groups.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n\n", printable(&self.title), self.verdict_text());
        self.table(&mut text);
        self.groups(&mut text);
        self.notes(&mut text);
        text
    }

    fn verdict_text(&self) -> String {
        let verdict = match self.holes.len() {
            0 if self.is_whole() => "nothing got through that is forbidden",
            0 if !self.not_passing.is_empty() => {
                "nothing got through that is forbidden, and something that is allowed did not"
            }
            0 => "nothing forbidden was seen to get through, but not everything was judged",
            1 => "1 forbidden request reached the upstream, or was answered in its place",
            count => {
                return format!(
                    "{count} forbidden requests reached the upstream, or were answered in its place"
                );
            }
        };
        verdict.to_owned()
    }

    fn table(&self, text: &mut String) {
        let mut row = |name: &str, of: [String; 4]| {
            let [sent, refused, passed, holes] = of;
            let _ = writeln!(text, "{name:<20} {sent:>5} {refused:>8} {passed:>8} {holes:>6}");
        };
        let mut all = Tally::default();
        row("attempts", ["sent", "refused", "allowed", "holes"].map(str::to_owned));
        for (class, Tally { sent, refused, passed, holes }) in &self.tallies {
            row(class, [sent, refused, passed, holes].map(ToString::to_string));
            all.sent += sent;
            all.refused += refused;
            all.passed += passed;
            all.holes += holes;
        }
        row("all", [all.sent, all.refused, all.passed, all.holes].map(|count| count.to_string()));
    }

    fn groups(&self, text: &mut String) {
        let mut groups = BTreeMap::<_, Vec<&Hole>>::new();
        for hole in &self.holes {
            groups.entry((hole.class, &hole.why)).or_default().push(hole);
        }
        for ((class, why), holes) in groups {
            let times = if holes.len() == 1 { "once".to_owned() } else { format!("{} times", holes.len()) };
            let _ = writeln!(text, "\nHOLE ({class}): {}, {times}", printable(why));
            for Hole { title, bearer, seen, .. } in holes.into_iter().take(MOST_EXAMPLES) {
                let [title, seen] = [title, seen].map(|text| printable(text));
                let _ = writeln!(text, "  {title}\n    by {bearer}; upstream: {seen}");
            }
        }
    }

    fn notes(&self, text: &mut String) {
        text.push('\n');
        for told in &self.not_passing {
            let _ = writeln!(text, "REFUSED: {}", printable(told));
        }
        if let Some(stopped) = &self.stopped {
            let _ = writeln!(text, "STOPPED: {}", printable(stopped));
        }
        if self.limited > 0 {
            let _ = writeln!(
                text,
                "not judged: {} attempts, answered 429: check the gateway without its limit",
                self.limited
            );
        }
        if let Some((sent, arrived)) = &self.rewritten {
            let _ = writeln!(
                text,
                "note: the gateway changes paths, such as {} to {}: does it ask jeton about the changed path?",
                printable(sent),
                printable(arrived)
            );
        }
        for untested in &self.untested {
            let _ = writeln!(text, "not tested: {}", printable(untested));
        }
        text.push_str(NOT_TRIED);
    }
}
