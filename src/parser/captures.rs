//! `Format regex`: the named groups of a regular expression.

use super::cast::Types;
use super::time::TimeField;
use super::{Parsed, Scratch};
use crate::record::{Field, Fields, Nanos};
use bumpalo::Bump;
use tailwater_parsers::cri;
use tailwater_parsers::regex::{Pattern, Stock};

/// What a regex parser does with what it captures.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) matcher: Matcher,
    /// Leave out fields without text.
    pub(super) skip_empty: bool,
    pub(super) types: Option<Types>,
}

/// How the text is taken apart.
#[derive(Debug)]
pub(super) enum Matcher {
    /// By the regular expression.
    Pattern(Pattern),
    /// By hand, for an expression that says just what the hand-written parser reads; with its names.
    Cri(Stock),
}

impl Captured {
    /// Appends the groups as fields.
    pub(super) fn parse<'a>(
        &self,
        time_field: Option<&TimeField>,
        scratch: &mut Scratch,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        let mut time = None;
        let mut capture = |name: &str, text: &'a str| {
            if text.is_empty() && self.skip_empty {
                return;
            }
            if let Some(field) = time_field
                && name == &*field.key
            {
                time = field.read(text, now);
                // Fluent Bit leaves out the field of a time that it cannot read, too.
                if time.is_none() || !field.keep {
                    return;
                }
            }
            let value = match &self.types {
                None => crate::record::Value::Str(text),
                Some(types) => types.cast(name, text, bump),
            };
            // The name lives as long as the parser, the field as long as the batch.
            fields.push(Field { key: bump.alloc_str(name), value });
        };
        match &self.matcher {
            Matcher::Cri(names) => {
                let line = cri::parse(text)?;
                capture(&names.time, line.time);
                capture(&names.stream, line.stream);
                capture(&names.logtag, line.logtag);
                capture(&names.log, line.log);
            }
            Matcher::Pattern(pattern) => {
                pattern.fields(&mut scratch.captures, text, capture).then_some(())?;
            }
        }
        Some(Parsed { time })
    }
}
