//! The addresses to which another's document may not lead (a forged request from within: SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether an address is one of the public internet: what an issuer's metadata point to may not be an address of this
/// machine, of its network, or one that a gateway turns into such an address.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether a URL has an address in the place of a name that is not public, or a name of this machine (RFC 6761 section
/// 6.3). A proxy may lead either to itself.
pub(super) fn names_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        None => false,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_this_network = first == 0;
    // RFC 6598
    let is_shared = first == 100 && (64..128).contains(&second);
    !(is_this_network
        || is_shared
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_nat64 = matches!(segments, [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..]);
    // RFC 3056, and RFC 4380 that does the same in another way
    let is_6to4 = matches!(segments, [0x2002, ..] | [0x2001, 0, ..]);
    // `::`, `::1` and IPv4 addresses in the old form
    let is_low = matches!(segments, [0, 0, 0, 0, 0, 0, ..]);
    let is_site_local = segments.first().is_some_and(|first| first & 0xffc0 == 0xfec0);
    !(is_nat64
        || is_6to4
        || is_low
        || is_site_local
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::{is_public, names_internal};

    #[test]
    fn an_address_is_public_or_it_is_not() {
        for public in ["1.1.1.1", "140.82.112.3", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
            assert!(is_public(format!("::ffff:{public}").parse().unwrap()), "{public}, mapped");
        }
        for public in ["2606:4700::1111", "2003::1", "2001:4860:4860::8888", "64:ff9c::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for internal in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            assert!(!is_public(internal.parse().unwrap()), "{internal}");
            assert!(!is_public(format!("::ffff:{internal}").parse().unwrap()), "{internal}, mapped");
            assert!(!is_public(format!("::{internal}").parse().unwrap()), "{internal}, compatible");
            assert!(!is_public(format!("64:ff9b::{internal}").parse().unwrap()), "{internal}, by NAT64");
        }
        for internal in [
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2001:0:4136:e378::1",
        ] {
            assert!(!is_public(internal.parse().unwrap()), "{internal}");
        }
    }

    #[test]
    fn a_url_may_name_an_internal_address_in_many_spellings() {
        for (url, is_internal) in [
            ("https://127.0.0.1/x", true),
            ("https://127.1/x", true),
            ("https://2130706433/x", true),
            ("https://0x7f.0.0.1/x", true),
            ("https://[::ffff:10.0.0.1]/x", true),
            ("https://localhost/x", true),
            ("https://LOCALHOST/x", true),
            ("https://localhost./x", true),
            ("https://a.localhost/x", true),
            ("https://notlocalhost/x", false),
            ("https://localhost.example.com/x", false),
            ("https://issuer.example.com/x", false),
            ("https://1.1.1.1/x", false),
        ] {
            assert_eq!(names_internal(&url.parse().unwrap()), is_internal, "{url}");
        }
    }
}
