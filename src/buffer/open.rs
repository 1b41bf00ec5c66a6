//! Which records of a chunk an output still owes.

/// A set of record indices, `0..count` of one chunk.
#[derive(Clone, Debug)]
pub struct Open {
    /// Records of the chunk.
    count: u32,
    /// One bit a record; none as long as all are in it, so that a backlog of chunks takes no room for them.
    words: Vec<u64>,
    /// Bits that are set.
    left: u32,
}

impl Open {
    /// All of `count` records.
    pub fn all(count: u32) -> Self {
        Self { count, words: Vec::new(), left: count }
    }

    /// Those of `records` that are in it.
    #[must_use]
    pub fn only(&self, records: &[u32]) -> Self {
        let words = vec![0; self.count.div_ceil(64) as usize];
        let mut only = Self { count: self.count, words, left: 0 };
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
        (0..self.count).filter(|index| self.contains(*index))
    }

    /// Whether the record is still owed.
    pub fn contains(&self, index: u32) -> bool {
        let word = self.words.get(index as usize / 64);
        index < self.count && word.is_none_or(|word| word >> (index % 64) & 1 == 1)
    }

    /// Takes the record out; whether it was in.
    pub fn remove(&mut self, index: u32) -> bool {
        let was_open = self.contains(index);
        if was_open && self.words.is_empty() {
            // Bits beyond `count` are not looked at.
            self.words = vec![u64::MAX; self.count.div_ceil(64) as usize];
        }
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
