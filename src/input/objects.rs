//! JSON objects as records: what `stdin` reads and `dummy` repeats.

use crate::record::{Field, Fields, Nanos};
use bumpalo::Bump;
use tailwater_parsers::json::{self, Problem};

/// A record as JSON says it.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub fields: Fields<'a>,
    /// From `[time, {…}]`.
    pub time: Option<Nanos>,
    /// Bytes of the text.
    pub len: usize,
    /// Whether its JSON was repaired: halves of surrogate pairs, raw control characters.
    pub is_repaired: bool,
}

/// Why there is no record at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoObject {
    /// The text ends before the value does.
    Unfinished,
    /// It is something else.
    Other,
}

/// Room for fields that a record begins with.
const FIELDS_GUESS: usize = 8;

/// Reads `{…}`, `[time, {…}]` or `[[time, {…}], {…}]`, the forms in which Fluent Bit takes and prints records.
/// `scratch` is for keys with escapes.
pub(super) fn read<'a>(
    text: &'a str,
    bump: &'a Bump,
    scratch: &mut String,
) -> Result<Object<'a>, NoObject> {
    if !text.starts_with('[') {
        return read_fields(text, bump, scratch);
    }
    let mut items = [None, None];
    let mut count = 0;
    let len = json::array(text, |item| {
        if let Some(slot) = items.get_mut(count) {
            *slot = Some(item);
        }
        count += 1;
    });
    let len = len.map_err(blame)?;
    let [Some(header), Some(body)] = items else { return Err(NoObject::Other) };
    let body = body.nested().ok_or(NoObject::Other)?;
    let time = read_time(header).filter(|_| count == 2).ok_or(NoObject::Other)?;
    // The array is whole, so that nothing in it is unfinished.
    let object = read_fields(body, bump, scratch).map_err(|_| NoObject::Other)?;
    Ok(Object { time: Some(time), len, ..object })
}

/// Reads `{…}`.
fn read_fields<'a>(
    text: &'a str,
    bump: &'a Bump,
    scratch: &mut String,
) -> Result<Object<'a>, NoObject> {
    let mut is_repaired = false;
    let mut fields = Fields::with_capacity_in(FIELDS_GUESS, bump);
    let len = json::object(text, |key, value, run| {
        is_repaired |= key.is_dirty() || value.is_dirty();
        fields.push(Field::from_json(key, value, run, bump, scratch));
    });
    Ok(Object { fields, time: None, len: len.map_err(blame)?, is_repaired })
}

/// Seconds, or the first of a nested header.
fn read_time(header: json::Value<'_>) -> Option<Nanos> {
    let mut first = None;
    if let Some(text) = header.nested() {
        let read = json::array(text, |item| {
            first.get_or_insert(item);
        });
        read.ok()?;
    }
    match first.unwrap_or(header) {
        json::Value::Number(text) => nanos(text),
        _ => None,
    }
}

/// Decimal seconds as nanoseconds, exactly: a double would lose the last digits.
fn nanos(text: &str) -> Option<Nanos> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds >= 0)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nine.parse().ok()?)
}

fn blame(error: json::Error) -> NoObject {
    if error.problem == Problem::End { NoObject::Unfinished } else { NoObject::Other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::write_json;

    fn check(text: &str, expected: Result<(&str, Option<Nanos>, usize), NoObject>) {
        let bump = Bump::new();
        let object = read(text, &bump, &mut String::new()).map(|object| {
            let mut json = Vec::new();
            write_json(&object.fields, &mut json);
            (String::from_utf8(json).unwrap(), object.time, object.len)
        });
        let expected = expected.map(|(json, time, len)| (json.to_owned(), time, len));
        assert_eq!(object, expected, "{text}");
    }

    #[test]
    fn records_are_read_in_each_of_their_forms() {
        check(r#"{"a":1} {"b":2}"#, Ok((r#"{"a":1}"#, None, 7)));
        check(r#"[5, {"a\n":[]}]"#, Ok((r#"{"a\n":[]}"#, Some(5_000_000_000), 15)));
        check(r#"[1448403341.5,{}]"#, Ok(("{}", Some(1_448_403_341_500_000_000), 17)));
        check(r#"[[1.123456789, {"m":1}], {"a":1}]"#, Ok((r#"{"a":1}"#, Some(1_123_456_789), 33)));
    }

    #[test]
    fn what_is_no_record_is_told_from_what_is_none_yet() {
        check(r#"{"a":"#, Err(NoObject::Unfinished));
        check(r#"[1, {"a":1}"#, Err(NoObject::Unfinished));
        check("text", Err(NoObject::Other));
        check("[1]", Err(NoObject::Other));
        check("[1,{},3]", Err(NoObject::Other));
        check(r#"["x",{}]"#, Err(NoObject::Other));
        check("[-1,{}]", Err(NoObject::Other));
        check("17", Err(NoObject::Other));
    }
}
