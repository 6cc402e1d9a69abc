//! `jeton policies test`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{super::Outcome, Reading, emit};
use crate::policy::{CaseOutcome, Code, Draft, printable};

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// The policies folder; without it, `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// Also write the results to this file for a CI system, as `JUnit` XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let reading = Reading::new(self.dir, config)?;
        let draft =
            reading.draft().map_err(|findings| anyhow::anyhow!("the policies do not load:\n{findings}"))?;
        let total = draft.outcomes().len();
        let failed = draft.outcomes().iter().filter(|outcome| !outcome.passed).count();
        let summary = format!("{} passed, {failed} failed", total - failed);
        let lines = draft.outcomes().iter().flat_map(lines).chain(untested(&draft)).chain([summary]);
        emit(&lines.map(|line| printable(&line) + "\n").collect::<String>())?;
        if let Some(file) = &self.junit {
            let xml = junit(draft.outcomes()).to_string()?;
            fs::write(file, xml).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let dir = printable(&reading.dir.display().to_string());
        if total == 0 {
            eprintln!("note: there are no tests in {dir}; write some under `tests:`");
        }
        if draft.findings().0.iter().any(|finding| finding.code == Code::BrokenGuarantee) {
            eprintln!("note: a guarantee does not hold; see `jeton policies check {dir}`");
        }
        Ok(if failed == 0 { Outcome::Done } else { Outcome::Failed })
    }
}

/// `allow GET /tenants/acme/orders by acme-sync at orders`
fn title(outcome: &CaseOutcome) -> String {
    let CaseOutcome { who, expected, explanation, .. } = outcome;
    let (method, path, api) = (&explanation.method, &explanation.path, &explanation.api);
    format!("{:<5} {method} {path} by {who} at {api}", expected.as_str())
}

/// `allowed by rule read-orders (policies/orders.yaml:30)`
fn decision(outcome: &CaseOutcome) -> String {
    let came = if outcome.explanation.allowed { "allowed" } else { "denied" };
    match &outcome.explanation.decided_by {
        Some(route) => format!("{came} by rule {} ({}:{})", route.rule, route.file, route.line),
        None => format!("{came}: {}", outcome.explanation.detail),
    }
}

fn lines(outcome: &CaseOutcome) -> Vec<String> {
    let mark = if outcome.passed { "pass" } else { "FAIL" };
    let mut lines = vec![format!("{mark}  {}: {}", title(outcome), decision(outcome))];
    if let Some(to_pass) = &outcome.to_pass {
        lines.push(format!("      {}:{}: to pass, {to_pass}", outcome.file, outcome.line));
    }
    lines
}

fn untested(draft: &Draft) -> impl Iterator<Item = String> {
    draft.untested().into_iter().map(|untested| {
        let part = match untested.alternative {
            Some(position) => format!("alternative {position} of rule {}", untested.rule),
            None => format!("rule {}", untested.rule),
        };
        format!("untested: {part} of API {} ({}:{})", untested.api, untested.file, untested.line)
    })
}

/// One suite for each file.
fn junit(outcomes: &[CaseOutcome]) -> Report {
    let mut report = Report::new("jeton policies test");
    for of_file in outcomes.chunk_by(|a, b| a.file == b.file) {
        let Some(first) = of_file.first() else { continue };
        let mut suite = TestSuite::new(first.file.as_str());
        for outcome in of_file {
            let status = match &outcome.to_pass {
                None => TestCaseStatus::success(),
                Some(to_pass) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(format!("to pass, {to_pass}"));
                    status.set_description(format!("{}\n{}", decision(outcome), outcome.explanation));
                    status
                }
            };
            let mut case = TestCase::new(format!("{} (line {})", title(outcome), outcome.line), status);
            case.set_classname(format!("{}:{}", outcome.file, outcome.line));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report
}
