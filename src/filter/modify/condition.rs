//! The conditions of `modify`: which records its operations are for.

use super::{pattern, usage};
use crate::config::{Diagnostics, Keyed, nearest};
use crate::record::{Accessor, AccessorError, Fields, Name, Value};
use bumpalo::Bump;
use tailwater_parsers::regex::Pattern;

/// What a record must be like.
#[derive(Debug)]
pub(super) enum Condition {
    KeyExists(Key),
    KeyDoesNotExist(Key),
    AKeyMatches(Pattern),
    NoKeyMatches(Pattern),
    KeyValueEquals(Key, String),
    KeyValueDoesNotEqual(Key, String),
    KeyValueMatches(Key, Pattern),
    KeyValueDoesNotMatch(Key, Pattern),
    MatchingKeysHaveMatchingValues(Pattern, Pattern),
    MatchingKeysDoNotHaveMatchingValues(Pattern, Pattern),
}

/// The value that a condition is about.
#[derive(Debug)]
pub(super) struct Key(
    /// `None`: what the user named is never there for Fluent Bit.
    Option<Accessor>,
);

/// The kinds of `Condition`, for near names.
const CONDITIONS: [&str; 10] = [
    "Key_exists",
    "Key_does_not_exist",
    "A_key_matches",
    "No_key_matches",
    "Key_value_equals",
    "Key_value_does_not_equal",
    "Key_value_matches",
    "Key_value_does_not_match",
    "Matching_keys_have_matching_values",
    "Matching_keys_do_not_have_matching_values",
];

impl Condition {
    pub(super) fn build(
        entry: &Keyed,
        words: &[&str],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let (kind, key, rest) = match words {
            [kind, key, rest @ ..] => (kind, key, rest),
            [kind] => (kind, kind, [].as_slice()),
            [] => {
                diagnostics.error(&entry.location, usage(entry));
                return None;
            }
        };
        let lower = kind.to_ascii_lowercase();
        let is_known = CONDITIONS.iter().any(|name| name.eq_ignore_ascii_case(kind));
        if is_known && words.len() == 1 {
            let message =
                format!("the condition names no key, for which Fluent Bit takes `{kind}`");
            diagnostics.warning(&entry.location, message);
        }
        // Without a value, Fluent Bit compares with the empty text.
        let rest = match lower.as_str() {
            "key_value_equals" | "key_value_does_not_equal" if rest.is_empty() => &[""],
            _ => rest,
        };
        Some(match (lower.as_str(), rest) {
            ("key_exists", _) => Self::KeyExists(Key::read(key, entry, diagnostics)?),
            ("key_does_not_exist", _) => Self::KeyDoesNotExist(Key::read(key, entry, diagnostics)?),
            ("a_key_matches", _) => Self::AKeyMatches(pattern(key, entry, diagnostics)?),
            ("no_key_matches", _) => Self::NoKeyMatches(pattern(key, entry, diagnostics)?),
            ("key_value_equals", [value]) => {
                Self::KeyValueEquals(Key::read(key, entry, diagnostics)?, (*value).to_owned())
            }
            ("key_value_does_not_equal", [value]) => {
                Self::KeyValueDoesNotEqual(Key::read(key, entry, diagnostics)?, (*value).to_owned())
            }
            ("key_value_matches", [value]) => Self::KeyValueMatches(
                Key::read(key, entry, diagnostics)?,
                pattern(value, entry, diagnostics)?,
            ),
            ("key_value_does_not_match", [value]) => Self::KeyValueDoesNotMatch(
                Key::read(key, entry, diagnostics)?,
                pattern(value, entry, diagnostics)?,
            ),
            ("matching_keys_have_matching_values", [value]) => {
                Self::MatchingKeysHaveMatchingValues(
                    pattern(key, entry, diagnostics)?,
                    pattern(value, entry, diagnostics)?,
                )
            }
            ("matching_keys_do_not_have_matching_values", [value]) => {
                Self::MatchingKeysDoNotHaveMatchingValues(
                    pattern(key, entry, diagnostics)?,
                    pattern(value, entry, diagnostics)?,
                )
            }
            _ => {
                diagnostics.error(&entry.location, unknown_condition(kind, entry));
                return None;
            }
        })
    }

    /// What must be there for it to hold, if that is one field.
    pub(super) fn needs(&self) -> Option<&Accessor> {
        match self {
            Self::KeyExists(key)
            | Self::KeyValueEquals(key, _)
            | Self::KeyValueDoesNotEqual(key, _)
            | Self::KeyValueMatches(key, _)
            | Self::KeyValueDoesNotMatch(key, _) => key.0.as_ref(),
            Self::KeyDoesNotExist(_)
            | Self::AKeyMatches(_)
            | Self::NoKeyMatches(_)
            | Self::MatchingKeysHaveMatchingValues(..)
            | Self::MatchingKeysDoNotHaveMatchingValues(..) => None,
        }
    }

    pub(super) fn holds<'a>(
        &self,
        fields: &Fields<'a>,
        bump: &'a Bump,
        scratch: &mut String,
    ) -> bool {
        let a_key_matches =
            |pattern: &Pattern| fields.iter().any(|field| pattern.is_match(field.key()));
        match self {
            Self::KeyExists(key) => key.find(fields, bump).is_some(),
            Self::KeyDoesNotExist(key) => key.find(fields, bump).is_none(),
            Self::AKeyMatches(pattern) => a_key_matches(pattern),
            Self::NoKeyMatches(pattern) => !a_key_matches(pattern),
            Self::KeyValueEquals(key, text) => {
                key.find(fields, bump).is_some_and(|value| equals(value, text, scratch))
            }
            Self::KeyValueDoesNotEqual(key, text) => {
                key.find(fields, bump).is_some_and(|value| !equals(value, text, scratch))
            }
            Self::KeyValueMatches(key, pattern) => {
                key.find(fields, bump).is_some_and(|value| matches(value, pattern, scratch))
            }
            Self::KeyValueDoesNotMatch(key, pattern) => {
                key.find(fields, bump).is_some_and(|value| !matches(value, pattern, scratch))
            }
            Self::MatchingKeysHaveMatchingValues(keys, values) => {
                matching_have_matching(fields, keys, values, scratch)
            }
            Self::MatchingKeysDoNotHaveMatchingValues(keys, values) => {
                !matching_have_matching(fields, keys, values, scratch)
            }
        }
    }
}

impl Key {
    fn read(text: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut never = |what: &str| {
            let message =
                format!("`{text}` {what}, and is never there for a condition, as in Fluent Bit");
            diagnostics.warning(&entry.location, message);
            Some(Self(None))
        };
        match Accessor::parse(text) {
            Ok(accessor) if matches!(accessor.names().last(), Some(Name::Index(_))) => {
                never("is an item of an array")
            }
            Ok(accessor) => Some(Self(Some(accessor))),
            Err(AccessorError::NotAField(_)) => never("is no field"),
            Err(error) => {
                diagnostics.error(&entry.location, format!("`{text}`: {error}"));
                None
            }
        }
    }

    fn find<'a>(&self, fields: &Fields<'a>, bump: &'a Bump) -> Option<Value<'a>> {
        self.0.as_ref()?.on_fields(fields, bump)
    }
}

fn matching_have_matching(
    fields: &Fields<'_>,
    keys: &Pattern,
    values: &Pattern,
    scratch: &mut String,
) -> bool {
    fields
        .iter()
        .filter(|field| keys.is_match(field.key()))
        .all(|field| matches(field.value(), values, scratch))
}

/// Whether the value is this text; only strings are.
fn equals(value: Value<'_>, text: &str, scratch: &mut String) -> bool {
    value.read_str(scratch) == Some(text)
}

/// Whether the value is a string or a boolean that matches; Fluent Bit matches no other kind.
fn matches(value: Value<'_>, pattern: &Pattern, scratch: &mut String) -> bool {
    match value {
        Value::True => pattern.is_match("true"),
        Value::False => pattern.is_match("false"),
        _ => value.read_str(scratch).is_some_and(|text| pattern.is_match(text)),
    }
}

fn unknown_condition(kind: &str, entry: &Keyed) -> String {
    match nearest(kind, CONDITIONS) {
        Some(name) if name.eq_ignore_ascii_case(kind) => usage(entry),
        Some(name) => format!("`Condition` has no kind `{kind}`; did you mean `{name}`?"),
        None => {
            format!("`Condition` has no kind `{kind}`; the kinds are {}", CONDITIONS.join(", "))
        }
    }
}
