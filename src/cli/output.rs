//! What the program prints: results on standard output, everything else on standard error.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    error::Error,
    fmt::Write as _,
    io::{self, Write},
    panic::PanicHookInfo,
    path::Path,
};

use anyhow::Context;
use jeton_oauth::text::{printable, printable_json, printable_lines};
use jeton_policy::{Finding, FindingCode, Findings};
use serde::Serialize;

use crate::{
    app::LoadError,
    config::SettingErrors,
    keys::{KeyErrors, OrderError},
    server::StartError,
};

/// Prints a result for people. Its lines are ours; names within them were escaped, for they may hold line breaks.
/// Whoever reads may stop before the end, as `head` does.
pub(super) fn emit(text: &str) -> anyhow::Result<()> {
    emit_to(io::stdout().lock(), &printable_lines(text))
}

/// Prints a result for programs.
pub(super) fn emit_json(result: &impl Serialize) -> anyhow::Result<()> {
    emit_to(io::stdout().lock(), &(json(result)? + "\n"))
}

/// JSON for programs that does no harm to a terminal.
pub(super) fn json(result: &impl Serialize) -> anyhow::Result<String> {
    Ok(printable_json(&serde_json::to_string_pretty(result)?))
}

/// Prints a result as it is: a file of a format of its own.
pub(super) fn emit_file(text: &str) -> anyhow::Result<()> {
    emit_to(io::stdout().lock(), text)
}

/// Prints a result with colours, where somebody can see them. What is shown in them was escaped.
pub(super) fn emit_styled(text: &str) -> anyhow::Result<()> {
    emit_to(anstream::stdout().lock(), text)
}

fn emit_to(mut out: impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// Says something on standard error, on one line whatever is in it.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::say_line(&format!($($text)*)) };
}
pub(super) use say;

pub(super) fn say_line(text: &str) {
    write_error(&printable(text));
}

/// Says why the program fails: the error and what is behind it.
pub(super) fn say_error(error: &anyhow::Error) {
    let mut text = "error".to_owned();
    for cause in error.chain() {
        match lines_of(cause) {
            // each of its lines says so itself
            Some(lines)
                if text == "error" && lines.lines().next().is_some_and(|line| line.contains(": error: ")) =>
            {
                text = lines;
            }
            Some(lines) if text != "error" && lines.trim_end().contains('\n') => {
                let _ = write!(text, ":\n{lines}");
            }
            Some(lines) => {
                let _ = write!(text, ": {lines}");
            }
            None => {
                let cause = printable(&cause.to_string());
                // many say what is behind them, for the log has no chain
                if !text.ends_with(&cause) {
                    let _ = write!(text, ": {cause}");
                }
            }
        }
    }
    write_error(printable_lines(&text).trim_end());
    error.chain().filter_map(findings_of).for_each(say_places);
}

/// Says where a folder or file is that cannot be read and was named from here: perhaps here is elsewhere.
pub(super) fn say_places(findings: &Findings) {
    let unreadable = |finding: &&Finding| finding.code == FindingCode::Unreadable && finding.line == 0;
    for Finding { file, .. } in findings.0.iter().filter(unreadable) {
        if let Ok(place) = std::path::absolute(file)
            && place != Path::new(file)
        {
            say!("note: {file} is {}", place.display());
        }
    }
}

/// Says that the program fails by a fault of its own.
pub(super) fn say_panic(panicked: &PanicHookInfo<'_>) {
    let at = panicked.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
    let what = panicked.payload_as_str().unwrap_or("it says nothing");
    say_line(&format!("error: jeton itself is at fault, please report this: {at}: {what}"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        write_error(&backtrace.to_string());
    }
}

/// Says that the arguments are wrong, or what they ask for.
pub(super) fn say_usage(error: &clap::Error) -> ! {
    if error.use_stderr() {
        write_error(printable_lines(&error.render().to_string()).trim_end());
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// Nobody may hear it (a pipe that was closed, a full disk); what the program does and its exit code are the same then.
fn write_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn findings_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Findings> {
    match error.downcast_ref() {
        Some(StartError::Load(LoadError::Policies(findings))) => Some(findings),
        _ => error.downcast_ref(),
    }
}

/// An error that has several lines, in each of which the names are escaped.
fn lines_of(error: &(dyn Error + 'static)) -> Option<String> {
    let is_of_keys = |error: &OrderError| matches!(error, OrderError::Keys(_));
    let has_lines = error.is::<Findings>()
        || error.is::<SettingErrors>()
        || error.is::<KeyErrors>()
        || error.downcast_ref().is_some_and(is_of_keys)
        || error.downcast_ref().is_some_and(|error| match error {
            StartError::Load(LoadError::Keys(_) | LoadError::Policies(_)) => true,
            StartError::Load(LoadError::FirstKey(error)) => is_of_keys(error),
            _ => false,
        });
    has_lines.then(|| error.to_string())
}
