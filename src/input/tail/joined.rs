//! Lines that are joined: who waits for whom, and when waiting is over.
//!
//! The joining itself is in [`crate::input::join`]. Here is what it asks of files: that what was closed for want of
//! a next line is written down first, that a file which took another one's place is not read before that one is read
//! to its end, and that a record of which both have lines is forgotten in both at once.

use super::file::{Reader, Stage};
use super::knots::{Knots, Tied};
use super::reading::Subject;
use super::{Followed, Tail};
use crate::input::Intake;
use crate::input::join::{Joiner, Loan, Repaid};
use crate::input::lines::Counts;
use crate::record::Nanos;
use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::time::{Duration, Instant};

/// What of all files is joined, and not done with.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// Files of one name, those that were first seen first in front.
    names: HashMap<String, Vec<(Nanos, u64)>>,
    /// Files with lines that wait.
    waiting: BTreeSet<u64>,
    /// Files that wait for what is closed in them to be written down.
    cutting: BTreeSet<u64>,
    /// Files of which something became whole without a line.
    releases: Vec<u64>,
    /// Records that wait in one file for being settled in another.
    loans: Vec<Lent>,
    /// Positions that may only be written together.
    pub knots: Knots,
}

/// A record that began in one file and ends in `heir`.
#[derive(Debug)]
struct Lent {
    loan: Loan,
    heir: u64,
    /// Where it ends there.
    to: u64,
}

/// Whether a file may be read.
pub(super) enum Readiness {
    /// It may; with the files before it, the last one first, that may end within a record.
    Ready(Vec<u64>),
    /// Something has to come first, which puts it in the queue again.
    Waits,
}

impl Tail {
    fn joins_lines(&self) -> bool {
        self.desk.lines.joining.is_some()
    }

    fn flush_timeout(&self) -> Duration {
        self.desk.lines.joining.as_ref().map_or(Duration::ZERO, |joining| joining.flush)
    }

    /// A file is read from its position; behind `cuts`, what was open was closed.
    pub(super) fn begin_joining(&mut self, number: u64, cuts: Vec<u64>) {
        if !self.joins_lines() {
            return;
        }
        let Some(Followed { shown, stage: Stage::Reading(reader), .. }) =
            self.files.get_mut(&number)
        else {
            return;
        };
        reader.joiner = Some(Box::new(Joiner::new(number, cuts)));
        let names = self.joins.names.entry(shown.clone()).or_default();
        names.push((reader.source.first_seen, number));
        names.sort_unstable();
    }

    /// A file is not read any more.
    pub(super) fn end_joining(&mut self, number: u64, shown: &str) {
        self.joins.waiting.remove(&number);
        self.joins.cutting.remove(&number);
        if let Some(names) = self.joins.names.get_mut(shown) {
            names.retain(|(_, other)| *other != number);
            if names.is_empty() {
                self.joins.names.remove(shown);
            }
        }
        self.joins.loans.retain(|lent| lent.loan.lender != number);
    }

    /// Whether the file may be read now.
    pub(super) fn readiness(&mut self, number: u64) -> Readiness {
        if !self.joins_lines() {
            return Readiness::Ready(Vec::new());
        }
        if self.joins.cutting.contains(&number) {
            return Readiness::Waits;
        }
        let before = self.before(number);
        let resting = before.iter().find(|before| self.resting.contains_key(before));
        if let Some(resting) = resting.and_then(|before| self.resting.get_mut(before)) {
            resting.successor = Some(number);
            return Readiness::Waits;
        }
        let is_unread = |before: &&u64| {
            let before = self.files.get(*before);
            before.is_some_and(|before| !before.is_read() && !before.has_failed)
        };
        let Some(unread) = before.iter().find(is_unread).copied() else {
            return Readiness::Ready(before);
        };
        if let Some(unread) = self.files.get_mut(&unread) {
            unread.successor = Some(number);
        }
        // Should nobody have told that there is more to read.
        self.enqueue(unread);
        Readiness::Waits
    }

    /// The file is read to its end: the one that took its place may be read.
    pub(super) fn wake_successor(&mut self, number: u64) {
        let successor = self.files.get_mut(&number).and_then(|followed| followed.successor.take());
        if let Some(successor) = successor {
            self.enqueue(successor);
        }
    }

    /// What files have that lines may be joined to; to be given back.
    pub(super) fn take_joiners(&mut self, numbers: &[u64]) -> Vec<Joiner> {
        numbers
            .iter()
            .filter_map(|number| self.reader(*number)?.joiner.take().map(|it| *it))
            .collect()
    }

    /// Gives them back.
    pub(super) fn give_joiners(&mut self, joiners: Vec<Joiner>) {
        for joiner in joiners {
            let number = joiner.number();
            if let Some(reader) = self.reader(number) {
                reader.joiner = Some(Box::new(joiner));
                self.joins.releases.push(number);
            }
        }
    }

    fn reader(&mut self, number: u64) -> Option<&mut Reader> {
        match &mut self.files.get_mut(&number)?.stage {
            Stage::Reading(reader) => Some(reader),
            Stage::Empty | Stage::Registering => None,
        }
    }

    /// Notes what a read left.
    pub(super) fn note_joins(&mut self, number: u64) {
        let Some(reader) = self.reader(number) else { return };
        let (offset, Some(joiner)) = (reader.offset, &mut reader.joiner) else { return };
        let repaid = joiner.take_repaid();
        let (is_empty, is_overfull) = (joiner.is_empty(), joiner.is_overfull(offset));
        let lent = |Repaid { loan, to }| Lent { loan, heir: number, to };
        self.joins.loans.extend(repaid.into_iter().map(lent));
        if is_empty {
            self.joins.waiting.remove(&number);
        } else {
            self.joins.waiting.insert(number);
        }
        if is_overfull {
            self.cut(number, None);
        }
    }

    /// Asks for what has waited for long enough to be closed.
    pub(super) fn cut_due(&mut self, now: Instant) {
        let is_due = |number: &u64| self.join_due(*number, now).is_some_and(|at| at <= now);
        let due: Vec<_> = self.joins.waiting.iter().copied().filter(is_due).collect();
        for number in due {
            self.cut(number, Some(now));
        }
    }

    /// When the next of the waiting lines has waited for long enough.
    pub(super) fn joins_due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.joins.waiting.difference(&self.joins.cutting);
        waiting.filter_map(|number| self.join_due(*number, now)).min()
    }

    /// When the next of a file's lines has waited for long enough. `None` also as long as something is unread, for
    /// want of room or of time: the line that is waited for may be in it.
    fn join_due(&self, number: u64, now: Instant) -> Option<Instant> {
        let followed = self.files.get(&number)?;
        let due = followed.joiner()?.due(self.flush_timeout())?;
        (due > now || self.is_all_read(number, followed)).then_some(due)
    }

    /// Whether all of a file was read, and of those that took its place.
    fn is_all_read(&self, number: u64, followed: &Followed) -> bool {
        let names = self.joins.names.get(&followed.shown).into_iter().flatten();
        let mut from_here = names.map(|(_, other)| other).skip_while(|other| **other != number);
        from_here.all(|other| {
            let is_read = |file: &Followed| file.is_read() || file.has_failed;
            self.files.get(other).is_none_or(is_read) && !self.resting.contains_key(other)
        })
    }

    /// Closes all that waits, as nothing will come any more. Whether nothing waits.
    pub(super) fn cut_all(&mut self) -> bool {
        for number in self.joins.waiting.clone() {
            self.cut(number, None);
        }
        self.joins.waiting.is_empty()
    }

    /// Whether all cuts that were asked for are written down.
    #[cfg(test)]
    pub(super) fn has_cut(&self) -> bool {
        self.joins.cutting.is_empty()
    }

    /// Writes down where records are parted from what may still come: those that are overdue, or all.
    fn cut(&mut self, number: u64, now: Option<Instant>) {
        let flush = self.flush_timeout();
        let Some(followed) = self.files.get(&number) else { return };
        let Stage::Reading(Reader { row, joiner: Some(joiner), .. }) = &followed.stage else {
            return;
        };
        let ends = joiner.overdue(now, flush);
        if !ends.is_empty() && self.joins.cutting.insert(number) {
            self.positions.cut(number, *row, ends);
        }
    }

    /// It is written down: what ends there is closed.
    pub(super) fn close_cut(&mut self, number: u64, ends: &[u64]) {
        self.joins.cutting.remove(&number);
        if let Some(joiner) = self.reader(number).and_then(|reader| reader.joiner.as_mut()) {
            for end in ends {
                joiner.close_at(*end);
            }
            self.joins.releases.push(number);
        }
        self.enqueue(number);
    }

    /// Hands over what became whole without a line.
    pub(super) fn release_joined(&mut self, now: Instant, intake: &mut dyn Intake) {
        let mut releases = mem::take(&mut self.joins.releases);
        releases.sort_unstable();
        releases.dedup();
        for number in releases {
            if intake.is_full() {
                self.joins.releases.push(number);
            } else {
                self.release(number, now, intake);
            }
        }
    }

    fn release(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) {
        let Some(followed) = self.files.get_mut(&number) else { return };
        let Followed { file, shown, tag, stage: Stage::Reading(reader), .. } = followed else {
            return;
        };
        let mut counts = Counts::default();
        let subject = Subject { file, path: shown, tag, now };
        self.desk.release(reader, subject, intake, &mut counts);
        counts.add_to(&self.metrics);
        self.note_joins(number);
    }

    /// The files whose place this one took, the last one first.
    fn before(&self, number: u64) -> Vec<u64> {
        let names = self.files.get(&number).and_then(|it| self.joins.names.get(&it.shown));
        let before = names.into_iter().flatten().map(|(_, other)| *other);
        let mut before: Vec<_> = before.take_while(|other| *other != number).collect();
        before.reverse();
        before
    }

    /// Hands over all that waits in a file that was cut or written anew: its next lines are gone.
    pub(super) fn release_all(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) {
        if let Some(joiner) = self.reader(number).and_then(|reader| reader.joiner.as_mut()) {
            joiner.close_all();
            joiner.take_back_lent();
            self.release(number, now, intake);
        }
    }

    /// Everything of a file before `to` is settled, which may be what the files wait for that lent to it.
    pub(super) fn repay(&mut self, heir: u64, row: i64, to: u64) {
        let is_repaid = |lent: &mut Lent| lent.heir == heir && lent.to <= to;
        let repaid: Vec<_> = self.joins.loans.extract_if(.., is_repaid).collect();
        if repaid.is_empty() {
            return;
        }
        for Lent { loan, .. } in repaid {
            let number = loan.lender;
            let Some(lender) = self.reader(number) else { continue };
            let (lender_row, reached) = (lender.row, lender.safe);
            let end = lender.joiner.as_mut().and_then(|joiner| joiner.settle_lent(loan));
            let Some(needs) = end else { continue };
            let lender = Tied { number, row: lender_row, needs, reached };
            let heir = Tied { number: heir, row, needs: 0, reached: to };
            self.joins.knots.tie(lender, heir);
            self.joins.releases.push(number);
        }
        self.positions.ring();
    }
}

impl Followed {
    /// What of its lines is not a record yet.
    pub(super) fn joiner(&self) -> Option<&Joiner> {
        match &self.stage {
            Stage::Reading(reader) => reader.joiner.as_deref(),
            Stage::Empty | Stage::Registering => None,
        }
    }

    /// Whether lines of it wait to be joined.
    pub(super) fn has_waiting_lines(&self) -> bool {
        self.joiner().is_some_and(|joiner| !joiner.is_empty())
    }
}
