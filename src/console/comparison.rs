//! The policies in force beside others: the candidate, a folder, or what a Git revision holds.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use jeton_oauth::clock::Clock;
use jeton_policy::{
    ContentHash, DiffEffort, Finding, Findings, LivePolicies, PolicyDiff, PolicyDraft, PolicySources,
    Surroundings,
};
use serde::Serialize;

use crate::{
    app,
    config::{ComparedPolicies, Settings},
    git::{self, GitError, GitReach},
};

/// What the policies in force are compared with. Each answer is kept until one of the sides changes.
pub(super) struct Comparisons {
    policies: Arc<LivePolicies>,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    choices: Vec<Choice>,
}

/// Something to compare with.
struct Choice {
    id: &'static str,
    label: String,
    other: OtherSide,
    /// Held while somebody compares: of many callers one does the work.
    last: Mutex<Option<Arc<Compared>>>,
}

/// The side that is not in force.
enum OtherSide {
    /// A folder, which would take the place of what is in force.
    Folder(PathBuf),
    /// The folder in force as it was at a Git revision.
    Revision { dir: PathBuf, revision: String },
}

/// How two sides differ, as it is told.
#[derive(Serialize)]
struct Comparison<'c> {
    choices: Vec<ShownChoice<'c>>,
    with: Option<&'static str>,
    #[serde(flatten)]
    compared: &'c Compared,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoComparison {
    /// There is nothing of this name to compare with.
    #[error(transparent)]
    Unknown(#[from] UnknownChoice),
    /// A fault in jeton.
    #[error("it cannot be written down: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct ShownChoice<'c> {
    id: &'static str,
    label: &'c str,
}

#[derive(Default, Serialize)]
struct Compared {
    old: Option<Side>,
    new: Option<Side>,
    difference: Option<PolicyDiff>,
    /// What is wrong with a side.
    findings: Vec<Finding>,
    /// Why there is no difference.
    why: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
struct Side {
    name: String,
    hash: Option<ContentHash>,
}

/// There is nothing of this name to compare with.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing to compare with by the name `{name}`: there is {known}")]
pub(super) struct UnknownChoice {
    name: String,
    known: String,
}

impl Comparisons {
    /// With what the settings name.
    pub(super) fn new(settings: &Settings, policies: Arc<LivePolicies>, clock: Arc<dyn Clock>) -> Self {
        let candidate = settings.policies.candidate.as_ref().map(|dir| {
            let label = format!("the candidate, {}", dir.display());
            Choice::new("candidate", label, OtherSide::Folder(dir.clone()))
        });
        let compare = settings.console.compare.as_ref().map(|with| match with {
            ComparedPolicies::Folder(dir) => {
                let label = format!("the folder {}", dir.display());
                Choice::new("compare", label, OtherSide::Folder(dir.clone()))
            }
            ComparedPolicies::Revision(revision) => {
                let dir = settings.policies.dir.clone();
                let label = format!("the Git revision {revision} of {}", dir.display());
                Choice::new("compare", label, OtherSide::Revision { dir, revision: revision.clone() })
            }
        });
        let choices = candidate.into_iter().chain(compare).collect();
        Self { policies, surroundings: app::surroundings(settings), clock, choices }
    }

    /// How what is in force differs from one of the choices, or from the first, as JSON. Reads files, and takes long.
    ///
    /// # Errors
    /// [`NoComparison`].
    pub(super) fn compare(&self, with: Option<&str>) -> Result<String, NoComparison> {
        let choice = match with {
            None => self.choices.first(),
            Some(name) => Some(self.choice(name)?),
        };
        let compared = match choice {
            Some(choice) => self.with(choice),
            None => Arc::new(Compared {
                why: Some(
                    "nothing to compare with is configured: set `policies.candidate`, or `console.compare` to a folder \
                     or a Git revision"
                        .to_owned(),
                ),
                ..Compared::default()
            }),
        };
        let choices = self.choices.iter().map(|choice| ShownChoice { id: choice.id, label: &choice.label });
        let with = choice.map(|choice| choice.id);
        let comparison = Comparison { choices: choices.collect(), with, compared: &compared };
        Ok(serde_json::to_string(&comparison)?)
    }

    fn choice(&self, name: &str) -> Result<&Choice, UnknownChoice> {
        self.choices.iter().find(|choice| choice.id == name).ok_or_else(|| {
            let known: Vec<_> = self.choices.iter().map(|choice| format!("`{}`", choice.id)).collect();
            let nothing = || "nothing: set `policies.candidate` or `console.compare`".to_owned();
            let known = if known.is_empty() { nothing() } else { known.join(" and ") };
            UnknownChoice { name: name.to_owned(), known }
        })
    }

    fn with(&self, choice: &Choice) -> Arc<Compared> {
        let mut last = choice.last.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.policies.snapshot();
        let in_force = ReadSide {
            name: format!("in force, {}", snapshot.sources().dir()),
            sources: Ok(snapshot.sources().clone()),
        };
        let [old, new] = match &choice.other {
            OtherSide::Folder(dir) => {
                let sources = PolicySources::read(dir).map_err(UnreadSide::Findings);
                [in_force, ReadSide { name: dir.display().to_string(), sources }]
            }
            OtherSide::Revision { dir, revision } => {
                let sources = git::sources(dir, revision, GitReach::ThisMachine).map_err(UnreadSide::from);
                [ReadSide { name: format!("{revision}:{}", dir.display()), sources }, in_force]
            }
        };
        let sides = (Some(old.shown()), Some(new.shown()));
        if let Some(kept) = &*last
            && (&kept.old, &kept.new) == (&sides.0, &sides.1)
            && old.sources.is_ok()
            && new.sources.is_ok()
        {
            return Arc::clone(kept);
        }
        let compared = Arc::new(self.differ(&old, &new));
        *last = Some(Arc::clone(&compared));
        compared
    }

    fn differ(&self, old: &ReadSide, new: &ReadSide) -> Compared {
        let sides = Compared { old: Some(old.shown()), new: Some(new.shown()), ..Compared::default() };
        let (old_draft, new_draft) = match (self.draft(old), self.draft(new)) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                let broken: Vec<_> = [old.err(), new.err()].into_iter().flatten().collect();
                let why: Vec<_> = broken.iter().map(|broken| broken.why.as_str()).collect();
                let why = Some(why.join("; "));
                let findings = broken.into_iter().flat_map(|broken| broken.findings.0).collect();
                return Compared { findings, why, ..sides };
            }
        };
        // a difference is told also of policies that a server would not take
        let faults = [&old_draft, &new_draft].into_iter().flat_map(|draft| draft.faults().iter().cloned());
        let difference = old_draft.difference_within(&new_draft, DiffEffort::Bounded);
        let too_much = || {
            "to compare them takes more work than this server may do beside its requests: run `jeton policies diff`"
                .to_owned()
        };
        let why = difference.is_none().then(too_much);
        Compared { difference, findings: faults.collect(), why, ..sides }
    }

    fn draft(&self, side: &ReadSide) -> Result<PolicyDraft, BrokenSide> {
        let broken = |findings: &Findings| BrokenSide {
            why: format!("{} cannot be compared: it has errors", side.name),
            findings: findings.clone(),
        };
        match &side.sources {
            Err(UnreadSide::Findings(findings)) => Err(broken(findings)),
            Err(UnreadSide::Git(error)) => {
                let why = format!("{} cannot be compared: {error}", side.name);
                Err(BrokenSide { why, findings: Findings::default() })
            }
            Ok(sources) => PolicyDraft::compile(sources, &self.surroundings, self.clock.now())
                .map_err(|findings| broken(&findings)),
        }
    }
}

impl Choice {
    fn new(id: &'static str, label: String, other: OtherSide) -> Self {
        Self { id, label, other, last: Mutex::default() }
    }
}

/// The files of a side, or why they cannot be read.
struct ReadSide {
    name: String,
    sources: Result<PolicySources, UnreadSide>,
}

/// Why the files of a side cannot be read.
enum UnreadSide {
    Findings(Findings),
    Git(GitError),
}

impl From<GitError> for UnreadSide {
    fn from(error: GitError) -> Self {
        match error {
            GitError::Findings(findings) => Self::Findings(findings),
            error => Self::Git(error),
        }
    }
}

impl ReadSide {
    fn shown(&self) -> Side {
        let hash = self.sources.as_ref().ok().map(|sources| sources.hash().clone());
        Side { name: self.name.clone(), hash }
    }
}

/// Why a side cannot be compared.
struct BrokenSide {
    why: String,
    findings: Findings,
}
