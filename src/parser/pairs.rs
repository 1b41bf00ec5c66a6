//! `Format logfmt` and `Format ltsv`: keys with their values.

use super::Parsed;
use super::cast::Types;
use super::time::TimeField;
use crate::record::{Field, Fields, Nanos, Value};
use bumpalo::Bump;
use bumpalo::collections::String as BumpString;
use tailwater_parsers::escapes::Escapes;
use tailwater_parsers::{logfmt, ltsv};

/// What a parser of pairs does with them.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) syntax: Syntax,
    pub(super) types: Option<Types>,
}

/// How pairs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Logfmt {
        /// Whether a key without `=` is one; otherwise a text with one does not match.
        bare_keys: bool,
    },
    Ltsv,
}

impl Pairs {
    /// Appends the pairs as fields.
    ///
    /// As in Fluent Bit, a text does not match if it has no pairs, none but the time, or a time that
    /// cannot be read.
    pub(super) fn parse<'a>(
        &self,
        time_field: Option<&TimeField>,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        let count_before = fields.len();
        let mut time = None;
        let mut take = |key: &'a str, written: &'a str, value: Value<'a>| {
            if let Some(field) = time_field
                && key == &*field.key
                && !written.is_empty()
            {
                time = Some(field.read(written, now)?);
                if !field.keep {
                    return Some(());
                }
            }
            fields.push(Field::new(key, value));
            Some(())
        };
        let read = match self.syntax {
            Syntax::Logfmt { bare_keys } => logfmt::pairs(text).try_for_each(|pair| {
                if pair.value == logfmt::Value::Bare && !bare_keys {
                    return None;
                }
                take(pair.key, pair.value.as_written(), self.value_of_pair(pair, bump))
            }),
            Syntax::Ltsv => ltsv::fields(text).try_for_each(|field| {
                let value = match &self.types {
                    None => Value::Str(field.value),
                    Some(types) => types.cast(field.label, field.value, bump),
                };
                take(field.label, field.value, value)
            }),
        };
        if read.is_none() || fields.len() == count_before {
            fields.truncate(count_before);
            return None;
        }
        Some(Parsed { time, is_repaired: false })
    }

    /// The value of a pair. As in Fluent Bit, with `Types` escapes stay, and a key without a value is
    /// empty text.
    fn value_of_pair<'a>(&self, pair: logfmt::Pair<'a>, bump: &'a Bump) -> Value<'a> {
        if let Some(types) = &self.types {
            return types.cast(pair.key, pair.value.as_written(), bump);
        }
        match pair.value {
            logfmt::Value::Bare | logfmt::Value::Missing => Value::True,
            logfmt::Value::Text(text) => Value::Str(text),
            logfmt::Value::Escaped(text) => Value::Str(decode(Escapes::Utf8, text, bump)),
        }
    }
}

/// Decodes a text into the arena.
pub(super) fn decode<'a>(escapes: Escapes, text: &str, bump: &'a Bump) -> &'a str {
    let mut decoded = BumpString::with_capacity_in(text.len(), bump);
    escapes.decode(text, |piece| decoded.push_str(piece));
    decoded.into_bump_str()
}
