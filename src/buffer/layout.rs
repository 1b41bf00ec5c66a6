//! The bytes of a chunk file: a header, then frames with their length and checksum.
//!
//! Little endian throughout; lengths in bytes.
//!
//! ```text
//! file     ┌────────┬───────┬───────┬─ ─ ─
//!          │ header │ entry │ entry │
//!          └────────┴───────┴───────┴─ ─ ─
//!
//! header   0        8         10      12    16       24          32           34            len-4     len
//!          ┌────────┬─────────┬───────┬─────┬────────┬───────────┬────────────┬────────────┬─────────┐
//!          │ magic  │ version │ flags │ len │ number │ opened_at │ name_count │ names      │ crc32c  │
//!          └────────┴─────────┴───────┴─────┴────────┴───────────┴────────────┴────────────┴─────────┘
//! name     0          1
//!          ┌──────────┬──────┐
//!          │ name_len │ name │
//!          └──────────┴──────┘
//! entry    0     4        8
//!          ┌─────┬────────┬───────────────┐
//!          │ len │ crc32c │ len × payload │
//!          └─────┴────────┴───────────────┘
//! ```
//!
//! * `magic` is `89 54 57 43 48 4E 4B 0A`: no text begins so, and a transfer as text breaks it.
//! * `version` is 1. A file of another version is set aside, not guessed at.
//! * `flags`: bit 0, entries have a checksum (`storage.checksum`); bit 1, the chunk is a dead letter.
//! * `len` counts the whole header, its checksum included, which covers all that stands before it.
//! * `number` is the chunk's, as in the file's name; `opened_at` nanoseconds since the epoch (i64).
//! * `names`: the folders of all outputs that the chunk was opened for, whichever have settled it since.
//! * An entry's `crc32c` covers its `len` and its payload, so that a broken length is not followed; without
//!   checksums it is zero.
//! * A payload is one frame, as `frame.rs` draws it. In a dead letter, what the store said stands before
//!   it: `reason_len` (u16), `reason`.
//!
//! A file may end within its header or an entry, or in zeros: what a crash leaves of a write. Such an end is
//! *torn*; it was never synced and is cut. Anything else that does not hold is *damage*.
//!
//! The header holds no boot id. Whether what was not synced may be lost is a matter of the folder and not of a chunk:
//! one line in the lock file says under which boot all of it was last verified (`recover.rs`).

use crate::record::Nanos;
use crc32c::{crc32c, crc32c_append};
use thiserror::Error;

/// How each chunk file begins.
const MAGIC: [u8; 8] = *b"\x89TWCHNK\n";

/// The version of what this module writes and reads.
const VERSION: u16 = 1;

/// Bytes of a header up to its length, the last of them.
pub(super) const START_LEN: usize = 16;

/// Bytes of a header without its names.
const BARE_LEN: usize = START_LEN + 8 + 8 + 2 + 4;

/// A header is never longer: as many names as a configuration may have outputs, each as long as a name
/// of a file may be.
pub(super) const HEADER_LEN_MAX: usize =
    BARE_LEN + super::RouteSet::OUTPUTS_MAX * (1 + NAME_LEN_MAX);

/// Longest name of a folder, as file systems have it; its length is a `u8`.
pub(super) const NAME_LEN_MAX: usize = 255;

/// Bytes of an entry before its payload.
pub(super) const ENTRY_LEN: usize = 8;

/// A payload is never longer: a frame is one read, which is a fraction of that, and a broken length must not
/// cost more memory.
pub(super) const PAYLOAD_LEN_MAX: usize = 1 << 30;

/// A reason for a refusal is cut to this: it is for people, and its length is a `u16`.
pub(super) const REASON_LEN_MAX: usize = 4 << 10;

/// Entries have a checksum.
const FLAG_CHECKSUM: u16 = 1;
/// Each payload begins with a reason.
const FLAG_DEAD_LETTER: u16 = 2;

/// Whether entries have a checksum: `storage.checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// CRC32C, written and verified.
    Crc32c,
    /// None: zero is written, and nothing verified.
    None,
}

/// What a chunk's records wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be delivered.
    Delivery,
    /// To be looked at: a store refused them, and each frame has its reason.
    DeadLetter,
}

/// What a chunk file says of itself before its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The chunk's number.
    pub number: u64,
    /// When the chunk was opened.
    pub opened_at: Nanos,
    /// Whether its entries have a checksum.
    pub checksum: Checksum,
    /// What its records wait for.
    pub purpose: Purpose,
    /// The folders of the outputs that the chunk was opened for.
    pub outputs: Vec<String>,
}

/// Why the bytes of a chunk file cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The file ends before what it begins: a write that a crash cut off.
    #[error("it ends in a write that was cut off")]
    Torn,
    /// The file does not begin as a chunk does.
    #[error("it is no chunk file")]
    Foreign,
    /// The file is of a version that this program does not read.
    #[error("it is of version {0}, and this program reads version {VERSION}")]
    Version(u16),
    /// The header does not hold what its checksum says.
    #[error("its header is damaged")]
    Header,
    /// The chunk lies under another chunk's name.
    #[error("its header names another chunk, number {0}")]
    Number(u64),
    /// An entry does not hold what its checksum says, or is no frame.
    #[error("it is damaged behind byte {0}")]
    Entry(u64),
}

impl Header {
    /// The header as bytes. Names beyond what a header can hold are left out: neither a configuration
    /// nor a file system gives such ones.
    pub fn encode(&self) -> Vec<u8> {
        let names = self.outputs.iter().take(super::RouteSet::OUTPUTS_MAX);
        let mut body = Vec::new();
        let mut count = 0_u16;
        for name in names {
            let Ok(len) = u8::try_from(name.len()) else { continue };
            body.push(len);
            body.extend_from_slice(name.as_bytes());
            count += 1;
        }
        let mut flags = 0;
        if self.checksum == Checksum::Crc32c {
            flags |= FLAG_CHECKSUM;
        }
        if self.purpose == Purpose::DeadLetter {
            flags |= FLAG_DEAD_LETTER;
        }
        let len = BARE_LEN + body.len();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.opened_at.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The length of the header that begins with `start`, as long as that is one.
    pub fn len(start: &[u8]) -> Result<usize, Damage> {
        let magic_len = start.len().min(MAGIC.len());
        // Zeros, too, are what a crash leaves.
        if start.iter().all(|byte| *byte == 0) {
            return Err(Damage::Torn);
        }
        if start.get(..magic_len) != MAGIC.get(..magic_len) {
            return Err(Damage::Foreign);
        }
        let mut fields = Fields(start.get(MAGIC.len()..).unwrap_or_default());
        let version = fields.u16()?;
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        let _flags = fields.u16()?;
        let len = fields.u32()? as usize;
        if (BARE_LEN..=HEADER_LEN_MAX).contains(&len) { Ok(len) } else { Err(Damage::Header) }
    }

    /// Reads all bytes of a header, of which [`Header::len`] says how many there are.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let len = Self::len(bytes)?;
        let (bytes, _) = bytes.split_at_checked(len).ok_or(Damage::Torn)?;
        let (covered, crc) = bytes.split_last_chunk().ok_or(Damage::Torn)?;
        if crc32c(covered) != u32::from_le_bytes(*crc) {
            return Err(Damage::Header);
        }
        Self::fields(covered).map_err(|_| Damage::Header)
    }

    fn fields(covered: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields(covered.get(MAGIC.len() + 2..).unwrap_or_default());
        let flags = fields.u16()?;
        let _len = fields.u32()?;
        let number = fields.u64()?;
        let opened_at = fields.u64()?.cast_signed();
        let mut outputs = Vec::new();
        for _ in 0..fields.u16()? {
            let [name_len] = fields.take()?;
            let (name, rest) =
                fields.0.split_at_checked(usize::from(name_len)).ok_or(Damage::Header)?;
            fields.0 = rest;
            let name = str::from_utf8(name).ok().filter(|name| is_folder_name(name));
            outputs.push(name.ok_or(Damage::Header)?.to_owned());
        }
        let has = |flag| flags & flag != 0;
        let checksum = if has(FLAG_CHECKSUM) { Checksum::Crc32c } else { Checksum::None };
        let purpose = if has(FLAG_DEAD_LETTER) { Purpose::DeadLetter } else { Purpose::Delivery };
        Ok(Self { number, opened_at, checksum, purpose, outputs })
    }
}

/// Whether this names a folder, and none but one directly in another.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

/// Fields that stand one behind the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Damage::Torn)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, Damage> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.take()?))
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryStart {
    /// Bytes of the payload.
    pub(super) len: u32,
    crc: u32,
}

impl EntryStart {
    /// For this payload. `None`: it is longer than [`PAYLOAD_LEN_MAX`].
    pub(super) fn of(payload: &[u8], checksum: Checksum) -> Option<Self> {
        let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_LEN_MAX)?;
        let crc = match checksum {
            Checksum::Crc32c => crc32c_append(crc32c(&len.to_le_bytes()), payload),
            Checksum::None => 0,
        };
        Some(Self { len, crc })
    }

    pub(super) fn encode(self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let (len, crc) = bytes.split_at_mut(4);
        len.copy_from_slice(&self.len.to_le_bytes());
        crc.copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; ENTRY_LEN]) -> Self {
        let [a, b, c, d, rest @ ..] = bytes;
        Self { len: u32::from_le_bytes([a, b, c, d]), crc: u32::from_le_bytes(rest) }
    }

    /// Whether a payload can be so long.
    pub(super) fn is_valid(self) -> bool {
        (1..=PAYLOAD_LEN_MAX).contains(&(self.len as usize))
    }

    /// Whether there is nothing but zeros: no payload is empty.
    pub(super) fn is_zero(self) -> bool {
        self.len == 0 && self.crc == 0
    }

    /// A checksum to be fed the payload piece by piece.
    pub(super) fn check(self, checksum: Checksum) -> Check {
        match checksum {
            Checksum::Crc32c => {
                Check { expected: self.crc, crc: Some(crc32c(&self.len.to_le_bytes())) }
            }
            Checksum::None => Check { expected: self.crc, crc: None },
        }
    }
}

/// The checksum of a payload that is read piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    expected: u32,
    crc: Option<u32>,
}

impl Check {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.crc = self.crc.map(|crc| crc32c_append(crc, bytes));
    }

    /// Whether what was fed is what was written.
    pub(super) fn holds(self) -> bool {
        self.crc.is_none_or(|crc| crc == self.expected)
    }
}

/// Appends a payload of a dead letter: the reason, then the frame.
pub(super) fn append_reasoned(reason: &str, frame: &[u8], out: &mut Vec<u8>) {
    let reason = reason.get(..reason.floor_char_boundary(REASON_LEN_MAX)).unwrap_or_default();
    out.extend_from_slice(&u16::try_from(reason.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(frame);
}

/// A payload of a dead letter as its reason and its frame.
pub(super) fn split_reasoned(payload: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = payload.split_first_chunk()?;
    let (reason, frame) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some((str::from_utf8(reason).ok()?, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            number: 7,
            opened_at: 0x0102_0304,
            checksum: Checksum::Crc32c,
            purpose: Purpose::Delivery,
            outputs: vec!["es-a".to_owned(), "loki".to_owned()],
        }
    }

    /// Files on users' disks begin so: these bytes may never change.
    #[test]
    fn the_header_is_frozen() {
        let expected = b"\x89TWCHNK\n\x01\0\x01\0\x30\0\0\0\
            \x07\0\0\0\0\0\0\0\x04\x03\x02\x01\0\0\0\0\
            \x02\0\x04es-a\x04loki";
        let bytes = header().encode();
        assert_eq!(bytes.len(), 0x30);
        assert_eq!(&bytes[..0x2c], expected);
        assert_eq!(bytes[0x2c..], crc32c(expected).to_le_bytes());
        assert_eq!(Header::decode(&bytes), Ok(header()));
    }

    #[test]
    fn an_entry_is_frozen() {
        let start = EntryStart::of(b"hi", Checksum::Crc32c).unwrap();
        assert_eq!(start.encode()[..4], *b"\x02\0\0\0");
        assert_eq!(start.encode()[4..], crc32c(b"\x02\0\0\0hi").to_le_bytes());
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the CRC32C of RFC 3720");
        assert_eq!(EntryStart::decode(start.encode()), start);
        let none = EntryStart::of(b"hi", Checksum::None).unwrap();
        assert_eq!(none.encode(), *b"\x02\0\0\0\0\0\0\0");
        for (start, checksum, holds) in
            [(start, Checksum::Crc32c, false), (none, Checksum::None, true)]
        {
            let mut check = start.check(checksum);
            check.feed(b"h");
            check.feed(b"o");
            assert_eq!(check.holds(), holds);
        }
    }

    #[test]
    fn every_torn_header_is_seen_as_torn() {
        let bytes = header().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Header::decode(&bytes[..cut]), Err(Damage::Torn), "cut at {cut}");
        }
        assert_eq!(Header::decode(&[0; 100]), Err(Damage::Torn));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let whole = header().encode();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
        let mut newer = whole;
        newer[8] = 2;
        assert_eq!(Header::decode(&newer), Err(Damage::Version(2)));
        assert_eq!(Header::decode(b"2026-11-21 a log line"), Err(Damage::Foreign));
    }

    #[test]
    fn a_header_holds_as_many_names_as_there_may_be() {
        let mut header = header();
        header.outputs = (0..128).map(|n| format!("{n:0>255}")).collect();
        header.purpose = Purpose::DeadLetter;
        header.checksum = Checksum::None;
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_LEN_MAX);
        assert_eq!(Header::decode(&bytes), Ok(header));
    }

    #[test]
    fn a_reason_stands_before_its_frame() {
        let mut payload = Vec::new();
        append_reasoned("no ä", b"frame", &mut payload);
        assert_eq!(payload, b"\x05\0no \xc3\xa4frame");
        assert_eq!(split_reasoned(&payload), Some(("no ä", b"frame".as_slice())));
        assert_eq!(split_reasoned(&payload[..5]), None);
        let mut long = Vec::new();
        append_reasoned(&"ä".repeat(REASON_LEN_MAX), b"x", &mut long);
        assert_eq!(long.len(), 2 + REASON_LEN_MAX + 1);
    }
}
