//! The compiled policies: what every decision reads.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Mutex, OnceLock, PoisonError},
};

use jeton_oauth::{ApiName, Audience, Role, Scope, ScopeSet, TokenId};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::{
    condition::{Alternative, Condition},
    decision::{Decision, Denial, Grounds},
    finding::Findings,
    path::CanonicalPath,
    position::RouteId,
    route::{Method, ParameterPlace, Route, RouteMethod},
    rule::{PolicyRule, RulePlace},
    source::ContentHash,
    subject::Subject,
    trie::Trie,
};
use crate::{
    clients::ClientRegistry,
    federation::{Federation, Issuers},
};

/// Everything that one reading of a policies folder says. Never changes; a reload makes another one.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) scopes: BTreeMap<Scope, String>,
    pub(super) roles: BTreeMap<Role, ScopeSet>,
    pub(super) apis: BTreeMap<ApiName, ProtectedApi>,
    /// Whether one of them has a bundle.
    pub(super) has_bundles: bool,
    pub(super) clients: ClientRegistry,
    pub(super) issuers: Issuers,
    pub(super) federation: Federation,
    /// `revoked_tokens`: each with the time from which on it has no effect any more.
    pub(super) revoked: FxHashMap<TokenId, Option<Timestamp>>,
    /// When they were compiled.
    pub(super) read_at: Timestamp,
    pub(super) hash: ContentHash,
    /// Behind the files that were read, what is built in.
    pub(super) files: Vec<String>,
    pub(super) warnings: Warnings,
}

/// The warnings of policies, which are looked for when somebody asks: policies can be in force before.
#[derive(Default)]
pub(super) struct Warnings {
    /// Until then.
    pub(super) look: Mutex<Option<WarningSearch>>,
    pub(super) found: OnceLock<Findings>,
}

/// How they are looked for.
type WarningSearch = Box<dyn FnOnce(&PolicySet) -> Findings + Send>;

impl Warnings {
    pub(super) fn by(look: impl FnOnce(&PolicySet) -> Findings + Send + 'static) -> Self {
        Self { look: Mutex::new(Some(Box::new(look))), found: OnceLock::new() }
    }

    /// What they are; `policies` are those that they belong to.
    fn of(&self, policies: &PolicySet) -> &Findings {
        self.found.get_or_init(|| {
            let look = self.look.lock().unwrap_or_else(PoisonError::into_inner).take();
            look.map(|look| look(policies)).unwrap_or_default()
        })
    }
}

/// What the files hold is not for a log.
impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warnings").finish_non_exhaustive()
    }
}

impl PolicySet {
    /// The vocabulary: each scope with its description.
    pub fn scopes(&self) -> &BTreeMap<Scope, String> {
        &self.scopes
    }

    /// Each role with its scopes.
    pub fn roles(&self) -> &BTreeMap<Role, ScopeSet> {
        &self.roles
    }

    /// The protected APIs by name.
    pub fn apis(&self) -> &BTreeMap<ApiName, ProtectedApi> {
        &self.apis
    }

    /// The API of this name.
    pub fn api(&self, name: &str) -> Option<&ProtectedApi> {
        self.apis.get(name)
    }

    /// Whether an API has a bundle.
    pub fn has_bundles(&self) -> bool {
        self.has_bundles
    }

    /// The clients that may fetch tokens.
    pub fn clients(&self) -> &ClientRegistry {
        &self.clients
    }

    /// The issuers whose tokens may stand for clients.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Which tokens of these issuers stand for which clients.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// Whether the files list this token as revoked.
    pub fn has_revoked(&self, token: &str) -> bool {
        !self.revoked.is_empty() && self.revoked.contains_key(token)
    }

    /// How many tokens the files list as revoked.
    pub fn revoked_count(&self) -> usize {
        self.revoked.len()
    }

    /// What the files held, in one number.
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }

    /// The files that were read, in order.
    pub fn files(&self) -> &[String] {
        self.files.split_last().map_or(&[], |(_built_in, files)| files)
    }

    /// Whether a rule is built in, and stands in no file.
    pub(super) fn is_built_in(&self, rule: &PolicyRule) -> bool {
        rule.file.position() >= self.files().len()
    }

    /// Whether a file or a client says something about an API: else all of it is built in, and nobody can use it.
    pub fn is_mentioned(&self, api: &ProtectedApi) -> bool {
        api.rules.iter().any(|rule| !self.is_built_in(rule))
            || self.clients.iter().any(|client| client.grants.iter().any(|grant| grant.api == api.name))
    }

    /// What an operator should look at, though the policies load. It is looked for when somebody asks first,
    /// which takes longer than to compile them.
    pub fn warnings(&self) -> &Findings {
        self.warnings.of(self)
    }

    /// The file that defines a rule, or the name of the built-in rules.
    pub(super) fn file_of(&self, rule: &PolicyRule) -> &str {
        self.files.get(rule.file.position()).map_or("", String::as_str)
    }

    /// A rule of these policies and its place in the files.
    pub fn place_of(&self, rule: &PolicyRule) -> RulePlace {
        RulePlace { rule: rule.name().to_owned(), file: self.file_of(rule).to_owned(), line: rule.line }
    }

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        self.apis.values().map(|api| api.rules.len()).sum()
    }
}

/// One protected API: its routes and what they need.
#[derive(Debug)]
pub struct ProtectedApi {
    pub(super) name: ApiName,
    pub(super) audience: Audience,
    /// Who may fetch its bundle.
    pub(super) bundle: Option<BundleAccess>,
    /// What its rules ask for, by themselves or by a role.
    pub(super) scopes: ScopeSet,
    pub(super) pdp: PdpState,
    /// Whether it takes bound tokens only.
    pub(super) bound_tokens: bool,
    pub(super) rules: Vec<PolicyRule>,
    pub(super) routes: CompiledRoutes,
}

/// Who may fetch the bundle of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleAccess {
    /// Anybody.
    Public,
    /// Bearers with the scope `jeton:policies`.
    Clients,
}

impl BundleAccess {
    pub(super) const ALL: [Self; 2] = [Self::Public, Self::Clients];

    /// As a policy file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Clients => "clients",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.as_str() == text)
    }
}

/// Whether a policy decision point answers questions about an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PdpState {
    /// It does not.
    #[default]
    Off,
    /// It does, those who may ask.
    On,
}

/// The routes of an API. What a decision reads lies side by side; what only an explanation reads lies
/// apart.
#[derive(Debug, Default)]
pub(super) struct CompiledRoutes {
    pub(super) trie: Trie,
    /// By [`RouteId`].
    pub(super) access: Vec<RouteAccess>,
    /// Each a range of `conditions`.
    pub(super) alternatives: Vec<Range<u32>>,
    pub(super) conditions: Vec<Condition>,
    /// By [`RouteId`]: the routes as they were written.
    pub(super) written: Vec<Route>,
}

/// The rule of a route, and what it asks there.
#[derive(Clone, Debug)]
pub(super) struct RouteAccess {
    pub(super) rule: u32,
    pub(super) access: RuleAccess,
}

/// Who may pass.
#[derive(Clone, Debug)]
pub(super) enum RuleAccess {
    Public,
    /// Who meets all of the conditions in this range of [`CompiledRoutes::conditions`].
    All(Range<u32>),
    /// Who meets one of the alternatives in this range of [`CompiledRoutes::alternatives`].
    AnyOf(Range<u32>),
}

impl RuleAccess {
    /// Whether no token is needed.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

impl ProtectedApi {
    /// Its name.
    pub fn name(&self) -> &ApiName {
        &self.name
    }

    /// The `aud` of the tokens that it takes.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Who may fetch its bundle. `None` is nobody.
    pub fn bundle_access(&self) -> Option<BundleAccess> {
        self.bundle
    }

    /// The scopes that its rules name, and those of the roles that they name.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Whether a policy decision point answers questions about it.
    pub fn pdp(&self) -> PdpState {
        self.pdp
    }

    /// `bound_tokens: true`: whether it takes only tokens that are bound to a key or a certificate. No other
    /// is issued for it.
    pub fn bound_tokens(&self) -> bool {
        self.bound_tokens
    }

    /// How many routes its rules have.
    pub fn route_count(&self) -> usize {
        self.routes.written.len()
    }

    /// Its rules.
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// Decides a request: `method` and `target` as they were sent, `subject` what a verified token
    /// carries, or `None` where no token came. Touches memory only, and allocates nothing when the
    /// answer is yes and the path holds no escapes.
    pub fn decide(&self, method: &str, target: &str, subject: Option<&Subject<'_>>) -> Decision<'_> {
        match self.located(method, target) {
            Ok((route, path)) => self.decide_at(route, &path, &[], subject),
            Err(denial) => Decision::Deny(denial),
        }
    }

    /// The route that decides a request, and its path.
    pub(super) fn located<'t>(
        &self,
        method: &str,
        target: &'t str,
    ) -> Result<(RouteId, CanonicalPath<'t>), Denial<'_>> {
        let path = CanonicalPath::parse(target).map_err(Denial::BadPath)?;
        let method = Method::parse(method).ok_or(Denial::BadMethod)?;
        let route = self.routes.trie.find(method, &path).ok_or(Denial::NoRoute)?;
        Ok((route, path))
    }

    /// Decides by the rule of a route. A condition on a parameter that is `absent` from the path does not hold,
    /// whatever the path has in its place.
    pub(super) fn decide_at(
        &self,
        route: RouteId,
        path: &CanonicalPath<'_>,
        absent: &[ParameterPlace],
        subject: Option<&Subject<'_>>,
    ) -> Decision<'_> {
        let Some((rule, access)) = self.access(route) else { return Decision::Deny(Denial::NoRoute) };
        if matches!(access, RuleAccess::Public) {
            return Decision::Allow { rule, grounds: Grounds::Public };
        }
        let Some(subject) = subject else { return Decision::Deny(Denial::NoToken { rule }) };
        let can_hold = |alternative: Alternative<'_>| absent.is_empty() || !alternative.looks_at(absent);
        let holds = |alternative: Alternative<'_>| can_hold(alternative) && alternative.holds(subject, path);
        let alternatives = || self.routes.alternatives(access);
        if let Some(position) = alternatives().position(holds) {
            return Decision::Allow { rule, grounds: Grounds::Alternative(position) };
        }
        let missing = alternatives().map(|alternative| alternative.missing(subject, path, absent));
        Decision::Deny(Denial::NotMet {
            rule,
            missing: missing.min_by_key(Vec::len).unwrap_or_default(),
            scopes_that_would_do: alternatives()
                .filter(|alternative| can_hold(*alternative))
                .find_map(|alternative| alternative.scopes_that_would_do(subject, path)),
        })
    }

    /// Requests that its routes match: each route with each of these texts in the place of its parameters, and
    /// for `ANY` two methods. Not every one is decided by the route from which it was made.
    pub fn sample_requests<'a>(
        &'a self,
        values: &'a [String],
    ) -> impl Iterator<Item = (Method, String)> + 'a {
        let first_to_last = |route: &'a Route| values.iter().map(move |value| route.with_parameters(value));
        self.routes.written.iter().flat_map(move |route| {
            let methods = match route.method {
                RouteMethod::Named(method) => vec![method],
                RouteMethod::Any => vec![Method::Get, Method::Delete],
            };
            methods.into_iter().flat_map(move |method| first_to_last(route).map(move |path| (method, path)))
        })
    }

    /// Whether the route lets this bearer pass on a path; `None` is a request without a token.
    pub(super) fn lets_through(
        &self,
        route: RouteId,
        path: &CanonicalPath<'_>,
        subject: Option<&Subject<'_>>,
    ) -> bool {
        self.access(route).is_some_and(|(_, access)| {
            access.is_public()
                || subject.is_some_and(|subject| {
                    self.routes.alternatives(access).any(|alternative| alternative.holds(subject, path))
                })
        })
    }

    /// A route as it was written.
    pub(super) fn written(&self, route: RouteId) -> Option<&Route> {
        self.routes.written.get(route.position())
    }

    /// The rule of a route, and what it asks there.
    pub(super) fn access(&self, route: RouteId) -> Option<(&PolicyRule, &RuleAccess)> {
        let route = self.routes.access.get(route.position())?;
        Some((self.rules.get(usize::try_from(route.rule).ok()?)?, &route.access))
    }
}

impl CompiledRoutes {
    /// The alternatives of a route; a public one has none.
    pub(super) fn alternatives<'a>(
        &'a self,
        access: &'a RuleAccess,
    ) -> impl Iterator<Item = Alternative<'a>> {
        let alternatives = match access {
            RuleAccess::Public => None,
            RuleAccess::All(range) => Some(std::slice::from_ref(range)),
            RuleAccess::AnyOf(range) => slice(&self.alternatives, range),
        };
        let each = alternatives.unwrap_or_default().iter();
        each.map(|range| Alternative(slice(&self.conditions, range).unwrap_or_default()))
    }
}

fn slice<'s, T>(all: &'s [T], range: &Range<u32>) -> Option<&'s [T]> {
    all.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
