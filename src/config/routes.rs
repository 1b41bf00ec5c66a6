//! Which tags there are, which patterns select none of them, and which of them no output takes.
//!
//! A tag may hold parts that are known only later (`kube.*` of `tail`, `<pod>` of a `Tag_Regex`): a pattern
//! is told only if no text in their place could make it match.

use tailwater_parsers::regex::{Error, Pattern};

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::instance::{FilterCommon, InputCommon, Instance, OutputCommon};
use super::near::nearest;
use super::property::Located;
use super::value::Verbatim;
use crate::record::{Match, Tag};

/// Comparing takes as many steps as the two lengths multiply to; what is longer is not compared.
const STEP_COUNT_MAX: usize = 1 << 20;

/// Reports the filters and outputs that no record comes to. One input and one output belong together without
/// a pattern.
pub(super) fn check(
    inputs: &[Instance<InputCommon>],
    filters: &mut [Instance<FilterCommon>],
    outputs: &mut [Instance<OutputCommon>],
    diagnostics: &mut Diagnostics,
) {
    for filter in &mut *filters {
        drop_broken(&mut filter.common.pattern_regex, diagnostics);
    }
    for output in &mut *outputs {
        drop_broken(&mut output.common.pattern_regex, diagnostics);
    }
    if let ([_], [output]) = (inputs, &mut *outputs)
        && output.common.pattern.is_none()
        && output.common.pattern_regex.is_none()
    {
        output.common.pattern = Some("*".to_owned());
    }
    let tags = inputs.iter().map(|input| input.common.tag.as_ref().unwrap_or(&input.name));
    let tags = Tags(tags.map(String::as_str).collect());
    for filter in &*filters {
        let FilterCommon { pattern, pattern_regex, .. } = &filter.common;
        let selection = Selection { pattern, regex: pattern_regex };
        // Without any, Fluent Bit does not start; with one that a variable left empty, it does.
        let entries = filter.section.entries();
        let is_empty = entries
            .iter()
            .any(|entry| entry.key.eq_ignore_ascii_case("Match") && entry.value.is_empty());
        let unselected = if is_empty { Severity::Warning } else { Severity::Error };
        tags.check(filter, &selection, unselected, "it does nothing", diagnostics);
    }
    let selections: Vec<_> = outputs.iter().map(|output| Selection::of(&output.common)).collect();
    for (output, selection) in outputs.iter().zip(&selections) {
        tags.check(output, selection, Severity::Warning, "it ships nothing", diagnostics);
    }
    // That there is no output at all is told by the reader of the configuration.
    for (input, tag) in inputs.iter().zip(&tags.0).filter(|_| !selections.is_empty()) {
        if !selections.iter().any(|selection| selection.may_take(tag)) {
            let message = format!(
                "input `{}`: no output takes a tag like `{tag}`: its records are read, counted and dropped",
                input.name
            );
            diagnostics.warning(&input.location, message);
        }
    }
}

/// Takes a `Match_Regex` that is no expression as not set, as Fluent Bit does in silence.
fn drop_broken(regex: &mut Option<Located<Verbatim>>, diagnostics: &mut Diagnostics) {
    if let Some(Located { value, location }) = regex
        && let Err(error @ Error::Syntax(_)) = Pattern::new(value)
    {
        diagnostics.warning(location, format!("`Match_Regex` is passed over: {error}"));
        *regex = None;
    }
}

/// `Match` and `Match_Regex` of an instance.
struct Selection<'a> {
    pattern: &'a Option<String>,
    regex: &'a Option<Located<Verbatim>>,
}

impl<'a> Selection<'a> {
    fn of(common: &'a OutputCommon) -> Self {
        let OutputCommon { pattern, pattern_regex, .. } = common;
        Self { pattern, regex: pattern_regex }
    }

    /// Whether one of the two, of which one is enough, can select what the tag becomes.
    fn may_take(&self, tag: &str) -> bool {
        let by_pattern = self.pattern.as_ref().is_some_and(|pattern| may_match(pattern, tag));
        by_pattern
            || self.regex.as_ref().is_some_and(|regex| {
                // What cannot be read is told when it is built.
                !is_fixed(tag)
                    || Pattern::new(regex)
                        .map_or(true, |pattern| Match::Regex(pattern).is_match(&Tag::new(tag)))
            })
    }
}

/// The tags of the inputs, with wildcards in them.
struct Tags<'a>(Vec<&'a str>);

impl Tags<'_> {
    /// `unselected` is how bad it is to have no pattern at all: with such a filter Fluent Bit does not start.
    fn check<C>(
        &self,
        instance: &Instance<C>,
        selection: &Selection<'_>,
        unselected: Severity,
        effect: &str,
        diagnostics: &mut Diagnostics,
    ) {
        let (kind, name) = (instance.plugin.kind.name(), &instance.name);
        let mut warn = |location: &Location, message: String, near: Option<&str>| {
            let found = finding(Severity::Warning, location, message);
            diagnostics.add(match near {
                Some(near) => found.with_remedy(format!("did you mean `{near}`?")),
                None => found,
            });
        };
        let is_set = selection.pattern.is_some() || selection.regex.is_some();
        if is_set && (self.0.is_empty() || self.0.iter().any(|tag| selection.may_take(tag))) {
            return;
        }
        if let Some(pattern) = selection.pattern {
            let message = format!("{kind} `{name}`: no input has a tag like `{pattern}`: {effect}");
            let near = nearest(pattern, self.0.iter().copied());
            warn(instance.section.location_of("Match"), message, near);
        } else if let Some(regex) = selection.regex {
            let message = format!("{kind} `{name}`: `Match_Regex` takes no input's tag: {effect}");
            warn(&regex.location, message, None);
        } else {
            let message = format!("{kind} `{name}` has no `Match`: {effect}");
            diagnostics.add(finding(unselected, &instance.location, message));
        }
    }
}

/// How many of the records of an input a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// None.
    None,
    /// Those with some of the tags that the input's may become, or it is not known.
    Some,
    /// All.
    All,
}

impl FilterCommon {
    /// How many of the records it sees whose tag is made of this one.
    pub fn share(&self, tag: &str) -> Share {
        let Self { pattern, pattern_regex, .. } = self;
        if !(Selection { pattern, regex: pattern_regex }).may_take(tag) {
            return Share::None;
        }
        let start = tag.split(['*', '<']).next().unwrap_or_default();
        let takes_all = |pattern: &String| {
            let before = pattern.strip_suffix('*').filter(|before| !before.contains('*'));
            before.is_some_and(|before| start.starts_with(before))
        };
        if is_fixed(tag) || pattern.as_ref().is_some_and(takes_all) {
            Share::All
        } else {
            Share::Some
        }
    }
}

/// Whether a tag is known before anything is read.
fn is_fixed(tag: &str) -> bool {
    !tag.contains(['*', '<'])
}

/// Whether a pattern with `*` can select what a tag with `*` and `<name>` becomes.
fn may_match(pattern: &str, tag: &str) -> bool {
    let tag = wild(tag);
    if pattern.len().saturating_mul(tag.len()) > STEP_COUNT_MAX {
        return true;
    }
    // Bit by bit of the pattern: the places of the tag at which reading may stand.
    let tag = tag.as_bytes();
    let mut places = vec![false; tag.len() + 1];
    if let Some(start) = places.first_mut() {
        *start = true;
    }
    pass_stars(tag, &mut places);
    for letter in pattern.bytes() {
        let mut next = vec![false; tag.len() + 1];
        let mut is_reached = false;
        for (at, is_place) in places.iter().enumerate() {
            is_reached |= is_place;
            let stays = letter == b'*' && is_reached || *is_place && tag.get(at) == Some(&b'*');
            let moves = at.checked_sub(1).is_some_and(|before| {
                places.get(before) == Some(&true) && tag.get(before) == Some(&letter)
            });
            if let Some(place) = next.get_mut(at) {
                *place = stays || moves;
            }
        }
        pass_stars(tag, &mut next);
        places = next;
    }
    places.last() == Some(&true)
}

/// A `*` of the tag may stand for nothing.
fn pass_stars(tag: &[u8], places: &mut [bool]) {
    let mut before = false;
    for (at, place) in places.iter_mut().enumerate() {
        *place |= before;
        before = *place && tag.get(at) == Some(&b'*');
    }
}

/// A tag with `*` in place of `<name>`.
fn wild(tag: &str) -> String {
    let mut out = String::with_capacity(tag.len());
    let mut rest = tag;
    while let Some((before, behind)) = rest.split_once('<') {
        let Some((_, after)) = behind.split_once('>') else { break };
        out.push_str(before);
        out.push('*');
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, tag: &str, expected: bool) {
        assert_eq!(may_match(pattern, tag), expected, "{pattern} on {tag}");
    }

    #[test]
    fn patterns_and_tags() {
        check("*", "tail.0", true);
        check("kube.*", "kube.*", true);
        check("kub.*", "kube.*", false);
        check("kube.var.log.x", "kube.*", true);
        check("*.log", "kube.*", true);
        check("host.*", "kube.*", false);
        check("kube", "kube.*", false);
        check("kube.", "kube.*", true);
        check("a*b", "a<x>c", false);
        check("a*b", "a<x>b", true);
        check("*shop*", "kube.<namespace>.<pod>", true);
        check("x*", "<namespace>", true);
        check("", "", true);
        check("", "a", false);
        check("a", "", false);
        check("**", "a", true);
        check("a*a", "a", false);
    }

    #[test]
    fn how_many_records_a_filter_sees() {
        for (pattern, tag, expected) in [
            ("kube.*", "kube.*", Share::All),
            ("kube.*", "kube.var.*", Share::All),
            ("*", "kube.<pod>", Share::All),
            ("kube", "kube", Share::All),
            ("kube.var.*", "kube.*", Share::Some),
            ("*.log", "kube.*", Share::Some),
            ("k*.*", "kube.*", Share::Some),
            ("host.*", "kube.*", Share::None),
        ] {
            let pattern = Some(pattern.to_owned());
            let common = FilterCommon { pattern, pattern_regex: None, alias: None };
            assert_eq!(common.share(tag), expected, "{common:?} of {tag}");
        }
    }

    proptest::proptest! {
        /// A tag without parts that are open is matched as records are.
        #[test]
        fn as_records_are_matched(pattern in "[ab*]{0,8}", tag in "[ab]{0,8}") {
            let expected = Match::Wildcard(pattern.clone()).is_match(&Tag::new(&tag));
            proptest::prop_assert_eq!(may_match(&pattern, &tag), expected);
        }

        /// No text in the place of a `*` makes a pattern match that was said not to.
        #[test]
        fn nothing_that_matches_is_told(pattern in "[ab*]{0,6}", tag in "[ab*]{0,6}", text in "[ab]{0,4}") {
            let becomes = tag.replace('*', &text);
            if Match::Wildcard(pattern.clone()).is_match(&Tag::new(&becomes)) {
                proptest::prop_assert!(may_match(&pattern, &tag));
            }
        }
    }
}
