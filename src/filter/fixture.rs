//! Runs a filter on lines of JSON.

use super::Filter;
use super::grep::{Grep, GrepOptions};
use super::modify::{Modify, ModifyOptions};
use super::nest::{Nest, NestOptions};
use super::parser::{ParserFilter, ParserFilterOptions};
use super::record_modifier::{RecordModifier, RecordModifierOptions};
use crate::config::{Diagnostics, Location, SectionKind};
use crate::parser::fixture::{JSON_WITH_TIME, batch, parsers, section, show};
use bumpalo::Bump;
use expect_test::Expect;
use std::sync::Arc;

/// Runs the filter `plugin`, set up by the lines `config`, on lines that `jt` reads. Expected is what
/// there is to say about the configuration, then, unless that is an error, the records.
pub(super) fn check(
    plugin: &str,
    config: &str,
    parser_sections: &[&str],
    input: &str,
    expected: &Expect,
) {
    expected.assert_eq(&run(plugin, config, parser_sections, input));
}

/// What `check` compares.
pub(super) fn run(plugin: &str, config: &str, parser_sections: &[&str], input: &str) -> String {
    let mut diagnostics = Diagnostics::new();
    let sections: Vec<&str> = [JSON_WITH_TIME].iter().chain(parser_sections).copied().collect();
    let parsers = parsers(&sections, &mut diagnostics);
    let mut section = section(SectionKind::Filter, config);
    section.set_title(plugin);
    let filter = build(plugin, &mut section, &parsers, &mut diagnostics);
    section.finish(&mut diagnostics);
    let mut shown = diagnostics.to_string();
    if let Some(mut filter) = filter
        && !diagnostics.has_errors()
    {
        let bump = Bump::new();
        let mut batch = batch(&parsers, "jt", input, &bump);
        filter.apply(&mut batch);
        shown.push_str(&show(&batch));
    }
    shown
}

fn build(
    plugin: &str,
    section: &mut crate::config::Section,
    parsers: &crate::parser::Parsers,
    diagnostics: &mut Diagnostics,
) -> Option<Box<dyn Filter>> {
    match plugin {
        "grep" => {
            let options = GrepOptions::read(section, diagnostics);
            Some(Box::new(Grep::build(&options, diagnostics)))
        }
        "modify" => {
            let options = ModifyOptions::read(section, diagnostics);
            Some(Box::new(Modify::build(&options, diagnostics)))
        }
        "nest" => {
            let options = NestOptions::read(section, diagnostics);
            Some(Box::new(Nest::build(&options, &Location::command_line(), diagnostics)?))
        }
        "parser" => {
            let options = ParserFilterOptions::read(section, diagnostics);
            let location = Location::command_line();
            let filter =
                ParserFilter::build(&options, &location, parsers, Arc::default(), diagnostics)?;
            Some(Box::new(filter))
        }
        "record_modifier" => {
            let options = RecordModifierOptions::read(section, diagnostics);
            Some(Box::new(RecordModifier::build(&options, diagnostics)))
        }
        _ => None,
    }
}
