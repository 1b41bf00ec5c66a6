//! `--dry-run` tells of filters that wait for a field which no record has.

use crate::{Place, SERVICE, STDOUT, tail};
use expect_test::{Expect, expect};

/// What is said of a configuration with these filters behind this input.
#[track_caller]
fn check(input: &str, filters: &str, expected: &Expect) {
    let conf = format!("{SERVICE}{input}{filters}{STDOUT}");
    let place = Place::new(&conf);
    let ended = place.finish(&["--dry-run", "-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = ended.stderr.replace(place.dir().to_str().unwrap(), "@DIR@");
    // Which line it is, counted from the first of the filters.
    let before = format!("{SERVICE}{input}").lines().count();
    let said: Vec<String> = said
        .lines()
        .map(|line| {
            let Some((number, rest)) =
                line.strip_prefix("fluent-bit.conf:").and_then(|rest| rest.split_once(':'))
            else {
                return line.to_owned();
            };
            format!("{}:{rest}", number.parse::<usize>().unwrap() - before)
        })
        .collect();
    expected.assert_eq(&(said.join("\n") + "\n"));
}

/// Container logs through `Parser cri`, whose fields are known.
fn cri() -> String {
    tail("@DIR@/*.log", "    Parser cri")
}

#[test]
fn what_no_parser_and_no_filter_makes() {
    check(
        &cri(),
        "
[FILTER]
    Name grep
    Match *
    Exclude log healthcheck
    Exclude strem stderr
    Regex level error
[FILTER]
    Name modify
    Match *
    Condition Key_exists $kubernetes['host']
    Add a b
    Rename lgotag tag
[FILTER]
    Name parser
    Match *
    Key_Name msg
    Parser json-log
    Reserve_Data On
",
        &expect![[r#"
            6: warning: `Exclude strem` never matches: no parser and no filter before it makes a field `strem`; did you mean `stream`?
            7: warning: `Regex level` never matches: no parser and no filter before it makes a field `level`
            11: warning: `Condition Key_exists $kubernetes['host']` never holds: no parser and no filter before it makes a field `$kubernetes['host']`
            13: warning: `Rename lgotag tag` does nothing: no parser and no filter before it makes a field `lgotag`; did you mean `logtag`?
            17: warning: `Key_Name msg` parses nothing: no parser and no filter before it makes a field `msg`
            configuration test is successful
        "#]],
    );
}

/// Each of these may act.
#[test]
fn nothing_is_said_where_nobody_knows() {
    let filters = "
[FILTER]
    Name grep
    Match *
    Exclude level debug
    Exclude $kubernetes['namespace_name'] kube-system
[FILTER]
    Name modify
    Match *
    Rename msg message
    Copy message text
    Remove nothing
";
    for input in [
        &tail("@DIR@/*.log", "    Parser json-log"),
        &tail("@DIR@/*.log", "    Multiline.Parser cri"),
        "\n[INPUT]\n    Name dummy\n",
        "\n[INPUT]\n    Name stdin\n",
    ] {
        check(
            input,
            filters,
            &expect![[r#"
                configuration test is successful
            "#]],
        );
    }
}

#[test]
fn what_filters_make_is_followed() {
    check(
        &cri(),
        "
[FILTER]
    Name modify
    Match *
    Rename log message
    Add cluster a
    Hard_copy cluster zone
    Remove stream
[FILTER]
    Name record_modifier
    Match *
    Record node b
    Remove_key logtag
[FILTER]
    Name grep
    Match *
    Exclude message a
    Exclude cluster a
    Exclude zone a
    Exclude node a
    Exclude log a
    Exclude stream a
    Exclude logtag a
[FILTER]
    Name parser
    Match *
    Key_Name message
    Parser json-log
[FILTER]
    Name grep
    Match *
    Exclude log a
",
        &expect![[r#"
            21: warning: `Exclude log` never matches: no parser and no filter before it makes a field `log`
            22: warning: `Exclude stream` never matches: no parser and no filter before it makes a field `stream`
            23: warning: `Exclude logtag` never matches: no parser and no filter before it makes a field `logtag`
            configuration test is successful
        "#]],
    );
}

/// What lies in `kubernetes` may be lifted.
#[test]
fn nothing_is_said_behind_a_filter_that_moves_fields() {
    check(
        &tail("/var/log/containers/*.log", "    Parser cri"),
        "
[FILTER]
    Name kubernetes
    Match *
    Merge_Log On
    Keep_Log Off
[FILTER]
    Name nest
    Match *
    Operation lift
    Nested_under kubernetes
    Add_prefix kubernetes_
[FILTER]
    Name grep
    Match *
    Exclude kubernetes_namespace_name kube-system
",
        &expect![[r#"
            configuration test is successful
        "#]],
    );
}

/// Only some of the records that come to the filter have been through another one.
#[test]
fn what_only_some_records_lack() {
    check(
        &format!("{}\n[INPUT]\n    Name dummy\n    Tag other\n", cri()),
        "
[FILTER]
    Name modify
    Match kube.var.*
    Add cluster a
[FILTER]
    Name grep
    Match kube.*
    Exclude cluster a
    Exclude level debug
[FILTER]
    Name grep
    Match *
    Exclude level debug
",
        &expect![[r#"
            10: warning: `Exclude level` never matches: no parser and no filter before it makes a field `level`
            configuration test is successful
        "#]],
    );
}

/// The configuration that `tests/e2e` runs, as people have it.
#[test]
fn what_people_meant() {
    let place = Place::new("");
    let conf = include_str!("../e2e/fluent-bit.conf")
        .replace("@DIR@", "/var/log")
        .replace("@TAG@", "var.log")
        .replace("@KUBE_URL@", "https://kubernetes.default.svc:443")
        .replace("@KUBE_CA@", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
        .replace("@ES_PORT@", "9200")
        .replace("@LOKI_PORT@", "3100");
    place.configure(&conf);
    let ended = place.finish(&["--dry-run", "-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = expect![[r#"
        fluent-bit.conf:19: warning: input `systemd.0`: no output takes a tag like `systemd.*`: its records are read, counted and dropped
        fluent-bit.conf:45: warning: `Key_Name log` sees no line that is JSON: `kubernetes` merges `log` and does not keep it, fluent-bit.conf:35; did you mean `Merge_Parser json-log` there? Here, the parser finds nothing to read
        fluent-bit.conf:53: warning: `Exclude kubernetes_namespace_name` never matches: no parser and no filter before it makes a field `kubernetes_namespace_name`; did you mean `$kubernetes['namespace_name']`?
        fluent-bit.conf:54: warning: `Exclude log` sees no line that is JSON: `kubernetes` merges `log` and does not keep it, fluent-bit.conf:35; put this filter before it
        fluent-bit.conf:60: warning: `Rename log message` sees no line that is JSON: `kubernetes` merges `log` and does not keep it, fluent-bit.conf:35; set `Keep_Log On` there for the text of every line
        configuration test is successful
    "#]];
    let is_of_comment = |line: &&str| line.contains("is taken as a comment");
    let said: Vec<&str> = ended.stderr.lines().filter(|line| !is_of_comment(line)).collect();
    expected.assert_eq(&(said.join("\n") + "\n"));
}

#[test]
fn tags_in_which_no_pod_is_found() {
    let filter = |prefix: &str| {
        format!("\n[FILTER]\n    Name kubernetes\n    Match *\n    Kube_Tag_Prefix {prefix}\n")
    };
    let input = tail("/var/lib/docker/containers/*.log", "    Parser cri");
    let silent = expect![[r#"
        configuration test is successful
    "#]];
    check(&input, &filter("kube.var.lib.docker.containers."), &silent);
    let own = filter("kube.\n    Regex_Parser cri");
    check(&input, &own, &silent);
    let deeper = tail("/var/log/pods/*/*/*.log", "    Parser cri");
    check(&deeper, &filter("kube.var.log.pods.shop_web_1.app."), &silent);
    check(
        &input,
        &filter("kube.var.log.containers."),
        &expect![[r#"
        5: warning: tags here begin with `kube.var.lib.docker.containers.`, not with the `Kube_Tag_Prefix` `kube.var.log.containers.`: no pod is found by them; did you mean `Kube_Tag_Prefix kube.var.lib.docker.containers.`?
        configuration test is successful
    "#]],
    );
}
