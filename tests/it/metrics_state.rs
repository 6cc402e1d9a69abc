//! What metrics say of the state of a server, and that no request can make them more.
#![expect(clippy::float_cmp, reason = "counts and whole seconds are exact")]
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
    time::Duration,
};

use jeton::{
    config::{Settings, TlsSettings},
    telemetry::metrics::{DECLARED, DeclaredMetric},
};
use jeton_oauth::SignatureAlgorithm;
use jeton_verify::audit::{AuditedRequest, DecisionOutcome, TakenDecision};

use crate::support::{
    NOW, ORDERS, Setup, TestApp, install_key, now,
    redis::RedisServer,
    root,
    scrape::{Scrape, with_admin},
    secret, secrets, spawn_app_with,
    tls::{self, Authority},
};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: with_admin, ..Setup::default() })
}

/// A time after the start of a spawned server, as a sample.
#[expect(clippy::cast_precision_loss, reason = "a time of our days")]
fn at(seconds: i64) -> f64 {
    (now() + seconds) as f64
}

#[actix_web::test]
async fn the_answer_is_the_classic_text_format_and_stands_at_the_admin_listener_alone() {
    let app = spawn();
    let answer = app.get_admin("/metrics").await;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(app.get("/metrics").await.status(), 404);
    let scrape = app.scrape().await;
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.of("jeton_build_info"), [(version.as_str(), 1.0)]);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.value("process_open_fds") > 3.0);
    assert!(scrape.value("process_start_time_seconds") > 1.7e9);
}

/// Rates and alerts need a 0 before the first event.
#[actix_web::test]
async fn what_has_no_labels_or_known_ones_is_there_from_the_start() {
    let scrape = spawn().scrape().await;
    assert_eq!(scrape.value("jeton_decisions_dropped_total"), 0.0);
    assert_eq!(scrape.value("jeton_policies_rejected"), 0.0);
    assert_eq!(scrape.value("jeton_keys_rejected"), 0.0);
    assert_eq!(scrape.value("jeton_store_up"), 1.0);
    let fetches = ["discovery", "jwks"]
        .map(|kind| ["failed", "fetched"].map(|it| format!("kind=\"{kind}\",outcome=\"{it}\"")));
    let fetches = fetches.concat();
    let expected: Vec<_> = fetches.iter().map(|labels| (labels.as_str(), 0.0)).collect();
    assert_eq!(scrape.of("jeton_fetches_total"), expected);
}

/// It signs until somebody lets another one follow, however long that may be.
#[actix_web::test]
async fn the_only_key_changes_at_no_time_that_is_known() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        fs::remove_dir_all(&settings.keys.dir).unwrap();
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    assert_eq!(keys(&app.scrape().await), (vec![(r#"state="active",alg="RS256""#, 1.0)], None));
}

/// The hash of the policies in force, as the one sample has it.
fn hash(scrape: &Scrape) -> String {
    match scrape.of("jeton_policies_info")[..] {
        [(labels, 1.0)] => labels.to_owned(),
        ref other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn policies_tell_their_hash_when_they_were_loaded_and_whether_others_were_rejected() {
    let app = spawn();
    let loaded = "jeton_policies_loaded_timestamp_seconds";
    let rejected = "jeton_policies_rejected";
    let start = app.scrape().await;
    let ready: serde_json::Value = app.get("/readyz").await.json().await.unwrap();
    assert_eq!(hash(&start), format!("hash=\"{}\"", ready["policies"]["hash"].as_str().unwrap()));
    assert_eq!((start.value(loaded), start.value(rejected)), (at(0), 0.0));

    app.clock.advance(60);
    app.write_policy("more.yaml", "version: 1\nclients: wrong\n");
    assert_eq!(app.post_reload().await.status(), 422);
    let broken = app.scrape().await;
    assert_eq!((hash(&broken), broken.value(loaded), broken.value(rejected)), (hash(&start), at(0), 1.0));

    app.write_policy("more.yaml", "version: 1\nscopes: { 'more:read': x }\n");
    assert_eq!(app.post_reload().await.status(), 200);
    let mended = app.scrape().await;
    assert_ne!(hash(&mended), hash(&start));
    assert_eq!((mended.value(loaded), mended.value(rejected)), (at(60), 0.0));

    // without the change, it is as if nobody had tried
    app.write_policy("more.yaml", "no yaml: [");
    assert_eq!(app.post_reload().await.status(), 422);
    assert_eq!(app.scrape().await.value(rejected), 1.0);
    app.write_policy("more.yaml", "version: 1\nscopes: { 'more:read': x }\n");
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(app.scrape().await.value(rejected), 0.0);
}

#[actix_web::test]
async fn a_key_folder_that_is_wrong_is_told_until_it_is_right() {
    let app = spawn();
    let ring = app.dir.path().join("keys/keyring.yaml");
    let sound = fs::read_to_string(&ring).unwrap();
    fs::write(&ring, "keys: wrong\n").unwrap();
    assert_eq!(app.post_reload().await.status(), 422);
    let scrape = app.scrape().await;
    assert_eq!((scrape.value("jeton_keys_rejected"), scrape.value("jeton_policies_rejected")), (1.0, 0.0));
    fs::write(&ring, sound).unwrap();
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(app.scrape().await.value("jeton_keys_rejected"), 0.0);
}

/// How many keys there are in each state that has some, and when that changes next.
fn keys(scrape: &Scrape) -> (Vec<(&str, f64)>, Option<f64>) {
    let each = scrape.of("jeton_keys").into_iter().filter(|(_, count)| *count > 0.0).collect();
    let next = scrape.of("jeton_key_next_change_timestamp_seconds");
    (each, next.first().map(|(_, at)| *at))
}

#[actix_web::test]
async fn keys_are_counted_by_state_as_time_passes() {
    let app = spawn();
    let dir = app.dir.path().join("keys");
    install_key("test-only-other.pem", &dir);
    let ring = dir.join("keyring.yaml");
    let mut entries: Vec<String> = fs::read_to_string(&ring).unwrap().lines().map(str::to_owned).collect();
    *entries.last_mut().unwrap() = "    activates: 2026-11-23T14:00:00Z".to_owned();
    fs::write(&ring, entries.join("\n") + "\n").unwrap();
    assert_eq!(app.post_reload().await.status(), 200);

    let all = app.scrape().await;
    let states: Vec<_> = all.of("jeton_keys").iter().map(|(labels, _)| (*labels).to_owned()).collect();
    let expected =
        ["active", "expired", "next", "retired"].map(|state| format!("state=\"{state}\",alg=\"RS256\""));
    assert_eq!(states, expected, "also where there are none");
    let (active, next) = (r#"state="active",alg="RS256""#, r#"state="next",alg="RS256""#);
    let (retired, expired) = (r#"state="retired",alg="RS256""#, r#"state="expired",alg="RS256""#);
    assert_eq!(keys(&all), (vec![(active, 1.0), (next, 1.0)], Some(at(2 * HOUR))));
    app.clock.advance(2 * HOUR - 1);
    assert_eq!(keys(&app.scrape().await), (vec![(active, 1.0), (next, 1.0)], Some(at(2 * HOUR))));
    app.clock.advance(1);
    // as long as a refresh token may live, and the leeway
    let gone = 2 * HOUR + 30 * DAY + 30;
    assert_eq!(keys(&app.scrape().await), (vec![(active, 1.0), (retired, 1.0)], Some(at(gone))));
    app.clock.advance(30 * DAY + 30);
    assert_eq!(keys(&app.scrape().await), (vec![(active, 1.0), (expired, 1.0)], None));
}

/// The server here has no business with the clock of the test, so it rotates by hand alone: the rotation stays due.
#[actix_web::test]
async fn a_rotation_that_is_overdue_lies_in_the_past() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        settings.keys.rotate_every = Some(Duration::from_hours(24 * 400));
        settings.keys.algorithm = SignatureAlgorithm::Rs256;
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    // the key signs since the first of January; the next one is published an hour ahead
    let first: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let start: jiff::Timestamp = NOW.parse().unwrap();
    let due = at(first.as_second() - start.as_second() + 400 * DAY - HOUR);
    assert_eq!(keys(&app.scrape().await).1, Some(due));
    fs::remove_dir_all(app.dir.path().join("keys")).unwrap();
    app.clock.advance(100 * DAY);
    assert_eq!(keys(&app.scrape().await).1, Some(due), "it is past, and the same");
}

#[actix_web::test]
async fn a_store_that_is_away_is_down() {
    let away = RedisServer::away();
    let policies =
        vec![("agent.yaml", client("agent").replace("    grants", "    refresh: true\n    grants"))];
    let app =
        spawn_app_with(Setup { store: Some(away.url()), policies, settings: with_admin, ..Setup::default() });
    assert_eq!(app.scrape().await.value("jeton_store_up"), 0.0);

    // nothing can be judged, which is our fault, and counts all the same
    let token = app.token_of("acme-sync", "jeton").await;
    assert_eq!(app.get_principal(&token).await.status(), 503);
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let (_, pair) = app.post_form("/oauth2/token", "agent", &form).await;
    let refresh = pair["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(app.post_form("/oauth2/token", "agent", &form).await.0, 503);
    let scrape = app.scrape().await;
    assert_eq!(scrape.of("jeton_decisions_total"), [(r#"api="jeton",rule="none",outcome="denied""#, 1.0)]);
    let refused = r#"grant="refresh_token",error="temporarily_unavailable",client="agent""#;
    assert_eq!(scrape.of("jeton_token_requests_refused_total"), [(refused, 1.0)]);
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_store_is_up_while_it_answers() {
    let mut store = RedisServer::start();
    let app = spawn_app_with(Setup { store: Some(store.url()), settings: with_admin, ..Setup::default() });
    let is =
        async |up: f64| app.until_answered(async || app.scrape().await.value("jeton_store_up") == up).await;
    is(1.0).await;
    store.stop();
    is(0.0).await;
    store.start_again();
    is(1.0).await;
}

#[actix_web::test]
async fn decisions_that_the_disk_does_not_take_are_counted() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        settings.log.decisions = Some("/dev/full".into());
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let filler = "x".repeat(8_000);
    for number in 0..3_000 {
        let path = format!("/{number}{filler}");
        let asked = AuditedRequest { api: "orders", method: "GET", path: &path, bearer: None };
        let outcome = DecisionOutcome::Unauthenticated;
        let taken = TakenDecision { outcome, rule: None, reason: "no-route", detail: None };
        app.audit.tell(&asked, &taken, None);
    }
    let dropped = app.scrape().await.value("jeton_decisions_dropped_total");
    // 24 MB are told, and 8 MiB wait at most
    assert!((1_000.0..3_000.0).contains(&dropped), "{dropped}");
}

#[actix_web::test]
async fn a_certificate_tells_when_it_expires_and_whether_another_was_rejected() {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        let dir = settings.keys.dir.parent().unwrap();
        AUTHORITY.pair_for((2026, 1, 1), (2027, 1, 1)).write(dir);
        let tls = TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") };
        settings.admin.as_mut().unwrap().tls = Some(tls);
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let admin = app.admin.unwrap().to_string();
    let told = async || {
        let mut stream = AUTHORITY.connect(&admin).await.unwrap();
        let scrape = Scrape::parse(&tls::get(&mut stream, "/metrics").await.unwrap().1);
        let of = |name: &str| match scrape.of(name)[..] {
            [("listener=\"admin\"", value)] => value,
            ref other => panic!("{name}: {other:?}"),
        };
        (of("jeton_tls_certificate_expiry_timestamp_seconds"), of("jeton_tls_rejected"))
    };
    let expiry = |time: &str| at(time.parse::<jiff::Timestamp>().unwrap().as_second() - now());
    assert_eq!(told().await, (expiry("2027-01-01T00:00:00Z"), 0.0));
    let next = AUTHORITY.pair_for((2026, 1, 1), (2028, 1, 1));
    fs::write(app.dir.path().join("cert.pem"), &next.cert).unwrap();
    assert_eq!(app.post_reload().await.status(), 422, "its key is another one");
    assert_eq!(told().await, (expiry("2027-01-01T00:00:00Z"), 1.0));
    next.write(app.dir.path());
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(told().await, (expiry("2028-01-01T00:00:00Z"), 0.0));
}

/// A client with a name of its own.
fn client(id: &str) -> String {
    format!(
        "version: 1\nclients:\n  {id}:\n    {}\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        secrets(id)
    )
}

async fn fetch(app: &TestApp, client: &str, status: u16) {
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    assert_eq!(app.post_token(client, &form).send().await.unwrap().status(), status, "{client}");
}

/// In a folder that is edited for years, each name leaves something behind, or nothing.
#[actix_web::test]
async fn names_that_left_the_files_leave_with_the_change_after() {
    let app = spawn_app_with(Setup {
        policies: vec![("one.yaml", client("one"))],
        settings: with_admin,
        ..Setup::default()
    });
    fetch(&app, "one", 200).await;
    let names = async || {
        let scrape = app.scrape().await;
        let clients = scrape.labels().into_iter().filter(|(label, _)| *label == "client");
        clients.map(|(_, client)| client.to_owned()).collect::<BTreeSet<_>>()
    };
    for round in 0..4 {
        let (before, id) =
            (if round == 0 { "one".to_owned() } else { format!("c{}", round - 1) }, format!("c{round}"));
        app.write_policy("one.yaml", &client(&id));
        assert_eq!(app.post_reload().await.status(), 200);
        // what left is there to be scraped once more
        assert!(names().await.contains(&before), "{round}");
        fetch(&app, &id, 200).await;
        fetch(&app, &before, 401).await;
        let expected = ["operator", "unknown", &before, &id].map(str::to_owned);
        assert_eq!(names().await, BTreeSet::from(expected), "{round}");
        app.write_policy("two.yaml", &format!("version: 1\nscopes: {{ 'x{round}:read': x }}\n"));
        assert_eq!(app.post_reload().await.status(), 200);
        assert_eq!(names().await, BTreeSet::from(["operator", "unknown", &id].map(str::to_owned)), "{round}");
        app.write_policy("two.yaml", "version: 1\n");
    }
}

/// Everything that a stranger can choose, chosen in many ways.
#[actix_web::test]
async fn no_request_adds_a_series() {
    let app = spawn();
    let flood = async |rounds: std::ops::Range<u32>| {
        for n in rounds {
            let id = format!("invented-{n}");
            let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
            fetch(&app, &id, 401).await;
            let in_form = [form[0], ("client_id", id.as_str()), ("client_secret", &id)];
            let post = |path: &str| app.http.post(app.url(path));
            assert_eq!(post("/oauth2/token").form(&in_form).send().await.unwrap().status(), 401);
            let grant = format!("urn:invented:{n}");
            assert_eq!(
                app.post_token("operator", &[("grant_type", &grant)]).send().await.unwrap().status(),
                400
            );
            let resource = format!("https://invented-{n}.example");
            let of_api = [form[0], ("resource", resource.as_str())];
            assert_eq!(app.post_token("acme-sync", &of_api).send().await.unwrap().status(), 400);
            let introspect = post("/oauth2/introspect").basic_auth(&id, Some(secret(&id)));
            assert_eq!(introspect.form(&[("token", &id)]).send().await.unwrap().status(), 401);
            for (method, path) in [
                ("GET", format!("/invented-{n}")),
                ("GET", format!("/authz/invented-{n}")),
                ("GET", format!("/status/invented-{n}")),
                ("GET", format!("/principal?invented-{n}")),
                ("GET", format!("/ops/invented-{n}")),
            ] {
                let request = app.http.request(method.parse().unwrap(), app.url(&path));
                let host = format!("invented-{n}.example");
                request.header("X-Original-Host", host).bearer_auth(&id).send().await.unwrap();
            }
            let method = format!("INVENTED{n}");
            app.http.request(method.parse().unwrap(), app.url("/healthz")).send().await.unwrap();
            app.get_admin(&format!("/invented-{n}")).await;
        }
    };
    flood(0..1).await;
    // the scrape before it was measured
    app.scrape().await;
    let before = app.scrape().await;
    flood(1..300).await;
    let after = app.scrape().await;
    let names =
        |scrape: &Scrape| scrape.samples.iter().map(|(sample, _)| sample.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&after), names(&before));
    assert!(!after.samples.iter().any(|(sample, _)| sample.to_lowercase().contains("invented")));
    let refused = after.of("jeton_token_requests_refused_total");
    let unknown = r#"grant="client_credentials",error="invalid_client",client="unknown""#;
    assert!(refused.contains(&(unknown, 600.0)), "{refused:?}");
}

/// The rows of the table in `docs/reference/metrics.md`, by the declarations.
fn declared() -> BTreeMap<&'static str, String> {
    let row = |metric: &&DeclaredMetric| {
        let DeclaredMetric { name, kind, labels, meaning } = **metric;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        (name, format!("| `{name}` | {} | {} | {meaning} |", kind.as_str(), labels.join(", ")))
    };
    DECLARED.iter().map(row).collect()
}

#[test]
fn the_reference_has_every_metric_as_it_is_declared() {
    let declared: BTreeSet<_> = declared().into_values().collect();
    let reference = fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let (_, table) =
        reference.split_once("| metric | type | labels | meaning |\n|---|---|---|---|\n").unwrap();
    let told: BTreeSet<_> =
        table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    let only =
        |these: &BTreeSet<String>, others| these.difference(others).cloned().collect::<Vec<_>>().join("\n");
    let (untold, undeclared) = (only(&declared, &told), only(&told, &declared));
    assert!(told == declared, "docs/reference/metrics.md should say:\n{untold}\nin place of:\n{undeclared}");
    let guide = fs::read_to_string(root().join("docs/watching.md")).unwrap();
    for DeclaredMetric { name, .. } in DECLARED {
        assert!(guide.contains(&format!("`{name}")), "docs/watching.md says nothing of {name}");
    }
}

/// What is scraped is what is declared, in name, type and labels.
#[actix_web::test]
async fn a_scrape_has_the_metrics_that_are_declared() {
    let app = spawn_app_with(Setup {
        settings: |settings| {
            with_admin(settings);
            settings.tokens.reuse = Some(Duration::from_mins(1));
        },
        policies: vec![(
            "asking.yaml",
            client("asking").replace("    grants", "    introspect: true\n    grants"),
        )],
        ..Setup::default()
    });
    fetch(&app, "asking", 200).await;
    fetch(&app, "asking", 200).await;
    fetch(&app, "nobody", 401).await;
    app.get("/principal").await;
    app.post_form("/oauth2/introspect", "asking", &[("token", "x")]).await;
    let scrape = app.scrape().await;
    let reference = fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let by_name: BTreeMap<_, _> = DECLARED.iter().map(|metric| (metric.name, metric)).collect();
    for (name, kind) in &scrape.types {
        if name.starts_with("process_") {
            assert!(reference.contains(&format!("`{name}`")), "{name}");
            continue;
        }
        let metric = by_name.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(metric.kind.as_str(), kind, "{name}");
        let mut of_it = scrape.samples.iter().filter(|(sample, _)| sample.starts_with(name.as_str()));
        let (sample, _) = of_it.next().unwrap();
        let of_sample = Scrape { types: BTreeMap::new(), samples: vec![(sample.clone(), 0.0)] };
        let labels: Vec<_> =
            of_sample.labels().into_iter().map(|(label, _)| label).filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels, "{name}");
    }
    let seldom = [
        // `bundles` has it
        "jeton_bundles_fetched_total",
        "jeton_rate_limited_total",
        "jeton_key_next_change_timestamp_seconds",
        "jeton_tls_certificate_expiry_timestamp_seconds",
        "jeton_tls_rejected",
        "jeton_issuer_keys_age_seconds",
    ];
    for name in by_name.keys().filter(|name| !seldom.contains(*name)) {
        assert!(scrape.types.contains_key(*name), "{name} is not scraped");
    }
}
