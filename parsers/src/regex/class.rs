//! Brackets, and the escapes that mean the same inside and outside of them.

use super::Error;
use super::translate::{Walk, push_escaped};

/// What stands in brackets.
pub(super) enum Item {
    One(char),
    /// The inside of brackets.
    Set(String),
}

impl Walk<'_> {
    /// What follows a backslash and means the same in brackets.
    pub(super) fn class_escape(&mut self, letter: char) -> Result<Item, Error> {
        let set = match letter {
            'd' => "0-9",
            'D' => "[^0-9]",
            'h' => "0-9A-Fa-f",
            'H' => "[^0-9A-Fa-f]",
            's' => r"\t-\r ",
            'S' => r"[^\t-\r ]",
            'w' => "0-9A-Za-z_",
            'W' => "[^0-9A-Za-z_]",
            'p' | 'P' => return self.property(letter == 'P'),
            _ => return self.character(letter).map(Item::One),
        };
        Ok(Item::Set(set.to_owned()))
    }

    fn character(&mut self, letter: char) -> Result<char, Error> {
        Ok(match letter {
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            '0' => self.code(2, 8, 0x7f)?,
            'x' if self.skip("{") => {
                let code = self.code(8, 16, u32::MAX)?;
                if !self.skip("}") {
                    return Err(Error::Syntax("`\\x{` is not closed".to_owned()));
                }
                code
            }
            // A byte of its own from 0x80 on is not text.
            'x' => self.code(2, 16, 0x7f)?,
            'u' => self.code(4, 16, u32::MAX)?,
            'c' | 'C' | 'M' => return self.unsupported("a control or meta escape"),
            _ => letter,
        })
    }

    /// Reads up to `count` digits of a character's number.
    fn code(&mut self, count: usize, radix: u32, max: u32) -> Result<char, Error> {
        let digits = self.rest.chars().take(count).take_while(|it| it.is_digit(radix)).count();
        let (digits, behind) = self.rest.split_at_checked(digits).unwrap_or(("", self.rest));
        self.rest = behind;
        let code = if digits.is_empty() { Ok(0) } else { u32::from_str_radix(digits, radix) };
        let letter = code.ok().filter(|code| *code <= max).and_then(char::from_u32);
        letter.ok_or_else(|| Error::Syntax(format!("`{digits}` is not the number of a character")))
    }

    /// `\p{Name}` and `\p{^Name}`.
    fn property(&mut self, negated: bool) -> Result<Item, Error> {
        let name = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, behind)) = name else {
            return Err(Error::Syntax("`\\p` has no name in braces".to_owned()));
        };
        self.rest = behind;
        let (negated, name) =
            name.strip_prefix('^').map_or((negated, name), |name| (!negated, name));
        let set = match posix(&name.to_ascii_lowercase()) {
            Some(set) => set.to_owned(),
            None => format!("\\p{{{name}}}"),
        };
        Ok(Item::Set(if negated { format!("[^{set}]") } else { set }))
    }

    /// Brackets, with those within them.
    pub(super) fn class(&mut self) -> Result<(), Error> {
        let mut set = String::new();
        self.open_class(&mut set);
        let mut depth = 1;
        while depth > 0 {
            let Some(letter) = self.next() else {
                return Err(Error::Syntax("a bracket is not closed".to_owned()));
            };
            match letter {
                ']' => {
                    depth -= 1;
                    set.push(']');
                }
                '[' if !self.is_posix() => {
                    depth += 1;
                    self.open_class(&mut set);
                }
                '&' if self.skip("&") => set.push_str("&&"),
                _ => self.item(letter, &mut set)?,
            }
        }
        self.set(&set)
    }

    fn open_class(&mut self, set: &mut String) {
        set.push('[');
        if self.skip("^") {
            set.push('^');
        }
        if self.skip("]") {
            set.push_str(r"\]");
        }
    }

    /// One character, a range, or a named set in brackets.
    fn item(&mut self, letter: char, set: &mut String) -> Result<(), Error> {
        let first = match self.class_atom(letter)? {
            Item::One(first) => first,
            Item::Set(inner) => {
                set.push_str(&inner);
                // After a set there is no range.
                if self.skip("-") {
                    set.push_str(r"\-");
                }
                return Ok(());
            }
        };
        push_escaped(set, first);
        let range = self.rest.strip_prefix('-').filter(|rest| !rest.starts_with([']', '[']));
        let Some(rest) = range else { return Ok(()) };
        self.rest = rest;
        let Some(letter) = self.next() else { return Ok(()) };
        match self.class_atom(letter)? {
            Item::One(last) => {
                set.push('-');
                push_escaped(set, last);
                if self.skip("-") {
                    set.push_str(r"\-");
                }
            }
            Item::Set(inner) => {
                set.push_str(r"\-");
                set.push_str(&inner);
            }
        }
        Ok(())
    }

    fn class_atom(&mut self, letter: char) -> Result<Item, Error> {
        match letter {
            '[' => self.posix_bracket(),
            '\\' => match self.next() {
                Some('b') => Ok(Item::One('\u{8}')),
                Some('R' | 'X') => self.unsupported("`\\R` or `\\X` in brackets"),
                Some(letter) => self.class_escape(letter),
                None => Err(Error::Syntax("a backslash at the end".to_owned())),
            },
            _ => Ok(Item::One(letter)),
        }
    }

    fn is_posix(&self) -> bool {
        let name = self.rest.strip_prefix(':').and_then(|rest| rest.split_once(":]"));
        name.is_some_and(|(name, _)| posix(name.trim_start_matches('^')).is_some())
    }

    /// `:name:]`, whose opening bracket was read.
    fn posix_bracket(&mut self) -> Result<Item, Error> {
        let name = self.rest.strip_prefix(':').and_then(|rest| rest.split_once(":]"));
        let set = name.and_then(|(name, _)| posix(name.trim_start_matches('^')));
        let (Some((name, behind)), Some(set)) = (name, set) else {
            return Err(Error::Syntax("a bracket within brackets is not closed".to_owned()));
        };
        self.rest = behind;
        Ok(Item::Set(if name.starts_with('^') { format!("[^{set}]") } else { set.to_owned() }))
    }
}

/// The inside of brackets for a POSIX name, as Onigmo reads it for UTF-8.
fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "alpha" => r"\p{Alphabetic}",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\p{Zs}\t",
        "cntrl" => r"\p{Cc}",
        "digit" => r"\p{Nd}",
        "graph" => r"[^\s\p{Cc}\p{Cn}]",
        "lower" => r"\p{Lowercase}",
        "print" => r"[^\p{Cc}\p{Cn}]",
        "punct" => r"\p{P}$+<=>\^`|\~",
        "space" => r"\s",
        "upper" => r"\p{Uppercase}",
        "word" => r"\w",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}
