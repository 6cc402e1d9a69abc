//! The whole server over HTTP, under load, with default logging: against a raw RSA-2048 signature, a bare
//! actix server that only signs, and oidc-provider.
//!
//! Each server has core 0 to itself while it is measured, and the load comes from core 1. All take turns in
//! one run, with raw signatures on core 0 before and after each turn of each, so that a machine that slows
//! down slows all of them.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

#[path = "../support/assertion.rs"]
mod assertion;
mod client;
mod core;
mod figures;
mod generator;
#[path = "../support/median.rs"]
mod median;
mod picture;
#[path = "../support/process.rs"]
mod process;
mod reference;
mod report;
mod scenario;
mod servers;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{
    figures::{Figures, Sample},
    report::Report,
    scenario::{Kind, Scenario},
    servers::Servers,
};

#[derive(Parser)]
struct Args {
    /// A short run that proves that this works; its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Fail if anything could not be measured
    #[arg(long)]
    strict: bool,
    /// Draw the CPU time of each request to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Said by cargo
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    reference: Option<Reference>,
}

/// What this program starts of itself, on a core of its own.
#[derive(Subcommand)]
enum Reference {
    #[command(hide = true)]
    Bare { port: u16 },
    #[command(hide = true)]
    Raw { calls: usize },
}

/// How long everything takes.
struct Effort {
    /// 0 is one that warms up and does not count.
    first_turn: usize,
    /// Of all scenarios.
    turns: usize,
    /// Seconds for which a scenario is driven, at most.
    seconds: u64,
    /// Of raw signatures, before and after each scenario.
    signatures: usize,
    /// Tokens that are each shown once.
    cold_tokens: usize,
    /// Whether they may be shown again when there are no more.
    may_repeat: bool,
    /// Seconds at a steady rate, and how often.
    steady: (u64, usize),
    /// Before resident memory is read, without those for `/healthz`.
    requests: u64,
}

const FULL: Effort = Effort {
    first_turn: 0,
    turns: 5,
    seconds: 3,
    signatures: 1_500,
    cold_tokens: 45_000,
    may_repeat: false,
    steady: (10, 3),
    requests: 1_000_000,
};
const QUICK: Effort = Effort {
    first_turn: 1,
    turns: 1,
    seconds: 1,
    signatures: 100,
    cold_tokens: 6_000,
    may_repeat: true,
    steady: (1, 1),
    requests: 20_000,
};

fn main() -> ExitCode {
    let args = Args::parse();
    match args.reference {
        Some(Reference::Bare { port }) => reference::serve_bare(port),
        Some(Reference::Raw { calls }) => reference::print_raw(calls),
        None => {
            if let Err(error) = run(&args) {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn run(args: &Args) -> Result<(), String> {
    let effort = if args.quick { &QUICK } else { &FULL };
    let mut not_run = Vec::new();
    generator::find_tools()?;
    let has_oha = match generator::find_oha() {
        Ok(()) => true,
        Err(absent) if args.quick => {
            not_run.push(format!("p99 at a steady rate: {absent}"));
            false
        }
        Err(absent) => return Err(absent),
    };
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let servers = Servers::start(dir.path())?;
    let scenarios = scenario::all(&servers, dir.path())?;

    let figures = in_turns(&scenarios, effort)?;
    let steady = if has_oha { Some(at_a_steady_rate(&scenarios, &figures, effort)?) } else { None };
    let resident = after_many(&scenarios, &servers, effort)?;

    let report = Report { figures, steady, resident, not_run };
    report.print();
    if args.quick {
        println!("This was a quick run: its figures mean nothing.");
    }
    if let Some(file) = &args.svg {
        fs::write(file, picture::draw(&report.bars())).map_err(|error| format!("{file:?}: {error}"))?;
    }
    if args.strict && !report.not_run.is_empty() {
        return Err("not everything was run, and `--strict` was given".to_owned());
    }
    Ok(())
}

/// Drives all scenarios as fast as they go, one after the other, so many times.
fn in_turns(scenarios: &[Scenario], effort: &Effort) -> Result<Vec<Figures>, String> {
    let mut figures: Vec<_> = scenarios.iter().map(|scenario| Figures::new(scenario.kind)).collect();
    for turn in effort.first_turn..=effort.turns {
        eprintln!("turn {turn} of {}", effort.turns);
        for (scenario, figures) in scenarios.iter().zip(&mut figures) {
            scenario.prepare(effort)?;
            let before = reference::measure_raw(effort.signatures);
            let load = generator::saturate(scenario, scenario.seconds(effort))?;
            let after = reference::measure_raw(effort.signatures);
            if scenario.kind == Kind::Cold
                && !effort.may_repeat
                && load.requests as usize > effort.cold_tokens
            {
                return Err("tokens were shown again: `cold_tokens` is too small for this machine".to_owned());
            }
            if turn > 0 {
                figures.push(Sample::new(&load, before.mean(after), scenario.server.resident_mib()));
            }
        }
    }
    Ok(figures)
}

/// At 80 % of the tokens in a second that were seen, that rate and the 99th percentile.
fn at_a_steady_rate(
    scenarios: &[Scenario],
    figures: &[Figures],
    effort: &Effort,
) -> Result<(f64, f64), String> {
    let measured = scenarios.iter().zip(figures).find(|(scenario, _)| scenario.kind == Kind::Token);
    let (token, figures) = measured.unwrap();
    let rate = figures.rate() * 0.8;
    Ok((rate, generator::steady_p99(token, rate, effort.steady)?))
}

/// Goes on with a mixture until the server has answered so many requests; what it has in memory then.
fn after_many(scenarios: &[Scenario], servers: &Servers, effort: &Effort) -> Result<(u64, f64), String> {
    let mixture = [Kind::Token, Kind::Cold, Kind::Warm];
    let mixture = scenarios.iter().filter(|scenario| mixture.contains(&scenario.kind));
    for scenario in mixture.cycle() {
        if servers.jeton.answered() >= effort.requests {
            break;
        }
        generator::saturate(scenario, effort.seconds)?;
    }
    Ok((servers.jeton.answered(), servers.jeton.resident_mib()))
}
