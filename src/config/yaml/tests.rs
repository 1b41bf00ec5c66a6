//! Tests of the YAML reader: what becomes of a text, and what is said of it.

use super::super::fixture::show;
use super::fuzz_yaml;
use expect_test::{Expect, expect};

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&show("main.yaml", text));
}

#[test]
fn every_section() {
    check(
        "env:\n  a: b c\nservice: {flush: 1, parsersFile: p.conf}\npipeline:\n  inputs:\n    - name: tail\n      \
         readFromHead: on\n      mem_buf_limit: 5MB\n  filters:\n    - {name: grep, match: '*'}\n  \
         outputs:\n    - name: stdout\n      match: \"*\"\nparsers:\n  - name: p\n    format: json\n\
         multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n      - state: start_state\n        \
         regex: '/^\\d/'\n        nextState: cont\ncustoms:\n  - name: c\nplugins: [/x.so]\n\
         upstream_servers:\n  - name: u\n    nodes: [{host: h}]\nstream_processor:\n  - exec: SQL\n\
         extensions: {x: [1]}\n",
        &expect![[r#"
            a = "b c"
            [SERVICE]
              main.yaml:3 flush: "1"
              main.yaml:3 parsers_file: "p.conf"
            [INPUT]
              main.yaml:6 name: "tail"
              main.yaml:7 read_from_head: "on"
              main.yaml:8 mem_buf_limit: "5MB"
            [FILTER]
              main.yaml:10 name: "grep"
              main.yaml:10 match: "*"
            [OUTPUT]
              main.yaml:12 name: "stdout"
              main.yaml:13 match: "*"
            [PARSER]
              main.yaml:15 name: "p"
              main.yaml:16 format: "json"
            [MULTILINE_PARSER]
              main.yaml:18 name: "m"
              main.yaml:19 type: "regex"
            [rules]
              main.yaml:21 state: "start_state"
              main.yaml:22 regex: "/^\\d/"
              main.yaml:23 next_state: "cont"
            [CUSTOM]
              main.yaml:25 name: "c"
            [PLUGINS]
              main.yaml:26 Path: "/x.so"
            [UPSTREAM_SERVERS]
              main.yaml:28 name: "u"
            [STREAM_PROCESSOR]
              main.yaml:31 exec: "SQL"
            main.yaml:32: note: `extensions` has no effect
        "#]],
    );
}

#[test]
fn scalars_are_texts() {
    check(
        "pipeline:\n  inputs:\n    - name: 'it''s'\n      a: true\n      b: 0x1F\n      c: null\n      d:\n      \
         e: ~\n      f: 1.50\n      g: \"x\\ty # no comment\" # comment\n      h: >\n        two\n        lines\n      \
         i: |\n        two\n        lines\n      j: !!int 5\n      k: &anchor here\n      l: [1, yes, 'x y']\n      \
         Read_from_Head: on\n      storage.type: memory\n      useUri: http://a:1/b#c\n",
        &expect![[r#"
            [INPUT]
              main.yaml:3 name: "it's"
              main.yaml:4 a: "true"
              main.yaml:5 b: "0x1F"
              main.yaml:6 c: "null"
              main.yaml:7 d: ""
              main.yaml:8 e: "~"
              main.yaml:9 f: "1.50"
              main.yaml:10 g: "x\ty # no comment"
              main.yaml:11 h: "two lines"
              main.yaml:14 i: "two\nlines"
              main.yaml:17 j: "5"
              main.yaml:18 k: "here"
              main.yaml:19 l: "1"
              main.yaml:19 l: "yes"
              main.yaml:19 l: "x y"
              main.yaml:20 Read_from_Head: "on"
              main.yaml:21 storage.type: "memory"
              main.yaml:22 use_uri: "http://a:1/b#c"
        "#]],
    );
}

#[test]
fn variables() {
    check(
        "env:\n  - name: a\n    value: 1\n  - name: b\n    uri: file:///b\n    refresh_interval: 5s\n  \
         - c: 2\n  - value: 3\n  - x\n",
        &expect![[r#"
            a = "1"
            b = "file:///b"
            c = "2"
            main.yaml:6: note: `refresh_interval` has no effect: files are read at the start
            main.yaml:8: warning: an item of `env` without `name`
            main.yaml:9: an item of `env` must be a map
        "#]],
    );
}

#[test]
fn files_in_files() {
    check(
        "includes:\n  - one.yaml\n  - part-*\nservice:\n  flush: 1\n\
         --- one.yaml\nincludes: [two.yaml]\n--- two.yaml\npipeline: {inputs: [{name: a}]}\n\
         --- part-1\npipeline: {filters: [{name: b}]}\n--- part-2\n# nothing\n",
        &expect![[r#"
            [INPUT]
              two.yaml:1 name: "a"
            [FILTER]
              part-1:1 name: "b"
            [SERVICE]
              main.yaml:5 flush: "1"
        "#]],
    );
    check(
        "includes: [main.yaml, missing.yaml, none-*, [x]]\n",
        &expect![[r#"
            main.yaml:1: `main.yaml` is included twice
            main.yaml:1: `missing.yaml` cannot be read: no such file
            main.yaml:1: warning: `none-*`: no file matches
            main.yaml:1: `includes` must be a single value, it is a list
        "#]],
    );
    check(
        "includes: one.yaml\n",
        &expect![[r#"
        main.yaml:1: `includes` must be a list, it is a single value
    "#]],
    );
    check(
        "service: {flush: 1}\nincludes: [b]\n--- b\nservice: {grace: 1}\n",
        &expect![[r#"
            [SERVICE]
              main.yaml:1 flush: "1"
            [SERVICE]
              b:1 grace: "1"
            b:1: there is a second `service`; all files together have one
        "#]],
    );
}

#[test]
fn shapes_that_are_refused() {
    check(
        "- a\n",
        &expect![[r#"
        main.yaml:1: a configuration is a map: `service:`, `pipeline:` and so on
    "#]],
    );
    check(
        "service:\npipeline:\nenv: x\n",
        &expect![[r#"
        [SERVICE]
        main.yaml:1: `service` must be a map, it is nothing
        main.yaml:2: `pipeline` must be a map, it is nothing
        main.yaml:3: `env` must be a map, it is a single value
    "#]],
    );
    check(
        "pipeline:\n  inputs:\n  filter: []\n  outputs: {name: a}\n",
        &expect![[r#"
        main.yaml:2: `inputs` must be a list, it is nothing
        main.yaml:3: `pipeline` has no `filter`; it has `inputs`, `filters` and `outputs`
        main.yaml:4: `outputs` must be a list, it is a map
    "#]],
    );
    check(
        "pipeline:\n  inputs:\n    - tail\n    - [a]\n",
        &expect![[r#"
        main.yaml:3: an item of `inputs` must be a map that begins with `name`
        main.yaml:4: an item of `inputs` must be a map that begins with `name`
    "#]],
    );
    check(
        "pipeline:\n  inputs:\n    - name: a\n      b: {c: d}\n      e: []\n      f: [[1]]\n",
        &expect![[r#"
            [INPUT]
              main.yaml:3 name: "a"
            main.yaml:4: `b` cannot be a map
            main.yaml:5: `e` is an empty list
            main.yaml:6: `f` must be a single value, it is a list
        "#]],
    );
    check(
        "service:\n  a: [1]\n  b: {c: 1}\n",
        &expect![[r#"
        [SERVICE]
        main.yaml:2: `a` must be a single value, it is a list
        main.yaml:3: `b` must be a single value, it is a map
    "#]],
    );
    check(
        "parsers:\n  - name: [a]\n  - x\nparsers: {name: x}\n",
        &expect![[r#"
        [PARSER]
        main.yaml:2: `name` must be a single value, it is a list
        main.yaml:3: an item of `parsers` must be a map
        main.yaml:4: `parsers` must be a list, it is a map
    "#]],
    );
    check(
        "multiline_parsers:\n  - rules: {state: a}\n  - rules: [x]\n",
        &expect![[r#"
        [MULTILINE_PARSER]
        [MULTILINE_PARSER]
        main.yaml:2: `rules` must be a list, it is a map
        main.yaml:3: an item of `rules` must be a map
    "#]],
    );
}

#[test]
fn what_is_not_there_yet() {
    check(
        "pipeline:\n  inputs:\n    - name: a\n      routes: {logs: [{to: {}}]}\n      processors:\n        \
         logs: [{name: x}]\n    - name: b\n      processors: {logs: [], trace: []}\n  filters:\n    - name: c\n      \
         processors: {logs: [{name: x}]}\n  outputs:\n    - name: d\n      routes: [x]\n",
        &expect![[r#"
            [INPUT]
              main.yaml:3 name: "a"
            [INPUT]
              main.yaml:7 name: "b"
            [FILTER]
              main.yaml:10 name: "c"
            [OUTPUT]
              main.yaml:13 name: "d"
            main.yaml:4: `routes` are not supported yet; let `match` of the outputs select by tag
            main.yaml:6: processor `x` is not supported yet; use filters: `modify`, `grep`, `parser`
            main.yaml:8: `processors` has no `trace`; it has `logs`
            main.yaml:11: warning: a filter has no processors: no effect
            main.yaml:14: note: `routes` has no effect here
        "#]],
    );
}

#[test]
fn telemetry() {
    let enabled = "metrics: {logs: {tag_records: {enabled: on, max_series: 5}}}";
    check(
        &format!("service: {{telemetry: {{{enabled}}}}}\n"),
        &expect![[r#"
        [SERVICE]
        main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
    "#]],
    );
    check(
        &format!("pipeline: {{inputs: [{{name: a, telemetry: {{{enabled}}}}}]}}\n"),
        &expect![[r#"
            [INPUT]
              main.yaml:1 name: "a"
            main.yaml:1: `tag_records` has no `max_series`
            main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
        "#]],
    );
    check(
        "service: {telemetry: {metrics: {traces: {}}}}\n",
        &expect![[r#"
        [SERVICE]
        main.yaml:1: `telemetry` has no `traces`; it has `logs` there
    "#]],
    );
    check(
        "service: {telemetry: {metrics: {logs: {tag_records: {enabled: maybe}}}}}\n",
        &expect![[r#"
            [SERVICE]
            main.yaml:1: `enabled` cannot be `maybe`
            main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
        "#]],
    );
    check(
        "service: {telemetry: {metrics: on}}\n",
        &expect![[r#"
        [SERVICE]
        main.yaml:1: `telemetry`: `logs` stands in no map
    "#]],
    );
}

#[test]
fn other_keys_are_taken_as_headers_are() {
    check(
        "input:\n  name: a\nservic:\n  flush: 1\nsomething: {a: b}\nelse: x\n",
        &expect![[r#"
            [INPUT]
              main.yaml:2 name: "a"
            [SERVICE]
              main.yaml:4 flush: "1"
            [something]
              main.yaml:5 a: "b"
            [else]
            main.yaml:3: warning: `servic` is taken as `SERVICE`
            main.yaml:5: warning: `something` is no section and is passed over
            main.yaml:6: warning: `else` is no section and is passed over
            main.yaml:6: `else` must be a map, it is a single value
        "#]],
    );
}

#[test]
fn broken_syntax() {
    check(
        "pipeline:\n  outputs:\n    - match: *\n",
        &expect![[r#"
        main.yaml:3: not valid YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character; a value that begins with `*` must stand in quotes
    "#]],
    );
    check(
        "a: &x b\nb: *x\n",
        &expect![[r#"
        main.yaml:2: not valid YAML: aliases (`*name`) are not allowed, as in Fluent Bit; a value that begins with `*` must stand in quotes
    "#]],
    );
    check(
        "pipeline:\n  bad: [1, 2\n",
        &expect![[r#"
        main.yaml:3: not valid YAML: while parsing a flow sequence, expected ',' or ']'; look for a missing `:` or an indentation there or in the line above
    "#]],
    );
    check(
        "service:\n  flush 1\n  grace: 1\n",
        &expect![[r#"
        main.yaml:3: not valid YAML: mapping values are not allowed in this context; look for a missing `:` or an indentation there or in the line above
    "#]],
    );
    check(
        "service:\n\tflush: 1\n",
        &expect![[r#"
        main.yaml:2: not valid YAML: tabs disallowed within this context (block indentation); look for a missing `:` or an indentation there or in the line above
    "#]],
    );
    check(
        "service: \u{7}\n",
        &expect![[r#"
        main.yaml:1: control character '\u{7}', which YAML does not allow
    "#]],
    );
    check(
        "? [a]\n: b\n",
        &expect![[r#"
        main.yaml:1: not valid YAML: a list or map cannot be a key; look for a missing `:` or an indentation there or in the line above
    "#]],
    );
    check(
        &format!("a: {}", "[".repeat(100)),
        &expect![[r#"
        main.yaml:1: not valid YAML: nested deeper than 64; look for a missing `:` or an indentation there or in the line above
    "#]],
    );
    fuzz_yaml(b"service: \xff");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes: Vec<u8>) {
        fuzz_yaml(&bytes);
    }

    #[test]
    fn any_lines_are_read_to_their_end(
        text in "((  ){0,3}(- )?(service|pipeline|inputs|name|includes|env|a): ?([a*&\\[{,'\"|]|x)?\n){0,20}",
    ) {
        fuzz_yaml(text.as_bytes());
    }
}
