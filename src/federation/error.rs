//! Why a token of another issuer stands for nobody.

use jeton_jose::JwsError;
use jeton_oauth::{Audience, ClientId, ForeignAlgorithm, IssuerName};
use jeton_policy::federation::NoMatch;

use crate::{binding::NotHeld, store::StoreError};

/// A token of another issuer that stands for nobody: for the log alone. Whoever showed it learns that it is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FederationRefused {
    /// The issuer, if the policies trust it.
    pub issuer: Option<IssuerName>,
    /// The client, as soon as it was found: the one that the token stands for.
    pub client: Option<ClientId>,
    /// Why.
    #[source]
    pub error: FederationError,
}

/// Why a token of another issuer is refused; for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// It is not a signed token, or not signed by the issuer.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The policies trust nobody of this `iss`.
    #[error("no issuer in the policies has this `iss`")]
    UnknownIssuer {
        /// What it says.
        iss: String,
    },
    /// `enabled: false` of the issuer.
    #[error("the issuer is disabled in the policies")]
    IssuerDisabled,
    /// The issuer may not sign so.
    #[error("`alg` is `{found}`, and none of the issuer's `algorithms`: {}", names(.allowed))]
    Algorithm {
        /// What the header says, safe to print.
        found: String,
        /// What the issuer may sign with.
        allowed: Vec<ForeignAlgorithm>,
    },
    /// `typ` says that it is no proof of who shows it.
    #[error("`typ` is that of another kind of token")]
    Type,
    /// No key of the issuer was ever fetched.
    #[error("the keys of the issuer are not known yet")]
    NoKeys,
    /// No fetch of the issuer's keys succeeded for a day.
    #[error("the keys of the issuer are too old: no fetch succeeded for 24 hours")]
    KeysExpired,
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has another JSON type or form than its own.
    #[error("the claim `{0}` has the wrong type")]
    WrongType(&'static str),
    /// `aud` is not what the policies say, or holds more.
    #[error("`aud` is {found}, and not the issuer's `audience` `{wanted}` alone")]
    Audience {
        /// What it says, as JSON that is safe to print.
        found: String,
        /// The one that it must be.
        wanted: Audience,
    },
    /// `cnf` names nothing that jeton can check, or is malformed.
    #[error("it is bound in a way that jeton cannot check: `cnf` is {found}")]
    UnknownBinding {
        /// What it says, as JSON that is safe to print.
        found: String,
    },
    /// The request does not show what it is bound to.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// `exp` has passed.
    #[error("it has expired: `exp` is {expires_at}, and now is {now}")]
    Expired {
        /// Its `exp`.
        expires_at: f64,
        /// When it was shown.
        now: i64,
    },
    /// `nbf` or `iat` lie ahead.
    #[error("it is not valid yet: `{claim}` is {start}, and now is {now}")]
    NotYetValid {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// What it says.
        start: f64,
        /// When it was shown.
        now: i64,
    },
    /// `exp` is before `iat`.
    #[error("`exp` is not after `iat`")]
    Reversed,
    /// It lives longer than the policies allow.
    #[error("from `iat` to `exp` it lives {lived} s, and the issuer's `max_lifetime` is {most} s")]
    TooLongLived {
        /// Its lifetime in seconds.
        lived: f64,
        /// The longest one.
        most: f64,
    },
    /// No client of the policies is meant. What differs is logged beside it.
    #[error("{}", match .0.nearest { Some(_) => "it stands for no client", None => "no client trusts its issuer" })]
    NoMatch(NoMatch),
    /// `client_id` is another client.
    #[error("`client_id` is not the client that it stands for")]
    NotTheClient,
    /// `enabled: false` of the client.
    #[error("disabled client")]
    ClientDisabled,
    /// The client's `revoked_before` lies ahead: what was issued now would be ended at once.
    #[error("the client's `revoked_before` is in the future")]
    RevokedAhead,
    /// It was issued before the client's `revoked_before`.
    #[error("it was issued before the client's `revoked_before`")]
    Revoked,
    /// `single_use: true` of the issuer, and it was used before.
    #[error("it was used before: the issuer has `single_use: true`")]
    Replayed,
    /// Whether it was used before cannot be found out now; a fault of ours.
    #[error("jeton cannot check whether it was used before: {0}")]
    Unavailable(#[source] StoreError),
}

fn names(algorithms: &[ForeignAlgorithm]) -> String {
    algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
}
