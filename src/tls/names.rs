//! The names in a certificate by which the policies may know its client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jeton_policy::clients::{AttributeValue, CertificateField, CertificateName, DistinguishedName};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The scheme of SPIFFE IDs, in any spelling: a wrong one must not pass for another URI.
const SPIFFE: &str = "spiffe:";
/// The tag of a URI among the alternative names (RFC 5280 section 4.2.1.6).
const URI_TAG: u32 = 6;

/// Every name of a certificate that a policy could hold. What is none of these, as a wildcard is not, stands for nobody.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<CertificateName> {
    let mut names = Vec::new();
    names.extend(subject(certificate.subject()).map(CertificateName::from));
    // two such extensions are not told apart
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return names };
    let is_svid = is_svid(certificate, &alternative.value.general_names);
    for name in &alternative.value.general_names {
        let read = |field, text: &str| CertificateName::parse(field, text).ok();
        names.extend(match name {
            GeneralName::DNSName(text) => read(CertificateField::SanDns, text),
            GeneralName::URI(text) if is_spiffe(text) && !is_svid => None,
            GeneralName::URI(text) => read(CertificateField::SanUri, text),
            GeneralName::RFC822Name(text) => read(CertificateField::SanEmail, text),
            GeneralName::IPAddress(bytes) => address(bytes).map(CertificateName::from),
            _ => None,
        });
    }
    names
}

fn is_spiffe(uri: &str) -> bool {
    uri.get(..SPIFFE.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
}

/// Whether a certificate may identify a workload: it has one URI and no more, and its key signs no certificates and no lists
/// of revoked ones (X509-SVID sections 2, 4.1, 4.3 and 5.2).
fn is_svid(certificate: &X509Certificate<'_>, alternative: &[GeneralName<'_>]) -> bool {
    let is_uri = |name: &&GeneralName<'_>| match name {
        GeneralName::URI(_) => true,
        GeneralName::Invalid(tag, _) => tag.0 == URI_TAG,
        _ => false,
    };
    let signs = |usage: &x509_parser::extensions::KeyUsage| usage.key_cert_sign() || usage.crl_sign();
    let usage = certificate.key_usage().map(|usage| usage.is_some_and(|usage| signs(usage.value)));
    alternative.iter().filter(is_uri).count() == 1 && !certificate.is_ca() && usage == Ok(false)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()))
}

/// The subject; `None` where no policy could hold it: it names nothing, an attribute has no type, or a value is of no type
/// that one byte names.
fn subject(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let relative = name.iter_rdn().map(|relative| relative.iter().map(attribute).collect::<Option<Vec<_>>>());
    let subject = DistinguishedName::new(relative.collect::<Option<Vec<_>>>()?);
    DistinguishedName::parse(&subject.to_string()).ok().filter(|held| *held == subject)
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<(Box<str>, AttributeValue)> {
    let value = attribute.attr_value();
    let tag = u8::try_from(value.tag().0).ok().filter(|tag| *tag < 0x1f)?;
    let tag = (value.class() as u8) << 6 | u8::from(value.header.is_constructed()) << 5 | tag;
    Some((attribute.attr_type().to_id_string().into(), AttributeValue::of_der(tag, value.data)))
}
