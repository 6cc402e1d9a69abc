//! A status list that somebody sent: the signed token, the packed bits, and the bits of a revocation.
//!
//! Input: a byte for the bits of a status, and the bytes of a list, packed or not. Or two lines, a header and a payload,
//! which the target signs: no mutation makes a signature that holds.
#![no_main]

use std::{io::Read, sync::LazyLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::read::ZlibDecoder;
use jeton_jose::{PublicKeys, strict_object};
use jeton_verify::status::{EndedTokens, StatusList, StatusListTerms, StatusListToken, index_of};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const URI: &str = "https://tokens.example.com/status/x";
const KID: &str = "fuzz";
const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const TERMS: StatusListTerms<'_> = StatusListTerms { uri: URI, now: NOW, leeway: LEEWAY };
/// 2026-01-01, the start of the minute of bit 0.
const EPOCH: i64 = 1_767_225_600;
const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x }] });
    PublicKeys::from_jwks(set.to_string().as_bytes()).expect("the key is sound")
});

fuzz_target!(|data: &[u8]| {
    if let Some((header, payload)) = lines(data) {
        return a_signed_list_is_taken_if_all_of_it_is_right(header, payload);
    }
    // nobody signed it
    assert!(StatusListToken::open(data, &KEYS, &TERMS).is_err());
    let Some((bits, bytes)) = data.split_first() else { return };
    let bits = u64::from(*bits % 16);
    a_packed_list_is_whole_and_short(bytes, bits);
    a_plain_list_reads_back(bytes, bits);
    the_bits_before_a_revocation_are_set(bytes);
});

/// A header and a payload.
fn lines(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n').filter(|(header, _)| header.starts_with('{'))
}

fn a_packed_list_is_whole_and_short(packed: &[u8], bits: u64) {
    let Ok(list) = StatusList::decode(&BASE64_URL_SAFE_NO_PAD.encode(packed), bits) else { return };
    assert!([1, 2, 4, 8].contains(&bits));
    let mut bytes = Vec::new();
    let mut unpacking = ZlibDecoder::new(packed);
    unpacking.by_ref().take(StatusList::LONGEST as u64 + 1).read_to_end(&mut bytes).expect("it was unpacked");
    assert!(bytes.len() <= StatusList::LONGEST, "a bomb");
    assert_eq!(unpacking.total_in(), packed.len() as u64, "something stands behind it");
    is_the_list(&list, &bytes, bits);
}

fn a_plain_list_reads_back(bytes: &[u8], bits: u64) {
    let read = StatusList::decode(&packed(bytes), bits);
    match read {
        Ok(list) => is_the_list(&list, bytes, bits),
        Err(error) => assert!(![1, 2, 4, 8].contains(&bits), "{error}"),
    }
}

/// In the zlib format without any packing (RFC 1951 section 3.2.4): what the list packs by itself is read too.
fn packed(bytes: &[u8]) -> String {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    if bytes.is_empty() {
        stream.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("it is short").to_le_bytes();
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length);
        stream.extend(length.map(|byte| !byte));
        stream.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(stream)
}

/// Each status is that of a reader who looks at one bit after the other, the least significant first.
fn is_the_list(list: &StatusList, bytes: &[u8], bits: u64) {
    let width = usize::try_from(bits).expect("it is small");
    let length = bytes.len() * 8 / width;
    assert_eq!((list.len(), list.is_empty(), u64::from(list.bits())), (length, length == 0, bits));
    let status = |index: usize| {
        let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1;
        (0..width).map(|at| bit(index * width + at) << at).sum::<u8>()
    };
    // all of a short one, and the ends of a long one
    let places = (0..length.min(256)).chain(length.saturating_sub(256).max(256)..length);
    for index in places {
        assert_eq!(list.status(index as u64), Some(status(index)), "at {index}");
    }
    for behind in [length as u64, length as u64 + 1, u64::from(u32::MAX) * 8, u64::MAX] {
        assert_eq!(list.status(behind), None, "behind the end");
    }
    if bytes.len() <= 1024 {
        let again =
            StatusList::decode(&list.encode().expect("in memory"), bits).expect("it was written by us");
        assert_eq!(again, *list);
    }
}

/// A token is ended by a bit if and only if it was issued before the revocation.
fn the_bits_before_a_revocation_are_set(bytes: &[u8]) {
    let Some((seconds, rest)) = bytes.split_first_chunk::<4>() else { return };
    let Some((issued, rest)) = rest.split_first_chunk::<4>() else { return };
    if !rest.is_empty() {
        return;
    }
    let within = |four: &[u8; 4]| EPOCH + i64::from(u32::from_le_bytes(*four) % (400 * 86_400));
    let (revoked, issued) = (within(seconds), within(issued));
    let until = issued.max(revoked);
    let status = |ended: EndedTokens, index: u64| StatusList::of(ended, until).status(index);
    // a token of before the revocation, which knew of none, and one of at or after it, which does
    let index = index_of(issued, (issued >= revoked).then_some(revoked));
    if issued < revoked {
        assert_eq!(status(EndedTokens::Before(revoked), index), Some(1), "{issued} is before {revoked}");
    } else {
        let status = status(EndedTokens::Before(revoked), index);
        assert!(status.is_none_or(|status| status == 0), "{issued} is not before {revoked}");
    }
    let last = index_of(issued, None);
    assert_eq!(
        (status(EndedTokens::Everything, last), status(EndedTokens::Nothing, last)),
        (Some(1), Some(0))
    );
}

fn a_signed_list_is_taken_if_all_of_it_is_right(header: &str, payload: &str) {
    let signed = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes())));
    let opened = StatusListToken::open(token.as_bytes(), &KEYS, &TERMS);
    let header = strict_object(header.as_bytes()).ok().filter(is_right);
    let expected = header.and(strict_object(payload.as_bytes()).ok()).and_then(|claims| list_of(&claims));
    match (opened, expected) {
        (Ok(opened), Some((list, ttl))) => {
            assert_eq!((&opened.list, opened.ttl), (&list, ttl));
            assert!(!opened.has_ended(NOW, LEEWAY) && opened.issued_at <= NOW + LEEWAY);
            assert!(opened.has_ended(opened.expires_at + LEEWAY, LEEWAY));
            let elsewhere = StatusListTerms { uri: "https://tokens.example.com/status/y", ..TERMS };
            assert!(
                StatusListToken::open(token.as_bytes(), &KEYS, &elsewhere).is_err(),
                "it is of another client"
            );
        }
        (Ok(_), None) => panic!("taken, though the header or the payload is wrong"),
        (Err(error), Some(_)) => panic!("refused, though all of it is right: {error}"),
        (Err(_), None) => {}
    }
}

/// What the header of a status list must be.
fn is_right(header: &Map<String, Value>) -> bool {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = text("typ").unwrap_or_default().to_ascii_lowercase();
    !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && text("alg") == Some("EdDSA")
        && text("kid") == Some(KID)
        && typ.strip_prefix("application/").unwrap_or(&typ) == "statuslist+jwt"
}

/// The list of claims that are right, and for how long it is kept.
fn list_of(claims: &Map<String, Value>) -> Option<(StatusList, i64)> {
    let number = |name: &str| claims.get(name).map(|value| value.as_i64().filter(|number| *number >= 0));
    let (issued, expires) = (number("iat")??, number("exp")??);
    let ttl = number("ttl").unwrap_or(Some(300))?;
    let is_right = claims.get("sub") == Some(&json!(URI))
        && issued <= NOW + LEEWAY
        && expires.saturating_add(LEEWAY) > NOW
        && ttl > 0;
    let list = claims.get("status_list")?;
    let list = StatusList::decode(list.get("lst")?.as_str()?, list.get("bits")?.as_u64()?).ok()?;
    is_right.then_some((list, ttl.min(86_400)))
}
