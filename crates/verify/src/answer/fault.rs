//! What a caller is answered that is not let through: status, challenge, words.

use std::{borrow::Cow, slice};

use jeton_oauth::{MetadataAddress, ScopeSet, text::printable_json};
use serde_json::{Map, Value, json};

use crate::{
    policies::Unavailable,
    possession::{DPOP_ALGORITHMS, PossessionFault, ProofFault},
    token::{TokenError, TokenScheme},
};

/// After how many seconds it is worth asking again when what must be known was not known.
const RETRY_AFTER: &str = "2";

/// Why a guard lets nobody through.
#[derive(Debug)]
pub enum GuardFault {
    /// The request cannot be understood (RFC 6750 section 3.1 `invalid_request`).
    InvalidRequest(Cow<'static, str>),
    /// No token came, which may come by these schemes.
    NoToken(&'static [TokenScheme]),
    /// The token is bad, which came by this scheme.
    InvalidToken(TokenError, TokenScheme),
    /// The token is not shown to be its bearer's.
    NotHeld(PossessionFault),
    /// The token, which came by this scheme, is not enough; with the scopes that would do, if scopes would.
    NotAllowed(Option<ScopeSet>, TokenScheme),
    /// What must be known is not known yet.
    Unavailable(Unavailable),
    /// Something failed on our side.
    Internal,
}

impl GuardFault {
    /// What the caller is told, in words.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::InvalidRequest(detail) => detail.clone(),
            Self::NoToken(_) => "this needs an access token".into(),
            Self::InvalidToken(TokenError::Expired, _) => "the access token has expired".into(),
            Self::InvalidToken(..) => "the access token is not valid here".into(),
            Self::NotHeld(fault) => told(fault).into(),
            Self::NotAllowed(..) => "the access token does not allow this".into(),
            Self::Unavailable(Unavailable::Revocations(_)) => {
                "the list of revoked tokens is not known yet: ask again".into()
            }
            Self::Unavailable(Unavailable::Policies(_)) => {
                "the policies are not known at the moment: ask again".into()
            }
            Self::Internal => "something failed on our side".into(),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidRequest(_) => 400,
            Self::NoToken(_) | Self::InvalidToken(..) | Self::NotHeld(_) => 401,
            Self::NotAllowed(..) => 403,
            Self::Internal => 500,
            Self::Unavailable(_) => 503,
        }
    }

    /// What the status is called (RFC 9110 section 15).
    pub fn title(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "Bad Request",
            Self::NoToken(_) | Self::InvalidToken(..) | Self::NotHeld(_) => "Unauthorized",
            Self::NotAllowed(..) => "Forbidden",
            Self::Internal => "Internal Server Error",
            Self::Unavailable(_) => "Service Unavailable",
        }
    }

    /// The value of `WWW-Authenticate` where a token would help (RFC 6750 section 3, RFC 9449 section 7.1): a challenge,
    /// or one for each scheme. With the address of the API's metadata if there is one (RFC 9728 section 5.1).
    pub fn challenge(&self, metadata: Option<&MetadataAddress>) -> Option<String> {
        let (schemes, error) = self.schemes_and_error()?;
        let challenges = schemes.iter().map(|scheme| {
            let algorithms = match scheme {
                TokenScheme::Bearer => None,
                TokenScheme::Dpop => Some(format!("algs=\"{}\"", DPOP_ALGORITHMS.join(" "))),
            };
            let metadata = metadata.map(|address| format!("resource_metadata=\"{address}\""));
            let parameters: Vec<_> = algorithms.into_iter().chain(error.clone()).chain(metadata).collect();
            let separator = if parameters.is_empty() { "" } else { " " };
            format!("{}{separator}{}", scheme.name(), parameters.join(", "))
        });
        Some(challenges.collect::<Vec<_>>().join(", "))
    }

    /// The value of `Retry-After` where the same request may pass in a moment, in seconds.
    pub fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(_) => Some(RETRY_AFTER),
            Self::InvalidRequest(_)
            | Self::NoToken(_)
            | Self::InvalidToken(..)
            | Self::NotHeld(_)
            | Self::NotAllowed(..)
            | Self::Internal => None,
        }
    }

    /// The schemes of the challenge, and what it says of the error.
    fn schemes_and_error(&self) -> Option<(&[TokenScheme], Option<String>)> {
        let (schemes, error): (&[TokenScheme], _) = match self {
            Self::NoToken(schemes) => return Some((schemes, None)),
            Self::InvalidRequest(_) => (&[TokenScheme::Bearer], "invalid_request"),
            Self::InvalidToken(_, scheme) => (slice::from_ref(scheme), "invalid_token"),
            // a certificate is shown beside a bearer token (RFC 8705 section 3)
            Self::NotHeld(fault) if fault.is_of_a_certificate() => (&[TokenScheme::Bearer], "invalid_token"),
            Self::NotHeld(_) => (&[TokenScheme::Dpop], "invalid_token"),
            Self::NotAllowed(Some(scopes), scheme) => {
                let error = format!("error=\"insufficient_scope\", scope=\"{scopes}\"");
                return Some((slice::from_ref(scheme), Some(error)));
            }
            Self::NotAllowed(None, scheme) => (slice::from_ref(scheme), "insufficient_scope"),
            Self::Unavailable(_) | Self::Internal => return None,
        };
        let detail = self.detail().replace(['"', '\\'], "'");
        Some((schemes, Some(format!("error=\"{error}\", error_description=\"{detail}\""))))
    }
}

/// What the bearer is told of a token that it does not show to be its own. Whoever stole it learns nothing from it, and
/// whoever asks for the wrong address or by a wrong clock learns what to do.
fn told(fault: &PossessionFault) -> &'static str {
    match fault {
        PossessionFault::BoundAsBearer => "the access token is bound to a key: send it as DPoP, with a proof",
        PossessionFault::UnboundAsDpop => "the access token is not bound to a key: send it as Bearer",
        PossessionFault::NotBound => "this needs an access token that is bound to a key or a certificate",
        PossessionFault::NoProof | PossessionFault::SeveralProofs => {
            "one DPoP header must come with the access token"
        }
        PossessionFault::Proof(ProofFault::Method | ProofFault::Target) => {
            "the DPoP proof is for another request"
        }
        PossessionFault::Proof(
            ProofFault::Old | ProofFault::Early | ProofFault::Expired | ProofFault::NotYetValid,
        ) => "the DPoP proof is not of this time",
        PossessionFault::Proof(ProofFault::AccessToken) => "the DPoP proof is for another access token",
        PossessionFault::Proof(_) => "the DPoP proof is not valid",
        PossessionFault::OtherKey => "the DPoP proof is not signed by the key of the access token",
        PossessionFault::NoOrigin => "access tokens that are bound to a key are not taken here",
        PossessionFault::Replayed => "the DPoP proof was used before: make one for each request",
        PossessionFault::MemoryFull | PossessionFault::KeyFull => "too many DPoP proofs came: ask again",
        PossessionFault::NoCertificate | PossessionFault::OtherCertificate => {
            "the access token is bound to another client certificate"
        }
    }
}

/// A problem document (RFC 9457): the status, what is wrong in words, by which name the log knows the request, and
/// further members.
pub fn problem_json(
    (status, title): (u16, Option<&str>),
    detail: &str,
    reference: Option<&str>,
    members: Map<String, Value>,
) -> String {
    let mut body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    if let Some(body) = body.as_object_mut() {
        body.extend(reference.map(|reference| ("reference".to_owned(), reference.into())));
        body.extend(members);
    }
    printable_json(&body.to_string())
}
