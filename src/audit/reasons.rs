//! The stable names of reasons, beside those of [`Denial::reason`](crate::policy::Denial::reason).

use crate::policy::Grounds;

/// The token is bad.
pub(crate) const INVALID_TOKEN: &str = "invalid-token";
/// Whether the token was revoked is not known yet.
pub(crate) const UNAVAILABLE: &str = "unavailable";
/// The policies have no such API.
pub(crate) const NO_API: &str = "no-api";

/// What allowed a request, as `explain` gives it.
pub(crate) fn of(grounds: Grounds) -> &'static str {
    match grounds {
        Grounds::Public => "public",
        Grounds::Alternative(_) => "met",
    }
}
