//! `jeton keys`.

use std::{
    fmt::{Display, Write},
    path::Path,
    sync::Arc,
};

use clap::Subcommand;
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::printable,
};
use jiff::Timestamp;

use super::{
    Outcome,
    consent::{Answer, Consent},
    emit, say,
};
use crate::{
    app::{key_keeper, late_reading},
    config::{NeededFolders, Settings},
    keys::{KeyKeeper, KeyRing, KeyState, PlannedKey, ReplacedKeys, RetiredKey, RingKey},
};

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Make the first key. Fails if there is one already.
    Generate,
    /// List every key: its state, since when and until when.
    List,
    /// Make the next key. It is published now, and signs once verifiers have fetched it.
    Rotate {
        /// After a leak: sign with a new key at once, and stop publishing the active key.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// End a key, if that is safe: the active key hands over, the next key is withdrawn, a retired key is dropped.
    Retire {
        /// The `kid` of the key.
        // one in 64 begins with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// After a leak: stop publishing the key at once, even if tokens that it signed are still valid.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete expired keys, and files without an entry in `keyring.yaml`.
    Prune,
    /// Print the public keys as a JSON Web Key Set.
    Jwks,
}

pub(super) fn run(command: &KeyCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(NeededFolders::Keys, config)?;
    let keeper = key_keeper(&settings, Arc::new(SystemClock));
    let text = match command {
        KeyCommand::Generate => format!("{}\n", keeper.generate()?.kid),
        KeyCommand::List => list(&keeper)?,
        KeyCommand::Rotate { now: false, .. } => {
            let new = keeper.rotate()?;
            if let Some(detail) = late_reading(&settings, keeper.terms()) {
                say!("note: verifiers may not have fetched it when it signs. {detail}");
            }
            let wait = span(new.activates, SystemClock.now());
            format!("{}\nit is published now, and signs from {} (in {wait}).\n", new.kid, new.activates)
        }
        KeyCommand::Rotate { now: true, consent } => {
            let what = || {
                let signing = keeper.replaced_by_rotation()?;
                Ok(format!(
                    "A new key signs at once, and {signing} and any next key leave the key set: every token that \
                     {signing} signed is refused."
                ))
            };
            if consent.to(what)? == Answer::Stop {
                return Ok(Outcome::Failed);
            }
            replaced(&keeper.rotate_now()?, &keeper, &settings)
        }
        KeyCommand::Retire { kid, now: false, .. } => match keeper.retire(kid)? {
            RetiredKey::HandedOver { to, published_until } => {
                format!(
                    "{kid} no longer signs, and stays published until {published_until}; {to} signs now.\n"
                )
            }
            RetiredKey::Dropped => gone(kid),
        },
        KeyCommand::Retire { kid, now: true, consent } => {
            let what = || {
                let kid = keeper.may_retire_now(kid)?;
                Ok(format!("{kid} leaves the key set at once: every token that it signed is refused."))
            };
            if consent.to(what)? == Answer::Stop {
                return Ok(Outcome::Failed);
            }
            keeper.retire_now(kid)?;
            gone(kid) + &what_breaks(Dropped::Retired, &keeper, &settings)
        }
        KeyCommand::Prune => match keeper.prune()?.as_slice() {
            [] => "there is nothing to delete\n".to_owned(),
            pruned => lines(pruned.iter().map(|kid| format!("{kid} deleted"))),
        },
        KeyCommand::Jwks => format!("{}\n", ring(&keeper)?.jwks().body()),
    };
    emit(&text)?;
    Ok(Outcome::Done)
}

/// The keys of the folder as they are now.
pub(super) fn ring(keeper: &KeyKeeper) -> anyhow::Result<KeyRing> {
    let ring = keeper.folder().load()?.at(SystemClock.now(), keeper.terms());
    warn_of_files(&ring);
    Ok(ring)
}

fn warn_of_files(ring: &KeyRing) {
    for path in ring.exposed() {
        say!(
            "warning: {}: the private key is readable by its group too, and this mount is read-only",
            path.display()
        );
    }
}

fn list(keeper: &KeyKeeper) -> anyhow::Result<String> {
    let (keys, now) = (keeper.folder().load()?, SystemClock.now());
    let ring = keys.at(now, keeper.terms());
    warn_of_files(&ring);
    let mut text =
        format!("{:<8} {:<43} {:<5} {:>4}  {:<20}  WHEN\n", "STATE", "KID", "ALG", "BITS", "CREATED");
    for key in ring.keys() {
        let RingKey { kid, algorithm, bits, created, state, .. } = key;
        let (state, kid, when) = (state.name(), kid.as_str(), when(key, now));
        writeln!(text, "{state:<8} {kid:<43} {algorithm:<5} {bits:>4}  {created:<20}  {when}")?;
    }
    for key in ring.unlisted() {
        let (state, kid, file) = ("unlisted", key.kid.as_str(), printable(&key.path.display().to_string()));
        writeln!(
            text,
            "{state:<8} {kid:<43} {:<5} {:>4}  {:<20}  never signs: {file} has no entry",
            "", "", ""
        )?;
    }
    if let Some(PlannedKey { made, activates }) = keys.planned(now, keeper.terms()) {
        let made = if made <= now { "now".to_owned() } else { format!("on {}", at(made, now)) };
        let from = at(activates, now);
        writeln!(
            text,
            "\nBy `keys.rotate_every` a server makes the next key {made}, and it signs from {from}."
        )?;
    }
    let expired = ring.keys().iter().filter(|key| !key.state.is_published()).count();
    if expired + ring.unlisted().len() > 0 {
        writeln!(text, "\n`jeton keys prune` deletes what is expired or unlisted.")?;
    }
    Ok(text)
}

/// What a key does, since when and until when.
fn when(key: &RingKey, now: Timestamp) -> String {
    let at = |time| at(time, now);
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

/// A time, and how far it is away.
pub(super) fn at(time: Timestamp, now: Timestamp) -> String {
    format!("{time} ({})", relative(time, now))
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

fn lines(each: impl Iterator<Item = String>) -> String {
    each.flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn gone(kid: impl Display) -> String {
    format!("{kid} is gone: it was removed from `keyring.yaml`, and its file deleted.\n")
}

/// What `rotate --now` did, and what of it everybody will notice.
fn replaced(replaced: &ReplacedKeys, keeper: &KeyKeeper, settings: &Settings) -> String {
    let ReplacedKeys { new, dropped, still_published } = replaced;
    let mut text = format!("{}\nit signs now.\n", new.kid);
    text += &dropped.iter().map(gone).collect::<String>();
    text += &what_breaks(Dropped::Signing, keeper, settings);
    text + &lines(still_published.iter().map(|(kid, until)| {
        format!(
            "- {kid} stays published until {until}: if it leaked too, run `jeton keys retire {kid} --now`."
        )
    }))
}

/// Which key left the key set before its time.
#[derive(Clone, Copy)]
enum Dropped {
    /// The one that signed, for a new one.
    Signing,
    /// One that signs no more, or did not yet.
    Retired,
}

/// What breaks as a key is dropped, and for how long others may not have noticed.
fn what_breaks(dropped: Dropped, keeper: &KeyKeeper, settings: &Settings) -> String {
    let max_age = keeper.terms().max_age();
    let taken_over = settings.policies.poll.map_or_else(
        || "after SIGHUP or a restart".to_owned(),
        |poll| format!("within {} s", poll.as_secs() + 1),
    );
    let (key, until_then, of_caches) = match dropped {
        Dropped::Signing => (
            "the old key",
            "they sign and verify with the old key",
            "they still accept tokens signed with the old key, and may reject those signed with the new one",
        ),
        Dropped::Retired => {
            ("the key", "they accept tokens signed with it", "they still accept tokens signed with it")
        }
    };
    format!(
        "\nWhat this breaks:\n\
         - Servers that see this folder take it over {taken_over}; until then {until_then}.\n\
         - Then every token that {key} signed is refused here, refresh tokens too: clients fetch new ones.\n\
         - Services that verify offline may hold the old set for up to {max_age} s more: until they fetch again {of_caches}.\n"
    )
}
