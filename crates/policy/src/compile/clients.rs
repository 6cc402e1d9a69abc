//! Clients: secrets, grants, claims, lifetimes.

use std::{collections::BTreeMap, sync::Arc};

use jeton_oauth::{
    ApiName, ClientId, RateLimit,
    clock::{parse_duration, parse_time, seconds_up},
    is_registered_claim,
};
use jiff::Timestamp;
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::{
    DemoSecrets, Surroundings,
    certificates::TakenCertificates,
    federated::TermsPlace,
    issuers::CompiledIssuers,
    report::{CompileReport, DefinedNames},
    warnings::{HadCredentials, ShutOut},
};
use crate::{
    clients::{
        ApiGrant, Client, ClientKind, ClientSecret, ClientState, DEMO_SECRETS, GrantedRole, MOST_SECRETS,
        SecretHash, StoredSecret,
    },
    document::{self, PolicyDocument, Text},
    federation::{self, FederatedTerms},
    finding::{FindingCode, ReadingProblem, Span},
    position::{FileIndex, numbered},
    read::{Field, Items, Named, Spanned},
    set::ProtectedApi,
};

/// The clients, and where each and its entries of `federated` stand.
pub(super) struct CompiledClients {
    pub(super) clients: Vec<Client>,
    pub(super) federated: Vec<Vec<TermsPlace>>,
    /// By client: where each of its `certificates` has `expires`.
    expiries: Vec<Vec<Option<Span>>>,
    places: Vec<(FileIndex, Span)>,
}

impl CompiledClients {
    /// The enabled clients that nobody can be.
    pub(super) fn shut_out(&self, issuers: &CompiledIssuers, now: Timestamp) -> Vec<ShutOut> {
        let is_disabled = |terms: &FederatedTerms| {
            issuers.known.get(terms.issuer()).is_some_and(|issuer| !issuer.is_enabled)
        };
        let is_impossible = |terms: &FederatedTerms| federation::conflict(terms).is_some();
        let each = self.clients.iter().zip(&self.places);
        let shut_out = each.filter(|(client, _)| {
            client.state == ClientState::Enabled
                && client.public_keys.is_empty()
                && !client.certificates.iter().any(|terms| terms.is_live(now))
                && !client.secrets.iter().any(|secret| secret.is_live(now))
                && client.federated.iter().all(|terms| is_disabled(terms) || is_impossible(terms))
        });
        shut_out
            .map(|(client, (file, at))| ShutOut {
                id: client.id.clone(),
                file: *file,
                at: *at,
                had: HadCredentials {
                    certificates: !client.certificates.is_empty(),
                    secrets: !client.secrets.is_empty(),
                    disabled: client.federated.iter().any(is_disabled),
                    impossible: client.federated.iter().any(|terms| !is_disabled(terms)),
                },
            })
            .collect()
    }

    /// The clients with certificates: each with its file, and where its certificates have `expires`.
    pub(super) fn with_certificates(&self) -> impl Iterator<Item = (&Client, FileIndex, &[Option<Span>])> {
        let each = self.clients.iter().zip(&self.places).zip(&self.expiries);
        each.map(|((client, (file, _)), expiries)| (client, *file, expiries.as_slice()))
    }
}

impl CompileReport<'_> {
    /// Compiles the clients; their parts of the documents are gone afterwards.
    pub(super) fn compile_clients(
        &mut self,
        documents: &mut [PolicyDocument],
        names: &DefinedNames,
        apis: &BTreeMap<ApiName, ProtectedApi>,
        issuers: &CompiledIssuers,
        surroundings: &Surroundings,
    ) -> CompiledClients {
        let mut clients = Vec::new();
        let mut places = Vec::new();
        let mut places_of_federated = Vec::new();
        let mut expiries = Vec::new();
        let mut taken = TakenCertificates::default();
        // there may be a million clients, and few kinds of grants
        let mut shared: FxHashSet<Arc<[ApiGrant]>> = FxHashSet::default();
        for (file, document) in numbered(FileIndex::at, documents.iter_mut()) {
            for (name, client) in std::mem::take(&mut document.clients.0) {
                let name = &name;
                let id = self.name(file, name, ClientId::parse);
                let Some(client) = client else { continue };
                let secrets = self.secrets(file, name, &client.secrets, surroundings.demo_secrets);
                let public_keys = self.public_keys(file, name, &client.public_keys);
                let certificates = self.certificates(file, name, &client.certificates, &mut taken);
                let abilities = self.abilities(file, name, &client, names);
                let revoked_before = client.revoked_before.given();
                let revoked_before = revoked_before.and_then(|text| self.time(file, text)).map(seconds_up);
                let grants: Vec<_> = client
                    .grants
                    .0
                    .iter()
                    .filter_map(|(api, grant)| self.grant(file, api, grant.as_ref(), names, apis))
                    .collect();
                let claims = Arc::new(self.claims(file, &client.claims));
                let federated = self.federated(file, name, &client.federated, &claims, names, issuers);
                let ttl = self.ttl(file, client.ttl.given(), surroundings);
                let limit = client.limit.given().and_then(|text| self.limit(file, text));
                let Some(id) = id else { continue };
                let grants = shared.get(grants.as_slice()).cloned().unwrap_or_else(|| {
                    let grants: Arc<[ApiGrant]> = grants.into();
                    shared.insert(Arc::clone(&grants));
                    grants
                });
                places.push((file, name.at));
                let (federated, places_of_client) = federated.into_iter().unzip();
                places_of_federated.push(places_of_client);
                let (certificates, expiries_of_client) = certificates.into_iter().unzip();
                expiries.push(expiries_of_client);
                clients.push(Client {
                    id,
                    state: match client.enabled.given() {
                        Some(false) => ClientState::Disabled,
                        Some(true) | None => ClientState::Enabled,
                    },
                    kind: match client.anonymous.given() {
                        Some(true) => ClientKind::Anonymous,
                        Some(false) | None => ClientKind::Named,
                    },
                    secrets,
                    public_keys,
                    certificates,
                    bound_tokens: client.bound_tokens.given() == Some(&true),
                    federated,
                    abilities,
                    revoked_before,
                    grants,
                    claims,
                    ttl,
                    limit,
                });
            }
        }
        CompiledClients { clients, federated: places_of_federated, expiries, places }
    }

    fn secrets(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        secrets: &Items<Spanned<document::SecretEntry>>,
        demo: DemoSecrets,
    ) -> Vec<StoredSecret> {
        if let Some(beyond) = secrets.0.get(MOST_SECRETS) {
            let message = format!("client `{}` has more than {MOST_SECRETS} secrets", client.value);
            let problem = ReadingProblem::new(beyond.at, FindingCode::BadSecret, message);
            self.add(file, problem.hint("remove those that have expired, and those that nobody uses"));
        }
        secrets.0.iter().filter_map(|secret| self.secret(file, client, secret, demo)).collect()
    }

    fn secret(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        secret: &Spanned<document::SecretEntry>,
        demo: DemoSecrets,
    ) -> Option<StoredSecret> {
        let Spanned { at, value: secret } = secret;
        let text = match &secret.sha256 {
            Field::Given(text) => text,
            Field::Wrong => return None,
            Field::Absent => {
                let message = format!("a secret of client `{}` has no `sha256`", client.value);
                let problem = ReadingProblem::new(*at, FindingCode::Missing, message);
                self.add(file, problem.hint("`jeton clients add` and `rotate` write it"));
                return None;
            }
        };
        let Some(sha256) = SecretHash::parse(&text.value) else {
            let problem =
                ReadingProblem::new(text.at, FindingCode::BadSecret, "`sha256` is not 64 hexadecimal digits");
            self.add(file, problem.hint("write the SHA-256 of the secret, never the secret itself"));
            return None;
        };
        if sha256 == ClientSecret::new(String::new()).hash() {
            let problem =
                ReadingProblem::new(text.at, FindingCode::BadSecret, "this is the hash of an empty secret");
            self.add(file, problem.hint("hash the secret, or let `jeton clients add` and `rotate` make one"));
            return None;
        }
        if demo == DemoSecrets::Refused && DEMO_SECRETS.contains(&sha256.to_string().as_str()) {
            let message =
                format!("client `{}` has a secret that everybody can read in README.md", client.value);
            let problem = ReadingProblem::new(text.at, FindingCode::DemoSecret, message);
            let hint = format!(
                "this server can be reached from elsewhere: remove the client, or run `jeton clients rotate {}` and remove this secret",
                client.value
            );
            self.add(file, problem.hint(hint));
        }
        let expires = match &secret.expires {
            Field::Given(text) => Some(self.time(file, text)?),
            Field::Wrong => return None,
            Field::Absent => None,
        };
        Some(StoredSecret { sha256, expires })
    }

    pub(super) fn time(&mut self, file: FileIndex, text: &Text) -> Option<Timestamp> {
        match parse_time(&text.value) {
            Ok(time) => Some(time),
            Err(error) => {
                let problem = ReadingProblem::new(text.at, FindingCode::BadTime, error.to_string());
                self.add(file, problem.hint(error.hint()));
                None
            }
        }
    }

    fn grant(
        &mut self,
        file: FileIndex,
        api: &Spanned<String>,
        grant: Option<&document::GrantEntry>,
        names: &DefinedNames,
        apis: &BTreeMap<ApiName, ProtectedApi>,
    ) -> Option<ApiGrant> {
        if !names.apis.contains(&api.value) {
            self.unknown(file, api, FindingCode::UnknownApi, "API", names.apis.iter().map(String::as_str));
        }
        let grant = grant?;
        let mut scopes = self.scopes(file, &grant.scopes, &names.scopes);
        let mut roles = Vec::new();
        for text in &grant.roles.0 {
            if let Some(role) = self.role(file, text, &names.roles)
                && let Some(expanded) = names.roles.get(&role)
            {
                scopes.extend(expanded);
                roles.push(GrantedRole { role, scopes: expanded.clone() });
            }
        }
        if grant.roles.is_empty() && grant.scopes.is_empty() {
            let message = format!("the grant for `{}` grants nothing", api.value);
            let problem = ReadingProblem::new(api.at, FindingCode::Missing, message);
            self.add(file, problem.hint("add `roles: [...]` or `scopes: [...]`, or remove it"));
        }
        let api = apis.get(&*api.value)?;
        Some(ApiGrant { api: api.name.clone(), audience: api.audience.clone(), scopes, roles })
    }

    fn claims(&mut self, file: FileIndex, claims: &Named<Value>) -> Map<String, Value> {
        let mut taken = Map::new();
        for (name, value) in &claims.0 {
            if is_registered_claim(&name.value) {
                let message = format!("`{}` is a claim that jeton sets itself", name.value);
                let problem = ReadingProblem::new(name.at, FindingCode::BadClaim, message);
                self.add(file, problem.hint("give the claim another name"));
            }
            match value {
                Some(Value::Null) => {
                    let message = format!("claim `{}` has no value", name.value);
                    let problem = ReadingProblem::new(name.at, FindingCode::BadClaim, message);
                    self.add(file, problem.hint("write one, in quotes if it is text"));
                }
                Some(value) => {
                    taken.insert(name.value.clone(), value.clone());
                }
                None => {}
            }
        }
        taken
    }

    fn ttl(&mut self, file: FileIndex, text: Option<&Text>, surroundings: &Surroundings) -> Option<u64> {
        let text = text?;
        let Some(ttl) = parse_duration(&text.value).map(|ttl| ttl.as_secs()) else {
            let message = format!("`{}` is not a duration", text.value);
            let problem = ReadingProblem::new(text.at, FindingCode::BadDuration, message);
            self.add(file, problem.hint("write a number and `s`, `m`, `h` or `d`, such as `15m`"));
            return None;
        };
        if ttl == 0 {
            let problem = ReadingProblem::new(text.at, FindingCode::BadDuration, "the lifetime is zero");
            self.add(file, problem.hint("write more than `0s`"));
        }
        if let Some(max_ttl) = surroundings.max_ttl.filter(|max| ttl > *max) {
            let message = format!("`{}` is longer than `tokens.max_ttl` ({max_ttl} s)", text.value);
            let problem = ReadingProblem::new(text.at, FindingCode::TtlTooLong, message);
            self.add(file, problem.hint("shorten it, or raise `tokens.max_ttl` in the settings"));
        }
        Some(ttl)
    }

    fn limit(&mut self, file: FileIndex, text: &Text) -> Option<RateLimit> {
        match RateLimit::parse(&text.value) {
            Ok(limit) => Some(limit),
            Err(error) => {
                let problem = ReadingProblem::new(text.at, FindingCode::BadRate, error.to_string());
                self.add(file, problem.hint(error.hint()));
                None
            }
        }
    }
}
