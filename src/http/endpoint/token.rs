//! `POST /oauth2/token` (RFC 6749 section 3.2).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap, HeaderValue},
    web::{Data, Payload},
};
use jeton_oauth::{ErrorCode, GrantType};
use jeton_verify::{BearerToken, Shown, TokenScheme};
use tracing::Level;

use super::client::{ClientEndpoint, ClientEndpoints, Refusing, shown};
use crate::{
    authenticate::ClientCredentials,
    binding::BindingError,
    federation::{ForeignToken, ShownAs},
    grant::{RequestedAccess, TokenRequest},
    http::{
        error::{NONCE_HEADER, TokenEndpointError, TokenEndpointErrorKind},
        extract::{Form, claimed_by_basic, client_credentials, has_credentials},
    },
    issue::{IssuanceRefused, IssuedToken, TokenIssuer},
    telemetry::{ClientRefusal, TokenAttempt},
    tls::ShownCertificate,
};

/// The token type of what an exchange takes and gives (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What an access token of ours is too, and a token of another issuer.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What some platforms call theirs.
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What most answers have around token and scopes, in bytes.
const ROOM_AROUND: usize = 80;

pub(in crate::http) async fn post(
    request: HttpRequest,
    body: Payload,
    tokens: Data<Arc<TokenIssuer>>,
    endpoints: Data<ClientEndpoints>,
) -> Result<HttpResponse, TokenEndpointError> {
    let telemetry = &*endpoints.telemetry;
    let mut grant = None;
    let read = read(&request, body, &endpoints, &mut grant).await;
    let (credentials, asked, certificate) = read.map_err(|error| {
        let claimed = error.attempted.clone().or_else(|| claimed_by_basic(request.headers()));
        let attempt = TokenAttempt { telemetry, grant, claimed: claimed.as_deref() };
        endpoints.at(&request, Refusing::Token(attempt)).unread(error)
    })?;
    let attempt = TokenAttempt { telemetry, grant, claimed: credentials.claimed_id() };
    let endpoint = endpoints.at(&request, Refusing::Token(attempt));
    let shown = Shown::of_headers(request.headers().get_all("dpop").map(HeaderValue::as_bytes))
        .with_certificate(certificate.map(|certificate| certificate.thumbprint()));
    let issued = tokens.issue(&credentials, &asked, &shown).await;
    let issued = issued.map_err(|refused| refuse(refused, attempt, endpoint))?;
    let scopes = issued.scopes.to_string();
    telemetry.token_issued(asked.grant_type(), &issued, &scopes);
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .content_type(header::ContentType::json());
    if let Some(nonce) = &issued.next_nonce {
        answer.insert_header((NONCE_HEADER, nonce.as_str()));
    }
    Ok(answer.body(answer_body(&issued, &scopes, issued_token_type(&asked))))
}

/// `issued_token_type` of the answer (RFC 8693 section 2.2.1).
fn issued_token_type(asked: &TokenRequest) -> Option<&'static str> {
    match asked {
        TokenRequest::ClientCredentials(_) | TokenRequest::RefreshToken { .. } => None,
        TokenRequest::ForeignExchange(_) | TokenRequest::TokenExchange { .. } => Some(ACCESS_TOKEN),
    }
}

/// The answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1, RFC 9449 section 5). Put together by hand, for a token is long and a
/// serializer would look at each of its characters: neither base64url nor a scope can hold what JSON escapes.
fn answer_body(issued: &IssuedToken, scopes: &str, issued_token_type: Option<&str>) -> String {
    let mut body = String::with_capacity(issued.token.as_str().len() + scopes.len() + ROOM_AROUND);
    let mut add = |parts: &[&str]| parts.iter().for_each(|part| body.push_str(part));
    let token_type = TokenScheme::of(issued.bound_to).name();
    add(&[r#"{"access_token":""#, issued.token.as_str(), r#"","token_type":""#, token_type]);
    add(&[r#"","expires_in":"#, &issued.expires_in.to_string()]);
    if !scopes.is_empty() {
        add(&[r#","scope":""#, scopes, r#"""#]);
    }
    if let Some(token) = &issued.refresh_token {
        add(&[r#","refresh_token":""#, token.as_str(), r#"""#]);
    }
    if let Some(token_type) = issued_token_type {
        add(&[r#","issued_token_type":""#, token_type, r#"""#]);
    }
    add(&["}"]);
    body
}

/// What a request says: who asks, and for what; and the certificate that the client shows. The grant type is known even where the rest cannot be read.
async fn read(
    request: &HttpRequest,
    body: Payload,
    endpoints: &ClientEndpoints,
    grant: &mut Option<GrantType>,
) -> Result<(ClientCredentials, TokenRequest, Option<Arc<ShownCertificate>>), TokenEndpointError> {
    let certificate = endpoints.certificate(request)?;
    let mut form = Form::read(request, body).await?;
    let grant_type = *grant.insert(grant_type(&mut form)?);
    let client = ShownClient {
        headers: request.headers(),
        certificate: certificate.as_ref(),
        takes_certificates: endpoints.certificate_proxies.takes_certificates(),
    };
    let (credentials, asked) = read_form(&client, form, grant_type)?;
    Ok((credentials, asked, certificate))
}

/// Who asks for a token, and for what, by the body of a request and its header `Authorization`, where no certificate is
/// shown. Nothing of it is checked yet.
///
/// # Errors
/// [`TokenEndpointError`], as the client is told.
pub fn read_token_request(
    headers: &HeaderMap,
    body: &str,
) -> Result<(ClientCredentials, TokenRequest), TokenEndpointError> {
    let mut form = Form::parse(body)?;
    let grant_type = grant_type(&mut form)?;
    read_form(&ShownClient { headers, certificate: None, takes_certificates: false }, form, grant_type)
}

/// A client that wants what is not here learns that first: credentials would not help it.
fn grant_type(form: &mut Form) -> Result<GrantType, TokenEndpointError> {
    let name = form.require("grant_type")?;
    GrantType::parse(&name).ok_or_else(|| {
        let known: Vec<_> = GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect();
        let message =
            format!("the supported grant types are {}; `{name:.80}` is not one of them", known.join(", "));
        TokenEndpointError::new(ErrorCode::UnsupportedGrantType, message)
    })
}

/// By what else than its form a request shows its client.
struct ShownClient<'r> {
    headers: &'r HeaderMap,
    certificate: Option<&'r Arc<ShownCertificate>>,
    takes_certificates: bool,
}

fn read_form(
    client: &ShownClient<'_>,
    mut form: Form,
    grant_type: GrantType,
) -> Result<(ClientCredentials, TokenRequest), TokenEndpointError> {
    let ShownClient { headers, certificate, takes_certificates } = *client;
    // if the subject token is all that shows who asks, it is one of another issuer; with a client's own credentials it is
    // one of ours, and one of ours shows nobody. A certificate comes with the connection, and says nothing of the subject
    // token: there its type alone tells
    let is_ours = certificate.is_some() && form.find("subject_token_type") == Some(ACCESS_TOKEN);
    if grant_type == GrantType::TokenExchange && !has_credentials(headers, &form) && !is_ours {
        let SubjectToken { text, token_type } =
            SubjectToken::take(&mut form, &[JWT, ID_TOKEN, ACCESS_TOKEN])?;
        if token_type != ACCESS_TOKEN {
            let (client_id, shown_as) = (form.take("client_id"), ShownAs::SubjectToken);
            let credentials =
                ClientCredentials::Foreign { client_id, token: ForeignToken::new(text), shown_as };
            return Ok((credentials, TokenRequest::ForeignExchange(access(&mut form))));
        }
    }
    let credentials = client_credentials(headers, &mut form, certificate, takes_certificates)?;
    let access = access(&mut form);
    let asked = match grant_type {
        GrantType::ClientCredentials => TokenRequest::ClientCredentials(access),
        GrantType::RefreshToken => TokenRequest::RefreshToken {
            refresh_token: form.require("refresh_token").map(BearerToken::new)?,
            access,
        },
        GrantType::TokenExchange => {
            let SubjectToken { text, .. } = SubjectToken::take(&mut form, &[ACCESS_TOKEN, JWT])?;
            TokenRequest::TokenExchange { subject_token: BearerToken::new(text), access }
        }
    };
    Ok((credentials, asked))
}

fn access(form: &mut Form) -> RequestedAccess {
    let scope = form.take("scope");
    RequestedAccess::read(scope.as_deref(), &form.take_all(["resource", "audience"]))
}

/// The token that is to be exchanged.
struct SubjectToken {
    text: String,
    token_type: String,
}

impl SubjectToken {
    /// Takes it out of a form, if an exchange here takes and gives what the form says (RFC 8693 section 2.1).
    fn take(form: &mut Form, types: &[&str]) -> Result<Self, TokenEndpointError> {
        let text = form.require("subject_token")?;
        let token_type = form.require("subject_token_type")?;
        if !types.contains(&&*token_type) {
            let expected = types.join(" or ");
            return Err(TokenEndpointError::another_value("subject_token_type", &token_type, &expected));
        }
        let wanted = form.take("requested_token_type");
        if let Some(wanted) = wanted.filter(|wanted| ![ACCESS_TOKEN, JWT].contains(&&**wanted)) {
            return Err(TokenEndpointError::another_value("requested_token_type", &wanted, ACCESS_TOKEN));
        }
        if form.take("actor_token").is_some() | form.take("actor_token_type").is_some() {
            let message = "actor_token is not supported: the client that exchanges is the actor";
            return Err(TokenEndpointError::invalid_request(message));
        }
        Ok(Self { text, token_type })
    }
}

/// What the client learns. Of a failed authentication it learns that it failed; the log says why.
fn refuse(
    refused: IssuanceRefused,
    attempt: TokenAttempt<'_>,
    endpoint: ClientEndpoint<'_>,
) -> TokenEndpointError {
    let refusing = endpoint.refusing;
    match refused {
        IssuanceRefused::Unauthenticated(error) => endpoint.unauthenticated(&error),
        IssuanceRefused::Unbound { client, error } => {
            // before the client has shown who it is, there is only what it claims
            let attempted = attempt.claimed.filter(|_| client.is_none()).map(shown);
            let detail = error.to_string();
            let refusal = ClientRefusal {
                client: client.as_ref(),
                attempted,
                ..ClientRefusal::of(error.code(), &detail)
            };
            unbound(error, &refusal, endpoint)
        }
        IssuanceRefused::RateLimited { client, limited } => endpoint.over_limit(&client, limited),
        IssuanceRefused::NotGranted { client, error, detail } => {
            let code = error.code();
            let detail = detail.unwrap_or_else(|| error.to_string());
            let refusal = ClientRefusal { client: Some(&client), ..ClientRefusal::of(code, &detail) };
            refusing.tell(Level::INFO, &refusal);
            TokenEndpointError::new(code, error.to_string())
        }
        IssuanceRefused::TooLong { ref client } => {
            let detail = refused.to_string();
            let code = ErrorCode::InvalidScope;
            let refusal = ClientRefusal { client: Some(client), ..ClientRefusal::of(code, &detail) };
            refusing.tell(Level::WARN, &refusal);
            TokenEndpointError::new(code, detail)
        }
        IssuanceRefused::Unavailable(error) => endpoint.unavailable(&error.to_string()),
        IssuanceRefused::RevocationsUnknown(error) => endpoint.unavailable(&error.to_string()),
        IssuanceRefused::Unnamed(error) => failed(&error, attempt),
        IssuanceRefused::Failed(error) => failed(&error, attempt),
    }
}

/// What a client learns of what it shows to bind its token.
fn unbound(
    error: BindingError,
    refusal: &ClientRefusal<'_>,
    endpoint: ClientEndpoint<'_>,
) -> TokenEndpointError {
    // a proof that comes again may be stolen
    let level = if matches!(error, BindingError::Replayed) { Level::WARN } else { Level::INFO };
    endpoint.refusing.tell(level, refusal);
    let kind = match error {
        BindingError::Nonce { fresh } => TokenEndpointErrorKind::UseNonce(fresh),
        _ => TokenEndpointErrorKind::Plain,
    };
    TokenEndpointError { kind, ..TokenEndpointError::new(refusal.code, refusal.detail.to_owned()) }
}

fn failed(error: &dyn std::error::Error, attempt: TokenAttempt<'_>) -> TokenEndpointError {
    attempt.failed(error);
    TokenEndpointError::new(ErrorCode::ServerError, "the token could not be issued")
}
