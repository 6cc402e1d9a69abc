//! The memory of used proofs in its full size.

use allocation_counter::measure;
use jeton_oauth::Thumbprint;
use jeton_verify::{NotNoted, SeenProofs, UsedProof};

use crate::support::now;

const MIB: u64 = 1024 * 1024;

fn note(seen: &SeenProofs, number: usize, good_until: i64, now: i64) -> Result<(), NotNoted> {
    let mut key = [0; 32];
    key[0] = u8::try_from(number % 200).unwrap();
    let (key, jti) = (Thumbprint::new(key), format!("5e0bb9c4-b8a6-4b0b-8c39-{number:012}"));
    seen.note(&UsedProof { namespace: "https://orders.example.com", key, jti: &jti, good_until }, now)
}

#[test]
fn a_million_proofs_take_less_than_64_mib() {
    let mut seen = None;
    let empty = measure(|| seen = Some(SeenProofs::new(SeenProofs::USUAL)));
    assert!(empty.bytes_max < MIB / 16, "{empty:?}: nothing is taken before the first proof");
    let seen = seen.unwrap();
    let mut noted = 0;
    let full = measure(|| {
        noted =
            (0..SeenProofs::USUAL).filter(|number| note(&seen, *number, now() + 60, now()).is_ok()).count();
    });
    assert_eq!(noted, 1_000_000);
    assert!(full.bytes_max < 64 * MIB, "{full:?}: also while it grows");
    assert!(full.bytes_max > 24 * MIB, "{full:?}: it holds them");
    assert_eq!(note(&seen, 5, now() + 60, now()), Err(NotNoted::Seen));
    // one more is refused, whatever its key, and so are those that follow
    for number in 1_000_000..1_000_400 {
        assert_eq!(note(&seen, number, now() + 60, now()), Err(NotNoted::Full));
    }
    // when they ended, the room is free
    assert_eq!(note(&seen, 1_000_000, now() + 121, now() + 61), Ok(()));
}
