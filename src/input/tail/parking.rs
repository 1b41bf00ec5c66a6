//! Files that wait for what a filter asks about them: for their pods, of which the Kubernetes API tells.
//!
//! A file is there before the API tells of the container that writes it. It is left unread for a bounded time, while others
//! are read; then it is read without. What is let in once is never asked about again: a container's pod stays the same.

use super::file::Stage;
use super::{Followed, Tail};
use crate::input::Intake;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The longest that a file waits. The API is asked five times a second at most: by then it has told of 150 pods one by
/// one. That it does not answer at all is known sooner, and ends the wait.
const PARK_MAX: Duration = Duration::from_secs(30);

/// Pause between two looks whether the wait is over.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Pause before it is said again that files were let go.
const SAY_PAUSE: Duration = Duration::from_secs(10);

/// Whether a file may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nobody was asked.
    Unasked,
    /// It waits since then.
    Parked(Instant),
    /// It may.
    Admitted,
}

/// The files that wait. They count as queued, so that nobody closes them unread.
#[derive(Debug, Default)]
pub(super) struct Parking {
    files: BTreeSet<u64>,
    /// When they are looked at next.
    look: Option<Instant>,
    /// When it was said last that one was let go.
    said: Option<Instant>,
}

impl Parking {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.look
    }
}

impl Tail {
    /// Puts the files that wait into the queue again, if it is time to look whether they still have to.
    pub(super) fn look_at_parked(&mut self, now: Instant, intake: &dyn Intake) {
        if intake.is_full() || self.parking.look.is_none_or(|at| now < at) {
            return;
        }
        self.parking.look = None;
        self.queue.extend(std::mem::take(&mut self.parking.files));
        self.metrics.files_parked.set(0);
    }

    /// Whether this file, which is to be read, has to wait.
    pub(super) fn parks(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) -> bool {
        let Some(Followed { tag, path, stage: Stage::Reading(reader), .. }) =
            self.files.get_mut(&number)
        else {
            return false;
        };
        let since = match reader.admission {
            Admission::Admitted => return false,
            Admission::Parked(since) => since,
            Admission::Unasked => now,
        };
        let is_awaited = intake.awaits(tag);
        if is_awaited && now < since + PARK_MAX {
            reader.admission = Admission::Parked(since);
            self.parking.files.insert(number);
            self.parking.look.get_or_insert(now + LOOK_PAUSE);
            self.metrics.files_parked.set(self.parking.files.len() as u64);
            return true;
        }
        reader.admission = Admission::Admitted;
        if is_awaited {
            self.metrics.files_let_go.add(1);
            if self.parking.said.is_none_or(|said| now >= said + SAY_PAUSE) {
                self.parking.said = Some(now);
                tracing::warn!(
                    path = %path.display(),
                    "a file waited {PARK_MAX:?} for what a filter asks about it and is read without; others like it are \
                     counted in `tailwater_input_files_let_go_total`"
                );
            }
        }
        false
    }
}
