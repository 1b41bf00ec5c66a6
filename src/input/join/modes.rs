//! What each way of joining makes of a line.

use super::entry::{By, Entry, Part};
use super::{Desk, Joiner, Line};
use crate::parser::Parser;
use crate::parser::multiline::{Multiline, Role, Taken};
use crate::record::Fields;
use std::sync::Arc;
use tailwater_parsers::json;

/// A container's line that is whole.
enum Whole<'a> {
    /// It came as one, taken apart.
    Line(Taken<'a>),
    /// It came in pieces, which are this entry.
    Pieces(u64),
}

impl Joiner {
    /// `multiline.parser`
    pub(super) fn take_parsed<'a>(
        &mut self,
        line: Line<'a>,
        parsers: &[Arc<Multiline>],
        then: &[Arc<Multiline>],
        desk: &mut Desk<'_, 'a>,
    ) {
        let others = (0..parsers.len()).filter(|index| *index != self.last);
        for index in std::iter::once(self.last).chain(others) {
            let Some(parser) = parsers.get(index) else { continue };
            let state = |group: &str| self.state(index, group, desk.before);
            let bump = desk.batch.bump;
            let taken = parser.take(line.text, desk.scratch, bump, desk.now, state);
            let Some(taken) = taken else { continue };
            self.last = index;
            desk.counts.repaired += u64::from(taken.is_repaired);
            if then.is_empty() || !parser.has_parser() {
                self.join(line, index, parser, taken, desk);
            } else {
                self.join_pieces(line, index, parser, taken, then, desk);
            }
            return;
        }
        // A line that nobody takes ends what is open.
        self.close_all();
        for before in desk.before.iter_mut() {
            before.close_all();
        }
        desk.counts.unparsed += u64::from(parsers.iter().any(|parser| parser.has_parser()));
        self.push_alone(line, desk);
    }

    /// Joins a line by what its parser says of it.
    fn join<'a>(
        &mut self,
        line: Line<'a>,
        index: usize,
        parser: &Multiline,
        taken: Taken<'a>,
        desk: &mut Desk<'_, 'a>,
    ) {
        let role = taken.role;
        let stream = self.stream(index, taken.group, role.begins, line, desk);
        if role.begins {
            let open = self.streams.get_mut(stream).and_then(|stream| stream.open.take());
            self.close(open);
        }
        let Some(known) = self.streams.get_mut(stream) else { return };
        known.state = role.state;
        let (id, is_whole) = match known.open {
            None if role.ends && self.entries.is_empty() => {
                return push_whole(line, parser, taken, desk);
            }
            None => self.begin(line, index, &taken, desk),
            Some(id) => (id, self.extend(id, line, taken.content, parser, desk)),
        };
        let is_over = role.ends || !is_whole && parser.is_over_when_full();
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.open = (!is_over).then_some(id);
            stream.state = stream.state.filter(|_| is_whole || !parser.is_over_when_full());
        }
        if is_over {
            self.close(Some(id));
        }
    }

    /// Begins an entry with a line; whether all of it had room.
    fn begin<'a>(
        &mut self,
        line: Line<'a>,
        index: usize,
        taken: &Taken<'a>,
        desk: &mut Desk<'_, 'a>,
    ) -> (u64, bool) {
        let mut entry = Entry::new(By::Parser(index), line, desk);
        if taken.fields.is_some() {
            entry.first.push_str(line.text);
        }
        let is_whole = entry.append(taken.content, desk.joining.bytes_max, desk.counts);
        (self.push_entry(entry), is_whole)
    }

    /// Adds a further line to an entry; whether all of it had room.
    fn extend(
        &mut self,
        id: u64,
        line: Line<'_>,
        content: &str,
        parser: &Multiline,
        desk: &mut Desk<'_, '_>,
    ) -> bool {
        let bytes_max = desk.joining.bytes_max;
        let Some(entry) = self.entry(id) else { return true };
        entry.extend(line, desk.since);
        if parser.joins_lines() && !entry.content.is_empty() && !entry.content.ends_with('\n') {
            entry.content.push('\n');
        }
        let is_gap = content.is_empty() && parser.is_over_when_full();
        entry.append(if is_gap { "\n" } else { content }, bytes_max, desk.counts)
    }

    /// Joins the pieces of a container's line, and whole lines by the parsers in `then`.
    fn join_pieces<'a>(
        &mut self,
        line: Line<'a>,
        index: usize,
        parser: &Multiline,
        taken: Taken<'a>,
        then: &[Arc<Multiline>],
        desk: &mut Desk<'_, 'a>,
    ) {
        let ends = taken.role.ends;
        // Whether whole lines belong together is found out below: here, nothing begins anew.
        let stream = self.stream(index, taken.group, false, line, desk);
        let piece = self.streams.get(stream).and_then(|stream| stream.piece);
        let whole = match piece {
            None if ends => Whole::Line(taken),
            piece => {
                let id = piece.unwrap_or_else(|| self.begin(line, index, &taken, desk).0);
                if piece.is_some() {
                    self.extend(id, line, taken.content, parser, desk);
                }
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.piece = (!ends).then_some(id);
                }
                Whole::Pieces(id)
            }
        };
        if ends {
            self.join_whole(line, index, parser, stream, whole, then, desk);
        }
    }

    /// Joins a whole line to those before it.
    #[expect(clippy::too_many_arguments, reason = "what is known of a line, and no more")]
    fn join_whole<'a>(
        &mut self,
        line: Line<'a>,
        index: usize,
        parser: &Multiline,
        stream: usize,
        whole: Whole<'a>,
        then: &[Arc<Multiline>],
        desk: &mut Desk<'_, 'a>,
    ) {
        let content = match &whole {
            Whole::Line(taken) => std::borrow::Cow::Borrowed(taken.content),
            Whole::Pieces(id) => {
                let content = self.entry(*id).map(|entry| std::mem::take(&mut entry.content));
                std::borrow::Cow::Owned(content.unwrap_or_default())
            }
        };
        let Some(known) = self.streams.get_mut(stream) else { return };
        let role = role_of(&content, known.then, then);
        let open = known.open.filter(|_| role.is_some_and(|(_, role)| !role.begins));
        if let Some((by, role)) = role {
            known.then = role.state.map(|state| (by, state));
        }
        let (open, left) = if open.is_some() { (open, None) } else { (None, known.open.take()) };
        self.close(left);
        let ends = role.is_none_or(|(_, role)| role.ends);
        let mut is_over = ends;
        let id = match (open, whole) {
            (Some(id), whole) => {
                let by = role.and_then(|(by, _)| then.get(by));
                is_over |= by.is_some_and(|by| !self.extend(id, line, &content, by, desk));
                if let Whole::Pieces(piece) = whole {
                    self.merge(piece, id);
                }
                id
            }
            (None, Whole::Line(taken)) if ends && self.entries.is_empty() => {
                return push_whole(line, parser, taken, desk);
            }
            (None, Whole::Line(taken)) => self.begin(line, index, &taken, desk).0,
            (None, Whole::Pieces(id)) => {
                if let Some(entry) = self.entry(id) {
                    entry.content = content.into_owned();
                }
                id
            }
        };
        if is_over {
            self.close(Some(id));
        }
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.open = (!is_over).then_some(id);
            stream.then = stream.then.filter(|_| ends || !is_over);
        }
    }

    /// The pieces `piece` are a part of `id` now.
    fn merge(&mut self, piece: u64, id: u64) {
        let Some(at) = self.entries.iter().position(|entry| entry.id == piece) else { return };
        let Some(piece) = self.entries.remove(at) else { return };
        if let Some(entry) = self.entry(id) {
            entry.heir_of.extend(piece.heir_of);
            entry.is_cut |= piece.is_cut;
        }
    }

    /// `Multiline`
    pub(super) fn take_first_line<'a>(
        &mut self,
        line: Line<'a>,
        first: &Parser,
        others: &[Arc<Parser>],
        desk: &mut Desk<'_, 'a>,
    ) {
        let part = |parser, line: Line<'_>| Part {
            parser,
            line: line.text.to_owned(),
            added: String::new(),
        };
        if let Some(takes_more) = reads(first, line, desk) {
            let stream = self.stream(0, "", true, line, desk);
            let open = self.streams.get_mut(stream).and_then(|stream| stream.open.take());
            self.close(open);
            let mut entry = Entry::new(By::FirstLine, line, desk);
            entry.parts.push(part(None, line));
            let id = self.push_entry(entry);
            if let Some(stream) = self.streams.get_mut(stream) {
                (stream.open, stream.takes_more) = (Some(id), takes_more);
            }
            return;
        }
        let stream = self.stream(0, "", false, line, desk);
        let Some(known) = self.streams.get(stream) else { return };
        let (open, takes_more) = (known.open, known.takes_more);
        let read = others
            .iter()
            .enumerate()
            .find_map(|(index, parser)| Some((index, reads(parser, line, desk)?)));
        let bytes_max = desk.joining.bytes_max;
        match (open.and_then(|id| self.entry(id)), read) {
            (Some(entry), Some((index, takes_more))) => {
                entry.extend(line, desk.since);
                entry.parts.push(part(Some(index), line));
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.takes_more = takes_more;
                }
            }
            (Some(entry), None) if takes_more => {
                entry.extend(line, desk.since);
                let held: usize = entry.parts.iter().map(|part| part.added.len()).sum();
                if held + line.text.len() < bytes_max
                    && let Some(part) = entry.parts.last_mut()
                {
                    part.added.push('\n');
                    part.added.push_str(line.text);
                } else {
                    entry.fill(desk.counts);
                }
            }
            _ => self.push_alone(line, desk),
        }
    }

    /// `Docker_Mode`
    pub(super) fn take_docker<'a>(
        &mut self,
        line: Line<'a>,
        first: Option<&Parser>,
        desk: &mut Desk<'_, 'a>,
    ) {
        let is_first = first.is_some_and(|parser| reads(parser, line, desk).is_some());
        let stream = self.stream(0, "", false, line, desk);
        let Some(known) = self.streams.get_mut(stream) else { return };
        known.has_begun |= is_first;
        let body = log_body(line.text);
        let is_left = known.is_whole && (is_first || !known.has_begun);
        let open = known.open.filter(|_| body.is_some() && !is_left);
        if open.is_none() {
            let left = known.open.take();
            self.close(left);
        }
        let id = open.unwrap_or_else(|| {
            let entry = Entry::new(By::Docker, line, desk);
            self.push_entry(entry)
        });
        let bytes_max = desk.joining.bytes_max;
        let Some(entry) = self.entry(id) else { return };
        entry.extend(line, desk.since);
        entry.first.clear();
        entry.first.push_str(line.text);
        let mut is_whole = true;
        if let Some(body) = body {
            is_whole = ends_with_newline(body);
            entry.append(body, bytes_max, desk.counts);
        }
        let is_over = body.is_none() || is_whole && first.is_none();
        if is_over {
            self.close(Some(id));
        }
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.is_whole = is_whole;
            stream.open = (!is_over).then_some(id);
        }
    }
}

/// Hands over a line that is a record by itself.
fn push_whole<'a>(line: Line<'a>, parser: &Multiline, taken: Taken<'a>, desk: &mut Desk<'_, 'a>) {
    let fields = taken.fields.or_else(|| desk.fields_of_text(taken.content, Some(parser)));
    if let Some(fields) = fields {
        desk.push(line.from, line.to, line.is_cut, fields, taken.time, desk.now);
    }
}

/// What a whole line is, by the first of the parsers that takes it; the last one that did is asked first.
fn role_of(
    content: &str,
    last: Option<(usize, tailwater_parsers::multiline::State)>,
    then: &[Arc<Multiline>],
) -> Option<(usize, Role)> {
    let known = last.map(|(index, _)| index);
    let others = (0..then.len()).filter(|index| Some(*index) != known);
    known.into_iter().chain(others).find_map(|index| {
        let state = last.filter(|_| Some(index) == known).map(|(_, state)| state);
        Some((index, then.get(index)?.role(content, state)?))
    })
}

/// Whether the parser reads the line, and whether its last field is text, to which more can be added.
fn reads(parser: &Parser, line: Line<'_>, desk: &mut Desk<'_, '_>) -> Option<bool> {
    // Apart from the batch's arena, which lives longer than the line need.
    let bump = bumpalo::Bump::new();
    let mut fields = Fields::new_in(&bump);
    parser.parse(desk.scratch, line.text, &bump, desk.now, &mut fields)?;
    Some(fields.last().is_some_and(|last| last.value().text_in(&bump).is_some()))
}

/// The inside of the string `log` of a JSON object.
fn log_body(line: &str) -> Option<&str> {
    let mut found = None;
    json::object(line, |key, value, _| {
        if found.is_none() && key.is("log") {
            found = Some(match value {
                json::Value::String(
                    json::Text::Plain(body) | json::Text::Escaped(body) | json::Text::Dirty(body),
                ) => Some(body),
                _ => None,
            });
        }
    })
    .ok()?;
    found.flatten()
}

/// Whether the text that the inside of a JSON string says ends with a line feed.
fn ends_with_newline(body: &str) -> bool {
    let mut text = String::new();
    json::unescape(body, &mut text);
    text.ends_with('\n')
}

/// A JSON line with another inside of its `log`.
pub(super) fn replace_log(line: &str, content: &str) -> Option<String> {
    let Some(body) = log_body(line) else { return Some(line.to_owned()) };
    let start = body.as_ptr().addr().checked_sub(line.as_ptr().addr())?;
    let (before, rest) = line.split_at_checked(start)?;
    let (_, behind) = rest.split_at_checked(body.len())?;
    Some([before, content, behind].concat())
}
