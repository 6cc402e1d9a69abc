//! Which module may use which: held by reading the paths in every file of `src/`.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::root;

/// The modules from left to right: each may use what stands further right, and of its own column nothing
/// but what [`SIBLINGS`] allows.
const COLUMNS: [&[&str]; 15] = [
    &["main"],
    &["cli"],
    &["http"],
    &["follow"],
    &["app"],
    &["authorize", "issue", "reuse", "introspect", "revoke", "status_lists"],
    &["audit"],
    &["grant", "principal", "resource"],
    &["standing", "authenticate"],
    &["token", "policy", "clients"],
    &["store", "status"],
    &["keys"],
    &["jose"],
    &["gateway"],
    &["oauth", "clock", "event", "fetch", "files", "revocations", "printable", "private_file"],
];

/// What a module may use of its own column.
const SIBLINGS: [(&str, &str); 3] = [("policy", "clients"), ("issue", "reuse"), ("files", "clock")];

/// `config` stands beside the columns.
const CONFIG_USES: [&str; 6] = ["gateway", "oauth", "clock", "files", "printable", "private_file"];
const CONFIG_USED_BY: [&str; 3] = ["app", "http", "cli"];

/// Policies know nothing of these, not even through another's name.
const UNKNOWN_TO_POLICY: [&str; 9] =
    ["http", "token", "config", "principal", "grant", "authorize", "issue", "keys", "audit"];

/// Words that may stand in these files and folders alone.
const HOMES: [(&str, &[&str]); 14] = [
    ("actix_web", &["http/", "cli/serve.rs"]),
    ("actix_rt", &["http/", "cli/serve.rs"]),
    ("tracing_actix_web", &["http/"]),
    ("jsonwebtoken", &["token/", "keys/"]),
    ("anyhow", &["cli/"]),
    ("clap", &["cli/"]),
    ("redis", &["store/"]),
    ("reqwest", &["fetch.rs"]),
    ("flate2", &["status/"]),
    ("SystemTime", &["clock.rs"]),
    ("Timestamp::now", &["clock.rs"]),
    ("Zoned::now", &["clock.rs"]),
    ("Instant::now", &["clock.rs", "follow/tests.rs", "http/span.rs", "http/connection/"]),
    ("StatusCode", &["http/error.rs", "http/error/"]),
];

/// A file of `src/`, by its path below it.
struct SourceFile {
    path: String,
    text: String,
}

fn files() -> Vec<SourceFile> {
    fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    collect(&src, &mut paths);
    paths.sort();
    let read = |path: &PathBuf| SourceFile {
        path: path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(read).collect()
}

/// The text without comments and without what stands in quotes.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest).filter(|_| !after_word || code.ends_with('b')) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if c == '"' {
            string_end(rest)
        } else if c == '\'' {
            // a character, or a lifetime
            let character = rest
                .char_indices()
                .skip(1)
                .take(12)
                .find(|(at, c)| *c == '\'' && !ends_in_escape(&rest[..*at]));
            let is_one = |end: usize| rest[1..end].starts_with('\\') || rest[1..end].chars().count() == 1;
            character.map(|(end, _)| end).filter(|end| is_one(*end)).map_or(0, |end| end + 1)
        } else {
            0
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// How many `#` a raw string that starts here has.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// Where a string in quotes ends.
fn string_end(rest: &str) -> usize {
    let ends = rest.char_indices().skip(1).find(|(at, c)| *c == '"' && !ends_in_escape(&rest[..*at]));
    ends.map_or(rest.len(), |(end, _)| end + 1)
}

fn ends_in_escape(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// The module of the crate to which a file belongs.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The first names of `{a::x, b::{c, d}, e}`, or of `a::x`.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = text.trim_start().strip_prefix('{') else { return vec![name(text)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules of the crate that a file names: after `crate::`, `jeton::`, and as many `super::` as lead to
/// the root.
fn used_modules(file: &SourceFile) -> BTreeSet<String> {
    let code = code(&file.text);
    let squeezed = code.replace(":: ", "::").replace(" ::", "::");
    let parts =
        file.path.trim_end_matches(".rs").split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    let to_root = format!("{}::", ["super"; 9][..parts.count()].join("::"));
    let is_root = ["lib.rs", "main.rs"].contains(&file.path.as_str());
    let mut roots = vec!["crate::".to_owned(), "jeton::".to_owned()];
    if !is_root {
        roots.push(to_root);
    }
    let mut used = BTreeSet::new();
    for root in roots {
        for (at, _) in squeezed.match_indices(&root) {
            let before = &squeezed[..at];
            let inside_a_path = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !inside_a_path {
                used.extend(first_names(&squeezed[at + root.len()..]));
            }
        }
    }
    used.retain(|name| column(name).is_some() || name == "config");
    used
}

fn column(module: &str) -> Option<usize> {
    COLUMNS.iter().position(|column| column.contains(&module))
}

/// What a file uses and may not.
fn offences(file: &SourceFile) -> Vec<String> {
    let mut offences = Vec::new();
    let code = code(&file.text);
    for (word, homes) in HOMES {
        let is_home = homes
            .iter()
            .any(|home| file.path == *home || (home.ends_with('/') && file.path.starts_with(home)));
        if !is_home && stands_in(&code, word) {
            offences.push(format!("{}: `{word}` belongs to {}", file.path, homes.join(", ")));
        }
    }
    let from = module(&file.path);
    if from == "lib" {
        return offences;
    }
    for used in used_modules(file) {
        if used == from {
            continue;
        }
        let may = match (from, used.as_str()) {
            ("config", used) => CONFIG_USES.contains(&used),
            (from, "config") => CONFIG_USED_BY.contains(&from),
            ("policy", used) if UNKNOWN_TO_POLICY.contains(&used) => false,
            (from, used) => column(from) < column(used) || SIBLINGS.contains(&(from, used)),
        };
        if !may {
            offences.push(format!("{}: `{from}` may not use `{used}`", file.path));
        }
    }
    offences
}

/// Whether a word stands in the code, alone or as a part of a path.
fn stands_in(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

#[test]
fn dependencies_point_one_way_and_crates_stay_at_home() {
    let files = files();
    assert!(files.len() > 50, "only {} files were read", files.len());
    let offences: Vec<_> = files.iter().flat_map(offences).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_module_has_its_column() {
    for file in files() {
        let module = module(&file.path);
        let known = column(module).is_some() || ["config", "lib"].contains(&module);
        assert!(known, "{}: say in this test where `{module}` stands", file.path);
    }
}

/// The tests above read something: what is known to be used is found.
#[test]
fn known_uses_are_found() {
    let files = files();
    let find =
        |path: &str| files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is gone"));
    for (path, used) in [
        ("main.rs", "cli"),
        ("cli/mod.rs", "config"),
        ("http/server.rs", "policy"),
        ("follow/mod.rs", "app"),
        ("authorize.rs", "policy"),
        ("issue.rs", "grant"),
        ("authorize.rs", "audit"),
        ("audit/judge.rs", "policy"),
        ("policy/compile/clients.rs", "clients"),
    ] {
        assert!(used_modules(find(path)).contains(used), "{path} uses {used}");
    }
    for (word, homes) in
        HOMES.iter().filter(|(word, _)| !["actix_rt", "SystemTime", "Zoned::now"].contains(word))
    {
        let at_home = |file: &&SourceFile| homes.iter().any(|home| file.path.starts_with(home));
        let found = files.iter().filter(at_home).any(|file| stands_in(&code(&file.text), word));
        assert!(found, "`{word}` stands nowhere at all: is it spelled otherwise now?");
    }
}

#[track_caller]
fn forbidden(path: &str, text: &str) {
    let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
    assert!(!offences(&file).is_empty(), "{path} may say {text:?}");
}

#[track_caller]
fn allowed(path: &str, text: &str) {
    let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
    assert_eq!(offences(&file), Vec::<String>::new(), "{path} may not say {text:?}");
}

#[test]
fn a_forbidden_line_is_detected() {
    forbidden("policy/set.rs", "use actix_web::HttpRequest;");
    forbidden("cli/keys.rs", "use actix_web::rt;");
    forbidden("http/server.rs", "use jsonwebtoken::decode;");
    forbidden("principal.rs", "fn f(key: jsonwebtoken::DecodingKey) {}");
    forbidden("cli/serve.rs", "use tracing_actix_web::RequestId;");
    forbidden("config/layers.rs", "use anyhow::Context;");
    forbidden("keys/folder.rs", "fn f() -> anyhow::Result<()> { Ok(()) }");
    forbidden("http/log.rs", "use clap::Args;");
    forbidden("http/server.rs", "use redis::Client;");
    forbidden("http/extract/protect.rs", "use reqwest::Client;");
    forbidden("status/fetched.rs", "use reqwest::Client;");
    forbidden("status_lists.rs", "use flate2::Compression;");
    forbidden("token/verify.rs", "let now = std::time::SystemTime::now();");
    forbidden("token/verify.rs", "use std::{time::{Duration, SystemTime}};");
    forbidden("policy/live.rs", "let now = Timestamp::now();");
    forbidden("http/server.rs", "let now = std::time::Instant::now();");
    forbidden("http/routes.rs", "use actix_web::http::StatusCode;");
    forbidden("http/endpoint/token.rs", "response.status(actix_web::http::StatusCode::OK)");
}

#[test]
fn a_forbidden_direction_is_detected() {
    forbidden("policy/set.rs", "use crate::http::Service;");
    forbidden("policy/set.rs", "use crate::{clients::Client, token::Verifier};");
    forbidden("policy/set.rs", "use crate::{\n    clients::{Client, Grant},\n    config::Settings,\n};");
    forbidden("policy/compile/mod.rs", "fn f(_: &super::super::principal::Principal) {}");
    forbidden("policy/compile/rules.rs", "fn f(_: &super::super::super::grant::Lifetimes) {}");
    forbidden("policy/set.rs", "use super::super::issue::TokenIssuer;");
    forbidden("policy/set.rs", "fn f() -> jeton_verify::Authorizer {}");
    forbidden("clients/registry.rs", "use jeton_policy::PolicySet;");
    forbidden("token/verify.rs", "use jeton_policy::clients::Client;");
    forbidden("keys/ring.rs", "use crate::token::SignedToken;");
    forbidden("oauth/scope.rs", "use jeton_oauth::clock::Clock;");
    forbidden("clock.rs", "use super::oauth::Scope;");
    forbidden("grant/mod.rs", "use crate::issue::TokenIssuer;");
    forbidden("authorize.rs", "use crate::{http, policy};");
    forbidden("http/server.rs", "use crate::cli::run;");
    forbidden("follow/mod.rs", "use crate::http::Service;");
    forbidden("follow/mod.rs", "use actix_web::rt;");
    forbidden("app.rs", "use crate::follow::Following;");
    forbidden("files/latest.rs", "use jeton_policy::Findings;");
    forbidden("config/settings.rs", "use crate::keys::KeyFolder;");
    forbidden("token/sign.rs", "use crate::config::Settings;");
    forbidden("issue.rs", "use crate::config::Settings;");
    forbidden("status_lists.rs", "use crate::issue::TokenIssuer;");
    forbidden("reuse.rs", "use crate::issue::TokenIssuer;");
    forbidden("status/list.rs", "use jeton_policy::clients::Client;");
    forbidden("store/shared.rs", "use crate::token::Claims;");
    forbidden("audit/shadow.rs", "use jeton_verify::Authorizer;");
    forbidden("audit/log.rs", "use crate::config::LogSettings;");
    forbidden("audit/record.rs", "use jeton_actix::RequestSpan;");
    forbidden("policy/candidate.rs", "use jeton_verify::audit::Shadow;");
    forbidden("standing.rs", "use jeton_verify::audit::Asked;");
    forbidden("store/mod.rs", "use crate::config::StoreSettings;");
    forbidden("config/store.rs", "use crate::store::SharedOptions;");
    forbidden("principal.rs", "#[cfg(test)] mod tests { use crate :: http :: Service; }");
}

#[test]
fn what_is_right_is_let_through() {
    allowed("policy/compile/clients.rs", "use crate::{clients::Client, oauth::Scope, policy::set::Api};");
    allowed("policy/compile/mod.rs", "use super::super::oauth; use super::set::PolicySet;");
    allowed("cli/serve.rs", "actix_web::rt::System::new(); use crate::{config::Settings, http::Service};");
    allowed("http/error.rs", "use actix_web::http::StatusCode;");
    allowed("http/span.rs", "use std::time::Instant; let now = Instant::now();");
    allowed(
        "token/verify.rs",
        "// crate::http, jsonwebtoken\n/// [`jeton_policy`]\nuse jeton_jose::PublicKey;",
    );
    allowed("policy/set.rs", "let text = \"crate::http and StatusCode \\\" actix_web\"; let c = '\"'; // \"");
    allowed("policy/set.rs", "let text = r#\"crate::http \" actix_web\"#; let lifetime: &'static str;");
    allowed("config/store.rs", "let url = \"redis://127.0.0.1\";");
    allowed("http/server.rs", "use crate::store::Store;");
    allowed("main.rs", "jeton::cli::run()");
}
