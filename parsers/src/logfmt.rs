//! logfmt: `key=value key="quoted value" bare_key`, with blanks between.
//!
//! Read as Fluent Bit 5.1 reads it (`flb_parser_logfmt.c`): a key or value without quotes holds no
//! blanks, control characters, `=` and `"`, and what of these stands elsewhere is passed over; a
//! quote that is never closed ends with the text; a line end right behind a pair ends the text.

use super::split_before;
use memchr::memchr2;

/// One pair, as slices of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key; never empty.
    pub key: &'a str,
    /// What follows it.
    pub value: Value<'a>,
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// No `=`.
    Bare,
    /// A `=`, and nothing behind it.
    Missing,
    /// Text as it stands; empty only between quotes.
    Text(&'a str),
    /// Text between quotes with backslashes in it, for [`Escapes::Utf8`](crate::escapes::Escapes::Utf8).
    Escaped(&'a str),
}

impl<'a> Value<'a> {
    /// The value as it is written, without its quotes.
    pub fn as_written(self) -> &'a str {
        match self {
            Self::Bare | Self::Missing => "",
            Self::Text(text) | Self::Escaped(text) => text,
        }
    }
}

/// The pairs of a text, in their order.
///
/// ```
/// use tailwater_parsers::logfmt::{Pair, Value, pairs};
/// let mut pairs = pairs("level=info dry_run");
/// assert_eq!(pairs.next(), Some(Pair { key: "level", value: Value::Text("info") }));
/// assert_eq!(pairs.next(), Some(Pair { key: "dry_run", value: Value::Bare }));
/// assert_eq!(pairs.next(), None);
/// ```
pub fn pairs(text: &str) -> Pairs<'_> {
    Pairs { rest: text }
}

/// The iterator of [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let (_, rest) = split_before(self.rest, is_ident);
        let (key, rest) = split_before(rest, |byte| !is_ident(byte));
        let (value, rest) = read_value(rest);
        self.rest = if rest.starts_with(['\r', '\n']) { "" } else { rest };
        (!key.is_empty()).then_some(Pair { key, value })
    }
}

/// Reads what follows a key; returns it and the rest.
fn read_value(text: &str) -> (Value<'_>, &str) {
    let Some(text) = text.strip_prefix('=') else { return (Value::Bare, text) };
    if let Some(quoted) = text.strip_prefix('"') {
        return read_quoted(quoted);
    }
    match split_before(text, |byte| !is_ident(byte)) {
        ("", rest) => (Value::Missing, rest),
        (value, rest) => (Value::Text(value), rest),
    }
}

/// Reads up to the quote that no backslash stands before; returns the value and what follows it.
fn read_quoted(text: &str) -> (Value<'_>, &str) {
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut is_escaped = false;
    loop {
        let behind = bytes.get(end..).unwrap_or_default();
        let Some(at) = memchr2(b'"', b'\\', behind) else {
            end = text.len();
            break;
        };
        end += at;
        if behind.get(at) == Some(&b'"') {
            break;
        }
        is_escaped = true;
        end += 2;
    }
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let value = if is_escaped { Value::Escaped(value) } else { Value::Text(value) };
    (value, rest.strip_prefix('"').unwrap_or(rest))
}

fn is_ident(byte: u8) -> bool {
    byte > b' ' && byte != b'=' && byte != b'"'
}

/// Fuzz entry: pairs lie in the text in their order, and what they say can be written and read again.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_logfmt(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut written = String::new();
    let mut rest = text;
    for Pair { key, value } in pairs(text) {
        let (_, behind) = rest.split_once(key).unwrap_or_default();
        let (_, behind) = behind.split_once(value.as_written()).unwrap_or_default();
        assert!(rest.len() > behind.len(), "pairs that are not in the text");
        rest = behind;
        written.push_str(key);
        match value {
            Value::Bare => {}
            Value::Missing => written.push('='),
            // No quotes stood around it, or it would be another kind.
            Value::Text(text) if text.contains('\\') => written.extend(["=", text]),
            // A backslash at the end of the text would escape the quote.
            Value::Escaped(text) if text.ends_with('\\') => return,
            Value::Text(text) | Value::Escaped(text) => {
                written.push_str("=\"");
                written.push_str(text);
                written.push('"');
            }
        }
        written.push(' ');
    }
    assert!(pairs(&written).eq(pairs(text)), "written and read again");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    /// The pairs, with `|` between them and the kind of value behind the key.
    fn check(text: &str, expected: &str) {
        let shown = |Pair { key, value }| match value {
            Value::Bare => key.to_owned(),
            Value::Missing => format!("{key}="),
            Value::Text(text) => format!("{key}={text}"),
            Value::Escaped(text) => format!("{key}~{text}"),
        };
        let shown: Vec<String> = pairs(text).map(shown).collect();
        assert_eq!(shown.join("|"), expected, "{text:?}");
    }

    #[test]
    fn pairs_and_bare_keys() {
        check(
            "str=\"text\" int=100 double=1.23 bool=true",
            "str=text|int=100|double=1.23|bool=true",
        );
        check("a b=1  c\td=", "a|b=1|c|d=");
        check("ключ=значение 日本", "ключ=значение|日本");
        check("", "");
        check(" \u{1} = \" ", "");
        check("=a=1", "a=1");
    }

    #[test]
    fn quotes() {
        check(r#"a="" b="two words" c="x=y""#, "a=|b=two words|c=x=y");
        check(r#"a="say \"hi\"" b="\\""#, r#"a~say \"hi\"|b~\\"#);
        check(r#"a="never closed b=1"#, "a=never closed b=1");
        check(r#"a="\"#, r"a~\");
        check("a=\"\\日\" b", "a~\\日|b");
        check(r#"a=""#, "a=");
        check(r#"a=b"c"d"#, "a=b|c|d");
        check(r#"a="b"c"#, "a=b|c");
        check("a=\"x\ny\"", "a=x\ny");
    }

    #[test]
    fn what_is_passed_over() {
        check("a=b=c", "a=b|c");
        check("a==b", "a=|b");
        check("a = b", "a|b");
    }

    #[test]
    fn line_ends() {
        check("a=1\nb=2", "a=1");
        check("a=1\r\nb=2", "a=1");
        check("a\rb=2", "a");
        check("\na=1 \nb=2", "a=1|b=2");
    }

    proptest! {
        #[test]
        fn fuzz_entry_holds(text in r#"([a-zé]{0,3}|[ ="\\\n\r\t]){0,12}"#) {
            fuzz_logfmt(text.as_bytes());
        }

        /// A naive reading of a line that a logger writes.
        #[test]
        fn what_is_written_is_read(line in proptest::collection::vec(("[a-z.]{1,5}", "[^\\\\\"]{0,8}"), 0..6)) {
            let text: Vec<String> =
                line.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let text = text.join(" ");
            let read: Vec<(String, String)> = pairs(&text)
                .map(|pair| (pair.key.to_owned(), pair.value.as_written().to_owned()))
                .collect();
            prop_assert_eq!(read, line);
        }
    }
}
