//! Client secrets: the text that a client sends, and the hash that policies keep.

use std::fmt;

use jeton_oauth::NoRandomness;
use jiff::Timestamp;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A secret in clear. Has no `Debug`, and is wiped from memory when dropped.
pub struct ClientSecret(Zeroizing<String>);

/// What every secret of ours starts with, so that secret scanners find it.
const PREFIX: &str = "jeton_";
/// The digits of a secret: base62, as it survives double-clicks, URLs and shells.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits for 256 random bits: 43 x log2(62) = 256.03.
const RANDOM_DIGITS: usize = 43;
/// Digits for the 32 bits of the checksum.
const CHECKSUM_DIGITS: usize = 6;

impl ClientSecret {
    /// The secret that a client sent.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Makes a secret: `jeton_`, 256 random bits in 43 base62 digits, and the first 32 bits of the
    /// SHA-256 of all that in 6 more, by which a scanner tells a real secret from a look-alike.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        let random = SystemRandom::new();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + RANDOM_DIGITS + CHECKSUM_DIGITS));
        text.push_str(PREFIX);
        while text.len() < PREFIX.len() + RANDOM_DIGITS {
            let mut bytes = Zeroizing::new([0_u8; 64]);
            random.fill(bytes.as_mut()).map_err(|_| NoRandomness)?;
            // 6 bits each, those over 61 thrown away: every digit is as likely as every other
            let digits = bytes.iter().filter_map(|byte| DIGITS.get(usize::from(byte & 63)));
            let missing = PREFIX.len() + RANDOM_DIGITS - text.len();
            text.extend(digits.take(missing).map(|digit| char::from(*digit)));
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok(Self(text))
    }

    /// Whether this is a secret of ours, which somebody put where something else belongs.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(PREFIX) && text.len() >= PREFIX.len() + RANDOM_DIGITS
    }

    /// Whether it ends in a line break.
    pub fn ends_in_a_line_break(&self) -> bool {
        self.0.ends_with(['\n', '\r'])
    }

    /// Whether it holds a space.
    pub fn holds_a_space(&self) -> bool {
        self.0.contains(' ')
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        SecretHash(bytes)
    }
}

fn checksum(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let mut number =
        hash.as_ref().iter().take(4).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let mut digits = Vec::new();
    for _ in 0..CHECKSUM_DIGITS {
        digits.extend(DIGITS.get(number % DIGITS.len()).map(|digit| char::from(*digit)));
        number /= DIGITS.len();
    }
    digits.into_iter().rev().collect()
}

/// What 64 hexadecimal digits say.
pub(super) fn hex_bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        let digits = hex.get(position * 2..position * 2 + 2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// The SHA-256 of a secret's bytes. The secrets are random and long, so nothing slower is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        hex_bytes(hex).map(Self)
    }

    /// Its first 8 hexadecimal digits: enough to find the secret in the files, and too few to guess it by.
    pub fn beginning(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// Its digits, 16 of them from each eighth on.
    pub(crate) fn parts(&self) -> impl Iterator<Item = u64> {
        self.0
            .windows(8)
            .step_by(4)
            .map(|bytes| bytes.iter().fold(0, |part, byte| part << 8 | u64::from(*byte)))
    }

    /// Compares in a time that does not depend on the bytes. There are many comparisons for each request, and byte by
    /// byte each takes eight times as long.
    pub fn matches(&self, other: &Self) -> Choice {
        let (own, others) = (self.0.as_chunks::<16>().0, other.0.as_chunks::<16>().0);
        own.iter().zip(others).fold(Choice::from(1), |same, (own, other)| {
            same & u128::from_ne_bytes(*own).ct_eq(&u128::from_ne_bytes(*other))
        })
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret of a client as the policies keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The hash of the secret.
    pub sha256: SecretHash,
    /// When the secret expires.
    pub expires: Option<Timestamp>,
}

impl StoredSecret {
    /// Whether the secret is valid at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        // the same step whether it expires or not
        now < self.expires.unwrap_or(Timestamp::MAX)
    }
}

/// The hashes of the secrets that stand in README.md for the first run. A server that others can reach
/// does not start with them.
pub const DEMO_SECRETS: [&str; 4] = [
    "f7384ffbe16b396eb1c3a70d0b57858bf57fb3b7a5fd0a362f21626b19fe7e68",
    "5952833c97fec2dce2026ccdb309edd2fafeb790ed8f88a88f812f4eaa02c762",
    "2a29c5b98cffb3e1c58d7e8c1e030a06b4252d8896aefe54281c683f74eed8d6",
    "12dbc85562da342b0696738c87f9018ef76488de8d89221c2352d7a7d1ff5f70",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a secret scanner would take this for a secret of ours.
    fn is_well_formed(text: &str) -> bool {
        text.len() == PREFIX.len() + RANDOM_DIGITS + CHECKSUM_DIGITS
            && text.starts_with(PREFIX)
            && text
                .split_at_checked(PREFIX.len() + RANDOM_DIGITS)
                .is_some_and(|(body, sum)| checksum(body) == sum)
    }

    #[test]
    fn a_new_secret_has_prefix_length_and_checksum() {
        let secret = ClientSecret::generate().unwrap();
        assert!(secret.reveal().starts_with("jeton_"));
        assert_eq!(secret.reveal().len(), 55);
        assert!(is_well_formed(secret.reveal()));
        assert_ne!(secret.reveal(), ClientSecret::generate().unwrap().reveal());
    }

    #[test]
    fn one_changed_digit_breaks_the_checksum() {
        let secret = ClientSecret::generate().unwrap().reveal().to_owned();
        for position in PREFIX.len()..secret.len() {
            let mut changed = secret.clone().into_bytes();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            assert!(!is_well_formed(&String::from_utf8(changed).unwrap()));
        }
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let hash = ClientSecret::new("secret".to_owned()).hash();
        assert_eq!(hash.to_string(), "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
        assert_eq!(hash.beginning(), "2bb80d53");
        assert_eq!(SecretHash::parse(&hash.to_string().to_uppercase()), Some(hash));
        for bad in ["", "2b", &"+b".repeat(32), &"zz".repeat(32), &"ab".repeat(33)] {
            assert_eq!(SecretHash::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_changed_bit_anywhere_is_another_hash() {
        let hash = ClientSecret::new("secret".to_owned()).hash();
        assert!(bool::from(hash.matches(&hash)));
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(hash.matches(&other)) && !bool::from(other.matches(&hash)), "{bit}");
        }
    }
}
