//! Tokens that are ended before their time: by the files, by their client, and how that is told.

use jeton::{
    config::{GatewayApis, GatewaySettings, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_jose::PublicKeys;
use jeton_oauth::ApiName;
use jeton_verify::status::StatusList;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::{Draft, Forge, decoded},
    now,
    redis::RedisServer,
    secret_hash, secrets, spawn_app, spawn_app_with,
};

/// `agent` fetches tokens, `gateway` asks about them, `relay` exchanges them.
fn policies(of_agent: &str, of_relay: &str) -> String {
    let grants = "grants: { orders: { scopes: [orders:read] }, jeton: { scopes: [jeton:principal] } }";
    format!(
        "version: 1
clients:
  agent:
    {}
    {grants}
    claims: {{ tenant: acme, active: maybe, tier: 3 }}
{of_agent}
  gateway:
    {}
    introspect: true
    {grants}
  nameless:
    {}
    anonymous: true
    {grants}
  relay:
    {}
    token_exchange: true
    {grants}
{of_relay}
",
        secrets("agent"),
        secrets("gateway"),
        secrets("nameless"),
        secrets("relay")
    )
}

fn spawn_with(store: Option<String>) -> TestApp {
    let policies = vec![("ended.yaml", policies("", ""))];
    spawn_app_with(Setup { policies, store, settings: with_gateway, ..Setup::default() })
}

/// At `/authz/edge`, where a token that is sent must be in force, on a public route too.
fn with_gateway(settings: &mut Settings) {
    settings.gateways = vec![GatewaySettings {
        name: GatewayName::parse("edge").unwrap(),
        kind: GatewayKind::parse("nginx").unwrap(),
        apis: GatewayApis::One { api: ApiName::parse("orders").unwrap(), origin: None },
        trusted_peers: TrustedPeers::parse(&["127.0.0.1".to_owned()]).unwrap(),
        claims: Vec::new(),
    }];
}

async fn fetch(app: &TestApp, client: &str) -> String {
    fetch_for(app, client, ORDERS).await
}

async fn fetch_for(app: &TestApp, client: &str, resource: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    let (status, body) = app.post_form("/oauth2/token", client, &form).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

async fn exchange(app: &TestApp, subject: &str) -> String {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", subject),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let (status, body) = app.post_form("/oauth2/token", "relay", &form).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

async fn introspect(app: &TestApp, token: &str) -> Value {
    let (status, body) = app.post_form("/oauth2/introspect", "gateway", &[("token", token)]).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// What introspection says and what a decision says are one.
async fn is_in_force(app: &TestApp, token: &str) -> bool {
    let active = introspect(app, token).await["active"].as_bool().unwrap();
    let question = app.http.get(app.url("/authz/edge")).bearer_auth(token);
    let question = question.header("x-original-method", "GET").header("x-original-uri", "/healthz");
    let status = question.send().await.unwrap().status().as_u16();
    assert_eq!(status, if active { 200 } else { 401 }, "the decision against introspection");
    active
}

fn time(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

#[actix_web::test]
async fn rfc7662_2_2_a_live_token_is_told_in_full() {
    let app = spawn_with(None);
    let token = fetch(&app, "agent").await;
    let jti = decoded(&token).1["jti"].clone();
    let expected = json!({
        "active": true, "token_type": "Bearer", "iss": ISSUER, "aud": ORDERS, "sub": "agent", "client_id": "agent",
        "exp": now() + 3600, "iat": now(), "jti": jti, "scope": "orders:read", "tenant": "acme", "tier": 3,
    });
    assert_eq!(introspect(&app, &token).await, expected, "and no claim passes for a member of the answer");
    let exchanged = introspect(&app, &exchange(&app, &token).await).await;
    assert_eq!((&exchanged["sub"], &exchanged["client_id"]), (&json!("agent"), &json!("relay")));
    assert_eq!(exchanged["exchanges"], 1);
    let nameless = introspect(&app, &fetch(&app, "nameless").await).await;
    assert_eq!(
        (&nameless["active"], nameless.get("sub"), nameless.get("client_id")),
        (&json!(true), None, None)
    );
    let other_api = introspect(&app, &fetch_for(&app, "agent", ISSUER).await).await;
    assert_eq!((&other_api["active"], &other_api["aud"]), (&json!(true), &json!(ISSUER)));
}

#[actix_web::test]
async fn rfc7662_2_2_of_any_other_token_nothing_is_told() {
    let app = spawn_with(None);
    let forge = Forge::with_the_servers_key();
    let draft = || Draft::good(&forge.kid(), now());
    let other = Forge::with("test-only-other.pem");
    assert_eq!(
        introspect(&app, &draft().sign(&forge)).await["active"],
        true,
        "the one that all are made from"
    );
    for (name, token) in [
        ("no token", "x".to_owned()),
        ("another key", draft().sign(&other)),
        ("expired to the second", draft().claim("exp", now().to_string()).sign(&forge)),
        ("another issuer", draft().claim("iss", "\"https://elsewhere.example\"").sign(&forge)),
        (
            "a client that no longer exists",
            draft().claim("client_id", "\"gone\"").claim("sub", "\"gone\"").sign(&forge),
        ),
        ("a subject that is gone", draft().claim("sub", "\"gone\"").sign(&forge)),
        ("another kind", draft().header("typ", "\"statuslist+jwt\"").sign(&forge)),
        ("too long", "x".repeat(9000)),
    ] {
        assert_eq!(introspect(&app, &token).await, json!({ "active": false }), "{name}");
    }
}

#[actix_web::test]
async fn rfc7662_2_1_only_clients_that_may_ask_are_answered() {
    let app = spawn_with(None);
    let token = fetch(&app, "agent").await;
    let (status, body) = app.post_form("/oauth2/introspect", "agent", &[("token", &token)]).await;
    assert_eq!((status, &body["error"]), (400, &json!("unauthorized_client")));
    let (status, body) = app.post_form("/oauth2/introspect", "gateway", &[]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    let wrong = app.http.post(app.url("/oauth2/introspect")).basic_auth("gateway", Some("wrong"));
    let wrong = wrong.form(&[("token", &token)]).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let anonymous = app.http.post(app.url(path)).form(&[("token", &token)]).send().await.unwrap();
        assert_eq!(anonymous.status(), 401, "{path}");
        let get = app.get(path).await;
        assert_eq!(
            (get.status().as_u16(), get.headers()["allow"].to_str().unwrap()),
            (405, "POST"),
            "{path}"
        );
        let twice = app.http.post(app.url(path)).basic_auth("gateway", Some("demo-secret-of-gateway"));
        let twice = twice.header("content-type", "application/x-www-form-urlencoded").body("token=a&token=b");
        assert_eq!(twice.send().await.unwrap().status(), 400, "{path}: a parameter twice");
    }
}

/// Each edit of the files ends the tokens of before, at the next reload and nowhere else.
#[actix_web::test]
async fn what_the_files_revoke_is_ended_at_the_next_reload() {
    let app = spawn_with(None);
    let old = fetch(&app, "agent").await;
    let jti = decoded(&old).1["jti"].as_str().unwrap().to_owned();
    app.clock.advance(10);
    let by_relay = exchange(&app, &old).await;
    let nameless = fetch(&app, "nameless").await;
    app.clock.advance(10);
    let new = fetch(&app, "agent").await;
    let reload = async |policy: &str| {
        app.write_policy("ended.yaml", policy);
        assert_eq!(app.post_reload().await.status(), 200);
    };
    let revoked_at = |seconds: i64| format!("    revoked_before: {}", time(now() + seconds));
    let listed = |entry: &str| format!("{}revoked_tokens:\n  - {entry}\n", policies("", ""));
    for (name, policy, old_lives, relay_lives, new_lives) in [
        ("nothing", policies("", ""), true, true, true),
        ("disabled", policies("    enabled: false", ""), false, false, false),
        // the exchanged one is as old as what it came from, though it was made after the revocation
        ("revoked between", policies(&revoked_at(5), ""), false, false, true),
        ("revoked before both", policies(&revoked_at(0), ""), true, true, true),
        ("revoked after both", policies(&revoked_at(20), ""), false, false, true),
        ("the exchanger is revoked", policies("", &revoked_at(11)), true, false, true),
        ("the exchanger is disabled", policies("", "    enabled: false"), true, false, true),
        ("the token is listed, and what came of it", listed(&jti), false, false, true),
        (
            "listed with a time",
            listed(&format!("{{ jti: {jti}, until: {} }}", time(now() + 9000))),
            false,
            false,
            true,
        ),
    ] {
        reload(&policy).await;
        for (which, token, lives) in
            [("old", &old, old_lives), ("by relay", &by_relay, relay_lives), ("new", &new, new_lives)]
        {
            assert_eq!(is_in_force(&app, token).await, lives, "{name}: {which}");
        }
        assert!(is_in_force(&app, &nameless).await, "{name}: it names nobody");
    }
}

/// Each client that a token passed through can end it.
#[actix_web::test]
async fn a_chain_ends_with_each_of_its_clients() {
    let app = spawn_with(None);
    let last = secret_hash("demo-secret-of-last");
    let of_last = format!(
        "  last:\n    secrets: [{{ sha256: {last} }}]\n    token_exchange: true\n    grants: {{ jeton: {{ scopes: [jeton:principal] }} }}\n"
    );
    let reload = async |agent: &str, relay: &str, last: &str| {
        app.write_policy("ended.yaml", &format!("{}{of_last}{last}", policies(agent, relay)));
        assert_eq!(app.post_reload().await.status(), 200);
    };
    reload("", "", "").await;
    let first = fetch(&app, "agent").await;
    app.clock.advance(5);
    let second = exchange(&app, &first).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &second),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let (_, body) = app.post_form("/oauth2/token", "last", &form).await;
    let third = body["access_token"].as_str().unwrap();
    assert_eq!(
        decoded(third).1["act"],
        json!({ "sub": "last", "act": { "sub": "relay" } }),
        "RFC 8693 section 4.1"
    );
    assert!(is_in_force(&app, third).await);
    let off = "    enabled: false";
    let before = format!("    revoked_before: {}", time(now() + 3));
    for (name, agent, relay, last) in [
        ("the subject", off, "", ""),
        ("the first exchanger", "", off, ""),
        ("the last exchanger", "", "", off),
        ("the first exchanger's revoked_before", "", before.as_str(), ""),
    ] {
        reload(agent, relay, last).await;
        assert!(!is_in_force(&app, third).await, "{name}");
    }
    reload("", "", "").await;
    assert!(is_in_force(&app, third).await);
    // and each token on the way
    for token in [first.as_str(), &second, third] {
        let jti = decoded(token).1["jti"].as_str().unwrap().to_owned();
        reload("", "", &format!("revoked_tokens: [{jti}]\n")).await;
        assert!(!is_in_force(&app, third).await, "{jti}");
    }
}

#[actix_web::test]
async fn a_client_that_is_removed_takes_its_tokens_along() {
    let app = spawn_with(None);
    let token = fetch(&app, "agent").await;
    assert!(is_in_force(&app, &token).await);
    app.write_policy("ended.yaml", &policies("", "").replace("  agent:", "  agent-two:"));
    assert_eq!(app.post_reload().await.status(), 200);
    assert!(!is_in_force(&app, &token).await);
}

#[actix_web::test]
async fn while_revoked_before_lies_ahead_there_is_no_new_token() {
    let app = spawn_with(None);
    app.write_policy("ended.yaml", &policies(&format!("    revoked_before: {}", time(now() + 60)), ""));
    assert_eq!(app.post_reload().await.status(), 200);
    let form = [("grant_type", "client_credentials"), ("resource", ISSUER)];
    let (status, body) = app.post_form("/oauth2/token", "agent", &form).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    app.clock.advance(60);
    let token = fetch(&app, "agent").await;
    assert!(is_in_force(&app, &token).await);
}

#[actix_web::test]
async fn without_a_shared_store_no_revocation_is_promised() {
    let app = spawn_app();
    let metadata: Value = app.get("/.well-known/oauth-authorization-server").await.json().await.unwrap();
    assert_eq!(metadata.get("revocation_endpoint"), None);
    let token = app.token_of("acme-sync", "jeton").await;
    for token in [token.as_str(), "x"] {
        let (status, body) = app.post_form("/oauth2/revoke", "acme-sync", &[("token", token)]).await;
        assert_eq!(
            (status, &body["error"]),
            (400, &json!("unsupported_token_type")),
            "RFC 7009 section 2.2.1"
        );
    }
    assert_eq!(app.get_principal(&token).await.status(), 200);
    let (status, _) = app.post_form("/oauth2/revoke", "nobody", &[("token", &token)]).await;
    assert_eq!(status, 401, "who asks comes first");
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn rfc7009_a_client_ends_its_own_token_everywhere() {
    let redis = RedisServer::start();
    let (one, two) = (spawn_with(Some(redis.url())), spawn_with(Some(redis.url())));
    for app in [&one, &two] {
        app.is_ready().await;
    }
    let metadata: Value = one.get("/.well-known/oauth-authorization-server").await.json().await.unwrap();
    assert_eq!(metadata["revocation_endpoint"], format!("{ISSUER}/oauth2/revoke"));
    let (token, other) = (fetch(&one, "agent").await, fetch(&one, "agent").await);
    let exchanged = exchange(&one, &token).await;
    let nameless = fetch(&one, "nameless").await;
    for (name, client, token, status, error) in [
        ("another client's", "gateway", &token, 400, "unauthorized_client"),
        ("nobody's", "agent", &nameless, 400, "unsupported_token_type"),
    ] {
        let (answered, body) = one.post_form("/oauth2/revoke", client, &[("token", token)]).await;
        assert_eq!((answered, &body["error"]), (status, &json!(error)), "{name}");
        assert!(is_in_force(&one, token).await, "{name}");
    }
    let (status, body) = one.post_form("/oauth2/revoke", "agent", &[("token", "no token at all")]).await;
    assert_eq!((status, body), (200, Value::Null), "RFC 7009 section 2.2");
    let hint = ("token_type_hint", "refresh_token");
    let (status, _) = one.post_form("/oauth2/revoke", "agent", &[("token", &token), hint]).await;
    assert_eq!(status, 200, "a wrong hint changes nothing");
    assert!(!is_in_force(&one, &token).await, "at once where it was revoked");
    two.until_inactive("gateway", &token).await;
    assert!(!is_in_force(&two, &token).await);
    for app in [&one, &two] {
        assert!(!is_in_force(app, &exchanged).await, "and what came of it");
    }
    for app in [&one, &two] {
        assert!(is_in_force(app, &other).await, "and no other");
    }
}

/// Introspection and decisions ask no network: with the store cut off both answer as before.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn with_the_store_cut_off_what_was_revoked_stays_so_and_the_rest_lives() {
    let mut redis = RedisServer::start();
    let app = spawn_with(Some(redis.url()));
    app.is_ready().await;
    let (ended, live) = (fetch(&app, "agent").await, fetch(&app, "agent").await);
    assert_eq!(app.post_form("/oauth2/revoke", "agent", &[("token", &ended)]).await.0, 200);
    redis.stop();
    assert!(!is_in_force(&app, &ended).await);
    assert!(is_in_force(&app, &live).await);
    let (status, body) = app.post_form("/oauth2/revoke", "agent", &[("token", &live)]).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")), "never a false success");
    assert!(is_in_force(&app, &live).await);
    assert!(is_in_force(&app, &fetch(&app, "agent").await).await, "a new one by its secret");
    // it comes back empty, and recovers by itself
    redis.start_again();
    app.until_answered(async || app.post_form("/oauth2/revoke", "agent", &[("token", &live)]).await.0 == 200)
        .await;
    assert!(!is_in_force(&app, &live).await);
    assert!(!is_in_force(&app, &ended).await);
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn until_the_store_told_what_is_revoked_no_token_is_judged() {
    let mut redis = RedisServer::away();
    let app = spawn_with(Some(redis.url()));
    let token = fetch(&app, "agent").await;
    let own = fetch_for(&app, "agent", ISSUER).await;
    assert_eq!(app.get("/readyz").await.status(), 503);
    let denied = app.get_principal(&own).await;
    assert_eq!(denied.status(), 503);
    assert!(denied.headers().contains_key("retry-after"));
    let (status, body) = app.post_form("/oauth2/introspect", "gateway", &[("token", &token)]).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
    redis.start_again();
    app.is_ready().await;
    assert!(is_in_force(&app, &token).await);
}

/// What an offline verifier sees that reads the key set and the status list, and asks nobody.
async fn offline(app: &TestApp, token: &str) -> bool {
    let (_, claims) = decoded(token);
    let reference = &claims["status"]["status_list"];
    let uri = reference["uri"].as_str().unwrap();
    let path = uri.strip_prefix(ISSUER).expect("the list stands below the issuer");
    let keys = app.get("/.well-known/jwks.json").await.bytes().await.unwrap();
    let keys = PublicKeys::from_jwks(&keys).unwrap();
    let answer = app.get(path).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &HeaderValue::from_static(TYPE))
    );
    let list = answer.text().await.unwrap();
    let (header, said) = decoded(&list);
    assert_eq!((&header["typ"], &said["sub"]), (&json!("statuslist+jwt"), &json!(uri)));
    assert!(!keys.named(header["kid"].as_str().unwrap()).is_empty(), "the key set has its key");
    let list = &said["status_list"];
    let list = StatusList::decode(list["lst"].as_str().unwrap(), list["bits"].as_u64().unwrap()).unwrap();
    list.status(reference["idx"].as_u64().unwrap()).expect("the list reaches that far") == 0
}

const TYPE: &str = "application/statuslist+jwt";

#[actix_web::test]
async fn offline_verifiers_see_a_revocation_and_take_no_new_token_for_revoked() {
    let app = spawn_with(None);
    let reload = async |of_agent: &str| {
        let of_agent = format!("    status_list: true\n{of_agent}");
        app.write_policy("ended.yaml", &policies(&of_agent, ""));
        assert_eq!(app.post_reload().await.status(), 200);
    };
    assert!(decoded(&fetch(&app, "agent").await).1.get("status").is_none(), "not by default");
    reload("").await;
    app.clock.advance(7);
    let old = fetch(&app, "agent").await;
    let exchanged = exchange(&app, &old).await;
    assert_eq!(decoded(&old).1["status"], decoded(&exchanged).1["status"], "the status is the subject's");
    assert!(offline(&app, &old).await && offline(&app, &exchanged).await);
    // in the middle of a minute, as it comes
    app.clock.advance(10);
    reload(&format!("    enabled: false\n    revoked_before: {}", time(now() + 17))).await;
    for token in [&old, &exchanged] {
        assert!(!offline(&app, token).await && !is_in_force(&app, token).await);
    }
    reload(&format!("    revoked_before: {}", time(now() + 17))).await;
    for wait in [0, 1, 42, 60] {
        app.clock.advance(wait);
        let new = fetch(&app, "agent").await;
        assert!(offline(&app, &new).await && is_in_force(&app, &new).await, "{wait} s later");
        assert!(!offline(&app, &old).await && !is_in_force(&app, &old).await, "{wait} s later");
    }
    assert_eq!(app.get("/status/AAAAAAAAAAAAAAAAAAAAAA").await.status(), 404, "a list of nobody");
}

#[actix_web::test]
async fn status_lists_are_cached_and_only_read() {
    let app = spawn_with(None);
    app.write_policy("ended.yaml", &policies("    status_list: true", ""));
    assert_eq!(app.post_reload().await.status(), 200);
    let (_, claims) = decoded(&fetch(&app, "agent").await);
    let uri = claims["status"]["status_list"]["uri"].as_str().unwrap();
    let url = app.url(uri.strip_prefix(ISSUER).unwrap());
    let first = app.http.get(&url).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let age = first.headers()["cache-control"].to_str().unwrap().to_owned();
    assert!(age.starts_with("public, max-age="), "{age}");
    let again = app.http.get(&url).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(app.http.head(&url).send().await.unwrap().status(), 200);
    assert_eq!(app.http.post(&url).send().await.unwrap().status(), 405);
}

/// `one` may ask about one API, `both` about two, `own` about jeton's, `all` about all, and `none` about none.
fn askers() -> String {
    let asker = |name: &str, introspect: &str| {
        format!(
            "  {name}:\n    {}\n    {introspect}\n    refresh: true\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
            secrets(name)
        )
    };
    [
        asker("one", "introspect: [orders]"),
        asker("both", "introspect: [jeton, orders]"),
        asker("own", "introspect: [jeton]"),
        asker("all", "introspect: true"),
        asker("none", "introspect: false"),
    ]
    .concat()
}

#[actix_web::test]
async fn a_client_introspects_the_tokens_of_its_apis_alone() {
    let text = policies("", "") + &askers();
    let app = spawn_app_with(Setup { policies: vec![("ended.yaml", text.clone())], ..Setup::default() });
    let ask = async |client: &str, token: &str| {
        let (status, body) = app.post_form("/oauth2/introspect", client, &[("token", token)]).await;
        (status, body["active"].as_bool(), body)
    };
    let of_orders = fetch(&app, "agent").await;
    let of_jeton = fetch_for(&app, "agent", ISSUER).await;
    let nameless = fetch_for(&app, "nameless", ISSUER).await;
    let refresh = async |client: &str| {
        let (_, body) = app.post_form("/oauth2/token", client, &[("grant_type", "client_credentials")]).await;
        body["refresh_token"].as_str().unwrap().to_owned()
    };
    for (client, orders, own) in
        [("one", true, false), ("both", true, true), ("own", false, true), ("all", true, true)]
    {
        for (name, token, active) in
            [("orders", &of_orders, orders), ("jeton", &of_jeton, own), ("nameless", &nameless, own)]
        {
            let (status, answer, body) = ask(client, token).await;
            assert_eq!((status, answer), (200, Some(active)), "{client} asks about {name}: {body}");
            // RFC 7662 section 2.2: nothing else is said
            assert_eq!(body == json!({ "active": false }), !active, "{client} asks about {name}: {body}");
        }
        let (_, active, body) = ask(client, &refresh(client).await).await;
        assert_eq!(active, Some(true), "{client} asks about its own refresh token: {body}");
        assert_eq!(ask(client, &refresh("none").await).await.1, Some(false), "of another client");
    }
    let (status, _, body) = ask("none", &of_orders).await;
    assert_eq!((status, &body["error"]), (400, &json!("unauthorized_client")));

    // a reload changes what may be asked, and the audience of an API is that of the policies in force
    app.write_policy("ended.yaml", &text.replace("introspect: [orders]", "introspect: [jeton]"));
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!((ask("one", &of_orders).await.1, ask("one", &of_jeton).await.1), (Some(false), Some(true)));
}
