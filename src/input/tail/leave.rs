//! How a file is left: renamed, cut, read to its end, closed, forgotten.

use super::database::Start;
use super::file::Stage;
use super::reading::Subject;
use super::rest::whereabouts;
use super::{Followed, Tail};
use crate::input::Intake;
use crate::input::lines::Counts;
use std::collections::HashMap;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

impl Tail {
    /// Compares the followed files with the names that were found for them.
    pub(super) fn reconcile(&mut self, seen: &HashMap<u64, Vec<PathBuf>>, now: Instant) {
        for (number, followed) in &mut self.files {
            match seen.get(number) {
                None if followed.leaving.is_none() => {
                    followed.leaving = Some(now);
                    // A deleted file is no rotated one, for Fluent Bit neither.
                    let is_kept = followed.file.metadata().is_ok_and(|status| status.nlink() > 0);
                    self.metrics.files_rotated.add(is_kept.into());
                    if let (true, Stage::Reading(reader)) = (is_kept, &followed.stage) {
                        self.positions.relocate(reader.row, whereabouts(followed));
                    }
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
        self.rest();
        self.measure_leaving();
    }

    /// The file was cut or written anew: it is another source now, read from its first byte.
    pub(super) fn restart(&mut self, number: u64) {
        let Some(mut followed) = self.files.remove(&number) else { return };
        let Stage::Reading(reader) = &followed.stage else { return };
        let replaced = reader.replaced();
        tracing::info!(path = %followed.path.display(), "file was truncated: it is read from its start");
        self.metrics.files_truncated.add(1);
        self.metrics.lost_bytes.add(reader.lost);
        followed.is_queued = false;
        followed.start = Start::Head;
        let new = self.next_number;
        self.next_number += 1;
        if let Some(watch) = &followed.watch {
            self.watcher.renumber(watch, new);
        }
        self.places.insert(followed.place, new);
        self.files.insert(new, followed);
        self.register(new, Some(replaced));
    }

    /// Closes leaving files whose time is over, if they are read to their end.
    pub(super) fn close_leaving(&mut self, now: Instant, intake: &mut dyn Intake) {
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

    pub(super) fn close(&mut self, number: u64, intake: &mut dyn Intake) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        let size = followed.file.len().unwrap_or(0);
        let is_at_end = match &followed.stage {
            Stage::Registering => return,
            Stage::Empty => size == 0,
            Stage::Reading(_) if followed.is_read_elsewhere() => true,
            Stage::Reading(reader) => size == reader.seen,
        };
        if !is_at_end {
            return self.enqueue(number);
        }
        let Some(mut followed) = self.files.remove(&number) else { return };
        if self.places.get(&followed.place) == Some(&number) {
            self.places.remove(&followed.place);
        }
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
                self.metrics.lost_bytes.add(reader.reach - reader.offset);
                tracing::error!(path = %followed.path.display(), %error, "cannot read the last line");
            }
            counts.add_to(&self.metrics);
            self.positions.close(reader.row);
            self.closed.insert(number, (reader.row, reader.offset));
            self.forget_if_safe(number, reader.safe);
        }
    }

    /// A closed file that is all safe needs no row.
    pub(super) fn forget_if_safe(&mut self, number: u64, safe: u64) {
        if let Some((row, end)) = self.closed.get(&number).copied()
            && safe >= end
        {
            self.closed.remove(&number);
            self.positions.forget(row);
        }
    }
}
