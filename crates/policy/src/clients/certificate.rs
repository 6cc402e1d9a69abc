//! Certificates by which clients authenticate (RFC 8705), as the policies keep them.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;

use super::{DistinguishedName, InvalidDistinguishedName, secret::hex_bytes};

/// The most entries of `certificates` that a client may have, and the number of comparisons that are made for each
/// certificate that is shown.
pub const MOST_CERTIFICATES: usize = 16;

/// Which certificates stand for a client: one entry of `certificates`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTerms {
    /// The certificate, or what must stand in it.
    pub certificate: KnownCertificate,
    /// When the entry expires. A certificate that is known by name has an end of its own, too.
    pub expires: Option<Timestamp>,
}

impl CertificateTerms {
    /// Whether the entry is valid at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires.unwrap_or(Timestamp::MAX)
    }
}

/// What a certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KnownCertificate {
    /// `sha256`: this one certificate, whoever issued it (`self_signed_tls_client_auth`).
    Sha256(CertificateHash),
    /// Each certificate with this name that an authority issued which the server trusts (`tls_client_auth`).
    Named(CertificateName),
}

impl KnownCertificate {
    /// The key of its value in a policy file.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Named(name) => name.field().as_str(),
        }
    }
}

/// As a policy file has it.
impl fmt::Display for KnownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hash) => hash.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}

/// The SHA-256 of the DER of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateHash([u8; 32]);

impl CertificateHash {
    /// The hash that is these bytes.
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        hex_bytes(hex).map(Self)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its first 8 hexadecimal digits: enough to tell the certificates of a client apart.
    pub fn beginning(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where in a certificate a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CertificateField {
    /// `dNSName` of the subject alternative names.
    SanDns,
    /// `uniformResourceIdentifier` of these.
    SanUri,
    /// `iPAddress` of these.
    SanIp,
    /// `rfc822Name` of these.
    SanEmail,
    /// The subject.
    Subject,
}

impl CertificateField {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::SanDns, Self::SanUri, Self::SanIp, Self::SanEmail, Self::Subject];

    /// Its key in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SanDns => "san_dns",
            Self::SanUri => "san_uri",
            Self::SanIp => "san_ip",
            Self::SanEmail => "san_email",
            Self::Subject => "subject",
        }
    }
}

/// A name in a certificate. Two that mean the same are equal: names of hosts are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateName(Name);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    SanDns(Box<str>),
    SanUri(Box<str>),
    SanIp(IpAddr),
    SanEmail(Box<str>),
    Subject(DistinguishedName),
}

/// Why a text is no name of a certificate of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificateName {
    /// A DNS name with `*`.
    #[error("a wildcard would stand for more than one host")]
    Wildcard,
    /// No DNS name.
    #[error("it is not the DNS name of a host")]
    Dns,
    /// An address where a DNS name belongs.
    #[error("it is an IP address and not a DNS name")]
    Address,
    /// No URI.
    #[error("it is not a URI with a scheme")]
    Uri,
    /// A URI of SPIFFE that identifies no workload.
    #[error("it is not a SPIFFE ID: {0}")]
    Spiffe(&'static str),
    /// No IP address.
    #[error("it is not an IP address")]
    Ip,
    /// No email address.
    #[error("it is not an email address")]
    Email,
    /// No distinguished name.
    #[error(transparent)]
    Subject(#[from] InvalidDistinguishedName),
}

impl CertificateName {
    /// Reads a name of this kind, as it stands in a policy file or in a certificate.
    ///
    /// # Errors
    /// [`InvalidCertificateName`] says what is wrong with it.
    pub fn parse(field: CertificateField, text: &str) -> Result<Self, InvalidCertificateName> {
        Ok(Self(match field {
            CertificateField::SanDns => Name::SanDns(dns_name(text)?.into()),
            CertificateField::SanUri => Name::SanUri(uri(text)?.into()),
            CertificateField::SanIp => Name::SanIp(text.parse().map_err(|_| InvalidCertificateName::Ip)?),
            CertificateField::SanEmail => Name::SanEmail(email(text)?.into()),
            CertificateField::Subject => Name::Subject(DistinguishedName::parse(text)?),
        }))
    }

    /// Where it stands in a certificate.
    pub fn field(&self) -> CertificateField {
        match &self.0 {
            Name::SanDns(_) => CertificateField::SanDns,
            Name::SanUri(_) => CertificateField::SanUri,
            Name::SanIp(_) => CertificateField::SanIp,
            Name::SanEmail(_) => CertificateField::SanEmail,
            Name::Subject(_) => CertificateField::Subject,
        }
    }
}

impl From<IpAddr> for CertificateName {
    fn from(address: IpAddr) -> Self {
        Self(Name::SanIp(address))
    }
}

impl From<DistinguishedName> for CertificateName {
    fn from(subject: DistinguishedName) -> Self {
        Self(Name::Subject(subject))
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::SanDns(text) | Name::SanUri(text) | Name::SanEmail(text) => f.write_str(text),
            Name::SanIp(address) => address.fmt(f),
            Name::Subject(subject) => subject.fmt(f),
        }
    }
}

/// The longest DNS name, in bytes (RFC 1035 section 2.3.4, without the dot of the root).
const LONGEST_DNS_NAME: usize = 253;
/// The longest label of one.
const LONGEST_LABEL: usize = 63;
/// The longest URI, in bytes: that of a SPIFFE ID.
const LONGEST_URI: usize = 2048;
/// The longest local part of an email address (RFC 5321 section 4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;

/// A name of a host in lower case (RFC 5280 section 4.2.1.6), with the `_` that some have.
fn dns_name(text: &str) -> Result<String, InvalidCertificateName> {
    if text.contains('*') {
        return Err(InvalidCertificateName::Wildcard);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(InvalidCertificateName::Address);
    }
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // what ends in a number is read as an address by some
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = text.len() <= LONGEST_DNS_NAME
        && text.split('.').all(is_label)
        && !text.rsplit('.').next().is_some_and(is_number);
    if is_name { Ok(text.to_ascii_lowercase()) } else { Err(InvalidCertificateName::Dns) }
}

/// A URI with a scheme (RFC 3986); one of the scheme `spiffe` identifies a workload.
fn uri(text: &str) -> Result<&str, InvalidCertificateName> {
    let (scheme, rest) = text.split_once(':').ok_or(InvalidCertificateName::Uri)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let is_uri_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let is_escape = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_uri = is_scheme
        && !rest.is_empty()
        && text.len() <= LONGEST_URI
        && rest.bytes().all(is_uri_byte)
        && rest.split('%').skip(1).all(is_escape)
        && rest.matches('#').count() <= 1;
    if !is_uri {
        return Err(InvalidCertificateName::Uri);
    }
    if scheme.eq_ignore_ascii_case("spiffe") {
        spiffe_id(text).map_err(InvalidCertificateName::Spiffe)?;
    }
    Ok(text)
}

/// Holds that a text is a SPIFFE ID of a workload (SPIFFE-ID section 2).
fn spiffe_id(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("spiffe://").ok_or("it begins with `spiffe://`, in lower case")?;
    if rest.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    if domain.contains('@') || domain.contains(':') {
        return Err("its trust domain has a user or a port");
    }
    let is_domain_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    if domain.is_empty() || domain.len() > 255 || !domain.bytes().all(is_domain_byte) {
        return Err("a trust domain has only lower-case letters, digits, `.`, `-` and `_`");
    }
    if path.is_empty() {
        return Err("it has no path, so it names the trust domain and no workload in it");
    }
    let is_segment_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_segment_byte);
    if !path.split('/').all(is_segment) {
        return Err(
            "a segment of its path is empty, `.` or `..`, or has other characters than letters, digits, `.`, `-` and `_`",
        );
    }
    Ok(())
}

/// A mailbox without quotes (RFC 5280 section 4.2.1.6), with its host in lower case.
fn email(text: &str) -> Result<String, InvalidCertificateName> {
    let (local, host) = text.rsplit_once('@').ok_or(InvalidCertificateName::Email)?;
    let is_atom_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom_byte);
    if local.len() > LONGEST_LOCAL_PART || !local.split('.').all(is_atom) {
        return Err(InvalidCertificateName::Email);
    }
    let host = dns_name(host).map_err(|_| InvalidCertificateName::Email)?;
    Ok(format!("{local}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::{
        CertificateField::{self, SanDns, SanEmail, SanIp, SanUri, Subject},
        CertificateHash, CertificateName, CertificateTerms, InvalidCertificateName as Bad, KnownCertificate,
    };

    #[track_caller]
    fn reads(field: CertificateField, text: &str, shown: &str) {
        let name = CertificateName::parse(field, text).unwrap();
        assert_eq!(name.to_string(), shown);
        assert_eq!(name.field(), field, "{text}");
        assert_eq!(CertificateName::parse(field, shown).unwrap(), name);
    }

    #[test]
    fn names_of_each_kind_are_read() {
        reads(SanDns, "orders.acme.example", "orders.acme.example");
        reads(SanDns, "Orders.ACME.example", "orders.acme.example");
        reads(SanDns, "localhost", "localhost");
        reads(SanDns, "1.orders_2.xn--bcher-kva", "1.orders_2.xn--bcher-kva");
        reads(SanUri, "spiffe://acme.example/ns/shop/sa/orders", "spiffe://acme.example/ns/shop/sa/orders");
        reads(SanUri, "https://acme.example/Orders?x=%2F#y", "https://acme.example/Orders?x=%2F#y");
        reads(SanUri, "urn:uuid:0f3c", "urn:uuid:0f3c");
        reads(SanIp, "10.0.0.1", "10.0.0.1");
        reads(SanIp, "2001:DB8::0:1", "2001:db8::1");
        reads(SanEmail, "Ops+orders@ACME.example", "Ops+orders@acme.example");
        reads(Subject, "cn=orders,O=ACME", "CN=orders,O=ACME");
    }

    #[track_caller]
    fn refuses(field: CertificateField, error: &Bad, texts: &[&str]) {
        for text in texts {
            assert_eq!(CertificateName::parse(field, text), Err(error.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        refuses(SanDns, &Bad::Wildcard, &["*.acme.example", "*", "orders*.acme.example"]);
        refuses(SanDns, &Bad::Address, &["10.0.0.1", "::1"]);
        let (long_label, long_name) = ("a".repeat(64), "a.".repeat(126) + "aa");
        refuses(
            SanDns,
            &Bad::Dns,
            &["", ".", "a..b", "a.", ".a", "-a", "a-", "a b", "b\u{fc}cher", "a/b", "a:1"],
        );
        refuses(SanDns, &Bad::Dns, &["10.0.0", "acme.1", &long_label, &long_name]);
        refuses(
            SanUri,
            &Bad::Uri,
            &["", "acme", ":", "a:", "1a:b", "a b:c", "a:b c", "a:%2", "a:%zz", "a:#b#"],
        );
        refuses(
            SanUri,
            &Bad::Uri,
            &["https://b\u{fc}cher.example/", "/path:x", &format!("a:{}", "b".repeat(2047))],
        );
        refuses(
            SanIp,
            &Bad::Ip,
            &["", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.0/8", "[::1]", "fe80::1%eth0", "a"],
        );
        refuses(
            SanEmail,
            &Bad::Email,
            &["", "a", "@b", "a@", "a@b@c", "a@-b", "a b@c", ".a@b", "\"a\"@b", "a@*.b"],
        );
        refuses(SanEmail, &Bad::Email, &[&format!("{}@b", "a".repeat(65))]);
        assert!(matches!(CertificateName::parse(Subject, "orders"), Err(Bad::Subject(_))));
    }

    #[test]
    fn a_spiffe_id_names_a_workload() {
        for id in [
            "spiffe://acme.example",
            "spiffe://acme.example/",
            "spiffe://acme.example/a/",
            "spiffe://acme.example//a",
            "spiffe://acme.example/a/../b",
            "spiffe://acme.example/./b",
            "spiffe://acme.example/a%20b",
            "spiffe://acme.example/a:b",
            "spiffe://acme.example:8443/a",
            "spiffe://user@acme.example/a",
            "spiffe://acme.example/a?b=c",
            "spiffe://acme.example/a#b",
            "spiffe://Acme.example/a",
            "spiffe:///a",
            "spiffe:acme.example/a",
            "SPIFFE://acme.example/a",
        ] {
            let read = CertificateName::parse(SanUri, id);
            assert!(matches!(read, Err(Bad::Spiffe(_))), "{id}: {read:?}");
        }
        assert!(CertificateName::parse(SanUri, "spiffe://a_b-1.example/.a/_b").is_ok());
    }

    #[test]
    fn an_entry_expires_at_its_time() {
        let at = |time: &str| time.parse().unwrap();
        let certificate = KnownCertificate::Sha256(CertificateHash::new([7; 32]));
        let terms = CertificateTerms { certificate, expires: Some(at("2027-01-01T00:00:00Z")) };
        assert!(terms.is_live(at("2026-12-31T23:59:59Z")));
        assert!(!terms.is_live(at("2027-01-01T00:00:00Z")));
        assert!(CertificateTerms { expires: None, ..terms }.is_live(at("2027-01-01T00:00:00Z")));
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let hash = CertificateHash::new([0xab; 32]);
        assert_eq!(hash.beginning(), "abababab");
        assert_eq!(CertificateHash::parse(&hash.to_string().to_uppercase()), Some(hash));
        for bad in ["", "ab", &"+b".repeat(32), &"zz".repeat(32), &"ab".repeat(33), &"ab:".repeat(21)] {
            assert_eq!(CertificateHash::parse(bad), None, "{bad}");
        }
    }
}
