//! The certificate of a client, as each kind of gateway says it: in one header, in one form.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;

/// The header in which a gateway says which certificate its client showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateHeader {
    /// Its name, in small letters.
    pub name: &'static str,
    form: CertificateForm,
}

/// How a certificate is written into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateForm {
    /// The DER as a byte sequence (RFC 9440 section 2.2, RFC 8941 section 3.3.5).
    ByteSequence,
    /// PEM, percent-encoded.
    EscapedPem,
    /// The SHA-256 of the DER, among other fields.
    Hash,
    /// The base64 of the DER; behind commas those of the certificates that the client sent along.
    Base64,
}

/// What a header says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedCertificate {
    /// The whole of it.
    Der(Vec<u8>),
    /// The SHA-256 of its DER.
    Sha256([u8; 32]),
}

impl CertificateHeader {
    /// As RFC 9440 has it.
    pub(super) const CLIENT_CERT: Self = Self { name: "client-cert", form: CertificateForm::ByteSequence };
    /// What our recipe for nginx makes of `$ssl_client_escaped_cert`.
    pub(super) const NGINX: Self = Self { name: "x-ssl-client-cert", form: CertificateForm::EscapedPem };
    /// What Envoy itself sets.
    pub(super) const ENVOY: Self = Self { name: "x-forwarded-client-cert", form: CertificateForm::Hash };
    /// What the middleware `PassTLSClientCert` of Traefik sets.
    pub(super) const TRAEFIK: Self =
        Self { name: "x-forwarded-tls-client-cert", form: CertificateForm::Base64 };

    /// Reads its value. `None` for anything that this gateway does not write.
    pub fn read(self, value: &str) -> Option<ForwardedCertificate> {
        let der = match self.form {
            CertificateForm::Hash => return hash(value).map(ForwardedCertificate::Sha256),
            CertificateForm::ByteSequence => base64(value.strip_prefix(':')?.strip_suffix(':')?)?,
            CertificateForm::EscapedPem => pem(value)?,
            CertificateForm::Base64 => {
                let all: Option<Vec<_>> = value.split(',').map(base64).collect();
                all?.into_iter().next()?
            }
        };
        Some(ForwardedCertificate::Der(der))
    }
}

/// The bytes of base64 with its padding, of which there are some.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// The one certificate of a percent-encoded PEM (RFC 7468).
fn pem(value: &str) -> Option<Vec<u8>> {
    // `+` is one of base64, and no space
    let is_escaped = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%+/=".contains(&byte);
    if !value.bytes().all(is_escaped) {
        return None;
    }
    let text = percent_decode_str(value).decode_utf8().ok()?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let body =
        text.strip_prefix("-----BEGIN CERTIFICATE-----\n")?.strip_suffix("\n-----END CERTIFICATE-----")?;
    base64(&body.replace('\n', ""))
}

/// The one `Hash` of an `X-Forwarded-Client-Cert` with one element. With several, a proxy before this gateway has added
/// its own.
fn hash(value: &str) -> Option<[u8; 32]> {
    let mut found = None;
    for field in fields(value)? {
        let (name, value) = field.split_once('=')?;
        if name.eq_ignore_ascii_case("hash") {
            let mut sha256 = [0; 32];
            // in small letters, as Envoy writes it
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if found.is_some() || value.len() != 64 || !value.bytes().all(is_digit) {
                return None;
            }
            for (byte, digits) in sha256.iter_mut().zip(value.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
            }
            found = Some(sha256);
        }
    }
    found
}

/// The fields of one element, between `;`. `None` where there is a second element, or a quote without its end.
fn fields(value: &str) -> Option<Vec<&str>> {
    let (mut fields, mut rest) = (Vec::new(), value);
    loop {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = rest.char_indices().find(|(_, c)| {
            let ends = !is_quoted && matches!(c, ';' | ',');
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                _ => {}
            }
            ends
        });
        match end {
            None if is_quoted => return None,
            None => {
                fields.push(rest);
                return Some(fields);
            }
            Some((_, ',')) => return None,
            Some((at, _)) => {
                let (field, behind) = rest.split_at_checked(at)?;
                fields.push(field);
                rest = behind.get(1..)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CertificateHeader, ForwardedCertificate};

    const SHA256: &str = "0b660ab26786e3a9a8b0669a860e90caf8060ced3f7309db0488dbddba759e12";

    #[track_caller]
    fn read(header: CertificateHeader, value: &str, expected: Option<&[u8]>) {
        let read = header.read(value).map(|read| match read {
            ForwardedCertificate::Der(der) => der,
            ForwardedCertificate::Sha256(sha256) => sha256.to_vec(),
        });
        assert_eq!(read.as_deref(), expected, "{}: {value}", header.name);
    }

    #[test]
    fn rfc_9440_2_2_a_certificate_is_a_byte_sequence() {
        let header = CertificateHeader::CLIENT_CERT;
        read(header, ":MIIB+g==:", Some(b"\x30\x82\x01\xfa"));
        for bad in [
            "",
            "::",
            ":",
            "MIIB+g==",
            ":MIIB+g==",
            "MIIB+g==:",
            ":MIIB+g:",
            ":MIIB+g=:",
            ":MIIB-g==:",
            ":MIIB+h==:",
            ": MIIB+g==:",
            ":MIIB +g==:",
            ":MIIB+g==:;a=1",
            ":MIIB+g==:, :MIIB+g==:",
            "\"MIIB+g==\"",
            ":!!!!:",
        ] {
            read(header, bad, None);
        }
    }

    #[test]
    fn nginx_escapes_a_pem() {
        let header = CertificateHeader::NGINX;
        let pem =
            |body: &str| format!("-----BEGIN%20CERTIFICATE-----%0A{body}%0A-----END%20CERTIFICATE-----");
        read(header, &pem("MIIB%2Bg%3D%3D"), Some(b"\x30\x82\x01\xfa"));
        read(header, &format!("{}%0A", pem("MIIB%2Bg%3D%3D")), Some(b"\x30\x82\x01\xfa"));
        read(header, &pem("MI%0AIB%2Bg%3D%3D"), Some(b"\x30\x82\x01\xfa"));
        for bad in [
            String::new(),
            "MIIB%2Bg%3D%3D".to_owned(),
            pem(""),
            pem("MIIB%2Bg"),
            pem("MIIB %2Bg%3D%3D"),
            pem("MIIB%20%2Bg%3D%3D"),
            pem("MIIB%2Bg%3D%3D").replace("CERTIFICATE", "PRIVATE%20KEY"),
            pem("MIIB%2Bg%3D%3D").replace("%20", " "),
            pem("MIIB%2Bg%3D%3D").replace("%0A", "\n"),
            format!("{0}%0A{0}", pem("MIIB%2Bg%3D%3D")),
            format!("a{}", pem("MIIB%2Bg%3D%3D")),
            format!("{}%0Aa", pem("MIIB%2Bg%3D%3D")),
        ] {
            read(header, &bad, None);
        }
    }

    #[test]
    fn envoy_names_the_hash() {
        let header = CertificateHeader::ENVOY;
        let digits = SHA256.as_bytes().chunks(2).map(|digits| str::from_utf8(digits).unwrap());
        let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
        let short = SHA256.trim_start_matches('0');
        for good in [
            format!("Hash={SHA256}"),
            format!(
                "By=spiffe://example.com/edge;Hash={SHA256};Subject=\"CN=a, O=b;c\";URI=spiffe://example.com/a"
            ),
            format!("Subject=\"CN=\\\", Hash=0;\";Hash={SHA256}"),
        ] {
            read(header, &good, Some(&bytes));
        }
        for bad in [
            String::new(),
            "Hash=".to_owned(),
            SHA256.to_owned(),
            format!("Hash=\"{SHA256}\""),
            format!("Hash={SHA256}0"),
            format!("Hash={short}"),
            format!("Hash={}", SHA256.to_uppercase()),
            format!("Hash=+{short}"),
            format!("Hash= {short}"),
            format!("Hash={SHA256};Hash={SHA256}"),
            format!("Hash={SHA256},Hash={SHA256}"),
            format!("Hash={SHA256},By=a"),
            format!("By=a;Subject=\"Hash={SHA256}\""),
            format!("Hash={SHA256};Subject=\"a"),
            format!("Hash={SHA256};"),
        ] {
            read(header, &bad, None);
        }
    }

    #[test]
    fn traefik_joins_what_a_client_sent() {
        let header = CertificateHeader::TRAEFIK;
        read(header, "MIIB+g==", Some(b"\x30\x82\x01\xfa"));
        read(header, "MIIB+g==,MIIB", Some(b"\x30\x82\x01\xfa"));
        for bad in ["", ",", "MIIB+g==,", ",MIIB", "MIIB+g", "MIIB%2Bg%3D%3D", "MIIB+g==, MIIB", ":MIIB:"] {
            read(header, bad, None);
        }
    }
}
