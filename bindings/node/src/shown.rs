//! What JavaScript gets of a decision: JSON, which crosses the border at once and is frozen there.

use std::collections::BTreeMap;

use jeton_oauth::{ClientId, Role, Scope};
use jeton_verify::{Answer, Principal};
use napi::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// The members of a `Decision`.
#[derive(Serialize)]
struct ShownDecision<'a> {
    allowed: bool,
    status: u16,
    headers: BTreeMap<&'static str, &'a str>,
    reason: &'static str,
    rule: Option<&'a str>,
    principal: Option<ShownPrincipal<'a>>,
    detail: &'a str,
}

/// The members of a `Principal`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPrincipal<'a> {
    client: Option<&'a str>,
    subject: Option<&'a str>,
    scopes: Vec<&'a str>,
    roles: Vec<&'a str>,
    claims: &'a Map<String, Value>,
    token_id: &'a str,
    expires_at: i64,
}

/// A decision as JSON.
pub(crate) fn shown(answer: &Answer) -> Result<String> {
    let shown = ShownDecision {
        allowed: answer.is_allowed(),
        status: answer.status,
        headers: answer.headers.iter().map(|(name, value)| (*name, &**value)).collect(),
        reason: answer.reason,
        rule: answer.rule.as_deref(),
        principal: answer.principal.as_ref().map(shown_principal),
        detail: &answer.detail,
    };
    serde_json::to_string(&shown).map_err(|error| Error::from_reason(error.to_string()))
}

fn shown_principal(principal: &Principal) -> ShownPrincipal<'_> {
    ShownPrincipal {
        client: principal.client().map(ClientId::as_str),
        subject: principal.subject_client().map(ClientId::as_str),
        scopes: principal.scopes().iter().map(Scope::as_str).collect(),
        roles: principal.roles().iter().map(Role::as_str).collect(),
        claims: principal.claims(),
        token_id: principal.token_id().as_str(),
        expires_at: principal.expires_at(),
    }
}
