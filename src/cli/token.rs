//! `jeton token`.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use jeton_jose::PublicKeys;
use jeton_oauth::{
    Audience, ShownUrl, TokenId,
    clock::{Clock, SystemClock, seconds_up},
    text::printable,
};
use jeton_policy::{
    PrunedEntry, TokenRevocation,
    files::{self, ByteSize},
};
use jeton_verify::{InsecureParts, JwksOptions, JwksSource, Verifier, insecure_parts};
use jiff::Timestamp;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Outcome,
    arguments::time,
    emit,
    files::{EntryPlace, OfSeveral, PolicyFiles},
    json,
    keys::at,
    say,
};
use crate::{
    app::key_keeper,
    config::NeededFolders,
    inspect::{pasted_token, with_values},
};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Show the header and claims of a token, and whether it verifies.
    Inspect {
        /// The token. Default: standard input.
        jwt: Option<String>,
        /// The key set to verify with. Default: the key folder.
        #[arg(long, value_name = "FILE_OR_URL")]
        jwks: Option<String>,
    },
    /// Revoke a token: add it to the policy files, and remove entries that have expired.
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct Revoke {
    /// The claim `jti` of the token. `jeton token inspect` shows it.
    // one in 64 begins with a hyphen
    #[arg(value_parser = token_id, allow_hyphen_values = true)]
    jti: TokenId,
    /// When the token expires: its claim `exp`, or later.
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Timestamp,
    /// The policy file, relative to the policies folder. Default: the first with `revoked_tokens`.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn token_id(text: &str) -> Result<TokenId, String> {
    TokenId::parse(text).map_err(|error| error.to_string())
}

/// How long a key set may take to be fetched.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest file of a key set, in bytes: as long as one that is fetched.
const LONGEST_KEY_SET: u64 = 1024 * 1024;
/// The longest standard input, in bytes: a token has 8 KiB.
const LONGEST_INPUT: u64 = 64 * 1024;

pub(super) fn run(command: TokenCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    match command {
        TokenCommand::Inspect { jwt, jwks } => inspect(jwt, jwks.as_deref(), config),
        TokenCommand::Revoke(command) => revoke(&command, config),
    }
}

fn revoke(command: &Revoke, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let Revoke { jti, until, file } = command;
    let now = SystemClock.now();
    anyhow::ensure!(*until > now, "{until} has passed: by then the token has expired anyway");
    let until = Timestamp::from_second(seconds_up(*until))?;
    let files = PolicyFiles::open(config)?;
    let place = EntryPlace { section: "revoked_tokens", new: "revoked.yaml", of_several: OfSeveral::First };
    let file = files.target(file.as_deref(), &place)?;
    let was_listed = files.sources.lists(jti);
    let revocation = TokenRevocation { token: jti, until, file: &file, now };
    let (mut edited, pruned) = files.sources.revoke_token(&revocation)?;
    // what is asked for before what is tidied up
    edited.sort_by_key(|edited| edited.file != file);
    files.write(&edited)?;
    if was_listed {
        say!("token `{jti}` was revoked already, and stays revoked at least until {until}");
    } else {
        say!("{file}: token `{jti}` is revoked until {until}");
    }
    for PrunedEntry { file, token } in pruned {
        say!("{file}: removed token `{token}`, which has expired");
    }
    Ok(Outcome::Done)
}

fn inspect(jwt: Option<String>, jwks: Option<&str>, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let text = token_text(jwt)?;
    let token = pasted_token(&text);
    let InsecureParts { header, claims } = match insecure_parts(&token) {
        Ok(parts) => parts,
        Err(error) => return not_verified(&error.to_string()),
    };
    emit(&format!("header: {}\nclaims: {}\n", json(&header)?, json(&claims)?))?;
    emit(&times(&claims, SystemClock.now()))?;
    // which API it is for is not ours to say: any audience that it names will do
    let Some(audience) = insecure_audience(&claims) else {
        return not_verified("the claim `aud` names no audience");
    };
    let verifier = verifier(config, jwks)?;
    match verifier.verify(&token, &audience) {
        Ok(_) => {
            emit("verifies\n")?;
            Ok(Outcome::Done)
        }
        Err(error) => not_verified(&with_values(&error, &token, verifier.issuer(), &audience)),
    }
}

/// A token as it was given, or standard input.
pub(super) fn token_text(jwt: Option<String>) -> anyhow::Result<String> {
    if let Some(jwt) = jwt {
        return Ok(jwt);
    }
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_INPUT + 1).read_to_string(&mut text);
    let length = read.context("standard input cannot be read")? as u64;
    anyhow::ensure!(length <= LONGEST_INPUT, "standard input holds more than {}", ByteSize(LONGEST_INPUT));
    Ok(text)
}

fn not_verified(why: &str) -> anyhow::Result<Outcome> {
    emit(&format!("does not verify: {}\n", printable(why)))?;
    Ok(Outcome::No)
}

/// The times of a token, which are seconds since 1970 in it.
fn times(claims: &Map<String, Value>, now: Timestamp) -> String {
    let said = ["auth_time", "iat", "nbf", "exp"].into_iter().filter_map(|name| {
        let time = Timestamp::from_second(claims.get(name)?.as_i64()?).ok()?;
        Some(format!("{name}: {}\n", at(time, now)))
    });
    said.collect()
}

fn insecure_audience(claims: &Map<String, Value>) -> Option<Audience> {
    let audience = match claims.get("aud")? {
        Value::Array(items) => items.first()?.as_str()?,
        one => one.as_str()?,
    };
    Audience::parse(audience).ok()
}

/// A verifier by the settings, with the keys of the folder or of another set.
pub(super) fn verifier(config: Option<&Path>, jwks: Option<&str>) -> anyhow::Result<Verifier> {
    let settings = super::settings(NeededFolders::Keys, config)?;
    let keys = match jwks {
        None => Arc::clone(super::keys::ring(&key_keeper(&settings, Arc::new(SystemClock)))?.public()),
        Some(address) if is_address(address) => published(address)?,
        Some(source) => {
            let json = files::read(Path::new(source), LONGEST_KEY_SET);
            let json = json.map_err(|error| anyhow::anyhow!("{source} {error}"))?;
            let keys = PublicKeys::from_jwks(&json).with_context(|| format!("{source} cannot be used"))?;
            Arc::new(keys)
        }
    };
    if let Some(source) = jwks {
        for key in keys.passed_over() {
            say!("warning: {source}: a key is passed over: {key}");
        }
    }
    Ok(Verifier::new(settings.issuer, keys, settings.tokens.leeway, Arc::new(SystemClock)))
}

/// Whether an address is meant, and not a file.
fn is_address(text: &str) -> bool {
    let is_http = |url: Url| ["http", "https"].contains(&url.scheme());
    text.contains("://") || Url::parse(text).is_ok_and(is_http)
}

/// The key set at an address, fetched once and as services fetch it.
fn published(address: &str) -> anyhow::Result<Arc<PublicKeys>> {
    let options = JwksOptions { timeout: FETCH_TIMEOUT, ..JwksOptions::default() };
    let source = JwksSource::new(address, &options, Arc::new(SystemClock))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(source.refresh());
    match source.state().failure {
        None => Ok(source.current()),
        Some(failed) => anyhow::bail!("{}: {}", ShownUrl(address), failed.error),
    }
}
