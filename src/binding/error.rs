//! Why a token is not bound to what a request shows.

use jeton_oauth::ErrorCode;
use jeton_verify::{ProofFault, TargetUri};

use crate::store::StoreError;

/// Why a token cannot be bound to what its request shows; told to the client.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// There are several `DPoP` headers.
    #[error("there are two `DPoP` headers: send one")]
    SeveralProofs,
    /// The proof is bad, or for something else.
    #[error("the DPoP proof: {0}")]
    Proof(#[from] ProofFault),
    /// The proof is for another method.
    #[error("the DPoP proof: its `htm` must be `POST`")]
    Method,
    /// The proof is for another address.
    #[error("the DPoP proof: its `htu` must be `{}`", .0.as_str())]
    Target(TargetUri),
    /// The proof lacks a nonce, or has one that is not good any more.
    #[error("the DPoP proof: its `nonce` must be the one of the header `DPoP-Nonce` of this answer")]
    Nonce {
        /// One that is good.
        fresh: String,
    },
    /// The proof was used before.
    #[error("the DPoP proof was used before: make a new one for each request")]
    Replayed,
    /// It cannot be noted that the proof was used; a fault of ours.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// What a token is bound to, and its request does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// A key.
    #[error("it is bound to a key (`cnf.jkt`), and the request has no DPoP proof by this key")]
    Key,
    /// A certificate.
    #[error("it is bound to a certificate (`cnf[\"x5t#S256\"]`), and the connection does not have it")]
    Certificate,
}

impl BindingError {
    /// The error code of the token endpoint (RFC 9449 sections 5 and 8).
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::SeveralProofs | Self::Proof(_) | Self::Method | Self::Target(_) | Self::Replayed => {
                ErrorCode::InvalidDpopProof
            }
            Self::Nonce { .. } => ErrorCode::UseDpopNonce,
            Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
        }
    }
}
