//! Joins lines that are one record: the pieces of a container's line, stack traces, whatever a multiline parser says.
//!
//! ```text
//! source   o1 ─ e1 ─ o2 ─ e2 ─ o3          o: of a trace on stdout, e: a piece of a line on stderr
//! entries  [o1 o2 o3 …   open              what was begun, in the order of its first line
//!           [e1 e2] closed                 waits: handed over before o1, a position could not stand behind it
//! hold     ▲ o1                            a position may stand here, and behind nothing that is open
//! ```
//!
//! A line either becomes a record at once, or belongs to an [`Entry`], which is open as long as its next line may
//! come. Records are handed over in the order of their first lines, and never while a record that began before their
//! end is open: so what was handed over is always all of the source up to one place, the *hold*, and a position
//! there splits no record. What is read again from the hold is joined in the same way.
//!
//! The exception is an entry that was closed because its next line did not come in time. Where that was is written
//! down before the record is handed over (a *cut*), so that the same lines are parted in the same way when they are
//! read again, whatever was written behind them since.
//!
//! A rotated file may end within a record. Its entry is *lent* to the file that took its place when that one goes
//! on with the same stream, and the rotated file's position waits until the record is settled there.

mod entry;
mod fuzz;
mod modes;

pub use self::fuzz::fuzz_joiner;

use self::entry::{By, Entry, Phase};
use super::lines::{Counts, Origin, flag_cut, room};
use crate::parser::multiline::Multiline;
use crate::parser::{Parser, Scratch};
use crate::record::{Batch, Field, Fields, Nanos, Record, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tailwater_parsers::multiline::State;

/// Streams of one file for one parser that are kept apart, as many as Fluent Bit does; more share the first one's.
const STREAMS_PER_PARSER_MAX: usize = 6;

/// Text that waits in one file's entries, or lies behind its hold. With more, all that is open is closed.
const WAITING_BYTES_MAX: u64 = 8 << 20;

/// Buffers of entries that are kept to be used again.
const SPARE_MAX: usize = 16;

/// A buffer that grew beyond this is not kept.
const SPARE_BYTES_MAX: usize = 64 << 10;

/// How lines are joined: for all files of an input.
#[derive(Debug)]
pub struct Joining {
    pub(super) mode: Mode,
    /// The longest text of a record: `multiline_buffer_limit`.
    pub(super) bytes_max: usize,
    /// How long an entry stays open for its next line.
    pub(super) flush: Duration,
}

/// The ways that Fluent Bit has to join lines.
#[derive(Debug)]
pub(super) enum Mode {
    /// `multiline.parser`: the first parser that takes a line decides, the last one that did is asked first. `then`
    /// joins what the lines of a container say when they are whole. A line that nobody takes stands under `key`;
    /// unset, under `Key`.
    Parsers { parsers: Vec<Arc<Multiline>>, then: Vec<Arc<Multiline>>, key: Option<&'static str> },
    /// `Multiline`: a record begins with a line that `first` reads; what no parser reads is added to the last field.
    FirstLine { first: Arc<Parser>, others: Vec<Arc<Parser>> },
    /// `Docker_Mode`: JSON lines whose `log` has no line feed at its end go on in the next one. With `first`, so do
    /// those that it does not read.
    Docker { first: Option<Arc<Parser>> },
}

/// What of one file is not a record yet.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    /// In the order of their first lines.
    entries: VecDeque<Entry>,
    streams: Vec<Stream>,
    /// The parser that took the last line.
    last: usize,
    /// Ends of lines behind which an earlier run closed what was open.
    cuts: Vec<u64>,
    next_id: u64,
    /// The file's number.
    number: u64,
    /// Records handed over that began in a file before.
    repaid: Vec<Repaid>,
}

/// A record that began in a file before this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repaid {
    pub loan: Loan,
    /// Where it ends in this file.
    pub to: u64,
}

/// An entry that another file goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loan {
    /// The number of the file that it lies in.
    pub lender: u64,
    id: u64,
}

/// One stream of a file for one parser.
#[derive(Debug, Default)]
struct Stream {
    parser: usize,
    group: Box<str>,
    /// After the stream's last line.
    state: Option<State>,
    /// The record that the next line may go on with.
    open: Option<u64>,
    /// The container's line that the next piece goes on with, where whole lines are joined further.
    piece: Option<u64>,
    /// The parser of whole lines that took the last one, and where it stands after that.
    then: Option<(usize, State)>,
    /// For `Multiline`: whether the last field of the open record is text, to which lines can be added.
    takes_more: bool,
    /// For `Docker_Mode`: whether a first line was seen, ...
    has_begun: bool,
    /// ... and whether the last line ended with a line feed.
    is_whole: bool,
}

/// A line to be joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Without its line end.
    pub text: &'a str,
    /// Where it begins in the source.
    pub from: u64,
    /// Where it ends, newline included.
    pub to: u64,
    /// Whether it was cut.
    pub is_cut: bool,
}

/// What joining needs beside the line.
#[derive(Debug)]
pub(super) struct Desk<'s, 'a> {
    pub joining: &'s Joining,
    /// `Parser`, for `Docker_Mode`.
    pub parser: Option<&'s Parser>,
    pub scratch: &'s mut Scratch,
    pub spare: &'s mut Spare,
    pub origin: &'s Origin<'a>,
    /// What the files have whose place this one took, the last one first.
    pub before: &'s mut [Joiner],
    pub batch: &'s mut Batch<'a>,
    pub counts: &'s mut Counts,
    /// When the lines are read.
    pub now: Nanos,
    /// The same, for how long an entry waits.
    pub since: Instant,
}

/// Buffers to be used again.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<String>);

impl Spare {
    fn take(&mut self) -> String {
        self.0.pop().unwrap_or_default()
    }

    fn keep(&mut self, mut text: String) {
        if self.0.len() < SPARE_MAX && text.capacity() <= SPARE_BYTES_MAX {
            text.clear();
            self.0.push(text);
        }
    }
}

impl Joiner {
    /// For a file that is read from its position; behind `cuts`, what was open was closed.
    pub(super) fn new(number: u64, cuts: Vec<u64>) -> Self {
        Self { cuts, number, ..Self::default() }
    }

    /// The number of its file.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Takes the next line.
    pub(super) fn take<'a>(&mut self, line: Line<'a>, desk: &mut Desk<'_, 'a>) {
        let joining = desk.joining;
        match &joining.mode {
            Mode::Parsers { parsers, then, .. } => self.take_parsed(line, parsers, then, desk),
            Mode::FirstLine { first, others } => self.take_first_line(line, first, others, desk),
            Mode::Docker { first } => self.take_docker(line, first.as_deref(), desk),
        }
        if self.cuts.contains(&line.to) {
            self.close_at(line.to);
        }
        self.release(desk);
    }

    /// Takes a line that belongs to no other: it was cut, and is not to be parsed.
    pub(super) fn take_alone<'a>(&mut self, line: Line<'a>, desk: &mut Desk<'_, 'a>) {
        self.close_all();
        self.push_alone(line, desk);
        self.release(desk);
    }

    /// Hands over what is whole and waits for nothing before it.
    pub(super) fn release(&mut self, desk: &mut Desk<'_, '_>) {
        for _ in 0..self.ready() {
            let Some(entry) = self.entries.pop_front() else { return };
            self.repaid
                .extend(entry.heir_of.iter().map(|loan| Repaid { loan: *loan, to: entry.to }));
            entry.hand_over(desk);
        }
    }

    /// How many entries at the front may be handed over: up to a place that none of the others reaches across.
    fn ready(&self) -> usize {
        let (mut ready, mut end) = (0, 0);
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.from >= end {
                ready = index;
            }
            if entry.phase != Phase::Closed {
                return ready;
            }
            end = end.max(entry.to);
        }
        self.entries.len()
    }

    /// Where a position may stand if everything before `consumed` was taken.
    pub(super) fn hold(&self, consumed: u64) -> u64 {
        self.entries.front().map_or(consumed, |entry| entry.from.min(consumed))
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether so much waits that it must be parted, if everything before `consumed` was taken.
    pub(super) fn is_overfull(&self, consumed: u64) -> bool {
        !self.entries.is_empty() && consumed - self.hold(consumed) > WAITING_BYTES_MAX
    }

    /// When the first of the open entries has waited for long enough.
    pub(super) fn due(&self, flush: Duration) -> Option<Instant> {
        self.entries.iter().filter(|entry| entry.is_open()).map(|entry| entry.since + flush).min()
    }

    /// The ends of the open entries that have waited for long enough by `now`; of all without one.
    pub(super) fn overdue(&self, now: Option<Instant>, flush: Duration) -> Vec<u64> {
        let is_over =
            |entry: &&Entry| entry.is_open() && now.is_none_or(|now| entry.since + flush <= now);
        let mut ends: Vec<_> = self.entries.iter().filter(is_over).map(|entry| entry.to).collect();
        ends.dedup();
        ends
    }

    /// Closes what is open and ends there.
    pub(super) fn close_at(&mut self, end: u64) {
        self.close_where(|entry| entry.to == end);
    }

    /// Closes all that is open.
    pub(super) fn close_all(&mut self) {
        self.close_where(|_| true);
    }

    fn close_where(&mut self, is_it: impl Fn(&Entry) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_open() && is_it(entry)) {
            entry.phase = Phase::Closed;
            for stream in &mut self.streams {
                stream.open.take_if(|open| *open == entry.id);
                stream.piece.take_if(|piece| *piece == entry.id);
            }
        }
    }

    fn close(&mut self, id: Option<u64>) {
        if let Some(id) = id {
            self.close_where(|entry| entry.id == id);
        }
    }

    /// Records handed over since the last call that began in a file before.
    pub(super) fn take_repaid(&mut self) -> Vec<Repaid> {
        std::mem::take(&mut self.repaid)
    }

    /// What was lent is settled in the other file. Returns where it ends here.
    pub(super) fn settle_lent(&mut self, loan: Loan) -> Option<u64> {
        let is_it = |entry: &Entry| entry.id == loan.id && entry.phase == Phase::Lent;
        let at = self.entries.iter().position(is_it)?;
        self.entries.remove(at).map(|entry| entry.to)
    }

    /// Nobody will settle what was lent: it is handed over from here after all.
    pub(super) fn take_back_lent(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.phase == Phase::Lent) {
            entry.phase = Phase::Closed;
        }
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.id == id)
    }

    /// The state of a stream: in this file, or in the last one before that has something of the stream.
    fn state(&self, parser: usize, group: &str, before: &[Self]) -> Option<State> {
        let mut all = std::iter::once(self).chain(before);
        all.find_map(|joiner| joiner.stream_of(parser, group))?.state
    }

    fn stream_of(&self, parser: usize, group: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.parser == parser && *stream.group == *group)
    }

    /// The index of a stream, which goes on with what a file before has of it. `begins`: with a record of its own.
    fn stream(
        &mut self,
        parser: usize,
        group: &str,
        begins: bool,
        line: Line<'_>,
        desk: &mut Desk<'_, '_>,
    ) -> usize {
        let of_parser = |stream: &Stream| stream.parser == parser;
        let known = |stream: &Stream| of_parser(stream) && *stream.group == *group;
        if let Some(index) = self.streams.iter().position(known) {
            return index;
        }
        if self.streams.iter().filter(|stream| of_parser(stream)).count() >= STREAMS_PER_PARSER_MAX
        {
            return self.streams.iter().position(of_parser).unwrap_or_default();
        }
        self.streams.push(Stream { parser, group: group.into(), ..Stream::default() });
        self.inherit(begins, line, desk);
        self.streams.len() - 1
    }

    /// Lets the newest stream go on with what the last file before that knows it has of it.
    fn inherit(&mut self, begins: bool, line: Line<'_>, desk: &mut Desk<'_, '_>) {
        let Some(Stream { parser, group, .. }) = self.streams.last() else { return };
        let known = desk.before.iter_mut().find(|it| it.stream_of(*parser, group).is_some());
        let Some(before) = known else { return };
        let Some(theirs) = before.stream_of(*parser, group) else { return };
        let lent = [theirs.open, theirs.piece];
        let heir = Stream {
            parser: theirs.parser,
            group: theirs.group.clone(),
            state: theirs.state,
            then: theirs.then,
            takes_more: theirs.takes_more,
            has_begun: theirs.has_begun,
            is_whole: theirs.is_whole,
            open: None,
            piece: None,
        };
        if begins {
            for id in lent {
                before.close(id);
            }
        }
        let [open, piece] = lent.map(|id| {
            let id = id.filter(|_| !begins)?;
            let loan = Loan { lender: before.number, id };
            let lent = before.entry(id)?.lend(loan, line.from, desk.since);
            before.forget(id);
            Some(self.push_entry(lent))
        });
        if let Some(stream) = self.streams.last_mut() {
            *stream = Stream { open, piece, ..heir };
        }
    }

    /// No stream goes on with the entry any more.
    fn forget(&mut self, id: u64) {
        for stream in &mut self.streams {
            stream.open.take_if(|open| *open == id);
            stream.piece.take_if(|piece| *piece == id);
        }
    }

    fn push_entry(&mut self, mut entry: Entry) -> u64 {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_back(entry);
        self.next_id - 1
    }

    /// Makes a record of a line that belongs to no other.
    fn push_alone<'a>(&mut self, line: Line<'a>, desk: &mut Desk<'_, 'a>) {
        if !self.entries.is_empty() {
            let mut entry = Entry::new(By::Nobody, line, desk);
            entry.content.push_str(line.text);
            entry.phase = Phase::Closed;
            self.push_entry(entry);
            return;
        }
        if let Some(fields) = desk.fields_of_text(line.text, None) {
            desk.push(line.from, line.to, line.is_cut, fields, None, desk.now);
        }
    }
}

impl Mode {
    /// The field of a line that no parser took apart.
    fn key<'a>(&self, origin: &Origin<'a>) -> &'a str {
        match self {
            Self::Parsers { key, .. } => key.unwrap_or(origin.key),
            Self::FirstLine { .. } | Self::Docker { .. } => origin.key,
        }
    }

    /// Whether such a line ends with a line feed.
    fn ends_lines(&self) -> bool {
        match self {
            Self::Parsers { parsers, .. } => parsers.first().is_some_and(|one| one.ends_lines()),
            Self::FirstLine { .. } | Self::Docker { .. } => false,
        }
    }
}

impl<'a> Desk<'_, 'a> {
    /// The fields of a text that no parser took apart: under the key of the multiline parser that joined it, or, for a
    /// line that nobody took, of the mode. As in Fluent Bit, `multiline.parser` leaves out what is empty, and some
    /// end the text with a line feed.
    fn fields_of_text(&self, text: &'a str, parser: Option<&Multiline>) -> Option<Fields<'a>> {
        let mode = &self.joining.mode;
        if text.is_empty() && matches!(mode, Mode::Parsers { .. }) {
            return None;
        }
        let key = match parser {
            Some(parser) => parser.key(),
            None => mode.key(self.origin),
        };
        let ends = parser.map_or_else(|| mode.ends_lines(), Multiline::ends_lines);
        let bump = self.batch.bump;
        let text = if ends && !text.ends_with('\n') {
            bumpalo::format!(in bump, "{}\n", text).into_bump_str()
        } else {
            text
        };
        let mut fields = room(bump);
        fields.push(Field::new(key, Value::Str(text)));
        Some(fields)
    }

    /// Hands over a record. Its time is `time`, or `now`.
    fn push(
        &mut self,
        from: u64,
        to: u64,
        is_cut: bool,
        mut fields: Fields<'a>,
        time: Option<Nanos>,
        now: Nanos,
    ) {
        self.origin.push(from, &mut fields);
        if is_cut {
            flag_cut(&mut fields);
        }
        self.batch.records.push(Record {
            time: time.unwrap_or(now),
            own_time: time.is_some(),
            from,
            to,
            ordinal: 0,
            fields,
        });
    }
}
