//! Examples of RFCs that only the service reads: RFC 9440 (certificates from a proxy).

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton::gateway::{ForwardedCertificate, GatewayKind};

/// RFC 9440 appendix A, without the line breaks that the RFC adds to show it.
const CLIENT_CERT: &str = concat!(
    ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0",
    "ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaU",
    "gmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAW",
    "gBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1w",
    "bGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBV",
    "oU4hBVZ1yhk=:",
);

#[test]
fn rfc_9440_appendix_a_the_example_is_read_as_its_certificate() {
    let header = GatewayKind::parse("caddy").unwrap().certificate_header();
    assert_eq!(header.name, "client-cert");
    let Some(ForwardedCertificate::Der(der)) = header.read(CLIENT_CERT) else { panic!("not read") };
    assert_eq!(BASE64_STANDARD.encode(&der), CLIENT_CERT.trim_matches(':'));
    // whole and no more: its signature is by an issuer, and a DER reader finds its name and nothing behind it
    let (rest, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!((rest.len(), certificate.subject().to_string().as_str()), (0, "CN=BC"));
    for bad in [
        CLIENT_CERT.trim_matches(':'),
        &CLIENT_CERT.replace("=:", ":"),
        &CLIENT_CERT.replace('+', "-"),
        &format!("{CLIENT_CERT}, {CLIENT_CERT}"),
        &format!(" {CLIENT_CERT}"),
    ] {
        assert_eq!(header.read(bad), None, "{bad:.20}");
    }
}
