//! Clients with certificates: of an authority, of one below it, of nobody, with the key of another.
use std::{
    fmt::Write,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls::{
    ALL_VERSIONS, ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::{ResolvesClientCert, WebPkiServerVerifier},
    crypto::ring::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::tls::{Authority, in_pem, shake_hands};

/// Somebody who signs certificates of clients, and those above.
pub(crate) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, then those above it; the last is the root.
    chain: Vec<CertificateDer<'static>>,
}

/// A certificate with what is sent along, and its key.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Arc<KeyPair>,
}

/// What may sign certificates.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// What most clients have: a common name, for years, for clients alone.
pub(crate) fn client(name: &str, names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(crate) fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

pub(crate) fn email(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().unwrap())
}

impl Signer {
    /// A root.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), chain: vec![certificate] }
    }

    /// One below.
    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let chain = [&[certificate], &self.chain[..]].concat();
        Self { issuer: Issuer::new(params, key), chain }
    }

    /// One below that may sign for clients.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.below(authority(name))
    }

    /// A client whose key is this one, which nobody has.
    pub(crate) fn sign_for(&self, key: &impl PublicKeyData, params: &CertificateParams) -> Holder {
        let certificate = params.signed_by(key, &self.issuer).unwrap().der().clone();
        Holder { chain: vec![certificate], key: Arc::new(KeyPair::generate().unwrap()) }
    }

    /// Another certificate of the same key, by the one above.
    pub(crate) fn again(&self, params: &CertificateParams, above: &Self) -> CertificateDer<'static> {
        params.signed_by(self.issuer.key(), &above.issuer).unwrap().der().clone()
    }

    /// The certificate of the root.
    pub(crate) fn pem(&self) -> String {
        in_pem("CERTIFICATE", self.chain.last().unwrap())
    }

    /// A client, which sends along all that lies between it and the root.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Holder {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let between = &self.chain[..self.chain.len() - 1];
        Holder { chain: [&[certificate], between].concat(), key: Arc::new(key) }
    }
}

impl Holder {
    /// Somebody whose word is its own.
    pub(crate) fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key: Arc::new(key) }
    }

    /// As `openssl req -x509` makes them: an authority, and no usages.
    pub(crate) fn of_openssl(name: &str) -> Self {
        let mut params = client(name, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = Vec::new();
        Self::self_signed(&params)
    }

    /// This certificate with the key of another.
    pub(crate) fn with_key_of(&self, other: &Self) -> Self {
        Self { key: Arc::clone(&other.key), ..self.clone() }
    }

    /// Another certificate of the same key.
    pub(crate) fn renewed(&self, params: &CertificateParams) -> Self {
        Self {
            chain: vec![params.self_signed(&*self.key).unwrap().der().clone()],
            key: Arc::clone(&self.key),
        }
    }

    /// Without what is sent along.
    pub(crate) fn alone(&self) -> Self {
        Self { chain: self.chain[..1].to_vec(), ..self.clone() }
    }

    fn hash(&self) -> Vec<u8> {
        digest(&SHA256, &self.chain[0]).as_ref().to_vec()
    }

    /// Hex of the SHA-256 of its DER.
    pub(crate) fn sha256(&self) -> String {
        self.hash().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// The same in base64url.
    pub(crate) fn x5t_s256(&self) -> String {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.encode(self.hash())
    }

    /// Certificates, and key, in PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        let chain = self.chain.iter().map(|der| in_pem("CERTIFICATE", der)).collect();
        (chain, in_pem("PRIVATE KEY", self.key.serialized_der()))
    }

    /// As a proxy hands it over.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let field = |der: &CertificateDer<'_>| format!(":{}:", BASE64_STANDARD.encode(der));
        let chain: Vec<_> = self.chain[1..].iter().map(field).collect();
        let mut headers = vec![("Client-Cert", field(&self.chain[0]))];
        headers.extend((!chain.is_empty()).then(|| ("Client-Cert-Chain", chain.join(", "))));
        headers
    }
}

/// Shows a certificate whatever authorities are named, and counts how often it is asked for one.
#[derive(Debug)]
pub(crate) struct Showing {
    certified: Option<Arc<CertifiedKey>>,
    pub(crate) asked: AtomicUsize,
}

impl ResolvesClientCert for Showing {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        assert!(hints.is_empty(), "any certificate will do");
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client that trusts a server's authority, and shows a certificate if it has one.
pub(crate) fn connector(
    server: &Authority,
    holder: Option<&Holder>,
    versions: &[&'static SupportedProtocolVersion],
) -> (TlsConnector, Arc<Showing>) {
    let certified = holder.map(|holder| {
        let key = PrivatePkcs8KeyDer::from(holder.key.serialized_der().to_vec());
        // nothing here asks whether the two belong together
        Arc::new(CertifiedKey::new(holder.chain.clone(), any_supported_type(&key.into()).unwrap()))
    });
    let showing = Arc::new(Showing { certified, asked: AtomicUsize::new(0) });
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_webpki_verifier(verifier.build().unwrap());
    let config = builder.with_client_cert_resolver(Arc::clone(&showing) as Arc<dyn ResolvesClientCert>);
    (TlsConnector::from(Arc::new(config)), showing)
}

/// A connection on which a certificate was shown.
pub(crate) async fn connect(
    server: &Authority,
    holder: Option<&Holder>,
    address: &str,
) -> io::Result<TlsStream<TcpStream>> {
    shake_hands(&connector(server, holder, ALL_VERSIONS).0, address).await
}

/// Sends a request on a connection that goes on; status, head in small letters, and body.
pub(crate) async fn send(
    stream: &mut TlsStream<TcpStream>,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    form: &str,
) -> io::Result<(u16, String, Value)> {
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = lines.concat();
    let length = form.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}Content-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let small = head.to_ascii_lowercase();
    let length = small.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok((head[9..12].parse().unwrap(), small, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
