//! Whatever lies in a file or in the way of it: nothing stops.

use crate::{LIMIT, PROGRAM, Place, SERVICE, STDOUT, endpoints, es, tail, wait_for};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tailwater_testing::{Agent, BulkStore, Faults, free_port, until};

/// The `log` fields that come out for a file, which is followed by a line that must come too.
fn check(bytes: &[u8], more: &str, expected: &[&str]) {
    let conf = [SERVICE, &tail("@DIR@/app.log", &format!("    Exit_On_Eof On\n{more}")), STDOUT];
    let place = Place::new(&conf.concat());
    place.write("app.log", &[bytes, b"the end\n"].concat());
    let ended = place.finish(&["-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let field = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["log"].as_str().unwrap().to_owned()
    };
    let found: Vec<_> = ended.stdout.lines().map(field).collect();
    assert_eq!(found, [expected, &["the end"]].concat());
}

#[test]
fn bytes_that_are_no_text_come_out_as_valid_json() {
    check(b"caf\xc3\xa9 \xff\xfe x\n", "", &["café \u{fffd}\u{fffd} x"]);
    check(b"nul \0 in it\n", "", &["nul \0 in it"]);
    check(b"bell \x07 escape \x1b[0m tab \t\n", "", &["bell \u{7} escape \u{1b}[0m tab \t"]);
    check(b"\"quoted\" \\ back\n", "", &["\"quoted\" \\ back"]);
    check("\u{2028} \u{1f600} \u{10ffff}\n".as_bytes(), "", &["\u{2028} \u{1f600} \u{10ffff}"]);
}

#[test]
fn ends_of_lines() {
    check(b"dos\r\nunix\n", "", &["dos", "unix"]);
    // As Fluent Bit passes them on, unless `Skip_Empty_Lines` is on.
    check(b"\n\none\n\n", "", &["", "", "one", ""]);
    check(b"\n\none\n\n", "    Skip_Empty_Lines On", &["one"]);
}

#[test]
fn a_lone_surrogate_does_not_spoil_the_others_of_its_request() {
    let store = BulkStore::start(Faults::default());
    let parser =
        "\n[FILTER]\n    Name parser\n    Match *\n    Key_Name log\n    Parser json-log\n";
    let place =
        Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), parser, &es(store.port(), "")].concat());
    place.write(
        "app.log",
        b"{\"seq\":0}\n{\"seq\":1,\"bad\":\"\\ud800 x\"}\n{\"seq\":2,\"n\":1e300}\n{\"seq\":3}\n",
    );
    let agent = place.start();
    wait_for(&store, 4, &agent);
    // Every stored source is JSON that any reader takes.
    assert!(store.documents().iter().all(|document| document.fields().is_object()));
}

#[test]
fn over_long_lines_are_skipped_or_cut_and_the_file_goes_on() {
    let long = "x".repeat(10_000) + "\n";
    let limits = "    Buffer_Chunk_Size 1k\n    Buffer_Max_Size 4k\n";
    check(long.as_bytes(), &format!("{limits}    Skip_Long_Lines On"), &[]);
    // Cut at what the buffer holds; how much of the rest is dropped is not what matters here.
    let conf = [
        SERVICE,
        &tail("@DIR@/app.log", &format!("    Exit_On_Eof On\n{limits}    Truncate_Long_Lines On")),
        STDOUT,
    ];
    let place = Place::new(&conf.concat());
    place.write("app.log", (long + "the end\n").as_bytes());
    let ended = place.finish(&["-c", "fluent-bit.conf"]);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines.first().is_some_and(|line| (1_000..5_000).contains(&line.len())), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.contains("the end")), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let store = BulkStore::start(Faults::default());
    let place = Place::new(&[SERVICE, &tail("@DIR@/*.log", ""), &es(store.port(), "")].concat());
    place.write("closed.log", b"seq=0\n");
    let mode = |mode| Permissions::from_mode(mode);
    std::fs::set_permissions(place.path("closed.log"), mode(0o000)).unwrap();
    std::fs::create_dir(place.path("folder.log")).unwrap();
    std::os::unix::fs::symlink(place.path("nowhere"), place.path("dangling.log")).unwrap();
    place.write("empty.log", b"");
    place.write("open.log", b"seq=1\n");
    let agent = place.start_humbly();
    wait_for(&store, 1, &agent);
    assert!(until(LIMIT, || agent.stderr().contains("closed.log")), "{}", agent.stderr());
    std::fs::set_permissions(place.path("closed.log"), mode(0o644)).unwrap();
    wait_for(&store, 2, &agent);
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("closed.log").count(), 1, "{}", ended.stderr);
}

#[test]
fn everything_odd_is_counted_and_no_content_is_logged() {
    let port = free_port();
    let service = format!(
        "{SERVICE}    Log_Level trace\n    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port {port}\n"
    );
    let input = tail("@DIR@/*.log", "    Parser cri\n    Skip_Long_Lines On");
    let filter =
        "\n[FILTER]\n    Name parser\n    Match *\n    Key_Name log\n    Parser json-log\n";
    let place = Place::new(&[&service, &input, filter, STDOUT].concat());
    let cri = |log: &str| format!("2026-01-01T00:00:00Z stdout F {log}\n").into_bytes();
    let lines = [
        cri(r#"{"secret":1}"#),
        cri("secret, and no JSON"),
        cri(r#"{"secret":"half \ud800 a pair"}"#),
        b"secret, and no CRI\n".to_vec(),
        b"secret \xff\n".to_vec(),
        [b"secret ", "x".repeat(40_000).as_bytes(), b"\n"].concat(),
    ];
    place.write("a.log", &lines.concat());
    place.write("closed.log", b"");
    std::fs::set_permissions(place.path("closed.log"), Permissions::from_mode(0o000)).unwrap();
    let agent = place.start_humbly();
    let expected = [
        "fluentbit_output_proc_records_total{name=\"stdout.0\"} 5 ",
        "fluentbit_input_long_line_skipped_total{name=\"tail.0\"} 1 ",
        "tailwater_input_unparsed_lines_total{name=\"tail.0\"} 2 ",
        "tailwater_input_invalid_utf8_total{name=\"tail.0\"} 1 ",
        "tailwater_input_unreadable_files_total{name=\"tail.0\"} 1 ",
        // The one that is no JSON, and the two that are no CRI.
        "tailwater_filter_unparsed_records_total{name=\"parser.0\"} 3 ",
        "tailwater_filter_repaired_json_total{name=\"parser.0\"} 1 ",
    ];
    let metrics = || endpoints::metrics(port);
    for line in expected {
        let is_counted = || metrics().contains(line);
        assert!(until(LIMIT, is_counted), "`{line}` is not in:\n{}", metrics());
    }
    let ended = agent.terminate(LIMIT);
    assert!(!ended.stderr.contains("secret"), "a record's content in:\n{}", ended.stderr);
}

#[test]
fn a_folder_that_appears_later_is_found() {
    let store = BulkStore::start(Faults::default());
    let place =
        Place::new(&[SERVICE, &tail("@DIR@/later/*/x.log", ""), &es(store.port(), "")].concat());
    let agent = place.start();
    for (number, name) in ["one", "two"].iter().enumerate() {
        std::fs::create_dir_all(place.path("later").join(name)).unwrap();
        std::fs::write(place.path("later").join(name).join("x.log"), format!("seq={number}\n"))
            .unwrap();
        wait_for(&store, number as u64 + 1, &agent);
    }
}

#[test]
fn standard_input_takes_anything() {
    let place = Place::new(
        "[INPUT]\n    Name stdin\n[OUTPUT]\n    Name stdout\n    Match *\n    Format json_lines\n",
    );
    place.write("input", b"{\"a\":1}\nnot json\n\xff\xfe\0\n[1,2]\n{\"a\":2}\n");
    let input = std::fs::File::open(place.path("input")).unwrap();
    let agent = Agent::start_with(
        Path::new(PROGRAM),
        place.dir(),
        &["-c", "fluent-bit.conf"],
        input.into(),
    );
    let ended = agent.wait(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let kept: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &Value| record["a"].is_number())
        .collect();
    assert_eq!(kept.len(), 2, "{}", ended.stdout);
}

/// The usual soft limit is far below the hard one.
#[test]
fn more_files_than_the_soft_limit_of_open_files_allows() {
    let input = tail("@DIR@/*.log", "    Exit_On_Eof On");
    let place = Place::new(&[SERVICE, &input, STDOUT].concat());
    for number in 0..200 {
        place.write(&format!("{number}.log"), b"a line\n");
    }
    let arguments = ["--nofile=100:1000", PROGRAM, "-c", "fluent-bit.conf"];
    let ended = Agent::start(Path::new("prlimit"), place.dir(), &arguments).wait(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 200, "{}", ended.stderr);
}
