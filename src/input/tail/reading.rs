//! One read of one file, as one batch: the buffer, the arena and the splitter that all files share.

use super::content::Content;
use super::file::{Long, Read, Reader};
use super::marker::MARKER_BYTES;
use crate::input::Intake;
use crate::input::lines::{Counts, Lines, Origin};
use crate::record::{Batch, Tag};
use bumpalo::Bump;
use std::io;

/// One read: large enough that the system call vanishes beside the work on the lines.
pub(super) const READ_BYTES: usize = 256 << 10;

/// An arena that grew beyond this is given back: rare batches must not decide what the process weighs.
const ARENA_BYTES_MAX: usize = 4 << 20;

/// What is reused from read to read.
#[derive(Debug)]
pub(super) struct Desk {
    /// As long as one read may be; longer only while a long line is in the way.
    buffer: Vec<u8>,
    bump: Bump,
    pub lines: Lines,
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
}

impl Desk {
    pub(super) fn new(lines: Lines, keys: Keys) -> Self {
        Self { buffer: Vec::new(), bump: Bump::new(), lines, keys }
    }

    /// Reads once and hands over the lines that are complete.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader,
        subject: Subject<'_>,
        intake: &mut dyn Intake,
        counts: &mut Counts,
    ) -> io::Result<Outcome> {
        self.make_room(reader);
        let (start, end, is_all) = match reader.read(subject.file, &mut self.buffer)? {
            Read::Bytes { start, end, is_all } => (start, end, is_all),
            Read::Skimmed { is_all: true } => return Ok(Outcome::End),
            Read::Skimmed { is_all: false } => return Ok(Outcome::More),
            Read::Replaced => return Ok(Outcome::Replaced),
        };
        let from = reader.offset;
        let bytes = self.buffer.get(start..end).unwrap_or_default();
        let mut batch = Batch::new(&self.bump, subject.tag.clone(), reader.source, from);
        let origin = self.keys.origin(subject.path);
        if let Long::Ended(to) = reader.long {
            let wanted = usize::try_from(to - from).unwrap_or(usize::MAX).min(self.lines.bytes_max);
            let bytes = bytes.get(..wanted).unwrap_or(bytes);
            *counts = self.lines.push_one(bytes, to, &origin, &mut batch);
        } else {
            *counts = self.lines.split(bytes, &origin, &mut batch);
        }
        let to = batch.to;
        batch.bytes = to - from;
        if to > from {
            intake.take(batch);
            let taken = usize::try_from(to - from).unwrap_or(usize::MAX);
            let before = self.buffer.get(..start.saturating_add(taken));
            reader.advance(to, before, subject.file);
        } else {
            drop(batch);
        }
        Ok(self.go_on(reader, to > from, is_all))
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
        self.read(reader, subject, intake, counts).map(drop)
    }

    /// Makes the buffer as long as what is known of the line at the reader's offset.
    fn make_room(&mut self, reader: &Reader) {
        let unfinished = usize::try_from(reader.seen - reader.offset).unwrap_or(usize::MAX);
        let wanted = unfinished.min(self.lines.bytes_max) + MARKER_BYTES + 1;
        let wanted = wanted.max(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Makes room for what comes next.
    fn go_on(&mut self, reader: &mut Reader, has_moved: bool, is_all: bool) -> Outcome {
        self.bump.reset();
        if self.bump.allocated_bytes() > ARENA_BYTES_MAX {
            self.bump = Bump::new();
        }
        let unfinished = reader.seen - reader.offset;
        let is_long = unfinished >= self.lines.bytes_max as u64;
        if is_long {
            reader.long = Long::Open(reader.seen);
        }
        if has_moved && self.buffer.len() > READ_BYTES {
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to_fit();
        } else if !has_moved && !is_all && !is_long {
            // The line may be longer than the buffer.
            let longest = self.lines.bytes_max + MARKER_BYTES + 1;
            self.buffer.resize(longest.min(self.buffer.len().saturating_mul(2)), 0);
        }
        if is_all { Outcome::End } else { Outcome::More }
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
