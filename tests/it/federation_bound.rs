//! Tokens of other issuers that are bound (`cnf`, RFC 7800): they count only with what they are bound to.
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{
    client_certificates::by_proxy,
    support::{
        ORDERS, Setup, TestApp,
        dpop::ProofDraft,
        forge::decoded,
        holder::Holder,
        now,
        platform::{ID_TOKEN, JWT, JWT_BEARER, JWT_SPIFFE, Platform, as_assertion, as_subject},
        proof::new_jti,
        signer::Signer,
        spawn_app_with,
    },
};

static CERTIFICATE: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("bound"));
static OTHER: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("another"));

type Headers = Vec<(&'static str, String)>;

fn bound(platform: &Platform, cnf: &Value) -> String {
    let mut claims = platform.claims(now());
    claims["cnf"] = cnf.clone();
    claims["jti"] = new_jti().into();
    platform.sign(&claims)
}

fn proof(key: &Signer) -> Headers {
    vec![("DPoP", key.proof())]
}

async fn send(app: &TestApp, path: &str, form: &[(&str, &str)], headers: &Headers) -> (u16, Value) {
    let request = app.http.post(app.url(path)).form(form);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn spawn(ci: &Platform, more: &str) -> TestApp {
    let policies = vec![("ci.yaml", ci.policies(more) + "    introspect: true\n")];
    spawn_app_with(Setup { policies, settings: by_proxy, ..Setup::default() })
}

/// Each way of showing such a token, and what the client learns where it does not count.
fn ways(token: &str) -> [(Vec<(&str, &str)>, u16); 4] {
    [
        (as_assertion(JWT_BEARER, token), 401),
        (as_assertion(JWT_SPIFFE, token), 401),
        (as_subject(JWT, token), 400),
        (as_subject(ID_TOKEN, token), 400),
    ]
}

#[actix_web::test]
async fn a_bound_foreign_token_counts_with_what_it_is_bound_to_alone() {
    let ci = Platform::start().await;
    let app = spawn(&ci, "");
    let (key, stranger) = (Signer::p256(), Signer::p256());
    let (jkt, x5t) = (key.thumbprint(), CERTIFICATE.x5t_s256());
    let (by_key, by_certificate) = (json!({ "jkt": jkt }), json!({ "x5t#S256": x5t }));
    let by_both = json!({ "jkt": jkt, "x5t#S256": x5t });
    let both = |key: &Signer, holder: &Holder| [proof(key), holder.headers()].concat();
    for (name, cnf, headers, counts) in [
        ("a key, with nothing", &by_key, vec![], false),
        ("a key, with its proof", &by_key, proof(&key), true),
        ("a key, with another's proof", &by_key, proof(&stranger), false),
        ("a key, with a certificate", &by_key, CERTIFICATE.headers(), false),
        ("a certificate, with nothing", &by_certificate, vec![], false),
        ("a certificate, with it", &by_certificate, CERTIFICATE.headers(), true),
        ("a certificate, with another", &by_certificate, OTHER.headers(), false),
        ("a certificate, with a proof", &by_certificate, proof(&key), false),
        ("both, with both", &by_both, both(&key, &CERTIFICATE), true),
        ("both, with the proof", &by_both, proof(&key), false),
        ("both, with the certificate", &by_both, CERTIFICATE.headers(), false),
        ("both, with another's proof", &by_both, both(&stranger, &CERTIFICATE), false),
        ("both, with another certificate", &by_both, both(&key, &OTHER), false),
    ] {
        for way in 0..ways("").len() {
            let token = bound(&ci, cnf);
            let (form, refused) = &ways(&token)[way];
            // each proof is used once
            let fresh = |(name, value): &(&'static str, String)| match *name {
                "DPoP" if decoded(value).0["jwk"] == key.jwk() => (*name, key.proof()),
                "DPoP" => (*name, stranger.proof()),
                _ => (*name, value.clone()),
            };
            let headers = headers.iter().map(fresh).collect();
            let (status, body) = send(&app, "/oauth2/token", form, &headers).await;
            assert_eq!(status, if counts { 200 } else { *refused }, "{name}, {form:?}: {body}");
            if counts {
                // so no bound token brings one that everybody can use
                let (_, claims) = decoded(body["access_token"].as_str().unwrap());
                assert_eq!(&claims["cnf"], cnf, "{name}");
            }
        }
    }
}

#[actix_web::test]
async fn a_foreign_token_that_is_bound_in_an_unknown_way_counts_with_nothing() {
    let ci = Platform::start().await;
    let app = spawn(&ci, "");
    let key = Signer::p256();
    let (jkt, x5t) = (key.thumbprint(), CERTIFICATE.x5t_s256());
    for cnf in [
        json!(null),
        json!({}),
        json!([]),
        json!(jkt),
        json!({ "jwk": key.jwk() }),
        json!({ "kid": "one" }),
        json!({ "jku": ci.jwks_uri() }),
        json!({ "jkt": null }),
        json!({ "jkt": [jkt] }),
        json!({ "jkt": format!("{jkt}=") }),
        json!({ "x5t#s256": x5t }),
        json!({ "jkt": jkt, "x5t#S256": "x" }),
        json!({ "jkt": 1, "x5t#S256": x5t }),
    ] {
        let token = bound(&ci, &cnf);
        for (form, refused) in ways(&token) {
            for headers in [vec![], [proof(&key), CERTIFICATE.headers()].concat()] {
                let (status, body) = send(&app, "/oauth2/token", &form, &headers).await;
                assert_eq!(status, refused, "{cnf} {form:?}: {body}");
            }
        }
    }
    // what else stands beside a member that is known is of no interest (RFC 7800 section 3.1)
    let token = bound(&ci, &json!({ "jkt": jkt, "kid": "one" }));
    let (status, body) = send(&app, "/oauth2/token", &as_subject(JWT, &token), &proof(&key)).await;
    assert_eq!(status, 200, "{body}");
}

#[actix_web::test]
async fn a_bound_foreign_token_that_does_not_count_is_not_used_up() {
    let ci = Platform::start().await;
    let app = spawn(&ci, "    single_use: true\n");
    let key = Signer::p256();
    let token = bound(&ci, &json!({ "jkt": key.thumbprint() }));
    let form = as_subject(JWT, &token);
    for (headers, expected) in [
        (vec![], 400),
        (proof(&Signer::p256()), 400),
        (vec![("DPoP", ProofDraft::good(&key, "GET", ORDERS, now()).sign(&key))], 400),
        (proof(&key), 200),
        (proof(&key), 400),
    ] {
        let (status, body) = send(&app, "/oauth2/token", &form, &headers).await;
        assert_eq!(status, expected, "{body}");
    }
}

/// These endpoints take no proofs, and know the certificate of the connection.
#[actix_web::test]
async fn introspection_and_revocation_take_a_bound_foreign_token_with_its_certificate_alone() {
    let ci = Platform::start().await;
    let app = spawn(&ci, "");
    let key = Signer::p256();
    let (by_key, by_certificate) =
        (json!({ "jkt": key.thumbprint() }), json!({ "x5t#S256": CERTIFICATE.x5t_s256() }));
    for (cnf, headers, is_let_in) in [
        (&by_key, vec![], false),
        (&by_key, proof(&key), false),
        (&by_certificate, vec![], false),
        (&by_certificate, OTHER.headers(), false),
        (&by_certificate, CERTIFICATE.headers(), true),
    ] {
        let token = bound(&ci, cnf);
        let form = [("client_assertion_type", JWT_BEARER), ("client_assertion", &*token), ("token", "x")];
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            let (status, body) = send(&app, path, &form, &headers).await;
            assert_eq!(body["error"] != "invalid_client", is_let_in, "{path} {cnf} {headers:?}: {body}");
            assert_eq!(status == 401, !is_let_in, "{path}: {status}");
        }
    }
}
