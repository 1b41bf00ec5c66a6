//! Chunks, sections and requests for the tests of outputs.

use super::{Output, Request, Requests};
use crate::buffer::{Chunk, ChunkBuilder, Open, Parcel, RouteSet};
use crate::config::{Diagnostics, Location, Section, SectionKind};
use crate::record::{Batch, Field, Fields, Nanos, Record, Source, SourceId, Tag};
use bumpalo::Bump;
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;
use tailwater_parsers::json;

/// 2015-11-24 22:15:40.123456789
pub(super) const TIME: Nanos = 1_448_403_340_123_456_789;

/// A chunk of these records, one frame a tag: tag, time, JSON.
pub(super) fn chunk(records: &[(&str, Nanos, &str)]) -> Arc<Chunk> {
    parcel(0, records).chunk_in_memory().unwrap()
}

/// The same, of this number.
pub(super) fn parcel(number: u64, records: &[(&str, Nanos, &str)]) -> Parcel {
    let mut builder = ChunkBuilder::new(number, RouteSet::default().with(0), 0, Instant::now());
    for frame in records.chunk_by(|one, next| one.0 == next.0) {
        let bump = Bump::new();
        let source = Source { id: SourceId { input: 0, number: 0 }, key: [1; 16], first_seen: 5 };
        let mut batch = Batch::new(&bump, Tag::new(frame[0].0), source, 0);
        for (number, (_, time, text)) in (0..).zip(frame) {
            let mut fields = Fields::new_in(&bump);
            let mut scratch = String::new();
            json::object(text, |key, value, run| {
                fields.push(Field::from_json(key, value, run, &bump, &mut scratch));
            })
            .unwrap();
            let from = number * 10;
            batch.records.push(Record {
                time: *time,
                own_time: true,
                from,
                to: from + 10,
                ordinal: 0,
                fields,
            });
        }
        batch.to = 10 * u64::try_from(frame.len()).unwrap();
        builder.append(&batch, 0);
    }
    Parcel::in_memory(number, &builder.seal().0)
}

/// A section with these entries.
pub(super) fn section(entries: &[(&str, &str)]) -> Section {
    let mut section = Section::new(SectionKind::Output, Location::command_line());
    for (key, value) in entries {
        section.push(key, value, Location::command_line());
    }
    section
}

/// What `build` makes of a section; panics on errors.
pub(super) fn built<T>(build: impl FnOnce(&mut Diagnostics) -> Option<T>) -> T {
    let mut diagnostics = Diagnostics::new();
    let output = build(&mut diagnostics);
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    output.unwrap()
}

/// All requests for all records of `chunk`.
pub(super) fn requests(output: &mut dyn Output, chunk: &Chunk) -> Vec<Request> {
    let mut requests = Requests::default();
    output.encode(chunk, &Open::all(chunk.count), &mut requests);
    assert_eq!(requests.unfit, []);
    requests.to_send
}

/// Requests as text: path, headers, records, body.
pub(super) fn show(requests: &[Request], body: impl Fn(&[u8]) -> String) -> String {
    let mut text = String::new();
    for request in requests {
        writeln!(text, "POST {}", request.path).unwrap();
        for (name, value) in &request.headers {
            writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        writeln!(text, "{:?}\n{}", request.records, body(&request.body)).unwrap();
    }
    text
}

/// The body as it is.
pub(super) fn plain(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

/// The body unpacked.
pub(super) fn gunzip(body: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

/// The body unpacked.
pub(super) fn unzstd(body: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(body).unwrap()).unwrap()
}
