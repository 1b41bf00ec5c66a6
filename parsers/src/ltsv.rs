//! LTSV: `label:value` with tabs between, see <http://ltsv.org>.
//!
//! Read as Fluent Bit 5.1 reads it (`flb_parser_ltsv.c`): a field without a label is passed over, and
//! the text is over at a line end or where no field begins, whatever follows. One character more than
//! there is part of a value: U+000E, as the definition has it.

use super::split_before;

/// One field, as slices of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The label; never empty: letters, digits, `_`, `.` and `-`.
    pub label: &'a str,
    /// The value; may be empty.
    pub value: &'a str,
}

/// The fields of a text, in their order.
///
/// ```
/// use tailwater_parsers::ltsv::{Field, fields};
/// let mut fields = fields("host:a\ttime:12:30");
/// assert_eq!(fields.next(), Some(Field { label: "host", value: "a" }));
/// assert_eq!(fields.next(), Some(Field { label: "time", value: "12:30" }));
/// assert_eq!(fields.next(), None);
/// ```
pub fn fields(text: &str) -> Fields<'_> {
    Fields { rest: text }
}

/// The iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let (label, rest) = split_before(self.rest, |byte| !is_label(byte));
            let Some(rest) = rest.strip_prefix(':') else {
                self.rest = "";
                return None;
            };
            let (value, rest) = split_before(rest, is_end);
            let rest = rest.strip_prefix('\t').unwrap_or(rest);
            self.rest = if rest.starts_with(['\r', '\n']) { "" } else { rest };
            if !label.is_empty() {
                return Some(Field { label, value });
            }
        }
    }
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// What no value holds.
fn is_end(byte: u8) -> bool {
    matches!(byte, b'\0' | b'\t' | b'\n' | b'\r')
}

/// Fuzz entry: what the fields say can be written and read again.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_ltsv(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut written = String::new();
    for Field { label, value } in fields(text) {
        assert!(text.contains(&format!("{label}:{value}")), "a field that is not in the text");
        written.push_str(label);
        written.push(':');
        written.push_str(value);
        written.push('\t');
    }
    assert!(fields(&written).eq(fields(text)), "written and read again");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn check(text: &str, expected: &[(&str, &str)]) {
        let read: Vec<_> = fields(text).map(|field| (field.label, field.value)).collect();
        assert_eq!(read, expected, "{text:?}");
    }

    #[test]
    fn labels_and_values() {
        check(
            "str:text\tint:100\tdouble:1.23\tbool:true",
            &[("str", "text"), ("int", "100"), ("double", "1.23"), ("bool", "true")],
        );
        check("a:\tb: x y \tt:1:2", &[("a", ""), ("b", " x y "), ("t", "1:2")]);
        check("a-b.c_D9:é\u{e}\u{1}", &[("a-b.c_D9", "é\u{e}\u{1}")]);
        check("a:1\t", &[("a", "1")]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_field() {
        check(":x\ta:1", &[("a", "1")]);
        check("a:1\tb c:2\td:3", &[("a", "1")]);
        check("a:1\t\tb:2", &[("a", "1")]);
        check("a:1\tb", &[("a", "1")]);
        check("a:1\0\tb:2", &[("a", "1")]);
        check("é:1", &[]);
        check("no field", &[]);
    }

    #[test]
    fn line_ends() {
        check("a:1\nb:2", &[("a", "1")]);
        check("a:1\r\nb:2", &[("a", "1")]);
        check("a:1\t\nb:2", &[("a", "1")]);
        check("a:1\t\rb:2", &[("a", "1")]);
        check("\na:1", &[]);
    }

    proptest! {
        #[test]
        fn fuzz_entry_holds(text in "([a-zé.]{0,3}|[:\t\0\n\r ]){0,12}") {
            fuzz_ltsv(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read(line in proptest::collection::vec(("[A-Za-z0-9_.-]{1,5}", "[^\0\t\r\n]{0,8}"), 0..6)) {
            let text: Vec<String> =
                line.iter().map(|(label, value)| format!("{label}:{value}")).collect();
            let text = text.join("\t");
            let read: Vec<(String, String)> =
                fields(&text).map(|field| (field.label.to_owned(), field.value.to_owned())).collect();
            prop_assert_eq!(read, line);
        }
    }
}
