//! `/ops/*`: what this replica serves, for operators with the scope that the policies ask for.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};
use jeton_actix::GuardFault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    audit::{Audit, Shadow},
    authorize::{Asker, Authorizer, NoAnswer, Question},
    http::{
        audit_watch::reload_candidate_beside,
        error::{Problem, ProblemKind},
        extract,
        key_watch::reload_keys_beside,
        reload::{Teller, difference_beside, reload_beside},
        trigger::Trigger,
    },
    keys::{KeyReload, KeyState, LiveKeys},
    oauth::{InvalidName, Role, Scope},
    policy::{BadSub, CandidateReload, Explanation, Findings, LivePolicies, Permissions, Rejection, Reload},
    printable::printable_json,
    token::BearerToken,
};

pub(in crate::http) async fn policies(policies: Data<Arc<LivePolicies>>, audit: Data<Audit>) -> HttpResponse {
    let snapshot = policies.current();
    let set = &snapshot.policies;
    answer(&json!({
        "hash": set.hash(),
        "loaded_at": snapshot.loaded_at.to_string(),
        "files": set.files(),
        "apis": set.apis().values().map(|api| json!({ "name": api.name(), "audience": api.audience() })).collect::<Vec<_>>(),
        "scopes": set.scopes().len(),
        "roles": set.roles().len(),
        "rules": set.rule_count(),
        "clients": set.clients().len(),
        "reloads": policies.reloads(),
        "rejected_reloads": policies.rejections(),
        "last_rejection": policies.last_rejection().map(|rejection| in_full(&rejection)),
        "candidate": audit.shadow().map(|shadow| candidate(shadow)),
    }))
}

fn in_full(rejection: &Rejection) -> Value {
    json!({ "at": rejection.at.to_string(), "findings": rejection.findings.0 })
}

/// The candidate, which is compared and never enforced.
fn candidate(shadow: &Shadow) -> Value {
    let (snapshot, counts) = (shadow.candidate().current(), shadow.counts());
    json!({
        "hash": snapshot.as_ref().map(|snapshot| snapshot.policies.hash()),
        "loaded_at": snapshot.as_ref().map(|snapshot| snapshot.loaded_at.to_string()),
        "compared": counts.compared,
        "would_allow": counts.would_allow,
        "would_deny": counts.would_deny,
        "last_rejection": shadow.candidate().last_rejection().map(|rejection| in_full(&rejection)),
    })
}

pub(in crate::http) async fn keys(keys: Data<Arc<LiveKeys>>) -> HttpResponse {
    let ring = keys.ring();
    let each: Vec<_> = ring
        .keys()
        .iter()
        .map(|key| {
            let (retires, published_until) = match key.state {
                KeyState::Next { .. } => (None, None),
                KeyState::Active { until } => (until, None),
                KeyState::Retired { since, until } => (Some(since), Some(until)),
                KeyState::Expired { since } => (None, Some(since)),
            };
            json!({
                "kid": key.kid,
                "state": key.state.name(),
                "alg": key.algorithm.name(),
                "bits": key.bits,
                "created": key.created.to_string(),
                "activates": key.activates.to_string(),
                "retires": retires.map(|time| time.to_string()),
                "published_until": published_until.map(|time| time.to_string()),
            })
        })
        .collect();
    answer(&json!({
        "keys": each,
        "next_change": ring.next_change().map(|time| time.to_string()),
        "planned": keys.planned().map(|planned| json!({
            "made": planned.made.to_string(),
            "activates": planned.activates.to_string(),
        })),
        "max_age": ring.jwks().max_age(),
        "unlisted": ring.unlisted().iter().map(|key| &key.kid).collect::<Vec<_>>(),
        "last_rejection": keys.last_rejection().map(|rejection| json!({
            "at": rejection.at.to_string(),
            "errors": rejection.errors.lines().collect::<Vec<_>>(),
        })),
    }))
}

/// A question to `/ops/explain`: a request, and who asks: a client with all it is granted, a bearer of
/// just this, or a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenQuestion {
    api: String,
    method: String,
    path: String,
    #[serde(default)]
    r#as: Option<WrittenAsker>,
    #[serde(default)]
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAsker {
    Client(String),
    Bearer(WrittenBearer),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenBearer {
    scopes: Vec<String>,
    roles: Vec<String>,
    claims: Map<String, Value>,
}

/// Why a question is not understood.
#[derive(Debug, thiserror::Error)]
enum BadQuestion {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("give either `as` or `token`")]
    TwoAskers,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Sub(#[from] BadSub),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl WrittenQuestion {
    fn parse(&self) -> Result<Question<'_>, BadQuestion> {
        let asker = match (&self.r#as, &self.token) {
            (Some(_), Some(_)) => return Err(BadQuestion::TwoAskers),
            (None, None) => Asker::Nobody,
            (None, Some(token)) => Asker::Token(BearerToken::new(token.as_str())),
            (Some(WrittenAsker::Client(client)), None) => Asker::Client(client),
            (Some(WrittenAsker::Bearer(bearer)), None) => Asker::Bearer(bearer.parse()?),
        };
        Ok(Question { api: &self.api, method: &self.method, target: &self.path, asker })
    }
}

impl WrittenBearer {
    fn parse(&self) -> Result<Permissions, BadQuestion> {
        let bearer = Permissions {
            client: None,
            sub: None,
            scopes: self.scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<_, _>>()?,
            roles: self.roles.iter().map(|role| Role::parse(role)).collect::<Result<_, _>>()?,
            claims: self.claims.clone(),
        };
        Ok(bearer.with_sub_of_claims()?)
    }
}

pub(in crate::http) async fn explain(
    request: HttpRequest,
    body: Payload,
    authorizer: Data<Authorizer>,
) -> Result<HttpResponse, Problem> {
    let body = extract::body(&request, body).await.map_err(|fault| Problem::new(fault, &request))?;
    let explained = explained(&body, &authorizer).await;
    Ok(answer(&explained.map_err(|bad| Problem::new(bad, &request))?))
}

async fn explained(question: &[u8], authorizer: &Authorizer) -> Result<Explanation, BadQuestion> {
    let question: WrittenQuestion = serde_json::from_slice(question)?;
    Ok(authorizer.explain(&question.parse()?).await?)
}

impl From<BadQuestion> for ProblemKind {
    fn from(bad: BadQuestion) -> Self {
        Self::BadQuestion(bad.to_string().into())
    }
}

/// Reads the keys and the policies again. Each of them is taken or not, whatever becomes of the other.
pub(in crate::http) async fn reload(
    request: HttpRequest,
    policies: Data<Arc<LivePolicies>>,
    teller: Data<Teller>,
    keys: Data<Arc<LiveKeys>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let failed = || Problem::new(GuardFault::Internal, &request);
    let of_keys = reload_keys_beside(Arc::clone(&keys), Trigger::Operator).await.ok_or_else(failed)?;
    let of_policies =
        reload_beside(Arc::clone(&policies), &teller, Trigger::Operator).await.ok_or_else(failed)?;
    let of_candidate = match audit.shadow() {
        Some(shadow) => Some(reload_candidate(shadow).await),
        None => None,
    };

    let key_errors: Vec<_> = match &of_keys {
        KeyReload::Rejected(rejection) | KeyReload::StillRejected(rejection) => {
            rejection.errors.lines().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let keys_are_fine = key_errors.is_empty();
    let key_answer = json!({
        "reloaded": matches!(of_keys, KeyReload::Reloaded { .. }),
        "signing": keys.ring().signing().kid(),
    });
    let rejected = |findings| Err(Problem::new(ProblemKind::Rejected { findings, key_errors }, &request));
    match of_policies {
        Reload::Rejected(rejection) | Reload::StillRejected(rejection) => {
            rejected(rejection.findings.clone())
        }
        _ if !keys_are_fine => rejected(Findings::default()),
        Reload::Unchanged | Reload::Restored | Reload::Unsettled => Ok(answer(&with_candidate(
            json!({
                "reloaded": false,
                "hash": policies.current().policies.hash(),
                "keys": key_answer,
            }),
            of_candidate,
        ))),
        Reload::Reloaded(replaced) => {
            let difference = difference_beside(Arc::clone(&replaced)).await.ok_or_else(failed)?;
            Ok(answer(&with_candidate(
                json!({
                    "reloaded": true,
                    "old_hash": replaced.before().policies.hash(),
                    "hash": replaced.after().policies.hash(),
                    "difference": difference,
                    "keys": key_answer,
                }),
                of_candidate,
            )))
        }
    }
}

/// What became of the candidate. If it is wrong, nothing that is in force is.
async fn reload_candidate(shadow: &Shadow) -> Value {
    let outcome = reload_candidate_beside(Arc::clone(shadow.candidate()), Trigger::Operator).await;
    let reloaded =
        matches!(outcome, Some(CandidateReload::Loaded(_) | CandidateReload::Read(Reload::Reloaded(_))));
    let rejection = shadow.candidate().last_rejection();
    json!({
        "reloaded": reloaded,
        "hash": shadow.candidate().current().map(|snapshot| snapshot.policies.hash().clone()),
        "findings": rejection.as_ref().map(|rejection| &rejection.findings.0),
    })
}

fn with_candidate(mut answer: Value, candidate: Option<Value>) -> Value {
    if let (Some(candidate), Some(answer)) = (candidate, answer.as_object_mut()) {
        answer.insert("candidate".to_owned(), candidate);
    }
    answer
}

/// An answer that operators read on a terminal.
fn answer(body: &impl Serialize) -> HttpResponse {
    match serde_json::to_string(body) {
        Ok(json) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type(header::ContentType::json())
            .body(printable_json(&json)),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
