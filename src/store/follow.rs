//! The task behind a shared store: it connects, follows what is revoked, and connects again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, aio::MultiplexedConnection};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time;
use tracing::field::display;

use super::backend::{Backend, Link, entry, is_full, parse_entry};
use crate::event;

/// How often the set of revoked tokens is asked for what is new.
const POLL: Duration = Duration::from_millis(250);
/// How many revoked tokens are read or written at a time.
const PAGE: usize = 1000;
/// The pause after the first attempt that failed; each further one is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Up to where the set of revoked tokens was read.
struct ReadUpTo {
    /// Which set it was.
    epoch: String,
    /// The place of the last token that was read.
    last: String,
}

/// What the log said last, so that it says each thing once.
#[derive(PartialEq)]
enum ToldLink {
    Nothing,
    Reachable,
    Unreachable(ErrorKind),
}

/// Never ends by itself.
pub(super) async fn follow(backend: Arc<Backend>) {
    let mut pause = SHORTEST_PAUSE;
    let mut told = ToldLink::Nothing;
    loop {
        match backend.connect().await {
            Ok((mut connection, place)) => {
                backend.link.send_replace(Link::Up(connection.clone()));
                backend.tell_reachable(&mut told);
                pause = SHORTEST_PAUSE;
                let error = backend.stay(&mut connection, place).await;
                event::StoreBroken { error: display(&error) }.debug();
                backend.link.send_replace(Link::Connecting);
            }
            Err(error) => {
                backend.tell_unreachable(&error, &mut told);
                backend.link.send_replace(Link::Down(error));
                time::sleep(with_jitter(pause)).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

impl Backend {
    /// Connects, and reads everything that is revoked: what a new connection leads to may be another server,
    /// or one that lost something.
    async fn connect(&self) -> Result<(MultiplexedConnection, ReadUpTo), RedisError> {
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&self.timeouts).await?;
        self.probe_with(&mut connection).await?;
        let mut place = ReadUpTo { epoch: String::new(), last: "0".to_owned() };
        self.read_news(&mut connection, &mut place).await?;
        self.mirror.set_read();
        Ok((connection, place))
    }

    /// Follows what is revoked until the connection fails.
    async fn stay(&self, connection: &mut MultiplexedConnection, mut place: ReadUpTo) -> RedisError {
        loop {
            let suspected = time::timeout(POLL, self.suspected.notified()).await.is_ok();
            let outcome = async {
                if suspected {
                    self.probe_with(connection).await?;
                }
                let server_time = self.read_news(connection, &mut place).await?;
                self.drop_passed(connection, server_time).await
            };
            if let Err(error) = outcome.await {
                return error;
            }
        }
    }

    async fn probe_with(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        match self.probe().query_async(connection).await {
            Err(error) if !is_full(&error) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads what was revoked since the last time. Where that means everything, what is known here and not
    /// there is written back: a server that came back empty learns it again. Returns the server's time.
    async fn read_news(
        &self,
        connection: &mut MultiplexedConnection,
        place: &mut ReadUpTo,
    ) -> Result<i64, RedisError> {
        let mut there: Option<HashSet<_>> = None;
        let server_time = loop {
            let mut news = self.scripts.news.key(self.revoked_key());
            news.arg(&place.epoch).arg(&place.last).arg(PAGE);
            let (afresh, epoch, page, server_time): (bool, String, Vec<(String, String)>, i64) =
                news.invoke_async(connection).await?;
            place.epoch = epoch;
            if afresh {
                "0".clone_into(&mut place.last);
                there = Some(HashSet::new());
            }
            let is_last = page.len() < PAGE;
            for (text, score) in page {
                place.last = score;
                if let Some((token, until)) = parse_entry(&text) {
                    if let Some(there) = &mut there {
                        there.insert(token.clone());
                    }
                    self.mirror.add(token, until);
                }
            }
            if is_last {
                break server_time;
            }
        };
        let Some(there) = there else { return Ok(server_time) };
        for missing in self.mirror.beyond(&there).chunks(PAGE) {
            let entries: Vec<_> = missing.iter().map(|(token, until)| entry(token, *until)).collect();
            let () =
                self.scripts.revoke.key(self.revoked_key()).arg(entries).invoke_async(connection).await?;
        }
        Ok(server_time)
    }

    /// Forgets what has passed, here and there: by our clock and by the server's, so that one that is far ahead takes
    /// nothing from the other replicas.
    async fn drop_passed(
        &self,
        connection: &mut MultiplexedConnection,
        server_time: i64,
    ) -> Result<(), RedisError> {
        let now = self.clock.numeric_date().min(server_time);
        let passed = self.mirror.drop_passed(now.saturating_sub(self.slack));
        if passed.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = passed.iter().map(|(token, until)| entry(token, *until)).collect();
        redis::cmd("ZREM").arg(self.revoked_key()).arg(entries).query_async(connection).await
    }

    fn tell_reachable(&self, told: &mut ToldLink) {
        if *told != ToldLink::Reachable {
            *told = ToldLink::Reachable;
            let address = self.client.get_connection_info().addr();
            event::StoreReachable { address: display(&address) }.info();
        }
    }

    fn tell_unreachable(&self, error: &RedisError, told: &mut ToldLink) {
        let now = ToldLink::Unreachable(error.kind());
        if *told != now {
            *told = now;
            let address = self.client.get_connection_info().addr();
            let refused = error.kind() == ErrorKind::AuthenticationFailed || error.code() == Some("NOAUTH");
            let hint = refused.then_some("the password is refused: see `store.password_file`");
            event::StoreUnreachable { address: display(&address), error: display(error), hint }.warn();
        }
    }
}

/// Somewhat less than `pause`, so that replicas do not all come back at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // without randomness there is no jitter
    let _ = SystemRandom::new().fill(&mut byte);
    pause.saturating_sub(pause * u32::from(byte[0]) / 1024)
}
