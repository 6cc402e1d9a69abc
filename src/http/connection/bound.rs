//! How many connections there may be: fewer than files that may be open, so that the log, the store, a reload and what an
//! operator asks for find room whatever clients do.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::event::FewConnections;

/// The most connections, however many files may be open: each may hold some 20 KiB.
const MOST: usize = 16_384;
/// The fewest: one for each of two workers.
const FEWEST: usize = 2;
/// How many files are left for what is not a connection of a client.
const RESERVE: usize = 12;
/// How many files a worker opens for itself.
const OF_A_WORKER: usize = 3;
/// Where it is not known, how many files are open before the first connection.
const USUALLY_OPEN: usize = 24;

/// The seats of all connections.
pub(in crate::http) struct Seats {
    bound: usize,
    taken: AtomicUsize,
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

impl Seats {
    /// As many as there is room for beside `workers`, with the files that are open now.
    pub(in crate::http) fn of_this_process(workers: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let open = fs::read_dir("/proc/self/fd").map_or(USUALLY_OPEN, Iterator::count);
        let seats = Self::beside(limit, open + workers * OF_A_WORKER);
        if seats.bound <= 64 {
            FewConnections { connections: seats.bound, open_files: limit }.warn();
        }
        seats
    }

    pub(super) fn beside(limit: usize, open: usize) -> Self {
        let bound = limit.saturating_sub(open + RESERVE).clamp(FEWEST, MOST);
        Self { bound, taken: AtomicUsize::new(0) }
    }

    /// The most connections for each of `workers`.
    pub(in crate::http) fn for_each_of(&self, workers: usize) -> usize {
        (self.bound / workers).max(1)
    }

    /// Takes a seat for a connection.
    pub(in crate::http) fn take(self: &Arc<Self>) -> Seat {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(self))
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
        for (limit, open, bound) in
            [(usize::MAX, 30, MOST), (1024, 30, 982), (64, 20, 32), (32, 20, FEWEST), (0, 20, FEWEST)]
        {
            assert_eq!(Seats::beside(limit, open).bound, bound, "{limit} with {open}");
        }
    }

    #[test]
    fn more_than_half_is_a_crowd() {
        let seats = Arc::new(Seats::beside(64, 20));
        let mut taken: Vec<_> = (0..16).map(|_| seats.take()).collect();
        assert!(!taken[0].is_crowded());
        taken.push(seats.take());
        assert!(taken[0].is_crowded());
        taken.pop();
        assert!(!taken[0].is_crowded());
    }
}
