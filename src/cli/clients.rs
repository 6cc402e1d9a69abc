//! `jeton clients`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::Outcome;
use crate::{
    clients::ClientSecret,
    clock::{Clock, SystemClock, parse_duration},
    config::{Needs, Settings},
    policy::{DemoSecrets, Edited, PolicySet, Sources, scalar},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Add a client to a policy file, and print its new secret once.
    Add(Add),
    /// Add a second secret to a client, print it once, and let the old ones expire.
    Rotate {
        /// The client.
        id: String,
        /// How long the old secrets are taken still.
        #[arg(long, default_value = "7d", value_parser = duration, value_name = "DURATION")]
        keep_old: Duration,
    },
}

#[derive(Args)]
pub(super) struct Add {
    /// The client.
    id: String,
    /// The API at which it may do something.
    #[arg(long)]
    api: Option<String>,
    /// A scope that it is granted there.
    #[arg(long = "scope", requires = "api", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role that it is granted there.
    #[arg(long = "role", requires = "api", value_name = "ROLE")]
    roles: Vec<String>,
    /// A claim that its tokens carry.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// The lifetime of its tokens, such as `15m`.
    #[arg(long, value_parser = ttl)]
    ttl: Option<String>,
    /// The policy file, below the policies folder; without it, the one that has clients already.
    #[arg(long)]
    file: Option<PathBuf>,
}

pub(super) fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a whole number and `s`, `m`, `h` or `d`".to_owned())
}

fn ttl(text: &str) -> Result<String, String> {
    duration(text).map(|_| text.to_owned())
}

pub(super) fn run(command: Command, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(Needs::Policies, config)?;
    // of several of us one writes at a time, and reads what the others wrote
    let lock = fs::File::open(&settings.policies.dir)?;
    lock.lock().context("the policies folder cannot be locked")?;
    let sources = Sources::read(&settings.policies.dir)?;
    let secret = ClientSecret::generate().context("the system gives no random bytes")?;
    let sha256 = secret.hash().to_string();
    let (edited, hint) = match command {
        Command::Add(add) => {
            let file = target(&settings, &sources, add.file.as_deref())?;
            let edited = sources.add_client(&file, &add.id, &body(&add, &sha256))?;
            (edited, format!("added client `{}`", add.id))
        }
        Command::Rotate { id, keep_old } => {
            let until = SystemClock.now().round(jiff::Unit::Second)?.checked_add(keep_old)?;
            let edited = sources.add_secret(&id, &sha256, &until.to_string())?;
            (edited, format!("added a secret to client `{id}`; the old ones expire at {until}"))
        }
    };
    // nothing is written that would not load
    PolicySet::compile(
        &sources.with(&edited),
        &super::surroundings(&settings, DemoSecrets::Allowed),
        SystemClock.now(),
    )
    .map_err(|findings| {
        anyhow::anyhow!("nothing was written, for the policies would not load:\n{findings}")
    })?;
    write(&edited)?;
    eprintln!("{}: {hint}", edited.file);
    eprintln!("the secret is shown this once, and nobody can look it up again:");
    println!("{}", secret.reveal());
    Ok(Outcome::Done)
}

fn body(add: &Add, sha256: &str) -> Vec<String> {
    let list = |items: &[String]| {
        let items: Vec<_> = items.iter().map(|item| scalar(item)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut lines = vec!["secrets:".to_owned(), format!("  - sha256: {sha256}")];
    if let Some(api) = &add.api {
        lines.extend(["grants:".to_owned(), format!("  {}:", scalar(api))]);
        if !add.roles.is_empty() {
            lines.push(format!("    roles: {}", list(&add.roles)));
        }
        if !add.scopes.is_empty() {
            lines.push(format!("    scopes: {}", list(&add.scopes)));
        }
    }
    if !add.claims.is_empty() {
        lines.push("claims:".to_owned());
        lines.extend(add.claims.iter().map(|(name, value)| format!("  {}: {}", scalar(name), scalar(value))));
    }
    lines.extend(add.ttl.as_ref().map(|ttl| format!("ttl: {ttl}")));
    lines
}

/// The file to which a client is added, by the name that the sources have for it.
fn target(settings: &Settings, sources: &Sources, file: Option<&Path>) -> anyhow::Result<String> {
    let dir = &settings.policies.dir;
    let file = match (file, sources.files_with_clients().as_slice()) {
        (None, [only]) => return Ok((*only).to_owned()),
        (None, []) => Path::new("clients.yaml"),
        (None, several) => {
            anyhow::bail!("clients stand in several files: choose one with `--file` ({})", several.join(", "))
        }
        (Some(file), _) => file,
    };
    // as it is typed from here, or from within the policies folder
    let path = if file.is_absolute() || file.starts_with(dir) { file.to_owned() } else { dir.join(file) };
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
    anyhow::ensure!(is_yaml, "{}: only `*.yaml` files are read", path.display());
    let inside = fs::canonicalize(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    let parent = parent.with_context(|| format!("{}: there is no such folder", path.display()))?;
    let below = parent.strip_prefix(&inside);
    let below = below
        .map_err(|_| anyhow::anyhow!("{}: policies are read below {} only", path.display(), dir.display()))?;
    let below = below.join(path.file_name().context("the policy file has no name")?);
    let hidden = below.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    anyhow::ensure!(!hidden, "{}: hidden files and folders are not read", path.display());
    Ok(dir.join(below).display().to_string())
}

/// Writes a file so that a reader sees the old text or the new, with its mode kept.
fn write(edited: &Edited) -> anyhow::Result<()> {
    let path = fs::canonicalize(&edited.file).unwrap_or_else(|_| PathBuf::from(&edited.file));
    let name = path.file_name().context("the policy file has no name")?.to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let write = || {
        fs::write(&partial, &edited.text)?;
        if let Ok(metadata) = fs::metadata(&path) {
            fs::set_permissions(&partial, metadata.permissions())?;
        }
        fs::File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().with_context(|| format!("{} cannot be written", edited.file))
}
