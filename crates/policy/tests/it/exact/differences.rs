//! Who gains and who loses by an edit.
use std::{collections::BTreeSet, sync::OnceLock};

use jeton_oauth::ScopeSet;
use jeton_policy::{ChangeEffect, ChangedFor, Permissions, PolicyChange, PolicyDiff, PolicyDraft, PolicySet};
use proptest::{prelude::*, sample::Index};

use super::{
    generate::edit,
    model::{DIALECTS, Dialect, METHODS, Policy, meets, paths, set, target, tokens},
    words::{bearer, is_about, outline, route_of, routes},
};
use crate::policy_text::cases;

const MOST_RULES: usize = 4;

struct Edit {
    old: PolicyDraft,
    new: PolicyDraft,
    difference: PolicyDiff,
}

impl Edit {
    fn of(old: &Policy, new: &Policy) -> Option<Self> {
        let (old, new) = (old.draft()?, new.draft()?);
        let difference = old.difference(&new);
        Some(Self { old, new, difference })
    }

    fn decides(&self, method: &str, target: &str, subjects: [Option<&Permissions>; 2]) -> [bool; 2] {
        let of = |policies: &PolicySet, bearer: Option<&Permissions>| {
            let subject = bearer.map(Permissions::subject);
            policies.api("api").unwrap().decide(method, target, subject.as_ref()).is_allowed()
        };
        [of(self.old.policies(), subjects[0]), of(self.new.policies(), subjects[1])]
    }

    /// The rules that decide before and after.
    fn rules(&self, method: &str, target: &str) -> [Option<String>; 2] {
        [&self.old, &self.new].map(|draft| {
            let explained = draft.policies().explain("api", method, target, None);
            explained.decided_by.map(|route| route.rule)
        })
    }

    /// The changes that are said of a request.
    fn about(&self, method: &str, path: &[String]) -> Vec<&PolicyChange> {
        let target = target(path);
        let [before, after] = self.rules(method, &target);
        let is_about =
            |change: &&PolicyChange| is_about(change, method, path, before.as_deref(), after.as_deref());
        routes(&self.difference).filter(is_about).collect()
    }

    /// All that a client is granted before and after.
    fn granted(&self, client: &str) -> [Option<Permissions>; 2] {
        [&self.old, &self.new].map(|draft| {
            let found = draft.policies().clients().find(client)?;
            let is_enabled = found.state == jeton_policy::clients::ClientState::Enabled;
            is_enabled.then(|| draft.policies().permissions_of(client, "api"))?
        })
    }
}

fn effect([before, after]: [bool; 2]) -> Option<ChangeEffect> {
    match (before, after) {
        (false, true) => Some(ChangeEffect::Gains),
        (true, false) => Some(ChangeEffect::Loses),
        _ => None,
    }
}

fn requests(dialect: &Dialect) -> Vec<(&'static str, Vec<String>)> {
    paths(dialect).into_iter().flat_map(|path| METHODS.map(|method| (method, path.clone()))).collect()
}

fn is_whole(token: &Permissions, draft: &PolicyDraft) -> bool {
    let roles = draft.policies().roles();
    let implied: ScopeSet =
        token.roles.iter().filter_map(|role| roles.get(role)).flat_map(ScopeSet::iter).cloned().collect();
    implied.is_subset(&token.scopes)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn nothing_differs_from_itself((policy, _) in edit(MOST_RULES)) {
        let Some(edit) = Edit::of(&policy, &policy) else { return Ok(()) };
        prop_assert!(edit.difference.is_empty(), "{}\n{}", edit.difference, policy.yaml());
    }

    #[test]
    fn gains_are_losses_the_other_way_round((old, new) in edit(MOST_RULES)) {
        let (Some(edit), Some(back)) = (Edit::of(&old, &new), Edit::of(&new, &old)) else { return Ok(()) };
        prop_assert_eq!(
            outline(&edit.difference, false), outline(&back.difference, true), "{}\n=>\n{}", old.yaml(), new.yaml()
        );
    }

    #[test]
    fn every_witness_shows_what_is_said_of_it((old, new) in edit(MOST_RULES)) {
        let Some(edit) = Edit::of(&old, &new) else { return Ok(()) };
        for change in routes(&edit.difference) {
            let witness = change.witness.as_ref().unwrap();
            let token = witness.token.as_ref().map(bearer);
            let subjects = match &change.who {
                ChangedFor::Client(client) => edit.granted(client),
                _ => [token.clone(), token.clone()],
            };
            let decisions = edit.decides(&witness.method, &witness.path, subjects.each_ref().map(Option::as_ref));
            prop_assert_eq!(effect(decisions), Some(change.effect), "{}\n{}\n=>\n{}", change, old.yaml(), new.yaml());
            if matches!(change.who, ChangedFor::Client(_)) {
                let side = usize::from(change.effect == ChangeEffect::Gains);
                let set = |token: &Permissions| {
                    (token.client.clone(), token.sub.clone(), token.scopes.clone(), token.claims.clone())
                };
                prop_assert_eq!(token.as_ref().map(set), subjects[side].as_ref().map(set));
            }
            let path = super::model::segments(&witness.path);
            let (methods, _) = route_of(change);
            prop_assert!(!METHODS.contains(&witness.method.as_str()) || methods.contains(&witness.method.as_str()));
            let [before, after] = edit.rules(&witness.method, &witness.path);
            prop_assert!(
                !METHODS.contains(&witness.method.as_str())
                    || is_about(change, &witness.method, &path, before.as_deref(), after.as_deref()),
                "{change}: {witness:?}\n{}\n=>\n{}", old.yaml(), new.yaml()
            );
        }
    }

    /// A token that somebody has nothing to take away from, unless another alternative lets the rest pass.
    #[test]
    fn a_witness_carries_nothing_that_it_does_not_need((old, new) in edit(MOST_RULES)) {
        let Some(edit) = Edit::of(&old, &new) else { return Ok(()) };
        for change in routes(&edit.difference) {
            let (ChangedFor::AnyTokenWith(_), Some(witness)) = (&change.who, &change.witness) else { continue };
            let (side, policy, rule) = match change.effect {
                ChangeEffect::Gains => (1, &new, &change.after),
                _ => (0, &old, &change.before),
            };
            let rule = policy.rule(&rule.as_ref().unwrap().rule);
            let require = rule.require.as_ref().unwrap();
            let token = bearer(witness.token.as_ref().unwrap());
            let path = super::model::segments(&witness.path);
            // the alternatives that it meets; what is less meets none of them
            let met: Vec<_> = require.iter().filter(|one| meets(&vec![(*one).clone()], &token, &rule.routes[0], &path)).collect();
            prop_assert!(!met.is_empty(), "{change}: {witness:?}\n{}\n=>\n{}", old.yaml(), new.yaml());
            let roles = [&edit.old, &edit.new][side].policies().roles();
            prop_assert!(
                met.iter().any(|one| narrower(&token, roles).iter().all(|less| !meets(&vec![(*one).clone()], less, &rule.routes[0], &path))),
                "{change}\n{token:?}\n{}\n=>\n{}", old.yaml(), new.yaml()
            );
        }
    }

    #[test]
    fn what_any_token_gains_or_loses_is_said(
        (old, new) in edit(MOST_RULES),
        samples in proptest::collection::vec((any::<Index>(), any::<Index>()), 2000),
    ) {
        let Some(edit) = Edit::of(&old, &new) else { return Ok(()) };
        let (requests, tokens) = universe(old.dialect);
        for (request, token) in &samples {
            let (method, path) = request.get(requests);
            let token = token.get(tokens);
            let target = target(path);
            let flip = effect(edit.decides(method, &target, [Some(token), Some(token)]));
            let side = if flip == Some(ChangeEffect::Gains) { &edit.new } else { &edit.old };
            let Some(flip) = flip.filter(|_| is_whole(token, side)) else { continue };
            let said = edit.about(method, path);
            prop_assert!(
                said.iter().any(|change| change.effect == flip && matches!(change.who, ChangedFor::Everybody | ChangedFor::AnyTokenWith(_))),
                "{flip:?} {method} {target} with {token:?}\n{}\n{}\n=>\n{}", edit.difference, old.yaml(), new.yaml()
            );
        }
        for (method, path) in requests.iter().step_by(7) {
            let flip = effect(edit.decides(method, &target(path), [None, None]));
            let said = edit.about(method, path);
            let everybody: BTreeSet<_> =
                said.iter().filter(|change| change.who == ChangedFor::Everybody).map(|change| change.effect).collect();
            prop_assert_eq!(everybody, set(flip), "{} {}\n{}\n=>\n{}", method, target(path), old.yaml(), new.yaml());
        }
    }

    /// On every path of which it is said.
    #[test]
    fn what_is_said_of_any_token_is_so_wherever_it_is_said(
        (old, new) in edit(MOST_RULES), samples in proptest::collection::vec(any::<Index>(), 30),
    ) {
        // where the tokens are not all that there are, the witness is looked at
        let Some(edit) = Edit::of(&old, &new).filter(|_| old.dialect.is_whole) else { return Ok(()) };
        let (requests, tokens) = universe(old.dialect);
        for (method, path) in samples.iter().map(|sample| sample.get(requests)) {
            for change in edit.about(method, path) {
                let ChangedFor::AnyTokenWith(_) = &change.who else { continue };
                let side = if change.effect == ChangeEffect::Gains { &edit.new } else { &edit.old };
                let target = target(path);
                let shows = |token: &Permissions| {
                    is_whole(token, side)
                        && effect(edit.decides(method, &target, [Some(token), Some(token)])) == Some(change.effect)
                };
                prop_assert!(
                    tokens.iter().any(shows), "{change} at {method} {target}\n{}\n=>\n{}", old.yaml(), new.yaml()
                );
            }
        }
    }

    #[test]
    fn what_a_client_gains_or_loses_is_said_and_nothing_else((old, new) in edit(MOST_RULES), start in 0..5_usize) {
        let Some(edit) = Edit::of(&old, &new) else { return Ok(()) };
        let (requests, _) = universe(old.dialect);
        for (method, path) in requests.iter().skip(start).step_by(5) {
            let target = target(path);
            let said = edit.about(method, path);
            for client in ["x", "y", "w"] {
                let subjects = edit.granted(client);
                let subjects = subjects.each_ref().map(Option::as_ref);
                let tokenless = edit.decides(method, &target, [None, None]);
                let flip = match subjects {
                    // one that has no token asks as everybody does
                    [None, None] => None,
                    _ => effect(edit.decides(method, &target, subjects)),
                };
                let of_client: BTreeSet<_> = said
                    .iter()
                    .filter(|change| change.who == ChangedFor::Client(client.to_owned()))
                    .map(|change| change.effect)
                    .collect();
                let everybody_gains = effect(tokenless) == Some(ChangeEffect::Gains);
                let expected = set(flip.filter(|_| !everybody_gains));
                prop_assert_eq!(
                    of_client, expected,
                    "{} at {} {}\n{}\n{}\n=>\n{}", client, method, target, edit.difference, old.yaml(), new.yaml()
                );
            }
        }
    }

    #[test]
    fn names_order_and_files_make_no_difference(
        (policy, _) in edit(MOST_RULES), turn in 0..4_usize, file in 0..3_usize,
    ) {
        let mut other = policy.clone();
        other.rules.reverse();
        other.clients.reverse();
        for (at, rule) in other.rules.iter_mut().enumerate() {
            rule.name = format!("other-{at}");
            if let Some(alternatives) = &mut rule.require {
                let turn = turn % alternatives.len();
                alternatives.rotate_left(turn);
                for asks in alternatives.iter_mut() {
                    asks.reverse();
                }
                split_any_scope(alternatives);
            }
        }
        let mut files = other.files();
        files.rotate_left(file);
        let files = files.into_iter().map(|text| text.replace("{p", "{q").replace("path: p", "path: q")).collect();
        let (Some(old), Some(new)) = (policy.draft(), super::model::draft_of(files)) else { return Ok(()) };
        for (old, new) in [(&old, &new), (&new, &old)] {
            let difference = old.difference(new);
            prop_assert!(difference.is_empty(), "{difference}\n{}\n=>\n{}", policy.yaml(), other.yaml());
        }
    }

    /// Two rules that ask the same may be one.
    #[test]
    fn rules_that_ask_the_same_may_be_one((policy, _) in edit(MOST_RULES)) {
        let mut policy = policy;
        let Some(last) = policy.rules.last().cloned() else { return Ok(()) };
        let mut twin = policy.rules[0].clone();
        let names = |rule: &super::model::Rule| [0, 1, 2].map(|at| rule.routes[0].contains(&format!("{{p{at}}}")));
        if policy.rules.len() < 2 || names(&last) != names(&twin) {
            return Ok(());
        }
        policy.rules.last_mut().unwrap().require.clone_from(&twin.require);
        twin.routes.extend(last.routes);
        let mut one = policy.clone();
        one.rules.pop();
        one.rules[0] = twin;
        let Some(edit) = Edit::of(&policy, &one) else { return Ok(()) };
        prop_assert!(edit.difference.is_empty(), "{}\n{}\n=>\n{}", edit.difference, policy.yaml(), one.yaml());
    }
}

type Universe = (Vec<(&'static str, Vec<String>)>, Vec<Permissions>);

/// Every request and every token of a dialect.
fn universe(dialect: &'static Dialect) -> &'static Universe {
    static UNIVERSES: [OnceLock<Universe>; DIALECTS.len()] = [const { OnceLock::new() }; DIALECTS.len()];
    let at = DIALECTS.iter().position(|one| *one == dialect).unwrap();
    UNIVERSES[at].get_or_init(|| (requests(dialect), tokens(dialect)))
}

/// Writes `any_scope: [a, b]` as two alternatives.
fn split_any_scope(alternatives: &mut super::model::Alternatives) {
    use super::model::Ask;
    let mut split = Vec::new();
    for alternative in alternatives.drain(..) {
        let is_any = |ask: &Ask| matches!(ask, Ask::AnyScope(_));
        let Some(Ask::AnyScope(scopes)) = alternative.iter().find(|ask| is_any(ask)).cloned() else {
            split.push(alternative);
            continue;
        };
        for scope in scopes {
            let each = alternative.iter().map(|ask| match ask {
                Ask::AnyScope(_) => Ask::AnyScope(vec![scope]),
                other => other.clone(),
            });
            split.push(each.collect());
        }
    }
    *alternatives = split;
}

/// The token with one thing less: scopes that no role of it brings, roles, claims, items of lists, client.
fn narrower(
    token: &Permissions,
    roles: &std::collections::BTreeMap<jeton_oauth::Role, ScopeSet>,
) -> Vec<Permissions> {
    let mut all = Vec::new();
    let brought =
        |scope| token.roles.iter().any(|role| roles.get(role).is_some_and(|scopes| scopes.contains(scope)));
    for scope in token.scopes.iter().filter(|scope| !brought(scope)) {
        let scopes = token.scopes.iter().filter(|other| *other != scope).cloned().collect();
        all.push(Permissions { scopes, ..token.clone() });
    }
    for role in &token.roles {
        let roles = token.roles.iter().filter(|other| *other != role).cloned().collect();
        all.push(Permissions { roles, ..token.clone() });
    }
    for (name, value) in &token.claims {
        let mut without = token.clone();
        without.claims.remove(name);
        all.push(without);
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        for position in (0..items.len()).filter(|position| !items[*position].is_null()) {
            // the others keep their positions, which pointers name
            let mut less = token.clone();
            less.claims[name][position] = serde_json::Value::Null;
            all.push(less);
        }
    }
    if token.client.is_some() {
        all.push(Permissions { client: None, ..token.clone() });
    } else if token.sub.is_some() {
        all.push(Permissions { sub: None, ..token.clone() });
    }
    all
}
