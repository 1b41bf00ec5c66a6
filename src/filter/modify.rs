//! `modify`: renames, adds, sets, copies, moves and removes fields, if conditions hold.

use super::Filter;
use crate::config::{Diagnostics, Keyed, Ordered, nearest, properties};
use crate::record::{Accessor, Batch, Field, Fields, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use tailwater_parsers::regex::Pattern;

/// More words than any operation or condition takes.
const WORDS_MAX: usize = 3;

properties! {
    /// Renames, adds, sets, copies, moves and removes fields, in written order, of the records that meet all conditions.
    pub struct ModifyOptions for "modify" {
        /// `KEY VALUE`: sets the field; it moves to the end.
        rules: Ordered [
            "Set"
            | "Add": "`KEY VALUE`: adds the field if the record has none of that name."
            | "Remove": "`KEY`: removes the field."
            | "Remove_wildcard": "`PREFIX`: removes the fields whose names start so."
            | "Remove_regex": "`REGEX`: removes the fields whose names match."
            | "Move_To_Start": "`PREFIX`: moves the fields whose names start so to the front."
            | "Move_To_End": "`PREFIX`: moves the fields whose names start so to the end."
            | "Rename": "`KEY NEW`: renames the field if there is no field NEW."
            | "Hard_Rename": "`KEY NEW`: renames the field and removes another field NEW."
            | "Copy": "`KEY NEW`: copies the field if there is no field NEW."
            | "Hard_copy": "`KEY NEW`: copies the field over another field NEW."
            | "Condition": "`KIND KEY [VALUE]`: the operations apply only if all conditions hold, which are judged before the first operation."
        ],
    }
}

/// Works on the fields of the records that meet all conditions.
#[derive(Debug)]
pub struct Modify {
    conditions: Vec<Condition>,
    rules: Vec<Rule>,
}

impl Modify {
    /// Builds the filter; rules that cannot be read are reported and left out.
    pub fn build(options: &ModifyOptions, diagnostics: &mut Diagnostics) -> Self {
        let mut modify = Self { conditions: Vec::new(), rules: Vec::new() };
        for entry in &*options.rules {
            let Some(words) = split_words(&entry.value) else {
                diagnostics.error(&entry.location, usage(entry));
                continue;
            };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if entry.property == "Condition" {
                modify.conditions.extend(Condition::build(entry, &words, diagnostics));
            } else {
                modify.rules.extend(Rule::build(entry, &words, diagnostics));
            }
        }
        modify
    }
}

impl Filter for Modify {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        // Fields borrow from the arena and not from this filter, so the words go there, once per batch.
        let words = self.rules.iter().map(|rule| Words {
            key: bump.alloc_str(&rule.key),
            other: bump.alloc_str(&rule.other),
        });
        let words = BumpVec::from_iter_in(words, bump);
        let mut scratch = String::new();
        for record in &mut batch.records {
            let fields = &mut record.fields;
            if self.conditions.iter().all(|condition| condition.holds(fields, bump, &mut scratch)) {
                for (rule, words) in self.rules.iter().zip(&words) {
                    rule.operation.apply(*words, fields);
                }
            }
        }
    }
}

/// One operation with its words.
#[derive(Debug)]
struct Rule {
    operation: Operation,
    key: String,
    /// The value, or the new name; empty where the operation has but one word.
    other: String,
}

/// The words of a rule, in the arena of a batch.
#[derive(Clone, Copy)]
struct Words<'a> {
    key: &'a str,
    other: &'a str,
}

#[derive(Debug)]
enum Operation {
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
    fn build(entry: &Keyed, words: &[&str], diagnostics: &mut Diagnostics) -> Option<Self> {
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
    /// Works on one record, as Fluent Bit's filter of that name does.
    fn apply<'a>(&self, Words { key, other }: Words<'a>, fields: &mut Fields<'a>) {
        match self {
            Self::Set => {
                fields.retain(|field| field.key != key);
                fields.push(Field { key, value: Value::Str(other) });
            }
            Self::Add => {
                if count(fields, key) == 0 {
                    fields.push(Field { key, value: Value::Str(other) });
                }
            }
            Self::Remove => fields.retain(|field| field.key != key),
            Self::RemovePrefix => fields.retain(|field| !field.key.starts_with(key)),
            Self::RemoveMatching(pattern) => fields.retain(|field| !pattern.is_match(field.key)),
            Self::MoveToStart => move_to_start(fields, |name| name.starts_with(key)),
            Self::MoveToEnd => move_to_start(fields, |name| !name.starts_with(key)),
            Self::Rename => {
                if count(fields, other) == 0 {
                    rename(fields, key, other);
                }
            }
            Self::HardRename => {
                if count(fields, key) > 0 {
                    fields.retain(|field| field.key != other);
                    rename(fields, key, other);
                }
            }
            Self::Copy => {
                if count(fields, key) == 1 && count(fields, other) == 0 {
                    copy(fields, key, other);
                }
            }
            Self::HardCopy => {
                if count(fields, key) == 1 && count(fields, other) <= 1 {
                    fields.retain(|field| field.key != other);
                    copy(fields, key, other);
                }
            }
        }
    }
}

/// What a record must be like.
#[derive(Debug)]
enum Condition {
    KeyExists(Accessor),
    KeyDoesNotExist(Accessor),
    AKeyMatches(Pattern),
    NoKeyMatches(Pattern),
    KeyValueEquals(Accessor, String),
    KeyValueDoesNotEqual(Accessor, String),
    KeyValueMatches(Accessor, Pattern),
    KeyValueDoesNotMatch(Accessor, Pattern),
    MatchingKeysHaveMatchingValues(Pattern, Pattern),
    MatchingKeysDoNotHaveMatchingValues(Pattern, Pattern),
}

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
    fn build(entry: &Keyed, words: &[&str], diagnostics: &mut Diagnostics) -> Option<Self> {
        let [kind, key, rest @ ..] = words else {
            diagnostics.error(&entry.location, usage(entry));
            return None;
        };
        let lower = kind.to_ascii_lowercase();
        Some(match (lower.as_str(), rest) {
            ("key_exists", _) => Self::KeyExists(accessor(key, entry, diagnostics)?),
            ("key_does_not_exist", _) => Self::KeyDoesNotExist(accessor(key, entry, diagnostics)?),
            ("a_key_matches", _) => Self::AKeyMatches(pattern(key, entry, diagnostics)?),
            ("no_key_matches", _) => Self::NoKeyMatches(pattern(key, entry, diagnostics)?),
            ("key_value_equals", [value]) => {
                Self::KeyValueEquals(accessor(key, entry, diagnostics)?, (*value).to_owned())
            }
            ("key_value_does_not_equal", [value]) => {
                Self::KeyValueDoesNotEqual(accessor(key, entry, diagnostics)?, (*value).to_owned())
            }
            ("key_value_matches", [value]) => Self::KeyValueMatches(
                accessor(key, entry, diagnostics)?,
                pattern(value, entry, diagnostics)?,
            ),
            ("key_value_does_not_match", [value]) => Self::KeyValueDoesNotMatch(
                accessor(key, entry, diagnostics)?,
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

    fn holds<'a>(&self, fields: &Fields<'a>, bump: &'a Bump, scratch: &mut String) -> bool {
        let a_key_matches =
            |pattern: &Pattern| fields.iter().any(|field| pattern.is_match(field.key));
        match self {
            Self::KeyExists(accessor) => accessor.on_fields(fields, bump).is_some(),
            Self::KeyDoesNotExist(accessor) => accessor.on_fields(fields, bump).is_none(),
            Self::AKeyMatches(pattern) => a_key_matches(pattern),
            Self::NoKeyMatches(pattern) => !a_key_matches(pattern),
            Self::KeyValueEquals(accessor, text) => {
                accessor.on_fields(fields, bump).is_some_and(|value| equals(value, text, scratch))
            }
            Self::KeyValueDoesNotEqual(accessor, text) => {
                accessor.on_fields(fields, bump).is_some_and(|value| !equals(value, text, scratch))
            }
            Self::KeyValueMatches(accessor, pattern) => accessor
                .on_fields(fields, bump)
                .is_some_and(|value| matches(value, pattern, scratch)),
            Self::KeyValueDoesNotMatch(accessor, pattern) => accessor
                .on_fields(fields, bump)
                .is_some_and(|value| !matches(value, pattern, scratch)),
            Self::MatchingKeysHaveMatchingValues(keys, values) => {
                matching_have_matching(fields, keys, values, scratch)
            }
            Self::MatchingKeysDoNotHaveMatchingValues(keys, values) => {
                !matching_have_matching(fields, keys, values, scratch)
            }
        }
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
        .filter(|field| keys.is_match(field.key))
        .all(|field| matches(field.value, values, scratch))
}

/// Whether the value is this text; only strings are.
fn equals(value: Value<'_>, text: &str, scratch: &mut String) -> bool {
    value.read_str(scratch) == Some(text)
}

/// Whether the value is a string or a boolean that matches; Fluent Bit matches no other kind.
fn matches(value: Value<'_>, pattern: &Pattern, scratch: &mut String) -> bool {
    match value {
        Value::Bool(true) => pattern.is_match("true"),
        Value::Bool(false) => pattern.is_match("false"),
        _ => value.read_str(scratch).is_some_and(|text| pattern.is_match(text)),
    }
}

fn count(fields: &[Field<'_>], key: &str) -> usize {
    fields.iter().filter(|field| field.key == key).count()
}

fn rename<'a>(fields: &mut [Field<'a>], key: &str, new: &'a str) {
    for field in fields.iter_mut().filter(|field| field.key == key) {
        field.key = new;
    }
}

/// Puts a copy of the field `key` right behind it.
fn copy<'a>(fields: &mut Fields<'a>, key: &str, new: &'a str) {
    let found = fields.iter().enumerate().find(|(_, field)| field.key == key);
    if let Some((at, &Field { value, .. })) = found {
        fields.insert(at + 1, Field { key: new, value });
    }
}

/// Moves the chosen fields before all others; both groups keep their order.
fn move_to_start(fields: &mut [Field<'_>], is_chosen: impl Fn(&str) -> bool) {
    let mut chosen_count = 0;
    for at in 0..fields.len() {
        if fields.get(at).is_some_and(|field| is_chosen(field.key)) {
            if let Some(range) = fields.get_mut(chosen_count..=at) {
                range.rotate_right(1);
            }
            chosen_count += 1;
        }
    }
}

fn pattern(text: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Pattern> {
    Pattern::new(text)
        .inspect_err(|error| diagnostics.error(&entry.location, format!("`{text}`: {error}")))
        .ok()
}

fn accessor(text: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Accessor> {
    Accessor::parse(text)
        .inspect_err(|error| diagnostics.error(&entry.location, format!("`{text}`: {error}")))
        .ok()
}

/// What the operation takes.
fn usage(entry: &Keyed) -> String {
    let takes = match entry.property {
        "Set" | "Add" => "`KEY VALUE`",
        "Rename" | "Hard_Rename" | "Copy" | "Hard_copy" => "`KEY NEW_KEY`",
        "Remove" => "`KEY`",
        "Remove_regex" => "`REGEX`",
        "Condition" => "`KIND KEY [VALUE]`",
        _ => "`PREFIX`",
    };
    format!("`{}` takes {takes}; put quotes around what holds blanks", entry.property)
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

/// Splits at blanks; a word that starts with a quote ends with it, and may hold `\"` and `\\`.
/// `None`: a quote is not closed, or there are more than [`WORDS_MAX`] words.
fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while let Some(first) = rest.chars().next() {
        if words.len() == WORDS_MAX {
            return None;
        }
        let (word, behind) = if first == '"' || first == '\'' {
            quoted_word(rest.strip_prefix(first)?, first)?
        } else {
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            (word.to_owned(), behind)
        };
        words.push(word);
        rest = behind.trim_start_matches(' ');
    }
    Some(words)
}

/// Reads up to the closing `quote`; returns what is behind it.
fn quoted_word(text: &str, quote: char) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == quote {
            return Some((word, letters.as_str()));
        }
        let mut ahead = letters.clone();
        match ahead.next() {
            Some(escaped) if letter == '\\' && (escaped == quote || escaped == '\\') => {
                word.push(escaped);
                letters = ahead;
            }
            _ => word.push(letter),
        }
    }
    None
}
