//! Reading and compiling large policies: time and memory, each size in a process of its own.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

use std::{env, fmt::Write, fs, process::Command, time::Instant};

use jeton::{
    clock::{Clock, SystemClock},
    oauth::Audience,
    policy::{DemoSecrets, Effort, PolicySet, Sources, Surroundings},
};
use ring::digest;

const SIZES: [(usize, usize); 5] =
    [(10, 10), (10_000, 10_000), (100_000, 10), (10, 1_000_000), (10_000, 100_000)];

/// Policies with this many rules and clients: each rule with a route of two parameters, a scope and a claim;
/// each client with a secret, a role and a tenant of its own; a guarantee over all routes, and a test.
fn policies(rules: usize, clients: usize) -> String {
    let mut text = String::from(
        "version: 1\nscopes:\n  a:read: x\nroles:\n  reader: [a:read]\napis:\n  big:\n    \
         audience: https://big.example\n    guarantees:\n      isolation:\n        routes: [\"ANY /tenants/{tenant}/**\"]\n        \
         only_when: { claims: { tenant: { same_as_path: tenant } } }\n    rules:\n",
    );
    for rule in 0..rules {
        let (group, item) = (rule / 100, rule % 100);
        write!(
            text,
            "      r{rule}:\n        routes: [\"GET /tenants/{{tenant}}/group{group}/item{item}/{{id}}\"]\n        \
             require:\n          scope: a:read\n          claims: {{ tenant: {{ same_as_path: tenant }} }}\n"
        )
        .unwrap();
    }
    text.push_str("clients:\n");
    for client in 0..clients {
        let hash = digest::digest(&digest::SHA256, client.to_string().as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        write!(
            text,
            "  client-{client}:\n    secrets: [{{ sha256: {hash} }}]\n    grants: {{ big: {{ roles: [reader] }} }}\n    \
             claims: {{ tenant: tenant-{client} }}\n"
        )
        .unwrap();
    }
    text.push_str(
        "tests:\n  - as: client-1\n    api: big\n    allow: [GET /tenants/tenant-1/group0/item1/7]\n",
    );
    text
}

/// Resident memory in MiB: now, and at most.
fn memory() -> (f64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    (mib("VmRSS"), mib("VmHWM"))
}

fn measure(rules: usize, clients: usize) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big.yaml"), policies(rules, clients)).unwrap();
    let surroundings = Surroundings {
        issuer: Audience::parse("http://127.0.0.1:8080").unwrap(),
        max_ttl: 86_400,
        demo_secrets: DemoSecrets::Allowed,
    };
    let load = || {
        let start = Instant::now();
        let sources = Sources::read(dir.path()).unwrap();
        let set = PolicySet::compile(&sources, &surroundings, SystemClock.now());
        (set.unwrap_or_else(|findings| panic!("{findings}")), start.elapsed())
    };
    let (first, time) = load();
    let (resident, peak) = memory();
    print!("{rules:>9} {clients:>9} {:>9.3} s {resident:>9.1} MiB {peak:>9.1} MiB", time.as_secs_f64());
    // an edit of one rule
    let text = fs::read_to_string(dir.path().join("big.yaml")).unwrap();
    let edited = text.replacen("          scope: a:read\n", "          role: reader\n", 1);
    fs::write(dir.path().join("big.yaml"), edited).unwrap();
    let (second, time) = load();
    let start = Instant::now();
    let difference = first.difference(&second, Effort::Bounded);
    let found = difference.map_or("not compared".to_owned(), |found| found.headline());
    println!(" {:>9.3} s {:>9.3} s  {found}", time.as_secs_f64(), start.elapsed().as_secs_f64());
}

fn main() {
    let arguments: Vec<usize> = env::args().filter_map(|argument| argument.parse().ok()).collect();
    if let [rules, clients] = arguments[..] {
        return measure(rules, clients);
    }
    println!("\n    rules   clients        load     resident          peak      reload  difference");
    for (rules, clients) in SIZES {
        let status = Command::new(env::current_exe().unwrap())
            .args([rules.to_string(), clients.to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}
