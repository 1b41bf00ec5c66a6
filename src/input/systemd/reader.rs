//! The open journal, and where reading goes on in it.

use super::cursor::Cursor;
use super::entry::FIELD_BYTES_MAX;
use super::error::SystemdError;
use super::files;
use super::library::{Journal, Seek, Unopened};
use super::options::{FilterType, SystemdOptions};
use super::tags::Tags;
use crate::metrics::InputMetrics;
use crate::record::Tag;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What says which unit wrote an entry.
const UNIT: &CStr = c"_SYSTEMD_UNIT";

/// Behind the last entry some of the libraries see the last of each file once more (systemd issue 9934): with 4 GiB
/// of 25 MiB each these are as many. Fluent Bit passes over as many, too.
const LAST_MAX: u64 = 350;

/// Failures in a row at one place before a part of the journal is passed over.
const FAILURES_MAX: u32 = 3;

/// How much is passed over then, in microseconds: the first time this, then twice as much with each failure.
const LEAP_MIN: u64 = 1000;

/// The longest leap, as a power of two: 2^36 ms are two years.
const LEAP_DOUBLINGS_MAX: u32 = 36;

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    Head,
    Tail,
    /// Behind this entry.
    Behind(Cursor),
}

/// An entry that the journal is at.
#[derive(Debug)]
pub(super) struct Head {
    pub cursor: Cursor,
    pub tag: Tag,
}

/// Reads entry by entry.
#[derive(Debug)]
pub(super) struct Reader {
    folder: Option<PathBuf>,
    /// `FIELD=value`, and how they go together.
    matches: Vec<String>,
    filter_type: FilterType,
    journal: Journal,
    tags: Tags,
    metrics: Arc<InputMetrics>,
    begin: Begin,
    /// The last entry that was taken.
    last: Option<Cursor>,
    /// The entry that the journal is at, and that is to be taken next.
    waiting: Option<Head>,
    /// How often the library failed since the last entry.
    failures: u32,
    /// Reused for each cursor.
    text: String,
}

impl Reader {
    /// Opens the journal and goes where reading begins.
    pub(super) fn open(
        options: &SystemdOptions,
        folder: Option<PathBuf>,
        tag: &str,
        begin: Begin,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, SystemdError> {
        let journal =
            Journal::open(folder.as_deref()).map_err(|error| refused(folder.as_deref(), error))?;
        let mut reader = Self {
            folder,
            matches: options.systemd_filter.iter().map(|it| it.value.0.clone()).collect(),
            filter_type: options.systemd_filter_type,
            journal,
            tags: Tags::new(tag),
            metrics,
            begin,
            last: None,
            waiting: None,
            failures: 0,
            text: String::new(),
        };
        if let Err(error) = reader.begin() {
            return Err(refused(reader.folder.as_deref(), Unopened::Refused(error)));
        }
        Ok(reader)
    }

    /// Opens it anew and goes on behind the last entry.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.journal = Journal::open(self.folder.as_deref()).map_err(|error| match error {
            Unopened::Refused(error) => error,
            Unopened::NoLibrary(reason) => io::Error::other(reason),
        })?;
        self.begin()
    }

    fn begin(&mut self) -> io::Result<()> {
        self.waiting = None;
        self.journal.unpack_up_to(FIELD_BYTES_MAX)?;
        for text in &self.matches {
            self.journal.add_match(text)?;
            match self.filter_type {
                FilterType::Or => self.journal.add_or()?,
                FilterType::And => self.journal.add_and()?,
            }
        }
        match (self.last, self.begin) {
            (Some(cursor), _) if self.failures > FAILURES_MAX => self.leap(cursor),
            (Some(cursor), _) | (None, Begin::Behind(cursor)) => self.go_behind(cursor),
            (None, Begin::Head) => self.journal.seek(Seek::Head),
            (None, Begin::Tail) => self.go_to_end(),
        }
    }

    /// Goes to an entry, or, if it is gone, to what is as late.
    fn go_behind(&mut self, cursor: Cursor) -> io::Result<()> {
        let text = CString::new(cursor.to_text()).map_err(io::Error::other)?;
        self.journal.seek(Seek::Cursor(&text))?;
        if self.journal.next()? && self.read_cursor()?.is_same_entry(&cursor) {
            self.last = Some(cursor);
            return Ok(());
        }
        self.metrics.lost_cursors.add(1);
        tracing::warn!(
            "the journal does not have the entry any more up to which it was read, or `Systemd_Filter` leaves it out: \
             reading goes on from its time"
        );
        self.journal.seek(Seek::Time(cursor.time))
    }

    /// Goes to the last entry there is.
    fn go_to_end(&mut self) -> io::Result<()> {
        self.journal.seek(Seek::Tail)?;
        if self.journal.previous()? {
            self.journal.skip(LAST_MAX)?;
            self.last = Some(self.read_cursor()?);
            return Ok(());
        }
        // Whatever comes is new. Behind the end of nothing the library would never find it.
        self.begin = Begin::Head;
        self.journal.seek(Seek::Head)
    }

    /// Passes over what cannot be read.
    fn leap(&mut self, from: Cursor) -> io::Result<()> {
        let doublings = (self.failures - FAILURES_MAX).min(LEAP_DOUBLINGS_MAX);
        let to = from.time.saturating_add(LEAP_MIN << doublings);
        tracing::error!(to, "the journal cannot be read here: going on a little later");
        self.journal.seek(Seek::Time(to))
    }

    /// The next entry; `None`: there is none yet.
    pub(super) fn take(&mut self) -> io::Result<Option<Head>> {
        if let Some(head) = self.waiting.take() {
            return Ok(Some(head));
        }
        if !self.journal.next()? {
            return Ok(None);
        }
        let cursor = self.read_cursor()?;
        if !self.tags.want_unit() {
            return Ok(Some(Head { cursor, tag: self.tags.tag(None) }));
        }
        // `NAME=value`.
        let value_at = UNIT.to_bytes().len() + 1;
        let field = self.journal.first_of(UNIT)?;
        let tag = self.tags.tag(field.and_then(|field| field.get(value_at..)));
        Ok(Some(Head { cursor, tag }))
    }

    /// The entry is to be taken later.
    pub(super) fn put_back(&mut self, head: Head) {
        self.waiting = Some(head);
    }

    /// The entry was taken.
    pub(super) fn took(&mut self, cursor: Cursor) {
        self.last = Some(cursor);
        self.failures = 0;
    }

    /// The last entry that was taken, or behind which reading began.
    pub(super) fn last(&self) -> Option<Cursor> {
        self.last
    }

    /// The journal, at the entry that [`Reader::take`] gave last.
    pub(super) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Notes what changed; whether files came or went.
    pub(super) fn process(&mut self) -> io::Result<bool> {
        self.journal.process()
    }

    /// Whether its descriptor does not tell of all changes.
    pub(super) fn must_be_asked(&mut self) -> bool {
        self.journal.must_be_asked().unwrap_or(true)
    }

    /// Readable when there may be more.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.journal.fd()
    }

    /// The library failed; whether that was the first time since the last entry.
    pub(super) fn fail(&mut self) -> bool {
        self.failures += 1;
        self.failures == 1
    }

    fn read_cursor(&mut self) -> io::Result<Cursor> {
        self.journal.cursor(&mut self.text)?;
        Cursor::parse(&self.text)
            .ok_or_else(|| io::Error::other("an entry's cursor is of a kind that is not known"))
    }
}

/// The number of the newest entry that the library reaches in a file; `None`: it reaches none.
pub(super) fn newest(path: &Path) -> Option<u64> {
    let mut journal = Journal::open_file(path).ok()?;
    journal.seek(Seek::Tail).ok()?;
    let mut text = String::new();
    journal.previous().ok().filter(|is_there| *is_there)?;
    journal.cursor(&mut text).ok()?;
    Some(Cursor::parse(&text)?.number)
}

/// Why the journal cannot be opened.
fn refused(folder: Option<&Path>, error: Unopened) -> SystemdError {
    match (error, folder) {
        (Unopened::NoLibrary(reason), _) => SystemdError::NoLibrary { reason },
        (Unopened::Refused(reason), Some(path))
            if reason.kind() == io::ErrorKind::PermissionDenied =>
        {
            let remedy = files::remedy(files::missing_group(path));
            SystemdError::Denied { path: path.to_owned(), remedy }
        }
        (Unopened::Refused(reason), path) => {
            SystemdError::Refused { path: path.map(Path::to_owned), reason }
        }
    }
}
