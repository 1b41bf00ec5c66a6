//! A cursor: what names one entry of a journal.
//!
//! `s=…;i=…;b=…;m=…;t=…;x=…`: the id of a sequence and the entry's number in it, which begins with 1 and only grows;
//! the id of the boot and the time since it; the time of the clock; a hash of the content. Times are microseconds,
//! numbers hexadecimal. Applications are to take it for opaque, says its manual; Fluent Bit keeps it as text, and so
//! does this, but ids and times must come from it: the library tells them only since version 254.

use crate::record::SourceKey;
use xxhash_rust::xxh3::xxh3_128;

/// One entry's place, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub series: Series,
    /// Number in the sequence.
    pub number: u64,
    /// Microseconds since the boot.
    pub monotonic: u64,
    /// Microseconds since the epoch.
    pub time: u64,
    hash: u64,
}

/// Within one boot and one sequence, no number comes twice. (Over a power cut it may: journald writes to the disk only
/// now and then, and goes on from what it finds there.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    sequence: u128,
    boot: u128,
}

impl Cursor {
    /// Reads a cursor; `None`: it is none, or not whole.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut sequence, mut number, mut boot) = (None, None, None);
        let (mut monotonic, mut time, mut hash) = (None, None, None);
        for part in text.split(';') {
            let (name, value) = part.split_once('=')?;
            let short = || u64::from_str_radix(value, 16).ok();
            let long = || u128::from_str_radix(value, 16).ok();
            match name {
                "s" => sequence = Some(long()?),
                "i" => number = Some(short()?),
                "b" => boot = Some(long()?),
                "m" => monotonic = Some(short()?),
                "t" => time = Some(short()?),
                "x" => hash = Some(short()?),
                // What a later version may add.
                _ => {}
            }
        }
        Some(Self {
            series: Series { sequence: sequence?, boot: boot? },
            number: number?,
            monotonic: monotonic?,
            time: time?,
            hash: hash?,
        })
    }

    /// As the library writes it, and Fluent Bit keeps it.
    pub(super) fn to_text(self) -> String {
        let Self { series: Series { sequence, boot }, number, monotonic, time, hash } = self;
        format!(
            "s={sequence:032x};i={number:x};b={boot:032x};m={monotonic:x};t={time:x};x={hash:x}"
        )
    }

    /// Whether both name one entry: the same one of a sequence, or one that was copied into another file, as journald
    /// does at the boot with what it had in memory, and has another number there.
    pub(super) fn is_same_entry(&self, other: &Self) -> bool {
        let is_same = self.series == other.series && self.number == other.number;
        let is_copy = self.series.boot == other.series.boot
            && self.series.sequence != other.series.sequence
            && self.monotonic == other.monotonic
            && self.time == other.time
            && self.hash == other.hash;
        is_same || is_copy
    }
}

impl Series {
    /// What its entries' ids begin with, on whatever machine it is read. Frozen by a test, since ids follow from it.
    pub(super) fn key(self) -> SourceKey {
        let mut text = [0; 7 + 16 + 16];
        let parts = b"journal".iter().copied();
        let parts = parts.chain(self.sequence.to_le_bytes()).chain(self.boot.to_le_bytes());
        for (to, from) in text.iter_mut().zip(parts) {
            *to = from;
        }
        xxh3_128(&text).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const TEXT: &str = "s=0e991d78ef68474780179c071dfc0340;i=2;b=11223344556677889900aabbccddeeff;m=10ccc8;\
                        t=52550b4979e40;x=d3f57ff8d92a5f20";

    #[test]
    fn a_cursor_is_written_as_it_was_read() {
        let cursor = Cursor::parse(TEXT).unwrap();
        assert_eq!((cursor.number, cursor.time), (2, 1_448_403_441_000_000));
        assert_eq!(cursor.to_text(), TEXT);
        assert_eq!(Cursor::parse(&format!("{TEXT};z=new")), Some(cursor));
    }

    #[test]
    fn what_is_no_cursor() {
        let without = |part: &str| TEXT.replace(part, "");
        // `(null)` is what Fluent Bit writes before its first entry.
        for text in ["", "(null)", "s=1", "i=2;x", &without("i=2;"), &TEXT.replace("i=2", "i=g")] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_is_known_by_its_number_and_by_its_copy() {
        let check = |from: &str, to: &str, expected: bool| {
            let cursor = Cursor::parse(TEXT).unwrap();
            let other = Cursor::parse(&TEXT.replace(from, to)).unwrap();
            assert_eq!(cursor.is_same_entry(&other), expected, "{from} {to}");
        };
        check("x=d3", "x=d4", true);
        check("i=2", "i=3", false);
        check("s=0e", "s=0f", true);
        check("s=0e991d78ef68474780179c071dfc0340;i=2", "s=1;i=9", true);
        check("b=11", "b=12", false);
    }

    /// Ids are kept in users' indices: this may never change.
    #[test]
    fn the_key_is_frozen() {
        let key = Cursor::parse(TEXT).unwrap().series.key();
        expect!["928ee1d3b095d4a2dc807d8a55036b4d"]
            .assert_eq(&format!("{:032x}", u128::from_le_bytes(key)));
    }
}
