//! Tests of the command line, over two plugins of their own.

use super::*;
use crate::config::{Plugin, PluginKind, Property, Section, Transport, properties};
use expect_test::{Expect, expect};
use std::fmt::Write as _;

properties! {
    /// Follows files by path pattern.
    struct FollowOptions for "tail" {
        /// Files to follow.
        path: Vec<String> ["Path"],
        /// Upper bound of one line; a longer one is cut and flagged, or passed over whole with
        /// `Skip_Long_Lines`.
        buffer_max_size: crate::config::Size ["Buffer_Max_Size" = "32k"],
    }
}

properties! {
    /// Writes records to standard output.
    struct PrintOptions for "stdout" {
        /// The syntax.
        format: Option<String> ["Format"],
    }
}

const fn plugin(
    name: &'static str,
    kind: PluginKind,
    doc: &'static str,
    properties: &'static [Property],
    check: fn(&mut Section, &mut Diagnostics),
) -> Plugin {
    Plugin { name, kind, doc, properties, transport: Transport::Local, check }
}

const CATALOG: Catalog = Catalog(&[
    &plugin(
        FollowOptions::NAME,
        PluginKind::Input,
        FollowOptions::DOC,
        FollowOptions::PROPERTIES,
        FollowOptions::check,
    ),
    &plugin(
        PrintOptions::NAME,
        PluginKind::Output,
        PrintOptions::DOC,
        PrintOptions::PROPERTIES,
        PrintOptions::check,
    ),
]);

#[expect(clippy::unnecessary_wraps, reason = "as a plan that can fail")]
fn plan(model: Model, _diagnostics: &mut Diagnostics) -> Option<Model> {
    Some(model)
}

/// Runs a command line, `@DIR@` standing for a folder with these files.
fn check_files(files: &[(&str, &str)], line: &[&str], expected: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    let dir = real.to_str().unwrap();
    for (name, text) in files {
        std::fs::create_dir_all(real.join(name).parent().unwrap()).unwrap();
        std::fs::write(real.join(name), text.replace("@DIR@", dir)).unwrap();
    }
    let arguments = line.iter().map(|argument| OsString::from(argument.replace("@DIR@", dir)));
    let mut diagnostics = Diagnostics::new();
    let mut out = match command(arguments, CATALOG, plan, &mut diagnostics) {
        Command::Run(model, _) => shown(&model),
        Command::Print(text) => text,
        Command::Buffer(inspection) => format!("{inspection:?}\n"),
        Command::Passed(text) => format!("passed: {text}"),
        Command::DeadLetters(command) => format!("{command:?}\n"),
        Command::Refused => "refused\n".to_owned(),
    };
    write!(out, "{diagnostics}").unwrap();
    expected.assert_eq(&out.replace(dir, "@DIR@"));
}

fn check(line: &[&str], expected: &Expect) {
    check_files(&[], line, expected);
}

fn shown(model: &Model) -> String {
    let service = &model.service;
    let mut out = format!("flush {:?}, log {:?}\n", service.flush, service.log_level);
    for parser in &model.parsers {
        writeln!(out, "parser {} {:?}", parser.name, parser.format).unwrap();
    }
    for input in &model.inputs {
        let FollowOptions { path, buffer_max_size } = input.options(FollowOptions::read);
        let tag = input.common.tag.as_deref();
        writeln!(out, "input {} tag {tag:?} {path:?} {buffer_max_size:?}", input.name).unwrap();
    }
    for output in &model.outputs {
        let PrintOptions { format } = output.options(PrintOptions::read);
        let pattern = output.common.pattern.as_deref();
        writeln!(out, "output {} match {pattern:?} {format:?}", output.name).unwrap();
    }
    out
}

#[test]
fn a_pipeline_of_options() {
    check(
        &["-q", "-f", "2", "-i", "tail", "-p", "path=/a", "-t", "x", "-o", "stdout", "-m", "*"],
        &expect![[r#"
            flush 2s, log Off
            input tail.0 tag Some("x") ["/a"] Size(32000)
            output stdout.0 match Some("*") None
        "#]],
    );
    check(
        &["-vi", "TAIL", "--output=stdout"],
        &expect![[r#"
        flush 1s, log Debug
        input tail.0 tag None [] Size(32000)
        output stdout.0 match Some("*") None
    "#]],
    );
}

#[test]
fn what_is_not_understood() {
    check(
        &["-p", "a=b"],
        &expect![[r#"
        refused
        command line: `-p` belongs to no plugin; write it behind `-i`, `-F` or `-o`
    "#]],
    );
    check(
        &["-i", "tial"],
        &expect![[r#"
        refused
        command line: there is no input `tial`; did you mean `tail`?
    "#]],
    );
    check(
        &["-i", "tail", "-m", "x", "-p", "path", "-p", "pth=/x"],
        &expect![[r#"
        refused
        command line: warning: `-m` has no effect: it belongs behind `-F` or `-o`
        command line: warning: `-p` without `=` sets nothing
        command line: `tail` has no property `pth`; did you mean `Path`?
    "#]],
    );
    check(
        &["-i", "tail", "-t", "a.*", "-i", "tail", "-t", "b", "-o", "stdout", "-m", "b*"],
        &expect![[r#"
            flush 1s, log Info
            input tail.0 tag Some("a.*") [] Size(32000)
            input tail.1 tag Some("b") [] Size(32000)
            output stdout.0 match Some("b*") None
            command line: warning: input `tail.0`: no output takes a tag like `a.*`: its records are read, counted and dropped
        "#]],
    );
    check(
        &["-i", "forward", "-o", "stdout"],
        &expect![[r#"
        refused
        command line: input `forward` is not supported yet; let the sender write files and `tail` them
    "#]],
    );
}

#[test]
fn arguments_that_are_refused() {
    check(
        &["--confg", "x"],
        &expect![[r#"
        refused
        command line: there is no option `--confg`; did you mean `--config`?
    "#]],
    );
    check(
        &["-c"],
        &expect![[r#"
        refused
        command line: missing argument for option '-c'
    "#]],
    );
    check(
        &["-e", "x.so", "-x"],
        &expect![[r#"
        refused
        command line: `-e` is not supported: shared libraries cannot be loaded
        command line: there is no option `-x`; `-h` lists them
    "#]],
    );
    check(
        &["-o", "stdout://h:1/x", "-i", "tail", "stray"],
        &expect![[r#"
        refused
        command line: warning: `stray` is no option and is passed over
        command line: `/x` in the plugin's name is not supported; set it by its property: `Index`, `URI`
    "#]],
    );
    check(
        &["-c", "@DIR@/none.conf", "-w", "@DIR@/none"],
        &expect![[r#"
        refused
        command line: cannot change to folder `@DIR@/none`: No such file or directory (os error 2)
    "#]],
    );
    check(
        &["check"],
        &expect![[r#"
        refused
        command line: check what? write `tailwater check FILE`
    "#]],
    );
}

#[test]
fn help_and_version() {
    check(
        &["help", "stdot"],
        &expect![[r#"
        refused
        command line: there is no plugin `stdot`; did you mean `stdout`?
    "#]],
    );
    check(
        &["-V"],
        &expect![[r#"
        tailwater v0.1.0
    "#]],
    );
}

#[test]
fn the_help_lists_flags_and_plugins() {
    check(
        &["--help"],
        &expect![[r#"
            Usage: tailwater [OPTION]…
                   tailwater check FILE [--strict]
                   tailwater buffer ls|cat|verify PATH
                   tailwater dead-letter list|show|replay PATH
                   tailwater help [PLUGIN]

            Options
              -c, --config=FILE               configuration file
              -i, --input=INPUT               add an input
              -F, --filter=FILTER             add a filter
              -o, --output=OUTPUT             add an output
              -p, --prop=KEY=VALUE            property of the plugin named last
              -m, --match=MATCH               tags that the filter or output named last takes
              -t, --tag=TAG                   tag of the input named last
              -f, --flush=SECONDS             longest time a record waits
              -R, --parser=FILE               parsers file; may be repeated
              -D, --dry-run                   check the configuration and stop
              -q, --quiet                     log nothing
              -v, --verbose                   log more; -vv logs most
              -l, --log_file=FILE             log to a file
              -b, --storage_path=PATH         folder of what waits on disk
              -w, --workdir=PATH              change to this folder first
              -H, --http                      serve metrics and health
              -L, --http_listen=ADDRESS       address of the HTTP server
              -P, --port=PORT                 port of the HTTP server
              -Y, --enable-hot-reload         let SIGHUP read the configuration again
              -W, --disable-thread-safety-on-hot-reload
                                              no effect: a reload is always safe
              -d, --daemon                    no effect: the agent stays in the foreground
              -s, --coro_stack_size=BYTES     no effect: there are no coroutines
              -Z, --enable-chunk-trace        no effect: there is no tap
                  --supervisor                no effect: let systemd or Kubernetes start it again
              -V, --version                   print the version
              -h, --help                      print this help; after -i, -F or -o, the plugin's
              -J, --help-json                 the help as JSON

            Inputs
              tail                            Follows files by path pattern.

            Filters

            Outputs
              stdout                          Writes records to standard output.

            Exit code
              0                               asked to end; or the input is over (stdin, Exit_On_Eof), and all
                                              of it was delivered
              1                               it did not start, or could not go on
              2                               the input is over, and not all of it was delivered: the last line
                                              says what
        "#]],
    );
}

#[test]
fn the_help_of_a_plugin_is_its_table() {
    let mut diagnostics = Diagnostics::new();
    let line = ["-i", "TAIL", "-h"].map(OsString::from);
    let Command::Print(text) = command(line, CATALOG, plan, &mut diagnostics) else {
        panic!("{diagnostics}")
    };
    let (own, common) = text.split_once("Properties of every input").unwrap();
    expect![[r#"
        input tail: Follows files by path pattern.

        Properties of tail
          Path                            Files to follow.
                                          > comma list
          Buffer_Max_Size                 Upper bound of one line; a longer one is cut and flagged, or
                                          passed over whole with `Skip_Long_Lines`.
                                          > size, default: 32k

    "#]].assert_eq(own);
    assert!(common.contains("Mem_Buf_Limit"));
}

const MAIN: &str = "@SET tag=kube\n[SERVICE]\n    Flush 5\n    Parsers_File parsers.conf\n\
    [INPUT]\n    Name tail\n    Path @DIR@/*.log\n    Tag ${tag}.*  # pods\n\
    [OUTPUT]\n    Name stdout\n    Match *\n    Host ${NO_SUCH_VARIABLE_HERE}\n";
const PARSERS: &str = "[PARSER]\n    Name cri\n    Format json\n";

#[test]
fn file_and_options_together() {
    let files = [("main.conf", MAIN), ("parsers.conf", PARSERS)];
    check_files(
        &files,
        &["-c", "@DIR@/main.conf", "-f", "1", "-o", "stdout"],
        &expect![[r#"
        flush 5s, log Info
        parser cri Json
        input tail.0 tag Some("kube.*") ["@DIR@/*.log"] Size(32000)
        output stdout.0 match None None
        output stdout.1 match Some("*") None
        @DIR@/main.conf:3: warning: `Flush` of `SERVICE` is set 2 times; the last one counts, as in Fluent Bit
            Flush 5
        @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
        @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
        command line: warning: output `stdout.0` has no `Match`: it ships nothing
    "#]],
    );
    check_files(
        &files,
        &["-c", "@DIR@/main.conf", "-D"],
        &expect![[r#"
        passed: configuration test is successful
        @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
        @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
    "#]],
    );
    check_files(
        &files,
        &["check", "@DIR@/main.conf", "--strict"],
        &expect![[r#"
        refused
        @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
        @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
    "#]],
    );
}

#[test]
fn includes_lie_beside_the_main_file() {
    let main = "@INCLUDE in-*.inc\n@INCLUDE out.inc\n";
    let input = "[INPUT]\n Name tail\n Path @DIR@/${HOSTNAME:-none}\n Alias a\n";
    let second = "[INPUT]\n\tName tail\n\tPath /b\n";
    let output = "[OUTPUT]\n    Name stdout\n    Match *\n    Retry_Limit many\n";
    let files =
        [("main.conf", main), ("in-2.inc", second), ("in-1.inc", input), ("out.inc", output)];
    check_files(
        &files,
        &["-c", "@DIR@/main.conf", "-D"],
        &expect![[r#"
        passed: configuration test is successful
        @DIR@/out.inc:4: warning: `Retry_Limit`: neither a number above 0, `no_limits` nor `no_retries`; taken as 1
            Retry_Limit many
    "#]],
    );
    check_files(
        &files[..1],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
        refused
        @DIR@/main.conf:1: `in-*.inc`: no file matches
        @DIR@/main.conf:2: `out.inc` cannot be read: No such file or directory (os error 2)
    "#]],
    );
    let again = [("main.conf", "@INCLUDE a.inc\n@INCLUDE a.inc\n"), ("a.inc", "# nothing\n")];
    check_files(
        &again,
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
        refused
        @DIR@/main.conf:2: `@DIR@/a.inc` is included twice
    "#]],
    );
    check_files(
        &[("a.yaml", "")],
        &["-c", "@DIR@/a.yaml"],
        &expect![[r#"
            flush 1s, log Info
            @DIR@/a.yaml: warning: there is no input
            @DIR@/a.yaml: warning: there is no output
        "#]],
    );
}

#[test]
fn values_may_come_from_files() {
    let main = "@SET path=file://@DIR@/secret\n@SET gone=file://@DIR@/gone\n[INPUT]\n  \
        Name tail\n  Path ${path},${gone:-/else}\n[OUTPUT]\n  Name stdout\n";
    check_files(
        &[("main.conf", main), ("secret", "/kept\n")],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            flush 1s, log Info
            input tail.0 tag None ["/kept", "/else"] Size(32000)
            output stdout.0 match Some("*") None
            @DIR@/main.conf:2: warning: `gone` is not set, its file cannot be read: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn files_that_are_refused() {
    let main = "[SERVICE]\n  Flush 0\n  Whatever 1\n  Daemon 1\n  Parsers_File none\n  \
        Parsers_File p\n[PARSER]\n  Name x\n[INPUT]\n  Path x\n[INPUT]\n  Name tail\n  \
        storage.type filesystem\n  Mem_Buf_Limit lots\n  tls on\n[CUSTOM]\n  Name c\n";
    let parsers = "@SET a=b\n[PARSER]\n Name a\n Format regex\n[PARSER]\n Name b\n \
        Format jsn\n[PARSER]\n Name c\n Format json\n[PARSER]\n Name c\n Format json\n\
        [PARSER]\n Format json\n Nme x\n[SERVICE]\n Flush 1\n";
    check_files(
        &[("main.conf", main), ("p", parsers)],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            refused
            @DIR@/main.conf:2: `Flush` must be above 0
            @DIR@/main.conf:3: warning: `SERVICE` has no property `Whatever`
            @DIR@/main.conf:4: note: `Daemon` of `SERVICE` has no effect: the agent stays in the foreground, where its supervisor sees it
                Daemon 1
            @DIR@/main.conf:5: parsers file `@DIR@/none` cannot be read: No such file or directory (os error 2)
            @DIR@/main.conf:7: `[PARSER]` cannot stand in the main file; put it into a file named by `Parsers_File` of `[SERVICE]`
            @DIR@/main.conf:9: `[INPUT]` has no `Name`
            @DIR@/main.conf:13: input `tail.0` waits on disk, but there is no folder; set `storage.path` in `[SERVICE]`
            @DIR@/main.conf:14: `Mem_Buf_Limit`: no size; write bytes, or a number with K, M or G
                Mem_Buf_Limit lots
            @DIR@/main.conf:15: `tail` opens no connection, so it has no TLS
            @DIR@/main.conf:17: custom `c` is not supported; leave it out: it reports to its vendor's service
            @DIR@/p:1: warning: `a` has no effect: a parsers file sets nothing
            @DIR@/p:2: the parser has no `Regex`
            @DIR@/p:7: `Format`: none of regex, json, logfmt, ltsv; did you mean `json`?
                Format jsn
            @DIR@/p:11: parser `c` exists already, @DIR@/p:8
            @DIR@/p:14: the parser has no `Name`
            @DIR@/p:16: warning: `PARSER` has no property `Nme`; did you mean `Name`?
            @DIR@/p:17: warning: `[SERVICE]` has no effect in a parsers file
        "#]],
    );
}

#[test]
fn values_of_no_effect_are_checked_where_fluent_bit_checks_them() {
    let main = "[SERVICE]\n  Coro_Stack_Size 4095\n  Flush ${NO_SUCH_VARIABLE_HERE}\n[INPUT]\n  Name tail\n  Log_Level thisdoesnotexist\n  \
        threaded maybe\n  thread.ring_buffer.window 101\n[OUTPUT]\n  Name stdout\n  Match *\n  \
        Log_Level off\n  storage.total_limit_size lots\n  Alias ${NO_SUCH_VARIABLE_HERE}\n  Port many\n";
    check_files(
        &[("main.conf", main)],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            refused
            @DIR@/main.conf:2: `Coro_Stack_Size`: no whole number from 4096 up
                Coro_Stack_Size 4095
            @DIR@/main.conf:3: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
            @DIR@/main.conf:3: `Flush` has no value; give its variable one
            @DIR@/main.conf:6: `Log_Level`: none of info, off, error, warn, debug, trace
                Log_Level thisdoesnotexist
            @DIR@/main.conf:7: `threaded`: no boolean; write `on` or `off`
                threaded maybe
            @DIR@/main.conf:8: `thread.ring_buffer.window`: no whole number from 1 to 100
                thread.ring_buffer.window 101
            @DIR@/main.conf:13: `storage.total_limit_size`: no size; write bytes, or a number with K, M or G
                storage.total_limit_size lots
            @DIR@/main.conf:14: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
            @DIR@/main.conf:14: `Alias` has no value; give its variable one
            @DIR@/main.conf:15: warning: `Port`: no whole number from 0 to 65535; it is taken as 0, as in Fluent Bit
                Port many
        "#]],
    );
}

#[test]
fn what_no_record_comes_to() {
    let main = "[INPUT]\n  Name tail\n  Tag kube.*\n[INPUT]\n  Name tail\n[OUTPUT]\n  Name stdout\n  \
        Match kub.*\n[OUTPUT]\n  Name stdout\n  Match_Regex ^tail\\.[1-9]$\n[OUTPUT]\n  Name stdout\n  \
        Match host\n  Match_Regex .\n[OUTPUT]\n  Name stdout\n";
    check_files(
        &[("main.conf", main)],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            flush 1s, log Info
            input tail.0 tag Some("kube.*") [] Size(32000)
            input tail.1 tag None [] Size(32000)
            output stdout.0 match Some("kub.*") None
            output stdout.1 match None None
            output stdout.2 match Some("host") None
            output stdout.3 match None None
            @DIR@/main.conf:8: warning: output `stdout.0`: no input has a tag like `kub.*`: it ships nothing; did you mean `kube.*`?
            @DIR@/main.conf:16: warning: output `stdout.3` has no `Match`: it ships nothing
        "#]],
    );
    let regex = main.replace("kube.*", "kube").replace("^tail", "^host");
    check_files(
        &[("main.conf", &regex)],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            flush 1s, log Info
            input tail.0 tag Some("kube") [] Size(32000)
            input tail.1 tag None [] Size(32000)
            output stdout.0 match Some("kub.*") None
            output stdout.1 match None None
            output stdout.2 match Some("host") None
            output stdout.3 match None None
            @DIR@/main.conf:8: warning: output `stdout.0`: no input has a tag like `kub.*`: it ships nothing
            @DIR@/main.conf:11: warning: output `stdout.1`: `Match_Regex` takes no input's tag: it ships nothing
            @DIR@/main.conf:16: warning: output `stdout.3` has no `Match`: it ships nothing
        "#]],
    );
}

#[test]
fn sections_that_are_there_for_something_else() {
    let main = "[UPSTREAM]\n  Name u\n[NODE]\n  Name n\n[STREAM_TASK]\n  Name t\n[CUSTOM]\n  Name calyptia\n\
        [PLUGINS]\n  Path /x.so\n[stream_processor]\n  exec SQL\n[SERVICE]\n  Streams_File s\n  \
        Plugins_File p\n  Plugins_File full\n";
    let files = [
        ("main.conf", main),
        ("p", "[PLUGINS]\n    # Path /x.so\n"),
        ("full", "[PLUGINS]\n    Path /y.so\n"),
    ];
    check_files(
        &files,
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
            refused
            @DIR@/main.conf:1: warning: several hosts of one output are not supported yet: no effect; let a load balancer or a DNS name stand for them
            @DIR@/main.conf:3: warning: `NODE` has no effect here: it belongs into the file that an `Upstream` names
            @DIR@/main.conf:5: warning: `STREAM_TASK` has no effect here: it belongs into a `Streams_File`
            @DIR@/main.conf:8: custom `calyptia` is not supported; leave it out: it reports to its vendor's service
            @DIR@/main.conf:10: `/x.so` cannot be loaded, nor can any shared library; leave it out, or keep Fluent Bit for this one
            @DIR@/main.conf:11: the stream processor is not supported; use filters, or keep Fluent Bit for this one
            @DIR@/main.conf:14: `Streams_File` of `SERVICE` is not supported: there is no stream processor; use filters
                Streams_File s
            @DIR@/full:2: `/y.so` cannot be loaded, nor can any shared library; leave it out, or keep Fluent Bit for this one
        "#]],
    );
}

#[test]
fn yaml_is_read_like_the_classic_syntax() {
    let main = "env:\n  files: '@DIR@'\n  secret: file://@DIR@/none\nservice:\n  parsers_file: p.yaml\n  \
        Whatever: 1\nincludes: [sub/out-*.yaml]\npipeline:\n  inputs:\n    - name: tail\n      \
        path: ${files}/a,${none:-b}\n      bufferMaxSize: 5k\n      pth: x\nparsers:\n  - name: own\n    \
        format: json\nmultiline_parsers:\n  - name: m\n    type: regex\n    rules:\n      \
        - {state: cont, regex: x, next_state: cont}\n";
    let files = [
        ("main.yaml", main),
        ("p.yaml", "parsers:\n  - name: other\n    format: jsn\n"),
        ("sub/out-1.yaml", "pipeline:\n  outputs:\n    - name: stdot\n      match: '*'\n"),
        ("sub/.out-2.yaml", "- broken"),
    ];
    check_files(
        &files,
        &["-c", "@DIR@/main.yaml"],
        &expect![[r#"
        refused
        @DIR@/main.yaml:3: `secret` is not set, its file cannot be read: No such file or directory (os error 2)
        @DIR@/main.yaml:6: warning: `SERVICE` has no property `Whatever`
        @DIR@/main.yaml:13: `tail` has no property `pth`; did you mean `Path`?
        @DIR@/main.yaml:21: the first rule must have the state `start_state`
        @DIR@/p.yaml:3: `format`: none of regex, json, logfmt, ltsv; did you mean `json`?
            format jsn
        @DIR@/sub/out-1.yaml:3: there is no output `stdot`; did you mean `stdout`?
    "#]],
    );
    let good = main
        .replace("  secret: file://@DIR@/none\n", "")
        .replace("      pth: x\n", "")
        .replace("state: cont, regex", "state: start_state, regex")
        .replace("next_state: cont", "next_state: start_state");
    let files = [
        ("main.yaml", good.as_str()),
        ("p.yaml", "parsers:\n  - name: other\n    format: json\n"),
        ("sub/out-1.yaml", "pipeline:\n  outputs:\n    - name: stdout\n"),
    ];
    check_files(
        &files,
        &["-c", "@DIR@/main.yaml"],
        &expect![[r#"
        flush 1s, log Info
        parser other Json
        parser own Json
        input tail.0 tag None ["@DIR@/a", "b"] Size(5000)
        output stdout.0 match Some("*") None
        @DIR@/main.yaml:5: warning: `SERVICE` has no property `Whatever`
    "#]],
    );
}

#[test]
fn the_help_as_json_has_the_shape_of_fluent_bits() {
    let mut diagnostics = Diagnostics::new();
    let mut ask = |line: &[&str]| {
        let line = line.iter().map(OsString::from);
        let Command::Print(text) = command(line, CATALOG, plan, &mut diagnostics) else {
            panic!("nothing to print")
        };
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let all = ask(&["-J"]);
    let tail = ask(&["-i", "tail", "--help-json"]);
    assert_eq!(all["inputs"][0], tail);
    assert_eq!(all["outputs"][0]["name"], "stdout");
    let size = &tail["properties"]["options"][1];
    assert_eq!((&size["name"], &size["default"]), (&"Buffer_Max_Size".into(), &"32k".into()));
    assert!(tail["properties"]["global_options"].as_array().is_some_and(|rows| rows.len() > 5));
}

#[test]
fn an_expression_for_tags_that_is_none() {
    let main = "[INPUT]\n  Name tail\n[OUTPUT]\n  Name stdout\n  Match_Regex (\n";
    check_files(
        &[("main.conf", main)],
        &["-c", "@DIR@/main.conf"],
        &expect![[r#"
        flush 1s, log Info
        input tail.0 tag None [] Size(32000)
        output stdout.0 match Some("*") None
        @DIR@/main.conf:5: warning: `Match_Regex` is passed over: regular expression is not valid: unclosed group
    "#]],
    );
}

#[test]
fn a_buffer_is_looked_into() {
    check(
        &["buffer", "ls", "/var/buffer"],
        &expect![[r#"
        Inspection { action: List, path: "/var/buffer" }
    "#]],
    );
    check(
        &["buffer", "rm", "/var/buffer"],
        &expect![[r#"
        refused
        command line: `buffer` cannot `rm`: write `ls`, `cat` or `verify`
    "#]],
    );
    check(
        &["buffer", "ls"],
        &expect![[r#"
        refused
        command line: which buffer? write `tailwater buffer ls|cat|verify PATH`
    "#]],
    );
    check(
        &["buffer", "ls", "a", "b"],
        &expect![[r#"
        refused
        command line: unexpected argument "b"
    "#]],
    );
}
