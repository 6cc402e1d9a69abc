//! Candidate policies: asked with each decision, told where they differ, and never enforced.
use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use jeton::config::Settings;
use jeton_oauth::{ApiName, Thumbprint, clock::Clock};
use jeton_policy::{CandidatePolicies, DemoSecrets, Surroundings};
use jeton_verify::{
    AccessRequest, Authorizer, BearerToken, Shown, Verifier,
    audit::{Audit, Shadow, ShadowCounts},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Setup, TestApp,
    forge::{Draft, Forge},
    install_policies,
    issuer::FakeIssuer,
    now,
    program::Binary,
    spawn_app, spawn_app_with,
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that this thread logs meanwhile, without time and level.
fn logged(act: impl FnOnce()) -> Vec<Value> {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|mut line| {
            let members = line.as_object_mut().unwrap();
            members.retain(|name, _| !["timestamp", "level", "target"].contains(&name.as_str()));
            line
        })
        .collect()
}

/// An authorizer of the sample's own API with a candidate beside it.
struct Scene {
    issuer: FakeIssuer,
    shadow: Arc<Shadow>,
    authorizer: Authorizer,
}

impl Scene {
    /// The candidate is the sample with this edit of `jeton.yaml`, and these files more.
    async fn with(edit: fn(&str) -> String, more: &[(&str, &str)]) -> Self {
        let issuer = FakeIssuer::start().await;
        let policies = issuer.policies();
        let dir = issuer.dir.path().join("candidate");
        install_policies(&dir);
        let own = dir.join("jeton.yaml");
        fs::write(&own, edit(&fs::read_to_string(&own).unwrap())).unwrap();
        // the sample's own tests ask for the rules as they were
        let clients = fs::read_to_string(dir.join("clients.yaml")).unwrap();
        fs::write(dir.join("clients.yaml"), clients.split("tests:").next().unwrap()).unwrap();
        for (name, text) in more {
            fs::write(dir.join(name), text).unwrap();
        }
        let surroundings = Surroundings {
            issuer: issuer.issuer.audience().clone(),
            max_ttl: Some(86_400),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        };
        let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
        let candidate = CandidatePolicies::new(&dir, surroundings, Arc::clone(&clock));
        candidate.reload();
        if let Some(rejection) = candidate.last_rejection() {
            panic!("{}", rejection.faults);
        }
        let shadow = Arc::new(Shadow::new(Arc::new(candidate), Arc::clone(&clock)));
        let verifier =
            Verifier::new(issuer.issuer.clone(), Arc::clone(&issuer.keys), Duration::from_secs(30), clock);
        let authorizer = Authorizer::new(verifier, policies, ApiName::parse("jeton").unwrap())
            .with_audit(Audit::new(None, Some(Arc::clone(&shadow))));
        Self { issuer, shadow, authorizer }
    }

    /// A token of a client with the scope `jeton:principal`.
    fn token(&self, client: &str) -> BearerToken {
        self.token_of_scope(client, "jeton:principal")
    }

    fn token_of_scope(&self, client: &str, scope: &str) -> BearerToken {
        self.token_with(client, scope, None)
    }

    fn token_with(&self, client: &str, scope: &str, cnf: Option<Value>) -> BearerToken {
        let forge = Forge::with_the_servers_key();
        let (issuer, client) = (format!("\"{}\"", self.issuer.issuer), format!("\"{client}\""));
        let draft = Draft::good(&forge.kid(), now())
            .claim("iss", issuer.clone())
            .claim("aud", issuer)
            .claim("exp", (now() + 3_000).to_string())
            .claim("sub", client.clone())
            .claim("client_id", client)
            .claim("scope", format!("\"{scope}\""));
        let draft = cnf.into_iter().fold(draft, |draft, cnf| draft.claim("cnf", cnf.to_string()));
        BearerToken::new(draft.sign(&forge))
    }

    fn ask(&self, target: &str, token: Option<&BearerToken>) -> bool {
        self.ask_showing(target, token, Shown::default())
    }

    fn ask_showing(&self, target: &str, token: Option<&BearerToken>, shown: Shown<'_>) -> bool {
        let request = AccessRequest { method: "GET", target: Ok(target), token, shown, id: None };
        let decision = self.authorizer.decide(&request).now_or_never();
        decision.expect("nothing is to be fetched").is_ok()
    }

    fn counts(&self) -> (u64, u64, u64) {
        let ShadowCounts { compared, would_allow, would_deny } = self.shadow.counts();
        (compared, would_allow, would_deny)
    }
}

/// `/principal` needs the operator's scope in the place of its own.
fn swapped(text: &str) -> String {
    text.replace("scope: jeton:principal", "scope: jeton:ops")
}

#[actix_web::test]
async fn a_difference_is_counted_and_told_and_not_enforced() {
    let scene = Scene::with(swapped, &[]).await;
    let token = scene.token("acme-sync");
    let operator = scene.token_of_scope("operator", "jeton:ops");
    let bad = BearerToken::new("x.y.z");
    let lines = logged(|| {
        assert!(scene.ask("/principal?query=1", Some(&token)));
        assert!(!scene.ask("/principal", Some(&operator)));
        assert!(!scene.ask("/ops/policies", Some(&token)), "as before");
        assert!(!scene.ask("/principal", None), "as before");
        assert!(!scene.ask("/principal", Some(&bad)), "says nothing of the rules");
    });
    assert_eq!(scene.counts(), (4, 1, 1));
    let would_deny = json!({
        "message": "decision.differs", "api": "jeton", "method": "GET", "path": "/principal",
        "client": "acme-sync", "rule": "principal", "candidate_rule": "principal", "in_force": "allowed",
        "candidate": "denied", "detail": "missing: scope: jeton:ops", "count": 1,
    });
    let would_allow = json!({
        "message": "decision.differs", "api": "jeton", "method": "GET", "path": "/principal",
        "client": "operator", "rule": "principal", "candidate_rule": "principal", "in_force": "denied",
        "candidate": "allowed", "detail": "missing: scope: jeton:principal", "count": 1,
    });
    assert_eq!(lines, [would_deny, would_allow]);
}

/// A candidate that takes bound tokens only refuses the others, on public routes too.
#[actix_web::test]
async fn a_candidate_with_bound_tokens_refuses_those_that_are_not() {
    let edit = |text: &str| {
        let text = text.replace("\n  jeton:\n", "\n  jeton:\n    bound_tokens: true\n");
        assert!(text.contains("bound_tokens: true"), "{text}");
        text
    };
    let scene = Scene::with(edit, &[]).await;
    let unbound = scene.token("acme-sync");
    let certificate = Thumbprint::new([7; 32]);
    let cnf = json!({ "x5t#S256": certificate });
    let bound = scene.token_with("globex-sync", "jeton:principal", Some(cnf));
    let shown = Shown { certificate: Some(certificate), ..Shown::default() };
    let lines = logged(|| {
        assert!(scene.ask("/principal", Some(&unbound)));
        assert!(scene.ask_showing("/principal", Some(&bound), shown));
        assert!(!scene.ask("/principal", Some(&bound)), "it is not its holder's: no decision of the rules");
        assert!(!scene.ask("/ops/keys", Some(&unbound)), "as before");
        assert!(!scene.ask("/principal", None), "as before");
    });
    assert_eq!(scene.counts(), (4, 0, 1));
    let would_deny = json!({
        "message": "decision.differs", "api": "jeton", "method": "GET", "path": "/principal",
        "client": "acme-sync", "rule": "principal", "in_force": "allowed", "candidate": "denied",
        "detail": "the token is not bound, and the API takes bound tokens alone (`bound_tokens`)", "count": 1,
    });
    assert_eq!(lines, [would_deny]);
}

#[actix_web::test]
async fn a_rule_and_a_client_are_told_once_a_minute() {
    let scene = Scene::with(swapped, &[]).await;
    let [acme, globex] = ["acme-sync", "globex-sync"].map(|client| scene.token(client));
    let counts = |act: &dyn Fn()| -> Vec<(String, u64)> {
        let line =
            |line: &Value| (line["client"].as_str().unwrap().to_owned(), line["count"].as_u64().unwrap());
        logged(act).iter().map(line).collect()
    };
    let told = |client: &str, count: u64| (client.to_owned(), count);
    let first = counts(&|| (0..5).for_each(|_| assert!(scene.ask("/principal", Some(&acme)))));
    assert_eq!(first, [told("acme-sync", 1)]);
    assert_eq!(counts(&|| assert!(scene.ask("/principal", Some(&globex)))), [told("globex-sync", 1)]);
    scene.issuer.clock.advance(59);
    assert_eq!(counts(&|| assert!(scene.ask("/principal", Some(&acme)))), []);
    scene.issuer.clock.advance(1);
    assert_eq!(counts(&|| assert!(scene.ask("/principal", Some(&acme)))), [told("acme-sync", 6)]);
    assert_eq!(counts(&|| assert!(scene.ask("/principal", Some(&acme)))), []);
    assert_eq!(scene.counts(), (9, 0, 9), "each is counted");
}

/// What a candidate says of clients and audiences counts like its rules.
#[actix_web::test]
async fn clients_and_audiences_of_the_candidate_count() {
    type Edit = fn(&str) -> String;
    let same: Edit = str::to_owned;
    let clients = |edit: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(crate::support::root().join("policies/clients.yaml")).unwrap();
        edit(text.split("tests:").next().unwrap().to_owned())
    };
    let acme = "  acme-sync:\n";
    let disabled = clients(&|text| text.replace(acme, &format!("{acme}    enabled: false\n")));
    let revoked =
        |time: &str| clients(&|text| text.replace(acme, &format!("{acme}    revoked_before: {time}\n")));
    let gone = clients(&|text| text.replace("acme-sync", "acme-other"));
    let listed = "version: 1\nrevoked_tokens: [forged]\n".to_owned();
    let rows: [(&str, Edit, &str, String, Option<&str>); 7] = [
        ("the same", same, "clients.yaml", clients(&|text| text), None),
        ("disabled", same, "clients.yaml", disabled, Some("client `acme-sync` is disabled")),
        ("revoked before the token", same, "clients.yaml", revoked("2026-11-23T12:00:00Z"), None),
        (
            "revoked after the token",
            same,
            "clients.yaml",
            revoked("2026-11-23T12:00:01Z"),
            Some("it was issued before client `acme-sync`'s `revoked_before`"),
        ),
        ("gone", same, "clients.yaml", gone, Some("client `acme-sync` no longer exists")),
        ("the token is listed", same, "ended.yaml", listed, Some("the token was revoked")),
        (
            "without a word about the API, which is built in",
            |_| "version: 1\n".to_owned(),
            "clients.yaml",
            clients(&|text| text),
            None,
        ),
    ];
    for (name, edit, file, text, detail) in rows {
        let scene = Scene::with(edit, &[(file, &text)]).await;
        let token = scene.token("acme-sync");
        let lines = logged(|| assert!(scene.ask("/principal", Some(&token)), "{name}"));
        let details: Vec<_> = lines.iter().map(|line| line["detail"].as_str().unwrap()).collect();
        assert_eq!(details, Vec::from_iter(detail), "{name}");
        assert_eq!(scene.counts(), (1, 0, u64::from(detail.is_some())), "{name}");
    }
}

fn candidate_dir(settings: &Settings) -> std::path::PathBuf {
    settings.policies.dir.with_file_name("candidate")
}

async fn candidate_of(app: &TestApp) -> Value {
    let operator = app.token_of("operator", "jeton").await;
    let answer = app.http.get(app.url("/ops/policies")).bearer_auth(operator).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["candidate"].take()
}

#[actix_web::test]
async fn a_candidate_that_is_broken_harms_nothing_and_is_taken_when_it_is_mended() {
    let app = spawn_app_with(Setup {
        settings: |settings| {
            let dir = candidate_dir(settings);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("a.yaml"), "version: 1\nunknown: 1\n").unwrap();
            settings.policies.candidate = Some(dir);
        },
        ..Setup::default()
    });
    let dir = app.dir.path().join("candidate");
    let readyz = async || {
        let answer = app.get("/readyz").await;
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()
    };
    // broken at the start
    let at_start = readyz().await["candidate"].take();
    let error = json!({ "at": "2026-11-23T12:00:00Z", "findings": 1, "first": "a.yaml:2:1: unknown-key" });
    assert_eq!(at_start, json!({ "hash": null, "loaded_at": null, "last_reload_error": error }));
    let seen = candidate_of(&app).await;
    assert_eq!((&seen["hash"], &seen["compared"]), (&json!(null), &json!(0)));
    assert_eq!(seen["last_rejection"]["findings"][0]["code"], "unknown-key", "{seen}");
    let answer = app.post_reload().await;
    assert_eq!(answer.status(), 200, "what is in force is fine");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["candidate"]["reloaded"], false);
    assert_eq!(answer["candidate"]["findings"][0]["code"], "unknown-key", "{answer}");
    // mended
    fs::remove_file(dir.join("a.yaml")).unwrap();
    install_policies(&dir);
    app.clock.advance(10);
    let answer: Value = app.post_reload().await.json().await.unwrap();
    let hash = answer["hash"].clone();
    assert_eq!(answer["candidate"], json!({ "reloaded": true, "hash": hash, "findings": null }));
    let loaded = json!({ "hash": hash, "loaded_at": "2026-11-23T12:00:10Z", "last_reload_error": null });
    assert_eq!(readyz().await["candidate"], loaded);
    let before = candidate_of(&app).await["compared"].as_u64().unwrap();
    app.get("/principal").await;
    let after = candidate_of(&app).await;
    // and two that asked for the counts
    assert_eq!(after["compared"].as_u64().unwrap() - before, 2, "{after}");
    assert_eq!((&after["would_allow"], &after["would_deny"]), (&json!(0), &json!(0)));
    // broken later: the last good one is compared with
    fs::write(dir.join("b.yaml"), "version: 1\nunknown: 1\n").unwrap();
    let answer: Value = app.post_reload().await.json().await.unwrap();
    assert_eq!((&answer["candidate"]["reloaded"], &answer["candidate"]["hash"]), (&json!(false), &hash));
    let broken = readyz().await["candidate"].take();
    assert_eq!(broken["hash"], hash);
    assert_eq!(broken["last_reload_error"]["first"], "b.yaml:2:1: unknown-key");
    let before = candidate_of(&app).await["compared"].as_u64().unwrap();
    assert!(candidate_of(&app).await["compared"].as_u64().unwrap() > before);
    fs::remove_file(dir.join("b.yaml")).unwrap();
    app.post_reload().await;
    assert_eq!(readyz().await["candidate"], loaded, "as if nothing had been");
}

#[actix_web::test]
async fn without_the_setting_nothing_is_told() {
    let app = spawn_app();
    assert_eq!(candidate_of(&app).await, Value::Null);
    let answers: [Value; 2] =
        [app.get("/readyz").await.json().await.unwrap(), app.post_reload().await.json().await.unwrap()];
    for answer in answers {
        assert!(answer.get("candidate").is_none(), "{answer}");
    }
}

/// What is wrong is told, and not what an operator should look at besides.
#[actix_web::test]
async fn a_rejected_candidate_logs_no_warnings() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let candidate = dir.path().join("candidate");
    install_policies(&candidate);
    let unused = "version: 1\nscopes: { not:used: x }\n";
    let case = "tests:\n  - { as: {}, api: orders, allow: [GET /nowhere/at/all] }\n";
    fs::write(candidate.join("bad.yaml"), [unused, case].concat()).unwrap();
    fs::write(candidate.join("other.yml"), "x").unwrap();
    let mut binary = Binary::serve_in(dir, "[policies]\npoll = \"0s\"\ncandidate = \"candidate\"\n").await;
    let codes = |binary: &Binary| {
        let rejected = binary.lines_of("candidate.rejected");
        rejected.iter().map(|line| line["code"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let once = [None, Some("failed-test".to_owned())];
    assert_eq!(codes(&binary), once, "{}", binary.log_text());
    assert_eq!(binary.lines_of("candidate.rejected")[0]["count"], 1);
    binary.signal("HUP").await;
    binary.logged("candidate.rejected").await;
    fs::write(binary.dir.path().join("candidate/bad.yaml"), unused).unwrap();
    binary.signal("HUP").await;
    binary.logged("candidate.loaded").await;
    assert_eq!(codes(&binary), [once.clone(), once].concat());
}

/// The real program looks at the folder by itself, and says what it finds.
#[actix_web::test]
async fn the_candidate_is_watched() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let candidate = dir.path().join("candidate");
    install_policies(&candidate);
    let bad = candidate.join("bad.yaml");
    fs::write(&bad, "version: 1\nunknown: 1\n").unwrap();
    let mut binary = Binary::serve_in(dir, "[policies]\npoll = \"1s\"\ncandidate = \"candidate\"\n").await;
    let rejected = binary.lines_of("candidate.rejected");
    assert_eq!(rejected.len(), 2, "that it is, and why: {rejected:?}");
    assert!(rejected[1]["at"].as_str().unwrap().ends_with("candidate/bad.yaml:2:1"), "{rejected:?}");
    fs::remove_file(&bad).unwrap();
    binary.logged("candidate.loaded").await;
    fs::write(&bad, "version: 1\nunknown: 1\n").unwrap();
    binary.logged("candidate.rejected").await;
    fs::write(&bad, "version: 1\n").unwrap();
    binary.logged("candidate.reloaded").await;
    let policies = |path: &Path| fs::read_to_string(path.join("jeton.yaml")).unwrap();
    let candidate = binary.dir.path().join("candidate");
    let open = policies(&candidate)
        .replace("        require:\n          scope: jeton:principal\n", "        public: true\n");
    fs::write(candidate.join("jeton.yaml"), open).unwrap();
    let clients = fs::read_to_string(candidate.join("clients.yaml")).unwrap();
    fs::write(candidate.join("clients.yaml"), clients.split("tests:").next().unwrap()).unwrap();
    binary.signal("HUP").await;
    binary.logged("candidate.reloaded").await;
    let answer =
        crate::support::http_client().get(format!("http://{}/principal", binary.address)).send().await;
    assert_eq!(answer.unwrap().status(), 401, "never enforced");
    let line = binary.logged("decision.differs").await;
    assert_eq!(
        json!([line["in_force"], line["candidate"], line["rule"], line["candidate_rule"], line["client"]]),
        json!(["denied", "allowed", "principal", "principal", null]),
        "{line}"
    );
}
