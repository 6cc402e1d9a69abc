//! A certificate that anybody may know, and the headers by which gateways say that a client showed one.

use std::fmt::Write;

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
pub(crate) fn headers() -> [(&'static str, String); 4] {
    let hash = digest(&SHA256, &der()).as_ref().iter().fold(String::new(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    let escaped = CERTIFICATE.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    [
        ("Client-Cert", format!(":{CERTIFICATE}:")),
        (
            "X-SSL-Client-Cert",
            format!("-----BEGIN%20CERTIFICATE-----%0A{escaped}%0A-----END%20CERTIFICATE-----%0A"),
        ),
        ("X-Forwarded-Client-Cert", format!("Hash={hash}")),
        ("X-Forwarded-Tls-Client-Cert", CERTIFICATE.to_owned()),
    ]
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
