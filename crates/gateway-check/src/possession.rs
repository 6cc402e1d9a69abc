//! Attacks on tokens that only their holder can use: stolen ones, without the proof or the certificate that they are bound
//! to, or with those of another request.

use std::sync::Arc;

use super::{
    attacks::{Table, forgeries},
    certificates,
    proofs::{PlannedProof, ProofKey, ProofOf, ProofSignature},
    request::Raw,
    samples::{BoundSample, Sample},
};

/// Why none of these may arrive.
const NOT_SHOWN: &str = "the request does not show that its token is its own";
const PROOFS: &str = "DPoP proofs";
const CERTIFICATES: &str = "client certificates";
/// Where another service might be that gets the same token.
const ELSEWHERE: &str = "https://elsewhere.invalid";
/// Headers by which a request says that it was sent to another host, or by another scheme.
const SENT_ELSEWHERE: [&str; 6] = [
    "X-Forwarded-Host: elsewhere.invalid",
    "X-Original-Host: elsewhere.invalid",
    "X-Host: elsewhere.invalid",
    "Forwarded: host=elsewhere.invalid;proto=https",
    "X-Forwarded-Host: elsewhere.invalid\r\nX-Forwarded-Proto: https",
    "Host: elsewhere.invalid",
];
/// Headers by which a request says that it was sent to another path, `{path}`.
const SENT_TO_A_PATH: [&str; 4] =
    ["X-Original-URI: {path}", "X-Forwarded-Uri: {path}", "X-Rewrite-URL: {path}", "X-Original-URL: {path}"];
/// How far a proof may be off at most, twice, in seconds: the longest leeway that jeton takes is five minutes.
const LONG_AGO: i64 = 900;

/// A token that is bound to a key, in the hands of somebody else.
struct Stolen<'s> {
    /// What it is good for.
    sample: &'s Sample,
    /// The header that shows it as it must be shown.
    by_dpop: &'s str,
    /// Its key, and one that is not.
    key: &'s Arc<ProofKey>,
    other_key: &'s Arc<ProofKey>,
    /// What a proof for it must be of.
    sound: ProofOf<'s>,
}

impl Table<'_> {
    /// A token that is bound to a key, without its proof, or with another one.
    pub(crate) fn proofs(&mut self) {
        let site = self.site;
        let (Some(bound), Some(origin)) = (&site.bound, &site.origin) else { return };
        let sample = &bound.by_key;
        let Some((token, key)) =
            self.plan.bearers.get(sample.bearer).and_then(|it| it.token.as_deref().zip(it.key.as_ref()))
        else {
            return;
        };
        let address = format!("{origin}{}", sample.path);
        let sound = ProofOf {
            method: &sample.method,
            address: &address,
            token: Some(token),
            age: 0,
            signature: ProofSignature::Sound,
        };
        let by_dpop = format!("Authorization: DPoP {token}");
        let stolen = Stolen { sample, by_dpop: &by_dpop, key, other_key: &bound.other_key, sound };
        let loose = self.plan.bearers.get(bound.unbound).and_then(|it| it.token.as_deref());
        self.without_its_proof(&stolen, token, loose);
        self.with_wrong_proofs(&stolen, origin);
        self.told_elsewhere(&stolen, origin);
        self.with_several_proofs(&stolen);
        self.forged_tokens(&stolen, token);
        self.replayed(&stolen);
    }

    /// What does not even try to prove anything.
    fn without_its_proof(&mut self, stolen: &Stolen<'_>, token: &str, loose: Option<&str>) {
        let Stolen { sample, by_dpop, key, ref sound, .. } = *stolen;
        let by_bearer = format!("Authorization: Bearer {token}");
        self.stolen(sample, "the token as Bearer", &[&by_bearer], &[]);
        self.stolen(sample, "the token as Bearer, and a proof", &[&by_bearer], &[key.plan(sound)]);
        self.stolen(sample, "the token without a proof", &[by_dpop], &[]);
        for (what, header) in [("an empty proof", "DPoP:"), ("no proof but a word", "DPoP: proof")] {
            self.stolen(sample, what, &[by_dpop, header], &[]);
        }
        self.stolen(sample, "the token as Bearer and as DPoP", &[by_dpop, &by_bearer], &[key.plan(sound)]);
        if let Some(loose) = loose {
            let loose_proof = key.plan(&ProofOf { token: Some(loose), ..sound.clone() });
            self.stolen(
                sample,
                "a token that is not bound, as DPoP",
                &[&format!("Authorization: DPoP {loose}")],
                &[loose_proof],
            );
        }
    }

    /// Another path of the API.
    fn other_path(&self, sample: &Sample) -> String {
        let all = self.site.refused.iter().chain(&self.site.allowed);
        all.map(|it| &it.path)
            .find(|path| **path != sample.path)
            .map_or("/elsewhere".to_owned(), String::clone)
    }

    /// Proofs of somebody else, for something else, of another time.
    fn with_wrong_proofs(&mut self, stolen: &Stolen<'_>, origin: &str) {
        let Stolen { sample, by_dpop, key, other_key: other, ref sound } = *stolen;
        let port = format!("{origin}:8443{}", sample.path);
        let elsewhere = format!("{ELSEWHERE}{}", sample.path);
        let clear = sound.address.replacen("https://", "http://", 1);
        let below = format!("{origin}{}", self.other_path(sample));
        let other_method = other_method(sample);
        let rows: Vec<(&str, &Arc<ProofKey>, ProofOf<'_>)> = vec![
            ("a proof of another key", other, sound.clone()),
            ("a proof for another method", key, ProofOf { method: other_method, ..sound.clone() }),
            ("a proof for another path", key, ProofOf { address: &below, ..sound.clone() }),
            ("a proof for another host", key, ProofOf { address: &elsewhere, ..sound.clone() }),
            ("a proof for another port", key, ProofOf { address: &port, ..sound.clone() }),
            ("a proof without `ath`", key, ProofOf { token: None, ..sound.clone() }),
            ("a proof for another token", key, ProofOf { token: Some("another"), ..sound.clone() }),
            ("an old proof", key, ProofOf { age: LONG_AGO, ..sound.clone() }),
            ("a proof of the future", key, ProofOf { age: -LONG_AGO, ..sound.clone() }),
            ("a proof with alg none", key, ProofOf { signature: ProofSignature::None, ..sound.clone() }),
            (
                "a proof with another signature",
                key,
                ProofOf { signature: ProofSignature::Another, ..sound.clone() },
            ),
        ];
        for (what, key, of) in rows {
            self.stolen(sample, what, &[by_dpop], &[key.plan(&of)]);
        }
        if clear != sound.address {
            let proof = key.plan(&ProofOf { address: &clear, ..sound.clone() });
            self.stolen(sample, "a proof for clear text", &[by_dpop, "X-Forwarded-Proto: http"], &[proof]);
        }
    }

    /// Proofs for another request, which is told as the one that was sent.
    fn told_elsewhere(&mut self, stolen: &Stolen<'_>, origin: &str) {
        let Stolen { sample, by_dpop, key, ref sound, .. } = *stolen;
        let elsewhere = format!("{ELSEWHERE}{}", sample.path);
        let other_path = self.other_path(sample);
        let below = format!("{origin}{other_path}");
        let other_method = other_method(sample);
        for header in SENT_ELSEWHERE {
            let proof = key.plan(&ProofOf { address: &elsewhere, ..sound.clone() });
            self.stolen(
                sample,
                &format!("a proof for another host and {header}"),
                &[by_dpop, header],
                &[proof],
            );
        }
        for header in SENT_TO_A_PATH {
            let header = header.replace("{path}", &other_path);
            let proof = key.plan(&ProofOf { address: &below, ..sound.clone() });
            self.stolen(
                sample,
                &format!("a proof for another path and {header}"),
                &[by_dpop, &header],
                &[proof],
            );
        }
        for name in ["X-HTTP-Method-Override", "X-Original-Method", "X-Forwarded-Method"] {
            let header = format!("{name}: {other_method}");
            let proof = key.plan(&ProofOf { method: other_method, ..sound.clone() });
            self.stolen(
                sample,
                &format!("a proof for another method and {header}"),
                &[by_dpop, &header],
                &[proof],
            );
        }
    }

    fn with_several_proofs(&mut self, stolen: &Stolen<'_>) {
        let Stolen { sample, by_dpop, key, other_key, ref sound } = *stolen;
        let foreign = || other_key.plan(sound);
        self.stolen(sample, "two proofs", &[by_dpop], &[key.plan(sound), key.plan(sound)]);
        self.stolen(sample, "two proofs, the wrong one last", &[by_dpop], &[key.plan(sound), foreign()]);
        self.stolen(sample, "two proofs, the wrong one first", &[by_dpop], &[foreign(), key.plan(sound)]);
        let joined = [key.plan(sound), foreign()];
        let header = format!("DPoP: {}, {}", joined[0].place(), joined[1].place());
        let mut raw = self.bare(sample).with(by_dpop).with(header);
        raw.proofs.extend(joined);
        self.refused(PROOFS, "two proofs in one header", &raw, sample.bearer);
    }

    /// A proof that somebody has seen on its way.
    fn replayed(&mut self, stolen: &Stolen<'_>) {
        let Stolen { sample, by_dpop, key, ref sound, .. } = *stolen;
        let seen = key.plan(sound);
        let raw = self.bare(sample).with(by_dpop).proves(Arc::clone(&seen));
        self.add(PROOFS, "its proof", &raw, Some(sample.bearer));
        self.stolen(sample, "the same proof again", &[by_dpop], &[Arc::clone(&seen)]);
        let path = format!("{}?again", sample.path);
        let raw = Raw::new(&self.site.host, &sample.method, path).with(by_dpop).proves(seen);
        self.refused(PROOFS, "the same proof again, with a query", &raw, sample.bearer);
    }

    /// What only looks like the token, with a proof that is right for it.
    fn forged_tokens(&mut self, stolen: &Stolen<'_>, token: &str) {
        let Stolen { sample, key, ref sound, .. } = *stolen;
        for (what, forged) in forgeries(token) {
            let proof = key.plan(&ProofOf { token: Some(&forged), ..sound.clone() });
            let shown = format!("Authorization: DPoP {forged}");
            self.stolen(sample, &format!("{what}, and its proof"), &[&shown], &[proof]);
        }
    }

    /// A token that is bound to a certificate, which the client only names; and what becomes of such a header of a client
    /// that needs none.
    pub(crate) fn certificates(&mut self) {
        let site = self.site;
        let Some(BoundSample { by_certificate, .. }) = &site.bound else { return };
        let Some(token) = self.plan.bearers.get(by_certificate.bearer).and_then(|it| it.token.clone()) else {
            return;
        };
        let by_bearer = format!("Authorization: Bearer {token}");
        self.certified(by_certificate, "the token without its certificate", &[&by_bearer]);
        for (name, value) in &*certificates::HEADERS {
            for name in
                [(*name).to_owned(), name.to_lowercase(), name.replace('-', "_"), name.replacen('-', "_", 1)]
            {
                let header = format!("{name}: {value}");
                self.certified(by_certificate, &format!("{name} by the client"), &[&by_bearer, &header]);
            }
            let header = format!("{name}: {value}");
            let twice = [&*by_bearer, &header, &header];
            self.certified(by_certificate, &format!("{name} by the client, twice"), &twice);
            let hop = format!("{name}: {value}\r\nConnection: {name}");
            self.certified(
                by_certificate,
                &format!("{name} by the client, named by Connection"),
                &[&by_bearer, &hop],
            );
            if let Some(allowed) = site.needs_token() {
                let raw = self.of(allowed).with(&header);
                self.add(
                    CERTIFICATES,
                    &format!("{name} by a client that needs none"),
                    &raw,
                    Some(allowed.bearer),
                );
            }
        }
    }

    fn bare(&self, sample: &Sample) -> Raw {
        Raw::new(&self.site.host, &sample.method, &sample.path)
    }

    /// A request with these headers, and a `DPoP` header for each proof, that must not arrive.
    fn stolen(&mut self, sample: &Sample, what: &str, headers: &[&str], proofs: &[Arc<PlannedProof>]) {
        let raw = headers.iter().fold(self.bare(sample), Raw::with);
        let raw = proofs.iter().cloned().fold(raw, Raw::proves);
        self.refused(PROOFS, what, &raw, sample.bearer);
    }

    fn certified(&mut self, sample: &Sample, what: &str, headers: &[&str]) {
        let raw = headers.iter().fold(self.bare(sample), Raw::with);
        self.refused(CERTIFICATES, what, &raw, sample.bearer);
    }

    fn refused(&mut self, class: &'static str, what: &str, raw: &Raw, bearer: usize) {
        self.add(class, &what.escape_debug().to_string(), raw, Some(bearer));
        if let Some(attack) = self.attacks.last_mut() {
            attack.must_not = Some(NOT_SHOWN);
        }
    }
}

fn other_method(sample: &Sample) -> &'static str {
    if sample.method == "POST" { "GET" } else { "POST" }
}
