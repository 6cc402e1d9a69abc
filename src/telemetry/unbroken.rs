//! Lines that stay whole where a write failed.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// A writer of lines. Where a disk was full in the middle of one, the next line begins on a line of its own.
#[derive(Clone)]
pub(super) struct Unbroken<M> {
    to: M,
    /// Whether what was written last ended within a line.
    is_broken_off: Arc<AtomicBool>,
}

/// Writes one piece, of whole lines.
pub(super) struct Piece<'w, W> {
    to: W,
    is_broken_off: &'w AtomicBool,
}

impl<M> Unbroken<M> {
    pub(super) fn new(to: M) -> Self {
        Self { to, is_broken_off: Arc::default() }
    }
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for Unbroken<M> {
    type Writer = Piece<'w, M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Piece { to: self.to.make_writer(), is_broken_off: &self.is_broken_off }
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        Piece { to: self.to.make_writer_for(metadata), is_broken_off: &self.is_broken_off }
    }
}

impl<W: io::Write> Piece<'_, W> {
    /// As [`io::Write::write_all`]; how much was written in any case.
    fn write_on(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
            match self.to.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}

impl<W: io::Write> io::Write for Piece<'_, W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_all(text).map(|()| text.len())
    }

    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_broken_off.load(Ordering::Relaxed) {
            self.write_on(b"\n").1?;
            self.is_broken_off.store(false, Ordering::Relaxed);
        }
        let (written, result) = self.write_on(text);
        let last = written.checked_sub(1).and_then(|last| text.get(last));
        if result.is_err() && last.is_some_and(|last| *last != b'\n') {
            self.is_broken_off.store(true, Ordering::Relaxed);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::Unbroken;

    /// A disk: what is on it, and how much more it takes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(String, usize)>>);

    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let (written, room) = &mut *self.0.lock().unwrap();
            let taken = text.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= taken;
            written.push_str(std::str::from_utf8(&text[..taken]).unwrap());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_a_line_begins_on_a_line_of_its_own() {
        let disk = Disk::default();
        let to = disk.clone();
        let lines = Unbroken::new(move || to.clone());
        let room = |room| disk.0.lock().unwrap().1 = room;
        let log = |text: &str| lines.make_writer().write_all(text.as_bytes()).is_ok();

        room(100);
        assert!(log("one\n"));
        // after a part of a line, after none of it, and after a whole one
        for (free, written) in [(2, false), (0, false), (1, false), (100, true)] {
            room(free);
            assert_eq!(log("two\n"), written);
        }
        room(6);
        assert!(!log("three\nfour\n"));
        room(100);
        assert!(log("five\n"));
        assert_eq!(disk.0.lock().unwrap().0, "one\ntw\ntwo\nthree\nfive\n");
    }
}
