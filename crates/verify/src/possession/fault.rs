//! Why a token was not shown to be its bearer's: for the log. The bearer learns only that the token is bad.

use jeton_jose::{InvalidPublicKey, JwsError};

/// Why a text is no DPoP proof, or not one for this request (RFC 9449 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFault {
    /// It is not the compact JWS that it must be, or its signature is wrong.
    #[error("{}", in_words(.0))]
    Jws(JwsError),
    /// Its `jwk` is not a sound public key.
    #[error("its `jwk` is no key for it: {0}")]
    Key(InvalidPublicKey),
    /// A claim is missing.
    #[error("its claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has the wrong JSON type, or is empty.
    #[error("its claim `{0}` has the wrong form")]
    WrongType(&'static str),
    /// `htm` is another method.
    #[error("its `htm` is another method")]
    Method,
    /// `htu` is another address.
    #[error("its `htu` is another address")]
    Target,
    /// `iat` is too long ago.
    #[error("its `iat` is too long ago")]
    Old,
    /// `iat` lies ahead.
    #[error("its `iat` lies ahead")]
    Early,
    /// `exp` has passed. Nobody needs to say it, and who does is taken at their word (RFC 7519 section 4.1.4).
    #[error("its `exp` has passed")]
    Expired,
    /// `nbf` lies ahead (RFC 7519 section 4.1.5).
    #[error("its `nbf` lies ahead")]
    NotYetValid,
    /// `ath` is not the hash of the token that came with it.
    #[error("its `ath` is not the hash of this token")]
    AccessToken,
}

/// What is wrong with the JWS of a proof. The words of [`JwsError`] are about tokens.
fn in_words(error: &JwsError) -> String {
    match error {
        JwsError::TooLong => "it is longer than 8 KiB".to_owned(),
        JwsError::NotCompactJws => "it does not have the three parts of a compact JWS".to_owned(),
        JwsError::NotBase64Url => "a part of it is not base64url without padding".to_owned(),
        JwsError::NotJsonObject => "a part of it is not a JSON object with each name once".to_owned(),
        JwsError::HeaderParameter(name) => format!("its header parameter `{name}` is not supported"),
        JwsError::Algorithm => "its `alg` is not an algorithm of its key".to_owned(),
        JwsError::Type(_) => "its `typ` is not `dpop+jwt`".to_owned(),
        JwsError::Signature => "its signature is wrong".to_owned(),
        other => format!("its header: {other}"),
    }
}

impl From<JwsError> for ProofFault {
    fn from(error: JwsError) -> Self {
        Self::Jws(error)
    }
}

/// Why a request does not show that its token is its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PossessionFault {
    /// A token that is bound to a key came as a plain bearer token (RFC 9449 section 7.2).
    #[error("the token is bound to a key, and came as `Bearer`")]
    BoundAsBearer,
    /// A token that is not bound to a key came with the scheme `DPoP`.
    #[error("the token is not bound to a key, and came as `DPoP`")]
    UnboundAsDpop,
    /// The API takes bound tokens alone.
    #[error("the token is not bound, and the API takes bound tokens alone (`bound_tokens`)")]
    NotBound,
    /// There is no `DPoP` header.
    #[error("there is no DPoP proof")]
    NoProof,
    /// There are several `DPoP` headers.
    #[error("there are two DPoP proofs")]
    SeveralProofs,
    /// The proof is bad, or for another request.
    #[error("the DPoP proof: {0}")]
    Proof(#[from] ProofFault),
    /// The proof was signed by another key than the token is bound to.
    #[error("the DPoP proof is signed by another key than the token is bound to")]
    OtherKey,
    /// It is not known by which address clients ask, so no proof can be compared.
    #[error("no origin is configured, so no token that is bound to a key is taken")]
    NoOrigin,
    /// The proof was used before.
    #[error("the DPoP proof was used before")]
    Replayed,
    /// No further proof can be remembered now.
    #[error("too many DPoP proofs came in the last minute to remember another one")]
    MemoryFull,
    /// No further proof of this key can be remembered now.
    #[error("too many DPoP proofs of this key came in the last minute to remember another one")]
    KeyFull,
    /// The client showed no certificate.
    #[error("the token is bound to a certificate, and none was shown")]
    NoCertificate,
    /// The client showed another certificate than the token is bound to.
    #[error("the token is bound to another certificate than was shown")]
    OtherCertificate,
}

impl PossessionFault {
    /// Each stable name that a reason may have.
    pub const REASONS: [&str; 6] =
        ["not-bound", "not-held", "invalid-proof", "replayed-proof", "too-many-proofs", "no-origin"];

    /// The stable name of the reason.
    pub fn reason(&self) -> &'static str {
        let [not_bound, not_held, invalid_proof, replayed_proof, too_many_proofs, no_origin] = Self::REASONS;
        match self {
            Self::UnboundAsDpop | Self::NotBound => not_bound,
            Self::BoundAsBearer
            | Self::NoProof
            | Self::OtherKey
            | Self::NoCertificate
            | Self::OtherCertificate => not_held,
            Self::SeveralProofs | Self::Proof(_) => invalid_proof,
            Self::Replayed => replayed_proof,
            Self::MemoryFull | Self::KeyFull => too_many_proofs,
            Self::NoOrigin => no_origin,
        }
    }

    /// Whether a certificate would help, and no proof.
    pub fn is_of_a_certificate(&self) -> bool {
        matches!(self, Self::NoCertificate | Self::OtherCertificate)
    }
}
