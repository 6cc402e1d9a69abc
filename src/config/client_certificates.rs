//! `server.client_certificates` and what belongs to it.

use std::path::PathBuf;

use super::layers::{Layers, Noted};
use crate::gateway::TrustedPeers;

/// How certificates of clients come, where they may.
#[derive(Clone, Debug)]
pub struct ClientCertificateSettings {
    /// The proxies that hand over the certificate of a client in a header.
    pub proxies: TrustedPeers,
    /// The authorities of clients that the policies know by a name, in PEM.
    pub ca_file: Option<PathBuf>,
}

const KEY: &str = "server.client_certificates";
const PROXIES: &str = "server.certificate_proxies";
const CA_FILE: &str = "server.client_ca_file";

/// Reads the three settings; `None` for `off`. `has_tls` tells whether the listener speaks TLS, or is meant to.
pub(super) fn read(
    layers: &mut Layers,
    has_tls: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<ClientCertificateSettings>, Noted> {
    let mut ranges = 0;
    let [of_mode, of_proxies, of_ca] = [KEY, PROXIES, CA_FILE].map(|key| layers.origin_of(key));
    let is_optional = layers.text(KEY, |text| match text {
        "off" => Ok(false),
        "optional" => Ok(true),
        _ => Err(format!("`{text}` is not a way to take certificates: write `off` or `optional`")),
    });
    let proxies = layers.list(PROXIES, |list| {
        ranges = list.len();
        TrustedPeers::parse(list).map_err(|error| error.to_string())
    });
    let ca_file = layers.file(CA_FILE, Ok);
    let (is_optional, proxies, ca_file) =
        (is_optional.ok_or(Noted)?, proxies.ok_or(Noted)?, ca_file.ok_or(Noted)?);
    if is_optional {
        if ranges == 0 && !has_tls {
            let message = format!(
                "no certificate can come: give the listener a certificate of its own in `[server.tls]`, or name the proxies that speak TLS in `{PROXIES}`"
            );
            layers.refuse::<()>(&of_mode, message);
            return Err(Noted);
        }
        if proxies.hold_a_whole_family() {
            warnings.push(format!(
                "`{PROXIES}` holds every address: anybody can write a certificate into a header and be any client, so name the proxies alone"
            ));
        }
        return Ok(Some(ClientCertificateSettings { proxies, ca_file }));
    }
    let needless = [(of_proxies, ranges > 0), (of_ca, ca_file.is_some())];
    for (origin, _) in needless.iter().filter(|(_, is_set)| *is_set) {
        layers.refuse::<()>(origin, format!("it needs `{KEY} = \"optional\"`"));
    }
    if needless.iter().any(|(_, is_set)| *is_set) { Err(Noted) } else { Ok(None) }
}
