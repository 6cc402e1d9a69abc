//! `jeton policies test`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use jeton_oauth::text::printable;
use jeton_policy::{CaseOutcome, Finding, FindingCode, PolicyDraft};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{super::Outcome, PolicyReading, emit, say};

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// The policies folder. Default: `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// Also write the results to this file, as `JUnit` XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fail if there are no tests.
    #[arg(long)]
    require_tests: bool,
}

impl Test {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let reading = PolicyReading::new(self.dir.clone(), config)?;
        let draft = match reading.draft() {
            Ok(draft) => draft,
            Err(findings) => {
                // a CI system that finds no file says nothing of why
                self.write(&broken("the policies load", "the policies do not load", &findings.to_string()))?;
                return Err(anyhow::Error::new(findings).context("the policies do not load"));
            }
        };
        let total = draft.outcomes().len();
        let failed = draft.outcomes().iter().filter(|outcome| !outcome.passed).count();
        let summary = format!("{} passed, {failed} failed", total - failed);
        let lines = draft.outcomes().iter().flat_map(lines).chain(untested(&draft)).chain([summary]);
        emit(&lines.map(|line| printable(&line) + "\n").collect::<String>())?;
        let dir = reading.dir.display();
        let without_tests = format!("there are no tests in {dir}; write some under `tests:`");
        let is_missing = self.require_tests && total == 0;
        self.write(&if is_missing {
            broken("there are tests", "there are no tests", &without_tests)
        } else {
            junit(draft.outcomes())
        })?;
        if total == 0 && !is_missing {
            say!("note: {without_tests}");
        }
        let is_about_a_guarantee =
            |fault: &Finding| matches!(fault.code, FindingCode::BrokenGuarantee | FindingCode::TooComplex);
        if draft.faults().iter().any(is_about_a_guarantee) {
            say!("note: a guarantee does not hold; see `jeton policies check {dir}`");
        }
        anyhow::ensure!(!is_missing, without_tests);
        Ok(if draft.faults().is_empty() { Outcome::Done } else { Outcome::Failed })
    }

    fn write(&self, report: &Report) -> anyhow::Result<()> {
        let Some(file) = &self.junit else { return Ok(()) };
        fs::write(file, report.to_string()?).with_context(|| format!("{} cannot be written", file.display()))
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

fn untested(draft: &PolicyDraft) -> impl Iterator<Item = String> {
    draft.untested().into_iter().map(|untested| {
        let part = match untested.alternative {
            Some(position) => format!("alternative {position} of rule {}", untested.rule),
            None => format!("rule {}", untested.rule),
        };
        format!("untested: {part} of API {} ({}:{})", untested.api, untested.file, untested.line)
    })
}

/// One error in place of tests that cannot be run.
fn broken(case: &str, message: &str, description: &str) -> Report {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(message).set_description(description);
    let mut suite = TestSuite::new("policies");
    suite.add_test_case(TestCase::new(case, status));
    let mut report = Report::new("jeton policies test");
    report.add_test_suite(suite);
    report
}

/// One suite for each file.
fn junit(outcomes: &[CaseOutcome]) -> Report {
    let mut report = Report::new("jeton policies test");
    for of_file in outcomes.chunk_by(|a, b| a.file == b.file) {
        let Some(first) = of_file.first() else { continue };
        let mut suite = TestSuite::new(printable(&first.file));
        for outcome in of_file {
            let status = match &outcome.to_pass {
                None => TestCaseStatus::success(),
                Some(to_pass) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(printable(&format!("to pass, {to_pass}")));
                    status.set_description(format!(
                        "{}\n{}",
                        printable(&decision(outcome)),
                        outcome.explanation
                    ));
                    status
                }
            };
            let mut case =
                TestCase::new(printable(&format!("{} (line {})", title(outcome), outcome.line)), status);
            case.set_classname(printable(&format!("{}:{}", outcome.file, outcome.line)));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report
}
