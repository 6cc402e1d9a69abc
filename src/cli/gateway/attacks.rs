//! The attack table: ways to make a gateway judge one request and the upstream see another.

use super::{
    samples::{Bearer, Sample, Samples},
    spellings::spellings,
    wire::Target,
};
use crate::gateway::{IDENTITY_HEADERS, METHOD_OVERRIDES};

/// One attempt.
pub(super) struct Attack {
    /// Under which heading it is reported.
    pub(super) class: &'static str,
    /// The start of it, for people.
    pub(super) title: String,
    /// What is sent, with [`MARK`] where its number goes.
    pub(super) bytes: Vec<u8>,
    /// Whose token it shows, by position in [`Samples::bearers`]; `None` where it is not clear whose, so that it
    /// must not pass.
    pub(super) bearer: Option<usize>,
}

/// The header by which the upstream knows to which attempt a request belongs.
pub(super) const MARK_HEADER: &str = "X-Jeton-Check";
/// Stands for the number of an attempt.
pub(super) const MARK: &str = "<mark>";

/// The most requests that are attacked, each from one that is allowed.
const MOST_TARGETS: usize = 6;
/// The most bearers whose identity is forged.
const MOST_BEARERS: usize = 3;
/// The longest start of a request that is shown.
const LONGEST_TITLE: usize = 100;

/// A request before it is bytes.
#[derive(Clone)]
struct Raw {
    /// Method, target, version.
    line: Vec<u8>,
    host: Vec<String>,
    /// Whole lines.
    headers: Vec<Vec<u8>>,
    connection: Option<String>,
    body: Vec<u8>,
}

impl Raw {
    fn new(target: &Target, method: &str, path: impl AsRef<[u8]>) -> Self {
        let line = [method.as_bytes(), b" ", path.as_ref(), b" HTTP/1.1"].concat();
        Self {
            line,
            host: vec![target.host.clone()],
            headers: Vec::new(),
            connection: Some("close".to_owned()),
            body: Vec::new(),
        }
    }

    fn with(mut self, header: impl AsRef<[u8]>) -> Self {
        self.headers.push(header.as_ref().to_vec());
        self
    }

    fn shows(self, bearer: &Bearer) -> Self {
        match &bearer.token {
            Some(token) => self.with(format!("Authorization: Bearer {token}")),
            None => self,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.line[..], b"\r\n"].concat();
        for host in &self.host {
            bytes.extend(format!("Host: {host}\r\n").as_bytes());
        }
        bytes.extend(format!("{MARK_HEADER}: {MARK}\r\n").as_bytes());
        for header in &self.headers {
            bytes.extend([header, &b"\r\n"[..]].concat());
        }
        if let Some(connection) = &self.connection {
            bytes.extend(format!("Connection: {connection}\r\n").as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// The whole table for these samples.
pub(super) fn table(target: &Target, samples: &Samples) -> Vec<Attack> {
    let mut table = Table { target, samples, attacks: Vec::new() };
    let forbidden = table.forbidden();
    for sample in &forbidden {
        table.paths(sample);
        table.methods(sample);
        table.forwarding(sample);
        table.smuggling(sample);
    }
    table.tidied();
    table.identity();
    table.tokens();
    table.hosts(&forbidden);
    table.attacks
}

/// Requests that must pass.
pub(super) fn legitimate(target: &Target, samples: &Samples) -> Vec<Attack> {
    let mut table = Table { target, samples, attacks: Vec::new() };
    for sample in &samples.allowed {
        let raw = table.raw(&sample.method, &sample.path, sample.bearer);
        table.add("legitimate", "", &raw, Some(sample.bearer));
    }
    table.attacks
}

struct Table<'t> {
    target: &'t Target,
    samples: &'t Samples,
    attacks: Vec<Attack>,
}

impl Table<'_> {
    /// Requests to be refused: one of each bearer, each with a path of its own.
    fn forbidden(&self) -> Vec<Sample> {
        let mut chosen: Vec<Sample> = Vec::new();
        for sample in &self.samples.refused {
            let is_new = |other: &Sample| other.path != sample.path && other.bearer != sample.bearer;
            if chosen.len() < MOST_TARGETS && chosen.iter().all(is_new) {
                chosen.push(sample.clone());
            }
        }
        chosen
    }

    /// A request of this bearer that passes.
    fn allowed_for(&self, bearer: usize) -> Option<&Sample> {
        self.samples.allowed.iter().find(|sample| sample.bearer == bearer)
    }

    fn bearer(&self, bearer: usize) -> Option<&Bearer> {
        self.samples.bearers.get(bearer)
    }

    fn add(&mut self, class: &'static str, what: &str, raw: &Raw, bearer: Option<usize>) {
        let line = String::from_utf8_lossy(&raw.line).escape_debug().take(LONGEST_TITLE).collect::<String>();
        let title = if what.is_empty() { line } else { format!("{line} with {what}") };
        self.attacks.push(Attack { class, title, bytes: raw.bytes(), bearer });
    }

    /// A request of a bearer, as others are made from it.
    fn raw(&self, method: &str, path: impl AsRef<[u8]>, bearer: usize) -> Raw {
        let raw = Raw::new(self.target, method, path);
        match self.bearer(bearer) {
            Some(bearer) => raw.shows(bearer),
            None => raw,
        }
    }

    /// Spellings of a path that is refused, some of which start at one that is allowed.
    fn paths(&mut self, sample: &Sample) {
        let start = self.allowed_for(sample.bearer).map_or("/", |allowed| &allowed.path).to_owned();
        for (class, path) in spellings(&start, &sample.path) {
            let raw = self.raw(&sample.method, path, sample.bearer);
            self.add(class, "", &raw, Some(sample.bearer));
        }
        for path in [
            format!("http://{}{}", self.target.host, sample.path),
            format!("http://elsewhere.invalid{start}"),
            format!("//{}{}", self.target.host, sample.path),
        ] {
            let raw = self.raw(&sample.method, path, sample.bearer);
            self.add("absolute form", "", &raw, Some(sample.bearer));
        }
        for target in ["*", "", "?", sample.path.trim_start_matches('/')] {
            let raw = self.raw("OPTIONS", target, sample.bearer);
            self.add("absolute form", "", &raw, Some(sample.bearer));
        }
    }

    /// Spellings of a path that is allowed, some of which start at one that is refused: a gateway that asks about a
    /// tidier path than it passes on lets through what nobody judged.
    fn tidied(&mut self) {
        let allowed = self.samples.needs_token.as_ref().or_else(|| self.samples.allowed.first());
        let Some(allowed) = allowed.cloned() else { return };
        let refused = self.samples.refused.iter().find(|sample| sample.bearer == allowed.bearer);
        let start = refused.map_or("/", |refused| &refused.path).to_owned();
        for (class, path) in spellings(&start, &allowed.path) {
            let raw = self.raw(&allowed.method, path, allowed.bearer);
            self.add(class, "", &raw, Some(allowed.bearer));
        }
    }

    /// Other methods than the one that was judged.
    fn methods(&mut self, sample: &Sample) {
        let class = "method";
        for method in
            ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Get", "GET,POST", "POST,GET"]
        {
            let raw = self.raw(method, &sample.path, sample.bearer);
            self.add(class, "", &raw, Some(sample.bearer));
        }
        let Some(allowed) = self.allowed_for(sample.bearer).cloned() else { return };
        for other in
            ["DELETE", "PUT", sample.method.as_str()].into_iter().filter(|other| *other != allowed.method)
        {
            for name in METHOD_OVERRIDES {
                for header in [format!("{name}: {other}"), format!("{}: {other}", name.replace('-', "_"))] {
                    let raw = self.raw(&allowed.method, &allowed.path, allowed.bearer).with(&header);
                    self.add("method override", &header, &raw, Some(allowed.bearer));
                }
            }
        }
    }

    /// Headers by which gateways say what they were asked.
    fn forwarding(&mut self, sample: &Sample) {
        let Some(allowed) = self.allowed_for(sample.bearer).cloned() else { return };
        let class = "forwarding headers";
        let (denied, passing) = (sample, &allowed);
        let headers = |path: &str, method: &str| {
            let paths = [
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
            let methods = ["X-Original-Method", "X-Forwarded-Method", "X_Original_Method"];
            let paths = paths.map(|name| format!("{name}: {path}"));
            let methods = methods.map(|name| format!("{name}: {method}"));
            paths.into_iter().chain(methods).collect::<Vec<_>>()
        };
        // a request that is refused, told as one that is allowed
        for header in headers(&passing.path, &passing.method) {
            let raw = self.raw(&denied.method, &denied.path, denied.bearer).with(&header);
            self.add(class, &header, &raw, Some(denied.bearer));
            let raw = raw.with(&header);
            self.add(class, &format!("{header}, twice"), &raw, Some(denied.bearer));
        }
        let mut all = self.raw(&denied.method, &denied.path, denied.bearer);
        for header in headers(&passing.path, &passing.method) {
            all = all.with(header);
        }
        self.add(class, "all of them", &all, Some(denied.bearer));
        // one that is allowed, told to the upstream as one that is refused
        for header in headers(&denied.path, &denied.method) {
            let raw = self.raw(&passing.method, &passing.path, passing.bearer).with(&header);
            self.add(class, &header, &raw, Some(passing.bearer));
        }
        let whence = [
            "X-Forwarded-For: 127.0.0.1",
            "X-Real-IP: 127.0.0.1",
            "Forwarded: for=127.0.0.1",
            "X-Forwarded-Host: 127.0.0.1",
            "X-Forwarded-Prefix: /..",
            "X-Forwarded-Proto: https",
        ];
        for header in whence {
            let raw = self.raw(&denied.method, &denied.path, denied.bearer).with(header);
            self.add(class, header, &raw, Some(denied.bearer));
        }
        for option in [
            "X-Original-URI",
            "X-Original-Method",
            "X-Forwarded-Uri",
            "X-Forwarded-Method",
            "Authorization",
            "Host",
        ] {
            for connection in [format!("{option}, close"), format!("close, {option}")] {
                let mut raw = self.raw(&denied.method, &denied.path, denied.bearer);
                raw.connection = Some(connection.clone());
                self.add("hop by hop", &format!("Connection: {connection}"), &raw, Some(denied.bearer));
            }
        }
    }

    /// Headers by which the upstream knows who asks.
    fn identity(&mut self) {
        let class = "identity headers";
        let mut bearers: Vec<Sample> = Vec::new();
        for sample in &self.samples.allowed {
            if bearers.len() < MOST_BEARERS && bearers.iter().all(|other| other.bearer != sample.bearer) {
                bearers.push(sample.clone());
            }
        }
        let names =
            IDENTITY_HEADERS.iter().chain(&["x-auth-claim-tenant", "x-auth-request-user", "x-auth-user"]);
        for sample in &bearers {
            for &name in names.clone() {
                let capitals = name.to_uppercase();
                let underscores = name.replace('-', "_");
                let first = name.replacen('-', "_", 1);
                for line in [
                    format!("{name}: forged"),
                    format!("{capitals}: forged"),
                    format!("{underscores}: forged"),
                    format!("{first}: forged"),
                    format!("{name} : forged"),
                    format!("{name}\t: forged"),
                    format!(" {name}: forged"),
                    format!("{name}:"),
                    format!("{name}: forged\r\n{name}: again"),
                    format!("{name}: forged\r\n again"),
                    format!("X-Nothing: a\r\n {name}: forged"),
                    format!("X-Nothing: a\n{name}: forged"),
                    format!("X-Nothing: a\r{name}: forged"),
                    format!("X-Nothing: a\0\r\n{name}: forged"),
                ] {
                    let raw = self.raw(&sample.method, &sample.path, sample.bearer).with(&line);
                    self.add(class, &format!("{line:?}"), &raw, Some(sample.bearer));
                }
                for connection in [format!("close, {capitals}"), format!("keep-alive,{name}, te")] {
                    let mut raw = self.raw(&sample.method, &sample.path, sample.bearer);
                    raw.connection = Some(connection.clone());
                    self.add("hop by hop", &format!("Connection: {connection}"), &raw, Some(sample.bearer));
                    let raw = raw.with(format!("{name}: forged"));
                    self.add(
                        "hop by hop",
                        &format!("Connection: {connection}, forged"),
                        &raw,
                        Some(sample.bearer),
                    );
                }
            }
        }
    }

    /// More than one token, and tokens in other places.
    fn tokens(&mut self) {
        let class = "tokens";
        let Some(sample) = self.samples.needs_token.clone() else { return };
        let Some(token) = self.bearer(sample.bearer).and_then(|bearer| bearer.token.clone()) else { return };
        let Some(weak) = self.bearer(1).and_then(|bearer| bearer.token.clone()) else { return };
        let plain = || Raw::new(self.target, &sample.method, &sample.path);
        let mut made = vec![
            (
                "two tokens",
                plain()
                    .with(format!("Authorization: Bearer {token}"))
                    .with(format!("Authorization: Bearer {weak}")),
            ),
            (
                "two tokens",
                plain()
                    .with(format!("Authorization: Bearer {weak}"))
                    .with(format!("Authorization: Bearer {token}")),
            ),
            (
                "the same token twice",
                plain()
                    .with(format!("Authorization: Bearer {token}"))
                    .with(format!("Authorization: Bearer {token}")),
            ),
            (
                "two tokens in one header",
                plain().with(format!("Authorization: Bearer {token}, Bearer {weak}")),
            ),
            ("a token as Proxy-Authorization", plain().with(format!("Proxy-Authorization: Bearer {token}"))),
            ("a token of another scheme", plain().with(format!("Authorization: Basic {token}"))),
            (
                "a token in X-Forwarded-Authorization",
                plain().with(format!("X-Forwarded-Authorization: Bearer {token}")),
            ),
        ];
        let in_query = format!("{}?access_token={token}", sample.path);
        made.push(("a token in the query", Raw::new(self.target, &sample.method, in_query)));
        for (what, forged) in forgeries(&token) {
            made.push((what, plain().with(format!("Authorization: Bearer {forged}"))));
        }
        for (what, raw) in made {
            self.add(class, what, &raw, None);
        }
    }

    /// More than one host, or none.
    fn hosts(&mut self, forbidden: &[Sample]) {
        for sample in forbidden.iter().take(2) {
            let own = self.target.host.clone();
            for hosts in [
                vec![],
                vec![own.clone(), own.clone()],
                vec![own.clone(), "elsewhere.invalid".to_owned()],
                vec!["elsewhere.invalid".to_owned(), own],
                vec!["a, b".to_owned()],
                vec!["user@elsewhere.invalid".to_owned()],
                vec![String::new()],
            ] {
                let mut raw = self.raw(&sample.method, &sample.path, sample.bearer);
                let what = format!("Host: {}", hosts.join(" and "));
                raw.host = hosts;
                self.add("hosts", &what, &raw, Some(sample.bearer));
            }
            let mut raw = self.raw(&sample.method, &sample.path, sample.bearer);
            raw.line = format!("{} {} HTTP/1.0", sample.method, sample.path).into_bytes();
            raw.host.clear();
            self.add("hosts", "HTTP/1.0 and no host", &raw, Some(sample.bearer));
        }
    }

    /// A request within the body of another, and the like.
    fn smuggling(&mut self, sample: &Sample) {
        let Some(allowed) = self.allowed_for(sample.bearer).cloned() else { return };
        let class = "smuggling";
        let inner = self.raw(&sample.method, &sample.path, sample.bearer).bytes();
        let outer = |headers: &[&str], body: Vec<u8>| {
            let mut raw = self.raw(&allowed.method, &allowed.path, allowed.bearer);
            raw.connection = None;
            for header in headers {
                raw = raw.with(header);
            }
            raw.body = body;
            raw
        };
        let chunked = [b"0\r\n\r\n", &inner[..]].concat();
        let length = |body: &[u8]| format!("Content-Length: {}", body.len());
        let one_chunk = [format!("{:x}\r\n", inner.len()).as_bytes(), &inner, b"\r\n0\r\n\r\n"].concat();
        let attempts = [
            ("a second request behind it", outer(&[], inner.clone())),
            (
                "Content-Length and chunks",
                outer(&[&length(&chunked), "Transfer-Encoding: chunked"], chunked.clone()),
            ),
            (
                "chunks and Content-Length",
                outer(&["Transfer-Encoding: chunked", &length(&chunked)], chunked.clone()),
            ),
            (
                "a short Content-Length and chunks",
                outer(&["Content-Length: 4", "Transfer-Encoding: chunked"], one_chunk.clone()),
            ),
            ("an odd encoding", outer(&[&length(&chunked), "Transfer-Encoding: xchunked"], chunked.clone())),
            (
                "an encoding with a space",
                outer(&[&length(&chunked), "Transfer-Encoding : chunked"], chunked.clone()),
            ),
            (
                "two encodings",
                outer(
                    &[&length(&chunked), "Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
                    chunked.clone(),
                ),
            ),
            (
                "an encoding with an underscore",
                outer(&[&length(&chunked), "Transfer_Encoding: chunked"], chunked),
            ),
            ("two lengths", outer(&["Content-Length: 0", &length(&inner)], inner.clone())),
            ("a length of 0 and a body", outer(&["Content-Length: 0"], inner.clone())),
            ("a length with a sign", outer(&["Content-Length: +0"], inner.clone())),
            (
                "an upgrade",
                outer(
                    &[
                        "Upgrade: h2c",
                        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
                        "Connection: Upgrade, HTTP2-Settings",
                    ],
                    inner.clone(),
                ),
            ),
            ("Expect: 100-continue", outer(&["Expect: 100-continue", "Content-Length: 0"], inner)),
        ];
        for (what, raw) in attempts {
            self.add(class, what, &raw, Some(sample.bearer));
        }
    }
}

/// Tokens that look like a good one.
fn forgeries(token: &str) -> Vec<(&'static str, String)> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    // {"alg":"none","typ":"at+jwt"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let mut other: String = signature.to_owned();
    let last = other.pop();
    other.push(if last == Some('A') { 'Q' } else { 'A' });
    let other_start = format!(
        "{}{}",
        if signature.starts_with('A') { 'B' } else { 'A' },
        signature.get(1..).unwrap_or_default()
    );
    vec![
        ("alg none", format!("{none}.{payload}.")),
        ("alg none and a signature", format!("{none}.{payload}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("another signature", format!("{header}.{payload}.{other_start}")),
        ("bits behind the signature", format!("{header}.{payload}.{other}")),
        ("a fourth part", format!("{token}.{signature}")),
    ]
}
