//! Why a grant is not approved.

use jeton_oauth::{ErrorCode, InvalidName, ScopeSet};
use jeton_verify::TokenError;

use super::RequestedTarget;

/// What a client does that needs a bound token.
const HOW_TO_BIND: &str =
    "send a DPoP proof (RFC 9449) in the header `DPoP`, or authenticate with a certificate (RFC 8705)";

/// Why a grant was not approved; told to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The policies do not let the client use this grant.
    #[error("this client may not use this grant: it needs `{0}: true` in the policies")]
    NotForThisClient(&'static str),
    /// The client showed a token of another issuer.
    #[error("a client that shows its platform's token has no refresh tokens: show that token again")]
    NoRefreshByFederation,
    /// `scope` breaks the grammar of RFC 6749 section 3.3.
    #[error("`scope` is a list of scopes separated by single spaces, and {0}")]
    MalformedScope(InvalidName),
    /// Scopes that the client is not granted at this API.
    #[error("not granted to this client: {0}{hint}", hint = joined(.0))]
    ScopeBeyondGrant(ScopeSet),
    /// Scopes that the presented token does not have.
    #[error("not in the presented token: {0}")]
    ScopeBeyondToken(ScopeSet),
    /// None of the scopes can be had at the API.
    #[error("none of the subject token's scopes can be granted for the API")]
    NoScope,
    /// Two different audiences in one request (RFC 8707 section 2).
    #[error("a token has one audience: ask for one `resource` at a time, not for `{0:.80}` and `{1:.80}`")]
    SeveralTargets(RequestedTarget, RequestedTarget),
    /// The client has no grant for the audience, or no API has it.
    #[error("this client has no grant for the `resource` `{0:.200}`")]
    UnknownTarget(RequestedTarget),
    /// A token for jeton's own API was shown, or asked for.
    #[error("tokens for this service's own API are not exchanged: fetch one with your own credentials")]
    ExchangeAtOwnApi,
    /// The refresh token is for another API.
    #[error("the refresh token is not for the `resource` `{0:.200}`")]
    TargetBeyondToken(RequestedTarget),
    /// No audience was named, and the client has not just one, or not just one that has the scopes.
    #[error("name the API with `resource`: it follows neither from this client's grants nor from `scope`")]
    NoTarget,
    /// The refresh token is bad, of another client, used up or ended.
    #[error("the refresh token is not valid: fetch a new one with your credentials")]
    BadRefreshToken,
    /// Nothing that the refresh token stands for is granted any more.
    #[error("the client no longer has anything that the refresh token was granted")]
    NothingLeft,
    /// The subject token is bad.
    #[error("the subject token is not valid: {}", if matches!(.0, TokenError::Expired) { "it has expired" } else { "it must be an access token of this issuer, in force" })]
    BadSubjectToken(TokenError),
    /// The subject token names nobody.
    #[error("the subject token names no client, so the new token could not be revoked with it")]
    AnonymousSubject,
    /// The client gets bound tokens alone.
    #[error("this client gets bound tokens only (`bound_tokens`): {HOW_TO_BIND}")]
    UnboundForClient,
    /// The API takes bound tokens alone.
    #[error("the API takes bound tokens only (`bound_tokens`): {HOW_TO_BIND}")]
    UnboundForApi,
    /// The subject token is bound, and the new one would not be.
    #[error("the subject token is bound to its holder, so the new token must be bound too: {HOW_TO_BIND}")]
    UnboundForSubject,
    /// The subject token came from as many exchanges as there may be.
    #[error("the subject token was exchanged {0} times already, which is the limit")]
    TooManyExchanges(u32),
}

impl GrantError {
    /// The error code of the token endpoint (RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 8707
    /// section 2).
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotForThisClient(_) | Self::NoRefreshByFederation => ErrorCode::UnauthorizedClient,
            Self::MalformedScope(_)
            | Self::ScopeBeyondGrant(_)
            | Self::ScopeBeyondToken(_)
            | Self::NoScope => ErrorCode::InvalidScope,
            Self::SeveralTargets(..)
            | Self::UnknownTarget(_)
            | Self::ExchangeAtOwnApi
            | Self::TargetBeyondToken(_)
            | Self::NoTarget => ErrorCode::InvalidTarget,
            Self::BadRefreshToken | Self::NothingLeft => ErrorCode::InvalidGrant,
            Self::BadSubjectToken(_)
            | Self::AnonymousSubject
            | Self::UnboundForClient
            | Self::UnboundForApi
            | Self::UnboundForSubject
            | Self::TooManyExchanges(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// What is said of scopes that somebody joined by commas.
fn joined(scopes: &ScopeSet) -> &'static str {
    if scopes.to_string().contains(',') { " (scopes are separated by spaces)" } else { "" }
}
