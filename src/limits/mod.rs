//! How often clients may ask for tokens and introspect them, and how often an address may fail to authenticate.
//!
//! Each replica counts for itself. No limit keeps out a client with the right secret because of what others do: what
//! clients ask is counted after they were authenticated, each for itself, and of an address failures alone are counted.

mod counts;

use std::{
    fmt,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use jeton_oauth::{ClientId, Rate, RateLimit, clock::Clock};
use jeton_policy::clients::Client;

use counts::Counts;

/// The limits of one server, and what was counted.
pub struct Limits {
    tokens: Limit,
    introspections: Limit,
    failures: Limit,
    clock: Arc<dyn Clock>,
}

/// Which limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitName {
    /// Token requests of a client.
    Tokens,
    /// Introspections of a client.
    Introspections,
    /// Failed authentications of an address.
    Failures,
}

/// There were more than the limit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more {name} than {rate}")]
pub struct RateLimited {
    /// Which limit it is.
    pub name: LimitName,
    /// The rate.
    pub rate: Rate,
    /// In how many seconds one more is let through, at least 1.
    pub retry_after: u64,
}

struct Limit {
    name: LimitName,
    by_default: RateLimit,
    /// There from the first count on.
    counts: OnceLock<Counts>,
}

impl LimitName {
    /// Its name, as settings have it below `limits`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Introspections => "introspections",
            Self::Failures => "failures",
        }
    }
}

/// What is counted, in words.
impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "token requests",
            Self::Introspections => "introspections",
            Self::Failures => "failed authentications",
        })
    }
}

impl Limits {
    /// Limits of which nothing is used up: on token requests, on introspections, and on failed authentications.
    pub fn new(
        tokens: RateLimit,
        introspections: RateLimit,
        failures: RateLimit,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            tokens: Limit::new(LimitName::Tokens, tokens),
            introspections: Limit::new(LimitName::Introspections, introspections),
            failures: Limit::new(LimitName::Failures, failures),
            clock,
        }
    }

    /// Counts a token request of a client that has shown who it is.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn count_token_request(&self, client: &Client) -> Result<(), RateLimited> {
        self.tokens.count(&client.id, client.limit, &*self.clock)
    }

    /// Counts an introspection of a client that has shown who it is.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn count_introspection(&self, client: &ClientId) -> Result<(), RateLimited> {
        self.introspections.count(client, None, &*self.clock)
    }

    /// Counts an authentication from an address that has failed. IPv6 counts by /64: one machine may have all of it.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn count_failure(&self, address: IpAddr) -> Result<(), RateLimited> {
        let network = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        self.failures.count(&network, None, &*self.clock)
    }
}

impl Limit {
    fn new(name: LimitName, by_default: RateLimit) -> Self {
        Self { name, by_default, counts: OnceLock::new() }
    }

    /// Counts one of whoever `key` is, whose own limit goes before the default. Without a limit nothing is looked up.
    fn count(&self, key: &impl Hash, own: Option<RateLimit>, clock: &dyn Clock) -> Result<(), RateLimited> {
        let RateLimit::At(rate) = own.unwrap_or(self.by_default) else { return Ok(()) };
        let taken = self.counts.get_or_init(Counts::default).take(key, rate, clock.now());
        taken.map_err(|wait| RateLimited { name: self.name, rate, retry_after: seconds_up(wait) })
    }
}

/// Nanoseconds as whole seconds, rounded up.
fn seconds_up(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000).max(1)
}
