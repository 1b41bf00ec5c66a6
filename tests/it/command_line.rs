//! Fluent Bit's command line, and what a wrong configuration is told.

use crate::{LIMIT, PROGRAM, Place, SERVICE, STDOUT, tail};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use tailwater_testing::{Agent, Ended};

/// Runs with something on standard input until the agent ends by itself.
fn pipe(arguments: &[&str], input: &str) -> Ended {
    let folder = tailwater_testing::folder();
    let mut agent = Agent::start_with(Path::new(PROGRAM), folder.path(), arguments, Stdio::piped());
    agent.stdin().write_all(input.as_bytes()).unwrap();
    agent.wait(LIMIT)
}

#[test]
fn a_pipeline_from_arguments_alone() {
    let arguments = ["-q", "-i", "stdin", "-o", "stdout", "-p", "format=json_lines"];
    let ended = pipe(&arguments, "{\"a\":1}\n{\"b\":[2,{\"c\":null}]}\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{}", ended.stdout);
    assert!(records.iter().all(|record| record["date"].is_number()));
    assert_eq!(records[0]["a"], 1);
    assert_eq!(records[1]["b"], serde_json::json!([2, {"c": null}]));
}

/// `| head -1`: the agent ends instead of throwing records away for ever.
#[test]
fn a_reader_that_goes_away_ends_the_agent() {
    let mut reader = std::process::Command::new(PROGRAM)
        .args(["-q", "-i", "dummy", "-f", "0.1", "-o", "stdout", "-p", "format=json_lines"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(reader.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert!(line.contains("dummy"), "{line}");
    // The pipe is closed now, and the next record finds that out.
    let mut code = None;
    assert!(tailwater_testing::until(LIMIT, || {
        code = reader.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    }));
    assert_eq!(code, Some(Some(0)));
}

/// `-p` belongs to the plugin named before it, `-m` to the output, `-t` to the input.
#[test]
fn arguments_keep_their_order() {
    let arguments = [
        "-q",
        "-i",
        "dummy",
        "-p",
        "samples=1",
        "-t",
        "one",
        "-i",
        "dummy",
        "-p",
        "samples=1",
        "-p",
        r#"dummy={"m":"two"}"#,
        "-t",
        "two",
        "-F",
        "modify",
        "-m",
        "two",
        "-p",
        "Add=x y",
        "-o",
        "stdout",
        "-m",
        "two",
        "-p",
        "format=json_lines",
        "-f",
        "0.2",
    ];
    let folder = tailwater_testing::folder();
    let agent = Agent::start(Path::new(PROGRAM), folder.path(), &arguments);
    assert!(tailwater_testing::until(LIMIT, || agent.stdout().contains('\n')));
    let ended = agent.terminate(LIMIT);
    let records: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 1, "{}", ended.stdout);
    assert_eq!((&records[0]["m"], &records[0]["x"]), (&"two".into(), &"y".into()));
}

#[test]
fn version_and_help_need_no_configuration() {
    let version = pipe(&["-V"], "");
    assert_eq!(version.code, Some(0));
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", version.stdout);
    let help = pipe(&["-h"], "");
    assert_eq!(help.code, Some(0));
    for option in ["--config", "--dry-run", "--input", "--output", "--parser", "--prop"] {
        assert!(help.stdout.contains(option), "`{option}` is not in:\n{}", help.stdout);
    }
}

/// What a configuration is told: its exit code, and what standard error must hold.
fn check(conf: &str, expected: (i32, &[&str])) {
    let place = Place::new(conf);
    place
        .write("ahead.conf", b"[PARSER]\n    Name ahead\n    Format regex\n    Regex ^(?<a>\\X)\n");
    for arguments in [&["-c", "fluent-bit.conf"][..], &["-D", "-c", "fluent-bit.conf"]] {
        let ended = place.finish(arguments);
        assert_eq!(ended.code, Some(expected.0), "{conf}\n{}", ended.stderr);
        for text in expected.1 {
            assert!(ended.stderr.contains(text), "`{text}` is not in:\n{}", ended.stderr);
        }
    }
}

#[test]
fn what_cannot_be_meant_is_said_with_its_line_and_a_near_name() {
    let input = "[INPUT]\n    Name dummy\n    Samples 1\n";
    let output = "[OUTPUT]\n    Name stdout\n    Match *\n";
    check(
        &format!("[INPUT]\n    Name tail\n    Pth /x\n{output}"),
        (1, &["fluent-bit.conf:3", "Pth", "Path"]),
    );
    check(
        &format!("[INPUT]\n    Name tial\n{output}"),
        (1, &["fluent-bit.conf:2", "tial", "tail"]),
    );
    check(
        &format!("{input}    Parser cir\n{output}")
            .replace("dummy", "stdin")
            .replace("    Samples 1\n", ""),
        (1, &["fluent-bit.conf:3", "cir"]),
    );
    check(
        &format!("[SERVICE]\n    Parsers_File ahead.conf\n{input}    Parser ahead\n{output}")
            .replace("dummy", "stdin")
            .replace("    Samples 1\n", ""),
        // It is there and Fluent Bit would use it: to go on without would change what is delivered.
        (1, &["fluent-bit.conf:5", "ahead"]),
    );
    check(
        &format!("{input}[FILTER]\n    Name grep\n    Match *\n    Regex log (\n{output}"),
        (1, &["fluent-bit.conf:7"]),
    );
    check(
        &format!("[INPUT]\n    Name tail\n    Path /x\n    Mem_Buf_Limit lots\n{output}"),
        (1, &["fluent-bit.conf:4", "lots"]),
    );
    check(
        &format!(
            "[INPUT]\n    Name stdin\n    Tag app.log\n\
             [FILTER]\n    Name grep\n    Match ap.log\n{output}"
        ),
        (0, &["fluent-bit.conf:6: warning", "did you mean `app.log`?"]),
    );
    check(
        &format!("[INPTU]\n    Name dummy\n{output}"),
        (0, &["fluent-bit.conf:1: warning", "INPUT"]),
    );
}

/// Variables, includes, lists and parsers of YAML, from the file to the records.
#[test]
fn what_fluent_bit_refuses_and_what_it_passes_over() {
    let filter = "[INPUT]\n    Name dummy\n[FILTER]\n    Name grep\n    Regex a 1\n[OUTPUT]\n    Name null\n    Match *\n";
    check(filter, (1, &["fluent-bit.conf:3: filter `grep.0` has no `Match`"]));
    let emptied = filter.replace("Regex a 1", "Regex a 1\n    Match ${NO_SUCH_VARIABLE_HERE}");
    let ended = Place::new(&emptied).finish(&["-D", "-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let empty = filter.replace("Regex a 1", "Match *\n    Regex ${NO_SUCH_VARIABLE_HERE}");
    check(&empty, (1, &["fluent-bit.conf:6: `Regex` has no value"]));
    let unreadable =
        "[SERVICE]\n    Grace soon\n    HTTP_Port many\n    storage.sync now\n".to_owned();
    check(&unreadable, (1, &["conf:2: warning: `Grace`", "conf:4: `storage.sync`"]));
    let unreadable = unreadable.replace("    storage.sync now\n", "    HTTP_Server on\n");
    check(&unreadable, (1, &["`HTTP_Server` is on and `HTTP_Port` is no port"]));
}

#[test]
fn yaml_says_what_the_classic_syntax_says() {
    let place = Place::new("");
    place.write("app.log", b"one\ntwo\n");
    place.write(
        "main.yaml",
        b"includes:\n  - more*.yaml\nenv:\n  file: app.log\nservice:\n  flush: 0.2\nparsers:\n  - name: word\n    \
        format: regex\n    regex: '^(?<word>\\w+)$'\npipeline:\n  inputs:\n    - name: tail\n      path: ${file}\n      \
        readFromHead: true\n      exit_on_eof: on\n      parser: word\n  outputs:\n    - name: stdout\n      \
        match: '*'\n      format: json_lines\n      json_date_key: false\n",
    );
    place.write(
        "more-filters.yaml",
        b"pipeline:\n  filters:\n    - name: modify\n      match: tail.*\n      add:\n        - a 1\n        - b 2\n",
    );
    let ended = place.finish(&["-c", "main.yaml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = |word: &str| serde_json::json!({"word": word, "a": "1", "b": "2"});
    assert_eq!(records, [expected("one"), expected("two")]);
}

#[test]
fn a_log_file_that_cannot_be_opened_stops_nothing() {
    let ended = pipe(
        &["-l", "/nowhere/at/all.log", "-i", "stdin", "-o", "stdout", "-m", "*"],
        "{\"a\":1}\n",
    );
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("{\"a\"=>1}"), "{}", ended.stdout);
    assert!(ended.stderr.contains("cannot open the log file"), "{}", ended.stderr);
}

#[test]
fn a_dry_run_reads_and_sends_nothing() {
    let place = Place::new(&[SERVICE, &tail("@DIR@/*.log", "    Exit_On_Eof On"), STDOUT].concat());
    place.write("app.log", b"line\n");
    let ended = place.finish(&["-D", "-c", "fluent-bit.conf"]);
    assert_eq!((ended.code, ended.stdout.contains("line")), (Some(0), false), "{}", ended.stderr);
    assert!(!place.path("positions.db").exists());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ended = pipe(&["-c", "nowhere.conf"], "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("nowhere.conf"), "{}", ended.stderr);
}

#[test]
fn a_tail_without_a_database_is_warned_about_once() {
    let input =
        "[INPUT]\n    Name tail\n    Path @DIR@/*.log\n    Exit_On_Eof On\n    Read_from_Head On\n";
    let place = Place::new(&[input, STDOUT].concat());
    place.write("app.log", b"line\n");
    let ended = place.finish(&["-c", "fluent-bit.conf"]);
    let warnings = ended.stderr.lines().filter(|line| line.contains("DB")).count();
    assert_eq!((ended.code, warnings), (Some(0), 1), "{}", ended.stderr);
}
