//! Record accessors: `$kubernetes['labels']['app']` names a value inside a record.

use super::{Fields, Map, Value};
use bumpalo::Bump;
use tailwater_parsers::json;

/// Steps below the top level. Far more than people write; a configuration may not make a look-up long.
const STEPS_MAX: usize = 32;

/// Names one value of a record, as Fluent Bit's record accessors do
/// (<https://docs.fluentbit.io/manual/administration/configuring-fluent-bit/classic-mode/record-accessor>).
///
/// As there, a path into a value that is neither a map nor an array ends at that value: on
/// `{"a":"x"}`, `$a['b']` is `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accessor {
    key: Box<str>,
    steps: Box<[Step]>,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `['name']`: a field of a map.
    Key(Box<str>),
    /// `[0]`: an item of an array.
    Index(usize),
}

/// Why a text is no record accessor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessorError {
    /// Nothing, or nothing behind the `$`.
    #[error("no key is named; write `$key` or `$key['nested']`")]
    NoKey,
    /// `$0` … `$9` and `$TAG` mean something in templates only.
    #[error("`${0}` names no field of a record; write `$key` or `$key['nested']`")]
    NotAField(String),
    /// `$a-$b`, `$a:b`: Fluent Bit refuses two words where one key is named.
    #[error("`${0}` is more than one key; write `$key` or `$key['nested']`")]
    BadKey(String),
    /// A bracket that is not `['name']` or `[0]`, or text behind one.
    #[error("`{0}` cannot be read; a step down is `['name']` or `[0]`")]
    BadStep(String),
    /// More than `STEPS_MAX` steps.
    #[error("more than {STEPS_MAX} steps down")]
    TooDeep,
}

impl AccessorError {
    /// Whether Fluent Bit takes the text all the same, for something that no record has.
    pub fn names_nothing(&self) -> bool {
        matches!(self, Self::NotAField(_))
    }
}

impl Accessor {
    /// Reads `$key`, `$key['nested'][0]`, or the plain name of a top-level key.
    ///
    /// What follows a `.`, a `,`, a quote or a blank behind the accessor is not part of it: `$a.b` is
    /// `$a`, as in Fluent Bit. [`Accessor::read`] returns that rest.
    pub fn parse(text: &str) -> Result<Self, AccessorError> {
        if text.starts_with('$') {
            return Self::read(text).map(|(accessor, _rest)| accessor);
        }
        Self::key(text).ok_or(AccessorError::NoKey)
    }

    /// Reads the accessor at the start of a template, from its `$` on, and returns it with the text behind it.
    pub fn read(text: &str) -> Result<(Self, &str), AccessorError> {
        let text = text.strip_prefix('$').ok_or(AccessorError::NoKey)?;
        let (key, mut rest) = split_at_first(text, |c| c == '[' || ends_accessor(c));
        if key.is_empty() {
            return Err(AccessorError::NoKey);
        }
        if key == "TAG" || key.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(AccessorError::NotAField(key.to_owned()));
        }
        if !is_one_word(key) {
            return Err(AccessorError::BadKey(key.to_owned()));
        }
        let mut steps = Vec::new();
        while let Some(inner) = rest.strip_prefix('[') {
            let (step, behind) =
                read_step(inner).ok_or_else(|| AccessorError::BadStep(rest.to_owned()))?;
            if steps.len() == STEPS_MAX {
                return Err(AccessorError::TooDeep);
            }
            steps.push(step);
            rest = behind;
        }
        if !rest.is_empty() && !rest.starts_with(ends_accessor) {
            return Err(AccessorError::BadStep(rest.to_owned()));
        }
        Ok((Self { key: key.into(), steps: steps.into() }, rest))
    }

    /// The top-level key of this name, whatever characters it is made of; `None` for the empty name.
    pub fn key(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self { key: name.into(), steps: Box::default() })
    }

    /// The field under these names from the top down, whatever characters they are made of.
    pub fn path(names: &[&str]) -> Result<Self, AccessorError> {
        let (key, below) = names.split_first().ok_or(AccessorError::NoKey)?;
        if below.len() > STEPS_MAX {
            return Err(AccessorError::TooDeep);
        }
        let steps = below.iter().map(|name| Step::Key((*name).into())).collect();
        let Self { key, .. } = Self::key(key).ok_or(AccessorError::NoKey)?;
        Ok(Self { key, steps })
    }

    /// The names from the top down, items of arrays by their index: what Fluent Bit makes label names of.
    pub fn names(&self) -> impl Iterator<Item = Name<'_>> {
        let below = self.steps.iter().map(|step| match step {
            Step::Key(key) => Name::Key(key),
            Step::Index(index) => Name::Index(*index),
        });
        std::iter::once(Name::Key(&self.key)).chain(below)
    }

    /// The value in `fields`; of a repeated key the last one, as in Fluent Bit.
    pub fn on_fields<'a>(&self, fields: &Fields<'a>, bump: &'a Bump) -> Option<Value<'a>> {
        let value = fields.iter().rfind(|field| field.key() == &*self.key)?.value();
        match value {
            Value::Json(text) if !self.steps.is_empty() => {
                descend(&self.steps, text).map(|found| Value::from_json(found, bump))
            }
            Value::Map(map) => descend_map(&self.steps, map, bump),
            scalar_or_whole => Some(scalar_or_whole),
        }
    }

    /// The value in a record that is encoded as one JSON object. Stops at the first field of the key.
    pub fn on_json<'a>(&self, record: &'a str) -> Option<json::Value<'a>> {
        let value = json::get(record, &self.key)?;
        match value.nested() {
            Some(text) if !self.steps.is_empty() => descend(&self.steps, text),
            _ => Some(value),
        }
    }
}

/// Follows steps, of which there is at least one, from the object or array `text`.
fn descend<'a>(steps: &[Step], text: &'a str) -> Option<json::Value<'a>> {
    let mut value = json::Value::Nested(text);
    for step in steps {
        let text = value.nested()?;
        value = match step {
            Step::Key(key) => json::get(text, key)?,
            Step::Index(index) => item(text, *index)?,
        };
    }
    Some(value)
}

/// Follows steps, which may be none, from an object that was taken apart before.
fn descend_map<'a>(steps: &[Step], map: &'a Map<'a>, bump: &'a Bump) -> Option<Value<'a>> {
    let mut value = Value::Map(map);
    let mut left = steps;
    while let Some((step, behind)) = left.split_first() {
        value = match (value, step) {
            (Value::Map(map), Step::Key(key)) => map.get(key)?,
            // An array in it, which is text still.
            (Value::Json(text), _) => {
                return descend(left, text).map(|found| Value::from_json(found, bump));
            }
            _ => return None,
        };
        left = behind;
    }
    Some(value)
}

/// One part of an accessor, from the top down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// A field's name.
    Key(&'a str),
    /// An item's index.
    Index(usize),
}

/// Whether a key is one that Fluent Bit reads as such: characters that it skips may stand before and behind a
/// word, not within. Here they are part of the key.
fn is_one_word(key: &str) -> bool {
    let is_skipped =
        |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '/');
    let words = key.split(is_skipped).filter(|word| !word.is_empty());
    words.count() <= 1 && !key.contains(['$', ';', ']'])
}

/// What may stand behind an accessor in a template.
fn ends_accessor(c: char) -> bool {
    matches!(c, '.' | ',' | ' ' | '"')
}

/// Splits before the first character that `is_end`.
fn split_at_first(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.find(is_end).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

/// Reads one step from behind its `[`; returns what is behind its `]`.
fn read_step(text: &str) -> Option<(Step, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (digits, rest) = split_at_first(text, |c| !c.is_ascii_digit());
        return Some((Step::Index(digits.parse().ok()?), rest.strip_prefix(']')?));
    };
    // A doubled quote stands for one.
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, behind) = rest.split_once('\'')?;
        name.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                name.push('\'');
                rest = more;
            }
            None => return Some((Step::Key(name.into()), behind.strip_prefix(']')?)),
        }
    }
}

/// The item `index` of the array `text`; `None` if it has fewer, or is an object.
fn item(text: &str, index: usize) -> Option<json::Value<'_>> {
    let mut found = None;
    let mut at = 0;
    json::array(text, |value| {
        if at == index {
            found = Some(value);
        }
        at += 1;
    })
    .ok()?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Field;
    use bumpalo::collections::Vec as BumpVec;
    use expect_test::{Expect, expect};

    const RECORD: &str = r#"{"log":"hi\n","k":{"a.b/c":"dots","d e":"blank","it's":1,"list":[10,{"x":"deep"},[]]},"n":5,"@t":"at"}"#;

    /// Both ways of looking must agree; shows what they find.
    fn check(accessor: &str, expected: &Expect) {
        let bump = Bump::new();
        let accessor = match Accessor::parse(accessor) {
            Ok(accessor) => accessor,
            Err(error) => return expected.assert_eq(&format!("error: {error}")),
        };
        let mut fields: Fields<'_> = BumpVec::new_in(&bump);
        json::object(RECORD, |key, value, run| {
            fields.push(Field::from_json(key, value, run, &bump, &mut String::new()));
        })
        .unwrap();
        let on_fields = accessor.on_fields(&fields, &bump);
        let on_json = accessor.on_json(RECORD).map(|value| Value::from_json(value, &bump));
        assert_eq!(on_fields, on_json);
        let mut out = Vec::new();
        on_fields.inspect(|value| value.write_json(&mut out));
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn keys_and_paths() {
        check("n", &expect!["5"]);
        check("$n", &expect!["5"]);
        check("@t", &expect![[r#""at""#]]);
        check("$@t", &expect![[r#""at""#]]);
        check("$log", &expect![[r#""hi\n""#]]);
        check("$k['a.b/c']", &expect![[r#""dots""#]]);
        check("$k['d e']", &expect![[r#""blank""#]]);
        check("$k['it''s']", &expect!["1"]);
        check("$k['list'][0]", &expect!["10"]);
        check("$k['list'][1]['x']", &expect![[r#""deep""#]]);
        check("$k['list'][2]", &expect!["[]"]);
        check("$missing", &expect![""]);
        check("$k['missing']['x']", &expect![""]);
        check("$k['list'][3]", &expect![""]);
        check("$k[0]", &expect![""]);
        check("$k['list']['x']", &expect![""]);
        check("$k['list'][0]['x']", &expect![""]);
    }

    #[test]
    fn what_follows_is_not_part_of_it() {
        check("$n.b", &expect!["5"]);
        check("$n, other", &expect!["5"]);
        assert_eq!(Accessor::read("$a['b'].c").unwrap().1, ".c");
    }

    #[test]
    fn a_path_of_names_is_the_same_as_one_in_brackets() {
        assert_eq!(Accessor::path(&["k", "it's"]), Accessor::parse("$k['it''s']"));
        assert_eq!(Accessor::path(&["n"]), Accessor::parse("$n"));
        assert_eq!(Accessor::path(&[]), Err(AccessorError::NoKey));
        assert_eq!(Accessor::path(&["", "x"]), Err(AccessorError::NoKey));
        assert_eq!(Accessor::path(&["x"; 34]), Err(AccessorError::TooDeep));
    }

    #[test]
    fn a_path_ends_at_a_scalar() {
        check("$n['deeper'][0]", &expect!["5"]);
    }

    #[test]
    fn what_is_no_accessor() {
        check("", &expect!["error: no key is named; write `$key` or `$key['nested']`"]);
        check("$", &expect!["error: no key is named; write `$key` or `$key['nested']`"]);
        check("$['a']", &expect!["error: no key is named; write `$key` or `$key['nested']`"]);
        for two in ["$a-$b", "$a@b", "$a:b", "$a;", "$$", "$a$", "$a(b)"] {
            assert!(matches!(Accessor::parse(two), Err(AccessorError::BadKey(_))), "{two}");
        }
        check(
            "$TAG",
            &expect!["error: `$TAG` names no field of a record; write `$key` or `$key['nested']`"],
        );
        check(
            "$0",
            &expect!["error: `$0` names no field of a record; write `$key` or `$key['nested']`"],
        );
        check("$a[", &expect!["error: `[` cannot be read; a step down is `['name']` or `[0]`"]);
        check(
            "$a['b'",
            &expect!["error: `['b'` cannot be read; a step down is `['name']` or `[0]`"],
        );
        check("$a[b]", &expect!["error: `[b]` cannot be read; a step down is `['name']` or `[0]`"]);
        check(
            "$a['b']c",
            &expect!["error: `c` cannot be read; a step down is `['name']` or `[0]`"],
        );
        check(&format!("$a{}", "[0]".repeat(33)), &expect!["error: more than 32 steps down"]);
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let bump = Bump::new();
        let mut fields: Fields<'_> = BumpVec::new_in(&bump);
        fields.push(Field::new("a", Value::Int(1)));
        fields.push(Field::new("a", Value::Int(2)));
        let accessor = Accessor::parse("a").unwrap();
        assert_eq!(accessor.on_fields(&fields, &bump), Some(Value::Int(2)));
    }
}
