//! What is known of revoked tokens beside the policy files.

/// What is revoked was not read since the start, so nothing is known of any token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revoked tokens were not read from the shared store yet")]
pub struct RevocationsUnknown;

/// Who knows which tokens were revoked at runtime. Asked for each decision, so it answers from memory.
pub trait Revocations: Send + Sync {
    /// Whether the token of this `jti`, or the family of this name, was revoked.
    ///
    /// # Errors
    /// [`RevocationsUnknown`]: the caller denies.
    fn is_revoked(&self, token: &str) -> Result<bool, RevocationsUnknown>;
}
