//! A certificate that anybody may know, and the headers by which gateways say that a client showed one.

use std::{fmt::Write, sync::LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::proofs::sha256;

/// The DER of a certificate whose key nobody has, in base64.
const CERTIFICATE: &str = "MIIBgDCCASagAwIBAgIBATAKBggqhkjOPQQDAjAeMRwwGgYDVQQDDBNqZXRvbiBnYXRld2F5IGNoZWNrMCAXDTI2MTEzMDE0NDUx\
    OVoYDzIxMjYxMTA2MTQ0NTE5WjAeMRwwGgYDVQQDDBNqZXRvbiBnYXRld2F5IGNoZWNrMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\
    QgAEih0PVL8InnSDc88kZlbMxBpmgg+lTItrfHfSvcmYP7m9wp15T5X3EV1BTnHNsUah/YmjkpbItKTBLqwKU8beVaNTMFEwHQYD\
    VR0OBBYEFPWEYjqP0KEUWFtzlUWBfDiR+nsKMB8GA1UdIwQYMBaAFPWEYjqP0KEUWFtzlUWBfDiR+nsKMA8GA1UdEwEB/wQFMAMB\
    Af8wCgYIKoZIzj0EAwIDSAAwRQIhAODEtX7qnYRK2hqD+NgW2utqrT+MFwEOl9i38XatMQpHAiBzMh4uNZf6X4iJl1sjmP4UeNKf\
    +Y9R3dXIx2RVBnwteA==";

/// The `cnf` of a token that is bound to the certificate (RFC 8705 section 3.1).
pub(crate) fn confirmation() -> Value {
    json!({ "x5t#S256": sha256(&der()) })
}

/// Each header by which some gateway says which certificate its client showed, in the form of that gateway.
pub(crate) static HEADERS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let hash = digest(&SHA256, &der()).as_ref().iter().fold(String::new(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    let escaped = CERTIFICATE.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let escaped = format!("-----BEGIN%20CERTIFICATE-----%0A{escaped}%0A-----END%20CERTIFICATE-----%0A");
    let (name, verdict) = ("CN=jeton gateway check".to_owned(), "SUCCESS".to_owned());
    vec![
        ("Client-Cert", format!(":{CERTIFICATE}:")),
        ("X-SSL-Client-Cert", escaped.clone()),
        ("X-SSL-Client-Verify", verdict.clone()),
        ("X-Forwarded-Client-Cert", format!("Hash={hash}")),
        ("X-Forwarded-Tls-Client-Cert", CERTIFICATE.to_owned()),
        // ingress-nginx
        ("SSL-Client-Cert", escaped.clone()),
        ("SSL-Client-Verify", verdict),
        ("SSL-Client-Subject-DN", name.clone()),
        ("SSL-Client-Issuer-DN", name.clone()),
        // a load balancer of AWS that passes certificates on, and one that checks them
        ("X-Amzn-Mtls-Clientcert", escaped.clone()),
        ("X-Amzn-Mtls-Clientcert-Leaf", escaped),
        ("X-Amzn-Mtls-Clientcert-Subject", name),
    ]
});

/// Whether a header, its name with `-`, is one of [`HEADERS`] as the client sent it. What a gateway writes into one by itself
/// is another word: that it saw no certificate.
pub(crate) fn is_forged(name: &str, value: &str) -> bool {
    HEADERS.iter().any(|(forged, sent)| name.eq_ignore_ascii_case(forged) && value.contains(sent))
}

fn der() -> Vec<u8> {
    BASE64_STANDARD.decode(CERTIFICATE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::der;

    #[test]
    fn the_certificate_is_whole() {
        let der = der();
        assert_eq!(der.get(..4), Some(&b"\x30\x82\x01\x80"[..]));
        assert_eq!(der.len(), 0x180 + 4);
    }
}
