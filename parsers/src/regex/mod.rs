//! Regular expressions of users: written for Onigmo in Ruby's dialect, run by the `regex` crate in
//! linear time. Patterns of access logs, and others of their shape, are run by hand where a line is as
//! they want it.
//!
//! What cannot be had in linear time, such as look-around and references to groups, is run by the
//! `fancy-regex` crate, which goes back as Onigmo does, up to a limit.
//!
//! Known differences: in linear time, `\Z` before a last line feed takes that line feed into the match;
//! `i` folds single characters only (`ß` is not `ss`); `\X`, control and meta escapes are refused.

mod class;
mod forward;
mod stock;
mod translate;

use ::regex::{CaptureLocations, RegexBuilder};
use forward::{Forward, Span};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use translate::{Engine, Translated};

pub use stock::{Stock, stock};

/// How often a match may go back before it is given up: a line of a megabyte can be gone over once,
/// and a pattern that explodes is stopped after some 20 ms.
const BACKTRACK_MAX: usize = 1_000_000;

/// How many instructions a pattern that can go back may have; calls of groups are copies of them.
const INSTRUCTIONS_MAX: usize = 100_000;

/// How many matches of this process were given up.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

/// How many matches were given up since the process began, because they went back too often. They
/// count as no match.
pub fn given_up() -> u64 {
    GIVEN_UP.load(Ordering::Relaxed)
}

/// A pattern that was read, and is not compiled yet: one that nobody uses needs no memory for it.
#[derive(Clone, Debug)]
pub struct Expression {
    flags: Flags,
    translated: Translated,
    forward: Option<Forward>,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// A shorter way to the fields of most texts.
    forward: Option<Forward>,
    /// In the order of their first occurrence, each with the numbers of its groups.
    names: Vec<(String, Vec<usize>)>,
    /// Ruby's `^` does not match behind the last line feed of a text; the crate's does.
    has_line_start: bool,
}

#[derive(Clone, Debug)]
enum Regex {
    Linear(::regex::Regex),
    /// Allocates for each match of groups.
    Backtracking(Box<fancy_regex::Regex>),
}

/// Where the groups of a pattern matched; made once by [`Pattern::captures`], used for each text.
#[derive(Clone, Debug)]
pub struct Captures {
    /// Of a pattern in linear time.
    locations: Option<CaptureLocations>,
    /// Of other patterns, and of the shorter way.
    spans: Vec<Span>,
}

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Part of the dialect, but not to be had in linear time.
    #[error(
        "regular expression uses {feature} at byte {offset}, which is not supported; rewrite it without"
    )]
    Unsupported {
        /// In words.
        feature: &'static str,
        /// Where in the pattern, in bytes.
        offset: usize,
    },
    /// No regular expression in any dialect.
    #[error("regular expression is not valid: {0}")]
    Syntax(String),
}

impl Expression {
    /// Reads a pattern as Fluent Bit takes it: bare, between slashes, or between slashes with
    /// the flags `i`, `m` (the dot matches line feeds) and `x` behind them.
    pub fn read(text: &str) -> Result<Self, Error> {
        let (body, flags) = split_flags(text);
        let translated = translate::translate(body, flags.extended)?;
        let forward = Forward::read(body, &translated.names).filter(|_| flags == Flags::default());
        Ok(Self { flags, translated, forward })
    }

    /// Whether its syntax is right, which costs a fraction of compiling it. Patterns that go back are
    /// compiled for it; one that has a shorter way was read to its end already.
    pub fn check(&self) -> Result<(), Error> {
        if self.forward.is_some() {
            return Ok(());
        }
        let Translated { pattern, engine, .. } = &self.translated;
        match engine {
            Engine::Linear => regex_syntax::ParserBuilder::new()
                .multi_line(true)
                .case_insensitive(self.flags.ignore_case)
                .dot_matches_new_line(self.flags.dot_all)
                .build()
                .parse(pattern)
                .map(drop)
                .map_err(|error| syntax(&error.to_string())),
            Engine::Backtracking => self.regex().map(drop),
        }
    }

    /// The names of the groups, in the order in which [`Pattern::fields`] has them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.translated.names.iter().map(|(name, _)| name.as_str())
    }

    /// Compiles it.
    pub fn compile(&self) -> Result<Pattern, Error> {
        let Translated { names, has_line_start, .. } = &self.translated;
        Ok(Pattern {
            regex: self.regex()?,
            forward: self.forward.clone(),
            names: names.clone(),
            has_line_start: *has_line_start,
        })
    }

    fn regex(&self) -> Result<Regex, Error> {
        let Self { flags, translated: Translated { pattern, engine, .. }, .. } = self;
        match engine {
            Engine::Linear => RegexBuilder::new(pattern)
                .multi_line(true)
                .case_insensitive(flags.ignore_case)
                .dot_matches_new_line(flags.dot_all)
                .build()
                .map(Regex::Linear)
                .map_err(|error| syntax(&error.to_string())),
            Engine::Backtracking => fancy_regex::RegexBuilder::new(pattern)
                .multi_line(true)
                .case_insensitive(flags.ignore_case)
                .dot_matches_new_line(flags.dot_all)
                .backtrack_limit(BACKTRACK_MAX)
                .max_prog_size(INSTRUCTIONS_MAX)
                .build()
                .map(|regex| Regex::Backtracking(Box::new(regex)))
                .map_err(|error| syntax(&explain(&error))),
        }
    }
}

impl Pattern {
    /// Reads and compiles a pattern, as [`Expression::read`] and [`Expression::compile`] do.
    pub fn new(text: &str) -> Result<Self, Error> {
        Expression::read(text)?.compile()
    }

    /// Whether the pattern matches anywhere in the text.
    #[inline]
    pub fn is_match(&self, text: &str) -> bool {
        let regex = match &self.regex {
            Regex::Linear(regex) => regex,
            Regex::Backtracking(regex) => {
                return regex.is_match(text).unwrap_or_else(|_| give_up());
            }
        };
        if self.has_line_start && text.ends_with('\n') {
            return regex.find(text).is_some_and(|found| found.start() < text.len());
        }
        regex.is_match(text)
    }

    /// Room for the groups of this pattern.
    pub fn captures(&self) -> Captures {
        let locations = match &self.regex {
            Regex::Linear(regex) => Some(regex.capture_locations()),
            Regex::Backtracking(_) => None,
        };
        Captures { locations, spans: Vec::new() }
    }

    /// Matches and keeps where the groups are, for their numbers ([`Captures::get`]). `captures`
    /// must come from this pattern.
    pub fn find(&self, captures: &mut Captures, text: &str) -> bool {
        match (&self.regex, &mut captures.locations) {
            (Regex::Linear(regex), Some(locations)) => {
                let Some(found) = regex.captures_read(locations, text) else { return false };
                !(self.has_line_start && text.ends_with('\n') && found.start() == text.len())
            }
            (Regex::Backtracking(regex), None) => {
                captures.spans.clear();
                let Ok(found) = regex.captures(text) else { return give_up() };
                let Some(found) = found else { return false };
                let spans = found.iter().map(|group| group.map(|it| (it.start(), it.end())));
                captures.spans.extend(spans);
                true
            }
            // Of another pattern.
            _ => false,
        }
    }

    /// Matches and calls `field` with the number among [`Expression::names`] of each name, with the name and what its group matched: a group that took no
    /// part in the match gives an empty value, which `Skip_Empty_Values` leaves out.
    ///
    /// False, as in Fluent Bit: no match, or one in which no named group took part. Then nothing
    /// was called.
    pub fn fields<'p, 't>(
        &'p self,
        captures: &mut Captures,
        text: &'t str,
        mut field: impl FnMut(usize, &'p str, &'t str),
    ) -> bool {
        if let Some(forward) = &self.forward
            && forward.run(text, &mut captures.spans)
        {
            for ((index, (name, _)), span) in self.names.iter().enumerate().zip(&captures.spans) {
                let value = span.and_then(|(start, end)| text.get(start..end));
                field(index, name, value.unwrap_or_default());
            }
            return true;
        }
        self.fields_by_regex(captures, text, field)
    }

    /// What [`Self::fields`] does, without the shorter way.
    fn fields_by_regex<'p, 't>(
        &'p self,
        captures: &mut Captures,
        text: &'t str,
        mut field: impl FnMut(usize, &'p str, &'t str),
    ) -> bool {
        let groups = || self.names.iter().flat_map(|(_, groups)| groups);
        if !self.find(captures, text) || !groups().any(|group| captures.get(*group).is_some()) {
            return false;
        }
        for (index, (name, groups)) in self.names.iter().enumerate() {
            for group in groups {
                let value = captures.get(*group).and_then(|(start, end)| text.get(start..end));
                field(index, name, value.unwrap_or_default());
            }
        }
        true
    }
}

impl Captures {
    /// The start and end of a group in the text of the last match; 0 is the whole match. As in
    /// Ruby, plain groups have numbers only where the pattern has no named ones.
    pub fn get(&self, group: usize) -> Option<(usize, usize)> {
        match &self.locations {
            Some(locations) => locations.get(group),
            None => self.spans.get(group).copied().flatten(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
    extended: bool,
}

/// Takes the slashes and flags off. As in Fluent Bit, a pattern with any other letter behind its
/// last slash is taken as a whole, and so is one with `o` alone there.
fn split_flags(text: &str) -> (&str, Flags) {
    let none = Flags::default();
    let Some((body, letters)) = text.strip_prefix('/').and_then(|text| text.rsplit_once('/'))
    else {
        return (text, none);
    };
    let mut flags = none;
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            'm' => flags.dot_all = true,
            'x' => flags.extended = true,
            'o' => {}
            _ => return (text, none),
        }
    }
    if letters.is_empty() || flags.ignore_case || flags.dot_all || flags.extended {
        (body, flags)
    } else {
        (text, none)
    }
}

fn explain(error: &fancy_regex::Error) -> String {
    use fancy_regex::CompileError::{LookBehindNotConst, VariableLookBehindRequiresFeature};
    if let fancy_regex::Error::CompileError(error) = error
        && let LookBehindNotConst | VariableLookBehindRequiresFeature = **error
    {
        return "a look-behind may match texts of different lengths".to_owned();
    }
    error.to_string()
}

/// Counts a match that went back too often; it is none.
fn give_up() -> bool {
    GIVEN_UP.fetch_add(1, Ordering::Relaxed);
    false
}

/// The crates draw a picture of the pattern first; what is wrong is in the last line.
fn syntax(message: &str) -> Error {
    let last = message.lines().last().unwrap_or(message);
    Error::Syntax(last.trim_start_matches("error: ").to_owned())
}

/// Fuzz entry: `data` is a pattern, a line feed and a text; a pattern that compiles finds groups
/// that lie in the text, the same ones in every way.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_regex(data: &[u8]) {
    let Ok(data) = str::from_utf8(data) else { return };
    let Some((text_of_pattern, text)) = data.split_once('\n') else { return };
    let Ok(expression) = Expression::read(text_of_pattern) else { return };
    let checked = expression.check();
    let Ok(pattern) = expression.compile() else {
        assert!(expression.forward.is_none(), "a shorter way for what is no pattern");
        return;
    };
    assert_eq!(checked, Ok(()), "a pattern that compiles");
    let fields = fuzz_pattern(&pattern, text);
    if let Some(stock) = stock(text_of_pattern) {
        let expected = crate::cri::parse(text).map(|line| stock.fields(&line));
        assert_eq!(fields, expected.map(Vec::from), "stock pattern");
    }
}

/// Fuzz entry: a line of an access log has the same fields by hand and by Fluent Bit's expressions
/// for nginx and Apache.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_access_log(data: &[u8]) {
    const START: &str =
        r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)"#;
    const LAZY: &str = r#"(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)"#;
    const WORD: &str = r#"(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)"#;
    const NGINX: &str = r#"(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")"#;
    const APACHE: &str = r#"(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#;
    const APACHE2: &str = r#"(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$"#;
    static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let texts = [[START, LAZY, NGINX], [START, LAZY, APACHE], [START, WORD, APACHE2]];
        texts.iter().filter_map(|parts| Pattern::new(&parts.concat()).ok()).collect()
    });
    let Ok(text) = str::from_utf8(data) else { return };
    for pattern in &*PATTERNS {
        assert!(pattern.forward.is_some(), "a pattern that has no shorter way");
        fuzz_pattern(pattern, text);
    }
}

/// The fields, if there are any.
fn fuzz_pattern<'a>(pattern: &'a Pattern, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut captures = pattern.captures();
    let matched = pattern.find(&mut captures, text);
    assert_eq!(matched, pattern.is_match(text), "two ways to match");
    let mut fields = Vec::new();
    let found = pattern.fields(&mut captures, text, |_, name, value| fields.push((name, value)));
    assert!(matched || !found, "fields without a match");
    assert_eq!(found, !fields.is_empty(), "fields and their number");
    assert!(fields.iter().all(|(_, value)| text.contains(value)), "fields of the text");
    let mut by_regex = Vec::new();
    let also = pattern.fields_by_regex(&mut captures, text, |_, name, value| {
        by_regex.push((name, value));
    });
    assert_eq!((found, &fields), (also, &by_regex), "the shorter way");
    found.then_some(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Patterns that go back must not end the process, whatever refers to what.
        #[test]
        fn fuzz_entry_holds(
            pattern in r"(a|b|\(|\(\?=|\(\?!|\(\?<=|\(\?>|\(\?<n>|\(\?:|\)|\)|\)|\)\*|\)\?|\*|\+\+|\||\^|\$|\.|\\1|\\k<n>|\\g<n>|\\K|\(\?\(1\)){1,9}",
            text in "[ab\n]{0,6}",
        ) {
            super::fuzz_regex(format!("{pattern}\n{text}").as_bytes());
        }
    }
}
