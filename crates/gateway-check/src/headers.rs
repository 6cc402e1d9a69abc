//! Headers and bodies by which some server may take a request for another.

/// By which gateways say the path that they were asked, or servers let it be another.
pub(crate) const PATHS: &[&str] = &[
    "X-Original-URI",
    "X-Original-URL",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "X-Rewrite-URL",
    "X-Envoy-Original-Path",
    "X_Original_URI",
    "X_Forwarded_Uri",
    "x-original-uri",
];

/// The same for the method; each also with `_`.
pub(crate) const METHODS: &[&str] = &[
    "X-Original-Method",
    "X-Forwarded-Method",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Method",
];

/// The same for the host, `{host}`.
pub(crate) const HOSTS: &[&str] = &[
    "X-Forwarded-Host: {host}",
    "X-Original-Host: {host}",
    "X_Forwarded_Host: {host}",
    "X-Host: {host}",
    "Forwarded: host={host}",
    "Forwarded: for=127.0.0.1;host=\"{host}\"",
];

/// Hosts at which something else may stand that is meant for few.
pub(crate) const OTHER_HOSTS: &[&str] = &["localhost", "127.0.0.1", "admin", "internal"];

/// Where a request is from, or what it is for, where some are let through.
pub(crate) const WHENCE: &[&str] = &[
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-For: 192.168.0.1",
    "X-Forwarded-For: ::1",
    "X-Real-IP: 127.0.0.1",
    "X-Real-IP: 10.0.0.1",
    "X-Real-IP: 192.168.0.1",
    "X-Real-IP: ::1",
    "X-Client-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1",
    "Forwarded: for=10.0.0.1",
    "X-Forwarded-Host: 127.0.0.1",
    "X-Forwarded-Prefix: /..",
    "X-Forwarded-Proto: https",
    "Upgrade: websocket",
    "Accept: text/event-stream",
    "Origin: http://localhost\r\nAccess-Control-Request-Method: GET",
    "User-Agent: kube-probe/1.30",
];

/// `Connection` of a request to change the protocol, and what else it has.
pub(crate) const UPGRADES: &[(&str, &[&str])] = &[
    (
        "Upgrade",
        &["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
    ),
    ("upgrade, close", &["Upgrade: websocket"]),
];

/// Headers that `Connection` makes a gateway drop after they were judged, or before.
pub(crate) const DROPPED: &[&str] = &[
    "X-Original-URI",
    "X-Original-Method",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Original-Host",
    "Authorization",
    "Host",
];

/// Names that look like those of jeton.
pub(crate) const MORE_IDENTITY: &[&str] = &["x-auth-claim-tenant", "x-auth-request-user", "x-auth-user"];

/// An identity header, `{name}`, in capitals, with `_`, and with one `_`.
pub(crate) const IDENTITY: &[&str] = &[
    "{name}: forged",
    "{NAME}: forged",
    "{na_me}: forged",
    "{n_ame}: forged",
    "{name} : forged",
    "{name}\t: forged",
    " {name}: forged",
    "{name}:",
    "{name}: forged\r\n{name}: again",
    "{name}: forged\r\n again",
    "X-Nothing: a\r\n {name}: forged",
    "X-Nothing: a\n{name}: forged",
    "X-Nothing: a\r{name}: forged",
    "X-Nothing: a\0\r\n{name}: forged",
];

/// `Connection` with the name of an identity header.
pub(crate) const IDENTITY_DROPPED: &[&str] = &["close, {NAME}", "keep-alive,{name}, te"];

/// Headers that stand behind a body in chunks.
pub(crate) const TRAILERS: &[&str] = &[
    "X-Auth-Client",
    "X-Auth-Scopes",
    "X-Auth-Roles",
    "X_Auth_Client",
    "Authorization",
    "X-HTTP-Method-Override",
];

/// A request within the body of another: headers and body. `{inner}` is the other request, `{size}` its length in hex,
/// `{length}` that of the body.
pub(crate) const SMUGGLING: &[(&str, &[&str], &str)] = &[
    ("a second request behind it", &[], "{inner}"),
    (
        "Content-Length and chunks",
        &["Content-Length: {length}", "Transfer-Encoding: chunked"],
        "0\r\n\r\n{inner}",
    ),
    (
        "chunks and Content-Length",
        &["Transfer-Encoding: chunked", "Content-Length: {length}"],
        "0\r\n\r\n{inner}",
    ),
    (
        "a short Content-Length and chunks",
        &["Content-Length: 4", "Transfer-Encoding: chunked"],
        "{size}\r\n{inner}\r\n0\r\n\r\n",
    ),
    ("an odd encoding", &["Content-Length: {length}", "Transfer-Encoding: xchunked"], "0\r\n\r\n{inner}"),
    (
        "an encoding with a space",
        &["Content-Length: {length}", "Transfer-Encoding : chunked"],
        "0\r\n\r\n{inner}",
    ),
    (
        "two encodings",
        &["Content-Length: {length}", "Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
        "0\r\n\r\n{inner}",
    ),
    (
        "an encoding with an underscore",
        &["Content-Length: {length}", "Transfer_Encoding: chunked"],
        "0\r\n\r\n{inner}",
    ),
    ("two lengths", &["Content-Length: 0", "Content-Length: {length}"], "{inner}"),
    ("a length of 0 and a body", &["Content-Length: 0"], "{inner}"),
    ("a length with a sign", &["Content-Length: +0"], "{inner}"),
    (
        "an upgrade",
        &["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "Connection: Upgrade, HTTP2-Settings"],
        "{inner}",
    ),
    ("Expect: 100-continue", &["Expect: 100-continue", "Content-Length: 0"], "{inner}"),
];
