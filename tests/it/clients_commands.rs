//! `jeton clients`: secrets are shown once, and the rest of the file stays as it is.
use std::{fs, sync::Arc, time::Duration};

use jeton::{
    authenticate::{AssertionRules, Authenticator, CertificateRules, ClientCredentials},
    binding::ProvenBinding,
    federation::{FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    store::{MemoryStore, Store},
};
use jeton_oauth::{
    Issuer,
    clock::{Clock, SystemClock},
};
use jeton_policy::{DemoSecrets, PolicySet, clients::ClientSecret};
use jiff::SignedDuration;
use ring::digest;
use serde_json::json;

use crate::{
    binary::{Run, Workplace},
    policy_text::compile_folder,
};

const SCOPES: &str = "version: 1

scopes:
  orders:read:  Read orders     # aligned
  orders:write: Write orders

roles: { agent: [orders:read] }

apis:
  orders:
    audience: https://orders.example.com
";

/// A workplace whose policies are the vocabulary and this file.
pub(crate) fn with_clients(text: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", SCOPES).write("policies/clients.yaml", text);
    workplace
}

pub(crate) fn hex(secret: &str) -> String {
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    hash.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[track_caller]
pub(crate) fn policies(workplace: &Workplace) -> PolicySet {
    compile_folder(&workplace.path("policies"), DemoSecrets::Refused)
        .unwrap_or_else(|findings| panic!("{findings}"))
}

/// Whether the client is let in with this secret, in so many seconds.
pub(crate) fn is_let_in(workplace: &Workplace, client: &str, secret: &str, in_seconds: i64) -> bool {
    let credentials = ClientCredentials::Secret {
        client_id: client.to_owned(),
        secret: ClientSecret::new(secret.to_owned()),
    };
    let now = SystemClock.now() + SignedDuration::from_secs(in_seconds);
    let issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
    let store = Arc::new(Store::Memory(MemoryStore::new(Arc::new(SystemClock))));
    let issuers = FollowedIssuers::new(KeyFetchOptions::default(), Arc::new(()), Arc::new(SystemClock));
    let authenticator = Authenticator {
        certificates: CertificateRules::new(None),
        assertions: AssertionRules::new(&issuer, Duration::from_mins(1), Duration::ZERO),
        foreign: Arc::new(ForeignVerifier::new(Arc::new(issuers), Arc::clone(&store), Duration::ZERO)),
        store,
        secret_uses: Arc::default(),
    };
    let policies = policies(workplace);
    let nothing = ProvenBinding::of_connection(None);
    let shown = authenticator.authenticate(&policies, &credentials, &nothing, now);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(shown).is_ok()
}

/// The secret that a run printed: `jeton_`, 43 random digits, 6 of the checksum, and nothing else.
#[track_caller]
pub(crate) fn secret_of(run: &Run) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    let secret = run.stdout.trim_end().to_owned();
    assert!(!run.stderr.contains(&secret), "{run:?}");
    let (body, checksum) = secret.split_at("jeton_".len() + 43);
    assert!(body.starts_with("jeton_") && body[6..].bytes().all(|digit| DIGITS.contains(&digit)), "{secret}");
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    let mut number = u32::from_be_bytes(hash.as_ref()[..4].try_into().unwrap());
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number % 62).unwrap()];
        number /= 62;
    }
    assert_eq!(checksum.as_bytes(), digits, "{secret}");
    secret
}

/// Adds a client and holds that its secret works, that only its hash is kept, and that the file is the old
/// one with one piece in it. Returns that piece.
#[track_caller]
fn added(workplace: &Workplace, file: &str, arguments: &[&str]) -> String {
    let path = workplace.path(file);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let run = workplace.run(&[&["clients", "add", "new-client"], arguments].concat()).exits(0);
    let secret = secret_of(&run);
    let after = fs::read_to_string(&path).unwrap();
    assert!(is_let_in(workplace, "new-client", &secret, 0), "{after}");
    assert!(!is_let_in(workplace, "new-client", &format!("{secret}x"), 0));
    assert!(after.contains(&hex(&secret)) && !after.contains(&secret), "{after}");
    inserted(&before, &after)
}

/// The piece that is in the new text beside the old.
#[track_caller]
fn inserted(before: &str, after: &str) -> String {
    let length = after.len().checked_sub(before.len()).unwrap();
    let at = (0..=before.len())
        .rev()
        .filter(|at| before.is_char_boundary(*at))
        .find(|at| after.starts_with(&before[..*at]) && after.ends_with(&before[*at..]))
        .unwrap_or_else(|| panic!("the rest of the file has changed:\n{before}\n--- to\n{after}"));
    after[at..at + length].to_owned()
}

/// Runs what must fail, and holds that no file changed.
#[track_caller]
pub(crate) fn refused(workplace: &Workplace, arguments: &[&str], says: &[&str]) -> Run {
    let files = || {
        let mut files: Vec<_> = fs::read_dir(workplace.path("policies"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (fs::read_to_string(&path).unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let run = workplace.run(arguments).exits(1).says(says);
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(files(), before, "{arguments:?}");
    run
}

#[test]
fn add_writes_into_the_block_that_is_there() {
    for (name, text) in [
        ("plain", "version: 1\n\nclients:\n  old:\n    ttl: 15m\n"),
        ("no line break at the end", "version: 1\n\nclients:\n  old:\n    ttl: 15m"),
        ("four spaces", "version: 1\nclients:\n    old:\n        ttl: 15m   # short\n"),
        ("one space", "version: 1\nclients:\n old:\n  ttl: 15m\n"),
        ("nothing in the last", "version: 1\nclients:\n  old:\n"),
        ("braces in the last", "version: 1\nclients:\n  old: { ttl: 15m, claims: { tenant: acme } } # x\n"),
        ("blank lines at the end", "version: 1\nclients:\n  old:\n    ttl: 15m\n\n\n"),
        (
            "more below",
            "version: 1\n# who may come in\nclients:   # all of them\n\n  old: # the first\n    ttl: 15m # short\n    # no claims\n\n# what must hold\ntests: []\n",
        ),
        ("more below without a gap", "version: 1\nclients:\n  old:\n    secrets: []\nscopes: {}\n"),
        ("comment at the margin", "version: 1\nclients:\n  old:\n    ttl: 15m\n# the end\n"),
        ("wide characters", "version: 1\n# Ünïcödé 😀\nclients:\n  old:\n    description: Größe 😀\n"),
        (
            "text over lines",
            "version: 1\nclients:\n  old:\n    description: |\n      a\n\n      b\n    ttl: 15m\n",
        ),
        (
            "folded text last",
            "version: 1\nclients:\n  old:\n    description: >-\n      a\n      b\ntests: []\n",
        ),
        ("carriage returns", "version: 1\r\nclients:\r\n  old:\r\n    ttl: 15m\r\n"),
        ("a byte order mark", "\u{feff}version: 1\nclients:\n  old:\n    ttl: 15m\n"),
    ] {
        let workplace = with_clients(text);
        let piece =
            added(&workplace, "policies/clients.yaml", &["--api", "orders", "--scope", "orders:read"]);
        assert!(piece.contains("new-client:"), "{name}: {piece}");
        assert!(policies(&workplace).clients().find("old").is_some(), "{name}");
    }
}

#[test]
fn add_writes_into_an_empty_section() {
    for (name, text) in [
        ("at the end", "version: 1\n\nclients:\n"),
        ("without a line break", "version: 1\n\nclients:"),
        ("with a comment", "version: 1\n\nclients:   # none yet\n"),
        ("before another section", "version: 1\n\nclients:\n\n# what must hold\ntests: []\n"),
        ("before another section, with a comment", "version: 1\nclients: # none yet\ntests: []\n"),
        ("with a comment below", "version: 1\nclients:\n  # none yet\n"),
    ] {
        let workplace = with_clients(text);
        let piece = added(&workplace, "policies/clients.yaml", &["--ttl", "15m"]);
        assert!(piece.contains("new-client:"), "{name}: {piece}");
    }
}

/// An empty section may say so.
#[test]
fn add_writes_into_a_section_that_is_null() {
    for null in ["null", "~", "null # none yet"] {
        let workplace = with_clients(&format!("version: 1\nclients: {null}\ntests: []\n"));
        let run = workplace.run(&["clients", "add", "new-client"]);
        assert_eq!(run.code, Some(0), "clients: {null}: {run:#?}");
        assert!(is_let_in(&workplace, "new-client", &secret_of(&run), 0), "clients: {null}");
    }
}

/// What is given for one value is one value.
#[test]
fn add_takes_nothing_for_a_ttl_but_a_ttl() {
    let workplace = with_clients("version: 1\nclients:\n  old: {}\n");
    for ttl in ["15m # short", "15m\n    enabled: false", "15m\n  another: {}", "{}", ""] {
        let run = workplace.run(&["clients", "add", "new-client", "--ttl", ttl]);
        assert_ne!(run.code, Some(0), "--ttl {ttl:?}: {run:#?}\n{}", workplace.read("policies/clients.yaml"));
    }
}

#[test]
fn add_makes_the_section() {
    for (name, text) in [
        ("bare", "version: 1\n"),
        ("no line break at the end", "version: 1"),
        ("a comment last", "version: 1\n# the end"),
        ("another section", "version: 1\n\ntests: []\n"),
    ] {
        let workplace = with_clients(text);
        let piece = added(&workplace, "policies/clients.yaml", &["--file", "clients.yaml"]);
        assert!(piece.trim_start().starts_with("clients:\n"), "{name}: {piece}");
    }
}

#[test]
fn add_makes_the_file() {
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", SCOPES);
    let text = added(&workplace, "policies/clients.yaml", &["--api", "orders", "--role", "agent"]);
    assert!(text.starts_with("version: 1\n\nclients:\n  new-client:\n"), "{text}");
    let workplace = Workplace::new();
    workplace.write("policies/team/orders.yaml", SCOPES);
    added(&workplace, "policies/team/clients.yaml", &["--file", "team/clients.yaml"]);
    let workplace = Workplace::new();
    workplace.write("policies/orders.yaml", SCOPES);
    added(&workplace, "policies/new.yaml", &["--file", "policies/new.yaml"]);
}

/// However the path of a file is spelled, it is that file, and nothing in it is lost.
#[test]
fn add_keeps_what_is_in_the_file_however_it_is_named() {
    for spelling in
        ["clients.yaml", "policies/clients.yaml", "./clients.yaml", "team/../clients.yaml", "ABSOLUTE"]
    {
        let workplace = with_clients("version: 1\nclients:\n  old:\n    ttl: 15m\n");
        fs::create_dir(workplace.path("policies/team")).unwrap();
        let absolute = workplace.path("policies/clients.yaml");
        let file = spelling.replace("ABSOLUTE", absolute.to_str().unwrap());
        workplace.run(&["clients", "add", "new-client", "--file", &file]);
        let text = workplace.read("policies/clients.yaml");
        assert!(text.contains("  old:\n    ttl: 15m\n"), "--file {spelling} lost a client:\n{text}");
    }
}

/// A file that is not among the policies is none that anybody reads.
#[test]
fn add_writes_only_where_policies_are_read() {
    let workplace = with_clients("version: 1\n");
    let elsewhere = workplace.path("elsewhere.yaml");
    for file in ["../elsewhere.yaml", ".hidden.yaml", elsewhere.to_str().unwrap(), "x.yml", "x", "no/x.yaml"]
    {
        refused(&workplace, &["clients", "add", "new-client", "--file", file], &[]);
        assert!(!elsewhere.exists(), "{file}");
    }
}

#[test]
fn add_follows_a_link_and_keeps_it_and_the_mode() {
    let workplace = Workplace::new();
    workplace
        .write("policies/orders.yaml", SCOPES)
        .write("policies/mounted.txt", "version: 1\nclients:\n  old: {}\n");
    std::os::unix::fs::symlink("mounted.txt", workplace.path("policies/clients.yaml")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    fs::set_permissions(workplace.path("policies/mounted.txt"), mode).unwrap();
    added(&workplace, "policies/mounted.txt", &[]);
    assert!(workplace.path("policies/clients.yaml").is_symlink());
    let metadata = fs::metadata(workplace.path("policies/mounted.txt")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o640);
    let names: Vec<_> =
        fs::read_dir(workplace.path("policies")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn add_grants_what_is_asked_for() {
    let workplace = with_clients("version: 1\n");
    let arguments = [
        "--file",
        "clients.yaml",
        "--api",
        "orders",
        "--scope",
        "orders:read",
        "--scope",
        "orders:write",
        "--role",
        "agent",
        "--claim",
        "tenant=acme",
        "--claim",
        "region=eu=1",
        "--ttl",
        "15m",
    ];
    added(&workplace, "policies/clients.yaml", &arguments);
    let policies = policies(&workplace);
    let client = policies.clients().find("new-client").unwrap();
    assert_eq!(client.ttl, Some(900));
    assert_eq!(client.claims["tenant"], "acme");
    assert_eq!(client.claims["region"], "eu=1");
    let permissions = policies.permissions_of("new-client", "orders").unwrap();
    assert_eq!(permissions.scopes.to_string(), "orders:read orders:write");
    assert_eq!(permissions.roles[0].as_str(), "agent");
}

#[test]
fn add_keeps_every_name_and_value_as_text() {
    let values = [
        "",
        " ",
        "true",
        "no",
        "null",
        "~",
        "42",
        "1e3",
        "0x1f",
        "-1",
        ".5",
        "2026-01-01",
        "a: b",
        "a #b",
        "#b",
        "- a",
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\\b",
        " a",
        "a ",
        "a,b",
        "?",
        "? a",
        ":",
        "a:",
        "|",
        ">",
        "<<",
        "=",
        "a\nb",
        "a\tb",
        "caf\u{e9}",
        "\u{1f600}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
    ];
    let workplace = with_clients("version: 1\n");
    let claims: Vec<_> = values.iter().enumerate().map(|(at, value)| format!("c{at}={value}")).collect();
    let arguments: Vec<_> = claims.iter().flat_map(|claim| ["--claim", claim]).collect();
    added(&workplace, "policies/clients.yaml", &[&["--file", "clients.yaml"], arguments.as_slice()].concat());
    let policies = policies(&workplace);
    let client = policies.clients().find("new-client").unwrap();
    for (at, value) in values.iter().enumerate() {
        assert_eq!(client.claims[&format!("c{at}")], json!(value), "{value:?}");
    }
    for id in [
        "true",
        "42",
        "null",
        "a b",
        "a: b",
        "#x",
        "x:",
        "\"q\"",
        "it's",
        "-",
        "*",
        "{}",
        "https://a.example/b",
    ] {
        let workplace = with_clients("version: 1\nclients:\n  old: {}\n");
        let run = workplace.run(&["clients", "add", "--", id]).exits(0);
        assert!(is_let_in(&workplace, id, &secret_of(&run), 0), "{id}");
    }
}

#[test]
fn add_writes_nothing_that_would_not_load() {
    let workplace = with_clients("version: 1\nclients:\n  old: {}\n");
    let add = |arguments: &[&'static str]| [&["clients", "add"], arguments].concat();
    for (arguments, says) in [
        (add(&["c", "--api", "orders", "--scope", "orders:raed"]), "did you mean `orders:read`?"),
        (add(&["c", "--api", "orders", "--role", "agnt"]), "did you mean `agent`?"),
        (add(&["c", "--api", "oders", "--scope", "orders:read"]), "did you mean `orders`?"),
        (add(&["c", "--api", "orders"]), "grants nothing"),
        (add(&["c", "--claim", "sub=x"]), "`sub` is a claim that jeton sets itself"),
        (add(&["c", "--ttl", "25h"]), "is longer than `tokens.max_ttl`"),
        (add(&["old"]), "old"),
        (add(&["caf\u{e9}"]), "is not a client id"),
        (add(&[""]), "is not a client id"),
    ] {
        refused(&workplace, &arguments, &["nothing was written", says]);
    }
    workplace.write("policies/broken.yaml", "version: 1\nscopes: [\n");
    refused(&workplace, &["clients", "add", "c"], &["policies/broken.yaml"]);
}

#[test]
fn add_asks_for_the_file_where_several_have_clients() {
    let workplace = with_clients("version: 1\nclients:\n  old: {}\n");
    workplace.write("policies/team.yaml", "version: 1\nclients:\n  other: {}\n");
    refused(&workplace, &["clients", "add", "c"], &["--file", "policies/clients.yaml", "policies/team.yaml"]);
    added(&workplace, "policies/team.yaml", &["--file", "team.yaml"]);
}

#[test]
fn add_says_so_where_a_file_cannot_be_changed_line_by_line() {
    for text in [
        "version: 1\nclients: {}\n",
        "version: 1\nclients: { old: {} }\n",
        "{ version: 1, clients: { old: {} } }\n",
    ] {
        let workplace = with_clients(text);
        refused(&workplace, &["clients", "add", "c"], &["policies/clients.yaml", "clients", "braces"]);
    }
}

/// Six at once: each is stored, and no printed secret is lost.
#[test]
fn clients_are_added_one_after_the_other() {
    let workplace = with_clients("version: 1\nclients:\n  old: {}\n");
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d", "e", "f"] {
            let workplace = &workplace;
            scope.spawn(move || workplace.run(&["clients", "add", name]).exits(0));
        }
    });
    let after = workplace.read("policies/clients.yaml");
    for name in ["a", "b", "c", "d", "e", "f", "old"] {
        assert!(after.contains(&format!("\n  {name}:")), "{name} is lost:\n{after}");
    }
}

#[test]
fn a_client_that_exists_is_not_added_again() {
    let one = "version: 1\nclients:\n  other: {}\n  acme: # here\n    claims: { tenant: acme }\n";
    let two = "version: 1\nclients:\n  \"007\": {}\n";
    for (files, id, arguments, place) in [
        (&[("clients", one)][..], "acme", &[][..], "policies/clients.yaml:4"),
        (&[("clients", one), ("more", two)], "007", &[], "policies/more.yaml:3"),
        (&[("clients", one), ("more", two)], "acme", &["--file", "more.yaml"], "policies/clients.yaml:4"),
        (&[("clients", one)], "acme", &["--public-key", "no-such-file.pem"], "policies/clients.yaml:4"),
        (&[("clients", "version: 1\nclients: { acme: {} }\n")], "acme", &[], "policies/clients.yaml:2"),
    ] {
        let workplace = Workplace::new();
        workplace.write("policies/orders.yaml", SCOPES);
        for (name, text) in files {
            workplace.write(&format!("policies/{name}.yaml"), text);
        }
        let run = workplace.run(&[&["clients", "add", id], arguments].concat()).exits(1);
        let says = format!(
            "error: client `{id}` exists already ({place}), and nothing was written: give it a second secret with `jeton clients rotate {id}`"
        );
        assert!(run.stderr.starts_with(&says) && run.stdout.is_empty(), "{run:#?}");
        for (name, text) in files {
            assert_eq!(workplace.read(&format!("policies/{name}.yaml")), *text);
        }
    }
}
