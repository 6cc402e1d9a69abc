//! Clients: the certificates by which they authenticate.

use super::report::CompileReport;
use crate::{
    clients::{
        CertificateField, CertificateHash, CertificateName, CertificateTerms, InvalidCertificateName,
        KnownCertificate, MOST_CERTIFICATES,
    },
    document::{CertificateEntry, Text},
    finding::{FindingCode, ReadingProblem, Span},
    position::FileIndex,
    read::{Field, Items, Spanned},
};

impl CompileReport<'_> {
    /// Which certificates stand for a client.
    pub(super) fn certificates(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        entries: &Items<Spanned<CertificateEntry>>,
    ) -> Vec<CertificateTerms> {
        if let Some(beyond) = entries.0.get(MOST_CERTIFICATES) {
            let message = format!("client `{}` has more than {MOST_CERTIFICATES} certificates", client.value);
            let problem = ReadingProblem::new(beyond.at, FindingCode::BadCertificate, message);
            self.add(file, problem.hint("remove those that have expired, and those that it no longer shows"));
        }
        entries.0.iter().filter_map(|entry| self.certificate_terms(file, client, entry)).collect()
    }

    fn certificate_terms(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        entry: &Spanned<CertificateEntry>,
    ) -> Option<CertificateTerms> {
        let Spanned { at, value: entry } = entry;
        let forms = entry.forms();
        if forms.iter().any(|(_, form)| matches!(form, Field::Wrong)) {
            return None;
        }
        let given: Vec<_> = forms.iter().filter_map(|(field, form)| Some((*field, form.given()?))).collect();
        let expires = match &entry.expires {
            Field::Given(text) => Some(self.time(file, text)?),
            Field::Wrong => return None,
            Field::Absent => None,
        };
        let certificate = match *given.as_slice() {
            [(field, text)] => self.known_certificate(file, field, text)?,
            [] if self.has_unknown_key(file, *at) => return None,
            ref several => {
                let found =
                    if several.is_empty() { "says nothing of one" } else { "is in more than one form" };
                let message = format!("a certificate of client `{}` {found}", client.value);
                let place = several.get(1).map_or(*at, |(_, second)| second.at);
                let problem = ReadingProblem::new(place, FindingCode::BadCertificate, message);
                self.add(
                    file,
                    problem.hint(
                        "give each entry one of `sha256`, `san_dns`, `san_uri`, `san_ip`, `san_email` and `subject`",
                    ),
                );
                return None;
            }
        };
        Some(CertificateTerms { certificate, expires })
    }

    fn known_certificate(
        &mut self,
        file: FileIndex,
        field: Option<CertificateField>,
        text: &Text,
    ) -> Option<KnownCertificate> {
        let (at, text) = (text.at, text.value.as_str());
        let Some(field) = field else {
            let hash = CertificateHash::parse(text);
            if hash.is_none() {
                self.bad_certificate(
                    file,
                    at,
                    "`sha256` is not 64 hexadecimal digits".to_owned(),
                    "write what `openssl x509 -in FILE -outform DER | openssl dgst -sha256` prints",
                );
            }
            return hash.map(KnownCertificate::Sha256);
        };
        match CertificateName::parse(field, text) {
            Ok(name) => Some(KnownCertificate::Named(name)),
            Err(error) => {
                let message = format!("`{text}` cannot be a `{}`: {error}", field.as_str());
                self.bad_certificate(file, at, message, fix(&error));
                None
            }
        }
    }

    fn bad_certificate(&mut self, file: FileIndex, at: Span, message: String, hint: &str) {
        self.add(file, ReadingProblem::new(at, FindingCode::BadCertificate, message).hint(hint));
    }
}

/// What to do about a name that is none.
fn fix(error: &InvalidCertificateName) -> &'static str {
    match error {
        InvalidCertificateName::Wildcard => "write the whole name of one host, an entry for each",
        InvalidCertificateName::Dns => {
            "write labels of letters, digits and `-` with a dot between them, such as `orders.acme.example`"
        }
        InvalidCertificateName::Address => "write it as `san_ip`",
        InvalidCertificateName::Uri => {
            "write it as the certificate has it, such as `spiffe://acme.example/orders`"
        }
        InvalidCertificateName::Spiffe(_) => {
            "write the trust domain and the path of one workload, such as `spiffe://acme.example/orders`"
        }
        InvalidCertificateName::Ip => "write one IPv4 or IPv6 address, such as `10.0.0.7`",
        InvalidCertificateName::Email => "write one address without a name, such as `ops@acme.example`",
        InvalidCertificateName::Subject(_) => {
            "write what `openssl x509 -in FILE -noout -subject -nameopt RFC2253` prints after `subject=`"
        }
    }
}
