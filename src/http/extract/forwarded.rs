//! What a gateway asks: the request of its client, read from the one place where a gateway of this kind says it.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};

use crate::{
    gateway::{
        ClaimHeader, GatewayKind, IDENTITY_HEADERS, IDENTITY_PREFIX, METHOD_OVERRIDES, RequestHeaders,
    },
    policy::{BadPath, CanonicalPath},
};

/// A request as a gateway says that it got it.
pub(in crate::http) struct ForwardedRequest<'r> {
    /// Its method.
    pub(in crate::http) method: &'r str,
    /// Its path as it was sent: one that is read in one way only.
    pub(in crate::http) path: &'r str,
    /// Its query as it was sent.
    pub(in crate::http) query: &'r str,
    /// Its host, where that chooses the API.
    pub(in crate::http) host: Option<&'r str>,
}

/// Why it is not clear what is asked, or what an upstream would make of it: for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum ForwardedFault {
    /// A header is missing that the gateway must send. Our own request line never takes its place.
    #[error("`{0}` is missing: is the gateway of another kind, or its recipe changed?")]
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
    #[error("the method `{0}` is more than one")]
    Methods(String),
    /// `Connection` names a header that matters here, so that a proxy drops it on the way.
    #[error("`connection` names `{0}`")]
    HopByHop(String),
    /// A header would make another method of it for some frameworks.
    #[error("`{0}` makes another method of it")]
    MethodOverride(&'static str),
    /// An identity header that the answer does not overwrite, so that it might get through.
    #[error("`{0}` says who the client is, and is not of jeton")]
    Identity(String),
}

/// Method, target and host, as they are said.
type Said<'r> = (&'r str, &'r str, Option<&'r str>);

/// What is known of a gateway before it asks.
pub(in crate::http) struct Question<'g> {
    /// How the gateway asks.
    pub(in crate::http) kind: GatewayKind,
    /// Where it asks.
    pub(in crate::http) path: &'g str,
    /// Whether the host chooses the API.
    pub(in crate::http) by_host: bool,
    /// The claims that are answered.
    pub(in crate::http) claims: &'g [ClaimHeader],
}

impl Question<'_> {
    /// What is asked.
    ///
    /// # Errors
    /// [`ForwardedFault`] for whatever a gateway and the server behind it might read differently.
    pub(in crate::http) fn read<'r>(
        &self,
        request: &'r HttpRequest,
    ) -> Result<ForwardedRequest<'r>, ForwardedFault> {
        let headers = request.headers();
        let (method, target, host) = match self.kind.request_headers() {
            Some(names) => self.of_headers(headers, names)?,
            None => self.of_own_request(request)?,
        };
        if method.contains(',') {
            return Err(ForwardedFault::Methods(method.chars().take(40).collect()));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        CanonicalPath::parse(path)?;
        refuse_hop_by_hop(headers)?;
        for name in METHOD_OVERRIDES {
            if headers.get_all(name).any(|value| value.as_bytes() != method.as_bytes()) {
                return Err(ForwardedFault::MethodOverride(name));
            }
        }
        self.refuse_foreign_identity(headers)?;
        Ok(ForwardedRequest { method, path, query, host })
    }

    fn of_headers<'r>(
        &self,
        headers: &'r HeaderMap,
        names: &RequestHeaders,
    ) -> Result<Said<'r>, ForwardedFault> {
        let host = if self.by_host { Some(single(headers, names.host)?) } else { None };
        Ok((single(headers, names.method)?, single(headers, names.target)?, host))
    }

    /// The gateway's own request, whose path has ours before that of the client.
    fn of_own_request<'r>(&self, request: &'r HttpRequest) -> Result<Said<'r>, ForwardedFault> {
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let target = target.strip_prefix(self.path).unwrap_or_default();
        let host = if self.by_host { Some(single(request.headers(), "host")?) } else { None };
        Ok((request.method().as_str(), target, host))
    }

    /// A gateway that cannot drop headers by the beginning of their name passes on those that no answer overwrites;
    /// some servers behind it take `X_Auth_Client` for `X-Auth-Client`.
    fn refuse_foreign_identity(&self, headers: &HeaderMap) -> Result<(), ForwardedFault> {
        let is_ours = |name: &str| {
            IDENTITY_HEADERS.contains(&name) || self.claims.iter().any(|claim| claim.header == name)
        };
        for name in headers.keys() {
            let name = name.as_str();
            // the few that look like one; no name is copied but theirs
            if starts_like_identity(name) && !is_ours(name) {
                return Err(ForwardedFault::Identity(name.chars().take(80).collect()));
            }
        }
        Ok(())
    }
}

fn starts_like_identity(name: &str) -> bool {
    name.len() >= IDENTITY_PREFIX.len()
        && name
            .bytes()
            .zip(IDENTITY_PREFIX.bytes())
            .all(|(byte, like)| byte == like || (byte, like) == (b'_', b'-'))
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

fn refuse_hop_by_hop(headers: &HeaderMap) -> Result<(), ForwardedFault> {
    for value in headers.get_all(header::CONNECTION) {
        let Ok(options) = value.to_str() else { return Err(ForwardedFault::NotText("connection")) };
        for option in options.split(',').map(|option| option.trim().to_ascii_lowercase()) {
            if matters(&option) {
                return Err(ForwardedFault::HopByHop(option.chars().take(80).collect()));
            }
        }
    }
    Ok(())
}

/// Whether a header, in small letters, says what is asked or who asks.
fn matters(name: &str) -> bool {
    starts_like_identity(name)
        || name.starts_with("x-original-")
        || name.starts_with("x-forwarded-")
        || METHOD_OVERRIDES.contains(&name)
        || matches!(name, "authorization" | "host")
}
