//! The certificate that a client shows: to our listener, or to a proxy that hands it over (RFC 9440).

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError,
    body::EitherBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header::{HeaderMap, HeaderName},
    web::Data,
};
use futures_util::future::{Either, MapOk, TryFutureExt};
use jeton_actix::{ClientCertificate, GuardFault};
use rustls::pki_types::CertificateDer;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use crate::{
    gateway::TrustedPeers,
    http::error::EndpointProblem,
    tls::{BadCertificate, ShownCertificate},
};

/// The certificate of a client (RFC 9440 section 2.2).
static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// Those that it sent along (RFC 9440 section 2.3).
static CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Whose word about the certificate of a client is taken, beside that of our listener; `None` where clients show none.
pub(in crate::http) struct CertificateProxies(pub(in crate::http) Option<TrustedPeers>);

/// Why the certificate of a request cannot be told. The request is refused: somebody may be up to something, or a proxy
/// hands over what its clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// A header from somebody who could write anything into it.
    #[error(
        "the header {0} is taken from the proxies in `server.certificate_proxies` alone: show the certificate in the TLS handshake"
    )]
    Stranger(&'static str),
    /// One of the two is the client's.
    #[error("the header Client-Cert is sent twice: the proxy must replace what its client sends")]
    Twice,
    /// Certificates that belong to none.
    #[error("the header Client-Cert-Chain is sent without Client-Cert")]
    ChainAlone,
    /// Not a structured field of this form.
    #[error("the header {0} is not as RFC 9440 has it: base64 of the DER between two colons")]
    Malformed(&'static str),
    /// No certificate, or one that jeton does not take.
    #[error("the header Client-Cert holds no certificate that counts: {0}")]
    Bad(BadCertificate),
}

impl CertificateProxies {
    /// Whether clients may show certificates here, to proxies or to our listener.
    pub(in crate::http) fn takes_certificates(&self) -> bool {
        self.0.is_some()
    }

    /// The certificate that the client of a request has shown, if there is one. What a proxy shows of itself is not its
    /// client's.
    pub(in crate::http) fn shown(
        &self,
        request: &HttpRequest,
    ) -> Result<Option<Arc<ShownCertificate>>, CertificateFault> {
        let proxies = self.0.as_ref();
        let is_proxy =
            |peers: &TrustedPeers| request.peer_addr().is_some_and(|peer| peers.contains(peer.ip()));
        if proxies.is_some_and(is_proxy) {
            return Ok(certificate_of_headers(request.headers())?.map(Arc::new));
        }
        for (name, shown) in [(&CLIENT_CERT, "Client-Cert"), (&CLIENT_CERT_CHAIN, "Client-Cert-Chain")] {
            if request.headers().contains_key(name) {
                return Err(CertificateFault::Stranger(shown));
            }
        }
        Ok(request.conn_data::<Arc<ShownCertificate>>().cloned())
    }
}

/// Middleware that tells the guard behind it which certificate the client of a request has shown.
#[derive(Clone, Copy)]
pub(in crate::http) struct ShowCertificate;

impl<S, B> Transform<S, ServiceRequest> for ShowCertificate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = ShowingCertificate<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ShowingCertificate(service)))
    }
}

/// A service behind [`ShowCertificate`].
pub(in crate::http) struct ShowingCertificate<S>(S);

/// Of the service behind, as it is.
type ToLeft<B> = fn(ServiceResponse<B>) -> ServiceResponse<EitherBody<B>>;

impl<S, B> Service<ServiceRequest> for ShowingCertificate<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Either<MapOk<S::Future, ToLeft<B>>, Ready<Result<Self::Response, Error>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let proxies = request.app_data::<Data<CertificateProxies>>();
        // without the settings, no word is good
        match proxies.map_or(Ok(None), |proxies| proxies.shown(request.request())) {
            Ok(Some(certificate)) => {
                request.extensions_mut().insert(ClientCertificate(certificate.thumbprint()));
            }
            Ok(None) => {}
            Err(fault) => {
                let fault = GuardFault::InvalidRequest(fault.to_string().into());
                let problem = EndpointProblem::new(fault, request.request());
                let refused = request.into_response(problem.error_response()).map_into_right_body();
                return Either::Right(ready(Ok(refused)));
            }
        }
        Either::Left(self.0.call(request).map_ok(ServiceResponse::map_into_left_body))
    }
}

/// The certificate that a proxy hands over, if there is one (RFC 9440 section 2).
///
/// # Errors
/// [`CertificateFault`] for whatever is not written as the RFC has it.
pub fn certificate_of_headers(headers: &HeaderMap) -> Result<Option<ShownCertificate>, CertificateFault> {
    let mut leaves = headers.get_all(&CLIENT_CERT);
    let (leaf, second) = (leaves.next(), leaves.next());
    if second.is_some() {
        return Err(CertificateFault::Twice);
    }
    let Some(leaf) = leaf else {
        let has_chain = headers.contains_key(&CLIENT_CERT_CHAIN);
        return if has_chain { Err(CertificateFault::ChainAlone) } else { Ok(None) };
    };
    let malformed = || CertificateFault::Malformed("Client-Cert");
    let leaf = Parser::new(leaf.as_bytes()).parse::<Item>().ok().and_then(der).ok_or_else(malformed)?;
    let malformed = || CertificateFault::Malformed("Client-Cert-Chain");
    let mut intermediates = Vec::new();
    // a list may come in several lines (RFC 9440 section 2.3)
    for line in headers.get_all(&CLIENT_CERT_CHAIN) {
        for entry in Parser::new(line.as_bytes()).parse::<List>().map_err(|_| malformed())? {
            let ListEntry::Item(item) = entry else { return Err(malformed()) };
            intermediates.push(der(item).ok_or_else(malformed)?);
        }
    }
    ShownCertificate::new(&leaf, &intermediates).map(Some).map_err(CertificateFault::Bad)
}

fn der(item: Item) -> Option<CertificateDer<'static>> {
    match item.bare_item {
        BareItem::ByteSequence(bytes) => Some(bytes.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use base64::{Engine, prelude::BASE64_STANDARD};
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate() -> Vec<u8> {
        let params = CertificateParams::new(Vec::new()).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn field(der: &[u8]) -> String {
        format!(":{}:", BASE64_STANDARD.encode(der))
    }

    fn read(lines: &[(&HeaderName, &str)]) -> Result<Option<ShownCertificate>, CertificateFault> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append((*name).clone(), HeaderValue::from_str(value).unwrap());
        }
        certificate_of_headers(&headers)
    }

    #[test]
    fn a_certificate_and_its_chain_are_read() {
        let (leaf, one, two) = (certificate(), certificate(), certificate());
        assert!(read(&[]).unwrap().is_none());
        let alone = read(&[(&CLIENT_CERT, &field(&leaf))]).unwrap().unwrap();
        assert_eq!((alone.leaf().as_ref(), alone.intermediates().len()), (&leaf[..], 0));
        let both = [field(&one), field(&two)];
        for chain in [
            vec![both.join(", ")],
            vec![both.join(" ,\t")],
            vec![both[0].clone(), both[1].clone()],
            vec![String::new(), both.join(",")],
        ] {
            let mut lines = vec![(&CLIENT_CERT, field(&leaf))];
            lines.extend(chain.into_iter().map(|line| (&CLIENT_CERT_CHAIN, line)));
            let lines: Vec<_> = lines.iter().map(|(name, line)| (*name, line.as_str())).collect();
            let shown = read(&lines).unwrap().unwrap();
            let sent: Vec<_> = shown.intermediates().iter().map(|der| der.to_vec()).collect();
            assert_eq!(
                (shown.leaf().as_ref(), sent),
                (&leaf[..], vec![one.clone(), two.clone()]),
                "{lines:?}"
            );
        }
        // a parameter that nobody knows says nothing (RFC 9651 section 3.1.2)
        assert!(read(&[(&CLIENT_CERT, &format!("{};a=1", field(&leaf)))]).unwrap().is_some());
    }

    #[test]
    fn whatever_is_not_as_the_rfc_has_it_is_refused() {
        let leaf = certificate();
        let good = field(&leaf);
        let base64 = BASE64_STANDARD.encode(&leaf);
        let (first, rest) = base64.split_at(8);
        let malformed = CertificateFault::Malformed("Client-Cert");
        for value in [
            String::new(),
            ":".to_owned(),
            base64.clone(),
            format!("\"{base64}\""),
            format!(":{base64}"),
            format!("{good}, {good}"),
            format!("({good})"),
            format!(":{base64}!:"),
            format!(":{first} {rest}:"),
            format!(":{}:", base64.replace(['+', '/'], "-")),
            "-----BEGIN%20CERTIFICATE-----".to_owned(),
            format!("{good};"),
        ] {
            assert_eq!(read(&[(&CLIENT_CERT, &value)]).err(), Some(malformed), "{value}");
        }
        let not_x509 = CertificateFault::Bad(BadCertificate::NotX509);
        let behind = [&leaf[..], b"x"].concat();
        for der in [&b""[..], b"x", &leaf[1..], &leaf[..leaf.len() - 1], &behind] {
            assert_eq!(read(&[(&CLIENT_CERT, &field(der))]).err(), Some(not_x509), "{} bytes", der.len());
        }
        assert_eq!(
            read(&[(&CLIENT_CERT, &good), (&CLIENT_CERT, &good)]).err(),
            Some(CertificateFault::Twice)
        );
        assert_eq!(read(&[(&CLIENT_CERT_CHAIN, &good)]).err(), Some(CertificateFault::ChainAlone));
        let malformed = CertificateFault::Malformed("Client-Cert-Chain");
        for chain in [
            format!("({good})"),
            base64.clone(),
            format!("{good},"),
            format!("{good} {good}"),
            "1".to_owned(),
        ] {
            let read = read(&[(&CLIENT_CERT, &good), (&CLIENT_CERT_CHAIN, &chain)]);
            assert_eq!(read.err(), Some(malformed), "{chain}");
        }
    }

    #[test]
    fn more_than_anybody_needs_is_refused() {
        let good = field(&certificate());
        let chain = |count: usize| vec![good.clone(); count].join(", ");
        let too_long = CertificateFault::Bad(BadCertificate::TooLong);
        let most = ShownCertificate::MOST - 1;
        assert!(read(&[(&CLIENT_CERT, &good), (&CLIENT_CERT_CHAIN, &chain(most))]).is_ok());
        let more = read(&[(&CLIENT_CERT, &good), (&CLIENT_CERT_CHAIN, &chain(most + 1))]);
        assert_eq!(more.err(), Some(too_long));
        let long = field(&vec![0x30; ShownCertificate::LONGEST]);
        assert_eq!(read(&[(&CLIENT_CERT, &good), (&CLIENT_CERT_CHAIN, &long)]).err(), Some(too_long));
    }
}
