//! `/ops/*`: what this replica serves, for operators with the scope that the policies ask for.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use jeton_actix::GuardFault;
use jeton_policy::{Explanation, LivePolicies, PolicyDiff, Reload, ReplacedPolicies};
use jeton_verify::{
    Authorizer,
    audit::{Audit, Shadow},
};
use serde_json::{Value, json};

use crate::{
    bundles::PolicyBundles,
    federation::FollowedIssuers,
    follow::{Following, ReadAgain, Trigger, difference_beside},
    http::{
        answer::json_answer,
        error::{EndpointProblem, ProblemKind},
        extract::{self, BodyLimit},
    },
    keys::LiveKeys,
    report::{self, BadQuestion, WrittenQuestion},
};

pub(in crate::http) async fn policies(
    policies: Data<Arc<LivePolicies>>,
    bundles: Data<Arc<PolicyBundles>>,
    audit: Data<Audit>,
) -> HttpResponse {
    let snapshot = policies.current();
    let set = &snapshot.policies;
    json_answer(&json!({
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
        "last_rejection": policies.last_rejection().map(|rejection| report::rejection(&rejection)),
        "bundles": bundles.fetches().iter().map(|it| json!({
            "api": it.api, "hash": it.hash, "fetched": it.fetched,
        })).collect::<Vec<_>>(),
        "candidate": audit.shadow().map(|shadow| report::candidate(shadow)),
    }))
}

pub(in crate::http) async fn keys(keys: Data<Arc<LiveKeys>>) -> HttpResponse {
    json_answer(&report::keys(&keys))
}

pub(in crate::http) async fn issuers(
    policies: Data<Arc<LivePolicies>>,
    issuers: Data<Arc<FollowedIssuers>>,
) -> HttpResponse {
    let states = issuers.states(policies.current().policies.issuers());
    json_answer(&json!({ "issuers": states.iter().map(report::issuer).collect::<Vec<_>>() }))
}

pub(in crate::http) async fn explain(
    request: HttpRequest,
    body: Payload,
    authorizer: Data<Authorizer>,
) -> Result<HttpResponse, EndpointProblem> {
    let body = extract::body(&request, body, BodyLimit::USUAL)
        .await
        .map_err(|fault| EndpointProblem::new(fault, &request))?;
    let explained = explained(&body, &authorizer).await;
    Ok(json_answer(&explained.map_err(|bad| EndpointProblem::new(bad, &request))?))
}

async fn explained(question: &[u8], authorizer: &Authorizer) -> Result<Explanation, BadQuestion> {
    Ok(authorizer.explain(&WrittenQuestion::read(question)?.parse()?).await?)
}

impl From<BadQuestion> for ProblemKind {
    fn from(bad: BadQuestion) -> Self {
        Self::BadQuestion(bad.to_string().into())
    }
}

/// Reads the keys, the policies, the certificates and the candidate again. Each of them is taken or not, whatever becomes of the others.
pub(in crate::http) async fn reload(
    request: HttpRequest,
    following: Data<Following>,
    policies: Data<Arc<LivePolicies>>,
    keys: Data<Arc<LiveKeys>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, EndpointProblem> {
    let failed = || EndpointProblem::new(GuardFault::Internal, &request);
    let read = following.read_again(Trigger::Operator).await.ok_or_else(failed)?;
    if let Some(rejected) = rejected(&read) {
        return Err(EndpointProblem::new(rejected, &request));
    }
    let of_policies = match &read.policies {
        Reload::Reloaded(replaced) => {
            let difference = difference_beside(Arc::clone(replaced)).await.ok_or_else(failed)?;
            replaced_policies(replaced, difference.as_ref())
        }
        _ => json!({ "reloaded": false, "hash": policies.current().policies.hash() }),
    };
    let of_keys = json!({
        "reloaded": matches!(read.keys, Reload::Reloaded(_)),
        "signing": keys.ring().signing().kid(),
    });
    let of_candidate = audit.shadow().map(|shadow| reloaded_candidate(shadow, &read));
    let of_certificates = (!read.certificates.is_empty()).then(|| reloaded_certificates(&read));
    let of_authorities = read.authorities.as_ref();
    let of_authorities =
        of_authorities.map(|reload| json!({ "reloaded": matches!(reload, Reload::Reloaded(_)) }));
    let reloaded = with(with(of_policies, "keys", Some(of_keys)), "tls", of_certificates);
    let reloaded = with(reloaded, "client_authorities", of_authorities);
    Ok(json_answer(&with(reloaded, "candidate", of_candidate)))
}

/// What differs is `None` where comparing is too much work.
fn replaced_policies(replaced: &ReplacedPolicies, difference: Option<&PolicyDiff>) -> Value {
    json!({
        "reloaded": true,
        "old_hash": replaced.before().policies.hash(),
        "hash": replaced.after().policies.hash(),
        "difference": difference,
    })
}

/// Why keys, policies or certificates were not taken.
fn rejected(read: &ReadAgain) -> Option<ProblemKind> {
    let findings = read.policies.rejection().map(|rejection| rejection.faults.clone());
    let key_errors = read.keys.rejection().map(|rejection| report::key_errors(&rejection.faults));
    let rejected_pairs = read.certificates.iter().filter_map(|(_, reload)| reload.rejection());
    let rejected_authorities = read.authorities.iter().filter_map(Reload::rejection);
    let tls_faults = rejected_pairs.chain(rejected_authorities).flat_map(|it| &it.faults.0);
    let tls_errors: Vec<_> = tls_faults.map(ToString::to_string).collect();
    (findings.is_some() || key_errors.is_some() || !tls_errors.is_empty()).then(|| ProblemKind::Rejected {
        findings: findings.unwrap_or_default(),
        key_errors: key_errors.unwrap_or_default(),
        tls_errors,
    })
}

/// What became of the certificate of each listener.
fn reloaded_certificates(read: &ReadAgain) -> Value {
    let each = read.certificates.iter().map(|(listener, reload)| {
        let is_new = matches!(reload, Reload::Reloaded(_));
        (listener.as_str().to_owned(), json!({ "reloaded": is_new }))
    });
    Value::Object(each.collect())
}

/// What became of the candidate. If it is wrong, nothing that is in force is.
fn reloaded_candidate(shadow: &Shadow, read: &ReadAgain) -> Value {
    json!({
        "reloaded": matches!(read.candidate, Some(Reload::Reloaded(_))),
        "hash": shadow.candidate().snapshot().map(|snapshot| snapshot.policies.hash().clone()),
        "findings": shadow.candidate().last_rejection().map(|rejection| rejection.faults.0.clone()),
    })
}

fn with(mut answer: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(value), Some(answer)) = (value, answer.as_object_mut()) {
        answer.insert(name.to_owned(), value);
    }
    answer
}
