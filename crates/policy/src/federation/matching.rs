//! Which client a token of another issuer stands for.

use std::{fmt, sync::Arc};

use jeton_oauth::{ClientId, IssuerName};
use serde_json::{Map, Value};

use crate::clients::Client;

/// Which tokens of trusted issuers stand for which clients.
#[derive(Clone, Debug, Default)]
pub struct Federation {}

/// The client that a token stands for.
#[derive(Clone, Debug)]
pub struct FederatedMatch<'p> {
    /// The client. It may be disabled.
    pub client: &'p Arc<Client>,
    /// What `claims_from` takes over. The client's own claims, which have other names, come beside these.
    pub claims: Map<String, Value>,
}

/// Why a token stands for no client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMatch {
    /// The client of which the fewest conditions differ. `None` where no client trusts the issuer.
    pub nearest: Option<ClientId>,
    /// Each condition of that client that differs.
    pub differing: Vec<DifferingClaim>,
}

/// A condition on a claim, and what the claim is instead. All of it is on one line and safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DifferingClaim {
    /// The name of the claim or the pointer into it, as the policies have it.
    pub claim: String,
    /// What the policies want of it: ``is `refs/heads/main` ``.
    pub wanted: String,
    /// What the token has: the value, or that there is no such claim.
    pub found: String,
}

impl Federation {
    /// The client that a verified token stands for. `claims` is its whole payload.
    ///
    /// # Errors
    /// [`NoMatch`] names the nearest client and what differs.
    pub fn client_of(
        &self,
        issuer: &IssuerName,
        claims: &Map<String, Value>,
    ) -> Result<FederatedMatch<'_>, NoMatch> {
        let _ = (issuer, claims);
        Err(NoMatch::default())
    }

    /// How many clients trust an issuer.
    pub fn client_count(&self) -> usize {
        0
    }
}

impl fmt::Display for DifferingClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, wanted, found } = self;
        write!(f, "{claim} {wanted}, but {found}")
    }
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(nearest) = &self.nearest else {
            return f.write_str("no client trusts this issuer");
        };
        write!(f, "it stands for no client; the nearest is `{nearest}`")?;
        for (position, differing) in self.differing.iter().enumerate() {
            write!(f, "{}{differing}", if position > 0 { "; " } else { ": " })?;
        }
        Ok(())
    }
}

impl std::error::Error for NoMatch {}
