//! What the endpoints for clients have in common.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    web::{Data, Payload},
};
use jeton_oauth::{ClientId, ErrorCode};
use jeton_policy::clients::ClientSecret;
use jeton_verify::BearerToken;
use tracing::Level;

use crate::{
    authenticate::{AuthenticationError, ClientCredentials},
    binding::ProvenBinding,
    event::{IntrospectionRefused, RevocationRefused},
    federation::ShownAs,
    http::{
        error::{TokenEndpointError, TokenEndpointErrorKind},
        extract::{CertificateProxies, Form, TrustedProxies, client_credentials},
    },
    limits::{LimitName, Limits, RateLimited},
    telemetry::{ClientRefusal, Telemetry, TokenAttempt},
    tls::ShownCertificate,
};

/// What the endpoints for clients share.
pub(in crate::http) struct ClientEndpoints {
    /// Where it is told what comes of requests.
    pub(in crate::http) telemetry: Arc<Telemetry>,
    /// Counts the authentications that fail.
    pub(in crate::http) limits: Arc<Limits>,
    /// Who says from which address a request came.
    pub(in crate::http) trusted_proxies: Data<TrustedProxies>,
    /// Who says which certificate a client has shown.
    pub(in crate::http) certificate_proxies: Data<CertificateProxies>,
}

/// An endpoint with a request of a client, which it may refuse.
#[derive(Clone, Copy)]
pub(super) struct ClientEndpoint<'r> {
    shared: &'r ClientEndpoints,
    request: &'r HttpRequest,
    pub(super) refusing: Refusing<'r>,
}

/// What it is that an endpoint refuses: each has an event of its own.
#[derive(Clone, Copy)]
pub(super) enum Refusing<'r> {
    Token(TokenAttempt<'r>),
    Revocation,
    Introspection,
}

/// Logs an event at a level.
macro_rules! log {
    ($event:expr, $level:expr) => {
        match $level {
            Level::ERROR => $event.error(),
            Level::WARN => $event.warn(),
            _ => $event.info(),
        }
    };
}

impl Refusing<'_> {
    /// Tells of a refusal: `ERROR` where the fault is ours, `WARN` where somebody may be up to something, else `INFO`.
    pub(super) fn tell(self, level: Level, refusal: &ClientRefusal<'_>) {
        let ClientRefusal { detail, client, attempted, .. } = *refusal;
        let (reason, client) = (refusal.reason(), client.map(ClientId::as_str));
        match self {
            Self::Token(attempt) => attempt.refused(level, refusal),
            Self::Revocation => log!(RevocationRefused { reason, detail, client, attempted }, level),
            Self::Introspection => {
                log!(IntrospectionRefused { reason, detail: Some(detail), client, attempted }, level);
            }
        }
    }
}

/// Who asks about which token (RFC 7009 section 2.1, RFC 7662 section 2.1), and what the connection proves. No proof of a key
/// is looked at here.
pub(super) async fn credentials_and_token(
    body: Payload,
    endpoint: ClientEndpoint<'_>,
) -> Result<(ClientCredentials, ProvenBinding, BearerToken), TokenEndpointError> {
    let request = endpoint.request;
    let read = async {
        let certificate = endpoint.shared.certificate(request)?;
        let mut form = Form::read(request, body).await?;
        let credentials = endpoint.shared.credentials(request, &mut form, certificate.as_ref())?;
        let proven = ProvenBinding::of_connection(certificate.map(|certificate| certificate.thumbprint()));
        Ok((credentials, proven, BearerToken::new(form.require("token")?)))
    };
    read.await.map_err(|error| endpoint.unread(error))
}

impl ClientEndpoints {
    /// The one that was asked, and refuses this.
    pub(super) fn at<'r>(&'r self, request: &'r HttpRequest, refusing: Refusing<'r>) -> ClientEndpoint<'r> {
        ClientEndpoint { shared: self, request, refusing }
    }

    /// By what the client of a request shows who it is.
    pub(super) fn credentials(
        &self,
        request: &HttpRequest,
        form: &mut Form,
        certificate: Option<&Arc<ShownCertificate>>,
    ) -> Result<ClientCredentials, TokenEndpointError> {
        let takes_certificates = self.certificate_proxies.takes_certificates();
        client_credentials(request.headers(), form, certificate, takes_certificates)
    }

    /// The certificate that a client has shown, if there is one.
    pub(super) fn certificate(
        &self,
        request: &HttpRequest,
    ) -> Result<Option<Arc<ShownCertificate>>, TokenEndpointError> {
        let shown = self.certificate_proxies.shown(request);
        shown.map_err(|fault| TokenEndpointError::invalid_request(fault.to_string()))
    }
}

impl ClientEndpoint<'_> {
    /// What a client learns whose request cannot be understood.
    pub(super) fn unread(self, error: TokenEndpointError) -> TokenEndpointError {
        let attempted = error.attempted.as_deref().map(shown);
        let refusal = ClientRefusal { attempted, ..ClientRefusal::of(error.code, &error.description) };
        if error.code == ErrorCode::InvalidClient
            && let Err(limited) = self.count_failure(&refusal)
        {
            return limited;
        }
        self.refusing.tell(Level::INFO, &refusal);
        error
    }

    /// What a client learns that did not show who it is: that it failed. The log says why.
    pub(super) fn unauthenticated(self, error: &AuthenticationError) -> TokenEndpointError {
        let detail = error.to_string();
        if let AuthenticationError::Unavailable { .. } = error {
            return self.unavailable(&detail);
        }
        // a subject token is no authentication of the client's own (RFC 8693 section 2.2.2)
        let (code, told) = match error {
            AuthenticationError::Foreign { shown_as: ShownAs::SubjectToken, .. } => {
                (ErrorCode::InvalidRequest, "the subject token is not valid")
            }
            _ => (ErrorCode::InvalidClient, "client authentication failed"),
        };
        let refusal = ClientRefusal {
            client: error.client(),
            attempted: error.attempted().map(shown),
            ..ClientRefusal::of(code, &detail)
        };
        if let Err(limited) = self.count_failure(&refusal) {
            return limited;
        }
        self.refusing.tell(Level::WARN, &refusal);
        TokenEndpointError::new(code, told)
    }

    /// What a client learns when something that is needed is away.
    pub(super) fn unavailable(self, detail: &str) -> TokenEndpointError {
        let code = ErrorCode::TemporarilyUnavailable;
        self.refusing.tell(Level::ERROR, &ClientRefusal::of(code, detail));
        TokenEndpointError::new(code, "this cannot be answered now: ask again")
    }

    /// What a client learns that asks more often than it may.
    pub(super) fn over_limit(self, client: &ClientId, limited: RateLimited) -> TokenEndpointError {
        let detail = limited.to_string();
        let refusal =
            ClientRefusal { client: Some(client), ..ClientRefusal::of_limit(limited.name, &detail) };
        self.rate_limited(&refusal, limited)
    }

    /// Counts a failed authentication. A right one does not come here, whatever failed before it.
    fn count_failure(self, failure: &ClientRefusal<'_>) -> Result<(), TokenEndpointError> {
        let address = self.shared.trusted_proxies.client_address(self.request);
        self.shared.limits.count_failure(address).map_err(|limited| {
            let detail = format!("{}; {limited} from {address}", failure.detail);
            let ClientRefusal { client, attempted, .. } = *failure;
            let refusal =
                ClientRefusal { client, attempted, ..ClientRefusal::of_limit(limited.name, &detail) };
            self.rate_limited(&refusal, limited)
        })
    }

    /// Every answer 429 is told and made here.
    fn rate_limited(self, refusal: &ClientRefusal<'_>, limited: RateLimited) -> TokenEndpointError {
        let RateLimited { name, rate, retry_after } = limited;
        self.refusing.tell(Level::WARN, refusal);
        let client = refusal.client.map(ClientId::as_str);
        self.shared.telemetry.rate_limited(client.or(refusal.attempted), name);
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
            ..TokenEndpointError::new(refusal.code, message)
        }
    }
}

/// An id that nobody has, for the log; but not where somebody mistook a secret for it.
pub(super) fn shown(attempted: &str) -> &str {
    if ClientSecret::is_like(attempted) { "(a secret)" } else { attempted }
}

pub(in crate::http) async fn other_method() -> HttpResponse {
    let error = TokenEndpointError {
        kind: TokenEndpointErrorKind::Method,
        ..TokenEndpointError::invalid_request("this endpoint takes POST only (RFC 6749 section 3.2)")
    };
    error.error_response()
}
