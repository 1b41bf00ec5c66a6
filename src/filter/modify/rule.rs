//! The operations of `modify`: what becomes of a record's fields.

use super::{pattern, usage};
use crate::config::{Diagnostics, Keyed};
use crate::record::{Field, Fields, Value};
use tailwater_parsers::regex::Pattern;

/// One operation with its words.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operation: Operation,
    pub(super) key: String,
    /// The value, or the new name; empty where the operation has but one word.
    pub(super) other: String,
}

/// The words of a rule, in the arena of a batch.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) key: &'a str,
    pub(super) other: &'a str,
}

#[derive(Debug)]
pub(super) enum Operation {
    Set,
    Add,
    Remove,
    RemovePrefix,
    RemoveMatching(Pattern),
    MoveToStart,
    MoveToEnd,
    Rename,
    HardRename,
    Copy,
    HardCopy,
}

impl Rule {
    pub(super) fn build(
        entry: &Keyed,
        words: &[&str],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if let ("Remove_wildcard" | "Move_To_Start" | "Move_To_End", [prefix]) =
            (entry.property, words)
        {
            // Fluent Bit takes it as an expression before it takes it as a prefix, and does not start with `*s`.
            pattern(prefix, entry, diagnostics)?;
        }
        let (operation, key, other) = match (entry.property, words) {
            ("Set", [key, value]) => (Operation::Set, key, *value),
            ("Add", [key, value]) => (Operation::Add, key, *value),
            ("Rename", [key, new]) => (Operation::Rename, key, *new),
            ("Hard_Rename", [key, new]) => (Operation::HardRename, key, *new),
            ("Copy", [key, new]) => (Operation::Copy, key, *new),
            ("Hard_copy", [key, new]) => (Operation::HardCopy, key, *new),
            ("Remove", [key]) => (Operation::Remove, key, ""),
            ("Remove_wildcard", [prefix]) => (Operation::RemovePrefix, prefix, ""),
            ("Move_To_Start", [prefix]) => (Operation::MoveToStart, prefix, ""),
            ("Move_To_End", [prefix]) => (Operation::MoveToEnd, prefix, ""),
            ("Remove_regex", [regex]) => {
                (Operation::RemoveMatching(pattern(regex, entry, diagnostics)?), regex, "")
            }
            (_, [key, _, new]) => {
                let message = format!(
                    "`{}` has three words, which Fluent Bit reads as `Rename {key} {new}`; \
                     put quotes around a value that holds blanks",
                    entry.property
                );
                diagnostics.warning(&entry.location, message);
                (Operation::Rename, key, *new)
            }
            _ => {
                diagnostics.error(&entry.location, usage(entry));
                return None;
            }
        };
        Some(Self { operation, key: (*key).to_owned(), other: other.to_owned() })
    }
}

impl Operation {
    /// Whether it is told for the sake of a field that it takes or copies. Whoever removes one may well be glad that
    /// it is not there.
    pub(super) fn takes_a_field(&self) -> bool {
        matches!(self, Self::Rename | Self::HardRename | Self::Copy | Self::HardCopy)
    }

    /// Works on one record, as Fluent Bit's filter of that name does.
    pub(super) fn apply<'a>(&self, Words { key, other }: Words<'a>, fields: &mut Fields<'a>) {
        match self {
            Self::Set => {
                fields.retain(|field| field.key() != key);
                fields.push(Field::new(key, Value::Str(other)));
            }
            Self::Add => {
                if count(fields, key) == 0 {
                    fields.push(Field::new(key, Value::Str(other)));
                }
            }
            Self::Remove => fields.retain(|field| field.key() != key),
            Self::RemovePrefix => fields.retain(|field| !field.key().starts_with(key)),
            Self::RemoveMatching(pattern) => fields.retain(|field| !pattern.is_match(field.key())),
            Self::MoveToStart => move_to_start(fields, |name| name.starts_with(key)),
            Self::MoveToEnd => move_to_start(fields, |name| !name.starts_with(key)),
            Self::Rename => {
                if count(fields, other) == 0 {
                    rename(fields, key, other);
                }
            }
            Self::HardRename => {
                if count(fields, key) > 0 {
                    fields.retain(|field| field.key() != other);
                    rename(fields, key, other);
                }
            }
            Self::Copy => {
                if count(fields, key) == 1 && count(fields, other) == 0 {
                    copy(fields, key, other);
                }
            }
            Self::HardCopy => {
                if key != other && count(fields, key) == 1 && count(fields, other) <= 1 {
                    fields.retain(|field| field.key() != other);
                    copy(fields, key, other);
                }
            }
        }
    }
}

fn count(fields: &[Field<'_>], key: &str) -> usize {
    fields.iter().filter(|field| field.key() == key).count()
}

fn rename<'a>(fields: &mut [Field<'a>], key: &str, new: &'a str) {
    for field in fields.iter_mut().filter(|field| field.key() == key) {
        *field = Field::new(new, field.value());
    }
}

/// Puts a copy of the field `key` right behind it.
fn copy<'a>(fields: &mut Fields<'a>, key: &str, new: &'a str) {
    let found = fields.iter().enumerate().find(|(_, field)| field.key() == key);
    if let Some((at, value)) = found.map(|(at, field)| (at, field.value())) {
        fields.insert(at + 1, Field::new(new, value));
    }
}

/// Moves the chosen fields before all others; both groups keep their order.
fn move_to_start(fields: &mut [Field<'_>], is_chosen: impl Fn(&str) -> bool) {
    let mut chosen_count = 0;
    for at in 0..fields.len() {
        if fields.get(at).is_some_and(|field| is_chosen(field.key())) {
            if let Some(range) = fields.get_mut(chosen_count..=at) {
                range.rotate_right(1);
            }
            chosen_count += 1;
        }
    }
}
