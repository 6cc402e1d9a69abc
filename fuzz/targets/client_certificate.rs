//! The certificate of a client as a proxy hands it over, and what is read in it.
//!
//! Input: the DER of a certificate, or lines: the value of `Client-Cert`, then those of `Client-Cert-Chain`.
#![no_main]

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use jeton::{
    http::{CertificateFault, certificate_of_headers},
    tls::ShownCertificate,
};
use jeton_policy::clients::{CertificateField, CertificateName};
use libfuzzer_sys::fuzz_target;

const CERT: HeaderName = HeaderName::from_static("client-cert");
const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

fuzz_target!(|data: &[u8]| {
    if let Some(headers) = headers(data) {
        what_is_taken_is_what_was_sent(&headers);
    }
    if let Ok(value) = HeaderValue::from_str(&field(data)) {
        let headers = HeaderMap::from_iter([(CERT, value)]);
        if let Some(shown) = what_is_taken_is_what_was_sent(&headers) {
            assert_eq!(shown.leaf().as_ref(), data);
        }
    }
});

/// A line for each header, of the bytes that the server takes in one.
fn headers(data: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        headers.append(if number == 0 { CERT } else { CHAIN }, HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}

fn field(der: &[u8]) -> String {
    format!(":{}:", BASE64_STANDARD.encode(der))
}

fn what_is_taken_is_what_was_sent(headers: &HeaderMap) -> Option<ShownCertificate> {
    let shown = match certificate_of_headers(headers) {
        Ok(shown) => shown.expect("there is a header"),
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            return None;
        }
    };
    let sent: usize = headers.iter().map(|(_, value)| value.len()).sum();
    let read = shown.leaf().len() + shown.intermediates().iter().map(|der| der.len()).sum::<usize>();
    assert!(read <= sent && read <= ShownCertificate::LONGEST);
    assert!(shown.intermediates().len() < ShownCertificate::MOST);
    // written anew, it is the same
    let value = |text: &str| HeaderValue::from_str(text).expect("base64 is text");
    let chain: Vec<_> = shown.intermediates().iter().map(|der| field(der)).collect();
    let again =
        HeaderMap::from_iter([(CERT, value(&field(shown.leaf()))), (CHAIN, value(&chain.join(", ")))]);
    let again = certificate_of_headers(&again).ok().flatten().expect("it was taken");
    assert_eq!((again.leaf(), again.intermediates()), (shown.leaf(), shown.intermediates()));
    assert_eq!((again.thumbprint(), again.validity()), (shown.thumbprint(), shown.validity()));
    names_are_themselves(&shown.names());
    // one that a client adds never takes its place
    let mut twice = headers.clone();
    twice.append(CERT, value(&field(shown.leaf())));
    assert_eq!(certificate_of_headers(&twice).err(), Some(CertificateFault::Twice));
    Some(shown)
}

fn names_are_themselves(names: &[CertificateName]) {
    for name in names {
        let text = name.to_string();
        assert_eq!(CertificateName::parse(name.field(), &text).as_ref(), Ok(name), "a policy can hold it");
    }
    let uris: Vec<_> = names.iter().filter(|name| name.field() == CertificateField::SanUri).collect();
    let is_spiffe = |name: &&&CertificateName| name.to_string().to_ascii_lowercase().starts_with("spiffe:");
    assert!(uris.len() <= 1 || !uris.iter().any(|name| is_spiffe(&name)), "two URIs are no identity");
}
