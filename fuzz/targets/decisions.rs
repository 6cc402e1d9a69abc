//! A line of the decision log: read, written again, taken again by other policies.
//!
//! Input: the line.
#![no_main]

use std::{path::Path, sync::LazyLock};

use jeton_oauth::{Audience, ScopeSet, text::is_unseen};
use jeton_policy::{DemoSecrets, PolicySet, PolicySources, Surroundings};
use jeton_verify::audit::{
    AuditedBinding, AuditedRequest, DecisionLine, DecisionOutcome, RecordedDecision, Replay, TakenDecision,
    write_line,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| compiled(ORDERS));
/// The same, where the API takes bound tokens only.
static BOUND: LazyLock<PolicySet> =
    LazyLock::new(|| compiled(&ORDERS.replacen("    rules:", "    bound_tokens: true\n    rules:", 1)));

fn compiled(orders: &str) -> PolicySet {
    let files = [("orders.yaml", orders), ("clients.yaml", CLIENTS)];
    let files = files.map(|(name, text)| (name.into(), text.as_bytes().to_vec()));
    let sources = PolicySources::of_files(Path::new("policies"), files.into()).expect("the sample is read");
    let surroundings = Surroundings {
        issuer: Audience::parse("https://tokens.example.com").expect("an audience"),
        max_ttl: None,
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    PolicySet::compile(&sources, &surroundings, NOW).expect("the sample is sound")
}
const ORDERS: &str = include_str!("../../policies/orders.yaml");
const CLIENTS: &str = include_str!("../../policies/clients.yaml");
const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

fuzz_target!(|data: &[u8]| {
    let mut replay = Replay::new(&POLICIES);
    let taken = replay.take(data);
    match DecisionLine::parse(data) {
        Err(error) => {
            assert_eq!(taken.map_err(|error| error.to_string()), Err(error.to_string()));
            assert_eq!(replay.lines(), 0);
        }
        Ok(line) => {
            assert!(taken.is_ok());
            assert!(data.trim_ascii_start().starts_with(b"{"), "no object");
            a_line_is_counted_once(replay, &line);
            if let DecisionLine::Decision(decision) = line {
                a_line_says_what_was_asked(&decision);
                less_opens_no_more(&decision);
                an_unbound_token_alone_is_lost(&decision);
            }
        }
    }
});

fn a_line_is_counted_once(replay: Replay<'_>, line: &DecisionLine) {
    assert_eq!(replay.lines(), 1);
    let replayed = replay.finish();
    let differ = replayed.would_be_refused + replayed.would_be_let_in;
    assert_eq!(replayed.judged, replayed.same + differ);
    assert_eq!(replayed.differences.iter().map(|one| one.count).sum::<u64>(), differ);
    match line {
        DecisionLine::Dropped(dropped) => assert_eq!((replayed.dropped, replayed.judged), (*dropped, 0)),
        DecisionLine::Decision(_) => assert_eq!(replayed.judged + replayed.bad_tokens, 1),
    }
    let shown = replayed.to_string();
    assert!(!shown.chars().any(|c| is_unseen(c) && c != '\n'), "{shown:?}");
}

/// Written and read again, it asks the same; but for what is cut, and there no policy allows.
fn a_line_says_what_was_asked(decision: &RecordedDecision) {
    let once = written(decision);
    assert!(!once.chars().any(|c| is_unseen(c) && c != '\n'), "{once:?}");
    assert_eq!(once.find('\n'), Some(once.len() - 1), "one line: {once:?}");
    let Ok(DecisionLine::Decision(again)) = DecisionLine::parse(once.as_bytes()) else {
        panic!("not read again: {once}")
    };
    assert_eq!(
        (&again.api, again.allowed, &again.rule, &again.reason),
        (&decision.api, decision.allowed, &decision.rule, &decision.reason)
    );
    let (before, after) = (decision.asked(), again.asked());
    assert_eq!(after.judged_by(&POLICIES).is_allowed(), before.judged_by(&POLICIES).is_allowed());
    let is_cut = before.path != after.path || before.method != after.method;
    if is_cut {
        assert!(before.path.starts_with(after.path) && before.method.starts_with(after.method));
        assert!(!before.judged_by(&POLICIES).is_allowed());
    } else if !has_fractions(&once) {
        assert_eq!(written(&again), once, "written twice");
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
    }
}

/// A number with a fraction may come out a little otherwise. No condition compares one.
fn has_fractions(line: &str) -> bool {
    line.as_bytes().windows(2).any(|pair| pair[0].is_ascii_digit() && b".eE".contains(&pair[1]))
}

fn written(decision: &RecordedDecision) -> String {
    let taken = TakenDecision {
        // a line says no more than whether
        outcome: if decision.allowed { DecisionOutcome::Allowed } else { DecisionOutcome::Denied },
        rule: decision.rule.as_deref(),
        reason: &decision.reason,
        detail: None,
    };
    let mut line = Vec::new();
    write_line(&mut line, NOW, None, &decision.asked(), &taken).expect("it is all JSON");
    String::from_utf8(line).expect("JSON is text")
}

/// What `bound_tokens: true` refuses is what a token opens of which the line says that it was not bound.
fn an_unbound_token_alone_is_lost(decision: &RecordedDecision) {
    let asked = decision.asked();
    let [free, bound] = [&*POLICIES, &*BOUND].map(|policies| asked.judged_by(policies).is_allowed());
    let is_unbound = asked.bearer.is_some_and(|bearer| bearer.binding == AuditedBinding::Unbound);
    assert_eq!(bound, free && !(is_unbound && asked.api == "orders"), "{asked:?}");
}

fn less_opens_no_more(decision: &RecordedDecision) {
    let asked = decision.asked();
    let Some(mut bearer) = asked.bearer else { return };
    let whole = asked.judged_by(&POLICIES).is_allowed();
    let none = ScopeSet::default();
    for (scopes, roles) in [(&none, bearer.subject.roles), (bearer.subject.scopes, &[][..]), (&none, &[][..])]
    {
        bearer.subject.scopes = scopes;
        bearer.subject.roles = roles;
        let narrower = AuditedRequest { bearer: Some(bearer), ..asked };
        assert!(whole || !narrower.judged_by(&POLICIES).is_allowed(), "less opens more: {asked:?}");
    }
}
