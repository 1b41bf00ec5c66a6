//! Walks the filters in their order with what records may be like, and reports what can never act.

use super::plugins;
use crate::config::{Diagnostics, Model, Share};
use crate::filter::outlook::Outlook;
use crate::parser::Parsers;

/// The records of one input.
struct Way<'a> {
    tag: &'a str,
    /// What their tags begin with, as far as that is known.
    starts: Vec<String>,
    outlook: Outlook,
}

/// Reports the filters, and the lines of filters, that wait for something which no record has that comes to them.
pub(super) fn check(model: &Model, parsers: &Parsers, diagnostics: &mut Diagnostics) {
    let mut ways: Vec<Way<'_>> = Vec::new();
    for input in &model.inputs {
        let tag = input.common.tag.as_ref().unwrap_or(&input.name);
        let starts = plugins::tag_starts(input, tag);
        ways.push(Way { tag, starts, outlook: plugins::outlook(input, parsers) });
    }
    for filter in &model.filters {
        let takes = |tag: &str| filter.common.share(tag) != Share::None;
        let seen = ways.iter().filter(|way| takes(way.tag));
        let outlooks = seen.clone().map(|way| way.outlook.clone());
        let together = outlooks.reduce(|mut all, outlook| {
            all.join(&outlook);
            all
        });
        // That no record comes to it was told by the reader of the configuration.
        let Some(mut together) = together else { continue };
        let starts = seen.flat_map(|way| &way.starts).map(String::as_str);
        let starts: Vec<&str> = starts.filter(|start| takes(&format!("{start}*"))).collect();
        plugins::examine(filter, parsers, &starts, &mut together, diagnostics);
        for way in &mut ways {
            let share = filter.common.share(way.tag);
            if share == Share::None {
                continue;
            }
            let before = way.outlook.clone();
            let told = &mut Diagnostics::new();
            plugins::examine(filter, parsers, &[], &mut way.outlook, told);
            if share == Share::Some {
                way.outlook.join(&before);
            }
        }
    }
}
