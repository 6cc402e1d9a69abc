//! `[keys]`.

use std::{fmt, path::PathBuf, time::Duration};

use jeton_oauth::{RsaBits, SignatureAlgorithm};
use zeroize::Zeroizing;

use super::{
    NeededFolders,
    layers::Layers,
    secret_file::{self, without_newline},
    values::{duration, folder},
};

/// `[keys]`.
#[derive(Clone)]
pub struct KeySettings {
    /// The key folder.
    pub dir: PathBuf,
    /// The algorithm of new keys.
    pub algorithm: SignatureAlgorithm,
    /// The length of new RSA keys.
    pub rsa_bits: RsaBits,
    /// Whether a start without a key makes one.
    pub generate_if_missing: bool,
    /// For how long a new key is published before it signs.
    pub publish_ahead: Duration,
    /// After what time a server lets a new key follow; `None` for never.
    pub rotate_every: Option<Duration>,
    /// What encrypted keys are opened with, and new ones encrypted; read for a command that needs keys alone.
    pub passphrase: Option<Zeroizing<String>>,
}

/// Shows no passphrase.
impl fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySettings")
            .field("dir", &self.dir)
            .field("algorithm", &self.algorithm)
            .field("rsa_bits", &self.rsa_bits)
            .field("generate_if_missing", &self.generate_if_missing)
            .field("publish_ahead", &self.publish_ahead)
            .field("rotate_every", &self.rotate_every)
            .finish_non_exhaustive()
    }
}

impl KeySettings {
    pub(super) fn read(
        needs: NeededFolders,
        layers: &mut Layers,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let generate_if_missing = layers.switch("keys.generate_if_missing");
        let dir = layers.path("keys.dir", |dir| match (needs, generate_if_missing) {
            (NeededFolders::Everything, Some(false)) => folder(dir),
            (
                NeededFolders::Everything
                | NeededFolders::Policies
                | NeededFolders::Keys
                | NeededFolders::Nothing,
                _,
            ) => Ok(()),
        });
        let algorithm = layers.text("keys.algorithm", |text| {
            let unknown = || format!("`{text}` is not an algorithm: write RS256, PS256, ES256 or EdDSA");
            SignatureAlgorithm::parse(text).ok_or_else(unknown)
        });
        let rsa_bits = layers.number("keys.rsa_bits", |bits| match RsaBits::parse(bits) {
            Some(_) => Ok(bits),
            None => Err(format!("{bits} is not a length of RSA keys: write 2048, 3072 or 4096")),
        });
        let publish_ahead = layers.text("keys.publish_ahead", |text| match duration(text)? {
            Duration::ZERO => Err(format!(
                "`{text}`: a new key would sign before verifiers could fetch it: write `1h`, or some minutes"
            )),
            ahead => Ok(ahead),
        });
        let rotate_every = layers.text("keys.rotate_every", |text| match duration(text)? {
            Duration::ZERO => Ok(None),
            short if publish_ahead.is_some_and(|ahead| short < ahead) => Err(format!(
                "`{text}` is shorter than `keys.publish_ahead`: a key would be replaced before it signs"
            )),
            every => Ok(Some(every)),
        });
        let of_environment = layers.secret("keys.passphrase", "keys.passphrase_file");
        let passphrase = layers.file("keys.passphrase_file", |path| match (path, needs) {
            (None, _) => Ok(of_environment.map(|text| Zeroizing::new(without_newline(&text).to_owned()))),
            (Some(_), _) if of_environment.is_some() => {
                Err("JETON__KEYS__PASSPHRASE is set too: keep one of the passphrases".to_owned())
            }
            (Some(path), NeededFolders::Everything | NeededFolders::Keys) => {
                secret_file::read(&path, "passphrase", warnings).map(Some)
            }
            (Some(_), NeededFolders::Policies | NeededFolders::Nothing) => Ok(None),
        });
        Some(Self {
            dir: dir?,
            algorithm: algorithm?,
            rsa_bits: RsaBits::parse(rsa_bits?)?,
            generate_if_missing: generate_if_missing?,
            publish_ahead: publish_ahead?,
            rotate_every: rotate_every?,
            passphrase: passphrase?,
        })
    }
}
