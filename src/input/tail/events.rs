//! What tells that something is due: the kernel, the positions, the clock.

use super::database::Start;
use super::file::Stage;
use super::positions::Answer;
use super::{Ending, Followed, Place, Tail};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// Pause between two looks at events: bounds what a writer of many small lines costs, and how late a line is.
const QUIET_PAUSE: Duration = Duration::from_millis(20);

/// Pause between two looks at all sizes when nobody tells of changes.
const POLL_PAUSE: Duration = Duration::from_millis(250);

/// Files that one look at sizes has time for in any case: as long as there are no more, it is at all of them.
const CHECKED_MIN: usize = 250;

/// Looks in which every file has its turn, if there are more: half a minute where the kernel tells of changes, four
/// seconds where it does not.
const CHECK_ROUND: usize = 16;

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
                Answer::Refused(number, error) => {
                    if let Some(followed) = self.files.get_mut(&number) {
                        followed.stage = Stage::Empty;
                        let path = followed.path.clone();
                        self.note_unreadable(&path, &error);
                    }
                }
                Answer::Lost(bytes) => self.metrics.lost_bytes.add(bytes),
                Answer::Gone(path, bytes) => self.note_gone(&path, bytes),
                Answer::Cut(number, ends) => self.close_cut(number, &ends),
                Answer::Orphan(file, path, registration) => {
                    self.adopt(file, path, &registration, now);
                }
                Answer::Failed => self.metrics.database_errors.add(1),
                Answer::Swept => self.ending = Ending::Reading,
            }
        }
        if self.schedule.listen.is_some_and(|at| now < at) {
            return;
        }
        let events = self.watcher.take();
        // Before their successors, which may go on with their last lines.
        self.follow_departed(now);
        if !events.moved.is_empty() || !events.touched.is_empty() {
            self.look(&events.touched, events.moved, now);
        }
        for number in events.changed {
            self.changed.push(number);
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

    /// Looks at sizes and times, if that is due: for changes that nobody told of. A file written anew may have the
    /// size that it had.
    pub(super) fn check_if_due(&mut self, now: Instant) {
        if self.schedule.check.is_some_and(|at| now < at) {
            return;
        }
        let is_for_all = self.schedule.check.is_none();
        let nanos = Duration::from_nanos(self.options.progress_check_interval_nsec.into());
        let interval = self.options.progress_check_interval.0 + nanos;
        let pause = if self.watcher.is_blind() { POLL_PAUSE.min(interval) } else { interval };
        self.schedule.check = Some(now + pause);
        self.metrics.polling.set(self.watcher.is_blind().into());
        let numbers = if is_for_all { self.files.keys().copied().collect() } else { self.slice() };
        let dozing = self.dozing.len();
        self.check_dozing(if is_for_all { dozing } else { slice_len(dozing) });
        let mut moved = BTreeSet::new();
        for number in numbers {
            let Some(followed) = self.files.get_mut(&number) else { continue };
            // Without events, a name that leads elsewhere is noticed here.
            if self.watcher.is_blind()
                && followed.leaving.is_none()
                && Place::at(&followed.path) != Some(followed.place)
            {
                moved.insert(number);
            }
            if has_changed(followed) {
                self.changed.push(number);
                self.enqueue(number);
            } else {
                self.leave_if_aged(number);
            }
        }
        self.measure_leaving();
        if !moved.is_empty() {
            self.want_scan(now);
        }
    }

    /// The files whose turn it is to be looked at: those that are leaving, and some of the others.
    fn slice(&mut self) -> Vec<u64> {
        let round = round(&self.files, self.checked).take(slice_len(self.files.len()));
        let mut numbers: Vec<u64> = round.map(|(number, _)| *number).collect();
        self.checked = numbers.last().copied().unwrap_or_default();
        numbers.extend(&self.leaving);
        numbers
    }
}

/// All files once, those behind `last` first: who takes some of them and goes on there has all in turn.
pub(super) fn round<V>(files: &BTreeMap<u64, V>, last: u64) -> impl Iterator<Item = (&u64, &V)> {
    files.range((Bound::Excluded(last), Bound::Unbounded)).chain(files.range(..=last))
}

/// How many of so many files one look is at.
fn slice_len(files: usize) -> usize {
    files.div_ceil(CHECK_ROUND).max(CHECKED_MIN).min(files)
}

/// Whether there is something in the file that was not there when it was looked at last.
fn has_changed(followed: &mut Followed) -> bool {
    let Ok(status) = followed.file.metadata() else { return false };
    let modified = status.modified().ok();
    let is_modified = mem::replace(&mut followed.modified, modified) != modified;
    match &followed.stage {
        Stage::Empty => status.len() > 0,
        Stage::Registering => false,
        Stage::Reading(_) => is_modified || !followed.is_read(),
    }
}
