//! `record_modifier`: removes fields, or keeps but some, and adds others.

use super::Filter;
use super::outlook::Outlook;
use crate::config::{Diagnostics, Located, Repeated, Verbatim, properties};
use crate::record::{Batch, Field, Id, IdStream, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use xxhash_rust::xxh3::xxh3_128;

properties! {
    /// Removes fields, or keeps but some, then adds others. A record that loses its last field is dropped.
    pub struct RecordModifierOptions for "record_modifier" {
        /// `KEY VALUE`: adds the field at the end, in the place of one of that name. Put quotes around a value that holds blanks.
        record: Repeated<Verbatim> ["Record"],
        /// Removes the field of this name, letter case aside; a `*` at the end stands for any more letters.
        remove_key: Repeated<String> ["Remove_key"],
        /// Keeps the field of this name, as `Remove_key` reads it; fields that none of these names are removed.
        allowlist_key: Repeated<String> ["Allowlist_key" | "Whitelist_key": "The same as `Allowlist_key`."],
        /// Adds a UUID under this name. It is made from the place of the record's lines in their source, so that reading them again gives the same.
        uuid_key: Option<String> ["Uuid_key"],
    }
}

/// Removes and adds fields.
#[derive(Debug)]
pub struct RecordModifier {
    selection: Selection,
    added: Vec<(String, String)>,
    uuid_key: Option<String>,
}

/// Which fields of a record stay.
#[derive(Debug)]
enum Selection {
    All,
    AllBut(Vec<Name>),
    Only(Vec<Name>),
}

/// Names of fields, letter case aside.
#[derive(Debug)]
enum Name {
    Whole(String),
    Prefix(String),
}

impl RecordModifier {
    /// Builds the filter; what cannot be read is reported and left out.
    pub fn build(options: &RecordModifierOptions, diagnostics: &mut Diagnostics) -> Self {
        let names = |keys: &Repeated<String>| keys.iter().map(|key| Name::new(key)).collect();
        let selection = match (&*options.remove_key, &*options.allowlist_key) {
            ([], []) => Selection::All,
            (_, []) => Selection::AllBut(names(&options.remove_key)),
            ([], _) => Selection::Only(names(&options.allowlist_key)),
            ([removed, ..], [_, ..]) => {
                let message =
                    "`Remove_key` and `Allowlist_key` exclude each other; use two filters";
                diagnostics.error(&removed.location, message);
                Selection::All
            }
        };
        let added = options.record.iter();
        let added: Vec<_> = added.filter_map(|entry| read_record(entry, diagnostics)).collect();
        if let Some(all) = options.remove_key.iter().find(|key| key.value == "*")
            && added.is_empty()
            && options.uuid_key.is_none()
        {
            diagnostics.warning(&all.location, "`*` removes every field, and so every record");
        }
        Self { selection, added, uuid_key: options.uuid_key.clone() }
    }
}

/// Follows which fields stay and which are added.
pub fn examine(options: &RecordModifierOptions, outlook: &mut Outlook) {
    let built = RecordModifier::build(options, &mut Diagnostics::new());
    match &built.selection {
        Selection::All => {}
        Selection::AllBut(names) => outlook.retain(|field| !is_one_of(names, field)),
        Selection::Only(names) => outlook.retain(|field| is_one_of(names, field)),
    }
    for key in built.added.iter().map(|(key, _)| key).chain(&built.uuid_key) {
        outlook.add(key);
    }
}

impl Filter for RecordModifier {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        // Fields borrow from the arena and not from this filter, so what is added goes there, once per batch.
        let added = self
            .added
            .iter()
            .map(|(key, value)| Field::new(bump.alloc_str(key), Value::Str(bump.alloc_str(value))));
        let added = BumpVec::from_iter_in(added, bump);
        let uuid_key: Option<&str> = self.uuid_key.as_deref().map(|key| &*bump.alloc_str(key));
        let ids = IdStream::new(&batch.source.key, &batch.tag);
        let first_seen = batch.source.first_seen;
        batch.records.retain_mut(|record| {
            let was_empty = record.fields.is_empty();
            match &self.selection {
                Selection::All => {}
                Selection::AllBut(names) => {
                    record.fields.retain(|field| !is_one_of(names, field.key()));
                }
                Selection::Only(names) => {
                    record.fields.retain(|field| is_one_of(names, field.key()));
                }
            }
            record.fields.extend_from_slice(&added);
            if let Some(key) = uuid_key {
                let time = if record.own_time { record.time } else { first_seen };
                let id = ids.id(time, record.from, record.to, record.ordinal);
                record.fields.push(Field::new(key, Value::Plain(uuid(id, bump))));
            }
            was_empty || !record.fields.is_empty()
        });
    }
}

impl Name {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Whole(text.to_owned()),
        }
    }

    fn is(&self, key: &str) -> bool {
        match self {
            Self::Whole(name) => key.eq_ignore_ascii_case(name),
            Self::Prefix(prefix) => {
                let start = key.as_bytes().get(..prefix.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            }
        }
    }
}

fn is_one_of(names: &[Name], key: &str) -> bool {
    names.iter().any(|name| name.is(key))
}

/// A UUID that stands for the record's id. Its bits look random, and are marked so (RFC 9562, version 4), as those
/// of Fluent Bit's are.
fn uuid(id: Id, bump: &Bump) -> &str {
    let hash = xxh3_128(id.as_bytes());
    let marked = hash & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = |shift: u32, count: u32| marked >> shift & ((1 << (4 * count)) - 1);
    let text = bumpalo::format!(
        in bump,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        digits(96, 8),
        digits(80, 4),
        digits(64, 4),
        digits(48, 4),
        digits(0, 12)
    );
    text.into_bump_str()
}

/// Reads `KEY VALUE`.
fn read_record(
    entry: &Located<Verbatim>,
    diagnostics: &mut Diagnostics,
) -> Option<(String, String)> {
    let Some((key, rest)) = read_word(&entry.value) else {
        diagnostics.error(&entry.location, "`Record` takes `KEY VALUE`");
        return None;
    };
    let Some((value, rest)) = read_word(rest) else {
        let message = format!("`Record` takes `KEY VALUE`, and `{key}` has no value");
        diagnostics.error(&entry.location, message);
        return None;
    };
    if !rest.trim_start_matches(' ').is_empty() {
        let message = format!(
            "`{key}` is not added, as in Fluent Bit: more than one value; put quotes around a value that holds blanks"
        );
        diagnostics.warning(&entry.location, message);
        return None;
    }
    Some((key, value))
}

/// The first word, and what is behind it. A word that starts with `"` ends with the next one that has no
/// backslash before it, else with the text.
fn read_word(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches(' ');
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut letters = quoted.char_indices();
    let mut before = '"';
    let end = letters.find_map(|(at, letter)| {
        let is_end = letter == '"' && before != '\\';
        before = letter;
        is_end.then_some(at)
    });
    let Some((word, rest)) = end.and_then(|end| quoted.split_at_checked(end)) else {
        return (!quoted.is_empty()).then(|| (quoted.to_owned(), ""));
    };
    Some((word.replace("\\\"", "\""), rest.strip_prefix('"').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use crate::filter::fixture;
    use expect_test::{Expect, expect};

    fn check(config: &str, input: &str, expected: &Expect) {
        fixture::check("record_modifier", config, &[], input, expected);
    }

    const RECORDS: &str = r#"{"aaa":"ok","bbb":"ok","Aab":1,"a.b":{"c":2}}
{"bbb":3}
{}"#;

    #[test]
    fn what_is_removed() {
        check(
            "Remove_key aaa\n Remove_key c",
            RECORDS,
            &expect![[r#"
            now {"bbb":"ok","Aab":1,"a.b":{"c":2}}
            now {"bbb":3}
            now {}
        "#]],
        );
        check(
            "Remove_key A.B\n Remove_key missing",
            RECORDS,
            &expect![[r#"
            now {"aaa":"ok","bbb":"ok","Aab":1}
            now {"bbb":3}
            now {}
        "#]],
        );
        check(
            "Remove_key AA*",
            RECORDS,
            &expect![[r#"
            now {"bbb":"ok","a.b":{"c":2}}
            now {"bbb":3}
            now {}
        "#]],
        );
        check(
            "Remove_key bbb",
            RECORDS,
            &expect![[r#"
            now {"aaa":"ok","Aab":1,"a.b":{"c":2}}
            now {}
        "#]],
        );
        check(
            "Remove_key *",
            RECORDS,
            &expect![[r#"
                command line: warning: `*` removes every field, and so every record
                now {}
            "#]],
        );
    }

    #[test]
    fn what_is_kept() {
        check(
            "Allowlist_key aaa\n Whitelist_key BBB",
            RECORDS,
            &expect![[r#"
            now {"aaa":"ok","bbb":"ok"}
            now {"bbb":3}
            now {}
        "#]],
        );
        check(
            "whitelist_key a*",
            RECORDS,
            &expect![[r#"
            now {"aaa":"ok","Aab":1,"a.b":{"c":2}}
            now {}
        "#]],
        );
    }

    #[test]
    fn what_is_added() {
        check(
            "Record new val\n Allowlist_key aaa",
            RECORDS,
            &expect![[r#"
            now {"aaa":"ok","new":"val"}
            now {"new":"val"}
            now {"new":"val"}
        "#]],
        );
        check(
            "Record bbb \"a \\\"b\\\"\"  \n Record \"k e y\" \"\"\n Record d \"open",
            RECORDS,
            &expect![[r#"
                now {"aaa":"ok","Aab":1,"a.b":{"c":2},"bbb":"a \"b\"","k e y":"","d":"open"}
                now {"bbb":"a \"b\"","k e y":"","d":"open"}
                now {"bbb":"a \"b\"","k e y":"","d":"open"}
            "#]],
        );
        check(
            "Record k a b\n Record l c",
            RECORDS,
            &expect![[r#"
            command line: warning: `k` is not added, as in Fluent Bit: more than one value; put quotes around a value that holds blanks
            now {"aaa":"ok","bbb":"ok","Aab":1,"a.b":{"c":2},"l":"c"}
            now {"bbb":3,"l":"c"}
            now {"l":"c"}
        "#]],
        );
    }

    #[test]
    fn a_uuid_is_the_same_whenever_the_line_is_read() {
        let run = || fixture::run("record_modifier", "Uuid_key id", &[], r#"{"a":1}"#);
        expect![[r#"
            now {"a":1,"id":"af426a68-ead7-472a-8f6d-0b5665a3e97d"}
        "#]]
        .assert_eq(&run());
        assert_eq!(run(), run());
    }

    #[test]
    fn what_cannot_work() {
        check(
            "Remove_key a\n Allowlist_key b",
            "",
            &expect![[r#"
            command line: `Remove_key` and `Allowlist_key` exclude each other; use two filters
        "#]],
        );
        check(
            "Record a",
            "",
            &expect![[r#"
            command line: `Record` takes `KEY VALUE`, and `a` has no value
        "#]],
        );
    }
}
