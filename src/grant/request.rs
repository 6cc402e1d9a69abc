//! What a client asks the token endpoint for, read where it enters.

use jeton_oauth::{GrantType, ScopeSet};
use jeton_verify::BearerToken;

use super::{GrantError, RequestedTarget};

/// What a client asks the token endpoint for: one variant for each grant type, with what belongs to it.
pub enum TokenRequest {
    /// A token for the client itself (RFC 6749 section 4.4).
    ClientCredentials(RequestedAccess),
    /// A token for a refresh token (RFC 6749 section 6).
    RefreshToken {
        /// The refresh token.
        refresh_token: BearerToken,
        /// What of it.
        access: RequestedAccess,
    },
    /// A token for a client that is shown by the subject token, one of another issuer (RFC 8693 section 2).
    ForeignExchange(RequestedAccess),
    /// A narrower token for a token (RFC 8693 section 2).
    TokenExchange {
        /// The subject token.
        subject_token: BearerToken,
        /// What of it.
        access: RequestedAccess,
    },
}

/// The scopes and the target of a request. What is wrong with them is kept, since a client learns it only after it
/// authenticated.
#[derive(Clone, Debug)]
pub struct RequestedAccess {
    scopes: Result<Option<ScopeSet>, GrantError>,
    target: Result<Option<RequestedTarget>, GrantError>,
}

impl TokenRequest {
    /// The grant type of the request.
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::ClientCredentials(_) => GrantType::ClientCredentials,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ForeignExchange(_) | Self::TokenExchange { .. } => GrantType::TokenExchange,
        }
    }
}

impl RequestedAccess {
    /// Reads `scope`, and every `resource` and `audience` (RFC 8707 section 2).
    pub fn read(scope: Option<&str>, targets: &[impl AsRef<str>]) -> Self {
        Self {
            scopes: scope.map(ScopeSet::parse).transpose().map_err(GrantError::MalformedScope),
            target: one_target(targets),
        }
    }

    /// The scopes that are named.
    ///
    /// # Errors
    /// [`GrantError::MalformedScope`].
    pub(crate) fn scopes(&self) -> Result<Option<&ScopeSet>, GrantError> {
        self.scopes.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The API that is named.
    ///
    /// # Errors
    /// [`GrantError::SeveralTargets`].
    pub(super) fn target(&self) -> Result<Option<&RequestedTarget>, GrantError> {
        self.target.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }
}

fn one_target(targets: &[impl AsRef<str>]) -> Result<Option<RequestedTarget>, GrantError> {
    let mut targets = targets.iter().map(AsRef::as_ref);
    let Some(first) = targets.next() else { return Ok(None) };
    let target = RequestedTarget::parse(first);
    match targets.find(|other| *other != first) {
        None => Ok(Some(target)),
        Some(other) => Err(GrantError::SeveralTargets(target, RequestedTarget::parse(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "https://orders.example.com";

    #[test]
    fn what_is_wrong_with_a_request_is_kept_until_it_is_asked_for() {
        let long = "t".repeat(600);
        for (name, scope, targets, scopes, target) in [
            ("nothing", None, &[][..], Ok(None), Ok(None)),
            ("both", Some("b a"), &[ORDERS], Ok(Some("a b")), Ok(Some(ORDERS))),
            ("one target twice", None, &[ORDERS, ORDERS], Ok(None), Ok(Some(ORDERS))),
            ("a malformed target", None, &["a b"], Ok(None), Ok(Some("a b"))),
            ("a malformed target twice", None, &["a b", "a b"], Ok(None), Ok(Some("a b"))),
            ("a long target", None, &[&long], Ok(None), Ok(Some(&long))),
            (
                "two targets",
                None,
                &[ORDERS, ORDERS, "x"],
                Ok(None),
                Err("`https://orders.example.com` and `x`"),
            ),
            ("two malformed targets", Some("a"), &["a b", "b c"], Ok(Some("a")), Err("`a b` and `b c`")),
            ("malformed scopes", Some("a  b"), &[ORDERS], Err("`` is not a scope"), Ok(Some(ORDERS))),
            ("both malformed", Some(" "), &["a b", "x"], Err("`` is not a scope"), Err("`a b` and `x`")),
        ] {
            let access = RequestedAccess::read(scope, targets);
            check(name, access.scopes(), scopes);
            check(name, access.target(), target);
        }
    }

    #[track_caller]
    fn check(
        name: &str,
        read: Result<Option<&impl ToString>, GrantError>,
        expected: Result<Option<&str>, &str>,
    ) {
        match (read, expected) {
            (Ok(read), Ok(expected)) => {
                assert_eq!(read.map(ToString::to_string).as_deref(), expected, "{name}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
            (read, _) => panic!("{name}: {:?}", read.map(|read| read.map(ToString::to_string))),
        }
    }
}
