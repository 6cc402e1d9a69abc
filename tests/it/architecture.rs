//! What Cargo cannot hold of the directions between modules, and where some words may stand: held by reading every file.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::root;

/// The modules of the service from left to right: each may use what stands further right, and of its own column nothing
/// but what [`SIBLINGS`] allows. Between crates, Cargo holds the direction.
const COLUMNS: [&[&str]; 18] = [
    &["main"],
    &["cli"],
    &["server"],
    &["admin"],
    &["console"],
    &["http"],
    &["report"],
    &["follow"],
    &["app"],
    &["telemetry"],
    &["issue", "reuse", "inspect", "introspect", "revoke", "status_lists", "bundles", "authzen"],
    &["grant"],
    &["authenticate", "token"],
    &["federation"],
    &["binding"],
    &["store", "keys", "limits", "tls"],
    &["gateway", "git", "service_manager", "made", "private_file", "terminal"],
    &["event"],
];

/// What a module may use of its own column.
const SIBLINGS: [(&str, &str); 1] = [("issue", "reuse")];

/// `config` stands beside the columns.
const CONFIG_USES: [&str; 2] = ["gateway", "private_file"];
const CONFIG_USED_BY: [&str; 7] = ["app", "telemetry", "http", "console", "admin", "server", "cli"];

/// The crates of this house that each crate needs.
const CRATES: [(&str, &[&str]); 6] = [
    ("oauth", &[]),
    ("jose", &["oauth"]),
    ("policy", &["jose", "oauth"]),
    ("verify", &["jose", "oauth", "policy"]),
    ("actix", &["oauth", "policy", "verify"]),
    ("gateway-check", &["oauth", "policy", "verify"]),
];

/// Words that may stand in these files and folders alone.
const HOMES: [(&str, &[&str]); 28] = [
    (
        "actix_web",
        &["src/http/", "src/admin/", "src/console/", "src/server.rs", "src/cli/serve.rs", "crates/actix/"],
    ),
    ("actix_rt", &["src/http/", "src/cli/serve.rs"]),
    ("tracing_actix_web", &["src/http/", "src/console/guard.rs", "src/admin/", "crates/actix/"]),
    ("jsonwebtoken", &["src/keys/", "crates/jose/"]),
    ("anyhow", &["src/cli/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/man.rs"]),
    ("redis", &["src/store/"]),
    ("x509_parser", &["src/tls/", "src/cli/clients/certificate.rs"]),
    ("reqwest", &["crates/verify/src/fetch.rs", "crates/verify/src/fetch/", "src/telemetry/traces.rs"]),
    ("opentelemetry", &["src/telemetry/"]),
    ("opentelemetry_otlp", &["src/telemetry/"]),
    ("opentelemetry_sdk", &["src/telemetry/"]),
    ("tracing_opentelemetry", &["src/telemetry/"]),
    (
        "flate2",
        &[
            "crates/verify/src/fetch.rs",
            "crates/verify/src/status/",
            "src/bundles.rs",
            "src/console/assets.rs",
            "src/console/matrices.rs",
        ],
    ),
    ("prometheus", &["src/telemetry/metrics/"]),
    // events that are counted: where they are told, so that nobody logs one and does not count it
    ("TokenIssued", &["src/event.rs", "src/telemetry/"]),
    ("TokenRefused", &["src/event.rs", "src/telemetry/"]),
    ("TokenFailed", &["src/event.rs", "src/telemetry/"]),
    ("IntrospectionActive", &["src/event.rs", "src/telemetry/"]),
    ("IntrospectionInactive", &["src/event.rs", "src/telemetry/"]),
    // and what a gateway is refused without a decision, so that nobody logs it and the console does not show it
    ("GatewayRequestDenied", &["src/event.rs", "src/telemetry/"]),
    ("SystemTime", &["crates/oauth/src/clock.rs"]),
    ("Timestamp::now", &["crates/oauth/src/clock.rs"]),
    ("Zoned::now", &["crates/oauth/src/clock.rs"]),
    (
        "Instant::now",
        &[
            "crates/oauth/src/clock.rs",
            "src/follow/tests.rs",
            "crates/actix/src/span.rs",
            "src/http/connection/",
            "src/http/measure.rs",
        ],
    ),
    ("StatusCode", &["src/http/error.rs", "src/http/error/", "crates/actix/src/problem.rs"]),
];

/// The most lines of a file.
const MOST_LINES: usize = 600;

/// A source file, by its path below the root.
struct SourceFile {
    path: String,
    text: String,
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_made = path.ends_with("target") || path.ends_with("node_modules");
        if path.is_dir() && !is_made {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn files() -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    collect(&root().join("crates"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| SourceFile {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    let is_of_tests = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "tests");
    paths.iter().filter(|path| !is_of_tests(path)).map(read).collect()
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

/// The module of the service to which a file belongs; none where it belongs to another crate.
fn module(path: &str) -> Option<&str> {
    Some(path.strip_prefix("src/")?.split('/').next()?.trim_end_matches(".rs"))
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
    let parts = file.path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    let parts = parts.filter(|part| !["mod", "lib", "main"].contains(part));
    let to_root = format!("{}::", ["super"; 9][..parts.count()].join("::"));
    let is_root = ["src/lib.rs", "src/main.rs"].contains(&file.path.as_str());
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
    let Some(from) = module(&file.path).filter(|module| *module != "lib") else { return offences };
    for used in used_modules(file) {
        if used == from {
            continue;
        }
        let may = match (from, used.as_str()) {
            ("config", used) => CONFIG_USES.contains(&used),
            (from, "config") => CONFIG_USED_BY.contains(&from),
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
        let Some(module) = module(&file.path) else { continue };
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
        ("src/main.rs", "cli"),
        ("src/cli/mod.rs", "config"),
        ("src/http/server.rs", "app"),
        ("src/issue.rs", "grant"),
        ("src/grant/mod.rs", "authenticate"),
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
    forbidden("crates/policy/src/set.rs", "use actix_web::HttpRequest;");
    forbidden("src/cli/keys.rs", "use actix_web::rt;");
    forbidden("src/http/server.rs", "use jsonwebtoken::decode;");
    forbidden("crates/verify/src/principal.rs", "fn f(key: jsonwebtoken::DecodingKey) {}");
    forbidden("src/cli/serve.rs", "use tracing_actix_web::RequestId;");
    forbidden("src/config/layers.rs", "use anyhow::Context;");
    forbidden("src/keys/folder.rs", "fn f() -> anyhow::Result<()> { Ok(()) }");
    forbidden("src/telemetry/log.rs", "use clap::Args;");
    forbidden("src/http/server.rs", "use redis::Client;");
    forbidden("crates/actix/src/protect.rs", "use reqwest::Client;");
    forbidden("crates/verify/src/status/fetched.rs", "use reqwest::Client;");
    forbidden("src/status_lists.rs", "use flate2::Compression;");
    forbidden("crates/verify/src/token/verify.rs", "let now = std::time::SystemTime::now();");
    forbidden("crates/verify/src/token/verify.rs", "use std::{time::{Duration, SystemTime}};");
    forbidden("crates/policy/src/live.rs", "let now = Timestamp::now();");
    forbidden("src/http/server.rs", "let now = std::time::Instant::now();");
    forbidden("src/http/routes.rs", "use actix_web::http::StatusCode;");
    forbidden("src/http/measure.rs", "use prometheus::Histogram;");
    forbidden("src/http/endpoint/token.rs", "event::TokenIssued { jti }.info();");
    forbidden("src/http/endpoint/token.rs", "response.status(actix_web::http::StatusCode::OK)");
    forbidden("crates/actix/src/protect.rs", "use actix_web::http::StatusCode;");
}

#[test]
fn a_forbidden_direction_is_detected() {
    forbidden("src/grant/mod.rs", "use crate::issue::TokenIssuer;");
    forbidden("src/grant/mod.rs", "use crate::{token::Claims, config::Settings};");
    forbidden("src/telemetry/told.rs", "use crate::http::HttpService;");
    forbidden("src/issue.rs", "use crate::telemetry::Telemetry;");
    forbidden("src/grant/approved.rs", "fn f(_: &super::super::app::App) {}");
    forbidden("src/keys/ring.rs", "use crate::token::SignedToken;");
    forbidden("src/keys/orders/tests.rs", "fn f(_: &super::super::super::grant::Lifetimes) {}");
    forbidden("src/app.rs", "use crate::follow::Following;");
    forbidden("src/app/keeper.rs", "use crate::http::Service;");
    forbidden("src/follow/keys.rs", "use crate::http::Service;");
    forbidden("src/http/server.rs", "use crate::cli::run;");
    forbidden("src/telemetry/log.rs", "use crate::http::HttpService;");
    forbidden("src/config/settings.rs", "use crate::keys::KeyFolder;");
    forbidden("src/config/store.rs", "use crate::store::SharedOptions;");
    forbidden("src/store/mod.rs", "use crate::config::StoreSettings;");
    forbidden("src/store/shared.rs", "use crate::token::AccessTokenClaims;");
    forbidden("src/issue.rs", "use crate::config::Settings;");
    forbidden("src/status_lists.rs", "use crate::issue::TokenIssuer;");
    forbidden("src/reuse.rs", "use crate::issue::TokenIssuer;");
    forbidden("src/authenticate/error.rs", "#[cfg(test)] mod tests { use crate :: http :: Service; }");
}

#[test]
fn what_is_right_is_let_through() {
    allowed("src/issue.rs", "use crate::{grant::Lifetimes, reuse::TokenReuse, store::Store};");
    allowed(
        "src/cli/serve.rs",
        "actix_web::rt::System::new(); use crate::{config::Settings, http::Service};",
    );
    allowed("src/http/error.rs", "use actix_web::http::StatusCode;");
    allowed("crates/actix/src/span.rs", "use std::time::Instant; let now = Instant::now();");
    allowed(
        "src/keys/ring.rs",
        "// crate::http, reqwest\n/// [`crate::issue`]\nuse crate::event::KeysReloaded;",
    );
    allowed("src/issue.rs", "let text = \"crate::http and StatusCode \\\" actix_web\"; let c = '\"'; // \"");
    allowed("src/issue.rs", "let text = r#\"crate::http \" actix_web\"#; let lifetime: &'static str;");
    allowed("src/config/store.rs", "let url = \"redis://127.0.0.1\";");
    allowed("src/main.rs", "jeton::cli::run()");
    // the word of another crate
    allowed("crates/policy/src/set.rs", "use crate::store::Store;");
}

/// Cargo lets nobody use what is not declared. This holds what is declared.
#[test]
fn each_crate_needs_the_crates_below_it_and_no_others() {
    let names: BTreeSet<_> =
        fs::read_dir(root().join("crates")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(
        names,
        CRATES.iter().map(|(name, _)| (*name).into()).collect(),
        "say in this test what each needs"
    );
    for (name, needed) in CRATES {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let declared: BTreeSet<_> =
            dependencies.lines().filter_map(|line| line.strip_prefix("jeton-")?.split('.').next()).collect();
        assert_eq!(declared, needed.iter().copied().collect(), "crates/{name}/Cargo.toml");
    }
}

#[test]
fn no_file_is_too_long() {
    let mut paths = Vec::new();
    for folder in ["src", "crates", "tests", "benches", "examples"] {
        collect(&root().join(folder), &mut paths);
    }
    assert!(paths.len() > 300, "only {} files were read", paths.len());
    for path in paths {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines want to be two files", path.display());
    }
}
