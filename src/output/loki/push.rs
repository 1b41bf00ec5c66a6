//! A push request as it grows: streams, each with its labels and its entries in their order.
//!
//! ```text
//! PushRequest   { repeated Stream streams = 1 }
//! Stream        { string labels = 1; repeated Entry entries = 2 }
//! Entry         { Timestamp timestamp = 1; string line = 2; repeated LabelPair structuredMetadata = 3 }
//! Timestamp     { int64 seconds = 1; int32 nanos = 2 }
//! ```
//!
//! A stream begins wherever the labels change, so one may come several times: Loki takes them in
//! order, as it does the one stream a record that Fluent Bit sends.

use super::doubt::{BEHIND_MAX, Doubt};
use super::options::Encoding;
use super::pairs::{Pairs, field_len, write_field};
use crate::record::Nanos;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tailwater_parsers::json;

/// Bytes kept free for a stream's length, which is known at its end: a varint of four bytes reaches 256 MiB.
const LENGTH_BYTES: usize = 4;

/// Nanoseconds of a second.
const SECOND: Nanos = 1_000_000_000;

/// One push request.
#[derive(Debug)]
pub(super) struct Push {
    encoding: Encoding,
    /// The request so far.
    pub(super) body: Vec<u8>,
    /// The chunk's records in it.
    pub(super) records: Vec<u32>,
    /// The tenant, if records say theirs.
    pub(super) tenant: String,
    /// The limit that all its records break: then they are of one stream.
    pub(super) doubt: Option<Doubt>,
    /// Oldest and newest time in it.
    times: Option<(Nanos, Nanos)>,
    /// Labels of the stream that is open.
    labels: Vec<u8>,
    /// Where that stream's length is to be written, or its first entry in JSON stands.
    stream_start: Option<usize>,
}

impl Push {
    /// An empty request, about to hold `bytes_expected`, of records that all break one limit or none.
    pub(super) fn new(
        encoding: Encoding,
        tenant: &str,
        doubt: Option<Doubt>,
        bytes_expected: usize,
    ) -> Self {
        Self {
            encoding,
            body: Vec::with_capacity(bytes_expected),
            records: Vec::new(),
            tenant: tenant.to_owned(),
            doubt,
            times: None,
            labels: Vec::new(),
            stream_start: None,
        }
    }

    /// Whether there is no record in it.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether an entry may go into it. What Loki may refuse goes apart by its stream and the limit that it
    /// breaks; and no further than what comes too late by it, when it is sent again.
    pub(super) fn fits(&self, labels: &Pairs, time: Nanos, doubt: Option<Doubt>) -> bool {
        if self.doubt != doubt {
            return false;
        }
        let (oldest, newest) = self.times.unwrap_or((time, time));
        let span = newest.max(time).saturating_sub(oldest.min(time));
        doubt.is_none() || self.labels == labels.as_bytes() && span <= BEHIND_MAX
    }

    /// Adds an entry to the stream of these labels.
    pub(super) fn add(
        &mut self,
        labels: &Pairs,
        time: Nanos,
        line: &[u8],
        metadata: Option<&Pairs>,
    ) {
        if self.stream_start.is_none() || self.labels != labels.as_bytes() {
            self.end_stream();
            self.labels.clear();
            self.labels.extend_from_slice(labels.as_bytes());
            self.begin_stream();
        }
        let (oldest, newest) = self.times.unwrap_or((time, time));
        self.times = Some((oldest.min(time), newest.max(time)));
        match self.encoding {
            Encoding::Protobuf => self.add_protobuf(time, line, metadata),
            Encoding::Json => self.add_json(time, line, metadata),
        }
    }

    /// Ends the request.
    pub(super) fn end(&mut self) {
        self.end_stream();
        if self.encoding == Encoding::Json {
            self.body.extend_from_slice(b"]}");
        }
    }

    fn begin_stream(&mut self) {
        match self.encoding {
            Encoding::Protobuf => {
                encode_key(1, WireType::LengthDelimited, &mut self.body);
                self.stream_start = Some(self.body.len());
                self.body.extend_from_slice(&[0; LENGTH_BYTES]);
                write_field(1, &self.labels, &mut self.body);
            }
            Encoding::Json => {
                let opening: &[u8] = if self.body.is_empty() { b"{\"streams\":[" } else { b"," };
                self.body.extend_from_slice(opening);
                self.body.extend_from_slice(b"{\"stream\":");
                self.body.extend_from_slice(&self.labels);
                self.body.extend_from_slice(b",\"values\":[");
                self.stream_start = Some(self.body.len());
            }
        }
    }

    fn end_stream(&mut self) {
        let Some(start) = self.stream_start.take() else { return };
        match self.encoding {
            Encoding::Protobuf => {
                let mut length = self.body.len() - start - LENGTH_BYTES;
                let slot = self.body.iter_mut().skip(start).take(LENGTH_BYTES);
                for (index, byte) in slot.enumerate() {
                    // Not the shortest varint, but one: every byte but the last says that another follows.
                    let more = if index + 1 < LENGTH_BYTES { 0x80 } else { 0 };
                    *byte = u8::try_from(length & 0x7f).unwrap_or_default() | more;
                    length >>= 7;
                }
            }
            Encoding::Json => self.body.extend_from_slice(b"]}"),
        }
    }

    fn add_protobuf(&mut self, time: Nanos, line: &[u8], metadata: Option<&Pairs>) {
        let seconds = time.div_euclid(SECOND).cast_unsigned();
        let nanos = time.rem_euclid(SECOND).cast_unsigned();
        let time_len = 2 + encoded_len_varint(seconds) + encoded_len_varint(nanos);
        let metadata = metadata.map(Pairs::as_bytes).unwrap_or_default();
        let entry_len = field_len(1, time_len) + field_len(2, line.len()) + metadata.len();
        encode_key(2, WireType::LengthDelimited, &mut self.body);
        encode_varint(entry_len as u64, &mut self.body);
        encode_key(1, WireType::LengthDelimited, &mut self.body);
        encode_varint(time_len as u64, &mut self.body);
        encode_key(1, WireType::Varint, &mut self.body);
        encode_varint(seconds, &mut self.body);
        encode_key(2, WireType::Varint, &mut self.body);
        encode_varint(nanos, &mut self.body);
        write_field(2, line, &mut self.body);
        self.body.extend_from_slice(metadata);
    }

    fn add_json(&mut self, time: Nanos, line: &[u8], metadata: Option<&Pairs>) {
        let opening: &[u8] =
            if self.stream_start == Some(self.body.len()) { b"[\"" } else { b",[\"" };
        self.body.extend_from_slice(opening);
        self.body.extend_from_slice(time.to_string().as_bytes());
        self.body.extend_from_slice(b"\",\"");
        json::escape(str::from_utf8(line).unwrap_or_default(), &mut self.body);
        self.body.push(b'"');
        if let Some(metadata) = metadata {
            self.body.push(b',');
            self.body.extend_from_slice(metadata.as_bytes());
        }
        self.body.push(b']');
    }
}
