//! The claims that jeton sets itself.

/// Registered claims (RFC 7519 section 4.1, RFC 8693, RFC 9068, RFC 7800) and those that jeton gives a
/// meaning: no client may carry its own value for one.
pub const REGISTERED_CLAIMS: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "roles",
    "cnf",
    "act",
    "status",
    "exchanges",
    "auth_time",
];

/// Whether jeton alone sets this claim.
pub fn is_registered_claim(name: &str) -> bool {
    REGISTERED_CLAIMS.contains(&name)
}
