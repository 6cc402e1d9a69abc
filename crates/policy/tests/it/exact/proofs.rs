//! Guarantees, the matrix, and routes that nobody reaches.
use jeton_policy::{FindingCode, MatrixAccess, Permissions, PolicyDraft};
use proptest::{prelude::*, sample::Index};

use super::{
    generate::policy,
    model::{METHODS, Policy, has, instances, meets, parameters, paths, target, tokens},
    words::{bearer, holds_signs, token},
};
use crate::policy_text::cases;

const ALL_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A broken guarantee as a finding tells it.
#[derive(Debug)]
struct Broken {
    guarantee: usize,
    rule: String,
    /// From 0; `None` for a public rule.
    alternative: Option<usize>,
    method: String,
    path: String,
    token: Option<Permissions>,
}

fn broken(draft: &PolicyDraft) -> Vec<Broken> {
    let findings = draft.findings();
    let findings = findings.0.iter().filter(|finding| finding.code == FindingCode::BrokenGuarantee);
    let read = findings.map(|finding| {
        let between = |start: &str, end: &str| {
            let (_, rest) = finding.message.split_once(start).unwrap();
            rest.split_once(end).unwrap().0.to_owned()
        };
        let (method, path) = between("lets `", "` through")
            .split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        // a rule with one alternative does not number it
        let alternative = if finding.message.contains("hold: alternative ") {
            Some(between("hold: alternative ", " of rule"))
        } else {
            finding.message.contains("hold: rule ").then(|| "1".to_owned())
        };
        Broken {
            guarantee: between("guarantee `g-", "`").parse().unwrap(),
            rule: between(" rule `", "`"),
            alternative: alternative.map(|number| number.parse::<usize>().unwrap() - 1),
            method,
            path,
            token: finding.message.split_once("with only ").map(|(_, words)| bearer(&token(words))),
        }
    });
    read.collect()
}

fn decides(draft: &PolicyDraft, method: &str, target: &str) -> Option<String> {
    let explained = draft.policies().explain("api", method, target, None);
    explained.decided_by.map(|route| route.rule)
}

fn allows(draft: &PolicyDraft, method: &str, target: &str, token: Option<&Permissions>) -> bool {
    let subject = token.map(Permissions::subject);
    draft.policies().api("api").unwrap().decide(method, target, subject.as_ref()).is_allowed()
}

fn clients(policy: &Policy, draft: &PolicyDraft) -> Vec<(&'static str, Option<Permissions>)> {
    let granted = |id: &str, enabled: bool| enabled.then(|| draft.policies().permissions_of(id, "api"))?;
    let mut clients: Vec<_> =
        policy.clients.iter().map(|client| (client.id, granted(client.id, client.enabled))).collect();
    clients.sort_by_key(|(id, _)| *id);
    clients
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_guarantee_is_broken_if_and_only_if_a_request_breaks_it(
        policy in policy(4), samples in proptest::collection::vec(any::<Index>(), 150),
    ) {
        let Some(draft) = policy.draft() else { return Ok(()) };
        let broken = broken(&draft);
        for Broken { guarantee, rule, alternative, method, path, token } in &broken {
            let segments = super::model::segments(path);
            let guarantee = &policy.guarantees[*guarantee];
            prop_assert!(has(&guarantee.route, method, &segments));
            prop_assert!(allows(&draft, method, path, token.as_ref()), "{method} {path} {token:?}\n{}", policy.yaml());
            prop_assert_eq!(decides(&draft, method, path), Some(rule.clone()));
            let met = token.as_ref().is_some_and(|token| meets(&guarantee.only_when, token, &guarantee.route, &segments));
            prop_assert!(!met, "{method} {path} {token:?}\n{}", policy.yaml());
            prop_assert_eq!(alternative.is_none(), policy.rule(rule).require.is_none());
            prop_assert_eq!(alternative.is_none(), token.is_none());
        }
        let tokens = tokens(policy.dialect);
        let tokens: Vec<_> = samples.iter().map(|sample| {
            sample.get(&tokens).clone().with_scopes_of_roles(draft.policies().roles())
        }).collect();
        for path in paths(policy.dialect) {
            let target = target(&path);
            for method in METHODS {
                for (at, guarantee) in policy.guarantees.iter().enumerate() {
                    if !has(&guarantee.route, method, &path) {
                        continue;
                    }
                    let Some(decided_by) = decides(&draft, method, &target) else { continue };
                    let found = |alternative| broken.iter().any(|broken| {
                        (broken.guarantee, broken.rule.as_str(), broken.alternative) == (at, decided_by.as_str(), alternative)
                    });
                    let rule = policy.rule(&decided_by);
                    let Some(alternatives) = &rule.require else {
                        prop_assert!(found(None), "{method} {target}\n{}", policy.yaml());
                        continue;
                    };
                    let around = tokens.iter().filter(|token| !meets(&guarantee.only_when, token, &guarantee.route, &path));
                    let values = parameters(&rule.routes[0], &path);
                    for token in around {
                        for (position, asks) in alternatives.iter().enumerate() {
                            let holds = asks.iter().all(|ask| ask.holds(token, &values));
                            prop_assert!(
                                !holds || found(Some(position)),
                                "g-{at}: {method} {target} with {token:?}\n{}", policy.yaml()
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_matrix_says_what_the_engine_decides(policy in policy(5)) {
        let Some(draft) = policy.draft() else { return Ok(()) };
        let matrix = draft.policies().matrix(draft.policies().api("api").unwrap());
        let clients = clients(&policy, &draft);
        let ids: Vec<_> = matrix.clients.iter().map(|client| (client.id.as_str(), client.has_grant)).collect();
        let expected: Vec<_> = clients.iter().map(|(id, granted)| (*id, granted.is_some())).collect();
        prop_assert_eq!(ids, expected);
        prop_assert_eq!(matrix.routes.len(), policy.rules.len());
        for path in paths(policy.dialect) {
            let target = target(&path);
            for method in METHODS {
                let Some(rule) = decides(&draft, method, &target) else { continue };
                let row = matrix.routes.iter().find(|row| row.rule == rule).unwrap();
                let (_, pattern) = row.route.split_once(' ').unwrap();
                for ((id, granted), access) in clients.iter().zip(&row.access) {
                    let said = match access {
                        MatrixAccess::Always => true,
                        MatrixAccess::Never => false,
                        MatrixAccess::When(on) => holds_signs(on, pattern, &path),
                    };
                    prop_assert_eq!(
                        said, allows(&draft, method, &target, granted.as_ref()),
                        "{} at {} {}: {:?}\n{}", id, method, target, access, policy.yaml()
                    );
                }
            }
        }
    }

    #[test]
    fn a_route_is_unreachable_if_and_only_if_no_client_reaches_it(policy in policy(5)) {
        let Some(draft) = policy.draft() else { return Ok(()) };
        let warnings = &draft.policies().warnings().0;
        let warnings: Vec<_> = warnings.iter().filter(|finding| finding.code == FindingCode::UnreachableRoute).collect();
        let clients = clients(&policy, &draft);
        if clients.iter().all(|(_, granted)| granted.is_none()) {
            let asks = policy.rules.iter().any(|rule| rule.require.is_some());
            prop_assert_eq!(warnings.len(), usize::from(asks));
            return Ok(());
        }
        let mut texts: Vec<_> = policy.dialect.segments.iter().map(|segment| (*segment).to_owned()).collect();
        for client in &policy.clients {
            let of_claims = client.claims.iter().flat_map(|(_, claim)| super::model::texts(claim));
            texts.extend(of_claims.filter(|text| !text.is_empty()).chain([client.id.to_owned()]));
        }
        texts.sort();
        texts.dedup();
        let passes = |granted: &Option<Permissions>, method: &str, target: &str| {
            granted.is_some() && allows(&draft, method, target, granted.as_ref())
        };
        let mut reached = Vec::new();
        for rule in &policy.rules {
            let (_, pattern) = rule.routes[0].split_once(' ').unwrap();
            let paths = instances(pattern, &texts);
            let mut requests = paths.iter().flat_map(|path| ALL_METHODS.map(|method| (method, target(path))));
            let is_reached = requests.any(|(method, target)| {
                has(&rule.routes[0], method, &super::model::segments(&target))
                    && decides(&draft, method, &target).as_ref() == Some(&rule.name)
                    && clients.iter().any(|(_, granted)| passes(granted, method, &target))
            });
            if is_reached {
                reached.push(rule.name.clone());
            }
        }
        for rule in policy.rules.iter().filter(|rule| rule.require.is_some()) {
            let message = format!("no client can reach `{}`", rule.routes[0]);
            let warned = warnings.iter().any(|finding| finding.message == message);
            prop_assert_eq!(!warned, reached.contains(&rule.name), "{}\n{}", message, policy.yaml());
        }
    }
}
