//! `/authz/NAME`: a gateway asks about a request that it got. The answer is 200, 401 or 403, and nothing else.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::header::{self, HeaderName, HeaderValue},
    web::Data,
};
use jeton_actix::{GuardFault, JudgedRequest, Refusal};
use jeton_oauth::{ClientId, Role, text::shown};
use jeton_policy::PathPrefix;
use jeton_verify::{
    AccessRequest, Authorizer, Permit, Principal,
    audit::{Audit, DecisionOutcome},
    gateway::{ClaimHeader, HostName, IDENTITY_HEADERS, header_text},
};
use serde_json::Value;
use tracing::Level;
use tracing_actix_web::RequestId;

use crate::{
    config::{GatewayApis, GatewaySettings, HostedApi},
    event::DecisionAllowed,
    gateway::{GatewayName, TrustedPeers},
    http::{
        error::{EndpointProblem, ProblemKind},
        extract::{ForwardedHost, ForwardedRequest, Forwarding},
    },
    telemetry::{RefusedQuestion, Telemetry},
};

/// One gateway, and who decides for what stands behind it.
pub(in crate::http) struct Gateway {
    name: GatewayName,
    forwarding: Forwarding,
    trusted_peers: TrustedPeers,
    authorizers: Authorizers,
    telemetry: Arc<Telemetry>,
    /// The claims that are answered, each with its header as the library has it.
    claims: Vec<(String, HeaderName)>,
}

enum Authorizers {
    One(Box<Authorizer>),
    ByHost(BTreeMap<HostName, Authorizer>),
}

impl Gateway {
    /// As the settings say, deciding as `authorizer` does. Of its decisions `audit` is told, and of its refusals
    /// `telemetry`.
    pub(in crate::http) fn new(
        settings: &GatewaySettings,
        authorizer: &Authorizer,
        audit: &Audit,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let GatewaySettings { name, kind, apis, trusted_peers, claims } = settings.clone();
        let audit = telemetry.audit_of(Some(&name), audit);
        // the service behind it may check the same proof, under another name
        let seen_at: Arc<str> = name.path().into();
        let authorizer = |api, origin| {
            let authorizer = authorizer.for_api(api).remembering_proofs_as(Arc::clone(&seen_at));
            let authorizer = authorizer.with_audit(audit.clone());
            match origin {
                Some(origin) => authorizer.with_origin(origin),
                None => authorizer,
            }
        };
        let (host, authorizers) = match apis {
            GatewayApis::One { api, origin } => {
                (ForwardedHost::Ignored, Authorizers::One(authorizer(api, origin).into()))
            }
            GatewayApis::ByHost(hosts) => {
                let at = |(host, hosted): (_, HostedApi)| (host, authorizer(hosted.api, Some(hosted.origin)));
                (ForwardedHost::Read, Authorizers::ByHost(hosts.into_iter().map(at).collect()))
            }
        };
        let with_name = |ClaimHeader { claim, header }: &ClaimHeader| {
            Some((claim.clone(), HeaderName::from_bytes(header.as_bytes()).ok()?))
        };
        Self {
            trusted_peers,
            authorizers,
            telemetry,
            claims: claims.iter().filter_map(with_name).collect(),
            forwarding: Forwarding { kind, prefix: PathPrefix::of(["authz", name.as_str()]), host, claims },
            name,
        }
    }

    /// What it is called.
    pub(in crate::http) fn name(&self) -> &GatewayName {
        &self.name
    }

    async fn judge(&self, request: &HttpRequest) -> Result<HttpResponse, ProblemKind> {
        self.refuse_strangers(request)?;
        let asked = self.read(request)?;
        let authorizer = self.authorizer(request, &asked)?;
        let judged = self.judged(&asked);
        let permit = decide(authorizer, &asked, request).await.map_err(|refusal| {
            // no decision was taken
            if let Refusal::BadRequest(fault) = &refusal {
                let (detail, id) = (fault.to_string(), RequestName::of(request));
                let refused = RefusedQuestion { detail: Some(&detail), ..refused(&judged, refusal.reason()) };
                self.telemetry.keep_refused(&refused, id.text());
            }
            refusal.into_logged(Some(&judged))
        })?;
        DecisionAllowed {
            gateway: self.name.as_str(),
            method: &judged.method,
            path: &judged.path,
            rule: permit.rule(),
            client: permit.principal().and_then(Principal::client).map(ClientId::as_str),
        }
        .debug();

        self.answer(&permit).ok_or_else(|| {
            let detail = "a name or claim of the token cannot be sent in a header: it holds a control character or a \
                space at an end, or is a list of other things than words";
            let refused = RefusedQuestion { detail: Some(detail), ..refused(&judged, "no-header") };
            self.refuse(Level::WARN, &refused, request);

            ProblemKind::Forbidden("no header can carry what the token says".into())
        })
    }

    /// Tells of a refusal.
    fn refuse(&self, level: Level, refused: &RefusedQuestion<'_>, request: &HttpRequest) {
        self.telemetry.gateway_refused(level, refused, RequestName::of(request).text());
    }

    fn refuse_strangers(&self, request: &HttpRequest) -> Result<(), ProblemKind> {
        let peer = request.peer_addr();
        if peer.is_some_and(|peer| self.trusted_peers.contains(peer.ip())) {
            return Ok(());
        }
        let refused = RefusedQuestion::unread(Some(self.name.as_str()), "untrusted-peer");
        self.refuse(Level::INFO, &refused, request);

        Err(ProblemKind::Forbidden("this peer may not ask".into()))
    }

    fn read<'r>(&self, request: &'r HttpRequest) -> Result<ForwardedRequest<'r>, ProblemKind> {
        self.forwarding.read(request).map_err(|fault| {
            let (method, path) = self.forwarding.told(request);
            let (method, path, detail) = (method.map(shown), path.map(shown), fault.to_string());
            let refused = RefusedQuestion {
                method: method.as_deref(),
                path: path.as_deref(),
                detail: Some(&detail),
                ..RefusedQuestion::unread(Some(self.name.as_str()), "ambiguous")
            };
            self.refuse(Level::INFO, &refused, request);

            ProblemKind::Forbidden("the request is ambiguous".into())
        })
    }

    fn authorizer(
        &self,
        request: &HttpRequest,
        asked: &ForwardedRequest<'_>,
    ) -> Result<&Authorizer, ProblemKind> {
        let found = match &self.authorizers {
            Authorizers::One(authorizer) => Some(&**authorizer),
            Authorizers::ByHost(hosts) => asked.host.and_then(|host| hosts.get(&HostName::of(host))),
        };
        found.ok_or_else(|| {
            let host = asked.host.map(shown);
            let judged = self.judged(asked);
            let refused = RefusedQuestion { host: host.as_deref(), ..refused(&judged, "unknown-host") };
            self.refuse(Level::INFO, &refused, request);

            ProblemKind::Forbidden("no API is at this host".into())
        })
    }

    fn judged<'r>(&'r self, asked: &ForwardedRequest<'r>) -> JudgedRequest<'r> {
        JudgedRequest {
            gateway: Some(self.name.as_str()),
            method: shown(asked.method),
            path: shown(asked.path),
        }
    }

    /// Every identity header, also where there is nothing to say: a gateway passes on the client's own header for
    /// one that is left out. `None` where a value cannot be told as it is.
    fn answer(&self, permit: &Permit) -> Option<HttpResponse> {
        let principal = permit.principal();
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        for (name, value) in IDENTITY_HEADERS.into_iter().zip(identity(principal)) {
            response
                .insert_header((HeaderName::from_static(name), HeaderValue::from_maybe_shared(value?).ok()?));
        }
        for (claim, name) in &self.claims {
            let value = principal.and_then(|principal| principal.claims().get(claim));
            let value = value.map_or(Some(String::new()), header_text)?;
            response.insert_header((name.clone(), HeaderValue::from_maybe_shared(value).ok()?));
        }
        Some(response.finish())
    }
}

pub(in crate::http) async fn ask(gateway: Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let judged = gateway.judge(&request).await;
    let outcome = match &judged {
        Ok(_) => DecisionOutcome::Allowed,
        Err(ProblemKind::Guard(
            GuardFault::NoToken(_) | GuardFault::InvalidToken(..) | GuardFault::NotHeld(_),
        )) => DecisionOutcome::Unauthenticated,
        Err(_) => DecisionOutcome::Denied,
    };
    gateway.telemetry.gateway_answered(Some(gateway.name()), outcome);
    judged.unwrap_or_else(|kind| EndpointProblem::new(kind.for_gateway(), &request).error_response())
}

/// A gateway that nobody knows, or that is set up to ask elsewhere.
pub(in crate::http) async fn unknown(telemetry: Data<Telemetry>, request: HttpRequest) -> HttpResponse {
    let refused = RefusedQuestion::unread(None, "unknown-gateway");
    telemetry.gateway_refused(Level::INFO, &refused, RequestName::of(&request).text());
    telemetry.gateway_answered(None, DecisionOutcome::Denied);

    EndpointProblem::new(ProblemKind::Forbidden("there is no gateway of this name".into()), &request)
        .error_response()
}

/// That a gateway's request is refused, with nothing yet of why but the reason.
fn refused<'r>(judged: &'r JudgedRequest<'_>, reason: &'r str) -> RefusedQuestion<'r> {
    RefusedQuestion {
        method: Some(&judged.method),
        path: Some(&judged.path),
        ..RefusedQuestion::unread(judged.gateway, reason)
    }
}

/// What a request is called.
struct RequestName(Option<RequestId>);

impl RequestName {
    fn of(request: &HttpRequest) -> Self {
        Self(request.extensions().get().copied())
    }

    fn text(&self) -> Option<&dyn Display> {
        self.0.as_ref().map(|id| -> &dyn Display { id })
    }
}

async fn decide(
    authorizer: &Authorizer,
    asked: &ForwardedRequest<'_>,
    request: &HttpRequest,
) -> Result<Permit, Refusal> {
    let token = jeton_actix::bearer_token(request.headers(), asked.query).map_err(Refusal::BadRequest)?;
    let id = request.extensions().get::<RequestId>().copied();
    let access = AccessRequest {
        method: asked.method,
        target: Ok(asked.path),
        token: token.as_ref(),
        shown: asked.shown,
        id: id.as_ref().map(|id| -> &(dyn Display + Sync) { id }),
    };
    authorizer.decide(&access).await.map_err(Refusal::Denied)
}

/// The values of [`IDENTITY_HEADERS`], in their order.
fn identity(principal: Option<&Principal>) -> [Option<String>; 4] {
    let Some(principal) = principal else { return [const { Some(String::new()) }; 4] };
    let text = |text: &str| header_text(&Value::from(text));
    [
        text(principal.client().map_or("", ClientId::as_str)),
        Some(principal.scopes().to_string()),
        Some(principal.roles().iter().map(Role::as_str).collect::<Vec<_>>().join(" ")),
        Some(principal.token_id().as_str().to_owned()),
    ]
}
