//! Deciding the same questions by the same rules with jeton, cedar and casbin, from 10 rules to 100,000.
//!
//! `--svg FILE` draws the figures; FILE is relative to this folder.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

use std::{
    env, fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use engines::{Allows, ENGINES, Engine};
use questions::{HALF, QUESTIONS, Table};
use support::Measured;

mod engines;
mod picture;
mod questions;
#[path = "../support/mod.rs"]
mod support;

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// An engine is not asked at sizes from which it takes longer than this to set up, or to decide.
const LONGEST_SET_UP: Duration = Duration::from_secs(60);
const LONGEST_DECISION: Duration = Duration::from_millis(50);

/// How long a turn of one engine is to last.
const TURN: Duration = Duration::from_millis(20);

/// What was seen of one engine.
#[derive(Default)]
struct Seen {
    /// One for each size, from the smallest.
    figures: Vec<Figure>,
    /// Why there are no more.
    stopped: Option<String>,
}

/// Nanoseconds at one size.
struct Figure {
    rules: usize,
    set_up: f64,
    allowed: f64,
    refused: f64,
}

fn main() -> ExitCode {
    match picture_file().and_then(compare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Where to draw, by the command line.
fn picture_file() -> Result<Option<String>, String> {
    let mut file = None;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // said by cargo
            "--bench" => {}
            "--svg" => file = Some(args.next().ok_or("`--svg` needs a file")?),
            _ => return Err(format!("`{arg}` is unknown; there is only `--svg FILE`")),
        }
    }
    Ok(file)
}

fn compare(picture_file: Option<String>) -> Result<(), String> {
    let mut seen = ENGINES.each_ref().map(|_| Seen::default());
    for rules in SIZES {
        measure(&Table { rules }, &mut seen)?;
    }

    println!("\nin short");
    print_table("allowed", &seen, |figure| figure.allowed);
    print_table("refused", &seen, |figure| figure.refused);
    print_table("set up", &seen, |figure| figure.set_up);
    println!();
    for (engine, Seen { stopped, .. }) in ENGINES.iter().zip(&seen) {
        if let Some(reason) = stopped {
            println!("  {}: stopped, {reason}", engine.name);
        }
    }
    println!("\n  at 1,000 rules, allowed and refused, in times of jeton:");
    let at_1_000 = |seen: &Seen| {
        seen.figures.iter().find(|figure| figure.rules == 1_000).map(|f| (f.allowed, f.refused))
    };
    if let Some(jeton) = at_1_000(&seen[0]) {
        for (engine, seen) in ENGINES.iter().zip(&seen).skip(1) {
            if let Some(other) = at_1_000(seen) {
                println!("  {:<34} {:>10.0} x {:>10.0} x", engine.name, other.0 / jeton.0, other.1 / jeton.1);
            }
        }
    }

    if let Some(file) = picture_file {
        let lines = ENGINES.iter().zip(&seen).map(|(engine, seen)| picture::Line {
            name: engine.name,
            look: engine.line,
            points: seen.figures.iter().map(|figure| (figure.rules as f64, figure.allowed)).collect(),
        });
        fs::write(&file, picture::draw(lines.collect())).map_err(|error| format!("`{file}`: {error}"))?;
    }
    Ok(())
}

/// Sets up all engines that were quick enough so far, checks every answer, and measures in turns.
fn measure(table: &Table, seen: &mut [Seen; ENGINES.len()]) -> Result<(), String> {
    println!("\n{} rules", table.rules);
    let mut ready: Vec<Ready> = Vec::new();
    for (engine, seen) in ENGINES.iter().zip(seen.iter_mut()).filter(|(_, seen)| seen.stopped.is_none()) {
        let start = Instant::now();
        let allows = (engine.set_up)(table);
        let set_up = start.elapsed();
        let decision = one_decision(&allows);
        println!("  {:<34} set up in {set_up:.1?}, one decision takes about {decision:.1?}", engine.name);
        if set_up > LONGEST_SET_UP || decision > LONGEST_DECISION {
            let reason =
                format!("at {} rules: set up in {set_up:.1?}, one decision {decision:.1?}", table.rules);
            println!("  {:<34} stopped", engine.name);
            seen.stopped = Some(reason);
            continue;
        }
        check(engine, &allows, table)?;
        let calls = (TURN.as_secs_f64() / decision.as_secs_f64()).clamp(16.0, 500_000.0) as usize;
        let figure = Figure {
            rules: table.rules,
            set_up: set_up.as_secs_f64() * 1e9,
            allowed: f64::NAN,
            refused: f64::NAN,
        };
        seen.figures.push(figure);
        ready.push(Ready { name: engine.name, allows, calls, figure: seen.figures.last_mut().unwrap() });
    }
    println!("  each of them answers all {QUESTIONS} questions as it should");

    for (title, first) in [("allowed", 0), ("refused, another tenant's path", HALF)] {
        let measured = in_turns(&ready, first);
        for (measured, Ready { figure, .. }) in measured.iter().zip(&mut ready) {
            *(if first == 0 { &mut figure.allowed } else { &mut figure.refused }) = measured.nanos;
        }
        support::print(&format!("{} rules: {title}", table.rules), &measured);
    }
    Ok(())
}

/// An engine that is set up.
struct Ready<'a> {
    name: &'static str,
    allows: Allows,
    /// Questions in one turn.
    calls: usize,
    figure: &'a mut Figure,
}

/// Nanoseconds per question of the half that begins with `first`.
fn in_turns(ready: &[Ready], first: usize) -> Vec<Measured> {
    let mut turns: Vec<_> =
        ready.iter().map(|ready| (ready.name, turn(&ready.allows, first, ready.calls))).collect();
    let mut works: Vec<(_, &mut dyn FnMut())> =
        turns.iter_mut().map(|(name, turn)| (*name, turn as &mut dyn FnMut())).collect();
    let mut measured = support::in_turns(1, &mut works);
    for (measured, ready) in measured.iter_mut().zip(ready) {
        measured.nanos /= ready.calls as f64;
    }
    measured
}

/// About how long a decision takes: the mean over some that are allowed, or over some that are refused.
fn one_decision(allows: &Allows) -> Duration {
    let mean = |first: usize| {
        let start = Instant::now();
        let mut asked = 0;
        while asked < 8 || asked < HALF && start.elapsed() < TURN {
            allows(first + asked);
            asked += 1;
        }
        start.elapsed() / asked as u32
    };
    // the first touches everything for the first time
    mean(0);
    mean(0).max(mean(HALF))
}

/// Every question has its answer.
fn check(engine: &Engine, allows: &Allows, table: &Table) -> Result<(), String> {
    for (number, question) in table.questions().enumerate() {
        if allows(number) != questions::is_allowed(number) {
            let wrong = if allows(number) { "allowed" } else { "refused" };
            return Err(format!("{} with {} rules {wrong} `{}`", engine.name, table.rules, question.path));
        }
    }
    Ok(())
}

/// Asks so many questions of the half that begins with `first`, and goes on from there the next time.
fn turn(allows: &Allows, first: usize, calls: usize) -> impl FnMut() {
    let mut at = 0;
    move || {
        for _ in 0..calls {
            at = (at + 1) % HALF;
            assert_eq!(allows(first + at), questions::is_allowed(first + at));
        }
    }
}

fn print_table(title: &str, seen: &[Seen], nanos: fn(&Figure) -> f64) {
    print!("\n  {title:<34}");
    for rules in SIZES {
        print!(" {rules:>10}");
    }
    println!();
    for (engine, seen) in ENGINES.iter().zip(seen) {
        print!("  {:<34}", engine.name);
        for figure in &seen.figures {
            print!(" {:>10}", in_units(nanos(figure)));
        }
        println!();
    }
}

/// Three digits and a unit.
fn in_units(nanos: f64) -> String {
    let (number, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "us"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let places = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.places$} {unit}")
}
