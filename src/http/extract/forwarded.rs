//! What a gateway asks: the request of its client, read from the one place where a gateway of this kind says it.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};
use jeton_oauth::Thumbprint;
use jeton_policy::{BadPath, CanonicalPath, PathPrefix};
use jeton_verify::{
    Shown,
    gateway::{ClaimHeader, IDENTITY_HEADERS, IDENTITY_PREFIX, METHOD_OVERRIDES},
};

use crate::{
    gateway::{ForwardedCertificate, GatewayKind, RequestHeaders},
    tls::ShownCertificate,
};

/// How a gateway says what it is asked itself.
pub struct Forwarding {
    /// Which program it is.
    pub kind: GatewayKind,
    /// Where it asks, which stands before the client's path where that is in its own request.
    pub prefix: PathPrefix,
    /// Whether the host matters.
    pub host: ForwardedHost,
    /// The claims that are answered.
    pub claims: Vec<ClaimHeader>,
}

/// Whether the host of the client's request matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHost {
    /// It chooses the API, so it must be told.
    Read,
    /// It is not looked at.
    Ignored,
}

/// A request as a gateway says that it got it.
pub struct ForwardedRequest<'r> {
    /// Its method.
    pub method: &'r str,
    /// Its path as it was sent: one that is read in one way only.
    pub path: &'r str,
    /// Its query as it was sent.
    pub query: &'r str,
    /// Its host, where that chooses the API.
    pub host: Option<&'r str>,
    /// What its client shows beside a token: proofs, as they were sent, and the certificate that the gateway has seen.
    pub shown: Shown<'r>,
}

/// Why it is not clear what is asked, or what an upstream would make of it: for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedFault {
    /// A header is missing that the gateway must send. Our own request line never takes its place.
    #[error("`{0}` is missing: use the kind and the recipe of this gateway")]
    Missing(&'static str),
    /// A header stands twice: one of them is the client's.
    #[error("`{0}` stands twice")]
    Several(&'static str),
    /// A header holds bytes that are no text.
    #[error("`{0}` is not text")]
    NotText(&'static str),
    /// A path that the gateway and the server behind it might read differently.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A method with a comma, as two headers look after a proxy has joined them.
    #[error("there is more than one method")]
    Methods,
    /// `Connection` names a header that matters here, so that a proxy drops it on the way.
    #[error("`connection` names `{0}`")]
    HopByHop(String),
    /// A header would make another method of it for some frameworks.
    #[error("`{0}` changes the method")]
    MethodOverride(String),
    /// The header with the client's certificate is not as this gateway writes it.
    #[error("`{0}` is not as a gateway of this kind writes it: use the recipe of this gateway")]
    Certificate(&'static str),
    /// A header that the gateway cannot drop, and that somebody behind it may take for jeton's or the gateway's word.
    #[error("`{0}` comes from the client, and could pass for a header of the gateway")]
    Foreign(String),
}

impl Forwarding {
    /// What is asked.
    ///
    /// # Errors
    /// [`ForwardedFault`] for whatever a gateway and the server behind it might read differently.
    pub fn read<'r>(&self, request: &'r HttpRequest) -> Result<ForwardedRequest<'r>, ForwardedFault> {
        let headers = request.headers();
        let (method, target, host) = match self.kind.request_headers() {
            Some(names) => (
                single(headers, names.method)?,
                single(headers, names.target)?,
                self.host(headers, names.host)?,
            ),
            None => (request.method().as_str(), self.own_target(request)?, self.host(headers, "host")?),
        };
        if method.contains(',') {
            return Err(ForwardedFault::Methods);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        CanonicalPath::parse(path)?;
        self.refuse_hop_by_hop(headers)?;
        self.refuse_foreign(headers, method)?;
        let certificate = self.certificate(headers)?;
        let shown = Shown { proof: jeton_actix::shown_proof(headers), certificate, path: None };
        Ok(ForwardedRequest { method, path, query, host, shown })
    }

    /// The thumbprint of the certificate that the gateway says its client showed. Nobody else's word is taken: not that of
    /// another kind's header, nor the certificate of the connection, which is the gateway's own.
    fn certificate(&self, headers: &HeaderMap) -> Result<Option<Thumbprint>, ForwardedFault> {
        let header = self.kind.certificate_header();
        if !headers.contains_key(header.name) {
            return Ok(None);
        }
        let read = header.read(single(headers, header.name)?);
        let thumbprint = match read.ok_or(ForwardedFault::Certificate(header.name))? {
            ForwardedCertificate::Sha256(hash) => Some(Thumbprint::new(hash)),
            ForwardedCertificate::Der(der) => {
                let shown = ShownCertificate::new(&der.into(), &[]);
                shown.ok().map(|certificate| certificate.thumbprint())
            }
        };
        thumbprint.map(Some).ok_or(ForwardedFault::Certificate(header.name))
    }

    /// Method and path as far as they are told, for the log of a request that is refused by [`Self::read`].
    pub fn told<'r>(&self, request: &'r HttpRequest) -> (Option<&'r str>, Option<&'r str>) {
        let first = |name: &'static str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let (method, target) = match self.kind.request_headers() {
            Some(RequestHeaders { method, target, .. }) => (first(method), first(target)),
            None => (Some(request.method().as_str()), self.own_target(request).ok()),
        };
        (method, target.map(|target| target.split_once('?').map_or(target, |(path, _)| path)))
    }

    /// The gateway's own request, whose path has ours before that of the client.
    fn own_target<'r>(&self, request: &'r HttpRequest) -> Result<&'r str, BadPath> {
        self.prefix.cut(request.uri().path_and_query().map_or("", |target| target.as_str()))
    }

    fn host<'r>(
        &self,
        headers: &'r HeaderMap,
        name: &'static str,
    ) -> Result<Option<&'r str>, ForwardedFault> {
        match self.host {
            ForwardedHost::Read => single(headers, name).map(Some),
            ForwardedHost::Ignored if headers.get_all(name).nth(1).is_some() => {
                Err(ForwardedFault::Several(name))
            }
            ForwardedHost::Ignored => Ok(None),
        }
    }

    /// Refuses headers that should not have come through: some gateways cannot drop them by the beginning of
    /// their name, and some servers behind them take `X_Auth_Client` for `X-Auth-Client`.
    fn refuse_foreign(&self, headers: &HeaderMap, method: &str) -> Result<(), ForwardedFault> {
        // whatever matters begins so, and little else does
        for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with('x')) {
            let name = name.as_str();
            let shown = || name.chars().take(80).collect();
            if METHOD_OVERRIDES.iter().any(|like| reads_as(name, like))
                && value.as_bytes() != method.as_bytes()
            {
                return Err(ForwardedFault::MethodOverride(shown()));
            }
            let is_dropped = match self.kind {
                GatewayKind::Nginx | GatewayKind::Service => {
                    !name.starts_with(ORIGINAL) || ORIGINAL_DROPPED.contains(&name)
                }
                GatewayKind::Caddy | GatewayKind::Traefik | GatewayKind::Envoy | GatewayKind::Haproxy => true,
            };
            if !is_dropped || (begins_as(name, IDENTITY_PREFIX) && !self.answers(name)) {
                return Err(ForwardedFault::Foreign(shown()));
            }
        }
        Ok(())
    }

    fn refuse_hop_by_hop(&self, headers: &HeaderMap) -> Result<(), ForwardedFault> {
        for value in headers.get_all(header::CONNECTION) {
            let Ok(options) = value.to_str() else { return Err(ForwardedFault::NotText("connection")) };
            for option in options.split(',').map(|option| option.trim().to_ascii_lowercase()) {
                if matters(&option) || reads_as(&option, self.kind.certificate_header().name) {
                    return Err(ForwardedFault::HopByHop(option.chars().take(80).collect()));
                }
            }
        }
        Ok(())
    }

    /// Whether a positive answer has this header, which so takes the place of the client's.
    fn answers(&self, name: &str) -> bool {
        IDENTITY_HEADERS.contains(&name) || self.claims.iter().any(|claim| claim.header == name)
    }
}

/// What the names begin with by which a gateway says what it was asked.
const ORIGINAL: &str = "x-original-";
/// Those that nginx drops by its recipe: it can drop by whole names alone.
const ORIGINAL_DROPPED: [&str; 5] =
    ["x-original-method", "x-original-uri", "x-original-host", "x-original-url", "x-original-path"];

/// Whether the name of a header, in small letters, is `like` for a program that reads every sign as `-`.
fn reads_as(name: &str, like: &str) -> bool {
    name.len() == like.len() && begins_as(name, like)
}

/// As [`reads_as`], for the beginning.
fn begins_as(name: &str, like: &str) -> bool {
    let as_dash = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    name.len() >= like.len() && name.bytes().zip(like.bytes()).all(|(byte, like)| as_dash(byte) == like)
}

fn single<'r>(headers: &'r HeaderMap, name: &'static str) -> Result<&'r str, ForwardedFault> {
    let mut values = headers.get_all(name);
    let (first, second) = (values.next(), values.next());
    let value = first.ok_or(ForwardedFault::Missing(name))?;
    if second.is_some() {
        return Err(ForwardedFault::Several(name));
    }
    value.to_str().map_err(|_| ForwardedFault::NotText(name))
}

/// Whether a header, in small letters, says what is asked or who asks.
fn matters(name: &str) -> bool {
    [IDENTITY_PREFIX, ORIGINAL, "x-forwarded-"].iter().any(|like| begins_as(name, like))
        || METHOD_OVERRIDES.iter().any(|like| reads_as(name, like))
        || matches!(name, "authorization" | "dpop" | "host")
}
