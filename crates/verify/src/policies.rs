//! Where the policies come from by which a service decides.

use std::sync::Arc;

use jeton_policy::{LivePolicies, PolicySet};

use crate::{
    bundle::{BundleSource, PoliciesUnknown},
    revocations::RevocationsUnknown,
};

/// The policies of a service, as they are whenever they are asked for.
#[derive(Clone)]
#[non_exhaustive]
pub enum PolicySource {
    /// Of a folder.
    Folder(Arc<LivePolicies>),
    /// Of the issuer's bundle.
    Bundle(Arc<BundleSource>),
}

/// Why nobody can say now whether a request may pass; a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Which tokens were revoked is not known.
    #[error(transparent)]
    Revocations(#[from] RevocationsUnknown),
    /// What the policies say is not known.
    #[error(transparent)]
    Policies(#[from] PoliciesUnknown),
}

impl From<Arc<LivePolicies>> for PolicySource {
    fn from(folder: Arc<LivePolicies>) -> Self {
        Self::Folder(folder)
    }
}

/// A bundle, which needs its `run` beside it.
impl From<Arc<BundleSource>> for PolicySource {
    fn from(bundle: Arc<BundleSource>) -> Self {
        Self::Bundle(bundle)
    }
}

impl PolicySource {
    /// Asks the policies in force: one snapshot of them, so that no answer is of a mixture.
    pub(crate) fn ask<A>(&self, ask: impl FnOnce(&PolicySet) -> A) -> Result<A, PoliciesUnknown> {
        match self {
            Self::Folder(folder) => Ok(ask(&folder.current().policies)),
            Self::Bundle(bundle) => bundle.ask(ask),
        }
    }

    /// Looks for policies because there are none.
    pub(crate) async fn fetch_unknown(&self) {
        if let Self::Bundle(bundle) = self {
            bundle.fetch().await;
        }
    }
}
