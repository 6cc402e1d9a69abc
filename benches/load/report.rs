//! The figures as tables of markdown, and the budgets.

use crate::{
    figures::{Figures, Sample},
    picture::Bar,
    scenario::Kind,
};

pub(crate) struct Report {
    pub(crate) figures: Vec<Figures>,
    /// Tokens in a second, and the 99th percentile at that rate in milliseconds.
    pub(crate) steady: Option<(f64, f64)>,
    /// Requests, without those for `/healthz`, that jeton had answered when it had so many MiB in memory.
    pub(crate) resident: (u64, f64),
    pub(crate) not_run: Vec<String>,
}

/// Something that was promised, and whether it holds.
struct Budget {
    what: String,
    measured: String,
    promised: String,
    met: bool,
}

impl Budget {
    fn at_most(what: &str, measured: f64, most: f64, unit: &str) -> Self {
        Self::new(what, measured, ("at most", most), unit, measured <= most)
    }

    fn at_least(what: &str, measured: f64, least: f64, unit: &str) -> Self {
        Self::new(what, measured, ("at least", least), unit, measured >= least)
    }

    fn new(what: &str, measured: f64, (side, limit): (&str, f64), unit: &str, met: bool) -> Self {
        let places = if measured < 2.0 { 3 } else { 1 };
        Self {
            what: what.to_owned(),
            measured: format!("{measured:.places$} {unit}"),
            promised: format!("{side} {limit} {unit}"),
            met,
        }
    }
}

impl Report {
    pub(crate) fn print(&self) {
        println!("\n| what | requests/s | p50 | p99 | p99.9 | CPU a request | against raw | resident |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
        let raw = self.of_all(|sample| sample.raw_signature);
        println!("| raw RSA-2048 signature | | | | | {raw:.1} us | 1 | |");
        println!(
            "| raw signature and raw verification | | | | | {:.1} us | | |",
            self.of_all(|sample| sample.raw_both)
        );
        for figures in &self.figures {
            println!(
                "| {} | {:.0} | {} | {} | {} | {:.1} us | {:.3} | {:.1} MiB |",
                figures.kind.name(),
                figures.rate(),
                milliseconds(figures.median(|sample| sample.p50)),
                milliseconds(figures.median(|sample| sample.p99)),
                milliseconds(figures.median(|sample| sample.p999)),
                figures.cpu(),
                figures.against_raw(),
                figures.median(|sample| sample.resident),
            );
        }
        println!("\n| budget | measured | promised | |\n|---|---:|---:|---|");
        for Budget { what, measured, promised, met } in self.budgets() {
            println!("| {what} | {measured} | {promised} | {} |", if met { "met" } else { "**missed**" });
        }
        println!();
        for what in &self.not_run {
            println!("NOT RUN: {what}");
        }
    }

    fn budgets(&self) -> Vec<Budget> {
        let of = |kind| self.figures.iter().find(|figures| figures.kind == kind);
        let cpu = |sample: &Sample| sample.cpu;
        let mut budgets = Vec::new();
        if let Some(token) = of(Kind::Token) {
            budgets.push(Budget::at_most("CPU: token / raw signature", token.against_raw(), 1.06, "x"));
            if let Some(bare) = of(Kind::Bare) {
                budgets.push(Budget::at_most(
                    "CPU: token / bare server",
                    token.against(bare, cpu),
                    1.04,
                    "x",
                ));
            }
            if let Some(reuse) = of(Kind::Reuse) {
                budgets.push(Budget::at_least(
                    "CPU: token / token reused",
                    token.against(reuse, cpu),
                    15.0,
                    "x",
                ));
            }
            if let Some(peer) = of(Kind::Peer) {
                let times = peer.against(token, cpu);
                budgets.push(Budget::at_least("CPU: oidc-provider / token", times, 1.6, "x"));
            }
        }
        if let Some(assertion) = of(Kind::Assertion) {
            let times = assertion.median(|sample| sample.cpu / sample.raw_both);
            let what = "CPU: token by private_key_jwt / raw signature and verification";
            budgets.push(Budget::at_most(what, times, 1.1, "x"));
        }
        if let (Some(warm), Some(healthz)) = (of(Kind::Warm), of(Kind::Healthz)) {
            let what = "CPU: /principal with one token / /healthz";
            budgets.push(Budget::at_most(what, warm.against(healthz, cpu), 1.5, "x"));
        }
        for (what, plain, tls) in [
            ("CPU: token over TLS / without", Kind::Token, Kind::TlsToken),
            ("CPU: /principal over TLS / without", Kind::Warm, Kind::TlsWarm),
            ("CPU: /healthz over TLS / without", Kind::Healthz, Kind::TlsHealthz),
        ] {
            if let (Some(plain), Some(tls)) = (of(plain), of(tls)) {
                budgets.push(Budget::at_most(what, tls.against(plain, cpu), 1.15, "x"));
            }
        }
        if let (Some(authz), Some(healthz), Some(cerbos)) =
            (of(Kind::Authz), of(Kind::Healthz), of(Kind::Cerbos))
        {
            let what = "CPU: /authz with one token / /healthz";
            budgets.push(Budget::at_most(what, authz.against(healthz, cpu), 1.5, "x"));
            budgets.push(Budget::at_least("CPU: Cerbos / /authz", cerbos.against(authz, cpu), 10.0, "x"));
        }
        if let Some((rate, p99)) = self.steady {
            let what = format!("p99 at {rate:.0} tokens/s, 80 % of saturation");
            budgets.push(Budget::at_most(&what, p99, 5.0, "ms"));
        }
        let (requests, resident) = self.resident;
        let what = format!("resident after {requests} requests besides /healthz");
        budgets.push(Budget::at_most(&what, resident, 24.0, "MiB"));
        budgets
    }

    /// For the picture: the raw signature, and the CPU time of each request.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let raw = Bar {
            name: "raw RSA-2048 signature",
            micros: self.of_all(|sample| sample.raw_signature),
            colour: "#59636e",
        };
        let colour = |kind| match kind {
            Kind::Bare => "#59636e",
            Kind::Peer | Kind::Cerbos => "#bc4c00",
            _ => "#0969da",
        };
        let bar = |figures: &Figures| Bar {
            name: figures.kind.name(),
            micros: figures.cpu(),
            colour: colour(figures.kind),
        };
        std::iter::once(raw).chain(self.figures.iter().map(bar)).collect()
    }

    /// The median over all scenarios.
    fn of_all(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut medians: Vec<_> = self.figures.iter().map(|figures| figures.median(&of)).collect();
        crate::median::median(&mut medians)
    }
}

/// Two digits at least.
fn milliseconds(micros: f64) -> String {
    let places = if micros < 1_000.0 { 2 } else { 1 };
    format!("{:.places$} ms", micros / 1e3)
}
