//! `[gateways.NAME]`.

use std::collections::BTreeMap;

use jeton_oauth::{ApiName, Issuer};
use jeton_verify::{
    Origin,
    gateway::{ClaimHeader, HostName},
};

use super::layers::Layers;
use crate::gateway::{GatewayKind, GatewayName, TrustedPeers};

/// One gateway that asks at `/authz/NAME`.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// What it is called.
    pub name: GatewayName,
    /// Which program it is.
    pub kind: GatewayKind,
    /// What stands behind it.
    pub apis: GatewayApis,
    /// Who may ask.
    pub trusted_peers: TrustedPeers,
    /// The claims that are answered beside client, scopes, roles and token id.
    pub claims: Vec<ClaimHeader>,
}

/// Which API a request is for. The client has no say in it.
#[derive(Clone, Debug)]
pub enum GatewayApis {
    /// Always this one.
    One {
        /// The API.
        api: ApiName,
        /// The origin by which clients ask, which their DPoP proofs must name. Without one, the gateway takes no token that
        /// is bound to a key.
        origin: Option<Origin>,
    },
    /// By the host that the gateway forwards; one that is not named is refused.
    ByHost(BTreeMap<HostName, HostedApi>),
}

/// An API at a host.
#[derive(Clone, Debug)]
pub struct HostedApi {
    /// The API.
    pub api: ApiName,
    /// `https://` and the host as it is configured. A client has no say in it.
    pub origin: Origin,
}

impl HostedApi {
    /// A host, and the API at it.
    ///
    /// # Errors
    /// What to write instead of a host that no address has.
    pub fn at(host: HostName, api: ApiName) -> Result<(HostName, Self), String> {
        let origin = Origin::parse(&format!("https://{host}"));
        let origin = origin.map_err(|_| {
            format!("`{host}` is not the host of an address: write a name or address, and behind `:` a port")
        })?;
        Ok((host, Self { api, origin }))
    }
}

impl GatewayApis {
    /// Every API that it may be.
    pub fn names(&self) -> impl Iterator<Item = &ApiName> {
        let (one, by_host) = match self {
            Self::One { api, .. } => (Some(api), None),
            Self::ByHost(hosts) => (None, Some(hosts.values().map(|hosted| &hosted.api))),
        };
        one.into_iter().chain(by_host.into_iter().flatten())
    }
}

/// The keys of a section.
const KEYS: [&str; 6] = ["kind", "api", "hosts", "origin", "trusted_peers", "claims"];

/// Every gateway, and every key that there may be of those that are named.
pub(super) fn read(layers: &mut Layers, issuer: Option<&Issuer>) -> (Vec<GatewaySettings>, Vec<String>) {
    let names = layers.names_below("gateways");
    let is_ours = |path: &str| path == "/authz" || path.starts_with("/authz/");
    if !names.is_empty() && issuer.is_some_and(|issuer| is_ours(issuer.path())) {
        layers
            .refuse::<()>("`issuer`", "its path is reserved for gateways: choose another path than `/authz`");
    }
    // without a name too, so that an empty section is known
    let sections = names.iter().map(String::as_str).chain(["NAME"]);
    let known = sections.flat_map(|name| KEYS.map(|key| format!("gateways.{name}.{key}"))).collect();
    (names.iter().filter_map(|name| read_one(layers, name)).collect(), known)
}

fn read_one(layers: &mut Layers, name: &str) -> Option<GatewaySettings> {
    let key = |key| format!("gateways.{name}.{key}");
    let section = layers.origin_of(&format!("gateways.{name}"));
    let parsed = match GatewayName::parse(name) {
        Ok(parsed) => Some(parsed),
        Err(error) => layers.refuse(&section, error.to_string()),
    };
    let kind = if layers.has(&key("kind")) {
        layers.text(&key("kind"), |text| GatewayKind::parse(text).map_err(|error| error.to_string()))
    } else {
        GatewayKind::parse(name).ok().or_else(|| {
            let kinds = "write nginx, caddy, traefik, envoy, haproxy or service";
            layers
                .refuse(&section, format!("`kind` is missing, and the name `{name}` is not a kind: {kinds}"))
        })
    };
    let api = |text: &str| ApiName::parse(text).map_err(|error| error.to_string());
    let (has_one, has_hosts) = (layers.has(&key("api")), layers.has(&key("hosts")));
    let one = layers.text(&key("api"), api);
    let of_hosts = layers.origin_of(&key("hosts"));
    let hosts = layers.table(&key("hosts"), |host, text| {
        let host = HostName::parse(host).map_err(|error| error.to_string())?;
        HostedApi::at(host, api(text)?)
    });
    let hosts = hosts.and_then(|hosts| {
        let mut by_host: BTreeMap<HostName, (String, HostedApi)> = BTreeMap::new();
        for (spelling, (host, hosted)) in hosts {
            if let Some((other, _)) = by_host.get(&host) {
                return layers
                    .refuse(&of_hosts, format!("`{other}` and `{spelling}` are one host: keep one of them"));
            }
            by_host.insert(host, (spelling, hosted));
        }
        Some(by_host.into_iter().map(|(host, (_, hosted))| (host, hosted)).collect())
    });
    let has_origin = layers.has(&key("origin"));
    let of_origin = layers.origin_of(&key("origin"));
    let origin = layers.text(&key("origin"), |text| Origin::parse(text).map_err(|error| error.to_string()));
    if has_origin && has_hosts {
        layers.refuse::<()>(
            &of_origin,
            "remove it: with `hosts` the origin is `https://` and the host of the request, as `hosts` has it",
        );
    }
    let apis = match (has_one, has_hosts) {
        (true, false) => {
            one.filter(|_| origin.is_some() == has_origin).map(|api| GatewayApis::One { api, origin })
        }
        (false, true) => hosts.map(GatewayApis::ByHost),
        (true, true) => layers.refuse(&section, "has `api` and `hosts`: keep one of them"),
        (false, false) => {
            layers.refuse(&section, "names no API: write `api = \"NAME\"`, or `hosts` with an API for each")
        }
    };
    let trusted_peers = if layers.has(&key("trusted_peers")) {
        layers.list(&key("trusted_peers"), |ranges| match ranges {
            [] => Err("is empty: name the addresses from which the gateway asks".to_owned()),
            ranges => TrustedPeers::parse(ranges).map_err(|error| error.to_string()),
        })
    } else {
        let missing = "`trusted_peers` is missing: name the addresses from which the gateway asks, such as `[\"127.0.0.1/32\"]`";
        layers.refuse(&section, missing)
    };
    let claims = if layers.has(&key("claims")) {
        layers.list(&key("claims"), claim_headers)
    } else {
        Some(Vec::new())
    };
    Some(GatewaySettings {
        name: parsed?,
        kind: kind?,
        apis: apis?,
        trusted_peers: trusted_peers?,
        claims: claims?,
    })
}

fn claim_headers(claims: &[String]) -> Result<Vec<ClaimHeader>, String> {
    let mut headers: Vec<ClaimHeader> = Vec::new();
    for claim in claims {
        let header = ClaimHeader::parse(claim).map_err(|error| error.to_string())?;
        if let Some(other) = headers.iter().find(|other| other.header == header.header) {
            let ClaimHeader { claim: other, header } = other;
            return Err(format!("`{other}` and `{claim}` would be one header, `{header}`: keep one of them"));
        }
        headers.push(header);
    }
    Ok(headers)
}
