//! Records in, pushes out, through the output as the courier sees it.

use super::super::samples::{self, TIME};
use super::*;
use crate::output::{Health, Verdict};
use crate::record::Nanos;
use expect_test::{Expect, expect};
use prost::encoding::decode_varint;
use std::fmt::Write as _;

fn output(entries: &[(&str, &str)]) -> Loki {
    let mut section = samples::section(entries);
    samples::built(|diagnostics| {
        let options = LokiOptions::read(&mut section, diagnostics);
        section.finish(diagnostics);
        let mut loki = Loki::build("loki.0", &options, Letters::Escaped, &section, diagnostics)?;
        loki.now = || TIME;
        Some(loki)
    })
}

/// The fields of a message: number, and a varint or bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = decode_varint(&mut message).unwrap();
        let number = decode_varint(&mut message).unwrap();
        let len = if key & 7 == 2 { usize::try_from(number).unwrap() } else { 0 };
        let (bytes, rest) = message.split_at(len);
        fields.push((key >> 3, number, bytes));
        message = rest;
    }
    fields
}

/// A push in protobuf as text: labels, then time, line and metadata of each entry.
fn unpack(body: &[u8]) -> String {
    let mut text = String::new();
    let push = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    for (_, _, stream) in fields(&push) {
        for (number, _, bytes) in fields(stream) {
            if number == 1 {
                writeln!(text, "{}", samples::plain(bytes)).unwrap();
                continue;
            }
            for (number, _, bytes) in fields(bytes) {
                match number {
                    1 => {
                        let parts = fields(bytes);
                        write!(text, "  {}.{:09}", parts[0].1.cast_signed(), parts[1].1).unwrap();
                    }
                    2 => write!(text, " {}", samples::plain(bytes)).unwrap(),
                    _ => {
                        let pair = fields(bytes);
                        let [name, value] = [0, 1].map(|at| samples::plain(pair[at].2));
                        write!(text, " {name}={value}").unwrap();
                    }
                }
            }
            text.push('\n');
        }
    }
    text
}

fn check(entries: &[(&str, &str)], records: &[(&str, Nanos, &str)], expected: &Expect) {
    let requests = samples::requests(&mut output(entries), &samples::chunk(records));
    let bodies: String = requests.iter().map(|request| unpack(&request.body)).collect();
    expected.assert_eq(&bodies);
}

const POD: &str = r#"{"log":"hello","stream":"stdout","kubernetes":{"namespace_name":"shop","pod_name":"p-1","labels":{"app":"web","tier-x":"b"}}}"#;

/// Metadata that is the same is not read again; that which only begins so, is.
#[test]
fn metadata_changes_from_line_to_line() {
    let pod = |labels: &str, line: &str| {
        format!(r#"{{"log":"{line}","kubernetes":{{"labels":{labels}}},"x":{{"y":1}}}}"#)
    };
    let records = [
        pod(r#"{"app":"web"}"#, "1"),
        pod(r#"{"app":"web"}"#, "2"),
        pod(r#"{"app":"web2"}"#, "3"),
        pod(r#"{"app":"web","more":{}}"#, "4"),
        r#"{"log":"5","kubernetes":"gone"}"#.to_owned(),
        pod(r#"{"app":"web"}"#, "6"),
    ];
    let records: Vec<_> = records.iter().map(|record| ("t", TIME, record.as_str())).collect();
    check(
        &[("Labels", "app=$kubernetes['labels']['app']"), ("Remove_Keys", "kubernetes")],
        &records,
        &expect![[r#"
            {app="web"}
              1448403340.123456789 {"log":"1","x":{"y":1}}
              1448403340.123456789 {"log":"2","x":{"y":1}}
            {app="web2"}
              1448403340.123456789 {"log":"3","x":{"y":1}}
            {app="web"}
              1448403340.123456789 {"log":"4","x":{"y":1}}
            {app="gone"}
              1448403340.123456789 {"log":"5"}
            {app="web"}
              1448403340.123456789 {"log":"6","x":{"y":1}}
        "#]],
    );
    check(
        &[("Labels", "app=$kubernetes['labels']['app']"), ("Remove_Keys", "x")],
        &records,
        &expect![[r#"
            {app="web"}
              1448403340.123456789 {"log":"1","kubernetes":{"labels":{}}}
              1448403340.123456789 {"log":"2","kubernetes":{"labels":{}}}
            {app="web2"}
              1448403340.123456789 {"log":"3","kubernetes":{"labels":{}}}
            {app="web"}
              1448403340.123456789 {"log":"4","kubernetes":{"labels":{"more":{}}}}
            {app="gone"}
              1448403340.123456789 {"log":"5"}
            {app="web"}
              1448403340.123456789 {"log":"6","kubernetes":{"labels":{}}}
        "#]],
    );
}

#[test]
fn a_request_is_path_headers_and_streams() {
    let entries = [
        ("HTTP_User", "bob"),
        ("HTTP_Passwd", "pw"),
        ("Tenant_ID", "t1"),
        ("Header", "X-Extra hello world"),
        ("Header", "X-Alone"),
        ("Uri", "custom/push"),
    ];
    let chunk = samples::chunk(&[("t", 1_500_000_000, r#"{"a":1}"#), ("t", -1, "{}")]);
    let requests = samples::requests(&mut output(&entries), &chunk);
    expect![[r#"
        POST /custom/push
        user-agent: tailwater
        content-type: application/x-protobuf
        authorization: Basic Ym9iOnB3
        x-scope-orgid: t1
        x-extra: hello world
        x-alone: X-Alone
        [0, 1]
        {job="fluent-bit"}
          1.500000000 {"a":1}
          -1.999999999 {}

    "#]]
    .assert_eq(&samples::show(&requests, unpack));
}

#[test]
fn json_as_fluent_bit_sends_it() {
    let entries = [
        ("Compress", "gzip"),
        ("Labels", "a=b, $n"),
        ("Structured_Metadata", "trace=$t"),
        ("Bearer_Token", "secret"),
    ];
    let chunk = samples::chunk(&[
        ("t", TIME, r#"{"n":1,"t":"x"}"#),
        ("t", TIME, r#"{"n":1,"log":"\"q\""}"#),
        ("t", TIME, r#"{"n":2}"#),
    ]);
    let requests = samples::requests(&mut output(&entries), &chunk);
    expect![[r#"
        POST /loki/api/v1/push
        user-agent: tailwater
        content-type: application/json
        content-encoding: gzip
        authorization: Bearer secret
        [0, 1, 2]
        {"streams":[{"stream":{"a":"b", "n":"1"},"values":[["1448403340123456789","{}",{"trace":"x"}],["1448403340123456789","{\"log\":\"\\\"q\\\"\"}",{}]]},{"stream":{"a":"b", "n":"2"},"values":[["1448403340123456789","{}",{}]]}]}
    "#]].assert_eq(&samples::show(&requests, samples::gunzip));
}

#[test]
fn labels_come_from_the_record_and_leave_the_line() {
    check(
        &[
            ("Labels", "job=fluentbit, cluster=production"),
            ("Label_Keys", "$kubernetes['namespace_name'],$kubernetes['labels']['app']"),
        ],
        &[
            ("t", TIME, POD),
            ("t", TIME + 1, POD),
            ("t", TIME + 2, r#"{"log":"x"}"#),
            ("t", TIME + 3, POD),
        ],
        &expect![[r#"
            {job="fluentbit", cluster="production", kubernetes_namespace_name="shop", kubernetes_labels_app="web"}
              1448403340.123456789 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
              1448403340.123456790 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
            {job="fluentbit", cluster="production"}
              1448403340.123456791 {"log":"x"}
            {job="fluentbit", cluster="production", kubernetes_namespace_name="shop", kubernetes_labels_app="web"}
              1448403340.123456792 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
        "#]],
    );
    check(
        &[
            ("Labels", "n=$n, b=$b, my-tag=$TAG"),
            ("Label_Keys", "$a-b"),
            ("Remove_Keys", "c,$d['e']"),
        ],
        &[("kube.a", TIME, r#"{"n":5,"b":true,"a-b":"1\"2","c":[],"d":{"e":1,"f":2},"log":"x"}"#)],
        &expect![[r#"
            {n="5", b="true", my_tag="kube.a", a_b="1\"2"}
              1448403340.123456789 {"d":{"f":2},"log":"x"}
        "#]],
    );
}

#[test]
fn every_label_of_the_pod() {
    check(
        &[("Auto_Kubernetes_Labels", "on"), ("Labels", "app=mine"), ("Remove_Keys", "kubernetes")],
        &[("t", TIME, POD)],
        &expect![[r#"
            {app="web", tier_x="b"}
              1448403340.123456789 {"log":"hello","stream":"stdout"}
        "#]],
    );
}

#[test]
fn structured_metadata() {
    check(
        &[
            ("Labels", "job=x"),
            ("Structured_Metadata", "key1=explicit, miss=$zip, pod=$kubernetes['pod_name']"),
            ("Structured_Metadata_Map_Keys", "$map"),
        ],
        &[(
            "t",
            TIME,
            r#"{"log":"m","kubernetes":{"pod_name":"p"},"map":{"key1":"v","key.2":false,"o":{"s":[1]}}}"#,
        )],
        &expect![[r#"
            {job="x"}
              1448403340.123456789 {"log":"m","kubernetes":{}} key_2=false o={"s":[1]} key1=explicit pod=p
        "#]],
    );
}

#[test]
fn of_a_repeated_name_the_last_value_counts() {
    check(
        &[("Labels", "app=none, app=$a, app=$b, x=$a, x=fixed")],
        &[
            ("t", TIME, r#"{"a":"1","b":"2"}"#),
            ("t", TIME, r#"{"a":"1","b":""}"#),
            ("t", TIME, "{}"),
        ],
        &expect![[r#"
            {app="2", x="fixed"}
              1448403340.123456789 {}
            {app="1", x="fixed"}
              1448403340.123456789 {}
            {app="none", x="fixed"}
              1448403340.123456789 {}
        "#]],
    );
    check(
        &[
            ("Structured_Metadata", "same=explicit"),
            ("Structured_Metadata_Map_Keys", "$one,$two,$text"),
        ],
        &[(
            "t",
            TIME,
            r#"{"one":{"k.x":1,"same":2},"two":{"k_x":1.50,"l":[1, {"é":"ü"}],"n":null},"text":"t"}"#,
        )],
        &expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 {} k_x=1.5 l=[1,{"\u00e9":"\u00fc"}] n=null same=explicit
        "#]],
    );
}

#[test]
fn labels_are_text_whatever_they_are_made_of() {
    check(
        &[("Labels", "$f, i=$i, m=$m, l=$l, z=$z, both=$f.$m['k']"), ("Label_Keys", "$l[1]['x']")],
        &[("t", TIME, r#"{"f":1.50,"i":-3,"m":{"k": "v"},"l":[1,{"x":"y"}],"z":null}"#)],
        &expect![[r#"
            {f="1.500000", i="-3", m="{\"k\":\"v\"}", z="null", both="1.500000.v", l_1_x="y"}
              1448403340.123456789 {}
        "#]],
    );
}

#[test]
fn what_labels_come_from_is_left_out_wherever_it_lies() {
    check(
        &[("Label_Keys", "$l[1],$o['l'][0]['x'],$s['not']['there'],$gone['x'][3]")],
        &[(
            "t",
            TIME,
            r#"{"l":[1,"two",{"three":3}],"o":{"l":[{"x":"1","y":2},5]},"s":"text","k":[]}"#,
        )],
        &expect![[r#"
            {l_1="two", o_l_0_x="1", s_not_there="text"}
              1448403340.123456789 {"l":[1,{"three":3}],"o":{"l":[{"y":2},5]},"k":[]}
        "#]],
    );
    check(
        &[("Labels", "part=$a, both=$b.$c")],
        &[("t", TIME, r#"{"a":"1","b":"2","c":"3","d":4}"#)],
        &expect![[r#"
            {part="1", both="2.3"}
              1448403340.123456789 {"c":"3","d":4}
        "#]],
    );
}

#[test]
fn letters_beyond_ascii_are_escaped_where_json_is_read_as_text() {
    let records = [("t", TIME, r#"{"é":"日😀","f":1.50}"#), ("t", TIME, r#"{"log":"é"}"#)];
    check(
        &[],
        &records,
        &expect![[r#"
        {job="fluent-bit"}
          1448403340.123456789 {"\u00e9":"\u65e5\ud83d\ude00","f":1.5}
          1448403340.123456789 {"log":"\u00e9"}
    "#]],
    );
    check(
        &[("Drop_Single_Key", "on")],
        &records,
        &expect![[r#"
        {job="fluent-bit"}
          1448403340.123456789 {"\u00e9":"\u65e5\ud83d\ude00","f":1.5}
          1448403340.123456789 "\u00e9"
    "#]],
    );
    check(
        &[("Drop_Single_Key", "raw")],
        &records,
        &expect![[r#"
        {job="fluent-bit"}
          1448403340.123456789 {"\u00e9":"\u65e5\ud83d\ude00","f":1.5}
          1448403340.123456789 é
    "#]],
    );
}

#[test]
fn numbers_in_key_value() {
    check(
        &[("Line_Format", "key_value")],
        &[("t", TIME, r#"{"a":1.30,"b":2e3,"c":[1.50,{"d":1e-7}],"e":12345678901234567890}"#)],
        &expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 a=1.3 b=2000.0 c="[1.5 "map[d:1e-07]"]" e=12345678901234567890
        "#]],
    );
    check(
        &[("Line_Format", "key_value"), ("Drop_Single_Key", "on")],
        &[("t", TIME, r#"{"a":1.30}"#)],
        &expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 1.3
        "#]],
    );
    check(
        &[("Drop_Single_Key", "raw")],
        &[("t", TIME, r#"{"a":1e3}"#), ("t", TIME, r#"{"a":["x", 1.50]}"#)],
        &expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 1000.0
              1448403340.123456789 ["x",1.5]
        "#]],
    );
}

#[test]
fn line_formats() {
    let records = [
        ("t", TIME, r#"{"log":"a \"b\""}"#),
        ("t", TIME, r#"{"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}"#),
    ];
    for (entries, expected) in [
        (
            &[("Line_Format", "key_value")][..],
            expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 log="a "b""
              1448403340.123456789 a="x" n=-1.5 z=null l="[1 "b" "[]"]" m="map[k:true e:"map[]"]"
        "#]],
        ),
        (
            &[("Line_Format", "key_value"), ("Drop_Single_Key", "on")],
            expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 a "b"
              1448403340.123456789 a="x" n=-1.5 z=null l="[1 "b" "[]"]" m="map[k:true e:"map[]"]"
        "#]],
        ),
        (
            &[("Drop_Single_Key", "on")],
            expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 "a \"b\""
              1448403340.123456789 {"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}
        "#]],
        ),
        (
            &[("Drop_Single_Key", "raw")],
            expect![[r#"
            {job="fluent-bit"}
              1448403340.123456789 a "b"
              1448403340.123456789 {"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}
        "#]],
        ),
    ] {
        check(entries, &records, &expected);
    }
}

#[test]
fn tenants_get_requests_of_their_own() {
    let chunk = samples::chunk(&[
        ("t", TIME, r#"{"who":"a","n":1}"#),
        ("t", TIME, r#"{"who":"b","n":2}"#),
        ("t", TIME, r#"{"n":3}"#),
        ("t", TIME, r#"{"who":"a","n":4}"#),
    ]);
    let entries = [("Tenant_ID_Key", "who"), ("Tenant_ID", "main"), ("Remove_Keys", "who")];
    let requests = samples::requests(&mut output(&entries), &chunk);
    expect![[r#"
        POST /loki/api/v1/push
        user-agent: tailwater
        content-type: application/x-protobuf
        x-scope-orgid: a
        [0, 3]
        {job="fluent-bit"}
          1448403340.123456789 {"n":1}
          1448403340.123456789 {"n":4}

        POST /loki/api/v1/push
        user-agent: tailwater
        content-type: application/x-protobuf
        x-scope-orgid: b
        [1]
        {job="fluent-bit"}
          1448403340.123456789 {"n":2}

        POST /loki/api/v1/push
        user-agent: tailwater
        content-type: application/x-protobuf
        x-scope-orgid: main
        [2]
        {job="fluent-bit"}
          1448403340.123456789 {"n":3}

    "#]]
    .assert_eq(&samples::show(&requests, unpack));
}

#[test]
fn a_tenant_that_no_header_can_name_gets_nobody_elses_place() {
    let mut output = output(&[("Tenant_ID_Key", "who"), ("Tenant_ID", "main")]);
    let chunk = samples::chunk(&[
        ("t", TIME, r#"{"who":"a\nb: c"}"#),
        ("t", TIME, r#"{"who":"a"}"#),
        ("t", TIME, r#"{"who":"a\u007f"}"#),
        ("t", TIME, r#"{"who":7}"#),
    ]);
    let mut requests = Requests::default();
    output.encode(&chunk, &Open::all(4), &mut requests);
    assert_eq!(requests.unfit, [(0, TENANT_UNFIT), (2, TENANT_UNFIT)]);
    let sent: Vec<_> = requests
        .to_send
        .iter()
        .map(|request| (request.headers["x-scope-orgid"].to_str().unwrap(), &request.records[..]))
        .collect();
    assert_eq!(sent, [("a", &[1][..]), ("main", &[3])]);
}

#[test]
fn more_tenants_than_pushes_lose_nothing_and_stay_in_order() {
    let names = |count: usize| (0..count).map(|number| format!(r#"{{"who":"t{number}"}}"#));
    let texts: Vec<_> = names(TENANTS_MAX + 3).chain(names(2)).collect();
    let records: Vec<_> = texts.iter().map(|text| ("t", TIME, text.as_str())).collect();
    let mut output = output(&[("Tenant_ID_Key", "who")]);
    let requests = samples::requests(&mut output, &samples::chunk(&records));
    let mut sent: Vec<_> = requests.iter().flat_map(|request| request.records.clone()).collect();
    let of_the_first: Vec<_> = requests
        .iter()
        .filter(|request| request.headers["x-scope-orgid"] == "t0")
        .map(|request| request.records.clone())
        .collect();
    assert_eq!(of_the_first, [[0], [u32::try_from(TENANTS_MAX + 3).unwrap()]]);
    sent.sort_unstable();
    assert!(sent.into_iter().eq(0..u32::try_from(records.len()).unwrap()));
}

#[test]
fn a_push_that_is_too_large_is_cut_in_order() {
    let mut output = output(&[]);
    let text = format!(r#"{{"log":"{}"}}"#, "x".repeat(20_000));
    let records: Vec<_> = (0..5).map(|number| ("t", TIME + number, text.as_str())).collect();
    let chunk = samples::chunk(&records);
    let whole = samples::requests(&mut output, &chunk);
    assert_eq!(whole.len(), 1);
    let mut none = |index, verdict| panic!("{index} {verdict:?}");
    assert_eq!(output.judge(&whole[0], 413).finish(&mut none), Health::Divide);
    let parts: Vec<_> =
        samples::requests(&mut output, &chunk).into_iter().map(|request| request.records).collect();
    assert_eq!(parts, [vec![0, 1], vec![2, 3], vec![4]]);
}

/// Records by request, and the limit that they break.
#[track_caller]
fn check_parts(output: &mut Loki, records: &[(&str, Nanos, &str)], expected: &Expect) {
    let mut text = String::new();
    for request in samples::requests(output, &samples::chunk(records)) {
        let doubt = request.doubt.map_or("", |doubt| doubt.0);
        writeln!(text, "{:?} {doubt}", request.records).unwrap();
    }
    expected.assert_eq(&text);
}

const MINUTE: Nanos = 60_000_000_000;

#[test]
fn what_may_be_refused_goes_apart_and_in_its_place() {
    let old = |minutes: Nanos| TIME - minutes * MINUTE;
    let long = format!(r#"{{"a":"1","log":"{}"}}"#, "x".repeat(300_000));
    let wide = format!(r#"{{"a":"{}"}}"#, "x".repeat(3_000));
    let mut output = output(&[("Labels", "a=$a")]);
    let (one, two) = (r#"{"a":"1"}"#, r#"{"a":"2"}"#);
    let records = [
        ("t", TIME, one),
        ("t", TIME, two),
        ("t", TIME, &*long),
        ("t", TIME, &*long),
        ("t", TIME, one),
        ("t", TIME, &*wide),
        ("t", old(90), one),
        ("t", old(89), one),
        ("t", old(89), two),
        ("t", old(180), two),
        ("t", old(-11), two),
        ("t", TIME, two),
    ];
    check_parts(
        &mut output,
        &records,
        &expect![[r#"
            [0, 1] 
            [2, 3] line_too_long
            [4] 
            [5] label_value_too_long
            [6, 7] too_far_behind
            [8] too_far_behind
            [9] too_far_behind
            [10] too_far_in_future
            [11] 
        "#]],
    );
    // Whoever takes such lines once is not spared them again, but late ones are always told apart.
    let requests = samples::requests(&mut output, &samples::chunk(&records));
    for request in &requests {
        assert_eq!(output.judge(request, 204).finish(&mut |_, _| {}), Health::Good);
    }
    check_parts(
        &mut output,
        &records,
        &expect![[r#"
            [0, 1, 2, 3, 4, 5] 
            [6, 7] too_far_behind
            [8] too_far_behind
            [9] too_far_behind
            [10, 11] 
        "#]],
    );
}

#[test]
fn lines_that_jump_to_and_fro_do_not_become_a_push_each() {
    let records: Vec<_> =
        (0..1_000).map(|number| ("t", TIME - number % 2 * 90 * MINUTE, "{}")).collect();
    let requests = samples::requests(&mut output(&[]), &samples::chunk(&records));
    assert_eq!(requests.len(), PARTS_MAX + 1);
    let sent: Vec<_> = requests.iter().flat_map(|request| request.records.clone()).collect();
    assert!(sent.into_iter().eq(0..1_000));
}

#[test]
fn metadata_has_names_that_do_not_break_the_push() {
    check(
        &[
            ("Structured_Metadata", "___=$a"),
            ("Structured_Metadata_Map_Keys", "$map"),
            ("Labels", "job=x"),
        ],
        &[("t", TIME, r#"{"a":"0","map":{"":"1","é":"2","ü":"3","-._":"4","né":"5","9":"6"}}"#)],
        &expect![[r#"
            {job="x"}
              1448403340.123456789 {} key_=1 key_c3a9=2 key_c3bc=3 key_2d2e5f=4 n__=5 _9=6 key_5f5f5f=0
        "#]],
    );
}

#[test]
fn a_refused_push_of_many_is_divided() {
    let mut output = output(&[]);
    let chunk =
        samples::chunk(&[("t", TIME, "{}"), ("t", TIME - 90 * MINUTE, "{}"), ("t", 0, "{}")]);
    let requests = samples::requests(&mut output, &chunk);
    let mut two = samples::requests(&mut output, &samples::chunk(&[("t", TIME, "{}"); 2]));
    let mut none = |index, verdict| panic!("{index} {verdict:?}");
    let mut judge = output.judge(&two[0], 400);
    judge.feed(b"loghttp: parse error", &mut none);
    assert_eq!(judge.finish(&mut none), Health::Refused);
    let mut judge = output.judge(&two[0], 400);
    judge.feed(b"entry for stream '{}' has timestamp too old: 1", &mut none);
    assert_eq!(judge.finish(&mut none), Health::Divide);
    assert_eq!(requests.len(), 3);
    two[0].doubt = requests[1].doubt;
    let mut refused = Vec::new();
    let mut judge = output.judge(&two[0], 400);
    judge.feed(b"entry too far behind, total ignored: 2 out of 2 for stream: {}", &mut none);
    assert_eq!(judge.finish(&mut |index, _| refused.push(index)), Health::Good);
    assert_eq!(refused, [0, 1]);
}

#[test]
fn answers_and_what_they_settle() {
    let mut output = output(&[]);
    let request = samples::requests(&mut output, &samples::chunk(&[("t", TIME, "{}")])).remove(0);
    let refused =
        |kind: &str| Some(Verdict::Refused { kind: kind.to_owned(), reason: String::new() });
    for (status, text, expected, health) in [
        (204, "", Some(Verdict::Accepted), Health::Good),
        (200, "", Some(Verdict::Accepted), Health::Good),
        (
            400,
            "entry too far behind, entry timestamp is: x",
            refused("too_far_behind"),
            Health::Good,
        ),
        (
            400,
            "max entry size '262144' bytes exceeded for stream",
            refused("line_too_long"),
            Health::Good,
        ),
        (
            260,
            "ingestion blocked for user 'x' until '2030-01-01T00:00:00Z' with status code '260'",
            refused("blocked_ingestion"),
            Health::Good,
        ),
        (
            400,
            "Client sent an HTTP request to an HTTPS server.",
            Some(Verdict::Blamed { kind: "bad_request".to_owned(), reason: String::new() }),
            Health::Refused,
        ),
        (401, "no org id", None, Health::Busy),
        (429, "", None, Health::Busy),
        (500, "empty ring", None, Health::Failed),
        (503, "", None, Health::Busy),
    ] {
        let mut found = None;
        let mut judge = output.judge(&request, status);
        let mut note = |_, verdict| {
            found = Some(match verdict {
                Verdict::Refused { kind, .. } => Verdict::Refused { kind, reason: String::new() },
                Verdict::Blamed { kind, .. } => Verdict::Blamed { kind, reason: String::new() },
                other => other,
            });
        };
        judge.feed(text.as_bytes(), &mut note);
        assert_eq!(judge.finish(&mut note), health, "{status} {text}");
        assert_eq!(found, expected, "{status} {text}");
    }
}

#[test]
fn what_names_nothing_is_a_warning() {
    for (key, value, expected) in [
        (
            "Labels",
            "$, a=b, c=$, d=$1, $TAG",
            expect![[r#"
                command line: warning: `Labels`: `$`: names no field of a record
                command line: warning: `Labels`: `c=$`: no key is named; write `$key` or `$key['nested']`
                command line: warning: `Labels`: `d=$1`: `$1` names no field of a record; write `$key` or `$key['nested']`
                {a="b", _="t"}
                  1448403340.123456789 {}
            "#]],
        ),
        (
            "Remove_Keys",
            "$0, $TAG",
            expect![[r#"
                command line: warning: `Remove_Keys`: `$0`: `$0` names no field of a record; write `$key` or `$key['nested']`
                command line: warning: `Remove_Keys`: `$TAG`: `$TAG` names no field of a record; write `$key` or `$key['nested']`
                {job="fluent-bit"}
                  1448403340.123456789 {}
            "#]],
        ),
        (
            "Structured_Metadata_Map_Keys",
            "$",
            expect![[r#"
            command line: warning: `Structured_Metadata_Map_Keys`: `$`: no key is named; write `$key` or `$key['nested']`
            {job="fluent-bit"}
              1448403340.123456789 {}
        "#]],
        ),
        (
            "Tenant_ID_Key",
            "$a[",
            expect![[r#"
            command line: warning: `Tenant_ID_Key`: `[` cannot be read; a step down is `['name']` or `[0]`; every record goes to `Tenant_ID`
            {job="fluent-bit"}
              1448403340.123456789 {}
        "#]],
        ),
        (
            "Compress",
            "zstd",
            expect![[r#"
            command line: warning: Loki takes no zstd and refuses it for good: `Compress` changes nothing
            {job="fluent-bit"}
              1448403340.123456789 {}
        "#]],
        ),
    ] {
        let mut section = samples::section(&[(key, value)]);
        let mut diagnostics = Diagnostics::new();
        let options = LokiOptions::read(&mut section, &mut diagnostics);
        let output = Loki::build("loki.0", &options, Letters::Escaped, &section, &mut diagnostics);
        let chunk = samples::chunk(&[("t", TIME, "{}")]);
        let body = unpack(&samples::requests(&mut output.unwrap(), &chunk)[0].body);
        expected.assert_eq(&(diagnostics.to_string() + &body));
    }
}

#[test]
fn what_options_cannot_mean_is_an_error() {
    for (key, value, expected) in [
        (
            "Labels",
            "job",
            expect![[r#"
            command line: `Labels`: `job`: write `name=value` or `$accessor`
        "#]],
        ),
        (
            "Labels",
            "job=",
            expect![[r#"
                command line: `Labels`: `job=`: the value is missing
            "#]],
        ),
        (
            "Label_Keys",
            "stream",
            expect![[r#"
            command line: `Label_Keys`: `stream` is no record accessor; write `$stream`
        "#]],
        ),
        (
            "Structured_Metadata_Map_Keys",
            "map",
            expect![[r#"
            command line: `Structured_Metadata_Map_Keys`: `map`: no key is named; write `$key` or `$key['nested']`
        "#]],
        ),
        (
            "Label_Keys",
            "$1st",
            expect![[r#"
            command line: `Label_Keys`: `$1st`: `$1st` names no field of a record; write `$key` or `$key['nested']`
        "#]],
        ),
        (
            "Header",
            "Bad:Name x",
            expect![[r#"
            command line: `Header` holds characters that no HTTP header can
        "#]],
        ),
        (
            "Uri",
            "no path",
            expect![[r#"
            command line: `Uri` is no path; write it like `/loki/api/v1/push`
        "#]],
        ),
    ] {
        let mut section = samples::section(&[(key, value)]);
        let mut diagnostics = Diagnostics::new();
        let options = LokiOptions::read(&mut section, &mut diagnostics);
        assert!(
            Loki::build("loki.0", &options, Letters::Escaped, &section, &mut diagnostics).is_none(),
            "{key} {value}"
        );
        expected.assert_eq(&diagnostics.to_string());
    }
}
