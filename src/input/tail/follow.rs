//! How a file comes to be followed: found, registered, taken over.

use super::database::{Candidate, Registration, Start};
use super::discovery::{Folder, Found, Scan};
use super::file::{Reader, Stage};
use super::{Followed, Place, Tail};
use crate::clock;
use crate::record::{Source, SourceId};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file made this much before the database was last written to may have been made after it: clocks of
/// file systems are coarse.
pub(super) const CREATED_SLACK: Duration = Duration::from_secs(2);

/// Pause between two scans that events ask for: a scan looks at every file.
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
    pub(super) fn watch_folders(&mut self) {
        let mut folders = self.patterns.folders();
        folders.extend(self.files.values().filter_map(|file| file.behind_link.clone()));
        self.watcher.watch_folders(folders);
    }

    /// Counts what cannot be looked at, once each.
    pub(super) fn note_refused(&mut self, scan: &Scan) {
        let is_there = |path: &PathBuf| {
            scan.refused.iter().any(|(refused, _)| refused == path)
                || scan.found.iter().any(|found| found.path == *path)
        };
        self.unreadable.retain(is_there);
        for (path, error) in &scan.refused {
            self.note_unreadable(path, error);
        }
    }

    pub(super) fn note_unreadable(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable.insert(path.to_path_buf()) {
            self.metrics.unreadable_files.add(1);
            tracing::error!(path = %path.display(), %error, "cannot read; tried again at every scan");
        }
    }

    /// Begins to follow a file that was found. `None`: not now.
    pub(super) fn follow(&mut self, found: &Found, is_first: bool) -> Option<u64> {
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

    pub(super) fn enter(&mut self, mut followed: Followed) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        followed.watch = self.watcher.watch_file(&followed.file, number);
        self.places.insert(followed.place, number);
        self.files.insert(number, followed);
        number
    }

    pub(super) fn is_too_old(&self, found: &Found) -> bool {
        let limit = self.options.ignore_older.0;
        let age = found.modified.and_then(|at| clock::system_time().duration_since(at).ok());
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

    /// Has the file written down, so that it may be read. `replaces` is the row that it had before it was cut.
    pub(super) fn register(&mut self, number: u64, replaces: Option<i64>) {
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
        self.enqueue(number);
    }

    /// Takes over a file that was renamed while nobody looked.
    pub(super) fn adopt(
        &mut self,
        file: Arc<File>,
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
