//! A frame: the records of one batch for one route set, as bytes.
//!
//! Little endian throughout. The same bytes are what the disk form stores, which puts a length and a
//! CRC32C before each frame.
//!
//! ```text
//! frame    0        16       24       32       36         38
//!          ┌────────┬────────┬────────┬────────┬──────────┬─────┬─────────────┐
//!          │ source │ from   │ to     │ count  │ tag_len  │ tag │ count×record│
//!          └────────┴────────┴────────┴────────┴──────────┴─────┴─────────────┘
//! record   0        8        28         32
//!          ┌────────┬────────┬──────────┬──────┐
//!          │ time   │ id     │ json_len │ json │
//!          └────────┴────────┴──────────┴──────┘
//! ```
//!
//! `source` is the source's key, `[from, to)` what the frame covers of it, `time` nanoseconds since
//! the epoch (i64), `id` the record's id, `json` one object.

use crate::record::{Batch, ID_LEN, Id, IdStream, Nanos, SOURCE_KEY_LEN, SourceKey, write_json};

/// Bytes of a frame before its tag.
const HEADER_LEN: usize = SOURCE_KEY_LEN + 8 + 8 + 4 + 2;

/// Where a frame counts its records: filled in when they are written.
const COUNT_OFFSET: usize = SOURCE_KEY_LEN + 8 + 8;

/// Bytes of a record before its JSON.
const RECORD_LEN: usize = 8 + ID_LEN + 4;

/// Where a record's `json_len` stands.
const JSON_LEN_OFFSET: usize = 8 + ID_LEN;

/// A longer tag is cut: its length is a `u16`. Tags come from paths, which are shorter.
const TAG_LEN_MAX: usize = u16::MAX as usize;

/// Appends `batch` as one frame and returns how many records it holds. This writes each record's
/// JSON, the one time that it is written.
pub fn append(batch: &Batch<'_>, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let tag = batch.tag.as_str();
    let tag = tag.get(..tag.floor_char_boundary(TAG_LEN_MAX)).unwrap_or_default();
    out.extend_from_slice(&batch.source.key);
    out.extend_from_slice(&batch.from.to_le_bytes());
    out.extend_from_slice(&batch.to.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u16::try_from(tag.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(tag.as_bytes());
    let ids = IdStream::new(&batch.source.key, &batch.tag);
    let mut count = 0_u32;
    for record in &batch.records {
        let id_time = if record.own_time { record.time } else { batch.source.first_seen };
        let id = ids.id(id_time, record.from, record.to, record.ordinal);
        let record_start = out.len();
        out.extend_from_slice(&record.time.to_le_bytes());
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&[0; 4]);
        write_json(&record.fields, out);
        let json_len = out.len() - record_start - RECORD_LEN;
        patch(out, record_start + JSON_LEN_OFFSET, u32::try_from(json_len).unwrap_or(u32::MAX));
        count += 1;
    }
    patch(out, start + COUNT_OFFSET, count);
    count
}

/// Appends some records of a frame as a frame of their own, which covers what the whole one does: those that
/// a store refused, with a reason of their own.
pub fn append_some<'a>(
    header: &FrameHeader<'_>,
    records: impl Iterator<Item = Encoded<'a>>,
    out: &mut Vec<u8>,
) -> u32 {
    let start = out.len();
    out.extend_from_slice(&header.source);
    out.extend_from_slice(&header.from.to_le_bytes());
    out.extend_from_slice(&header.to.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u16::try_from(header.tag.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(header.tag.as_bytes());
    let mut count = 0_u32;
    for record in records {
        out.extend_from_slice(&record.time.to_le_bytes());
        out.extend_from_slice(record.id.as_bytes());
        out.extend_from_slice(&u32::try_from(record.json.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(record.json);
        count += 1;
    }
    patch(out, start + COUNT_OFFSET, count);
    count
}

/// Overwrites the four bytes at `at`, which were written as zeros.
fn patch(out: &mut [u8], at: usize, number: u32) {
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
}

/// What a frame says of itself before its records.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader<'a> {
    /// Key of the source.
    pub source: SourceKey,
    /// Start of what the frame covers of the source.
    pub from: u64,
    /// End of what it covers.
    pub to: u64,
    /// How many records follow.
    pub count: u32,
    /// The tag of all of them.
    pub tag: &'a str,
}

/// One frame: its header, and an iterator over its records.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// What the frame says of itself.
    pub header: FrameHeader<'a>,
    /// The records' bytes and all that follows them.
    bytes: &'a [u8],
    /// Records still to be read.
    left: u32,
}

/// One record in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    /// The record's time.
    pub time: Nanos,
    /// The record's id.
    pub id: Id,
    /// The record's body: one JSON object.
    pub json: &'a [u8],
}

impl<'a> Iterator for Frame<'a> {
    type Item = Encoded<'a>;

    fn next(&mut self) -> Option<Encoded<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (time, bytes) = self.bytes.split_first_chunk()?;
        let (id, bytes) = bytes.split_first_chunk()?;
        let (json_len, bytes) = bytes.split_first_chunk()?;
        let (json, bytes) = bytes.split_at_checked(u32::from_le_bytes(*json_len) as usize)?;
        self.bytes = bytes;
        Some(Encoded { time: Nanos::from_le_bytes(*time), id: Id::from_bytes(*id), json })
    }
}

/// The frames that stand one behind the other in `bytes`. Ends where a frame is cut short.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
}

impl<'a> Frames<'a> {
    /// The frames in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Frames<'a> {
    /// The next frame, and all its bytes.
    pub(super) fn next_with_bytes(&mut self) -> Option<(Frame<'a>, &'a [u8])> {
        let frame = read(self.bytes)?;
        let mut records = frame.clone();
        if records.by_ref().count() != frame.left as usize {
            return None;
        }
        let len = self.bytes.len() - records.bytes.len();
        let (bytes, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some((frame, bytes))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        self.next_with_bytes().map(|(frame, _)| frame)
    }
}

/// The one frame that `bytes` are, with nothing behind it.
pub(super) fn only(bytes: &[u8]) -> Option<Frame<'_>> {
    let (frame, whole) = Frames::new(bytes).next_with_bytes()?;
    (whole.len() == bytes.len()).then_some(frame)
}

/// How many bytes the header and the tag take of the frame that starts with these bytes; `None` if even
/// that cannot be told from so few.
pub(super) fn head_len(start: &[u8]) -> Option<usize> {
    let (_, tag_len) = start.get(..HEADER_LEN)?.split_last_chunk()?;
    Some(HEADER_LEN + usize::from(u16::from_le_bytes(*tag_len)))
}

/// What a frame says of itself, from no more than its [`head_len`].
pub(super) fn head(start: &[u8]) -> Option<FrameHeader<'_>> {
    read(start).map(|frame| frame.header)
}

/// The frame at the start of `bytes`.
fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let (source, header) = header.split_first_chunk()?;
    let (from, header) = header.split_first_chunk()?;
    let (to, header) = header.split_first_chunk()?;
    let (count, header) = header.split_first_chunk()?;
    let (tag_len, _) = header.split_first_chunk()?;
    let (tag, bytes) = rest.split_at_checked(usize::from(u16::from_le_bytes(*tag_len)))?;
    let count = u32::from_le_bytes(*count);
    let header = FrameHeader {
        source: *source,
        from: u64::from_le_bytes(*from),
        to: u64::from_le_bytes(*to),
        count,
        tag: str::from_utf8(tag).ok()?,
    };
    Some(Frame { header, bytes, left: count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Field, Fields, Record, Source, SourceId, Tag, Value};
    use bumpalo::Bump;

    fn sample(bump: &Bump) -> Batch<'_> {
        let source = Source { id: SourceId { input: 0, number: 0 }, key: [1; 16], first_seen: 5 };
        let mut batch = Batch::new(bump, Tag::new("kube.ä"), source, 10);
        for (n, own_time) in [(0_u32, true), (1, false)] {
            let mut fields = Fields::new_in(bump);
            fields.push(Field::new("n", Value::Int(n.into())));
            let from = 10 + u64::from(n) * 10;
            batch.records.push(Record {
                time: 99,
                own_time,
                from,
                to: from + 10,
                ordinal: 0,
                fields,
            });
        }
        batch.to = 30;
        batch
    }

    #[test]
    fn frames_are_read_back_and_every_torn_tail_is_seen() {
        let bump = Bump::new();
        let batch = sample(&bump);
        let mut bytes = Vec::new();
        assert_eq!(append(&batch, &mut bytes), 2);
        let one = bytes.len();
        append(&batch, &mut bytes);
        let frames: Vec<_> = Frames::new(&bytes).collect();
        assert_eq!(frames.len(), 2);
        for frame in frames {
            assert_eq!((frame.header.from, frame.header.to, frame.header.tag), (10, 30, "kube.ä"));
            let bodies: Vec<_> = frame.map(|record| record.json).collect();
            assert_eq!(bodies, [br#"{"n":0}"#, br#"{"n":1}"#]);
        }
        for cut in 0..bytes.len() {
            assert_eq!(Frames::new(&bytes[..cut]).count(), usize::from(cut >= one), "cut at {cut}");
        }
    }

    #[test]
    fn a_record_without_a_time_of_its_own_is_named_by_its_source() {
        let bump = Bump::new();
        let batch = sample(&bump);
        let mut bytes = Vec::new();
        append(&batch, &mut bytes);
        let ids: Vec<_> = Frames::new(&bytes).flatten().map(|record| record.id).collect();
        let stream = IdStream::new(&[1; 16], &batch.tag);
        assert_eq!(ids, [stream.id(99, 10, 20, 0), stream.id(5, 20, 30, 0)]);
    }
}
