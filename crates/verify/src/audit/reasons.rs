//! The stable names of reasons, beside those of [`Denial::reason`](jeton_policy::Denial::reason) and
//! [`PossessionFault::REASONS`](crate::PossessionFault::REASONS).

use jeton_policy::Grounds;

/// It is not clear which token is meant.
pub const INVALID_REQUEST: &str = "invalid-request";
/// The token is bad.
pub const INVALID_TOKEN: &str = "invalid-token";
/// Whether the token was revoked is not known yet.
pub const UNAVAILABLE: &str = "unavailable";
/// What the policies say is not known.
pub const NO_POLICIES: &str = "no-policies";
/// The policies have no such API.
pub const NO_API: &str = "no-api";

/// What allowed a request, as `explain` gives it.
pub fn of(grounds: Grounds) -> &'static str {
    match grounds {
        Grounds::Public => "public",
        Grounds::Alternative(_) => "met",
    }
}
