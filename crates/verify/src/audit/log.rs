//! The decision log: lines in a bounded queue, and one thread that appends them to a file.

use std::{
    cell::RefCell,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jeton_oauth::clock::Clock;
use jeton_policy::files::ByteSize;
use tracing::field::display;

use super::{
    AuditedRequest, TakenDecision,
    record::{write_dropped, write_line},
};
use crate::event;

/// The longest line that is read, in bytes: no decision is as long.
pub const LONGEST_LINE: u64 = 1024 * 1024;
/// The most that waits to be written, in bytes.
const ROOM: usize = 8 * 1024 * 1024;
/// From how many bytes on nothing is waited for any more.
const BATCH: usize = 256 * 1024;
/// How long lines are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(20);
/// After what time a write is tried again that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long, in seconds, what was told of lost decisions is not told again.
const QUIET: i64 = 60;

/// Why there is no decision log.
#[derive(Debug, thiserror::Error)]
#[error(
    "`log.decisions`: `{path}` cannot be opened to append to it: name a file in a folder where this user may write"
)]
pub struct DecisionLogError {
    path: String,
    source: io::Error,
}

/// Appends each decision to a file as one line of JSON. Who decides waits for nothing: where the disk does not keep
/// up, decisions are dropped and counted, and the file says so.
pub struct DecisionLog {
    shared: Arc<SharedLog>,
    clock: Arc<dyn Clock>,
}

struct SharedLog {
    path: PathBuf,
    queue: Mutex<Queue>,
    /// Something is to be done.
    work: Condvar,
    /// Something was done.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Whole lines.
    lines: Vec<u8>,
    /// How many lines those are.
    count: u64,
    /// How many found no room since the file was told.
    dropped: u64,
    /// How many of those the operator was not told of, and when there was a line.
    untold: u64,
    told_at: Option<i64>,
    /// How many were lost since the start.
    lost: u64,
    /// How many lines came, and how many of them left, to the file or for good.
    came: u64,
    left: u64,
    /// Somebody waits for the lines to leave.
    is_urgent: bool,
    reopen: bool,
    end: LogEnd,
}

/// How far the end of the log is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum LogEnd {
    /// It goes on.
    #[default]
    Open,
    /// The thread writes the lines in the queue, and takes no new ones.
    Asked,
    /// The thread has ended.
    Done,
}

thread_local! {
    /// Where a line is put together, so that nobody waits for it.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl DecisionLog {
    /// Opens the file, which is made if it is not there, for its owner alone, and starts to append.
    ///
    /// # Errors
    /// [`DecisionLogError`] if it cannot be written.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DecisionLogError> {
        let failed = |source| DecisionLogError { path: path.display().to_string(), source };
        let file = open(path).map_err(failed)?;
        let shared = Arc::new(SharedLog {
            path: path.to_owned(),
            queue: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let writer = LogWriter {
            shared: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            file,
            batch: Vec::new(),
            written: 0,
            is_failing: false,
        };
        thread::Builder::new().name("decisions".to_owned()).spawn(move || writer.run()).map_err(failed)?;
        Ok(Self { shared, clock })
    }

    /// Queues a decision.
    pub(super) fn append(
        &self,
        asked: &AuditedRequest<'_>,
        taken: &TakenDecision<'_>,
        id: Option<&dyn fmt::Display>,
    ) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let is_written = write_line(line, self.clock.now(), id, asked, taken).is_ok();
            self.push(if is_written { line } else { &[] });
        });
    }

    /// Queues a line; an empty one could not be written, and counts as dropped.
    fn push(&self, line: &[u8]) {
        let mut queue = self.shared.lock();
        let was_idle = queue.is_idle();
        let before = queue.lines.len();
        let mut told = None;
        if line.is_empty() || before + line.len() > ROOM {
            told = queue.drop_one(self.clock.numeric_date());
        } else {
            queue.lines.extend_from_slice(line);
            queue.count += 1;
            queue.came += 1;
        }
        let is_batch = before < BATCH && queue.lines.len() >= BATCH;
        drop(queue);
        if was_idle || is_batch {
            self.shared.work.notify_one();
        }
        if let Some(dropped) = told {
            let path = self.shared.path.display();
            event::DecisionsDropped { path: display(&path), dropped }.error();
        }
    }

    /// How many decisions were lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// Opens the file anew after writing all queued lines. Call it after the old file was moved away.
    pub fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.work.notify_one();
    }

    /// Waits until all queued lines are written, for some seconds at most.
    pub fn flush(&self) {
        let mut queue = self.shared.lock();
        let came = queue.came;
        queue.is_urgent = true;
        self.shared.work.notify_one();
        let waiting = |queue: &mut Queue| queue.left < came || queue.dropped > 0 || queue.reopen;
        drop(
            self.shared
                .done
                .wait_timeout_while(queue, PATIENCE, |queue| queue.end != LogEnd::Done && waiting(queue)),
        );
    }
}

/// Waits until the lines in the queue are written, for some seconds at most.
impl Drop for DecisionLog {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.end = LogEnd::Asked;
        self.shared.work.notify_one();
        drop(self.shared.done.wait_timeout_while(queue, PATIENCE, |queue| queue.end != LogEnd::Done));
    }
}

impl SharedLog {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Counts a decision that is lost; of how many a line is due.
    fn drop_one(&mut self, now: i64) -> Option<u64> {
        self.lose_one();
        self.untold += 1;
        if self.told_at.is_some_and(|told| (told..told.saturating_add(QUIET)).contains(&now)) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    fn lose_one(&mut self) {
        self.dropped += 1;
        self.lost += 1;
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0 && !self.reopen && self.end == LogEnd::Open
    }
}

/// Opens the file to append to it. Half a line at its end, of a process that was killed, is cut off: what follows
/// would be glued to it.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.is_file() && !ends_whole(path)? {
        let end = end_of_last_line(path)?;
        file.set_len(end)?;
        event::DecisionsMended { path: display(&path.display()) }.warn();
    }
    Ok(file)
}

fn ends_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    file.seek(SeekFrom::Start(last))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

/// Where the last line that has an end ends, in bytes.
///
/// # Errors
/// Also where half a line is longer than any line: this is no decision log, and nothing of it must be cut off.
fn end_of_last_line(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut end = length;
    let mut piece = Vec::new();
    while end > 0 {
        if length - end >= LONGEST_LINE {
            let longest = ByteSize(LONGEST_LINE);
            return Err(io::Error::other(format!(
                "it ends in a line of more than {longest}: name another file"
            )));
        }
        let start = end.saturating_sub(64 * 1024);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        (&mut file).take(end - start).read_to_end(&mut piece)?;
        if let Some(newline) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(newline + 1).unwrap_or(0));
        }
        end = start;
    }
    Ok(0)
}

/// What the thread holds.
struct LogWriter {
    shared: Arc<SharedLog>,
    clock: Arc<dyn Clock>,
    file: File,
    /// Whole lines, of which the first bytes may be in the file already.
    batch: Vec<u8>,
    written: usize,
    is_failing: bool,
}

impl LogWriter {
    fn run(mut self) {
        loop {
            let mut queue = self.shared.lock();
            while queue.is_idle() {
                queue = self.shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let gathers = |queue: &mut Queue| {
                queue.lines.len() < BATCH && !queue.is_urgent && !queue.reopen && queue.end == LogEnd::Open
            };
            let waited = self.shared.work.wait_timeout_while(queue, GATHERING, gathers);
            let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            // the batch is empty here: it takes the lines, and its room goes back for the next ones
            std::mem::swap(&mut queue.lines, &mut self.batch);
            let (count, dropped) = (std::mem::take(&mut queue.count), std::mem::take(&mut queue.dropped));
            let (reopen, close) = (std::mem::take(&mut queue.reopen), queue.end != LogEnd::Open);
            queue.is_urgent = false;
            drop(queue);
            if dropped > 0 {
                write_dropped(&mut self.batch, self.clock.now(), dropped);
            }
            let is_written = self.write_batch(close);
            if reopen {
                self.reopen();
            }
            let mut queue = self.shared.lock();
            queue.left += count;
            if close {
                queue.end = LogEnd::Done;
            }
            drop(queue);
            self.shared.done.notify_all();
            if close {
                if !is_written {
                    let path = self.shared.path.display();
                    event::LastDecisionsDropped { path: display(&path), dropped: count }.error();
                }
                return;
            }
        }
    }

    /// Writes the batch, and tries again until it is written; the last one it tries once. A line that a full disk cut
    /// is finished later, so that each line stays whole.
    fn write_batch(&mut self, is_last: bool) -> bool {
        loop {
            match self.try_write() {
                Ok(()) => {
                    self.batch.clear();
                    self.written = 0;
                    if std::mem::take(&mut self.is_failing) {
                        event::DecisionsWritten { path: display(&self.shared.path.display()) }.info();
                    }
                    return true;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let path = self.shared.path.display();
                        event::DecisionsFailed { path: display(&path), error: display(&error) }.error();
                    }
                }
            }
            if is_last {
                return false;
            }
            let hurried = |queue: &mut Queue| !queue.reopen && queue.end == LogEnd::Open;
            let waited = self.shared.work.wait_timeout_while(self.shared.lock(), RETRY, hurried);
            let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let (reopen, close) = (std::mem::take(&mut queue.reopen), queue.end != LogEnd::Open);
            drop(queue);
            if reopen && self.reopen() {
                self.leave_half_a_line();
            } else if close {
                return self.try_write().is_ok();
            }
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.batch.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// In another file a line does not go on that began in the last one.
    fn leave_half_a_line(&mut self) {
        let begun = self.written.checked_sub(1).and_then(|last| self.batch.get(last..));
        let Some(begun) = begun.filter(|begun| begun.first() != Some(&b'\n')) else { return };
        let rest = begun.iter().position(|byte| *byte == b'\n').map_or(begun.len(), |newline| newline + 1);
        self.written = self.written - 1 + rest;
        self.shared.lock().lose_one();
    }

    fn reopen(&mut self) -> bool {
        match open(&self.shared.path) {
            Ok(file) => {
                self.file = file;
                event::DecisionsReopened { path: display(&self.shared.path.display()) }.info();

                true
            }
            Err(error) => {
                let path = self.shared.path.display();
                event::DecisionsReopenFailed { path: display(&path), error: display(&error) }.error();

                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jeton_oauth::clock::SystemClock;

    use super::*;

    /// Where a disk was full in the middle of a line, and the operator gave another file.
    #[test]
    fn a_line_that_began_in_one_file_does_not_go_on_in_another() {
        for (name, written, rest, lost) in [
            ("nothing written", 0, "one\ntwo\n", 0),
            ("half of the first", 2, "two\n", 1),
            ("all of it but its end", 3, "two\n", 1),
            ("the first", 4, "two\n", 0),
            ("half of the last", 5, "", 1),
            ("all", 8, "", 0),
        ] {
            let shared = SharedLog {
                path: PathBuf::from("/dev/null"),
                queue: Mutex::default(),
                work: Condvar::new(),
                done: Condvar::new(),
            };
            let mut writer = LogWriter {
                shared: Arc::new(shared),
                clock: Arc::new(SystemClock),
                file: OpenOptions::new().append(true).open("/dev/null").unwrap(),
                batch: b"one\ntwo\n".to_vec(),
                written,
                is_failing: true,
            };
            writer.leave_half_a_line();
            assert_eq!(writer.batch.get(writer.written..), Some(rest.as_bytes()), "{name}");
            assert_eq!(writer.shared.lock().dropped, lost, "{name}");
        }
    }
}
