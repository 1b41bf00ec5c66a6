//! The bytes before an offset and those at the start: what tells that a file was replaced behind one's back.

use super::content::Content;
use std::io;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Bytes that a marker looks at: as many as Fluent Bit's `offset_marker` does.
pub(super) const MARKER_BYTES: usize = 32;

/// Bytes that a fingerprint looks at. Log lines begin with a time, so that less would do; a kilobyte
/// gets past the equal headers that some programs write.
pub(super) const FINGERPRINT_BYTES_MAX: usize = 1024;

/// Up to [`MARKER_BYTES`] bytes that stand before an offset of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marker {
    bytes: [u8; MARKER_BYTES],
    /// Bytes in use, from the start; the rest is zero.
    len: usize,
}

impl Marker {
    /// The last bytes of `bytes`.
    pub(super) fn of_end(bytes: &[u8]) -> Self {
        let end = bytes.last_chunk::<MARKER_BYTES>().map_or(bytes, <[u8; MARKER_BYTES]>::as_slice);
        let mut marker = Self { bytes: [0; MARKER_BYTES], len: end.len() };
        for (to, from) in marker.bytes.iter_mut().zip(end) {
            *to = *from;
        }
        marker
    }

    /// Reads the marker before `offset`; shorter than it should be if the file is.
    pub(super) fn before(file: &Content, offset: u64) -> io::Result<Self> {
        let mut bytes = [0; MARKER_BYTES];
        let wanted = usize::try_from(offset).unwrap_or(MARKER_BYTES).min(MARKER_BYTES);
        let window = bytes.get_mut(..wanted).unwrap_or_default();
        let len = file.read_full_at(window, offset - wanted as u64)?;
        Ok(Self::of_end(bytes.get(..len).unwrap_or_default()))
    }

    /// How many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// What Fluent Bit stores as `offset_marker`: their XXH3-64; 0 for none.
    pub(super) fn hash(&self) -> u64 {
        if self.len == 0 { 0 } else { xxh3_64(self.as_bytes()) }
    }
}

/// What a file begins with, as far as it was written when it was first seen: appending does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The XXH3-128 of the bytes.
    pub hash: u128,
    /// How many there are, at most [`FINGERPRINT_BYTES_MAX`].
    pub len: usize,
}

impl Head {
    /// The start of a file that begins with `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { hash: xxh3_128(bytes), len: bytes.len() }
    }

    /// What `file` begins with.
    pub(super) fn read(file: &Content) -> io::Result<Self> {
        let mut bytes = [0; FINGERPRINT_BYTES_MAX];
        let len = file.read_full_at(&mut bytes, 0)?;
        Ok(Self::of(bytes.get(..len).unwrap_or_default()))
    }

    /// Whether `file` begins so.
    pub(super) fn stands_in(&self, file: &Content) -> io::Result<bool> {
        let mut bytes = [0; FINGERPRINT_BYTES_MAX];
        let window = bytes.get_mut(..self.len).unwrap_or_default();
        let len = file.read_full_at(window, 0)?;
        Ok(self.begins(bytes.get(..len).unwrap_or_default()))
    }

    /// Whether `bytes` begins so.
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len).is_some_and(|head| xxh3_128(head) == self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_marker_is_what_stands_before_the_offset() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: Vec<u8> = (0..100).collect();
        file.as_file().write_all(&text).unwrap();
        let file = Content::open(file.path()).unwrap();
        for offset in [0_usize, 1, 31, 32, 33, 100] {
            let marker = Marker::before(&file, offset as u64).unwrap();
            assert_eq!(marker.as_bytes(), &text[offset.saturating_sub(32)..offset]);
            assert_eq!(marker, Marker::of_end(&text[..offset]));
            assert_eq!(marker.hash() == 0, offset == 0);
        }
        assert_eq!(Marker::before(&file, 110).unwrap().len(), 22, "the file is shorter than that");
    }
}
