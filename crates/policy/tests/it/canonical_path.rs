//! The one reading of a request's path, and everything that is refused because two servers might read it
//! differently.
use jeton_policy::{BadPath, CanonicalPath, PathPrefix, PolicySet};

use crate::policy_text::{compile_good, with_claim};

#[track_caller]
fn refused(rows: &[(&str, &str, BadPath)]) {
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(_, target, expected)| CanonicalPath::parse(target).as_ref().err() != Some(expected))
        .map(|(name, target, expected)| {
            let outcome = CanonicalPath::parse(target).map(|_| "taken");
            format!("{name}: {target:?} must be {expected:?}, not {outcome:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A policy that lets pass whose claim `is` is the decoded last segment, byte by byte.
fn judged() -> PolicySet {
    compile_good(
        "version: 1
apis:
  files:
    audience: https://files.example.com
    rules:
      root:
        routes: ['GET /']
        require: { claims: { is: { is: root } } }
      slash:
        routes: ['GET /x/']
        require: { claims: { is: { is: slash } } }
      one:
        routes: ['GET /x/{value}']
        require: { claims: { is: { same_as_path: value } } }
",
    )
}

/// Each path with what is judged of it.
#[track_caller]
fn judged_as(rows: &[(&str, &str, &str)]) {
    let policies = judged();
    let api = policies.api("files").unwrap();
    for (name, target, value) in rows {
        let same = with_claim("is", *value);
        let decision = api.decide("GET", target, Some(&same.subject()));
        assert!(decision.is_allowed(), "{name}: {target:?} must be judged as {value:?}: {decision:?}");
        let other = with_claim("is", format!("{value}x"));
        let decision = api.decide("GET", target, Some(&other.subject()));
        assert!(!decision.is_allowed(), "{name}: {target:?} must be judged as {value:?} alone");
    }
}

#[test]
fn an_empty_or_relative_path_is_refused() {
    refused(&[
        ("nothing", "", BadPath::NotAbsolute),
        ("relative", "x", BadPath::NotAbsolute),
        ("relative below", "x/y", BadPath::NotAbsolute),
        ("relative dot", "./x", BadPath::NotAbsolute),
        ("asterisk form", "*", BadPath::NotAbsolute),
        ("absolute form", "http://orders.example.com/x", BadPath::NotAbsolute),
        ("authority form", "orders.example.com:443", BadPath::NotAbsolute),
        ("a query alone", "?x", BadPath::NotAbsolute),
        ("a query with a slash", "?/x", BadPath::NotAbsolute),
        ("an escaped slash first", "%2Fx", BadPath::NotAbsolute),
        ("a backslash first", "\\x", BadPath::NotAbsolute),
        ("a space first", " /x", BadPath::NotAbsolute),
    ]);
}

#[test]
fn segments_made_only_of_dots_are_refused_in_every_spelling() {
    refused(&[
        ("dot", "/.", BadPath::Dots),
        ("dot within", "/x/./y", BadPath::Dots),
        ("dot last", "/x/.", BadPath::Dots),
        ("dot before a slash", "/x/./", BadPath::Dots),
        ("dot first", "/./x", BadPath::Dots),
        ("dots", "/..", BadPath::Dots),
        ("dots within", "/x/../y", BadPath::Dots),
        ("dots last", "/x/..", BadPath::Dots),
        ("dots before a slash", "/x/../", BadPath::Dots),
        ("dots before a query", "/x/..?y", BadPath::Dots),
        ("escaped dot", "/x/%2e/y", BadPath::Dots),
        ("escaped dot, upper case", "/x/%2E", BadPath::Dots),
        ("escaped dots", "/x/%2e%2e/y", BadPath::Dots),
        ("escaped dots, mixed case", "/x/%2E%2e", BadPath::Dots),
        ("half escaped dots", "/x/.%2e/y", BadPath::Dots),
        ("half escaped dots, other half", "/x/%2e./y", BadPath::Dots),
        ("three dots", "/x/.../y", BadPath::Dots),
        ("four dots", "/....", BadPath::Dots),
        ("three dots, one escaped", "/x/.%2E./y", BadPath::Dots),
    ]);
}

#[test]
fn empty_segments_are_refused() {
    refused(&[
        ("first", "//x", BadPath::EmptySegment),
        ("a host to some", "//evil.example/x", BadPath::EmptySegment),
        ("alone", "//", BadPath::EmptySegment),
        ("within", "/x//y", BadPath::EmptySegment),
        ("last", "/x//", BadPath::EmptySegment),
        ("three slashes", "/x///y", BadPath::EmptySegment),
        ("before a query", "/x//?y", BadPath::EmptySegment),
    ]);
}

#[test]
fn delimiters_that_servers_read_differently_are_refused() {
    refused(&[
        ("path parameter", "/x;v=1", BadPath::Forbidden(';')),
        ("path parameter after dots", "/x/..;/y", BadPath::Forbidden(';')),
        ("semicolon last", "/x/y;", BadPath::Forbidden(';')),
        ("backslash", "/x\\y", BadPath::Forbidden('\\')),
        ("backslash and dots", "/x\\..\\y", BadPath::Forbidden('\\')),
        ("backslash last", "/x/\\", BadPath::Forbidden('\\')),
        ("fragment", "/x#y", BadPath::Forbidden('#')),
        ("fragment before a query", "/x#y?z", BadPath::Forbidden('#')),
        ("fragment alone", "/#", BadPath::Forbidden('#')),
    ]);
}

#[test]
fn raw_control_characters_and_spaces_are_refused() {
    refused(&[
        ("null", "/x\0", BadPath::Forbidden('\0')),
        ("tab", "/x\ty", BadPath::Forbidden('\t')),
        ("line feed", "/x\ny", BadPath::Forbidden('\n')),
        ("carriage return", "/x\ry", BadPath::Forbidden('\r')),
        ("escape", "/\x1b[31m", BadPath::Forbidden('\x1b')),
        ("unit separator", "/x\x1f", BadPath::Forbidden('\x1f')),
        ("delete", "/x\x7f", BadPath::Forbidden('\x7f')),
        ("space", "/x y", BadPath::Forbidden(' ')),
        ("space last", "/x ", BadPath::Forbidden(' ')),
        ("a second request line", "/x HTTP/1.1", BadPath::Forbidden(' ')),
    ]);
}

/// The variant names the first byte as sent, so only the class is checked.
#[test]
fn raw_bytes_of_0x80_and_above_are_refused() {
    for (name, target) in [
        ("two bytes", "/caf\u{e9}"),
        ("C1 control", "/x\u{85}"),
        ("no-break space", "/x\u{a0}y"),
        ("three bytes", "/\u{20ac}"),
        ("fullwidth dots", "/\u{ff0e}\u{ff0e}/x"),
        ("fullwidth slash", "/x\u{ff0f}y"),
        ("four bytes", "/\u{1f600}"),
        ("replacement character", "/\u{fffd}"),
    ] {
        let outcome = CanonicalPath::parse(target).map(|_| "taken");
        assert!(matches!(outcome, Err(BadPath::Forbidden(_))), "{name}: {outcome:?}");
    }
}

/// A path with an escape is read by other code than one without.
#[test]
fn an_escape_makes_no_other_byte_good() {
    for byte in 0..0x80_u8 {
        let target = format!("/%41/x{}y", char::from(byte));
        let plain = CanonicalPath::parse(&target[4..]).map(|_| "taken");
        let escaped = CanonicalPath::parse(&target).map(|_| "taken");
        assert_eq!(escaped, plain, "{target:?}");
    }
    for target in ["/%41\u{e9}", "/%41\u{85}", "/%41\u{ff0f}", "/%41\u{1f600}"] {
        let outcome = CanonicalPath::parse(target).map(|_| "taken");
        assert!(matches!(outcome, Err(BadPath::Forbidden(_))), "{target:?}: {outcome:?}");
    }
}

#[test]
fn malformed_escapes_are_refused() {
    refused(&[
        ("percent alone", "/%", BadPath::MalformedEscape),
        ("percent last", "/x%", BadPath::MalformedEscape),
        ("one digit", "/x%2", BadPath::MalformedEscape),
        ("one digit before a query", "/x%2?0", BadPath::MalformedEscape),
        ("one digit before a slash", "/x%2/y", BadPath::MalformedEscape),
        ("no digits", "/%zz", BadPath::MalformedEscape),
        ("one of two is a digit", "/%2g", BadPath::MalformedEscape),
        ("the other of two", "/%g2", BadPath::MalformedEscape),
        ("percent twice", "/%%20", BadPath::MalformedEscape),
        ("unicode escape of some servers", "/%u0041", BadPath::MalformedEscape),
        ("sign", "/%+1", BadPath::MalformedEscape),
        ("space for a digit", "/% 1", BadPath::MalformedEscape),
        ("a good one first", "/%20%", BadPath::MalformedEscape),
    ]);
}

#[test]
fn escapes_that_are_not_utf_8_are_refused() {
    refused(&[
        ("continuation alone", "/%80", BadPath::NotUtf8),
        ("latin-1", "/caf%E9", BadPath::NotUtf8),
        ("cut short", "/%C3", BadPath::NotUtf8),
        ("cut short by a slash", "/%C3/%A9", BadPath::NotUtf8),
        ("cut short by a letter", "/%E2%82x", BadPath::NotUtf8),
        ("overlong slash, two bytes", "/x%C0%AFy", BadPath::NotUtf8),
        ("overlong slash, three bytes", "/x%E0%80%AFy", BadPath::NotUtf8),
        ("overlong slash, four bytes", "/x%F0%80%80%AFy", BadPath::NotUtf8),
        ("overlong dots", "/%C0%AE%C0%AE/x", BadPath::NotUtf8),
        ("overlong null", "/x%C0%80", BadPath::NotUtf8),
        ("surrogate", "/%ED%A0%80", BadPath::NotUtf8),
        ("surrogate pair", "/%ED%A0%BD%ED%B8%80", BadPath::NotUtf8),
        ("beyond unicode", "/%F4%90%80%80", BadPath::NotUtf8),
        ("0xff", "/%FF", BadPath::NotUtf8),
        ("0xfe", "/%fe", BadPath::NotUtf8),
    ]);
}

#[test]
fn escapes_that_hide_a_delimiter_are_refused() {
    refused(&[
        ("slash", "/x%2Fy", BadPath::Escaped('/')),
        ("slash, lower case", "/x%2fy", BadPath::Escaped('/')),
        ("slash and dots", "/x/..%2Fy", BadPath::Escaped('/')),
        ("slash last", "/x%2F", BadPath::Escaped('/')),
        ("slash alone", "/%2F", BadPath::Escaped('/')),
        ("backslash", "/x%5Cy", BadPath::Escaped('\\')),
        ("backslash, lower case", "/..%5cx", BadPath::Escaped('\\')),
        ("percent", "/x%25y", BadPath::Escaped('%')),
        ("a slash escaped twice", "/x%252Fy", BadPath::Escaped('%')),
        ("dots escaped twice", "/%252e%252e/x", BadPath::Escaped('%')),
        ("a dot escaped three times", "/%25252e", BadPath::Escaped('%')),
        ("semicolon", "/x%3Bv=1", BadPath::Escaped(';')),
        ("semicolon after dots", "/x/..%3b/y", BadPath::Escaped(';')),
        ("question mark", "/x%3Fy", BadPath::Escaped('?')),
        ("question mark, lower case", "/x%3f", BadPath::Escaped('?')),
        ("number sign", "/x%23y", BadPath::Escaped('#')),
    ]);
}

#[test]
fn escapes_that_hide_a_control_character_are_refused() {
    refused(&[
        ("null", "/x%00", BadPath::Escaped('\0')),
        ("null before an extension", "/x%00.png", BadPath::Escaped('\0')),
        ("tab", "/x%09y", BadPath::Escaped('\t')),
        ("line feed", "/x%0Ay", BadPath::Escaped('\n')),
        ("carriage return", "/x%0d%0ay", BadPath::Escaped('\r')),
        ("escape", "/x%1B", BadPath::Escaped('\x1b')),
        ("unit separator", "/x%1f", BadPath::Escaped('\x1f')),
        ("delete", "/x%7F", BadPath::Escaped('\x7f')),
        ("first C1 control", "/x%C2%80", BadPath::Escaped('\u{80}')),
        ("next line (C1)", "/x%C2%85y", BadPath::Escaped('\u{85}')),
        ("control sequence introducer (C1)", "/%c2%9b31m", BadPath::Escaped('\u{9b}')),
        ("last C1 control", "/x%C2%9F", BadPath::Escaped('\u{9f}')),
    ]);
}

#[test]
fn a_path_has_at_most_8_kib_as_sent() {
    let fits = |path: &str| CanonicalPath::parse(path).map(|_| ());
    let longest = format!("/{}", "x".repeat(8 * 1024 - 1));
    assert_eq!(fits(&longest), Ok(()));
    assert_eq!(fits(&format!("{longest}?{longest}")), Ok(()), "the query does not count");
    assert_eq!(fits(&format!("{longest}x")), Err(BadPath::TooLong));
    assert_eq!(fits(&format!("{longest}x?y")), Err(BadPath::TooLong));
    // 3 bytes each, and 1 when decoded
    let escaped = format!("/x{}", "%41".repeat(2730));
    assert_eq!(escaped.len(), 8 * 1024);
    assert_eq!(fits(&escaped), Ok(()));
    assert_eq!(fits(&format!("{escaped}x")), Err(BadPath::TooLong));
    assert_eq!(fits(&format!("{escaped}%41")), Err(BadPath::TooLong));
    assert_eq!(fits(&format!("/{}", "x".repeat(70_000))), Err(BadPath::TooLong));
}

#[test]
fn a_path_has_at_most_64_segments() {
    let fits = |path: &str| CanonicalPath::parse(path).map(|_| ());
    assert_eq!(fits(&"/x".repeat(64)), Ok(()));
    assert_eq!(fits(&"/x".repeat(65)), Err(BadPath::TooManySegments));
    // a trailing slash is an empty last segment
    assert_eq!(fits(&format!("{}/", "/x".repeat(63))), Ok(()));
    assert_eq!(fits(&format!("{}/", "/x".repeat(64))), Err(BadPath::TooManySegments));
    assert_eq!(fits(&format!("{}?{}", "/x".repeat(64), "/x".repeat(64))), Ok(()));
    assert_eq!(fits(&"/x".repeat(4096)), Err(BadPath::TooManySegments));
}

#[test]
fn what_is_left_is_decoded_once_and_judged_as_it_stands() {
    judged_as(&[
        ("plain", "/x/orders", "orders"),
        ("case is kept", "/x/Orders", "Orders"),
        ("unreserved", "/x/a-b.c_d~e", "a-b.c_d~e"),
        ("sub-delimiters", "/x/!$&'()*+,=", "!$&'()*+,="),
        ("colon and at", "/x/a:b@c", "a:b@c"),
        ("plus is no space", "/x/a+b", "a+b"),
        ("escaped space", "/x/a%20b", "a b"),
        ("escaped space alone", "/x/%20", " "),
        ("escaped unreserved", "/x/%6f%72%64%65%72%73", "orders"),
        ("escaped tilde", "/x/%7Eme", "~me"),
        ("escaped plus", "/x/a%2Bb", "a+b"),
        ("escaped equals", "/x/a%3Db", "a=b"),
        ("escaped quote", "/x/%22", "\""),
        ("escaped brace", "/x/%7Bvalue%7D", "{value}"),
        ("escaped asterisks", "/x/%2A%2A", "**"),
        ("two bytes", "/x/caf%C3%A9", "café"),
        ("two bytes, lower case", "/x/caf%c3%a9", "café"),
        ("combining, not composed", "/x/cafe%CC%81", "cafe\u{301}"),
        ("three bytes", "/x/%E2%82%AC", "€"),
        ("four bytes", "/x/%F0%9F%98%80", "😀"),
        ("no-break space is no control", "/x/%C2%A0", "\u{a0}"),
        ("fullwidth dots are no dots", "/x/%EF%BC%8E%EF%BC%8E", "\u{ff0e}\u{ff0e}"),
        ("dot first", "/x/.hidden", ".hidden"),
        ("dots first", "/x/..hidden", "..hidden"),
        ("dots within", "/x/a..b", "a..b"),
        ("dot last", "/x/a.", "a."),
        ("escaped dot in a name", "/x/a%2Eb", "a.b"),
        ("dots and a space", "/x/..%20", ".. "),
    ]);
}

#[test]
fn a_trailing_slash_is_an_empty_last_segment() {
    judged_as(&[
        ("root", "/", "root"),
        ("root with a query", "/?x=1", "root"),
        ("trailing slash", "/x/", "slash"),
        ("trailing slash with a query", "/x/?/y", "slash"),
    ]);
}

#[test]
fn the_query_is_cut_off_with_anything_in_it() {
    judged_as(&[
        ("empty", "/x/a?", "a"),
        ("plain", "/x/a?b=c", "a"),
        ("slashes and dots", "/x/a?/../..//", "a"),
        ("semicolon and backslash", "/x/a?;\\", "a"),
        ("fragment", "/x/a?b#c", "a"),
        ("malformed escape", "/x/a?%", "a"),
        ("escaped slash and null", "/x/a?%2F%00", "a"),
        ("not utf-8", "/x/a?%FF", "a"),
        ("raw space and control", "/x/a? \t", "a"),
        ("raw bytes", "/x/a?é", "a"),
        ("a second question mark", "/x/a?b?c", "a"),
    ]);
    let long = format!("/x/a?{}", "y/".repeat(10_000));
    judged_as(&[("long", &long, "a")]);
}

#[test]
fn a_prefix_is_cut_off_by_whole_segments_however_they_are_spelled() {
    for (prefix, target, rest) in [
        ("", "/x?y", Ok("/x?y")),
        ("/tokens", "/tokens", Ok("")),
        ("/tokens", "/tokens/x/../y?z", Ok("/x/../y?z")),
        ("/tokens", "/tokens?x", Ok("?x")),
        ("/tokens", "/%74okens/x", Ok("/x")),
        ("/a%20b/c", "/a%20b/%63/", Ok("/")),
        ("/tokens", "/tokensx", Err(BadPath::Elsewhere)),
        ("/tokens", "/token/s", Err(BadPath::Elsewhere)),
        ("/tokens", "/TOKENS/x", Err(BadPath::Elsewhere)),
        ("/tokens", "//tokens/x", Err(BadPath::Elsewhere)),
        ("/tokens", "tokens/x", Err(BadPath::Elsewhere)),
        ("/tokens", "/", Err(BadPath::Elsewhere)),
        ("/a/b", "/a%2Fb", Err(BadPath::Elsewhere)),
        ("/a/b", "/a", Err(BadPath::Elsewhere)),
    ] {
        assert_eq!(PathPrefix::parse(prefix).unwrap().cut(target), rest, "{prefix} of {target}");
    }
    assert_eq!(PathPrefix::parse("/a%20b").unwrap(), PathPrefix::of(["a b"]));
    for (prefix, error) in [
        ("tokens", BadPath::NotAbsolute),
        ("/tokens/", BadPath::EmptySegment),
        ("/", BadPath::EmptySegment),
        ("/tokens?", BadPath::Forbidden('?')),
        ("/x/../y", BadPath::Dots),
    ] {
        assert_eq!(PathPrefix::parse(prefix), Err(error), "{prefix}");
    }
}
