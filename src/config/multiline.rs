//! `[MULTILINE_PARSER]`: how lines become one record.

use tailwater_parsers::regex::{Error, Pattern};

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::property::{Located, Repeated};
use super::section::Section;
use super::value::Verbatim;
use super::{choices, properties};

/// The state in which every record begins.
const START: &str = "start_state";

choices! {
    /// How lines belong together.
    pub enum MultilineKind {
        /// Rules say which line may follow which.
        Regex = "regex",
        /// A line that ends with a text ends the record.
        EndsWith = "endswith",
        /// A line that is a text ends the record.
        Equal = "equal" | "eq",
    }
}

properties! {
    /// How lines become one record. `tail` names it in `Multiline.Parser`.
    pub struct MultilineOptions for "MULTILINE_PARSER" as Parser {
        /// How inputs and filters call it.
        name: Option<String> ["Name"],
        /// How lines belong together: by rules, by their end, or by a whole line.
        kind: Option<Located<MultilineKind>> ["Type"],
        /// For `endswith` and `equal`: the text.
        match_string: Option<Verbatim> ["Match_String"],
        /// Turns `Match_String` round.
        negate: bool ["Negate" = "off"],
        /// Field with the line.
        key_content: Option<String> ["Key_Content"],
        /// Field that the rules look at, if it is another.
        key_pattern: Option<String> ["Key_Pattern"],
        /// Field whose value keeps streams apart.
        key_group: Option<String> ["Key_Group"],
        /// Parser that each line passes first.
        parser: Option<String> ["Parser"],
        /// Milliseconds after which an unfinished record is passed on.
        flush_timeout: i64 ["Flush_Timeout" = "4000"],
        /// `"state" "/regex/" "next_state"`: a line that may stand in `state`, and what may follow it.
        rules: Repeated<Verbatim> ["Rule"],
    }
}

properties! {
    /// One of the `rules` of a multiline parser in YAML.
    pub struct RuleOptions for "rules" as Parser {
        /// States in which the line may stand, with commas between.
        state: Option<Verbatim> ["state"],
        /// What the line looks like.
        regex: Option<Verbatim> ["regex"],
        /// The state after it.
        next_state: Option<Verbatim> ["next_state"],
    }
}

/// A multiline parser that has what it must have.
#[derive(Clone, Debug)]
pub struct MultilineParser {
    /// How inputs and filters call it; letter case counts.
    pub name: String,
    /// How lines belong together.
    pub kind: MultilineKind,
    /// For [`MultilineKind::Regex`]: the first one has the start state, and every state that one leads to is
    /// one of another.
    pub rules: Vec<Rule>,
    /// Where its section begins.
    pub location: Location,
    /// Everything else.
    pub options: MultilineOptions,
}

/// Which line may stand where.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The states in which the line may stand; never none.
    pub states: Vec<String>,
    /// What it looks like.
    pub pattern: Pattern,
    /// The state after it; `None` ends the record.
    pub next_state: Option<String>,
    /// Where it was written.
    pub location: Location,
}

impl MultilineParser {
    /// Reads a section, whose problems are reported: errors are what Fluent Bit does not start with. `None`
    /// also without an error, if a rule needs what no expression has here yet.
    pub fn read(mut section: Section, diagnostics: &mut Diagnostics) -> Option<Self> {
        let error_count = diagnostics.error_count();
        let groups = section.take_groups();
        let options = MultilineOptions::read(&mut section, diagnostics);
        section.finish(diagnostics);
        let location = section.location;
        if diagnostics.error_count() > error_count {
            // What is missing now was there, but could not be read.
            return None;
        }
        let mut missing = |what: &str| {
            diagnostics.error(&location, format!("the multiline parser has no `{what}`"));
        };
        let Some(name) = options.name.clone() else {
            missing("Name");
            return None;
        };
        let Some(kind) = options.kind.as_ref().map(|kind| kind.value) else {
            missing("Type");
            return None;
        };
        let mut rules = Vec::new();
        if kind == MultilineKind::Regex {
            let texts = rule_texts(groups, &options, diagnostics)?;
            rules = build_rules(texts, diagnostics)?;
            if rules.is_empty() {
                diagnostics.warning(&location, format!("`{name}` has no `Rule`: it joins nothing"));
            }
        } else if options.match_string.is_none() {
            let message = format!("`{name}` has no `Match_String`: it joins nothing");
            diagnostics.warning(&location, message);
        }
        Some(Self { name, kind, rules, location, options })
    }
}

/// A rule as it was written.
struct RuleText {
    states: String,
    regex: String,
    next_state: Option<String>,
    location: Location,
}

/// The rules as written: first YAML's maps, then `Rule` lines, as in Fluent Bit.
fn rule_texts(
    groups: Vec<Section>,
    options: &MultilineOptions,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<RuleText>> {
    let mut texts = Vec::new();
    for mut group in groups {
        let RuleOptions { state, regex, next_state } = RuleOptions::read(&mut group, diagnostics);
        group.finish(diagnostics);
        let (Some(states), Some(regex), Some(next_state)) = (state, regex, next_state) else {
            let message = "a rule must have `state`, `regex` and `next_state`";
            diagnostics.error(&group.location, message);
            return None;
        };
        texts.push(RuleText {
            states: states.0,
            regex: regex.0,
            next_state: Some(next_state.0),
            location: group.location,
        });
    }
    for rule in options.rules.iter() {
        let mut words = words(&rule.value).into_iter();
        let (Some(states), Some(regex)) = (words.next(), words.next()) else {
            let found = finding(Severity::Error, &rule.location, "a rule without expression");
            diagnostics
                .add(found.with_remedy("write `Rule \"start_state\" \"/regex/\" \"next_state\"`"));
            return None;
        };
        let location = rule.location.clone();
        texts.push(RuleText { states, regex, next_state: words.next(), location });
    }
    Some(texts)
}

fn build_rules(texts: Vec<RuleText>, diagnostics: &mut Diagnostics) -> Option<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for RuleText { states, regex, next_state, location } in texts {
        let states: Vec<String> = states
            .split(',')
            .map(|state| state.trim().to_owned())
            .filter(|state| !state.is_empty())
            .collect();
        if states.is_empty() {
            diagnostics.error(&location, "a rule without state");
            return None;
        }
        if rules.is_empty() && !states.iter().any(|state| state == START) {
            diagnostics.error(&location, format!("the first rule must have the state `{START}`"));
            return None;
        }
        match Pattern::new(&regex) {
            Ok(pattern) => rules.push(Rule { states, pattern, next_state, location }),
            Err(error @ Error::Unsupported { .. }) => {
                let message = format!("the multiline parser cannot be used: {error}");
                diagnostics.note(&location, message);
                return None;
            }
            Err(error) => {
                diagnostics.error(&location, error.to_string());
                return None;
            }
        }
    }
    for rule in &rules {
        let Some(next) = &rule.next_state else { continue };
        if !rules.iter().any(|other| other.states.contains(next)) {
            diagnostics.error(&rule.location, format!("no rule has the state `{next}`"));
            return None;
        }
    }
    warn_of_unreached(&rules, diagnostics);
    Some(rules)
}

/// Warns of rules in states to which none leads that can match: Fluent Bit says nothing of them.
fn warn_of_unreached(rules: &[Rule], diagnostics: &mut Diagnostics) {
    let mut reached = vec![START];
    let mut left: Vec<&Rule> = rules.iter().collect();
    loop {
        let is_reached = |rule: &mut &Rule| rule.states.iter().any(|it| reached.contains(&&**it));
        let found: Vec<&Rule> = left.extract_if(.., is_reached).collect();
        if found.is_empty() {
            break;
        }
        reached.extend(found.iter().filter_map(|rule| rule.next_state.as_deref()));
    }
    for rule in left {
        let states = rule.states.join("`, `");
        let message = format!("a rule that is never tried: no other leads to its state `{states}`");
        diagnostics.warning(&rule.location, message);
    }
}

/// Splits at blanks; a word that begins with `"` ends with the next one that has no `\` before it.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        let (word, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            split_quoted(quoted)
        } else {
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            (word.to_owned(), behind)
        };
        words.push(word);
        rest = behind.trim_start_matches(' ');
    }
    words
}

/// What stands before the closing quote, and what behind it; a quote that is not closed takes the rest.
fn split_quoted(text: &str) -> (String, &str) {
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        if letter == '"' && before != '\\' {
            let (word, behind) = text.split_at_checked(at).unwrap_or((text, ""));
            return (word.replace("\\\"", "\""), behind.strip_prefix('"').unwrap_or(behind));
        }
        before = letter;
    }
    (text.to_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::super::SectionKind;
    use super::*;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    /// Lines of `key value`; those behind a line `- ` are a rule of YAML.
    fn check(text: &str, expected: &Expect) {
        let at = Location::command_line();
        let mut section = Section::new(SectionKind::MultilineParser, at.clone());
        let (own, groups) = text.split_once("- ").unwrap_or((text, ""));
        let fill = |section: &mut Section, text: &str| {
            for (key, value) in text.lines().filter_map(|line| line.trim().split_once(' ')) {
                section.push(key, value, at.clone());
            }
        };
        fill(&mut section, own);
        for group in groups.split("- ").filter(|group| !group.is_empty()) {
            let mut rule = Section::new(SectionKind::Rule, at.clone());
            fill(&mut rule, group);
            section.push_group(rule);
        }
        let mut diagnostics = Diagnostics::new();
        let mut out = String::new();
        if let Some(parser) = MultilineParser::read(section, &mut diagnostics) {
            writeln!(out, "{} {:?}", parser.name, parser.kind).unwrap();
            for Rule { states, next_state, .. } in parser.rules {
                writeln!(out, "  {states:?} -> {next_state:?}").unwrap();
            }
        }
        expected.assert_eq(&(out + &diagnostics.report(Severity::Note)));
    }

    #[test]
    fn rules_of_both_syntaxes() {
        check(
            r#"Name m
               Type regex
               Rule "start_state, again" "/^\"\d+/" "cont"
               Rule cont /^\s+at/ again
               Rule "again" "end""#,
            &expect![[r#"
                m Regex
                  ["start_state", "again"] -> Some("cont")
                  ["cont"] -> Some("again")
                  ["again"] -> None
            "#]],
        );
        check(
            "name m\n type regex\n- state start_state\n regex /a b/\n next_state start_state\n",
            &expect![[r#"
                m Regex
                  ["start_state"] -> Some("start_state")
            "#]],
        );
        check(
            "Name m\n Type EQ\n Match_String ---",
            &expect![[r#"
                m Equal
            "#]],
        );
    }

    #[test]
    fn rules_that_are_never_tried_are_told() {
        check(
            "Name m\n Type regex\n Rule start_state /a/ b\n Rule b /b/ b\n Rule c,x /c/ d\n Rule d /d/ c",
            &expect![[r#"
                m Regex
                  ["start_state"] -> Some("b")
                  ["b"] -> Some("b")
                  ["c", "x"] -> Some("d")
                  ["d"] -> Some("c")
                command line: warning: a rule that is never tried: no other leads to its state `c`, `x`
                command line: warning: a rule that is never tried: no other leads to its state `d`
            "#]],
        );
    }

    #[test]
    fn what_fluent_bit_does_not_start_with() {
        check(
            "Type regex",
            &expect![[r#"
            command line: the multiline parser has no `Name`
        "#]],
        );
        check(
            "Name m",
            &expect![[r#"
            command line: the multiline parser has no `Type`
        "#]],
        );
        check(
            "Name m\n Type regexp",
            &expect![[r#"
            command line: `Type`: none of regex, endswith, equal; did you mean `regex`?
                Type regexp
        "#]],
        );
        check(
            "Name m\n Type regex\n Rule a",
            &expect![[r#"
            command line: a rule without expression; write `Rule "start_state" "/regex/" "next_state"`
        "#]],
        );
        check(
            "Name m\n Type regex\n Rule cont /a/ cont",
            &expect![[r#"
            command line: the first rule must have the state `start_state`
        "#]],
        );
        check(
            "Name m\n Type regex\n Rule start_state /(/ cont",
            &expect![[r#"
                command line: regular expression is not valid: unclosed group
            "#]],
        );
        check(
            "Name m\n Type regex\n Rule start_state /a/ cont",
            &expect![[r#"
            command line: no rule has the state `cont`
        "#]],
        );
        check(
            "Name m\n Type regex\n- state start_state\n regex a\n",
            &expect![[r#"
            command line: a rule must have `state`, `regex` and `next_state`
        "#]],
        );
    }

    #[test]
    fn what_joins_nothing() {
        check(
            "Name m\n Type regex\n Ruel x",
            &expect![[r#"
            m Regex
            command line: warning: `MULTILINE_PARSER` has no property `Ruel`; did you mean `Rule`?
            command line: warning: `m` has no `Rule`: it joins nothing
        "#]],
        );
        check(
            "Name m\n Type endswith",
            &expect![[r#"
            m EndsWith
            command line: warning: `m` has no `Match_String`: it joins nothing
        "#]],
        );
        check(
            "Name m\n Type regex\n Rule start_state /(?<n>\\X)/",
            &expect![[r#"
                command line: note: the multiline parser cannot be used: regular expression uses `\X` at byte 6, which is not supported; rewrite it without
            "#]],
        );
    }
}
