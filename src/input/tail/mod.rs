//! `tail`: follows files through rotation, restarts and crashes, so that no line is lost and none doubled.
//!
//! | file | holds |
//! |---|---|
//! | [`options`] | the properties |
//! | `discovery` | which files there are |
//! | `events` | what tells that something is due |
//! | `follow` | how a file comes to be followed |
//! | `turns` | which file is read next |
//! | `parking` | files that wait for what a filter asks about them |
//! | `joining` | how lines are joined |
//! | `joined`, `knots` | lines that wait to be joined, positions that wait for each other |
//! | `leave` | how a file is left |
//! | `watch` | what wakes the input |
//! | `file` | one followed file and how far it was read |
//! | `content` | what a file holds, packed or not |
//! | `reading` | one read as one batch |
//! | `marker` | how a replaced file is noticed |
//! | `positions`, `database` | where files stand, and who they are |
//! | `trace` | what became of a file that is not where it was |
//! | `doze` | quiet files without a descriptor |
//! | `rest` | files that wait unopened until they can be read |
//! | `tag` | the tag of a file |
//!
//! A scan looks which files `Path` finds and compares them, by device and inode, with those that are
//! followed: new ones are opened and registered, renamed ones go on under their new name, and those that no
//! name leads to any more are *leaving*: read to their end, for `Rotate_Wait` at least, then closed.
//!
//! The kernel tells what was written to and which names came and went, and only those are looked at: what
//! this costs grows with the files that change, not with all. The scan of everything and the look at all sizes
//! are only the safety net; the latter goes round in slices. Events are looked at no more often than every
//! `QUIET_PAUSE`, so that a writer of many small lines does not cost a wake-up each.

#[cfg(test)]
mod attended;
#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod bytes;
mod content;
mod database;
mod discovery;
mod doze;
mod error;
mod events;
mod file;
mod follow;
mod joined;
mod joining;
#[cfg(test)]
mod joins;
mod knots;
mod leave;
mod marker;
#[cfg(test)]
mod model;
pub mod options;
mod parking;
mod positions;
mod reading;
mod rest;
#[cfg(test)]
mod rig;
mod tag;
mod trace;
mod turns;
mod watch;

pub use crate::input::join::Joining;
#[cfg(test)]
pub(crate) use attended::{Attended, Standing};
pub use error::TailError;
pub use joining::Means;
pub use options::TailOptions;

use self::database::{Database, DatabaseOptions};
use self::discovery::{Found, Patterns, Place};
use self::doze::{Dozing, Openings};
use self::file::{Followed, Stage};
use self::joined::Joins;
use self::knots::Due;
use self::parking::Parking;
use self::positions::Positions;
use self::reading::{Desk, Keys};
use self::rest::{LEAVING_OPEN_MAX, Resting};
use self::tag::TagMaker;
use self::watch::Watcher;
use super::encoding::Expected;
use super::lines::{Lines, LongLines};
use super::{Input, Intake, Turn};
use crate::metrics::InputMetrics;
use crate::parser::Parser;
use crate::record::SourceId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The longest line that is kept whole, however large `Buffer_Max_Size` is: a buffer must hold it.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Follows files.
#[derive(Debug)]
pub struct Tail {
    options: TailOptions,
    input: u32,
    metrics: Arc<InputMetrics>,
    patterns: Patterns,
    tags: TagMaker,
    positions: Positions,
    watcher: Watcher,
    desk: Desk,
    /// By the number of their source.
    files: BTreeMap<u64, Followed>,
    /// Who of them is at which place.
    places: HashMap<Place, u64>,
    /// Those of them that no name leads to any more; some more may be in here.
    leaving: BTreeSet<u64>,
    /// Which of them was looked at last by itself, without an event.
    checked: u64,
    /// Quiet files that are not open, by the number of their source.
    dozing: BTreeMap<u64, Dozing>,
    /// Which of them was looked at last by itself, and which file was found out last whether it can doze.
    checked_dozing: u64,
    dozed: u64,
    openings: Openings,
    /// Files that wait for room, and whether they were there at the start.
    arrivals: BTreeMap<PathBuf, (Found, bool)>,
    /// Files that may have something to read, in turn.
    queue: VecDeque<u64>,
    parking: Parking,
    /// Files that changed, which may have to be looked at before there is room for what they hold; as long as a turn
    /// lasts.
    changed: Vec<u64>,
    /// Leaving files that were closed before they were read, by the number of their source.
    resting: BTreeMap<u64, Resting>,
    /// How many leaving files are kept open.
    leaving_open_max: usize,
    /// Closed files that are not all safe: row and end.
    closed: HashMap<u64, (i64, u64)>,
    next_number: u64,
    /// Sizes of the files that are too old, by place: they go on from there when they are written to.
    ignored: HashMap<Place, u64>,
    /// What could not be opened, so that each is counted and said once.
    unreadable: HashSet<PathBuf>,
    schedule: Schedule,
    ending: Ending,
    joins: Joins,
    /// When the database was last written to before this start.
    last_alive: Option<SystemTime>,
}

/// How far `Exit_On_Eof` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Files that were renamed while nobody looked are still being looked for.
    Sweeping,
    /// There may be something to read.
    Reading,
    /// All that is known is read: one more scan, for what came or was renamed in the meantime.
    LastLook,
}

/// What is due when.
#[derive(Debug)]
struct Schedule {
    /// The next scan; `None` before the first turn.
    scan: Option<Instant>,
    /// No scan before this, whatever happens.
    scan_earliest: Option<Instant>,
    /// The next look at sizes; `None`: at all of them.
    check: Option<Instant>,
    /// Events are left alone until then.
    listen: Option<Instant>,
}

impl Tail {
    /// Opens the position database and what wakes the input; the first turn looks for files. `input` is the
    /// index of this instance, `parser` the one that `Parser` names, `joining` what joins lines.
    pub fn open(
        options: TailOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        joining: Option<Joining>,
        input: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, TailError> {
        Self::open_with(options, tag, parser, joining, input, metrics, Positions::in_database)
    }

    /// The same; `begin` says who does the work of the database.
    fn open_with(
        options: TailOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        joining: Option<Joining>,
        input: u32,
        metrics: Arc<InputMetrics>,
        begin: impl FnOnce(Database) -> io::Result<Positions>,
    ) -> Result<Self, TailError> {
        if options.buffer_max_size.0 < options.buffer_chunk_size.0 {
            return Err(TailError::BufferSizes);
        }
        if options.refresh_interval.0.is_zero() {
            return Err(TailError::Interval("Refresh_Interval", "longer than 0"));
        }
        // Fluent Bit counts whole seconds here.
        if options.rotate_wait.as_secs() == 0 {
            return Err(TailError::Interval("Rotate_Wait", "at least 1 s"));
        }
        let patterns = Patterns::read(&options.path, &options.exclude_path)?;
        let tags = TagMaker::read(tag, options.tag_regex.as_ref().map(|regex| regex.0.as_str()));
        let (positions, last_alive) = open_positions(&options, begin)?;
        let watcher = Watcher::new(positions.bell(), options.inotify_watcher)
            .map_err(|source| TailError::Setup { what: "what wakes the input", source })?;
        let expected = options.expected().ok_or(TailError::Encodings)?;
        let desk = open_desk(&options, parser, joining, expected);
        Ok(Self {
            options,
            input,
            metrics,
            patterns,
            tags,
            positions,
            watcher,
            desk,
            files: BTreeMap::new(),
            places: HashMap::new(),
            leaving: BTreeSet::new(),
            checked: 0,
            dozing: BTreeMap::new(),
            checked_dozing: 0,
            dozed: 0,
            openings: Openings::of_process(),
            arrivals: BTreeMap::new(),
            queue: VecDeque::new(),
            parking: Parking::default(),
            changed: Vec::new(),
            resting: BTreeMap::new(),
            leaving_open_max: LEAVING_OPEN_MAX,
            closed: HashMap::new(),
            next_number: 0,
            ignored: HashMap::new(),
            unreadable: HashSet::new(),
            schedule: Schedule { scan: None, scan_earliest: None, check: None, listen: None },
            ending: Ending::Sweeping,
            joins: Joins::default(),
            last_alive,
        })
    }

    /// What `Exit_On_Eof` makes of a turn that left nothing to read: the end, if a last look before it
    /// found nothing new. `None`: it is off, or not fulfilled.
    fn end(&mut self, now: Instant) -> Option<Turn> {
        let is_read = self.options.exit_on_eof
            && !(self.files.is_empty() && self.dozing.is_empty())
            && self.queue.is_empty()
            && self.parking.is_empty()
            && self.resting.is_empty()
            && self.arrivals.is_empty()
            && self.files.values().all(|file| !matches!(file.stage, Stage::Registering));
        if is_read && !self.cut_all() {
            return None;
        }
        match self.ending {
            Ending::LastLook if is_read => Some(Turn::Done),
            Ending::Reading if is_read => {
                self.ending = Ending::LastLook;
                self.schedule.scan = Some(now);
                self.schedule.check = None;
                self.schedule.listen = None;
                Some(Turn::More)
            }
            Ending::LastLook => {
                self.ending = Ending::Reading;
                None
            }
            Ending::Sweeping | Ending::Reading => None,
        }
    }

    /// Whether a file that was renamed while nobody looked may still be found, whose last lines go on in another.
    fn is_waiting_for_sweep(&self) -> bool {
        self.ending == Ending::Sweeping && self.desk.lines.joining.is_some()
    }

    /// When the next thing is due.
    fn next_due(&self, now: Instant, is_full: bool) -> Instant {
        let schedule = &self.schedule;
        let listen = schedule.listen.filter(|_| !self.watcher.is_armed());
        // Nothing is closed while the buffer is full: its last line could not be handed over.
        // Nor before its registration has come, for which the bell rings.
        let is_waited_for = |file: &&Followed| {
            !file.is_queued
                && !is_full
                && !matches!(file.stage, Stage::Registering)
                && !file.has_waiting_lines()
        };
        let leaving = self.leaving.iter().filter_map(|number| self.files.get(number));
        let leaving = leaving.filter(is_waited_for);
        let leaving =
            leaving.filter_map(|file| Some(file.leaving? + self.options.rotate_wait)).min();
        let joins = self.joins_due(now);
        let room = self.room_due(now);
        let parked = self.parking.due().filter(|_| !is_full);
        let due = [schedule.scan, schedule.check, listen, leaving, joins, room, parked];
        let due = due.into_iter().flatten().min();
        due.unwrap_or(now).max(now)
    }
}

impl Input for Tail {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        self.listen(now);
        self.scan_if_due(now);
        self.check_if_due(now);
        self.release_joined(now, intake);
        self.look_at_parked(now, intake);
        self.read_queue(now, intake);
        self.cut_due(now);
        self.look_at_changed(intake);
        self.close_leaving(now, intake);
        self.wake_resting(now, intake);
        self.doze();
        self.let_in();
        if !self.queue.is_empty() && !self.is_waiting_for_sweep() && !intake.is_full() {
            return Turn::More;
        }
        self.end(now).unwrap_or_else(|| Turn::Wait(self.next_due(now, intake.is_full())))
    }

    fn safe(&mut self, source: SourceId, to: u64) {
        let number = source.number;
        let row = if let Some(Followed { stage: Stage::Reading(reader), .. }) =
            self.files.get_mut(&number)
        {
            reader.safe = reader.safe.max(to);
            Some(reader.row)
        } else if let Some(Resting { reader, .. }) = self.resting.get_mut(&number) {
            reader.safe = reader.safe.max(to);
            Some(reader.row)
        } else {
            self.closed.get(&number).map(|(row, _)| *row)
        };
        let Some(row) = row else { return };
        self.repay(number, row, to);
        match self.joins.knots.reach(number, to) {
            Due::Alone => {
                self.positions.safe([(row, to)]);
                self.forget_if_safe(number, to);
            }
            Due::Nothing => {}
            Due::All(all) => {
                self.positions.safe(all.iter().map(|tied| (tied.row, tied.reached)));
                for tied in all {
                    self.forget_if_safe(tied.number, tied.reached);
                }
            }
        }
    }

    fn wake_on(&self, _full: bool) -> Option<BorrowedFd<'_>> {
        Some(self.watcher.fd())
    }
}

/// Where positions are kept, and when they were last written before this start.
fn open_positions(
    options: &TailOptions,
    begin: impl FnOnce(Database) -> io::Result<Positions>,
) -> Result<(Positions, Option<SystemTime>), TailError> {
    let setup = |source| TailError::Setup { what: "the positions", source };
    let Some(path) = &options.db else {
        tracing::warn!(
            "`tail` without `DB`: after a restart files begin as `Read_from_Head` says, and lines may be \
             lost or sent twice"
        );
        return Ok((Positions::in_memory().map_err(setup)?, None));
    };
    let path = PathBuf::from(path);
    let written = |path: &Path| path.metadata().and_then(|status| status.modified()).ok();
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let last_alive = written(&path).max(written(Path::new(&log)));
    let database = Database::open(DatabaseOptions {
        path,
        sync: options.db_sync.0.word(),
        journal_mode: options.db_journal_mode.word(),
        is_exclusive: options.db_locking,
        compares_names: options.db_compare_filename,
    })?;
    Ok((begin(database).map_err(setup)?, last_alive))
}

fn open_desk(
    options: &TailOptions,
    parser: Option<Arc<Parser>>,
    joining: Option<Joining>,
    expected: Expected,
) -> Desk {
    let bytes_max = options.buffer_max_size.0.min(LINE_BYTES_MAX);
    let long = match (options.truncate_long_lines, options.skip_long_lines) {
        (true, _) => LongLines::Truncate,
        (false, true) => LongLines::Skip,
        (false, false) => LongLines::Flag,
    };
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX).saturating_sub(1).max(1);
    let lines = Lines {
        parser,
        joining: joining.map(Arc::new),
        skips_empty: options.skip_empty_lines,
        ..Lines::new(long, bytes_max)
    };
    let keys = Keys {
        key: options.key.clone(),
        path_key: options.path_key.clone(),
        offset_key: options.offset_key.clone(),
    };
    Desk::new(lines, expected, keys)
}
