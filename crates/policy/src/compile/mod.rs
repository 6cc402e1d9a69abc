//! From documents to a [`PolicySet`]: every name resolved, everything wrong reported at once.

mod apis;
mod built_in;
mod certificates;
mod checks;
mod clients;
mod credentials;
mod federated;
mod issuers;
mod names;
mod nearest;
mod report;
mod requirements;
mod types;
mod warnings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jeton_oauth::{ApiName, Audience, Issuer};
use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::built_in::{PDP_SCOPE, built_in_file};
use self::{
    apis::{CompiledApis, Guarantee, GuaranteeOrigin},
    built_in::BUILT_IN,
    report::{CompileReport, DefinedNames},
    warnings::Lookout,
};
use super::{
    cases::{self, CaseOutcome, UntestedRule},
    clients::ClientRegistry,
    document::PolicyDocument,
    federation::Federation,
    finding::{Finding, Findings},
    guarantee::Guaranteed,
    set::{PolicySet, Warnings},
    source::PolicySources,
};

/// What policies must fit besides each other.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The audience of jeton's own API: its issuer.
    pub issuer: Audience,
    /// The longest lifetime of a client's tokens, in seconds (`tokens.max_ttl`). `None` is no limit.
    pub max_ttl: Option<u64>,
    /// Whether clients with the secrets of README.md are refused.
    pub demo_secrets: DemoSecrets,
    /// The APIs that must be there.
    pub needed_apis: Vec<NeededApi>,
}

impl Surroundings {
    /// Those of a service that takes tokens for `api` and issues none: the secrets and lifetimes of clients are the
    /// issuer's business. Policies without the API are refused, at a reload too.
    pub fn of_service(issuer: &Issuer, api: ApiName) -> Self {
        Self {
            issuer: issuer.audience().clone(),
            max_ttl: None,
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: vec![NeededApi { api, by: "this service".to_owned() }],
        }
    }
}

/// An API that something beside the policies names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededApi {
    /// The API.
    pub api: ApiName,
    /// What names it, as it is told: `` `gateways.edge` ``.
    pub by: String,
}

/// Whether clients with the secrets of README.md are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DemoSecrets {
    /// Nobody but this machine can reach the server.
    Allowed,
    /// Others can.
    Refused,
}

impl PolicySet {
    /// Compiles what was read from a policies folder, proves its guarantees and runs its tests. `now` tells
    /// which secrets have expired.
    ///
    /// # Errors
    /// Everything that is wrong in any file, in the order of files and lines.
    pub fn compile(
        sources: &PolicySources,
        surroundings: &Surroundings,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        PolicyDraft::compile(sources, surroundings, now)?.into_policies()
    }
}

/// Policies that fit together, though a guarantee may not hold, a test fail or a needed API be missing: for
/// commands that say so. Nothing serves them.
#[derive(Debug)]
pub struct PolicyDraft {
    policies: PolicySet,
    faults: Vec<Finding>,
    outcomes: Vec<CaseOutcome>,
    guarantees: Arc<[Guarantee]>,
    defined: DefinedCounts,
}

/// How much the files define, without what is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinedCounts {
    /// APIs.
    pub apis: usize,
    /// Rules of all APIs.
    pub rules: usize,
    /// Scopes.
    pub scopes: usize,
    /// Roles.
    pub roles: usize,
}

impl DefinedCounts {
    /// Of files in which nothing is defined twice.
    fn by(documents: &[PolicyDocument]) -> Self {
        let apis = || documents.iter().flat_map(|document| &document.apis.0);
        let rules = apis().filter_map(|(_, api)| api.as_ref()).map(|api| api.rules.0.len());
        Self {
            apis: apis().count(),
            rules: rules.sum(),
            scopes: documents.iter().map(|document| document.scopes.0.len()).sum(),
            roles: documents.iter().map(|document| document.roles.0.len()).sum(),
        }
    }
}

impl PolicyDraft {
    /// Compiles what was read from a policies folder.
    ///
    /// # Errors
    /// Everything that is wrong in any file but what [`Self::faults`] tells, in the order of files and lines.
    pub fn compile(
        sources: &PolicySources,
        surroundings: &Surroundings,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        let mut report = CompileReport::of(sources);
        let documents = report.parse_all();
        Self::of_documents(report, documents, surroundings, now)
    }

    /// As [`Self::compile`], of policies that are a value, which stands for the one file of `sources`.
    pub(super) fn of_value(
        value: &Value,
        sources: &PolicySources,
        surroundings: &Surroundings,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        let mut report = CompileReport::of(sources);
        let documents = vec![report.read_value(value)];
        Self::of_documents(report, documents, surroundings, now)
    }

    fn of_documents(
        mut report: CompileReport<'_>,
        mut documents: Vec<PolicyDocument>,
        surroundings: &Surroundings,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        let sources = report.sources;
        let names = report.collect_names(&documents);
        let CompiledApis { apis, guarantees, uses, places } =
            report.compile_apis(&documents, &names, surroundings);
        let issuers = report.compile_issuers(&documents, &names, surroundings);
        let clients = report.compile_clients(&mut documents, &names, &apis, &issuers, surroundings);
        report.ambiguities(&clients.clients, &clients.federated);
        let revoked = report.revoked_tokens(&documents);
        let cases = report.cases(&documents, &names);
        if Findings::any_error(&report.findings) {
            return Err(Findings::sorted(report.findings));
        }
        report.unused_issuers(&issuers.known, &clients.clients);
        let shut_out = clients.shut_out(&issuers, now);
        let is_told: BTreeSet<_> = shut_out.iter().map(|client| &client.id).collect();
        let others = clients.with_certificates().filter(|(client, ..)| !is_told.contains(&client.id));
        report.expiring_certificates(others, now);
        let found = std::mem::take(&mut report.findings);
        let defined = DefinedCounts::by(&documents);
        let files = sources.files.iter().chain([&BUILT_IN.source]);
        let guarantees: Arc<[Guarantee]> = guarantees.into();
        let DefinedNames { scopes, roles, .. } = names;
        let clients: ClientRegistry = clients.clients.into_iter().collect();
        let mut policies = PolicySet {
            scopes,
            roles,
            has_bundles: apis.values().any(|api| api.bundle_access().is_some()),
            apis,
            federation: Federation::of(&clients),
            clients,
            issuers: issuers.issuers.into_iter().collect(),
            revoked,
            read_at: now,
            hash: sources.hash().clone(),
            files: files.map(|source| source.name.clone()).collect(),
            warnings: Warnings::default(),
        };
        report.needed(&policies, &surroundings.needed_apis);
        report.prove(&policies, &guarantees);
        let outcomes = report.run(&policies, &cases);
        let CompileReport { files, findings: faults, .. } = report;
        let scopes = documents.into_iter().map(|document| {
            let mut scopes = document.scopes.0;
            // the service itself asks for the others
            scopes.retain(|(name, _)| !BUILT_IN.has_scope(&name.value));
            scopes
        });
        let lookout = Lookout {
            files,
            found,
            scopes: scopes.collect(),
            shut_out,
            uses,
            places,
            guarantees: Arc::clone(&guarantees),
        };
        policies.warnings = Warnings::by(move |policies| lookout.warnings(policies));
        Ok(Self { policies, faults, outcomes, guarantees, defined })
    }

    /// The policies, to be looked at.
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// How much the files define.
    pub fn defined(&self) -> DefinedCounts {
        self.defined
    }

    /// What the files guarantee, by API and name of the guarantee.
    pub(super) fn guarantees(&self) -> BTreeMap<(&ApiName, &str), &[Guaranteed]> {
        let each = self.guarantees.iter().filter(|one| one.origin == GuaranteeOrigin::File);
        each.map(|one| ((&one.api, one.name.value.as_str()), one.routes.as_slice())).collect()
    }

    /// What came out of each test case, in the order of files and lines.
    pub fn outcomes(&self) -> &[CaseOutcome] {
        &self.outcomes
    }

    /// The rules and alternatives that no test case touches.
    pub fn untested(&self) -> Vec<UntestedRule> {
        cases::untested(&self.policies, &self.outcomes)
    }

    /// Guarantees that do not hold, tests that fail and needed APIs that are missing.
    pub fn faults(&self) -> &[Finding] {
        &self.faults
    }

    /// As [`Self::faults`], and all warnings.
    pub fn findings(&self) -> Findings {
        Findings::sorted(self.faults.iter().chain(&self.policies.warnings().0).cloned().collect())
    }

    /// The policies, if there are no [faults](Self::faults).
    ///
    /// # Errors
    /// These, and all warnings.
    pub fn into_policies(self) -> Result<PolicySet, Findings> {
        if self.faults.is_empty() { Ok(self.policies) } else { Err(self.findings()) }
    }
}
