//! Certificates by which clients authenticate (RFC 8705 section 2): one that the policies hold by its hash
//! (`self_signed_tls_client_auth`), or one of an authority with a name that they hold (`tls_client_auth`).

use std::sync::Arc;

use jeton_policy::clients::{
    CertificateHash, CertificateName, CertificateTerms, Client, ClientRegistry, KnownCertificate,
};
use jiff::Timestamp;

use super::error::{AuthenticationError, CertificateError};
use crate::tls::{LiveAuthorities, ShownCertificate};

/// What the certificates of clients must fit.
pub struct CertificateRules {
    /// Whose word about a name counts.
    authorities: Option<Arc<LiveAuthorities>>,
}

/// What is known of a certificate that was shown, whoever it is said to be of.
struct Judged<'c> {
    certificate: &'c ShownCertificate,
    hash: CertificateHash,
    names: Vec<CertificateName>,
    vouched_for: Result<(), CertificateError>,
    now: Timestamp,
}

impl CertificateRules {
    /// With these authorities, if there are any.
    pub fn new(authorities: Option<Arc<LiveAuthorities>>) -> Self {
        Self { authorities }
    }

    /// Whether the certificate stands for the client that is named. The authorities are asked whoever that is, so that a
    /// stranger cannot tell by the time whether it exists, or how it is known.
    pub(super) fn check<'r>(
        &self,
        certificate: &ShownCertificate,
        client_id: &str,
        clients: &'r ClientRegistry,
        now: Timestamp,
    ) -> Result<&'r Arc<Client>, AuthenticationError> {
        let vouched_for = match &self.authorities {
            Some(authorities) => {
                authorities.current().vouch_for(certificate, now).map_err(CertificateError::NotVouchedFor)
            }
            None => Err(CertificateError::NoAuthorities),
        };
        let hash = CertificateHash::new(*certificate.thumbprint().as_bytes());
        let judged = Judged { certificate, hash, names: certificate.names(), vouched_for, now };
        let client = clients.find(client_id);
        let client = client.ok_or(AuthenticationError::UnknownClient { attempted: client_id.to_owned() })?;
        judged.stands_for(&client.certificates).map(|()| client).map_err(|error| {
            let (client, shown) = (client.id.clone(), hash);
            AuthenticationError::BadCertificate { client, shown, error }
        })
    }
}

impl Judged<'_> {
    /// Whether one of the entries of a client is this certificate, and may be used; otherwise why the first that is it may
    /// not.
    fn stands_for(&self, entries: &[CertificateTerms]) -> Result<(), CertificateError> {
        let mut refused = None;
        for entry in entries.iter().filter(|entry| self.is_meant_by(&entry.certificate)) {
            match self.is_taken_by(entry) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        Err(refused.unwrap_or(if entries.is_empty() {
            CertificateError::NoneKnown
        } else {
            CertificateError::Other
        }))
    }

    fn is_meant_by(&self, known: &KnownCertificate) -> bool {
        match known {
            KnownCertificate::Sha256(hash) => *hash == self.hash,
            KnownCertificate::Named(name) => self.names.contains(name),
            // a kind that came later stands for nobody here
            _ => false,
        }
    }

    fn is_taken_by(&self, entry: &CertificateTerms) -> Result<(), CertificateError> {
        if !entry.is_live(self.now) {
            return Err(CertificateError::EntryExpired);
        }
        match &entry.certificate {
            // nobody vouches for it but the policies, which do not read its times
            KnownCertificate::Sha256(_) => {
                let (not_before, not_after) = self.certificate.validity();
                if self.now < not_before {
                    Err(CertificateError::NotYetValid(not_before))
                } else if self.now > not_after {
                    Err(CertificateError::Expired(not_after))
                } else {
                    Ok(())
                }
            }
            KnownCertificate::Named(_) => self.vouched_for.clone(),
            _ => Err(CertificateError::Other),
        }
    }
}
