//! `jeton keys`.

use std::{path::Path, sync::Arc};

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};

use super::Outcome;
use crate::{
    clock::{Clock, SystemClock},
    config::{Needs, Settings},
    http::{key_keeper, late_reading},
    keys::{KeyKeeper, KeyRing, KeyState, Replaced, Retired, RingKey},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make the first key.
    Generate,
    /// Show every key: what it does now, what comes next and when, what is published and until when.
    List,
    /// Make the next key: published now, signing once verifiers have fetched it.
    Rotate {
        /// A key has leaked: let a new one sign at once, and drop the one that signs from the published set.
        #[arg(long)]
        now: bool,
    },
    /// End a key: hand over to the next one, withdraw the next one, or drop a retired one, if that is safe.
    Retire {
        /// The key.
        kid: String,
        /// It has leaked: drop it from the published set, whatever tokens it signed live.
        #[arg(long)]
        now: bool,
    },
    /// Delete the keys that are published no more, and the files that `keyring.yaml` does not name.
    Prune,
    /// Print the public keys as a JSON Web Key Set.
    Jwks,
}

pub(super) fn run(command: &Command, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(Needs::Keys, config)?;
    let keeper = key_keeper(&settings, Arc::new(SystemClock));
    match command {
        Command::Generate => println!("{}", keeper.generate()?.kid),
        Command::List => list(&keeper)?,
        Command::Rotate { now: false } => {
            let new = keeper.rotate()?;
            let wait = span(new.activates, SystemClock.now());
            println!("{}\nit is published now, and signs from {} (in {wait}).", new.kid, new.activates);
            if let Some(detail) = late_reading(&settings, keeper.terms()) {
                eprintln!("note: verifiers may not have fetched it when it signs. {detail}");
            }
        }
        Command::Rotate { now: true } => tell_replaced(&keeper.rotate_now()?, &keeper, &settings),
        Command::Retire { kid, now } => {
            let retired = if *now { keeper.retire_now(kid)? } else { keeper.retire(kid)? };
            match retired {
                Retired::HandedOver { to, published_until } => {
                    println!(
                        "{kid} signs no more, and stays published until {published_until}; {to} signs now."
                    );
                }
                Retired::Dropped => println!("{kid} is gone: out of `keyring.yaml`, its file deleted."),
            }
        }
        Command::Prune => {
            let pruned = keeper.prune()?;
            for kid in &pruned {
                println!("{kid} deleted");
            }
            if pruned.is_empty() {
                println!("there is nothing to delete");
            }
        }
        Command::Jwks => println!("{}", ring(&keeper)?.jwks().body()),
    }
    Ok(Outcome::Done)
}

/// The keys of the folder as they are now.
pub(super) fn ring(keeper: &KeyKeeper) -> anyhow::Result<KeyRing> {
    Ok(keeper.folder().load()?.at(SystemClock.now(), keeper.terms()))
}

fn list(keeper: &KeyKeeper) -> anyhow::Result<()> {
    let (ring, now) = (ring(keeper)?, SystemClock.now());
    println!("{:<8} {:<43} {:<5} {:>4}  {:<20}  WHEN", "STATE", "KID", "ALG", "BITS", "CREATED");
    for key in ring.keys() {
        let RingKey { kid, algorithm, bits, created, state, .. } = key;
        let (state, kid) = (state.name(), kid.as_str());
        println!("{state:<8} {kid:<43} {algorithm:<5} {bits:>4}  {created:<20}  {}", when(key, now));
    }
    for key in ring.unlisted() {
        let (kid, file) = (key.kid.as_str(), key.path.display());
        println!(
            "{:<8} {kid:<43} {:<5} {:>4}  {:<20}  never signs: {file} has no entry",
            "unlisted", "", "", ""
        );
    }
    let expired = ring.keys().iter().filter(|key| !key.state.is_published()).count();
    if expired + ring.unlisted().len() > 0 {
        println!("\n`jeton keys prune` deletes what is expired or unlisted.");
    }
    Ok(())
}

/// What a key does, since when and until when.
fn when(key: &RingKey, now: Timestamp) -> String {
    let at = |time: Timestamp| format!("{time} ({})", relative(time, now));
    match key.state {
        KeyState::Next { from } => format!("signs from {}", at(from)),
        KeyState::Active { until: None } => format!("signs since {}", at(key.activates)),
        KeyState::Active { until: Some(until) } => {
            format!("signs since {}, until {}", at(key.activates), at(until))
        }
        KeyState::Retired { since, until } => {
            format!("signed until {}, published until {}", at(since), at(until))
        }
        KeyState::Expired { since } => format!("published until {}", at(since)),
    }
}

fn relative(time: Timestamp, now: Timestamp) -> String {
    if time > now { format!("in {}", span(time, now)) } else { format!("{} ago", span(time, now)) }
}

/// How far two times are apart, in the largest unit that tells it well.
fn span(one: Timestamp, other: Timestamp) -> String {
    let seconds = one.duration_since(other).abs().as_secs();
    let rounded = |unit: i64| (seconds + unit / 2) / unit;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", rounded(60)),
        7_200..172_800 => format!("{} h", rounded(3_600)),
        _ => format!("{} days", rounded(86_400)),
    }
}

/// What `rotate --now` did, and what of it everybody will notice.
fn tell_replaced(replaced: &Replaced, keeper: &KeyKeeper, settings: &Settings) {
    let Replaced { new, dropped, still_published } = replaced;
    println!("{}\nit signs now.", new.kid);
    for kid in dropped {
        println!("{kid} is gone: out of `keyring.yaml`, its file deleted.");
    }
    let max_age = SignedDuration::from_secs(keeper.terms().max_age().into());
    let poll = settings.policies.poll.map_or_else(
        || "after SIGHUP or a restart".to_owned(),
        |poll| format!("within {} s", poll.as_secs() + 1),
    );
    println!("\nWhat this breaks:");
    println!(
        "- Servers that see this folder take it over {poll}; until then they sign and verify with the old key."
    );
    println!(
        "- Then every token that the old key signed is refused here, refresh tokens too: clients fetch new ones."
    );
    println!(
        "- Services that verify offline may hold the old set for up to {} s more: until they fetch again they still take \
         tokens by the old key, and may refuse tokens by the new one.",
        max_age.as_secs()
    );
    for (kid, until) in still_published {
        println!(
            "- {kid} stays published until {until}: if it leaked too, run `jeton keys retire {kid} --now`."
        );
    }
}
