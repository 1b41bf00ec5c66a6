//! `systemd`: reads systemd's journal through rotation, restarts and crashes, so that no entry is lost and none doubled.
//!
//! | file | holds |
//! |---|---|
//! | [`options`] | the properties |
//! | `library` | libsystemd, and all that is `unsafe` |
//! | `reader` | the open journal, and where reading goes on |
//! | `cursor` | what names an entry, and what its id follows from |
//! | `entry` | an entry's fields as a record's |
//! | `tags` | the tag of an entry |
//! | `marks` | what is handed over and not settled |
//! | `positions` | the cursor in the database |
//! | `files` | files that cannot be read, by name |
//!
//! The library shows the files of a journal as one sequence. An entry's place in it is its cursor. What the rest of the
//! agent needs is a source with numbers that ascend, so entries are read in *stretches*: those of one sequence and one
//! boot, whose numbers ascend. A stretch is a source of its own; its key follows from sequence and boot alone, so that
//! an entry that is read again has the same id, with a `DB` or without.
//!
//! The cursor is written down as far as everything before it is settled (`marks`). Should its entry be gone at the next
//! start, reading goes on from its time: what had arrived is recognised by its id.
//!
//! Files that are deleted while they are read stay open until they are read to the end: the library hears of changes
//! only when there is nothing left to read.

#[cfg(test)]
mod behaviour;
mod cursor;
mod entry;
mod error;
mod files;
mod library;
mod marks;
pub mod options;
mod positions;
mod reader;
mod tags;

pub use error::SystemdError;
pub use options::SystemdOptions;

use self::cursor::{Cursor, Series};
use self::entry::{Counts, Shape};
use self::files::{Defect, Files, Look};
use self::marks::Marks;
use self::positions::{Database, Positions};
use self::reader::{Begin, Head, Reader};
use super::{Input, Intake, Turn};
use crate::metrics::InputMetrics;
use crate::record::{Batch, Record, Source, SourceId};
use bumpalo::Bump;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A turn ends when so much was read, as in Fluent Bit: other inputs wait for it.
const TURN_BYTES_MAX: u64 = 1_024_000;

/// A batch ends when so much is in it: it is held in memory once more before it is encoded.
const BATCH_BYTES_MAX: u64 = 256 << 10;

/// An arena that grew beyond this is given back: rare batches must not decide what the process weighs.
const ARENA_BYTES_MAX: usize = 4 << 20;

/// Time between two looks for files that the library does not read to their end.
const CHECK_PAUSE: Duration = Duration::from_mins(1);

/// The same where there seem to be some, or not all were looked at.
const SUSPECT_PAUSE: Duration = Duration::from_secs(2);

/// Time between two looks at a journal on a network, whose changes nobody tells of: the library's own.
const ASK_PAUSE: Duration = Duration::from_secs(2);

/// Time between two looks whether there is a journal at last.
const ABSENT_PAUSE: Duration = Duration::from_secs(10);

/// Bad files that are told of by name at a time.
const TOLD_MAX: usize = 5;

/// Time before the journal is opened again after the library failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Reads the journal.
#[derive(Debug)]
pub struct Systemd {
    input: u32,
    metrics: Arc<InputMetrics>,
    reader: Reader,
    shape: Shape,
    /// Entries of one turn.
    entries_max: u64,
    bump: Bump,
    stretch: Stretch,
    marks: Marks,
    positions: Option<Positions>,
    files: Files,
    /// Whether a look at the files is due.
    looks: bool,
    /// Whether there were some that can be read when they were looked at.
    has_files: bool,
    /// The next look for files that the library does not read to their end; `None`: as soon as all is read.
    next_check: Option<Instant>,
    state: State,
}

/// What the input waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There may be more to read.
    Reading,
    /// All that is there was read.
    Idle,
    /// The same, and no file was there that could be read.
    Absent,
    /// The library failed: not before this moment.
    Failed(Instant),
}

/// Entries of one sequence and one boot whose numbers ascend.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Its number as a source.
    number: u64,
    /// `None` before the first.
    series: Option<Series>,
    /// Behind the last entry that was taken.
    to: u64,
}

impl Stretch {
    /// Whether an entry belongs to it.
    fn goes_on_with(&self, cursor: &Cursor) -> bool {
        self.series == Some(cursor.series) && cursor.number >= self.to
    }
}

/// What is left of a turn.
#[derive(Clone, Copy, Debug)]
struct Budget {
    entries: u64,
    bytes: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_spent(self) -> bool {
        self.entries == 0 || self.bytes == 0
    }
}

impl Systemd {
    /// Opens the journal and the position database. `input` is the index of this instance.
    pub fn open(
        options: &SystemdOptions,
        tag: &str,
        input: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, SystemdError> {
        let folder = options.path.as_ref().map(PathBuf::from);
        if let Some(folder) = &folder {
            check_folder(folder)?;
        }
        let files = Files::new(folder.as_deref());
        let (positions, known) = open_positions(options, &metrics)?;
        let begin = match known {
            Some(cursor) => Begin::Behind(cursor),
            None if options.read_from_tail => Begin::Tail,
            None => Begin::Head,
        };
        let reader = Reader::open(options, folder, tag, begin, Arc::clone(&metrics))?;
        // What is written from here on is not missed, whenever the next start is.
        if let (Some(positions), Some(cursor)) = (&positions, reader.last()) {
            positions.safe(cursor);
        }
        let shape = Shape {
            strip_underscores: options.strip_underscores,
            lowercase: options.lowercase,
            fields_max: usize::try_from(options.max_fields).unwrap_or(0),
        };
        Ok(Self {
            input,
            metrics,
            reader,
            shape,
            // As in Fluent Bit, where one entry is read before it is looked at.
            entries_max: u64::try_from(options.max_entries).unwrap_or(0).max(1),
            bump: Bump::new(),
            stretch: Stretch { number: 0, series: None, to: 0 },
            marks: Marks::default(),
            positions,
            files,
            looks: true,
            has_files: false,
            next_check: None,
            state: State::Reading,
        })
    }

    /// Gets the journal ready to be read; false: not yet.
    fn prepare(&mut self, now: Instant) -> io::Result<bool> {
        let was_absent = self.state == State::Absent;
        match self.state {
            State::Failed(until) if now < until => return Ok(false),
            State::Failed(_) => self.reader.reopen()?,
            State::Idle | State::Absent => self.looks |= self.reader.process()? || was_absent,
            State::Reading => {}
        }
        if std::mem::take(&mut self.looks) {
            self.has_files = self.look();
            if was_absent && self.has_files {
                // Where its folder was missing, too, the library does not see it come.
                self.reader.reopen()?;
            }
        }
        self.state = State::Reading;
        Ok(true)
    }

    /// Looks at the files and tells of those that cannot be read; whether some can.
    fn look(&mut self) -> bool {
        let Look { usable, bad } = self.files.look();
        self.tell(&bad);
        if usable == 0 && bad.is_empty() && self.state == State::Reading {
            tracing::warn!(
                "there is no journal in {}: reading begins when there is one (does journald run here? in a container, \
                 are these folders of the host mounted, and its /etc/machine-id?)",
                self.files.places()
            );
        }
        self.next_check = None;
        usable > 0
    }

    /// Looks for files that the library does not read to their end, once all is read that it reads. When the next look
    /// is due.
    fn check(&mut self, now: Instant) -> Instant {
        if let Some(due) = self.next_check.filter(|due| now < *due) {
            return due;
        }
        let (left, are_more) = self.files.probe(reader::newest);
        self.tell(&left);
        let due = now + if are_more { SUSPECT_PAUSE } else { CHECK_PAUSE };
        self.next_check = Some(due);
        due
    }

    /// Tells of bad files.
    fn tell(&self, bad: &[(PathBuf, Defect)]) {
        self.metrics.unreadable_files.add(bad.len() as u64);
        for (path, defect) in bad.iter().take(TOLD_MAX) {
            tracing::error!(path = %path.display(), "a journal file is left out: {defect}");
        }
        if let Some(more) = bad.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            tracing::error!("{more} more journal files are left out");
        }
    }

    /// Reads entries until the turn is over; whether all were read.
    fn read(&mut self, intake: &mut dyn Intake) -> io::Result<bool> {
        let mut budget = Budget { entries: self.entries_max, bytes: TURN_BYTES_MAX };
        while !budget.is_spent() && !intake.is_full() {
            if !self.read_batch(&mut budget, intake)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads entries of one stretch and one tag and hands them over; false: there are no more.
    fn read_batch(&mut self, budget: &mut Budget, intake: &mut dyn Intake) -> io::Result<bool> {
        let Some(first) = self.reader.take()? else { return Ok(false) };
        if !self.stretch.goes_on_with(&first.cursor) {
            self.mark();
            let series = Some(first.cursor.series);
            self.stretch = Stretch { number: self.stretch.number + 1, series, to: 0 };
        }
        self.bump.reset();
        if self.bump.allocated_bytes() > ARENA_BYTES_MAX {
            self.bump = Bump::new();
        }
        let source = Source {
            id: SourceId { input: self.input, number: self.stretch.number },
            key: first.cursor.series.key(),
            // Every entry has a time of its own.
            first_seen: 0,
        };
        let mut batch = Batch::new(&self.bump, first.tag.clone(), source, first.cursor.number);
        let mut counts = Counts::default();
        let mut head = Some(first);
        let mut end = Ok(true);
        while let Some(Head { cursor, .. }) = head.take() {
            let fields =
                match entry::fields(self.reader.journal(), self.shape, &self.bump, &mut counts) {
                    Ok(fields) => fields,
                    Err(error) => {
                        end = Err(error);
                        break;
                    }
                };
            budget.spend(counts.bytes - batch.bytes);
            batch.bytes = counts.bytes;
            batch.to = cursor.number + 1;
            batch.records.push(record(&cursor, fields));
            self.stretch.to = batch.to;
            self.reader.took(cursor);
            if budget.is_spent() || batch.bytes >= BATCH_BYTES_MAX {
                break;
            }
            match self.reader.take() {
                Ok(Some(next))
                    if self.stretch.goes_on_with(&next.cursor) && next.tag == batch.tag =>
                {
                    head = Some(next);
                }
                Ok(Some(next)) => self.reader.put_back(next),
                Ok(None) => end = Ok(false),
                Err(error) => end = Err(error),
            }
        }
        count(&self.metrics, counts);
        if !batch.records.is_empty() {
            intake.take(batch);
        }
        end
    }

    /// Notes that the position may come to stand here.
    fn mark(&mut self) {
        if let Some(cursor) = self.reader.last()
            && self.stretch.to > 0
        {
            self.marks.push(self.stretch.number, self.stretch.to, cursor);
        }
    }

    /// What the library's failure means: it is opened again, and goes on behind the last entry.
    fn fail(&mut self, error: &io::Error, now: Instant) {
        self.metrics.journal_errors.add(1);
        if self.reader.fail() {
            tracing::error!(%error, "libsystemd cannot read on in the journal; it is opened again");
        }
        self.looks = true;
        self.state = State::Failed(now + RETRY_PAUSE);
    }
}

impl Input for Systemd {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        if intake.is_full() {
            return Turn::More;
        }
        let is_read = self
            .prepare(now)
            .and_then(|is_ready| if is_ready { self.read(intake) } else { Ok(true) });
        self.mark();
        match is_read {
            Ok(false) => return Turn::More,
            Ok(true) if self.state == State::Reading => {
                self.state = if self.has_files { State::Idle } else { State::Absent };
            }
            Ok(true) => {}
            Err(error) => self.fail(&error, now),
        }
        Turn::Wait(match self.state {
            State::Failed(until) => until,
            State::Absent => now + ABSENT_PAUSE,
            State::Reading | State::Idle => {
                let check = self.check(now);
                if self.reader.must_be_asked() { check.min(now + ASK_PAUSE) } else { check }
            }
        })
    }

    fn safe(&mut self, source: SourceId, to: u64) {
        if let Some(cursor) = self.marks.settle(source.number, to)
            && let Some(positions) = &self.positions
        {
            positions.safe(cursor);
        }
    }

    fn wake_on(&self, full: bool) -> Option<BorrowedFd<'_>> {
        let is_waiting = matches!(self.state, State::Idle | State::Absent);
        if is_waiting && !full { self.reader.fd() } else { None }
    }
}

fn record<'b>(cursor: &Cursor, fields: crate::record::Fields<'b>) -> Record<'b> {
    Record {
        time: i64::try_from(cursor.time.saturating_mul(1000)).unwrap_or(i64::MAX),
        own_time: true,
        from: cursor.number,
        to: cursor.number + 1,
        ordinal: 0,
        fields,
    }
}

fn count(metrics: &InputMetrics, counts: Counts) {
    metrics.cut_fields.add(counts.cut);
    metrics.broken_fields.add(counts.broken);
    metrics.invalid_utf8.add(counts.invalid_utf8);
}

/// Fluent Bit does not start without the folder either.
fn check_folder(folder: &Path) -> Result<(), SystemdError> {
    let no_folder = |reason| SystemdError::NoFolder { path: folder.to_owned(), reason };
    let status = folder.metadata().map_err(no_folder)?;
    if status.is_dir() {
        return Ok(());
    }
    Err(no_folder(io::Error::from(io::ErrorKind::NotADirectory)))
}

/// Where the position is kept, and where it stood. As with Fluent Bit, a database that cannot be used keeps nobody from
/// reading; it is said loudly.
fn open_positions(
    options: &SystemdOptions,
    metrics: &Arc<InputMetrics>,
) -> Result<(Option<Positions>, Option<Cursor>), SystemdError> {
    let begins = if options.read_from_tail { "end" } else { "start" };
    let Some(path) = &options.db else {
        tracing::warn!(
            "`systemd` without `DB`: after a restart the journal is read from its {begins}"
        );
        return Ok((None, None));
    };
    let opened = Database::open(Path::new(path), options.db_sync.0.word());
    let opened = opened.and_then(|database| {
        let text = database.cursor().map_err(|error| error.to_string())?;
        Ok((database, text))
    });
    let (database, text) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            metrics.database_errors.add(1);
            tracing::error!(
                path,
                "position database: {reason}; no position is kept: the journal is read from its {begins}"
            );
            return Ok((None, None));
        }
    };
    let cursor = text.as_deref().and_then(Cursor::parse);
    // What Fluent Bit writes before its first entry.
    if cursor.is_none() && text.is_some_and(|text| text != "(null)") {
        tracing::warn!(
            path,
            "the position database holds no cursor; the journal is read from its {begins}"
        );
    }
    let setup =
        |source| SystemdError::Setup { what: "the thread of the position database", source };
    Ok((Some(Positions::keep(database, Arc::clone(metrics)).map_err(setup)?), cursor))
}
