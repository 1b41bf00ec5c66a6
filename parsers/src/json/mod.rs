//! JSON as slices of its text: one validating pass over an object, its fields handed out as they
//! come, nothing decoded and nothing copied.
//!
//! What a log line holds is mostly written out again as JSON, so a string stays escaped and a
//! nested value stays text. Two things that are not JSON are read all the same, since Fluent Bit
//! reads them too and loggers do write them: raw control characters in strings, and halves of
//! surrogate pairs in escapes. Strings with either are called dirty and must not be copied.

mod run;
mod scan;
mod text;

pub use scan::DEPTH_MAX;
pub use text::{escape, repair, unescape};

use scan::Scanner;

pub use run::Run;

/// A string, or an object's key, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// No escapes and no control characters: at once the text and the inside of a JSON string.
    Plain(&'a str),
    /// The well-formed inside of a JSON string, with escapes: may be copied between quotes.
    Escaped(&'a str),
    /// Holds raw control characters or halves of surrogate pairs: decode it with [`unescape`].
    Dirty(&'a str),
}

/// A value, as slices of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true`. (Not one variant with a `bool` in it: what the others hold would then have to be moved in odd pieces,
    /// which takes longer than to read it.)
    True,
    /// `false`
    False,
    /// A number's text: valid JSON, of any size and precision.
    Number(&'a str),
    /// A string.
    String(Text<'a>),
    /// The text of an object or array, to be read with [`object`] or [`array()`]: valid JSON without white space
    /// between its parts.
    Nested(&'a str),
    /// Like [`Value::Nested`], with white space, maybe line breaks, between its parts: copy it with [`repair`].
    SpacedNested(&'a str),
    /// Like [`Value::Nested`], with dirty strings in it: copy it with [`repair`].
    DirtyNested(&'a str),
}

/// Why a text is not the JSON that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {problem}")]
pub struct Error {
    /// Where in the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is over too early.
    #[error("the text ends inside a value")]
    End,
    /// Another character had to stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A backslash and what follows are no escape of JSON.
    #[error("not an escape sequence of JSON")]
    Escape,
    /// More than [`DEPTH_MAX`] objects and arrays within each other.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    Depth,
}

/// Reads an object and calls `field` for each of its fields in their order, repeated keys included:
/// with its key, its value and, if it could be copied as it stands, its text.
///
/// Returns how many bytes were read: white space before the object and the object itself. What
/// follows is the caller's business (Fluent Bit's json parser ignores it, unless it begins with
/// another whole value). On an error, `field` may have been called for the fields before it.
///
/// ```
/// use tailwater_parsers::json::{self, Text, Value};
/// let mut levels = 0;
/// let read = json::object(r#"{"level": "info", "n": 1} rest"#, |key, value, _| {
///     levels += usize::from(key.is("level") && value == Value::String(Text::Plain("info")));
/// });
/// assert_eq!((read, levels), (Ok(25), 1));
/// ```
#[inline]
pub fn object<'a>(
    text: &'a str,
    field: impl FnMut(Text<'a>, Value<'a>, Option<Run<'a>>),
) -> Result<usize, Error> {
    object_knowing(text, "", field)
}

/// Like [`object`], for one of many objects that hold the same value: where a value begins with `known`, it is that, and
/// is not read again. `known` is what was a [`Value::Nested`] before, or empty.
///
/// ```
/// use tailwater_parsers::json::{self, Value};
/// let mut found = Vec::new();
/// let read = json::object_knowing(r#"{"a":{"b":1},"c":2}"#, r#"{"b":1}"#, |_, value, _| found.push(value));
/// assert_eq!(read, Ok(19));
/// assert_eq!(found, [Value::Nested(r#"{"b":1}"#), Value::Number("2")]);
/// ```
#[expect(clippy::inline_always, reason = "to know nothing costs nothing")]
#[inline(always)]
pub fn object_knowing<'a>(
    text: &'a str,
    known: &str,
    mut field: impl FnMut(Text<'a>, Value<'a>, Option<Run<'a>>),
) -> Result<usize, Error> {
    let mut scanner = Scanner::inside(text);
    let mut more = scanner.open(b'{', "an object")?;
    while more {
        let start = scanner.start_field();
        let key = scanner.key()?;
        let value = match scanner.known(known) {
            Some(text) => Value::Nested(text),
            None => scanner.value()?,
        };
        field(key, value, scanner.run(start, key, value));
        more = scanner.follow(b'}', "`,` or `}`")?;
    }
    Ok(scanner.offset())
}

/// Reads an array and calls `item` for each of its values; otherwise like [`object`].
pub fn array<'a>(text: &'a str, mut item: impl FnMut(Value<'a>)) -> Result<usize, Error> {
    let mut scanner = Scanner::inside(text);
    let mut more = scanner.open(b'[', "an array")?;
    while more {
        item(scanner.value()?);
        more = scanner.follow(b']', "`,` or `]`")?;
    }
    Ok(scanner.offset())
}

/// Reads one value of any kind; returns it and how many bytes were read, leading white space
/// included.
pub fn value(text: &str) -> Result<(Value<'_>, usize), Error> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    Ok((value, scanner.offset()))
}

/// The first value under `key` in an object, where it has one. Reads no further than that, so what
/// follows may be anything.
pub fn get<'a>(text: &'a str, key: &str) -> Option<Value<'a>> {
    let mut scanner = Scanner::inside(text);
    let mut more = scanner.open(b'{', "an object").ok()?;
    while more {
        let name = scanner.key().ok()?;
        let value = scanner.value().ok()?;
        if name.is(key) {
            return Some(value);
        }
        more = scanner.follow(b'}', "`,` or `}`").ok()?;
    }
    None
}

/// Fuzz entry: what is read can be read again from what is written, and is clean then.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_json(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut escaped = Vec::new();
    escape(text, &mut escaped);
    let escaped = String::from_utf8_lossy(&escaped).into_owned();
    let mut back = String::new();
    unescape(&escaped, &mut back);
    assert_eq!(back, text, "escape and unescape");

    let read = value(text);
    let (mut fields, mut known) = (0, "");
    let whole = object(text, |_, value, _| {
        fields += 1;
        if let Value::Nested(text) = value {
            known = text;
        }
    });
    if let Ok(length) = whole {
        assert_eq!(read.map(|(_, length)| length), Ok(length), "object and value");
        let (mut plain, mut knowing) = (Vec::new(), Vec::new());
        let again = object(text, |key, value, run| plain.push((key, value, run)));
        let with = object_knowing(text, known, |key, value, run| knowing.push((key, value, run)));
        assert_eq!((again, plain), (with, knowing), "object and what knows a part of it");
    }
    let Ok((first, length)) = read else { return };
    let Some((raw, _)) = text.split_at_checked(length) else { return };
    let mut clean = String::new();
    repair(raw, &mut clean);
    match (first, value(&clean)) {
        (Value::SpacedNested(_) | Value::DirtyNested(_), Ok((Value::Nested(_), _))) => {
            assert_ne!(clean, raw);
        }
        (Value::String(Text::Dirty(body)), Ok((Value::String(again), _))) => {
            let mut decoded = String::new();
            unescape(body, &mut decoded);
            assert!(again.is(&decoded), "repair keeps the text");
            assert!(!matches!(again, Text::Dirty(_)), "repair cleans");
        }
        (_, again) => {
            assert_eq!(clean, raw.trim_start(), "repair leaves clean text");
            assert_eq!(again.map(|(_, length)| length), Ok(clean.len()), "clean text");
        }
    }
    let mut again = 0;
    if fields > 0 && object(&clean, |_, _, _| again += 1).is_ok() {
        assert_eq!(fields, again, "repair keeps the fields");
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    /// The fields as one line of text, or the error.
    fn check(text: &str, expected: &str) {
        let mut seen = String::new();
        let read = object(text, |key, value, _| writeln!(seen, "{key:?}: {value:?}").unwrap());
        match read {
            Ok(length) => write!(seen, "{}", &text[length..]).unwrap(),
            Err(error) => write!(seen, "{error}").unwrap(),
        }
        assert_eq!(seen.replace('\n', "; "), expected, "{text:?}");
    }

    #[test]
    fn fields() {
        check("{}", "");
        check(" \t\r\n{ } x", " x");
        check(r#"{"a":"b"}"#, r#"Plain("a"): String(Plain("b")); "#);
        check(
            r#"{ "" : null , "a" : true,"a":false }{"#,
            r#"Plain(""): Null; Plain("a"): True; Plain("a"): False; {"#,
        );
        check(r#"{"æ":"日本"}"#, r#"Plain("æ"): String(Plain("日本")); "#);
        check(
            r#"{"n":-0.5e+10,"m":0}"#,
            r#"Plain("n"): Number("-0.5e+10"); Plain("m"): Number("0"); "#,
        );
        check(r#"{"o" : {"a":[1,{}]}}"#, r#"Plain("o"): Nested("{\"a\":[1,{}]}"); "#);
        check(
            r#"{"o": {"a":[1,{}, [] ]} ,"p":[ ]}"#,
            r#"Plain("o"): SpacedNested("{\"a\":[1,{}, [] ]}"); Plain("p"): SpacedNested("[ ]"); "#,
        );
    }

    #[test]
    fn strings() {
        check(
            r#"{"a":"\/\"\\\b\f\n\r\t"}"#,
            r#"Plain("a"): String(Escaped("\\/\\\"\\\\\\b\\f\\n\\r\\t")); "#,
        );
        check(
            r#"{"a":"\u00e6\ud83d\ude00"}"#,
            r#"Plain("a"): String(Escaped("\\u00e6\\ud83d\\ude00")); "#,
        );
        check(r#"{"a":"\ud83d"}"#, r#"Plain("a"): String(Dirty("\\ud83d")); "#);
        check(r#"{"a":"\ude00\ud83d"}"#, r#"Plain("a"): String(Dirty("\\ude00\\ud83d")); "#);
        check("{\"a\":\"x\ty\\n\"}", r#"Plain("a"): String(Dirty("x\ty\\n")); "#);
        check("{\"a\":[\"\0\"]}", r#"Plain("a"): DirtyNested("[\"\0\"]"); "#);
        check("{\"a\":{\"\n\":1}}", r#"Plain("a"): DirtyNested("{\"\n\":1}"); "#);
        check("{\"a\":\"\u{7f}\"}", r#"Plain("a"): String(Plain("\u{7f}")); "#);
    }

    #[test]
    fn errors() {
        check("", "byte 0: the text ends inside a value");
        check("[]", "byte 0: expected an object");
        check("{", "byte 1: the text ends inside a value");
        check("{'a':1}", "byte 1: expected a key in double quotes");
        check(r#"{"a" 1}"#, "byte 5: expected `:`");
        check(r#"{"a":}"#, "byte 5: expected a value");
        check(r#"{"a":nul}"#, "byte 5: expected a value");
        check(r#"{"a":NaN}"#, "byte 5: expected a value");
        check(r#"{"a":-}"#, "byte 6: expected a digit");
        check(r#"{"a":1.}"#, "byte 7: expected a digit");
        check(r#"{"a":01}"#, r#"Plain("a"): Number("0"); byte 6: expected `,` or `}`"#);
        check(r#"{"a":1,}"#, r#"Plain("a"): Number("1"); byte 7: expected a key in double quotes"#);
        check(r#"{"a":[1,]}"#, "byte 8: expected a value");
        check(r#"{"a":[1}"#, "byte 7: expected `,` or `]`");
        check(r#"{"a":{"b":1]"#, "byte 11: expected `,` or `}`");
        check(r#"{"a":"\x"}"#, "byte 6: not an escape sequence of JSON");
        check(r#"{"a":"\u00é"}"#, "byte 6: not an escape sequence of JSON");
        check(r#"{"a":"\u+123"}"#, "byte 6: not an escape sequence of JSON");
        check(r#"{"a":"bc"#, "byte 8: the text ends inside a value");
        check(r#"{"a":"bc\"#, "byte 8: not an escape sequence of JSON");
    }

    #[test]
    fn depth() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let max = DEPTH_MAX as usize;
        assert!(value(&deep(max)).is_ok());
        assert!(array(&deep(max), |_| {}).is_ok());
        assert_eq!(value(&deep(max + 1)).map_err(|error| error.problem), Err(Problem::Depth));
        assert_eq!(
            array(&deep(max + 1), |_| {}).map_err(|error| error.problem),
            Err(Problem::Depth)
        );
        let endless = r#"{"a":["#.repeat(100_000);
        assert_eq!(value(&endless).map_err(|error| error.problem), Err(Problem::Depth));
    }

    #[test]
    fn get_reads_no_further() {
        let text = r#"{"a":1,"\u0062":"x","a":2,"c":"#;
        assert_eq!(get(text, "a"), Some(Value::Number("1")));
        assert_eq!(get(text, "b"), Some(Value::String(Text::Plain("x"))));
        assert_eq!(get(text, "c"), None);
        assert_eq!(get("[]", "a"), None);
    }

    #[test]
    fn text_of_strings() {
        let decode = |text: Text<'_>| {
            let (mut scratch, mut written) = (String::from("old"), Vec::new());
            text.write(&mut written);
            let decoded = text.decode(&mut scratch);
            assert!(text.is(decoded) && !text.is(&format!("{decoded}x")) && !text.is("?"));
            (decoded.to_owned(), String::from_utf8(written).unwrap())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(decode(Text::Plain("a")), pair("a", "a"));
        assert_eq!(decode(Text::Escaped(r"\ud83d\ude00\/")), pair("😀/", r"\ud83d\ude00\/"));
        assert_eq!(
            decode(Text::Dirty("\u{1}\\n\\udc00é\t")),
            pair("\u{1}\n\u{fffd}é\t", "\\u0001\\n\u{fffd}é\\t")
        );
    }

    #[test]
    fn unescape_keeps_what_is_no_escape() {
        let mut out = String::new();
        unescape(r"a\x\u12\", &mut out);
        assert_eq!(out, r"a\x\u12\");
    }

    /// JSON-like text: more often near JSON than any text would be.
    fn jsonish() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(":"),
            Just("\""),
            Just("\"a\":"),
            Just("\"\\u00e9\""),
            Just("\"\\ud800\""),
            Just("\"x\ny\""),
            Just("1"),
            Just("-0.5E-3"),
            Just("true"),
            Just("null"),
            Just(" "),
            Just("é"),
            Just("\\"),
            Just("01"),
        ];
        proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    /// Any JSON value, from serde_json's writer.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn fuzz_entry_holds(text in prop_oneof![jsonish(), any::<String>()]) {
            fuzz_json(text.as_bytes());
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in jsonish()) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = value(&text).is_ok_and(|(_, length)| text[length..].trim().is_empty());
            // serde_json refuses raw control characters and lone surrogates.
            let dirty = text.contains('\n') || text.contains("d800");
            prop_assert!(ours == theirs || ours && dirty, "{text:?} {ours} {theirs}");
        }

        #[test]
        fn reads_what_serde_json_writes(written in json()) {
            let text = written.to_string();
            let (value, length) = value(&text).unwrap();
            prop_assert_eq!(length, text.len());
            if let (Some(raw), Some(map)) = (value.nested(), written.as_object()) {
                prop_assert_eq!(raw, &text);
                let mut keys = Vec::new();
                object(&text, |key, _, _| keys.push(key.decode(&mut String::new()).to_owned())).unwrap();
                prop_assert_eq!(keys, map.keys().cloned().collect::<Vec<_>>());
                for (key, value) in map {
                    if let Some(Value::String(text)) = get(&text, key) {
                        let mut scratch = String::new();
                        prop_assert_eq!(Some(text.decode(&mut scratch)), value.as_str());
                    }
                }
            }
        }

        #[test]
        fn escape_is_read_by_serde_json(text: String) {
            let mut out = vec![b'"'];
            escape(&text, &mut out);
            out.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn repaired_text_is_read_by_serde_json(text in jsonish()) {
            if let Ok((_, length)) = value(&text) {
                let mut clean = String::new();
                repair(&text[..length], &mut clean);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&clean).is_ok(), "{clean:?}");
            }
        }
    }
}
