//! `GET /healthz` and `GET /readyz`, for probes.

use std::sync::Arc;

use actix_web::{HttpResponse, http::header, web::Data};
use jeton_policy::{Findings, LivePolicies, Rejection};
use jeton_verify::audit::Audit;
use serde_json::{Value, json};

use crate::{
    app::App,
    federation::{FollowedIssuers, IssuerState},
    http::ending::Ending,
    keys::LiveKeys,
    report,
    store::{Store, StoreState},
    tls::{Certificates, LiveAuthorities},
};

/// What the answer to a probe depends on. Every listener answers the same.
pub(crate) struct Probed {
    keys: Arc<LiveKeys>,
    policies: Arc<LivePolicies>,
    store: Arc<Store>,
    audit: Audit,
    certificates: Certificates,
    authorities: Option<Arc<LiveAuthorities>>,
    issuers: Arc<FollowedIssuers>,
    ending: Ending,
}

impl Probed {
    pub(crate) fn of(app: &App, ending: Ending) -> Data<Self> {
        Data::new(Self {
            keys: Arc::clone(&app.keys),
            policies: Arc::clone(&app.policies),
            store: Arc::clone(&app.store),
            audit: app.audit.clone(),
            certificates: app.certificates.clone(),
            authorities: app.authorities.clone(),
            issuers: Arc::clone(&app.issuers),
            ending,
        })
    }
}

pub(in crate::http) async fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "status": "live" }))
}

/// Ready as soon as it answers: a server without keys and policies does not start. A reload that failed
/// is told, and does not make the last good state less good. Until the shared store told once which tokens are
/// revoked, no token can be judged, and the answer is 503; so it is once the server ends.
pub(in crate::http) async fn ready(probed: Data<Probed>) -> HttpResponse {
    let Probed { keys, policies, store, audit, certificates, authorities, issuers, ending } = &**probed;
    let state = store.state();
    let has_store = match state {
        StoreState::Memory | StoreState::Ready | StoreState::Unreachable => true,
        StoreState::NotYetRead => false,
    };
    let (is_ready, status) = match (ending.has_begun(), has_store) {
        (true, _) => (false, "draining"),
        (false, true) => (true, "ready"),
        (false, false) => (false, "not ready"),
    };
    let snapshot = policies.current();
    let mut detail = json!({
        "status": status,
        "store": report::store_status(state),
        "keys": {
            "signing": keys.ring().signing().kid(),
            "published": keys.ring().public().len(),
            // which of them is at fault the log and `/ops/keys` tell
            "last_reload_error": keys.last_rejection().map(|rejection| json!({
                "at": rejection.at.to_string(),
            })),
        },
        "policies": {
            "hash": snapshot.policies.hash(),
            "loaded_at": snapshot.loaded_at.to_string(),
            "last_reload_error": policies.last_rejection().map(|rejection| in_short(&rejection)),
        },
    });
    // it is not in force, and nothing waits for it
    if let (Some(shadow), Some(detail)) = (audit.shadow(), detail.as_object_mut()) {
        let snapshot = shadow.candidate().snapshot();
        let candidate = json!({
            "hash": snapshot.as_ref().map(|snapshot| snapshot.policies.hash()),
            "loaded_at": snapshot.as_ref().map(|snapshot| snapshot.loaded_at.to_string()),
            "last_reload_error": shadow.candidate().last_rejection().map(|rejection| in_short(&rejection)),
        });
        detail.insert("candidate".to_owned(), candidate);
    }
    // a certificate that ends, or files that cannot take over, make no server less ready: another one has the same
    if let (Some(_), Some(detail)) = (certificates.iter().next(), detail.as_object_mut()) {
        let each = certificates.iter().map(|it| (it.listener().as_str().to_owned(), report::certificate(it)));
        detail.insert("tls".to_owned(), Value::Object(each.collect()));
    }
    if let (Some(authorities), Some(detail)) = (authorities, detail.as_object_mut()) {
        let error = authorities.last_rejection().map(|rejection| report::tls_rejection(&rejection));
        detail.insert("client_authorities".to_owned(), json!({ "last_reload_error": error }));
    }
    let issuers = issuers.states(snapshot.policies.issuers());
    if let (false, Some(detail)) = (issuers.is_empty(), detail.as_object_mut()) {
        let each = issuers.iter().map(|state| (state.issuer.name.to_string(), of_issuer(state)));
        detail.insert("issuers".to_owned(), Value::Object(each.collect()));
    }
    let mut response = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(detail)
}

/// Without its keys an issuer's clients get no token, and all others do: that makes no server less ready.
fn of_issuer(state: &IssuerState) -> Value {
    json!({
        "status": state.standing.as_str(),
        "fetched_at": state.fetched_at.map(|at| at.to_string()),
        "last_fetch_error": state.failure.as_ref().map(|failure| json!({ "at": failure.at.to_string() })),
    })
}

/// Anybody may ask: the place, and no names; the log and `/ops/policies` have the rest.
fn in_short(rejection: &Rejection<Findings>) -> Value {
    json!({
        "at": rejection.at.to_string(),
        "findings": rejection.faults.errors().count(),
        "first": rejection.faults.errors().next().map(|first| {
            let place = first.place();
            format!("{}: {}", place.rsplit('/').next().unwrap_or_default(), first.code)
        }),
    })
}
