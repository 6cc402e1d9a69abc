//! A client whose token nobody else can use (RFC 9449). It makes a key, fetches a token that is bound to the key,
//! and shows a new proof with each request:
//!
//! ```sh
//! SECRET=demo-secret-of-acme-sync cargo run --example holder -- --client acme-sync \
//!   --resource https://orders.example.com http://127.0.0.1:9090/tenants/acme/orders
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, with the time of the system"
)]

use std::{env, error::Error};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{self, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Parser;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

/// Fetches a token, and calls an API with it. The secret is in the environment, as `SECRET`.
#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    issuer: String,
    #[arg(long)]
    client: String,
    /// The audience of the API.
    #[arg(long)]
    resource: String,
    /// What to ask of the API. Given twice, both requests show the same token.
    #[arg(required = true)]
    urls: Vec<Url>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (http, holder) = (Client::new(), Holder::new()?);
    let token = fetch_token(&http, &holder, &args).await?;
    for url in &args.urls {
        let proof = holder.proof("GET", url, Some(&token), None)?;
        let request =
            http.get(url.clone()).header("Authorization", format!("DPoP {token}")).header("DPoP", proof);
        println!("{}", request.send().await?.error_for_status()?.text().await?);
    }
    Ok(())
}

/// A token that is bound to the key of this process.
async fn fetch_token(http: &Client, holder: &Holder, args: &Args) -> Result<String, Box<dyn Error>> {
    let endpoint = Url::parse(&format!("{}/oauth2/token", args.issuer))?;
    let secret = env::var("SECRET").map_err(|_| "the environment has no `SECRET`")?;
    let ask = async |nonce: Option<&str>| -> Result<Response, Box<dyn Error>> {
        let form = [("grant_type", "client_credentials"), ("resource", args.resource.as_str())];
        let proof = holder.proof("POST", &endpoint, None, nonce)?;
        let request =
            http.post(endpoint.clone()).basic_auth(&args.client, Some(&secret)).header("DPoP", proof);
        Ok(request.form(&form).send().await?)
    };
    let mut answer = ask(None).await?;
    // a server that wants a nonce says which one, and the request is made once more
    let nonce = answer.headers().get("DPoP-Nonce").and_then(|value| Some(value.to_str().ok()?.to_owned()));
    if answer.status() == StatusCode::BAD_REQUEST && nonce.is_some() {
        answer = ask(nonce.as_deref()).await?;
    }
    let answer: Answer = answer.json().await?;
    match (answer.access_token, answer.token_type.as_deref()) {
        (Some(token), Some("DPoP")) => Ok(token),
        _ => Err(format!("no bound token: {}", answer.error_description.unwrap_or_default()).into()),
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    error_description: Option<String>,
}

#[derive(Serialize)]
struct Proof<'p> {
    jti: String,
    htm: &'p str,
    htu: &'p str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'p str>,
}

/// The key of this process. It is written nowhere: a new process makes a new one, and fetches a new token.
struct Holder {
    key: EncodingKey,
    public: Jwk,
}

impl Holder {
    fn new() -> Result<Self, Box<dyn Error>> {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        let key = EncodingKey::from_ec_der(pair.as_ref());
        Ok(Self { public: Jwk::from_encoding_key(&key, Algorithm::ES256)?, key })
    }

    /// A proof for one request, and for no other. An API wants to see for which token.
    fn proof(
        &self,
        method: &str,
        url: &Url,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<String, Box<dyn Error>> {
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let mut jti = [0; 16];
        rand::fill(&mut jti)?;
        let claims = Proof {
            jti: BASE64_URL_SAFE_NO_PAD.encode(jti),
            htm: method,
            htu: target.as_str(),
            iat: Timestamp::now().as_second(),
            ath: token.map(|token| BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))),
            nonce,
        };
        let header = Header {
            typ: Some("dpop+jwt".to_owned()),
            jwk: Some(self.public.clone()),
            ..Header::new(Algorithm::ES256)
        };
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}
