//! One read of one file, as one batch: the buffer, the arena and the splitter that all files share.

use super::content::Content;
use super::file::{Limits, Long, Read, Reader};
use super::marker::MARKER_BYTES;
use crate::input::Intake;
use crate::input::encoding::{self, Encoding, Expected};
use crate::input::join::Joiner;
use crate::input::lines::{Counts, Lines, Origin, Seat};
use crate::record::{Batch, Tag};
use bumpalo::Bump;
use std::io;
use std::time::Instant;

/// One read: large enough that the system call vanishes beside the work on the lines.
pub(super) const READ_BYTES: usize = 256 << 10;

/// An unfinished line of this length is not read again before its end is found. Shorter ones are: that is one system
/// call less.
const LONG_BYTES: u64 = 4 << 10;

/// An arena that grew beyond this is given back: rare batches must not decide what the process weighs.
const ARENA_BYTES_MAX: usize = 4 << 20;

/// What is reused from read to read.
#[derive(Debug)]
pub(super) struct Desk {
    /// As long as one read may be; longer only for the read of a long line.
    buffer: Vec<u8>,
    bump: Bump,
    pub lines: Lines,
    pub expected: Expected,
    pub keys: Keys,
}

/// Names of fields.
#[derive(Debug)]
pub(super) struct Keys {
    pub key: String,
    pub path_key: Option<String>,
    pub offset_key: Option<String>,
}

/// What a file's records share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub file: &'a Content,
    pub path: &'a str,
    pub tag: &'a Tag,
    /// When it is read.
    pub now: Instant,
}

/// What a read left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There may be more.
    More,
    /// All that is there was read.
    End,
    /// The file was cut or written anew.
    Replaced,
    /// Nothing was read: something else comes first.
    Later,
}

impl Desk {
    pub(super) fn new(lines: Lines, expected: Expected, keys: Keys) -> Self {
        Self { buffer: Vec::new(), bump: Bump::new(), lines, expected, keys }
    }

    /// Reads once and hands over the lines that are complete, or the records that they are joined to. `before`:
    /// what the files have whose place this one took, the last one first.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader,
        subject: Subject<'_>,
        before: &mut [Joiner],
        intake: &mut dyn Intake,
        counts: &mut Counts,
    ) -> io::Result<Outcome> {
        self.make_room(reader);
        let Some(encoding) = self.encoding(reader, subject.file)? else {
            return Ok(Outcome::End);
        };
        self.lines.encoding = encoding;
        let limits = Limits { encoding, bytes_max: self.lines.bytes_max };
        let (start, end, is_all) = match reader.read(subject.file, limits, &mut self.buffer)? {
            Read::Bytes { start, end, is_all } => (start, end, is_all),
            Read::Skimmed { is_all: true } => return Ok(Outcome::End),
            Read::Skimmed { is_all: false } => return Ok(Outcome::More),
            Read::Replaced => return Ok(Outcome::Replaced),
        };
        let from = reader.offset;
        let bytes = self.buffer.get(start..end).unwrap_or_default();
        let mut batch = Batch::new(&self.bump, subject.tag.clone(), reader.source, reader.held);
        let origin = self.keys.origin(subject.path);
        let long_end = match reader.long {
            Long::Ended(to) => Some(to),
            Long::No | Long::Open(_) => None,
        };
        let wanted = long_end.map_or(bytes.len(), |to| {
            usize::try_from(to - from).unwrap_or(usize::MAX).min(self.lines.bytes_max)
        });
        let bytes = bytes.get(..wanted).unwrap_or(bytes);
        let lines = &mut self.lines;
        let to = if let Some(joiner) = &mut reader.joiner {
            let mut seat = Seat { joiner, before, offset: from, since: subject.now };
            *counts = lines.split_joined(bytes, long_end, &origin, &mut batch, &mut seat);
            seat.offset
        } else {
            *counts = lines.split(bytes, long_end, &origin, &mut batch);
            batch.to
        };
        batch.bytes = to - from;
        let has_records = !batch.records.is_empty();
        hand_over(batch, reader, intake);
        if to > from {
            if has_records {
                reader.encoding = Some(encoding);
            }
            let taken = usize::try_from(to - from).unwrap_or(usize::MAX);
            let before = self.buffer.get(..start.saturating_add(taken));
            reader.advance(to, before, subject.file);
        }
        Ok(self.go_on(reader, to > from, is_all))
    }

    /// Hands over what became whole without another line.
    pub(super) fn release(
        &mut self,
        reader: &mut Reader,
        subject: Subject<'_>,
        intake: &mut dyn Intake,
        counts: &mut Counts,
    ) {
        let Some(joiner) = &mut reader.joiner else { return };
        let mut batch = Batch::new(&self.bump, subject.tag.clone(), reader.source, reader.held);
        let origin = self.keys.origin(subject.path);
        let offset = reader.offset;
        let mut seat = Seat { joiner, before: &mut [], offset, since: subject.now };
        *counts = self.lines.release(&origin, &mut batch, &mut seat);
        hand_over(batch, reader, intake);
        self.clear();
    }

    /// Hands over what stands behind the last newline of a file that nobody will write to any more.
    pub(super) fn finish(
        &mut self,
        reader: &mut Reader,
        subject: Subject<'_>,
        intake: &mut dyn Intake,
        counts: &mut Counts,
    ) -> io::Result<()> {
        let end = reader.seen;
        if end == reader.offset {
            return Ok(());
        }
        // Told that the line ends here, the next read hands it over.
        reader.long = Long::Ended(end);
        self.read(reader, subject, &mut [], intake, counts).map(drop)
    }

    /// How the file is written. Looked for anew until a record was made of it: it may only just have begun.
    /// `None`: it cannot be told yet.
    fn encoding(&self, reader: &mut Reader, file: &Content) -> io::Result<Option<Encoding>> {
        let known = reader.encoding.or_else(|| self.expected.of_all());
        if known.is_some() {
            return Ok(known);
        }
        let mut head = [0; encoding::HEAD_BYTES];
        let len = file.read_full_at(&mut head, 0)?;
        let encoding = self.expected.of(head.get(..len).unwrap_or_default());
        if encoding.is_none() {
            reader.seen = reader.seen.max(len as u64);
            reader.reach = reader.reach.max(reader.seen);
        }
        // What nobody will write to any more has no better answer.
        let last = matches!(reader.long, Long::Ended(_)).then_some(Encoding::Utf8);
        Ok(encoding.or(last))
    }

    /// Makes the buffer as long as what is known of the line at the reader's offset, once its end is.
    fn make_room(&mut self, reader: &Reader) {
        let unfinished = match reader.long {
            Long::Open(_) => 0,
            Long::No | Long::Ended(_) => reader.seen - reader.offset,
        };
        let unfinished = usize::try_from(unfinished).unwrap_or(usize::MAX);
        let wanted = unfinished.min(self.lines.bytes_max) + MARKER_BYTES + 1;
        let wanted = wanted.max(READ_BYTES);
        if self.buffer.len() < wanted {
            // Memory that comes from the system is zero already: what no read ever fills is never made resident.
            self.buffer = vec![0; wanted];
        }
    }

    /// Makes room for what comes next.
    fn go_on(&mut self, reader: &mut Reader, has_moved: bool, is_all: bool) -> Outcome {
        self.clear();
        let scanned = self.lines.encoding.whole_units(reader.seen);
        let unfinished = scanned.saturating_sub(reader.offset);
        let is_too_long = unfinished >= self.lines.bytes_max as u64;
        if is_too_long || !has_moved && unfinished >= LONG_BYTES {
            reader.long = Long::Open(scanned);
        }
        if self.buffer.len() > READ_BYTES {
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to_fit();
        }
        if is_all { Outcome::End } else { Outcome::More }
    }

    fn clear(&mut self) {
        self.bump.reset();
        if self.bump.allocated_bytes() > ARENA_BYTES_MAX {
            self.bump = Bump::new();
        }
    }
}

/// Hands over a batch, unless it neither holds nor covers anything.
fn hand_over(batch: Batch<'_>, reader: &mut Reader, intake: &mut dyn Intake) {
    if batch.to > batch.from {
        reader.held = batch.to;
        intake.take(batch);
    }
}

impl Keys {
    fn origin<'a>(&'a self, path: &'a str) -> Origin<'a> {
        Origin {
            key: &self.key,
            path_key: self.path_key.as_deref(),
            offset_key: self.offset_key.as_deref(),
            path,
        }
    }
}
