//! Nonces of proofs (RFC 9449 section 8): they show that a proof was made a moment ago, whatever the client's clock says.
//!
//! A nonce is its minute and a keyed hash of it, so nobody has to remember one. The hash is keyed by a signing key, which
//! every replica has.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::Issuer;
use ring::hmac;

use crate::keys::LiveKeys;

/// For how many minutes after its own a nonce is good: one of the last second of its minute is good for these, too.
const MINUTES: i64 = 5;

/// Makes and checks the nonces of one issuer.
pub struct Nonces {
    issuer: Issuer,
    keys: Arc<LiveKeys>,
    leeway: i64,
}

impl Nonces {
    /// Nonces of `issuer`, by its keys. The clocks of replicas may differ by `leeway` (cut to whole seconds).
    pub fn new(issuer: Issuer, keys: Arc<LiveKeys>, leeway: Duration) -> Self {
        Self { issuer, keys, leeway: i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX) }
    }

    /// The nonce of the minute of `now` (seconds since 1970).
    pub fn fresh(&self, now: i64) -> String {
        let minute = now.div_euclid(60).to_be_bytes();
        let tag = hmac::sign(self.keys.ring().signing().nonces(), &self.hashed(minute));
        BASE64_URL_SAFE_NO_PAD.encode([&minute, tag.as_ref()].concat())
    }

    /// Whether a nonce is one of this issuer, and good at `now` (seconds since 1970): in its minute and the five
    /// after it, so for five minutes at least. It may come from any published key, so a rotation ends none.
    pub fn is_good(&self, nonce: &str, now: i64) -> bool {
        let Ok(nonce) = BASE64_URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some((minute, tag)) = nonce.split_first_chunk() else { return false };
        let hashed = self.hashed(*minute);
        let keys = self.keys.ring();
        if !keys.published().iter().any(|key| hmac::verify(key.nonces(), &hashed, tag).is_ok()) {
            return false;
        }
        let minute = i64::from_be_bytes(*minute);
        let latest = now.saturating_add(self.leeway).div_euclid(60);
        minute <= latest && now.div_euclid(60).saturating_sub(minute) <= MINUTES
    }

    fn hashed(&self, minute: [u8; 8]) -> Vec<u8> {
        [&minute, self.issuer.as_str().as_bytes()].concat()
    }
}
