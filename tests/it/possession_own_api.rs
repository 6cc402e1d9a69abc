//! jeton's own endpoints, asked with tokens that only their holder can use.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    possession::challenge,
    support::{
        ISSUER, Setup,
        dpop::{ProofDraft, thumbprint},
        forge::{Draft, Forge},
        now,
        signer::Signer,
        spawn_app, spawn_app_with,
    },
};

/// A token for jeton's own API that is bound to the key, and a proof for this address.
fn own_token(issuer: &str, key: &Signer) -> String {
    let forge = Forge::with_the_servers_key();
    let text = |text: &str| json!(text).to_string();
    Draft::good(&forge.kid(), now())
        .claim("iss", text(issuer))
        .claim("aud", text(issuer))
        .claim("cnf", json!({ "jkt": thumbprint(key) }).to_string())
        .sign(&forge)
}

/// Whatever host a request names, `htu` is the issuer's, and what is below its path.
#[actix_web::test]
async fn jetons_own_endpoints_take_proofs_for_the_issuers_address() {
    let with_path = format!("{ISSUER}/tenant/x");
    let key = Signer::p256();
    for (issuer, paths) in
        [(ISSUER, &["/principal"][..]), (with_path.as_str(), &["/principal", "/tenant/x/principal"])]
    {
        let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
        let token = own_token(issuer, &key);
        for path in paths {
            let get = |htu: &str| {
                let jti = format!("{path} {htu}");
                let proof = ProofDraft::good(&key, "GET", htu, now()).with_token(&token).claim("jti", jti);
                let request = app.http.get(app.url(path)).header("DPoP", proof.sign(&key));
                request.header("Authorization", format!("DPoP {token}")).send()
            };
            assert_eq!(get(&format!("{issuer}/principal")).await.unwrap().status(), 200, "{issuer} {path}");
            for other in [
                app.url(path),
                format!("{issuer}/ops/policies"),
                format!("{issuer}/tenant/x/principal"),
                "https://evil.example/principal".to_owned(),
            ] {
                let answer = get(&other).await.unwrap();
                assert_eq!(answer.status(), 401, "{issuer} {path} {other}");
                let expected = challenge("the DPoP proof is for another request");
                assert_eq!(answer.headers()["www-authenticate"], expected, "{issuer} {path} {other}");
            }
        }
        let stolen = app.http.get(app.url("/principal")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(stolen.status(), 401);
    }
}

/// Over all connections and threads of a server.
#[actix_web::test]
async fn of_many_requests_with_one_proof_one_passes() {
    let (app, key) = (spawn_app(), Signer::p256());
    let token = own_token(ISSUER, &key);
    let url = format!("{ISSUER}/principal");
    let proof = ProofDraft::good(&key, "GET", &url, now()).with_token(&token).sign(&key);
    let requests = (0..16).map(|_| {
        let request = app.http.get(app.url("/principal")).header("DPoP", &proof);
        request.header("Authorization", format!("DPoP {token}")).send()
    });
    let statuses: Vec<_> =
        join_all(requests).await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 15, "{statuses:?}");
}
