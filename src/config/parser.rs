//! `[PARSER]`: how a line becomes fields.

use super::diagnostics::{Finding, Location, Severity, finding};
use super::property::{Located, Ordered};
use super::value::Verbatim;
use super::{choices, properties};

choices! {
    /// The syntax of a line.
    pub enum ParserFormat {
        /// A regular expression with named groups.
        Regex = "regex",
        /// A JSON object.
        Json = "json",
        /// `key=value` with blanks between.
        Logfmt = "logfmt",
        /// `key:value` with tabs between.
        Ltsv = "ltsv",
    }
}

properties! {
    /// How a line becomes fields.
    pub struct ParserOptions for "PARSER" as Parser {
        /// How inputs and filters call it.
        name: Option<Located<String>> ["Name"],
        /// The syntax of a line.
        format: Option<Located<ParserFormat>> ["Format"],
        /// For `Format regex`: an expression whose named groups become fields.
        regex: Option<Located<Verbatim>> ["Regex"],
        /// Field with the record's time; `time` if there is a `Time_Format`.
        time_key: Option<String> ["Time_Key"],
        /// How the time is written: strptime, with `%L` for the fraction.
        time_format: Option<Located<Verbatim>> ["Time_Format"],
        /// Keeps the field with the time.
        time_keep: bool ["Time_Keep" = "off"],
        /// Takes a time only if its text follows the format to the end; otherwise what could be read of it.
        time_strict: bool ["Time_Strict" = "on"],
        /// Offset from UTC of times without one: `+HHMM` or `Z`.
        time_offset: Option<Located<String>> ["Time_Offset"],
        /// Zone of times without one: `Europe/Berlin`.
        time_zone: Option<Located<String>> ["Time_Zone"],
        /// Takes times without a zone as the machine's.
        time_system_timezone: bool ["Time_System_Timezone" = "off"],
        /// For `Format regex`: leaves out fields that are empty.
        skip_empty_values: bool ["Skip_Empty_Values" = "on"],
        /// Types of fields, but of `Format json`: `size:integer took:float`; also `hex`, `bool`, `string`.
        types: Option<Located<String>> ["Types"],
        /// For `Format logfmt`: refuses a line with a key without `=`, which else is `true`.
        logfmt_no_bare_keys: bool ["Logfmt_No_Bare_Keys" = "off"],
        /// `DECODER FIELD [ACTION]`: adds the fields of the JSON in a field.
        decoders: Ordered [
            "Decode_Field" | "Decode_Field_As": "`DECODER FIELD [ACTION]`: decodes and replaces a field."
        ],
    }
}

/// A parser that has what every parser must have.
#[derive(Clone, Debug)]
pub struct ParserDefinition {
    /// How inputs and filters call it; unique, letter case counts.
    pub name: String,
    /// The syntax of a line.
    pub format: ParserFormat,
    /// Where its section begins.
    pub location: Location,
    /// Everything else; `regex` is there if `format` is `Regex`.
    pub options: ParserOptions,
}

impl ParserDefinition {
    /// Checks that nothing is missing, as Fluent Bit does before it starts.
    pub fn new(options: ParserOptions, location: &Location) -> Result<Self, Finding> {
        let missing =
            |what: &str| finding(Severity::Error, location, format!("the parser has no `{what}`"));
        let name = options.name.as_ref().ok_or_else(|| missing("Name"))?.value.clone();
        let format = options.format.as_ref().ok_or_else(|| missing("Format"))?.value;
        if format == ParserFormat::Regex && options.regex.is_none() {
            return Err(missing("Regex"));
        }
        Ok(Self { name, format, location: location.clone(), options })
    }
}
