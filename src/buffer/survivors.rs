//! What of the sources lies in the backlog: which records need not be taken again when a file is read anew.
//!
//! After a crash a file is read again from its committed position, and some of what is read lies on the disk already
//! (DESIGN §4.3). A frame says which range of its source it covers, but not all that the range held: other records
//! of the same read went to other outputs, or under another tag. So a range counts only for records of the same
//! source, the same tag and the same set of outputs, and only for those outputs that still have the chunk:
//! another may have lost its link in a power cut, or has settled it, and then recognises the ids.

use super::folder::OutputName;
use crate::record::SourceKey;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// Sources by tag and output whose ranges are kept: some megabytes. Of others everything is sent again, which
/// their ids absorb.
const RANGES_COUNT_MAX: usize = 64 << 10;

/// Ranges of one of them that do not touch. When there are more, the lowest are forgotten, which the
/// position has most likely passed; at worst they are sent again.
const GAPS_MAX: usize = 1 << 10;

/// The ranges that survived.
#[derive(Debug, Default)]
pub struct Survivors {
    ranges: HashMap<u128, Ranges>,
}

/// One output of a set of outputs: what it has says nothing of a record that went to another set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteKey(u128);

impl RouteKey {
    /// For `output`, one of the set `routes`, in any order.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a OutputName>, output: &OutputName) -> Self {
        let mut names: Vec<_> = routes.into_iter().map(OutputName::as_str).collect();
        names.sort_unstable();
        // No name has a slash in it, so that it is clear where one ends.
        Self(xxh3_128(format!("{}//{output}", names.join("/")).as_bytes()))
    }
}

/// Parts of a source: sorted, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Survivors {
    /// Whether nothing survived: nothing needs to be looked up then.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// What an output has of a source under a tag.
    pub fn ranges(&self, source: &SourceKey, tag: &str, route: RouteKey) -> Option<&Ranges> {
        self.ranges.get(&key(source, tag, route))
    }

    /// Notes that `[from, to)` lies on the disk.
    pub(super) fn add(
        &mut self,
        source: &SourceKey,
        tag: &str,
        route: RouteKey,
        from: u64,
        to: u64,
    ) {
        let key = key(source, tag, route);
        if self.ranges.len() >= RANGES_COUNT_MAX && !self.ranges.contains_key(&key) {
            return;
        }
        self.ranges.entry(key).or_default().add(from, to);
    }
}

fn key(source: &SourceKey, tag: &str, route: RouteKey) -> u128 {
    let mut text = Vec::with_capacity(source.len() + size_of::<RouteKey>() + tag.len());
    text.extend_from_slice(source);
    text.extend_from_slice(&route.0.to_le_bytes());
    text.extend_from_slice(tag.as_bytes());
    xxh3_128(&text)
}

impl Ranges {
    /// Whether all of `[from, to)` is there.
    pub fn cover(&self, from: u64, to: u64) -> bool {
        let behind = self.0.partition_point(|(start, _)| *start <= from);
        let before = behind.checked_sub(1).and_then(|index| self.0.get(index));
        before.is_some_and(|(_, end)| to <= *end)
    }

    fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // All that touch it become one with it.
        let first = self.0.partition_point(|(_, end)| *end < from);
        let behind = self.0.partition_point(|(start, _)| *start <= to);
        let touching = self.0.get(first..behind).unwrap_or_default();
        let start = touching.first().map_or(from, |(start, _)| from.min(*start));
        let end = touching.last().map_or(to, |(_, end)| to.max(*end));
        self.0.splice(first..behind, [(start, end)]);
        if self.0.len() > GAPS_MAX {
            self.0.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(name: &str) -> OutputName {
        OutputName::from_alias(name)
    }

    #[test]
    fn a_range_counts_for_its_source_tag_set_and_output_alone() {
        let [a, b] = [output("a"), output("b")];
        let both = RouteKey::new([&a, &b], &a);
        assert_eq!(both, RouteKey::new([&b, &a], &a));
        let mut survivors = Survivors::default();
        survivors.add(&[1; 16], "t", both, 10, 20);
        let covers = |source: u8, tag: &str, route| {
            survivors.ranges(&[source; 16], tag, route).is_some_and(|ranges| ranges.cover(10, 20))
        };
        assert!(covers(1, "t", both));
        assert!(!covers(2, "t", both));
        assert!(!covers(1, "u", both));
        assert!(!covers(1, "t", RouteKey::new([&a, &b], &b)));
        assert!(!covers(1, "t", RouteKey::new([&a], &a)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut ranges = Ranges::default();
        for n in 0..=GAPS_MAX as u64 {
            ranges.add(n * 10, n * 10 + 5);
        }
        assert_eq!(ranges.0.len(), GAPS_MAX);
        assert!(!ranges.cover(0, 5) && ranges.cover(10, 15));
        let route = RouteKey::new([], &output("a"));
        let mut survivors = Survivors::default();
        for n in 0..=RANGES_COUNT_MAX {
            survivors.add(&[0; 16], &n.to_string(), route, 0, 1);
        }
        assert_eq!(survivors.ranges.len(), RANGES_COUNT_MAX);
    }

    proptest! {
        #[test]
        fn ranges_are_what_their_bytes_are(parts in prop::collection::vec((0_u64..60, 0_u64..9), 0..30)) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 80];
            for (from, len) in parts {
                ranges.add(from, from + len);
                bytes[usize::try_from(from).unwrap()..][..usize::try_from(len).unwrap()].fill(true);
            }
            for from in 0..79 {
                for to in from + 1..80 {
                    let all = bytes[from..to].iter().all(|byte| *byte);
                    prop_assert_eq!(ranges.cover(from as u64, to as u64), all, "{}..{}", from, to);
                }
            }
        }
    }
}
