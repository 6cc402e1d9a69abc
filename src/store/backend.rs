//! What the calls of a shared store and the task behind it have in common: the link to the server, and what stands there.

use std::{sync::Arc, time::Duration};

use jeton_oauth::{TokenId, clock::Clock};
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Script, aio::MultiplexedConnection};
use tokio::sync::{Notify, watch};

use super::mirror::Mirror;

/// What the calls and the task share.
pub(super) struct Backend {
    pub(super) client: Client,
    pub(super) timeouts: AsyncConnectionConfig,
    pub(super) prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mirror: Mirror,
    pub(super) link: watch::Sender<Link>,
    /// A call failed: the task looks at once.
    pub(super) suspected: Notify,
    pub(super) scripts: Scripts,
    /// For how long beyond its time something is kept, in seconds: the clocks of replicas differ.
    pub(super) slack: i64,
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
    pub(super) advance: Script,
    pub(super) end_family: Script,
    pub(super) revoke: Script,
    pub(super) news: Script,
}

/// For how long something is kept beyond its time by all clocks, in seconds.
const SLACK: i64 = 60;
/// The longest time for which the server is asked to keep something, in seconds: a hundred years.
const LONGEST: i64 = 100 * 366 * 24 * 60 * 60;

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

/// What came after a place; from the start, if that place was one of another set or of a later state of it. And the
/// server's time, in seconds.
const NEWS: &str = r"
local afresh, after = 0, ARGV[2]
local last = tonumber(redis.call('ZSCORE', KEYS[1], 'n') or 0)
if epoch ~= ARGV[1] or last < tonumber(after) then afresh, after = 1, '0' end
local page = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
return {afresh, epoch, page, tonumber(redis.call('TIME')[1])}
";

/// For how long beyond its time something is kept, in seconds, where clocks differ by `leeway`: a replica whose clock is
/// ahead by that much notes what another takes for longer.
pub(super) fn slack(leeway: Duration) -> i64 {
    SLACK.saturating_add_unsigned(leeway.as_secs())
}

impl Backend {
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

    pub(super) fn family_key(&self, family: &TokenId) -> String {
        format!("{}:family:{family}", self.prefix)
    }

    /// The key of the family stands in it as a hash tag, so both have one slot: a server in cluster mode refuses a
    /// script with keys of two. The prefix stays in front, for rights such as `~jeton:*`.
    pub(super) fn last_use_key(&self, family: &TokenId) -> String {
        format!("{}:used:{{{}}}", self.prefix, self.family_key(family))
    }

    /// For how many seconds the server keeps what is kept until `until`: by our clock, which the tokens are
    /// issued by, and as much longer as the clocks of others may be behind.
    pub(super) fn seconds_until(&self, until: i64) -> i64 {
        until.saturating_sub(self.clock.numeric_date()).saturating_add(self.slack).clamp(1, LONGEST)
    }

    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }
}

impl Scripts {
    pub(super) fn new() -> Self {
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

/// The revoked token of an entry. `None` if it is not an entry of a token.
pub(super) fn parse_entry(entry: &str) -> Option<(TokenId, i64)> {
    let (until, token) = entry.split_once(' ')?;
    Some((TokenId::parse(token).ok()?, until.parse().ok()?))
}

/// Whether the server refuses because its memory is full.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}
