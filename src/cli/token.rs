//! `jeton token`.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Outcome,
    clients::time,
    emit,
    files::{OfSeveral, Place, PolicyFiles},
};
use crate::{
    clock::{Clock, SystemClock, seconds_up},
    config::Needs,
    fetch::{Fetched, Fetcher, Transport},
    http::key_keeper,
    keys::PublicKeys,
    oauth::{Audience, TokenId},
    policy::{Pruned, TokenRevocation, printable},
    token::{BearerToken, InsecureParts, Verifier, insecure_parts},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show what a token says, and whether it verifies and why not.
    Inspect {
        /// The token; without it, standard input is read.
        jwt: Option<String>,
        /// A key set to check against, instead of the key folder.
        #[arg(long, value_name = "FILE_OR_URL")]
        jwks: Option<String>,
    },
    /// Take a token no more: add it to the policy files, and remove from them what has expired since.
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct Revoke {
    /// The claim `jti` of the token; `jeton token inspect` shows it.
    #[arg(value_parser = token_id)]
    jti: TokenId,
    /// When the token has expired at the latest: its claim `exp`.
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Timestamp,
    /// The policy file, below the policies folder; without it, the first that lists such tokens already.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn token_id(text: &str) -> Result<TokenId, String> {
    TokenId::parse(text).map_err(|error| error.to_string())
}

/// How long a key set may take to be fetched.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(command: Command, config: Option<&Path>) -> anyhow::Result<Outcome> {
    match command {
        Command::Inspect { jwt, jwks } => inspect(jwt, jwks.as_deref(), config),
        Command::Revoke(command) => revoke(&command, config),
    }
}

fn revoke(command: &Revoke, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let Revoke { jti, until, file } = command;
    let now = SystemClock.now();
    anyhow::ensure!(*until > now, "{until} has passed: by then the token has expired, and nobody takes it");
    let until = Timestamp::from_second(seconds_up(*until))?;
    let files = PolicyFiles::open(config)?;
    let place = Place { section: "revoked_tokens", new: "revoked.yaml", of_several: OfSeveral::First };
    let file = files.target(file.as_deref(), &place)?;
    let was_listed = files.sources.lists(jti);
    let revocation = TokenRevocation { token: jti, until, file: &file, now };
    let (mut edited, pruned) = files.sources.revoke_token(&revocation)?;
    // what is asked for before what is tidied up
    edited.sort_by_key(|edited| edited.file != file);
    files.write(&edited)?;
    if was_listed {
        eprintln!("token `{jti}` is revoked already; it is so until {until} at least");
    } else {
        eprintln!("{file}: token `{jti}` is revoked until {until}");
    }
    for Pruned { file, token } in pruned {
        eprintln!("{file}: removed token `{}`, which has expired", printable(&token));
    }
    Ok(Outcome::Done)
}

fn inspect(jwt: Option<String>, jwks: Option<&str>, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let text = if let Some(jwt) = jwt {
        jwt
    } else {
        let mut text = String::new();
        std::io::stdin()
            .take(64 * 1024)
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        text
    };
    let token = BearerToken::new(text.trim());
    let InsecureParts { header, claims } = match insecure_parts(&token) {
        Ok(parts) => parts,
        Err(error) => {
            emit(&format!("does not verify: {error}\n"))?;
            return Ok(Outcome::No);
        }
    };
    let (header, shown) = (serde_json::to_string_pretty(&header)?, serde_json::to_string_pretty(&claims)?);
    emit(&format!("header: {header}\nclaims: {shown}\n"))?;
    // which API it is for is not ours to say: any audience that it names will do
    let Some(audience) = insecure_audience(&claims) else {
        emit("does not verify: the claim `aud` names no audience\n")?;
        return Ok(Outcome::No);
    };
    match verifier(config, jwks)?.verify(&token, &audience) {
        Ok(_) => {
            emit("verifies\n")?;
            Ok(Outcome::Done)
        }
        Err(error) => {
            emit(&format!("does not verify: {error}\n"))?;
            Ok(Outcome::No)
        }
    }
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
    let settings = super::settings(Needs::Keys, config)?;
    let keys = match jwks {
        None => Arc::clone(super::keys::ring(&key_keeper(&settings, Arc::new(SystemClock)))?.public()),
        Some(source) => {
            let json = if source.starts_with("https://") || source.starts_with("http://") {
                fetch(source)?
            } else {
                std::fs::read(source).with_context(|| format!("{source} cannot be read"))?
            };
            let keys = PublicKeys::from_jwks(&json).with_context(|| format!("{source} cannot be used"))?;
            for key in keys.passed_over() {
                eprintln!("warning: {source}: a key is passed over: {key}");
            }
            Arc::new(keys)
        }
    };
    Ok(Verifier::new(settings.issuer, keys, settings.tokens.leeway, Arc::new(SystemClock)))
}

/// Fetches a small document.
pub(super) fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let transport = if url.starts_with("https://") { Transport::Https } else { Transport::Http };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fetched =
        runtime.block_on(async { Fetcher::new(transport, FETCH_TIMEOUT)?.get(url, "*/*", None).await });
    match fetched.with_context(|| url.to_owned())? {
        Fetched::New { body, .. } => Ok(body),
        Fetched::NotModified { .. } => anyhow::bail!("{url}: nothing is there"),
    }
}
