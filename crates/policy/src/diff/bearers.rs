//! The clients whose access is compared, and those for whom a rule may have another answer than before.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
    slice,
};

use jeton_oauth::{ApiName, ClientId, Role, Scope};

use crate::{
    client_tokens::ClientTokens,
    clients::{Client, ClientState, StoredSecret},
    condition::{Alternative, Condition},
    set::PolicySet,
    subject::Permissions,
};

/// A client with a grant for the API, before or after.
pub(super) struct GrantedClient<'p> {
    pub(super) client: &'p Client,
    is_changed: bool,
    /// Whether other claims may come from tokens of another issuer.
    takes_otherwise: bool,
    api: &'p ApiName,
    old: &'p PolicySet,
    new: &'p PolicySet,
    granted: OnceCell<Granted<'p>>,
}

/// The tokens that a client may have before and after.
pub(super) struct Granted<'p> {
    pub(super) before: Option<ClientTokens<'p>>,
    pub(super) after: Option<ClientTokens<'p>>,
}

impl Granted<'_> {
    /// Whether some carry claims of another issuer's token.
    pub(super) fn take_over(&self) -> bool {
        [&self.before, &self.after].into_iter().flatten().any(ClientTokens::take_over)
    }

    /// What all of them carry, before and after.
    pub(super) fn bases(&self) -> [Option<&Permissions>; 2] {
        [&self.before, &self.after].map(|tokens| tokens.as_ref().map(|tokens| &tokens.base))
    }
}

impl<'p> GrantedClient<'p> {
    pub(super) fn all(old: &'p PolicySet, new: &'p PolicySet, api: &'p ApiName) -> Vec<Self> {
        let mut clients: BTreeMap<_, &Client> = BTreeMap::new();
        for policies in [old, new] {
            clients.extend(policies.clients().iter().map(|client| (&client.id, &**client)));
        }
        let bearers = clients.into_values().map(|client| {
            let found = |policies: &'p PolicySet| {
                let client = policies.clients().find(client.id.as_str())?;
                let grant = client.grants.iter().find(|grant| grant.api == *api)?;
                (client.state == ClientState::Enabled).then_some((grant, client.kind, &client.claims))
            };
            let (before, after) = (found(old), found(new));
            let has_grant = before.is_some() || after.is_some();
            let takes_otherwise = taking(old, &client.id) != taking(new, &client.id);
            let is_changed = before != after || takes_otherwise;
            let granted = OnceCell::new();
            has_grant.then_some(Self { client, is_changed, takes_otherwise, api, old, new, granted })
        });
        bearers.flatten().collect()
    }

    /// Put together when it is asked for: of many clients, most stay as they are.
    pub(super) fn granted(&self) -> &Granted<'p> {
        self.granted.get_or_init(|| {
            let granted = |policies: &'p PolicySet| policies.granted_tokens(self.client, self.api);
            Granted { before: granted(self.old), after: granted(self.new) }
        })
    }
}

/// By what a client has tokens with claims of another issuer's token, and whether it has others; nothing for a client
/// without `claims_from`.
fn taking<'p>(policies: &'p PolicySet, client: &ClientId) -> Option<impl PartialEq + use<'p>> {
    let client = policies.clients().find(client.as_str())?;
    let takes_over = client.federated.iter().any(|terms| terms.claims_from().next().is_some());
    takes_over.then(|| {
        let issuers = client.federated.iter().map(|terms| {
            let issuer = policies.issuers().find(terms.issuer().as_str());
            issuer.map(|issuer| (issuer.enabled, &issuer.issuer))
        });
        let is_live = |secret: &StoredSecret| secret.is_live(policies.read_at);
        let has_others = !client.public_keys.is_empty() || client.secrets.iter().any(is_live);
        (&client.federated, issuers.collect::<Vec<_>>(), has_others)
    })
}

/// Bearers that are granted something else than before.
#[derive(Default)]
pub(super) struct Changed<'a, 'p> {
    all: Vec<&'a GrantedClient<'p>>,
    /// By scope or role that changes, as positions in `all`.
    scopes: HashMap<&'a Scope, Vec<usize>>,
    roles: HashMap<&'a Role, Vec<usize>>,
    /// Those of which something else changes.
    otherwise: Vec<usize>,
}

impl<'a, 'p> Changed<'a, 'p> {
    pub(super) fn of(bearers: &'a [GrantedClient<'p>]) -> Self {
        let mut changed = Self::default();
        for bearer in bearers.iter().filter(|bearer| bearer.is_changed) {
            let at = changed.all.len();
            changed.all.push(bearer);
            let [Some(before), Some(after)] = bearer.granted().bases() else {
                changed.otherwise.push(at);
                continue;
            };
            if bearer.takes_otherwise || (&before.client, &before.claims) != (&after.client, &after.claims) {
                changed.otherwise.push(at);
                continue;
            }
            for (one, other) in [(before, after), (after, before)] {
                for scope in one.scopes.iter().filter(|scope| !other.scopes.contains(scope)) {
                    changed.scopes.entry(scope).or_default().push(at);
                }
                for role in one.roles.iter().filter(|role| !other.roles.contains(role)) {
                    changed.roles.entry(role).or_default().push(at);
                }
            }
        }
        changed
    }

    /// Those for whom what these alternatives ask may have another answer than before.
    pub(super) fn by(
        &self,
        alternatives: impl Iterator<Item = Alternative<'p>>,
    ) -> Vec<&'a GrantedClient<'p>> {
        let mut found = self.otherwise.clone();
        for condition in alternatives.flat_map(|alternative| alternative.0) {
            let (scopes, roles): (&[Scope], &[Role]) = match condition {
                Condition::Scope(scope) => (slice::from_ref(scope), &[]),
                Condition::AllScopes(scopes) | Condition::AnyScope(scopes) => (scopes, &[]),
                Condition::Role(role) => (&[], slice::from_ref(role)),
                Condition::AnyRole(roles) => (&[], roles),
                Condition::Client(_) | Condition::AnyClient(_) | Condition::Claim { .. } => continue,
            };
            found.extend(scopes.iter().filter_map(|scope| self.scopes.get(scope)).flatten());
            found.extend(roles.iter().filter_map(|role| self.roles.get(role)).flatten());
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|at| self.all.get(at).copied()).collect()
    }
}
