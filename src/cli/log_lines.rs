//! A decision log, line by line: a file, or standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    mem,
    path::Path,
};

use anyhow::Context;
use jeton_oauth::text::printable;
use jeton_verify::audit::LONGEST_LINE;

/// The lines of a log, of which one at a time is in memory.
pub(super) struct LogLines {
    input: BufReader<Box<dyn Read>>,
    /// What the log is called, for messages.
    pub(super) name: String,
    /// Its length in bytes, where it is known.
    pub(super) size: u64,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
    line: Vec<u8>,
    /// Whether the rest of that line was not read.
    is_cut: bool,
}

/// A line as it stands there.
pub(super) enum LogLine<'l> {
    /// With its end.
    Ended(&'l [u8]),
    /// The last one, without an end: perhaps it is being written.
    Unended(&'l [u8]),
    /// Longer than any decision.
    TooLong,
}

impl LogLines {
    /// Opens a log; `-` is standard input.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let (input, name, size): (Box<dyn Read>, _, _) = if path == Path::new("-") {
            (Box::new(io::stdin()), "standard input".to_owned(), 0)
        } else {
            let name = printable(&path.display().to_string());
            let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            (Box::new(file), name, size)
        };
        let input = BufReader::with_capacity(256 * 1024, input);
        Ok(Self { input, name, size, number: 0, line: Vec::new(), is_cut: false })
    }

    /// Whether the next line would have to be waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.input.buffer().is_empty()
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<LogLine<'_>>> {
        if mem::take(&mut self.is_cut) {
            self.input.skip_until(b'\n').with_context(|| format!("{} cannot be read", self.name))?;
        }
        self.line.clear();
        let read = (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        if read.with_context(|| format!("{} cannot be read", self.name))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.ends_with(b"\n") {
            return Ok(Some(LogLine::Ended(&self.line)));
        }
        // its rest is passed over when somebody wants more: it may be endless
        self.is_cut = self.input.fill_buf().is_ok_and(|rest| !rest.is_empty());
        Ok(Some(if self.is_cut { LogLine::TooLong } else { LogLine::Unended(&self.line) }))
    }
}
