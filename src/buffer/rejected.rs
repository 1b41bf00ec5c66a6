//! Dead letters on the disk: an ordinary chunk of the records that an output gives up, each frame with the
//! reason.

use super::reject::{DeadLetters, Letter, Rejected};
use super::shelf::{DiskError, Refused, Shelf};
use super::{Folder, OutputName, frame};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Between the kind and the reason in the text of a dead letter. A kind has no such thing in it.
const SEPARATOR: &str = ": ";

/// Where the dead letters of one output go.
#[derive(Debug)]
pub struct RejectedFolder {
    /// The shelf that they lie on.
    pub shelf: Arc<Shelf>,
    /// The folder of the output, which `dead-letter replay` puts them into.
    pub output: OutputName,
    /// The next number of a chunk.
    pub numbers: Arc<AtomicU64>,
    /// `storage.rejected.limit`: bytes of all dead letters.
    pub bytes_max: Option<u64>,
}

impl RejectedFolder {
    /// Drops the oldest dead letters until the limit is kept; `kept` is spared. How many records they had.
    fn make_room(&self, kept: u64) -> Result<u64, DiskError> {
        let Some(bytes_max) = self.bytes_max else { return Ok(0) };
        let mut records = 0;
        while self.shelf.size(&Folder::Rejected).bytes > bytes_max {
            let dropped = self.shelf.drop_oldest(&Folder::Rejected, |number| number == kept)?;
            let Some(dropped) = dropped else { break };
            records += dropped.records;
        }
        Ok(records)
    }
}

impl DeadLetters for RejectedFolder {
    fn keep(&self, letter: &Letter<'_>) -> io::Result<u64> {
        let number = *letter.number.get_or_init(|| self.numbers.fetch_add(1, Ordering::Relaxed));
        let parts = parts(letter);
        let frames: Vec<_> = parts.iter().map(Part::as_refused).collect();
        let kept = self.shelf.reject(number, &self.output, letter.time, &frames);
        let stored = kept.map_err(into_io)?;
        // They are kept: what cannot be dropped now is dropped for the next.
        Ok(self.make_room(stored.number).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot drop the oldest dead letters");
            0
        }))
    }
}

fn into_io(error: DiskError) -> io::Error {
    io::Error::new(error.source.kind(), error)
}

/// Records of one frame that were given up for one reason.
struct Part {
    reason: String,
    frame: Vec<u8>,
    count: u32,
}

impl Part {
    fn as_refused(&self) -> Refused<'_> {
        Refused { reason: &self.reason, frame: &self.frame, count: self.count }
    }
}

/// The rejected records in the order of the chunk, as many frames as it takes.
fn parts(letter: &Letter<'_>) -> Vec<Part> {
    let mut rejected: Vec<_> = letter.rejects.as_slice().iter().collect();
    rejected.sort_unstable_by_key(|one| one.record);
    let mut rejected = rejected.as_slice();
    let mut parts = Vec::new();
    let mut first = 0;
    for chunk_frame in letter.chunk.frames() {
        let header = chunk_frame.header;
        let behind = first + header.count;
        let mut records = (first..).zip(chunk_frame);
        let of_frame = rejected.partition_point(|one| one.record < behind);
        let (here, later) = rejected.split_at_checked(of_frame).unwrap_or_default();
        rejected = later;
        let has_one_reason = |one: &&Rejected, other: &&Rejected| {
            one.kind == other.kind && one.reason == other.reason
        };
        for run in here.chunk_by(has_one_reason) {
            let Some(Rejected { kind, reason, .. }) = run.first() else { continue };
            let here = run.iter().filter_map(|one| records.find(|(index, _)| *index == one.record));
            let mut bytes = Vec::new();
            let count = frame::append_some(&header, here.map(|(_, record)| record), &mut bytes);
            let separator = if reason.is_empty() { "" } else { SEPARATOR };
            parts.push(Part { reason: [kind, separator, reason].concat(), frame: bytes, count });
        }
        first = behind;
    }
    parts
}

/// The kind and the reason that a dead letter's text tells.
pub fn split_reason(text: &str) -> (&str, &str) {
    text.split_once(SEPARATOR).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, ChunkBuilder, Disk, Frames, Rejects, RouteSet, ShelfOptions};
    use super::*;
    use crate::record::{Batch, Field, Fields, Record, Source, SourceId, Tag, Value};
    use bumpalo::Bump;
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Three frames of four records each, numbered through.
    fn chunk() -> Arc<Chunk> {
        let mut builder = ChunkBuilder::new(0, RouteSet::default().with(0), 0, Instant::now());
        for number in 0..3 {
            let bump = Bump::new();
            let id = SourceId { input: 0, number: 0 };
            let source = Source { id, key: [1; 16], first_seen: 5 };
            let mut batch = Batch::new(&bump, Tag::new("t"), source, 0);
            for record in number * 4..number * 4 + 4_u32 {
                let mut fields = Fields::new_in(&bump);
                fields.push(Field::new("n", Value::Int(record.into())));
                let (from, to) = (u64::from(record), u64::from(record) + 1);
                let (time, own_time, ordinal) = (9, true, 0);
                batch.records.push(Record { time, own_time, from, to, ordinal, fields });
            }
            builder.append(&batch, 0);
        }
        builder.seal().0
    }

    fn place(path: &std::path::Path, bytes_max: Option<u64>) -> RejectedFolder {
        let options = ShelfOptions::new(path);
        let output = OutputName::from_alias("store");
        let (shelf, found) =
            Shelf::open(Arc::new(Disk::default()), &options, std::slice::from_ref(&output))
                .unwrap();
        let numbers = Arc::new(AtomicU64::new(found.next_number));
        RejectedFolder { shelf: Arc::new(shelf), output, numbers, bytes_max }
    }

    fn rejects(records: &[(u32, &str, &str)]) -> Rejects {
        let mut rejects = Rejects::default();
        for (record, kind, reason) in records {
            rejects.add(*record, kind, reason);
        }
        rejects
    }

    #[test]
    fn records_lie_by_their_reasons_in_their_order() {
        let (chunk, number) = (chunk(), OnceLock::new());
        let rejects = rejects(&[
            (9, "bad", "x"),
            (1, "bad", "x"),
            (2, "bad", "x"),
            (3, "bad", "y"),
            (4, "worse", ""),
        ]);
        let letter = Letter { number: &number, time: 7, chunk: &chunk, rejects: &rejects };
        let found: Vec<_> = parts(&letter)
            .into_iter()
            .map(|part| {
                let records = Frames::new(&part.frame).flatten().map(|record| record.json.to_vec());
                let records: Vec<_> =
                    records.map(|json| String::from_utf8(json).unwrap()).collect();
                assert_eq!(part.count as usize, records.len());
                format!("{} {}", part.reason, records.join(" "))
            })
            .collect();
        let expected = [
            r#"bad: x {"n":1} {"n":2}"#,
            r#"bad: y {"n":3}"#,
            r#"worse {"n":4}"#,
            r#"bad: x {"n":9}"#,
        ];
        assert_eq!(found, expected);
        assert_eq!(split_reason("bad: x: y"), ("bad", "x: y"));
        assert_eq!(split_reason("worse"), ("worse", ""));
    }

    #[test]
    fn the_oldest_make_room_and_a_second_try_takes_the_firsts_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), Some(600));
        let chunk = chunk();
        let keep = |number: &OnceLock<u64>, count: u32| {
            let rejects =
                rejects(&(0..count).map(|record| (record, "bad", "why")).collect::<Vec<_>>());
            place.keep(&Letter { number, time: 7, chunk: &chunk, rejects: &rejects }).unwrap()
        };
        let numbers: Vec<_> = (0..4).map(|_| OnceLock::new()).collect();
        assert_eq!(keep(&numbers[0], 2), 0);
        assert_eq!(keep(&numbers[0], 2), 0);
        assert_eq!(keep(&numbers[1], 3), 0);
        let size = place.shelf.size(&Folder::Rejected);
        assert_eq!((size.chunks, size.records), (2, 5));
        assert_eq!(keep(&numbers[2], 3), 2);
        // Larger than the limit by itself.
        assert_eq!(keep(&numbers[3], 12), 6);
        let size = place.shelf.size(&Folder::Rejected);
        assert_eq!((size.chunks, size.records), (1, 12));
    }
}
