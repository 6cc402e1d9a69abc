//! The words of the RFCs as requests and tokens hold them: names, scopes, the issuer, times, and what a form encodes.
//!
//! Input: the text.
#![no_main]

use std::collections::BTreeSet;

use jeton_oauth::{
    ApiName, Audience, ClientId, Issuer, IssuerName, KeyId, Role, Scope, ScopeSet, Thumbprint, TokenId,
    clock::parse_time, form,
};
use libfuzzer_sys::fuzz_target;

/// The longest name of any kind, in bytes.
const LONGEST: usize = 512;
/// The first and the last second that a time can be. What lies beyond is taken for them.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_207_200;
/// The first second of the year 10000, of which no calendar here knows.
const NO_YEAR: i64 = 253_402_300_800;

fuzz_target!(|data: &[u8]| {
    bytes_are_encoded_and_decoded(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    a_name_has_a_rule(text);
    scopes_are_a_set(text);
    a_time_is_that_of_rfc_3339(text);
    a_form_is_decoded_strictly(text);
    an_issuer_is_an_address(text);
    if let Ok(thumbprint) = text.parse::<Thumbprint>() {
        assert_eq!(thumbprint.to_string(), text, "a thumbprint has one spelling");
    }
});

/// `NQCHAR` (RFC 6749 appendix A).
fn is_nqchar(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\'
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

fn is_name(text: &str, is_allowed: fn(u8) -> bool) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn a_name_has_a_rule(text: &str) {
    let is_client = is_name(text, |byte| (0x20..=0x7e).contains(&byte));
    assert_eq!(ClientId::parse(text).is_ok(), is_client, "{text:?}");
    let (is_nqchars, is_word) = (is_name(text, is_nqchar), is_name(text, is_word));
    let nqchars = [
        Scope::parse(text).is_ok(),
        Role::parse(text).is_ok(),
        Audience::parse(text).is_ok(),
        TokenId::parse(text).is_ok(),
        KeyId::parse(text).is_ok(),
    ];
    assert_eq!(nqchars, [is_nqchars; 5], "{text:?}");
    assert_eq!([ApiName::parse(text).is_ok(), IssuerName::parse(text).is_ok()], [is_word; 2], "{text:?}");
}

/// A list is the set of its scopes, in whatever order and however often they stand there (RFC 6749 section 3.3).
fn scopes_are_a_set(text: &str) {
    let is_list = text.is_empty() || text.split(' ').all(|scope| is_name(scope, is_nqchar));
    let scopes = match ScopeSet::parse(text) {
        Ok(scopes) => scopes,
        Err(_) => return assert!(!is_list, "{text:?} is refused"),
    };
    assert!(is_list, "{text:?} is taken");
    let expected: BTreeSet<&str> = text.split(' ').filter(|scope| !scope.is_empty()).collect();
    assert!(scopes.iter().map(Scope::as_str).eq(expected.iter().copied()), "{text:?}");
    assert_eq!(ScopeSet::parse(&scopes.to_string()).as_ref(), Ok(&scopes));
    assert!(scopes.is_subset(&scopes) && scopes.difference(&scopes).is_empty());
    assert!(expected.iter().all(|scope| scopes.contains(&Scope::parse(scope).expect("it was taken"))));
}

/// Every byte can be sent in a form, and comes out as it went in.
fn bytes_are_encoded_and_decoded(data: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789aBcDeF";
    let mut encoded = String::with_capacity(3 * data.len());
    for byte in data {
        let [high, low] = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
        encoded.extend(['%', high, low]);
    }
    assert_eq!(form::decode(&encoded).as_deref(), std::str::from_utf8(data).ok());
}

/// A naive reader, from left to right.
fn a_form_is_decoded_strictly(text: &str) {
    let mut expected = Some(Vec::new());
    let mut rest = text.as_bytes();
    while let ([first, behind @ ..], Some(bytes)) = (rest, &mut expected) {
        rest = behind;
        match (first, behind) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("it is one") as u8;
                bytes.push(16 * digit(high) + digit(low));
                rest = behind;
            }
            (b'%', _) => expected = None,
            (byte, _) => bytes.push(*byte),
        }
    }
    let expected = expected.and_then(|bytes| String::from_utf8(bytes).ok());
    assert_eq!(form::decode(text), expected, "{text:?}");
    let names = text.split('&').filter(|pair| !pair.is_empty());
    let names = names.filter_map(|pair| form::decode(pair.split('=').next().unwrap_or_default()));
    assert!(form::names(text).eq(names), "{text:?}");
}

fn a_time_is_that_of_rfc_3339(text: &str) {
    let read = parse_time(text);
    match (&read, time(text)) {
        (Ok(read), Some((second, nanosecond))) => {
            let expected = match second {
                LAST.. => (LAST, 0),
                ..FIRST => (FIRST, 0),
                second => (second, nanosecond),
            };
            assert!(
                parse_time(&read.to_string()).as_ref() == Ok(read),
                "{text:?} is written as it is not read"
            );
            assert_eq!(i128::from(expected.0) * 1_000_000_000 + i128::from(expected.1), read.as_nanosecond());
        }
        (Ok(read), None) => panic!("{text:?} is taken as {read}"),
        (Err(_), Some(_)) => panic!("{text:?} is refused"),
        (Err(error), None) => assert!(!error.hint().is_empty()),
    }
}

/// Seconds since 1970 and nanoseconds of a time, by days that are counted one year and one month after the other.
fn time(text: &str) -> Option<(i64, i64)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        Some(digits.iter().fold(0_i64, |number, digit| 10 * number + i64::from(digit - b'0')))
    };
    let has_marks = [(4, "-"), (7, "-"), (10, "Tt"), (13, ":"), (16, ":")];
    let is_mark =
        |(place, marks): (usize, &str)| bytes.get(place).is_some_and(|byte| marks.as_bytes().contains(byte));
    if !has_marks.into_iter().all(is_mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let mut rest = bytes.get(19..)?;
    let mut nanosecond = 0;
    if let Some(digits) = rest.strip_prefix(b".") {
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut worth = 100_000_000;
        for digit in &digits[..length] {
            nanosecond += i64::from(digit - b'0') * worth;
            worth /= 10;
        }
        rest = digits.get(length..).filter(|_| length > 0)?;
    }
    let offset = match rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let two = |tens: u8, ones: u8| {
                let are_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
                are_digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
            };
            let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let is_leap_year = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64, month: i64| match month {
        2 => 28 + i64::from(is_leap_year(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = (1..=12).contains(&month) && (1..=length(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // 719,528 days lie between the first of the year 0 and 1970
    let leap_days = if year == 0 { 0 } else { 1 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 };
    let days: i64 = year * 365 + leap_days - 719_528
        + (1..month).map(|month| length(year, month)).sum::<i64>()
        + (day - 1);
    let at = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    // a leap second is the one after the last of a month, which is the first of the next one
    let is_first_of_a_month = |at: i64| {
        at.rem_euclid(86_400) == 0 && {
            let (mut year, mut left) = (-1, at / 86_400 + 719_528 + 365);
            while left >= 365 + i64::from(is_leap_year(year)) {
                left -= 365 + i64::from(is_leap_year(year));
                year += 1;
            }
            let mut month = 1;
            while left > 0 {
                left -= length(year, month);
                month += 1;
            }
            left == 0
        }
    };
    (second < 60 || at >= NO_YEAR || is_first_of_a_month(at)).then_some((at, nanosecond))
}

fn an_issuer_is_an_address(text: &str) {
    match Issuer::parse(text) {
        Ok(issuer) => {
            assert_eq!(issuer.as_str(), text, "an issuer is compared byte by byte");
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let (host, path) =
                rest.map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len()))).expect("http");
            assert!(!host.is_empty() && !host.contains('@') && text.is_ascii() && !text.ends_with('/'));
            assert!(!text.contains(['?', '#', '%', '\\', ' ']) && !path.contains(';'));
            assert!(
                path.is_empty()
                    || path.split('/').skip(1).all(|it| !it.is_empty() && !it.trim_matches('.').is_empty())
            );
            assert_eq!(issuer.path(), path);
            assert_eq!(issuer.endpoint("/x"), format!("{text}/x"));
        }
        Err(error) => {
            let secret = text.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
            let secret = secret.and_then(|(user, _)| user.split_once(':')).map(|(_, secret)| secret);
            let is_plain =
                |secret: &&str| secret.len() > 8 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if let Some(secret) = secret.filter(is_plain) {
                let told = error.to_string();
                let rest = text.replacen(secret, "", 1);
                assert!(!told.contains(secret) || rest.contains(secret), "{told} tells a password");
            }
        }
    }
}
