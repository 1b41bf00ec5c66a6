//! The tag of an entry: `*` in `Tag` stands for its unit.

use crate::record::Tag;
use std::collections::HashMap;

/// Tags that are remembered. Beyond that all are forgotten and made again.
const TAGS_MAX: usize = 1024;

/// What stands for the unit of an entry that has none, as in Fluent Bit.
const UNKNOWN: &[u8] = b"unknown";

/// Makes tags.
#[derive(Debug)]
pub(super) enum Tags {
    /// All entries have this one.
    Fixed(Tag),
    /// What stands before and behind the unit; the tags of units.
    OfUnit { before: String, behind: String, made: HashMap<Box<[u8]>, Tag> },
}

impl Tags {
    /// The tags that `Tag` asks for; its first `*` counts.
    pub(super) fn new(tag: &str) -> Self {
        match tag.split_once('*') {
            None => Self::Fixed(Tag::new(tag)),
            Some((before, behind)) => Self::OfUnit {
                before: before.to_owned(),
                behind: behind.to_owned(),
                made: HashMap::new(),
            },
        }
    }

    /// Whether the unit matters.
    pub(super) fn want_unit(&self) -> bool {
        matches!(self, Self::OfUnit { .. })
    }

    /// The tag of an entry of this unit.
    pub(super) fn tag(&mut self, unit: Option<&[u8]>) -> Tag {
        let (before, behind, made) = match self {
            Self::Fixed(tag) => return tag.clone(),
            Self::OfUnit { before, behind, made } => (before, behind, made),
        };
        let unit = unit.unwrap_or(UNKNOWN);
        if let Some(tag) = made.get(unit) {
            return tag.clone();
        }
        if made.len() >= TAGS_MAX {
            made.clear();
        }
        let tag = Tag::new(&format!("{before}{}{behind}", String::from_utf8_lossy(unit)));
        made.insert(unit.into(), tag.clone());
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_star_is_the_unit() {
        let check = |tag: &str, unit: Option<&[u8]>, expected: &str| {
            let mut tags = Tags::new(tag);
            assert_eq!(tags.tag(unit).as_str(), expected);
            assert_eq!(tags.tag(unit).as_str(), expected);
        };
        check("host.*", Some(b"sshd.service"), "host.sshd.service");
        check("host.*.x.*", Some(b"a"), "host.a.x.*");
        check("*", None, "unknown");
        check("journal", Some(b"a"), "journal");
        check("*", Some(b"\xFF"), "\u{FFFD}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut tags = Tags::new("*");
        for unit in 0..=TAGS_MAX {
            tags.tag(Some(unit.to_string().as_bytes()));
        }
        assert!(matches!(tags, Tags::OfUnit { made, .. } if made.len() == 1));
    }
}
