//! `grep`: keeps or drops records by what a field says.

use super::Filter;
use super::outlook::Outlook;
use crate::config::{Diagnostics, Keyed, Located, Ordered, properties};
use crate::record::{Accessor, AccessorError, Batch, Fields};
use bumpalo::Bump;
use tailwater_parsers::regex::Pattern;

properties! {
    /// Keeps or drops records whose field matches a regular expression. Only strings match.
    pub struct GrepOptions for "grep" {
        /// `KEY REGEX`: keeps the records whose field KEY (a name, or an accessor such as `$a['b']`) matches.
        rules: Ordered ["Regex" | "Exclude": "`KEY REGEX`: drops the records whose field KEY matches."],
        /// How several rules work together: `AND` and `OR` take rules of one kind; `legacy` judges by the first rule that decides, which a `Regex` always does.
        logical_op: Option<Located<String>> ["Logical_Op" = "legacy"],
    }
}

/// Drops the records that the rules do not keep.
#[derive(Debug)]
pub struct Grep {
    rules: Vec<Rule>,
    logic: Logic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logic {
    /// The first rule that decides.
    Legacy,
    /// The rules are of one kind, and apply if all of them match.
    And(Kind),
    /// The rules are of one kind, and apply if any of them matches.
    Or(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Regex,
    Exclude,
}

#[derive(Debug)]
struct Rule {
    kind: Kind,
    /// `None`: what the user named is never there.
    accessor: Option<Accessor>,
    pattern: Pattern,
}

impl Grep {
    /// Builds the filter; what cannot be read is reported and left out.
    pub fn build(options: &GrepOptions, diagnostics: &mut Diagnostics) -> Self {
        let rules = options.rules.iter().filter_map(|entry| Rule::build(entry, diagnostics));
        let rules: Vec<Rule> = rules.collect();
        let logic = Logic::build(options, &rules, diagnostics);
        if logic == Logic::Legacy {
            warn_of_opposites(options, diagnostics);
        }
        Self { rules, logic }
    }
}

/// Reports the rules whose field is never there, or only in some of the records that the user will think of.
pub fn examine(options: &GrepOptions, outlook: &Outlook, diagnostics: &mut Diagnostics) {
    for entry in &*options.rules {
        let Some((key, _)) = entry.value.split_once(' ') else { continue };
        // What cannot be read was told when the filter was built.
        let Some(Some(accessor)) = read_key(key, entry, &mut Diagnostics::new()) else { continue };
        if let Some(absence) = outlook.absence(&accessor) {
            let what = format!("{} {key}", entry.property);
            let remedy = "put this filter before it";
            absence.report(&what, key, "never matches", remedy, &entry.location, diagnostics);
        }
    }
}

/// Tells where an `Exclude` drops what the `Regex` behind it keeps, and that drops all else.
fn warn_of_opposites(options: &GrepOptions, diagnostics: &mut Diagnostics) {
    // A `Regex` decides, so that no rule behind it counts.
    let Some(at) = options.rules.iter().position(|entry| entry.property == "Regex") else { return };
    let Some((regex, before)) = options.rules.get(..=at).and_then(<[Keyed]>::split_last) else {
        return;
    };
    if before.iter().any(|exclude| exclude.value == regex.value) {
        let message = "the `Exclude` before it drops what this keeps: no record is left";
        diagnostics.warning(&regex.location, message);
    }
}

impl Filter for Grep {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        let rules = &self.rules;
        let mut scratch = String::new();
        match self.logic {
            Logic::Legacy => {
                batch.records.retain(|record| is_kept(rules, &record.fields, bump, &mut scratch));
            }
            Logic::And(kind) => batch.records.retain(|record| {
                let matched =
                    rules.iter().all(|rule| rule.is_match(&record.fields, bump, &mut scratch));
                matched == (kind == Kind::Regex)
            }),
            Logic::Or(kind) => batch.records.retain(|record| {
                let matched =
                    rules.iter().any(|rule| rule.is_match(&record.fields, bump, &mut scratch));
                matched == (kind == Kind::Regex)
            }),
        }
    }
}

/// The legacy logic: a `Regex` decides either way, an `Exclude` only if it matches.
fn is_kept<'a>(rules: &[Rule], fields: &Fields<'a>, bump: &'a Bump, scratch: &mut String) -> bool {
    for rule in rules {
        match (rule.kind, rule.is_match(fields, bump, scratch)) {
            (Kind::Regex, matched) => return matched,
            (Kind::Exclude, true) => return false,
            (Kind::Exclude, false) => {}
        }
    }
    true
}

impl Logic {
    fn build(options: &GrepOptions, rules: &[Rule], diagnostics: &mut Diagnostics) -> Self {
        let (Some(word), [first, rest @ ..]) = (&options.logical_op, rules) else {
            return Self::Legacy;
        };
        let logic = match word.to_ascii_lowercase().as_str() {
            "and" => Self::And(first.kind),
            "or" => Self::Or(first.kind),
            "legacy" => return Self::Legacy,
            _ => {
                let message =
                    format!("`{}` is taken as `legacy`; write `AND`, `OR` or `legacy`", word.value);
                diagnostics.warning(&word.location, message);
                return Self::Legacy;
            }
        };
        if rest.iter().any(|rule| rule.kind != first.kind) {
            let message = format!(
                "`Logical_Op {}` takes `Regex` or `Exclude`, not both; use two filters",
                word.value
            );
            diagnostics.error(&word.location, message);
        }
        logic
    }
}

impl Rule {
    fn build(entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Self> {
        let kind = if entry.property == "Regex" { Kind::Regex } else { Kind::Exclude };
        let Some((key, regex)) = entry.value.split_once(' ') else {
            let message = format!("`{}` takes `KEY REGEX`, with one blank between", entry.property);
            diagnostics.error(&entry.location, message);
            return None;
        };
        let accessor = read_key(key, entry, diagnostics)?;
        let pattern = Pattern::new(regex)
            .inspect_err(|error| diagnostics.error(&entry.location, error.to_string()))
            .ok()?;
        Some(Self { kind, accessor, pattern })
    }

    /// Whether the field is there, is a string and matches.
    fn is_match<'a>(&self, fields: &Fields<'a>, bump: &'a Bump, scratch: &mut String) -> bool {
        let value = self.accessor.as_ref().and_then(|accessor| accessor.on_fields(fields, bump));
        value.is_some_and(|value| {
            value.read_str(scratch).is_some_and(|text| self.pattern.is_match(text))
        })
    }
}

/// A key without `$` is one with it, so that a dot ends it, too. `None` is an error, which is reported, and `None`
/// inside a key that is never there.
#[expect(clippy::option_option, reason = "three outcomes of one reading")]
fn read_key(key: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Option<Accessor>> {
    let dollar = if key.starts_with('$') { "" } else { "$" };
    match Accessor::read(&format!("{dollar}{key}")) {
        Ok((accessor, "")) => Some(Some(accessor)),
        Ok((accessor, rest)) => {
            let message = format!(
                "`{rest}` is not read as a part of the key `{key}`; a step down is `['name']`"
            );
            diagnostics.warning(&entry.location, message);
            Some(Some(accessor))
        }
        Err(error @ AccessorError::NotAField(_)) => {
            let message = format!("{error}; as in Fluent Bit, it never matches");
            diagnostics.warning(&entry.location, message);
            Some(None)
        }
        Err(error) => {
            diagnostics.error(&entry.location, format!("`{key}`: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::fixture;
    use expect_test::{Expect, expect};

    /// The records of Fluent Bit's own tests of this filter.
    const OPTIONS: &str = r#"{"val":"0","log":"Using deprecated option"}
{"val":"0","log":"Using option"}
{"val":"16","log":"Using deprecated option"}
{"val":"x","log":"Using deprecated thing"}
{"val":"y","log":"other"}
{"val":"z"}"#;

    fn check(config: &str, input: &str, expected: &Expect) {
        fixture::check("grep", config, &[], input, expected);
    }

    #[test]
    fn one_rule() {
        check(
            "Regex log deprecated",
            OPTIONS,
            &expect![[r#"
            now {"val":"0","log":"Using deprecated option"}
            now {"val":"16","log":"Using deprecated option"}
            now {"val":"x","log":"Using deprecated thing"}
        "#]],
        );
        check(
            "Exclude log deprecated",
            OPTIONS,
            &expect![[r#"
            now {"val":"0","log":"Using option"}
            now {"val":"y","log":"other"}
            now {"val":"z"}
        "#]],
        );
    }

    #[test]
    fn the_first_rule_that_decides() {
        check(
            "Exclude log option\n Regex val ^[xz]$\n Exclude val x",
            OPTIONS,
            &expect![[r#"
            now {"val":"x","log":"Using deprecated thing"}
            now {"val":"z"}
        "#]],
        );
    }

    #[test]
    fn and() {
        check(
            "Exclude log deprecated\n Exclude log option\n Logical_Op AND",
            OPTIONS,
            &expect![[r#"
                now {"val":"0","log":"Using option"}
                now {"val":"x","log":"Using deprecated thing"}
                now {"val":"y","log":"other"}
                now {"val":"z"}
            "#]],
        );
        check(
            "Regex log deprecated\n Regex log option\n Logical_Op and",
            OPTIONS,
            &expect![[r#"
            now {"val":"0","log":"Using deprecated option"}
            now {"val":"16","log":"Using deprecated option"}
        "#]],
        );
    }

    #[test]
    fn or() {
        check(
            "Exclude log deprecated\n Exclude log other\n Logical_Op OR",
            OPTIONS,
            &expect![[r#"
            now {"val":"0","log":"Using option"}
            now {"val":"z"}
        "#]],
        );
        check(
            "Regex val x\n Regex val y\n Logical_Op OR",
            OPTIONS,
            &expect![[r#"
            now {"val":"x","log":"Using deprecated thing"}
            now {"val":"y","log":"other"}
        "#]],
        );
    }

    #[test]
    fn only_strings_match() {
        check(
            "Regex k 1",
            r#"{"k":1}
{"k":true}
{"k":"1"}
{"k":["1"]}
{"k":null}
{}"#,
            &expect![[r#"
                now {"k":"1"}
            "#]],
        );
    }

    #[test]
    fn escapes_are_decoded() {
        check(
            "Regex k ^a\"\u{1f600}$",
            r#"{"k":"a\"\ud83d\ude00"}"#,
            &expect![[r#"
            now {"k":"a\"\ud83d\ude00"}
        "#]],
        );
    }

    #[test]
    fn keys_are_accessors() {
        check(
            "Regex $k['a.b/c'] ^hit$",
            r#"{"t": "2015-11-24T22:15:40Z", "k": {"a.b/c": "hit", "d e": "1"}}
{"t": "2015-11-24T22:15:41Z", "k": {"a.b/c": "no"}}"#,
            &expect![[r#"
                2015-11-24T22:15:40Z {"k":{"a.b/c":"hit","d e":"1"}}
            "#]],
        );
        check(
            "Regex a.b x",
            r#"{"a":"x","a.b":"y"}"#,
            &expect![[r#"
            command line: warning: `.b` is not read as a part of the key `a.b`; a step down is `['name']`
            now {"a":"x","a.b":"y"}
        "#]],
        );
    }

    #[test]
    fn what_is_no_field_never_matches() {
        check(
            "Exclude $TAG test",
            r#"{"a":"x"}"#,
            &expect![[r#"
            command line: warning: `$TAG` names no field of a record; write `$key` or `$key['nested']`; as in Fluent Bit, it never matches
            now {"a":"x"}
        "#]],
        );
    }

    #[test]
    fn blanks_after_the_first_are_the_expressions() {
        check(
            "Regex k  x",
            r#"{"k":" x"}
{"k":"x"}"#,
            &expect![[r#"
                now {"k":" x"}
            "#]],
        );
    }

    #[test]
    fn rules_that_cannot_work() {
        check(
            "Regex val 1\n Exclude val2 3\n Logical_Op OR",
            "",
            &expect![[r#"
            command line: `Logical_Op OR` takes `Regex` or `Exclude`, not both; use two filters
        "#]],
        );
        check(
            "Regex log",
            "",
            &expect![[r#"
            command line: `Regex` takes `KEY REGEX`, with one blank between
        "#]],
        );
        check(
            "Regex log (",
            "",
            &expect![[r#"
                command line: regular expression is not valid: unclosed group
            "#]],
        );
        check(
            "Regex $ x",
            "",
            &expect![[r#"
            command line: `$`: no key is named; write `$key` or `$key['nested']`
        "#]],
        );
        check(
            "Logical_Op XOR\n Regex a b",
            r#"{"a":"b"}"#,
            &expect![[r#"
            command line: warning: `XOR` is taken as `legacy`; write `AND`, `OR` or `legacy`
            now {"a":"b"}
        "#]],
        );
        check(
            "Exclude a ^x\n Exclude a b\n Regex a b",
            r#"{"a":"b"}"#,
            &expect![[r#"
            command line: warning: the `Exclude` before it drops what this keeps: no record is left
        "#]],
        );
        check(
            "Regex a b\n Exclude a b",
            r#"{"a":"b"}"#,
            &expect![[r#"
            now {"a":"b"}
        "#]],
        );
        check(
            "UNKNOWN_PROPERTY aaaaaa",
            "",
            &expect![[r#"
            command line: `grep` has no property `UNKNOWN_PROPERTY`
        "#]],
        );
    }
}
