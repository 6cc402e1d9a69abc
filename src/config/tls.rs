//! `[server.tls]` and `[admin.tls]`.

use std::path::PathBuf;

use super::layers::{Layers, Noted};

/// `[server.tls]` or `[admin.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate of the listener, and those of its issuers, in PEM.
    pub cert_file: PathBuf,
    /// Its key, in PEM.
    pub key_file: PathBuf,
}

/// The keys of a section.
const KEYS: [&str; 2] = ["cert_file", "key_file"];

/// Reads the section of a listener; `None` where it has no TLS.
pub(super) fn read(layers: &mut Layers, listener: &str) -> Result<Option<TlsSettings>, Noted> {
    let [cert_file, key_file] = KEYS.map(|key| {
        let key = format!("{listener}.tls.{key}");
        let origin = layers.origin_of(&key);
        // the admin listener has no defaults
        let path = if layers.has(&key) { layers.file(&key, Ok)? } else { None };
        Some((key, origin, path))
    });
    match (cert_file.ok_or(Noted)?, key_file.ok_or(Noted)?) {
        ((_, _, Some(cert_file)), (_, _, Some(key_file))) => Ok(Some(TlsSettings { cert_file, key_file })),
        ((_, origin, Some(_)), (missing, _, None)) | ((missing, _, None), (_, origin, Some(_))) => {
            layers.refuse::<()>(
                &origin,
                format!("`{missing}` is missing: TLS needs a certificate and its key"),
            );
            Err(Noted)
        }
        ((_, _, None), (_, _, None)) => Ok(None),
    }
}
