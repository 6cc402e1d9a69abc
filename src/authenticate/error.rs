//! Why a client is not let in: for the log alone.

use jeton_jose::JwsError;
use jeton_oauth::ClientId;
use jeton_policy::clients::CertificateHash;
use jiff::Timestamp;

use crate::{
    federation::{FederationRefused, ShownAs},
    store::StoreError,
};

/// Why a client was not let in: for the log alone. The client learns one and the same for all.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// No client has this id.
    #[error("unknown client")]
    UnknownClient {
        /// The id that was sent.
        attempted: String,
    },
    /// The client does not have this secret.
    #[error("wrong secret")]
    WrongSecret(ClientId),
    /// Neither is one that holds a space, as forms and Basic credentials mean a `+` that is not encoded.
    #[error("wrong secret: it contains a space, perhaps from a raw `+`: encode `+` as `%2B`")]
    SpacedSecret(ClientId),
    /// Neither is one that ends in a line break, as it does where it stands last in a body that does.
    #[error("wrong secret: it ends in a line break: send the body without one")]
    BrokenSecret(ClientId),
    /// The secret was right once.
    #[error("expired secret")]
    ExpiredSecret(ClientId),
    /// The secret is right, and the client is disabled.
    #[error("disabled client")]
    Disabled(ClientId),
    /// `revoked_before` lies ahead: what was issued now would be ended at once.
    #[error("the client's `revoked_before` is in the future")]
    RevokedAhead(ClientId),
    /// The assertion shows nothing.
    #[error("bad assertion: {error}")]
    BadAssertion {
        /// The client that it names, where it is one.
        client: Option<ClientId>,
        /// Why.
        error: AssertionError,
    },
    /// The certificate does not stand for the client.
    #[error("bad certificate `{}`: {error}", shown.beginning())]
    BadCertificate {
        /// The client that the request names.
        client: ClientId,
        /// The certificate.
        shown: CertificateHash,
        /// Why.
        error: CertificateError,
    },
    /// The assertion was used before.
    #[error("the assertion was used before: each needs a `jti` of its own")]
    Replayed(ClientId),
    /// The token of another issuer stands for nobody.
    #[error("{}: {refused}", match shown_as { ShownAs::Assertion => "bad assertion of another issuer", ShownAs::SubjectToken => "bad subject token of another issuer" })]
    Foreign {
        /// How it was shown.
        shown_as: ShownAs,
        /// Why.
        refused: FederationRefused,
    },
    /// Whether it was used before cannot be found out now; a fault of ours.
    #[error("jeton cannot check whether the assertion was used before: {error}")]
    Unavailable {
        /// The client.
        client: ClientId,
        /// Why.
        #[source]
        error: StoreError,
    },
}

impl AuthenticationError {
    /// The client, where there is one.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::UnknownClient { .. } => None,
            Self::BadAssertion { client, .. }
            | Self::Foreign { refused: FederationRefused { client, .. }, .. } => client.as_ref(),
            Self::WrongSecret(client)
            | Self::SpacedSecret(client)
            | Self::BrokenSecret(client)
            | Self::ExpiredSecret(client)
            | Self::Disabled(client)
            | Self::RevokedAhead(client)
            | Self::BadCertificate { client, .. }
            | Self::Replayed(client)
            | Self::Unavailable { client, .. } => Some(client),
        }
    }

    /// The id of a client that is not there.
    pub fn attempted(&self) -> Option<&str> {
        match self {
            Self::UnknownClient { attempted } => Some(attempted),
            _ => None,
        }
    }
}

/// Why a certificate does not stand for a client; for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The policies hold no certificate of the client.
    #[error("the client has no `certificates`")]
    NoneKnown,
    /// They hold others.
    #[error("none of the client's `certificates` is this one")]
    Other,
    /// The entry that it is has expired.
    #[error("its entry in `certificates` has expired")]
    EntryExpired,
    /// The certificate that is held by its hash begins later.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
    /// The certificate that is held by its hash has ended.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// It has a name that the policies hold, and nobody is asked whether it is true.
    #[error("its name is known, and `server.client_ca_file` names no authorities")]
    NoAuthorities,
    /// It has a name that the policies hold, and no authority says so.
    #[error("its name is known, and no authority of `server.client_ca_file` vouches for it: {0}")]
    NotVouchedFor(String),
}

/// Why an assertion shows nothing; for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is not a signed token, or not signed by the client.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// jeton does not take this `alg`.
    #[error("`alg` is not one of RS256, PS256, ES256, EdDSA and Ed25519")]
    Algorithm,
    /// The client has no key for this `alg` and `kid`.
    #[error("the client has no key for its `alg` and `kid`")]
    NoKey,
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has another JSON type or form than its own.
    #[error("the claim `{0}` has the wrong type")]
    WrongType(&'static str),
    /// `iss` and `sub` are not both the client id, or `client_id` is another.
    #[error("`iss`, `sub` and `client_id` are not all the same client id")]
    NotTheClient,
    /// `aud` holds something else than this issuer.
    #[error("`aud` is not the issuer{0}")]
    Audience(&'static str),
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// `exp` lies too far ahead.
    #[error("`exp` lies further in the future than `tokens.max_assertion_ttl` allows")]
    TooLongLived,
    /// `nbf` or `iat` lie ahead.
    #[error("it is not valid yet")]
    NotYetValid,
}
