//! A service of its own that is protected by jeton. It knows the issuer's address and nothing else: keys, policies and
//! status lists come from there, beside the requests. It keeps no state, and no request has anybody asked. The API must
//! have `bundle: public` in the issuer's policies:
//!
//! ```sh
//! cargo run --example orders -- --issuer http://127.0.0.1:8080
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9090/tenants/acme/orders
//! ```
//!
//! With `--policies` and `--jwks` it needs no issuer at all, but for status lists:
//!
//! ```sh
//! jeton keys jwks > jwks.json
//! cargo run --example orders -- --policies policies --jwks jwks.json
//! ```

use std::{net::SocketAddr, path::PathBuf};

use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Parser;
use jeton_actix::{Caller, Protect, RequestSpan};
use jeton_verify::{Origin, ServiceOptions};
use serde_json::json;
use tracing_actix_web::TracingLogger;

/// The orders API of the sample.
#[derive(Parser)]
struct Args {
    /// The issuer of the tokens. Its metadata name the keys, the bundle of policies and the status lists.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    issuer: String,
    /// A policies folder, in the place of the issuer's bundle.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// A file with what `jeton keys jwks` prints, in the place of the issuer's keys.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A folder for what came last, from which a start without the issuer goes on.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The scheme, host and port by which clients reach this service. It then takes tokens that are bound to a key too.
    #[arg(long, value_parser = Origin::parse)]
    origin: Option<Origin>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();

    let mut options = ServiceOptions::new(&args.issuer, "orders")?;
    options.policies = args.policies;
    options.jwks = args.jwks;
    options.keep = args.keep;
    options.origin = args.origin;
    let authorizer = options.start()?;

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
