//! Lines that are joined: who waits for whom, and when waiting is over.
//!
//! The joining itself is in [`crate::input::join`]. Here is what it asks of files: that what was closed for want of
//! a next line is written down first, that a file which took another one's place is not read before that one is read
//! to its end, and that a record of which both have lines is forgotten in both at once.

use super::file::{Reader, Stage};
use super::reading::Subject;
use super::{Followed, Tail};
use crate::input::Intake;
use crate::input::join::Joiner;
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
    loans: Vec<Loan>,
    /// Positions that may only be written together.
    debts: Vec<Debt>,
}

/// A record that began in `lender` and ends in `heir`.
#[derive(Debug)]
struct Loan {
    lender: u64,
    /// The entry there.
    entry: u64,
    heir: u64,
    /// Where it ends there.
    to: u64,
}

/// Such a record is settled: the heir's position is written once the lender's stands behind it as well.
#[derive(Debug)]
struct Debt {
    lender: u64,
    lender_to: u64,
    heir: u64,
    heir_row: i64,
    heir_to: u64,
}

/// Whether a file may be read.
pub(super) enum Readiness {
    /// It may; with the file before it that may end within a record.
    Ready(Option<u64>),
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
        reader.joiner = Some(Box::new(Joiner::new(cuts)));
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
        self.joins.loans.retain(|loan| loan.lender != number);
    }

    /// Whether the file may be read now.
    pub(super) fn readiness(&mut self, number: u64) -> Readiness {
        if !self.joins_lines() {
            return Readiness::Ready(None);
        }
        if self.joins.cutting.contains(&number) {
            return Readiness::Waits;
        }
        let before = self.before(number);
        let unread = before.and_then(|before| self.files.get_mut(&before)).filter(|before| {
            let size = before.file.metadata().map_or(0, |status| status.len());
            let is_read = matches!(&before.stage, Stage::Reading(reader) if reader.seen == size);
            !is_read && !before.has_failed
        });
        let Some(unread) = unread else { return Readiness::Ready(before) };
        unread.successor = Some(number);
        // Should nobody have told that there is more to read.
        if let Some(before) = before {
            self.enqueue(before);
        }
        Readiness::Waits
    }

    /// The file is read to its end: the one that took its place may be read.
    pub(super) fn wake_successor(&mut self, number: u64) {
        let successor = self.files.get_mut(&number).and_then(|followed| followed.successor.take());
        if let Some(successor) = successor {
            self.enqueue(successor);
        }
    }

    /// What a file has that lines may be joined to; to be given back.
    pub(super) fn take_joiner(&mut self, number: u64) -> Option<Box<Joiner>> {
        self.reader(number)?.joiner.take()
    }

    /// Gives it back.
    pub(super) fn give_joiner(&mut self, number: u64, joiner: Option<Box<Joiner>>) {
        if let Some(reader) = self.reader(number) {
            reader.joiner = joiner;
            self.joins.releases.push(number);
        }
    }

    fn reader(&mut self, number: u64) -> Option<&mut Reader> {
        match &mut self.files.get_mut(&number)?.stage {
            Stage::Reading(reader) => Some(reader),
            Stage::Empty | Stage::Registering => None,
        }
    }

    /// Notes what a read left; `before`: the file before it.
    pub(super) fn note_joins(&mut self, number: u64, before: Option<u64>) {
        let Some(reader) = self.reader(number) else { return };
        let (offset, Some(joiner)) = (reader.offset, &mut reader.joiner) else { return };
        let repaid = joiner.take_repaid();
        let (is_empty, is_overfull) = (joiner.is_empty(), joiner.is_overfull(offset));
        if let Some(lender) = before {
            let loan = |(entry, to)| Loan { lender, entry, heir: number, to };
            self.joins.loans.extend(repaid.into_iter().map(loan));
        }
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
        let flush = self.flush_timeout();
        let is_due = |number: &u64| {
            let followed = self.files.get(number);
            followed
                .and_then(Followed::joiner)
                .and_then(|it| it.due(flush))
                .is_some_and(|at| at <= now)
        };
        let due: Vec<_> = self.joins.waiting.iter().copied().filter(is_due).collect();
        for number in due {
            self.cut(number, Some(now));
        }
    }

    /// When the next of the waiting lines has waited for long enough.
    pub(super) fn joins_due(&self) -> Option<Instant> {
        let flush = self.flush_timeout();
        let of_file = |number: &u64| self.files.get(number)?.joiner()?.due(flush);
        self.joins.waiting.difference(&self.joins.cutting).filter_map(of_file).min()
    }

    /// Closes all that waits, as nothing will come any more. Whether nothing waits.
    pub(super) fn cut_all(&mut self) -> bool {
        for number in self.joins.waiting.clone() {
            self.cut(number, None);
        }
        self.joins.waiting.is_empty()
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
        let before = self.before(number);
        self.note_joins(number, before);
    }

    /// The file whose place this one took, and which may end within a record.
    fn before(&self, number: u64) -> Option<u64> {
        let names = self.joins.names.get(&self.files.get(&number)?.shown)?;
        let at = names.iter().position(|(_, other)| *other == number)?;
        names.get(at.checked_sub(1)?).map(|(_, before)| *before)
    }

    /// Hands over all that waits in a file that was cut or written anew: its next lines are gone.
    pub(super) fn release_all(&mut self, number: u64, now: Instant, intake: &mut dyn Intake) {
        if let Some(joiner) = self.reader(number).and_then(|reader| reader.joiner.as_mut()) {
            joiner.close_all();
            joiner.take_back_lent();
            self.release(number, now, intake);
        }
    }

    /// Everything of a source before `to` is settled, which may be what another file waits for. Whether its own
    /// position has to wait for that one.
    pub(super) fn repay(&mut self, heir: u64, row: Option<i64>, to: u64) -> bool {
        let Joins { loans, debts, releases, .. } = &mut self.joins;
        let is_repaid = |loan: &Loan| loan.heir == heir && loan.to <= to;
        let repaid: Vec<_> = loans.extract_if(.., |loan| is_repaid(loan)).collect();
        let has_repaid = !repaid.is_empty();
        for Loan { lender, entry, .. } in repaid {
            let Some(Followed { stage: Stage::Reading(reader), .. }) = self.files.get_mut(&lender)
            else {
                continue;
            };
            let end = reader.joiner.as_mut().and_then(|joiner| joiner.settle_lent(entry));
            releases.push(lender);
            if let (Some(lender_to), Some(heir_row)) = (end, row) {
                debts.push(Debt { lender, lender_to, heir, heir_row, heir_to: to });
            }
        }
        if has_repaid {
            self.positions.ring();
        }
        let mut waits = false;
        for debt in self.joins.debts.iter_mut().filter(|debt| debt.heir == heir) {
            debt.heir_to = debt.heir_to.max(to);
            waits = true;
        }
        waits
    }

    /// Takes the positions that may be written together with that of `lender`, which is safe before `to`: row,
    /// offset, and whose they are.
    pub(super) fn take_debts(&mut self, lender: u64, to: u64) -> Vec<(i64, u64, u64)> {
        let debts = &mut self.joins.debts;
        let paid: Vec<_> =
            debts.extract_if(.., |debt| debt.lender == lender && debt.lender_to <= to).collect();
        // One that owes to others as well still waits for them.
        let is_free = |debt: &Debt| !debts.iter().any(|other| other.heir == debt.heir);
        let free = paid.iter().filter(|debt| is_free(debt));
        free.map(|debt| (debt.heir_row, debt.heir_to, debt.heir)).collect()
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
