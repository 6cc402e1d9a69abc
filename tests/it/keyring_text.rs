//! What may stand in `keyring.yaml`, and what is said of the rest.
use crate::binary::Workplace;

const KID: &str = "kid: one";
const TIMES: &str = "created: 2026-01-01T00:00:00Z\n    activates: 2026-01-01T00:00:00Z";

#[test]
fn everything_wrong_in_a_ring_is_said_with_its_place() {
    let good = format!("keys:\n  - {KID}\n    {TIMES}\n");
    for (name, text, says) in [
        (
            "several things",
            "keys:\n  - kid: \"a b\"\n    alg: HS256\n    created: today\n    activates: 2026-01-01T00:00:00Z\n  - kid: two\n    retired: 2026-01-01T00:00:00Z\n"
                .to_owned(),
            vec![
                "2:10: error: ",
                "3:10: error: `HS256` is not an algorithm",
                "4:14: error: `today` is not a time",
                "6:5: error: `created` is missing in this entry",
                "6:5: error: `activates` is missing in this entry",
                "7:5: error: `retired` has no meaning here: an entry has kid, alg, created, activates, retires",
            ],
        ),
        ("twice", format!("{good}  - {KID}\n    {TIMES}\n"), vec!["5:5: error: `one` stands here twice"]),
        (
            "retires too early",
            format!("keys:\n  - {KID}\n    {TIMES}\n    retires: 2025-01-01T00:00:00Z\n"),
            vec!["5:14: error: `retires` is before `activates`"],
        ),
        (
            "anchor, alias and tag",
            format!("keys:\n  - {KID}\n    created: &t !!str 2026-01-01T00:00:00Z\n    activates: *t\n"),
            vec![
                "3:14: error: anchors are not used in `keyring.yaml`: remove the `&name`",
                "3:17: error: tags are not used in `keyring.yaml`: remove the `!name`",
                "4:16: error: aliases are not used in `keyring.yaml`: write the value out",
            ],
        ),
        ("merge key", format!("keys:\n  - {KID}\n    <<: {{ alg: RS256 }}\n    {TIMES}\n"), vec!["3:5: error: "]),
        ("a name twice", format!("keys:\n  - {KID}\n    {KID}\n    {TIMES}\n"), vec!["3:5: error: "]),
        ("another name", format!("{good}more: 1\n"), vec!["5:1: error: "]),
        ("no list", "keys: one\n".to_owned(), vec!["1:7: error: "]),
        ("no map", "keys:\n  - one\n".to_owned(), vec!["2:5: error: "]),
        ("a list for a text", format!("keys:\n  - kid: [one]\n    {TIMES}\n"), vec!["2:10: error: "]),
        ("no YAML", "keys: [\n".to_owned(), vec!["1:7: error: "]),
        ("a second document", format!("{good}---\n{good}"), vec!["5:1: error: several documents are not used"]),
        ("a directive", format!("%YAML 1.2\n---\n{good}"), vec!["1:1: error: directives are not used"]),
    ] {
        let workplace = Workplace::sample();
        workplace.write("keys/keyring.yaml", &text);
        let run = workplace.run(&["keys", "list"]).exits(1);
        let lines: Vec<_> = run.stderr.lines().map(|line| line.trim_start_matches("error: ")).collect();
        assert_eq!(lines.len(), says.len(), "{name}: {}", run.stderr);
        for (line, says) in lines.into_iter().zip(says) {
            assert!(line.starts_with(&format!("keys/keyring.yaml:{says}")), "{name}: {says}\n{}", run.stderr);
        }
    }
}

/// What was taken before is taken still.
#[test]
fn a_ring_may_leave_out_what_follows_and_be_commented() {
    let workplace = Workplace::sample();
    let ring = workplace.read("keys/keyring.yaml");
    for text in [
        ring.replace("    alg: RS256\n", ""),
        ring.replace("    alg: RS256\n", "    alg:\n    retires:\n"),
        format!("---\n# why\n{ring}# end\n"),
        ring.replace("2026-01-01T00:00:00Z", "\"2026-01-01T00:00:00Z\""),
        ring.replace('\n', "\r\n"),
    ] {
        workplace.write("keys/keyring.yaml", &text);
        workplace.run(&["keys", "list"]).exits(0).shows(&["active"]);
    }
}
