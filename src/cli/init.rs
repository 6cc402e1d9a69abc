//! `jeton init`: from an empty folder to a service that answers.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use jeton_oauth::text::printable_lines;
use jeton_policy::clients::ClientSecret;

use super::{
    Outcome,
    first_token::{FirstToken, loopback_of, scheme_of},
    settings,
};
use crate::{
    config::{DEFAULTS, NeededFolders},
    keys::KeyFolder,
    made::MadePaths,
};

const SETTINGS: &str = "jeton.toml";
const POLICIES: &str = "policies";
const KEYS: &str = "keys";

/// What stands at the head of the settings file, in the place of what the defaults say of themselves.
const SETTINGS_HEAD: &str =
    "# The settings of this service. A line behind `# ` is a default: remove the `# `, and change it.";
/// The settings that stand there in force: what is changed first.
const IN_FORCE: [&str; 2] = ["issuer", "listen"];

const FIRST_POLICIES: &str = include_str!("init/policies.yaml");
/// The client of the first policies, and the API that its first token is for.
const CLIENT: &str = "first-client";
const AUDIENCE: &str = "https://notes.example.com";

const NO_KEYS_IN_GIT: &str = "# private keys are never committed\n*\n";

pub(super) fn run(dir: Option<PathBuf>, config: Option<&Path>) -> anyhow::Result<Outcome> {
    anyhow::ensure!(config.is_none(), "`init` writes `{SETTINGS}` into its folder: leave out `--config`");
    let dir = dir.unwrap_or_default();
    refuse_what_is_there(&dir)?;
    let secret = ClientSecret::generate()?;
    let mut made = MadePaths::default();
    write(&dir, &secret, &mut made).with_context(|| format!("nothing was made in `{}`", shown(&dir)))?;
    // where the service will be, by the environment too
    let settings = settings(NeededFolders::Nothing, Some(&dir.join(SETTINGS)))?;
    let first = FirstToken {
        base: &format!(
            "{}://{}",
            scheme_of(settings.server.tls.as_ref()),
            loopback_of(settings.server.listen)
        ),
        client: CLIENT,
        secret: Some(secret.reveal()),
        resource: Some(AUDIENCE),
        cert: settings.server.tls.as_ref().map(|tls| tls.cert_file.as_path()),
    };
    let text = format!(
        "{}: the settings, each default as a comment\n\
         {}: one API, `notes`, and one client, `{CLIENT}`\n\
         {}: for the private keys, never to be committed; the first start makes one\n\
         \n\
         Start the service:\n  \
           {}\n\
         Then, in another terminal, fetch a token. The secret of `{CLIENT}` is shown only now:\n  \
           {first}\n",
        shown(&dir.join(SETTINGS)),
        shown(&dir.join(POLICIES)),
        shown(&dir.join(KEYS)),
        start(&dir),
    );
    // nobody can look the secret up later
    let told = io::stdout().write_all(printable_lines(&text).as_bytes());
    told.context("the secret could not be shown, and nothing was made")?;
    made.keep();
    Ok(Outcome::Done)
}

/// Holds that nothing would be overwritten.
fn refuse_what_is_there(dir: &Path) -> anyhow::Result<()> {
    let mut there = Vec::new();
    for name in [SETTINGS, POLICIES, KEYS] {
        let path = dir.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => there.push(format!("`{}`", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("`{}`", path.display())),
        }
    }
    let verb = if there.len() == 1 { "is" } else { "are" };
    anyhow::ensure!(
        there.is_empty(),
        "{} {verb} there already, and nothing was written: choose another folder, as `jeton init DIR`",
        there.join(", ")
    );
    Ok(())
}

fn write(dir: &Path, secret: &ClientSecret, made: &mut MadePaths) -> io::Result<()> {
    if !dir.as_os_str().is_empty() {
        made.folder(dir, 0o777)?;
    }
    made.file(&dir.join(SETTINGS), &settings_file())?;
    let policies = dir.join(POLICIES);
    made.folder(&policies, 0o777)?;
    let hash = secret.hash().to_string();
    made.file(&policies.join("notes.yaml"), &FIRST_POLICIES.replacen("SHA256", &hash, 1))?;
    let keys = dir.join(KEYS);
    KeyFolder::new(&keys).make(made)?;
    made.file(&keys.join(".gitignore"), NO_KEYS_IN_GIT)
}

/// The defaults, each as a comment but for those in force, so that what is not changed follows later versions.
fn settings_file() -> String {
    let rest = DEFAULTS.find("# Each one can be given").and_then(|at| DEFAULTS.get(at..)).unwrap_or(DEFAULTS);
    let mut text = format!("{SETTINGS_HEAD}\n");
    for line in rest.lines() {
        let is_key = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|key| is_key(key));
        let is_default = key.is_some_and(|key| !IN_FORCE.contains(&key));
        text.extend([if is_default { "# " } else { "" }, line, "\n"]);
    }
    text
}

/// How the service is started from here.
fn start(dir: &Path) -> String {
    let is_here = dir.components().all(|part| matches!(part, std::path::Component::CurDir));
    if is_here { "jeton serve".to_owned() } else { format!("cd {} && jeton serve", in_shell(&shown(dir))) }
}

/// As one word of a shell that is no option.
fn in_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    let word = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    if word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_word_of_a_shell() {
        for (word, expected) in [
            ("demo", "demo"),
            ("/srv/jeton-1.0", "/srv/jeton-1.0"),
            ("my folder", "'my folder'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("-x", "./-x"),
            ("a;b", "'a;b'"),
            ("~", "'~'"),
        ] {
            assert_eq!(in_shell(word), expected);
        }
    }

    #[test]
    fn every_default_stands_in_the_settings_file_as_a_comment() {
        let file = settings_file();
        for line in DEFAULTS.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
            let in_force = line.starts_with("issuer = ") || line.starts_with("listen = ");
            let expected = if in_force { line.to_owned() } else { format!("# {line}") };
            assert!(file.lines().any(|line| line == expected), "{expected}\n{file}");
        }
    }
}
