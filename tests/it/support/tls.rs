//! An authority of one's own, certificates of it, and clients that trust nobody else.
use std::{fs, io, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::program::PATIENCE;

/// Somebody who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// A day.
pub(crate) type Day = (i32, u8, u8);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same in PEM.
    pub(crate) fn pem(&self) -> String {
        in_pem("CERTIFICATE", &self.certificate)
    }

    /// A pair for this machine, for a long time.
    pub(crate) fn pair(&self) -> Pair {
        self.pair_for((2020, 1, 1), (2100, 1, 1))
    }

    /// A pair for this machine, from one day to another.
    pub(crate) fn pair_for(&self, from: Day, until: Day) -> Pair {
        self.pair_of(&KeyPair::generate().unwrap(), from, until)
    }

    /// The same with a key that is there.
    pub(crate) fn pair_of(&self, key: &KeyPair, from: Day, until: Day) -> Pair {
        // the last two for whom a proxy leads here
        let names = ["localhost", "127.0.0.1", "issuer.example.com", "keys.example.com"];
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Pair {
            cert: in_pem("CERTIFICATE", certificate.der()),
            key: in_pem("PRIVATE KEY", key.serialized_der()),
        }
    }

    /// A client of this authority, with these versions and protocols.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// A connection whose handshake is done.
    pub(crate) async fn connect(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        shake_hands(&self.client(ALL_VERSIONS, &[]), address).await
    }
}

/// Connects to an address of this machine.
pub(crate) async fn shake_hands(client: &TlsConnector, address: &str) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    time::timeout(PATIENCE, client.connect(name, stream)).await.expect("the handshake ends")
}

/// The certificate that a server has shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> String {
    in_pem("CERTIFICATE", &stream.get_ref().1.peer_certificates().unwrap()[0])
}

/// Asks for a path on a connection that goes on; status and body.
pub(crate) async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<(u16, String)> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok((head[9..12].parse().unwrap(), String::from_utf8(body).unwrap()))
}

pub(crate) fn in_pem(label: &str, der: &[u8]) -> String {
    pem::encode_config(
        &pem::Pem::new(label, der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

impl Pair {
    /// Writes both files, one after the other.
    pub(crate) fn write(&self, dir: &Path) {
        fs::write(dir.join("cert.pem"), &self.cert).unwrap();
        fs::write(dir.join("key.pem"), &self.key).unwrap();
    }
}
