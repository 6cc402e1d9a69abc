//! The store that all replicas share: a Redis or Valkey server.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jeton_oauth::{TokenId, clock::Clock};
use jeton_policy::files;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time,
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    FamilyAdvance, NameUse, OnceName, RefreshUse, RevocationsUnknown, StoreError, StoreState,
    backend::{self, Backend, Link, Scripts, entry, is_full},
    follow,
    mirror::Mirror,
};

/// Where the server is and how to speak to it. Has no `Debug`, for it holds a password.
pub struct SharedStoreOptions {
    /// `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS.
    pub url: String,
    /// The password, in the place of one in the URL.
    pub password: Option<Zeroizing<String>>,
    /// What the names of all keys start with, without `{` and `}`, which choose the slot in a cluster.
    pub prefix: String,
    /// A PEM file of the authorities that the server's certificate is checked against, in the place of
    /// those of the system.
    pub ca: Option<PathBuf>,
}

/// Why a shared store cannot be set up. Never says what stands in the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreOptionsError {
    /// The URL is not one of a server.
    #[error("the URL of the store {0}: write `redis://HOST:PORT`, or `rediss://HOST:PORT` for TLS")]
    Url(&'static str),
    /// The library refuses the URL.
    #[error("the URL of the store: {0}")]
    Refused(#[source] RedisError),
    /// The file of authorities cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of authorities holds none.
    #[error("{}: there is no certificate in it: it holds `CERTIFICATE` blocks (PEM)", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// There are authorities, and nothing to check against them.
    #[error("a file of certificate authorities needs TLS: write `rediss://`")]
    AuthoritiesWithoutTls,
}

/// A Redis or Valkey server that all replicas share. It needs version 6 or later.
///
/// Every call ends within about a second, and fails while the server is away. A task behind it connects,
/// keeps what is revoked in memory, and connects again; it ends when this is dropped.
pub struct SharedStore {
    backend: Arc<Backend>,
    task: JoinHandle<()>,
}

/// How long a call takes at most.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long the server has for one answer.
const ANSWER: Duration = Duration::from_millis(800);
/// The longest file of authorities, in bytes: those of all the world have a quarter of it.
const LONGEST_AUTHORITIES: u64 = 1024 * 1024;
/// How many revoked tokens are known when no more are taken.
const ROOM: usize = 1_000_000;

impl SharedStore {
    /// Holds that these options can work, without connecting.
    ///
    /// # Errors
    /// [`StoreOptionsError`]: they never can.
    pub fn check(options: &SharedStoreOptions) -> Result<(), StoreOptionsError> {
        client(options).map(drop)
    }

    /// Starts to connect. What is noted is kept for as long as replicas whose clocks differ by `leeway` (cut to whole seconds)
    /// may ask for it. Must run within a tokio (or actix) runtime that lives as long as the store. A
    /// server that is away is no error: the calls fail until it is there.
    ///
    /// # Errors
    /// [`StoreError::Options`]: it can never work like this.
    pub fn start(
        options: SharedStoreOptions,
        clock: Arc<dyn Clock>,
        leeway: Duration,
    ) -> Result<Self, StoreError> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(ANSWER));
        let backend = Arc::new(Backend {
            client: client(&options)?,
            timeouts,
            prefix: options.prefix,
            clock,
            mirror: Mirror::new(),
            link: watch::Sender::new(Link::Connecting),
            suspected: Notify::new(),
            scripts: Scripts::new(),
            slack: backend::slack(leeway),
        });
        let task = tokio::spawn(follow::follow(Arc::clone(&backend)));
        Ok(Self { backend, task })
    }

    /// One use of a refresh token. A family of which nothing is known expects any generation, so
    /// after a loss of data the newest token goes on, and older ones are reuse.
    ///
    /// # Errors
    /// As [`Store::use_once`](super::Store::use_once).
    pub async fn advance(&self, used: &RefreshUse<'_>) -> Result<FamilyAdvance, StoreError> {
        let keys = (self.backend.family_key(used.family), self.backend.last_use_key(used.family));
        let seconds = self.backend.seconds_until(used.until);
        let scopes = OnceName::of(&[used.scopes.to_string().as_bytes()]).text();
        let grace = i64::try_from(used.grace.as_millis()).unwrap_or(i64::MAX);
        let answer: String = self
            .ask(async |mut connection| {
                let mut script = self.backend.scripts.advance.key(keys.0);
                script.key(keys.1).arg(used.generation).arg(seconds).arg(scopes).arg(grace);
                script.invoke_async(&mut connection).await
            })
            .await?;
        match answer.as_str() {
            "taken" => Ok(FamilyAdvance::Taken),
            "retried" => Ok(FamilyAdvance::Retried),
            "reused" => Ok(FamilyAdvance::Reused),
            "ended" => Ok(FamilyAdvance::Ended),
            _ => Err(StoreError::Unreachable((ErrorKind::UnexpectedReturnType, "an unknown answer").into())),
        }
    }

    /// Ends a refresh family; kept until `until` (seconds since 1970-01-01T00:00:00Z).
    ///
    /// # Errors
    /// As [`Store::use_once`](super::Store::use_once).
    pub async fn end_family(&self, family: &TokenId, until: i64) -> Result<(), StoreError> {
        let key = self.backend.family_key(family);
        let seconds = self.backend.seconds_until(until);
        self.ask(async |mut connection| {
            let script = &self.backend.scripts.end_family;
            script.key(key).arg(seconds).invoke_async(&mut connection).await
        })
        .await
    }

    /// Revokes a token until `until` (seconds since 1970-01-01T00:00:00Z). Here it holds when this returns,
    /// in the other replicas within a second.
    ///
    /// # Errors
    /// As [`Store::use_once`](super::Store::use_once); the token may or may not be revoked.
    pub async fn revoke(&self, token: &TokenId, until: i64) -> Result<(), StoreError> {
        if self.backend.mirror.len() >= ROOM {
            return Err(StoreError::Full);
        }
        let (key, entry) = (self.backend.revoked_key(), entry(token, until));
        let () = self
            .ask(async |mut connection| {
                self.backend.scripts.revoke.key(key).arg(entry).invoke_async(&mut connection).await
            })
            .await?;
        self.backend.mirror.add(token.clone(), until);
        Ok(())
    }

    pub(super) async fn use_once(&self, name: OnceName, until: i64) -> Result<NameUse, StoreError> {
        let key = format!("{}:once:{}", self.backend.prefix, name.text());
        let seconds = self.backend.seconds_until(until);
        let set: Option<String> = self
            .ask(async |mut connection| {
                let mut command = redis::cmd("SET");
                command.arg(key).arg(1).arg("NX").arg("EX").arg(seconds);
                command.query_async(&mut connection).await
            })
            .await?;
        Ok(if set.is_some() { NameUse::First } else { NameUse::Again })
    }

    pub(super) fn is_revoked(&self, token: &str) -> Result<bool, RevocationsUnknown> {
        self.backend.mirror.is_revoked(token)
    }

    pub(super) fn state(&self) -> StoreState {
        match &*self.backend.link.borrow() {
            _ if !self.backend.mirror.was_read() => StoreState::NotYetRead,
            Link::Up(_) => StoreState::Ready,
            Link::Connecting | Link::Down(_) => StoreState::Unreachable,
        }
    }

    /// Sends a command, and waits for connection and answer for [`DEADLINE`] at most. It is not repeated:
    /// one that failed may have been carried out.
    async fn ask<T, F>(&self, command: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let answer = async {
            let mut link = self.backend.link.subscribe();
            let settled = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
            let link = settled.map_or(Link::Connecting, |link| link.clone());
            match link {
                Link::Up(connection) => command(connection).await.inspect_err(|_| self.backend.suspect()),
                Link::Down(error) => Err(error),
                Link::Connecting => Err(too_late()),
            }
        };
        let answer = time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| {
            self.backend.suspect();
            Err(too_late())
        });
        answer
            .map_err(|error| if is_full(&error) { StoreError::Full } else { StoreError::Unreachable(error) })
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn too_late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

fn client(options: &SharedStoreOptions) -> Result<Client, StoreOptionsError> {
    let url = Url::parse(&options.url).map_err(|_| StoreOptionsError::Url("is not a URL"))?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(StoreOptionsError::Url("has the wrong scheme")),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(StoreOptionsError::Url("has no host"));
    }
    // the library takes `#insecure` for not checking certificates
    if url.fragment().is_some() || url.query().is_some() {
        return Err(StoreOptionsError::Url("has a `?` or `#`"));
    }
    let mut info = options.url.as_str().into_connection_info().map_err(StoreOptionsError::Refused)?;
    if let Some(password) = &options.password {
        let settings = info.redis_settings().clone().set_password(password.as_str());
        info = info.set_redis_settings(settings);
    }
    if tls {
        // a second call keeps the first provider
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    match &options.ca {
        None => Client::open(info).map_err(StoreOptionsError::Refused),
        Some(_) if !tls => Err(StoreOptionsError::AuthoritiesWithoutTls),
        Some(path) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(authorities(path)?) };
            Client::build_with_tls(info, certificates).map_err(StoreOptionsError::Refused)
        }
    }
}

/// The text of a PEM file with at least one certificate.
fn authorities(path: &Path) -> Result<Vec<u8>, StoreOptionsError> {
    let text = files::read(path, LONGEST_AUTHORITIES)
        .map_err(|error| StoreOptionsError::Authorities { path: path.to_owned(), source: error.into() })?;
    let blocks = pem::parse_many(&text).unwrap_or_default();
    if blocks.iter().any(|block| block.tag() == "CERTIFICATE") {
        Ok(text)
    } else {
        Err(StoreOptionsError::NoAuthority { path: path.to_owned() })
    }
}
