//! `Compress zstd`: whole request bodies as frames of RFC 8878.

use std::fmt;
use std::io;

/// Level of compression: Fluent Bit's, where its outputs know zstd.
const LEVEL: i32 = 1;

/// A zstd compressor whose tables are kept from body to body.
pub struct Zstd(zstd::bulk::Compressor<'static>);

impl Zstd {
    /// A compressor; fails only without the memory for one.
    pub fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }

    /// Returns `input` as one frame, which says how long it is unpacked.
    pub fn compress(&mut self, input: &[u8]) -> io::Result<Vec<u8>> {
        self.0.compress(input)
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Zstd")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back() {
        let mut zstd = Zstd::new().unwrap();
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(300_000).collect();
        for body in [&b""[..], b"one line\n", &vec![b'x'; 3 << 20], &noise] {
            let packed = zstd.compress(body).unwrap();
            assert!(zstd::decode_all(&packed[..]).unwrap() == body, "{} bytes differ", body.len());
        }
    }
}
