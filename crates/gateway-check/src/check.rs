//! The attack table through a running gateway, judged by what the upstream saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
};

use jeton_oauth::{TokenId, text::printable};
use jeton_policy::PolicySet;

use super::{
    CheckError, CheckedGateway, GatewayAddress, TokenMint,
    attacks::{self, Attack},
    bytes::replaced,
    echo::{Echo, SeenRequest},
    judge::{Fault, Judge},
    mark::{MARK_HEADER, Marks, NO_MARK, PLACE},
    report::{CheckReport, Hole},
    samples::{CheckPlan, Sample},
    wire::GatewayAnswer,
};

/// After so many attempts one is sent that must pass.
const BETWEEN_LEGITIMATE: usize = 50;
/// The same after an answer that a gateway also gives when it does not judge.
const AFTER_ERROR: usize = 8;

/// A check that was planned: who asks for what, with tokens that were made for it.
pub struct GatewayCheck<'p> {
    gateway: &'p CheckedGateway<'p>,
    mint: &'p dyn TokenMint,
    plan: CheckPlan<'p>,
    marks: Marks,
}

impl<'p> GatewayCheck<'p> {
    /// Plans a check by what the policies say of the APIs behind the gateway. Makes tokens, and sends nothing.
    ///
    /// # Errors
    /// [`CheckError::NothingToCheck`], and [`CheckError::Mint`].
    pub fn plan(
        policies: &PolicySet,
        gateway: &'p CheckedGateway<'p>,
        mint: &'p dyn TokenMint,
    ) -> Result<Self, CheckError> {
        let plan = CheckPlan::of(policies, gateway, mint)?;
        if plan.sites.is_empty() {
            return Err(CheckError::NothingToCheck(plan.left_out.join("; ")));
        }
        let nonce = mint.token_id()?;
        let marks =
            Marks::of(nonce).ok_or_else(|| CheckError::Mint("a `jti` does not have 22 characters".into()))?;
        Ok(Self { gateway, mint, plan, marks })
    }

    /// The tokens that were made, by their `jti`. They end after [`TOKEN_TTL`](super::TOKEN_TTL) seconds.
    pub fn token_ids(&self) -> impl Iterator<Item = &TokenId> {
        self.plan.bearers.iter().filter_map(|bearer| bearer.token_id.as_ref())
    }

    /// Sends the attacks to the gateway at `target`, while `listener` answers as its upstream, and judges what arrived.
    /// `progress` is told how many of how many were sent.
    ///
    /// # Errors
    /// [`CheckError`] where what must pass does not.
    pub fn run(
        mut self,
        title: String,
        target: &GatewayAddress,
        listener: TcpListener,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<CheckReport, CheckError> {
        let mut line = GatewayLine {
            target,
            echo: Echo::answer(listener),
            marks: &self.marks,
            mint: self.mint,
            sent: 0,
            arrived: BTreeMap::new(),
        };
        let mut report = CheckReport::new(title);
        legitimate(&mut self.plan, &mut line, &mut report)?;
        let judge = Judge { gateway: self.gateway, plan: &self.plan, marks: &self.marks };
        CheckRun { judge, line, report }.attack(progress)
    }
}

/// From the client to the upstream.
struct GatewayLine<'l> {
    target: &'l GatewayAddress,
    echo: Echo,
    marks: &'l Marks,
    /// Knows the time.
    mint: &'l dyn TokenMint,
    /// How many attempts were sent, which is the number of the last.
    sent: usize,
    /// What arrived of each, by its number.
    arrived: BTreeMap<usize, Vec<SeenRequest>>,
}

impl GatewayLine<'_> {
    /// Sends one attempt: its number, and what was answered.
    fn send(&mut self, attack: &Attack) -> Result<(usize, Vec<GatewayAnswer>), CheckError> {
        self.sent += 1;
        let mark = self.marks.text(self.sent);
        let mut bytes = replaced(&attack.bytes, PLACE.as_bytes(), mark.as_bytes());
        for proof in &attack.proofs {
            let made = proof.text(self.mint.now())?;
            bytes = replaced(&bytes, proof.place().as_bytes(), made.as_bytes());
        }
        let answers = self.target.send(&bytes)?;
        for seen in self.echo.take() {
            let number = seen.values(MARK_HEADER).find_map(|mark| self.marks.number_in(mark));
            // without a number it is of others, such as health checks
            if let Some(number) = number {
                self.arrived.entry(number).or_default().push(seen);
            }
        }
        Ok((self.sent, answers))
    }

    fn arrived(&self, number: usize) -> &[SeenRequest] {
        self.arrived.get(&number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Sends what must pass: what came of it instead, if it did not.
    fn passes(&mut self, plan: &CheckPlan<'_>, attack: &Attack) -> Result<Result<(), NotPassed>, CheckError> {
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

fn told(plan: &CheckPlan<'_>, attack: &Attack, what: &str) -> String {
    let bearer = attack.bearer.and_then(|bearer| plan.bearers.get(bearer));
    let by = bearer.map_or("nobody", |bearer| &bearer.name);
    let host = plan.sites.get(attack.site).map_or("", |site| &site.host);
    printable(&format!("`{}` at {host} by {by} got {what}", attack.title))
}

/// Whether what must pass does; else that nothing else passes would mean nothing. What does not is not attacked.
fn legitimate(
    plan: &mut CheckPlan<'_>,
    line: &mut GatewayLine<'_>,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
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
            return Err(CheckError::NotPassing(format!(
                "something other than `--echo` answers for the upstream: {told}. Has the gateway a second upstream that is live, or a cache before it?"
            )));
        }
        let has_passed = |of: &Sample| {
            passed.iter().any(|it| it.bearer == of.bearer && (it.needs_token || !of.needs_token))
        };
        let is_client = |bearer: usize| plan.bearers.get(bearer).is_some_and(|bearer| bearer.is_client);
        if let Some((_, first, _)) = failed.first().filter(|_| passed.is_empty()) {
            return Err(CheckError::NotPassing(format!("nothing legitimate passes: {first}. {HINT}")));
        }
        if let Some((_, first, _)) =
            failed.iter().find(|(sample, ..)| is_client(sample.bearer) && !has_passed(sample))
        {
            return Err(CheckError::NotPassing(format!("nothing of a client passes: {first}. {HINT}")));
        }
        let needs_token = |sample: &Sample| sample.needs_token;
        if site.allowed.iter().any(needs_token) && !passed.iter().any(needs_token) {
            let first = failed.first().map_or("", |(_, told, _)| told);
            return Err(CheckError::NotPassing(format!(
                "nothing that needs a token passes: {first}. {HINT}"
            )));
        }
        report
            .untested
            .extend(failed.into_iter().map(|(_, told, _)| format!("the policies allow it, but {told}")));
        if let Some(bound) = site.bound.as_ref().filter(|_| site.origin.is_some())
            && let Some(attack) = attacks::legitimate(plan, at, &bound.by_key, "")
            && let Err(NotPassed { told, .. }) = line.passes(plan, &attack)?
        {
            report.not_passing.push(format!(
                "a token that is bound to a key, with its proof: {told}. Does the gateway hand over `DPoP`, and do clients ask by its origin, {}?",
                site.origin.as_deref().unwrap_or_default()
            ));
        }
        if let Some(site) = plan.sites.get_mut(at) {
            site.allowed = passed;
        }
    }
    Ok(())
}

struct CheckRun<'r> {
    judge: Judge<'r>,
    line: GatewayLine<'r>,
    report: CheckReport,
}

/// What was sent and waits for its verdict: what is late may still arrive.
struct Sent {
    number: usize,
    attack: Attack,
    answers: Vec<GatewayAnswer>,
}

impl CheckRun<'_> {
    fn attack(mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<CheckReport, CheckError> {
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

    fn judge_one(&mut self, number: usize, attack: &Attack, answers: &[GatewayAnswer]) {
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
        let by = if self.judge.gateway.by_host { format!("{by} at {host}") } else { by.to_owned() };
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
fn canaries(plan: &CheckPlan<'_>) -> Vec<(usize, Sample)> {
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
