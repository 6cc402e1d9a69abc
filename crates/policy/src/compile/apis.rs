//! APIs: audiences, rules, routes.

use std::collections::{BTreeMap, HashMap};

use jeton_oauth::{ApiName, Audience, Scope, ScopeSet};
use rustc_hash::FxHashSet;

use super::{
    Surroundings,
    built_in::{BUILT_IN, OWN_API, PDP},
    report::{CompileReport, DefinedNames},
    requirements::{Requirement, Within},
    types::ClaimUse,
};
use crate::{
    condition::Condition,
    document::{self, PolicyDocument, Text},
    finding::{FindingCode, ReadingProblem, Span},
    guarantee::Guaranteed,
    path::CanonicalPath,
    position::{FileIndex, numbered},
    position::{RouteId, small},
    read::{Field, Items, Spanned},
    route::{Method, ParameterPlace, Route},
    rule::PolicyRule,
    set::{BundleAccess, CompiledRoutes, PdpState, ProtectedApi, RouteAccess, RuleAccess},
};

/// The APIs, and what of them only the checks of whole policies need.
pub(super) struct CompiledApis {
    pub(super) apis: BTreeMap<ApiName, ProtectedApi>,
    pub(super) guarantees: Vec<Guarantee>,
    /// By API: where claims are compared.
    pub(super) uses: Vec<(ApiName, Vec<ClaimUse>)>,
    /// By API: where it is defined, and where each of its routes stands.
    pub(super) places: BTreeMap<ApiName, Places>,
}

/// Where an API and its routes stand.
pub(super) struct Places {
    pub(super) file: FileIndex,
    pub(super) name: Span,
    /// `pdp`, where it is `true`.
    pub(super) pdp: Option<Span>,
    /// By [`RouteId`]; those that are built in come behind them and have no place.
    pub(super) routes: Vec<Span>,
}

/// A guarantee of an API, to be proved when all is compiled.
#[derive(Debug)]
pub(super) struct Guarantee {
    pub(super) api: ApiName,
    pub(super) file: FileIndex,
    pub(super) name: Spanned<String>,
    pub(super) routes: Vec<Guaranteed>,
    pub(super) origin: GuaranteeOrigin,
}

/// Who guarantees something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuaranteeOrigin {
    /// A policy file, at the place of the guarantee.
    File,
    /// jeton, whatever the files say. The place is that of the API.
    BuiltIn,
}

/// The scopes that conditions name, and those of the roles that they name.
fn scopes_asked_for(routes: &CompiledRoutes, names: &DefinedNames) -> ScopeSet {
    let of_role = |role| names.roles.get(role).into_iter().flat_map(ScopeSet::iter);
    let mut scopes: FxHashSet<&Scope> = FxHashSet::default();
    for condition in &routes.conditions {
        match condition {
            Condition::Scope(scope) => scopes.extend([scope]),
            Condition::AllScopes(several) | Condition::AnyScope(several) => scopes.extend(several),
            Condition::Role(role) => scopes.extend(of_role(role)),
            Condition::AnyRole(several) => scopes.extend(several.iter().flat_map(of_role)),
            Condition::Client(_) | Condition::AnyClient(_) | Condition::Claim { .. } => {}
        }
    }
    scopes.into_iter().cloned().collect()
}

impl CompileReport<'_> {
    pub(super) fn compile_apis(
        &mut self,
        documents: &[PolicyDocument],
        names: &DefinedNames,
        surroundings: &Surroundings,
    ) -> CompiledApis {
        let mut compiled = CompiledApis {
            apis: BTreeMap::new(),
            guarantees: Vec::new(),
            uses: Vec::new(),
            places: BTreeMap::new(),
        };
        let mut audiences = HashMap::from([(surroundings.issuer.clone(), None)]);
        let mut apis = documents.iter().flat_map(|document| &document.apis.0);
        let asks =
            |api: &Option<document::ApiEntry>| api.as_ref().is_some_and(|api| asked_for_pdp(api).is_some());
        let pdp = if apis.any(|(_, api)| asks(api)) { PdpState::On } else { PdpState::Off };
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (name, api) in &document.apis.0 {
                let parsed = self.name(file, name, ApiName::parse);
                let Some(api) = api else { continue };
                let audience = self.audience(file, name, api, surroundings, &mut audiences);
                let bundle = self.bundle(file, name, api);
                let (mut rules, mut routes, places) = self.compile_rules(file, api, names);
                let guarantees = self.guarantees(file, api, names);
                let uses = std::mem::take(&mut self.uses);
                if let (Some(parsed), Some(audience)) = (parsed, audience) {
                    let of_api = |(name, routes), origin| Guarantee {
                        api: parsed.clone(),
                        file,
                        name,
                        routes,
                        origin,
                    };
                    compiled
                        .guarantees
                        .extend(guarantees.into_iter().map(|one| of_api(one, GuaranteeOrigin::File)));
                    if name.value == OWN_API {
                        self.add_built_in(&mut rules, &mut routes, names, pdp);
                        let kept = self.built_in_guarantees(name.at, names, pdp).into_iter();
                        compiled.guarantees.extend(kept.map(|one| of_api(one, GuaranteeOrigin::BuiltIn)));
                    }
                    compiled.uses.push((parsed.clone(), uses));
                    let places = Places { file, name: name.at, pdp: asked_for_pdp(api), routes: places };
                    let pdp = if places.pdp.is_some() { PdpState::On } else { PdpState::Off };
                    compiled.places.insert(parsed.clone(), places);
                    let scopes = scopes_asked_for(&routes, names);
                    let api = ProtectedApi {
                        name: parsed.clone(),
                        audience,
                        bundle,
                        scopes,
                        pdp,
                        bound_tokens: api.bound_tokens.given() == Some(&true),
                        rules,
                        routes,
                    };
                    compiled.apis.entry(parsed).or_insert(api);
                }
            }
        }
        if let Ok(name) = ApiName::parse(OWN_API)
            && !compiled.apis.contains_key(&name)
        {
            let (mut rules, mut routes) = (Vec::new(), CompiledRoutes::default());
            self.add_built_in(&mut rules, &mut routes, names, pdp);
            let (audience, scopes) = (surroundings.issuer.clone(), scopes_asked_for(&routes, names));
            let (name_of, bundle, pdp) = (name.clone(), None, PdpState::Off);
            let bound_tokens = false;
            let api =
                ProtectedApi { name: name_of, audience, bundle, scopes, pdp, bound_tokens, rules, routes };
            compiled.apis.insert(name, api);
        }
        compiled
    }

    /// Adds the built-in rules to those of jeton's own API. Each counts where no rule of the files matches.
    fn add_built_in(
        &mut self,
        rules: &mut Vec<PolicyRule>,
        routes: &mut CompiledRoutes,
        names: &DefinedNames,
        pdp: PdpState,
    ) {
        let file = FileIndex::at(self.sources.files.len());
        let built_in = BUILT_IN.api().into_iter().flat_map(|api| &api.rules.0);
        let built_in = built_in.filter(|(name, _)| pdp == PdpState::On || name.value != PDP);
        for (name, rule) in built_in.filter_map(|(name, rule)| Some((name, rule.as_ref()?))) {
            let (_, mut left) = self.routes(file, name, &rule.routes);
            left.retain(|route| !is_matched(routes, route));
            if left.is_empty() {
                continue;
            }
            let within = Within { file, name, routes: &left, names };
            let requirement = self.requirement(within, rule).unwrap_or(Requirement::AnyOf(Vec::new()));
            let is_taken = rules.iter().any(|rule| rule.name() == name.value);
            let known_as = if is_taken { format!("{} (built in)", name.value) } else { name.value.clone() };
            let line = BUILT_IN.source.line(name.at.start);
            let index = small(rules.len());
            rules.push(PolicyRule { name: known_as.into(), file, line: small(line) });
            let mut shared = HashMap::new();
            for route in left {
                if routes.trie.insert(&route, RouteId::at(routes.written.len())).is_ok() {
                    let access = routes.access_at(&route, &requirement, &mut shared);
                    routes.access.push(RouteAccess { rule: index, access });
                    routes.written.push(route);
                }
            }
        }
    }

    /// What holds of jeton's own API whatever the files say, told at the place where they define it.
    fn built_in_guarantees(
        &mut self,
        at: Span,
        names: &DefinedNames,
        pdp: PdpState,
    ) -> Vec<(Spanned<String>, Vec<Guaranteed>)> {
        let Some(api) = BUILT_IN.api() else { return Vec::new() };
        let each = self.guarantees(FileIndex::at(self.sources.files.len()), api, names).into_iter();
        // without it nothing is there to be guarded, and rules that never mattered still load
        let each = each.filter(|(name, _)| pdp == PdpState::On || name.value != PDP);
        each.map(|(name, routes)| (Spanned { at, value: format!("{} (built in)", name.value) }, routes))
            .collect()
    }

    fn audience(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        api: &document::ApiEntry,
        surroundings: &Surroundings,
        taken: &mut HashMap<Audience, Option<(FileIndex, Span)>>,
    ) -> Option<Audience> {
        let is_own = name.value == ApiName::OWN;
        let text = match &api.audience {
            Field::Absent if is_own => return Some(surroundings.issuer.clone()),
            Field::Absent => {
                let message = format!("API `{}` has no `audience`", name.value);
                let hint = "add `audience: https://...`, the `aud` of its tokens";
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(hint));
                return None;
            }
            Field::Given(text) if is_own => {
                let problem = ReadingProblem::new(
                    text.at,
                    FindingCode::BadAudience,
                    "jeton's own API has no `audience`",
                );
                self.add(file, problem.hint("remove the line: the issuer is its audience"));
                return None;
            }
            Field::Given(text) => text,
            Field::Wrong => return None,
        };
        let audience = match Audience::parse(&text.value) {
            Ok(audience) => audience,
            Err(error) => {
                self.add(file, ReadingProblem::new(text.at, FindingCode::BadAudience, error.to_string()));
                return None;
            }
        };
        if let Some(first) = taken.insert(audience.clone(), Some((file, text.at))) {
            let message = format!("audience `{audience}` belongs to another API");
            let hint = match first {
                Some((file, at)) => format!("the other API is at {}", self.place(file, at)),
                None => "it is the issuer: the audience of jeton's own API".to_owned(),
            };
            self.add(file, ReadingProblem::new(text.at, FindingCode::DuplicateAudience, message).hint(hint));
        }
        Some(audience)
    }

    /// Who may fetch the bundle of an API. To let anybody is warned of.
    fn bundle(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        api: &document::ApiEntry,
    ) -> Option<BundleAccess> {
        let text = api.bundle.given()?;
        let access = BundleAccess::parse(&text.value);
        match access {
            None => {
                let message = format!("expected `public` or `clients`, found `{}`", text.value);
                let problem = ReadingProblem::new(text.at, FindingCode::WrongType, message);
                let hint = "`clients` lets bearers with `jeton:policies` fetch it, `public` anybody";
                self.add(file, problem.hint(hint));
            }
            Some(BundleAccess::Public) => {
                let message = format!(
                    "`public` lets anybody fetch the bundle of API `{}`, which shows its rules and names its clients",
                    name.value
                );
                let problem = ReadingProblem::new(text.at, FindingCode::PublicBundle, message);
                self.warn(file, problem.hint("write `bundle: clients`, unless everybody may know them"));
            }
            Some(BundleAccess::Clients) => {}
        }
        access
    }

    fn compile_rules(
        &mut self,
        file: FileIndex,
        api: &document::ApiEntry,
        names: &DefinedNames,
    ) -> (Vec<PolicyRule>, CompiledRoutes, Vec<Span>) {
        let mut rules: Vec<PolicyRule> = Vec::with_capacity(api.rules.0.len());
        let mut routes = CompiledRoutes::default();
        let mut places = Vec::new();
        for (name, rule) in &api.rules.0 {
            let Some(rule) = rule else { continue };
            let (at, parsed) = self.routes(file, name, &rule.routes);
            let within = Within { file, name, routes: &parsed, names };
            let requirement = self.requirement(within, rule).unwrap_or(Requirement::AnyOf(Vec::new()));
            let line = self.source(file).map_or(0, |source| source.line(name.at.start));
            let index = small(rules.len());
            rules.push(PolicyRule { name: name.value.as_str().into(), file, line: small(line) });
            let mut shared = HashMap::new();
            for (at, route) in at.into_iter().zip(parsed) {
                let id = RouteId::at(routes.written.len());
                if let Err(first) = routes.trie.insert(&route, id) {
                    self.duplicate_route(file, at, &route, first, &rules, &routes, &places);
                    continue;
                }
                let access = routes.access_at(&route, &requirement, &mut shared);
                routes.access.push(RouteAccess { rule: index, access });
                routes.written.push(route);
                places.push(at);
            }
        }
        self.refuse_dead_rules(file, &rules, &routes, &places);
        (rules, routes, places)
    }

    /// The routes of a rule or guarantee, with their places.
    fn routes(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        field: &Field<Items<Text>>,
    ) -> (Vec<Span>, Vec<Route>) {
        let routes = match field {
            Field::Given(routes) if !routes.is_empty() => routes.0.as_slice(),
            Field::Wrong => &[],
            Field::Given(_) | Field::Absent => {
                let message = format!("`{}` has no routes", name.value);
                let hint = "add `routes:` with lines such as `- GET /orders/{order}`";
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(hint));
                &[]
            }
        };
        let mut parsed = (Vec::with_capacity(routes.len()), Vec::with_capacity(routes.len()));
        for text in routes {
            match Route::parse(&text.value) {
                Ok(route) => parsed.extend([(text.at, route)]),
                Err(bad) => self.add(
                    file,
                    ReadingProblem::new(text.at, FindingCode::BadRoute, bad.message).hint(bad.hint),
                ),
            }
        }
        parsed
    }

    #[expect(clippy::too_many_arguments, reason = "both routes, and the lists in which the first one stands")]
    fn duplicate_route(
        &mut self,
        file: FileIndex,
        at: Span,
        route: &Route,
        first: RouteId,
        rules: &[PolicyRule],
        routes: &CompiledRoutes,
        places: &[Span],
    ) {
        let first = first.position();
        let rule = routes.access.get(first).and_then(|access| rules.get(usize::try_from(access.rule).ok()?));
        let message = format!("`{route}` is in rule `{}` already", rule.map_or("", PolicyRule::name));
        let place = places.get(first).map(|at| self.place(file, *at)).unwrap_or_default();
        let hint = format!("it is at {place} first; parameters match alike, whatever their names");
        self.add(file, ReadingProblem::new(at, FindingCode::DuplicateRoute, message).hint(hint));
    }

    fn refuse_dead_rules(
        &mut self,
        file: FileIndex,
        rules: &[PolicyRule],
        routes: &CompiledRoutes,
        places: &[Span],
    ) {
        // by rule: the place of its first route, and whether one of its routes ever decides
        let mut seen: BTreeMap<u32, (Span, bool)> = BTreeMap::new();
        for (id, ((route, access), at)) in
            numbered(RouteId::at, routes.written.iter().zip(&routes.access).zip(places))
        {
            let decides = !routes.trie.never_decides(route, id);
            seen.entry(access.rule).or_insert((*at, false)).1 |= decides;
        }
        for (rule, (at, decides)) in seen {
            let rule = usize::try_from(rule).ok().and_then(|rule| rules.get(rule));
            if let (Some(rule), false) = (rule, decides) {
                let message = format!(
                    "rule `{}` can never decide: more specific routes cover all of its own",
                    rule.name()
                );
                let hint = "remove it, or the routes that cover it";
                self.add(file, ReadingProblem::new(at, FindingCode::DeadRule, message).hint(hint));
            }
        }
    }

    /// The guarantees of an API by name, each with its routes.
    fn guarantees(
        &mut self,
        file: FileIndex,
        api: &document::ApiEntry,
        names: &DefinedNames,
    ) -> Vec<(Spanned<String>, Vec<Guaranteed>)> {
        let mut guarantees = Vec::new();
        for (name, guarantee) in &api.guarantees.0 {
            let Some(guarantee) = guarantee else { continue };
            let (_, routes) = self.routes(file, name, &guarantee.routes);
            match &guarantee.only_when {
                Field::Given(require) => {
                    let alternatives = self.any_of(Within { file, name, routes: &routes, names }, require);
                    let each = routes.into_iter().map(|route| {
                        let only_when = placed(&alternatives, &route).0;
                        Guaranteed { route, only_when }
                    });
                    guarantees.push((name.clone(), each.collect()));
                }
                Field::Wrong => {}
                Field::Absent => {
                    let message = format!("guarantee `{}` does not say what must hold", name.value);
                    let problem = ReadingProblem::new(name.at, FindingCode::Missing, message);
                    self.add(file, problem.hint("add `only_when:` with what must hold, as in `require`"));
                }
            }
        }
        guarantees
    }
}

/// Where an API says that questions about it are answered.
fn asked_for_pdp(api: &document::ApiEntry) -> Option<Span> {
    let pdp = api.pdp.given()?;
    pdp.value.then_some(pdp.at)
}

/// Whether routes that are there already decide on all paths of a built-in route.
fn is_matched(routes: &CompiledRoutes, route: &Route) -> bool {
    // no literal of a file is like this
    let path = route.with_parameters("{}");
    let Ok(path) = CanonicalPath::parse(&path) else { return false };
    let method = Method::ALL.into_iter().find(|method| route.method.precision(*method).is_some());
    method.is_some_and(|method| routes.trie.find(method, &path).is_some())
}

/// The alternatives with each parameter at its place in the route, and these places.
fn placed(
    alternatives: &[Vec<Condition>],
    route: &Route,
) -> (Vec<Vec<Condition>>, Vec<Option<ParameterPlace>>) {
    let mut places = Vec::new();
    let mut alternatives = alternatives.to_vec();
    for parameter in alternatives.iter_mut().flatten().filter_map(Condition::parameter_mut) {
        let found = route.parameters().find(|(name, _)| **name == *parameter.name);
        parameter.place = found.map(|(_, place)| place);
        places.push(parameter.place);
    }
    (alternatives, places)
}

impl CompiledRoutes {
    /// What a rule asks on this route: its conditions with each parameter at its place. Routes of one
    /// rule whose parameters stand at the same places share them (`shared`, by places).
    fn access_at(
        &mut self,
        route: &Route,
        requirement: &Requirement,
        shared: &mut HashMap<Vec<Option<ParameterPlace>>, RuleAccess>,
    ) -> RuleAccess {
        let Requirement::AnyOf(alternatives) = requirement else { return RuleAccess::Public };
        let (alternatives, places) = placed(alternatives, route);
        let access = shared.entry(places).or_insert_with(|| {
            if let [only] = alternatives.as_slice() {
                let start = small(self.conditions.len());
                self.conditions.extend(only.iter().cloned());
                return RuleAccess::All(start..small(self.conditions.len()));
            }
            let first = small(self.alternatives.len());
            for alternative in alternatives {
                let start = small(self.conditions.len());
                self.conditions.extend(alternative);
                self.alternatives.push(start..small(self.conditions.len()));
            }
            RuleAccess::AnyOf(first..small(self.alternatives.len()))
        });
        access.clone()
    }
}
