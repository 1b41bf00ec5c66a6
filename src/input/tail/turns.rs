//! Files are read in turn, so that no one of them holds up the others.

use super::content::Content;
use super::file::Stage;
use super::joined::Readiness;
use super::reading::{Outcome, Subject};
use super::{Followed, Tail};
use crate::clock;
use crate::input::Intake;
use crate::input::lines::Counts;
use std::mem;
use std::time::Instant;

/// Bytes of one turn, so that other inputs and the outputs' answers do not wait.
const TURN_BYTES_MAX: u64 = 4 << 20;

/// Reads in one turn, however little each brings.
const TURN_READS_MAX: usize = 256;

/// After this much of a file was read, the kernel is told that it need not keep it.
const FORGET_BYTES: u64 = 8 << 20;

impl Tail {
    /// The file may have something to read. One that was empty so far is registered at once, however full the
    /// buffer is: should it be rotated away and the process be killed, only its row leads back to it.
    pub(super) fn enqueue(&mut self, number: u64) {
        self.rouse(number);
        let Some(followed) = self.files.get_mut(&number) else { return };
        match &followed.stage {
            Stage::Empty if followed.file.len().is_ok_and(|len| len > 0) => {
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
    pub(super) fn read_queue(&mut self, now: Instant, intake: &mut dyn Intake) {
        if self.is_waiting_for_sweep() {
            return;
        }
        let mut left = self.turn_bytes();
        for _ in 0..TURN_READS_MAX {
            if intake.is_full() || left == 0 {
                return;
            }
            let Some(number) = self.queue.pop_front() else { return };
            if self.parks(number, now, intake) {
                continue;
            }
            let Some(followed) = self.files.get_mut(&number) else { continue };
            followed.is_queued = false;
            let seen = self.seen(number);
            match self.read(number, now, intake) {
                Outcome::More => self.enqueue(number),
                Outcome::End => self.wake_successor(number),
                Outcome::Replaced | Outcome::Later => {}
            }
            left = left.saturating_sub(self.seen(number).saturating_sub(seen));
        }
    }

    /// What one turn reads, about: at least one read.
    fn turn_bytes(&self) -> u64 {
        let batches = [self.options.static_batch_size.0, self.options.event_batch_size.0];
        batches.into_iter().filter(|size| *size > 0).fold(TURN_BYTES_MAX, u64::min)
    }

    /// How far the file was looked at.
    fn seen(&self, number: u64) -> u64 {
        match self.files.get(&number).map(|followed| &followed.stage) {
            Some(Stage::Reading(reader)) => reader.seen,
            _ => 0,
        }
    }

    /// Looks how far the files reach that changed and cannot be read now.
    pub(super) fn look_at_changed(&mut self, intake: &dyn Intake) {
        let changed = mem::take(&mut self.changed);
        for number in changed.into_iter().filter(|_| intake.is_full()) {
            let Some(followed) = self.files.get_mut(&number) else { continue };
            let Stage::Reading(reader) = &mut followed.stage else { continue };
            if let Err(error) = reader.look(&followed.file) {
                let path = followed.path.clone();
                self.note_unreadable(&path, &error);
            }
        }
    }

    /// Reads one file once.
    pub(super) fn read(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) -> Outcome {
        // Before anything is taken that has to be given back.
        let Some(Followed { stage: Stage::Reading(_), .. }) = self.files.get(&number) else {
            return Outcome::End;
        };
        let Readiness::Ready(before) = self.readiness(number) else { return Outcome::Later };
        let mut lenders = self.take_joiners(&before);
        let Some(followed) = self.files.get_mut(&number) else { return Outcome::End };
        let Followed { file, shown, tag, stage, .. } = followed;
        let Stage::Reading(reader) = stage else { return Outcome::End };
        let from = reader.offset;
        let subject = Subject { file, path: shown, tag, now };
        let mut counts = Counts::default();
        let outcome = self.desk.read(reader, subject, &mut lenders, intake, &mut counts);
        self.metrics.lost_bytes.add(mem::take(&mut reader.lost));
        if self.options.file_cache_advise {
            forget_pages(file, from, reader.offset);
        }
        counts.add_to(&self.metrics);
        followed.has_failed = outcome.is_err();
        self.give_joiners(lenders);
        self.note_joins(number);
        match outcome {
            Ok(Outcome::Replaced) => {
                self.release_all(number, now, intake);
                self.restart(number);
                Outcome::Replaced
            }
            Ok(outcome) => outcome,
            Err(error) => {
                let Some(followed) = self.files.get_mut(&number) else { return Outcome::End };
                let path = followed.path.clone();
                // One that is leaving is tried again after another `Rotate_Wait`, not without pause.
                followed.leaving = followed.leaving.and(Some(clock::instant()));
                self.note_unreadable(&path, &error);
                Outcome::End
            }
        }
    }
}

/// Gives the pages up to `to` back, once for every [`FORGET_BYTES`].
fn forget_pages(file: &Content, from: u64, to: u64) {
    if from / FORGET_BYTES != to / FORGET_BYTES && !file.is_packed() {
        let len = std::num::NonZeroU64::new(to);
        // Only advice: that it is not taken costs nothing.
        let _ignored = rustix::fs::fadvise(file, 0, len, rustix::fs::Advice::DontNeed);
    }
}
