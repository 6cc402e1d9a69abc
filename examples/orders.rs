//! A service of its own that is protected by jeton: it knows the policies folder and the public keys, and
//! nothing else. It keeps no state, and no request has anybody else asked. It fetches the keys in the background
//! where `--jwks` is an address, and with `--status-lists` which tokens were revoked.
//!
//! ```sh
//! jeton keys jwks > jwks.json
//! cargo run --example orders -- --policies policies --jwks jwks.json
//! cargo run --example orders -- --policies policies --jwks http://127.0.0.1:8080/.well-known/jwks.json
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9090/tenants/acme/orders
//! ```

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Parser;
use jeton_actix::{Caller, Protect, RequestSpan};
use jeton_jose::PublicKeys;
use jeton_oauth::{ApiName, Issuer, clock::SystemClock};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{
    Authorizer, JwksOptions, JwksSource, TrustedKeys, Verifier,
    status::{FetchedLists, StatusFetchOptions},
};
use serde_json::json;
use tracing_actix_web::TracingLogger;

/// The orders API of the sample.
#[derive(Parser)]
struct Args {
    /// The policies folder.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// The public keys of the issuer: a file with what `jeton keys jwks` prints, or the address of the key set,
    /// which is fetched again and again.
    #[arg(long, value_name = "FILE_OR_URL", default_value = "jwks.json")]
    jwks: String,
    /// The issuer of the tokens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    issuer: String,
    /// Also looks at the status lists of the issuer, which it fetches in the background: a token that was
    /// revoked is refused within their `ttl`.
    #[arg(long)]
    status_lists: bool,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();

    let clock = Arc::new(SystemClock);
    let issuer = Issuer::parse(&args.issuer)?;
    let keys: TrustedKeys = if args.jwks.starts_with("https://") || args.jwks.starts_with("http://") {
        let keys = Arc::new(JwksSource::new(&args.jwks, &JwksOptions::default(), clock.clone())?);
        actix_web::rt::spawn(keys.clone().run());
        keys.into()
    } else {
        Arc::new(PublicKeys::from_jwks(&std::fs::read(&args.jwks)?)?).into()
    };
    let leeway = Duration::from_secs(30);
    let verifier = Verifier::new(issuer.clone(), keys.clone(), leeway, clock.clone());
    let mut verifier = verifier.remembering(Verifier::USUAL_MEMORY);
    if args.status_lists {
        let lists = FetchedLists::new(issuer.clone(), keys, &StatusFetchOptions::default(), clock.clone())?;
        let lists = Arc::new(lists);
        actix_web::rt::spawn(Arc::clone(&lists).run());
        verifier = verifier.with_status_lists(lists);
    }
    let api = ApiName::parse("orders")?;
    let surroundings = Surroundings::of_service(&issuer, api.clone());
    let policies = Arc::new(LivePolicies::load(&args.policies, surroundings, clock)?);
    let authorizer = Authorizer::new(verifier, policies, api);

    let protect = move || Protect::new(authorizer.clone());
    HttpServer::new(move || {
        App::new()
            .route("/healthz", web::get().to(health))
            .route("/tenants/{tenant}/orders", web::get().to(list_orders))
            .route("/tenants/{tenant}/orders", web::post().to(create_order))
            .route("/tenants/{tenant}/orders/{order}/refund", web::post().to(refund_order))
            .wrap(protect())
            .wrap(TracingLogger::<RequestSpan>::new())
    })
    .bind(args.listen)?
    .run()
    .await?;
    Ok(())
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn list_orders(caller: Caller, tenant: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "tenant": *tenant,
        "orders": [{ "order": 42, "total": "99.00" }],
        "read_by": caller.client(),
    }))
}

async fn create_order(caller: Caller, tenant: web::Path<String>) -> HttpResponse {
    HttpResponse::Created().json(json!({ "tenant": *tenant, "order": 43, "created_by": caller.client() }))
}

async fn refund_order(caller: Caller, path: web::Path<(String, u64)>) -> HttpResponse {
    let (tenant, order) = path.into_inner();
    HttpResponse::Ok().json(json!({ "tenant": tenant, "refunded": order, "by": caller.client() }))
}
