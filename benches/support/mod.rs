//! Measuring as a ratio: two pieces of work in turns, in one run, on one thread.

use std::{hint::black_box, time::Instant};

use median::median;

#[path = "median.rs"]
mod median;

/// Nanoseconds per call of one piece of work, over all rounds.
pub(crate) struct Measured {
    /// What was measured.
    pub(crate) name: &'static str,
    /// The median over the rounds.
    pub(crate) nanos: f64,
}

/// Rounds in which the pieces take turns, so that a machine that slows down slows all of them.
pub(crate) const ROUNDS: usize = 31;

/// Measures these pieces of work in turns, `calls` of each in a round.
pub(crate) fn in_turns(calls: usize, works: &mut [(&'static str, &mut dyn FnMut())]) -> Vec<Measured> {
    let mut rounds: Vec<Vec<f64>> = works.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    for round in 0..=ROUNDS {
        for ((_, work), nanos) in works.iter_mut().zip(&mut rounds) {
            let start = Instant::now();
            for _ in 0..calls {
                black_box(&mut *work)();
            }
            let elapsed = start.elapsed().as_secs_f64() * 1e9 / calls as f64;
            // the first round warms up
            if round > 0 {
                nanos.push(elapsed);
            }
        }
    }
    works
        .iter()
        .zip(rounds)
        .map(|((name, _), mut nanos)| Measured { name, nanos: median(&mut nanos) })
        .collect()
}

/// Prints one line for each, with its ratio to the first.
pub(crate) fn print(title: &str, measured: &[Measured]) {
    println!("\n{title}");
    let raw = measured[0].nanos;
    for Measured { name, nanos } in measured {
        println!("  {name:<52} {:>12.1} ns   {:>8.3} x", nanos, nanos / raw);
    }
}
