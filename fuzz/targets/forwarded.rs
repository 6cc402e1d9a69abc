//! What a gateway asks: the request of its client, read from the headers of a gateway of each kind.
//!
//! Input: the head of an HTTP/1.1 request, as the server reads it from its socket.
#![no_main]

use actix_http::{
    HttpMessage, Request, ServiceConfig,
    h1::{Codec, Message},
};
use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    rt::System,
    test::TestRequest,
};
use bytes::BytesMut;
use jeton::{
    gateway::GatewayKind,
    http::{ForwardedFault, ForwardedHost, Forwarding},
};
use jeton_policy::{CanonicalPath, PathPrefix};
use jeton_verify::gateway::{ClaimHeader, IDENTITY_HEADERS};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

thread_local! {
    /// Is made in a runtime, which keeps the time for it, and can then do without.
    static CONFIG: ServiceConfig = System::new().block_on(async { ServiceConfig::default() });
}

fuzz_target!(|data: &[u8]| {
    let Some(request) = request(data) else { return };
    for kind in GatewayKind::ALL {
        for host in [ForwardedHost::Read, ForwardedHost::Ignored] {
            let claims = vec![ClaimHeader::parse("tenant").expect("the name fits")];
            let forwarding = Forwarding { kind, prefix: PathPrefix::of(["authz", "edge"]), host, claims };
            what_is_asked_is_clear(&forwarding, &request);
        }
    }
});

/// Reads a request as the server does.
fn request(data: &[u8]) -> Option<Head> {
    let read = CONFIG.with(|config| Codec::new(config.clone()).decode(&mut BytesMut::from(data)).ok())??;
    let Message::Item(request) = read else { return None };
    let request: Request = request;
    Some(Head {
        method: request.method().clone(),
        // in authority form too, which has no path
        target: request.uri().to_string(),
        headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}

#[derive(Clone)]
struct Head {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    fn with(&self, name: &'static str, value: &'static str) -> HttpRequest {
        let mut head = self.clone();
        head.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        head.request()
    }

    fn without(&self, name: &str) -> HttpRequest {
        let mut head = self.clone();
        head.headers.retain(|(other, _)| other != name);
        head.request()
    }

    fn request(&self) -> HttpRequest {
        let request = TestRequest::default().method(self.method.clone()).uri(&self.target);
        let headers = self.headers.iter().cloned();
        headers.fold(request, |request, header| request.append_header(header)).to_http_request()
    }
}

fn what_is_asked_is_clear(forwarding: &Forwarding, head: &Head) {
    let request = head.request();
    let asked = match forwarding.read(&request) {
        Ok(asked) => asked,
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            let _ = forwarding.told(&request);
            return;
        }
    };
    assert_eq!(forwarding.told(&request), (Some(asked.method), Some(asked.path)));
    assert!(CanonicalPath::parse(asked.path).is_ok() && !asked.path.contains('?'));
    assert!(!asked.method.contains(','));
    assert_eq!(asked.host.is_some(), forwarding.host == ForwardedHost::Read);
    nothing_reads_as_if_it_were_ours(forwarding, request.headers());
    // what a client adds never makes it clearer
    for (name, value) in [
        ("x_auth_client", "operator"),
        ("x-auth.client", "operator"),
        ("x-auth-more", "1"),
        ("connection", "close, x-auth-client"),
        ("connection", "X-Forwarded-Uri"),
        ("connection", "authorization"),
        ("x-http-method-override", "BREW"),
        ("x_http_method", "BREW"),
    ] {
        let is_same_method = asked.method == value;
        assert!(
            is_same_method || forwarding.read(&head.with(name, value)).is_err(),
            "`{name}: {value}` is taken"
        );
    }
    match forwarding.kind.request_headers() {
        Some(names) => {
            for name in [names.method, names.target] {
                assert_eq!(
                    forwarding.read(&head.with(name, "/x")).err(),
                    Some(ForwardedFault::Several(name)),
                    "{name}"
                );
                assert_eq!(
                    forwarding.read(&head.without(name)).err(),
                    Some(ForwardedFault::Missing(name)),
                    "{name}"
                );
            }
            assert!(
                forwarding.host == ForwardedHost::Ignored
                    || forwarding.read(&head.with(names.host, "x")).is_err()
            );
        }
        None => assert_eq!(asked.method, request.method().as_str()),
    }
}

/// Who stands behind a gateway may take `X_Auth_Client` for `X-Auth-Client`.
fn nothing_reads_as_if_it_were_ours(forwarding: &Forwarding, headers: &HeaderMap) {
    for name in headers.keys().map(HeaderName::as_str) {
        let dashed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let is_answered =
            IDENTITY_HEADERS.contains(&name) || forwarding.claims.iter().any(|claim| claim.header == name);
        assert!(is_answered || !dashed.starts_with("x-auth-"), "{name}");
    }
}
