//! What parsers make of lines, and what there is to say about their sections.

use super::{Scratch, fixture};
use crate::config::Diagnostics;
use crate::record::Fields;
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
            now {"c":null,"k\"\n":"\u00e9","a":false}
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
            now {"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
    );
    check(
        &format!("{JSON}\n Time_Keep On"),
        time,
        expect![[r#"
            2022-10-31T12:00:01Z {"a":1,"b":2,"time":"again"}
            2022-10-31T12:00:01Z {"time":"2022\u002d10-31T12:00:01Z"}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":"2022-10-31T12:00:01Z"}
            now {"at":"2022-10-31T12:00:01Z"}
        "#]],
    );
    check(
        "Name p\n Format json\n Time_Key time",
        time,
        expect![[r#"
            command line: warning: `Time_Key` of parser `p` has no effect without `Time_Format`
            now {"a":1,"b":2,"time":"again"}
            now {"time":"2022\u002d10-31T12:00:01Z"}
            now {"time":"soon"}
            now {"time":1667217601}
            now {"time":"2022-10-31T12:00:01Z"}
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
            now {"time":"2022-10-31T12:00:01Z"}
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
    ("%a %b %d %H:%M:%S.%L %Y", "", "Fri Jul 17 20:17:03.1234 2017", "2017-07-17T20:17:03.1234Z"),
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
        let expected =
            format!("{time} {{\"key001\":\"12345\",\"key002\":\"0.99\",\"time\":\"{text}\"}}\n");
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
fn a_clock_that_was_never_set() {
    check(
        "Name p\n Format json\n Time_Key time\n Time_Format %s\n Time_Keep On",
        "{\"time\":\"0\"}\n{\"time\":\"1\"}",
        expect![[r#"
            now {"time":"0"}
            1970-01-01T00:00:01Z {"time":"1"}
        "#]],
    );
    check(
        "Name p\n Format json\n Time_Key time\n Time_Format %Y-%m-%d\n Time_Strict Off\n Time_Keep On",
        "{\"time\":\"1969-12-31\"}\n{\"time\":\"later\"}",
        expect![[r#"
            now {"time":"1969-12-31"}
            now {"time":"later"}
        "#]],
    );
}

#[test]
fn a_switch_that_is_neither_on_nor_off_is_on() {
    check(
        "Name p\n Format logfmt\n Logfmt_No_Bare_Keys 1",
        "a b=1\nb=1",
        expect![[r#"
            command line: warning: `Logfmt_No_Bare_Keys`: no boolean; write `on` or `off`; it is taken as `on`, as in Fluent Bit
                Logfmt_No_Bare_Keys 1
            now {"log":"a b=1"}
            now {"b":"1"}
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
            now {"a":0,"b":0.0}
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
        "Name p\n Format json\n Time_Format %Y %Q",
        r#"{"time":"2015 x"}"#,
        expect![[r#"
            command line: warning: no time can be read: time format has an unknown directive `%Q` at byte 3
            now {"time":"2015 x"}
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
        "Name p\n Format json\n Time_Format %Y\n Time_Zone europe/london",
        "",
        expect![[r#"
            command line: there is no `Time_Zone europe/london`; did you mean `Europe/London`?
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
        "Name p\n Format regex\n Regex (?<a>\\X)",
        "",
        expect![[r#"
        command line: note: parser `p` cannot be used: regular expression uses `\X` at byte 6, which is not supported; rewrite it without
    "#]],
    );
}

/// As the tests of Fluent Bit have it, and what they leave out.
#[test]
fn logfmt() {
    let lines = r#"str="text" int=100 double=1.23 bool=true time=2022-10-31T12:00:01.123
bare a= b="" c="say \"hi\"\n" time=
time=2022-10-31T12:00:01.123
a=1 time=soon

"="#;
    let time = "Name p\n Format logfmt\n Time_Key time\n Time_Format %Y-%m-%dT%H:%M:%S.%L";
    check(
        "Name p\n Format logfmt",
        lines,
        expect![[r#"
        now {"str":"text","int":"100","double":"1.23","bool":"true","time":"2022-10-31T12:00:01.123"}
        now {"bare":true,"a":true,"b":"","c":"say \"hi\"\n","time":true}
        now {"time":"2022-10-31T12:00:01.123"}
        now {"a":"1","time":"soon"}
        now {"log":""}
        now {"log":"\"="}
    "#]],
    );
    check(
        time,
        lines,
        expect![[r#"
        2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true"}
        now {"bare":true,"a":true,"b":"","c":"say \"hi\"\n","time":true}
        now {"log":"time=2022-10-31T12:00:01.123"}
        now {"log":"a=1 time=soon"}
        now {"log":""}
        now {"log":"\"="}
    "#]],
    );
    check(
        &format!("{time}\n Time_Keep On"),
        lines,
        expect![[r#"
        2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true","time":"2022-10-31T12:00:01.123"}
        now {"bare":true,"a":true,"b":"","c":"say \"hi\"\n","time":true}
        2022-10-31T12:00:01.123Z {"time":"2022-10-31T12:00:01.123"}
        now {"log":"a=1 time=soon"}
        now {"log":""}
        now {"log":"\"="}
    "#]],
    );
    check(
        &format!("{time}\n Time_Strict Off"),
        lines,
        expect![[r#"
            2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true"}
            now {"bare":true,"a":true,"b":"","c":"say \"hi\"\n","time":true}
            now {"log":"time=2022-10-31T12:00:01.123"}
            now {"a":"1"}
            now {"log":""}
            now {"log":"\"="}
        "#]],
    );
    check(
        "Name p\n Format logfmt\n Logfmt_No_Bare_Keys On",
        "a=1 b= c=\"\"\na=1 b",
        expect![[r#"
        now {"a":"1","b":true,"c":""}
        now {"log":"a=1 b"}
    "#]],
    );
    // With types, escapes stay and a key without a value is empty.
    check(
        "Name p\n Format logfmt\n Types int:hex n:integer f:float b:bool s:string",
        r#"str="text" int=100 n=5ms f=2 b=TRUE s=1 o="a\"b" bare n= b="#,
        expect![[r#"
            now {"str":"text","int":256,"f":2.0,"s":"1","o":"a\\\"b","bare":"","n":0,"b":""}
        "#]],
    );
}

#[test]
fn ltsv() {
    let lines = "str:text\tint:100\tdouble:1.23\tbool:true\ttime:2022-10-31T12:00:01.123
a:\ttime:\tb: x: y
time:2022-10-31T12:00:01.123
a:1\ttime:soon
a:1\tno label:2
:x

no label";
    let time = "Name p\n Format ltsv\n Time_Format %Y-%m-%dT%H:%M:%S.%L";
    check(
        "Name p\n Format ltsv",
        lines,
        expect![[r#"
        now {"str":"text","int":"100","double":"1.23","bool":"true","time":"2022-10-31T12:00:01.123"}
        now {"a":"","time":"","b":" x: y"}
        now {"time":"2022-10-31T12:00:01.123"}
        now {"a":"1","time":"soon"}
        now {"a":"1"}
        now {"log":":x"}
        now {"log":""}
        now {"log":"no label"}
    "#]],
    );
    check(
        time,
        lines,
        expect![[r#"
        2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true"}
        now {"a":"","time":"","b":" x: y"}
        now {"log":"time:2022-10-31T12:00:01.123"}
        now {"log":"a:1\ttime:soon"}
        now {"a":"1"}
        now {"log":":x"}
        now {"log":""}
        now {"log":"no label"}
    "#]],
    );
    check(
        &format!("{time}\n Time_Keep On"),
        lines,
        expect![[r#"
        2022-10-31T12:00:01.123Z {"str":"text","int":"100","double":"1.23","bool":"true","time":"2022-10-31T12:00:01.123"}
        now {"a":"","time":"","b":" x: y"}
        2022-10-31T12:00:01.123Z {"time":"2022-10-31T12:00:01.123"}
        now {"log":"a:1\ttime:soon"}
        now {"a":"1"}
        now {"log":":x"}
        now {"log":""}
        now {"log":"no label"}
    "#]],
    );
    check(
        "Name p\n Format ltsv\n Types int:hex a:integer",
        "str:text\tint:100\ta:\tb:",
        expect![[r#"
            now {"str":"text","int":256,"a":0,"b":""}
        "#]],
    );
}

/// Lines of JSON with texts to decode.
const TEXTS: &str = r#"{"a":1,"log":" {\"b\":[1, 2]} rest","c":2}
{"log":"{\"b\":1}{\"c\":2}"}
{"log":"[{}]"}
{"log":"text \\\" \\u00e9\\n"}
{"log":"{\\\"b\\\":\\\"\\u00e9\\\"}"}
{"log":{"b":1}}
{"log":1,"other":"{}"}"#;

/// What a JSON parser with these decoders makes of the lines.
#[expect(clippy::needless_pass_by_value, reason = "`expect!` is written at the call")]
fn decode(decoders: &str, lines: &str, expected: Expect) {
    expected.assert_eq(&run(&format!("Name p\n Format json\n {decoders}"), lines));
}

#[test]
fn decoders_replace() {
    decode(
        "Decode_Field_As json log",
        TEXTS,
        expect![[r#"
            now {"a":1,"log":{"b":[1,2]},"c":2}
            now {"log":"{\"b\":1}{\"c\":2}"}
            now {"log":"[{}]"}
            now {"log":"text \\\" \\u00e9\\n"}
            now {"log":"{\\\"b\\\":\\\"\\u00e9\\\"}"}
            now {"log":{"b":1}}
            now {"log":1,"other":"{}"}
        "#]],
    );
    decode(
        "Decode_Field_As escaped log",
        TEXTS,
        expect![[r#"
        now {"a":1,"log":" {\"b\":[1, 2]} rest","c":2}
        now {"log":"{\"b\":1}{\"c\":2}"}
        now {"log":"[{}]"}
        now {"log":"text \" u00e9\n"}
        now {"log":"{\"b\":\"u00e9\"}"}
        now {"log":{"b":1}}
        now {"log":1,"other":"{}"}
    "#]],
    );
    decode(
        "Decode_Field_As escaped_utf8 log",
        TEXTS,
        expect![[r#"
        now {"a":1,"log":" {\"b\":[1, 2]} rest","c":2}
        now {"log":"{\"b\":1}{\"c\":2}"}
        now {"log":"[{}]"}
        now {"log":"text \" é\n"}
        now {"log":"{\"b\":\"é\"}"}
        now {"log":{"b":1}}
        now {"log":1,"other":"{}"}
    "#]],
    );
}

#[test]
fn decoders_follow_each_other() {
    decode(
        "Decode_Field_As JSON log Try_Next\n Decode_Field_As escaped_utf8 log",
        TEXTS,
        expect![[r#"
            now {"a":1,"log":{"b":[1,2]},"c":2}
            now {"log":"{\"b\":1}{\"c\":2}"}
            now {"log":"[{}]"}
            now {"log":"text \" é\n"}
            now {"log":"{\"b\":\"é\"}"}
            now {"log":{"b":1}}
            now {"log":1,"other":"{}"}
        "#]],
    );
    decode(
        "Decode_Field_As escaped_utf8 log do_next\n Decode_Field_As json log",
        TEXTS,
        expect![[r#"
            now {"a":1,"log":{"b":[1,2]},"c":2}
            now {"log":"{\"b\":1}{\"c\":2}"}
            now {"log":"[{}]"}
            now {"log":"text \" é\n"}
            now {"log":{"b":"é"}}
            now {"log":{"b":1}}
            now {"log":1,"other":"{}"}
        "#]],
    );
    decode(
        "Decode_Field_As json log\n Decode_Field_As escaped_utf8 log",
        TEXTS,
        expect![[r#"
            now {"a":1,"log":{"b":[1,2]},"c":2}
            now {"log":"{\"b\":1}{\"c\":2}"}
            now {"log":"[{}]"}
            now {"log":"text \\\" \\u00e9\\n"}
            now {"log":"{\\\"b\\\":\\\"\\u00e9\\\"}"}
            now {"log":{"b":1}}
            now {"log":1,"other":"{}"}
        "#]],
    );
}

#[test]
fn decoders_add() {
    let lines = r#"{"a":"{\"x\":1}","b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3}
{"a":"no","b":"{}"}"#;
    decode(
        "Decode_Field json a",
        lines,
        expect![[r#"
        now {"a":"{\"x\":1}","b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3,"x":1}
        now {"a":"no","b":"{}"}
    "#]],
    );
    decode(
        "Decode_Field json a\n Decode_Field json b",
        lines,
        expect![[r#"
            now {"b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3,"x":1,"y":"\u00e9","a":"{}"}
            now {"a":"no","b":"{}"}
        "#]],
    );
    decode(
        "Decode_Field json a do_next\n Decode_Field_As json a",
        lines,
        expect![[r#"
        now {"a":{"x":1},"b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3,"x":1}
        now {"a":"no","b":"{}"}
    "#]],
    );
    decode(
        "Decode_Field_As json a do_next\n Decode_Field json a",
        lines,
        expect![[r#"
        now {"a":{"x":1},"b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3}
        now {"a":"no","b":"{}"}
    "#]],
    );
    decode(
        "Decode_Field json a do_next\n Decode_Field json a do_next",
        lines,
        expect![[r#"
        now {"a":"{\"x\":1}","b":"{\"y\":\"\\u00e9\",\"a\":\"{}\"}","c":3,"x":1}
        now {"a":"no","b":"{}"}
    "#]],
    );
}

#[test]
fn decoders_of_every_format() {
    check(
        "Name p\n Format ltsv\n Decode_Field json json_str",
        "json_str:{\"str\":\"text\", \"int\":100, \"double\":1.23, \"bool\":true}",
        expect![[r#"
            now {"json_str":"{\"str\":\"text\", \"int\":100, \"double\":1.23, \"bool\":true}","str":"text","int":100,"double":1.23,"bool":true}
        "#]],
    );
    check(
        "Name p\n Format logfmt\n Decode_Field_As json m",
        r#"m="{\"a\":1}" n"#,
        expect![[r#"
        now {"m":{"a":1},"n":true}
    "#]],
    );
    check(
        "Name p
         Format regex
         Regex ^(?<time>.*?),(?<key001>.*)$
         Time_Format %Y-%m-%d %H:%M:%S
         Time_Keep On
         Decode_Field_As mysql_quoted key001",
        r"2010-01-01 02:10:22,plain
2010-01-01 02:10:22,''
2010-01-01 02:10:22,'abc\nE\\'",
        expect![[r#"
            2010-01-01T02:10:22Z {"time":"2010-01-01 02:10:22","key001":"plain"}
            2010-01-01T02:10:22Z {"time":"2010-01-01 02:10:22","key001":""}
            2010-01-01T02:10:22Z {"time":"2010-01-01 02:10:22","key001":"abc\nE\\"}
        "#]],
    );
}

#[test]
fn decoders_tell_what_was_repaired() {
    let check = |decoder: &str, line: &str, expected: bool| {
        let section = format!("Name p\n Format ltsv\n {decoder} json a");
        let parsers = fixture::parsers(&[&section], &mut Diagnostics::new());
        let bump = Bump::new();
        let mut fields = Fields::new_in(&bump);
        let parser = parsers.get("p").unwrap();
        let parsed = parser.parse(&mut Scratch::default(), line, &bump, fixture::NOW, &mut fields);
        assert_eq!(parsed.unwrap().is_repaired, expected, "{decoder} {line:?}");
    };
    for decoder in ["Decode_Field", "Decode_Field_As"] {
        check(decoder, r#"a:{"b":"\ud83d\ude00"}"#, false);
        check(decoder, r#"a:{"b":"\ud83d"}"#, true);
        check(decoder, r#"a:{"b":["\ude00"]}"#, true);
    }
}

/// That of JSON is read behind the decoders, which may bring it; that of other formats before.
#[test]
fn decoders_and_the_time() {
    let options = "Time_Format %s\n Decode_Field json m";
    check(
        &format!("Name p\n Format json\n {options}"),
        r#"{"m":"{\"time\":\"1500322623\",\"a\":1}"}
{"time":"1","m":"{\"time\":\"1500322623\",\"a\":1}"}
{"time":1,"m":"{\"time\":\"1500322623\"}"}"#,
        expect![[r#"
            2017-07-17T20:17:03Z {"m":"{\"time\":\"1500322623\",\"a\":1}","a":1}
            1970-01-01T00:00:01Z {"m":"{\"time\":\"1500322623\",\"a\":1}","time":"1500322623","a":1}
            now {"m":"{\"time\":\"1500322623\"}","time":"1500322623"}
        "#]],
    );
    check(
        &format!("Name p\n Format ltsv\n {options}"),
        "m:{\"time\":\"1500322623\",\"a\":1}\ttime:1",
        expect![[r#"
            1970-01-01T00:00:01Z {"m":"{\"time\":\"1500322623\",\"a\":1}","time":"1500322623","a":1}
        "#]],
    );
}

#[test]
fn decoders_that_cannot_be_meant() {
    let line = r#"{"a":"{\"x\":1}"}"#;
    for decoder in ["json", "jsn a", "yaml a"] {
        let section =
            format!("Name p\n Format json\n Decode_Field_As json a\n Decode_Field_As {decoder}");
        assert!(run(&section, line).ends_with("now {\"a\":\"{\\\"x\\\":1}\"}\n"));
    }
    check(
        "Name p\n Format json\n Decode_Field_As json",
        "",
        expect![[r#"
        command line: warning: `Decode_Field_As json` lacks a word, so the parser decodes no field; write `DECODER FIELD`
    "#]],
    );
    check(
        "Name p\n Format json\n Decode_Field_As jsn a",
        "",
        expect![[r#"
        command line: warning: there is no decoder `jsn`, so the parser decodes no field; did you mean `json`?
    "#]],
    );
    check(
        "Name p\n Format json\n Decode_Field yaml a",
        "",
        expect![[r#"
        command line: warning: there is no decoder `yaml`, so the parser decodes no field; json, escaped, escaped_utf8, mysql_quoted
    "#]],
    );
    check(
        "Name p\n Format json\n Decode_Field_As json a do_nxt",
        "",
        expect![[r#"
        command line: warning: `do_nxt` has no effect; an action is `try_next` or `do_next`
    "#]],
    );
    check(
        "Name p\n Format json\n Decode_Field escaped a",
        "",
        expect![[r#"
        command line: warning: `Decode_Field` takes the fields of an object, of which `escaped` makes none; write `Decode_Field_As`
    "#]],
    );
}

#[test]
fn what_has_no_effect() {
    check(
        "Name p\n Format json\n Regex a\n Types a:integer\n Skip_Empty_Values Off\n Logfmt_No_Bare_Keys On",
        r#"{"a":""}"#,
        expect![[r#"
            command line: warning: `Regex` of parser `p` has no effect with this `Format`
            command line: warning: `Types` of parser `p` has no effect with this `Format`
            command line: warning: `Skip_Empty_Values` of parser `p` has no effect with this `Format`
            command line: warning: `Logfmt_No_Bare_Keys` of parser `p` has no effect with this `Format`
            now {"a":""}
        "#]],
    );
    check(
        "Name p
         Format ltsv
         Time_Key t
         Time_Keep On
         Time_Strict Off
         Time_Offset never read
         Time_System_Timezone On",
        "a:1",
        expect![[r#"
            command line: warning: `Time_Key` of parser `p` has no effect without `Time_Format`
            command line: warning: `Time_Keep` of parser `p` has no effect without `Time_Format`
            command line: warning: `Time_Strict` of parser `p` has no effect without `Time_Format`
            command line: warning: `Time_Offset` of parser `p` has no effect without `Time_Format`
            command line: warning: `Time_System_Timezone` of parser `p` has no effect without `Time_Format`
            now {"a":"1"}
        "#]],
    );
    check(
        "Name p\n Format json\n Time_Format %Y\n Time_System_Timezone On\n Time_Offset never read",
        "",
        expect![[r#"
            command line: warning: `Time_Offset` of parser `p` has no effect with `Time_System_Timezone`
        "#]],
    );
}

/// A configuration has more parsers than it uses: an expression that is only too large is nobody's
/// trouble before somebody wants it, one that is wrong is said at once.
#[test]
fn an_expression_is_compiled_for_whoever_uses_it() {
    let build = |regex: &str| {
        let section = format!("Name p\n Format regex\n Regex {regex}");
        let mut diagnostics = Diagnostics::new();
        let parsers = fixture::parsers(&[&section], &mut diagnostics);
        let used = parsers.get("p").map(drop).map_err(|error| error.to_string());
        (diagnostics.to_string(), used)
    };
    let (said, used) = build(r"(?<a>(\w{500}){500})");
    assert_eq!(said, "");
    expect!["parser `p` cannot be used: regular expression is not valid: Compiled regex exceeds size limit of 10485760 bytes."].assert_eq(&used.unwrap_err());
    let (said, used) = build(r"(?<a>\p{Nothing})");
    expect![[r#"
        command line: regular expression is not valid: Unicode property not found
    "#]]
    .assert_eq(&said);
    expect!["parser `p` has errors of its own"].assert_eq(&used.unwrap_err());
}
