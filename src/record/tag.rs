//! Tags, and the patterns that select them.

use std::sync::Arc;

/// Where a record came from, as the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// A tag of this text.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which tags a filter or an output takes: `Match` (`*` stands for any run of characters) or `Match_Regex`.
#[derive(Debug)]
pub enum Match {
    /// `Match`.
    Wildcard(String),
    /// `Match_Regex`.
    Regex(tailwater_parsers::regex::Pattern),
}

impl Match {
    /// Whether the pattern selects `tag`.
    pub fn is_match(&self, tag: &Tag) -> bool {
        match self {
            Self::Wildcard(pattern) => wildcard(pattern.as_bytes(), tag.as_str().as_bytes()),
            Self::Regex(pattern) => pattern.is_match(tag.as_str()),
        }
    }
}

/// Glob with `*` alone, in linear time: on a mismatch only the last star takes one byte more.
fn wildcard(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            ([p, pattern_rest @ ..], [t, text_rest @ ..]) if p == t => {
                pattern = pattern_rest;
                text = text_rest;
            }
            ([], []) => return true,
            _ => {
                let Some((after_star, [_, behind @ ..])) = star else { return false };
                star = Some((after_star, behind));
                pattern = after_star;
                text = behind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, tag: &str, expected: bool) {
        let found = Match::Wildcard(pattern.to_owned()).is_match(&Tag::new(tag));
        assert_eq!(found, expected, "{pattern} on {tag}");
    }

    #[test]
    fn a_star_takes_any_run() {
        check("*", "", true);
        check("*", "kube.var", true);
        check("kube.*", "kube.var.log", true);
        check("kube.*", "kube", false);
        check("*.log", "a.log.log", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-c-b", false);
        check("kube", "kube", true);
        check("kube", "kubes", false);
        check("", "", true);
        check("", "a", false);
    }
}
