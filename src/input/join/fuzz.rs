//! Fuzz entry: lines are joined to the same records however they are read.

use super::{Joiner, Joining, Mode};
use crate::config::Diagnostics;
use crate::input::lines::{Lines, LongLines, Origin, Seat};
use crate::parser::Parsers;
use crate::parser::multiline::{Multiline, MultilineParsers};
use crate::record::{Batch, Source, SourceId, Tag, write_json};
use bumpalo::Bump;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record: where it lies, and its JSON.
type Shown = (u64, u64, Vec<u8>);

/// Joins `data` in one of the ways that its first byte chooses: all at once, and in reads as long as its second byte
/// says.
///
/// # Panics
/// When the records differ.
pub fn fuzz_joiner(data: &[u8]) {
    let [choice, step, file @ ..] = data else { return };
    let built = MultilineParsers::build(&[], &Parsers::default(), &mut Diagnostics::default());
    let named = |names: &[&str]| -> Vec<Arc<Multiline>> {
        names.iter().filter_map(|name| built.get(name).ok().map(Arc::clone)).collect()
    };
    let mode = match choice % 4 {
        0 => Mode::Parsers { parsers: named(&["docker", "cri"]), then: Vec::new(), key: None },
        1 => Mode::Parsers { parsers: named(&["java", "go", "ruby"]), then: Vec::new(), key: None },
        2 => {
            Mode::Parsers { parsers: named(&["cri"]), then: named(&["python", "java"]), key: None }
        }
        _ => Mode::Docker { first: None },
    };
    let joining = Arc::new(Joining { mode, bytes_max: 256, flush: Duration::from_secs(4) });
    let whole = join(&joining, file, file.len().max(1));
    let pieces = join(&joining, file, usize::from(*step).max(1));
    assert!(whole == pieces, "other records in reads of {step}");
    assert!(whole.iter().all(|(from, to, _)| from < to && *to <= file.len() as u64));
}

/// The records of `file`, read in steps of so many bytes.
fn join(joining: &Arc<Joining>, file: &[u8], step: usize) -> Vec<Shown> {
    let mut lines =
        Lines { joining: Some(Arc::clone(joining)), ..Lines::new(LongLines::Flag, 512) };
    let source = Source { id: SourceId { input: 0, number: 0 }, key: [0; 16], first_seen: 0 };
    let origin = Origin { key: "log", path_key: None, offset_key: None, path: "" };
    let mut joiner = Joiner::new(0, Vec::new());
    let (mut shown, mut start, mut end) = (Vec::new(), 0, 0);
    let mut is_over = false;
    while !is_over {
        let bump = Bump::new();
        let mut batch = Batch::new(&bump, Tag::new("t"), source, joiner.hold(start as u64));
        let (offset, since) = (start as u64, Instant::now());
        let mut seat = Seat { joiner: &mut joiner, before: &mut [], offset, since };
        if end < file.len() {
            end = end.saturating_add(step).min(file.len());
            let bytes = file.get(start..end).unwrap_or_default();
            lines.split_joined(bytes, None, &origin, &mut batch, &mut seat);
            start = usize::try_from(seat.offset).unwrap_or(file.len());
        } else {
            seat.joiner.close_all();
            lines.release(&origin, &mut batch, &mut seat);
            is_over = true;
        }
        for record in &batch.records {
            let mut json = Vec::new();
            write_json(&record.fields, &mut json);
            shown.push((record.from, record.to, json));
        }
    }
    assert!(joiner.is_empty(), "a record that is never handed over");
    shown
}
