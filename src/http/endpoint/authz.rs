//! `/authz/NAME`: a gateway asks about a request that it got. The answer is 200, 401 or 403, and nothing else.

use std::{collections::BTreeMap, fmt::Display};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::header::{self, HeaderName, HeaderValue},
    web::Data,
};
use serde_json::Value;
use tracing_actix_web::RequestId;

use crate::{
    authorize::{AccessRequest, Authorizer, Permit},
    config::{GatewayApis, GatewaySettings},
    gateway::{ClaimHeader, GatewayKind, IDENTITY_HEADERS, TrustedPeers},
    http::{
        error::{Problem, ProblemKind},
        extract::{self, ForwardedRequest, Question},
        refusal::{Elsewhere, Refusal},
    },
    oauth::{ClientId, Role},
    principal::Principal,
};

/// One gateway, and who decides for what stands behind it.
pub(in crate::http) struct Gateway {
    name: String,
    path: String,
    kind: GatewayKind,
    trusted_peers: TrustedPeers,
    authorizers: Authorizers,
    claims: Vec<ClaimHeader>,
    /// The names of `claims`, as the library has them.
    claim_names: Vec<HeaderName>,
}

enum Authorizers {
    One(Authorizer),
    ByHost(BTreeMap<String, Authorizer>),
}

/// The longest piece of a path that is logged, in characters.
const LONGEST_PATH: usize = 512;

impl Gateway {
    /// As the settings say, deciding as `authorizer` does.
    pub(in crate::http) fn new(settings: &GatewaySettings, authorizer: &Authorizer) -> Self {
        let GatewaySettings { name, kind, apis, trusted_peers, claims } = settings.clone();
        let claim_name = |claim: &ClaimHeader| HeaderName::from_bytes(claim.header.as_bytes()).ok();
        Self {
            name: name.as_str().to_owned(),
            path: name.path(),
            kind,
            trusted_peers,
            authorizers: match apis {
                GatewayApis::One(api) => Authorizers::One(authorizer.for_api(api)),
                GatewayApis::ByHost(hosts) => {
                    let each = hosts.into_iter().map(|(host, api)| (host, authorizer.for_api(api)));
                    Authorizers::ByHost(each.collect())
                }
            },
            claim_names: claims.iter().filter_map(claim_name).collect(),
            claims,
        }
    }

    /// Where it asks.
    pub(in crate::http) fn path(&self) -> &str {
        &self.path
    }

    fn judge(&self, request: &HttpRequest) -> Result<HttpResponse, ProblemKind> {
        if !request.peer_addr().is_some_and(|peer| self.trusted_peers.contains(peer)) {
            let peer = request.peer_addr().map(|peer| peer.ip().to_string());
            tracing::warn!(gateway = self.name, peer, "gateway.untrusted_peer");
            return Err(ProblemKind::Forbidden("this peer may not ask".into()));
        }
        let question = Question {
            kind: self.kind,
            path: &self.path,
            by_host: matches!(self.authorizers, Authorizers::ByHost(_)),
            claims: &self.claims,
        };
        let asked = question.read(request).map_err(|fault| {
            let (reason, detail) = ("ambiguous", fault.to_string());
            tracing::info!(gateway = self.name, reason, detail, "decision.denied");
            ProblemKind::Forbidden("the request is ambiguous".into())
        })?;
        let elsewhere =
            Elsewhere { gateway: &self.name, method: shown(asked.method), path: shown(asked.path) };
        let authorizer = self.authorizer(&asked).ok_or_else(|| {
            let host = asked.host.map(shown);
            tracing::info!(gateway = self.name, host, reason = "unknown-host", "decision.denied");
            ProblemKind::Forbidden("no API is at this host".into())
        })?;
        let refused = |refusal: Refusal| refusal.into_logged(Some(&elsewhere));
        let token = extract::bearer_token(request.headers(), asked.query);
        let token = token.map_err(|fault| refused(Refusal::BadRequest(fault)))?;
        let extensions = request.extensions();
        let id: Option<&RequestId> = extensions.get();
        let access = AccessRequest {
            method: asked.method,
            target: asked.path,
            token: token.as_ref(),
            id: id.map(|id| -> &dyn Display { id }),
        };
        let permit = authorizer.decide(&access).map_err(|denied| refused(Refusal::Denied(denied)))?;
        tracing::debug!(
            gateway = self.name,
            method = elsewhere.method,
            path = elsewhere.path,
            rule = permit.rule(),
            "decision.allowed"
        );
        self.answer(&permit).ok_or_else(|| {
            let detail = "a claim or name of the token cannot stand in a header: it holds a control character, \
                or a list has an item with a space";
            let Elsewhere { gateway, method, path } = elsewhere;
            tracing::warn!(gateway, method, path, reason = "no-header", detail, "decision.denied");
            ProblemKind::Forbidden("the token says what no header can carry".into())
        })
    }

    fn authorizer(&self, asked: &ForwardedRequest<'_>) -> Option<&Authorizer> {
        match &self.authorizers {
            Authorizers::One(authorizer) => Some(authorizer),
            Authorizers::ByHost(hosts) => hosts.get(asked.host?),
        }
    }

    /// Every identity header, also where there is nothing to say: a gateway passes on the client's own header for
    /// one that is left out. `None` where a value cannot be told as it is.
    fn answer(&self, permit: &Permit) -> Option<HttpResponse> {
        let principal = permit.principal();
        let mut response = HttpResponse::Ok();
        let [client, scopes, roles, token_id] = IDENTITY_HEADERS;
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((
                client,
                text(principal.and_then(Principal::client).map_or("", ClientId::as_str))?,
            ))
            .insert_header((scopes, principal.map_or(Some(EMPTY), |it| text(&it.scopes().to_string()))?))
            .insert_header((
                roles,
                principal.map_or(Some(EMPTY), |it| list(it.roles().iter().map(Role::as_str)))?,
            ))
            .insert_header((token_id, text(principal.map_or("", |it| it.token_id().as_str()))?));
        for (claim, name) in self.claims.iter().zip(&self.claim_names) {
            let value = principal.and_then(|principal| principal.claims().get(&claim.claim));
            response.insert_header((name.clone(), value.map_or(Some(EMPTY), claim_value)?));
        }
        Some(response.finish())
    }
}

pub(in crate::http) async fn ask(gateway: Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let refused = |kind: ProblemKind| Problem::new(kind.for_gateway(), &request).error_response();
    gateway.judge(&request).unwrap_or_else(refused)
}

/// A gateway that nobody knows, or that is set up to ask elsewhere.
pub(in crate::http) async fn unknown(request: HttpRequest) -> HttpResponse {
    tracing::warn!(reason = "unknown-gateway", "decision.denied");
    Problem::new(ProblemKind::Forbidden("no gateway asks here".into()), &request).error_response()
}

const EMPTY: HeaderValue = HeaderValue::from_static("");

/// A value as it is, unless a reader would see another one: control characters, spaces at its ends.
fn text(text: &str) -> Option<HeaderValue> {
    if text.trim_matches([' ', '\t']) == text { HeaderValue::from_bytes(text.as_bytes()).ok() } else { None }
}

/// Items with spaces between, which none may hold itself.
fn list<'i>(items: impl Iterator<Item = &'i str>) -> Option<HeaderValue> {
    let mut joined = String::new();
    for item in items {
        if item.is_empty() || item.contains([' ', '\t']) {
            return None;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(item);
    }
    text(&joined)
}

/// Text, or a list of text; of another type there is nothing to say, as for conditions.
fn claim_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(value) => text(value),
        Value::Array(items) => match items.iter().map(Value::as_str).collect::<Option<Vec<_>>>() {
            Some(items) => list(items.into_iter()),
            None => Some(EMPTY),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(EMPTY),
    }
}

fn shown(text: &str) -> &str {
    text.char_indices().nth(LONGEST_PATH).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
