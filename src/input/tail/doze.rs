//! Files that are read to their end and quiet keep no descriptor, where there are many.
//!
//! A process may have 1,024 descriptors and be told of 10,000 files. Those that are open beyond a number are closed in
//! turn, if there is nothing in them that is not settled, and *doze*: their folder's watch, and the look at sizes, still
//! tell when they are written to. Then they are opened again, by the name under which they lie now, and read on like any
//! other: each read makes sure that the file is still the same.

use super::content::{Content, is_packed};
use super::database::Start;
use super::discovery::{Found, Place};
use super::events::round;
use super::file::Stage;
use super::follow::real_path;
use super::rest::Resting;
use super::trace::Tracer;
use super::{Followed, Tail};
use crate::record::Tag;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Files that are kept open where more are followed: as many as are likely to be written to at a time.
const OPEN_FILES_MAX: usize = 1_024;

/// Descriptors that are left to files that are leaving, to outputs and to all else.
const DESCRIPTORS_ASIDE: usize = 640;

/// Files of which one turn finds out whether they can doze.
const LOOKS_MAX: usize = 1_024;

/// Pause between two looks whether there is room for files that wait: what they wait for, delivery, tells nobody.
const CROWDED_PAUSE: Duration = Duration::from_millis(100);

/// How many files are open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Openings {
    /// Beyond this, those doze that can.
    pub wanted: usize,
    /// At this, new files wait until others doze.
    pub most: usize,
}

impl Openings {
    /// As many as the system lets this process have.
    pub(super) fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let most = limit.saturating_sub(DESCRIPTORS_ASIDE).max(limit / 4);
        Self { wanted: most.min(OPEN_FILES_MAX), most }
    }
}

impl Tail {
    /// Closes quiet files, if too many are open.
    pub(super) fn doze(&mut self) {
        for _ in 0..LOOKS_MAX {
            let is_crowded = !self.arrivals.is_empty() && self.files.len() >= self.openings.most;
            if self.files.len() <= self.openings.wanted && !is_crowded {
                return;
            }
            let Some((number, followed)) = round(&self.files, self.dozed).next() else { return };
            let (number, can_doze) = (*number, can_doze(followed));
            self.dozed = number;
            if can_doze && let Some(followed) = self.files.remove(&number) {
                if let Stage::Reading(reader) = &followed.stage {
                    self.positions.close(reader.row);
                }
                let Followed { path, shown, tag, place, start, stage, names, modified, .. } =
                    followed;
                let dozing = Dozing { path, shown, tag, place, start, stage, names, modified };
                self.dozing.insert(number, dozing);
            }
        }
    }

    /// Opens the file again, if it dozes; whether it is open.
    pub(super) fn rouse(&mut self, number: u64) -> bool {
        self.rouse_at(number, &[])
    }

    /// The same for one that may lie at one of these paths.
    fn rouse_at(&mut self, number: u64, paths: &[PathBuf]) -> bool {
        let Some(dozing) = self.dozing.remove(&number) else {
            return self.files.contains_key(&number);
        };
        let known = self.watcher.whereabouts(number);
        let paths = std::iter::once(&dozing.path).chain(&known).chain(paths);
        let file = match dozing.open_at(paths) {
            Ok(file) => file.or_else(|| find_beside(&dozing, &known)),
            Err(error) => {
                self.note_unreadable(&dozing.path, &error);
                self.dozing.insert(number, dozing);
                return false;
            }
        };
        let Some(file) = file else {
            self.seek(number, dozing, known);
            return false;
        };
        let Dozing { path, shown, tag, place, start, stage, names, modified } = dozing;
        let file = Arc::new(file);
        if let Stage::Reading(reader) = &stage {
            self.positions.reopen(reader.row, Arc::clone(&file));
        }
        let followed = Followed::new(file, path, shown, tag, place);
        self.files.insert(number, Followed { start, stage, names, modified, ..followed });
        true
    }

    /// A dozing file is not where it was: perhaps it was packed, and what was written to it last is read there.
    fn seek(&mut self, number: u64, dozing: Dozing, known: Vec<PathBuf>) {
        let Dozing { path, shown, tag, place, stage, .. } = dozing;
        if self.places.get(&place) == Some(&number) {
            self.places.remove(&place);
        }
        self.watcher.leave(number);
        if let Stage::Reading(reader) = stage {
            let path = known.into_iter().next().unwrap_or_else(|| real_path(&path));
            self.resting
                .insert(number, Resting { reader, path, shown, tag, place, successor: None });
            // What `Path` finds has to be known before that is over.
            if let Some(at) = self.schedule.scan_earliest {
                self.want_scan(at);
            }
        } else {
            self.metrics.files_closed.add(1);
        }
    }

    /// Rouses the dozing files that a scan of everything found elsewhere, or not at all.
    pub(super) fn rouse_moved(&mut self, seen: &HashMap<u64, Vec<PathBuf>>) {
        let is_there = |number: &u64, dozing: &Dozing| {
            seen.get(number).is_some_and(|names| names.contains(&dozing.path))
        };
        let moved = self.dozing.iter().filter(|(number, dozing)| !is_there(number, dozing));
        let moved: Vec<_> = moved.map(|(number, _)| *number).collect();
        for number in moved {
            self.rouse_at(number, seen.get(&number).map_or(&[], Vec::as_slice));
        }
    }

    /// Rouses those of some dozing files that changed, for what nobody told of.
    pub(super) fn check_dozing(&mut self, count: usize) {
        let mut changed = Vec::new();
        let mut last = 0;
        for (number, dozing) in round(&self.dozing, self.checked_dozing).take(count) {
            last = *number;
            if dozing.has_changed() {
                changed.push(*number);
            }
        }
        self.checked_dozing = last;
        for number in changed {
            self.enqueue(number);
        }
    }

    /// Whether there is no room for the file now: it waits, and what decides where it begins is kept.
    pub(super) fn has_no_room(&mut self, found: &Found, is_first: bool) -> bool {
        if self.files.len() < self.openings.most {
            return false;
        }
        let known = self.arrivals.get(&found.path).map(|(_, is_first)| *is_first);
        let is_first = known.unwrap_or(is_first);
        self.arrivals.insert(found.path.clone(), (found.clone(), is_first));
        true
    }

    /// When there may be room for files that wait.
    pub(super) fn room_due(&self, now: Instant) -> Option<Instant> {
        (!self.arrivals.is_empty()).then(|| now + CROWDED_PAUSE)
    }

    /// Follows files that waited, as far as there is room.
    pub(super) fn let_in(&mut self) {
        while self.files.len() < self.openings.most
            && let Some((_, (found, is_first))) = self.arrivals.pop_first()
        {
            if !self.places.contains_key(&found.place) {
                self.follow(&found, is_first);
            }
        }
    }
}

/// A followed file without its descriptor.
#[derive(Debug)]
pub(super) struct Dozing {
    pub path: PathBuf,
    shown: String,
    tag: Tag,
    place: Place,
    start: Start,
    pub stage: Stage,
    names: usize,
    modified: Option<SystemTime>,
}

impl Dozing {
    fn has_changed(&self) -> bool {
        let Ok(status) = self.path.metadata() else { return true };
        let seen = match &self.stage {
            Stage::Reading(reader) => reader.seen,
            Stage::Empty | Stage::Registering => 0,
        };
        let is_touched = self.modified.is_some() && status.modified().ok() != self.modified;
        Place::of(&status) != self.place || status.len() != seen || is_touched
    }

    /// Opens it by the first path that leads to it; `None`: none does.
    fn open_at<'a>(&self, paths: impl Iterator<Item = &'a PathBuf>) -> io::Result<Option<Content>> {
        for path in paths {
            match Content::open(path) {
                Ok(file) if self.is_in(&file, path)? => return Ok(Some(file)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether it is this file. Nothing keeps its inode from being another's, once it is deleted: under another name it
    /// must hold what was read. Under its own it was written anew, which the next read finds out.
    pub(super) fn is_in(&self, file: &Content, path: &Path) -> io::Result<bool> {
        if Place::of(&file.metadata()?) != self.place {
            return Ok(false);
        }
        match &self.stage {
            Stage::Reading(reader) if path != self.path => reader.stands_in(file),
            Stage::Empty | Stage::Registering | Stage::Reading(_) => Ok(true),
        }
    }
}

/// Looks for a file that was renamed, where nobody told how.
fn find_beside(dozing: &Dozing, known: &[PathBuf]) -> Option<Content> {
    let real = real_path(&dozing.path);
    let mut tracer = Tracer::default();
    let mut paths = known.iter().chain([&real, &dozing.path]);
    let (file, path) = paths.find_map(|path| tracer.by_inode(path, dozing.place.inode))?;
    dozing.is_in(&file, &path).is_ok_and(|is_it| is_it).then_some(file)
}

/// Whether nothing of the file is in work.
fn can_doze(followed: &Followed) -> bool {
    let is_settled = match &followed.stage {
        Stage::Empty => true,
        Stage::Registering => false,
        Stage::Reading(reader) => {
            reader.offset == reader.seen && reader.safe == reader.offset && reader.lost == 0
        }
    };
    is_settled
        && followed.leaving.is_none()
        && followed.successor.is_none()
        && !followed.is_queued
        && !followed.has_failed
        && !followed.has_waiting_lines()
        && !is_packed(&followed.path)
        && followed.is_read()
}
