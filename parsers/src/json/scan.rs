//! The scanner: walks over JSON text once, eight bytes at a time inside strings.

use super::text::{self, Escape};
use super::{Error, Problem, Run, Text, Value};

/// How deep objects and arrays may lie in each other, the outermost one included: one bit of a
/// `u128` for each, so that no input can make the program recurse or allocate. `serde_json` draws
/// the same line.
pub const DEPTH_MAX: u32 = u128::BITS;

/// A walk over `text`: what lies before `at` was read.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How many brackets are open around the values that are read.
    outer: u32,
    /// Whether there was white space since this was last set to false.
    is_spaced: bool,
}

impl<'a> Scanner<'a> {
    /// To read a value.
    #[inline]
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, outer: 0, is_spaced: false }
    }

    /// To read what lies in an object or array.
    #[inline]
    pub(super) fn inside(text: &'a str) -> Self {
        Self { text, at: 0, outer: 1, is_spaced: false }
    }

    /// How many bytes were read.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Reads the opening bracket of an object or array; false: it is empty and over.
    #[inline]
    pub(super) fn open(&mut self, bracket: u8, what: &'static str) -> Result<bool, Error> {
        self.expect(bracket, what)?;
        // In ASCII both closing brackets stand two behind their opening ones.
        let empty = self.skip_space() == Some(bracket + 2);
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Reads what follows a field or item; false: the object or array is over.
    #[inline]
    pub(super) fn follow(&mut self, close: u8, what: &'static str) -> Result<bool, Error> {
        let next = self.skip_space();
        if next == Some(b',') {
            self.at += 1;
            return Ok(true);
        }
        if next == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        Err(self.expected(what))
    }

    /// Goes to where a field starts, and returns where that is.
    #[inline]
    pub(super) fn start_field(&mut self) -> usize {
        self.skip_space();
        self.is_spaced = false;
        self.at
    }

    /// The field that was read since `start`, if it could be copied as it stands.
    #[inline]
    pub(super) fn run(&self, start: usize, key: Text<'a>, value: Value<'a>) -> Option<Run<'a>> {
        let is_clean = !self.is_spaced && !key.is_dirty() && value.is_clean();
        is_clean.then(|| Run::new(self.text, start, self.at)).flatten()
    }

    /// Reads a key and its colon.
    #[expect(clippy::inline_always, reason = "a third of the time of a short object")]
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<Text<'a>, Error> {
        self.expect(b'"', "a key in double quotes")?;
        let key = match self.plain_string() {
            Some(body) => Text::Plain(body),
            None => self.special_string()?,
        };
        self.expect(b':', "`:`")?;
        Ok(key)
    }

    /// Goes over a value that is known, which is not empty, if it stands here.
    #[inline]
    pub(super) fn known(&mut self, known: &str) -> Option<&'a str> {
        if known.is_empty() {
            return None;
        }
        let text = self.text.get(self.at..)?.get(..known.len()).filter(|text| *text == known)?;
        self.at += known.len();
        Some(text)
    }

    /// Reads a value of any kind.
    #[expect(clippy::inline_always, reason = "a third of the time of a short object")]
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<Value<'a>, Error> {
        match self.skip_space() {
            Some(b'"') => {
                self.at += 1;
                match self.plain_string() {
                    Some(body) => Ok(Value::String(Text::Plain(body))),
                    None => self.special_string().map(Value::String),
                }
            }
            Some(b'{' | b'[') => {
                let start = self.at;
                let shape = self.nested()?;
                let text = self.slice(start)?;
                Ok(match shape {
                    Shape::Compact => Value::Nested(text),
                    Shape::Spaced => Value::SpacedNested(text),
                    Shape::Dirty => Value::DirtyNested(text),
                })
            }
            Some(b't') => self.word("true", Value::True),
            Some(b'f') => self.word("false", Value::False),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                self.number()?;
                self.slice(start).map(Value::Number)
            }
            _ => Err(self.expected("a value")),
        }
    }

    /// Reads a string whose opening quote was read, if all of it is plain.
    #[expect(clippy::inline_always, reason = "a third of the time of a short object")]
    #[inline(always)]
    fn plain_string(&mut self) -> Option<&'a str> {
        let length = text::plain_len(self.rest());
        let (body, rest) = self.text.get(self.at..)?.split_at_checked(length)?;
        rest.starts_with('"').then_some(())?;
        self.at += length + 1;
        Some(body)
    }

    /// Reads a string whose opening quote was read, with escapes or control characters in it.
    #[cold]
    fn special_string(&mut self) -> Result<Text<'a>, Error> {
        let start = self.at;
        let mut dirty = false;
        loop {
            self.at += text::plain_len(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let escape = Escape::read(self.rest())
                        .ok_or(Error { offset: self.at, problem: Problem::Escape })?;
                    dirty |= escape.character.is_none();
                    self.at += escape.length;
                }
                Some(_) => {
                    dirty = true;
                    self.at += 1;
                }
                None => return Err(self.expected("`\"`")),
            }
        }
        let body = self.slice(start)?;
        self.at += 1;
        Ok(if dirty { Text::Dirty(body) } else { Text::Escaped(body) })
    }

    /// Walks over an object or array without going into its meaning.
    fn nested(&mut self) -> Result<Shape, Error> {
        let was_spaced = std::mem::take(&mut self.is_spaced);
        let mut dirty = false;
        let mut levels = Levels::default();
        loop {
            // Here a value begins; in an object, its key.
            if levels.in_object() {
                dirty |= matches!(self.key()?, Text::Dirty(_));
            }
            let bracket = self.skip_space();
            if let Some(bracket @ (b'{' | b'[')) = bracket {
                if !levels.push(bracket == b'{', self.outer) {
                    return Err(Error { offset: self.at, problem: Problem::Depth });
                }
                if self.open(bracket, "a value")? {
                    continue;
                }
                levels.pop();
            } else {
                dirty |= matches!(self.value()?, Value::String(Text::Dirty(_)));
            }
            while levels.depth > 0 {
                let more = if levels.in_object() {
                    self.follow(b'}', "`,` or `}`")?
                } else {
                    self.follow(b']', "`,` or `]`")?
                };
                if more {
                    break;
                }
                levels.pop();
            }
            if levels.depth == 0 {
                let is_spaced = std::mem::replace(&mut self.is_spaced, was_spaced);
                return Ok(match (dirty, is_spaced) {
                    (true, _) => Shape::Dirty,
                    (false, true) => Shape::Spaced,
                    (false, false) => Shape::Compact,
                });
            }
        }
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, Error> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Walks over a number.
    fn number(&mut self) -> Result<(), Error> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Error> {
        if self.skip_space() != Some(byte) {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the next byte that is not white space, and returns it unread.
    #[inline]
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.is_spaced = true;
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What was read since `start`.
    #[inline]
    fn slice(&self, start: usize) -> Result<&'a str, Error> {
        // Both ends stand beside an ASCII character, so the slice is there.
        self.text.get(start..self.at).ok_or(Error { offset: self.at, problem: Problem::End })
    }

    #[cold]
    fn expected(&self, what: &'static str) -> Error {
        let over = self.at >= self.text.len();
        let problem = if over { Problem::End } else { Problem::Expected(what) };
        Error { offset: self.at, problem }
    }
}

/// What the text of an object or array is like.
#[derive(Clone, Copy)]
enum Shape {
    Compact,
    /// With white space between its parts.
    Spaced,
    /// With dirty strings.
    Dirty,
}

/// The brackets that are open, innermost in the lowest bit: 1 for an object.
#[derive(Default)]
struct Levels {
    objects: u128,
    depth: u32,
}

impl Levels {
    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects & 1 == 1
    }

    /// False: with `outer` more around, that would be too deep.
    fn push(&mut self, object: bool, outer: u32) -> bool {
        if self.depth + outer >= DEPTH_MAX {
            return false;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        true
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }
}
