//! What a new token is bound to: [`Shown`] by a request, [`ProvenBinding`], [`Binding`].
//!
//! A token is bound to the key of a proof (RFC 9449 section 5), or to the certificate of its client (RFC 8705 section 3).
//! The claim `cnf` says so, and whoever shows the token must show the same.

mod error;
mod nonce;

use std::{sync::Arc, time::Duration};

use jeton_jose::JwsError;
use jeton_oauth::{Confirmation, Issuer, Thumbprint};
use jeton_verify::{DpopProof, ProofFault, ProofTerms, Shown, ShownProof, TargetUri};

pub use error::{BindingError, NotHeld};
pub use nonce::Nonces;

use crate::store::{NameUse, OnceName, Store};

/// Binds the tokens of one issuer.
pub struct TokenBinder {
    /// The address for which proofs are made.
    token_endpoint: TargetUri,
    /// In seconds.
    leeway: i64,
    nonces: Option<Nonces>,
    store: Arc<Store>,
}

/// What a request has proven that its sender holds. Made by [`TokenBinder::prove`], or of a connection.
pub struct ProvenBinding {
    proof: Option<UnusedProof>,
    certificate: Option<Thumbprint>,
}

/// A good proof. Whether it was used before is still to be asked.
struct UnusedProof {
    key: Thumbprint,
    /// What stands for its `jti`.
    name: OnceName,
    /// Until when it would be taken again, in seconds since 1970.
    until: i64,
}

/// Whether a token is bound to the certificate by which its client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUse {
    /// It is, if there is a certificate.
    Binds,
    /// It is not.
    Ignored,
}

/// What a new token is bound to, if it is bound. Made by [`TokenBinder::use_up`] alone, so no proof brings two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding(Option<Confirmation>);

impl TokenBinder {
    /// Binds tokens of `issuer`, by clocks that are off by `leeway` (cut to whole seconds). With `nonces`, each proof
    /// needs one. `store` notes which proofs were used.
    pub fn new(issuer: &Issuer, leeway: Duration, nonces: Option<Nonces>, store: Arc<Store>) -> Self {
        let leeway = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        Self { token_endpoint: TargetUri::of_endpoint(issuer, "/oauth2/token"), leeway, nonces, store }
    }

    /// What of a request is proven. It uses nothing up.
    ///
    /// # Errors
    /// [`BindingError`] for the first thing that RFC 9449 section 4.3 asks of a proof and that is not so.
    pub fn prove(&self, shown: &Shown<'_>, now: i64) -> Result<ProvenBinding, BindingError> {
        let proof = match shown.proof {
            ShownProof::None => None,
            ShownProof::Several => return Err(BindingError::SeveralProofs),
            ShownProof::One(text) => Some(self.check(text, now)?),
        };
        Ok(ProvenBinding { proof, certificate: shown.certificate })
    }

    /// Whether this is a good proof for a request to the token endpoint, now.
    fn check(&self, text: &[u8], now: i64) -> Result<UnusedProof, BindingError> {
        let text = str::from_utf8(text).map_err(|_| ProofFault::from(JwsError::NotCompactJws))?;
        let proof = DpopProof::verify(text)?;
        let terms = ProofTerms {
            method: "POST",
            target: &self.token_endpoint,
            access_token: None,
            now,
            leeway: self.leeway,
        };
        proof.check(&terms).map_err(|fault| match fault {
            ProofFault::Method => BindingError::Method,
            ProofFault::Target => BindingError::Target(self.token_endpoint.clone()),
            other => other.into(),
        })?;
        // last: who is told a nonce has nothing else to correct
        if let Some(nonces) = &self.nonces
            && !proof.nonce().is_some_and(|nonce| nonces.is_good(nonce, now))
        {
            return Err(BindingError::Nonce { fresh: nonces.fresh(now) });
        }
        let key = proof.thumbprint();
        Ok(UnusedProof {
            key,
            // of three parts: those of clients' own assertions have two
            name: OnceName::of(&[b"dpop", key.as_bytes(), proof.jti().as_bytes()]),
            until: proof.good_until(self.leeway),
        })
    }

    /// The binding of a new token. It uses the proof up, on every replica: it is for a request that nothing else can be
    /// said against.
    ///
    /// # Errors
    /// [`BindingError::Replayed`], [`BindingError::Unavailable`].
    pub async fn use_up(
        &self,
        proven: &ProvenBinding,
        certificate: CertificateUse,
    ) -> Result<Binding, BindingError> {
        if let Some(UnusedProof { name, until, .. }) = &proven.proof
            && self.store.use_once(*name, *until).await? == NameUse::Again
        {
            return Err(BindingError::Replayed);
        }
        Ok(Binding(proven.confirmation(certificate)))
    }

    /// The nonce for the next proof of whoever showed one, if proofs need any.
    pub fn next_nonce(&self, proven: &ProvenBinding, now: i64) -> Option<String> {
        self.nonces.as_ref().filter(|_| proven.proof.is_some()).map(|nonces| nonces.fresh(now))
    }
}

impl ProvenBinding {
    /// What a connection proves with this certificate, if it has one, at an endpoint that takes no proofs.
    pub fn of_connection(certificate: Option<Thumbprint>) -> Self {
        Self { proof: None, certificate }
    }

    /// Whether all that a token is bound to was proven.
    ///
    /// # Errors
    /// [`NotHeld`], for the first thing that was not.
    pub fn check(&self, bound_to: Confirmation) -> Result<(), NotHeld> {
        let is_missing = |wanted: Option<Thumbprint>, proven| wanted.is_some() && wanted != proven;
        if is_missing(bound_to.jkt(), self.proof.as_ref().map(|proof| proof.key)) {
            return Err(NotHeld::Key);
        }
        if is_missing(bound_to.x5t_s256(), self.certificate) {
            return Err(NotHeld::Certificate);
        }
        Ok(())
    }

    /// What a token would be bound to.
    pub fn confirmation(&self, certificate: CertificateUse) -> Option<Confirmation> {
        let certificate = self.certificate.filter(|_| certificate == CertificateUse::Binds);
        Confirmation::new(self.proof.as_ref().map(|proof| proof.key), certificate)
    }
}

impl Binding {
    /// The claim `cnf`.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.0.as_ref()
    }

    /// A binding of which nothing was proven, for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn pretended(confirmation: Option<Confirmation>) -> Self {
        Self(confirmation)
    }
}
