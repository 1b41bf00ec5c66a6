//! `grep`: keeps or drops records by what a field says.

use super::Filter;
use crate::config::{Diagnostics, Keyed, Located, Ordered, properties};
use crate::record::{Accessor, Batch, Fields};
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
    accessor: Accessor,
    pattern: Pattern,
}

impl Grep {
    /// Builds the filter; what cannot be read is reported and left out.
    pub fn build(options: &GrepOptions, diagnostics: &mut Diagnostics) -> Self {
        let rules = options.rules.iter().filter_map(|entry| Rule::build(entry, diagnostics));
        let rules: Vec<Rule> = rules.collect();
        Self { logic: Logic::build(options, &rules, diagnostics), rules }
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
            .inspect_err(|error| diagnostics.error(&entry.location, format!("`{regex}`: {error}")))
            .ok()?;
        Some(Self { kind, accessor, pattern })
    }

    /// Whether the field is there, is a string and matches.
    fn is_match<'a>(&self, fields: &Fields<'a>, bump: &'a Bump, scratch: &mut String) -> bool {
        self.accessor.on_fields(fields, bump).is_some_and(|value| {
            value.read_str(scratch).is_some_and(|text| self.pattern.is_match(text))
        })
    }
}

/// A key without `$` is one with it, so that a dot ends it, too.
fn read_key(key: &str, entry: &Keyed, diagnostics: &mut Diagnostics) -> Option<Accessor> {
    let dollar = if key.starts_with('$') { "" } else { "$" };
    match Accessor::read(&format!("{dollar}{key}")) {
        Ok((accessor, "")) => Some(accessor),
        Ok((accessor, rest)) => {
            let message = format!(
                "`{rest}` is not read as a part of the key `{key}`; a step down is `['name']`"
            );
            diagnostics.warning(&entry.location, message);
            Some(accessor)
        }
        Err(error) => {
            diagnostics.error(&entry.location, format!("`{key}`: {error}"));
            None
        }
    }
}
