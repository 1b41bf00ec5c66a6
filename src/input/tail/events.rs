//! What tells that something is due: the kernel, the positions, the clock.

use super::database::Start;
use super::file::Stage;
use super::positions::Answer;
use super::{Ending, Followed, Place, Tail};
use std::mem;
use std::time::{Duration, Instant};

/// Pause between two looks at events: bounds what a writer of many small lines costs, and how late a line is.
const QUIET_PAUSE: Duration = Duration::from_millis(20);

/// Pause between two looks at all sizes when nobody tells of changes.
const POLL_PAUSE: Duration = Duration::from_millis(250);

impl Tail {
    /// Hears what the positions and the kernel have to say.
    pub(super) fn listen(&mut self, now: Instant) {
        for answer in self.positions.answers() {
            match answer {
                Answer::Registered(number, registration) => self.begin(number, &registration),
                Answer::Empty(number) => {
                    if let Some(followed) = self.files.get_mut(&number) {
                        followed.stage = Stage::Empty;
                        // Whatever comes is new.
                        followed.start = Start::Head;
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

    pub(super) fn want_scan(&mut self, now: Instant) {
        let earliest = self.schedule.scan_earliest.unwrap_or(now).max(now);
        self.schedule.scan = Some(self.schedule.scan.map_or(earliest, |at| at.min(earliest)));
    }

    /// Looks at all sizes and times, if that is due: for changes that nobody told of. A file written anew may have
    /// the size that it had.
    pub(super) fn check_if_due(&mut self, now: Instant) {
        if self.schedule.check.is_some_and(|at| now < at) {
            return;
        }
        let nanos = Duration::from_nanos(self.options.progress_check_interval_nsec.into());
        let interval = self.options.progress_check_interval.0 + nanos;
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
    pub(super) fn scan_for_renames(&mut self, now: Instant) {
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
}
