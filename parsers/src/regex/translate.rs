//! Onigmo's Ruby syntax to the syntax of the `regex` and `fancy-regex` crates, in one walk over the pattern.
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

/// What is to run a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// The `regex` crate: linear time, without look-around, references and calls.
    Linear,
    /// The `fancy-regex` crate.
    Backtracking,
}

/// A pattern for the crate, to be compiled with line anchors.
#[derive(Clone, Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) engine: Engine,
    /// In the order of their first occurrence, each with the numbers of its groups.
    pub(super) names: Vec<(String, Vec<usize>)>,
    pub(super) has_line_start: bool,
}

/// Translates a pattern, for the crate that needs to go back only if there is no other way;
/// `extended`: white space and comments outside of brackets do not count.
pub(super) fn translate(pattern: &str, extended: bool) -> Result<Translated, Error> {
    match translate_for(Engine::Linear, pattern, extended) {
        Err(Error::Unsupported { .. }) => translate_for(Engine::Backtracking, pattern, extended),
        translated => translated,
    }
}

fn translate_for(engine: Engine, pattern: &str, extended: bool) -> Result<Translated, Error> {
    let walk = |plain, known| Walk::new(pattern, extended, engine, plain, known).run();
    let mut done = walk(Plain::Captures, None)?;
    let plain = if done.names.is_empty() { Plain::Captures } else { Plain::Groups };
    if plain == Plain::Groups {
        done = walk(plain, None)?;
    }
    if engine == Engine::Backtracking {
        // A reference may stand before its group.
        done = walk(plain, Some(Known { names: done.names, count: done.captures }))?;
    }
    let Walk { out, names, has_line_start, .. } = done;
    Ok(Translated { pattern: out, engine, names, has_line_start })
}

/// What makes a group special, each with its name.
const SPECIAL: [(&str, &str); 6] = [
    ("=", "look-around"),
    ("!", "look-around"),
    ("<=", "look-around"),
    ("<!", "look-around"),
    (">", "an atomic group"),
    ("~", "an absence group"),
];

/// What a plain parenthesis does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Captures,
    Groups,
}

/// The groups of a pattern that was walked over before.
struct Known {
    names: Vec<(String, Vec<usize>)>,
    count: usize,
}

pub(super) struct Walk<'a> {
    pattern: &'a str,
    /// What was not read yet.
    pub(super) rest: &'a str,
    out: String,
    engine: Engine,
    plain: Plain,
    /// All groups; `None` on a walk that only numbers them.
    known: Option<Known>,
    names: Vec<(String, Vec<usize>)>,
    has_line_start: bool,
    captures: usize,
    extended: bool,
    /// The open groups.
    open: Vec<Group>,
    /// How many `(?i)` the outermost level holds.
    unclosed: usize,
    refers: Option<Reference>,
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
    /// The number of a capturing group.
    number: Option<usize>,
}

/// How a pattern refers to groups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reference {
    /// To what they matched.
    Back,
    /// To what they say.
    Call,
}

#[derive(Clone, Copy)]
struct Atom {
    /// Where it begins in the output.
    start: usize,
    /// Always matches one character.
    single: bool,
}

impl<'a> Walk<'a> {
    fn new(
        pattern: &'a str,
        extended: bool,
        engine: Engine,
        plain: Plain,
        known: Option<Known>,
    ) -> Self {
        Self {
            pattern,
            rest: pattern,
            out: String::with_capacity(pattern.len() * 2),
            engine,
            plain,
            known,
            names: Vec::new(),
            has_line_start: false,
            captures: 0,
            extended,
            open: Vec::new(),
            unclosed: 0,
            refers: None,
            atom: None,
            possessive: None,
        }
    }

    fn run(mut self) -> Result<Self, Error> {
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
                '^' => self.line_start()?,
                '$' => self.assertion("$", Some('\n'))?,
                _ => self.literal(letter)?,
            }
        }
        self.close_options(self.unclosed);
        Ok(self)
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

    /// An error, unless the engine can go back.
    pub(super) fn backtracking(&self, feature: &'static str) -> Result<(), Error> {
        match self.engine {
            Engine::Linear => self.unsupported(feature),
            Engine::Backtracking => Ok(()),
        }
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

    /// Does not match behind a last line feed; where that cannot be said, the caller looks.
    fn line_start(&mut self) -> Result<(), Error> {
        self.has_line_start = self.engine == Engine::Linear;
        self.assertion(if self.has_line_start { "^" } else { r"(?:\A|^(?!\z))" }, None)
    }

    /// Something that matches between characters; `next` is the only one that may follow it.
    pub(super) fn assertion(&mut self, text: &str, next: Option<char>) -> Result<(), Error> {
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
        let count_before = self.captures;
        let mut group =
            Group { start: self.out.len(), extended: self.extended, unclosed: 0, number: None };
        if !self.skip("?") {
            self.captures += usize::from(self.plain == Plain::Captures);
            self.out.push_str(if self.plain == Plain::Captures { "(" } else { "(?:" });
        } else if self.skip(":") {
            self.out.push_str("(?:");
        } else if let Some((kind, feature)) = SPECIAL.iter().find(|(kind, _)| self.skip(kind)) {
            self.backtracking(feature)?;
            self.out.push_str("(?");
            self.out.push_str(kind);
        } else if self.skip("(") {
            self.condition()?;
        } else if self.skip("<") {
            self.named('>')?;
        } else if self.skip("'") {
            self.named('\'')?;
        } else {
            return self.options(group);
        }
        group.number = (self.captures > count_before).then_some(self.captures);
        self.open.push(group);
        self.atom = None;
        Ok(())
    }

    fn named(&mut self, end: char) -> Result<(), Error> {
        let Some((name, behind)) = self.rest.split_once(end).filter(|(name, _)| !name.is_empty())
        else {
            return Err(Error::Syntax("a group has no name".to_owned()));
        };
        let begins_as_number = name.starts_with(|letter: char| letter.is_ascii_digit());
        if begins_as_number || !name.chars().all(|letter| letter == '_' || letter.is_alphanumeric())
        {
            return Err(Error::Syntax(format!("`{name}` is no name for a group")));
        }
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
        if self.engine == Engine::Backtracking && self.skip("+") {
            self.out.push(quantifier);
            self.out.push('+');
        } else if self.skip("+") {
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
            'Z' if self.engine == Engine::Backtracking => self.end(r"(?=\n?\z)"),
            'Z' => self.end(r"(?:\n?\z)"),
            'b' => self.assertion(r"\b", None),
            'B' => self.assertion(r"\B", None),
            'R' => self.assertion(r"(?:\r\n|[\n-\r\u{85}\u{2028}\u{2029}])", None),
            'K' => {
                self.backtracking("`\\K`")?;
                self.assertion(r"\K", None)
            }
            'X' => self.unsupported("`\\X`"),
            'g' => self.call(),
            'k' | '1'..='9' => self.back_reference(letter),
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

/// What refers to groups.
impl<'a> Walk<'a> {
    /// `\1`, `\k<1>`, `\k<-1>` or `\k<name>`. Of groups with the same name, the last one that fits.
    fn back_reference(&mut self, letter: char) -> Result<(), Error> {
        self.backtracking("a back-reference")?;
        let groups = if letter == 'k' {
            let name = self.quoted_name()?;
            self.groups(name, false)?
        } else {
            let digits = self.rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let more = self.rest.strip_suffix(digits).unwrap_or_default();
            self.rest = digits;
            self.groups(&format!("{letter}{more}"), false)?
        };
        self.refer(Reference::Back)?;
        if self.open.iter().any(|open| open.number.is_some_and(|number| groups.contains(&number))) {
            return self.unsupported("a reference to a group from within it");
        }
        let ways: Vec<_> = groups.iter().rev().map(|group| format!("\\{group}")).collect();
        self.assertion(&format!("(?:{})", ways.join("|")), None)
    }

    /// `\g<1>`, `\g<-1>` or `\g<name>`: what the group says is said again here.
    fn call(&mut self) -> Result<(), Error> {
        self.backtracking("a call of a group")?;
        self.refer(Reference::Call)?;
        let name = self.quoted_name()?;
        match *self.groups(name, true)? {
            [] => self.assertion("", None),
            [group] => self.assertion(&format!("\\g<{group}>"), None),
            _ => Err(Error::Syntax(format!("`{name}` is the name of more than one group"))),
        }
    }

    /// The engine ends the process when a reference goes to a group that has begun and not ended,
    /// which a call may bring about.
    fn refer(&mut self, reference: Reference) -> Result<(), Error> {
        if *self.refers.get_or_insert(reference) != reference {
            return self.unsupported("both a call of a group and a back-reference");
        }
        Ok(())
    }

    /// The condition of `(?(1)yes|no)`, `(?(<name>)yes|no)`.
    fn condition(&mut self) -> Result<(), Error> {
        self.backtracking("a conditional group")?;
        let Some((name, behind)) = self.rest.split_once(')') else {
            return Err(Error::Syntax("a condition is not closed".to_owned()));
        };
        self.rest = behind;
        let bare = name.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
        let quoted = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
        match *self.groups(bare.or(quoted).unwrap_or(name), false)? {
            [] => self.out.push_str("(?:"),
            [group] => {
                self.out.push_str("(?(");
                self.out.push_str(&group.to_string());
                self.out.push(')');
            }
            _ => return self.unsupported("a condition on several groups"),
        }
        Ok(())
    }

    fn quoted_name(&mut self) -> Result<&'a str, Error> {
        let opened = self.rest.strip_prefix('<').map(|rest| (rest, '>'));
        let opened = opened.or_else(|| self.rest.strip_prefix('\'').map(|rest| (rest, '\'')));
        let Some((name, behind)) = opened.and_then(|(rest, end)| rest.split_once(end)) else {
            return Err(Error::Syntax("a reference has no name".to_owned()));
        };
        self.rest = behind;
        Ok(name)
    }

    /// The numbers of the groups that are called so; none on a walk that only numbers them. Only a
    /// call may go to 0, the whole pattern.
    fn groups(&self, name: &str, is_call: bool) -> Result<Vec<usize>, Error> {
        let Some(known) = &self.known else { return Ok(Vec::new()) };
        let unknown = || Error::Syntax(format!("there is no group `{name}`"));
        let Ok(distance) = name.trim_start_matches(['+', '-']).parse::<usize>() else {
            // As in Onigmo, only a call may go to a name that comes later.
            let names = if is_call { &known.names } else { &self.names };
            let found = names.iter().find(|(known, _)| known == name);
            return found.map(|(_, groups)| groups.clone()).ok_or_else(unknown);
        };
        if self.plain == Plain::Groups {
            return Err(Error::Syntax(format!("group `{name}` has a name, which must be used")));
        }
        let group = match name.chars().next() {
            Some('-') => (self.captures + 1).checked_sub(distance).filter(|group| *group > 0),
            Some('+') => self.captures.checked_add(distance),
            _ => Some(distance).filter(|group| *group > 0 || is_call),
        };
        group.filter(|group| *group <= known.count).map(|group| vec![group]).ok_or_else(unknown)
    }
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
    use crate::regex::{Expression, Pattern};

    /// The first match, as `name=value` of the named groups or the whole of it.
    fn first(pattern: &str, text: &str) -> String {
        let pattern = match Pattern::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return error.to_string(),
        };
        let mut captures = pattern.captures();
        let mut fields = Vec::new();
        if pattern
            .fields(&mut captures, text, |_, name, value| fields.push(format!("{name}={value}")))
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
        // From here on it takes an engine that can go back.
        check("[a-z]*+z", "az", "no match");
        check("/[a-z]*+Z/i", "az", "no match");
        check("[^ ]*+ ?a", "b a", "0..3");
        check("(?:a*+)*", "aa", "0..2");
        check("a*+.", "aab", "0..3");
        check("(a*+|b)a", "ba", "0..2");
        check("a*++", "aa", "0..2");
        check("(ab)*+a", "ababa", "0..5");
        check("(?:ab)?+ab", "ab", "no match");
        check("a{1,2}+a", "aaa", "0..3");
    }

    #[test]
    fn groups() {
        check("(?<a>x)(y)(?:z)(?<b_c>.)", "xyzw", "a=x b_c=w");
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
        assert!(!plain.fields(&mut captures, "ab", |_, _, _| ()));
        assert_eq!(
            Expression::read("(?<b>.)(?<a>.)(?<b>.)").unwrap().names().collect::<Vec<_>>(),
            ["b", "a"]
        );
    }

    #[test]
    fn look_around() {
        check("a(?=b)", "acab", "2..3");
        check("a(?!b)", "abac", "2..3");
        check("(?<=a)b", "bab", "2..3");
        check("(?<!a)b", "abb", "2..3");
        check("(?<=a|bc)d", "ad", "1..2");
        check("^(?!.*debug)(?<l>.*)$", "a debug", "no match");
        check("^(?!.*debug)(?<l>.*)$", "a info", "l=a info");
        check("(?<a>x)(?=(?<b>y))", "xy", "a=x b=y");
        check("/(?<=A)B/i", "ab", "1..2");
        check("/a(?= . c)/x", "aBc", "0..1");
        check("/a(?=.b)/m", "a\nb", "0..1");
        check("(?>ab|a)c", "abc", "0..3");
        check("(?>a|ab)c", "abc", "no match");
        check("a\\Kb", "ab", "1..2");
        check("\\A(?~b)", "aab", "0..2");
        check("(?=)\\Z", "a\n", "1..1");
        check("(?=[[:alpha:]&&[^a]])[\\h-]", "ab", "1..2");
    }

    /// Here, `^` knows by itself that a last line feed begins no line.
    #[test]
    fn line_starts_of_an_engine_that_goes_back() {
        check("^(?=b)", "a\nb", "2..2");
        check("^(?!x)$", "a\n", "no match");
        check("^(?!x)$", "", "0..0");
        check("(?!x)$|^q", "a\n", "1..1");
    }

    #[test]
    fn references() {
        check("(a|b)\\1", "abb", "1..3");
        check("(a|b)(?:\\1)0", "abb0", "1..4");
        check("(?<q>['\"])(?<v>.*?)\\k<q>", "x='a\"b'", "q=' v=a\"b");
        check("(?<q>.)\\k'q'", "abb", "q=b");
        check("(.)(.)\\k<-1>\\k<2>", "abbb", "0..4");
        check("/(a)\\1/i", "aA", "0..2");
        check("(?<b>x)|(?<b>y)(z)\\k<b>", "yzy", "b= b=y");
        check("(a)?(?(1)b|c)", "ab", "0..2");
        check("(?<a>a)?(?(<a>)b|c)", "c", "0..1");
        check("(?<n>\\d+)\\.\\g<n>", "1.22", "n=22");
        check("\\((?:[^()]|\\g<0>)*\\)", "a(b(c)d)", "1..8");
        check("(?<p>\\((?:[^()]|\\g<p>)*\\))", "a(b(c)d)", "p=(b(c)d)");
        check("(a)\\g<-1>\\g<+1>(b)", "aabb", "0..4");
    }

    /// What explodes is given up, not waited for.
    #[test]
    fn bounded() {
        let before = crate::regex::given_up();
        let pattern = Pattern::new("^(?:(a|aa)+)+(?!.)$b").unwrap();
        let text = "a".repeat(200);
        assert!(!pattern.is_match(&text));
        assert!(!pattern.find(&mut pattern.captures(), &text));
        assert!(crate::regex::given_up() >= before + 2);
    }

    #[test]
    fn errors() {
        let unsupported = |feature: &str, offset: usize| {
            format!(
                "regular expression uses {feature} at byte {offset}, \
                 which is not supported; rewrite it without"
            )
        };
        check("a\\Xb", "", &unsupported("`\\X`", 2));
        check("(?=b)\\cA", "", &unsupported("a control or meta escape", 6));
        let within = "a reference to a group from within it";
        check("(a|(b\\2)+)", "", &unsupported(within, 6));
        check("(?<a>a|\\k<a>b)+", "", &unsupported(within, 11));
        check("(.)\\1\\g<1>", "", &unsupported("both a call of a group and a back-reference", 6));
        let invalid = |why: &str| format!("regular expression is not valid: {why}");
        check("a)", "", &invalid("a closing parenthesis has no opening one"));
        check("(a", "", &invalid("unclosed group"));
        check("[a", "", &invalid("a bracket is not closed"));
        check("[a[:x]+", "", &invalid("a bracket is not closed"));
        check("*a", "", &invalid("nothing to repeat before `*`"));
        check("a\\", "", &invalid("a backslash at the end"));
        check("(?<>a)", "", &invalid("a group has no name"));
        check("(?<1a>a)", "", &invalid("`1a` is no name for a group"));
        check("(?<a-b>a)", "", &invalid("`a-b` is no name for a group"));
        check("(?<_é1>a)", "a", "_é1=a");
        check("(a)\\2", "", &invalid("there is no group `2`"));
        check("(?<a>a)\\1", "", &invalid("group `1` has a name, which must be used"));
        check("\\k<a>(?<a>b)", "", &invalid("there is no group `a`"));
        check("\\ka", "", &invalid("a reference has no name"));
        check("(?<a>.)(?<a>.)\\g<a>", "", &invalid("`a` is the name of more than one group"));
        check("(?<=a+)b", "", &invalid("a look-behind may match texts of different lengths"));
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
