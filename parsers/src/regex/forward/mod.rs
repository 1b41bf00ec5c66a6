//! Patterns run from left to right without going back: the access logs of web servers, and whatever
//! else says only what stands between what.
//!
//! A backtracking matcher tries its choices in order, the longest repetition and the optional group
//! first, and its match is the first way through the pattern that succeeds. So if the very first way
//! succeeds, it is the match. [`Forward::run`] walks that way alone; where it gets stuck it says
//! nothing, and the regular expression decides. What it need not know, it does not: a text with
//! control characters is left to the expression, so that here `^` is the start of the text, `$` its
//! end, `.` any character and `\S` any but a space.

mod read;

use memchr::{memchr, memchr2, memrchr};

/// The start and end of a group in the text; `None` if it took no part.
pub(super) type Span = Option<(usize, usize)>;

/// A pattern that can be run this way.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    steps: Vec<Step>,
    /// How many groups it has, each with a name of its own.
    group_count: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// These characters.
    Literal(Box<str>),
    /// The longest run without one of the stops, less `back` bytes: where the literal behind it
    /// begins with as many bytes that are no stops, it can match nowhere else.
    Run { group: Option<usize>, stops: Stops, not_empty: bool, back: usize },
    /// As many spaces as there are, at least one.
    Spaces,
    /// What stands between a method and the quote that ends the request.
    Target { path: usize, kind: Target },
    /// Steps of which the first is a literal: where that does not stand, they are passed over.
    Optional(Vec<Self>),
    /// The end of the text.
    End,
}

/// What ends a run, always ASCII.
#[derive(Clone, Copy, Debug)]
enum Stops {
    /// Only the end of the text.
    None,
    One(u8),
    Two(u8, u8),
}

/// How a pattern parts the path of a request from its protocol. A space stands behind the quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The protocol is the last word before the quote: `(?: +(?<path>[^"]*?)(?: +\S*)?)?`.
    LastWord,
    /// As [`Self::LastWord`], and it is certain that there may be nothing at all:
    /// `(?: +(?<path>[^"]*?))?(?: +[^ "]*)?` behind a method without quotes.
    LastWordOrNothing,
    /// The path is one word, and quotes may stand in both: `(?: +(?<path>[^ ]*) +\S*)?`.
    OneWord,
}

impl Forward {
    /// Takes the spans of all groups. False: the regular expression decides.
    pub(super) fn run(&self, text: &str, spans: &mut Vec<Span>) -> bool {
        // Without a way out in between, the compiler makes this a few vector instructions.
        if text.bytes().fold(u8::MAX, u8::min) < b' ' {
            return false;
        }
        spans.clear();
        spans.resize(self.group_count, None);
        let mut walk = Walk { rest: text.as_bytes(), len: text.len(), spans };
        walk.steps(&self.steps).is_some() && spans.iter().any(Option::is_some)
    }
}

/// A walk over the text.
struct Walk<'t, 's> {
    /// What was not read yet.
    rest: &'t [u8],
    /// The length of the whole text.
    len: usize,
    spans: &'s mut [Span],
}

impl Walk<'_, '_> {
    fn steps(&mut self, steps: &[Step]) -> Option<()> {
        for step in steps {
            match step {
                Step::Literal(text) => self.rest = self.rest.strip_prefix(text.as_bytes())?,
                Step::Run { group, stops, not_empty, back } => {
                    let longest = stops.find(self.rest).unwrap_or(self.rest.len());
                    let len = longest.checked_sub(*back)?;
                    if *not_empty && len == 0 {
                        return None;
                    }
                    self.take(*group, len)?;
                }
                Step::Spaces => self.spaces()?,
                Step::Target { path, kind } => self.target(*path, *kind)?,
                Step::Optional(steps) => {
                    let is_there = match steps.first() {
                        Some(Step::Literal(text)) => self.rest.starts_with(text.as_bytes()),
                        _ => return None,
                    };
                    if is_there {
                        self.steps(steps)?;
                    }
                }
                Step::End if self.rest.is_empty() => {}
                Step::End => return None,
            }
        }
        Some(())
    }

    /// Goes on by `len` bytes, which are those of the group.
    fn take(&mut self, group: Option<usize>, len: usize) -> Option<()> {
        let start = self.len - self.rest.len();
        self.rest = self.rest.get(len..)?;
        if let Some(group) = group {
            *self.spans.get_mut(group)? = Some((start, start + len));
        }
        Some(())
    }

    fn spaces(&mut self) -> Option<()> {
        let [b' ', behind @ ..] = self.rest else { return None };
        self.rest = behind;
        while let [b' ', behind @ ..] = self.rest {
            self.rest = behind;
        }
        Some(())
    }

    /// Goes on to the quote behind the request. That a space stands behind it keeps `\S*` from
    /// reaching over it.
    fn target(&mut self, path: usize, kind: Target) -> Option<()> {
        if kind == Target::LastWordOrNothing && self.rest.starts_with(b"\"") {
            return Some(());
        }
        self.spaces()?;
        if kind == Target::OneWord {
            self.take(Some(path), memchr(b' ', self.rest)?)?;
            self.spaces()?;
            return self.take(None, memchr(b' ', self.rest)?.checked_sub(1)?);
        }
        let quote = memchr(b'"', self.rest)?;
        let (request, behind) = self.rest.split_at_checked(quote)?;
        if !behind.starts_with(b"\" ") {
            return None;
        }
        // The path is lazy: it ends where nothing but spaces and one word are left.
        let mut end = memrchr(b' ', request).unwrap_or(quote);
        while let Some((b' ', before)) = request.get(..end)?.split_last() {
            end = before.len();
        }
        self.take(Some(path), end)?;
        self.rest = behind;
        Some(())
    }
}

impl Stops {
    fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::None => None,
            Self::One(stop) => memchr(stop, text),
            Self::Two(one, other) => memchr2(one, other, text),
        }
    }

    /// How many bytes of a literal behind the run are none of the stops. If all of them, the run
    /// would swallow it, unless it is the end of the text that stops it.
    fn back(self, literal: &str) -> usize {
        match self {
            Self::None => literal.len(),
            _ => self.find(literal.as_bytes()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use crate::regex::Pattern;

    /// Fluent Bit's patterns of several versions, and others of the shape, with a line for each that
    /// must go the short way.
    const PATTERNS: &[(&str, &str)] = &[
        // nginx of 5.1, and of versions before, where the end is optional.
        (
            r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")"#,
            r#"1.2.3.4 - - [06/May/2024:07:08:09 +0000] "GET /a b?c HTTP/1.1" 200 12 "-" "curl" more"#,
        ),
        (
            r#"/^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$/"#,
            r#"1.2.3.4 - - [t] "GET  /  HTTP/1.1" 200 12"#,
        ),
        // apache, apache2, and apache2 before its agent could hold quotes.
        (
            r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#,
            r#"h - u [t] "GET /" 200 - "r" "a""#,
        ),
        (
            r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$"#,
            r#"h - u [t] "GET /"x HTTP/1"" 200 - "r" "a \"b\"""#,
        ),
        (
            r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#,
            r#"é - u [t] "GET / HTTP/1.1" 200 -"#,
        ),
        // k8s-nginx-ingress.
        (
            r#"^(?<host>[^ ]*) - (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*) "(?<referer>[^\"]*)" "(?<agent>[^\"]*)" (?<request_length>[^ ]*) (?<request_time>[^ ]*) \[(?<proxy_upstream_name>[^ ]*)\] (\[(?<proxy_alternative_upstream_name>[^ ]*)\] )?(?<upstream_addr>[^ ]*) (?<upstream_status>[^ ]*) (?<reg_id>[^ ]*).*$"#,
            r#"h - u [t] "GET / HTTP/1.1" 200 1 "-" "c" 5 0.1 [n-s-80] [] 10.0.0.1:80 200 9f"#,
        ),
        (
            r#"^(?<h>\S+) \[(?<t>[^]]+)\] "(?<method>[^ "]+)(?: +(?<path>[^"]*?))?(?: +[^ "]*)?" (?<code>[^ ]*)(?: "(?<r>[^"]*)")?$"#,
            r#"h [t] "-" 400 "r""#,
        ),
        (r"^(?<a>.*)-$", "a-b--"),
        (r"^(?<a>[^ ]+)(?: (?<b>[^ ]*))? +(?<c>.*)$", "a b  c"),
        (r"^\[(?<a>[^ ]*)\] (\[(?<b>[^ ]*)\] )?(?<c>\S*).*$", "[a]] [b] c d"),
        (r"^<(?<a>[^>]+)>(?<b>[^:\]]*): *(?<c>.*)", ""),
        (r"^<(?<a>[^>]+)>(?<b>[^:\]]*): (?<c>.*)", "<34>b: c"),
    ];

    /// The expressions of our own file.
    fn stock() -> impl Iterator<Item = (&'static str, &'static str)> {
        let lines = include_str!("../../../../config/parsers.conf").lines().map(str::trim);
        let mut name = "";
        lines.filter_map(move |line| {
            name = line.strip_prefix("Name ").map_or(name, str::trim);
            Some((name, line.strip_prefix("Regex ")?.trim()))
        })
    }

    /// The fields by the shorter way, if it is sure, and by the expression.
    fn both(pattern: &Pattern, text: &str) -> (Option<Vec<String>>, Option<Vec<String>>) {
        let mut captures = pattern.captures();
        let mut fields = Vec::new();
        let mut collect =
            |_: usize, name: &str, value: &str| fields.push(format!("{name}={value}"));
        let found = pattern.fields_by_regex(&mut captures, text, &mut collect);
        let by_regex = found.then_some(fields);
        let forward = pattern.forward.as_ref();
        let is_sure = forward.is_some_and(|forward| forward.run(text, &mut captures.spans));
        let value = |(name, span): (&str, &super::Span)| {
            format!("{name}={}", span.map_or("", |(start, end)| &text[start..end]))
        };
        let names = pattern.names.iter().map(|(name, _)| name.as_str());
        let fields = || names.zip(&captures.spans).map(value).collect();
        (is_sure.then(fields), by_regex)
    }

    #[test]
    fn lines_that_go_the_short_way() {
        for (pattern, line) in PATTERNS.iter().filter(|(_, line)| !line.is_empty()) {
            let (forward, by_regex) = both(&Pattern::new(pattern).unwrap(), line);
            assert_eq!(forward, by_regex, "{pattern} {line}");
            assert!(forward.is_some(), "{pattern} {line}");
        }
    }

    /// Those with repeated digits or choices are not.
    #[test]
    fn expressions_of_our_own_file() {
        let recognised: Vec<_> = stock()
            .filter(|(_, pattern)| Pattern::new(pattern).unwrap().forward.is_some())
            .map(|(name, _)| name)
            .collect();
        let expected =
            "nginx apache apache2 apache_error k8s-nginx-ingress envoy istio-envoy-proxy";
        assert_eq!(recognised.join(" "), expected);
    }

    #[test]
    fn patterns_that_are_not_recognised() {
        let check = |pattern: &str, expected: bool| {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.forward.is_some(), expected, "{pattern}");
        };
        check("^(?<a>[^ ]*) (?<b>.*)$", true);
        check("(?<a>[^ ]*) (?<b>.*)$", false);
        check("/^(?<a>[^ ]*) (?<b>.*)$/", true);
        check("/^(?<a>[^ ]*) (?<b>.*)$/i", false);
        check("^[^ ]*", false);
        check("^(?<a>[^ ]*?) ", false);
        check("^(?<a>[^ ]*)? ", false);
        check("^(?<a>[^ ]{2}) ", false);
        check("^(?<a>[^a-z]*) ", false);
        check("^(?<a>[^é]*) ", false);
        check("^(?<a>[^]]*)]", true);
        check("^(?<a>[^\\]\"]*)", true);
        check("^(?<a>x) (?<a>[^ ]*)", false);
        check("^(?<a>[^ ]*) (?<a>[^ ]*)", false);
        check("^(?<a>[^ ]*)|b", false);
        check("^(?<a>[^ ]*)(?:(?<b>[^ ]*) )?", false);
        check("^(?<a>[^ ]*)(?: (?<b>[^ ]*) )*", false);
        check("^(?<a>[^ ]*)x?", false);
        check("^(?<a>[^ ]*)\\d", false);
    }

    /// What lines are made of, whole and broken.
    fn line() -> impl Strategy<Value = String> {
        let word = "(-|[a-z]{1,3}|é|\"|\\]|\\[|| |\t|\n|x\"|\"y)";
        let request = "(GET|-|\"|G\"|) {0,2}(/a|/a b|/\"|a\"b|) {0,2}(HTTP/1.1|x y|\"| |\t|)";
        let near = format!(
            "{word} ({word} )?{word} \\[({word}|t)\\] \"{request}\"( {word}){{1,2}}( \"{word}\"){{0,2}}( {word}| \\[{word}\\]){{0,9}}"
        );
        let whole = "[a-z] - [a-z] \\[t\\] \"GET /[a-z]?( [a-z])?( HTTP/1)?\" 200 -?( \"r?\" \"[a\"]?\")?( 1){0,9}";
        prop_oneof![
            proptest::string::string_regex(&near).unwrap(),
            proptest::string::string_regex(whole).unwrap(),
            "[-a :<>\\[\\]\"]{0,12}",
            "(\\PC|\\s|\"){0,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn where_it_is_sure_it_is_right(text in line(), index: prop::sample::Index) {
            static COMPILED: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
                let own = stock().map(|(_, pattern)| pattern);
                let patterns = PATTERNS.iter().map(|(pattern, _)| *pattern).chain(own);
                let compiled = patterns.map(|pattern| Pattern::new(pattern).unwrap());
                compiled.filter(|pattern| pattern.forward.is_some()).collect()
            });
            let (forward, by_regex) = both(index.get(&COMPILED), &text);
            if forward.is_some() {
                prop_assert_eq!(forward, by_regex);
            }
        }
    }
}
