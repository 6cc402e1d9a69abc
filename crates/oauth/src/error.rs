//! Grant types and the error codes of the token endpoint.

use std::fmt;

use serde::Serialize;

/// A grant type that the token endpoint knows (RFC 6749 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 8693 section 2.1.
    TokenExchange,
}

impl GrantType {
    /// Every grant type, in the order in which discovery lists them.
    pub const ALL: [Self; 3] = [Self::ClientCredentials, Self::RefreshToken, Self::TokenExchange];

    /// The grant type that `text` names, if it is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.as_str() == text)
    }

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// An error code of the endpoints for clients (RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 8707
/// section 2, RFC 9449 sections 5 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The refresh token is bad.
    InvalidGrant,
    /// This client may not do that.
    UnauthorizedClient,
    /// The grant type is not known here.
    UnsupportedGrantType,
    /// Nobody is let in by an authorization request (RFC 6749 section 4.1.2.1).
    UnsupportedResponseType,
    /// The scope is malformed or beyond the grant.
    InvalidScope,
    /// The resource is unknown or not granted (RFC 8707 section 2).
    InvalidTarget,
    /// The proof of possession is bad (RFC 9449 section 5).
    InvalidDpopProof,
    /// The proof of possession lacks a nonce, or its nonce is not good any more (RFC 9449 section 8).
    UseDpopNonce,
    /// Tokens of this kind cannot be revoked here (RFC 7009 section 2.2.1).
    UnsupportedTokenType,
    /// Something that is needed is away for now (RFC 6749 section 4.1.2.1).
    TemporarilyUnavailable,
    /// Something failed on our side.
    ServerError,
}

impl ErrorCode {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The system gives no random bytes, without which nothing can be named or hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;
