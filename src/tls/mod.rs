//! Certificates of the listeners, and their keys: each pair is read as a whole, judged, and read again while the server
//! runs. And certificates that clients show: what they say, and who vouches for them.

mod authorities;
mod dates;
mod error;
mod names;
mod pair;
mod shown;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jeton_oauth::clock::Clock;
use jeton_policy::files::{Latest, Rejection, Reload, Swapped};
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;

use self::pair::PairFiles;
pub use self::{
    authorities::{AuthoritiesReload, AuthorityFile, ClientAuthorities, FileHash, LiveAuthorities},
    error::{TlsError, TlsErrors, TlsFault},
    pair::ServedPair,
    shown::{BadCertificate, ShownCertificate},
};

/// How long before its end a certificate is to be replaced.
const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A listener that may have TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerName {
    /// The main listener.
    Server,
    /// The admin listener.
    Admin,
}

impl ListenerName {
    /// As settings, log and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Admin => "admin",
        }
    }
}

/// Whether a listener asks clients for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not.
    Off,
    /// It does, and takes connections without one too.
    Optional,
}

/// Whether clients take a certificate, as far as time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Not before this time.
    NotYet(Timestamp),
    /// For more than 14 days.
    Good,
    /// Until this time, which is less than 14 days away.
    EndsSoon(Timestamp),
    /// Not since this time.
    Ended(Timestamp),
}

/// The outcome of a reading of certificate and key.
pub type CertificateReload = Reload<Swapped<ServedPair>, TlsErrors>;

/// The certificate of a listener and its key. Connections are never kept waiting; another pair replaces this one as a whole.
pub struct LiveCertificate {
    listener: ListenerName,
    latest: Latest<PairFiles>,
    clock: Arc<dyn Clock>,
}

impl LiveCertificate {
    /// Reads both files for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with them, by setting and file.
    pub fn load(
        listener: ListenerName,
        cert_file: PathBuf,
        key_file: PathBuf,
        client_certificates: ClientCertificates,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsErrors> {
        let files = PairFiles { listener, cert_file, key_file, client_certificates };
        Ok(Self { listener, latest: Latest::load(files, Arc::clone(&clock))?, clock })
    }

    /// Whose it is.
    pub fn listener(&self) -> ListenerName {
        self.listener
    }

    /// What is served to new connections now.
    pub fn pair(&self) -> Arc<ServedPair> {
        self.latest.snapshot()
    }

    /// When the certificate ends.
    pub fn expires(&self) -> Timestamp {
        self.latest.current().not_after()
    }

    /// Whether clients take the certificate now, as far as time goes.
    pub fn validity(&self) -> Validity {
        self.latest.current().validity(self.clock.now(), AHEAD)
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<TlsErrors>>> {
        self.latest.last_rejection()
    }

    /// What a new connection is served with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(self.latest.current().config())
    }

    /// Reads both files again, and lets them take over if they hold something else and nothing is wrong.
    pub(crate) fn reload(&self) -> CertificateReload {
        self.latest.reload()
    }

    /// As [`Self::reload`], but only what two polls in a row saw.
    pub(crate) fn poll(&self) -> CertificateReload {
        self.latest.poll()
    }

    /// Notes that a reload did not come to its end; what was in force stays.
    pub(crate) fn reload_failed(&self) {
        self.latest.failed(TlsErrors::failed(self.listener));
    }

    /// Whether so much time has gone since `before`.
    pub(crate) fn is_past(&self, before: Timestamp, time: Duration) -> bool {
        SignedDuration::try_from(time).is_ok_and(|time| self.clock.now().duration_since(before) >= time)
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The certificates of all listeners that have TLS.
#[derive(Clone, Default)]
pub struct Certificates(Vec<Arc<LiveCertificate>>);

impl Certificates {
    pub(crate) fn new(all: Vec<Arc<LiveCertificate>>) -> Self {
        Self(all)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<LiveCertificate>> {
        self.0.iter()
    }

    /// That of a listener, if it has TLS.
    pub fn of(&self, listener: ListenerName) -> Option<&Arc<LiveCertificate>> {
        self.iter().find(|certificate| certificate.listener == listener)
    }
}
