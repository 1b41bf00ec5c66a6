//! Parsers: a text becomes fields and a time, as a `[PARSER]` section says.
//!
//! The functions that read are in `tailwater_parsers`; here is what a section makes of them.

mod build;
mod captures;
mod cast;
mod decoders;
#[cfg(test)]
pub(crate) mod fixture;
mod json;
pub mod multiline;
mod pairs;
#[cfg(test)]
mod tests;
mod time;

use crate::record::{Fields, Nanos};
use bumpalo::Bump;
use captures::{Captured, Rooms};
use decoders::Decoders;
use pairs::Pairs;
use tailwater_parsers::regex;
use time::TimeField;

pub use build::{NoParser, Parsers};
pub use decoders::fuzz_decoders;

/// One `[PARSER]`.
#[derive(Debug)]
pub struct Parser {
    name: String,
    format: Format,
    time_field: Option<TimeField>,
    decoders: Option<Decoders>,
}

#[derive(Debug)]
enum Format {
    Json,
    Regex(Captured),
    Pairs(Pairs),
}

/// What a text that matched said, beside its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// When it happened; `None` if the text does not say, says it in another format, or says 1970 began
    /// or was still to come: that is a clock that was never set, for which Fluent Bit takes the present,
    /// too, or loses the record.
    pub time: Option<Nanos>,
    /// Whether JSON in it was repaired: halves of surrogate pairs, raw control characters.
    pub is_repaired: bool,
}

/// What parsing needs and can be used again: one for each input or filter that parses.
#[derive(Debug, Default)]
pub struct Scratch {
    rooms: Rooms,
    text: String,
}

impl Parser {
    /// What reads JSON objects, without a time.
    pub fn json() -> Self {
        Self { name: String::new(), format: Format::Json, time_field: None, decoders: None }
    }

    /// The name by which plugins refer to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it reads JSON objects, whose fields nobody knows before.
    pub fn reads_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Whether an expression names this field.
    pub fn has_field(&self, name: &str) -> bool {
        match &self.format {
            Format::Regex(captured) => captured.matcher.names().contains(&name),
            Format::Json | Format::Pairs(_) => false,
        }
    }

    /// All fields that it can make; `None` if that depends on what it reads.
    pub fn field_names(&self) -> Option<&[&str]> {
        match (&self.format, &self.decoders) {
            (Format::Regex(captured), None) => Some(captured.matcher.names()),
            _ => None,
        }
    }

    /// Whether it takes texts apart by an expression, so that [`Parser::groups`] can tell its groups.
    pub fn has_groups(&self) -> bool {
        matches!(self.format, Format::Regex(_))
    }

    /// Calls `group` with the name and the text of each group of an expression, as they are matched: without types,
    /// time and decoders. False, and nothing is called, if it does not match or there is no expression.
    pub fn groups<'t>(
        &self,
        scratch: &mut Scratch,
        text: &'t str,
        group: impl FnMut(&'static str, &'t str),
    ) -> bool {
        match &self.format {
            Format::Regex(captured) => captured.matcher.groups(scratch, text, group).is_some(),
            Format::Json | Format::Pairs(_) => false,
        }
    }

    /// Appends the fields of `text`. `None`: it does not match, and `fields` is as it was.
    ///
    /// Where the time's format lacks the year, it is that of `now`.
    pub fn parse<'a>(
        &self,
        scratch: &mut Scratch,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        let mut parsed = self.parse_fields(scratch, text, bump, now, fields)?;
        parsed.time = parsed.time.filter(|time| *time > 0);
        Some(parsed)
    }

    fn parse_fields<'a>(
        &self,
        scratch: &mut Scratch,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        let time_field = self.time_field.as_ref();
        let Some(decoders) = &self.decoders else {
            return self.format.parse(time_field, scratch, text, bump, now, fields);
        };
        let first = fields.len();
        // As in Fluent Bit, the time of JSON is looked for in what is decoded; that of others before.
        let (before, behind) = match self.format {
            Format::Json => (None, time_field),
            Format::Regex(_) | Format::Pairs(_) => (time_field, None),
        };
        let mut parsed = self.format.parse(before, scratch, text, bump, now, fields)?;
        let scratch = &mut scratch.text;
        parsed.is_repaired |= decoders.apply(first, scratch, bump, fields);
        if let Some(field) = behind {
            parsed.time = field.take(first, scratch, now, fields);
        }
        Some(parsed)
    }
}

impl Format {
    /// Makes it ready to parse.
    fn compile(&self) -> Result<(), regex::Error> {
        match self {
            Self::Regex(captured) => captured.matcher.compile(),
            Self::Json | Self::Pairs(_) => Ok(()),
        }
    }

    fn parse<'a>(
        &self,
        time_field: Option<&TimeField>,
        scratch: &mut Scratch,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        match self {
            Self::Json => json::parse(time_field, scratch, text, bump, now, fields),
            Self::Regex(captured) => captured.parse(time_field, scratch, text, bump, now, fields),
            Self::Pairs(pairs) => pairs.parse(time_field, text, bump, now, fields),
        }
    }
}
