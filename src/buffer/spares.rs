//! Memory of chunks that are done with, for the next ones.

use super::chunk::CHUNK_BYTES_MAX;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kept: one chunk is filled while another one is delivered.
const SPARES_MAX: usize = 2;

/// A chunk that grew beyond this is given back: a rare one must not decide what the process weighs.
const SPARE_BYTES_MAX: usize = 2 * CHUNK_BYTES_MAX;

/// Less than this is the allocator's business.
const SPARE_BYTES_MIN: usize = 256 << 10;

/// Room for chunks. An allocator gives as much memory back to the system at once, which has to clear each page of it
/// when the next chunk comes: a third of all work where there is little else to do with a line.
#[derive(Clone, Debug, Default)]
pub struct Spares(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spares {
    /// Empty room for so many bytes.
    pub(super) fn take(&self, bytes_expected: usize) -> Vec<u8> {
        let spare = self.lock().pop().filter(|spare| spare.capacity() >= bytes_expected);
        spare.unwrap_or_else(|| Vec::with_capacity(bytes_expected))
    }

    /// Takes back what a chunk used.
    pub(super) fn give(&self, mut bytes: Vec<u8>) {
        let mut spares = self.lock();
        let is_fit = (SPARE_BYTES_MIN..=SPARE_BYTES_MAX).contains(&bytes.capacity());
        if is_fit && spares.len() < SPARES_MAX {
            bytes.clear();
            spares.push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Whoever panicked with it left whole rooms behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again() {
        let spares = Spares::default();
        let mut first = spares.take(CHUNK_BYTES_MAX);
        first.push(1);
        let place = first.as_ptr();
        spares.give(first);
        let second = spares.take(CHUNK_BYTES_MAX);
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
    }

    #[test]
    fn room_that_does_not_fit_is_not_kept() {
        let spares = Spares::default();
        for capacity in [0, SPARE_BYTES_MIN / 2, SPARE_BYTES_MAX * 2] {
            spares.give(Vec::with_capacity(capacity));
            assert_eq!(spares.lock().len(), 0, "{capacity}");
        }
        for _ in 0..=SPARES_MAX {
            spares.give(Vec::with_capacity(SPARE_BYTES_MIN));
        }
        assert_eq!(spares.lock().len(), SPARES_MAX);
        assert!(spares.take(CHUNK_BYTES_MAX).capacity() >= CHUNK_BYTES_MAX);
    }
}
