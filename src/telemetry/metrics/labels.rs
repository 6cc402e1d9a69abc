//! The values of labels. Each comes from the files or from a closed list, so no request can add a series: whoever
//! makes one of these types has asked the files, or holds a text of the program.

use std::borrow::Cow;

use jeton_oauth::GrantType;
use jeton_policy::clients::ClientRegistry;

use crate::gateway::GatewayName;

/// The label where a request names something that the files do not have.
pub(super) const UNKNOWN: &str = "unknown";
/// `rule` where none decided.
pub(super) const NO_RULE: &str = "none";
/// `endpoint` and `method` where it is none of the list.
pub(super) const OTHER: &str = "other";

/// A client of the files, or `unknown`.
#[derive(Clone, Copy)]
pub struct ClientLabel<'r>(&'r str);

impl<'r> ClientLabel<'r> {
    /// The client of this id, as the files have it.
    pub fn among(clients: &'r ClientRegistry, id: Option<&str>) -> Self {
        Self(id.and_then(|id| clients.find(id)).map_or(UNKNOWN, |client| client.id.as_str()))
    }

    pub(super) fn as_str(self) -> &'r str {
        self.0
    }
}

/// An endpoint by its path, as the documentation has it: a parameter by its name, without the path of the issuer.
#[derive(Clone, Debug)]
pub struct Endpoint(Cow<'static, str>);

impl Endpoint {
    /// The endpoint at a path that the program knows.
    pub const fn at(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }

    /// Where a gateway of the settings asks.
    pub fn of_gateway(name: &GatewayName) -> Self {
        Self(Cow::Owned(name.path()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A method of RFC 9110 section 9 or `PATCH`, or `other`.
#[derive(Clone, Copy, Debug)]
pub struct MethodLabel(&'static str);

impl MethodLabel {
    const ALL: [&'static str; 9] =
        ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

    /// The label of a method as it was sent.
    pub fn of(method: &str) -> Self {
        Self(Self::ALL.into_iter().find(|known| *known == method).unwrap_or(OTHER))
    }

    pub(super) fn as_str(self) -> &'static str {
        self.0
    }
}

/// The grant type of a request, as logs and metrics have it; `unknown` where it has none of ours.
pub(crate) fn grant_label(grant: Option<GrantType>) -> &'static str {
    match grant {
        Some(GrantType::ClientCredentials) => "client_credentials",
        Some(GrantType::RefreshToken) => "refresh_token",
        Some(GrantType::TokenExchange) => "token-exchange",
        None => UNKNOWN,
    }
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// `limits.tokens`, or `limit` of a client.
    Tokens,
    /// `limits.introspections`.
    Introspections,
    /// `limits.failures`.
    Failures,
}

impl LimitKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Introspections => "introspections",
            Self::Failures => "failures",
        }
    }
}

/// What is fetched by URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// A key set.
    Jwks,
    /// The metadata of an issuer.
    Discovery,
}

impl FetchKind {
    pub(super) const ALL: [Self; 2] = [Self::Jwks, Self::Discovery];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Jwks => "jwks",
            Self::Discovery => "discovery",
        }
    }
}

/// What came of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The document is good, or is the one that is known.
    Fetched,
    /// No document came, or a bad one.
    Failed,
}

impl FetchOutcome {
    pub(super) const ALL: [Self; 2] = [Self::Fetched, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Failed => "failed",
        }
    }
}
