//! Escapes with a backslash, as Fluent Bit's field decoders read them (`flb_unescape.c`).
//!
//! A backslash at the end stays. Where Fluent Bit ends the text, at a NUL, it goes on here; where it
//! writes what is no UTF-8, there is U+FFFD.

use memchr::memchr;

/// Which escapes there are, and what they stand for: one for each field decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// `escaped`: `\a \b \f \n \r \t \v \\`; a backslash before anything else goes.
    Plain,
    /// `escaped_utf8`, and the quoted values of logfmt: those, and characters by their number, `\0` to
    /// `\777` (octal), `\xNN`, `\uNNNN` with surrogate pairs and `\UNNNNNNNN`.
    Utf8,
    /// `mysql_quoted`: `\0 \n \r \t \Z \\ \' \"` between quotes, single or double, which go. A backslash
    /// before anything else stays, and so does text without quotes.
    Mysql,
}

impl Escapes {
    /// Calls `sink` with the parts of what `text` stands for.
    ///
    /// ```
    /// use tailwater_parsers::escapes::Escapes;
    /// let mut text = String::new();
    /// Escapes::Utf8.decode(r#"\"\u00e9\"\n"#, |piece| text.push_str(piece));
    /// assert_eq!(text, "\"é\"\n");
    /// ```
    pub fn decode(self, text: &str, mut sink: impl FnMut(&str)) {
        match self {
            Self::Plain => pieces(text, sink, read_plain),
            Self::Utf8 => pieces(text, sink, read_utf8),
            Self::Mysql => match unquoted(text) {
                Some(body) => pieces(body, sink, read_mysql),
                None => sink(text),
            },
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    between('\'').or_else(|| between('"'))
}

/// Calls `sink` with the text between escapes, and with what they stand for.
fn pieces(text: &str, mut sink: impl FnMut(&str), read: impl Fn(&[u8]) -> Escape) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        let Some((before, from)) = rest.split_at_checked(at) else { break };
        let Some((_, behind)) = from.split_at_checked(1) else { break };
        if behind.is_empty() {
            break;
        }
        sink(before);
        let escape = read(behind.as_bytes());
        if let Some(character) = escape.character {
            sink(character.encode_utf8(&mut [0; 4]));
        }
        // Escapes are ASCII, so that this splits at a character.
        rest = behind.split_at_checked(escape.length).map_or("", |(_, rest)| rest);
    }
    sink(rest);
}

/// What a backslash begins.
struct Escape {
    /// How many bytes behind the backslash belong to it.
    length: usize,
    /// What it stands for; `None`: nothing, so that a character behind it stands for itself.
    character: Option<char>,
}

impl Escape {
    /// One letter behind the backslash, if that is one with a meaning.
    fn letter(character: Option<char>) -> Self {
        Self { length: usize::from(character.is_some()), character }
    }
}

fn read_plain(behind: &[u8]) -> Escape {
    Escape::letter(behind.first().and_then(|byte| match byte {
        b'\\' => Some('\\'),
        byte => control(*byte),
    }))
}

fn read_utf8(behind: &[u8]) -> Escape {
    match *behind {
        [b'0'..=b'7', ..] => numbered(0, number(behind, 3, 8)),
        [b'x', ref digits @ ..] => numbered(1, number(digits, 2, 16)),
        [b'U', ref digits @ ..] => numbered(1, number(digits, 8, 16)),
        [b'u', ref digits @ ..] => utf16(digits),
        _ => read_plain(behind),
    }
}

fn read_mysql(behind: &[u8]) -> Escape {
    let character = match behind.first() {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'\\') => '\\',
        Some(b'\'') => '\'',
        Some(b'"') => '"',
        Some(b'0') => '\0',
        Some(b'Z') => '\u{1a}',
        _ => return Escape { length: 0, character: Some('\\') },
    };
    Escape::letter(Some(character))
}

/// The control characters that have a letter.
fn control(letter: u8) -> Option<char> {
    Some(match letter {
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        _ => return None,
    })
}

/// Up to so many digits at the start: their count and what they say.
fn number(bytes: &[u8], digit_count_max: usize, base: u32) -> (usize, u32) {
    let digits = bytes.iter().map_while(|byte| char::from(*byte).to_digit(base));
    let add = |(count, value), digit| (count + 1, value * base + digit);
    digits.take(digit_count_max).fold((0, 0), add)
}

/// The escape of a character by its number, behind `prefix` bytes; without a number the letter before it
/// stands for itself.
fn numbered(prefix: usize, (count, value): (usize, u32)) -> Escape {
    if count == 0 {
        return Escape { length: 0, character: None };
    }
    let character = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
    Escape { length: prefix + count, character: Some(character) }
}

/// `\u`, of which `digits` and what follows are given. Four digits or, for half of a surrogate pair, both
/// of its escapes; anything less is U+FFFD, in place of what was read of it. No digits at all are NUL.
fn utf16(digits: &[u8]) -> Escape {
    let (count, high) = number(digits, 4, 16);
    let mut length = 1 + count;
    let character = match (count, high) {
        (0, _) => Some('\0'),
        (4, 0xd800..=0xdbff) => {
            let low = digits.get(4..).and_then(|behind| behind.strip_prefix(b"\\u"));
            low.and_then(|low| {
                let (count, low) = number(low, 4, 16);
                length += 2 + count;
                let pair = [high, low].map(|half| u16::try_from(half).unwrap_or_default());
                String::from_utf16(&pair).ok()?.chars().next().filter(|c| u32::from(*c) > 0xffff)
            })
        }
        (4, _) => char::from_u32(high),
        _ => None,
    };
    Escape { length, character: Some(character.unwrap_or(char::REPLACEMENT_CHARACTER)) }
}

/// Fuzz entry: text without backslashes stays as it is, and no escape stands for more than it takes,
/// but for U+FFFD.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_escapes(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for escapes in [Escapes::Plain, Escapes::Utf8, Escapes::Mysql] {
        let mut decoded = String::new();
        escapes.decode(text, |piece| decoded.push_str(piece));
        let replaced = decoded.matches(char::REPLACEMENT_CHARACTER).count();
        assert!(decoded.len() <= text.len() + 2 * replaced, "longer than what it stands for");
        if !text.contains('\\') && !text.starts_with(['\'', '"']) {
            assert_eq!(decoded, text, "nothing to decode");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn check(escapes: Escapes, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let mut decoded = String::new();
            escapes.decode(text, |piece| decoded.push_str(piece));
            assert_eq!(decoded, *expected, "{text:?}");
        }
    }

    #[test]
    fn plain_escapes() {
        check(
            Escapes::Plain,
            &[
                ("", ""),
                ("no escape, é", "no escape, é"),
                (r"\a\b\f\n\r\t\v\\", "\u{7}\u{8}\u{c}\n\r\t\u{b}\\"),
                (r#"\"\/\'\u00e9\x41\é"#, "\"/'u00e9x41é"),
                (r"\\n", r"\n"),
                (r"end\", r"end\"),
            ],
        );
    }

    #[test]
    fn escapes_of_characters() {
        check(
            Escapes::Utf8,
            &[
                (r#"\"\'\\\/\n\b\t\f\r\a\v"#, "\"'\\/\n\u{8}\t\u{c}\r\u{7}\u{b}"),
                (r"\u00e9\u65e5\u0041x", "é日Ax"),
                (r"\ud83d\ude00!", "😀!"),
                (r"\ud83d!", "\u{fffd}!"),
                (r"\ude00!", "\u{fffd}!"),
                (r"\ud83d\u0041!", "\u{fffd}!"),
                (r"\ud83d\ud83d!", "\u{fffd}!"),
                (r"\ud83d\ude!", "\u{fffd}!"),
                (r"\ud83d\n", "\u{fffd}\n"),
                (r"\u12!", "\u{fffd}!"),
                (r"\u!", "\0!"),
                (r"\x41\xe9\xg\x4z", "Aéxg\u{4}z"),
                (r"\101\7\1234\777\8", "A\u{7}S4\u{1ff}8"),
                (r"\U0001f600\U41!\Ux\U0000d800\Uffffffff", "😀A!Ux\u{fffd}\u{fffd}"),
                (r"\é\q", "éq"),
                (r"end\", r"end\"),
            ],
        );
    }

    #[test]
    fn quotes_of_mysql() {
        check(
            Escapes::Mysql,
            &[
                ("plain", "plain"),
                (r"plain\n", r"plain\n"),
                ("", ""),
                ("'", "'"),
                ("''", ""),
                ("'333'", "333"),
                (r#""a 'b'""#, "a 'b'"),
                (r#"'a""#, r#"'a""#),
                (r#"'\n\r\t\\\'\"\0\Z'"#, "\n\r\t\\'\"\0\u{1a}"),
                (r"'abc\nE\\'", "abc\nE\\"),
                (r"'\x\é'", r"\x\é"),
                (r"'\'", r"\"),
            ],
        );
    }

    proptest! {
        #[test]
        fn fuzz_entry_holds(text in r#"(\\[0-9a-zA-Z\\é'"]|[a-f0-9'"é]){0,16}"#) {
            fuzz_escapes(text.as_bytes());
        }

        /// A second opinion on what JSON and this have in common.
        #[test]
        fn the_escapes_of_json(text in ".{0,16}") {
            let json = serde_json::to_string(&text).unwrap();
            let mut decoded = String::new();
            Escapes::Utf8.decode(&json, |piece| decoded.push_str(piece));
            prop_assert_eq!(decoded, format!("\"{text}\""));
        }
    }
}
