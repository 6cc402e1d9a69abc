//! What the process that tries policies gets, and what it answers.

use std::path::{Path, PathBuf};

use jeton_oauth::{ApiName, Audience, InvalidName};
use jeton_policy::{
    DemoSecrets, DiffEffort, Explanation, Finding, Findings, NeededApi, PolicyDiff, PolicyDraft, PolicySet,
    PolicySnapshot, PolicySources, Surroundings,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::{Asked, EditedFile};
use crate::{
    console::matrices::ShownMatrix,
    report::{self, BadQuestion, WrittenQuestion},
};

/// How many findings are told. Who has more does not read them all.
const MOST_FINDINGS: usize = 10_000;
/// How many cells of a matrix are told: what a browser holds.
const MOST_CELLS: usize = 2_000_000;

/// Everything that a trial needs.
#[derive(Serialize, Deserialize)]
pub(in crate::console) struct TrialJob {
    /// The folder, as the names of files begin.
    dir: String,
    /// What policies must fit.
    surroundings: WrittenSurroundings,
    /// When it is, in seconds since 1970.
    now: i64,
    /// The files in force, each by its path below the folder.
    in_force: Vec<FileInForce>,
    edited: Vec<EditedFile>,
    ask: Option<Asked>,
}

#[derive(Serialize, Deserialize)]
struct WrittenSurroundings {
    issuer: String,
    max_ttl: Option<u64>,
    allows_demo_secrets: bool,
    /// Each API, and what names it.
    needed_apis: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct FileInForce {
    below: PathBuf,
    content: FileContent,
}

#[derive(Serialize, Deserialize)]
enum FileContent {
    /// Policies.
    Text(String),
    /// Public keys, in whatever form.
    Keys(Vec<u8>),
}

/// What a trial tells.
#[derive(Default, Serialize)]
struct TrialAnswer {
    /// Whether a server would take the policies.
    usable: bool,
    hash: Option<String>,
    findings: Vec<Finding>,
    names: Option<Value>,
    matrix: Option<ShownMatrix>,
    explanation: Option<Explanation>,
    difference: Option<PolicyDiff>,
    /// Why something is not told.
    why: Option<String>,
}

/// Why a job cannot be done: a fault in jeton.
#[derive(Debug, thiserror::Error)]
pub(in crate::console) enum BadJob {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Time(#[from] jiff::Error),
    #[error("what is in force does not load")]
    InForce(#[from] Findings),
}

impl TrialJob {
    /// To try these files in the place of those in force.
    pub(in crate::console) fn new(
        snapshot: &PolicySnapshot,
        surroundings: &Surroundings,
        now: Timestamp,
        edited: Vec<EditedFile>,
        ask: Option<Asked>,
    ) -> Self {
        let sources = snapshot.sources();
        let dir = sources.dir();
        let below = |name: &str| Path::new(name).strip_prefix(dir).unwrap_or(Path::new(name)).to_owned();
        let texts = sources.texts().map(|(name, text)| FileInForce {
            below: below(name),
            content: FileContent::Text(text.to_owned()),
        });
        let keys = sources.key_files().map(|(below, content)| FileInForce {
            below: below.to_owned(),
            content: FileContent::Keys(content.to_owned()),
        });
        Self {
            dir: dir.to_owned(),
            surroundings: WrittenSurroundings::of(surroundings),
            now: now.as_second(),
            in_force: texts.chain(keys).collect(),
            edited,
            ask,
        }
    }

    /// Does what was written down, and writes down the answer.
    ///
    /// # Errors
    /// [`BadJob`].
    pub(super) fn answer(written: &[u8]) -> Result<String, BadJob> {
        let job: Self = serde_json::from_slice(written)?;
        Ok(serde_json::to_string(&job.done()?)?)
    }

    fn done(self) -> Result<TrialAnswer, BadJob> {
        let Self { dir, surroundings, now, in_force, edited, ask } = self;
        let surroundings = surroundings.parse()?;
        let now = Timestamp::from_second(now)?;
        let files = in_force.into_iter().map(|file| {
            let bytes = match file.content {
                FileContent::Text(text) => text.into_bytes(),
                FileContent::Keys(bytes) => bytes,
            };
            (file.below, bytes)
        });
        let in_force = PolicySources::of_files(Path::new(&dir), files.collect())?;
        let snapshot = PolicySnapshot::compile(in_force, &surroundings, now)?;
        let sources = match snapshot.edited(with_withheld(&snapshot, edited)) {
            Ok(sources) => sources,
            Err(findings) => return Ok(TrialAnswer::refused(findings)),
        };
        let hash = Some(sources.hash().to_string());
        let draft = match PolicyDraft::compile(&sources, &surroundings, now) {
            Ok(draft) => draft,
            Err(findings) => return Ok(TrialAnswer { hash, ..TrialAnswer::refused(findings) }),
        };
        let findings = draft.findings();
        let mut answer = TrialAnswer {
            usable: !findings.has_errors(),
            hash,
            names: Some(report::names(draft.policies())),
            ..TrialAnswer::refused(findings)
        };
        match ask {
            None | Some(Asked::Difference(false)) => {}
            Some(Asked::Matrix(api)) => answer.add_matrix(draft.policies(), &api, &dir),
            Some(Asked::Explain(question)) => answer.add_explanation(draft.policies(), &question),
            Some(Asked::Difference(true)) => {
                let old = PolicyDraft::compile(snapshot.sources(), &surroundings, now)?;
                answer.difference = old.difference_within(&draft, DiffEffort::Bounded);
                if answer.difference.is_none() {
                    answer.say("to compare them takes too much work here: run `jeton policies diff`");
                }
            }
        }
        Ok(answer)
    }
}

/// With the files that nobody is shown, and so nobody can send back.
fn with_withheld(snapshot: &PolicySnapshot, edited: Vec<EditedFile>) -> Vec<(String, String)> {
    let mut files: Vec<_> = edited.into_iter().map(|file| (file.name, file.text)).collect();
    for withheld in snapshot.shown_texts().withheld {
        let in_force = snapshot.sources().texts().find(|(name, _)| *name == withheld.name);
        if let Some((name, text)) = in_force.filter(|(name, _)| !files.iter().any(|(sent, _)| sent == name)) {
            files.push((name.to_owned(), text.to_owned()));
        }
    }
    files
}

impl TrialAnswer {
    fn refused(findings: Findings) -> Self {
        let mut answer = Self { findings: findings.0, ..Self::default() };
        if answer.findings.len() > MOST_FINDINGS {
            let all = answer.findings.len();
            answer.findings.truncate(MOST_FINDINGS);
            answer.say(&format!("these are the first {MOST_FINDINGS} of {all} findings"));
        }
        answer
    }

    fn say(&mut self, why: &str) {
        let said = self.why.take().map(|said| format!("{said}; ")).unwrap_or_default();
        self.why = Some(said + why);
    }

    fn add_matrix(&mut self, policies: &PolicySet, name: &str, dir: &str) {
        let Some(api) = policies.api(name) else {
            return self.say(&format!("there is no API `{name}` in these texts"));
        };
        let cells = policies.clients().len().saturating_mul(api.route_count());
        if cells > MOST_CELLS {
            let matrix = "run `jeton policies matrix`";
            return self
                .say(&format!("the matrix of API `{name}` has {cells} cells, too many to show: {matrix}"));
        }
        self.matrix = Some(ShownMatrix::of(policies, api, dir, None));
    }

    fn add_explanation(&mut self, policies: &PolicySet, question: &Value) {
        match explained(policies, question) {
            Ok(explanation) => self.explanation = Some(explanation),
            Err(bad) => self.say(&bad.to_string()),
        }
    }
}

fn explained(policies: &PolicySet, question: &Value) -> Result<Explanation, BadQuestion> {
    let question = WrittenQuestion::of_value(question)?;
    // nobody asks with a token here
    question.parse()?.explain_by(policies, |_, _| Ok(Err("a token cannot be judged here".to_owned())))
}

impl WrittenSurroundings {
    fn of(surroundings: &Surroundings) -> Self {
        let needed = surroundings.needed_apis.iter();
        Self {
            issuer: surroundings.issuer.to_string(),
            max_ttl: surroundings.max_ttl,
            allows_demo_secrets: surroundings.demo_secrets == DemoSecrets::Allowed,
            needed_apis: needed.map(|needed| (needed.api.to_string(), needed.by.clone())).collect(),
        }
    }

    fn parse(self) -> Result<Surroundings, InvalidName> {
        let needed = self.needed_apis.into_iter().map(|(api, by)| {
            let api = ApiName::parse(&api)?;
            Ok(NeededApi { api, by })
        });
        Ok(Surroundings {
            issuer: Audience::parse(&self.issuer)?,
            max_ttl: self.max_ttl,
            demo_secrets: if self.allows_demo_secrets { DemoSecrets::Allowed } else { DemoSecrets::Refused },
            needed_apis: needed.collect::<Result<_, InvalidName>>()?,
        })
    }
}
