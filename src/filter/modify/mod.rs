//! `modify`: renames, adds, sets, copies, moves and removes fields, if conditions hold.

mod condition;
mod rule;

use super::Filter;
use super::outlook::Outlook;
use crate::config::{Diagnostics, Keyed, Ordered, properties};
use crate::record::{Accessor, Batch};
use bumpalo::collections::Vec as BumpVec;
use condition::Condition;
use rule::{Operation, Rule, Words};
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

/// Reports what waits for a field that is never there, and follows what becomes of the fields.
pub fn examine(options: &ModifyOptions, outlook: &mut Outlook, diagnostics: &mut Diagnostics) {
    let is_conditional = options.rules.iter().any(|entry| entry.property == "Condition");
    // Conditions are judged before the first operation.
    let before = outlook.clone();
    for entry in &*options.rules {
        let Some(words) = split_words(&entry.value) else { continue };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // What cannot be read was told when the filter was built.
        let mut told = Diagnostics::new();
        if entry.property == "Condition" {
            let condition = Condition::build(entry, &words, &mut told);
            if let (Some(accessor), [_, key, ..]) =
                (condition.as_ref().and_then(Condition::needs), &*words)
            {
                let what = format!("Condition {}", entry.value);
                examine_key(accessor, key, &what, "never holds", &before, entry, diagnostics);
            }
        } else if let Some(rule) = Rule::build(entry, &words, &mut told) {
            let Rule { operation, key, .. } = &rule;
            if operation.takes_a_field()
                && let Some(accessor) = Accessor::key(key)
            {
                let what = format!("{} {}", entry.property, entry.value);
                examine_key(&accessor, key, &what, "does nothing", outlook, entry, diagnostics);
            }
            follow(&rule, is_conditional, outlook);
        }
    }
}

/// Reports it if what is named `key` in `what` is never there.
fn examine_key(
    accessor: &Accessor,
    key: &str,
    what: &str,
    effect: &str,
    outlook: &Outlook,
    entry: &Keyed,
    diagnostics: &mut Diagnostics,
) {
    if let Some(absence) = outlook.absence(accessor) {
        let remedy = "set `Keep_Log On` there for the text of every line";
        absence.report(what, key, effect, remedy, &entry.location, diagnostics);
    }
}

/// What becomes of the fields. Where it depends on the record, they may be there afterwards.
fn follow(rule: &Rule, is_conditional: bool, outlook: &mut Outlook) {
    let Rule { operation, key, other } = rule;
    let is_free = !outlook.may_have(other);
    match operation {
        Operation::Set | Operation::Add => outlook.add(key),
        Operation::Rename | Operation::HardRename | Operation::Copy | Operation::HardCopy => {
            outlook.add(other);
        }
        Operation::Remove
        | Operation::RemovePrefix
        | Operation::RemoveMatching(_)
        | Operation::MoveToStart
        | Operation::MoveToEnd => {}
    }
    if is_conditional {
        return;
    }
    match operation {
        Operation::Remove | Operation::HardRename => outlook.retain(|name| name != key),
        Operation::Rename if is_free => outlook.retain(|name| name != key),
        Operation::RemovePrefix => outlook.retain(|name| !name.starts_with(key)),
        Operation::RemoveMatching(pattern) => outlook.retain(|name| !pattern.is_match(name)),
        _ => {}
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

fn pattern(text: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Pattern> {
    Pattern::new(text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::fixture;
    use expect_test::{Expect, expect};

    fn check(config: &str, input: &str, expected: &Expect) {
        fixture::check("modify", config, &[], input, expected);
    }

    #[test]
    fn cond_chain() {
        check(
            r#"Condition key_exists k1
             Condition key_does_not_exist k2
             Add k2 sample_2
             Condition a_key_matches ^[a-z]1$
             Add k3 3
             Condition no_key_matches ^[0-9]$
             Condition key_value_equals k1 sample
             Add k4 4
             Condition key_value_does_not_equal k1 sampl
             Condition key_value_matches k1 ^[a-z]+$
             Condition key_value_does_not_match k1 aa
             Condition matching_keys_have_matching_values ^[a-z][0-9]$ ^[a-z]+$
             Condition matching_keys_do_not_have_matching_values ^[a-z][0-9]$ ^[a-z][0-9]$
             Add k5 5"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample","k2":"sample_2","k3":"3","k4":"4","k5":"5"}
            "#]],
        );
    }

    #[test]
    fn cond_key_does_not_exist_nest() {
        check(
            r#"Condition key_does_not_exist $nest['k1']
             Add key not_found"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "nest": {"k": "sample"}}
{"t": "2015-11-24T22:15:41Z", "nest": {"k1": 1}}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","nest":{"k":"sample"},"key":"not_found"}
                2015-11-24T22:15:41Z {"nest":{"k1":1}}
            "#]],
        );
    }

    #[test]
    fn cond_key_exists_nest() {
        check(
            r#"Condition key_exists $nest['k1']
             Add key found"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "nest": {"k1": "nest"}}
{"t": "2015-11-24T22:15:41Z", "k1": 1, "nest": {}}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","nest":{"k1":"nest"},"key":"found"}
                2015-11-24T22:15:41Z {"k1":1,"nest":{}}
            "#]],
        );
    }

    #[test]
    fn cond_key_value_does_not_equal() {
        check(
            r#"Condition key_value_does_not_equal bb sample3
             Copy c1 no_matches"#,
            r#"{"t": "2015-11-24T22:15:40Z", "aa": "sample1", "bb": "sample2", "c1": "sample3"}
{"t": "2015-11-24T22:15:41Z", "bb": "sample3", "c1": 1}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"aa":"sample1","bb":"sample2","c1":"sample3","no_matches":"sample3"}
                2015-11-24T22:15:41Z {"bb":"sample3","c1":1}
            "#]],
        );
    }

    #[test]
    fn cond_key_value_does_not_equal_nest() {
        check(
            r#"Condition key_value_does_not_equal $nest['k1'] sample2
             Add key not_found"#,
            r#"{"t": "2015-11-24T22:15:40Z", "nest": {"k1": "sample3"}}
{"t": "2015-11-24T22:15:41Z", "nest": {"k1": "sample2"}}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"nest":{"k1":"sample3"},"key":"not_found"}
                2015-11-24T22:15:41Z {"nest":{"k1":"sample2"}}
            "#]],
        );
    }

    #[test]
    fn cond_key_value_does_not_match_nest() {
        check(
            r#"Condition key_value_does_not_match $nest['k2'] ^[a-z][0-9]$
             Add kv no_matches"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "nest": {"k2": "22"}}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","nest":{"k2":"22"},"kv":"no_matches"}
            "#]],
        );
    }

    #[test]
    fn cond_key_value_equals() {
        check(
            r#"Condition key_value_equals bb sample2
             Copy c1 no_matches"#,
            r#"{"t": "2015-11-24T22:15:40Z", "aa": "sample1", "bb": "sample2", "c1": "sample3"}
{"t": "2015-11-24T22:15:41Z", "bb": "x", "c1": 1}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"aa":"sample1","bb":"sample2","c1":"sample3","no_matches":"sample3"}
                2015-11-24T22:15:41Z {"bb":"x","c1":1}
            "#]],
        );
    }

    #[test]
    fn cond_matching_keys_do_not_have_matching_values() {
        check(
            r#"Condition matching_keys_do_not_have_matching_values ^[a-z][0-9]$ ^[a-z][0-9]$
             Copy k1 no_matches"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "aa", "k2": "bb"}
{"t": "2015-11-24T22:15:41Z", "k1": "a1", "k2": "b2"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"aa","no_matches":"aa","k2":"bb"}
                2015-11-24T22:15:41Z {"k1":"a1","k2":"b2"}
            "#]],
        );
    }

    #[test]
    fn issue_1225() {
        check(
            r#"Condition key_value_matches "key 1" ".*with spaces.*"
             Add "key 2" "second value with spaces""#,
            r#"{"t": "2015-11-24T22:15:40Z", "key 1": "first value with spaces"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"key 1":"first value with spaces","key 2":"second value with spaces"}
            "#]],
        );
    }

    #[test]
    fn issue_4319() {
        check(
            r#"Condition key_value_does_not_equal aaa sample
             Rename ok error"#,
            r#"{"t": "2015-11-24T22:15:40Z", "ok": "sample"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"ok":"sample"}
            "#]],
        );
    }

    #[test]
    fn issue_4319_2() {
        check(
            r#"Condition key_value_does_not_match aaa sample
             Rename ok error"#,
            r#"{"t": "2015-11-24T22:15:40Z", "ok": "sample"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"ok":"sample"}
            "#]],
        );
    }

    #[test]
    fn issue_7075() {
        check(
            r#"Condition key_value_matches ok true
             Rename ok matched"#,
            r#"{"t": "2015-11-24T22:15:40Z", "ok": true}
{"t": "2015-11-24T22:15:41Z", "ok": false}
{"t": "2015-11-24T22:15:42Z", "ok": "true"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"matched":true}
                2015-11-24T22:15:41Z {"ok":false}
                2015-11-24T22:15:42Z {"matched":"true"}
            "#]],
        );
    }

    #[test]
    fn multiple_events_not_dropped() {
        check(
            r#"Condition key_value_equals cond true
             Add data matched
             Add m 1"#,
            r#"{"t": "2015-11-24T22:15:40Z", "cond": "false", "data": "something"}
{"t": "2015-11-24T22:15:41Z", "cond": "true", "data": "something"}
{"t": "2015-11-24T22:15:42Z", "data": "something"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"cond":"false","data":"something"}
                2015-11-24T22:15:41Z {"cond":"true","data":"something","m":"1"}
                2015-11-24T22:15:42Z {"data":"something"}
            "#]],
        );
    }

    #[test]
    fn op_add() {
        check(
            r#"Add k added
             Add k2 added"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k": "sample"}
{"t": "2015-11-24T22:15:41Z", "k2": 1}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k":"sample","k2":"added"}
                2015-11-24T22:15:41Z {"k2":1,"k":"added"}
            "#]],
        );
    }

    #[test]
    fn op_hard_copy_no_exists() {
        check(
            r#"Hard_copy k1 k3"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "k2": "sample2"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","k3":"sample1","k2":"sample2"}
            "#]],
        );
    }

    #[test]
    fn op_remove() {
        check(
            r#"Remove remove"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k": "sample", "remove": "sample to remove"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k":"sample"}
            "#]],
        );
    }

    #[test]
    fn op_remove_regex() {
        check(
            r#"Remove_regex ^[a-z][0-9]$"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "k2": "sample2", "A3": "sample3"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"A3":"sample3"}
            "#]],
        );
    }

    #[test]
    fn a_prefix_that_is_no_expression() {
        check(
            "Remove_wildcard *s3",
            "",
            &expect![[r#"
            command line: `*s3`: regular expression is not valid: nothing to repeat before `*`
        "#]],
        );
    }

    #[test]
    fn op_remove_wildcard() {
        check(
            r#"Remove_wildcard k"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "k2": "sample2", "a3": "sample3"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"a3":"sample3"}
            "#]],
        );
    }

    #[test]
    fn op_rename_exists() {
        check(
            r#"Rename A3 k2"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "k2": "sample2", "A3": "sample3"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","k2":"sample2","A3":"sample3"}
            "#]],
        );
    }

    #[test]
    fn op_rename_no_exists() {
        check(
            r#"Rename A3 a3"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k1": "sample1", "k2": "sample2", "A3": "sample3"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k1":"sample1","k2":"sample2","a3":"sample3"}
            "#]],
        );
    }

    #[test]
    fn op_set_append() {
        check(
            r#"Set test_key test_value"#,
            r#"{"t": "2015-11-24T22:15:40Z", "k": "sample"}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k":"sample","test_key":"test_value"}
            "#]],
        );
    }

    const ABC: &str = r#"{"a":1,"b":"2","ab":[3],"c":null}"#;

    #[test]
    fn every_operation() {
        for (config, expected) in [
            ("Set a x", r#"{"b":"2","ab":[3],"c":null,"a":"x"}"#),
            ("Add a x", ABC),
            ("Add d x", r#"{"a":1,"b":"2","ab":[3],"c":null,"d":"x"}"#),
            ("Remove b", r#"{"a":1,"ab":[3],"c":null}"#),
            ("Remove_wildcard a", r#"{"b":"2","c":null}"#),
            ("Remove_regex ^.$", r#"{"ab":[3]}"#),
            ("Move_To_Start c", r#"{"c":null,"a":1,"b":"2","ab":[3]}"#),
            ("Move_To_End a", r#"{"b":"2","c":null,"a":1,"ab":[3]}"#),
            ("Rename a d", r#"{"d":1,"b":"2","ab":[3],"c":null}"#),
            ("Rename a b", ABC),
            ("Rename d e", ABC),
            ("Hard_Rename a c", r#"{"c":1,"b":"2","ab":[3]}"#),
            ("Hard_Rename d c", ABC),
            ("Copy a d", r#"{"a":1,"d":1,"b":"2","ab":[3],"c":null}"#),
            ("Copy a b", ABC),
            ("Hard_copy a c", r#"{"a":1,"c":1,"b":"2","ab":[3]}"#),
            ("Hard_copy c a", r#"{"b":"2","ab":[3],"c":null,"a":null}"#),
            ("Hard_copy a a", ABC),
        ] {
            assert_eq!(
                fixture::run("modify", config, &[], ABC),
                format!("now {expected}\n"),
                "{config}"
            );
        }
    }

    #[test]
    fn operations_follow_each_other() {
        check(
            "Rename a x\n Set x 1\n Move_To_Start x\n Copy x y",
            ABC,
            &expect![[r#"
            now {"x":"1","y":"1","b":"2","ab":[3],"c":null}
        "#]],
        );
    }

    #[test]
    fn every_condition() {
        const INPUT: &str = r#"{"k":"v1","n":5,"b":true,"m":{"x":"y"}}"#;
        let holds = |condition: &str, expected: bool| {
            let config = format!("Condition {condition}\n Set held yes");
            let held = r#"{"k":"v1","n":5,"b":true,"m":{"x":"y"},"held":"yes"}"#;
            let shown = format!("now {}\n", if expected { held } else { INPUT });
            assert_eq!(fixture::run("modify", &config, &[], INPUT), shown, "{condition}");
        };
        for (condition, expected) in [
            ("Key_exists k", true),
            ("key_exists $m['x']", true),
            ("key_exists x", false),
            ("key_does_not_exist x", true),
            ("a_key_matches ^.$", true),
            ("a_key_matches ^..$", false),
            ("no_key_matches ^..$", true),
            ("key_value_equals k v1", true),
            ("key_value_equals n 5", false),
            ("key_value_does_not_equal n 5", true),
            ("key_value_does_not_equal x 5", false),
            ("key_value_matches k ^v", true),
            ("key_value_matches b ^true$", true),
            ("key_value_matches n 5", false),
            ("key_value_does_not_match n 5", true),
            ("key_value_does_not_match x 5", false),
            ("matching_keys_have_matching_values ^k$ v", true),
            ("matching_keys_have_matching_values ^[kn]$ v", false),
            ("matching_keys_have_matching_values ^x$ v", true),
            ("matching_keys_do_not_have_matching_values ^[kn]$ v", true),
        ] {
            holds(condition, expected);
        }
    }

    #[test]
    fn words() {
        for (text, expected) in [
            ("a b", Some(&["a", "b"][..])),
            ("  a   b ", Some(&["a", "b"])),
            (r#""key 1" 'its'"#, Some(&["key 1", "its"])),
            (r#""a\"b\\c\d""#, Some(&[r#"a"b\c\d"#])),
            ("a \"\"", Some(&["a", ""])),
            ("a\"b c", Some(&["a\"b", "c"])),
            ("a \"b", None),
            ("a b c d", None),
            ("", Some(&[])),
        ] {
            let found = split_words(text);
            let found: Option<Vec<&str>> =
                found.as_ref().map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn conditions_that_are_hardly_meant() {
        for (config, expected) in [
            (
                "Condition key_exists\n Add d 1",
                expect![[r#"
                command line: warning: the condition names no key, for which Fluent Bit takes `key_exists`
                now {"a":"1","l":["x"]}
            "#]],
            ),
            (
                "Condition key_value_does_not_equal a\n Add d 1",
                expect![[r#"
                now {"a":"1","l":["x"],"d":"1"}
            "#]],
            ),
            (
                "Condition key_exists $l[0]\n Add d 1",
                expect![[r#"
                command line: warning: `$l[0]` is an item of an array, and is never there for a condition, as in Fluent Bit
                now {"a":"1","l":["x"]}
            "#]],
            ),
            (
                "Condition key_does_not_exist $TAG\n Add d 1",
                expect![[r#"
                command line: warning: `$TAG` is no field, and is never there for a condition, as in Fluent Bit
                now {"a":"1","l":["x"],"d":"1"}
            "#]],
            ),
        ] {
            check(config, r#"{"a":"1","l":["x"]}"#, &expected);
        }
    }

    #[test]
    fn rules_that_cannot_work() {
        for (config, expected) in [
            (
                "Add a",
                expect![[r#"
                command line: `Add` takes `KEY VALUE`; put quotes around what holds blanks
            "#]],
            ),
            (
                "Remove a b",
                expect![[r#"
                command line: `Remove` takes `KEY`; put quotes around what holds blanks
            "#]],
            ),
            (
                "Set a \"b",
                expect![[r#"
                command line: `Set` takes `KEY VALUE`; put quotes around what holds blanks
            "#]],
            ),
            (
                "Remove_regex (",
                expect![[r#"
                    command line: `(`: regular expression is not valid: unclosed group
                "#]],
            ),
            (
                "Condition key_exist a",
                expect![[r#"
                command line: `Condition` has no kind `key_exist`; did you mean `Key_exists`?
            "#]],
            ),
            (
                "Condition key_value_matches a",
                expect![[r#"
                command line: `Condition` takes `KIND KEY [VALUE]`; put quotes around what holds blanks
            "#]],
            ),
            (
                "Condition key_value_equals $a[ b",
                expect![[r#"
                command line: `$a[`: `[` cannot be read; a step down is `['name']` or `[0]`
            "#]],
            ),
            (
                "Condition key_value_matches a [",
                expect![[r#"
                    command line: `[`: regular expression is not valid: a bracket is not closed
                "#]],
            ),
            (
                "Rule a b",
                expect![[r#"
                command line: `modify` has no property `Rule`
            "#]],
            ),
        ] {
            check(config, ABC, &expected);
        }
    }

    #[test]
    fn three_words_are_a_rename() {
        check(
            "Add a hello world",
            ABC,
            &expect![[r#"
            command line: warning: `Add` has three words, which Fluent Bit reads as `Rename a world`; put quotes around a value that holds blanks
            now {"world":1,"b":"2","ab":[3],"c":null}
        "#]],
        );
    }
}
