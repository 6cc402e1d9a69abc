//! `jeton decisions`: a decision log, for people.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use clap::{Args, ValueEnum};
use jeton_oauth::{
    clock::{Clock, SystemClock, parse_duration, parse_time},
    text::{printable, printable_json},
};
use jeton_verify::audit::{DecisionLine, RecordedDecision};
use jiff::{SignedDuration, Timestamp};

use super::{
    Outcome,
    log_lines::{LogLine, LogLines},
    say,
};

#[derive(Args)]
pub(super) struct Decisions {
    /// The decision log (`log.decisions`). `-` is standard input.
    log: PathBuf,
    /// Only decisions since then: a time, or how long ago, such as `1h`.
    #[arg(long, value_parser = since, value_name = "TIME | DURATION")]
    since: Option<Timestamp>,
    /// Only decisions about tokens of this client.
    #[arg(long)]
    client: Option<String>,
    /// Only refusals.
    #[arg(long)]
    denied: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = DecisionFormat::Text)]
    format: DecisionFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecisionFormat {
    /// A line for people.
    Text,
    /// The line of the log.
    Json,
}

/// How many lines that cannot be read are told one by one.
const TOLD: u64 = 10;

fn since(text: &str) -> Result<Timestamp, String> {
    let ago = parse_duration(text).and_then(|ago| SignedDuration::try_from(ago).ok());
    match ago.map(|ago| SystemClock.now().checked_sub(ago)) {
        Some(time) => time.map_err(|error| error.to_string()),
        None => parse_time(text).map_err(|error| format!("{}, or a duration such as `1h`", error.hint())),
    }
}

impl Decisions {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let lines = LogLines::open(&self.log)?;
        let shown = match self.format {
            DecisionFormat::Text => self.show(lines, BufWriter::new(anstream::stdout().lock())),
            DecisionFormat::Json => self.show(lines, BufWriter::new(io::stdout().lock())),
        };
        match shown {
            // who reads may stop before the end, as `head` does
            Err(error) if is_closed_pipe(&error) => Ok(Outcome::Done),
            shown => shown,
        }
    }

    fn show(&self, mut lines: LogLines, mut out: impl Write) -> anyhow::Result<Outcome> {
        let mut bad = 0;
        // a line about missing ones has no time that is read
        let mut is_late = self.since.is_none();
        loop {
            if lines.is_waiting() {
                out.flush()?;
            }
            let (line, is_ended) = match lines.next()? {
                None => break,
                Some(LogLine::Ended(line)) => (read(line).map(|read| (read, line)), true),
                Some(LogLine::Unended(line)) => (read(line).map(|read| (read, line)), false),
                Some(LogLine::TooLong) => (Err("the line is longer than 1 MiB".to_owned()), true),
            };
            match line {
                Ok((ReadLine::Dropped(dropped), line)) => {
                    if is_late {
                        self.show_dropped(&mut out, dropped, line)?;
                    }
                }
                Ok((ReadLine::Decision(decision, time), line)) => {
                    is_late = self.since.is_none_or(|since| time >= since);
                    if is_late && self.is_wanted(&decision) {
                        self.show_decision(&mut out, &decision, line)?;
                    }
                }
                Err(_) if !is_ended => {
                    let LogLines { name, number, .. } = &lines;
                    say!("note: {name}:{number}: the last line is passed over: it was being written");
                }
                Err(error) => {
                    bad += 1;
                    if bad <= TOLD {
                        say!("{}:{}: {error}", lines.name, lines.number);
                    }
                }
            }
        }
        out.flush()?;
        if bad == 0 {
            return Ok(Outcome::Done);
        }
        let name = &lines.name;
        say!("error: {bad} of {} lines of {name} are not lines of a decision log", lines.number);
        Ok(Outcome::Failed)
    }

    fn is_wanted(&self, decision: &RecordedDecision) -> bool {
        let client = || decision.bearer.as_ref().and_then(|bearer| bearer.client());
        !(self.denied && decision.allowed)
            && self
                .client
                .as_deref()
                .is_none_or(|wanted| client().is_some_and(|client| client.as_str() == wanted))
    }

    fn show_decision(
        &self,
        out: &mut impl Write,
        decision: &RecordedDecision,
        line: &[u8],
    ) -> anyhow::Result<()> {
        match self.format {
            DecisionFormat::Json => raw(out, line),
            DecisionFormat::Text => Ok(writeln!(out, "{}", for_people(decision))?),
        }
    }

    fn show_dropped(&self, out: &mut impl Write, dropped: u64, line: &[u8]) -> anyhow::Result<()> {
        let style = AnsiColor::Yellow.on_default();
        match self.format {
            DecisionFormat::Json => raw(out, line),
            DecisionFormat::Text => Ok(writeln!(
                out,
                "{style}{dropped} decisions are missing here: the server could not write them{style:#}"
            )?),
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

enum ReadLine {
    Decision(Box<RecordedDecision>, Timestamp),
    Dropped(u64),
}

fn read(line: &[u8]) -> Result<ReadLine, String> {
    match DecisionLine::parse(line).map_err(|error| error.to_string())? {
        DecisionLine::Dropped(dropped) => Ok(ReadLine::Dropped(dropped)),
        DecisionLine::Decision(decision) => {
            let time = parse_time(&decision.time).map_err(|error| format!("`time`: {error}"))?;
            Ok(ReadLine::Decision(decision, time))
        }
    }
}

/// The line of the log, which does no harm to a terminal.
fn raw(out: &mut impl Write, line: &[u8]) -> anyhow::Result<()> {
    let text = str::from_utf8(line).context("a line is not text in UTF-8")?;
    Ok(writeln!(out, "{}", printable_json(text.trim_end_matches('\n')))?)
}

/// When, the answer, who, where, what, and by which rule or for which reason.
fn for_people(decision: &RecordedDecision) -> String {
    let RecordedDecision { time, api, method, path, allowed, rule, reason, detail, bearer, .. } = decision;
    let (answer, style) = if *allowed {
        ("allowed", AnsiColor::Green.on_default())
    } else {
        ("denied", AnsiColor::Red.on_default().bold())
    };
    let client = match bearer.as_ref().map(|bearer| bearer.client()) {
        None => "-",
        Some(None) => "(unnamed)",
        Some(Some(client)) => client.as_str(),
    };
    let why = match (rule, detail) {
        (Some(rule), None) if *allowed => rule.clone(),
        (Some(rule), Some(detail)) => format!("{rule}: {detail}"),
        (Some(rule), None) => format!("{rule}: {reason}"),
        (None, Some(detail)) => format!("{reason}: {detail}"),
        (None, None) => reason.clone(),
    };
    let dim = Style::new().dimmed();
    let [time, client, api, request, why] =
        [time, client, api, &format!("{method} {path}"), &why].map(printable);
    format!(
        "{dim}{time:<27}{dim:#} {style}{answer:<7}{style:#} {client:<16} {api:<10} {request}  {dim}{why}{dim:#}"
    )
}
