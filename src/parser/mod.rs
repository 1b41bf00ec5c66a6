//! Parsers: a text becomes fields and a time, as a `[PARSER]` section says.
//!
//! The functions that read are in `tailwater_parsers`; here is what a section makes of them.

mod build;
mod captures;
mod cast;
#[cfg(test)]
pub(crate) mod fixture;
mod json;
mod time;

use crate::record::{Fields, Nanos};
use bumpalo::Bump;
use captures::{Captured, Rooms};
use time::TimeField;

pub use build::{NoParser, Parsers};

/// One `[PARSER]`.
#[derive(Debug)]
pub struct Parser {
    name: String,
    format: Format,
    time_field: Option<TimeField>,
}

#[derive(Debug)]
enum Format {
    Json,
    Regex(Captured),
}

/// What a text that matched said, beside its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// When it happened; `None` if the text does not say, or says it in another format.
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
    /// The name by which plugins refer to it.
    pub fn name(&self) -> &str {
        &self.name
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
        let time_field = self.time_field.as_ref();
        match &self.format {
            Format::Json => json::parse(time_field, scratch, text, bump, now, fields),
            Format::Regex(captured) => captured.parse(time_field, scratch, text, bump, now, fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture;
    use crate::config::Diagnostics;
    use bumpalo::Bump;
    use expect_test::{Expect, expect};

    const CRI: &str = "\
        Name p
        Format regex
        Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$
        Time_Key time
        Time_Format %Y-%m-%dT%H:%M:%S.%L%z";

    const JSON: &str = "\
        Name p
        Format json
        Time_Key time
        Time_Format %Y-%m-%dT%H:%M:%S%z";

    /// What the parser `p` of this section makes of the lines.
    fn run(section: &str, lines: &str) -> String {
        let mut diagnostics = Diagnostics::new();
        let parsers = fixture::parsers(&[section], &mut diagnostics);
        let mut shown = diagnostics.to_string();
        if !diagnostics.has_errors() && parsers.get("p").is_ok() {
            shown.push_str(&fixture::show(&fixture::batch(&parsers, "p", lines, &Bump::new())));
        }
        shown
    }

    #[expect(clippy::needless_pass_by_value, reason = "`expect!` is written at the call")]
    fn check(section: &str, lines: &str, expected: Expect) {
        expected.assert_eq(&run(section, lines));
    }

    #[test]
    fn json_fields() {
        check(
            JSON,
            r#"{}
{"a":1}
 {"a":{"b":[1, 2]},"c":null,"k\"\n":"\u00e9","a":false}
{"a":1} left out
{"a":1}{"b":2}
{"a":1} 2
[{"a":1}]
"a"
{"a":1
not json"#,
            expect![[r#"
                now {}
                now {"a":1}
                now {"a":{"b":[1,2]},"c":null,"k\"\n":"\u00e9","a":false}
                now {"a":1}
                now {"log":"{\"a\":1}{\"b\":2}"}
                now {"log":"{\"a\":1} 2"}
                now {"log":"[{\"a\":1}]"}
                now {"log":"\"a\""}
                now {"log":"{\"a\":1"}
                now {"log":"not json"}
            "#]],
        );
    }

    #[test]
    fn json_time() {
        let time = r#"{"a":1,"time":"2022-10-31T12:00:01Z","b":2,"time":"again"}
{"time":"2022\u002d10-31T12:00:01Z"}
{"time":"soon"}
{"time":1667217601}
{"time":null,"time":"2022-10-31T12:00:01Z"}
{"at":"2022-10-31T12:00:01Z"}"#;
        check(
            JSON,
            time,
            expect![[r#"
            2022-10-31T12:00:01Z {"a":1,"b":2,"time":"again"}
            2022-10-31T12:00:01Z {}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":null,"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
        );
        check(
            &format!("{JSON}\n Time_Keep On"),
            time,
            expect![[r#"
            2022-10-31T12:00:01Z {"a":1,"time":"2022-10-31T12:00:01Z","b":2,"time":"again"}
            2022-10-31T12:00:01Z {"time":"2022\u002d10-31T12:00:01Z"}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":null,"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Key time",
            time,
            expect![[r#"
            now {"a":1,"time":"2022-10-31T12:00:01Z","b":2,"time":"again"}
            now {"time":"2022\u002d10-31T12:00:01Z"}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":null,"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Format %Y-%m-%dT%H:%M:%S%z",
            time,
            expect![[r#"
            2022-10-31T12:00:01Z {"a":1,"b":2,"time":"again"}
            2022-10-31T12:00:01Z {}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":null,"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
        );
    }

    #[test]
    fn json_time_keep() {
        check(
            "Name p
             Format json
             Time_Key time
             Time_Format %Y-%m-%dT%H:%M:%S.%L
             Time_Keep On",
            r#"{"str":"text", "int":100, "double":1.23, "bool":true, "time":"2022-10-31T12:00:01.123"}"#,
            expect![[r#"
                2022-10-31T12:00:01.123Z {"str":"text","int":100,"double":1.23,"bool":true,"time":"2022-10-31T12:00:01.123"}
            "#]],
        );
    }

    #[test]
    fn time_long_fraction() {
        check(
            "Name p\n Format json\n Time_Key time\n Time_Format %m/%d/%Y %H:%M:%S.%L",
            r#"{"time":"10/03/2016 12:21:08.123456789123456789123456789123456789123456789123456789","k":1}"#,
            expect![[r#"
                2016-10-03T12:21:08.123456789Z {"k":1}
            "#]],
        );
    }

    #[test]
    fn cri_lines() {
        check(
            CRI,
            "2026-11-21T10:11:12.345678901+01:00 stdout F {\"a\":1}
2026-11-21T10:11:12Z stderr P \n2026-11-21T10:11:12.5Z stdout  x y
soon stdout F x
not cri",
            expect![[r#"
                2026-11-21T09:11:12.345678901Z {"stream":"stdout","logtag":"F","log":"{\"a\":1}"}
                now {"stream":"stderr","logtag":"P"}
                2026-11-21T10:11:12.5Z {"stream":"stdout","log":"x y"}
                now {"stream":"stdout","logtag":"F","log":"x"}
                now {"log":"not cri"}
            "#]],
        );
        check(
            &format!("{CRI}\n Skip_Empty_Values Off\n Time_Keep On"),
            "2026-11-21T10:11:12.5Z stdout  ",
            expect![[r#"
                2026-11-21T10:11:12.5Z {"time":"2026-11-21T10:11:12.5Z","stream":"stdout","logtag":"","log":""}
            "#]],
        );
    }

    #[test]
    fn regex_groups() {
        const PATTERN: &str = "Name p\n Format regex\n \
            Regex (?<str>[a-z]+) (?<int>\\d+) (?<double>\\d+\\.\\d+) (?<bool>true)( (?<time>.+))?\n";
        check(
            PATTERN,
            "text 100 1.23 true",
            expect![[r#"
            now {"str":"text","int":"100","double":"1.23","bool":"true"}
        "#]],
        );
        check(
            &format!("{PATTERN} Time_Key time\n Time_Format %Y-%m-%dT%H:%M:%S.%L\n Time_Keep On"),
            "text 100 1.23 true 2022-10-31T12:00:01.123",
            expect![[r#"
                2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true","time":"2022-10-31T12:00:01.123"}
            "#]],
        );
        check(
            "Name p\n Format regex\n Regex ^(?<l>a) (?<d>\\d*)$",
            "zzz\na 1\na ",
            expect![[r#"
            now {"log":"zzz"}
            now {"l":"a","d":"1"}
            now {"l":"a"}
        "#]],
        );
        check(
            "Name p\n Format regex\n Regex ^(?<l>[a-z])-(?<d>\\d*)$\n Skip_Empty_Values Off",
            "a-\nb-5",
            expect![[r#"
                now {"l":"a","d":""}
                now {"l":"b","d":"5"}
            "#]],
        );
        check(
            "Name p\n Format regex\n Regex ^(?<k>\\w+)=(?<v>.*)$",
            "a=1\nb=two words\nc=3",
            expect![[r#"
                now {"k":"a","v":"1"}
                now {"k":"b","v":"two words"}
                now {"k":"c","v":"3"}
            "#]],
        );
        check(
            "Name p\n Format regex\n Regex ^(a|(?<b>b))?",
            "b\na",
            expect![[r#"
            now {"b":"b"}
            now {"log":"a"}
        "#]],
        );
    }

    #[test]
    fn apache_lines() {
        check(
            r#"Name p
             Format regex
             Regex ^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$
             Time_Key time
             Time_Format %d/%b/%Y:%H:%M:%S %z
             Types code:integer size:integer"#,
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#,
            expect![[r#"
                2000-10-10T20:55:36Z {"host":"127.0.0.1","user":"frank","method":"GET","path":"/apache_pb.gif","code":200,"size":2326}
            "#]],
        );
    }

    /// Format, offset, text, time.
    const TIMES: &[(&str, &str, &str, &str)] = &[
        ("%m/%d/%Y %H:%M:%S %z", "", "07/17/2017 20:17:03 +0000", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S %z", "", "07/18/2017 01:47:03 +0530", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S %z", "", "07/18/2017 05:17:03 +0900", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S %z", "", "07/17/2017 22:17:03 +0200", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S.%L %z", "", "07/17/2017 22:17:03.1 +0200", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S,%L %z", "", "07/17/2017 22:17:03,1 +0200", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S %z", "", "07/18/2017 01:47:03 +05:30", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S.%L %z", "", "07/17/2017 22:17:03.1 +02:00", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S,%L %z", "", "07/17/2017 22:17:03,1 +02:00", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S:%L %z", "", "07/17/2017 22:17:03:1 +02:00", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S", "+0530", "07/18/2017 01:47:03", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S", "+0900", "07/18/2017 05:17:03", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S", "+0200", "07/17/2017 22:17:03", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S.%L", "+0200", "07/17/2017 22:17:03.1", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S,%L", "+0200", "07/17/2017 22:17:03,1", "2017-07-17T20:17:03.1Z"),
        ("%m/%d/%Y %H:%M:%S", "", "07/17/2017 20:17:03", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%SZ", "", "07/17/2017 20:17:03Z", "2017-07-17T20:17:03Z"),
        ("%m/%d/%Y %H:%M:%S.%LZ", "", "07/17/2017 20:17:03.1234Z", "2017-07-17T20:17:03.1234Z"),
        ("%m/%d/%Y %H:%M:%S,%LZ", "", "07/17/2017 20:17:03,1234Z", "2017-07-17T20:17:03.1234Z"),
        (
            "%a %b %d %H:%M:%S.%L %Y",
            "",
            "Fri Jul 17 20:17:03.1234 2017",
            "2017-07-17T20:17:03.1234Z",
        ),
        ("%b %d %H:%M:%S", "", "Jul 17 20:17:03", "2026-07-17T20:17:03Z"),
        ("%s", "", "1500322623", "2017-07-17T20:17:03Z"),
    ];

    #[test]
    fn time_formats() {
        for (format, offset, text, time) in TIMES {
            let section = format!(
                "Name p
                 Format regex
                 Regex ^(?<key001>[^ ]*) (?<key002>[^ ]*) (?<time>.+)$
                 Time_Key time
                 Time_Format {format}
                 Time_Offset {offset}
                 Time_Keep On"
            );
            let line = format!("12345 0.99 {text}");
            let expected = format!(
                "{time} {{\"key001\":\"12345\",\"key002\":\"0.99\",\"time\":\"{text}\"}}\n"
            );
            assert_eq!(run(&section, &line), expected);
        }
    }

    #[test]
    fn time_zones() {
        let zone = |zone: &str, lines: &str, expected: Expect| {
            let section = format!(
                "Name p
                 Format regex
                 Regex ^(?<time>.{{19}}) (?<message>.+)$
                 Time_Format %Y-%m-%d %H:%M:%S
                 {zone}"
            );
            check(&section, lines, expected);
        };
        zone(
            "Time_Zone America/New_York",
            "2017-07-17 16:17:03 summer\n2017-01-15 15:00:00 winter",
            expect![[r#"
                2017-07-17T20:17:03Z {"message":"summer"}
                2017-01-15T20:00:00Z {"message":"winter"}
            "#]],
        );
        zone(
            "Time_Zone Australia/Sydney",
            "2017-01-15 15:00:00 summer\n2017-07-17 16:17:03 winter",
            expect![[r#"
                2017-01-15T04:00:00Z {"message":"summer"}
                2017-07-17T06:17:03Z {"message":"winter"}
            "#]],
        );
        zone(
            "Time_Zone EST5EDT",
            "2023-10-17 05:00:00 x",
            expect![[r#"
            2023-10-17T09:00:00Z {"message":"x"}
        "#]],
        );
        zone(
            "Time_Zone Europe/London",
            "2024-01-20 10:00:00 x\n2024-08-20 11:00:00 x",
            expect![[r#"
                2024-01-20T10:00:00Z {"message":"x"}
                2024-08-20T10:00:00Z {"message":"x"}
            "#]],
        );
        zone(
            "Time_Offset -0800",
            "2024-01-20 10:00:00 x",
            expect![[r#"
            2024-01-20T18:00:00Z {"message":"x"}
        "#]],
        );
    }

    #[test]
    fn a_zone_in_the_text_goes_before_others() {
        check(
            "Name p\n Format json\n Time_Format %H:%M %d.%m.%Y %z\n Time_Zone Europe/London",
            r#"{"time":"11:00 20.08.2024 +0200"}"#,
            expect![[r#"
                2024-08-20T09:00:00Z {}
            "#]],
        );
    }

    /// It is still the day before in New York.
    #[test]
    fn the_day_is_the_zones() {
        check(
            "Name p\n Format json\n Time_Format %H:%M:%S\n Time_Zone America/New_York",
            r#"{"time":"13:00:00"}"#,
            expect![[r#"
                2026-11-20T18:00:00Z {}
            "#]],
        );
    }

    #[test]
    fn time_strict() {
        let lines = "2022-10-31T12:00:01.5\n2022-10-31T12:00:01\n2022-10-31";
        let section = "Name p\n Format regex\n Regex ^(?<time>.*)$\n Time_Format %Y-%m-%dT%H:%M:%S.%L\n Time_Keep On";
        check(
            section,
            lines,
            expect![[r#"
            2022-10-31T12:00:01.5Z {"time":"2022-10-31T12:00:01.5"}
            now {}
            now {}
        "#]],
        );
        check(
            &format!("{section}\n Time_Strict Off"),
            lines,
            expect![[r#"
            2022-10-31T12:00:01.5Z {"time":"2022-10-31T12:00:01.5"}
            2022-10-31T12:00:01Z {"time":"2022-10-31T12:00:01"}
            2022-10-31T00:00:00Z {"time":"2022-10-31"}
        "#]],
        );
    }

    #[test]
    fn types() {
        check(
            "Name p\n Format regex\n Regex ^(?<a>\\S*) (?<b>.*)$\n Types a:integer b:float c:bool d e:int",
            "1 2.5\nx y",
            expect![[r#"
                command line: warning: `d` has no effect; a type is `field:integer`, `float`, `hex`, `bool` or `string`
                command line: warning: `e:int` has no effect; a type is `field:integer`, `float`, `hex`, `bool` or `string`
                now {"a":1,"b":2.5}
                now {"a":0,"b":0}
            "#]],
        );
    }

    #[test]
    fn what_cannot_work() {
        check(
            "Name p\n Format regex\n Regex (?<a>",
            "",
            expect![[r#"
            command line: regular expression is not valid: unclosed group
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Format %Q",
            "",
            expect![[r#"
            command line: time format has an unknown directive `%Q` at byte 0
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Format %Y\n Time_Offset 1h",
            "",
            expect![[r#"
            command line: `1h` is no offset; write `+0100` or `Z`
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Format %Y\n Time_Zone Mars/Olympus",
            "",
            expect![[r#"
            command line: `Time_Zone`: failed to find time zone `Mars/Olympus` in time zone database
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Zone Europe/London",
            "",
            expect![[r#"
            command line: `Time_Zone` needs a `Time_Format`
        "#]],
        );
        check(
            "Name p\n Format json\n Time_Format %Y\n Time_Zone Europe/London\n Time_Offset +0100",
            "",
            expect![[r#"
                command line: `Time_Zone` goes with neither `Time_Offset` nor `Time_System_Timezone`
            "#]],
        );
    }

    #[test]
    fn what_is_not_there_yet() {
        check(
            "Name p\n Format logfmt",
            "",
            expect![[r#"
            command line: note: parser `p` cannot be used: `Format logfmt` is not supported yet
        "#]],
        );
        check(
            "Name p\n Format ltsv",
            "",
            expect![[r#"
            command line: note: parser `p` cannot be used: `Format ltsv` is not supported yet
        "#]],
        );
        check(
            "Name p\n Format json\n Decode_Field_As mysql_quoted key001",
            "",
            expect![[r#"
            command line: note: parser `p` cannot be used: `Decode_Field_As` is not supported yet
        "#]],
        );
        check(
            "Name p\n Format regex\n Regex (?<a>a)(?=b)",
            "",
            expect![[r#"
            command line: note: parser `p` cannot be used: regular expression uses look-around at byte 8, which is not supported; rewrite it without
        "#]],
        );
    }
}
