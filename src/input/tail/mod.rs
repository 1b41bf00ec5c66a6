//! `tail`: follows files through rotation, restarts and crashes, so that no line is lost and none doubled.
//!
//! | file | holds |
//! |---|---|
//! | [`options`] | the properties |
//! | `discovery` | which files there are |
//! | `watch` | what wakes the input |
//! | `file` | one followed file and how far it was read |
//! | `reading` | one read as one batch |
//! | `marker` | how a replaced file is noticed |
//! | `positions`, `database` | where files stand, and who they are |
//! | `tag` | the tag of a file |
//!
//! A scan looks which files `Path` finds and compares them, by device and inode, with those that are
//! followed: new ones are opened and registered, renamed ones go on under their new name, and those that no
//! name leads to any more are *leaving*: read to their end, for `Rotate_Wait` at least, then closed. The
//! kernel tells when a scan or a read is due; an interval is only the safety net. Events are looked at no
//! more often than every `QUIET_PAUSE`, so that a writer of many small lines does not cost a wake-up each.

#[cfg(test)]
mod attended;
#[cfg(test)]
mod behaviour;
mod database;
mod discovery;
mod error;
mod file;
mod marker;
#[cfg(test)]
mod model;
pub mod options;
mod positions;
mod reading;
#[cfg(test)]
mod rig;
mod tag;
mod watch;

#[cfg(test)]
pub(crate) use attended::{Attended, Standing};
pub use error::TailError;
pub use options::TailOptions;

use self::database::{Candidate, Database, DatabaseOptions, Registration, Start};
use self::discovery::{Folder, Found, Patterns, Place, Scan};
use self::file::{Followed, Reader, Stage};
use self::positions::{Answer, Positions};
use self::reading::{Desk, Keys, Outcome, Subject};
use self::tag::TagMaker;
use self::watch::Watcher;
use super::lines::{Counts, Lines, LongLines};
use super::{Input, Intake, Turn};
use crate::clock;
use crate::metrics::InputMetrics;
use crate::parser::{Parser, Scratch};
use crate::record::{Source, SourceId};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Pause between two looks at events: bounds what a writer of many small lines costs, and how late a line is.
const QUIET_PAUSE: Duration = Duration::from_millis(20);

/// Pause between two scans that events ask for: a scan looks at every file.
const SCAN_PAUSE: Duration = Duration::from_millis(100);

/// Pause between two looks at all sizes when nobody tells of changes.
const POLL_PAUSE: Duration = Duration::from_millis(250);

/// Reads in one turn: 4 MiB, so that other inputs and the outputs' answers do not wait.
const TURN_READS_MAX: usize = 16;

/// The longest line that is kept whole, however large `Buffer_Max_Size` is: a buffer must hold it.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// A file made this much before the database was last written to may have been made after it: clocks of
/// file systems are coarse.
const CREATED_SLACK: Duration = Duration::from_secs(2);

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
    /// Files that may have something to read, in turn.
    queue: VecDeque<u64>,
    /// Closed files that are not all safe: row and end.
    closed: HashMap<u64, (i64, u64)>,
    next_number: u64,
    /// Sizes of the files that are too old, by place: they go on from there when they are written to.
    ignored: HashMap<Place, u64>,
    /// What could not be opened, so that each is counted and said once.
    unreadable: HashSet<PathBuf>,
    schedule: Schedule,
    ending: Ending,
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
    /// The next look at all sizes.
    check: Option<Instant>,
    /// Events are left alone until then.
    listen: Option<Instant>,
}

impl Tail {
    /// Opens the position database and what wakes the input; the first turn looks for files. `input` is the
    /// index of this instance, `parser` the one that `Parser` names.
    pub fn open(
        options: TailOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        input: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, TailError> {
        Self::open_with(options, tag, parser, input, metrics, Positions::in_database)
    }

    /// The same; `begin` says who does the work of the database.
    fn open_with(
        options: TailOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        input: u32,
        metrics: Arc<InputMetrics>,
        begin: impl FnOnce(Database) -> io::Result<Positions>,
    ) -> Result<Self, TailError> {
        if options.buffer_max_size < options.buffer_chunk_size {
            return Err(TailError::BufferSizes);
        }
        for (name, interval) in
            [("Refresh_Interval", options.refresh_interval), ("Rotate_Wait", options.rotate_wait)]
        {
            if interval.is_zero() {
                return Err(TailError::Interval(name));
            }
        }
        let patterns = Patterns::read(&options.path, &options.exclude_path)?;
        let tags = TagMaker::read(tag, options.tag_regex.as_ref().map(|regex| regex.0.as_str()));
        let (positions, last_alive) = open_positions(&options, begin)?;
        let watcher = Watcher::new(positions.bell(), options.inotify_watcher)
            .map_err(|source| TailError::Setup { what: "what wakes the input", source })?;
        let desk = open_desk(&options, parser);
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
            queue: VecDeque::new(),
            closed: HashMap::new(),
            next_number: 0,
            ignored: HashMap::new(),
            unreadable: HashSet::new(),
            schedule: Schedule { scan: None, scan_earliest: None, check: None, listen: None },
            ending: Ending::Sweeping,
            last_alive,
        })
    }

    /// Hears what the positions and the kernel have to say.
    fn listen(&mut self, now: Instant) {
        for answer in self.positions.answers() {
            match answer {
                Answer::Registered(number, registration) => self.begin(number, &registration),
                Answer::Empty(number) => {
                    if let Some(followed) = self.files.get_mut(&number) {
                        followed.stage = Stage::Empty;
                    }
                    // It may have been written to since.
                    self.enqueue(number);
                }
                Answer::Orphan(file, path, registration) => {
                    self.adopt(file, path, &registration, now);
                }
                Answer::Swept => self.ending = Ending::Reading,
            }
        }
        if self.schedule.listen.is_some_and(|at| now < at) {
            return;
        }
        let events = self.watcher.take();
        for number in events.changed {
            self.enqueue(number);
        }
        if events.scan || events.overflow {
            self.want_scan(now);
        }
        if events.overflow {
            self.schedule.check = None;
        }
        let result = if events.any {
            self.schedule.listen = Some(now + QUIET_PAUSE);
            self.watcher.disarm()
        } else {
            self.schedule.listen = None;
            self.watcher.arm()
        };
        if let Err(error) = result {
            // The interval of the checks still sees every change.
            tracing::error!(%error, "cannot wait for file events");
        }
    }

    fn want_scan(&mut self, now: Instant) {
        let earliest = self.schedule.scan_earliest.unwrap_or(now).max(now);
        self.schedule.scan = Some(self.schedule.scan.map_or(earliest, |at| at.min(earliest)));
    }

    /// Looks which files there are, if that is due.
    fn scan_if_due(&mut self, now: Instant) {
        let is_first = self.schedule.scan.is_none();
        if self.schedule.scan.is_some_and(|at| now < at) {
            return;
        }
        self.schedule.scan = Some(now + self.options.refresh_interval);
        self.schedule.scan_earliest = Some(now + SCAN_PAUSE);
        self.watch_folders();
        let scan = self.patterns.scan();
        self.note_refused(&scan);
        let mut seen = HashMap::with_capacity(self.files.len());
        let mut present = HashSet::new();
        let mut has_link = false;
        for found in scan.found {
            present.insert(found.place.inode);
            if let Some(number) = self.places.get(&found.place) {
                let names: &mut Vec<PathBuf> = seen.entry(*number).or_default();
                names.push(found.path);
            } else if let Some(number) = self.follow(&found, is_first) {
                let is_link =
                    self.files.get(&number).is_some_and(|file| file.behind_link.is_some());
                has_link |= is_link;
                seen.insert(number, vec![found.path]);
            }
        }
        self.reconcile(&seen, now);
        if has_link {
            self.watch_folders();
        }
        if is_first {
            self.positions.sweep(self.patterns.clone(), present);
        }
    }

    /// Watches the folders where files may appear: those of `Path`, and those that its links lead to.
    fn watch_folders(&mut self) {
        let mut folders = self.patterns.folders();
        folders.extend(self.files.values().filter_map(|file| file.behind_link.clone()));
        self.watcher.watch_folders(folders);
    }

    /// Counts what cannot be looked at, once each.
    fn note_refused(&mut self, scan: &Scan) {
        let is_there = |path: &PathBuf| {
            scan.refused.iter().any(|(refused, _)| refused == path)
                || scan.found.iter().any(|found| found.path == *path)
        };
        self.unreadable.retain(is_there);
        for (path, error) in &scan.refused {
            self.note_unreadable(path, error);
        }
    }

    fn note_unreadable(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable.insert(path.to_path_buf()) {
            self.metrics.unreadable_files.add(1);
            tracing::error!(path = %path.display(), %error, "cannot read; tried again at every scan");
        }
    }

    /// Begins to follow a file that was found. `None`: not now.
    fn follow(&mut self, found: &Found, is_first: bool) -> Option<u64> {
        if self.is_too_old(found) {
            self.ignored.insert(found.place, found.size);
            return None;
        }
        let tag = self.tags.tag(&found.path)?;
        let file = match open(&found.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.note_unreadable(&found.path, &error);
                return None;
            }
        };
        self.unreadable.remove(&found.path);
        let place =
            file.metadata().ok().filter(std::fs::Metadata::is_file).as_ref().map(Place::of)?;
        // Renamed since it was found: the next scan sees it under its own name.
        if self.places.contains_key(&place) {
            return None;
        }
        let followed = Followed {
            file: Arc::new(file),
            path: found.path.clone(),
            shown: found.path.to_string_lossy().into_owned(),
            tag,
            place,
            start: self.start(found, is_first),
            stage: Stage::Empty,
            watch: None,
            behind_link: behind_link(&found.path),
            leaving: None,
            is_queued: false,
            modified: None,
        };
        let number = self.enter(followed);
        self.metrics.files_opened.add(1);
        self.register(number, None);
        Some(number)
    }

    fn enter(&mut self, mut followed: Followed) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        followed.watch = self.watcher.watch_file(&followed.file, number);
        self.places.insert(followed.place, number);
        self.files.insert(number, followed);
        number
    }

    fn is_too_old(&self, found: &Found) -> bool {
        let limit = self.options.ignore_older;
        let age = found.modified.and_then(|at| clock::system_time().duration_since(at).ok());
        !limit.is_zero() && age.is_some_and(|age| age > limit)
    }

    /// Where a file begins that the database does not know.
    fn start(&mut self, found: &Found, is_first: bool) -> Start {
        if let Some(size) = self.ignored.remove(&found.place)
            && size <= found.size
        {
            return Start::At(size);
        }
        let is_new = !is_first && self.options.read_newly_discovered_files_from_head;
        // It came while nobody was looking: the same as one that comes later.
        let came_since = self.options.read_newly_discovered_files_from_head
            && self.last_alive.zip(found.created).is_some_and(|(alive, created)| {
                created > alive.checked_sub(CREATED_SLACK).unwrap_or(alive)
            });
        if self.options.read_from_head || is_new || came_since { Start::Head } else { Start::End }
    }

    /// Has the file written down, so that it may be read. `replaces` is the row that it had before it was cut.
    fn register(&mut self, number: u64, replaces: Option<i64>) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        followed.stage = Stage::Registering;
        let candidate = Candidate {
            file: Arc::clone(&followed.file),
            path: PathBuf::from(&followed.shown),
            start: followed.start,
            replaces,
        };
        self.positions.register(number, candidate);
    }

    /// The file may be read now.
    fn begin(&mut self, number: u64, registration: &Registration) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        let id = SourceId { input: self.input, number };
        let source = Source { id, key: registration.key, first_seen: registration.first_seen };
        followed.stage = Stage::Reading(Reader::new(registration, source));
        // Known by another name before the restart: its records keep their tag, and so their ids.
        if Path::new(&followed.shown) != registration.path
            && let Some(tag) = self.tags.tag(&registration.path)
        {
            followed.shown = registration.path.to_string_lossy().into_owned();
            followed.tag = tag;
        }
        self.enqueue(number);
    }

    /// Takes over a file that was renamed while nobody looked.
    fn adopt(&mut self, file: Arc<File>, path: PathBuf, registration: &Registration, now: Instant) {
        let place = file.metadata().ok().as_ref().map(Place::of);
        let tag = self.tags.tag(&registration.path);
        let (Some(place), Some(tag)) = (place, tag) else { return };
        if self.places.contains_key(&place) {
            return;
        }
        let number = self.enter(Followed {
            file,
            path,
            shown: registration.path.to_string_lossy().into_owned(),
            tag,
            place,
            start: Start::Head,
            stage: Stage::Registering,
            watch: None,
            behind_link: None,
            leaving: Some(now),
            is_queued: false,
            modified: None,
        });
        self.metrics.files_opened.add(1);
        self.begin(number, registration);
    }

    /// Compares the followed files with the names that were found for them.
    fn reconcile(&mut self, seen: &HashMap<u64, Vec<PathBuf>>, now: Instant) {
        for (number, followed) in &mut self.files {
            match seen.get(number) {
                None if followed.leaving.is_none() => {
                    followed.leaving = Some(now);
                    // A deleted file is no rotated one, for Fluent Bit neither.
                    let is_kept = followed.file.metadata().is_ok_and(|status| status.nlink() > 0);
                    self.metrics.files_rotated.add(is_kept.into());
                }
                None => {}
                Some(names) => {
                    followed.leaving = None;
                    let Some(first) = names.first() else { continue };
                    if names.contains(&followed.path) {
                        continue;
                    }
                    followed.path.clone_from(first);
                    self.metrics.files_rotated.add(1);
                    if let Stage::Reading(reader) = &followed.stage {
                        self.positions.rename(reader.row, first.clone());
                    }
                }
            }
        }
    }

    /// Looks at all sizes and times, if that is due: for changes that nobody told of. A file written anew may have
    /// the size that it had.
    fn check_if_due(&mut self, now: Instant) {
        if self.schedule.check.is_some_and(|at| now < at) {
            return;
        }
        let nanos = Duration::from_nanos(self.options.progress_check_interval_nsec.into());
        let interval = self.options.progress_check_interval + nanos;
        let pause = if self.watcher.is_blind() { POLL_PAUSE.min(interval) } else { interval };
        self.schedule.check = Some(now + pause);
        let differs = |(number, followed): (&u64, &mut Followed)| {
            let status = followed.file.metadata().ok()?;
            let modified = status.modified().ok();
            let is_modified = mem::replace(&mut followed.modified, modified) != modified;
            let is_changed = match &followed.stage {
                Stage::Empty => status.len() > 0,
                Stage::Registering => false,
                Stage::Reading(reader) => is_modified || status.len() != reader.seen,
            };
            is_changed.then_some(*number)
        };
        let changed: Vec<_> = self.files.iter_mut().filter_map(differs).collect();
        for number in changed {
            self.enqueue(number);
        }
        if self.watcher.is_blind() {
            self.scan_for_renames(now);
        }
    }

    /// Without events, a name that leads elsewhere is noticed here: as often as Fluent Bit looks.
    fn scan_for_renames(&mut self, now: Instant) {
        let leads_elsewhere = |followed: &Followed| {
            followed.leaving.is_none()
                && followed
                    .path
                    .metadata()
                    .map_or(true, |status| Place::of(&status) != followed.place)
        };
        if self.files.values().any(leads_elsewhere) {
            self.want_scan(now);
        }
    }

    /// The file may have something to read. One that was empty so far is registered at once, however full the
    /// buffer is: should it be rotated away and the process be killed, only its row leads back to it.
    fn enqueue(&mut self, number: u64) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        match &followed.stage {
            Stage::Empty if followed.file.metadata().is_ok_and(|status| status.len() > 0) => {
                self.register(number, None);
            }
            Stage::Reading(_) if !followed.is_queued => {
                followed.is_queued = true;
                self.queue.push_back(number);
            }
            // What is being registered is put in the queue when that is done.
            Stage::Empty | Stage::Registering | Stage::Reading(_) => {}
        }
    }

    /// Reads files in turn, each once, until the turn's share is used up.
    fn read_queue(&mut self, intake: &mut dyn Intake) {
        for _ in 0..TURN_READS_MAX {
            if intake.is_full() {
                return;
            }
            let Some(number) = self.queue.pop_front() else { return };
            let Some(followed) = self.files.get_mut(&number) else { continue };
            followed.is_queued = false;
            if self.read(number, intake) == Outcome::More {
                self.enqueue(number);
            }
        }
    }

    /// Reads one file once.
    fn read(&mut self, number: u64, intake: &mut dyn Intake) -> Outcome {
        let Some(followed) = self.files.get_mut(&number) else { return Outcome::End };
        let Followed { file, shown, tag, stage, .. } = followed;
        let Stage::Reading(reader) = stage else { return Outcome::End };
        let from = reader.offset;
        let subject = Subject { file, path: shown, tag };
        let mut counts = Counts::default();
        let outcome = self.desk.read(reader, subject, intake, &mut counts);
        if self.options.file_cache_advise {
            forget_pages(file, from, reader.offset);
        }
        counts.add_to(&self.metrics);
        match outcome {
            Ok(Outcome::Replaced) => {
                self.restart(number);
                Outcome::End
            }
            Ok(outcome) => outcome,
            Err(error) => {
                let path = followed.path.clone();
                // One that is leaving is tried again after another `Rotate_Wait`, not without pause.
                followed.leaving = followed.leaving.and(Some(clock::instant()));
                self.note_unreadable(&path, &error);
                Outcome::End
            }
        }
    }

    /// The file was cut or written anew: it is another source now, read from its first byte.
    fn restart(&mut self, number: u64) {
        let Some(mut followed) = self.files.remove(&number) else { return };
        let Stage::Reading(reader) = &followed.stage else { return };
        let row = reader.row;
        tracing::info!(path = %followed.path.display(), "file was truncated: it is read from its start");
        self.metrics.files_truncated.add(1);
        self.metrics.lost_bytes.add(reader.seen - reader.offset);
        followed.is_queued = false;
        followed.start = Start::Head;
        let new = self.next_number;
        self.next_number += 1;
        if let Some(watch) = &followed.watch {
            self.watcher.renumber(watch, new);
        }
        self.places.insert(followed.place, new);
        self.files.insert(new, followed);
        self.register(new, Some(row));
    }

    /// Closes leaving files whose time is over, if they are read to their end.
    fn close_leaving(&mut self, now: Instant, intake: &mut dyn Intake) {
        let wait = self.options.rotate_wait;
        let is_over = |followed: &Followed| {
            !followed.is_queued && followed.leaving.is_some_and(|since| now >= since + wait)
        };
        let over: Vec<_> = self
            .files
            .iter()
            .filter(|(_, file)| is_over(file))
            .map(|(number, _)| *number)
            .collect();
        for number in over {
            if intake.is_full() {
                return;
            }
            self.close(number, intake);
        }
    }

    fn close(&mut self, number: u64, intake: &mut dyn Intake) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        let size = followed.file.metadata().map_or(0, |status| status.len());
        let is_at_end = match &followed.stage {
            Stage::Registering => return,
            Stage::Empty => size == 0,
            Stage::Reading(reader) => size == reader.seen,
        };
        if !is_at_end {
            return self.enqueue(number);
        }
        let Some(mut followed) = self.files.remove(&number) else { return };
        self.places.remove(&followed.place);
        if let Some(watch) = &followed.watch {
            self.watcher.unwatch_file(watch);
        }
        self.metrics.files_closed.add(1);
        let stage = mem::replace(&mut followed.stage, Stage::Empty);
        if let Stage::Reading(mut reader) = stage {
            let subject =
                Subject { file: &followed.file, path: &followed.shown, tag: &followed.tag };
            let mut counts = Counts::default();
            if let Err(error) = self.desk.finish(&mut reader, subject, intake, &mut counts) {
                self.metrics.lost_bytes.add(reader.seen - reader.offset);
                tracing::error!(path = %followed.path.display(), %error, "cannot read the last line");
            }
            counts.add_to(&self.metrics);
            self.positions.close(reader.row);
            self.closed.insert(number, (reader.row, reader.offset));
            self.forget_if_safe(number, reader.safe);
        }
    }

    /// A closed file that is all safe needs no row.
    fn forget_if_safe(&mut self, number: u64, safe: u64) {
        if let Some((row, end)) = self.closed.get(&number).copied()
            && safe >= end
        {
            self.closed.remove(&number);
            self.positions.forget(row);
        }
    }

    /// What `Exit_On_Eof` makes of a turn that left nothing to read: the end, if a last look before it
    /// found nothing new. `None`: it is off, or not fulfilled.
    fn end(&mut self, now: Instant) -> Option<Turn> {
        let is_read = self.options.exit_on_eof
            && !self.files.is_empty()
            && self.queue.is_empty()
            && self.files.values().all(|file| !matches!(file.stage, Stage::Registering));
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

    /// When the next thing is due.
    fn next_due(&self, now: Instant, is_full: bool) -> Instant {
        let schedule = &self.schedule;
        let listen = schedule.listen.filter(|_| !self.watcher.is_armed());
        // Nothing is closed while the buffer is full: its last line could not be handed over.
        // Nor before its registration has come, for which the bell rings.
        let is_waited_for = |file: &&Followed| {
            !file.is_queued && !is_full && !matches!(file.stage, Stage::Registering)
        };
        let leaving = self.files.values().filter(is_waited_for);
        let leaving =
            leaving.filter_map(|file| Some(file.leaving? + self.options.rotate_wait)).min();
        let due = [schedule.scan, schedule.check, listen, leaving].into_iter().flatten().min();
        due.unwrap_or(now).max(now)
    }
}

impl Input for Tail {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        self.listen(now);
        self.scan_if_due(now);
        self.check_if_due(now);
        self.read_queue(intake);
        self.close_leaving(now, intake);
        if !self.queue.is_empty() && !intake.is_full() {
            return Turn::More;
        }
        self.end(now).unwrap_or_else(|| Turn::Wait(self.next_due(now, intake.is_full())))
    }

    fn safe(&mut self, source: SourceId, to: u64) {
        if let Some(Followed { stage: Stage::Reading(reader), .. }) =
            self.files.get_mut(&source.number)
        {
            reader.safe = reader.safe.max(to);
            self.positions.safe(reader.row, to);
        } else if let Some((row, _)) = self.closed.get(&source.number) {
            self.positions.safe(*row, to);
            self.forget_if_safe(source.number, to);
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

fn open_desk(options: &TailOptions, parser: Option<Arc<Parser>>) -> Desk {
    let bytes_max = options.buffer_max_size.0.min(LINE_BYTES_MAX);
    let lines = Lines {
        parser,
        scratch: Scratch::default(),
        skips_empty: options.skip_empty_lines,
        strips_return: true,
        long: match (options.truncate_long_lines, options.skip_long_lines) {
            (true, _) => LongLines::Truncate,
            (false, true) => LongLines::Skip,
            (false, false) => LongLines::Flag,
        },
        bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX).saturating_sub(1).max(1),
    };
    let keys = Keys {
        key: options.key.clone(),
        path_key: options.path_key.clone(),
        offset_key: options.offset_key.clone(),
    };
    Desk::new(lines, keys)
}

/// Opens a file to be read. Never waits, should a pipe have taken the file's place.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Where the file lies that a link leads to.
fn behind_link(path: &Path) -> Option<Folder> {
    let real = std::fs::canonicalize(path).ok()?;
    let folder = real.parent()?;
    let is_beside = path.parent().and_then(|folder| folder.canonicalize().ok());
    if is_beside.as_deref() == Some(folder) && real.file_name() == path.file_name() {
        return None;
    }
    let name = glob::Pattern::escape(&real.file_name()?.to_string_lossy());
    Some(Folder { path: folder.to_path_buf(), names: glob::Pattern::new(&name).ok()? })
}

/// After this much of a file was read, the kernel is told that it need not keep it.
const FORGET_BYTES: u64 = 8 << 20;

/// Gives the pages up to `to` back, once for every [`FORGET_BYTES`].
fn forget_pages(file: &File, from: u64, to: u64) {
    if from / FORGET_BYTES != to / FORGET_BYTES {
        let len = std::num::NonZeroU64::new(to);
        // Only advice: that it is not taken costs nothing.
        let _ignored = rustix::fs::fadvise(file, 0, len, rustix::fs::Advice::DontNeed);
    }
}
