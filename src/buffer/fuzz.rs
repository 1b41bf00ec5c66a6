//! Entry points for fuzzers: bytes from elsewhere as a chunk file, and as all that an earlier run left.

use super::folder::{Folder, OutputName};
use super::layout::Checksum;
use super::reader::ChunkReader;
use super::shelf::{Damaged, Shelf, ShelfOptions};
use super::simulated::Simulated;
use super::storage::{Access, Storage as _};
use super::{Frames, Header};
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "buffer";

/// Where the files of [`fuzz_recover`] may lie.
const FOLDERS: [&str; 5] = ["open", "out/a", "out/b", "rejected", "corrupt"];

/// Reads a chunk file.
///
/// # Panics
///
/// If it gives what its bytes do not say, or more than there are.
pub fn fuzz_chunk(data: &[u8]) {
    if let Ok(header) = Header::decode(data) {
        let encoded = header.encode();
        assert_eq!(Header::decode(&encoded), Ok(header));
    }
    let path = Path::new(ROOT).join("file");
    let disk = Simulated::new();
    disk.put(&path, data);
    let Ok(file) = disk.open(&path, Access::Read) else { return };
    let Ok(mut reader) = ChunkReader::new(file) else { return };
    while let Ok(Some(entry)) = reader.next_entry() {
        assert!(reader.whole() <= data.len() as u64);
        let mut frame = Vec::new();
        let head = reader.head(&entry);
        if let Ok((_, count)) = reader.append_frame(&entry, &mut frame) {
            assert!(head.is_ok_and(|head| head.count == count));
            assert_eq!(Frames::new(&frame).flatten().count(), count as usize);
        } else {
            assert!(frame.is_empty());
        }
    }
}

/// Starts over files of any content: first a byte that says whether there are checksums, then for each file
/// its folder (one byte), its length (two, little endian) and its bytes.
///
/// # Panics
///
/// If a second start does not find what the first left, or anything to repair.
pub fn fuzz_recover(data: &[u8]) {
    let Some((flags, mut rest)) = data.split_first() else { return };
    let disk = Simulated::new();
    let mut number = 0_u64;
    while let Some(([folder, low, high], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (bytes, behind) = behind.split_at_checked(len).unwrap_or_default();
        rest = behind;
        let Some(folder) = FOLDERS.get(usize::from(*folder) % FOLDERS.len()) else { return };
        // Numbers repeat, so that a chunk may lie in several folders.
        let name = super::folder::chunk_name(number / 2);
        disk.put(&Path::new(ROOT).join(folder).join(name), bytes);
        number += 1;
    }
    let checksum = if flags & 1 == 0 { Checksum::Crc32c } else { Checksum::None };
    let damaged = if flags & 2 == 0 { Damaged::Keep } else { Damaged::Delete };
    let options = ShelfOptions { checksum, damaged, ..ShelfOptions::new(ROOT) };
    let outputs = ["a", "b"].map(OutputName::from_alias);
    let start = || Shelf::open(Arc::new(disk.clone()), &options, &outputs);
    let Ok((shelf, first)) = start() else { return };
    drop(shelf);
    // Every chunk is where its folder says, and the disk does not fail.
    let again = start();
    assert!(again.is_ok(), "{again:?}");
    let Ok((shelf, second)) = again else { return };
    assert_eq!((second.torn, second.corrupt), (0, 0));
    assert_eq!(first.backlog, second.backlog);
    // Those that the first removed have no number any more.
    assert!(second.next_number <= first.next_number);
    for (output, chunks) in second.backlog {
        let folder = Folder::Output(output);
        for stored in chunks {
            let loaded = shelf.load(&folder, stored.number);
            assert!(loaded.is_ok_and(|loaded| loaded.is_some()));
        }
    }
}
