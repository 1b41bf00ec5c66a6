//! `Decode_Field` and `Decode_Field_As`: text in a field that is read further.
//!
//! As in Fluent Bit 5.1 (`flb_parser_decoder.c`), the rules of one field are tried in their order, and
//! one that succeeds ends that, unless `do_next` follows it. Two things are not as there: the fields
//! that `Decode_Field` finds in one field are not lost when it finds some in another, too; and what is
//! replaced is never cut.

use super::json::is_alone;
use super::pairs::decode;
use crate::config::{Diagnostics, Keyed, Location, nearest};
use crate::record::{Field, Fields, Value, write_json};
use bumpalo::Bump;
use tailwater_parsers::escapes::Escapes;
use tailwater_parsers::json;

/// The decoders of a parser, by field.
#[derive(Debug)]
pub(super) struct Decoders(Vec<FieldRules>);

#[derive(Debug)]
struct FieldRules {
    field: String,
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    decoder: Decoder,
    target: Target,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    /// One JSON object.
    Json,
    Text(Escapes),
}

/// Where what is decoded goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// `Decode_Field`: the object's fields, behind all others.
    Beside,
    /// `Decode_Field_As`: the field itself.
    Itself,
}

/// When the next rule has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Never,
    /// `try_next`
    AfterFailure,
    /// `do_next`
    Always,
}

/// The decoders by their names.
const DECODERS: [(&str, Decoder); 4] = [
    ("json", Decoder::Json),
    ("escaped", Decoder::Text(Escapes::Plain)),
    ("escaped_utf8", Decoder::Text(Escapes::Utf8)),
    ("mysql_quoted", Decoder::Text(Escapes::Mysql)),
];

/// The actions by their names.
const ACTIONS: [(&str, Next); 2] = [("try_next", Next::AfterFailure), ("do_next", Next::Always)];

/// What a text turned out to hold.
#[derive(Clone, Copy, Debug)]
enum Decoded<'a> {
    Text(&'a str),
    Object(json::Value<'a>),
}

impl Decoders {
    /// Reads `DECODER FIELD [ACTION]` of each property. `None`: there are none, or one cannot be meant; then
    /// Fluent Bit runs the parser without any, which is a warning.
    pub(super) fn read(properties: &[Keyed], diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut by_field: Vec<FieldRules> = Vec::new();
        for property in properties {
            let (field, rule) = read_rule(property, diagnostics)?;
            match by_field.iter_mut().find(|earlier| earlier.field == field) {
                Some(earlier) => earlier.rules.push(rule),
                None => by_field.push(FieldRules { field: field.to_owned(), rules: vec![rule] }),
            }
        }
        (!by_field.is_empty()).then_some(Self(by_field))
    }

    /// Decodes the fields from `first` on; returns whether JSON in them was repaired. `scratch` is
    /// overwritten.
    pub(super) fn apply<'a>(
        &self,
        first: usize,
        scratch: &mut String,
        bump: &'a Bump,
        fields: &mut Fields<'a>,
    ) -> bool {
        let mut is_repaired = false;
        // What is added is not decoded itself.
        for at in first..fields.len() {
            let Some(field) = fields.get_mut(at) else { break };
            let Some(known) = self.0.iter().find(|known| known.field == field.key()) else {
                continue;
            };
            let Some(text) = text_of(field.value(), scratch, bump) else { continue };
            let (itself, beside) = known.decode(text, bump);
            match itself {
                None => {}
                Some(Decoded::Text(text)) => *field = Field::new(field.key(), Value::Str(text)),
                Some(Decoded::Object(object)) => {
                    is_repaired |= object.is_dirty();
                    *field = Field::new(field.key(), Value::from_json(object, bump));
                }
            }
            if let Some(Decoded::Object(object)) = beside {
                is_repaired |= object.is_dirty();
                push_fields(object, scratch, bump, fields);
            }
        }
        is_repaired
    }
}

impl FieldRules {
    /// What is to stand in the field itself, and beside it.
    fn decode<'a>(
        &self,
        text: &'a str,
        bump: &'a Bump,
    ) -> (Option<Decoded<'a>>, Option<Decoded<'a>>) {
        let mut text = text;
        let (mut itself, mut beside) = (None, None);
        for rule in &self.rules {
            if rule.target == Target::Beside && rule.next == Next::Always && beside.is_some() {
                continue;
            }
            match (rule.decoder.decode(text, bump), rule.target) {
                (None, _) if rule.next == Next::Never => break,
                (None, _) => continue,
                (decoded, Target::Beside) => beside = decoded,
                (decoded, Target::Itself) => itself = decoded,
            }
            match itself {
                // Later rules read what this one has made of it.
                Some(Decoded::Text(decoded)) => text = decoded,
                // There is nothing to decode in an object.
                Some(Decoded::Object(_)) => break,
                None => {}
            }
            if rule.next != Next::Always {
                break;
            }
        }
        (itself, beside)
    }
}

impl Decoder {
    fn decode<'a>(self, text: &'a str, bump: &'a Bump) -> Option<Decoded<'a>> {
        match self {
            Self::Json => object(text).map(Decoded::Object),
            Self::Text(escapes) => Some(Decoded::Text(decode(escapes, text, bump))),
        }
    }
}

/// The object that the text is; what follows it is left out as `Format json` leaves it out.
fn object(text: &str) -> Option<json::Value<'_>> {
    let text = text.trim_start_matches(' ');
    if !text.starts_with('{') {
        return None;
    }
    let (object, end) = json::value(text).ok()?;
    is_alone(text, end).then_some(object)
}

/// The text of a value that is one.
fn text_of<'a>(value: Value<'a>, scratch: &mut String, bump: &'a Bump) -> Option<&'a str> {
    match value {
        Value::Str(text) | Value::Plain(text) => Some(text),
        Value::Escaped(_) => value.read_str(scratch).map(|text| &*bump.alloc_str(text)),
        _ => None,
    }
}

fn push_fields<'a>(
    object: json::Value<'a>,
    scratch: &mut String,
    bump: &'a Bump,
    fields: &mut Fields<'a>,
) {
    if let Some(text) = object.nested() {
        // It was read whole before.
        let _end = json::object(text, |key, value, run| {
            fields.push(Field::from_json(key, value, run, bump, scratch));
        });
    }
}

/// Reads one property; what cannot be meant is a warning.
fn read_rule<'a>(property: &'a Keyed, diagnostics: &mut Diagnostics) -> Option<(&'a str, Rule)> {
    let mut warn = |message: String| diagnostics.warning(&property.location, message);
    let mut words = property.value.split(' ').filter(|word| !word.is_empty());
    let (Some(name), Some(field)) = (words.next(), words.next()) else {
        warn(format!(
            "`{} {}` lacks a word, so the parser decodes no field; write `DECODER FIELD`",
            property.key, property.value
        ));
        return None;
    };
    let Some(decoder) = by_name(&DECODERS, name) else {
        let names = DECODERS.map(|(name, _)| name);
        let near = nearest(name, names)
            .map_or_else(|| names.join(", "), |near| format!("did you mean `{near}`?"));
        warn(format!("there is no decoder `{name}`, so the parser decodes no field; {near}"));
        return None;
    };
    let action = words.next();
    let next = action.and_then(|action| by_name(&ACTIONS, action));
    if let (Some(action), None) = (action, next) {
        warn(format!("`{action}` has no effect; an action is `try_next` or `do_next`"));
    }
    let target = match property.property {
        "Decode_Field_As" => Target::Itself,
        _ => Target::Beside,
    };
    if target == Target::Beside && decoder != Decoder::Json {
        warn(format!(
            "`Decode_Field` takes the fields of an object, of which `{name}` makes none; \
             write `Decode_Field_As`"
        ));
    }
    Some((field, Rule { decoder, target, next: next.unwrap_or(Next::Never) }))
}

fn by_name<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, item)| *item)
}

/// Fuzz entry: a line with the decoders of the field `a`, `;` between them, then its text. What comes out
/// is JSON.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_decoders(data: &[u8]) {
    let Ok(data) = str::from_utf8(data) else { return };
    let Some((rules, text)) = data.split_once('\n') else { return };
    let properties = ["Decode_Field_As", "Decode_Field"];
    let keyed = |(rule, property): (&str, &&'static str)| Keyed {
        property,
        key: (*property).to_owned(),
        value: rule.to_owned(),
        location: Location::command_line(),
    };
    let keyed: Vec<Keyed> = rules.split(';').zip(properties.iter().cycle()).map(keyed).collect();
    let Some(decoders) = Decoders::read(&keyed, &mut Diagnostics::new()) else { return };
    let bump = Bump::new();
    let mut fields = Fields::new_in(&bump);
    fields.push(Field::new("a", Value::Str(text)));
    decoders.apply(0, &mut String::new(), &bump, &mut fields);
    let mut json = Vec::new();
    write_json(&fields, &mut json);
    let json = String::from_utf8_lossy(&json);
    assert_eq!(json::object(&json, |_, _, _| {}), Ok(json.len()), "no JSON");
}
