//! Deterministic record ids (DESIGN §4.4): the same record has the same id however often it is read.
//!
//! ```text
//! 0       8                  20
//! ┌───────┬───────────────────┐
//! │ time  │ hash              │   time: i64, big endian; hash: first 12 bytes of XXH3-128
//! └───────┴───────────────────┘
//! ```
//!
//! The time leads, big endian, so that ids that are made together lie together in a store's index. The
//! hash covers the source's key, the final tag, the offsets of the record's lines and its ordinal among
//! the records that those lines became. XXH3 is specified and stable; 96 bits of it make a chance
//! collision *within one nanosecond* the only one that matters.

use super::{Nanos, SourceKey, Tag};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes of an id.
pub const ID_LEN: usize = 20;

/// Characters of an id as URL-safe base64 without padding, the form that Lucene stores as the bytes behind it.
const ID_TEXT_LEN: usize = 27;

/// Bytes before the hash.
const TIME_LEN: usize = 8;

/// One record's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id([u8; ID_LEN]);

impl Id {
    /// The id of these bytes, as they stand in a frame.
    pub fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    /// Appends the id as text: 27 characters of `[A-Za-z0-9_-]`.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let mut text = [0; ID_TEXT_LEN];
        if URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).is_ok() {
            out.extend_from_slice(&text);
        }
    }
}

/// Makes the ids of one source's records under one tag.
#[derive(Clone, Copy, Debug)]
pub struct IdStream([u8; 16]);

impl IdStream {
    /// The stream of the source `key` under `tag`.
    pub fn new(key: &SourceKey, tag: &Tag) -> Self {
        let mut text = Vec::with_capacity(key.len() + tag.as_str().len());
        text.extend_from_slice(key);
        text.extend_from_slice(tag.as_str().as_bytes());
        Self(xxh3_128(&text).to_le_bytes())
    }

    /// The id of the record that came from the bytes `[from, to)` of the source and was the `ordinal`th of them.
    /// `time` is the record's, if its line said it, else when the source was first seen.
    #[expect(clippy::big_endian_bytes, reason = "ids of one moment must sort together")]
    pub fn id(&self, time: Nanos, from: u64, to: u64, ordinal: u32) -> Id {
        let mut text = [0; 36];
        put(&mut text, 0, &self.0);
        put(&mut text, 16, &from.to_le_bytes());
        put(&mut text, 24, &to.to_le_bytes());
        put(&mut text, 32, &ordinal.to_le_bytes());
        let mut id = [0; ID_LEN];
        put(&mut id, 0, &time.to_be_bytes());
        put(&mut id, TIME_LEN, &xxh3_128(&text).to_le_bytes());
        Id(id)
    }
}

/// Copies as much of `part` as fits behind `at`.
fn put(whole: &mut [u8], at: usize, part: &[u8]) {
    for (to, from) in whole.iter_mut().skip(at).zip(part) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn text(id: Id) -> String {
        let mut out = Vec::new();
        id.write_text(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// Ids are kept in users' indices: this text may never change.
    #[test]
    fn the_form_is_frozen() {
        let ids = IdStream::new(&[7; 16], &Tag::new("kube.a"));
        expect!["GFPoNlNCgABZF7c9Bw2sXd-Eov4"].assert_eq(&text(ids.id(
            1_753_000_000_000_000_000,
            0,
            100,
            0,
        )));
    }

    #[test]
    fn every_part_counts() {
        let ids = IdStream::new(&[7; 16], &Tag::new("a"));
        let base = ids.id(1, 2, 3, 4);
        assert_eq!(base, ids.id(1, 2, 3, 4));
        assert_ne!(base, ids.id(0, 2, 3, 4));
        assert_ne!(base, ids.id(1, 0, 3, 4));
        assert_ne!(base, ids.id(1, 2, 0, 4));
        assert_ne!(base, ids.id(1, 2, 3, 0));
        assert_ne!(base, IdStream::new(&[8; 16], &Tag::new("a")).id(1, 2, 3, 4));
        assert_ne!(base, IdStream::new(&[7; 16], &Tag::new("b")).id(1, 2, 3, 4));
    }

    #[test]
    fn ids_sort_by_time() {
        let ids = IdStream::new(&[7; 16], &Tag::new("a"));
        assert!(ids.id(5, 9, 9, 9).as_bytes() < ids.id(6, 0, 0, 0).as_bytes());
    }
}
