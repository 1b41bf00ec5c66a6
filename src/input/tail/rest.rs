//! Files that wait unopened until they can be read.
//!
//! A file that was renamed or deleted is kept open until its end is read: its descriptor is all that leads to a deleted
//! one. While an output is away for hours, rotations pile up, and descriptors are not to be had without end. So beyond
//! a number of them the oldest is closed and rests; when there is room again it is sought by its identity, as after a
//! restart. Only one that was deleted outright is lost by that, and counted.

use super::file::{Reader, Stage};
use super::trace::Tracer;
use super::{Followed, Place, Tail};
use crate::input::Intake;
use crate::record::Tag;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Leaving files that are kept open: at 10 MB each, as the kubelet rotates, 10 GB of logs. A process has 1,024
/// descriptors at least; what is left is for the files that are followed and for the outputs.
pub(super) const LEAVING_OPEN_MAX: usize = 512;

/// Looks for resting files in one turn: each reads a folder.
const LOOKS_MAX: usize = 4;

/// What Linux puts behind the name of a file that is deleted, see proc_pid_fd(5).
const DELETED: &[u8] = b" (deleted)";

/// A leaving file that was closed before it was read.
#[derive(Debug)]
pub(super) struct Resting {
    pub reader: Reader,
    /// Where it lay when it was closed.
    pub path: PathBuf,
    pub shown: String,
    pub tag: Tag,
    pub place: Place,
    /// The file that waits for this one to be read to its end.
    pub successor: Option<u64>,
}

impl Tail {
    /// Files that no name leads to any more, which are open.
    fn leaving(&self) -> impl Iterator<Item = (u64, &Followed)> {
        let files =
            self.leaving.iter().filter_map(|number| Some((*number, self.files.get(number)?)));
        files.filter(|(_, file)| file.leaving.is_some())
    }

    /// Closes the files that have been leaving longest, if there are too many of them; deleted ones with something
    /// unread last of all, since nothing else leads to them.
    pub(super) fn rest(&mut self) {
        let surplus = self.leaving().count().saturating_sub(self.leaving_open_max);
        if surplus == 0 {
            return;
        }
        let order = |(number, file): (u64, &Followed)| {
            let Stage::Reading(reader) = &file.stage else { return None };
            // What waits to be joined is handed over soon, and with the file it would be gone.
            if file.has_waiting_lines() {
                return None;
            }
            let status = file.file.metadata().ok()?;
            let is_last = status.nlink() == 0 && reader.offset < status.len();
            Some((is_last, file.leaving?, number))
        };
        let mut leaving: Vec<_> = self.leaving().filter_map(order).collect();
        leaving.sort_unstable();
        for (_, _, number) in leaving.into_iter().take(surplus) {
            let Some(followed) = self.files.remove(&number) else { continue };
            if self.places.get(&followed.place) == Some(&number) {
                self.places.remove(&followed.place);
            }
            self.leaving.remove(&number);
            self.watcher.leave(number);
            let path = whereabouts(&followed);
            let Followed { file, shown, tag, place, stage, successor, .. } = followed;
            let Stage::Reading(mut reader) = stage else { continue };
            // How much would be lost with it.
            if reader.look(&file).is_err() {
                tracing::debug!(path = %path.display(), "cannot look at a file that is closed");
            }
            self.positions.close(reader.row);
            self.positions.relocate(reader.row, path.clone());
            self.resting.insert(number, Resting { reader, path, shown, tag, place, successor });
        }
    }

    /// Opens resting files again, while there is room for them and for what they hold.
    pub(super) fn wake_resting(&mut self, now: Instant, intake: &dyn Intake) {
        for _ in 0..LOOKS_MAX {
            if self.resting.is_empty() || intake.is_full() {
                return;
            }
            // Those that are open may wait for one that is not: the first of these always comes.
            let is_awaited =
                |number: &u64| self.resting.get(number).is_some_and(|it| it.successor.is_some());
            let has_room = self.leaving().count() < self.leaving_open_max;
            let next = self.resting.keys().copied().find(|number| has_room || is_awaited(number));
            let Some(resting) =
                next.and_then(|number| self.resting.remove(&number).map(|it| (number, it)))
            else {
                return;
            };
            self.wake(resting.0, resting.1, now);
        }
    }

    fn wake(&mut self, number: u64, resting: Resting, now: Instant) {
        let Resting { reader, path, shown, tag, place, successor } = resting;
        let mut tracer = Tracer::default();
        let is_it = |file: &_| reader.stands_in(file).unwrap_or(false);
        let found = tracer
            .by_inode(&path, place.inode)
            .filter(|(file, _)| is_it(file))
            .or_else(|| tracer.by_content(&path, is_it));
        let Some((file, path)) = found else {
            if tracer.take_failure().is_some() {
                // Sought again when something happens.
                let resting = Resting { reader, path, shown, tag, place, successor };
                self.resting.insert(number, resting);
                return;
            }
            // Of one that was read as far as it was seen to reach, nothing is known to be lost.
            if reader.reach > reader.offset {
                self.note_gone(&path, reader.reach - reader.offset);
            }
            self.metrics.files_closed.add(1);
            self.closed.insert(number, (reader.row, reader.offset));
            self.make_way(number, &shown, successor);
            return self.forget_if_safe(number, reader.safe);
        };
        let place = file.metadata().ok().as_ref().map_or(place, Place::of);
        // Found by `Path` in the meantime: its row led there. A packed copy of which nothing is read keeps its place,
        // and its row tells the next start that it is one.
        let other = self.places.get(&place).and_then(|number| self.files.get(number));
        if other.is_some_and(|other| !other.is_read_elsewhere()) {
            return self.make_way(number, &shown, successor);
        }
        let file = Arc::new(file);
        self.positions.reopen(reader.row, Arc::clone(&file));
        if other.is_none() {
            self.watcher.follow(number, &path, &path);
            self.places.insert(place, number);
        }
        self.leaving.insert(number);
        let followed = Followed::new(file, path, shown, tag, place);
        let (stage, leaving) = (Stage::Reading(reader), Some(now));
        self.files.insert(number, Followed { stage, leaving, successor, ..followed });
        self.enqueue(number);
    }

    /// A resting file is not read any more: the one that waits for it may be.
    fn make_way(&mut self, number: u64, shown: &str, successor: Option<u64>) {
        self.end_joining(number, shown);
        if let Some(successor) = successor {
            self.enqueue(successor);
        }
    }

    /// Says and counts that a file is gone, with bytes in it that had been seen and not read.
    pub(super) fn note_gone(&self, path: &Path, bytes: u64) {
        self.metrics.files_gone.add(1);
        self.metrics.lost_bytes.add(bytes);
        if bytes > 0 {
            let path = path.display();
            tracing::error!(%path, bytes, "a file was deleted before it was read: its last bytes are lost");
        }
    }

    /// Says how many files are leaving, and how much of them is unread.
    pub(super) fn measure_leaving(&self) {
        let unread = self.leaving().map(|(_, file)| match &file.stage {
            Stage::Reading(reader) => {
                file.file.len().unwrap_or(reader.reach).saturating_sub(reader.offset)
            }
            Stage::Empty | Stage::Registering => 0,
        });
        let resting = self.resting.values().map(|file| file.reader.reach - file.reader.offset);
        self.metrics.leaving_bytes.set(unread.chain(resting).sum());
        self.metrics.files_leaving.set((self.leaving().count() + self.resting.len()) as u64);
    }
}

/// Where an open file lies now, whatever it was renamed to; its last name if it was deleted.
pub(super) fn whereabouts(followed: &Followed) -> PathBuf {
    let link = format!("/proc/self/fd/{}", followed.file.as_raw_fd());
    let Ok(path) = std::fs::read_link(link) else { return followed.path.clone() };
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(name) if !path.exists() => PathBuf::from(OsStr::from_bytes(name)),
        _ => path,
    }
}
