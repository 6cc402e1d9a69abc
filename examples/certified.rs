//! A client that has a certificate and no secret (RFC 8705): it fetches a token that is bound to its certificate, and
//! uses it over TLS with the same certificate.
//!
//! ```sh
//! cargo run --example certified -- --issuer https://localhost:8443 --client order-sync \
//!   --ca ca.pem --identity order-sync.pem https://localhost:8443/principal
//! ```

#![expect(clippy::print_stdout, reason = "a program of its own")]

use std::{error::Error, fs, path::PathBuf};

use clap::Parser;
use reqwest::{Certificate, Client, Identity, Url};
use serde::Deserialize;

/// Fetches a token, and calls an API with it.
#[derive(Parser)]
struct Args {
    #[arg(long)]
    issuer: String,
    #[arg(long)]
    client: String,
    /// The audience of the API, where that is not the issuer itself.
    #[arg(long)]
    resource: Option<String>,
    /// A PEM file with the authorities of the servers.
    #[arg(long)]
    ca: PathBuf,
    /// A PEM file with the client's certificate and its private key.
    #[arg(long)]
    identity: PathBuf,
    /// What to ask of the API.
    url: Url,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder()
        .tls_certs_only(Certificate::from_pem_bundle(&fs::read(&args.ca)?)?)
        .identity(Identity::from_pem(&fs::read(&args.identity)?)?)
        .build()?;
    let resource = args.resource.as_deref().unwrap_or(&args.issuer);
    let form = [("grant_type", "client_credentials"), ("client_id", &args.client), ("resource", resource)];
    let answer = http.post(format!("{}/oauth2/token", args.issuer)).form(&form).send().await?;
    let Answer { access_token } = answer.error_for_status()?.json().await?;
    // a connection with the same certificate: the token is refused on any other
    let answer = http.get(args.url).bearer_auth(access_token).send().await?;
    println!("{}", answer.error_for_status()?.text().await?);
    Ok(())
}
