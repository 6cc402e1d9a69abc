//! The examples of draft-ietf-oauth-status-list-21: lists (sections 4 and appendix C), a signed list (section 5.1), and
//! what points to one (section 6.2).

use std::{collections::BTreeMap, io::Write};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::ZlibEncoder};
use jeton_jose::{JwsError, PublicKeys, TokenKind};
use jeton_verify::status::{STATUS_LIST, StatusList, StatusReference};
use serde_json::{Value, json};

/// Section 5.1. The key is the one with which the draft's own tools sign.
const SIGNED: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEyIiwidHlwIjoic3RhdHVzbGlzdCtqd3QifQ.eyJleHAiOjIyOTE3MjAxNzAsImlhdCI6MTY4NjkyMDE3M",
    "CwiaXNzIjoiaHR0cHM6Ly9leGFtcGxlLmNvbSIsInN0YXR1c19saXN0Ijp7ImJpdHMiOjEsImxzdCI6ImVOcmJ1UmdBQWhjQlhRIn0sInN1YiI6I",
    "mh0dHBzOi8vZXhhbXBsZS5jb20vc3RhdHVzbGlzdHMvMSIsInR0bCI6NDMyMDB9.2lKUUNG503R9htu4aHAYi7vjmr3sgApbfoDvPrl65N3URUO1",
    "EYqqQl45Jfzd-Av4QzlKa3oVALpLwOEUOq-U_g",
);

fn keys() -> PublicKeys {
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "12",
        "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
        "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
    });
    PublicKeys::from_jwks(json!({ "keys": [key] }).to_string().as_bytes()).unwrap()
}

fn statuses(list: &StatusList) -> Vec<u8> {
    (0..list.len() as u64).map(|index| list.status(index).unwrap()).collect()
}

/// The member `lst` of these bytes.
fn lst(bytes: &[u8]) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(encoder.finish().unwrap())
}

#[test]
fn draft_4_1_and_4_2_each_status_stands_where_the_draft_has_it() {
    for (text, bits, bytes, expected) in [
        ("eNrbuRgAAhcBXQ", 1, &[0xb9, 0xa3][..], vec![1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
        ("eNo76fITAAPfAgc", 2, &[0xc9, 0x44, 0xf9], vec![1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
    ] {
        let list = StatusList::decode(text, bits).unwrap();
        assert_eq!(statuses(&list), expected, "{bits} bits");
        assert_eq!(list, StatusList::decode(&lst(bytes), bits).unwrap());
        assert_eq!(list.encode().unwrap(), text);
    }
}

#[test]
fn draft_c_each_list_of_a_million_has_the_statuses_that_the_draft_names() {
    let file: BTreeMap<u64, Value> = serde_json::from_str(include_str!("status_list.json")).unwrap();
    let mut named = 0;
    for (bits, example) in &file {
        let text = example["lst"].as_str().unwrap();
        let list = StatusList::decode(text, *bits).unwrap();
        assert_eq!((u64::from(list.bits()), list.len()), (*bits, 1 << 20));
        let expected: BTreeMap<u64, u8> = serde_json::from_value(example["statuses"].clone()).unwrap();
        for index in 0..1 << 20 {
            let status = expected.get(&index).copied().unwrap_or(0);
            assert_eq!(list.status(index), Some(status), "{index} of {bits} bits");
        }
        assert_eq!(list.status(1 << 20), None);
        assert_eq!(StatusList::decode(&list.encode().unwrap(), *bits).unwrap(), list);
        named += expected.len();
    }
    assert_eq!((file.len(), named), (4, 293));
}

#[test]
fn draft_4_1_the_first_status_of_a_byte_is_in_its_lowest_bits() {
    for byte in 0..=u8::MAX {
        let text = lst(&[byte, !byte]);
        for bits in [1_u64, 2, 4, 8] {
            let expected: Vec<_> = [byte, !byte]
                .iter()
                .flat_map(|byte| {
                    (0..8 / bits).map(move |at| (u32::from(*byte) >> (at * bits)) & ((1 << bits) - 1))
                })
                .collect();
            let list = StatusList::decode(&text, bits).unwrap();
            assert!(statuses(&list).into_iter().map(u32::from).eq(expected), "{byte:08b} of {bits} bits");
        }
    }
}

#[test]
fn draft_5_1_the_signed_list_is_taken_and_read() {
    let opened = keys().open_long(SIGNED, STATUS_LIST).unwrap();
    let claims = opened.claims();
    assert_eq!(
        Value::Object(claims.clone()),
        json!({
            "exp": 2_291_720_170_u32,
            "iat": 1_686_920_170,
            "iss": "https://example.com",
            "status_list": { "bits": 1, "lst": "eNrbuRgAAhcBXQ" },
            "sub": "https://example.com/statuslists/1",
            "ttl": 43200,
        })
    );
    let list = StatusList::decode(claims["status_list"]["lst"].as_str().unwrap(), 1).unwrap();
    assert_eq!((list.len(), list.status(0), list.status(1)), (16, Some(1), Some(0)));
    // it is no token of another kind, and nothing of it can be changed
    let kind = TokenKind { name: "an access token", types: &["at+jwt"] };
    assert_eq!(keys().open_long(SIGNED, kind).map(drop), Err(JwsError::Type("an access token")));
    for at in 0..SIGNED.len() {
        let mut bytes = SIGNED.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(keys().open_long(&changed, STATUS_LIST).is_err(), "{at}: {changed}");
    }
}

#[test]
fn draft_6_2_a_token_points_to_its_status() {
    let claim = json!({ "status_list": { "idx": 0, "uri": "https://example.com/statuslists/1" } });
    let reference = StatusReference::read(&claim).unwrap();
    assert_eq!((reference.index, &*reference.uri), (0, "https://example.com/statuslists/1"));
    assert_eq!(json!(reference), claim);
}
