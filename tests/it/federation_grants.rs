//! What a client gets that shows its platform's token, and where it may show it.
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::decoded,
    now,
    platform::{
        ACCESS_TOKEN, EXCHANGE, ID_TOKEN, JWT, JWT_BEARER, JWT_SPIFFE, Platform, as_assertion, as_subject,
        client, deployer,
    },
    redis::RedisServer,
    secrets, spawn_app, spawn_app_with,
};

fn spawn(policies: String) -> TestApp {
    spawn_app_with(Setup { policies: vec![("ci.yaml", policies)], ..Setup::default() })
}

/// The claims of the token that came.
async fn claims_of(app: &TestApp, form: &[(&str, &str)]) -> Value {
    let (status, body) = app.post_bare(form).await;
    assert_eq!(status, 200, "{body}");
    decoded(body["access_token"].as_str().unwrap()).1
}

#[actix_web::test]
async fn both_ways_answer_as_client_credentials_do() {
    let ci = Platform::start().await;
    let app = spawn(ci.policies(""));
    let token = ci.good(now());
    for assertion_type in [JWT_BEARER, JWT_SPIFFE] {
        for client_id in [None, Some("deployer")] {
            let mut form = as_assertion(assertion_type, &token);
            form.extend(client_id.map(|id| ("client_id", id)));
            let (status, body) = app.post_bare(&form).await;
            assert_eq!(status, 200, "{assertion_type} {client_id:?}: {body}");
            assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("orders:read")));
            assert!(body.get("refresh_token").is_none() && body.get("issued_token_type").is_none());
        }
    }
    for token_type in [JWT, ID_TOKEN] {
        for client_id in [None, Some("deployer")] {
            for wanted in [None, Some(ACCESS_TOKEN), Some(JWT)] {
                let mut form = as_subject(token_type, &token);
                form.extend(client_id.map(|id| ("client_id", id)));
                form.extend(wanted.map(|wanted| ("requested_token_type", wanted)));
                let (status, body) = app.post_bare(&form).await;
                assert_eq!(status, 200, "{token_type} {client_id:?} {wanted:?}: {body}");
                assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
                assert!(body.get("refresh_token").is_none());
            }
        }
    }
    let by_assertion = claims_of(&app, &as_assertion(JWT_BEARER, &token)).await;
    let by_exchange = claims_of(&app, &as_subject(JWT, &token)).await;
    for claims in [&by_assertion, &by_exchange] {
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("deployer"), &json!("deployer")));
        assert!(claims.get("act").is_none() && claims.get("exchanges").is_none(), "{claims}");
    }
    assert_eq!(by_assertion["exp"], by_exchange["exp"]);
    let own = [
        ("grant_type", EXCHANGE),
        ("resource", ISSUER),
        ("subject_token_type", JWT),
        ("subject_token", &token),
    ];
    let (_, body) = app.post_bare(&own).await;
    let principal = app.get_principal(body["access_token"].as_str().unwrap()).await;
    assert_eq!(principal.status(), 200);
}

#[actix_web::test]
async fn scopes_and_targets_are_those_of_the_client() {
    let ci = Platform::start().await;
    let app = spawn(ci.policies(""));
    let token = ci.good(now());
    for (name, more, expected) in [
        ("its scope", ("scope", "orders:read"), (200, Value::Null)),
        ("another scope", ("scope", "orders:write"), (400, json!("invalid_scope"))),
        ("no scope", ("scope", "a  b"), (400, json!("invalid_scope"))),
        ("another resource", ("audience", "https://other.example"), (400, json!("invalid_target"))),
    ] {
        for mut form in [as_assertion(JWT_BEARER, &token), as_subject(JWT, &token)] {
            form.push(more);
            let (status, body) = app.post_bare(&form).await;
            assert_eq!((status, body["error"].clone()), expected, "{name}: {body}");
        }
    }
}

#[actix_web::test]
async fn a_request_for_an_exchange_has_all_that_it_needs_and_no_more() {
    let ci = Platform::start().await;
    let own = format!("    token_exchange: true\n    {}\n", secrets("deployer"));
    let clients = deployer("deployer", &own);
    let app = spawn(format!("version: 1\nissuers:\n{}clients:\n{clients}", ci.issuer_yaml("")));
    let token = ci.good(now());
    let form = |changes: &[(&'static str, Option<&'static str>)]| {
        let mut form: Vec<(String, String)> = as_subject(JWT, &token)
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in changes {
            form.retain(|(own, _)| own != name);
            form.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
        }
        form
    };
    for (name, changes, expected) in [
        ("no subject token", &[("subject_token", None)][..], (400, "invalid_request")),
        ("no type", &[("subject_token_type", None)], (400, "invalid_request")),
        ("an access token's type", &[("subject_token_type", Some(ACCESS_TOKEN))], (401, "invalid_client")),
        (
            "a refresh token's type",
            &[("subject_token_type", Some("urn:ietf:params:oauth:token-type:refresh_token"))],
            (400, "invalid_request"),
        ),
        (
            "another wanted type",
            &[("requested_token_type", Some("urn:ietf:params:oauth:token-type:refresh_token"))],
            (400, "invalid_request"),
        ),
        (
            "an actor",
            &[("actor_token", Some("x")), ("actor_token_type", Some(JWT))],
            (400, "invalid_request"),
        ),
        (
            "a secret too",
            &[("client_id", Some("acme-sync")), ("client_secret", Some("x"))],
            (401, "invalid_client"),
        ),
        ("an assertion's type too", &[("client_assertion_type", Some(JWT_BEARER))], (400, "invalid_request")),
        ("another client", &[("client_id", Some("acme-sync"))], (400, "invalid_request")),
    ] {
        let answer = app.http.post(app.url("/oauth2/token")).form(&form(changes)).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((status, body["error"].as_str().unwrap()), expected, "{name}: {body}");
    }
    // with credentials of its own, a subject token of type `jwt` is one of ours
    let ours = app.token_of("acme-sync", "orders").await;
    let exchange = async |token_type: &str, token: &str| {
        let form = [("grant_type", EXCHANGE), ("subject_token_type", token_type), ("subject_token", token)];
        let (status, body) = app.post_form("/oauth2/token", "deployer", &form).await;
        (status, body["error"].clone())
    };
    assert_eq!(exchange(JWT, &ours).await, (200, Value::Null));
    assert_eq!(
        exchange(JWT, &token).await,
        (400, json!("invalid_request")),
        "a foreign token is none of ours"
    );
    assert_eq!(exchange(ID_TOKEN, &token).await, (400, json!("invalid_request")));
    let (status, body) = app.post_bare(&as_subject(JWT, &ours)).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (400, Some("invalid_request")),
        "our own token stands for nobody"
    );
}

/// Whoever shows nothing but a subject token learns which parameter of the exchange is wrong, and nothing of clients.
#[actix_web::test]
async fn an_exchange_without_authentication_names_the_parameter_that_is_wrong() {
    const KNOWN: &str = "subject_token_type must be urn:ietf:params:oauth:token-type:jwt or \
                         urn:ietf:params:oauth:token-type:id_token or urn:ietf:params:oauth:token-type:access_token";
    let ci = Platform::start().await;
    let app = spawn(ci.policies(""));
    let token = ci.good(now());
    let subject = ("subject_token", token.as_str());
    let of_type = |token_type| ("subject_token_type", token_type);
    let missing_type = "subject_token_type is missing";
    for (name, parameters, status, error, says) in [
        ("nothing", &[][..], 400, "invalid_request", "subject_token is missing"),
        ("a type alone", &[of_type(JWT)], 400, "invalid_request", "subject_token is missing"),
        ("ours alone", &[of_type(ACCESS_TOKEN)], 400, "invalid_request", "subject_token is missing"),
        (
            "an empty token",
            &[of_type(JWT), ("subject_token", "")],
            400,
            "invalid_request",
            "subject_token is",
        ),
        ("no type", &[subject], 400, "invalid_request", missing_type),
        ("no type and no token of anybody", &[("subject_token", "x")], 400, "invalid_request", missing_type),
        ("an empty type", &[subject, of_type("")], 400, "invalid_request", missing_type),
        ("an unknown type", &[subject, of_type("urn:x")], 400, "invalid_request", KNOWN),
        ("a short type", &[subject, of_type("jwt")], 400, "invalid_request", KNOWN),
        (
            "in capitals",
            &[subject, of_type("URN:IETF:PARAMS:OAUTH:TOKEN-TYPE:JWT")],
            400,
            "invalid_request",
            KNOWN,
        ),
        (
            "SAML",
            &[subject, of_type("urn:ietf:params:oauth:token-type:saml2")],
            400,
            "invalid_request",
            KNOWN,
        ),
        (
            "a token that is wanted",
            &[subject, of_type(JWT), ("requested_token_type", "urn:x")],
            400,
            "invalid_request",
            "requested_token_type must be",
        ),
        // a foreign token that is called one of ours: one of ours shows nobody
        ("ours", &[subject, of_type(ACCESS_TOKEN)], 401, "invalid_client", "authenticate with"),
    ] {
        let mut answers = Vec::new();
        for client_id in [None, Some("deployer"), Some("acme-sync"), Some("nobody")] {
            let mut form = vec![("grant_type", EXCHANGE)];
            form.extend_from_slice(parameters);
            form.extend(client_id.map(|id| ("client_id", id)));
            answers.push(app.post_bare(&form).await);
        }
        let (answered, body) = &answers[0];
        assert_eq!((*answered, body["error"].as_str()), (status, Some(error)), "{name}: {body}");
        assert!(body["error_description"].as_str().unwrap().starts_with(says), "{name}: {body}");
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{name} tells of clients: {answers:?}");
    }
}

#[actix_web::test]
async fn claims_come_from_the_platforms_token_beside_the_clients_own() {
    let ci = Platform::start().await;
    let taker = client("taker", r#"{ repository_id: { is: "4" } }"#, "    claims: { tenant: acme }\n").replace(
        "\n        claims:",
        "\n        claims_from: { repository: repository, pod: /kubernetes.io/pod/name, n: n }\n        claims:",
    );
    let policies = format!("version: 1\nissuers:\n{}clients:\n{taker}", ci.issuer_yaml(""));
    let app = spawn_app_with(Setup {
        policies: vec![("ci.yaml", policies)],
        settings: |settings| settings.tokens.reuse = Some(std::time::Duration::from_mins(10)),
        ..Setup::default()
    });
    let token = |repository: &str| {
        let mut claims = ci.claims(now());
        claims["repository_id"] = "4".into();
        claims["repository"] = repository.into();
        claims["kubernetes.io"] = json!({ "pod": { "name": "p-1" } });
        claims["n"] = 42.into();
        ci.sign(&claims)
    };
    for repository in ["one", "two", "one"] {
        for form in [as_assertion(JWT_BEARER, &token(repository)), as_subject(JWT, &token(repository))] {
            let claims = claims_of(&app, &form).await;
            assert_eq!(claims["repository"], repository, "what is handed out again is not another's");
            assert_eq!(
                (&claims["pod"], &claims["n"], &claims["tenant"]),
                (&json!("p-1"), &json!(42), &json!("acme"))
            );
        }
    }
}

#[actix_web::test]
async fn a_client_shows_it_wherever_clients_authenticate() {
    let ci = Platform::start().await;
    let app = spawn(format!(
        "version: 1\nissuers:\n{}clients:\n{}",
        ci.issuer_yaml(""),
        deployer(
            "deployer",
            &format!(
                "    introspect: true\n    refresh: true\n    token_exchange: true\n    {}\n",
                secrets("deployer")
            )
        )
    ));
    let token = ci.good(now());
    let ours = app.token_of("acme-sync", "orders").await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let answer = app.http.post(app.url(path)).form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let asserted = [("client_assertion_type", JWT_BEARER), ("client_assertion", token.as_str())];
    let with = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        asserted.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let send = async |path: &str, more: &[(&'static str, &str)]| {
        let form = with(more);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        post(path, &form).await
    };
    let (status, body) = send("/oauth2/introspect", &[("token", &ours)]).await;
    assert_eq!((status, &body["active"]), (200, &json!(true)), "{body}");
    let (status, body) = send("/oauth2/revoke", &[("token", &ours)]).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (400, Some("unsupported_token_type")),
        "no shared store: {body}"
    );
    // an exchange of a token of ours, authenticated by the platform's
    let (status, body) = send(
        "/oauth2/token",
        &[("grant_type", EXCHANGE), ("subject_token", &ours), ("subject_token_type", ACCESS_TOKEN)],
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(decoded(body["access_token"].as_str().unwrap()).1["sub"], "acme-sync");
    // no refresh token, and none is used
    let (status, body) =
        send("/oauth2/token", &[("grant_type", "client_credentials"), ("resource", ORDERS)]).await;
    assert_eq!((status, body.get("refresh_token")), (200, None), "{body}");
    let own = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let (_, body) = app.post_form("/oauth2/token", "deployer", &own).await;
    let refresh = body["refresh_token"].as_str().unwrap().to_owned();
    let (status, body) =
        send("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("unauthorized_client")), "{body}");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(app.post_form("/oauth2/token", "deployer", &form).await.0, 200, "the client itself may");
}

#[actix_web::test]
async fn discovery_names_the_method_where_a_client_is_federated() {
    let ci = Platform::start().await;
    let methods = async |app: &TestApp| {
        let body: Value = app.get("/.well-known/oauth-authorization-server").await.json().await.unwrap();
        assert!(body["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
        body["token_endpoint_auth_methods_supported"].as_array().unwrap().clone()
    };
    assert!(!methods(&spawn_app()).await.contains(&json!("spiffe_jwt")));
    let app = spawn(ci.policies(""));
    assert!(methods(&app).await.contains(&json!("spiffe_jwt")));
    app.write_policy("ci.yaml", "version: 1\n");
    assert_eq!(app.post_reload().await.status(), 200);
    assert!(!methods(&app).await.contains(&json!("spiffe_jwt")));
}

#[actix_web::test]
async fn a_failure_counts_for_the_address_and_a_good_token_passes() {
    let ci = Platform::start().await;
    let app = spawn_app_with(Setup {
        policies: vec![("ci.yaml", ci.policies(""))],
        settings: |settings| settings.limits.failures = jeton_oauth::RateLimit::parse("3/m").unwrap(),
        ..Setup::default()
    });
    let mut claims = ci.claims(now());
    claims["repository_id"] = "1".into();
    let bad = ci.sign(&claims);
    for (form, status) in [
        (as_subject(JWT, &bad), 400),
        (as_assertion(JWT_SPIFFE, &bad), 401),
        (as_assertion(JWT_BEARER, &bad), 401),
        (as_subject(JWT, &bad), 429),
        (as_assertion(JWT_BEARER, &bad), 429),
    ] {
        assert_eq!(app.post_bare(&form).await.0, status, "{form:?}");
    }
    assert!(app.takes(&ci.good(now())).await);
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn with_a_shared_store_a_token_is_taken_once_by_all_replicas() {
    let mut redis = RedisServer::start();
    let ci = Platform::start().await;
    let text = ci.policies("    single_use: true\n");
    let spawn = || {
        let policies = vec![("ci.yaml", text.clone())];
        spawn_app_with(Setup { policies, store: Some(redis.url()), ..Setup::default() })
    };
    let (one, two) = (spawn(), spawn());
    for app in [&one, &two] {
        app.is_ready().await;
    }
    let sign = |jti: usize| {
        let mut claims = ci.claims(now());
        claims["jti"] = jti.to_string().into();
        ci.sign(&claims)
    };
    for jti in 0..10 {
        let token = sign(jti);
        let (by_assertion, by_exchange) = (as_assertion(JWT_BEARER, &token), as_subject(JWT, &token));
        let (first, second) = tokio::join!(one.post_bare(&by_assertion), two.post_bare(&by_exchange));
        let taken = [first.0, second.0].into_iter().filter(|status| *status == 200).count();
        assert_eq!(taken, 1, "{first:?} {second:?}");
    }
    redis.stop();
    let token = sign(99);
    let (status, body) = one.post_bare(&as_subject(JWT, &token)).await;
    assert_eq!((status, body["error"].as_str()), (503, Some("temporarily_unavailable")));
    redis.start_again();
    one.until_answered(async || one.post_bare(&as_subject(JWT, &token)).await.0 == 200).await;
}
