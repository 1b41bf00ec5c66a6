//! `parser`: parses the text of one field into fields.

use super::Filter;
use super::outlook::{Absence, Outlook};
use crate::config::{Diagnostics, Located, Location, Repeated, properties};
use crate::metrics::FilterMetrics;
use crate::parser::{NoParser, Parser, Parsers, Scratch};
use crate::record::{Accessor, Batch, Fields, Record, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use std::sync::Arc;

properties! {
    /// Parses the text of one field into fields of the record.
    pub struct ParserFilterOptions for "parser" {
        /// The field to parse: a name, or an accessor such as `$a['b']`.
        key_name: Option<Located<String>> ["Key_Name"],
        /// Parsers to try; the first one that can read the text does.
        parser: Repeated<String> ["Parser"],
        /// Keep the parsed field too.
        preserve_key: bool ["Preserve_Key" = "false"],
        /// Keep the record's other fields, behind the new ones.
        reserve_data: bool ["Reserve_Data" = "false"],
        @refused { "Unescape_key": "Fluent Bit refuses it, too; give the parser a `Decode_Field_As escaped`" }
    }
}

/// Replaces the fields of a record by what a parser reads in one of them.
///
/// A record that no parser can read stays as it is.
#[derive(Debug)]
pub struct ParserFilter {
    key: Key,
    parsers: Vec<Arc<Parser>>,
    preserve_key: bool,
    reserve_data: bool,
    scratch: Scratch,
    /// The decoded text of a field that holds escapes.
    text: String,
    metrics: Arc<FilterMetrics>,
}

/// What happened to the values of one batch.
#[derive(Debug, Default)]
struct Counts {
    unparsed: u64,
    repaired: u64,
}

#[derive(Debug)]
enum Key {
    /// A top-level field; the field itself gives way to what is read in it.
    Name(String),
    /// A value somewhere inside; its field stays whatever `Preserve_Key` says, as in Fluent Bit.
    Accessor(Accessor),
}

impl ParserFilter {
    /// Builds the filter of the section at `location`; `None` when it cannot work, which is reported.
    pub fn build(
        options: &ParserFilterOptions,
        location: &Location,
        parsers: &Parsers,
        metrics: Arc<FilterMetrics>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(key_name) = &options.key_name else {
            diagnostics.error(location, "`parser` needs `Key_Name`, the field to parse");
            return None;
        };
        let key = Key::build(key_name, diagnostics)?;
        let looked_up = || options.parser.iter().map(|name| (name, parsers.get(name)));
        let found: Vec<Arc<Parser>> =
            looked_up().filter_map(|(_, parser)| parser.ok().cloned()).collect();
        for (name, parser) in looked_up() {
            match parser {
                Ok(_) => {}
                // Fluent Bit starts as long as there is one.
                Err(NoParser::Missing(why)) if !found.is_empty() => {
                    diagnostics.warning(&name.location, why);
                }
                Err(why) => diagnostics.error(&name.location, why.to_string()),
            }
        }
        if options.parser.is_empty() {
            diagnostics.error(location, "`parser` needs `Parser`, the name of a `[PARSER]`");
        }
        (!found.is_empty()).then(|| Self {
            key,
            parsers: found,
            preserve_key: options.preserve_key,
            reserve_data: options.reserve_data,
            scratch: Scratch::default(),
            text: String::new(),
            metrics,
        })
    }

    /// Works on one record. `expected_count` is how many fields the last one had.
    fn apply_to<'a>(
        &mut self,
        record: &mut Record<'a>,
        bump: &'a Bump,
        expected_count: usize,
        counts: &mut Counts,
    ) {
        let Some((at, value)) = self.key.find(&record.fields, bump) else { return };
        let Some(text) = value.text_by(&mut self.text, bump) else { return };
        let mut fields = BumpVec::with_capacity_in(expected_count + FIELDS_SPARE, bump);
        // Where the format lacks the year, it is that of the record so far.
        let now = record.time;
        let scratch = &mut self.scratch;
        let parsed = self
            .parsers
            .iter()
            .find_map(|parser| parser.parse(scratch, text, bump, now, &mut fields));
        let Some(parsed) = parsed else {
            counts.unparsed += 1;
            return;
        };
        counts.repaired += u64::from(parsed.is_repaired);
        if let Some(time) = parsed.time {
            record.time = time;
            record.own_time = true;
        }
        let kept = record.fields.iter().enumerate().filter(|(index, _)| {
            if Some(*index) == at { self.preserve_key } else { self.reserve_data }
        });
        fields.extend(kept.map(|(_, field)| *field));
        record.fields = fields;
    }
}

/// Reports that the field to parse is never there, and follows what the parsers make.
pub fn examine(
    options: &ParserFilterOptions,
    parsers: &Parsers,
    outlook: &mut Outlook,
    diagnostics: &mut Diagnostics,
) {
    let Some(key_name) = &options.key_name else { return };
    let found: Vec<&Parser> =
        options.parser.iter().filter_map(|name| Some(&**parsers.get(name).ok()?)).collect();
    if let Ok(accessor) = Accessor::parse(key_name)
        && let Some(absence) = outlook.absence(&accessor)
    {
        let is_idle = match &absence {
            Absence::Never(_) => true,
            // Another parser reads what is left: lines of text.
            Absence::Merged(merged) => {
                merged.is_json && found.iter().all(|parser| parser.reads_json())
            }
        };
        let names: Vec<&str> = found.iter().map(|parser| parser.name()).collect();
        let what = format!("Key_Name {}", key_name.value);
        let remedy = format!(
            "did you mean `Merge_Parser {}` there? Here, the parser finds nothing to read",
            names.first().unwrap_or(&"")
        );
        if is_idle {
            let at = &key_name.location;
            absence.report(&what, key_name, "parses nothing", &remedy, at, diagnostics);
        }
    }
    for parser in found {
        match parser.field_names() {
            Some(names) => names.iter().for_each(|name| outlook.add(name)),
            None => outlook.add_unknown(),
        }
    }
}

/// Room for fields that later filters add: most add a few.
const FIELDS_SPARE: usize = 4;

impl Filter for ParserFilter {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let mut expected_count = 0;
        let mut counts = Counts::default();
        for record in &mut batch.records {
            self.apply_to(record, batch.bump, expected_count, &mut counts);
            expected_count = record.fields.len();
        }
        self.metrics.unparsed_records.add(counts.unparsed);
        self.metrics.repaired_json.add(counts.repaired);
    }
}

impl Key {
    fn build(name: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !name.starts_with('$') {
            return Some(Self::Name(name.value.clone()));
        }
        match Accessor::read(name) {
            Ok((accessor, rest)) => {
                if !rest.is_empty() {
                    let message = format!(
                        "`{rest}` is not read as a part of the accessor; a step down is `['name']`"
                    );
                    diagnostics.warning(&name.location, message);
                }
                Some(Self::Accessor(accessor))
            }
            Err(error) => {
                diagnostics.error(&name.location, format!("`{}`: {error}", name.value));
                None
            }
        }
    }

    /// The value, and the index of its field if that is the value's own.
    fn find<'a>(&self, fields: &Fields<'a>, bump: &'a Bump) -> Option<(Option<usize>, Value<'a>)> {
        match self {
            Self::Name(name) => {
                let is_text =
                    |value| matches!(value, Value::Str(_) | Value::Plain(_) | Value::Escaped(_));
                let at = fields
                    .iter()
                    .rposition(|field| field.key() == name && is_text(field.value()))?;
                fields.get(at).map(|field| (Some(at), field.value()))
            }
            Self::Accessor(accessor) => accessor.on_fields(fields, bump).map(|value| (None, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SectionKind;
    use crate::filter::fixture;
    use crate::parser::fixture::{batch, parsers, section};
    use crate::record::write_json;
    use expect_test::{Expect, expect};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::{
        Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };
    use serde_json::Value as Json;

    const CRI: &str = "\
        Name cri
        Format regex
        Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$
        Time_Format %Y-%m-%dT%H:%M:%S.%L%z";

    const AT: &str = "\
        Name at
        Format json
        Time_Key at
        Time_Format %Y-%m-%dT%H:%M:%S.%L%z";

    /// The parser of Fluent Bit's own tests of this filter.
    const DUMMY: &str = "\
        Name dummy_test
        Format regex
        Regex ^(?<INT>[^ ]+) (?<FLOAT>[^ ]+) (?<BOOL>[^ ]+) (?<STRING>.+)$";

    const DATA: &str = r#"{"t":"2015-11-24T22:15:40Z","data":"100 0.5 true This is an example","extra":"Some more data"}"#;

    fn check(config: &str, parsers: &[&str], input: &str, expected: &Expect) {
        fixture::check("parser", config, parsers, input, expected);
    }

    #[test]
    fn what_stays() {
        let with = |options: &str, expected: &Expect| {
            let config = format!("Key_Name data\n Parser dummy_test\n {options}");
            check(&config, &[DUMMY], DATA, expected);
        };
        with(
            "",
            &expect![[r#"
            2015-11-24T22:15:40Z {"INT":"100","FLOAT":"0.5","BOOL":"true","STRING":"This is an example"}
        "#]],
        );
        with(
            "Reserve_Data On",
            &expect![[r#"
            2015-11-24T22:15:40Z {"INT":"100","FLOAT":"0.5","BOOL":"true","STRING":"This is an example","extra":"Some more data"}
        "#]],
        );
        with(
            "Preserve_Key On",
            &expect![[r#"
            2015-11-24T22:15:40Z {"INT":"100","FLOAT":"0.5","BOOL":"true","STRING":"This is an example","data":"100 0.5 true This is an example"}
        "#]],
        );
        with(
            "Reserve_Data On\n Preserve_Key On",
            &expect![[r#"
            2015-11-24T22:15:40Z {"INT":"100","FLOAT":"0.5","BOOL":"true","STRING":"This is an example","data":"100 0.5 true This is an example","extra":"Some more data"}
        "#]],
        );
    }

    #[test]
    fn a_kept_field_takes_the_place_of_a_parsed_one() {
        check(
            "Key_Name data\n Parser jt\n Reserve_Data On\n Preserve_Key On",
            &[],
            r#"{"data":"{\"a\":1,\"b\":2,\"data\":3}","a":4}"#,
            &expect![[r#"
                now {"b":2,"data":"{\"a\":1,\"b\":2,\"data\":3}","a":4}
            "#]],
        );
    }

    #[test]
    fn the_parsed_time_is_the_records() {
        check(
            "Key_Name data\n Parser jt\n Reserve_Data On",
            &[],
            r#"{"t": "2015-11-24T22:15:40Z", "data": "{\"a\":1,\"b\":{\"c\":[1,2]},\"t\":\"2020-01-01T00:00:00Z\"}", "x": 1}"#,
            &expect![[r#"
                2020-01-01T00:00:00Z {"a":1,"b":{"c":[1,2]},"x":1}
            "#]],
        );
    }

    #[test]
    fn what_does_not_match_stays() {
        check(
            "Key_Name data\n Parser dummy_test",
            &[DUMMY],
            r#"{"data":"100","x":1}
{"data":100,"x":1}
{"x":1}"#,
            &expect![[r#"
                now {"data":"100","x":1}
                now {"data":100,"x":1}
                now {"x":1}
            "#]],
        );
    }

    #[test]
    fn the_first_parser_that_matches() {
        check(
            "Key_Name data\n Parser jt\n Parser dummy_test",
            &[DUMMY],
            r#"{"data":"1 2 3 4"}
{"data":"{\"a\":\"b\\n\"}"}"#,
            &expect![[r#"
                now {"INT":"1","FLOAT":"2","BOOL":"3","STRING":"4"}
                now {"a":"b\n"}
            "#]],
        );
    }

    #[test]
    fn a_nested_key_stays() {
        check(
            "Key_Name $m['data']\n Parser jt\n Reserve_Data On",
            &[],
            r#"{"m":{"data":"{\"a\":1}"},"x":1}"#,
            &expect![[r#"
                now {"a":1,"m":{"data":"{\"a\":1}"},"x":1}
            "#]],
        );
        check(
            "Key_Name $m['data']\n Parser jt",
            &[],
            r#"{"m":{"data":"{\"a\":1}"},"x":1}"#,
            &expect![[r#"
                now {"a":1}
            "#]],
        );
    }

    #[test]
    fn the_last_of_a_repeated_key_is_parsed() {
        check(
            "Key_Name d\n Parser jt\n Reserve_Data On",
            &[],
            r#"{"d":"{\"a\":1}","d":"{\"b\":2}"}"#,
            &expect![[r#"
                now {"b":2,"d":"{\"a\":1}"}
            "#]],
        );
    }

    #[test]
    fn what_cannot_work() {
        check(
            "Key_Name data\n Parser no_such_parser",
            &[DUMMY],
            "",
            &expect![[r#"
            command line: there is no parser `no_such_parser`; define it in a `Parsers_File`
        "#]],
        );
        check(
            "Key_Name data\n Parser dummy_tset\n Parser jt",
            &[DUMMY],
            "",
            &expect![[r#"
            command line: warning: there is no parser `dummy_tset`; did you mean `dummy_test`?
        "#]],
        );
        check(
            "Parser jt",
            &[],
            "",
            &expect![[r#"
            command line: `parser` needs `Key_Name`, the field to parse
        "#]],
        );
        check(
            "Key_Name data",
            &[],
            "",
            &expect![[r#"
            command line: `parser` needs `Parser`, the name of a `[PARSER]`
        "#]],
        );
        check(
            "Key_Name $m[x]\n Parser jt",
            &[],
            "",
            &expect![[r#"
            command line: `$m[x]`: `[x]` cannot be read; a step down is `['name']` or `[0]`
        "#]],
        );
        check(
            "Key_Name data\n Parser l\n Reserve_Data On",
            &["Name l\n Format logfmt"],
            r#"{"data":"a=1 b","x":1}"#,
            &expect![[r#"
                now {"a":"1","b":true,"x":1}
            "#]],
        );
        check(
            "Key_Name data\n Parser jt\n Unescape_key On",
            &[],
            "",
            &expect![[r#"
            command line: `Unescape_key` of `parser` is not supported: Fluent Bit refuses it, too; give the parser a `Decode_Field_As escaped`
                Unescape_key On
        "#]],
        );
    }

    /// What a container wrote, as `serde_json` writes it, or some text that is no JSON.
    fn log() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            (-1e9..1e9).prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
        ];
        let key = || prop_oneof![Just("log".to_owned()), Just("at".to_owned()), ".{0,6}"];
        let value = leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Json::from),
                btree_map(key(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        });
        let time = (0..4_000_000_000_i64, 0..1000).prop_map(|(seconds, millis)| {
            let second = jiff::Timestamp::from_second(seconds).unwrap().strftime("%FT%T");
            Json::from(format!("{second}.{millis:03}Z"))
        });
        let key = prop_oneof![Just("log".to_owned()), Just("stream".to_owned()), ".{0,6}"];
        let object = (btree_map(key, value, 0..6), proptest::option::of(time));
        prop_oneof![
            4 => object.prop_map(|(mut map, time)| {
                map.extend(time.map(|time| ("at".to_owned(), time)));
                map.into_iter().collect::<Json>().to_string()
            }),
            1 => "[^{]{0,40}".prop_map(|text| text.replace(['\n', '{'], "_")),
        ]
    }

    /// The same chain, written without care for speed. No time: that of reading.
    fn naive(time: &str, stream: &str, log: &str) -> (jiff::Timestamp, Json) {
        let mut time: jiff::Timestamp = time.parse().unwrap();
        let mut record = serde_json::Map::new();
        let reads = match serde_json::from_str(log) {
            Ok(Json::Object(mut object)) => {
                if let Some(Json::String(at)) = object.get("at")
                    && let Ok(at) = at.parse()
                {
                    time = at;
                    object.remove("at");
                }
                record = object;
                true
            }
            _ => false,
        };
        record.insert("stream".to_owned(), stream.into());
        record.insert("logtag".to_owned(), "F".into());
        if !reads && !log.is_empty() {
            record.insert("log".to_owned(), log.into());
        }
        (time, Json::Object(record))
    }

    proptest! {
        #[test]
        fn the_chain_does_what_a_naive_one_does(log in log(), second in 0..4_000_000_000_i64) {
            let time = format!("{}.123456789Z", jiff::Timestamp::from_second(second).unwrap().strftime("%FT%T"));
            let line = format!("{time} stdout F {log}");
            let mut diagnostics = Diagnostics::new();
            let parsers = parsers(&[CRI, AT], &mut diagnostics);
            let mut section =
                section(SectionKind::Filter, "Key_Name log\n Parser at\n Reserve_Data On");
            let options = ParserFilterOptions::read(&mut section, &mut diagnostics);
            let location = Location::command_line();
            let filter = ParserFilter::build(&options, &location, &parsers, Arc::default(), &mut diagnostics);
            prop_assert_eq!(diagnostics.to_string(), "");
            let bump = Bump::new();
            let mut batch = batch(&parsers, "cri", &line, &bump);
            filter.unwrap().apply(&mut batch);

            let (time, expected) = naive(&time, "stdout", &log);
            let record = batch.records.first().unwrap();
            let mut json = Vec::new();
            write_json(&record.fields, &mut json);
            prop_assert_eq!(i128::from(record.time), time.as_nanosecond());
            prop_assert!(record.own_time);
            prop_assert_eq!(serde_json::from_slice::<Json>(&json).unwrap(), expected);
        }
    }
}
