//! `jeton keys`.

use std::path::Path;

use clap::Subcommand;

use super::Outcome;
use crate::{clock::SystemClock, config::Needs, keys::KeyFolder};

#[derive(Clone, Copy, Subcommand)]
pub(super) enum Command {
    /// Make the first key.
    Generate,
    /// Show every key: what it does, its kid, its size, its age.
    List,
    /// Print the public keys as a JSON Web Key Set.
    Jwks,
}

pub(super) fn run(command: Command, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(Needs::Nothing, config)?;
    let folder = KeyFolder::new(&settings.keys.dir);
    match command {
        Command::Generate => println!("{}", folder.generate(&SystemClock)?),
        Command::List => {
            let ring = folder.load()?;
            println!("{:<10} {:<43} {:>5} CREATED", "STATE", "KID", "BITS");
            for key in ring.keys() {
                let state = if key.signs { "active" } else { "published" };
                println!("{state:<10} {:<43} {:>5} {}", key.kid.as_str(), key.bits, key.created);
            }
        }
        Command::Jwks => println!("{}", folder.load()?.jwks().body()),
    }
    Ok(Outcome::Done)
}
