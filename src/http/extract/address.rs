//! From which address a request came, as far as that is known.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap, HeaderName},
};

use crate::gateway::TrustedPeers;

/// The proxies that say from which address a request came.
pub(in crate::http) struct TrustedProxies(pub(in crate::http) TrustedPeers);

impl TrustedProxies {
    /// The address of whoever sent a request, as limits count it and the log and traces tell it.
    pub(in crate::http) fn client_address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        client_address(request.headers(), peer, &self.0).to_canonical()
    }

    /// The same, where it is not the peer's.
    pub(in crate::http) fn other_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        Some(self.client_address(request)).filter(|address| *address != peer)
    }
}

/// The address that a request came from: the peer's; or, where that is a proxy that is trusted, the rightmost that the
/// proxies name and that is none of theirs. What stands further left is the word of whoever sent it.
///
/// `X-Forwarded-For` counts before `Forwarded` (RFC 7239). What is no address, as `unknown` and `_hidden` are not, counts
/// as the peer's.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, proxies: &TrustedPeers) -> IpAddr {
    if !proxies.contains(peer) {
        return peer;
    }
    let hops = if headers.contains_key(header::X_FORWARDED_FOR) {
        hops(headers, &header::X_FORWARDED_FOR, |line| Some(line.split(',').collect()), address)
    } else {
        hops(headers, &header::FORWARDED, |line| split_unquoted(line, ','), forwarded_for)
    };
    let is_ours = |hop: &Option<IpAddr>| hop.is_some_and(|address| proxies.contains(address));
    hops.into_iter().rev().find(|hop| !is_ours(hop)).flatten().unwrap_or(peer)
}

/// The hops that the lines of a header name, from left to right; `None` for one that is no address.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    split: fn(&str) -> Option<Vec<&str>>,
    read: fn(&str) -> Option<IpAddr>,
) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    for line in headers.get_all(name) {
        // each line by itself: one that a client has broken does not spoil the one that a proxy adds
        let line = String::from_utf8_lossy(line.as_bytes());
        match split(&line) {
            Some(elements) => {
                let elements = elements.into_iter().map(str::trim).filter(|element| !element.is_empty());
                hops.extend(elements.map(read));
            }
            None => hops.push(None),
        }
    }
    hops
}

/// An address as proxies write it: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(address.parse().ok()?)
    } else if let Ok(address) = text.parse() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    Some(address.to_canonical())
}

/// The node of the one `for` of an element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = split_unquoted(element, ';')?;
    let mut nodes = pairs.into_iter().filter_map(|pair| {
        let (name, node) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(node.trim())
    });
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => address(&unquoted(node)?),
        (_, _) => None,
    }
}

/// The parts between signs that do not stand in quotes; `None` where a quote is not closed.
fn split_unquoted(text: &str, sign: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let splits = |c: char| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c => return c == sign && !is_quoted,
        }
        false
    };
    let parts = text.split(splits).collect();
    (!is_quoted).then_some(parts)
}

/// What a token or a quoted string holds (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.into()) };
    let mut escaped = rest.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(c) = escaped.next() {
        plain.push(if c == '\\' { escaped.next()? } else { c });
    }
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const PROXIES: [&str; 3] = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"];

    /// The address of a request from a peer with these header lines.
    fn read(peer: &str, lines: &[(&'static str, &[u8])]) -> IpAddr {
        let proxies = TrustedPeers::parse(&PROXIES.map(str::to_owned)).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        client_address(&headers, peer.parse().unwrap(), &proxies)
    }

    #[track_caller]
    fn is(lines: &[(&'static str, &str)], expected: &str) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        assert_eq!(read("10.0.0.1", &lines), expected.parse::<IpAddr>().unwrap(), "{lines:?}");
    }

    /// What `X-Forwarded-For` and `Forwarded` come to, from a proxy at 10.0.0.1.
    #[track_caller]
    fn xff(value: &str, expected: &str) {
        is(&[("x-forwarded-for", value)], expected);
    }

    #[track_caller]
    fn forwarded(value: &str, expected: &str) {
        is(&[("forwarded", value)], expected);
    }

    const PEER: &str = "10.0.0.1";

    #[test]
    fn who_is_no_proxy_is_not_believed() {
        for peer in ["203.0.113.9", "11.0.0.1", "192.0.2.8", "2001:db8::1"] {
            let lines: [(&str, &[u8]); 2] =
                [("x-forwarded-for", b"198.51.100.1"), ("forwarded", b"for=198.51.100.1")];
            assert_eq!(read(peer, &lines), peer.parse::<IpAddr>().unwrap());
        }
        for peer in ["10.255.0.1", "192.0.2.7", "fd12::1", "::ffff:10.0.0.1"] {
            assert_eq!(
                read(peer, &[("x-forwarded-for", b"198.51.100.1")]),
                "198.51.100.1".parse::<IpAddr>().unwrap(),
                "{peer}"
            );
        }
        is(&[], PEER);
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxys_counts() {
        xff("198.51.100.1", "198.51.100.1");
        xff("203.0.113.9, 198.51.100.1", "198.51.100.1");
        xff("203.0.113.9,198.51.100.1, 10.9.9.9,192.0.2.7 , fd00::5", "198.51.100.1");
        xff("203.0.113.9 ,\t198.51.100.1\t, ::ffff:10.9.9.9", "198.51.100.1");
        forwarded("for=203.0.113.9, for=198.51.100.1;proto=https;by=10.0.0.1, for=10.9.9.9", "198.51.100.1");
        // nobody else is named
        xff("10.9.9.9, 192.0.2.7", PEER);
        forwarded("for=10.9.9.9", PEER);
        xff("", PEER);
        xff(" , ,", PEER);
        xff("198.51.100.1,,", "198.51.100.1");
        forwarded("", PEER);
        forwarded("for=198.51.100.1,, ,", "198.51.100.1");
    }

    #[test]
    fn several_lines_are_one_list() {
        is(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        is(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "10.9.9.9, 10.9.9.8")], "198.51.100.1");
        is(
            &[("forwarded", "for=203.0.113.9"), ("forwarded", "for=198.51.100.1, for=10.9.9.9")],
            "198.51.100.1",
        );
        // what a client has left open does not hide what the proxy adds
        is(&[("forwarded", "for=203.0.113.9;x=\""), ("forwarded", "for=198.51.100.1")], "198.51.100.1");
    }

    #[test]
    fn the_first_of_both_headers_counts() {
        is(&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        is(&[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.9")], "198.51.100.1");
        is(&[("x-forwarded-for", "unknown"), ("forwarded", "for=203.0.113.9")], PEER);
        is(&[("x-forwarded-for", "10.9.9.9"), ("forwarded", "for=203.0.113.9")], PEER);
    }

    #[test]
    fn ports_are_cut_and_addresses_canonical() {
        for (text, expected) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("198.51.100.1:99999", "198.51.100.1"),
            ("198.51.100.1:_edge", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("[::ffff:198.51.100.1]:80", "198.51.100.1"),
            ("[::ffff:c633:6401]", "198.51.100.1"),
        ] {
            xff(&format!("203.0.113.9, {text}"), expected);
            forwarded(&format!("for=203.0.113.9, for=\"{text}\""), expected);
            forwarded(&format!("For={text}"), expected);
        }
        forwarded("proto=https;for=\"[2001:db8::1]:4711\";host=\"a,b;for=x\"", "2001:db8::1");
        forwarded("for=198.51.100.1; host=\"a\\\",for=10.9.9.9\"", "198.51.100.1");
        forwarded(r#"FOR="198\.51.100.1""#, "198.51.100.1");
    }

    #[test]
    fn what_is_no_address_counts_as_the_peers() {
        for text in [
            "unknown",
            "_hidden",
            "localhost",
            "198.51.100",
            "198.51.100.1.",
            "198.51.100.256",
            "198.051.100.1",
            "198.51.100.1:",
            "198.51.100.1: 80",
            "198.51.100.1/32",
            "[198.51.100.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]:",
            "[2001:db8::1]x",
            "2001:db8::1]:80",
            "fe80::1%eth0",
            ":80",
            "0x7f.1",
            "3325256705",
            "*",
        ] {
            xff(&format!("203.0.113.9, {text}"), PEER);
            forwarded(&format!("for=203.0.113.9, for=\"{text}\""), PEER);
        }
        for element in [
            "for",
            "for=",
            "for=\"\"",
            "proto=https",
            "by=203.0.113.9",
            "xfor=203.0.113.9",
            "203.0.113.9",
            "for=203.0.113.9;for=203.0.113.9",
            "for=\"203.0.113.9",
            "for=203.0.113.9;x=\"",
            "for=\"203.0.113.9\"x",
            "for=\"203.0.113.9\\",
            "for='203.0.113.9'",
        ] {
            forwarded(&format!("for=203.0.113.9, {element}"), PEER);
        }
        let peer: IpAddr = PEER.parse().unwrap();
        assert_eq!(read(PEER, &[("x-forwarded-for", b"203.0.113.9, \xff")]), peer);
        assert_eq!(read(PEER, &[("x-forwarded-for", b"\xff, 10.9.9.9")]), peer);
        let after: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(read(PEER, &[("x-forwarded-for", b"\xff, 198.51.100.1")]), after);
    }

    proptest! {
        /// A reader that goes from the right over the text and knows no lists.
        #[test]
        fn both_headers_are_read_as_from_right_to_left(
            lines in vec(vec(select(vec![
                "10.9.9.9", "192.0.2.7", "fd00::1", "198.51.100.1", "203.0.113.9:80", "[2001:db8::9]:1", "unknown", "",
            ]), 0..4), 0..4),
        ) {
            let known = |text: &str| match text {
                "203.0.113.9:80" => Some("203.0.113.9"),
                "[2001:db8::9]:1" => Some("2001:db8::9"),
                "198.51.100.1" => Some("198.51.100.1"),
                _ => None,
            };
            let mut rest: Vec<&str> = lines.concat();
            let mut expected = PEER;
            while let Some(last) = rest.pop() {
                if ["10.9.9.9", "192.0.2.7", "fd00::1", ""].contains(&last) {
                    continue;
                }
                expected = known(last).unwrap_or(PEER);
                break;
            }
            let written = |name, write: fn(&&str) -> String| -> Vec<(&'static str, String)> {
                let line = |line: &Vec<&str>| (name, line.iter().map(write).collect::<Vec<_>>().join(", "));
                lines.iter().map(line).collect()
            };
            let plain = written("x-forwarded-for", |text| (*text).to_owned());
            let quoted = written("forwarded", |text| match *text {
                "" => String::new(),
                text => format!("by=x;for=\"{text}\";proto=https"),
            });
            for lines in [plain, quoted] {
                let lines: Vec<_> = lines.iter().map(|(name, line)| (*name, line.as_bytes())).collect();
                prop_assert_eq!(read(PEER, &lines).to_string(), expected, "{:?}", lines);
            }
        }
    }
}
