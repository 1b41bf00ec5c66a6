//! One followed file: its handle, its names, and how far it was read.

use super::content::Content;
use super::database::{ELSEWHERE, Registration, Replaced, Start};
use super::discovery::Place;
use super::marker::{Head, Marker};
use super::parking::Admission;
use crate::input::encoding::Encoding;
use crate::input::join::Joiner;
use crate::record::{Source, Tag};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A file that is followed, whatever its name is now.
#[derive(Debug)]
pub(super) struct Followed {
    pub file: Arc<Content>,
    /// Its name now, as far as `Path` finds it.
    pub path: PathBuf,
    /// The name it was first found under: what `Path_Key` shows.
    pub shown: String,
    pub tag: Tag,
    pub place: Place,
    /// Where to begin if nobody knows it.
    pub start: Start,
    pub stage: Stage,
    /// By how many names it was found last.
    pub names: usize,
    /// Since when no `Path` finds it any more: it was renamed or deleted.
    pub leaving: Option<Instant>,
    /// Whether it is in the queue of files to be read.
    pub is_queued: bool,
    /// When it was last written to, as of the last look at all files.
    pub modified: Option<SystemTime>,
    /// Whether the last try to read it failed.
    pub has_failed: bool,
    /// The file that took its place, if that one waits for this one to be read to its end.
    pub successor: Option<u64>,
}

impl Followed {
    /// One of which nothing is known yet but who it is.
    pub(super) fn new(
        file: Arc<Content>,
        path: PathBuf,
        shown: String,
        tag: Tag,
        place: Place,
    ) -> Self {
        Self {
            file,
            path,
            shown,
            tag,
            place,
            start: Start::Head,
            stage: Stage::Empty,
            names: 1,
            leaving: None,
            is_queued: false,
            modified: None,
            has_failed: false,
            successor: None,
        }
    }

    /// Whether nothing is read of it: it is a packed copy of another file.
    pub(super) fn is_read_elsewhere(&self) -> bool {
        matches!(&self.stage, Stage::Reading(reader) if reader.offset == ELSEWHERE)
    }

    /// Whether all that is in it now was read.
    pub(super) fn is_read(&self) -> bool {
        let len = self.file.len().unwrap_or(0);
        match &self.stage {
            Stage::Registering => false,
            Stage::Empty => len == 0,
            Stage::Reading(reader) => reader.seen == len || reader.offset == ELSEWHERE,
        }
    }
}

/// How far it has come.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every file is read")]
pub(super) enum Stage {
    /// There is nothing in it yet; once there is, it is registered.
    Empty,
    /// Its position is being looked up and written down.
    Registering,
    /// It is read.
    Reading(Reader),
}

/// Where reading stands: `held <= offset <= seen <= reach`.
#[derive(Debug)]
pub(super) struct Reader {
    pub source: Source,
    /// Its row in the position database.
    pub row: i64,
    /// Everything before was taken from the file.
    pub offset: u64,
    /// Everything before was handed over; from here up to `offset` lines wait to be joined.
    pub held: u64,
    /// How its lines are joined, if they are.
    pub joiner: Option<Box<Joiner>>,
    /// What stands before `offset`: read again each time, so that a file that was cut or written anew is noticed.
    marker: Marker,
    /// What the file begins with: read again each time as well.
    head: Head,
    /// End of what was read; from `offset` up to here is an unfinished line.
    pub seen: u64,
    /// How far the file was seen to reach, unread bytes and all.
    pub reach: u64,
    /// Bytes that were seen to be there, and were cut off before they were read.
    pub lost: u64,
    /// Everything before is settled.
    pub safe: u64,
    pub long: Long,
    /// How its lines are written, once that is known.
    pub encoding: Option<Encoding>,
    pub admission: Admission,
}

/// Whether the line at the reader's offset is a long one: it is only read when its end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Long {
    /// Not that we know.
    No,
    /// It is, and has no newline before this offset, where a unit of its encoding begins.
    Open(u64),
    /// It is longer than it may be, or a file's last without a newline, and ends before this offset.
    Ended(u64),
}

/// Where lines end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub encoding: Encoding,
    /// A line as long as this, its newline not counted, is longer than it may be.
    pub bytes_max: usize,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// `buffer[start..end]` is what stands at the reader's offset.
    Bytes { start: usize, end: usize, is_all: bool },
    /// A long line was looked through further. `is_all`: the file ends there.
    Skimmed { is_all: bool },
    /// What was read before stands there no more: the file was cut or written anew.
    Replaced,
}

impl Reader {
    /// A reader at the position that was registered.
    pub(super) fn new(registration: &Registration, source: Source) -> Self {
        Self {
            source,
            row: registration.row,
            offset: registration.offset,
            held: registration.offset,
            joiner: None,
            marker: registration.marker,
            head: registration.head,
            seen: registration.offset,
            reach: registration.offset,
            lost: 0,
            safe: registration.offset,
            long: Long::No,
            encoding: None,
            admission: Admission::Unasked,
        }
    }

    /// Reads once, at most as much as fits the buffer. `is_all`: the file ends there.
    pub(super) fn read(
        &mut self,
        file: &Content,
        limits: Limits,
        buffer: &mut [u8],
    ) -> io::Result<Read> {
        if let Long::Open(scanned) = self.long {
            return self.skim(file, scanned, limits, buffer);
        }
        let marker = self.marker.as_bytes();
        let start = marker.len();
        let end = file.read_at(buffer, self.offset - start as u64)?;
        // A packed file is not cut.
        if end == 0 && !file.is_packed() && file.len()? < self.offset {
            return Ok(Read::Replaced);
        }
        if buffer.get(..end).is_none_or(|bytes| !bytes.starts_with(marker)) {
            return Ok(Read::Replaced);
        }
        let seen = self.offset + (end - start) as u64;
        if !self.begins_as_before(file)? {
            return Ok(Read::Replaced);
        }
        let is_all = end < buffer.len();
        self.note_reach(if is_all || file.is_packed() { seen } else { file.len()?.max(seen) });
        self.seen = seen;
        Ok(Read::Bytes { start, end, is_all })
    }

    /// Lines of one length that end alike look the same before the offset, and at the first line nothing stands
    /// there. What was packed is not written anew.
    fn begins_as_before(&self, file: &Content) -> io::Result<bool> {
        Ok(file.is_packed() || self.head.stands_in(file)?)
    }

    /// The same, and before the offset stands what was noted of it.
    fn is_as_before(&self, file: &Content) -> io::Result<bool> {
        if file.is_packed() {
            return Ok(true);
        }
        let before = Marker::before(file, self.offset)?;
        Ok(before.as_bytes().ends_with(self.marker.as_bytes()) && self.head.stands_in(file)?)
    }

    /// Whether `file` is the one that was read so far.
    pub(super) fn stands_in(&self, file: &Content) -> io::Result<bool> {
        Ok(self.head.stands_in(file)? && Marker::before(file, self.offset)? == self.marker)
    }

    /// What is to be known of the file when another has taken its place.
    pub(super) fn replaced(&self) -> Replaced {
        let Self { row, head, offset, marker, reach, .. } = *self;
        Replaced { row, head, offset, marker, reach }
    }

    /// Notes how far the file reaches, while there is no room for its lines: should they go unread, this tells how
    /// much was lost. One that was written anew is left for the next read to notice.
    pub(super) fn look(&mut self, file: &Content) -> io::Result<()> {
        let reach = file.len()?;
        if !file.is_packed() && reach >= self.offset && self.stands_in(file)? {
            self.note_reach(reach);
        }
        Ok(())
    }

    /// The file, which is the same as before, reaches up to here.
    fn note_reach(&mut self, reach: u64) {
        self.lost += self.reach.saturating_sub(reach);
        self.reach = reach;
    }

    /// Looks for the newline of a long line in what was not looked at yet: a line that grows slowly must not be
    /// read again and again.
    fn skim(
        &mut self,
        file: &Content,
        scanned: u64,
        limits: Limits,
        buffer: &mut [u8],
    ) -> io::Result<Read> {
        let count = file.read_at(buffer, scanned)?;
        if count == 0 && file.len()? < scanned {
            return Ok(Read::Replaced);
        }
        if !self.is_as_before(file)? {
            return Ok(Read::Replaced);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        self.seen = scanned + count as u64;
        self.reach = self.reach.max(self.seen);
        let Some(end) = limits.encoding.first_end(bytes) else {
            self.long = Long::Open(limits.encoding.whole_units(self.seen));
            return Ok(Read::Skimmed { is_all: count < buffer.len() });
        };
        let end = scanned + end as u64;
        let len = end - self.offset - limits.encoding.unit() as u64;
        // One that fits is read as any other.
        self.long = if len < limits.bytes_max as u64 { Long::No } else { Long::Ended(end) };
        Ok(Read::Skimmed { is_all: false })
    }

    /// Everything before `to` was handed over; `before` ends where the buffer holds `to`, or is `None` if it
    /// does not.
    pub(super) fn advance(&mut self, to: u64, before: Option<&[u8]>, file: &Content) {
        debug_assert!(self.offset <= to);
        self.offset = to;
        self.seen = self.seen.max(to);
        self.reach = self.reach.max(to);
        self.long = Long::No;
        // Without a marker, the next read notices only a file that got shorter.
        self.marker = match before {
            Some(before) => Marker::of_end(before),
            None => Marker::before(file, to).unwrap_or_default(),
        };
    }
}
