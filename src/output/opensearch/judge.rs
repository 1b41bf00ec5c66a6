//! Reads the answer to `_bulk` as it streams in, item by item.
//!
//! A machine over single bytes cuts the answer into its members and items, so that an answer may be
//! of any size and only one item is ever held. `"errors":false` ends the reading at once: the store
//! writes it when all items are done, and writes it first. Members may come in any order, though.

use crate::output::answer::{Complaints, Fault};
use crate::output::{Health, Judge, Verdict};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// A longer item is not judged, and its record sent again.
const ITEM_BYTES_MAX: usize = 64 << 10;

/// Of a longer text in an item no more is kept: it is a reason, which may quote a whole field.
const STRING_BYTES_MAX: usize = 2 << 10;

/// Bytes of the longest thing in a JSON string that must not be cut: a pair of surrogates, `\ud83d\ude00`.
const ESCAPE_LEN_MAX: usize = 12;

/// Members of the answer that are looked at are shorter: `"errors":false`.
const MEMBER_BYTES_MAX: usize = 64;

/// What the store says of every record while the ingest pipeline that requests name is not there: its words
/// before and behind the name.
const PIPELINE_MISSING: (&str, &str) = ("pipeline with id [", "] does not exist");

/// What the status 409 (there is a document with this id) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// The id is ours, so the document is the record: it was stored before.
    Repeated,
    /// The id is the user's.
    Conflict,
    /// Another writer was at the same document (`index`, `update`).
    Retry,
}

/// Where in the answer the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the opening brace.
    Start,
    /// In the outer object; the piece gathers a member.
    Member,
    /// In `items`, between two of them.
    Items,
    /// In one of `items`; the piece gathers it.
    Item,
    /// In a nested value that says nothing to us.
    Aside,
    /// Behind the closing brace.
    End,
    /// Behind `"errors":false`: the rest is not read.
    AllAccepted,
    /// In something that no `_bulk` answers.
    Broken,
}

/// Whether the next byte stands in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    /// It does not.
    Outside,
    /// It does.
    Inside,
    /// It does, behind a backslash.
    Escape,
}

/// Judges the records of one `_bulk` request.
#[derive(Debug)]
pub(super) struct BulkJudge {
    on_conflict: OnConflict,
    /// Records in the request.
    count: u32,
    /// Items read so far: the next one judges this record.
    next: u32,
    place: Place,
    /// Brackets open within the item or the value aside.
    depth: u32,
    quoting: Quoting,
    /// The member or item so far, without the white space between its tokens.
    piece: Vec<u8>,
    /// Where in the piece the string at hand starts, and whether the rest of it is left out.
    string_start: usize,
    is_cutting: bool,
    /// Records that need not be sent again.
    settled: u32,
    /// Items that say the destination is overloaded or locked.
    busy: u32,
    /// Items that failed.
    failed: u32,
    /// Of the first of these, the status and the error's type.
    put_off: Option<(u16, String)>,
    complaints: Arc<Complaints>,
    /// For `Trace_Error`: whether the first refusal is to be logged with its reason.
    is_tracing: bool,
}

impl BulkJudge {
    /// For an answer on `count` records.
    pub(super) fn new(count: u32, on_conflict: OnConflict, complaints: &Arc<Complaints>) -> Self {
        Self {
            on_conflict,
            count,
            next: 0,
            place: Place::Start,
            depth: 0,
            quoting: Quoting::Outside,
            piece: Vec::new(),
            string_start: 0,
            is_cutting: false,
            settled: 0,
            busy: 0,
            failed: 0,
            put_off: None,
            complaints: Arc::clone(complaints),
            is_tracing: false,
        }
    }

    /// Logs the first refusal with its reason, if that is asked for (`Trace_Error`).
    pub(super) fn tracing(self, is_tracing: bool) -> Self {
        Self { is_tracing, ..self }
    }

    fn step(&mut self, byte: u8, verdict: &mut dyn FnMut(u32, Verdict)) {
        if self.quoting != Quoting::Outside {
            return self.step_in_string(byte);
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => self.close(byte, verdict),
            b',' => self.separate(verdict),
            _ => match self.place {
                Place::Member | Place::Item | Place::Aside => {
                    if byte == b'"' {
                        self.quoting = Quoting::Inside;
                        self.string_start = self.piece.len();
                    }
                    self.keep(byte);
                }
                _ => self.place = Place::Broken,
            },
        }
    }

    fn step_in_string(&mut self, byte: u8) {
        let quoting = match (self.quoting, byte) {
            (Quoting::Inside, b'"') => Quoting::Outside,
            (Quoting::Inside, b'\\') => Quoting::Escape,
            _ => Quoting::Inside,
        };
        if quoting == Quoting::Outside {
            self.is_cutting = false;
        } else if self.piece.len() - self.string_start > STRING_BYTES_MAX {
            self.is_cutting |= self.may_cut_before(byte);
        }
        if !self.is_cutting {
            self.keep(byte);
        }
        self.quoting = quoting;
    }

    /// Whether what is kept of a string ends in no part of a character or an escape.
    fn may_cut_before(&self, byte: u8) -> bool {
        let is_continuation = byte & 0b1100_0000 == 0b1000_0000;
        !is_continuation && !self.piece.iter().rev().take(ESCAPE_LEN_MAX).any(|it| *it == b'\\')
    }

    /// Adds a byte to the piece. One that is too long grows to one byte over its limit, no further.
    fn keep(&mut self, byte: u8) {
        let bytes_max = match self.place {
            Place::Member => MEMBER_BYTES_MAX,
            Place::Item => ITEM_BYTES_MAX,
            _ => return,
        };
        if self.piece.len() <= bytes_max {
            self.piece.push(byte);
        }
    }

    fn open(&mut self, byte: u8) {
        match (self.place, byte) {
            (Place::Start, b'{') => self.place = Place::Member,
            (Place::Member, b'[') if self.piece == b"\"items\":" => {
                self.piece.clear();
                self.place = Place::Items;
            }
            (Place::Member, _) => {
                self.piece.clear();
                self.depth = 1;
                self.place = Place::Aside;
            }
            (Place::Items, b'{') => {
                self.depth = 1;
                self.place = Place::Item;
                self.keep(byte);
            }
            (Place::Item | Place::Aside, _) => {
                self.depth = self.depth.saturating_add(1);
                self.keep(byte);
            }
            _ => self.place = Place::Broken,
        }
    }

    fn close(&mut self, byte: u8, verdict: &mut dyn FnMut(u32, Verdict)) {
        match (self.place, byte) {
            (Place::Member, b'}') => {
                self.place = Place::End;
                self.end_member(verdict);
            }
            (Place::Items, b']') => self.place = Place::Member,
            (Place::Item | Place::Aside, _) => {
                self.keep(byte);
                self.depth -= 1;
                match (self.depth, self.place) {
                    (0, Place::Item) => self.end_item(verdict),
                    (0, _) => self.place = Place::Member,
                    _ => {}
                }
            }
            _ => self.place = Place::Broken,
        }
    }

    fn separate(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) {
        match self.place {
            Place::Member => self.end_member(verdict),
            Place::Item => self.keep(b','),
            Place::Items | Place::Aside => {}
            _ => self.place = Place::Broken,
        }
    }

    fn end_member(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) {
        if self.piece == b"\"errors\":false" {
            (self.next..self.count).for_each(|index| verdict(index, Verdict::Accepted));
            self.next = self.count;
            self.settled += 1;
            self.place = Place::AllAccepted;
        }
        self.piece.clear();
    }

    fn end_item(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) {
        self.place = Place::Items;
        let mut piece = std::mem::take(&mut self.piece);
        let read = serde_json::from_slice::<Item<'_>>(&piece);
        let (verdict_on_it, health) = match read {
            Ok(item) => self.judge(item.outcome),
            // Too long, or not an item: its record is sent again, and that counts.
            Err(_) => (Verdict::Retry, Health::Failed),
        };
        piece.clear();
        self.piece = piece;
        self.settled += u32::from(verdict_on_it != Verdict::Retry);
        self.busy += u32::from(health == Health::Busy);
        self.failed += u32::from(health == Health::Failed);
        if self.next < self.count {
            verdict(self.next, verdict_on_it);
            self.next += 1;
        }
    }

    /// What an item says of its record and of the destination.
    fn judge(&mut self, outcome: Outcome<'_>) -> (Verdict, Health) {
        let (kind, reason) = outcome.error.map(Error::into_kind_and_reason).unwrap_or_default();
        if is_of_all(outcome.status, &kind, &reason) {
            self.put_off.get_or_insert_with(|| (outcome.status, kind.into_owned()));
            return (Verdict::Retry, Health::Busy);
        }
        match outcome.status {
            200..=299 => (Verdict::Accepted, Health::Good),
            409 => match self.on_conflict {
                OnConflict::Repeated => (Verdict::Repeated, Health::Good),
                OnConflict::Conflict => (Verdict::Conflict, Health::Good),
                OnConflict::Retry => (Verdict::Retry, Health::Good),
            },
            400..=499 => {
                let kind =
                    if kind.is_empty() { outcome.status.to_string() } else { kind.into_owned() };
                (Verdict::Refused { kind, reason: reason.into_owned() }, Health::Good)
            }
            _ => (Verdict::Retry, Health::Failed),
        }
    }
}

impl Judge for BulkJudge {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        let mut is_tracing = self.is_tracing;
        let complaints = Arc::clone(&self.complaints);
        let mut traced = |index: u32, judged: Verdict| {
            if let Verdict::Refused { kind, reason } = &judged
                && std::mem::take(&mut is_tracing)
            {
                let output = complaints.name();
                tracing::error!(output, kind, reason, "a record was refused (Trace_Error)");
            }
            verdict(index, judged);
        };
        for &byte in bytes {
            if matches!(self.place, Place::End | Place::AllAccepted | Place::Broken) {
                break;
            }
            self.step(byte, &mut traced);
        }
        self.is_tracing = is_tracing;
    }

    fn finish(&mut self, _verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        let is_whole = matches!(self.place, Place::AllAccepted | Place::End);
        // Cut short, no JSON, items missing: what has no verdict yet is sent again.
        if !is_whole || self.next < self.count || self.failed > 0 && self.busy == 0 {
            return Health::Failed;
        }
        // Overload that spared some records is no reason to send nothing at all for a while.
        if self.busy > 0 && self.settled == 0 {
            if let Some((status, kind)) = &self.put_off {
                self.complaints.tell_of_items(*status, kind);
            }
            return Health::Busy;
        }
        self.complaints.clear();
        Health::Good
    }
}

/// Whether an item tells of nothing that another record would be spared, and nothing that lasts once the
/// operator has seen to it: overload, rights, an index made read-only because a disk is full, or one that is not
/// there, nor the pipeline.
fn is_of_all(status: u16, kind: &str, reason: &str) -> bool {
    match status {
        401 | 403 | 429 | 503 => true,
        404 => kind == "index_not_found_exception",
        400 => reason.starts_with(PIPELINE_MISSING.0) && reason.ends_with(PIPELINE_MISSING.1),
        _ => false,
    }
}

/// One of `items`: an object whose single member is named after the operation.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "create", alias = "index", alias = "update", borrow)]
    outcome: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow)]
    error: Option<Error<'a>>,
}

/// An error as an object, or, in Elasticsearch 1, as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Error<'a> {
    Full {
        #[serde(rename = "type", borrow)]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        reason: Option<Cow<'a, str>>,
    },
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl<'a> Error<'a> {
    fn into_kind_and_reason(self) -> (Cow<'a, str>, Cow<'a, str>) {
        match self {
            Self::Full { kind, reason } => (kind.unwrap_or_default(), reason.unwrap_or_default()),
            Self::Text(text) => (Cow::default(), text),
        }
    }
}

/// What refused a whole request.
pub(super) fn fault(answer: &[u8]) -> Fault {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: Option<Error<'a>>,
    }
    let read = serde_json::from_slice::<Answer<'_>>(answer);
    let error = read.ok().and_then(|answer| answer.error);
    let (kind, reason) = error.map_or_else(
        || (Cow::default(), String::from_utf8_lossy(answer)),
        Error::into_kind_and_reason,
    );
    Fault { kind: kind.into_owned(), reason: reason.into_owned() }
}

/// Fuzz entry: however an answer is cut into pieces, it is judged the same, and no record twice.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_judge(data: &[u8]) {
    let Some((&cut, answer)) = data.split_first() else { return };
    let complaints = Arc::new(Complaints::new("fuzz".into()));
    let judge = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut verdicts = [const { None }; 4];
        let mut judge = BulkJudge::new(4, OnConflict::Repeated, &complaints);
        let mut note = |index: u32, verdict| {
            let slot = verdicts.get_mut(index as usize);
            assert!(
                slot.is_some_and(|slot| slot.replace(verdict).is_none()),
                "record {index} is judged once"
            );
        };
        pieces.for_each(|piece| judge.feed(piece, &mut note));
        let health = judge.finish(&mut note);
        (verdicts, health)
    };
    let whole = judge(&mut std::iter::once(answer));
    assert_eq!(whole, judge(&mut answer.chunks(usize::from(cut).max(1))), "cut after {cut} bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use std::fmt::Write;

    fn complaints() -> Arc<Complaints> {
        Arc::new(Complaints::new("opensearch.0".into()))
    }

    fn check(answer: &str, expected: &Expect) {
        check_with(OnConflict::Repeated, answer, expected);
    }

    /// The verdicts on three records, and the health; fed whole and byte by byte.
    fn check_with(on_conflict: OnConflict, answer: &str, expected: &Expect) {
        for size in [1, answer.len().max(1)] {
            let mut text = String::new();
            let mut judge = BulkJudge::new(3, on_conflict, &complaints());
            let mut note = |index, verdict| match verdict {
                Verdict::Refused { kind, reason } => {
                    writeln!(text, "{index}: {kind} ({reason})").unwrap();
                }
                other => writeln!(text, "{index}: {other:?}").unwrap(),
            };
            answer.as_bytes().chunks(size).for_each(|piece| judge.feed(piece, &mut note));
            let health = judge.finish(&mut note);
            writeln!(text, "{health:?}").unwrap();
            expected.assert_eq(&text);
        }
    }

    #[test]
    fn no_errors_is_read_no_further() {
        let all = expect![[r#"
            0: Accepted
            1: Accepted
            2: Accepted
            Good
        "#]];
        check(r#"{"took":3,"errors":false,"items":[{"cre"#, &all);
        check(r#"{"errors" : false}"#, &all);
        check("{\r\n\t\"x\":{\"errors\":true,\"a\":[\"}\",\"\\\"\"]},\"errors\":\nfalse , ", &all);
    }

    #[test]
    fn items_are_judged_one_by_one() {
        check(
            r#"{"took":1,"errors":true,"items":[{"create":{"_index":"a","status":201}},
               {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"}]"}}},
               {"create":{"error":{"type":"mapper_parsing_exception","reason":"a \"b\"","caused_by":{}},"status":400}}]}"#,
            &expect![[r#"
                0: Accepted
                1: Repeated
                2: mapper_parsing_exception (a "b")
                Good
            "#]],
        );
    }

    #[test]
    fn a_reason_that_quotes_a_whole_field_is_cut() {
        for quoted in ["x".repeat(100_000), "ä\\n \\ud83d\\ude00 quoted: ".repeat(5_000)] {
            let answer = format!(
                r#"{{"errors":true,"items":[{{"create":{{"status":400,"error":{{"type":"mapper_parsing_exception","reason":"{quoted}"}}}}}},
                {{"create":{{"error":{{"reason":"{quoted}","type":"t"}},"status":400}}}},{{"create":{{"status":201}}}}]}}"#
            );
            let mut judge = BulkJudge::new(3, OnConflict::Repeated, &complaints());
            let mut found = Vec::new();
            let mut note = |_, verdict| match verdict {
                Verdict::Refused { kind, reason } => {
                    assert!((1_000..3_000).contains(&reason.len()), "{}", reason.len());
                    found.push(kind);
                }
                other => found.push(format!("{other:?}")),
            };
            judge.feed(answer.as_bytes(), &mut note);
            assert_eq!(judge.finish(&mut note), Health::Good);
            assert_eq!(found, ["mapper_parsing_exception", "t", "Accepted"]);
        }
    }

    #[test]
    fn errors_may_come_behind_items() {
        check(
            r#"{"items":[{"create":{"status":201}},{"create":{"status":429}},{"create":{"status":200}}],"errors":true}"#,
            &expect![[r#"
                0: Accepted
                1: Retry
                2: Accepted
                Good
            "#]],
        );
        check(
            r#"{"items":[{"create":{"status":201}}],"errors":false}"#,
            &expect![[r#"
                0: Accepted
                1: Accepted
                2: Accepted
                Good
            "#]],
        );
    }

    #[test]
    fn overload_and_locks_keep_the_record() {
        check(
            r#"{"errors":true,"items":[{"index":{"status":503}},
               {"index":{"status":403,"error":{"type":"cluster_block_exception","reason":null}}},
               {"index":{"status":404,"error":{"type":"index_not_found_exception"}}}]}"#,
            &expect![[r#"
                0: Retry
                1: Retry
                2: Retry
                Busy
            "#]],
        );
        check(
            r#"{"errors":true,"items":[{"update":{"status":500,"error":"Text[of 1.x]"}},
               {"update":{"status":404,"error":{"type":"document_missing_exception"}}},
               {"update":{"status":400,"error":"MapperParsingException[x]"}}]}"#,
            &expect![[r#"
                0: Retry
                1: document_missing_exception ()
                2: 400 (MapperParsingException[x])
                Failed
            "#]],
        );
    }

    #[test]
    fn a_pipeline_that_is_not_there_keeps_the_record() {
        check(
            r#"{"errors":true,"items":[
               {"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [a] does not exist"}}},
               {"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [a] failed"}}},
               {"create":{"status":201}}]}"#,
            &expect![[r#"
                0: Retry
                1: illegal_argument_exception (pipeline with id [a] failed)
                2: Accepted
                Good
            "#]],
        );
    }

    #[test]
    fn a_conflict_is_what_the_id_makes_it() {
        let answer = r#"{"errors":true,"items":[{"create":{"status":409}},{"create":{"status":201}},{"create":{"status":201}}]}"#;
        check_with(
            OnConflict::Conflict,
            answer,
            &expect![[r#"
                0: Conflict
                1: Accepted
                2: Accepted
                Good
            "#]],
        );
        check_with(
            OnConflict::Retry,
            answer,
            &expect![[r#"
                0: Retry
                1: Accepted
                2: Accepted
                Good
            "#]],
        );
    }

    #[test]
    fn what_makes_no_sense_settles_nothing() {
        let failed = expect![[r#"
            Failed
        "#]];
        check("", &failed);
        check("<html>no</html>", &failed);
        check("[1]", &failed);
        check(r#"{"error":{"type":"x"},"status":500}"#, &failed);
        check(r#"{"errors":true,"items":[]}"#, &failed);
        check(r#"{"errors":true,"items":[7]}"#, &failed);
        check(r#"{"took":1,"err"#, &failed);
    }

    #[test]
    fn a_cut_answer_settles_what_it_said() {
        check(
            r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"sta"#,
            &expect![[r#"
                0: Accepted
                Failed
            "#]],
        );
        check(
            r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{}},{"create":{"status":201}}]}"#,
            &expect![[r#"
                0: Accepted
                1: Retry
                2: Accepted
                Failed
            "#]],
        );
    }

    #[test]
    fn surplus_and_overlong_items_do_no_harm() {
        // Escapes all along are cut nowhere.
        let long = r"\n".repeat(ITEM_BYTES_MAX);
        let mut answer =
            r#"{"errors":true,"items":[{"create":{"status":400,"error":{"reason":""#.to_owned();
        answer.push_str(&long);
        answer.push_str(r#""}}}"#);
        answer.push_str(&r#",{"create":{"status":201}}"#.repeat(5));
        answer.push_str("]}");
        check(
            &answer,
            &expect![[r#"
                0: Retry
                1: Accepted
                2: Accepted
                Failed
            "#]],
        );
    }

    #[test]
    fn what_refused_a_request_is_found() {
        for (answer, kind, reason) in [
            (
                r#"{"error":{"root_cause":[],"type":"security_exception","reason":"no"},"status":401}"#,
                "security_exception",
                "no",
            ),
            (r#"{"error":{"type":"security_exception"}}"#, "security_exception", ""),
            (r#"{"error":"no handler found","status":400}"#, "", "no handler found"),
            ("<html>", "", "<html>"),
        ] {
            let fault = fault(answer.as_bytes());
            assert_eq!((&*fault.kind, &*fault.reason), (kind, reason));
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            cut in 1_u8..20,
            parts in proptest::collection::vec(prop_oneof![
                Just(r#"{"took":1,"#), Just(r#""errors":true,"#), Just(r#""errors":false"#), Just(r#""items":["#),
                Just(r#"{"create":{"status":201}}"#), Just(r#"{"create":{"status":409,"error":{"type":"t","reason":"\\\"}"}}}"#),
                Just(","), Just("]"), Just("}"), Just("\""), Just("{"), Just(" "),
            ], 0..12),
        ) {
            let mut data = vec![cut];
            for part in parts {
                data.extend_from_slice(part.as_bytes());
            }
            fuzz_judge(&data);
        }
    }
}
