//! Tags, and the patterns that select them.

use std::sync::Arc;
use tailwater_parsers::regex::Pattern;

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

/// Which tags a filter or an output takes: those of `Match` (`*` stands for any run of characters) and those that
/// begin as `Match_Regex` says.
#[derive(Debug)]
pub enum Match {
    /// `Match`.
    Wildcard(String),
    /// `Match_Regex`.
    Regex(Pattern),
    /// Both.
    Either(String, Pattern),
}

impl Match {
    /// Whether the pattern selects `tag`.
    pub fn is_match(&self, tag: &Tag) -> bool {
        match self {
            Self::Wildcard(pattern) => wildcard(pattern.as_bytes(), tag.as_str().as_bytes()),
            Self::Regex(pattern) => begins(pattern, tag.as_str()),
            Self::Either(text, pattern) => {
                begins(pattern, tag.as_str()) || wildcard(text.as_bytes(), tag.as_str().as_bytes())
            }
        }
    }
}

/// Whether the pattern matches at the start of the tag, and not nothing there, which is what Fluent Bit asks for.
fn begins(pattern: &Pattern, tag: &str) -> bool {
    let mut found = pattern.captures();
    pattern.find(&mut found, tag) && found.get(0).is_some_and(|(start, end)| start == 0 && end > 0)
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

    #[test]
    fn an_expression_takes_the_start_of_a_tag() {
        let check = |regex: &str, tag: &str, expected: bool| {
            let found = Match::Regex(Pattern::new(regex).unwrap()).is_match(&Tag::new(tag));
            assert_eq!(found, expected, "{regex} on {tag}");
        };
        check("kube", "kube.var", true);
        check("var", "kube.var", false);
        check(".*var", "kube.var", true);
        check("^(a|b)$", "b", true);
        check("x*", "kube", false);
        check("", "kube", false);
        let either = Match::Either("app.*".to_owned(), Pattern::new("kube").unwrap());
        let found = ["app.x", "kube.x", "x.kube"].map(|tag| either.is_match(&Tag::new(tag)));
        assert_eq!(found, [true, true, false]);
    }
}
