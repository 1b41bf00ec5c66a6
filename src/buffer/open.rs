//! Which records of a chunk an output still owes.

/// A set of record indices, `0..count` of one chunk.
#[derive(Clone, Debug)]
pub struct Open {
    /// One bit a record; bits at `count` and beyond are zero.
    words: Vec<u64>,
    /// Bits that are set.
    left: u32,
}

impl Open {
    /// All of `count` records.
    pub fn all(count: u32) -> Self {
        let mut words = vec![u64::MAX; count.div_ceil(64) as usize];
        if let (Some(last), 1..) = (words.last_mut(), count % 64) {
            *last = (1 << (count % 64)) - 1;
        }
        Self { words, left: count }
    }

    /// Those of `records` that are in it.
    #[must_use]
    pub fn only(&self, records: &[u32]) -> Self {
        let mut only = Self { words: vec![0; self.words.len()], left: 0 };
        for &index in records.iter().filter(|index| self.contains(**index)) {
            if let Some(word) = only.words.get_mut(index as usize / 64) {
                let bit = 1 << (index % 64);
                only.left += u32::from(*word & bit == 0);
                *word |= bit;
            }
        }
        only
    }

    /// The records in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.words).flat_map(|(number, word)| {
            let bits = (0..64_u32).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| number * 64 + bit)
        })
    }

    /// Whether the record is still owed.
    pub fn contains(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Takes the record out; whether it was in.
    pub fn remove(&mut self, index: u32) -> bool {
        let was_open = self.contains(index);
        if was_open && let Some(word) = self.words.get_mut(index as usize / 64) {
            *word &= !(1 << (index % 64));
            self.left -= 1;
        }
        was_open
    }

    /// Takes out the records from `count` on; returns how many those were.
    pub fn truncate(&mut self, count: u32) -> u32 {
        let beyond: Vec<u32> = self.iter().filter(|index| *index >= count).collect();
        for index in &beyond {
            self.remove(*index);
        }
        u32::try_from(beyond.len()).unwrap_or(u32::MAX)
    }

    /// How many are left.
    pub fn len(&self) -> u32 {
        self.left
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_what_both_have() {
        let mut open = Open::all(200);
        open.remove(70);
        let part = open.only(&[3, 70, 130, 130, 500]);
        assert_eq!(part.iter().collect::<Vec<_>>(), [3, 130]);
        assert_eq!(part.len(), 2);
        assert_eq!(open.iter().count(), 199);
    }

    #[test]
    fn records_leave_once() {
        for count in [0, 1, 63, 64, 65, 200] {
            let mut open = Open::all(count);
            assert_eq!(open.len(), count);
            for index in 0..count {
                assert!(open.contains(index));
                assert!(open.remove(index));
                assert!(!open.remove(index));
            }
            assert!(open.is_empty() && !open.contains(count) && !open.remove(count));
        }
    }
}
