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
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, RedisError, Script, TlsCertificates,
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
    Advance, OnceName, RefreshUse, RevocationsUnknown, StoreError, StoreState, Use, follow, mirror::Mirror,
};

/// Where the server is and how to speak to it. Has no `Debug`, for it holds a password.
pub struct SharedOptions {
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
pub enum OptionsError {
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
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

/// What the calls and the task share.
pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) timeouts: AsyncConnectionConfig,
    pub(super) prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mirror: Mirror,
    pub(super) link: watch::Sender<Link>,
    /// A call failed: the task looks at once.
    pub(super) suspected: Notify,
    pub(super) scripts: Scripts,
}

/// How the connection is.
#[derive(Clone)]
pub(super) enum Link {
    /// It is being made, for the first time or because it broke. Calls wait.
    Connecting,
    /// It works. Every worker sends through this one.
    Up(MultiplexedConnection),
    /// It could not be made. Calls fail at once, and the task tries again.
    Down(RedisError),
}

/// What the server does in one step.
pub(super) struct Scripts {
    advance: Script,
    end_family: Script,
    pub(super) revoke: Script,
    pub(super) news: Script,
}

/// How long a call takes at most.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long the server has for one answer.
const ANSWER: Duration = Duration::from_millis(800);
/// For how long beyond its time something is kept on the server, in seconds: clocks differ.
pub(super) const SLACK: i64 = 60;
/// The longest time for which the server is asked to keep something, in seconds: a hundred years.
const LONGEST: i64 = 100 * 366 * 24 * 60 * 60;
/// The longest file of authorities, in bytes: those of all the world have a quarter of it.
const LONGEST_AUTHORITIES: u64 = 1024 * 1024;
/// How many revoked tokens are known when no more are taken.
const ROOM: usize = 1_000_000;

/// The generation that is expected next, or `ended`. What is kept is never kept for shorter than before.
///
/// Beside it stands the last first use, for retries: generation, scopes, time. It is a key of its own, so that replicas
/// from before, which know nothing of it, read the other as ever; what they use up leaves here what fits no retry.
///
/// The time is the server's, since the clocks of replicas may differ by more than a grace.
const ADVANCE: &str = r"
local stored, generation = redis.call('GET', KEYS[1]), tonumber(ARGV[1])
local seconds = math.max(tonumber(ARGV[2]), redis.call('TTL', KEYS[1]))
local use, grace, time = ARGV[1] .. ' ' .. ARGV[3] .. ' ', tonumber(ARGV[4]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if stored == 'ended' then return 'ended' end
if stored and generation < tonumber(stored) then
  local last = redis.call('GET', KEYS[2]) or ''
  local began = tonumber(string.sub(last, #use + 1))
  if generation + 1 == tonumber(stored) and string.sub(last, 1, #use) == use
      and began and now - began < grace then
    return 'retried'
  end
  redis.call('SET', KEYS[1], 'ended', 'EX', seconds)
  return 'reused'
end
redis.call('SET', KEYS[1], string.format('%.0f', generation + 1), 'EX', seconds)
if grace > 0 then redis.call('SET', KEYS[2], use .. string.format('%.0f', now), 'PX', grace) end
return 'taken'
";

const END_FAMILY: &str = r"
local seconds = math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1]))
redis.call('SET', KEYS[1], 'ended', 'EX', seconds)
";

/// The set of revoked tokens: the score is the place in the order in which they came. The member `n` has the
/// last place that was given, and the member with place 0 tells this set from one that was lost.
const REVOKED_SET: &str = r"
local epoch = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if not epoch then
  local now = redis.call('TIME')
  epoch = 'e' .. now[1] .. '.' .. now[2]
  redis.call('ZADD', KEYS[1], 0, epoch)
end
";

/// Adds what is not in the set yet.
const REVOKE: &str = r"
for _, entry in ipairs(ARGV) do
  if not redis.call('ZSCORE', KEYS[1], entry) then
    redis.call('ZADD', KEYS[1], redis.call('ZINCRBY', KEYS[1], 1, 'n'), entry)
  end
end
";

/// What came after a place; from the start, if that place was one of another set or of a later state of it.
const NEWS: &str = r"
local afresh, after = 0, ARGV[2]
local last = tonumber(redis.call('ZSCORE', KEYS[1], 'n') or 0)
if epoch ~= ARGV[1] or last < tonumber(after) then afresh, after = 1, '0' end
local page = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
return {afresh, epoch, page}
";

impl SharedStore {
    /// Starts to connect. Must run within a tokio (or actix) runtime that lives as long as the store. A
    /// server that is away is no error: the calls fail until it is there.
    ///
    /// # Errors
    /// [`StoreError::Options`]: it can never work like this.
    pub fn start(options: SharedOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(ANSWER));
        let inner = Arc::new(Inner {
            client: client(&options)?,
            timeouts,
            prefix: options.prefix,
            clock,
            mirror: Mirror::new(),
            link: watch::Sender::new(Link::Connecting),
            suspected: Notify::new(),
            scripts: Scripts::new(),
        });
        let task = tokio::spawn(follow::follow(Arc::clone(&inner)));
        Ok(Self { inner, task })
    }

    /// One use of a refresh token. A family of which nothing is known expects any generation, so
    /// after a loss of data the newest token goes on, and older ones are reuse.
    ///
    /// # Errors
    /// As [`Store::use_once`](super::Store::use_once).
    pub async fn advance(&self, used: &RefreshUse<'_>) -> Result<Advance, StoreError> {
        let keys = (self.inner.family_key(used.family), self.inner.last_use_key(used.family));
        let seconds = self.inner.seconds_until(used.until);
        let scopes = OnceName::of(&[used.scopes.to_string().as_bytes()]).text();
        let grace = i64::try_from(used.grace.as_millis()).unwrap_or(i64::MAX);
        let answer: String = self
            .ask(async |mut connection| {
                let mut script = self.inner.scripts.advance.key(keys.0);
                script.key(keys.1).arg(used.generation).arg(seconds).arg(scopes).arg(grace);
                script.invoke_async(&mut connection).await
            })
            .await?;
        match answer.as_str() {
            "taken" => Ok(Advance::Taken),
            "retried" => Ok(Advance::Retried),
            "reused" => Ok(Advance::Reused),
            "ended" => Ok(Advance::Ended),
            _ => Err(StoreError::Unreachable((ErrorKind::UnexpectedReturnType, "an unknown answer").into())),
        }
    }

    /// Ends a refresh family; kept until `until` (seconds since 1970-01-01T00:00:00Z).
    ///
    /// # Errors
    /// As [`Store::use_once`](super::Store::use_once).
    pub async fn end_family(&self, family: &TokenId, until: i64) -> Result<(), StoreError> {
        let key = self.inner.family_key(family);
        let seconds = self.inner.seconds_until(until);
        self.ask(async |mut connection| {
            let script = &self.inner.scripts.end_family;
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
        if self.inner.mirror.len() >= ROOM {
            return Err(StoreError::Full);
        }
        let (key, entry) = (self.inner.revoked_key(), entry(token, until));
        let () = self
            .ask(async |mut connection| {
                self.inner.scripts.revoke.key(key).arg(entry).invoke_async(&mut connection).await
            })
            .await?;
        self.inner.mirror.add(token.clone(), until);
        Ok(())
    }

    pub(super) async fn use_once(&self, name: OnceName, until: i64) -> Result<Use, StoreError> {
        let key = format!("{}:once:{}", self.inner.prefix, name.text());
        let seconds = self.inner.seconds_until(until);
        let set: Option<String> = self
            .ask(async |mut connection| {
                let mut command = redis::cmd("SET");
                command.arg(key).arg(1).arg("NX").arg("EX").arg(seconds);
                command.query_async(&mut connection).await
            })
            .await?;
        Ok(if set.is_some() { Use::First } else { Use::Again })
    }

    pub(super) fn is_revoked(&self, token: &str) -> Result<bool, RevocationsUnknown> {
        self.inner.mirror.is_revoked(token)
    }

    pub(super) fn state(&self) -> StoreState {
        match &*self.inner.link.borrow() {
            _ if !self.inner.mirror.was_read() => StoreState::NotYetRead,
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
            let mut link = self.inner.link.subscribe();
            let settled = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
            let link = settled.map_or(Link::Connecting, |link| link.clone());
            match link {
                Link::Up(connection) => command(connection).await.inspect_err(|_| self.inner.suspect()),
                Link::Down(error) => Err(error),
                Link::Connecting => Err(too_late()),
            }
        };
        let answer = time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| {
            self.inner.suspect();
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

impl Inner {
    /// The key of the set of revoked tokens.
    pub(super) fn revoked_key(&self) -> String {
        format!("{}:revoked", self.prefix)
    }

    /// A command that fails where writing is not possible, as on a server that became a replica.
    pub(super) fn probe(&self) -> Cmd {
        let mut command = redis::cmd("SET");
        command.arg(format!("{}:probe", self.prefix)).arg(1).arg("EX").arg(SLACK);
        command
    }

    fn family_key(&self, family: &TokenId) -> String {
        format!("{}:family:{family}", self.prefix)
    }

    /// The key of the family stands in it as a hash tag, so both have one slot: a server in cluster mode refuses a
    /// script with keys of two. The prefix stays in front, for rights such as `~jeton:*`.
    fn last_use_key(&self, family: &TokenId) -> String {
        format!("{}:used:{{{}}}", self.prefix, self.family_key(family))
    }

    /// For how many seconds the server keeps what is kept until `until`: by our clock, which the tokens are
    /// issued by, and a little longer.
    fn seconds_until(&self, until: i64) -> i64 {
        until.saturating_sub(self.clock.numeric_date()).saturating_add(SLACK).clamp(1, LONGEST)
    }

    fn suspect(&self) {
        self.suspected.notify_one();
    }
}

impl Scripts {
    fn new() -> Self {
        Self {
            advance: Script::new(ADVANCE),
            end_family: Script::new(END_FAMILY),
            revoke: Script::new(&[REVOKED_SET, REVOKE].concat()),
            news: Script::new(&[REVOKED_SET, NEWS].concat()),
        }
    }
}

/// A revoked token as it stands in the set.
pub(super) fn entry(token: &TokenId, until: i64) -> String {
    format!("{until} {token}")
}

/// The revoked token of an entry; `None` for what is none.
pub(super) fn parse_entry(entry: &str) -> Option<(TokenId, i64)> {
    let (until, token) = entry.split_once(' ')?;
    Some((TokenId::parse(token).ok()?, until.parse().ok()?))
}

/// Whether the server refuses because its memory is full.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}

fn too_late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

fn client(options: &SharedOptions) -> Result<Client, OptionsError> {
    let url = Url::parse(&options.url).map_err(|_| OptionsError::Url("is not a URL"))?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(OptionsError::Url("has the wrong scheme")),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(OptionsError::Url("has no host"));
    }
    // the library takes `#insecure` for not checking certificates
    if url.fragment().is_some() || url.query().is_some() {
        return Err(OptionsError::Url("has a `?` or `#`"));
    }
    let mut info = options.url.as_str().into_connection_info().map_err(OptionsError::Refused)?;
    if let Some(password) = &options.password {
        let settings = info.redis_settings().clone().set_password(password.as_str());
        info = info.set_redis_settings(settings);
    }
    if tls {
        // a second call keeps the first provider
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    match &options.ca {
        None => Client::open(info).map_err(OptionsError::Refused),
        Some(_) if !tls => Err(OptionsError::AuthoritiesWithoutTls),
        Some(path) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(authorities(path)?) };
            Client::build_with_tls(info, certificates).map_err(OptionsError::Refused)
        }
    }
}

/// The text of a PEM file with at least one certificate.
fn authorities(path: &Path) -> Result<Vec<u8>, OptionsError> {
    let text = files::read(path, LONGEST_AUTHORITIES)
        .map_err(|error| OptionsError::Authorities { path: path.to_owned(), source: error.into() })?;
    let blocks = pem::parse_many(&text).unwrap_or_default();
    if blocks.iter().any(|block| block.tag() == "CERTIFICATE") {
        Ok(text)
    } else {
        Err(OptionsError::NoAuthority { path: path.to_owned() })
    }
}
