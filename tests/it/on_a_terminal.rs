//! What commands do where a person watches: they ask before what cannot be taken back, and show that they are at work.
use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
};

use crate::{
    binary::Workplace,
    init::everything_in,
    support::terminal::{self, OnTerminal},
};

/// An order that is asked about, and what the question names.
const ORDERS: [(&[&str], &[&str]); 4] = [
    (&["keys", "rotate", "--now"], &["A new key signs at once", "is refused. Go on? [y/N]"]),
    (&["keys", "retire", "KID", "--now"], &["KID leaves the key set at once", "Go on? [y/N]"]),
    (
        &["clients", "revoke", "acme-sync"],
        &["Client `acme-sync` is disabled, and all tokens that it has are revoked"],
    ),
    (
        &["clients", "revoke", "acme-sync", "--before", "2026-01-01T00:00:00Z"],
        &["The tokens of client `acme-sync` issued before 2026-01-01T00:00:00Z are revoked"],
    ),
];

/// A folder with the sample, a key that signs and the next, and the order with the kid of the next.
fn workplace(order: &[&str]) -> (Workplace, Vec<String>) {
    let workplace = Workplace::sample();
    let made = workplace.run(&["keys", "rotate"]).exits(0).stdout;
    let kid = made.lines().next().unwrap();
    let order = order.iter().map(|word| if *word == "KID" { kid } else { word }.to_owned()).collect();
    (workplace, order)
}

const REPLAY: [&str; 5] = ["policies", "replay", "-", "--against", "policies"];

fn words(order: &[String]) -> Vec<&str> {
    order.iter().map(String::as_str).collect()
}

#[test]
fn nothing_but_yes_is_a_yes() {
    for (order, names) in ORDERS {
        let (workplace, order) = workplace(order);
        let before = everything_in(&workplace.path(""));
        for typed in ["n\n", "\n", "yess\n", "Y E S\n", "\x04"] {
            let seen = terminal::run(&workplace.path(""), &words(&order), typed);
            assert_eq!(seen.code, Some(1), "{order:?}, {typed:?}: {seen:?}");
            assert!(seen.text.contains("nothing was changed"), "{order:?}, {typed:?}: {seen:?}");
            for name in names {
                let name = name.replace("KID", order.get(2).map_or("", String::as_str));
                assert!(seen.text.contains(&name), "{name}: {seen:?}");
            }
            assert_eq!(everything_in(&workplace.path("")), before, "{order:?}, {typed:?}");
        }
    }
}

#[test]
fn a_yes_carries_the_order_out() {
    for (order, _) in ORDERS {
        for typed in ["y\n", "YES\n"] {
            let (workplace, order) = workplace(order);
            let before = everything_in(&workplace.path(""));
            let seen = terminal::run(&workplace.path(""), &words(&order), typed);
            assert_eq!(seen.code, Some(0), "{order:?}: {seen:?}");
            assert_ne!(everything_in(&workplace.path("")), before, "{order:?}");
        }
    }
}

#[test]
fn what_would_be_refused_is_refused_before_a_question() {
    let with_revoked = |workplace: &Workplace| {
        let revoked = ["clients", "revoke", "acme-sync", "--before", "2026-01-01T00:00:00Z"];
        workplace.run(&revoked).exits(0);
    };
    for (name, prepare, order, says) in [
        ("an unknown client", None, &["clients", "revoke", "nope"][..], "client `nope` is not defined"),
        ("nearly a client", None, &["clients", "revoke", "acme-sink"], "did you mean `acme-sync`"),
        (
            "a time before the last one",
            Some(&with_revoked as &dyn Fn(&Workplace)),
            &["clients", "revoke", "acme-sync", "--before", "2025-01-01T00:00:00Z"],
            "would make some of them valid again",
        ),
        (
            "policies that would not load",
            Some(&|workplace: &Workplace| {
                workplace.write("policies/broken.yaml", "version: 1\nrule: x\n");
            }),
            &["clients", "revoke", "acme-sync"],
            "the policies would not load",
        ),
        ("an unknown key", None, &["keys", "retire", "nope", "--now"], "there is no key `nope`"),
        ("the key that signs", None, &["keys", "retire", "SIGNING", "--now"], "signs, and no key follows it"),
        (
            "keys that cannot be read",
            Some(&|workplace: &Workplace| {
                workplace.write("keys/keyring.yaml", "keys: nonsense\n");
            }),
            &["keys", "rotate", "--now"],
            "keyring.yaml",
        ),
        (
            "no keys",
            Some(&|workplace: &Workplace| fs::remove_dir_all(workplace.path("keys")).unwrap()),
            &["keys", "rotate", "--now"],
            "jeton keys generate",
        ),
    ] {
        let workplace = Workplace::sample();
        let keys = workplace.run(&["keys", "list"]).exits(0).stdout;
        let signing = keys.lines().find_map(|line| line.strip_prefix("active")).unwrap();
        let signing = signing.split_whitespace().next().unwrap();
        if let Some(prepare) = prepare {
            prepare(&workplace);
        }
        let order: Vec<_> =
            order.iter().map(|word| if *word == "SIGNING" { signing } else { word }).collect();
        let before = everything_in(&workplace.path(""));
        let seen = terminal::run(&workplace.path(""), &order, "y\n");
        assert_eq!(seen.code, Some(1), "{name}: {seen:?}");
        assert!(seen.text.contains(says) && !seen.text.contains("[y/N]"), "{name}: {seen:?}");
        assert_eq!(everything_in(&workplace.path("")), before, "{name}");
    }
}

#[test]
fn yes_on_the_command_line_skips_the_question() {
    for (order, _) in ORDERS {
        let (workplace, mut order) = workplace(order);
        order.push("--yes".to_owned());
        let seen = terminal::run(&workplace.path(""), &words(&order), "");
        assert_eq!(seen.code, Some(0), "{order:?}: {seen:?}");
        assert!(!seen.text.contains("[y/N]"), "{seen:?}");
    }
}

#[test]
fn scripts_are_not_asked() {
    for (order, _) in ORDERS {
        let (workplace, order) = workplace(order);
        let run = workplace.run(&words(&order)).exits(0);
        assert!(!run.stderr.contains("[y/N]"), "{run:#?}");
    }
}

#[test]
fn what_can_be_taken_back_is_not_asked_about() {
    let (workplace, _) = workplace(&[]);
    for order in
        [&["clients", "rotate", "acme-sync"][..], &["clients", "enable", "acme-sync"], &["keys", "prune"]]
    {
        let seen = terminal::run(&workplace.path(""), order, "");
        assert_eq!(seen.code, Some(0), "{order:?}: {seen:?}");
        assert!(!seen.text.contains("[y/N]"), "{seen:?}");
    }
}

#[test]
fn work_that_takes_long_is_shown_on_a_terminal_alone() {
    let workplace = Workplace::sample();
    // both wait for their standard input
    let mut unwatched = Command::new(env!("CARGO_BIN_EXE_jeton"));
    unwatched.args(REPLAY).current_dir(workplace.path(""));
    let mut unwatched =
        unwatched.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut dumb = OnTerminal::start_with(&workplace.path(""), &REPLAY, &[("TERM", "dumb")]);
    let mut watched = OnTerminal::start(&workplace.path(""), &REPLAY);
    let seen = watched.seen_up_to_text("judging decisions: 1 s");
    assert!(!seen.contains('\n'), "one line: {seen:?}");
    watched.types("\x04");
    let seen = watched.end();
    assert_eq!(seen.code, Some(0), "{seen:?}");
    // the line is empty again before the result is printed over it
    let (_, result) = seen.text.rsplit_once("\r\u{1b}[K").unwrap();
    assert_eq!(result, "0 judged: 0 the same, 0 would be refused, 0 would be let in\n", "{seen:?}");
    // where no line can be written over
    dumb.types("\x04");
    let seen = dumb.end();
    assert_eq!((seen.code, seen.text.as_str()), (Some(0), result), "{seen:?}");
    drop(unwatched.stdin.take());
    let mut said = String::new();
    unwatched.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert!(unwatched.wait().unwrap().success());
}

#[test]
fn work_that_takes_no_time_is_not_shown() {
    let workplace = Workplace::sample();
    for command in [&["policies", "matrix"][..], &["policies", "diff", "policies", "policies"]] {
        let seen = terminal::run(&workplace.path(""), command, "");
        assert_eq!(seen.code, Some(0), "{command:?}: {seen:?}");
        assert!(!seen.text.contains("\u{1b}[K") && !seen.text.contains("reading policies"), "{seen:?}");
    }
}

/// What is seen of a service from its start to its welcome.
fn seen_of_serve(workplace: &Workplace, variables: &[(&str, &str)]) -> String {
    let mut service = OnTerminal::start_with(&workplace.path(""), &["serve"], variables);
    service.seen_up_to(" serving")
}

#[test]
fn colours_are_for_a_terminal_that_has_them_and_who_wants_them() {
    let workplace = Workplace::sample();
    workplace.write("jeton.toml", "[server]\nlisten = \"127.0.0.1:0\"\n");
    workplace.write("broken/a.yaml", "version: 1\nrule: x\n");
    for (variables, is_coloured) in [
        (&[][..], true),
        (&[("TERM", "dumb")], false),
        (&[("TERM", "xterm-256color")], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("CLICOLOR", "0")], false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
        (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
    ] {
        let log = seen_of_serve(&workplace, variables);
        assert_eq!(log.contains("\u{1b}["), is_coloured, "{variables:?}: {log:?}");
        // a result is coloured as the log is
        let check = OnTerminal::start_with(&workplace.path(""), &["policies", "check", "broken"], variables);
        let findings = check.end().text;
        assert_eq!(findings.contains("\u{1b}["), is_coloured, "{variables:?}: {findings:?}");
    }
}
