//! `jeton gateway check`: the attack table through a running gateway, judged by what the upstream saw.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use url::Url;

use super::{
    super::{Outcome, emit},
    Address,
    attacks::{self, Attack, MARK, MARK_HEADER},
    echo::{Echo, Seen},
    gateway,
    samples::{Bearer, Mint, Samples, TTL},
    wire::Target,
};
use crate::{
    clock::SystemClock,
    config::{GatewayApis, GatewaySettings, Needs, Settings},
    gateway::{IDENTITY_PREFIX, METHOD_OVERRIDES},
    grant::random_id,
    http::key_keeper,
    keys::KeyRing,
    oauth::{ApiName, ClientId, Role, TokenId},
    policy::{Api, Decision, Denial, Permissions, PolicySet, Sources, printable},
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// Where the gateway listens: `http://HOST:PORT`.
    url: Url,
    /// Which gateway it is: `[gateways.NAME]` of the settings.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The address that the gateway takes for its upstream; nothing else may listen there.
    #[arg(long, value_name = "ADDR")]
    echo: Address,
}

/// What a class of attempts came to.
#[derive(Default)]
struct Tally {
    sent: usize,
    refused: usize,
    /// Reached the upstream, as something that the policies allow.
    passed: usize,
    holes: usize,
}

/// Something that got through and must not.
struct Hole {
    class: &'static str,
    title: String,
    bearer: String,
    seen: String,
    why: String,
}

impl Check {
    pub(super) fn run(&self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let settings = super::super::settings(Needs::Everything, config)?;
        let gateway = gateway(&settings, &self.gateway)?;
        let mut target = Target::of(&self.url)?;
        let policies = policies(&settings)?;
        let (api, host) = self.api(gateway, &policies)?;
        if let Some(host) = host {
            target.host = host;
        }
        let ring = ring(&settings)?;
        let mint = Mint { ring: &ring, issuer: &settings.issuer, clock: &SystemClock };
        let samples = Samples::of(&policies, api, &mint)?;
        let listener = TcpListener::bind(self.echo.to_string()).with_context(|| {
            format!("{} cannot be listened on: the upstream itself must not run", self.echo)
        })?;
        let echo = Echo::answer(listener);
        let nonce = random_id().map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let mut run = Run {
            gateway,
            api,
            samples: &samples,
            target: &target,
            echo: &echo,
            nonce,
            sent: 0,
            arrived: BTreeMap::new(),
        };
        eprintln!(
            "{} tokens were made for this check; they end within {} minutes: {}",
            samples.bearers.len() - 1,
            TTL / 60,
            samples
                .bearers
                .iter()
                .filter_map(|bearer| bearer.token_id.as_ref())
                .map(TokenId::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        );
        run.legitimate()?;
        let (tallies, holes) = run.attack()?;
        report(&tallies, &holes)
    }

    /// The API that is attacked, and the host at which it is, where that chooses it.
    fn api<'p>(
        &self,
        gateway: &GatewaySettings,
        policies: &'p PolicySet,
    ) -> anyhow::Result<(&'p Api, Option<String>)> {
        let find = |api: &ApiName| {
            policies.api(api.as_str()).with_context(|| format!("the policies have no API `{api}`"))
        };
        match &gateway.apis {
            GatewayApis::One(api) => Ok((find(api)?, None)),
            GatewayApis::ByHost(hosts) => {
                let own = self.url.host_str().and_then(|host| hosts.get_key_value(host));
                let (host, api) =
                    own.or_else(|| hosts.first_key_value()).context("the gateway has no hosts")?;
                Ok((find(api)?, Some(host.clone())))
            }
        }
    }
}

fn policies(settings: &Settings) -> anyhow::Result<PolicySet> {
    let surroundings = super::super::surroundings(settings, crate::policy::DemoSecrets::Allowed);
    let sources = Sources::read(&settings.policies.dir);
    let compiled = sources.and_then(|sources| {
        PolicySet::compile(&sources, &surroundings, crate::clock::Clock::now(&SystemClock))
    });
    compiled.map_err(|findings| anyhow::anyhow!("the policies do not load:\n{findings}"))
}

fn ring(settings: &Settings) -> anyhow::Result<KeyRing> {
    let keeper = key_keeper(settings, Arc::new(SystemClock));
    let keys =
        keeper.folder().load().context("the service makes its key at its first start: is it running?")?;
    Ok(keys.at(crate::clock::Clock::now(&SystemClock), keeper.terms()))
}

struct Run<'r> {
    gateway: &'r GatewaySettings,
    api: &'r Api,
    samples: &'r Samples,
    target: &'r Target,
    echo: &'r Echo,
    nonce: TokenId,
    /// How many attempts were sent.
    sent: usize,
    /// What arrived of each, by its number.
    arrived: BTreeMap<usize, Vec<Seen>>,
}

impl Run<'_> {
    /// Sends one attempt: its number, and the status of each answer.
    fn send(&mut self, attack: &Attack) -> anyhow::Result<(usize, Vec<u16>)> {
        self.sent += 1;
        let mark = format!("{}.{}", self.nonce, self.sent);
        let statuses = self.target.send(&replaced(&attack.bytes, MARK.as_bytes(), mark.as_bytes()))?;
        for seen in self.echo.take() {
            let number = seen.values(MARK_HEADER).find_map(|mark| {
                mark.strip_prefix(self.nonce.as_str())?.strip_prefix('.')?.parse::<usize>().ok()
            });
            // without a number it is of others, such as health checks
            if let Some(number) = number {
                self.arrived.entry(number).or_default().push(seen);
            }
        }
        Ok((self.sent, statuses))
    }

    fn arrived(&self, number: usize) -> &[Seen] {
        self.arrived.get(&number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anything passes that must; else that nothing else does would mean nothing.
    fn legitimate(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.samples.allowed.is_empty(),
            "no route of the API `{}` lets any client pass, nor is one public: there is nothing to check with",
            self.api.name()
        );
        let mut failed = Vec::new();
        for attack in attacks::legitimate(self.target, self.samples) {
            let (number, statuses) = self.send(&attack)?;
            let seen = self.arrived(number);
            let fault = self.faults(&attack, seen).into_iter().next().map(|(_, why)| why);
            if seen.len() != 1 || fault.is_some() || statuses != [200] {
                failed.push((attack, statuses, fault));
            }
        }
        let told = |(attack, statuses, fault): &(Attack, Vec<u16>, Option<String>)| {
            let by = self.bearer(attack).map_or("nobody", |bearer| &bearer.name);
            let answer = statuses.first().map_or("no answer".to_owned(), ToString::to_string);
            let fault = fault.as_ref().map(|why| format!(", and {why}")).unwrap_or_default();
            printable(&format!("`{}` by {by} got {answer}{fault}", attack.title))
        };
        if let (Some(first), true) = (failed.first(), failed.len() == self.samples.allowed.len()) {
            anyhow::bail!(
                "nothing legitimate passes: {}. Does jeton run with these settings, does the gateway take `--echo` for its upstream, and is it one of `trusted_peers`?",
                told(first)
            );
        }
        for one in &failed {
            eprintln!("note: the policies allow it, but {}", told(one));
        }
        Ok(())
    }

    fn attack(&mut self) -> anyhow::Result<(BTreeMap<&'static str, Tally>, Vec<Hole>)> {
        let table = attacks::table(self.target, self.samples);
        let mut numbered = Vec::with_capacity(table.len());
        for (done, attack) in table.iter().enumerate() {
            progress(done, table.len());
            numbered.push((self.send(attack)?.0, attack));
        }
        progress(table.len(), table.len());
        // one more, so that what was late has arrived too
        for attack in attacks::legitimate(self.target, self.samples).iter().take(1) {
            self.send(attack)?;
        }
        let (mut tallies, mut holes) = (BTreeMap::<_, Tally>::new(), Vec::new());
        for (number, attack) in numbered {
            let seen = self.arrived(number);
            let faults = self.faults(attack, seen);
            let tally = tallies.entry(attack.class).or_default();
            tally.sent += 1;
            match (seen.is_empty(), faults.is_empty()) {
                (_, false) => tally.holes += 1,
                (true, true) => tally.refused += 1,
                (false, true) => tally.passed += 1,
            }
            holes.extend(faults.into_iter().map(|(seen, why)| Hole {
                class: attack.class,
                title: attack.title.clone(),
                bearer: self.bearer(attack).map_or("nobody certain", |bearer| &bearer.name).to_owned(),
                seen,
                why,
            }));
        }
        Ok((tallies, holes))
    }

    fn bearer(&self, attack: &Attack) -> Option<&Bearer> {
        self.samples.bearers.get(attack.bearer?)
    }

    /// What is wrong with what the upstream saw: a short form of it, and why.
    fn faults(&self, attack: &Attack, seen: &[Seen]) -> Vec<(String, String)> {
        let bearer = self.bearer(attack);
        let mut faults = Vec::new();
        for seen in seen {
            let shown = || format!("{} {}", seen.method, seen.target).chars().take(200).collect::<String>();
            let wrong = match bearer {
                None => Some("it is not clear whose token is meant".to_owned()),
                Some(bearer) => self.refusal(seen, bearer).or_else(|| self.forged(seen, bearer)),
            };
            faults.extend(wrong.map(|why| (shown(), why)));
        }
        faults
    }

    /// Why the policies refuse what the upstream saw, read as the upstream reads it.
    fn refusal(&self, seen: &Seen, bearer: &Bearer) -> Option<String> {
        for name in METHOD_OVERRIDES {
            let dashed = |other: &str| other.to_ascii_lowercase().replace('_', "-") == name;
            let mut values = seen.headers.iter().filter(|(other, _)| dashed(other));
            if let Some((name, value)) = values.find(|(_, value)| *value != seen.method) {
                return Some(format!("`{name}: {value}` makes another method of it"));
            }
        }
        let subject = bearer.permissions.as_ref().map(Permissions::subject);
        match self.api.decide(&seen.method, &seen.target, subject.as_ref()) {
            Decision::Allow { .. } => None,
            Decision::Deny(
                denial @ (Denial::BadPath(_)
                | Denial::BadMethod
                | Denial::NoRoute
                | Denial::NoToken { .. }
                | Denial::NotMet { .. }),
            ) => Some(format!("the policies refuse that ({}): {denial}", denial.reason())),
        }
    }

    /// What the upstream would take for jeton's or the gateway's word, and is not.
    fn forged(&self, seen: &Seen, bearer: &Bearer) -> Option<String> {
        let expected = self.identity(bearer);
        for (name, value) in &seen.headers {
            let lower = name.to_ascii_lowercase();
            let dashed = lower.replace('_', "-");
            if [
                "x-original-uri",
                "x-original-url",
                "x-original-method",
                "x-rewrite-url",
                "x-forwarded-uri",
                "x-forwarded-method",
            ]
            .contains(&&*dashed)
                && !(*value == seen.target || *value == seen.method)
            {
                return Some(format!("`{name}: {value}` of the client reached it"));
            }
            if !dashed.starts_with(IDENTITY_PREFIX) {
                continue;
            }
            match expected.get(&lower) {
                Some(expected) if expected == value => {}
                Some(expected) => {
                    return Some(format!("`{name}: {value}` reached it, where jeton says `{expected}`"));
                }
                None => return Some(format!("`{name}: {value}` of the client reached it")),
            }
        }
        for (name, value) in &expected {
            match seen.values(name).count() {
                0 if value.is_empty() => {}
                1 => {}
                0 => return Some(format!("`{name}` is missing, which is `{value}`")),
                _ => return Some(format!("`{name}` stands more than once")),
            }
        }
        None
    }

    /// What every identity header must say.
    fn identity(&self, bearer: &Bearer) -> BTreeMap<String, String> {
        let permissions = bearer.permissions.as_ref();
        let joined = |items: Vec<&str>| items.join(" ");
        let roles = permissions.map(|it| joined(it.roles.iter().map(Role::as_str).collect()));
        let mut identity = BTreeMap::from([
            ("x-auth-client".to_owned(), bearer.client.as_ref().map_or("", ClientId::as_str).to_owned()),
            ("x-auth-scopes".to_owned(), permissions.map(|it| it.scopes.to_string()).unwrap_or_default()),
            ("x-auth-roles".to_owned(), roles.unwrap_or_default()),
            ("x-auth-token-id".to_owned(), bearer.token_id.as_ref().map_or("", TokenId::as_str).to_owned()),
        ]);
        for claim in &self.gateway.claims {
            let value = permissions.and_then(|it| it.claims.get(&claim.claim));
            let value = match value {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(serde_json::Value::Array(items)) => {
                    joined(items.iter().filter_map(|it| it.as_str()).collect())
                }
                _ => String::new(),
            };
            identity.insert(claim.header.clone(), value);
        }
        identity
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len() + to.len());
    let mut rest = bytes;
    while let Some(at) = super::echo::find(rest, from) {
        let (before, after) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(to);
        rest = after.get(from.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// How far it is, where somebody watches.
fn progress(done: usize, of: usize) {
    let mut err = std::io::stderr();
    if err.is_terminal() && (done.is_multiple_of(25) || done == of) {
        let end = if done == of { "\n" } else { "" };
        let _ = write!(err, "\r{done} of {of} requests{end}");
    }
}

fn report(tallies: &BTreeMap<&'static str, Tally>, holes: &[Hole]) -> anyhow::Result<Outcome> {
    let row = |name: &str, of: [String; 4]| {
        let [sent, refused, passed, holes] = of;
        format!("{name:<20} {sent:>5} {refused:>8} {passed:>8} {holes:>6}\n")
    };
    let counts = |tally: &Tally| {
        let Tally { sent, refused, passed, holes } = tally;
        [sent, refused, passed, holes].map(ToString::to_string)
    };
    let mut text = row("attempts", ["sent", "refused", "allowed", "holes"].map(str::to_owned));
    text.extend(tallies.iter().map(|(class, tally)| row(class, counts(tally))));
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(of).sum();
    let all = Tally {
        sent: sum(|tally| tally.sent),
        refused: sum(|tally| tally.refused),
        passed: sum(|tally| tally.passed),
        holes: sum(|tally| tally.holes),
    };
    text.push_str(&row("all", counts(&all)));
    text.extend(holes.iter().map(|Hole { class, title, bearer, seen, why }| {
        let [title, seen, why] = [title, seen, why].map(|text| printable(text));
        format!("\nHOLE ({class}): {title}\n  by:       {bearer}\n  upstream: {seen}\n  but:      {why}\n")
    }));
    text.extend([match holes.len() {
        0 => "\nnothing got through that must not\n".to_owned(),
        count => format!("\n{count} times something reached the upstream that must not\n"),
    }]);
    emit(&text)?;
    Ok(if holes.is_empty() { Outcome::Done } else { Outcome::No })
}
