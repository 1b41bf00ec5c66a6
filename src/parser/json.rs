//! `Format json`: the fields of a JSON object.

use super::time::TimeField;
use super::{Parsed, Scratch};
use crate::record::{Field, Fields, Nanos};
use bumpalo::Bump;
use tailwater_parsers::json;

/// Appends the object's fields.
///
/// As in Fluent Bit, what follows the object is left out, unless it begins with another JSON value:
/// then the text is two records, which no parser can return, and does not match.
pub(super) fn parse<'a>(
    time_field: Option<&TimeField>,
    scratch: &mut Scratch,
    text: &'a str,
    bump: &'a Bump,
    now: Nanos,
    fields: &mut Fields<'a>,
) -> Option<Parsed> {
    let count_before = fields.len();
    let text_of = &mut scratch.text;
    // Of a repeated time field only the first one is one.
    let mut pending_time = time_field;
    let mut time = None;
    let mut is_repaired = false;
    let read = json::object(text, |key, value, run| {
        if let Some(field) = pending_time
            && key.is(&field.key)
        {
            pending_time = None;
            time = read_time(field, value, text_of, now);
            if time.is_some() && !field.keep {
                return;
            }
        }
        is_repaired |= key.is_dirty() || value.is_dirty();
        fields.push(Field::from_json(key, value, run, bump, text_of));
    });
    if !read.is_ok_and(|end| is_alone(text, end)) {
        fields.truncate(count_before);
        return None;
    }
    Some(Parsed { time, is_repaired })
}

/// Whether no other JSON value follows the one that ends at `end`.
pub(super) fn is_alone(text: &str, end: usize) -> bool {
    text.split_at_checked(end)
        .is_some_and(|(_, rest)| rest.is_empty() || json::value(rest).is_err())
}

/// The time that the field says; only strings do.
fn read_time(
    field: &TimeField,
    value: json::Value<'_>,
    text_of: &mut String,
    now: Nanos,
) -> Option<Nanos> {
    let json::Value::String(text) = value else { return None };
    field.read(text.decode(text_of), now)
}
