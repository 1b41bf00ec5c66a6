//! How a file is left: renamed, cut, read to its end, closed, forgotten.

use super::database::Start;
use super::file::Stage;
use super::follow::real_path;
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
    /// Compares these files with the names that were found for them.
    pub(super) fn reconcile(
        &mut self,
        concerned: impl IntoIterator<Item = u64>,
        seen: &HashMap<u64, Vec<PathBuf>>,
        now: Instant,
    ) {
        for number in concerned {
            let Some(followed) = self.files.get_mut(&number) else { continue };
            let Some(names) = seen.get(&number) else {
                self.leave(number, now);
                continue;
            };
            followed.leaving = None;
            followed.names = names.len();
            let Some(first) = names.first() else { continue };
            if names.contains(&followed.path) {
                continue;
            }
            followed.path.clone_from(first);
            self.watcher.follow(number, first, &real_path(first));
            self.metrics.files_rotated.add(1);
            if let Stage::Reading(reader) = &followed.stage {
                self.positions.rename(reader.row, first.clone());
            }
        }
        self.rest();
    }

    /// No name leads to the file any more: it is read to its end, for `Rotate_Wait` at least.
    fn leave(&mut self, number: u64, now: Instant) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        if followed.leaving.is_some() {
            return;
        }
        followed.leaving = Some(now);
        self.leaving.insert(number);
        // A deleted file is no rotated one, for Fluent Bit neither.
        let is_kept = followed.file.metadata().is_ok_and(|status| status.nlink() > 0);
        self.metrics.files_rotated.add(is_kept.into());
        if let (true, Stage::Reading(reader)) = (is_kept, &followed.stage) {
            self.positions.relocate(reader.row, whereabouts(followed));
        }
    }

    /// The file was cut or written anew: it is another source now, read from its first byte.
    pub(super) fn restart(&mut self, number: u64) {
        let Some(mut followed) = self.files.remove(&number) else { return };
        let Stage::Reading(reader) = &followed.stage else { return };
        let replaced = reader.replaced();
        self.end_joining(number, &followed.shown);
        self.joins.knots.release(number);
        tracing::info!(path = %followed.path.display(), "file was truncated: it is read from its start");
        self.metrics.files_truncated.add(1);
        self.metrics.lost_bytes.add(reader.lost);
        followed.is_queued = false;
        followed.start = Start::Head;
        let new = self.next_number;
        self.next_number += 1;
        self.watcher.renumber(number, new);
        self.places.insert(followed.place, new);
        if followed.leaving.is_some() {
            self.leaving.insert(new);
        }
        self.files.insert(new, followed);
        self.register(new, Some(replaced));
    }

    /// Closes a file that is read and was not written to for longer than `Ignore_Older`, if `Ignore_Active_Older_Files`
    /// asks for that. Its row stays: it goes on from there when it is written to.
    pub(super) fn leave_if_aged(&mut self, number: u64) {
        if !self.options.ignore_active_older_files {
            return;
        }
        let Some(followed) = self.files.get(&number) else { return };
        let Stage::Reading(reader) = &followed.stage else { return };
        let (row, end) = (reader.row, reader.seen);
        let is_idle = followed.leaving.is_none()
            && !followed.is_queued
            && !followed.has_waiting_lines()
            && (reader.offset, reader.safe) == (end, end);
        if is_idle && self.is_old(followed.modified) {
            let Some(followed) = self.files.remove(&number) else { return };
            self.end_joining(number, &followed.shown);
            self.places.remove(&followed.place);
            self.ignored.insert(followed.place, end);
            self.watcher.leave(number);
            self.positions.close(row);
            self.metrics.files_closed.add(1);
        }
    }

    /// Closes leaving files whose time is over, if they are read to their end.
    pub(super) fn close_leaving(&mut self, now: Instant, intake: &mut dyn Intake) {
        let wait = self.options.rotate_wait;
        let is_over = |followed: &Followed| {
            !followed.is_queued && followed.leaving.is_some_and(|since| now >= since + wait)
        };
        self.leaving.retain(|number| {
            self.files.get(number).is_some_and(|followed| followed.leaving.is_some())
        });
        let over: Vec<_> = self
            .leaving
            .iter()
            .filter(|number| self.files.get(number).is_some_and(is_over))
            .copied()
            .collect();
        for number in over {
            if intake.is_full() {
                return;
            }
            self.close(number, now, intake);
        }
    }

    pub(super) fn close(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        if matches!(followed.stage, Stage::Registering) {
            return;
        }
        if !followed.is_read() {
            return self.enqueue(number);
        }
        self.finish(number, now, intake);
        self.note_joins(number);
        if self.files.get(&number).is_some_and(Followed::has_waiting_lines) {
            return;
        }
        let Some(mut followed) = self.files.remove(&number) else { return };
        self.end_joining(number, &followed.shown);
        if self.places.get(&followed.place) == Some(&number) {
            self.places.remove(&followed.place);
        }
        self.watcher.leave(number);
        self.metrics.files_closed.add(1);
        let stage = mem::replace(&mut followed.stage, Stage::Empty);
        if let Stage::Reading(reader) = stage {
            self.positions.close(reader.row);
            self.closed.insert(number, (reader.row, reader.offset));
            self.forget_if_safe(number, reader.safe);
        }
    }

    /// Takes what stands behind the last newline.
    fn finish(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) {
        let Some(Followed { file, path, shown, tag, stage: Stage::Reading(reader), .. }) =
            self.files.get_mut(&number)
        else {
            return;
        };
        let subject = Subject { file, path: shown, tag, now };
        let mut counts = Counts::default();
        if let Err(error) = self.desk.finish(reader, subject, intake, &mut counts) {
            self.metrics.lost_bytes.add(reader.reach - reader.offset);
            tracing::error!(path = %path.display(), %error, "cannot read the last line");
        }
        counts.add_to(&self.metrics);
    }

    /// A closed file that is all safe needs no row.
    pub(super) fn forget_if_safe(&mut self, number: u64, safe: u64) {
        if let Some((row, end)) = self.closed.get(&number).copied()
            && safe >= end
            && !self.joins.knots.hold(number)
        {
            self.closed.remove(&number);
            self.positions.forget(row);
        }
    }
}
