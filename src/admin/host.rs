//! By what names the admin listener may be asked. A page of another site can give its own name the address of this
//! machine (DNS rebinding), and would be let in by its browser; but it cannot change the `Host` that the browser sends.

use std::net::IpAddr;

use actix_web::{
    Error, HttpRequest, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Data,
};

use crate::{
    config::ListenerHost,
    console::harden,
    http::{EndpointProblem, LocalAddress, ProblemKind},
};

/// The name of this machine for itself.
const LOCALHOST: &str = "localhost";

/// The names and addresses of the listener.
pub(super) struct OwnHosts {
    listens_on: IpAddr,
    configured: Vec<ListenerHost>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostFault {
    /// The request has no `Host`, several, or one that is malformed (RFC 9112 section 3.2).
    Unclear(&'static str),
    /// It is another one.
    Foreign,
}

impl From<HostFault> for ProblemKind {
    fn from(fault: HostFault) -> Self {
        match fault {
            HostFault::Unclear(detail) => Self::BadQuestion(detail.into()),
            HostFault::Foreign => Self::Misdirected(
                "`Host` is not an address or name of this listener: add the name to `admin.hosts`",
            ),
        }
    }
}

impl OwnHosts {
    pub(super) fn new(listens_on: IpAddr, configured: &[ListenerHost]) -> Self {
        Self { listens_on: listens_on.to_canonical(), configured: configured.to_vec() }
    }

    /// Whether this is the listener, for a client that reached it at `reached`.
    fn include(&self, host: &ListenerHost, reached: Option<IpAddr>) -> bool {
        if self.configured.contains(host) {
            return true;
        }
        let reached = reached.map_or(self.listens_on, |address| address.to_canonical());
        match host {
            ListenerHost::Name(name) => name == LOCALHOST && reached.is_loopback(),
            ListenerHost::Address(address) if self.listens_on.is_unspecified() => {
                *address == reached || is_of_this_machine(*address)
            }
            ListenerHost::Address(address) => *address == self.listens_on,
        }
    }

    fn judge(&self, request: &HttpRequest, reached: Option<IpAddr>) -> Result<(), HostFault> {
        let mut hosts = request.headers().get_all(header::HOST);
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(HostFault::Unclear("send one `Host` header"));
        };
        // where the target has a host, that counts (RFC 9112 section 3.2.2)
        let asked = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => host.to_str().ok(),
        };
        let host = asked.and_then(without_port).and_then(ListenerHost::parse);
        let host = host.ok_or(HostFault::Unclear("`Host` is not a host and port"))?;
        if self.include(&host, reached) { Ok(()) } else { Err(HostFault::Foreign) }
    }
}

/// The host without its port.
fn without_port(text: &str) -> Option<&str> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at_checked(end)?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

/// Whether one of the interfaces has this address now.
fn is_of_this_machine(address: IpAddr) -> bool {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().any(|interface| interface.ip().to_canonical() == address)
}

/// Lets only those requests through that ask for this listener.
pub(super) async fn check(
    hosts: Data<OwnHosts>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let reached = request.request().conn_data().map(|LocalAddress(address)| address.ip());
    match hosts.judge(request.request(), reached) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(fault) => {
            let mut answer = EndpointProblem::new(fault, request.request()).error_response();
            harden(answer.headers_mut());
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// What comes of a request with this target and these `Host`s, for a client that reached the machine at `reached`.
    fn judged(listens_on: &str, reached: &str, target: &str, hosts: &[&str]) -> Result<(), HostFault> {
        let configured = ["Jeton.Internal.", "10.9.8.7"].map(|text| ListenerHost::parse(text).unwrap());
        let own = OwnHosts::new(listens_on.parse().unwrap(), &configured);
        let request = TestRequest::with_uri(target);
        let request = hosts.iter().fold(request, |it, host| it.append_header((header::HOST, *host)));
        own.judge(&request.to_http_request(), Some(reached.parse().unwrap()))
    }

    /// Whether a host is one of a listener, for a client that reached the machine at this address.
    #[track_caller]
    fn check(listens_on: &str, reached: &str, rows: &[(&str, bool)]) {
        for (host, is_own) in rows {
            let expected = if *is_own { Ok(()) } else { Err(HostFault::Foreign) };
            assert_eq!(judged(listens_on, reached, "/metrics", &[host]), expected, "{listens_on}, {host}");
        }
    }

    #[test]
    fn a_listener_answers_to_its_names_and_addresses_alone() {
        let everywhere = [
            ("jeton.internal", true),
            ("JETON.internal.:8081", true),
            ("jeton.internal:", true),
            ("10.9.8.7:1", true),
            ("evil.example", false),
            ("evil.example:8081", false),
            ("jeton.internal.evil.example", false),
            ("x.jeton.internal", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("2130706433", false),
            ("127.1", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("192.0.2.1", false),
        ];
        for (listens_on, reached) in
            [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("::", "10.1.2.3")]
        {
            check(listens_on, reached, &everywhere);
        }
        check(
            "127.0.0.1",
            "127.0.0.1",
            &[
                ("127.0.0.1", true),
                ("127.0.0.1:8081", true),
                ("127.0.0.1:9", true),
                ("[::ffff:127.0.0.1]:8081", true),
                ("localhost", true),
                ("LocalHost.:8081", true),
                ("127.0.0.2", false),
                ("[::1]", false),
            ],
        );
        check("::1", "::1", &[("[::1]:8081", true), ("localhost", true), ("127.0.0.1", false)]);
        check("10.1.2.3", "10.1.2.3", &[("10.1.2.3", true), ("localhost", false), ("127.0.0.1", false)]);
        // that of the loopback interface is an address of every machine
        check(
            "0.0.0.0",
            "198.51.100.3",
            &[
                ("198.51.100.3:8081", true),
                ("127.0.0.1", true),
                ("localhost", false),
                ("198.51.100.4", false),
            ],
        );
        check("::", "::ffff:127.0.0.1", &[("127.0.0.1", true), ("localhost", true)]);
    }

    #[test]
    fn rfc9112_3_2_a_request_has_one_host() {
        let local = |target: &str, hosts: &[&str]| judged("127.0.0.1", "127.0.0.1", target, hosts);
        for hosts in [
            &[][..],
            &["127.0.0.1", "127.0.0.1"],
            &["127.0.0.1", "evil.example"],
            &[""],
            &["127.0.0.1, evil.example"],
            &["127.0.0.1@evil.example"],
            &["evil.example@127.0.0.1"],
            &["127.0.0.1:8081x"],
            &["[127.0.0.1"],
            &["http://127.0.0.1"],
            &["127.0.0.1/"],
            &["127.0.0.1 "],
            &["::1"],
        ] {
            let judged = local("/healthz", hosts);
            assert!(matches!(judged, Err(HostFault::Unclear(_))), "{hosts:?}: {judged:?}");
        }
    }

    #[test]
    fn rfc9112_3_2_2_the_host_of_the_target_counts() {
        let local = |target: &str, hosts: &[&str]| judged("127.0.0.1", "127.0.0.1", target, hosts);
        assert_eq!(local("http://127.0.0.1:8081/healthz", &["evil.example"]), Ok(()));
        assert_eq!(local("http://evil.example/healthz", &["127.0.0.1"]), Err(HostFault::Foreign));
        assert_eq!(local("http://localhost/healthz", &["localhost"]), Ok(()));
        for (target, hosts) in [
            ("http://127.0.0.1/healthz", &[][..]),
            ("http://127.0.0.1/healthz", &["a", "b"]),
            ("http://evil.example@127.0.0.1/healthz", &["127.0.0.1"]),
        ] {
            let judged = local(target, hosts);
            assert!(matches!(judged, Err(HostFault::Unclear(_))), "{target}, {hosts:?}: {judged:?}");
        }
    }
}
