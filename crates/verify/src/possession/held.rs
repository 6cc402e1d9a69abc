//! Whether a request shows what its token is bound to: the one way from a token to its holder.

use std::{ops::Deref, sync::Arc};

use jeton_jose::{CompactJws, JwsError};
use jeton_oauth::{Audience, Thumbprint};

use super::{
    fault::{PossessionFault, ProofFault},
    key::KnownKeys,
    proof::{DpopProof, ProofTerms},
    seen::{NotNoted, SeenProofs, UsedProof},
    shown::{Shown, ShownProof},
    target::{Origin, TargetUri},
};
use crate::{
    standing::InForce,
    token::{BearerToken, TokenScheme, VerifiedClaims, Verifier},
};

/// A token in the hands of its holder: what it is bound to was shown, or it is not bound and came as `Bearer`. Made by
/// [`Authorizer`](crate::Authorizer) alone.
#[derive(Clone, Copy)]
pub struct Held<T>(T);

impl<T> Held<T> {
    /// The token, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// By what possession is judged: where clients ask, and which proofs were used.
#[derive(Clone)]
pub(crate) struct Possession {
    origin: Option<Origin>,
    seen: Arc<SeenProofs>,
    keys: Arc<KnownKeys>,
    /// Under which name proofs are remembered, where that is not the audience.
    namespace: Option<Arc<str>>,
}

impl Default for Possession {
    fn default() -> Self {
        let seen = Arc::new(SeenProofs::new(SeenProofs::USUAL));
        Self { origin: None, seen, keys: Arc::default(), namespace: None }
    }
}

/// A request whose token is good, as far as possession goes.
#[derive(Clone, Copy)]
pub(crate) struct PresentedToken<'r> {
    pub(crate) token: &'r BearerToken,
    pub(crate) method: &'r str,
    /// The path that the client asked for. `None`: the request has no path.
    pub(crate) path: Option<&'r str>,
    pub(crate) shown: Shown<'r>,
    pub(crate) audience: &'r Audience,
    /// Whether the API takes no other token than a bound one.
    pub(crate) must_be_bound: bool,
    /// Whose clock and leeway count. A token that is not bound asks for neither.
    pub(crate) verifier: &'r Verifier,
}

impl Possession {
    /// Proofs are for this origin.
    pub(crate) fn with_origin(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// Remembers proofs here, under this name.
    pub(crate) fn with_seen_proofs(self, seen: Arc<SeenProofs>, namespace: Arc<str>) -> Self {
        Self { seen, namespace: Some(namespace), ..self }
    }

    /// Remembers proofs under this name.
    pub(crate) fn named(self, namespace: Arc<str>) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    /// For another API, which is elsewhere. The memory stays the same one.
    pub(crate) fn of_another_api(&self) -> Self {
        Self { origin: None, namespace: None, ..self.clone() }
    }

    /// Whether a proof could be taken.
    pub(crate) fn takes_proofs(&self) -> bool {
        self.origin.is_some()
    }

    /// A token that is in force, if it is its holder's.
    ///
    /// # Errors
    /// [`PossessionFault`] otherwise. Only a proof that is right in all else is remembered as used.
    pub(crate) fn show(
        &self,
        claims: InForce<VerifiedClaims>,
        presented: &PresentedToken<'_>,
    ) -> Result<Held<InForce<VerifiedClaims>>, PossessionFault> {
        let confirmation = claims.confirmation();
        let jkt = confirmation.and_then(|bound| bound.jkt());
        match (presented.token.scheme(), confirmation) {
            // a proof beside it says nothing of a token that is not bound: RFC 9449 section 7.2 has it ignored, as by
            // whoever knows nothing of proofs
            (TokenScheme::Bearer, None) if presented.must_be_bound => return Err(PossessionFault::NotBound),
            (TokenScheme::Bearer, None) => return Ok(Held(claims)),
            (TokenScheme::Bearer, Some(_)) if jkt.is_some() => return Err(PossessionFault::BoundAsBearer),
            (TokenScheme::Dpop, _) if jkt.is_none() => return Err(PossessionFault::UnboundAsDpop),
            (TokenScheme::Bearer | TokenScheme::Dpop, _) => {}
        }
        match (confirmation.and_then(|bound| bound.x5t_s256()), presented.shown.certificate) {
            (Some(_), None) => return Err(PossessionFault::NoCertificate),
            (Some(bound), Some(shown)) if bound != shown => return Err(PossessionFault::OtherCertificate),
            (Some(_), Some(_)) | (None, _) => {}
        }
        if let Some(jkt) = jkt {
            self.prove(jkt, presented)?;
        }
        Ok(Held(claims))
    }

    /// Asks for a proof for this request by the key of this thumbprint, and uses it up.
    fn prove(&self, jkt: Thumbprint, presented: &PresentedToken<'_>) -> Result<(), PossessionFault> {
        let PresentedToken { token, method, path, shown, verifier, .. } = *presented;
        let (now, leeway) = (verifier.now(), verifier.leeway());
        let origin = self.origin.as_ref().ok_or(PossessionFault::NoOrigin)?;
        let text = match shown.proof {
            ShownProof::None => return Err(PossessionFault::NoProof),
            ShownProof::Several => return Err(PossessionFault::SeveralProofs),
            ShownProof::One(text) => text,
        };
        let text = str::from_utf8(text).map_err(|_| ProofFault::from(JwsError::NotCompactJws))?;
        let jws = CompactJws::parse(text).map_err(ProofFault::from)?;
        let key = self.keys.of(&jws, jkt)?;
        if key.thumbprint() != jkt {
            return Err(PossessionFault::OtherKey);
        }
        let proof = DpopProof::signed_by(&key, &jws)?;
        let target = path.and_then(|path| TargetUri::of(origin, path)).ok_or(ProofFault::Target)?;
        let access_token = Some(token.as_str());
        proof.check(&ProofTerms { method, target: &target, access_token, now, leeway })?;
        self.use_up(&proof, presented, now)?;
        self.keys.keep(key);
        Ok(())
    }

    fn use_up(
        &self,
        proof: &DpopProof,
        presented: &PresentedToken<'_>,
        now: i64,
    ) -> Result<(), PossessionFault> {
        let used = UsedProof {
            namespace: self.namespace.as_deref().unwrap_or(presented.audience.as_str()),
            key: proof.thumbprint(),
            jti: proof.jti(),
            good_until: proof.good_until(presented.verifier.leeway()),
        };
        self.seen.note(&used, now).map_err(|why| match why {
            NotNoted::Seen => PossessionFault::Replayed,
            NotNoted::Full => PossessionFault::MemoryFull,
            NotNoted::KeyFull => PossessionFault::KeyFull,
        })
    }
}
