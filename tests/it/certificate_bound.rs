//! Tokens that are bound to a certificate (RFC 8705 section 3): who gets one, and where it is taken.
use std::sync::LazyLock;

use jeton::config::Settings;
use serde_json::{Value, json};

use crate::{
    client_certificates::{SERVER, ask_by_proxy, by_listener, by_proxy, form},
    support::{
        ISSUER, Setup, TestApp,
        forge::decoded,
        holder::{Holder, connect, send},
        secret_hash,
        signer::Signer,
        spawn_app_with,
    },
};

static OWN: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("own"));
static PLAIN: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("plain"));
static BOUND: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("bound"));
static ABLE: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("able"));

/// `own` asks jeton itself, `able` refreshes, exchanges and introspects; `bound` gets bound tokens alone. Each has a secret too.
fn policies() -> String {
    let secret = secret_hash("hush");
    let orders = "orders: { scopes: [orders:read] }";
    let own = "jeton: { scopes: [jeton:principal, jeton:ops] }";
    let client = |id: &str, holder: &Holder, grants: &str, more: &str| {
        let pinned = holder.sha256();
        format!(
            "  {id}:\n    certificates: [{{ sha256: {pinned} }}]\n    secrets: [{{ sha256: {secret} }}]\n    grants: {{ {grants} }}\n{more}"
        )
    };
    [
        "version: 1\nclients:\n",
        &client("own", &OWN, own, ""),
        &client("plain", &PLAIN, orders, ""),
        &client("bound", &BOUND, orders, "    bound_tokens: true\n"),
        &client("able", &ABLE, orders, "    refresh: true\n    token_exchange: true\n    introspect: true\n"),
    ]
    .concat()
}

fn spawn(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { settings, policies: vec![("bound.yaml", policies())], ..Setup::default() })
}

fn own_form() -> String {
    format!(
        "grant_type=client_credentials&client_id=own&resource={}",
        ISSUER.replace(':', "%3A").replace('/', "%2F")
    )
}

fn cnf(body: &Value) -> Value {
    let (_, claims) = decoded(body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")));
    claims["cnf"].clone()
}

fn x5t(holder: &Holder) -> Value {
    json!({ "x5t#S256": holder.x5t_s256() })
}

#[actix_web::test]
async fn rfc_8705_3_1_a_token_is_bound_to_the_certificate_that_showed_the_client() {
    let app = spawn(by_proxy);
    let (plain, bound, other) = (PLAIN.headers(), BOUND.headers(), Holder::of_openssl("a mesh"));
    let secret = |id: &str| format!("{}&client_secret=hush", form(id));
    for (name, headers, form, expected) in [
        ("by the certificate", &plain, form("plain"), Ok(x5t(&PLAIN))),
        ("by a secret beside it", &plain, secret("plain"), Ok(Value::Null)),
        ("by a secret beside any", &other.headers(), secret("plain"), Ok(Value::Null)),
        ("by a secret", &Vec::new(), secret("plain"), Ok(Value::Null)),
        ("must be bound, by the certificate", &bound, form("bound"), Ok(x5t(&BOUND))),
        ("must be bound, by a secret beside it", &bound, secret("bound"), Ok(x5t(&BOUND))),
        ("must be bound, by a secret beside any", &other.headers(), secret("bound"), Ok(x5t(&other))),
        ("must be bound, by a secret alone", &Vec::new(), secret("bound"), Err(400)),
    ] {
        let (status, body) = ask_by_proxy(&app, headers, &form).await;
        match expected {
            Ok(expected) => {
                assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")), "{name}: {body}");
                assert_eq!(cnf(&body), expected, "{name}");
            }
            Err(expected) => {
                assert_eq!((status, &body["error"]), (expected, &json!("invalid_request")), "{name}: {body}");
            }
        }
    }
}

#[actix_web::test]
async fn a_proof_and_a_certificate_bind_together() {
    let app = spawn(by_proxy);
    let key = Signer::p256();
    let both = |headers: Vec<(&'static str, String)>| [headers, vec![("DPoP", key.proof())]].concat();
    let (status, body) = ask_by_proxy(&app, &both(PLAIN.headers()), &form("plain")).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("DPoP")), "{body}");
    assert_eq!(cnf(&body), json!({ "jkt": key.thumbprint(), "x5t#S256": PLAIN.x5t_s256() }));
    // a certificate that shows nobody binds nothing
    let form = format!("{}&client_secret=hush", form("plain"));
    let (_, body) = ask_by_proxy(&app, &both(PLAIN.headers()), &form).await;
    assert_eq!(cnf(&body), json!({ "jkt": key.thumbprint() }));
}

#[actix_web::test]
async fn exchange_refresh_and_introspection_go_by_the_certificate_too() {
    let app = spawn(by_proxy);
    let headers = ABLE.headers();
    let (_, first) = ask_by_proxy(&app, &headers, &form("able")).await;
    assert_eq!(cnf(&first), x5t(&ABLE), "{first}");
    let refresh = format!(
        "grant_type=refresh_token&client_id=able&refresh_token={}",
        first["refresh_token"].as_str().unwrap()
    );
    let (status, body) = ask_by_proxy(&app, &headers, &refresh).await;
    assert_eq!((status, cnf(&body)), (200, x5t(&ABLE)), "{body}");
    let (status, _) = ask_by_proxy(&app, &[], &refresh).await;
    assert_eq!(status, 401, "without the certificate");
    let token = first["access_token"].as_str().unwrap();
    let exchange = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=able&subject_token={token}&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    );
    let (status, body) = ask_by_proxy(&app, &headers, &exchange).await;
    assert_eq!((status, cnf(&body)), (200, x5t(&ABLE)), "{body}");
    // a bound token brings no unbound one
    let (status, body) = ask_by_proxy(&app, &headers, &format!("{exchange}&client_secret=hush")).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    for (path, headers, expected) in [
        ("/oauth2/introspect", headers.clone(), 200),
        ("/oauth2/introspect", Holder::of_openssl("another").headers(), 401),
        // without a shared store, it is the client that is told so
        ("/oauth2/revoke", headers.clone(), 400),
        ("/oauth2/revoke", Vec::new(), 401),
    ] {
        let request = app.http.post(format!("{}{path}", app.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let answer = request.form(&[("client_id", "able"), ("token", token)]).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        assert_eq!(status, expected, "{path}: {body}");
        if status == 200 {
            assert_eq!((&body["active"], &body["token_type"]), (&json!(true), &json!("Bearer")), "{body}");
            assert_eq!(body["cnf"], x5t(&ABLE));
        } else if path == "/oauth2/revoke" && status == 400 {
            assert_eq!(body["error"], "unsupported_token_type", "{body}");
        }
    }
}

#[actix_web::test]
async fn who_shows_nothing_is_told_the_ways_of_this_server() {
    let own = "authenticate with client_secret_basic, client_secret_post or private_key_jwt";
    let all = "authenticate with client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or self_signed_tls_client_auth";
    for (app, says) in [(spawn_app_with(Setup::default()), own), (spawn(by_proxy), all)] {
        for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
            for id in [None, Some(("client_id", "plain"))] {
                let form = [("grant_type", "client_credentials"), ("token", "x")].into_iter().chain(id);
                let request = app.http.post(format!("{}{path}", app.address));
                let answer = request.form(&form.collect::<Vec<_>>()).send().await.unwrap();
                let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
                assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{path}: {body}");
                assert_eq!(body["error_description"], says, "{path} {id:?}");
            }
        }
    }
}

/// What an endpoint of ours answers to a token behind a proxy.
async fn shown_by_proxy(app: &TestApp, path: &str, token: &str, headers: &[(&'static str, String)]) -> u16 {
    let request = app.http.get(format!("{}{path}", app.address)).bearer_auth(token);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn rfc_8705_3_own_endpoints_take_a_bound_token_with_its_certificate_alone() {
    let (proxy, listener) = (spawn(by_proxy), spawn(by_listener));
    let other = Holder::of_openssl("another");
    let unbound = format!("{}&client_secret=hush", own_form());
    let (_, body) = ask_by_proxy(&proxy, &OWN.headers(), &own_form()).await;
    assert_eq!(cnf(&body), x5t(&OWN));
    let token = body["access_token"].as_str().unwrap();
    let (_, body) = ask_by_proxy(&proxy, &[], &unbound).await;
    let bearer = body["access_token"].as_str().unwrap();
    let twice = [OWN.headers(), OWN.headers()].concat();
    for path in ["/principal", "/ops/policies", "/ops/keys", "/ops/issuers"] {
        for (name, token, headers, expected) in [
            ("its certificate", token, OWN.headers(), 200),
            ("no certificate", token, Vec::new(), 401),
            ("another", token, other.headers(), 401),
            ("twice", token, twice.clone(), 400),
            ("unbound, with any", bearer, other.headers(), 200),
        ] {
            assert_eq!(shown_by_proxy(&proxy, path, token, &headers).await, expected, "{path} with {name}");
        }
    }
    let address = listener.address.trim_start_matches("http://");
    let mut stream = connect(&SERVER, Some(&OWN), address).await.unwrap();
    let (.., body) = send(&mut stream, "POST", "/oauth2/token", &[], &own_form()).await.unwrap();
    let bearer = [("Authorization", format!("Bearer {}", body["access_token"].as_str().unwrap()))];
    for (name, holder, expected) in
        [("its certificate", Some(&*OWN), 200), ("no certificate", None, 401), ("another", Some(&other), 401)]
    {
        let mut stream = connect(&SERVER, holder, address).await.unwrap();
        for path in ["/principal", "/ops/keys"] {
            let (status, ..) = send(&mut stream, "GET", path, &bearer, "").await.unwrap();
            assert_eq!(status, expected, "{path} with {name}");
        }
    }
}

#[actix_web::test]
async fn rfc_8705_3_3_discovery_says_so_where_certificates_are_taken() {
    let off = spawn_app_with(Setup::default());
    for (app, is_taken) in [(spawn(by_proxy), true), (off, false)] {
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let metadata: Value = app.get(path).await.json().await.unwrap();
            for endpoint in ["token", "introspection"] {
                let methods =
                    metadata[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap();
                for method in ["tls_client_auth", "self_signed_tls_client_auth"] {
                    assert_eq!(methods.contains(&json!(method)), is_taken, "{endpoint} by {method}");
                }
            }
            let bound = metadata.get("tls_client_certificate_bound_access_tokens");
            assert_eq!(bound, is_taken.then_some(&json!(true)), "{metadata}");
        }
    }
}
