use proptest::prelude::*;

use super::*;
use crate::yaml;

/// Every kind of thing that a policy file may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Probe {
    text: Field<Spanned<String>>,
    number: Field<u64>,
    switch: Field<Spanned<bool>>,
    optional: Field<Option<u64>>,
    texts: Items<Spanned<String>>,
    lists: Named<Items<u64>>,
    any: Field<Spanned<serde_json::Value>>,
    members: Field<serde_json::Map<String, serde_json::Value>>,
    either: Field<Spanned<Either>>,
    inner: Field<Box<Probe>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "`Debug` shows them")]
enum Either {
    Switch(bool),
    List(Items<u64>),
    Map(Box<Probe>),
}

/// A value in braces, of any kind and of any depth up to a few, whether it fits where it stands or not.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "a",
        "'1'",
        "1",
        "-1",
        "1.5",
        "007",
        "1e999",
        "99999999999999999999",
        "true",
        "True",
        "null",
        "~",
        "''",
    ]);
    scalar.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
        let key = prop::sample::select(vec![
            "text", "number", "switch", "optional", "texts", "lists", "any", "members", "either", "inner",
            "other",
        ]);
        let list =
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        let map = prop::collection::vec((key, inner), 0..4).prop_map(|entries| {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", entries.join(", "))
        });
        prop_oneof![list, map]
    })
}

/// What was read, if anything, and how many problems were noted.
fn probe(text: &str) -> (Option<Probe>, usize) {
    let (node, problems) = yaml::parse(text);
    let problems = RefCell::new(problems);
    let probe = node.and_then(|node| read::<Probe>(&node, &problems));
    (probe, problems.into_inner().len())
}

/// Whether something that was written is missing in what was read.
fn lacks_something(probe: Option<&Probe>) -> bool {
    let shown = format!("{probe:?}");
    // an entry whose value is wrong is `(name, None)`
    probe.is_none() || ["Wrong", "InPart", "}, None)"].iter().any(|mark| shown.contains(mark))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_out_without_a_problem(text in value()) {
        let (probe, problems) = probe(&text);
        prop_assert!(problems > 0 || !lacks_something(probe.as_ref()), "{text}: {probe:?}");
    }
}

/// The property above has something to see.
#[test]
fn what_is_wrong_is_left_out_and_noted_once() {
    for (text, problems) in [
        ("{ text: a, number: 1, lists: { a: [1] }, either: [1], inner: { switch: true } }", 0),
        ("{ text: [a] }", 1),
        ("{ number: '1' }", 1),
        ("{ texts: [a, [b], { c: d }] }", 2),
        ("{ lists: { a: 1, b: [x, 2] } }", 2),
        ("{ any: 007 }", 1),
        ("{ members: [1] }", 1),
        ("{ either: { inner: { number: a } } }", 1),
        ("[a]", 1),
    ] {
        let (probe, noted) = probe(text);
        assert_eq!(noted, problems, "{text}: {probe:?}");
        assert_eq!(lacks_something(probe.as_ref()), problems > 0, "{text}: {probe:?}");
    }
}
