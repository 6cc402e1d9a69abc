//! The headers of a request that are read by themselves: from which address it came, its token, its trace.
//!
//! Input: a line for each header, its name by its first character (`x` is `X-Forwarded-For`, `f` is `Forwarded`, `a` is
//! `Authorization`, `t` is `traceparent`) and behind that its value. A line `?` has the query.
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use actix_web::http::header::{
    AUTHORIZATION, FORWARDED, HeaderMap, HeaderName, HeaderValue, X_FORWARDED_FOR,
};
use jeton::{gateway::TrustedPeers, http::client_address};
use jeton_actix::TraceParent;
use jeton_oauth::form;
use jeton_verify::{BearerFault, bearer_token};
use libfuzzer_sys::fuzz_target;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// A proxy of ours, which passes the request on.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

static PROXIES: LazyLock<TrustedPeers> = LazyLock::new(|| {
    TrustedPeers::parse(&["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(str::to_owned)).expect("they are ranges")
});

fuzz_target!(|data: &[u8]| {
    let (mut headers, mut query) = (HeaderMap::new(), "");
    for line in data.split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_first() else { continue };
        let name = match name {
            b'x' => X_FORWARDED_FOR,
            b'f' => FORWARDED,
            b'a' => AUTHORIZATION,
            b't' => TRACEPARENT,
            b'?' => {
                query = std::str::from_utf8(value).unwrap_or_default();
                continue;
            }
            _ => continue,
        };
        // what the server takes in a header
        let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) else { continue };
        headers.append(name, value);
    }
    an_address_is_that_of_the_last_stranger(&headers);
    a_token_comes_once(&headers, query);
    a_trace_is_told_once_and_well(&headers);
});

fn is_ours(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 10 || address == Ipv4Addr::new(192, 0, 2, 7),
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

fn an_address_is_that_of_the_last_stranger(headers: &HeaderMap) {
    assert_eq!(client_address(headers, STRANGER, &PROXIES), STRANGER, "who is no proxy is not believed");
    let (name, is_list) =
        if headers.contains_key(X_FORWARDED_FOR) { (X_FORWARDED_FOR, true) } else { (FORWARDED, false) };
    let lines: Vec<String> =
        headers.get_all(name).map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect();
    let mut expected = PEER;
    'lines: for line in lines.iter().rev() {
        let Some(elements) =
            (if is_list { Some(line.split(',').collect()) } else { unquoted_parts(line, ',') })
        else {
            break;
        };
        for element in elements.into_iter().rev().map(str::trim).filter(|element| !element.is_empty()) {
            match if is_list { address(element) } else { node(element) } {
                Some(address) if is_ours(address) => {}
                Some(address) => {
                    expected = address.to_canonical();
                    break 'lines;
                }
                None => break 'lines,
            }
        }
    }
    let read = client_address(headers, PEER, &PROXIES);
    assert_eq!(read.to_canonical(), expected, "{lines:?}");
    assert!(!is_ours(read) || read == PEER);
    // whatever a client writes before it, the last line of the proxy counts
    let mut honest = headers.clone();
    let value = if is_list { "198.51.100.1" } else { "for=198.51.100.1" };
    honest.append(if is_list { X_FORWARDED_FOR } else { FORWARDED }, HeaderValue::from_static(value));
    assert_eq!(client_address(&honest, PEER, &PROXIES).to_string(), "198.51.100.1");
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        !port.is_empty() && port.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let end = rest.find(']')?;
        let behind = &rest[end + 1..];
        let is_fine = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
        return rest[..end].parse::<Ipv6Addr>().ok().filter(|_| is_fine).map(IpAddr::V6);
    }
    let (host, port) = text.split_once(':')?;
    host.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::V4)
}

/// The one `for` of an element (RFC 7239 section 4).
fn node(element: &str) -> Option<IpAddr> {
    let mut nodes = unquoted_parts(element, ';')?.into_iter().filter_map(|pair| pair.split_once('='));
    let mut nodes =
        nodes.by_ref().filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, it)| it.trim());
    let (Some(node), None) = (nodes.next(), nodes.next()) else { return None };
    let Some(quoted) = node.strip_prefix('"') else { return address(node) };
    let quoted = quoted.strip_suffix('"')?;
    let (mut plain, mut is_escaped) = (String::new(), false);
    for c in quoted.chars() {
        if c == '\\' && !is_escaped {
            is_escaped = true;
        } else {
            is_escaped = false;
            plain.push(c);
        }
    }
    if is_escaped { None } else { address(&plain) }
}

/// The parts between signs outside of quotes; `None` where a quote stays open.
fn unquoted_parts(text: &str, sign: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (place, c) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if c == '"' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            is_escaped = c == '\\';
        } else if c == sign {
            parts.push(&text[start..place]);
            start = place + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

fn a_token_comes_once(headers: &HeaderMap, query: &str) {
    let values: Vec<_> = headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes).collect();
    let read = bearer_token(values.iter().copied(), query);
    let is_in_query = query.split('&').any(|pair| {
        form::decode(pair.split('=').next().unwrap_or_default()).is_some_and(|name| name == "access_token")
    });
    assert_eq!(matches!(read, Err(BearerFault::InQuery)), is_in_query);
    let Ok(Some(token)) = read else { return };
    let [value] = values[..] else { panic!("of several headers one is taken") };
    let value = std::str::from_utf8(value).expect("it was read");
    let (scheme, rest) = value.split_once(' ').expect("a scheme and a token");
    assert!(scheme.eq_ignore_ascii_case(token.scheme().name()), "{value:?}");
    assert_eq!(rest.trim_matches(' '), token.as_str());
    assert!(!token.as_str().is_empty() && token.as_str().is_ascii());
    // a second one, in a header of its own or joined to it, leaves nothing to choose from
    for second in ["Bearer x.y.z", "dpop x.y.z", "BEARER"] {
        let joined = format!("{value}, {second}");
        assert!(bearer_token([joined.as_bytes()], query).is_err(), "{joined:?}");
        assert!(bearer_token([value.as_bytes(), second.as_bytes()], query).is_err());
    }
    assert!(bearer_token([value.as_bytes()], &format!("{query}&access_token=x")).is_err());
}

fn a_trace_is_told_once_and_well(headers: &HeaderMap) {
    let values: Vec<_> = headers.get_all(TRACEPARENT).map(HeaderValue::as_bytes).collect();
    let expected = match values[..] {
        [value] if is_trace(value) => Some(value),
        _ => None,
    };
    let read = TraceParent::of(headers);
    assert_eq!(read.is_some(), expected.is_some());
    let (Some(read), Some(value)) = (read, expected) else { return };
    let value = std::str::from_utf8(value).expect("it was read");
    assert_eq!((read.trace_id, read.span_id), (&value[3..35], &value[36..52]));
    assert_eq!(read.is_sampled, b"13579bdf".contains(&value.as_bytes()[54]));
}

/// Version, trace, span and flags, each at its place (W3C Trace Context, section 3.2).
fn is_trace(value: &[u8]) -> bool {
    let is_hex =
        |from: usize, to: usize| value[from..to].iter().all(|byte| b"0123456789abcdef".contains(byte));
    let is_zero = |from: usize, to: usize| value[from..to].iter().all(|byte| *byte == b'0');
    value.len() >= 55
        && [(0, 2), (3, 35), (36, 52), (53, 55)].iter().all(|(from, to)| is_hex(*from, *to))
        && [2, 35, 52].iter().all(|place| value[*place] == b'-')
        && !is_zero(3, 35)
        && !is_zero(36, 52)
        && &value[..2] != b"ff"
        && (value.len() == 55 || (&value[..2] != b"00" && value[55] == b'-'))
        && value.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == b'\t')
}
