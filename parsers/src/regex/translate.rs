//! Onigmo's Ruby syntax to the syntax of the `regex` crate, in one walk over the pattern.
//!
//! What Ruby has and the crate reads otherwise: `\d \w \s` are ASCII while POSIX brackets and `\b`
//! are not; `\h` is a hexadecimal digit, `\<` a plain character; with named groups, plain ones do not
//! count; names may occur twice; `(?i)` reaches over a following `|`; `{,n}` begins at 0, `{n}?` is
//! optional, and a brace that is no interval is a character.

use nom::branch::alt;
use nom::character::complete::{char, u32};
use nom::combinator::{map, opt, verify};
use nom::sequence::{separated_pair, terminated};
use nom::{IResult, Parser};

use super::Error;
use super::class::Item;

/// A pattern for the crate, to be compiled with line anchors.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// In the order of their first occurrence, each with the numbers of its groups.
    pub(super) names: Vec<(String, Vec<usize>)>,
    pub(super) has_line_start: bool,
}

/// Translates a pattern; `extended`: white space and comments outside of brackets do not count.
pub(super) fn translate(pattern: &str, extended: bool) -> Result<Translated, Error> {
    let mut walk = Walk::new(pattern, extended, Plain::Captures);
    walk.run()?;
    if !walk.names.is_empty() {
        walk = Walk::new(pattern, extended, Plain::Groups);
        walk.run()?;
    }
    Ok(Translated { pattern: walk.out, names: walk.names, has_line_start: walk.has_line_start })
}

/// What a plain parenthesis does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Captures,
    Groups,
}

pub(super) struct Walk<'a> {
    pattern: &'a str,
    /// What was not read yet.
    pub(super) rest: &'a str,
    out: String,
    plain: Plain,
    names: Vec<(String, Vec<usize>)>,
    has_line_start: bool,
    captures: usize,
    extended: bool,
    /// The open groups.
    open: Vec<Group>,
    /// How many `(?i)` the outermost level holds.
    unclosed: usize,
    /// What a quantifier would repeat.
    atom: Option<Atom>,
    /// The possessive repetition before here, of one of these characters: to drop the possession is
    /// safe where what follows cannot begin with one of them.
    possessive: Option<String>,
}

/// An open group.
struct Group {
    /// Where it begins in the output.
    start: usize,
    /// Whether white space counted around it.
    extended: bool,
    /// How many `(?i)` it holds, which end with it.
    unclosed: usize,
}

#[derive(Clone, Copy)]
struct Atom {
    /// Where it begins in the output.
    start: usize,
    /// Always matches one character.
    single: bool,
}

impl<'a> Walk<'a> {
    fn new(pattern: &'a str, extended: bool, plain: Plain) -> Self {
        Self {
            pattern,
            rest: pattern,
            out: String::with_capacity(pattern.len() * 2),
            plain,
            names: Vec::new(),
            has_line_start: false,
            captures: 0,
            extended,
            open: Vec::new(),
            unclosed: 0,
            atom: None,
            possessive: None,
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some(letter) = self.next() {
            match letter {
                _ if self.extended && letter.is_ascii_whitespace() => {}
                '#' if self.extended => {
                    self.rest = self.rest.split_once('\n').map_or("", |(_, behind)| behind);
                }
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => self.close()?,
                '|' => self.alternative()?,
                '*' | '+' | '?' => self.repeat(letter)?,
                '{' => self.interval()?,
                '.' => self.set(".")?,
                '^' => {
                    self.has_line_start = true;
                    self.assertion("^", None)?;
                }
                '$' => self.assertion("$", Some('\n'))?,
                _ => self.literal(letter)?,
            }
        }
        self.close_options(self.unclosed);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = self.rest.strip_prefix(letter)?;
        Some(letter)
    }

    pub(super) fn skip(&mut self, text: &str) -> bool {
        let behind = self.rest.strip_prefix(text);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    pub(super) fn unsupported<T>(&self, feature: &'static str) -> Result<T, Error> {
        let offset = (self.pattern.len() - self.rest.len()).saturating_sub(1);
        Err(Error::Unsupported { feature, offset })
    }

    /// One character that stands for itself.
    fn literal(&mut self, letter: char) -> Result<(), Error> {
        // A quantifier behind may leave the character out.
        let certain = !self.extended && !self.rest.starts_with(['*', '?', '{']);
        self.follow(certain.then_some(letter))?;
        self.atom = Some(Atom { start: self.out.len(), single: true });
        push_escaped(&mut self.out, letter);
        Ok(())
    }

    /// Something that matches one of several characters.
    pub(super) fn set(&mut self, text: &str) -> Result<(), Error> {
        self.follow(None)?;
        self.atom = Some(Atom { start: self.out.len(), single: true });
        self.out.push_str(text);
        Ok(())
    }

    /// Something that matches between characters; `next` is the only one that may follow it.
    fn assertion(&mut self, text: &str, next: Option<char>) -> Result<(), Error> {
        self.follow(next)?;
        self.atom = Some(Atom { start: self.out.len(), single: false });
        self.out.push_str(text);
        Ok(())
    }

    /// Lets go of a possessive repetition before something that begins with `next`.
    fn follow(&mut self, next: Option<char>) -> Result<(), Error> {
        let Some(set) = self.possessive.take() else { return Ok(()) };
        let clash = |next: char| {
            let set = regex::Regex::new(&format!("(?is)^(?:{set})$"));
            set.map_or(true, |set| set.is_match(next.encode_utf8(&mut [0; 4])))
        };
        if next.is_none_or(clash) {
            return self.unsupported("a possessive quantifier whose end is not certain");
        }
        Ok(())
    }

    fn alternative(&mut self) -> Result<(), Error> {
        if self.open.is_empty() {
            self.possessive = None;
        }
        self.follow(None)?;
        self.atom = None;
        self.out.push('|');
        Ok(())
    }

    fn group(&mut self) -> Result<(), Error> {
        if self.skip("?#") {
            self.rest = self.rest.split_once(')').map_or("", |(_, behind)| behind);
            return Ok(());
        }
        self.follow(None)?;
        let group = Group { start: self.out.len(), extended: self.extended, unclosed: 0 };
        if !self.skip("?") {
            self.captures += usize::from(self.plain == Plain::Captures);
            self.out.push_str(if self.plain == Plain::Captures { "(" } else { "(?:" });
        } else if self.skip(":") {
            self.out.push_str("(?:");
        } else if ["=", "!", "<=", "<!"].iter().any(|look| self.rest.starts_with(look)) {
            return self.unsupported("look-around");
        } else if self.rest.starts_with('>') {
            return self.unsupported("an atomic group");
        } else if self.skip("<") {
            self.named('>')?;
        } else if self.skip("'") {
            self.named('\'')?;
        } else {
            return self.options(group);
        }
        self.open.push(group);
        self.atom = None;
        Ok(())
    }

    fn named(&mut self, end: char) -> Result<(), Error> {
        let Some((name, behind)) = self.rest.split_once(end).filter(|(name, _)| !name.is_empty())
        else {
            return Err(Error::Syntax("a group has no name".to_owned()));
        };
        self.rest = behind;
        self.captures += 1;
        match self.names.iter_mut().find(|(known, _)| known == name) {
            Some((_, groups)) => groups.push(self.captures),
            None => self.names.push((name.to_owned(), vec![self.captures])),
        }
        self.out.push('(');
        Ok(())
    }

    /// `(?i-m)`, which lasts to the end of the group around it, or `(?i-m:`, a group of its own.
    fn options(&mut self, group: Group) -> Result<(), Error> {
        let mut flags = String::new();
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => {
                    on = false;
                    flags.push('-');
                }
                Some('i') => flags.push('i'),
                Some('m') => flags.push('s'),
                Some('x') => self.extended = on,
                Some(end @ (')' | ':')) => {
                    self.out.push_str("(?");
                    self.out.push_str(flags.trim_end_matches('-'));
                    self.out.push(':');
                    self.atom = None;
                    if end == ':' {
                        self.open.push(group);
                    } else {
                        let outer = self.open.last_mut().map(|group| &mut group.unclosed);
                        *outer.unwrap_or(&mut self.unclosed) += 1;
                    }
                    return Ok(());
                }
                Some('(') => return self.unsupported("a conditional group"),
                Some('~') => return self.unsupported("an absence group"),
                _ => return self.unsupported("an unknown kind of group"),
            }
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(group) = self.open.pop() else {
            return Err(Error::Syntax("a closing parenthesis has no opening one".to_owned()));
        };
        self.close_options(group.unclosed);
        self.out.push(')');
        self.extended = group.extended;
        self.atom = Some(Atom { start: group.start, single: false });
        Ok(())
    }

    fn close_options(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n(')', count));
    }

    /// `*`, `+` or `?`, with what follows it.
    fn repeat(&mut self, quantifier: char) -> Result<(), Error> {
        self.follow(None)?;
        let Some(atom) = self.atom else {
            return Err(Error::Syntax(format!("nothing to repeat before `{quantifier}`")));
        };
        if self.skip("+") {
            let set = self.out.get(atom.start..).filter(|_| atom.single);
            let Some(set) = set else { return self.unsupported("a possessive quantifier") };
            self.possessive = Some(set.to_owned());
            self.out.push(quantifier);
        } else {
            self.out.push(quantifier);
            if self.skip("?") {
                self.out.push('?');
            }
        }
        // Ruby repeats a repetition; the crate does too, but would read `?` as lazy.
        self.wrap(atom.start);
        Ok(())
    }

    fn interval(&mut self) -> Result<(), Error> {
        let Ok((behind, Interval { low, high, exact })) = interval(self.rest) else {
            return self.literal('{');
        };
        self.follow(None)?;
        let Some(atom) = self.atom else {
            return Err(Error::Syntax("nothing to repeat before `{`".to_owned()));
        };
        self.rest = behind;
        let high = high.map(|high| high.to_string()).unwrap_or_default();
        let ends = if exact { format!("{{{low}}}") } else { format!("{{{low},{high}}}") };
        self.out.push_str(&ends);
        if !exact && self.skip("?") {
            self.out.push('?');
        }
        self.wrap(atom.start);
        Ok(())
    }

    /// Makes what was written since `start` one atom, where another quantifier follows.
    fn wrap(&mut self, start: usize) {
        if self.rest.starts_with(['*', '+', '?', '{']) {
            self.out.insert_str(start, "(?:");
            self.out.push(')');
        }
        self.atom = Some(Atom { start, single: false });
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self) -> Result<(), Error> {
        let Some(letter) = self.next() else {
            return Err(Error::Syntax("a backslash at the end".to_owned()));
        };
        match letter {
            'A' | 'G' => self.assertion(r"\A", None),
            'z' => self.end(r"\z"),
            'Z' => self.end(r"(?:\n?\z)"),
            'b' => self.assertion(r"\b", None),
            'B' => self.assertion(r"\B", None),
            'R' => self.assertion(r"(?:\r\n|[\n-\r\u{85}\u{2028}\u{2029}])", None),
            'K' => self.unsupported("`\\K`"),
            'X' => self.unsupported("`\\X`"),
            'g' => self.unsupported("a call of a group"),
            'k' | '1'..='9' => self.unsupported("a back-reference"),
            _ => match self.class_escape(letter)? {
                Item::One(letter) => self.literal(letter),
                Item::Set(set) => self.set(&format!("[{set}]")),
            },
        }
    }

    /// The end of the text: whatever was repeated before it, nothing can follow.
    fn end(&mut self, text: &str) -> Result<(), Error> {
        self.possessive = None;
        self.assertion(text, None)
    }
}

pub(super) fn push_escaped(out: &mut String, letter: char) {
    out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
}

/// The ends of a repetition.
#[derive(Clone, Copy)]
struct Interval {
    low: u32,
    high: Option<u32>,
    /// One number alone.
    exact: bool,
}

/// Reads an interval behind its opening brace; `{,}` is none.
fn interval(text: &str) -> IResult<&str, Interval> {
    let ends = verify(separated_pair(opt(u32), char(','), opt(u32)), |(low, high)| {
        low.or(*high).is_some()
    });
    let range = map(ends, |(low, high)| Interval { low: low.unwrap_or(0), high, exact: false });
    let exact = map(u32, |count| Interval { low: count, high: Some(count), exact: true });
    terminated(alt((range, exact)), char('}')).parse(text)
}

#[cfg(test)]
mod tests {
    use crate::regex::Pattern;

    /// The first match, as `name=value` of the named groups or the whole of it.
    fn first(pattern: &str, text: &str) -> String {
        let pattern = match Pattern::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return error.to_string(),
        };
        let mut captures = pattern.captures();
        let mut fields = Vec::new();
        if pattern.fields(&mut captures, text, |name, value| fields.push(format!("{name}={value}")))
        {
            return fields.join(" ");
        }
        assert_eq!(pattern.find(&mut captures, text), pattern.is_match(text));
        let found = if pattern.is_match(text) { captures.get(0) } else { None };
        found.map_or("no match".to_owned(), |(start, end)| format!("{start}..{end}"))
    }

    fn check(pattern: &str, text: &str, expected: &str) {
        assert_eq!(first(pattern, text), expected, "{pattern:?} {text:?}");
    }

    #[test]
    fn lines() {
        check("^b", "a\nb", "2..3");
        check("a$", "a\nb", "0..1");
        check("^$", "a\n", "no match");
        check("^\\s*$", "a\n", "no match");
        check("^$", "a\n\n", "2..2");
        check("^$", "", "0..0");
        check("a.b", "a\nb", "no match");
        check("/a.b/m", "a\nb", "0..3");
        check("(?m)a.b", "a\nb", "0..3");
        check("(?m:a.)(?-m:.)b", "a\n\nb", "no match");
        check("b\\z", "b\n", "no match");
        check("b\\Z", "b\n", "0..2");
        check("\\Ab", "a\nb", "no match");
        check("a\\Rb", "a\r\nb", "0..4");
    }

    #[test]
    fn slashes_and_flags() {
        check("/ab/", "xab", "1..3");
        check("/AB/i", "xab", "1..3");
        check("/a b # c\n c/x", "abc", "0..3");
        check("/a[ ]b/x", "a b", "0..3");
        check("/a/b", "x/a/b", "1..5");
        check("/a/o", "x/a/o", "1..5");
        check("/a/ix", "A", "0..1");
        check("/", "a/", "1..2");
        check("//", "a", "0..0");
        check("\\/a\\/", "/a/", "0..3");
        check("a(?i)b|c", "aC", "0..2");
        check("(?:a(?i)b)c", "aBC", "no match");
        check("a(?x: b c )d e", "abcd e", "0..6");
        check("(?i-m:A)b", "ab", "0..2");
        check("a(?#no)b", "ab", "0..2");
    }

    #[test]
    fn characters() {
        check("\\d+", "٣1", "2..3");
        check("\\w+", "éa", "2..3");
        check("\\s", "\u{a0} ", "2..3");
        check("[^\\d]", "1٣", "1..3");
        check("[\\W\\d]+", "a1-b", "1..3");
        check("\\h+\\H", "xfF0g", "1..5");
        check("[[:alpha:]]+", "1éb", "1..4");
        check("[[:^digit:]_]+", "1a_", "1..3");
        check("[[:punct:]]", "a$", "1..2");
        check("[a[bc]]+", "abcd", "0..3");
        check("[a-z&&[^b-y]]+", "bazc", "1..3");
        check("[b~~c]+", "a~b", "1..3");
        check("[]a]+", "]a", "0..2");
        check("[^]a]", "]ab", "2..3");
        check("[\\w.-]+", "a.-", "0..3");
        check("[\\w-x]+", "-x", "0..2");
        check("[a-c-e]+", "-d", "0..1");
        check("[-0-9]+", "-09", "0..3");
        check("[+--]+", "+,-", "0..3");
        check("[a-]", "-", "0..1");
        check("[a-\\d]+", "-5a", "0..3");
        check("[\\b]", "\u{8}", "0..1");
        check("\\<\\-\\>\\#\\@\\é", "<->#@é", "0..7");
        check("\\x41\\x{e9}\\u00e9\\060\\t\\e", "Aéé0\t\u{1b}", "0..8");
        check("\\p{^Alpha}\\P{Lu}\\p{Han}", "1a日", "0..5");
        check("]}{", "]}{", "0..3");
        check("a{,}b{x}", "a{,}b{x}", "0..8");
        check("[\\]\\[]+", "][", "0..2");
    }

    #[test]
    fn quantifiers() {
        check("ba{,2}", "baaa", "0..3");
        check("ba{1}?b", "bb", "0..2");
        check("ba{1,3}?", "baaa", "0..2");
        check("ba{3,3}?", "baaa", "0..4");
        check("b(?:a{2})+", "baaaaa", "0..5");
        check("ba{2}{2}", "baaaaa", "0..5");
        check("ba{1,2}+", "baaaaa", "0..6");
        check("ba+*c", "bc", "0..2");
        check("ba??", "ba", "0..1");
        check("é*", "éé", "0..4");
    }

    #[test]
    fn possessive_quantifiers() {
        check("[^ ]*+ b", "a b", "0..3");
        check("(?<a>[^ ]++) b", "a b", "a=a");
        check("a[b-c]*+", "abcd", "0..3");
        check("(?:a[b-c]*+)d", "abcd", "0..4");
        check("[^ \n]*+$", "ab", "0..2");
        check("a?+\\z", "a", "0..1");
        let unsure = "which is not supported; rewrite it without";
        for pattern in [
            "[a-z]*+z",
            "/[a-z]*+Z/i",
            "[^ ]*+ ?a",
            "(?:a*+)*",
            "a*+.",
            "(a*+|b)a",
            "a*++",
            "(ab)*+",
        ] {
            assert!(first(pattern, "").ends_with(unsure), "{pattern} {}", first(pattern, ""));
        }
    }

    #[test]
    fn groups() {
        check("(?<a>x)(y)(?:z)(?<b-c.d>.)", "xyzw", "a=x b-c.d=w");
        check("(?'a'x)", "x", "a=x");
        check("(?<a>x)|(?<b>y)", "y", "a= b=y");
        check("(?<a>x)?y", "y", "0..1");
        check("(?<a>x)(?<b>y)?(?<a>z)", "xz", "a=x a=z b=");
        check("(?<a>)x", "x", "a=");
        let plain = Pattern::new("^(a)(?:b)(c)?").unwrap();
        let mut captures = plain.captures();
        assert!(plain.find(&mut captures, "ab"));
        let groups = [0, 1, 2, 3].map(|group| captures.get(group));
        assert_eq!(groups, [Some((0, 2)), Some((0, 1)), None, None]);
        assert!(!plain.fields(&mut captures, "ab", |_, _| ()));
        assert_eq!(
            Pattern::new("(?<b>.)(?<a>.)(?<b>.)").unwrap().names().collect::<Vec<_>>(),
            ["b", "a"]
        );
    }

    #[test]
    fn errors() {
        let unsupported = |feature: &str, offset: usize| {
            format!(
                "regular expression uses {feature} at byte {offset}, \
                 which is not supported; rewrite it without"
            )
        };
        check("a(?=b)", "", &unsupported("look-around", 2));
        check("(?<!b)", "", &unsupported("look-around", 1));
        check("(?>b)", "", &unsupported("an atomic group", 1));
        check("(?<a>b)\\k<a>", "", &unsupported("a back-reference", 8));
        check("(b)\\1", "", &unsupported("a back-reference", 4));
        check("(?(1)a)", "", &unsupported("a conditional group", 2));
        let invalid = |why: &str| format!("regular expression is not valid: {why}");
        check("a)", "", &invalid("a closing parenthesis has no opening one"));
        check("(a", "", &invalid("unclosed group"));
        check("[a", "", &invalid("a bracket is not closed"));
        check("[a[:x]+", "", &invalid("a bracket is not closed"));
        check("*a", "", &invalid("nothing to repeat before `*`"));
        check("a\\", "", &invalid("a backslash at the end"));
        check("(?<>a)", "", &invalid("a group has no name"));
        check("\\xff", "", &invalid("`ff` is not the number of a character"));
        check("[z-a]", "", &invalid("invalid character class range, the start must be <= the end"));
        check("\\p{Nope}", "", &invalid("Unicode property not found"));
    }

    #[test]
    fn patterns_of_fluent_bits_own_parsers() {
        check(
            r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")"#,
            r#"1.2.3.4 - - [06/May/2024:07:08:09 +0000] "GET /a b HTTP/1.1" 200 12 "-" "curl""#,
            "remote=1.2.3.4 host=- user=- time=06/May/2024:07:08:09 +0000 method=GET path=/a b code=200 size=12 referer=- agent=curl",
        );
        check(
            r"/^\<(?<pri>[0-9]+)\>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) (?<host>[^ ]*) (?<ident>[a-zA-Z0-9_\/\.\-]*)(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$/",
            "<34>Oct  1 22:14:15 mymachine su: failed",
            "pri=34 time=Oct  1 22:14:15 host=mymachine ident=su pid= message=failed",
        );
        check(
            r"^(?<time>[^ ]*)\s+(?<severity>\w)\s+(?<component>[^ ]+)\s+\[(?<context>[^\]]+)]\s+(?<message>.*?) *(?<ms>(\d+))?(:?ms)?$",
            "t I NETWORK  [conn1] end 12ms",
            "time=t severity=I component=NETWORK context=conn1 message=end ms=12",
        );
    }
}
