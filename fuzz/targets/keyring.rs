//! `keyring.yaml`: read, written again, and what each key does at each time.
//!
//! Input: the text of the file.
#![no_main]

use std::collections::BTreeSet;

use jeton::keys::{InvalidKeyring, KeyEntry, KeyState, Keyring};
use jeton_oauth::text::is_unseen;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

const RETENTION: SignedDuration = SignedDuration::from_hours(2);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Keyring::parse(text) {
        Err(faults) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| a_fault_stands_in_the_file(fault, text));
        }
        Ok(ring) => {
            each_value_stands_in_the_file(&ring, text);
            let written = Keyring::render(ring.entries());
            assert_eq!(Keyring::parse(&written).expect("it is a ring"), ring, "{written}");
            assert_eq!(Keyring::new(backwards(&ring)).expect("it is a ring"), ring, "the order says nothing");
            for now in moments(&ring) {
                one_key_signs(&ring, now);
            }
        }
    }
});

fn a_fault_stands_in_the_file(fault: &InvalidKeyring, text: &str) {
    let told = fault.to_string();
    assert!(!told.chars().any(is_unseen), "{told:?}");
    if let InvalidKeyring::Fault { line, column, message } = fault {
        let lines = text.split(['\n', '\r']).count() as u64;
        assert!(*line >= 1 && *line <= lines && *column >= 1, "{told} has {lines} lines");
        assert!(!message.is_empty());
    }
}

/// Nothing of the plain part of YAML makes a kid or a time of something that is not written there.
fn each_value_stands_in_the_file(ring: &Keyring, text: &str) {
    let kids: BTreeSet<_> = ring.entries().iter().map(|entry| entry.kid.as_str()).collect();
    assert_eq!(kids.len(), ring.entries().len(), "a key stands there twice");
    let is_escaped =
        text.contains(['\\', '\'', '>', '|', '\t']) || text.lines().count() != text.split('\n').count();
    for entry in ring.entries() {
        assert!(is_escaped || text.contains(entry.kid.as_str()), "{} is not in the file", entry.kid);
        for time in [Some(entry.activates), Some(entry.created), entry.retires].into_iter().flatten() {
            assert!(has_a_date(text, time), "{time} is not in the file");
        }
        assert!(entry.retires.is_none_or(|retires| retires >= entry.activates));
    }
    assert!(ring.entries().is_sorted_by_key(|entry| entry.activates));
    assert_eq!(ring.entries().last().and_then(|entry| entry.retires), None, "somebody signs last");
}

/// Whether a text has the year of a time, as RFC 3339 writes it: by an offset it may be one more or less.
fn has_a_date(text: &str, time: Timestamp) -> bool {
    let written = time.to_string();
    let Ok(year) = written.get(..4).unwrap_or_default().parse::<i32>() else { return true };
    text.contains('\\') || (year - 1..=year + 1).any(|year| text.contains(&format!("{year:04}-")))
}

fn backwards(ring: &Keyring) -> Vec<KeyEntry> {
    ring.entries().iter().rev().cloned().collect()
}

/// The times at which something may change, and those around them.
fn moments(ring: &Keyring) -> Vec<Timestamp> {
    let of =
        |entry: &KeyEntry| [Some(entry.activates), entry.retires].into_iter().flatten().collect::<Vec<_>>();
    let changes: BTreeSet<_> = ring.entries().iter().take(4).flat_map(of).collect();
    let seconds = [-1, 0, 1, 7199, 7200];
    let around = |at: Timestamp| seconds.map(|by| at.checked_add(SignedDuration::from_secs(by)));
    changes.into_iter().flat_map(around).flatten().collect()
}

/// What the states of a ring are at a time, by a reader that looks at all entries for each.
fn one_key_signs(ring: &Keyring, now: Timestamp) {
    let entries = ring.entries();
    let has_come = |entry: &KeyEntry| entry.activates <= now;
    let is_over = |entry: &KeyEntry| entry.retires.is_some_and(|retires| retires <= now);
    let mut signs = None;
    for (place, entry) in entries.iter().enumerate() {
        if has_come(entry) && !is_over(entry) {
            signs = Some(place);
        }
    }
    let first_to_come = entries.iter().position(|entry| !has_come(entry));
    let signs = signs.or(first_to_come).unwrap_or(entries.len() - 1);
    let states = ring.at(now, RETENTION);
    assert_eq!(states.len(), entries.len());
    for (place, (entry, state)) in states.iter().enumerate() {
        let ends = entry.retires.or_else(|| Some(entries.get(place + 1)?.activates));
        let until = ends.map(|ends| ends.checked_add(RETENTION).unwrap_or(Timestamp::MAX));
        let expected = match (ends, until) {
            (ends, _) if place == signs => KeyState::Active { until: ends },
            (Some(since), Some(until)) if has_come(entry) && now < until => {
                KeyState::Retired { since, until }
            }
            (Some(_), Some(since)) if has_come(entry) => KeyState::Expired { since },
            _ => KeyState::Next { from: entry.activates },
        };
        assert_eq!(*state, expected, "{entry:?} at {now}");
        // whatever signed within the retention can still be verified
        let signed = has_come(entry) && ends.is_none_or(|ends| ends > now);
        assert!(!signed || state.is_published());
    }
    if let Some(change) = ring.next_change(now, RETENTION) {
        assert!(change > now);
        let before = change.checked_sub(SignedDuration::from_nanos(1)).expect("it is later than another");
        let names = |at| ring.at(at, RETENTION).iter().map(|(_, state)| state.name()).collect::<Vec<_>>();
        assert_eq!(names(before), names(now), "nothing changes before {change}");
    }
}
