//! The load: wrk as fast as the server goes, oha at a steady rate.

use std::{path::Path, process::Command, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    core,
    median::median,
    scenario::{Body, Kind, Scenario},
};

/// On which the load is made.
const CORE: usize = 1;
/// Enough that a worker finds the next request waiting.
const CONNECTIONS: u64 = 16;

/// Fails if a program is absent, and says how to install it.
pub(crate) fn find_tools() -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_err(|error| error.to_string())?;
    if cores.get() < 2 {
        return Err("two cores are needed, one for the servers and one for the load".to_owned());
    }
    find("taskset", "--version", "apt-get install util-linux")?;
    find("wrk", "-v", "apt-get install wrk")?;
    find("node", "--version", "Node 20 or newer, and npm")
}

/// By itself, for it takes minutes to build, and a quick run can go without.
pub(crate) fn find_oha() -> Result<(), String> {
    find("oha", "--version", "cargo install oha --locked --no-default-features --features rustls")
}

fn find(program: &str, version: &str, install: &str) -> Result<(), String> {
    let found = Command::new(program).arg(version).output();
    found.map(drop).map_err(|_| format!("`{program}` is absent; install it: {install}"))
}

/// What a server did under as much load as it takes.
#[derive(Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    micros: u64,
    failed: u64,
    /// Microseconds until the answer was there, as the next two.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// CPU nanoseconds of the server for each request.
    #[serde(skip)]
    pub(crate) cpu: f64,
}

impl Load {
    /// Requests in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros as f64
    }
}

/// Drives the server over [`CONNECTIONS`] that each send the next request when the last one is answered.
pub(crate) fn saturate(scenario: &Scenario, seconds: u64) -> Result<Load, String> {
    let before = scenario.server.cpu_nanos();
    let output = wrk(scenario, seconds).output().unwrap();
    // what was in flight when wrk ended is still answered, and counts
    std::thread::sleep(Duration::from_millis(50));
    let cpu = scenario.server.cpu_nanos() - before;
    let printed = String::from_utf8_lossy(&output.stdout);
    let load = printed.lines().last().and_then(|line| serde_json::from_str::<Load>(line).ok());
    let Some(mut load) = load else {
        return Err(format!("wrk: {printed}{}", String::from_utf8_lossy(&output.stderr)));
    };
    if load.failed > 0 || load.requests == 0 {
        return Err(format!("{}: {} of {} failed", scenario.kind.name(), load.failed, load.requests));
    }
    let served = load.requests + CONNECTIONS;
    if scenario.kind != Kind::Healthz {
        scenario.server.count(served);
    }
    load.cpu = cpu / served as f64;
    Ok(load)
}

fn wrk(scenario: &Scenario, seconds: u64) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/request.lua");
    let mut wrk = core::pinned(CORE, "wrk");
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(script);
    wrk.args(scenario.headers().iter().flat_map(|header| ["-H", header]));
    wrk.arg(scenario.url()).arg("--");
    match &scenario.body {
        Body::Nothing => {}
        Body::Form(form) => drop(wrk.args(["form", form])),
        Body::Json(json) => drop(wrk.args(["json", json])),
        Body::Forms(file) => drop(wrk.arg("forms").arg(file)),
        Body::Bearers(file) => drop(wrk.arg("bearers").arg(file)),
    }
    wrk
}

/// The time in which 99 % of the requests are answered, in milliseconds, when they come at this rate whether
/// or not earlier ones were answered: the median of some tries.
pub(crate) fn steady_p99(token: &Scenario, rate: f64, effort: (u64, usize)) -> Result<f64, String> {
    let (seconds, tries) = effort;
    let tries: Result<Vec<f64>, String> = (0..tries).map(|_| oha(token, rate, seconds)).collect();
    Ok(median(&mut tries?))
}

fn oha(token: &Scenario, rate: f64, seconds: u64) -> Result<f64, String> {
    let Body::Form(form) = token.body else { return Err("a steady rate is for one form".to_owned()) };
    let mut oha = core::pinned(CORE, "oha");
    oha.args(["--no-tui", "--output-format", "json", "--latency-correction", "-m", "POST", "-c", "64"])
        .args(["-q", &format!("{rate:.0}"), "-z", &format!("{seconds}s")])
        .args(["-T", "application/x-www-form-urlencoded", "-d", form])
        .args(token.headers().iter().flat_map(|header| ["-H", header]))
        .arg(token.url());
    let output = oha.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("oha: {}", String::from_utf8_lossy(&output.stderr)))?;
    let statuses = report["statusCodeDistribution"].as_object().ok_or("oha counts no answers")?;
    let answered = statuses.get("200").and_then(Value::as_u64).unwrap_or(0);
    if statuses.len() != 1 || answered == 0 {
        return Err(format!("oha: not all answers are tokens: {statuses:?}"));
    }
    token.server.count(answered);
    if (answered as f64) < rate * seconds as f64 * 0.97 {
        eprintln!(
            "only {answered} of {:.0} requests at a steady rate were answered in time",
            rate * seconds as f64
        );
    }
    report["latencyPercentiles"]["p99"].as_f64().map(|p99| p99 * 1e3).ok_or_else(|| format!("oha: {report}"))
}
