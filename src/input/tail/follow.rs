//! How a file comes to be followed: found, registered, taken over.

use super::content::Content;
use super::database::{Candidate, Registration, Replaced, Start};
use super::discovery::{Found, Scan};
use super::file::{Reader, Stage};
use super::rest::{Resting, whereabouts};
use super::watch::Departed;
use super::{Followed, Place, Tail};
use crate::clock;
use crate::record::{Source, SourceId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A file made this much before the database was last written to may have been made after it: clocks of
/// file systems are coarse.
pub(super) const CREATED_SLACK: Duration = Duration::from_secs(2);

/// Pause between two scans of everything.
const SCAN_PAUSE: Duration = Duration::from_millis(100);

impl Tail {
    /// Looks which files there are, if that is due.
    pub(super) fn scan_if_due(&mut self, now: Instant) {
        let is_first = self.schedule.scan.is_none();
        if self.schedule.scan.is_some_and(|at| now < at) {
            return;
        }
        self.schedule.scan = Some(now + self.options.refresh_interval.0);
        self.schedule.scan_earliest = Some(now + SCAN_PAUSE);
        let mut scan = self.patterns.scan();
        if self.watcher.watch_only(mem::take(&mut scan.folders)) {
            // What appeared there before it was watched told nobody of itself.
            scan = self.patterns.scan();
        }
        self.forget_readable(&scan);
        let mut present = HashSet::new();
        present.extend(scan.found.iter().map(|found| found.place.inode));
        let seen = self.take_in(scan, is_first);
        self.rouse_moved(&seen);
        let all: Vec<_> = self.files.keys().copied().collect();
        self.reconcile(all, &seen, now);
        if is_first {
            self.positions.sweep(self.patterns.clone(), present);
        }
    }

    /// Looks at the names that came and went, and at those of the files that `moved`.
    pub(super) fn look(&mut self, touched: &BTreeSet<PathBuf>, moved: BTreeSet<u64>, now: Instant) {
        let mut concerned = moved;
        concerned.retain(|number| self.rouse(*number));
        let mut names = touched.clone();
        names.extend(
            concerned.iter().filter_map(|number| Some(self.files.get(number)?.path.clone())),
        );
        let scan = self.scan_names(&names);
        // By what was found, a file may have one more name.
        let by_place = |found: &Found| self.places.get(&found.place).copied();
        concerned.extend(scan.found.iter().filter_map(by_place));
        let mut seen = self.take_in(scan, false);
        for number in &concerned {
            let Some(followed) = self.files.get(number) else { continue };
            let is_known = seen.get(number).is_some_and(|names| names.contains(&followed.path));
            if !is_known && Place::at(&followed.path) == Some(followed.place) {
                seen.entry(*number).or_default().push(followed.path.clone());
            } else if !is_known && followed.names > 1 {
                // Only a look at everything tells by which others it is still there.
                self.want_scan(now);
            }
        }
        let has_unknown_names = |number: &u64| {
            !seen.contains_key(number)
                && self.files.get(number).is_some_and(|followed| followed.names > 1)
        };
        concerned.retain(|number| !has_unknown_names(number));
        self.reconcile(concerned, &seen, now);
    }

    /// Scans these names alone; once more where folders came to be watched.
    fn scan_names(&mut self, names: &BTreeSet<PathBuf>) -> Scan {
        let mut scan = self.patterns.scan_names(names);
        if self.watcher.watch_folders(mem::take(&mut scan.folders)) {
            scan = self.patterns.scan_names(names);
        }
        scan
    }

    /// Begins to follow what is new; the names of each file that was found.
    fn take_in(&mut self, scan: Scan, is_first: bool) -> HashMap<u64, Vec<PathBuf>> {
        for (path, error) in &scan.refused {
            self.note_unreadable(path, error);
        }
        let mut seen: HashMap<u64, Vec<PathBuf>> = HashMap::with_capacity(scan.found.len());
        for found in scan.found {
            let known = self.places.get(&found.place).copied();
            if let Some(number) = known.or_else(|| self.follow(&found, is_first)) {
                let names = seen.entry(number).or_default();
                if !names.contains(&found.path) {
                    names.push(found.path);
                }
            }
        }
        seen
    }

    /// What is there no more, or can be looked at again, is said anew the next time.
    fn forget_readable(&mut self, scan: &Scan) {
        if self.unreadable.is_empty() {
            return;
        }
        let found = scan.found.iter().map(|found| &found.path);
        let present: HashSet<_> = found.chain(scan.refused.iter().map(|(path, _)| path)).collect();
        self.unreadable.retain(|path| present.contains(path));
    }

    pub(super) fn note_unreadable(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable.insert(path.to_path_buf()) {
            self.metrics.unreadable_files.add(1);
            tracing::error!(path = %path.display(), %error, "cannot be read; tried again at every scan");
        }
    }

    /// Begins to follow a file that was found. `None`: not now.
    pub(super) fn follow(&mut self, found: &Found, is_first: bool) -> Option<u64> {
        if self.is_old(found.modified) {
            self.ignored.insert(found.place, found.size);
            return None;
        }
        let tag = self.tags.tag(&found.path)?;
        if self.has_no_room(found, is_first) {
            return None;
        }
        let file = match Content::open(&found.path) {
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
        let start = self.start(found, is_first);
        let shown = found.path.to_string_lossy().into_owned();
        let followed = Followed::new(Arc::new(file), found.path.clone(), shown, tag, place);
        let number = self.enter(Followed { start, ..followed });
        self.metrics.files_opened.add(1);
        self.register(number, None);
        Some(number)
    }

    /// Follows files that were made under a name which `Path` finds, and renamed before anybody looked: to their ends, by
    /// the names that they had.
    pub(super) fn follow_departed(&mut self, now: Instant) {
        let mut astray = Vec::new();
        for (departed, path) in self.watcher.take_departed() {
            match path.symlink_metadata() {
                Ok(status) if status.is_file() => {
                    self.pursue(&departed, Found::new(path, &status), now);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => astray.push(departed),
                // A link, or nothing that can be read.
                Ok(_) | Err(_) => {}
            }
        }
        self.watcher.keep_departed(astray);
    }

    /// Follows a file to its end that has the name no more by which it would have been found, unless it is followed.
    fn pursue(&mut self, departed: &Departed, found: Found, now: Instant) {
        let Some(name) = self.former_name(departed) else { return };
        let Some(tag) = self.tags.tag(&name).filter(|_| !self.is_old(found.modified)) else {
            return;
        };
        let file = match Content::open(&found.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.note_unreadable(&found.path, &error),
        };
        let Some(place) = file.metadata().ok().as_ref().map(Place::of) else { return };
        if self.is_known(&file, place, &found.path) {
            return;
        }
        let start = self.start(&found, false);
        let shown = name.to_string_lossy().into_owned();
        let followed = Followed::new(Arc::new(file), found.path, shown, tag, place);
        let number = self.enter(Followed { start, leaving: Some(now), ..followed });
        self.metrics.files_opened.add(1);
        self.metrics.files_rotated.add(1);
        self.register(number, None);
    }

    /// Whether a file is followed already. Of one that is not open, another may have the inode by now.
    fn is_known(&self, file: &Content, place: Place, path: &Path) -> bool {
        let rests = |resting: &Resting| {
            resting.place == place && resting.reader.stands_in(file).unwrap_or(true)
        };
        let followed = self.places.get(&place).is_some_and(|number| {
            let dozing = self.dozing.get(number);
            dozing.is_none_or(|dozing| dozing.is_in(file, path).unwrap_or(true))
        });
        followed || self.resting.values().any(rests)
    }

    /// As what `Path` would have found the file, had anybody looked in time.
    fn former_name(&self, departed: &Departed) -> Option<PathBuf> {
        let name = departed.names.iter().find(|name| self.patterns.select(name)).cloned();
        name.or_else(|| {
            // It lay where a link leads to; of one that is on its way out, nothing is new.
            let number = departed.number?;
            let open = self.files.get(&number).filter(|followed| followed.leaving.is_none());
            let dozing = self.dozing.get(&number);
            open.map(|it| it.path.clone()).or_else(|| dozing.map(|it| it.path.clone()))
        })
    }

    pub(super) fn enter(&mut self, followed: Followed) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.watcher.follow(number, &followed.path, &real_path(&followed.path));
        if followed.leaving.is_some() {
            self.leaving.insert(number);
        }
        self.places.insert(followed.place, number);
        self.files.insert(number, followed);
        number
    }

    /// Whether `Ignore_Older` leaves out what was written to at this time last.
    pub(super) fn is_old(&self, modified: Option<SystemTime>) -> bool {
        let limit = self.options.ignore_older.0;
        let age = modified.and_then(|at| clock::system_time().duration_since(at).ok());
        !limit.is_zero() && age.is_some_and(|age| age > limit)
    }

    /// Where a file begins that the database does not know.
    pub(super) fn start(&mut self, found: &Found, is_first: bool) -> Start {
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

    /// Has the file written down, so that it may be read. `replaces` is what it was before it was cut.
    pub(super) fn register(&mut self, number: u64, replaces: Option<Replaced>) {
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
    pub(super) fn begin(&mut self, number: u64, registration: &Registration) {
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
        // It left before it had a row that could say where to.
        if followed.leaving.is_some() {
            self.positions.relocate(registration.row, whereabouts(followed));
        }
        self.begin_joining(number, registration.cuts.clone());
        self.enqueue(number);
    }

    /// Takes over a file that was renamed while nobody looked.
    pub(super) fn adopt(
        &mut self,
        file: Arc<Content>,
        path: PathBuf,
        registration: &Registration,
        now: Instant,
    ) {
        let place = file.metadata().ok().as_ref().map(Place::of);
        let tag = self.tags.tag(&registration.path);
        let (Some(place), Some(tag)) = (place, tag) else { return };
        if self.places.contains_key(&place) {
            return;
        }
        let shown = registration.path.to_string_lossy().into_owned();
        let followed = Followed::new(file, path, shown, tag, place);
        let number = self.enter(Followed { leaving: Some(now), ..followed });
        self.metrics.files_opened.add(1);
        self.begin(number, registration);
    }
}

/// Where the file lies that a link leads to.
pub(super) fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
