//! Conditions on claims that all clients have in another type.

use std::{collections::HashMap, sync::Arc};

use jeton_oauth::ApiName;

use crate::{
    claim::{Claim, ClaimName, Types},
    clients::{Client, ClientKind},
    federation::FederatedTerms,
    finding::{FindingCode, ReadingProblem, Span},
    position::FileIndex,
    set::PolicySet,
};

/// Where a claim is compared, and the types of claims for which that may hold.
#[derive(Debug)]
pub(super) struct ClaimUse {
    pub(super) file: FileIndex,
    pub(super) at: Span,
    pub(super) name: ClaimName,
    pub(super) types: Types,
}

/// Conditions that no client's claim can meet because of the type alone. Of a claim that no client has, nothing is
/// known.
pub(super) fn mismatches(
    policies: &PolicySet,
    api: &ApiName,
    uses: &[ClaimUse],
) -> Vec<(FileIndex, ReadingProblem)> {
    let clients = policies.clients().iter().map(Arc::as_ref);
    let clients: Vec<_> =
        clients.filter(|client| client.grants.iter().any(|grant| grant.api == *api)).collect();
    let mut known: HashMap<&ClaimName, Types> = HashMap::new();
    let each = uses.iter().filter_map(|ClaimUse { file, at, name, types }| {
        let found = *known.entry(name).or_insert_with(|| types_of(name, &clients));
        let is_mismatch = found.is_some() && !types.meets(found);
        is_mismatch.then(|| {
            let message = format!(
                "claim `{name}` is {} for every client that has it, but this condition needs {}",
                found.named(),
                types.asked()
            );
            (
                *file,
                ReadingProblem::new(*at, FindingCode::TypeMismatch, message).hint(types.instead_of(found)),
            )
        })
    });
    each.collect()
}

/// The types that a claim has in the tokens of these clients.
fn types_of(name: &ClaimName, clients: &[&Client]) -> Types {
    let each = clients.iter().filter_map(|client| match name {
        ClaimName::Sub => (client.kind == ClientKind::Named).then_some(Types::TEXT),
        ClaimName::Named(_) | ClaimName::Pointer(_) if takes_over(client, name) => Some(Types::ANY),
        ClaimName::Named(_) | ClaimName::Pointer(_) => {
            name.find_in(&client.claims).map(|claim| Types::of(Claim::of(claim)))
        }
    });
    each.fold(Types::default(), Types::or)
}

/// Whether tokens of the client take the claim over from those of another issuer, where it may be anything.
fn takes_over(client: &Client, name: &ClaimName) -> bool {
    let taken = client.federated.iter().flat_map(FederatedTerms::claims_from);
    taken.into_iter().any(|(taken, _)| taken == name.root())
}
