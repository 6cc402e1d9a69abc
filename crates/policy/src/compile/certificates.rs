//! Clients: the certificates by which they authenticate.

use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;

use super::report::CompileReport;
use crate::{
    clients::{
        CertificateField, CertificateHash, CertificateName, CertificateTerms, Client, ClientState,
        InvalidCertificateName, KnownCertificate, MOST_CERTIFICATES,
    },
    document::{CertificateEntry, Text},
    finding::{FindingCode, ReadingProblem, Span},
    position::FileIndex,
    read::{Field, Items, Spanned},
};

/// How long before its end a certificate is warned of: as long as that of a listener.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The certificates that stand for clients, and where each stands first.
pub(super) type TakenCertificates = FxHashMap<KnownCertificate, CertificatePlace>;

/// Where an entry of `certificates` stands.
pub(super) struct CertificatePlace {
    client: String,
    file: FileIndex,
    at: Span,
}

impl CompileReport<'_> {
    /// Which certificates stand for a client, each with the place of its `expires`.
    pub(super) fn certificates(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        entries: &Items<Spanned<CertificateEntry>>,
        taken: &mut TakenCertificates,
    ) -> Vec<(CertificateTerms, Option<Span>)> {
        if let Some(beyond) = entries.0.get(MOST_CERTIFICATES) {
            let message = format!("client `{}` has more than {MOST_CERTIFICATES} certificates", client.value);
            let problem = ReadingProblem::new(beyond.at, FindingCode::BadCertificate, message);
            self.add(file, problem.hint("remove those that have expired, and those that it no longer shows"));
        }
        let each = entries.0.iter().filter_map(|entry| {
            let terms = self.certificate_terms(file, client, entry)?;
            self.once(file, client, entry.at, &terms.certificate, taken);
            Some((terms, entry.value.expires.given().map(|expires| expires.at)))
        });
        each.collect()
    }

    /// Refuses a certificate that stands for a client already.
    fn once(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        at: Span,
        certificate: &KnownCertificate,
        taken: &mut TakenCertificates,
    ) {
        let Some(first) = taken.get(certificate) else {
            let place = CertificatePlace { client: client.value.clone(), file, at };
            taken.insert(certificate.clone(), place);
            return;
        };
        let what = format!("`{}: {certificate}`", certificate.key());
        let (message, hint) = if first.client == client.value {
            (format!("client `{}` has the certificate {what} twice", client.value), "remove one")
        } else {
            (
                format!(
                    "one certificate would stand for client `{}` and for client `{}`: {what}",
                    first.client, client.value
                ),
                "give each client a certificate of its own",
            )
        };
        let hint = format!("{hint}; the other entry is at {}", self.place(first.file, first.at));
        self.bad_certificate(file, at, message, &hint);
    }

    /// Warns of clients whose last certificate expires soon or has expired; of each comes the place of `expires`.
    pub(super) fn expiring_certificates<'c>(
        &mut self,
        clients: impl Iterator<Item = (&'c Client, FileIndex, &'c [Option<Span>])>,
        now: Timestamp,
    ) {
        for (client, file, places) in clients.filter(|(client, ..)| client.state == ClientState::Enabled) {
            let each = client.certificates.iter().zip(places);
            // one without an end comes last
            let last = each.max_by_key(|(terms, _)| terms.expires.unwrap_or(Timestamp::MAX));
            let Some((CertificateTerms { expires: Some(expires), .. }, Some(at))) = last else { continue };
            if expires.duration_since(now) > SOON {
                continue;
            }
            let (id, when) = (&client.id, if *expires > now { "expires soon" } else { "has expired" });
            let message =
                format!("`{expires}`: the certificate of client `{id}` {when}, and it has no later one");
            let hint = "add the entry of its next certificate beside this one, and remove this one when it has expired";
            self.warn(file, ReadingProblem::new(*at, FindingCode::ExpiringCertificate, message).hint(hint));
        }
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
                let found = if several.is_empty() { "names none" } else { "names one in more than one way" };
                let message = format!("an entry of `certificates` of client `{}` {found}", client.value);
                let place = several.get(1).map_or(*at, |(_, second)| second.at);
                let problem = ReadingProblem::new(place, FindingCode::BadCertificate, message);
                self.add(
                    file,
                    problem.hint(
                        "write one of `sha256`, `san_dns`, `san_uri`, `san_ip`, `san_email` and `subject` in each entry",
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

/// How to mend a malformed name.
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
