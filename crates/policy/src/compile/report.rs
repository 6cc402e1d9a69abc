//! What is wrong, collected while every file is compiled.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use jeton_oauth::{Role, Scope, ScopeSet};
use serde_json::Value;

use super::{built_in::BUILT_IN, nearest::Nearest, types::ClaimUse};
use crate::{
    document::PolicyDocument,
    finding::{Finding, FindingCode, ReadingProblem, Severity, Span},
    policy_text::{Hidden, PolicyText},
    position::{FileIndex, numbered},
    read::{self, Field},
    source::PolicySources,
    yaml,
};

/// What every file may refer to.
pub(super) struct DefinedNames {
    pub(super) scopes: BTreeMap<Scope, String>,
    pub(super) roles: BTreeMap<Role, ScopeSet>,
    /// API, client and issuer names, those of broken entries too.
    pub(super) apis: BTreeSet<String>,
    pub(super) clients: BTreeSet<String>,
    pub(super) issuers: BTreeSet<String>,
}

/// The policy files, in which findings have their places.
pub(super) struct Files {
    pub(super) sources: Arc<Vec<PolicyText>>,
    /// By file: what of it is not shown.
    pub(super) hidden: Vec<Hidden>,
}

impl Files {
    pub(super) fn finding(
        &self,
        severity: Severity,
        file: FileIndex,
        problem: ReadingProblem,
    ) -> Option<Finding> {
        let (source, hidden) = (self.sources.get(file.position())?, self.hidden.get(file.position())?);
        let (at, code) = (problem.at, problem.code);
        let (message, hint) = problem.into_texts();
        Some(Finding { hint, ..source.finding(severity, at, code, message, hidden) })
    }
}

/// Collects what is wrong.
pub(super) struct CompileReport<'s> {
    pub(super) sources: &'s PolicySources,
    pub(super) files: Files,
    pub(super) findings: Vec<Finding>,
    /// False once a file could not be parsed: what it defines is missing then, and nothing is said
    /// about names that may stand in it.
    pub(super) names_are_known: bool,
    pub(super) nearest: Nearest,
    /// Names of claims and parameters, of which each is kept once.
    pub(super) interned: HashSet<Arc<str>>,
    /// The keys without meaning: what such a key was meant to say is not reported as missing too.
    pub(super) unknown_keys: Vec<(FileIndex, Span)>,
    /// Where the API that is compiled compares claims.
    pub(super) uses: Vec<ClaimUse>,
}

impl<'s> CompileReport<'s> {
    pub(super) fn of(sources: &'s PolicySources) -> Self {
        Self {
            sources,
            files: Files { sources: Arc::clone(&sources.files), hidden: Vec::new() },
            findings: sources.warnings().to_vec(),
            names_are_known: true,
            nearest: Nearest::default(),
            interned: HashSet::new(),
            unknown_keys: Vec::new(),
            uses: Vec::new(),
        }
    }

    /// Reads a value that stands for the only file, as if it stood there.
    pub(super) fn read_value(&mut self, value: &Value) -> PolicyDocument {
        // there is no line to show
        self.files.hidden.push(Hidden::Lines(Vec::new()));
        self.document(FileIndex::FIRST, Some(&yaml::Node::from(value)), Vec::new())
    }

    pub(super) fn parse_all(&mut self) -> Vec<PolicyDocument> {
        let sources: &'s [PolicyText] = &self.sources.files;
        let mut documents = Vec::with_capacity(sources.len());
        for (file, source) in numbered(FileIndex::at, sources.iter()) {
            let (node, problems) = yaml::parse(&source.text);
            self.files.hidden.push(match &node {
                Some(node) => Hidden::parts(node.secrets()),
                None => Hidden::in_unparsed(source),
            });
            documents.push(self.document(file, node.as_ref(), problems));
        }
        documents
    }

    /// What a file says, by its tree; `problems` are those of the text.
    fn document(
        &mut self,
        file: FileIndex,
        node: Option<&yaml::Node<'_>>,
        problems: Vec<ReadingProblem>,
    ) -> PolicyDocument {
        let is_nothing = node.map_or(problems.is_empty(), yaml::Node::is_null);
        let is_map = node.is_some_and(yaml::Node::is_map);
        let problems = RefCell::new(problems);
        let document = match node {
            Some(node) => read::read::<PolicyDocument>(node, &problems),
            None => is_nothing.then(PolicyDocument::default),
        };
        self.names_are_known &= document.as_ref().is_some_and(PolicyDocument::names_are_whole);
        for problem in problems.into_inner() {
            self.unknown_keys.extend((problem.code == FindingCode::UnknownKey).then_some((file, problem.at)));
            self.add(file, problem);
        }
        let document = document.unwrap_or_default();
        if is_map || is_nothing {
            self.check_version(file, &document);
        }
        document
    }

    pub(super) fn check_version(&mut self, file: FileIndex, document: &PolicyDocument) {
        match &document.version {
            Field::Absent => {
                let problem =
                    ReadingProblem::new(Span::default(), FindingCode::Missing, "`version` is missing");
                self.add(file, problem.hint("start the file with `version: 1`"));
            }
            Field::Given(version) if version.value != 1 => {
                let message = format!("version {} is not known", version.value);
                let problem = ReadingProblem::new(version.at, FindingCode::BadVersion, message);
                self.add(file, problem.hint("write `version: 1`"));
            }
            Field::Given(_) | Field::Wrong => {}
        }
    }

    /// The file of an index; behind the last comes what is built in.
    pub(super) fn source(&self, file: FileIndex) -> Option<&'s PolicyText> {
        let files: &'s [PolicyText] = &self.sources.files;
        files.get(file.position()).or_else(|| (file.position() == files.len()).then_some(&BUILT_IN.source))
    }

    pub(super) fn add(&mut self, file: FileIndex, problem: ReadingProblem) {
        self.findings.extend(self.files.finding(Severity::Error, file, problem));
    }

    pub(super) fn warn(&mut self, file: FileIndex, problem: ReadingProblem) {
        self.findings.extend(self.files.finding(Severity::Warning, file, problem));
    }

    /// Whether a key without meaning stands within.
    pub(super) fn has_unknown_key(&self, file: FileIndex, within: Span) -> bool {
        let is_within = |at: &Span| within.start <= at.start && at.end <= within.end;
        self.unknown_keys.iter().any(|(other, at)| *other == file && is_within(at))
    }

    /// `file:line:column` of a place, as a hint refers to it.
    pub(super) fn place(&self, file: FileIndex, at: Span) -> String {
        self.sources.files.get(file.position()).map_or_else(String::new, |source| {
            let (line, column) = source.locate(at.start);
            format!("{}:{line}:{column}", source.name)
        })
    }
}
