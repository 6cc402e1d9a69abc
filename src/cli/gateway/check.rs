//! `jeton gateway check`: the attack table through a running gateway, judged by what the upstream saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use url::Url;

use super::{
    super::{Outcome, emit, say, settings, surroundings},
    Address,
    attacks::{self, Attack},
    bytes::replaced,
    echo::{Echo, Seen},
    gateway,
    judge::{Fault, Judge},
    mark::{MARK_HEADER, Marks, NO_MARK, PLACE},
    report::{Hole, Report},
    samples::{Mint, Plan, Sample, TTL},
    wire::{Answer, GatewayUrl, Target},
};
use crate::{
    app::key_keeper,
    clock::{Clock, SystemClock},
    config::{GatewayApis, GatewaySettings, Needs, Settings},
    grant::random_id,
    keys::KeyRing,
    oauth::{ApiName, TokenId},
    policy::{Api, DemoSecrets, PolicySet, Sources},
    printable::printable,
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// Where the gateway listens: `http://HOST:PORT`.
    #[arg(value_parser = GatewayUrl)]
    url: Url,
    /// Which gateway it is: `[gateways.NAME]` of the settings.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The address that the gateway takes for its upstream; nothing else may listen there.
    #[arg(long, value_name = "ADDR")]
    echo: Address,
}

/// After so many attempts one is sent that must pass.
const BETWEEN_LEGITIMATE: usize = 50;
/// The same after an answer that a gateway also gives when it does not judge.
const AFTER_ERROR: usize = 8;

impl Check {
    pub(super) fn run(&self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let settings = settings(Needs::Everything, config)?;
        let gateway = gateway(&settings, &self.gateway)?;
        let target = Target::of(&self.url)?;
        let policies = policies(&settings)?;
        let apis = apis(gateway, &policies, &target.host)?;
        let ring = ring(&settings)?;
        let mint = Mint { ring: &ring, issuer: &settings.issuer, clock: &SystemClock };
        let mut plan = Plan::of(&policies, &apis, gateway, &mint)?;
        anyhow::ensure!(
            !plan.sites.is_empty(),
            "there is nothing to check with: {}",
            plan.left_out.join("; ")
        );
        let listener = TcpListener::bind(self.echo.to_string()).with_context(|| {
            format!("{} cannot be listened on: the upstream itself must not run", self.echo)
        })?;
        let token_ids = plan.bearers.iter().filter_map(|bearer| bearer.token_id.as_ref());
        let token_ids: Vec<_> = token_ids.map(TokenId::as_str).collect();
        say!(
            "{} tokens were made for this check; they end within {} minutes: {}",
            token_ids.len(),
            TTL / 60,
            token_ids.join(", ")
        );
        let by_host = matches!(gateway.apis, GatewayApis::ByHost(_));
        let marks = Marks::of(random_id().map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?);
        let mut line = Line {
            target: &target,
            echo: Echo::answer(listener),
            marks: &marks,
            sent: 0,
            arrived: BTreeMap::new(),
        };
        let mut report = Report::new(self.title(gateway, &apis, by_host));
        legitimate(&mut plan, &mut line, &mut report)?;
        let judge = Judge { gateway, apis: &apis, by_host, plan: &plan, marks: &marks };
        Run { judge, line, report }.attack().and_then(|report| {
            emit(&report.text())?;
            Ok(report.outcome())
        })
    }

    fn title(&self, gateway: &GatewaySettings, apis: &BTreeMap<String, &Api>, by_host: bool) -> String {
        let apis: Vec<_> = apis
            .iter()
            .map(|(host, api)| {
                let at = if by_host { format!(" at {host}") } else { String::new() };
                format!("API `{}`{at}", api.name())
            })
            .collect();
        let url = self.url.as_str().trim_end_matches('/');
        format!("gateway {} ({}) at {url}: {}", gateway.name, gateway.kind.name(), apis.join(", "))
    }
}

/// The API at each host; where it does not depend on the host, one for the host of the URL.
fn apis<'p>(
    gateway: &GatewaySettings,
    policies: &'p PolicySet,
    own_host: &str,
) -> anyhow::Result<BTreeMap<String, &'p Api>> {
    let find = |host: &str, api: &ApiName| {
        let found = policies.api(api.as_str());
        Ok((host.to_owned(), found.with_context(|| format!("the policies have no API `{api}`"))?))
    };
    match &gateway.apis {
        GatewayApis::One(api) => Ok(BTreeMap::from([find(own_host, api)?])),
        GatewayApis::ByHost(hosts) => hosts.iter().map(|(host, api)| find(host.as_str(), api)).collect(),
    }
}

fn policies(settings: &Settings) -> anyhow::Result<PolicySet> {
    let surroundings = surroundings(settings, DemoSecrets::Allowed);
    let sources = Sources::read(&settings.policies.dir);
    let compiled = sources.and_then(|sources| PolicySet::compile(&sources, &surroundings, SystemClock.now()));
    compiled.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))
}

fn ring(settings: &Settings) -> anyhow::Result<KeyRing> {
    let keeper = key_keeper(settings, Arc::new(SystemClock));
    let keys =
        keeper.folder().load().context("the service makes its key at its first start: is it running?")?;
    Ok(keys.at(SystemClock.now(), keeper.terms()))
}

/// From the client to the upstream.
struct Line<'l> {
    target: &'l Target,
    echo: Echo,
    marks: &'l Marks,
    /// How many attempts were sent, which is the number of the last.
    sent: usize,
    /// What arrived of each, by its number.
    arrived: BTreeMap<usize, Vec<Seen>>,
}

impl Line<'_> {
    /// Sends one attempt: its number, and what was answered.
    fn send(&mut self, attack: &Attack) -> anyhow::Result<(usize, Vec<Answer>)> {
        self.sent += 1;
        let mark = self.marks.text(self.sent);
        let answers = self.target.send(&replaced(&attack.bytes, PLACE.as_bytes(), mark.as_bytes()))?;
        for seen in self.echo.take() {
            let number = seen.values(MARK_HEADER).find_map(|mark| self.marks.number_in(mark));
            // without a number it is of others, such as health checks
            if let Some(number) = number {
                self.arrived.entry(number).or_default().push(seen);
            }
        }
        Ok((self.sent, answers))
    }

    fn arrived(&self, number: usize) -> &[Seen] {
        self.arrived.get(&number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Sends what must pass: what came of it instead, if it did not.
    fn passes(&mut self, plan: &Plan<'_>, attack: &Attack) -> anyhow::Result<Result<(), NotPassed>> {
        let (number, answers) = self.send(attack)?;
        let [answer] = &answers[..] else {
            let what = format!("{} answers", answers.len());
            return Ok(Err(NotPassed { told: told(plan, attack, &what), is_answered: false }));
        };
        let arrived = self.arrived(number).len();
        if answer.status == 200 && arrived == 1 {
            return Ok(Ok(()));
        }
        let is_cached = self.marks.number_in(answer.text()).is_some();
        let has_no_mark = answer.text().contains(NO_MARK);
        let what = match (answer.is_success(), arrived) {
            (true, 0) if is_cached => format!("{}, the answer to another request", answer.status),
            (true, 0) if has_no_mark => format!(
                "{}, and reached the upstream without `{MARK_HEADER}`, which the gateway must pass on",
                answer.status
            ),
            (true, 0) => format!("{}, no answer of `--echo`", answer.status),
            (false, 0) => answer.status.to_string(),
            (_, times) => format!("{}, and reached the upstream {times} times", answer.status),
        };
        let is_answered = answer.is_success() && arrived == 0 && !is_cached && !has_no_mark;
        Ok(Err(NotPassed { told: told(plan, attack, &what), is_answered }))
    }
}

/// Something that had to pass.
struct NotPassed {
    told: String,
    /// Whether somebody else than the upstream said that all is well.
    is_answered: bool,
}

fn told(plan: &Plan<'_>, attack: &Attack, what: &str) -> String {
    let bearer = attack.bearer.and_then(|bearer| plan.bearers.get(bearer));
    let by = bearer.map_or("nobody", |bearer| &bearer.name);
    let host = plan.sites.get(attack.site).map_or("", |site| &site.host);
    printable(&format!("`{}` at {host} by {by} got {what}", attack.title))
}

/// Whether what must pass does; else that nothing else passes would mean nothing. What does not is not attacked.
fn legitimate(plan: &mut Plan<'_>, line: &mut Line<'_>, report: &mut Report) -> anyhow::Result<()> {
    const HINT: &str = "Does jeton run with these settings, its keys among them, does the gateway take `--echo` for its upstream, and is it one of `trusted_peers`?";
    report.untested.append(&mut plan.left_out);
    for at in 0..plan.sites.len() {
        let Some(site) = plan.sites.get(at) else { continue };
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        for sample in &site.allowed {
            let Some(attack) = attacks::legitimate(plan, at, sample, "") else { continue };
            match line.passes(plan, &attack)? {
                Ok(()) => passed.push(sample.clone()),
                Err(NotPassed { told, is_answered }) => failed.push((sample.clone(), told, is_answered)),
            }
        }
        // a gateway may answer a public path itself, but then always
        let is_split = |of: &Sample| of.needs_token || passed.iter().any(|it: &Sample| it.path == of.path);
        if let Some((_, told, _)) = failed.iter().find(|(of, _, is_answered)| *is_answered && is_split(of)) {
            anyhow::bail!(
                "something else than `--echo` answers for the upstream: {told}. Has the gateway a second upstream that is live, or a cache before it?"
            );
        }
        let has_passed = |of: &Sample| {
            passed.iter().any(|it| it.bearer == of.bearer && (it.needs_token || !of.needs_token))
        };
        let is_client = |bearer: usize| plan.bearers.get(bearer).is_some_and(|bearer| bearer.is_client);
        if let Some((_, first, _)) = failed.first().filter(|_| passed.is_empty()) {
            anyhow::bail!("nothing legitimate passes: {first}. {HINT}");
        }
        if let Some((_, first, _)) =
            failed.iter().find(|(sample, ..)| is_client(sample.bearer) && !has_passed(sample))
        {
            anyhow::bail!("nothing of a client passes: {first}. {HINT}");
        }
        let needs_token = |sample: &Sample| sample.needs_token;
        if site.allowed.iter().any(needs_token) && !passed.iter().any(needs_token) {
            let first = failed.first().map_or("", |(_, told, _)| told);
            anyhow::bail!("nothing that needs a token passes: {first}. {HINT}");
        }
        report
            .untested
            .extend(failed.into_iter().map(|(_, told, _)| format!("the policies allow it, but {told}")));
        if let Some(site) = plan.sites.get_mut(at) {
            site.allowed = passed;
        }
    }
    Ok(())
}

struct Run<'r> {
    judge: Judge<'r>,
    line: Line<'r>,
    report: Report,
}

/// What was sent and waits for its verdict: what is late may still arrive.
struct Sent {
    number: usize,
    attack: Attack,
    answers: Vec<Answer>,
}

impl Run<'_> {
    fn attack(mut self) -> anyhow::Result<Report> {
        let plan = self.judge.plan;
        let canaries = canaries(plan);
        let table = attacks::table(plan);
        let (of, mut sent, mut since, mut limit) =
            (table.len(), Vec::with_capacity(table.len()), 0, BETWEEN_LEGITIMATE);
        let mut turn = canaries.iter().cycle();
        // what passes must also come as it should
        for (at, sample) in
            plan.sites.iter().enumerate().flat_map(|(at, site)| site.allowed.iter().map(move |it| (at, it)))
        {
            if let Some(attack) = attacks::legitimate(plan, at, sample, "") {
                let (number, answers) = self.line.send(&attack)?;
                sent.push(Sent { number, attack, answers });
            }
        }
        for (done, attack) in table.into_iter().enumerate() {
            progress(done, of);
            let (number, answers) = self.line.send(&attack)?;
            if answers.iter().any(|answer| answer.status == 429 || answer.status >= 500) {
                limit = limit.min(since + AFTER_ERROR);
            }
            sent.push(Sent { number, attack, answers });
            since += 1;
            if since < limit && done + 1 < of {
                continue;
            }
            let Some((at, sample)) = turn.next() else { continue };
            // with a query of its own, so that no cache answers it
            let query = format!("?check={number}");
            let Some(attack) = attacks::legitimate(plan, *at, sample, &query) else { continue };
            if let Err(NotPassed { told, .. }) = self.line.passes(plan, &attack)? {
                self.report.stopped = Some(format!(
                    "after {} of {of} attempts nothing legitimate passes any more: {told}. The last {since} attempts may not have been judged, and the rest was not sent: does jeton run, and does the gateway limit how often one asks?",
                    done + 1
                ));
                break;
            }
            (since, limit) = (0, BETWEEN_LEGITIMATE);
        }
        progress(of, of);
        for Sent { number, attack, answers } in &sent {
            self.judge_one(*number, attack, answers);
        }
        Ok(self.report)
    }

    fn judge_one(&mut self, number: usize, attack: &Attack, answers: &[Answer]) {
        let arrived = self.line.arrived(number);
        let faults = self.judge.faults(attack, number, arrived, answers);
        let tally = self.report.tallies.entry(attack.class).or_default();
        tally.sent += 1;
        match (arrived.is_empty(), faults.is_empty()) {
            (_, false) => tally.holes += 1,
            (true, true) if answers.iter().any(|answer| answer.status == 429) => self.report.limited += 1,
            (true, true) => tally.refused += 1,
            (false, true) => tally.passed += 1,
        }
        if let ([seen], true, None) = (arrived, faults.is_empty(), &self.report.rewritten) {
            let line =
                String::from_utf8_lossy(attack.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default());
            let sent = line.split(' ').nth(1).unwrap_or_default();
            let is_plain = sent.starts_with('/') && sent.bytes().all(|byte| byte.is_ascii_graphic());
            if is_plain && sent != seen.target {
                self.report.rewritten = Some((sent.to_owned(), seen.target.clone()));
            }
        }
        let host = self.judge.plan.sites.get(attack.site).map_or("", |site| &site.host);
        let by = self.judge.bearer(attack).map_or("nobody certain", |bearer| &bearer.name);
        let by = if self.judge.by_host { format!("{by} at {host}") } else { by.to_owned() };
        let hole = |Fault { seen, why }| Hole {
            class: attack.class,
            title: attack.title.clone(),
            bearer: by.clone(),
            seen,
            why,
        };
        self.report.holes.extend(faults.into_iter().map(hole));
    }
}

/// One request that passes for each bearer at each host, those that need a token first.
fn canaries(plan: &Plan<'_>) -> Vec<(usize, Sample)> {
    let mut of = BTreeSet::new();
    let each =
        plan.sites.iter().enumerate().flat_map(|(at, site)| site.allowed.iter().map(move |it| (at, it)));
    let mut chosen: Vec<_> = each
        .filter(|(at, sample)| of.insert((*at, sample.bearer)))
        .map(|(at, sample)| (at, sample.clone()))
        .collect();
    chosen.sort_by_key(|(_, sample)| !sample.needs_token);
    // that a public page still comes says nothing of jeton
    if chosen.iter().any(|(_, sample)| sample.needs_token) {
        chosen.retain(|(_, sample)| sample.needs_token);
    }
    chosen
}

/// How far it is, where somebody watches.
fn progress(done: usize, of: usize) {
    let mut err = std::io::stderr();
    if err.is_terminal() && (done.is_multiple_of(25) || done == of) {
        let end = if done == of { "\n" } else { "" };
        let _ = write!(err, "\r{done} of {of} requests{end}");
    }
}
