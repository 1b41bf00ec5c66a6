//! Reads a chunk file from its beginning: its header, then entry by entry as far as they hold.
//!
//! No more is read than is asked for: whoever wants only the heads of frames passes over what they hold, so that a
//! backlog of gigabytes is listed in little memory. A length is never believed beyond the file's own.

use super::frame::{self, FrameHeader};
use super::layout::{self, Checksum, Damage, ENTRY_LEN, EntryStart, Header, Purpose, START_LEN};
use super::storage::StoredFile;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Bytes that are read at once to check them: little memory, few calls.
const WINDOW_BYTES: usize = 64 << 10;

/// Bytes that the head of a frame takes, as a rule; one with a longer tag is read again.
const HEAD_BYTES_EXPECTED: usize = 256;

/// Why a chunk file cannot be read on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The disk failed, and may not the next time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes do not hold.
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// A chunk file that is read.
#[derive(Debug)]
pub struct ChunkReader {
    file: Arc<dyn StoredFile>,
    header: Header,
    /// Bytes of the file when it was opened: what is appended meanwhile is not looked at.
    size: u64,
    /// Where the next entry starts: all before it was whole.
    at: u64,
}

/// Where the payload of an entry lies.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    offset: u64,
    start: EntryStart,
}

impl Entry {
    /// Bytes of the payload.
    pub fn len(&self) -> u32 {
        self.start.len
    }

    /// Whether the payload is empty, which no whole entry's is.
    pub fn is_empty(&self) -> bool {
        self.start.len == 0
    }
}

/// What is to be known of an entry without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Key of the source.
    pub source: crate::record::SourceKey,
    /// Start of what the frame covers of the source.
    pub from: u64,
    /// End of what it covers.
    pub to: u64,
    /// How many records it has.
    pub count: u32,
    /// Their tag.
    pub tag: String,
}

impl ChunkReader {
    /// Reads the header of a chunk file.
    pub fn new(file: Arc<dyn StoredFile>) -> Result<Self, ReadError> {
        let size = file.size()?;
        let mut bytes = vec![0; START_LEN];
        let start_len = file.read_at(&mut bytes, 0)?;
        bytes.truncate(start_len);
        let len = Header::len(&bytes)?;
        // The length is bounded, so that what a broken file claims is never allocated.
        bytes.resize(len, 0);
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let header = Header::decode(&bytes)?;
        Ok(Self { file, header, size, at: len as u64 })
    }

    /// What the chunk says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes up to the end of the last entry that [`ChunkReader::next_entry`] gave, or of the header.
    pub fn whole(&self) -> u64 {
        self.at
    }

    /// The next entry; `None` at the file's end. Its checksum is not looked at, and nothing of its payload
    /// is read. After an error the same entry is next.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let left = self.size.saturating_sub(self.at);
        if left == 0 {
            return Ok(None);
        }
        if left < ENTRY_LEN as u64 {
            return Err(Damage::Torn.into());
        }
        let mut start = [0; ENTRY_LEN];
        if self.file.read_at(&mut start, self.at)? < ENTRY_LEN {
            return Err(Damage::Torn.into());
        }
        let start = EntryStart::decode(start);
        if start.is_zero() {
            return Err(self.zeros()?.into());
        }
        if !start.is_valid() {
            return Err(Damage::Entry(self.at).into());
        }
        let offset = self.at + ENTRY_LEN as u64;
        let end = offset + u64::from(start.len);
        if end > self.size {
            return Err(Damage::Torn.into());
        }
        self.at = end;
        Ok(Some(Entry { offset, start }))
    }

    /// What an entry of zeros means: torn, if nothing else follows.
    fn zeros(&self) -> io::Result<Damage> {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let all = self.pieces(self.at, self.size - self.at, is_zero)?;
        Ok(if all { Damage::Torn } else { Damage::Entry(self.at) })
    }

    /// Gives the bytes of `[offset, offset + len)` piece by piece as long as `go_on` says so. Returns whether
    /// it said so for all of them, and they were there.
    fn pieces(
        &self,
        mut offset: u64,
        mut len: u64,
        mut go_on: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let mut window = vec![0; WINDOW_BYTES.min(usize::try_from(len).unwrap_or(WINDOW_BYTES))];
        while len > 0 {
            let wanted = window.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            let piece = window.get_mut(..wanted).unwrap_or_default();
            let read = self.file.read_at(piece, offset)?;
            let is_wanted = go_on(piece.get(..read).unwrap_or_default());
            if !is_wanted || read < wanted {
                return Ok(false);
            }
            offset += read as u64;
            len -= read as u64;
        }
        Ok(true)
    }

    /// Whether the payload is what was written, as its checksum tells. Without one, nothing is known.
    pub fn verify(&self, entry: &Entry) -> Result<(), ReadError> {
        let mut check = entry.start.check(self.header.checksum);
        if self.header.checksum == Checksum::Crc32c {
            self.pieces(entry.offset, u64::from(entry.len()), |piece| {
                check.feed(piece);
                true
            })?;
        }
        if check.holds() { Ok(()) } else { Err(damage(entry)) }
    }

    /// What the frame says of itself, of which no more than that is read.
    pub fn head(&self, entry: &Entry) -> Result<Head, ReadError> {
        let mut offset = entry.offset;
        let mut len = entry.len() as usize;
        if self.header.purpose == Purpose::DeadLetter {
            let mut reason_len = [0; 2];
            self.file.read_at(&mut reason_len, offset)?;
            let skipped = reason_len.len() + usize::from(u16::from_le_bytes(reason_len));
            offset += skipped as u64;
            len = len.checked_sub(skipped).ok_or_else(|| damage(entry))?;
        }
        let mut start = vec![0; HEAD_BYTES_EXPECTED.min(len)];
        self.file.read_at(&mut start, offset)?;
        let head_len = frame::head_len(&start).filter(|head_len| *head_len <= len);
        let head_len = head_len.ok_or_else(|| damage(entry))?;
        if head_len > start.len() {
            start.resize(head_len, 0);
            self.file.read_at(&mut start, offset)?;
        }
        let FrameHeader { source, from, to, count, tag } =
            frame::head(&start).ok_or_else(|| damage(entry))?;
        Ok(Head { source, from, to, count, tag: tag.to_owned() })
    }

    /// Appends the entry's frame to `out`, verified, and returns what was said of it: the reason in a dead
    /// letter, and how many records it has. On an error nothing is appended.
    pub fn append_frame(
        &self,
        entry: &Entry,
        out: &mut Vec<u8>,
    ) -> Result<(Option<String>, u32), ReadError> {
        let before = out.len();
        let result = self.append_payload(entry, out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    fn append_payload(
        &self,
        entry: &Entry,
        out: &mut Vec<u8>,
    ) -> Result<(Option<String>, u32), ReadError> {
        let before = out.len();
        out.resize(before + entry.len() as usize, 0);
        let payload = out.get_mut(before..).unwrap_or_default();
        if self.file.read_at(payload, entry.offset)? < payload.len() {
            return Err(Damage::Torn.into());
        }
        let mut check = entry.start.check(self.header.checksum);
        check.feed(payload);
        if !check.holds() {
            return Err(damage(entry));
        }
        let (reason, frame) = match self.header.purpose {
            Purpose::Delivery => (None, &*payload),
            Purpose::DeadLetter => {
                let (reason, frame) =
                    layout::split_reasoned(payload).ok_or_else(|| damage(entry))?;
                (Some(reason.to_owned()), frame)
            }
        };
        // A checksum that holds does not make a frame of it, and without one nothing has been looked at.
        let count = frame::only(frame).ok_or_else(|| damage(entry))?.header.count;
        let frame_len = frame.len();
        let skipped = payload.len() - frame_len;
        out.drain(before..before + skipped);
        Ok((reason, count))
    }
}

/// The entry does not hold.
fn damage(entry: &Entry) -> ReadError {
    Damage::Entry(entry.offset - ENTRY_LEN as u64).into()
}
