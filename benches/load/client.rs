//! A client that looks at the answers, which the load generators do not.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::servers::Server;

pub(crate) const ID: &str = "acme-sync";
pub(crate) const SECRET: &str = "demo-secret-of-acme-sync";

/// So many tokens, each fetched from the server with this form.
pub(crate) fn tokens(server: &Server, path: &str, form: &str, count: usize) -> Result<Vec<String>, String> {
    let client = http_client();
    let fetched = stream::iter(0..count).map(|_| token(&client, server.url(path), form)).buffer_unordered(16);
    server.count(count as u64);
    runtime().block_on(fetched.try_collect())
}

/// Status and body of an answer to these headers, each `Name: value`, and this JSON, if there is any.
pub(crate) fn answer(
    url: &str,
    headers: &[String],
    json: Option<&'static str>,
) -> Result<(u16, String), String> {
    let client = http_client();
    let mut request = match json {
        None => client.get(url),
        Some(json) => client.post(url).header("content-type", "application/json").body(json),
    };
    for (name, value) in headers.iter().filter_map(|header| header.split_once(": ")) {
        request = request.header(name, value);
    }
    let answer = async {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        answer.text().await.map(|text| (status, text))
    };
    runtime().block_on(answer).map_err(|error| error.to_string())
}

async fn token(client: &reqwest::Client, url: String, form: &str) -> Result<String, String> {
    let request = client
        .post(&url)
        .basic_auth(ID, Some(SECRET))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let answer =
        answer.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
    let body: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    let token = body["access_token"].as_str().ok_or_else(|| format!("{url} answers without a token"))?;
    match algorithm(token).as_deref() {
        Some("RS256") => Ok(token.to_owned()),
        other => Err(format!("{url} answers with a token that is no JWT of RS256: {other:?}")),
    }
}

/// What the header of a JWT says.
fn algorithm(token: &str) -> Option<String> {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    Some(serde_json::from_slice::<Value>(&header).ok()?["alg"].as_str()?.to_owned())
}

fn http_client() -> reqwest::Client {
    // a second call keeps the first provider
    let _ = rustls::crypto::ring::default_provider().install_default();
    // the certificate was made for this run, and wrk does not judge it either
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
