//! What the endpoints for clients have in common.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use actix_web::{HttpRequest, HttpResponse, ResponseError, web::Payload};
use jeton_oauth::{ClientId, ErrorCode};
use jeton_policy::clients::ClientSecret;
use jeton_verify::BearerToken;

use crate::{
    authenticate::{AuthenticationError, ClientCredentials},
    event::{IntrospectionRefused, RevocationRefused, TokenRefused},
    gateway::TrustedPeers,
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, client_address, client_credentials},
    },
    limits::{LimitName, Limits, RateLimited},
};

/// Who counts failed authentications by the address from which they came.
pub(in crate::http) struct FailedAuthentications {
    limits: Arc<Limits>,
    trusted_proxies: TrustedPeers,
}

impl FailedAuthentications {
    pub(in crate::http) fn new(limits: Arc<Limits>, trusted_proxies: TrustedPeers) -> Self {
        Self { limits, trusted_proxies }
    }

    fn address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        client_address(request.headers(), peer, &self.trusted_proxies).to_canonical()
    }
}

/// What it is that an endpoint refuses: each has an event of its own.
#[derive(Clone, Copy)]
pub(super) enum Refusing {
    Token,
    Revocation,
    Introspection,
}

/// An endpoint with a request of a client, which it may refuse.
#[derive(Clone, Copy)]
pub(super) struct ClientEndpoint<'r> {
    pub(super) refusing: Refusing,
    pub(super) request: &'r HttpRequest,
    pub(super) failures: &'r FailedAuthentications,
}

/// Logs a refusal at a level: its reason, detail, client and who was attempted.
macro_rules! log {
    ($refusing:ident.$level:ident($reason:expr, $detail:expr, $client:expr, $attempted:expr)) => {{
        let (reason, detail, client, attempted) = ($reason, $detail, $client, $attempted);
        match $refusing {
            Refusing::Token => TokenRefused { reason, detail, client, attempted }.$level(),
            Refusing::Revocation => RevocationRefused { reason, detail, client, attempted }.$level(),
            Refusing::Introspection => {
                IntrospectionRefused { reason, detail: Some(detail), client, attempted }.$level();
            }
        }
    }};
}

/// Who asks about which token (RFC 7009 section 2.1, RFC 7662 section 2.1).
pub(super) async fn credentials_and_token(
    body: Payload,
    endpoint: ClientEndpoint<'_>,
) -> Result<(ClientCredentials, BearerToken), TokenEndpointError> {
    let request = endpoint.request;
    let read = async {
        let mut form = Form::read(request, body).await?;
        let credentials = client_credentials(request.headers(), &mut form)?;
        Ok((credentials, BearerToken::new(form.require("token")?)))
    };
    read.await.map_err(|error| endpoint.unread(error))
}

impl ClientEndpoint<'_> {
    /// What a client learns whose request cannot be understood.
    pub(super) fn unread(self, error: TokenEndpointError) -> TokenEndpointError {
        let refusing = self.refusing;
        let attempted = error.attempted.as_deref().map(shown);
        if error.code == ErrorCode::InvalidClient
            && let Err(limited) = self.count_failure(&error.description, None, attempted)
        {
            return limited;
        }
        log!(refusing.info(error.code.as_str(), &error.description, None, attempted));
        error
    }

    /// What a client learns that did not show who it is: that it failed. The log says why.
    pub(super) fn unauthenticated(self, error: &AuthenticationError) -> TokenEndpointError {
        if let AuthenticationError::Unavailable { .. } = error {
            return self.unavailable(&error.to_string());
        }
        let (refusing, why, client) = (self.refusing, error.to_string(), error.client());
        let attempted = error.attempted().map(shown);
        if let Err(limited) = self.count_failure(&why, client, attempted) {
            return limited;
        }
        log!(refusing.warn("invalid_client", &why, client.map(ClientId::as_str), attempted));
        TokenEndpointError::new(ErrorCode::InvalidClient, "client authentication failed")
    }

    /// What a client learns when something that is needed is away.
    pub(super) fn unavailable(self, detail: &str) -> TokenEndpointError {
        let refusing = self.refusing;
        log!(refusing.error("temporarily_unavailable", detail, None, None));
        TokenEndpointError::new(ErrorCode::TemporarilyUnavailable, "this cannot be answered now: ask again")
    }

    /// What a client learns that asks more often than it may.
    pub(super) fn over_limit(self, client: &ClientId, limited: RateLimited) -> TokenEndpointError {
        self.rate_limited(limited, &limited.to_string(), Some(client), None)
    }

    /// Counts a failed authentication. A right one does not come here, whatever failed before it.
    fn count_failure(
        self,
        why: &str,
        client: Option<&ClientId>,
        attempted: Option<&str>,
    ) -> Result<(), TokenEndpointError> {
        let address = self.failures.address(self.request);
        let counted = self.failures.limits.count_failure(address);
        counted.map_err(|limited| {
            self.rate_limited(limited, &format!("{why}; {limited} from {address}"), client, attempted)
        })
    }

    /// Every answer 429 is told and made here.
    fn rate_limited(
        self,
        limited: RateLimited,
        detail: &str,
        client: Option<&ClientId>,
        attempted: Option<&str>,
    ) -> TokenEndpointError {
        let refusing = self.refusing;
        log!(refusing.warn("rate_limited", detail, client.map(ClientId::as_str), attempted));
        let RateLimited { name, rate, retry_after } = limited;
        let message = match name {
            LimitName::Tokens | LimitName::Introspections => {
                format!("this client sends more {name} than {rate}: ask again in {retry_after} s")
            }
            // as little as of any other failure: that it failed
            LimitName::Failures => {
                format!(
                    "client authentication failed, as it often did from this address: try again in {retry_after} s"
                )
            }
        };
        TokenEndpointError {
            kind: TokenEndpointErrorKind::RateLimited(retry_after),
            ..TokenEndpointError::new(ErrorCode::TemporarilyUnavailable, message)
        }
    }
}

/// An id that nobody has, for the log; but not where somebody mistook a secret for it.
fn shown(attempted: &str) -> &str {
    if ClientSecret::is_like(attempted) { "(a secret)" } else { attempted }
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("this endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
