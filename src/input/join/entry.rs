//! One record that is not whole yet, or waits for one before it.

use super::{Desk, Line, Loan, Mode};
use crate::input::lines::{Counts, room};
use crate::record::{Field, Fields, Nanos, Value};
use std::time::Instant;

/// A record that is not handed over yet. Its texts are its own: they outlive the read that they came with.
#[derive(Debug)]
pub(super) struct Entry {
    pub id: u64,
    pub from: u64,
    pub to: u64,
    pub by: By,
    /// The line that says the fields, if a parser made some.
    pub first: String,
    /// The text that is joined.
    pub content: String,
    /// For [`By::FirstLine`]: the lines that parsers read, with what was added to each.
    pub parts: Vec<Part>,
    pub phase: Phase,
    /// Whether a line of it was cut.
    pub is_cut: bool,
    /// Whether it is as long as it may be.
    pub is_full: bool,
    /// When its last line was read.
    pub since: Instant,
    /// When its first line was read: its time, if it says none.
    pub now: Nanos,
    /// The entries of files before that it goes on with.
    pub heir_of: Vec<Loan>,
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its next line may come.
    Open,
    /// The file that took this one's place goes on with it.
    Lent,
    /// It is whole.
    Closed,
}

/// Who makes the record of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The parser of this index of `multiline.parser`.
    Parser(usize),
    /// `Multiline`.
    FirstLine,
    /// `Docker_Mode`.
    Docker,
    /// Nobody took the line.
    Nobody,
}

/// A line that a parser of `Multiline` read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its index among `Parser_N`; `None`: `Parser_Firstline`.
    pub parser: Option<usize>,
    pub line: String,
    /// What is added to its last field.
    pub added: String,
}

impl Entry {
    /// Begins with `line`, whose text is not taken over yet.
    pub(super) fn new(by: By, line: Line<'_>, desk: &mut Desk<'_, '_>) -> Self {
        Self {
            id: 0,
            from: line.from,
            to: line.to,
            by,
            first: desk.spare.take(),
            content: desk.spare.take(),
            parts: Vec::new(),
            phase: Phase::Open,
            is_cut: line.is_cut,
            is_full: false,
            since: desk.since,
            now: desk.now,
            heir_of: Vec::new(),
        }
    }

    /// Whether its next line may come.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// `line` belongs to it.
    pub(super) fn extend(&mut self, line: Line<'_>, since: Instant) {
        self.to = line.to;
        self.since = since;
        self.is_cut |= line.is_cut;
    }

    /// Adds as much of the text as there is room for; whether that was all.
    pub(super) fn append(&mut self, text: &str, bytes_max: usize, counts: &mut Counts) -> bool {
        let room = bytes_max.saturating_sub(self.content.len());
        if text.len() <= room {
            self.content.push_str(text);
            return true;
        }
        self.content.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        self.fill(counts);
        false
    }

    /// It is as long as it may be, which is counted once.
    pub(super) fn fill(&mut self, counts: &mut Counts) {
        counts.multiline_cut += u64::from(!self.is_full);
        self.is_full = true;
    }

    /// What the file that takes this one's place goes on with, from a line that begins at `from`.
    pub(super) fn lend(&mut self, loan: Loan, from: u64, since: Instant) -> Self {
        self.phase = Phase::Lent;
        let mut heir_of = self.heir_of.clone();
        heir_of.push(loan);
        Self {
            id: 0,
            from,
            to: from,
            by: self.by,
            first: self.first.clone(),
            content: self.content.clone(),
            parts: self.parts.clone(),
            phase: Phase::Open,
            is_cut: self.is_cut,
            is_full: self.is_full,
            since,
            now: self.now,
            heir_of,
        }
    }

    /// Makes the record and hands it over.
    pub(super) fn hand_over(self, desk: &mut Desk<'_, '_>) {
        let made = match self.by {
            By::Parser(index) => self.fields_of_parser(index, desk),
            By::FirstLine => self.fields_of_parts(desk),
            By::Docker => fields_of_docker(&self, desk),
            By::Nobody => {
                let text = desk.batch.bump.alloc_str(&self.content);
                desk.fields_of_text(text, None).map(|fields| (fields, None))
            }
        };
        if let Some((fields, time)) = made {
            desk.push(self.from, self.to, self.is_cut, fields, time, self.now);
        }
        desk.spare.keep(self.first);
        desk.spare.keep(self.content);
    }

    fn fields_of_parser<'a>(
        &self,
        index: usize,
        desk: &mut Desk<'_, 'a>,
    ) -> Option<(Fields<'a>, Option<Nanos>)> {
        let Mode::Parsers { parsers, .. } = &desk.joining.mode else { return None };
        let parser = parsers.get(index)?;
        let bump = desk.batch.bump;
        let content = bump.alloc_str(&self.content);
        if self.first.is_empty() {
            return desk.fields_of_text(content, Some(parser)).map(|fields| (fields, None));
        }
        parser.fields(bump.alloc_str(&self.first), content, desk.scratch, bump, self.now)
    }

    /// The fields of all parts; what was added to a part belongs to its last field, if that is text.
    fn fields_of_parts<'a>(&self, desk: &mut Desk<'_, 'a>) -> Option<(Fields<'a>, Option<Nanos>)> {
        let Mode::FirstLine { first, others } = &desk.joining.mode else { return None };
        let bump = desk.batch.bump;
        let mut fields = room(bump);
        let mut time = None;
        for part in &self.parts {
            let parser = part.parser.map_or(Some(first), |index| others.get(index))?;
            let line = bump.alloc_str(&part.line);
            let parsed = parser.parse(desk.scratch, line, bump, self.now, &mut fields)?;
            if part.parser.is_none() {
                time = parsed.time;
            }
            if let Some(last) = fields.last_mut()
                && !part.added.is_empty()
                && let Some(text) = last.value().text_in(bump)
            {
                let whole = bumpalo::format!(in bump, "{text}{}", part.added);
                *last = Field::new(last.key(), Value::Str(whole.into_bump_str()));
            }
        }
        Some((fields, time))
    }
}

/// The last line with the joined `log` in its own one's place, as `Parser` reads it.
fn fields_of_docker<'a>(
    entry: &Entry,
    desk: &mut Desk<'_, 'a>,
) -> Option<(Fields<'a>, Option<Nanos>)> {
    let bump = desk.batch.bump;
    let line = super::modes::replace_log(&entry.first, &entry.content)?;
    let line = bump.alloc_str(&line);
    let mut fields = room(bump);
    let parsed =
        desk.parser.and_then(|it| it.parse(desk.scratch, line, bump, entry.now, &mut fields));
    if let Some(parsed) = parsed {
        return Some((fields, parsed.time));
    }
    desk.counts.unparsed += u64::from(desk.parser.is_some());
    fields.push(Field::new(desk.origin.key, Value::Str(line)));
    Some((fields, None))
}
