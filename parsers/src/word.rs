//! Text eight bytes at a time.

/// The first eight bytes, the first of them lowest; zeros where there are fewer.
///
/// Made in registers: to fill up a copy in memory and load that takes as long as twenty steps.
#[inline]
pub(crate) fn first_word(bytes: &[u8]) -> u64 {
    if let Some(chunk) = bytes.first_chunk() {
        return u64::from_le_bytes(*chunk);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Where the two overlap they say the same.
        let last = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
        return u64::from(u32::from_le_bytes(*first)) | last;
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length() {
        let bytes: Vec<u8> = (1..=20).collect();
        for length in 0..bytes.len() {
            let mut expected = [0; 8];
            expected.iter_mut().zip(&bytes[..length]).for_each(|(to, from)| *to = *from);
            assert_eq!(first_word(&bytes[..length]), u64::from_le_bytes(expected), "{length}");
        }
    }
}
