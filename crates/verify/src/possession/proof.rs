//! A DPoP proof: a text that the holder of a key signs for one request (RFC 9449 section 4).

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, JwsError};
use jeton_oauth::Thumbprint;
use serde_json::{Map, Value};

use super::{fault::ProofFault, key::ProofKey, target::TargetUri};

/// A proof whose form and signature are right. Whether it is one for this request is still to be asked: [`Self::check`].
/// Made by [`Self::verify`] alone.
#[derive(Debug)]
pub struct DpopProof {
    thumbprint: Thumbprint,
    method: String,
    target: String,
    jti: String,
    /// In seconds since 1970.
    issued_at: f64,
    /// Likewise.
    expires_at: Option<f64>,
    not_before: Option<f64>,
    access_token: Option<String>,
    nonce: Option<String>,
}

/// What a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct ProofTerms<'r> {
    /// The method of the request.
    pub method: &'r str,
    /// The address at which clients reach what is asked.
    pub target: &'r TargetUri,
    /// The access token that comes with it; `None` where none comes, as at the token endpoint.
    pub access_token: Option<&'r str>,
    /// What the time is, in seconds since 1970.
    pub now: i64,
    /// How far clocks may be off, in seconds. So long, forwards and backwards, a proof is good.
    pub leeway: i64,
}

impl DpopProof {
    /// The longest proof that is looked at, in bytes.
    pub const LONGEST: usize = CompactJws::LONGEST;

    /// Reads the value of a `DPoP` header, and verifies that the key that it brings signed it.
    ///
    /// # Errors
    /// [`ProofFault`] for the first thing that RFC 9449 section 4.3 asks and that is not so.
    pub fn verify(text: &str) -> Result<Self, ProofFault> {
        let jws = CompactJws::parse(text)?;
        Self::signed_by(&ProofKey::read(&jws)?, &jws)
    }

    /// Reads the claims of a proof, and verifies that the key of its header signed it.
    pub(super) fn signed_by(key: &ProofKey, jws: &CompactJws<'_>) -> Result<Self, ProofFault> {
        let mut claims = jws.payload()?;
        let proof = Self {
            thumbprint: key.thumbprint(),
            method: required(&mut claims, "htm")?,
            target: required(&mut claims, "htu")?,
            jti: required(&mut claims, "jti")?,
            issued_at: date(&claims, "iat")?.ok_or(ProofFault::Missing("iat"))?,
            expires_at: date(&claims, "exp")?,
            not_before: date(&claims, "nbf")?,
            access_token: text_of(&mut claims, "ath")?,
            nonce: text_of(&mut claims, "nonce")?,
        };
        // last: it costs more than all the rest
        if key.signed(jws) { Ok(proof) } else { Err(JwsError::Signature.into()) }
    }

    /// Whether it is a proof for this request, and now. It says nothing of whether the proof was used before.
    ///
    /// # Errors
    /// [`ProofFault`] for the first term that it does not meet.
    pub fn check(&self, terms: &ProofTerms<'_>) -> Result<(), ProofFault> {
        let ProofTerms { method, target, access_token, now, leeway } = *terms;
        if self.method != method {
            return Err(ProofFault::Method);
        }
        if !target.is(&self.target) {
            return Err(ProofFault::Target);
        }
        // what `f64` cannot tell apart lies far from every time
        #[expect(clippy::cast_precision_loss, reason = "times that differ by it are refused alike")]
        let [now, leeway] = [now, leeway].map(|seconds| seconds as f64);
        if now - self.issued_at > leeway {
            return Err(ProofFault::Old);
        }
        if self.issued_at - now > leeway {
            return Err(ProofFault::Early);
        }
        if self.expires_at.is_some_and(|end| now - end >= leeway) {
            return Err(ProofFault::Expired);
        }
        if self.not_before.is_some_and(|start| start - now > leeway) {
            return Err(ProofFault::NotYetValid);
        }
        let Some(access_token) = access_token else { return Ok(()) };
        let hash = self.access_token.as_deref().ok_or(ProofFault::Missing("ath"))?;
        if hash != BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, access_token.as_bytes())) {
            return Err(ProofFault::AccessToken);
        }
        Ok(())
    }

    /// The thumbprint of the key that signed it (RFC 7638): a token with this `jkt` is its holder's.
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// `jti`: no proof of this key with the same one is good again.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// `nonce`, if it has one.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// `iat`, in seconds since 1970, cut to whole ones.
    pub fn issued_at(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a number beyond all times stays beyond them")]
        let whole = self.issued_at.floor() as i64;
        whole
    }

    /// Until when it must be remembered, in seconds since 1970: later it is refused for its time.
    pub fn good_until(&self, leeway: i64) -> i64 {
        self.issued_at().saturating_add(1).saturating_add(leeway)
    }
}

fn text_of(claims: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, ProofFault> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ProofFault::WrongType(name)),
    }
}

fn required(claims: &mut Map<String, Value>, name: &'static str) -> Result<String, ProofFault> {
    let text = text_of(claims, name)?.ok_or(ProofFault::Missing(name))?;
    if text.is_empty() { Err(ProofFault::WrongType(name)) } else { Ok(text) }
}

/// A date. It may have a fraction (RFC 7519 section 2).
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, ProofFault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    value.as_f64().filter(|date| date.is_finite()).map(Some).ok_or(ProofFault::WrongType(name))
}
