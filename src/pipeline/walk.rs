//! Walks the filters in their order with what records may be like, and reports what can never act.

use super::plugins;
use crate::config::{Diagnostics, Model, Share};
use crate::filter::outlook::Outlook;
use crate::parser::Parsers;

/// Reports the filters, and the lines of filters, that wait for something which no record has that comes to them.
pub(super) fn check(model: &Model, parsers: &Parsers, diagnostics: &mut Diagnostics) {
    let mut ways: Vec<(&str, Outlook)> = Vec::new();
    for input in &model.inputs {
        let tag = input.common.tag.as_ref().unwrap_or(&input.name);
        ways.push((tag, plugins::outlook(input, parsers)));
    }
    for filter in &model.filters {
        let seen = ways.iter().filter(|(tag, _)| filter.common.share(tag) != Share::None);
        let together = seen.map(|(_, outlook)| outlook.clone()).reduce(|mut all, outlook| {
            all.join(&outlook);
            all
        });
        // That no record comes to it was told by the reader of the configuration.
        let Some(mut together) = together else { continue };
        plugins::examine(filter, parsers, &mut together, diagnostics);
        for (tag, outlook) in &mut ways {
            let share = filter.common.share(tag);
            if share == Share::None {
                continue;
            }
            let before = outlook.clone();
            plugins::examine(filter, parsers, outlook, &mut Diagnostics::new());
            if share == Share::Some {
                outlook.join(&before);
            }
        }
    }
}
