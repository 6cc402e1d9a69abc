//! What an operator should look at in policies that load.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jeton_oauth::{ApiName, ClientId, Role, Scope, ScopeSet};

use super::{
    apis::{Guarantee, GuaranteeOrigin, Places},
    built_in::PDP_SCOPE,
    report::Files,
    types::{self, ClaimUse},
};
use crate::{
    clients::Client,
    condition::Condition,
    finding::{Finding, FindingCode, Findings, ReadingProblem, Severity, Span},
    guarantee::{self, Endings, Violation},
    lint,
    position::{FileIndex, numbered},
    read::Spanned,
    set::{PolicySet, ProtectedApi},
    space::RouteIndex,
};

/// What warnings are about, and where in the files it stands.
pub(super) struct Lookout {
    pub(super) files: Files,
    /// What is found already.
    pub(super) found: Vec<Finding>,
    /// By file: the scopes that it defines.
    pub(super) scopes: Vec<Vec<(Spanned<String>, Option<String>)>>,
    pub(super) shut_out: Vec<ShutOut>,
    /// By API: where claims are compared.
    pub(super) uses: Vec<(ApiName, Vec<ClaimUse>)>,
    pub(super) places: BTreeMap<ApiName, Places>,
    pub(super) guarantees: Arc<[Guarantee]>,
}

/// An enabled client that nobody can be.
pub(super) struct ShutOut {
    pub(super) id: ClientId,
    pub(super) file: FileIndex,
    pub(super) at: Span,
    /// What it has that was good once.
    pub(super) had: HadCredentials,
}

/// What a client has that nobody can use.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own, and a client may have all of them"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HadCredentials {
    /// Certificates that have expired.
    pub(super) certificates: bool,
    /// Secrets that have expired.
    pub(super) secrets: bool,
    /// Issuers that are disabled.
    pub(super) disabled: bool,
    /// Entries of `federated` that no token meets.
    pub(super) impossible: bool,
}

impl Lookout {
    pub(super) fn warnings(self, policies: &PolicySet) -> Findings {
        let Self { files, found, scopes, shut_out, uses, places, guarantees } = self;
        let mut report = WarningReport { files: &files, findings: found };
        report.unused_scopes(policies, &scopes);
        for client in &shut_out {
            report.shut_out(client);
        }
        for (api, uses) in &uses {
            for (file, problem) in types::mismatches(policies, api, uses) {
                report.warn(file, problem);
            }
        }
        for of_api in guarantees.chunk_by(|one, next| one.api == next.api) {
            if let Some(api) = of_api.first().and_then(|guarantee| policies.apis.get(&guarantee.api)) {
                report.guarantees(policies, api, of_api);
            }
        }
        for (name, places) in &places {
            if let Some(api) = policies.apis.get(name) {
                report.unasked_pdp(policies, api, places);
                report.lints(policies, api, places);
            }
        }
        Findings::sorted(report.findings)
    }
}

/// Collects warnings.
struct WarningReport<'f> {
    files: &'f Files,
    findings: Vec<Finding>,
}

impl WarningReport<'_> {
    fn warn(&mut self, file: FileIndex, problem: ReadingProblem) {
        self.findings.extend(self.files.finding(Severity::Warning, file, problem));
    }

    /// Warns of scopes that no route requires.
    fn unused_scopes(&mut self, policies: &PolicySet, scopes: &[Vec<(Spanned<String>, Option<String>)>]) {
        let mut required = HashSet::new();
        let mut of_role =
            |role: &Role| required.extend(policies.roles.get(role).into_iter().flat_map(ScopeSet::iter));
        let conditions = || policies.apis.values().flat_map(|api| &api.routes.conditions);
        for condition in conditions() {
            match condition {
                Condition::Role(role) => of_role(role),
                Condition::AnyRole(roles) => roles.iter().for_each(&mut of_role),
                _ => {}
            }
        }
        for condition in conditions() {
            match condition {
                Condition::Scope(scope) => drop(required.insert(scope)),
                Condition::AllScopes(scopes) | Condition::AnyScope(scopes) => required.extend(scopes),
                _ => {}
            }
        }
        let required: HashSet<_> = required.into_iter().map(Scope::as_str).collect();
        for (file, scopes) in numbered(FileIndex::at, scopes.iter()) {
            for (name, _) in scopes.iter().filter(|(name, _)| !required.contains(&*name.value)) {
                let message = format!("no route requires scope `{}`", name.value);
                let problem = ReadingProblem::new(name.at, FindingCode::UnusedScope, message);
                self.warn(file, problem.hint("remove it, or require it in a rule"));
            }
        }
    }

    fn shut_out(&mut self, ShutOut { id, file, at, had }: &ShutOut) {
        let HadCredentials { certificates, secrets, disabled, impossible } = *had;
        let expired = [(secrets, "every secret"), (certificates, "every certificate")];
        let expired: Vec<_> = expired.into_iter().filter_map(|(had, what)| had.then_some(what)).collect();
        let expired =
            (!expired.is_empty()).then(|| format!("{} of client `{id}` has expired", expired.join(" and ")));
        let entries = match (disabled, impossible, &expired) {
            (false, false, _) => None,
            (true, false, None) => Some(format!("every issuer of client `{id}` is disabled")),
            (true, false, Some(_)) => Some("every issuer of it is disabled".to_owned()),
            (false, true, None) => {
                Some(format!("no token can meet an entry of `federated` of client `{id}`"))
            }
            (false, true, Some(_)) => Some("no token can meet an entry of its `federated`".to_owned()),
            (true, true, None) => Some(format!(
                "of each entry of `federated` of client `{id}`, the issuer is disabled or no token can meet it"
            )),
            (true, true, Some(_)) => Some(
                "of each entry of its `federated`, the issuer is disabled or no token can meet it".to_owned(),
            ),
        };
        let why: Vec<_> = expired.iter().chain(&entries).map(String::as_str).collect();
        let why = match why.as_slice() {
            [] => format!("client `{id}` has no secret, public key or certificate"),
            why => why.join(", and "),
        };
        let message = format!("{why}, so it cannot get a token");
        let hint = match (&expired, impossible) {
            (Some(_), _) if certificates => {
                "add the entry of its next certificate, set `enabled: false`, or remove the client".to_owned()
            }
            (None, true) => {
                "change a condition of `federated`, set `enabled: false`, or remove the client".to_owned()
            }
            (None, false) if disabled => {
                "enable the issuer under `issuers:`, set `enabled: false` here too, or remove the client"
                    .to_owned()
            }
            _ => format!(
                "run `jeton clients rotate {}`, set `enabled: false`, or remove the client",
                shell_word(id.as_str())
            ),
        };
        self.warn(*file, ReadingProblem::new(*at, FindingCode::NoCredentials, message).hint(hint));
    }

    /// Looks at what the guarantees of an API say nothing of.
    fn guarantees(&mut self, policies: &PolicySet, api: &ProtectedApi, guarantees: &[Guarantee]) {
        let index = RouteIndex::new(&api.routes.written);
        let endings = Endings::of(&index);
        for guarantee in guarantees.iter().filter(|guarantee| guarantee.origin == GuaranteeOrigin::File) {
            for guaranteed in &guarantee.routes {
                if !guarantee::meets_a_rule(api, &index, guaranteed) {
                    let (name, route) = (&guarantee.name, &guaranteed.route);
                    let message = format!(
                        "guarantee `{}` has no effect on `{route}`: no rule has a route there",
                        name.value
                    );
                    let problem = ReadingProblem::new(name.at, FindingCode::IdleGuarantee, message);
                    self.warn(guarantee.file, problem.hint("check the path for a typo, or remove the route"));
                }
                let gaps = guarantee::gaps(api, &index, &endings, &policies.roles, guaranteed);
                for gap in gaps.unwrap_or_default() {
                    self.gap(policies, guarantee, &gap);
                }
            }
        }
    }

    fn gap(&mut self, policies: &PolicySet, guarantee: &Guarantee, gap: &Violation<'_>) {
        let Violation { rule, witness, .. } = gap;
        let message = format!(
            "guarantee `{}` does not cover `{} {}`, which rule `{}` ({}:{}) lets through: `**` does not cover a slash at the end",
            guarantee.name.value,
            witness.method,
            witness.path,
            rule.name(),
            policies.file_of(rule),
            rule.line,
        );
        let hint = "add a route that ends in `/` to the guarantee too, or take it out of the rule";
        let problem = ReadingProblem::new(guarantee.name.at, FindingCode::GuaranteeGap, message);
        self.warn(guarantee.file, problem.hint(hint));
    }

    /// Warns where questions about an API are answered and nobody may ask them.
    fn unasked_pdp(&mut self, policies: &PolicySet, api: &ProtectedApi, places: &Places) {
        let Some(at) = places.pdp else { return };
        let may_ask = |client: &Arc<Client>| {
            let granted = policies.granted(client.id.as_str(), ApiName::OWN);
            granted.is_some_and(|granted| granted.scopes.iter().any(|scope| scope.as_str() == PDP_SCOPE))
        };
        if !policies.clients.iter().any(may_ask) {
            let message = format!(
                "`true` lets nobody ask about API `{}`: no client is granted `{PDP_SCOPE}`",
                api.name()
            );
            let hint = format!(
                "grant it to who asks: `grants: {{ {}: {{ scopes: [{PDP_SCOPE}] }} }}`",
                ApiName::OWN
            );
            self.warn(places.file, ReadingProblem::new(at, FindingCode::UnaskedPdp, message).hint(hint));
        }
    }

    /// Looks for routes that an operator should look at.
    fn lints(&mut self, policies: &PolicySet, api: &ProtectedApi, places: &Places) {
        let index = RouteIndex::new(&api.routes.written);
        for lint in lint::lints(policies, api, &index) {
            let route = lint.route.map(|route| places.routes.get(route.position()));
            // a route without a place is built in, and nobody can change it
            let Some(at) = route.unwrap_or(Some(&places.name)) else { continue };
            let problem = ReadingProblem::new(*at, lint.code, lint.message);
            self.warn(places.file, problem.hint(lint.hint));
        }
    }
}

/// As one word of a command line.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@');
    if !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use jeton_oauth::{Audience, clock::SystemClock};

    use crate::{DemoSecrets, FindingCode, LivePolicies, PolicyDraft, PolicySources, Reload, Surroundings};

    fn surroundings() -> Surroundings {
        Surroundings {
            issuer: Audience::parse("https://tokens.example.com").unwrap(),
            max_ttl: Some(60),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        }
    }

    /// New policies, a revocation among them, are in force before anybody looks at what is odd about them.
    #[test]
    fn warnings_are_looked_for_when_somebody_asks() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(dir.path().join("a.yaml"), text).unwrap();
        write("version: 1\n");
        let live = LivePolicies::load(dir.path(), surroundings(), Arc::new(SystemClock)).unwrap();
        write("version: 1\nscopes: { s: x }\n");
        let Reload::Reloaded(replaced) = live.reload() else { panic!("the files hold something else") };
        let current = live.snapshot();
        assert!(Arc::ptr_eq(replaced.after(), &current));
        assert!(current.policies.warnings.found.get().is_none(), "nobody has asked");
        assert!(replaced.difference().is_some());
        assert!(current.policies.warnings.found.get().is_none(), "for these");

        write("version: 1\nrevoked_tokens: [one]\n");
        assert!(matches!(live.reload(), Reload::Reloaded(_)), "nor did the next reload wait for them");
        assert!(live.current().policies.has_revoked("one"));
        let codes = |findings: &crate::Findings| findings.0.iter().map(|one| one.code).collect::<Vec<_>>();
        assert_eq!(codes(current.policies.warnings()), [FindingCode::UnusedScope]);
        assert!(current.policies.warnings.look.lock().unwrap().is_none(), "the files are let go of");
        assert_eq!(
            codes(current.policies.warnings()),
            [FindingCode::UnusedScope],
            "and what was found stays"
        );
    }

    /// Commands that are about something else do not wait for them either.
    #[test]
    fn a_draft_tells_its_faults_without_them() {
        let dir = tempfile::tempdir().unwrap();
        let text = "version: 1\nscopes: { s: x }\napis: { a: { audience: https://a.example } }\ntests:\n  - as: {}\n    \
                    api: a\n    allow: [GET /x]\n";
        fs::write(dir.path().join("a.yaml"), text).unwrap();
        let sources = PolicySources::read(dir.path()).unwrap();
        let draft = PolicyDraft::compile(&sources, &surroundings(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            draft.faults().iter().map(|fault| fault.code).collect::<Vec<_>>(),
            [FindingCode::FailedTest]
        );
        assert!(draft.policies().warnings.found.get().is_none());
        let all: Vec<_> = draft.findings().0.iter().map(|finding| finding.code).collect();
        assert_eq!(all, [FindingCode::UnusedScope, FindingCode::FailedTest]);
    }
}
