//! The bits of one list.

use std::io::{self, Read, Write};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};

use super::reference::{EPOCH, MINUTE, first_index_after};

/// Which tokens of a client are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedTokens {
    /// None.
    Nothing,
    /// Those from before this time, in seconds since 1970.
    Before(i64),
    /// All: the client is disabled.
    Everything,
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidList {
    /// `bits` is not 1, 2, 4 or 8.
    #[error("`bits` is {0}, not 1, 2, 4 or 8")]
    Bits(u64),
    /// `lst` is not base64url in its canonical form.
    #[error("`lst` is not base64url without padding")]
    NotBase64Url,
    /// What `lst` holds is not one whole zlib stream.
    #[error("`lst` is not in the zlib format: {0}")]
    NotZlib(io::Error),
    /// Something stands behind the zlib stream.
    #[error("`lst` continues after the end of its zlib stream")]
    Trailing,
    /// It would need too much memory.
    #[error("the list is longer than {} MiB", StatusList::LONGEST / 1024 / 1024)]
    TooLong,
}

/// The status of many tokens, one or more bits for each (draft-ietf-oauth-status-list section 4.1).
///
/// Equal bytes at either end are only counted: a list of ours, all ones and then all zeros, takes a few bytes
/// of memory however long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList {
    bits: Bits,
    head: StatusRun,
    middle: Box<[u8]>,
    tail: StatusRun,
}

/// How many bits each status has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    One = 1,
    Two = 2,
    Four = 4,
    Eight = 8,
}

/// The same byte many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusRun {
    byte: u8,
    count: usize,
}

impl StatusList {
    /// The longest list that is read, in bytes without compression: 16 MiB, near three centuries of minutes.
    pub const LONGEST: usize = 16 * 1024 * 1024;
    /// Bits of one day.
    const DAY: u64 = 24 * 60;

    /// The list of a client with one bit for each minute since 2026, up to the end of the day (UTC) in which
    /// `until` lies (seconds since 1970).
    pub fn of(revocation: EndedTokens, until: i64) -> Self {
        let minutes = u64::try_from(until.saturating_sub(EPOCH).div_euclid(MINUTE)).unwrap_or(0);
        let length = (minutes / Self::DAY + 1).saturating_mul(Self::DAY / 8);
        let length = usize::try_from(length).unwrap_or(Self::LONGEST).min(Self::LONGEST);
        let invalid = match revocation {
            EndedTokens::Nothing => 0,
            EndedTokens::Before(time) => first_index_after(time),
            EndedTokens::Everything => u64::MAX,
        };
        let ones = usize::try_from(invalid / 8).unwrap_or(length).min(length);
        let mut bytes = vec![0xff; ones];
        bytes.resize(length, 0);
        if let Some(byte) = bytes.get_mut(ones) {
            // bit 0 is the least significant one
            *byte = (1 << (invalid % 8)) - 1;
        }
        Self::from_bytes(Bits::One, &bytes)
    }

    fn from_bytes(bits: Bits, bytes: &[u8]) -> Self {
        let run = |byte: Option<&u8>, count| StatusRun { byte: byte.copied().unwrap_or(0), count };
        let equal = bytes.iter().take_while(|byte| Some(*byte) == bytes.first()).count();
        let (head, rest) = bytes.split_at_checked(equal).unwrap_or((bytes, &[]));
        let equal = rest.iter().rev().take_while(|byte| Some(*byte) == rest.last()).count();
        let (middle, tail) = rest.split_at_checked(rest.len() - equal).unwrap_or((rest, &[]));
        Self {
            bits,
            head: run(head.first(), head.len()),
            middle: middle.into(),
            tail: run(tail.first(), tail.len()),
        }
    }

    /// How many bits each status has.
    pub fn bits(&self) -> u8 {
        self.bits as u8
    }

    /// How many statuses it holds.
    pub fn len(&self) -> usize {
        (self.head.count + self.middle.len() + self.tail.count) * 8 / (self.bits as usize)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The status at this place: 0 is VALID, 1 INVALID, 2 SUSPENDED (section 7.1); `None` behind the end.
    pub fn status(&self, index: u64) -> Option<u8> {
        let bits = self.bits as usize;
        let index = usize::try_from(index).ok()?;
        let per_byte = 8 / bits;
        let shift = index % per_byte * bits;
        let mask = u8::MAX >> (8 - bits);
        Some((self.byte(index / per_byte)? >> shift) & mask)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let Some(at) = at.checked_sub(self.head.count) else { return Some(self.head.byte) };
        let Some(behind) = at.checked_sub(self.middle.len()) else { return self.middle.get(at).copied() };
        (behind < self.tail.count).then_some(self.tail.byte)
    }

    /// The member `lst`: base64url of the bytes in the zlib format (RFC 1950).
    ///
    /// # Errors
    /// None that can happen in memory.
    pub fn encode(&self) -> io::Result<String> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![self.head.byte; self.head.count])?;
        encoder.write_all(&self.middle)?;
        encoder.write_all(&vec![self.tail.byte; self.tail.count])?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(encoder.finish()?))
    }

    /// Reads the members `lst` and `bits` of anybody's list.
    ///
    /// # Errors
    /// [`InvalidList`] with the first thing that is wrong.
    pub fn decode(lst: &str, bits: u64) -> Result<Self, InvalidList> {
        let bits = match bits {
            1 => Bits::One,
            2 => Bits::Two,
            4 => Bits::Four,
            8 => Bits::Eight,
            other => return Err(InvalidList::Bits(other)),
        };
        let compressed = BASE64_URL_SAFE_NO_PAD.decode(lst).map_err(|_| InvalidList::NotBase64Url)?;
        let mut decoder = ZlibDecoder::new(compressed.as_slice());
        let mut bytes = Vec::new();
        // a few bytes may hold gigabytes
        let bound = Self::LONGEST as u64 + 1;
        decoder.by_ref().take(bound).read_to_end(&mut bytes).map_err(InvalidList::NotZlib)?;
        if bytes.len() > Self::LONGEST {
            return Err(InvalidList::TooLong);
        }
        if !decoder.into_inner().is_empty() {
            return Err(InvalidList::Trailing);
        }
        Ok(Self::from_bytes(bits, &bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of draft-ietf-oauth-status-list section 4.1 and 4.2.
    const ONE_BIT: (&str, [u8; 2]) = ("eNrbuRgAAhcBXQ", [0xb9, 0xa3]);
    const TWO_BITS: (&str, [u8; 3]) = ("eNo76fITAAPfAgc", [0xc9, 0x44, 0xf9]);

    fn statuses(list: &StatusList) -> Vec<u8> {
        (0..list.len() as u64).map(|index| list.status(index).unwrap()).collect()
    }

    fn lst(bytes: &[u8]) -> String {
        StatusList::from_bytes(Bits::Eight, bytes).encode().unwrap()
    }

    #[test]
    fn draft_4_1_the_example_of_one_bit() {
        let list = StatusList::decode(ONE_BIT.0, 1).unwrap();
        assert_eq!(statuses(&list), [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
        assert_eq!(list, StatusList::from_bytes(Bits::One, &ONE_BIT.1));
        assert_eq!(list.encode().unwrap(), ONE_BIT.0);
    }

    #[test]
    fn draft_4_1_the_example_of_two_bits() {
        let list = StatusList::decode(TWO_BITS.0, 2).unwrap();
        assert_eq!(statuses(&list), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
        assert_eq!(StatusList::from_bytes(Bits::Two, &TWO_BITS.1).encode().unwrap(), TWO_BITS.0);
    }

    #[test]
    fn four_and_eight_bits_are_read() {
        let text = lst(&[0x21, 0xf0]);
        assert_eq!(statuses(&StatusList::decode(&text, 4).unwrap()), [1, 2, 0, 15]);
        assert_eq!(statuses(&StatusList::decode(&text, 8).unwrap()), [0x21, 0xf0]);
    }

    #[test]
    fn draft_8_3_nothing_stands_behind_the_end() {
        let list = StatusList::decode(ONE_BIT.0, 1).unwrap();
        assert_eq!((list.status(15), list.status(16), list.status(u64::MAX)), (Some(1), None, None));
        let none = StatusList::decode(&lst(&[]), 1).unwrap();
        assert!(none.is_empty() && none.status(0).is_none());
    }

    #[test]
    fn equal_ends_are_counted_and_read_back() {
        for bytes in [
            vec![],
            vec![7],
            vec![7; 9],
            vec![1, 2],
            vec![1, 1, 2, 2],
            vec![1, 1, 3, 2, 2],
            vec![1, 2, 1],
            vec![1, 1, 2, 3, 1, 1],
        ] {
            let list = StatusList::decode(&lst(&bytes), 8).unwrap();
            assert_eq!(statuses(&list), bytes);
            assert_eq!(list.status(bytes.len() as u64), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_list_of_ours_takes_little_memory_and_few_bytes() {
        let century = EPOCH + 100 * 366 * 86_400;
        let list = StatusList::of(EndedTokens::Before(century / 2), century);
        assert!(list.middle.len() <= 1, "{} bytes", list.middle.len());
        let decade = StatusList::of(EndedTokens::Before(EPOCH + 1_000_000), EPOCH + 10 * 366 * 86_400);
        let text = decade.encode().unwrap();
        assert!(text.len() < 1500, "{} bytes", text.len());
        assert_eq!(StatusList::decode(&text, 1).unwrap(), decade);
    }

    #[test]
    fn the_bits_before_the_revocation_are_set() {
        for (revocation, ones) in [
            (EndedTokens::Nothing, 0),
            (EndedTokens::Before(0), 0),
            (EndedTokens::Before(EPOCH), 0),
            (EndedTokens::Before(EPOCH + 1), 1),
            (EndedTokens::Before(EPOCH + 60), 1),
            (EndedTokens::Before(EPOCH + 7 * 60), 7),
            (EndedTokens::Before(EPOCH + 8 * 60), 8),
            (EndedTokens::Before(EPOCH + 8 * 60 + 1), 9),
            (EndedTokens::Before(EPOCH + 86_400), 1440),
            (EndedTokens::Before(i64::MAX), 1440),
            (EndedTokens::Everything, 1440),
        ] {
            for until in [EPOCH - 1, EPOCH, EPOCH + 86_399] {
                let list = StatusList::of(revocation, until);
                assert_eq!(list.len(), 1440, "whole days");
                let expected: Vec<_> = (0..1440).map(|index| u8::from(index < ones)).collect();
                assert_eq!(statuses(&list), expected, "{revocation:?}");
            }
        }
        assert_eq!(StatusList::of(EndedTokens::Nothing, EPOCH + 86_400).len(), 2880);
        assert_eq!(StatusList::of(EndedTokens::Nothing, i64::MAX).len(), StatusList::LONGEST * 8);
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let bomb = lst(&vec![0; StatusList::LONGEST + 1]);
        assert!(bomb.len() < 32 * 1024, "{} bytes", bomb.len());
        assert!(matches!(StatusList::decode(&bomb, 1), Err(InvalidList::TooLong)));
        assert!(StatusList::decode(&lst(&vec![0; StatusList::LONGEST]), 1).is_ok());
    }

    #[test]
    fn garbage_is_refused() {
        let whole = BASE64_URL_SAFE_NO_PAD.decode(ONE_BIT.0).unwrap();
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut wrong_sum = whole.clone();
        *wrong_sum.last_mut().unwrap() ^= 1;
        for (name, text) in [
            ("nothing", String::new()),
            ("padding", format!("{}==", ONE_BIT.0)),
            ("another alphabet", "eNrb+/8".to_owned()),
            ("unused bits", "eNrbuRgAAhcBXR".to_owned()),
            ("no zlib", encoded(b"not compressed")),
            ("cut off", encoded(&whole[..whole.len() - 1])),
            ("without its sum", encoded(&whole[..whole.len() - 4])),
            ("a wrong sum", encoded(&wrong_sum)),
            ("something behind", encoded(&[whole.as_slice(), b"x"].concat())),
            ("two streams", encoded(&[whole.as_slice(), whole.as_slice()].concat())),
        ] {
            assert!(StatusList::decode(&text, 1).is_err(), "{name}");
        }
        for bits in [0, 3, 5, 16, u64::MAX] {
            assert!(matches!(StatusList::decode(ONE_BIT.0, bits), Err(InvalidList::Bits(_))), "{bits}");
        }
    }
}
