//! How many connections there may be: fewer than files that may be open, so that the log, the store, a reload and what an
//! operator asks for find room whatever clients do.

use std::{
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::event::{FewConnections, ServerFull};

/// The most connections, however many files may be open: each may hold some 20 KiB.
const MOST: usize = 16_384;
/// The fewest: one for each of two workers.
const FEWEST: usize = 2;
/// The most connections of the admin listener, and what part of all they are where there are few.
const MOST_ADMIN: usize = 64;
const ADMIN_PART: usize = 8;
/// How many files are left for what is not a connection of a client.
const RESERVE: usize = 12;
/// How many files a worker opens for itself, and the admin listener for what accepts its connections.
const OF_A_WORKER: usize = 3;
const OF_AN_ACCEPTOR: usize = 3;
/// Where it is not known, how many files are open before the first connection.
const USUALLY_OPEN: usize = 24;
/// For how long there must have been room before the log says again that there is none.
const ROOM: Duration = Duration::from_mins(1);

/// The seats of the connections of a listener.
pub(crate) struct Seats {
    /// Which one.
    listener: &'static str,
    workers: usize,
    bound: usize,
    taken: AtomicUsize,
    /// When all were taken last.
    full_at: Mutex<Option<Instant>>,
}

/// One of them, while this lives.
pub(in crate::http) struct Seat(Arc<Seats>);

/// Lets as many files be open as the system allows this process to ask for.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // where it is not allowed, the bound is by what is
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// How many seats the listeners have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    server: usize,
    admin: usize,
}

impl Shares {
    /// With so many files at most, and so many that are open already.
    fn of(limit: usize, open: usize, has_admin: bool) -> Self {
        let room = limit.saturating_sub(open + RESERVE);
        let admin = if has_admin { (room / ADMIN_PART).clamp(FEWEST, MOST_ADMIN) } else { 0 };
        Self { server: room.saturating_sub(admin).clamp(FEWEST, MOST), admin }
    }
}

impl Seats {
    /// As many as there is room for with the files that are open now: for the main listener with this many workers, and
    /// for the admin listener, which has one. A crowd at one of them takes no seat of the other.
    pub(crate) fn of_this_process(workers: usize, has_admin: bool) -> (Arc<Self>, Arc<Self>) {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let open = fs::read_dir("/proc/self/fd").map_or(USUALLY_OPEN, Iterator::count);
        let of_admin = if has_admin { OF_A_WORKER + OF_AN_ACCEPTOR } else { 0 };
        let shares = Shares::of(limit, open + workers * OF_A_WORKER + of_admin, has_admin);
        if shares.server <= 64 {
            FewConnections { connections: shares.server, open_files: limit }.warn();
        }
        (Self::new("server", workers, shares.server), Self::new("admin", 1, shares.admin))
    }

    /// At most `bound` seats, the same number for each worker and at least one.
    pub(super) fn new(listener: &'static str, workers: usize, bound: usize) -> Arc<Self> {
        let bound = (bound / workers).max(1) * workers;
        Arc::new(Self { listener, workers, bound, taken: AtomicUsize::new(0), full_at: Mutex::default() })
    }

    /// The most connections for each worker.
    pub(super) fn for_each_worker(&self) -> usize {
        self.bound / self.workers
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Takes a seat for a connection.
    pub(in crate::http) fn take(self: &Arc<Self>) -> Seat {
        if self.taken.fetch_add(1, Ordering::Relaxed) + 1 >= self.bound && self.is_full_anew() {
            ServerFull { listener: self.listener, connections: self.bound }.warn();
        }
        Seat(Arc::clone(self))
    }

    /// Notes that all seats are taken. Whether there was room for a while before: in a crowd a seat gets free now and then,
    /// and somebody who waits takes it at once.
    fn is_full_anew(&self) -> bool {
        let now = Instant::now();
        let before = self.full_at.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        before.is_none_or(|before| now - before >= ROOM)
    }
}

impl Seat {
    /// Whether more than half of all seats are taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed) > self.0.bound / 2
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        for (limit, open, server, with_admin, admin) in [
            (usize::MAX, 30, MOST, MOST, 64),
            (1024, 30, 982, 918, 64),
            (64, 20, 32, 28, 4),
            (32, 20, FEWEST, FEWEST, FEWEST),
            (0, 20, FEWEST, FEWEST, FEWEST),
        ] {
            let shares = [false, true].map(|has_admin| Shares::of(limit, open, has_admin));
            let expected = [Shares { server, admin: 0 }, Shares { server: with_admin, admin }];
            assert_eq!(shares, expected, "{limit} with {open}");
        }
    }

    #[test]
    fn each_worker_has_as_many_seats_as_the_others() {
        for (workers, bound, each) in [(2, 32, 16), (2, 33, 16), (2, 1, 1), (1, 64, 64), (16, 2, 1)] {
            let seats = Seats::new("server", workers, bound);
            assert_eq!((seats.for_each_worker(), seats.bound), (each, each * workers), "{workers}, {bound}");
        }
    }

    #[test]
    fn more_than_half_is_a_crowd() {
        let seats = Seats::new("server", 2, 32);
        let mut taken: Vec<_> = (0..16).map(|_| seats.take()).collect();
        assert!(!taken[0].is_crowded());
        taken.push(seats.take());
        assert!(taken[0].is_crowded());
        taken.pop();
        assert!(!taken[0].is_crowded());
    }

    /// In a crowd that refills each free seat, it is told once.
    #[tokio::test(start_paused = true)]
    async fn a_full_server_is_told_once_until_there_was_room_for_a_while() {
        let seats = Seats::new("server", 1, 4);
        assert!(seats.is_full_anew());
        for _ in 0..300 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!seats.is_full_anew());
        }
        tokio::time::advance(ROOM).await;
        assert!(seats.is_full_anew());
        assert!(!seats.is_full_anew());
    }
}
