//! Parsers from `[PARSER]` sections.

use super::captures::{Captured, Matcher};
use super::cast::Types;
use super::decoders::Decoders;
use super::pairs::{Pairs, Syntax};
use super::time::{TimeField, Zone, names_zone};
use super::{Format, Parser};
use crate::config::{
    Diagnostics, Located, ParserDefinition, ParserFormat, ParserOptions, Verbatim, nearest,
};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use tailwater_parsers::regex::Error;
use tailwater_parsers::time;

/// The name of the time field where `Time_Key` does not say it.
const TIME_KEY: &str = "time";

/// All parsers of a configuration, by name.
#[derive(Debug, Default)]
pub struct Parsers(BTreeMap<String, Result<Arc<Parser>, Refusal>>);

/// Why there is no parser for a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is wrong, which is reported.
    Reported,
    /// It needs something that is not built yet. That is no error before something uses the parser:
    /// many a `parsers.conf` has parsers that nothing uses.
    NotYet(String),
}

/// Why a plugin cannot have the parser that it names; the text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum NoParser {
    /// No section defines it. Where Fluent Bit starts without it, so do we.
    #[error("{0}")]
    Missing(String),
    /// It is defined, and Fluent Bit would use it; to start without it would change what is delivered.
    #[error("{0}")]
    Unusable(String),
}

impl Parsers {
    /// Reads all parsers. What is wrong is reported as an error; what is not built yet is noted.
    pub fn build(definitions: &[ParserDefinition], diagnostics: &mut Diagnostics) -> Self {
        let mut parsers = BTreeMap::new();
        for definition in definitions {
            let built = Parser::build(definition, diagnostics).map(Arc::new);
            if let Err(Refusal::NotYet(why)) = &built {
                let message = format!("parser `{}` cannot be used: {why}", definition.name);
                diagnostics.note(&definition.location, message);
            }
            parsers.insert(definition.name.clone(), built);
        }
        Self(parsers)
    }

    /// The parser of this name, ready to be used.
    pub fn get(&self, name: &str) -> Result<&Arc<Parser>, NoParser> {
        match self.0.get(name) {
            Some(Ok(parser)) => match parser.format.compile() {
                Ok(()) => Ok(parser),
                Err(error) => {
                    Err(NoParser::Unusable(format!("parser `{name}` cannot be used: {error}")))
                }
            },
            Some(Err(Refusal::NotYet(why))) => {
                Err(NoParser::Unusable(format!("parser `{name}` cannot be used: {why}")))
            }
            Some(Err(Refusal::Reported)) => {
                Err(NoParser::Unusable(format!("parser `{name}` has errors of its own")))
            }
            None => Err(NoParser::Missing(self.missing(name))),
        }
    }

    fn missing(&self, name: &str) -> String {
        match nearest(name, self.0.keys().map(String::as_str)) {
            Some(near) => format!("there is no parser `{name}`; did you mean `{near}`?"),
            None => format!("there is no parser `{name}`; define it in a `Parsers_File`"),
        }
    }
}

impl Parser {
    /// What the multiline parser `cri` takes each line apart with.
    pub(super) fn cri_piece() -> Self {
        let matcher = Matcher::CriPiece(["time", "stream", "_p", "log"]);
        let format = Format::Regex(Captured { matcher, skip_empty: false, types: None });
        Self::of_container("_ml_cri", format, "%Y-%m-%dT%H:%M:%S.%L%z")
    }

    /// What the multiline parser `docker` takes each line apart with.
    pub(super) fn docker() -> Self {
        Self::of_container("_ml_json_docker", Format::Json, "%Y-%m-%dT%H:%M:%S.%L")
    }

    fn of_container(name: &str, format: Format, time: &str) -> Self {
        let time_field = TimeField {
            key: TIME_KEY.into(),
            keep: true,
            format: time::Format::new(time),
            strict: false,
            zone: Zone::Offset(0),
        };
        Self { name: name.to_owned(), format, time_field: Some(time_field), decoders: None }
    }

    fn build(
        definition: &ParserDefinition,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, Refusal> {
        let options = &definition.options;
        let format = match definition.format {
            ParserFormat::Json => Format::Json,
            ParserFormat::Regex => Format::Regex(build_captured(options, diagnostics)?),
            ParserFormat::Logfmt => {
                let bare_keys = !options.logfmt_no_bare_keys;
                Format::Pairs(build_pairs(Syntax::Logfmt { bare_keys }, options, diagnostics))
            }
            ParserFormat::Ltsv => Format::Pairs(build_pairs(Syntax::Ltsv, options, diagnostics)),
        };
        let time_field = match &options.time_format {
            Some(text) => Some(build_time_field(text, options, diagnostics)?),
            None => None,
        };
        if let (Some(zone), None) = (&options.time_zone, &time_field) {
            diagnostics.error(&zone.location, "`Time_Zone` needs a `Time_Format`");
            return Err(Refusal::Reported);
        }
        let decoders = Decoders::read(&options.decoders, diagnostics);
        warn_without_effect(definition, diagnostics);
        Ok(Self { name: definition.name.clone(), format, time_field, decoders })
    }
}

/// Reports an error of a value.
fn refuse<T>(
    at: &Located<T>,
    message: impl Into<String>,
    diagnostics: &mut Diagnostics,
) -> Refusal {
    diagnostics.error(&at.location, message);
    Refusal::Reported
}

fn build_captured(
    options: &ParserOptions,
    diagnostics: &mut Diagnostics,
) -> Result<Captured, Refusal> {
    // A definition of this format without one was refused when it was read.
    let text = options.regex.as_ref().ok_or(Refusal::Reported)?;
    let matcher = Matcher::new(text).map_err(|error| match error {
        Error::Unsupported { .. } => Refusal::NotYet(error.to_string()),
        Error::Syntax(_) => refuse(text, error.to_string(), diagnostics),
    })?;
    Ok(Captured {
        matcher,
        skip_empty: options.skip_empty_values,
        types: read_types(options, diagnostics),
    })
}

fn build_pairs(syntax: Syntax, options: &ParserOptions, diagnostics: &mut Diagnostics) -> Pairs {
    Pairs { syntax, types: read_types(options, diagnostics) }
}

fn read_types(options: &ParserOptions, diagnostics: &mut Diagnostics) -> Option<Types> {
    let text = options.types.as_ref()?;
    let (types, odd) = Types::read(text);
    for word in odd {
        let message = format!(
            "`{word}` has no effect; a type is `field:integer`, `float`, `hex`, `bool` or `string`"
        );
        diagnostics.warning(&text.location, message);
    }
    Some(types)
}

/// Warns of what is set, but means nothing with this format or without a time.
fn warn_without_effect(definition: &ParserDefinition, diagnostics: &mut Diagnostics) {
    let options = &definition.options;
    let format = definition.format;
    let is_regex = format == ParserFormat::Regex;
    let is_untimed = options.time_format.is_none();
    let without_format = [
        ("Regex", options.regex.is_some() && !is_regex),
        ("Types", options.types.is_some() && format == ParserFormat::Json),
        ("Skip_Empty_Values", !options.skip_empty_values && !is_regex),
        ("Logfmt_No_Bare_Keys", options.logfmt_no_bare_keys && format != ParserFormat::Logfmt),
    ]
    .map(|(property, is_idle)| (property, is_idle, "with this `Format`"));
    let without_time = [
        ("Time_Key", options.time_key.is_some()),
        ("Time_Keep", options.time_keep),
        ("Time_Strict", !options.time_strict),
        ("Time_Offset", options.time_offset.is_some()),
        ("Time_System_Timezone", options.time_system_timezone),
    ]
    .map(|(property, is_set)| (property, is_set && is_untimed, "without `Time_Format`"));
    let beside_zone = [(
        "Time_Offset",
        options.time_offset.is_some() && options.time_system_timezone && !is_untimed,
        "with `Time_System_Timezone`",
    )];
    let all = without_format.into_iter().chain(without_time).chain(beside_zone);
    for (property, is_idle, why) in all {
        if is_idle {
            let message =
                format!("`{property}` of parser `{}` has no effect {why}", definition.name);
            diagnostics.warning(&definition.location, message);
        }
    }
}

fn build_time_field(
    text: &Located<Verbatim>,
    options: &ParserOptions,
    diagnostics: &mut Diagnostics,
) -> Result<TimeField, Refusal> {
    let format = time::Format::new(text);
    if let Some(problem) = format.problem() {
        let message = format!("no time can be read: {problem}");
        diagnostics.warning(&text.location, message);
    }
    let zone = build_zone(options, diagnostics)?;
    Ok(TimeField {
        key: options.time_key.as_deref().unwrap_or(TIME_KEY).into(),
        keep: options.time_keep,
        format,
        strict: options.time_strict,
        // A zone in the text goes before any other.
        zone: if names_zone(text) { Zone::Offset(0) } else { zone },
    })
}

/// The zone of times that do not name theirs.
fn build_zone(options: &ParserOptions, diagnostics: &mut Diagnostics) -> Result<Zone, Refusal> {
    if let Some(name) = &options.time_zone {
        if options.time_system_timezone || options.time_offset.is_some() {
            let message = "`Time_Zone` goes with neither `Time_Offset` nor `Time_System_Timezone`";
            return Err(refuse(name, message, diagnostics));
        }
        let zone = TimeZone::get(name)
            .map_err(|error| refuse(name, format!("`Time_Zone`: {error}"), diagnostics))?;
        // Fluent Bit looks for the file, so that letter case counts.
        return match zone.iana_name() {
            Some(known) if known != name.value => {
                let message =
                    format!("there is no `Time_Zone {}`; did you mean `{known}`?", name.value);
                Err(refuse(name, message, diagnostics))
            }
            _ => Ok(Zone::Named(zone)),
        };
    }
    if options.time_system_timezone {
        return Ok(Zone::Named(TimeZone::system()));
    }
    let Some(text) = &options.time_offset else { return Ok(Zone::Offset(0)) };
    time::offset_seconds(text).map(Zone::Offset).ok_or_else(|| {
        let message = format!("`{}` is no offset; write `+0100` or `Z`", text.value);
        refuse(text, message, diagnostics)
    })
}
