//! Reading and compiling large policies, and finding what is odd about them: time and memory, each size in a process
//! of its own.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

use std::{env, fmt::Write, fs, path::Path, process::Command, time::Instant};

use jeton_oauth::{
    Audience,
    clock::{Clock, SystemClock},
};
use jeton_policy::{DemoSecrets, DiffEffort, PolicySet, PolicySources, Surroundings};
use ring::digest;
use serde_json::json;

const SIZES: [(usize, usize); 5] =
    [(10, 10), (10_000, 10_000), (100_000, 10), (10, 1_000_000), (10_000, 100_000)];

/// How many findings of each kind.
const FINDINGS: [(&str, usize); 6] = [
    ("expired", 4_000),
    ("expired", 16_000),
    ("expired", 64_000),
    ("unused", 16_000),
    ("unused", 64_000),
    ("unused", 1_500_000),
];

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

/// How many issuers and entries of `federated`.
const FEDERATIONS: [(usize, usize); 3] = [(1, 10_000), (1_000, 10_000), (1, 100_000)];

/// Policies with this many issuers and federated clients: each wants an id of its own, one of two branches, and an
/// environment that many have. Every tenth wants another set of claims.
fn federated_policies(issuers: usize, clients: usize) -> String {
    let mut text = String::from("version: 1\nissuers:\n");
    for issuer in 0..issuers {
        write!(
            text,
            "  i{issuer}:\n    issuer: https://i{issuer}.example\n    audience: https://tokens.example\n    \
             keys: {{ discover: true }}\n"
        )
        .unwrap();
    }
    text.push_str("clients:\n");
    for client in 0..clients {
        let other = if client % 10 == 0 { "owner: { is: acme }" } else { "ref: { in: [main, next] }" };
        write!(
            text,
            "  client-{client}:\n    federated:\n      - issuer: i{}\n        claims:\n          \
             repository_id: {{ is: \"{client}\" }}\n          environment: {{ is: env-{} }}\n          {other}\n",
            client % issuers,
            client % 7,
        )
        .unwrap();
    }
    text
}

fn measure_federation(issuers: usize, clients: usize) {
    const ROUNDS: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("federated.yaml"), federated_policies(issuers, clients)).unwrap();
    let (set, loading) = load(dir.path());
    let (_, peak) = memory();
    let ask = |claims: &dyn Fn(usize) -> serde_json::Value| {
        let tokens: Vec<_> = (0..ROUNDS)
            .map(|round| {
                let client = round * 7919 % clients;
                let issuer = set.issuers().find(&format!("i{}", client % issuers)).unwrap();
                (issuer.name.clone(), claims(client).as_object().unwrap().clone())
            })
            .collect();
        let (found, seconds) = timed(|| {
            tokens
                .iter()
                .filter(|(issuer, claims)| set.federation().client_of(issuer, claims).is_ok())
                .count()
        });
        (found, seconds * 1e6 / ROUNDS as f64)
    };
    let token = |client: usize, reference: &str| {
        json!({
            "iss": "x", "aud": "https://tokens.example", "sub": "repo:x", "repository_id": client.to_string(),
            "environment": format!("env-{}", client % 7), "ref": reference, "owner": "acme", "actor": "x",
        })
    };
    let (found, matching) = ask(&|client| token(client, "main"));
    assert_eq!(found, ROUNDS);
    let (found, refusing) = ask(&|client| token(clients + client, "main"));
    assert_eq!(found, 0);
    println!(
        "{issuers:>9} {clients:>9} {loading:>9.3} s {matching:>9.2} us {refusing:>9.2} us {peak:>9.1} MiB"
    );
}

/// Policies with this many clients whose only secret has expired, or this many scopes that nothing requires.
fn odd_policies(kind: &str, findings: usize) -> String {
    let mut text = String::from(
        "version: 1\napis:\n  a:\n    audience: https://a.example\n    rules:\n      r: { routes: [GET /x], require: { scope: s } }\n",
    );
    if kind == "unused" {
        // somebody who passes, so that nothing else is odd
        let hash = "0".repeat(63) + "1";
        write!(
            text,
            "clients: {{ c: {{ secrets: [{{ sha256: \"{hash}\" }}], grants: {{ a: {{ scopes: [s] }} }} }} }}\nscopes:\n  s: x\n"
        )
        .unwrap();
        (0..findings).for_each(|scope| writeln!(text, "  scope:number-{scope}: Some words of it").unwrap());
        return text;
    }
    text.push_str("scopes:\n  s: x\n");
    text.push_str("clients:\n");
    for client in 0..findings {
        let hash = digest::digest(&digest::SHA256, client.to_string().as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        write!(
            text,
            "  client-{client}:\n    secrets: [{{ sha256: {hash}, expires: 2020-01-01T00:00:00Z }}]\n    \
             grants: {{ a: {{ scopes: [s] }} }}\n"
        )
        .unwrap();
    }
    text
}

/// How many clients and routes.
const MATRICES: [(usize, usize); 3] = [(50, 120), (500, 1_200), (5_000, 1_200)];

/// Policies with this many routes, twenty to a rule, and this many clients, each with a tenant of its own and some of 40
/// scopes. Every tenth rule has a second alternative by role, and every fiftieth client takes a claim over from another
/// issuer's token.
fn matrix_policies(clients: usize, routes: usize) -> String {
    let mut text = String::from(
        "version: 1\nissuers:\n  ci:\n    issuer: https://ci.example\n    audience: https://tokens.example\n    \
         keys: { discover: true }\nscopes:\n",
    );
    (0..40).for_each(|scope| writeln!(text, "  area-{scope}:use: x").unwrap());
    text.push_str(
        "roles:\n  lead: [area-0:use]\napis:\n  shop:\n    audience: https://shop.example\n    rules:\n",
    );
    for rule in 0..routes.div_ceil(20) {
        writeln!(text, "      rule-{rule}:\n        routes:").unwrap();
        for route in (rule * 20)..routes.min(rule * 20 + 20) {
            let (method, rest) = if route % 2 == 0 { ("GET", "/{item}") } else { ("POST", "") };
            writeln!(text, "          - {method} /tenants/{{tenant}}/area-{rule}/thing-{route}{rest}")
                .unwrap();
        }
        let scope = rule % 40;
        let own = format!("scope: area-{scope}:use, claims: {{ tenant: {{ same_as_path: tenant }} }}");
        match rule % 10 {
            0 => writeln!(text, "        require: [{{ {own} }}, {{ role: lead }}]").unwrap(),
            _ => writeln!(text, "        require: {{ {own} }}").unwrap(),
        }
    }
    text.push_str("clients:\n");
    for client in 0..clients {
        let scopes: Vec<_> = (0..40)
            .filter(|scope| (client + scope) % 3 == 0)
            .map(|scope| format!("area-{scope}:use"))
            .collect();
        let roles = if client % 25 == 0 { "roles: [lead], " } else { "" };
        writeln!(
            text,
            "  client-{client}:\n    grants: {{ shop: {{ {roles}scopes: [{}] }} }}",
            scopes.join(", ")
        )
        .unwrap();
        if client % 50 == 0 {
            writeln!(
                text,
                "    federated:\n      - issuer: ci\n        claims: {{ project: {{ is: p-{client} }} }}\n        \
                 claims_from: {{ tenant: group }}"
            )
            .unwrap();
        } else {
            let hash = digest::digest(&digest::SHA256, client.to_string().as_bytes());
            let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "    secrets: [{{ sha256: {hash} }}]\n    claims: {{ tenant: tenant-{client} }}")
                .unwrap();
        }
    }
    text
}

fn measure_matrix(clients: usize, routes: usize) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shop.yaml"), matrix_policies(clients, routes)).unwrap();
    let (set, loading) = load(dir.path());
    let api = set.api("shop").unwrap();
    let (matrix, computing) = timed(|| set.compact_matrix(api));
    let (json, printing) = timed(|| serde_json::to_vec(&matrix).unwrap());
    let (one, of_one) = timed(|| set.matrix_of(api, |id| id.as_str() == "client-7"));
    let (cell, asking) = timed(|| set.client_access(api, "client-7", &one.routes[1].route).unwrap());
    assert!(matrix.routes.len() == routes && matrix.clients.len() == clients && one.clients.len() == 1);
    assert!(one.routes[1].access[0] == cell.access);
    let (computing, printing, of_one) = (computing * 1e3, printing * 1e3, of_one * 1e3);
    println!(
        "{clients:>9} {routes:>9} {loading:>9.3} s {computing:>9.1} ms {printing:>9.1} ms {:>9.2} MiB {of_one:>9.2} ms {:>9.2} ms",
        json.len() as f64 / f64::from(1 << 20),
        asking * 1e3
    );
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

/// Reads and compiles a folder, as before policies come into force; and the seconds that it takes.
fn load(dir: &Path) -> (PolicySet, f64) {
    let surroundings = Surroundings {
        issuer: Audience::parse("http://127.0.0.1:8080").unwrap(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let start = Instant::now();
    let sources = PolicySources::read(dir).unwrap();
    let set = PolicySet::compile(&sources, &surroundings, SystemClock.now());
    (set.unwrap_or_else(|findings| panic!("{findings}")), start.elapsed().as_secs_f64())
}

/// Some work, and the seconds that it takes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    (work(), start.elapsed().as_secs_f64())
}

fn measure_findings(kind: &str, findings: usize) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("odd.yaml"), odd_policies(kind, findings)).unwrap();
    let (set, loading) = load(dir.path());
    let (found, finding) = timed(|| set.warnings().0.len());
    let (text, printing) = timed(|| set.warnings().to_string());
    assert!(found == findings && text.lines().count() > findings);
    let each = (finding + printing) * 1e6 / findings as f64;
    let (_, peak) = memory();
    println!(
        "{kind:>9} {findings:>9} {loading:>9.3} s {finding:>9.3} s {printing:>9.3} s {each:>9.2} us {peak:>9.1} MiB"
    );
}

fn measure(rules: usize, clients: usize) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big.yaml"), policies(rules, clients)).unwrap();
    let (first, loading) = load(dir.path());
    let (_, finding) = timed(|| first.warnings().0.len());
    let (resident, peak) = memory();
    print!("{rules:>9} {clients:>9} {loading:>9.3} s {finding:>9.3} s {resident:>9.1} MiB {peak:>9.1} MiB");
    // an edit of one rule
    let text = fs::read_to_string(dir.path().join("big.yaml")).unwrap();
    let edited = text.replacen("          scope: a:read\n", "          role: reader\n", 1);
    fs::write(dir.path().join("big.yaml"), edited).unwrap();
    let (second, reloading) = load(dir.path());
    let (difference, comparing) = timed(|| first.difference(&second, DiffEffort::Bounded));
    let found = difference.map_or("not compared".to_owned(), |found| found.headline());
    println!(" {reloading:>9.3} s {comparing:>9.3} s  {found}");
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["findings", kind, findings] => return measure_findings(kind, findings.parse().unwrap()),
        ["policies", rules, clients] => return measure(rules.parse().unwrap(), clients.parse().unwrap()),
        ["federated", issuers, clients] => {
            return measure_federation(issuers.parse().unwrap(), clients.parse().unwrap());
        }
        ["matrix", clients, routes] => {
            return measure_matrix(clients.parse().unwrap(), routes.parse().unwrap());
        }
        _ => {}
    }
    println!(
        "\n    rules   clients        load    warnings     resident          peak      reload  difference"
    );
    for (rules, clients) in SIZES {
        in_a_process(["policies", &rules.to_string(), &clients.to_string()]);
    }
    println!("\n     kind  findings        load    warnings     printed          each          peak");
    for (kind, findings) in FINDINGS {
        in_a_process(["findings", kind, &findings.to_string()]);
    }
    println!(
        "\n  clients    routes        load       matrix         JSON         size   one client     one cell"
    );
    for (clients, routes) in MATRICES {
        in_a_process(["matrix", &clients.to_string(), &routes.to_string()]);
    }
    println!("\n  issuers federated        load     matched      refused         peak");
    for (issuers, clients) in FEDERATIONS {
        in_a_process(["federated", &issuers.to_string(), &clients.to_string()]);
    }
}

fn in_a_process(arguments: [&str; 3]) {
    let status = Command::new(env::current_exe().unwrap()).args(arguments).status().unwrap();
    assert!(status.success());
}
