//! What a file holds: its bytes, or those that were packed into it by gzip.
//!
//! As in Fluent Bit, a name that ends in `.gz` says which. Offsets are always those of the unpacked bytes, so a log
//! file goes on where it was left when it is packed in the meantime. Unpacking is streamed: an open file takes some
//! 100 KiB, whatever it holds.

use flate2::read::MultiGzDecoder;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Unpacked bytes that are kept behind the place where unpacking stands: an unfinished line and the marker before it
/// are read again. Further back, unpacking begins anew.
const RECENT_BYTES: usize = 64 << 10;

/// Bytes that are unpacked at once where nobody wants to have them.
const SKIP_BYTES: usize = 16 << 10;

/// An open file.
#[derive(Debug)]
pub(super) struct Content {
    file: Arc<File>,
    /// `None`: what the file holds is what it is.
    packed: Option<Box<Mutex<Unpacking>>>,
}

impl Content {
    /// Opens a file to be read. Never waits, should a pipe have taken the file's place.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = Arc::new(OpenOptions::new().read(true).custom_flags(flags).open(path)?);
        let packed =
            is_packed(path).then(|| Box::new(Mutex::new(Unpacking::new(Arc::clone(&file)))));
        Ok(Self { file, packed })
    }

    /// Whether it was packed.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// What the file system says of the file.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// How far its bytes reach, as far as that is known: of a packed file, one more than was unpacked until its end
    /// has come.
    pub(super) fn len(&self) -> io::Result<u64> {
        let size = self.file.metadata()?.len();
        let Some(packed) = &self.packed else { return Ok(size) };
        let unpacking = packed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match unpacking.end {
            Some(end) if end.size == size => end.at,
            _ if size == 0 => 0,
            _ => unpacking.at + 1,
        })
    }

    /// How far its bytes reach: unpacks all of a packed file.
    pub(super) fn measure(&self) -> io::Result<u64> {
        if let Some(packed) = &self.packed {
            packed.lock().unwrap_or_else(PoisonError::into_inner).read_at(&mut [0], u64::MAX)?;
        }
        self.len()
    }

    /// One read; only a signal is cause for another.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(packed) = &self.packed {
            return packed.lock().unwrap_or_else(PoisonError::into_inner).read_at(buffer, offset);
        }
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Reads until `buffer` is full or the content ends; how much was read.
    pub(super) fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..)
            && !rest.is_empty()
        {
            match self.read_at(rest, offset + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }
}

impl AsFd for Content {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Content {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Whether a file of this name is packed: Fluent Bit decides so, too.
pub(super) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// Where unpacking a file stands.
#[derive(Debug)]
struct Unpacking {
    file: Arc<File>,
    /// `None`: it begins anew.
    decoder: Option<MultiGzDecoder<Packed>>,
    /// Unpacked bytes before this were had.
    at: u64,
    /// The last of them, at most [`RECENT_BYTES`] and as many again.
    recent: Vec<u8>,
    end: Option<End>,
    /// What the next read is to say.
    damage: Option<io::Error>,
}

/// Where the unpacked bytes end.
#[derive(Clone, Copy, Debug)]
struct End {
    at: u64,
    /// The packed file's size then: if it has grown, there is more.
    size: u64,
}

impl Unpacking {
    fn new(file: Arc<File>) -> Self {
        Self { file, decoder: None, at: 0, recent: Vec::new(), end: None, damage: None }
    }

    /// As [`FileExt::read_at`] on the unpacked bytes, but that it fills the buffer if it can.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let size = self.file.metadata()?.len();
        if self.end.is_some_and(|end| end.size != size) {
            self.begin_anew();
        }
        if offset < self.at - self.recent.len() as u64 {
            self.begin_anew();
        }
        let mut skipped = vec![0; if self.at < offset { SKIP_BYTES } else { 0 }];
        while self.at < offset {
            let wanted = usize::try_from(offset - self.at).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
            if self.unpack(skipped.get_mut(..wanted).unwrap_or_default(), size)? == 0 {
                return Ok(0);
            }
        }
        let back = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
        let known = self.recent.len().checked_sub(back).and_then(|from| self.recent.get(from..));
        let mut filled = 0;
        for (to, from) in buffer.iter_mut().zip(known.unwrap_or_default()) {
            *to = *from;
            filled += 1;
        }
        while let Some(rest) = buffer.get_mut(filled..)
            && !rest.is_empty()
        {
            match self.unpack(rest, size) {
                Ok(0) => break,
                Ok(count) => filled += count,
                // What came before is good.
                Err(error) if filled > 0 => {
                    self.damage = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn begin_anew(&mut self) {
        *self = Self::new(Arc::clone(&self.file));
    }

    /// Unpacks on; 0 at the end. Of a file that is still being written, the end is what has been written whole.
    fn unpack(&mut self, buffer: &mut [u8], size: u64) -> io::Result<usize> {
        if self.end.is_some() {
            return self.damage.take().map_or(Ok(0), Err);
        }
        let file = &self.file;
        let decoder = self.decoder.get_or_insert_with(|| {
            MultiGzDecoder::new(Packed { file: Arc::clone(file), offset: 0 })
        });
        let count = match decoder.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => {
                // Said once: there is nothing more to be had of it.
                self.end = Some(End { at: self.at, size });
                return Err(error);
            }
        };
        self.at += count as u64;
        self.recent.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if self.recent.len() > 2 * RECENT_BYTES {
            self.recent.drain(..self.recent.len() - RECENT_BYTES);
        }
        if count == 0 {
            self.end = Some(End { at: self.at, size });
            self.decoder = None;
        }
        Ok(count)
    }
}

/// The packed bytes, read without moving the file's own offset.
#[derive(Debug)]
struct Packed {
    file: Arc<File>,
    offset: u64,
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn pack(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Text that packs badly, so that a part of the file is a part of the text.
    fn text(len: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(1);
        (0..len).map(|_| rng.u8(..)).collect()
    }

    #[test]
    fn packed_bytes_are_read_from_anywhere() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.log.1.GZ");
        let text = text(600_000);
        // Two members, as `cat a.gz b.gz` makes them.
        let packed = [pack(&text[..400_000]), pack(&text[400_000..])].concat();
        std::fs::write(&path, packed).unwrap();
        let content = Content::open(&path).unwrap();
        assert_eq!(content.len().unwrap(), 1, "not known yet");
        for offset in [0, 10, 300_000, 299_990, 180_000, 599_999, 0, 600_000, 700_000] {
            let mut buffer = vec![0; 1_000];
            let count = content.read_full_at(&mut buffer, offset as u64).unwrap();
            let expected = text.get(offset..).unwrap_or_default();
            assert_eq!(buffer[..count], expected[..expected.len().min(1_000)], "at {offset}");
        }
        assert_eq!((content.len().unwrap(), content.measure().unwrap()), (600_000, 600_000));
    }

    #[test]
    fn a_packed_file_that_is_being_written_ends_where_it_does_and_then_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.gz");
        let text = text(200_000);
        let packed = pack(&text);
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let content = Content::open(&path).unwrap();
        let half = content.measure().unwrap();
        assert!(50_000 < half && half < 150_000, "{half}");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&packed[packed.len() / 2..]).unwrap();
        let mut buffer = vec![0; 200_000];
        assert_eq!(content.read_full_at(&mut buffer, 0).unwrap(), 200_000);
        assert_eq!(buffer, text);
    }

    #[test]
    fn damage_is_an_error_behind_what_is_whole_and_said_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.gz");
        let mut packed = pack(&text(100_000));
        packed.extend_from_slice(b"this is no gzip at all");
        std::fs::write(&path, packed).unwrap();
        let content = Content::open(&path).unwrap();
        let mut buffer = vec![0; 200_000];
        assert_eq!(content.read_at(&mut buffer, 0).unwrap(), 100_000);
        assert!(content.read_at(&mut buffer, 100_000).is_err());
        assert_eq!(content.read_at(&mut buffer, 100_000).unwrap(), 0);
        assert_eq!(content.len().unwrap(), 100_000);
        let content = Content::open(&path).unwrap();
        assert!(content.measure().is_err());
        assert_eq!(content.measure().unwrap(), 100_000);
    }
}
