//! The attack table: ways to make a gateway judge one request and the upstream see another.

use std::sync::Arc;

use super::{
    headers::{
        DROPPED, HOSTS, IDENTITY, IDENTITY_DROPPED, METHODS, MORE_IDENTITY, OTHER_HOSTS, PATHS, SMUGGLING,
        TRAILERS, UPGRADES, WHENCE,
    },
    proofs::PlannedProof,
    request::Raw,
    samples::{CheckPlan, Methods, Sample, Site},
    spellings::spellings,
};
use jeton_verify::gateway::IDENTITY_HEADERS;

/// One attempt.
pub(crate) struct Attack {
    /// Under which heading it is reported.
    pub(crate) class: &'static str,
    /// The start of it, for people.
    pub(crate) title: String,
    /// What is sent, but for its number.
    pub(crate) bytes: Vec<u8>,
    /// Whose token it shows, by position in [`CheckPlan::bearers`]; `None` where it is not clear whose, so that it
    /// must not pass.
    pub(crate) bearer: Option<usize>,
    /// Why it must not arrive, whatever the policies say of it.
    pub(crate) must_not: Option<&'static str>,
    /// The proofs whose places stand in what is sent.
    pub(crate) proofs: Vec<Arc<PlannedProof>>,
    /// Where it is sent, by position in [`CheckPlan::sites`].
    pub(crate) site: usize,
}

/// The most bearers whose identity is forged, at each host.
const MOST_BEARERS: usize = 3;
/// The longest start of a request that is shown.
const LONGEST_TITLE: usize = 100;
/// More headers than jeton takes, and fewer than most gateways; and more than `HAProxy` takes.
const MANY_HEADERS: [usize; 2] = [94, 110];
/// The length of a header that is longer than most servers take.
const LONG_HEADER: usize = 100 * 1024;

/// The whole table.
pub(crate) fn table(plan: &CheckPlan<'_>) -> Vec<Attack> {
    let each = plan.sites.iter().enumerate().flat_map(|(at, site)| {
        let mut table = Table { plan, at, site, attacks: Vec::new() };
        let forbidden = table.forbidden();
        for sample in &forbidden {
            table.paths(sample);
            table.other_methods(sample);
            table.forwarding(sample);
            table.long(sample);
            table.smuggling(sample);
        }
        for methods in &site.methods {
            table.confused_methods(methods);
        }
        table.tidied();
        table.identity();
        table.tokens();
        table.hosts(&forbidden);
        table.other_sites(&forbidden);
        table.proofs();
        table.certificates();
        table.attacks
    });
    each.collect()
}

/// A request that must pass; with a query where it must not be one that a cache knows.
pub(crate) fn legitimate(plan: &CheckPlan<'_>, at: usize, sample: &Sample, query: &str) -> Option<Attack> {
    let mut table = Table { plan, at, site: plan.sites.get(at)?, attacks: Vec::new() };
    let raw = table.raw(&sample.method, format!("{}{query}", sample.path), sample.bearer);
    table.add("as allowed", "", &raw, Some(sample.bearer));
    table.attacks.pop()
}

pub(crate) struct Table<'t> {
    pub(crate) plan: &'t CheckPlan<'t>,
    /// Where `site` stands.
    at: usize,
    pub(crate) site: &'t Site<'t>,
    pub(crate) attacks: Vec<Attack>,
}

impl<'t> Table<'t> {
    /// Requests to be refused: one of each bearer, each with a path of its own if there are enough.
    fn forbidden(&self) -> Vec<Sample> {
        let mut chosen: Vec<Sample> = Vec::new();
        for sample in &self.site.refused {
            if chosen.iter().any(|other| other.bearer == sample.bearer) {
                continue;
            }
            let is_new = |other: &&Sample| {
                other.bearer == sample.bearer && chosen.iter().all(|chosen| chosen.path != other.path)
            };
            let other = self.site.refused.iter().find(is_new);
            chosen.push(other.unwrap_or(sample).clone());
        }
        chosen
    }

    pub(crate) fn add(&mut self, class: &'static str, what: &str, raw: &Raw, bearer: Option<usize>) {
        let line = String::from_utf8_lossy(&raw.line).escape_debug().take(LONGEST_TITLE).collect::<String>();
        let title = if what.is_empty() { line } else { format!("{line} with {what}") };
        let proofs = raw.proofs.clone();
        self.attacks.push(Attack {
            class,
            title,
            bytes: raw.bytes(),
            bearer,
            must_not: None,
            proofs,
            site: self.at,
        });
    }

    /// A request of a bearer, as others are made from it.
    fn raw(&self, method: &str, path: impl AsRef<[u8]>, bearer: usize) -> Raw {
        let raw = Raw::new(&self.site.host, method, path);
        match self.plan.bearers.get(bearer) {
            Some(bearer) => raw.shows(bearer, self.site.origin.as_deref()),
            None => raw,
        }
    }

    pub(crate) fn of(&self, sample: &Sample) -> Raw {
        self.raw(&sample.method, &sample.path, sample.bearer)
    }

    /// A request with one header more.
    fn add_with(&mut self, class: &'static str, sample: &Sample, header: &str) {
        let raw = self.of(sample).with(header);
        let what = header.chars().take(LONGEST_TITLE).collect::<String>().escape_debug().to_string();
        self.add(class, &what, &raw, Some(sample.bearer));
    }

    /// Spellings of a path that is refused, some of which start at one that is allowed.
    fn paths(&mut self, sample: &Sample) {
        let start = self.site.allowed_for(sample.bearer).map_or("/", |allowed| &allowed.path).to_owned();
        for (class, path) in spellings(&start, &sample.path) {
            let raw = self.raw(&sample.method, path, sample.bearer);
            self.add(class, "", &raw, Some(sample.bearer));
        }
        for path in [
            format!("http://{}{}", self.site.host, sample.path),
            format!("http://elsewhere.invalid{start}"),
            format!("//{}{}", self.site.host, sample.path),
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
        let Some(allowed) = self.site.needs_token().or_else(|| self.site.allowed.first()) else { return };
        let refused = self.site.refused.iter().find(|sample| sample.bearer == allowed.bearer);
        let start = refused.map_or("/", |refused| &refused.path);
        for (class, path) in spellings(start, &allowed.path) {
            let raw = self.raw(&allowed.method, path, allowed.bearer);
            self.add(class, "", &raw, Some(allowed.bearer));
        }
    }

    /// Other methods than the one that was judged.
    fn other_methods(&mut self, sample: &Sample) {
        for method in
            ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Get", "GET,POST", "POST,GET"]
        {
            let raw = self.raw(method, &sample.path, sample.bearer);
            self.add("method", "", &raw, Some(sample.bearer));
        }
    }

    /// A method that is refused where another is allowed, told as that one, and the other way round.
    fn confused_methods(&mut self, methods: &Methods) {
        let Methods { path, bearer, allowed, refused } = methods;
        self.add("method", "", &self.raw(refused, path, *bearer), Some(*bearer));
        for name in METHODS {
            for name in [(*name).to_owned(), name.replace('-', "_")] {
                for (sent, told) in [(refused, allowed), (allowed, refused)] {
                    let header = format!("{name}: {told}");
                    let raw = self.raw(sent, path, *bearer).with(&header);
                    self.add("method override", &header, &raw, Some(*bearer));
                    let raw = raw.with(&header);
                    self.add("method override", &format!("{header}, twice"), &raw, Some(*bearer));
                }
            }
        }
    }

    /// Headers by which gateways say what they were asked.
    fn forwarding(&mut self, denied: &Sample) {
        let class = "forwarding headers";
        for header in WHENCE {
            self.add_with(class, denied, header);
        }
        for (connection, headers) in UPGRADES {
            let mut raw = headers.iter().fold(self.of(denied), Raw::with);
            raw.connection = Some((*connection).to_owned());
            self.add(class, &format!("Connection: {connection}"), &raw, Some(denied.bearer));
        }
        for option in DROPPED {
            for connection in [format!("{option}, close"), format!("close, {option}")] {
                let mut raw = self.of(denied);
                raw.connection = Some(connection.clone());
                self.add("hop by hop", &format!("Connection: {connection}"), &raw, Some(denied.bearer));
            }
        }
        let Some(passing) = self.site.allowed_for(denied.bearer) else { return };
        let headers = |of: &Sample| {
            let paths = PATHS.iter().map(|name| format!("{name}: {}", of.path));
            let methods = METHODS.iter().map(|name| format!("{name}: {}", of.method));
            paths.chain(methods).collect::<Vec<_>>()
        };
        // a request that is refused, told as one that is allowed
        for header in headers(passing) {
            self.add_with(class, denied, &header);
            let raw = self.of(denied).with(&header).with(&header);
            self.add(class, &format!("{header}, twice"), &raw, Some(denied.bearer));
        }
        let all = headers(passing).into_iter().fold(self.of(denied), Raw::with);
        self.add(class, "all of them", &all, Some(denied.bearer));
        // one that is allowed, told to the upstream as one that is refused
        for header in headers(denied) {
            self.add_with(class, passing, &header);
        }
    }

    /// More than jeton takes: a gateway must not open where the answer is not one of a decision.
    fn long(&mut self, denied: &Sample) {
        let class = "over-long";
        for count in MANY_HEADERS {
            let header = |number| format!("X-Nothing-{number}: a");
            let many = (0..count).map(header).fold(self.of(denied), Raw::with);
            self.add(class, &format!("{count} headers"), &many, Some(denied.bearer));
            // some gateways send this one alone on
            let header = |_| "Authorization: Bearer a";
            let many = (0..count).map(header).fold(self.of(denied), Raw::with);
            self.add(class, &format!("{count} tokens"), &many, Some(denied.bearer));
        }
        for length in [LONG_HEADER / 20, LONG_HEADER / 4, LONG_HEADER] {
            let long = self.of(denied).with(format!("X-Nothing: {}", "a".repeat(length)));
            self.add(class, &format!("a header of {length} bytes"), &long, Some(denied.bearer));
        }
    }

    /// Headers by which the upstream knows who asks.
    fn identity(&mut self) {
        let mut samples: Vec<&Sample> = Vec::new();
        for sample in &self.site.allowed {
            if samples.len() < MOST_BEARERS && samples.iter().all(|other| other.bearer != sample.bearer) {
                samples.push(sample);
            }
        }
        for sample in samples {
            for name in IDENTITY_HEADERS.iter().chain(MORE_IDENTITY) {
                self.identity_header(sample, name);
            }
            for name in TRAILERS {
                for announced in [true, false] {
                    self.trailer(sample, name, announced);
                }
            }
        }
    }

    fn identity_header(&mut self, sample: &Sample, name: &str) {
        let filled = |row: &str| {
            row.replace("{name}", name)
                .replace("{NAME}", &name.to_uppercase())
                .replace("{na_me}", &name.replace('-', "_"))
                .replace("{n_ame}", &name.replacen('-', "_", 1))
        };
        for row in IDENTITY {
            self.add_with("identity headers", sample, &filled(row));
        }
        for row in IDENTITY_DROPPED {
            let connection = filled(row);
            let mut raw = self.of(sample);
            raw.connection = Some(connection.clone());
            self.add("hop by hop", &format!("Connection: {connection}"), &raw, Some(sample.bearer));
            let raw = raw.with(format!("{name}: forged"));
            self.add("hop by hop", &format!("Connection: {connection}, forged"), &raw, Some(sample.bearer));
        }
    }

    /// A header behind the body, where a gateway may not look.
    fn trailer(&mut self, sample: &Sample, name: &str, announced: bool) {
        let mut raw = self.of(sample).with("Transfer-Encoding: chunked").with("TE: trailers");
        if announced {
            raw = raw.with(format!("Trailer: {name}"));
        }
        raw.body = format!("1\r\na\r\n0\r\n{name}: forged\r\n\r\n").into_bytes();
        let what = if announced { "announced " } else { "" };
        self.add("trailers", &format!("the {what}trailer {name}"), &raw, Some(sample.bearer));
    }

    /// More than one token, and tokens in other places.
    fn tokens(&mut self) {
        let Some(sample) = self.site.needs_token() else { return };
        let of = |bearer: usize| self.plan.bearers.get(bearer).and_then(|bearer| bearer.token.as_deref());
        let Some(token) = of(sample.bearer) else { return };
        let weak = self.plan.bearers.iter().find(|bearer| {
            bearer.token.is_some() && !bearer.is_client && bearer.api.as_ref() == Some(self.site.api.name())
        });
        let Some(weak) = weak.and_then(|bearer| bearer.token.as_deref()) else { return };
        let shown = |token: &str| format!("Authorization: Bearer {token}");
        let in_query = format!("{}?access_token={token}", sample.path);
        let mut made: Vec<(&str, &str, Vec<String>)> = vec![
            ("two tokens", &sample.path, vec![shown(token), shown(weak)]),
            ("two tokens", &sample.path, vec![shown(weak), shown(token)]),
            ("the same token twice", &sample.path, vec![shown(token), shown(token)]),
            ("two tokens in one header", &sample.path, vec![format!("{}, Bearer {weak}", shown(token))]),
            ("a token in the query", &in_query, vec![]),
        ];
        let elsewhere = [
            ("a token as Proxy-Authorization", "Proxy-Authorization: Bearer {token}"),
            ("a token of another scheme", "Authorization: Basic {token}"),
            ("a token in X-Forwarded-Authorization", "X-Forwarded-Authorization: Bearer {token}"),
            ("a token in X-Access-Token", "X-Access-Token: {token}"),
            ("a token in X_Authorization", "X_Authorization: Bearer {token}"),
            ("a token in a cookie", "Cookie: access_token={token}; token={token}; jwt={token}"),
            ("a token in a cookie", "Cookie: Authorization=Bearer {token}"),
        ];
        made.extend(
            elsewhere.map(|(what, header)| (what, &*sample.path, vec![header.replace("{token}", token)])),
        );
        let forged = forgeries(token).into_iter();
        made.extend(forged.map(|(what, token)| (what, &*sample.path, vec![shown(&token)])));
        let made: Vec<_> = made
            .into_iter()
            .map(|(what, path, headers)| {
                let raw = Raw::new(&self.site.host, &sample.method, path);
                (what, headers.iter().fold(raw, Raw::with))
            })
            .collect();
        for (what, raw) in made {
            self.add("tokens", what, &raw, None);
        }
    }

    /// More than one host, or none.
    fn hosts(&mut self, forbidden: &[Sample]) {
        for sample in forbidden.iter().take(2) {
            let own = &self.site.host;
            let mut rows = vec![
                vec![],
                vec![own.clone(), own.clone()],
                vec![own.clone(), "elsewhere.invalid".to_owned()],
                vec!["elsewhere.invalid".to_owned(), own.clone()],
                vec!["a, b".to_owned()],
                vec!["user@elsewhere.invalid".to_owned()],
                vec![String::new()],
            ];
            rows.extend(OTHER_HOSTS.iter().map(|host| vec![(*host).to_owned()]));
            for hosts in rows {
                let mut raw = self.of(sample);
                let what = format!("Host: {}", hosts.join(" and "));
                raw.host = hosts;
                self.add("hosts", &what, &raw, Some(sample.bearer));
            }
            let mut raw = self.of(sample);
            raw.line = format!("{} {} HTTP/1.0", sample.method, sample.path).into_bytes();
            raw.host.clear();
            self.add("hosts", "HTTP/1.0 and no host", &raw, Some(sample.bearer));
        }
    }

    /// What is allowed at another host of this gateway, and what is refused here, told as that of another.
    fn other_sites(&mut self, forbidden: &[Sample]) {
        let others = self.plan.sites.iter().filter(|other| other.host != self.site.host);
        for other in others.collect::<Vec<&'t Site<'t>>>() {
            let allowed_there =
                self.plan.bearers.iter().enumerate().filter_map(|(at, _)| other.allowed_for(at));
            for sample in allowed_there.cloned().collect::<Vec<_>>().iter().chain(forbidden) {
                self.other_host(sample, &other.host);
            }
        }
    }

    fn other_host(&mut self, sample: &Sample, other: &str) {
        let (class, own) = ("hosts", self.site.host.clone());
        for row in HOSTS {
            self.add_with(class, sample, &row.replace("{host}", other));
        }
        for (line, hosts) in [
            (sample.path.clone(), vec![own.clone(), other.to_owned()]),
            (sample.path.clone(), vec![other.to_owned(), own.clone()]),
            (sample.path.clone(), vec![other.to_owned()]),
            (format!("http://{other}{}", sample.path), vec![own.clone()]),
            (format!("http://{own}{}", sample.path), vec![other.to_owned()]),
        ] {
            let mut raw = self.raw(&sample.method, line, sample.bearer);
            let what = format!("Host: {}", hosts.join(" and "));
            raw.host = hosts;
            self.add(class, &what, &raw, Some(sample.bearer));
        }
    }

    /// A request within the body of another, and the like.
    fn smuggling(&mut self, sample: &Sample) {
        let Some(allowed) = self.site.allowed_for(sample.bearer) else { return };
        let inner = self.of(sample);
        let proofs = inner.proofs.clone();
        let inner = String::from_utf8_lossy(&inner.bytes()).into_owned();
        let size = format!("{:x}", inner.len());
        for (what, headers, body) in SMUGGLING {
            let body = body.replace("{size}", &size).replace("{inner}", &inner);
            let length = body.len().to_string();
            let filled = headers.iter().map(|header| header.replace("{length}", &length));
            let mut raw = filled.fold(self.of(allowed), Raw::with);
            raw.connection = None;
            raw.body = body.into_bytes();
            raw.proofs.extend(proofs.iter().cloned());
            self.add("smuggling", what, &raw, Some(sample.bearer));
        }
    }
}

/// Tokens that look like a good one.
pub(crate) fn forgeries(token: &str) -> Vec<(&'static str, String)> {
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
