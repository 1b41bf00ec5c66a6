//! Whether a request was refused as a whole for a record in it, or for what every request is like.
//!
//! A store may refuse a whole request (400) because of one record, and says the same where nothing is wrong with
//! any: a wrong path, a proxy that takes no such body. In the first case the record is to be found and given up,
//! the others stored; in the second, giving up would lose everything. The two are told apart by what else the
//! store takes: only once it has taken another request since the refusal, it is the record's fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records of a refused request that are sent by themselves, to see whether one is taken. Few, since a store that
/// refuses everything is sent them each time; more than one, since the first may be the bad one, or all
/// of one source.
const SAMPLES_MAX: usize = 8;

/// Records that are given up on the word of one request that was taken. A store that begins to refuse
/// everything in the middle of a search would have the rest of the chunk taken for bad.
const BLAMED_MAX: u32 = 64;

/// Counts the requests that a destination has taken, whatever it then did with each record.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(Arc<AtomicU64>);

impl Taken {
    /// One more.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there was one since the start.
    pub(super) fn is_any(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is thought of one chunk's records.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// How many requests had been taken when one with this chunk's records was refused as a whole, or when the
    /// word of later ones was used up.
    since: Option<u64>,
    /// Records given up since.
    blamed: u32,
}

impl Suspicion {
    /// A request was refused as a whole: whether one of its records is to blame.
    pub(super) fn is_confirmed(&mut self, taken: &Taken) -> bool {
        let now = taken.count();
        *self.since.get_or_insert(now) < now
    }

    /// A record was given up.
    pub(super) fn blame(&mut self, taken: &Taken) {
        self.blamed += 1;
        if self.blamed == BLAMED_MAX {
            *self = Self { since: Some(taken.count()), blamed: 0 };
        }
    }
}

/// The records of a refused request that are to be sent by themselves: from all over it, its ends included. One
/// that was alone is none: it would be refused again.
pub(super) fn samples(records: &[u32]) -> Vec<u32> {
    let last = records.len().saturating_sub(1);
    let count = if last == 0 { 0 } else { SAMPLES_MAX.min(records.len()) };
    let places = (0..count).map(|number| number * last / (count - 1));
    places.filter_map(|place| records.get(place).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_from_all_over() {
        for (count, expected) in [
            (0, &[][..]),
            (1, &[]),
            (2, &[0, 1]),
            (3, &[0, 1, 2]),
            (8, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (100, &[0, 14, 28, 42, 56, 70, 84, 99]),
        ] {
            assert_eq!(samples(&(0..count).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn one_request_that_is_taken_answers_for_so_many_records() {
        let (taken, mut suspicion) = (Taken::default(), Suspicion::default());
        taken.add();
        assert!(!suspicion.is_confirmed(&taken), "it was taken before");
        taken.add();
        for _ in 0..BLAMED_MAX {
            assert!(suspicion.is_confirmed(&taken));
            suspicion.blame(&taken);
        }
        assert!(!suspicion.is_confirmed(&taken));
        taken.add();
        assert!(suspicion.is_confirmed(&taken));
    }
}
