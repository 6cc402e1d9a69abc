//! A decision log against the traffic that it tells of: random requests to a real server, taken again by the
//! policies in force and by others, and held against the engine.
use std::{collections::BTreeMap, fmt::Write, fs};

use jeton_oauth::{Audience, ClientId, Role, Scope};
use jeton_policy::{DemoSecrets, Permissions, PolicySet, PolicySources, Surroundings, clients::ClientState};
use jeton_verify::audit::{Replay, ReplayDirection, Replayed};
use serde_json::{Value, json};

use crate::{
    decision_log::{log_decisions, log_text},
    support::{
        ISSUER, NOW, Setup, TestApp,
        forge::{Draft, Forge},
        install_policies, now, secrets, spawn_app_with,
    },
};

/// The same numbers for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn some(&mut self, all: &[&str]) -> Vec<String> {
        all.iter().filter(|_| self.below(2) == 0).map(|text| (*text).to_owned()).collect()
    }
}

const SCOPES: [&str; 3] = ["jeton:principal", "jeton:ops", "items:read"];
const ROLES: [&str; 2] = ["operator", "reader"];

const ROUTES: [&str; 12] = [
    "GET /principal",
    "GET /ops/policies",
    "GET /ops/t/{tenant}/items",
    "ANY /ops/t/{tenant}/items/{item}",
    "POST /ops/t/{tenant}/items",
    "GET /ops/files/**",
    "OPTIONS /ops/t/{tenant}/items",
    "HEAD /ops/files/one",
    "ANY /ops/t/{tenant}:export",
    "ANY /ops/files/**/",
    "GET /ops/own/{client}",
    "GET /ops/own/{client}/items",
];

const REQUIREMENTS: [&str; 15] = [
    "public: true",
    "require: { scope: jeton:ops }",
    "require: { scope: jeton:principal }",
    "require: { role: operator }",
    "require: { any_role: [operator, reader] }",
    "require: { client: acme-sync }",
    "require: { any_client: [acme-sync, relay] }",
    "require: { claims: { tenant: { is: acme } } }",
    "require: [{ claims: { groups: { contains: red } } }, { all_scopes: [jeton:ops, items:read] }]",
    "require: { scope: items:read, claims: { tenant: { in: [acme, globex] } } }",
    "require: { claims: { tenant: { is: 42 } } }",
    "require: { claims: { admin: { is: true } } }",
    "require: { claims: { /meta/region: { in: [eu, 7] } } }",
    "require: { claims: { /groups/0: { is: red } } }",
    "require: { claims: { sub: { is: acme-sync } } }",
];

/// The same below `/ops`, where nothing passes without `jeton:ops`.
const BELOW_OPS: [&str; 9] = [
    "require: { scope: jeton:ops }",
    "require: { all_scopes: [jeton:ops, jeton:principal] }",
    "require: { role: operator }",
    "require: { scope: jeton:ops, any_role: [operator, reader] }",
    "require: { scope: jeton:ops, client: acme-sync }",
    "require: { scope: jeton:ops, any_client: [acme-sync, relay] }",
    "require: { scope: jeton:ops, claims: { tenant: { is: acme } } }",
    "require: [{ scope: jeton:ops, claims: { groups: { contains: red } } }, { all_scopes: [jeton:ops, items:read] }]",
    "require: { all_scopes: [jeton:ops, items:read], claims: { tenant: { in: [acme, globex] } } }",
];

/// jeton's own API with rules by chance.
fn own_api(random: &mut Random, bound_tokens: bool) -> String {
    let mut rules = String::new();
    for (number, route) in ROUTES.iter().enumerate() {
        if random.below(6) == 0 {
            continue;
        }
        let requirement = if route.contains("{tenant}") && random.below(2) == 0 {
            "require: { scope: jeton:ops, claims: { tenant: { same_as_path: tenant } } }"
        } else if route.contains("{client}") && random.below(3) > 0 {
            "require: { scope: jeton:ops, claims: { sub: { same_as_path: client } } }"
        } else if route.contains(" /ops/") {
            random.of(&BELOW_OPS)
        } else {
            random.of(&REQUIREMENTS)
        };
        writeln!(rules, "      r{number}: {{ routes: [\"{route}\"], {requirement} }}").unwrap();
    }
    format!(
        "version: 1\nscopes: {{ 'jeton:principal': x, 'jeton:ops': x, 'items:read': x }}\nroles: {{ operator: ['jeton:ops'], reader: ['items:read'] }}\napis:\n  jeton:\n    bound_tokens: {bound_tokens}\n    rules:\n      always: {{ routes: [GET /ops/always], require: {{ scope: jeton:ops }} }}\n{rules}"
    )
}

/// Clients, of which some are ended by chance where `all` are not asked for.
fn clients(random: &mut Random, all: bool) -> String {
    let mut text = "version: 1\nclients:\n".to_owned();
    for client in ["acme-sync", "relay", "globex-sync"] {
        let state = match if all { 9 } else { random.below(8) } {
            0 => "    enabled: false\n",
            // between the times at which tokens were issued, and the first of an exchange was
            1 | 5 | 6 => "    revoked_before: 2026-11-23T11:59:30Z\n",
            // rules name the others
            2..=4 if client == "globex-sync" => continue,
            _ => "",
        };
        write!(
            text,
            "  {client}:\n    {}\n    grants: {{ jeton: {{ scopes: [jeton:principal] }} }}\n{state}",
            secrets(client)
        )
        .unwrap();
    }
    text
}

/// A token, and what is known of it.
struct Bearer {
    permissions: Permissions,
    /// Whom it names, each with the time that a revocation compares.
    named: Vec<(&'static str, i64)>,
    client: Option<&'static str>,
    token: String,
}

/// Nobody, somebody, or a bad token.
enum Asker {
    Nobody,
    Good(Bearer),
    Bad(String),
}

fn asker(random: &mut Random, forge: &Forge) -> Asker {
    let kind = random.below(10);
    if kind == 0 {
        return Asker::Nobody;
    }
    let issued_at = now() - 20 * i64::try_from(random.below(3)).unwrap();
    let authenticated_at = issued_at - 20;
    let (scopes, roles) = (random.some(&SCOPES), random.some(&ROLES));
    let groups = random.some(&["red", "blue"]);
    let tenant = random.of(&[json!("acme"), json!("globex"), json!(42), json!("42"), json!(42.0)]).clone();
    let admin = random.of(&[json!(true), json!("true"), json!(false)]).clone();
    let region = random.of(&[json!("eu"), json!(7), json!("7"), json!(["eu"])]).clone();
    let mut draft = Draft::good(&forge.kid(), issued_at)
        .claim("jti", format!("\"t{}\"", random.below(1_000_000)))
        .claim("scope", json!(scopes.join(" ")).to_string())
        .claim("roles", json!(roles).to_string())
        .claim("groups", json!(groups).to_string())
        .claim("tenant", tenant.to_string())
        .claim("admin", admin.to_string())
        .claim("meta", json!({ "region": region }).to_string());
    let client = *random.of(&["acme-sync", "relay", "globex-sync"]);
    let id = |client: &str| json!(client).to_string();
    draft = draft.claim("sub", id(client)).claim("client_id", id(client));
    let exchanged = |draft: Draft, client: &str, act: Value| {
        draft
            .claim("client_id", id(client))
            .claim("exchanges", "1")
            .claim("auth_time", authenticated_at.to_string())
            .claim("act", act.to_string())
    };
    let about = if kind == 5 { None } else { Some(client) };
    let (named, client, sole) = match kind {
        1 => return Asker::Bad(draft.claim("aud", "\"https://orders.example.com\"").sign(forge)),
        2 => return Asker::Bad(draft.sign(&Forge::with("test-only-other.pem"))),
        3 => {
            draft = exchanged(draft, "relay", json!({ "sub": "relay" }));
            (vec![(client, authenticated_at), ("relay", issued_at)], Some("relay"), None)
        }
        // back to the first, by way of another
        4 => {
            draft = exchanged(draft, client, json!({ "sub": client, "act": { "sub": "relay" } }));
            (vec![(client, authenticated_at), ("relay", authenticated_at)], Some(client), None)
        }
        5 => {
            draft = draft.header("typ", "\"JWT\"").no_claim("sub").no_claim("client_id");
            (Vec::new(), None, None)
        }
        _ => (vec![(client, issued_at)], Some(client), Some(client)),
    };
    let claims = json!({ "groups": groups, "tenant": tenant, "admin": admin, "meta": { "region": region } });
    let permissions = Permissions {
        client: sole.map(|client| ClientId::parse(client).unwrap()),
        sub: about.map(|client| ClientId::parse(client).unwrap()),
        scopes: scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
        roles: roles.iter().map(|role| Role::parse(role).unwrap()).collect(),
        claims: claims.as_object().unwrap().clone(),
    };
    Asker::Good(Bearer { permissions, named, client, token: draft.sign(forge) })
}

const METHODS: [&str; 8] = ["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE"];

const TARGETS: [&str; 26] = [
    "/principal",
    "/ops/policies",
    "/ops/t/acme/items",
    "/ops/t/globex/items",
    "/ops/t/acme/items?tenant=globex",
    "/ops/t/acme/items/",
    "/ops/t/acme/items/7",
    "/ops/t/globex/items/%37",
    "/ops/t/%61cme/items",
    "/ops/files/one",
    "/ops/files/one/two/three?x",
    "/ops/files/%2e%2e/keys",
    "/ops/files//one",
    "/ops/t/acme;x/items",
    "/ops/t/acme%2fitems",
    "/ops/T/acme/items",
    "/ops/always",
    "/ops/t/42/items",
    "/ops/t/42/items/7",
    "/ops/t/042/items",
    "/ops/t/42:export",
    "/ops/t/acme%3Aexport",
    "/ops/files/one/two/",
    "/ops/own/acme-sync",
    "/ops/own/acme-sync/items",
    "/ops/own/relay",
];

/// A request that was sent, and whether it got through.
struct Sent {
    method: &'static str,
    path: &'static str,
    asker: Asker,
    allowed: bool,
}

async fn send(app: &TestApp, random: &mut Random, forge: &Forge) -> Sent {
    let (method, target, asker) = (*random.of(&METHODS), *random.of(&TARGETS), asker(random, forge));
    let authorization = match &asker {
        Asker::Nobody => String::new(),
        Asker::Good(Bearer { token, .. }) | Asker::Bad(token) => format!("Authorization: Bearer {token}\r\n"),
    };
    let answer = app
        .send_raw(format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n{authorization}\r\n"
        ))
        .await;
    // what gets through finds a handler or none
    let allowed = match answer.status {
        200 | 404 | 405 => true,
        401 | 403 => false,
        other => panic!("{method} {target}: {other}\n{}", answer.head),
    };
    Sent { method, path: target.split('?').next().unwrap(), asker, allowed }
}

/// Whether the engine lets a request pass that does not have a bad token, by these policies.
fn is_allowed(policies: &PolicySet, sent: &Sent) -> bool {
    let bearer = match &sent.asker {
        Asker::Nobody => None,
        Asker::Good(bearer) => Some(bearer),
        Asker::Bad(_) => unreachable!("a bad token is not judged"),
    };
    let ended = |(name, since): &(&str, i64)| match policies.clients().find(name) {
        None => true,
        Some(client) => {
            client.state == ClientState::Disabled
                || client.revoked_before.is_some_and(|before| *since < before)
        }
    };
    if bearer.is_some_and(|bearer| bearer.named.iter().any(ended)) {
        return false;
    }
    let api = policies.api("jeton").unwrap();
    if bearer.is_some() && api.bound_tokens() {
        return false;
    }
    let subject = bearer.map(|bearer| bearer.permissions.subject());
    api.decide(sent.method, sent.path, subject.as_ref()).is_allowed()
}

fn compiled(dir: &std::path::Path) -> PolicySet {
    let surroundings = Surroundings {
        issuer: Audience::parse(ISSUER).unwrap(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let sources = PolicySources::read(dir).unwrap();
    PolicySet::compile(&sources, &surroundings, NOW.parse().unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

fn replayed(log: &str, policies: &PolicySet) -> Replayed {
    let mut replay = Replay::new(policies);
    for line in log.lines() {
        replay.take(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    replay.finish()
}

#[actix_web::test]
async fn replay_finds_exactly_what_the_engine_decides_otherwise() {
    let forge = Forge::with_the_servers_key();
    let mut differing = 0;
    for seed in 1..=8_u64 {
        let random = &mut Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let app = spawn_app_with(Setup {
            policies: vec![("jeton.yaml", own_api(random, false)), ("clients.yaml", clients(random, true))],
            settings: |settings| {
                log_decisions(settings);
                let candidate = settings.policies.dir.with_file_name("candidate");
                install_policies(&candidate);
                settings.policies.candidate = Some(candidate);
            },
            ..Setup::default()
        });
        let candidate = app.dir.path().join("candidate");
        fs::write(candidate.join("jeton.yaml"), own_api(random, seed % 4 == 0)).unwrap();
        fs::write(candidate.join("clients.yaml"), clients(random, false)).unwrap();
        let shadow = app.audit.shadow().unwrap();
        shadow.candidate().reload();
        let other = compiled(&candidate);
        assert_eq!(shadow.candidate().snapshot().unwrap().policies.hash(), other.hash());
        let in_force = compiled(&app.dir.path().join("policies"));

        let mut sent = Vec::new();
        for _ in 0..120 {
            sent.push(send(&app, random, &forge).await);
        }
        let log = log_text(&app);
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), sent.len(), "seed {seed}");
        let (mut bad, mut expected) = (0, BTreeMap::<_, u64>::new());
        for (line, sent) in lines.iter().zip(&sent) {
            assert_eq!(
                (line["method"].as_str(), line["path"].as_str(), line["allowed"].as_bool()),
                (Some(sent.method), Some(sent.path), Some(sent.allowed)),
                "seed {seed}: {line}"
            );
            let client = match &sent.asker {
                Asker::Bad(_) => {
                    bad += 1;
                    continue;
                }
                Asker::Nobody => None,
                Asker::Good(bearer) => bearer.client,
            };
            assert_eq!(line["client"].as_str(), client, "seed {seed}: {line}");
            assert_eq!(
                is_allowed(&in_force, sent),
                sent.allowed,
                "seed {seed}: the model of this test: {line}"
            );
            let direction = match (sent.allowed, is_allowed(&other, sent)) {
                (true, false) => ReplayDirection::WouldBeRefused,
                (false, true) => ReplayDirection::WouldBeLetIn,
                _ => continue,
            };
            *expected.entry((client.map(str::to_owned), direction)).or_default() += 1;
        }

        let same = replayed(&log, &in_force);
        assert_eq!((same.differences.as_slice(), same.bad_tokens), ([].as_slice(), bad), "seed {seed}");
        assert_eq!(same.judged + bad, 120, "seed {seed}");
        assert_eq!(same.same, same.judged, "seed {seed}");

        let changed = replayed(&log, &other);
        let mut found = BTreeMap::<_, u64>::new();
        for difference in &changed.differences {
            *found.entry((difference.client.clone(), difference.direction)).or_default() += difference.count;
            let first = &lines[usize::try_from(difference.first.line).unwrap() - 1];
            assert_eq!(first["path"], json!(difference.first.path), "seed {seed}: the witness");
            assert_eq!(first["rule"].as_str(), difference.before.rule.as_deref(), "seed {seed}");
        }
        assert_eq!(found, expected, "seed {seed}");
        differing += expected.values().sum::<u64>();

        let counts = shadow.counts();
        assert_eq!(
            (counts.compared, counts.would_deny, counts.would_allow),
            (changed.judged, changed.would_be_refused, changed.would_be_let_in),
            "seed {seed}: the candidate saw the same"
        );
    }
    assert!(differing > 50, "only {differing} decisions differed");
}
