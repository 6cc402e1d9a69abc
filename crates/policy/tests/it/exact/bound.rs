//! Bound tokens in differences, bundles and the matrix.
use jeton_policy::{
    ChangeEffect, ChangeKind, ChangedFor, DiffEffort, DiffSummary, PolicyChange, PolicyDiff, PolicyDraft,
    PolicySet,
};
use proptest::prelude::*;

use super::{
    generate::edit,
    model::{METHODS, Policy, draft_of, paths, target, tokens},
};
use crate::policy_text::{cases, compile_good};

/// The policies, whose API takes bound tokens only, or any.
fn draft(policy: &Policy, is_bound: bool) -> Option<PolicyDraft> {
    let files = policy.files().into_iter().map(|text| {
        // behind the rules, so that these stay on their lines
        let is_of_api = text.contains("    audience: ");
        if is_bound && is_of_api { text + "    bound_tokens: true\n" } else { text }
    });
    let draft = draft_of(files.collect())?;
    assert_eq!(draft.policies().api("api").unwrap().bound_tokens(), is_bound);
    Some(draft)
}

fn of_binding(difference: &PolicyDiff) -> Option<&PolicyChange> {
    let mut found = difference.changes.iter().filter(|change| change.kind == ChangeKind::Binding);
    let first = found.next();
    assert!(found.next().is_none(), "{difference}");
    first
}

proptest! {
    #![proptest_config(cases(48))]

    /// Which requests a bound token opens does not depend on whether others are taken, and what others gain and lose is
    /// said.
    #[test]
    fn what_unbound_tokens_gain_or_lose_is_said(
        (old, new) in edit(4),
        bound in any::<[bool; 2]>(),
        samples in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 300),
    ) {
        let plain = [draft(&old, false), draft(&new, false)];
        let flagged = [draft(&old, bound[0]), draft(&new, bound[1])];
        let ([Some(before), Some(after)], [Some(old_draft), Some(new_draft)]) = (&plain, &flagged) else { return Ok(()) };
        let difference = old_draft.difference(new_draft);
        let of_others = difference.changes.iter().filter(|change| change.kind != ChangeKind::Binding);
        let without = before.difference(after).changes;
        prop_assert_eq!(of_others.cloned().collect::<Vec<_>>(), without.clone(), "{}", difference);

        let said = of_binding(&difference);
        let back = new_draft.difference(old_draft);
        let flip = |effect| match effect {
            ChangeEffect::Gains => ChangeEffect::Loses,
            ChangeEffect::Loses => ChangeEffect::Gains,
            other => other,
        };
        prop_assert_eq!(said.map(|change| flip(change.effect)), of_binding(&back).map(|change| change.effect));
        prop_assert_eq!(said.is_some(), bound[0] != bound[1]);

        // a token that is not bound opens what a bound one does, or nothing
        let decides = |draft: &PolicyDraft, method: &str, target: &str, token: &jeton_policy::Permissions| {
            draft.policies().api("api").unwrap().decide(method, target, Some(&token.subject())).is_allowed()
        };
        let (paths, tokens) = (paths(old.dialect), tokens(old.dialect));
        for (at, token) in &samples {
            let (path, token) = (target(at.get::<Vec<String>>(&paths)), token.get(tokens.as_slice()));
            for method in METHODS {
                let is_public = |draft: &PolicyDraft| {
                    draft.policies().api("api").unwrap().decide(method, &path, None).is_allowed()
                };
                let public = [old_draft, new_draft].map(is_public);
                let opens = [(old_draft, bound[0], public[0]), (new_draft, bound[1], public[1])].map(
                    |(draft, is_bound, is_public)| is_public || (!is_bound && decides(draft, method, &path, token)),
                );
                let bound_opens = [old_draft, new_draft].map(|draft| decides(draft, method, &path, token));
                // what opens to everybody, or no more, is said of everybody
                if public[0] == public[1] && opens[0] != opens[1] && bound_opens[0] == bound_opens[1] {
                    let effect = if opens[1] { ChangeEffect::Gains } else { ChangeEffect::Loses };
                    prop_assert!(
                        said.is_some_and(|change| change.effect == effect && change.who == ChangedFor::AnyUnboundToken),
                        "{effect:?} {method} {path} with {token:?}\n{difference}\n{}\n=>\n{}", old.yaml(), new.yaml()
                    );
                }
            }
        }
    }
}

const API: &str = "version: 1
scopes: { s: s }
apis:
  api:
    audience: https://api.example.com
    rules:
      r: { routes: [GET /x], require: { scope: s } }
clients:
  c: { secrets: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }], grants: { api: { scopes: [s] } } }
";

/// These policies with the texts in place of the others.
fn with(changes: &[(&str, &str)]) -> PolicySet {
    let text = changes.iter().fold(API.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    compile_good(&text)
}

const BOUND_API: (&str, &str) = ("    rules:", "    bound_tokens: true\n    rules:");
const BOUND_CLIENT: (&str, &str) = ("  c: { ", "  c: { bound_tokens: true, ");

#[track_caller]
fn differs(old: &PolicySet, new: &PolicySet, summary: DiffSummary, lines: &[&str]) {
    let difference = old.difference(new, DiffEffort::Whole).unwrap();
    let said: Vec<_> = difference.changes.iter().map(ToString::to_string).collect();
    assert_eq!((said, difference.summary), (lines.iter().map(|line| (*line).to_owned()).collect(), summary));
}

#[test]
fn to_ask_for_bound_tokens_narrows_and_to_ask_no_more_widens() {
    use DiffSummary::{Narrows, Neither, Widens};

    let (plain, api, client) = (with(&[]), with(&[BOUND_API]), with(&[BOUND_CLIENT]));
    let both = with(&[BOUND_API, BOUND_CLIENT]);
    differs(
        &plain,
        &api,
        Narrows,
        &["any token that is not bound loses all that it opens here: `bound_tokens`"],
    );
    differs(
        &api,
        &plain,
        Widens,
        &["any token that is not bound gains all that it opens here: `bound_tokens`"],
    );
    differs(&plain, &client, Narrows, &["c loses tokens that are not bound: `bound_tokens`"]);
    differs(&client, &plain, Widens, &["c gains tokens that are not bound: `bound_tokens`"]);
    // where the API takes no other, no other was issued
    differs(&api, &both, Neither, &["c changes tokens that are not bound: `bound_tokens`"]);
    differs(&both, &api, Neither, &["c changes tokens that are not bound: `bound_tokens`"]);
    for same in [&plain, &api, &client, &both] {
        differs(same, same, Neither, &[]);
    }
    // a client that is disabled gets none at all
    let disabled = ("  c: { ", "  c: { enabled: false, ");
    let (old, new) = (with(&[disabled]), with(&[disabled, BOUND_CLIENT]));
    differs(&old, &new, Neither, &["c changes tokens that are not bound: `bound_tokens`"]);
    // where everything is public, a token opens nothing
    let public = ("require: { scope: s }", "public: true");
    differs(&with(&[public]), &with(&[public, BOUND_API]), Neither, &["`bound_tokens`, from false to true"]);
    differs(&with(&[public, BOUND_API]), &with(&[public]), Neither, &["`bound_tokens`, from true to false"]);
}

#[test]
fn a_new_api_takes_nothing_from_anybody() {
    let none = compile_good("version: 1\nscopes: { s: s }\n");
    let difference = none.difference(&with(&[BOUND_API]), DiffEffort::Whole).unwrap();
    assert_eq!((difference.summary, of_binding(&difference)), (DiffSummary::Widens, None));
}

#[test]
fn certificates_come_and_go_in_a_difference() {
    let (hash, other) = ("ab".repeat(32), "cd".repeat(32));
    let old = format!(
        "  c: {{ certificates: [{{ sha256: {hash}, expires: 2027-01-01T00:00:00Z }}, {{ san_dns: a.example }}, {{ subject: CN=c }}], ",
    );
    let new = format!(
        "  c: {{ certificates: [{{ san_dns: A.example }}, {{ sha256: {hash}, expires: 2028-01-01T00:00:00Z }}, {{ sha256: {other} }}], ",
    );
    let [old, new] = [old, new].map(|text| with(&[("  c: { ", &text)]));
    differs(
        &old,
        &new,
        DiffSummary::Both,
        &[
            "c gains a certificate (sha256 cdcdcdcd..., good for ever)",
            "c gains time for a certificate (sha256 abababab..., good until 2028-01-01T00:00:00Z, was until 2027-01-01T00:00:00Z)",
            "c loses a certificate (subject CN=c)",
        ],
    );
}

#[test]
fn the_matrix_says_who_needs_bound_tokens() {
    let certificates = (
        "secrets: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }]",
        "certificates: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }, { sha256: \
         2222222222222222222222222222222222222222222222222222222222222222 }, { subject: CN=c }, { san_ip: 10.0.0.7, \
         expires: 2020-01-01T00:00:00Z }]",
    );
    for (changes, expected) in [
        (&[][..], [false, false]),
        (&[BOUND_API], [true, false]),
        (&[BOUND_CLIENT], [false, true]),
        (&[BOUND_CLIENT, certificates], [false, true]),
    ] {
        let policies = with(changes);
        let matrix = policies.matrix(policies.api("api").unwrap());
        let [client] = &matrix.clients[..] else { panic!() };
        assert_eq!([matrix.bound_tokens, client.bound_tokens], expected);
        let credentials: &[&str] = if changes.contains(&certificates) {
            &["a certificate", "a certificate with subject CN=c"]
        } else {
            &["a secret"]
        };
        assert_eq!(client.credentials, credentials);
    }
}

#[test]
fn a_bundle_says_that_an_api_takes_bound_tokens_only() {
    for (changes, expected) in [(&[][..], None), (&[BOUND_API], Some(true)), (&[BOUND_CLIENT], None)] {
        let bundle = with(changes).bundle(&jeton_oauth::ApiName::parse("api").unwrap()).unwrap();
        assert_eq!(bundle["apis"]["api"].get("bound_tokens").map(|given| given.as_bool().unwrap()), expected);
        assert_eq!(bundle["clients"]["c"], serde_json::json!({}));
        let read = PolicySet::from_bundle(
            &bundle,
            with(changes).hash().clone(),
            &jeton_oauth::Issuer::parse("https://tokens.example.com").unwrap(),
            &jeton_oauth::ApiName::parse("api").unwrap(),
            crate::policy_text::now(),
        );
        assert_eq!(read.unwrap().api("api").unwrap().bound_tokens(), expected.is_some());
    }
}
