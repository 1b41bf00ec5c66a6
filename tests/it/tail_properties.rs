//! Every property of `tail`, with the result that Fluent Bit documents: rows of one
//! table, each an input of the same agent, which is stopped and started once.

use crate::{LIMIT, Place};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tailwater_testing::{Agent, pause, until};

/// What is tried: a name, properties, and what happens.
///
/// In the properties and in the records `@` is the row's folder; in the properties a `;` ends a line.
///
/// | line | means |
/// |---|---|
/// | `FILE << TEXT` | appends; `\n`, `\r`, `\0` and `\x41` as in Rust |
/// | `FILE -> FILE` | renames |
/// | `FILE cut` | makes it empty |
/// | `FILE old SECONDS` | says that it was written to last so long ago |
/// | `FILE link FILE` | a symbolic link by the first name |
/// | `start`, `stop` | the agent starts, ends |
/// | `{…}` | this record comes; a tag that is not the row's name stands before it |
/// | `now` | what is above has come: then the next thing happens |
const ROWS: &[(&str, &str, &str)] = &[
    (
        "path",
        "Path @/a*.log, @/sub/b.log,; Read_from_Head on",
        r#"
        a1.log << one\n
        a2.log << two\n
        b.log << no\n
        sub/b.log << three\n
        start
        {"log":"one"}
        {"log":"two"}
        {"log":"three"}
        "#,
    ),
    (
        "exclude_path",
        "Path @/*.log; Exclude_Path @/*.gz.log,@/b*; Read_from_Head on",
        r#"
        a.log << one\n
        a.gz.log << no\n
        b.log << no\n
        start
        {"log":"one"}
        "#,
    ),
    (
        "key",
        "Path @/*.log; Key message; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"message":"one"}
        "#,
    ),
    (
        "read_from_head",
        "Path @/*.log; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        now
        a.log << two\n
        {"log":"two"}
        stop
        a.log << three\n
        start
        {"log":"one"}
        {"log":"two"}
        {"log":"three"}
        "#,
    ),
    (
        "read_from_end",
        "Path @/*.log",
        r#"
        a.log << old\n
        empty.log <<
        start
        now
        z.log << the others are known\n
        {"log":"the others are known"}
        now
        a.log << one\n
        empty.log << two\n
        {"log":"one"}
        {"log":"two"}
        "#,
    ),
    (
        "read_newly_discovered_files_from_head",
        "Path @/*.log; Read_Newly_Discovered_Files_From_Head off; DB @/p.db",
        r#"
        z.log << old\n
        start
        stop
        new.log << before it is found\n
        z.log << one\n
        start
        {"log":"one"}
        now
        new.log << two\n
        {"log":"two"}
        "#,
    ),
    (
        "refresh_interval",
        "Path @/*.log; Refresh_Interval 1; Inotify_Watcher off",
        r#"
        a.log << one\n
        start
        now
        b.log << two\n
        a.log << three\n
        {"log":"two"}
        {"log":"three"}
        "#,
    ),
    (
        "rotate_wait",
        "Path @/*.log; Rotate_Wait 30; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        now
        a.log -> a.log.1
        a.log << two\n
        {"log":"two"}
        now
        a.log.1 << late\n
        {"log":"late"}
        "#,
    ),
    (
        "truncated",
        "Path @/*.log; DB @/p.db; Read_from_Head on",
        r#"
        a.log << one, which is longer\n
        start
        {"log":"one, which is longer"}
        now
        a.log cut
        a.log << two\n
        {"log":"two"}
        "#,
    ),
    (
        "path_key",
        "Path @/*.log; Path_Key file; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"file":"@/a.log","log":"one"}
        "#,
    ),
    (
        "path_as_written",
        "Path @//*.log; Path_Key file; Tag path_as_written.*; Read_from_Head on",
        r#"
        a.log << one\n
        start
        path_as_written.@.a.log {"file":"@//a.log","log":"one"}
        now
        b.log << two\n
        path_as_written.@.b.log {"file":"@//b.log","log":"two"}
        "#,
    ),
    (
        "offset_key",
        "Path @/*.log; Offset_Key at; Read_from_Head on",
        r#"
        a.log << one\n\r\nthree
        start
        {"at":0,"log":"one"}
        {"at":4,"log":"\r"}
        now
        a.log << \nfour\n
        {"at":6,"log":"three"}
        {"at":12,"log":"four"}
        "#,
    ),
    (
        "multiline_parser_own",
        "Path @/*.log; Multiline.Parser multiline-regex-test; Read_from_Head on",
        r#"
        a.log << single line...\n
        a.log << Dec 14 06:41:08 Exception in thread "main" java.lang.RuntimeException: wrong, aborting!\n
        a.log <<     at com.myproject.module.MyProject.badMethod(MyProject.java:22)\n
        a.log <<     at com.myproject.module.MyProject.main(MyProject.java:6)\n
        a.log << another line...\n
        start
        {"log":"single line...\n"}
        {"log":"Dec 14 06:41:08 Exception in thread \"main\" java.lang.RuntimeException: wrong, aborting!\n    at com.myproject.module.MyProject.badMethod(MyProject.java:22)\n    at com.myproject.module.MyProject.main(MyProject.java:6)\n"}
        {"log":"another line...\n"}
        "#,
    ),
    (
        "multiline_parser_containers",
        "Path @/*.log; Multiline.Parser docker, cri; Path_Key file; Read_from_Head on",
        r#"
        c.log << 2021-05-17T22:35:01.1Z stdout P 1. some \n
        c.log << 2021-05-17T22:35:01.2Z stdout F multiline log\n
        d.log << {"log":"2. some ","stream":"stdout","time":"2021-05-17T22:35:02.1Z"}\n
        d.log << {"log":"more\x5cn","stream":"stdout","time":"2021-05-17T22:35:02.2Z"}\n
        start
        {"time":"2021-05-17T22:35:01.1Z","stream":"stdout","_p":"P","log":"1. some multiline log","file":"@/c.log"}
        {"log":"2. some more\n","stream":"stdout","time":"2021-05-17T22:35:02.1Z","file":"@/d.log"}
        "#,
    ),
    (
        "multiline_parser_languages",
        "Path @/*.log; Multiline.Parser go, java, python, ruby; Read_from_Head on",
        r#"
        a.log << panic: my panic\n\n
        a.log << goroutine 4 [running]:\n
        a.log << panic(0x45cb40, 0x47ad70)\n
        a.log << \x09/usr/local/go/src/runtime/panic.go:542 +0x46c\n
        a.log << one more line, no multiline\n
        a.log << Exception in thread "main" java.lang.IllegalStateException: ..null property\n
        a.log <<      at com.example.myproject.Author.getBookIds(xx.java:38)\n
        a.log << Caused by: java.lang.NullPointerException\n
        a.log <<      ... 1 more\n
        a.log << Traceback (most recent call last):\n
        a.log <<   File "/base/data/home/runtimes/python27/webapp2.py", line 1535, in __call__\n
        a.log <<     rv = self.handle_exception(request, response, e)\n
        a.log << Exception: ('spam', 'eggs')\n
        a.log << hello world, not multiline\n
        a.log << /app/config/initializers/silence_logs.rb:11:in `call': undefined method (NoMethodError)\n
        a.log << \x09from /app/middleware.rb:7:in `block in run'\n
        start
        {"log":"panic: my panic\n\ngoroutine 4 [running]:\npanic(0x45cb40, 0x47ad70)\n\t/usr/local/go/src/runtime/panic.go:542 +0x46c\n"}
        {"log":"one more line, no multiline\n"}
        {"log":"Exception in thread \"main\" java.lang.IllegalStateException: ..null property\n     at com.example.myproject.Author.getBookIds(xx.java:38)\nCaused by: java.lang.NullPointerException\n     ... 1 more\n"}
        {"log":"Traceback (most recent call last):\n  File \"/base/data/home/runtimes/python27/webapp2.py\", line 1535, in __call__\n    rv = self.handle_exception(request, response, e)\nException: ('spam', 'eggs')\n"}
        {"log":"hello world, not multiline\n"}
        {"log":"/app/config/initializers/silence_logs.rb:11:in `call': undefined method (NoMethodError)\n\tfrom /app/middleware.rb:7:in `block in run'\n"}
        "#,
    ),
    (
        "multiline",
        "Path @/*.log; Multiline on; Parser_Firstline multiline; Parser_1 pair; Multiline_Flush 1; Read_from_Head on",
        r#"
        a.log << Dec 14 06:41:08 Exception in thread "main" java.lang.RuntimeException: wrong, aborting!\n
        a.log <<     at com.myproject.module.MyProject.main(MyProject.java:6)\n
        a.log << Dec 14 06:41:09 next\n
        a.log << a=b\n
        start
        {"log":"Exception in thread \"main\" java.lang.RuntimeException: wrong, aborting!\n    at com.myproject.module.MyProject.main(MyProject.java:6)"}
        {"log":"next","key":"a","value":"b"}
        now
        a.log << Dec 14 06:41:10 third\n
        {"log":"third"}
        "#,
    ),
    (
        "docker_mode",
        "Path @/*.log; Docker_Mode on; Docker_Mode_Flush 1; Parser docker; Read_from_Head on",
        r#"
        a.log << {"log":"one ","stream":"stdout","time":"2021-05-17T22:35:02.1Z"}\n
        a.log << {"log":"two\x5cn","stream":"stdout","time":"2021-05-17T22:35:02.2Z"}\n
        a.log << {"log":"left","stream":"stdout","time":"2021-05-17T22:35:02.3Z"}\n
        start
        {"log":"one two\n","stream":"stdout"}
        {"log":"left","stream":"stdout"}
        "#,
    ),
    (
        "docker_mode_parser",
        "Path @/*.log; Docker_Mode on; Docker_Mode_Flush 1; Docker_Mode_Parser dated; Parser docker; Read_from_Head on",
        r#"
        a.log << {"log":"2021 one\x5cn","stream":"stdout","time":"2021-05-17T22:35:02.1Z"}\n
        a.log << {"log":"more\x5cn","stream":"stdout","time":"2021-05-17T22:35:02.2Z"}\n
        a.log << {"log":"2021 two\x5cn","stream":"stdout","time":"2021-05-17T22:35:02.3Z"}\n
        start
        {"log":"2021 one\nmore\n","stream":"stdout"}
        {"log":"2021 two\n","stream":"stdout"}
        "#,
    ),
    (
        "join_pieces",
        "Path @/*.log; Parser cri; tailwater.join_pieces on; tailwater.multiline.parser java; Read_from_Head on",
        r#"
        a.log << 2021-05-17T22:35:01.1Z stdout F Exception in thread "main" a.B: c\n
        a.log << 2021-05-17T22:35:01.2Z stderr F other\n
        a.log << 2021-05-17T22:35:01.3Z stdout P \x09at d.\n
        a.log << 2021-05-17T22:35:01.4Z stdout F e(F.java:1)\n
        a.log << 2021-05-17T22:35:01.5Z stdout F x Exception: a\n
        a.log << 2021-05-17T22:35:01.6Z stdout P \x09at b.\n
        a.log << 2021-05-17T22:35:01.7Z stdout F c(D.java:1)\n
        start
        {"stream":"stdout","logtag":"F","message":"Exception in thread \"main\" a.B: c"}
        {"stream":"stderr","logtag":"F","message":"other"}
        {"stream":"stdout","logtag":"P","message":"\tat d.e(F.java:1)"}
        {"stream":"stdout","logtag":"F","message":"x Exception: a\n\tat b.c(D.java:1)"}
        "#,
    ),
    (
        "parser",
        "Path @/*.log; Parser pair; Path_Key file; Read_from_Head on",
        r#"
        a.log << a=1\nno pair\n
        start
        {"key":"a","value":"1","file":"@/a.log"}
        {"file":"@/a.log","log":"no pair"}
        "#,
    ),
    (
        "db",
        "Path @/*.log; DB @/p.db; DB.Sync full; Read_from_Head on",
        r#"
        a.log << one\ntwo\nthr
        start
        {"log":"one"}
        {"log":"two"}
        stop
        a.log << ee\n
        start
        {"log":"three"}
        "#,
    ),
    (
        "db_half_a_line",
        "Path @/*.log; DB @/p.db",
        r#"
        no.txt << no\n
        start
        now
        a.log << o
        z.log << a.log is known\n
        {"log":"a.log is known"}
        stop
        a.log << ne\n
        start
        {"log":"one"}
        "#,
    ),
    (
        "db_file_name",
        "Path @/*.log; DB @/p.db; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        stop
        a.log -> b.log
        b.log << two\n
        start
        {"log":"two"}
        "#,
    ),
    (
        "db_compare_filename",
        "Path @/*.log; DB @/p.db; DB.Compare_Filename on; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        stop
        a.log -> b.log
        b.log << two\n
        start
        {"log":"one"}
        {"log":"two"}
        "#,
    ),
    (
        "db_locking",
        "Path @/*.log; DB @/p.db; DB.Locking on; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        "#,
    ),
    (
        "db_journal_mode",
        "Path @/*.log; DB @/p.db; DB.Journal_Mode DELETE; DB.Sync extra; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        stop
        a.log << two\n
        start
        {"log":"two"}
        "#,
    ),
    (
        "skip_long_lines",
        "Path @/*.log; Buffer_Chunk_Size 8; Buffer_Max_Size 12; Skip_Long_Lines on; Read_from_Head on",
        r#"
        a.log << 0123456789\n01234567890\n0123456789012345678901234567890\nend\n
        start
        {"log":"0123456789"}
        {"log":"end"}
        "#,
    ),
    (
        "truncate_long_lines",
        "Path @/*.log; Buffer_Chunk_Size 8; Buffer_Max_Size 12; Truncate_Long_Lines on; Read_from_Head on",
        r#"
        a.log << 0123456789\n01234567890\n0123456789012345678901234567890\nend\n
        start
        {"log":"0123456789"}
        {"log":"01234567890"}
        {"log":"01234567890"}
        {"log":"end"}
        "#,
    ),
    (
        "buffer_max_size",
        "Path @/*.log; Buffer_Chunk_Size 8; Buffer_Max_Size 12; Read_from_Head on",
        r#"
        a.log << 0123456789\n01234567890\nend\n
        start
        {"log":"0123456789"}
        {"log":"01234567890","log_truncated":true}
        {"log":"end"}
        "#,
    ),
    (
        "skip_empty_lines",
        "Path @/*.log; Skip_Empty_Lines on; Read_from_Head on",
        r#"
        a.log << \n\r\none\r\n \n\n
        start
        {"log":"one"}
        {"log":" "}
        "#,
    ),
    (
        "ignore_older",
        "Path @/*.log; Ignore_Older 1h; Refresh_Interval 1; Read_from_Head on",
        r#"
        old.log << old\n
        old.log old 7200
        a.log << one\n
        a.log old 1800
        start
        {"log":"one"}
        now
        old.log << new\n
        {"log":"new"}
        "#,
    ),
    (
        "inotify_watcher",
        "Path @/*.log; Inotify_Watcher off; Progress_Check_Interval 1; Progress_Check_Interval_Nsec 1000; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        now
        a.log << two\n
        {"log":"two"}
        "#,
    ),
    (
        "without_effect",
        "Path @/*.log; Static_Batch_Size 1k; Event_Batch_Size 1k; Watcher_Interval 1s; Ignore_Active_Older_Files on; File_Cache_Advise off; Buffer_Chunk_Size 1k; Read_from_Head on",
        r#"
        a.log << one\ntwo\n
        start
        {"log":"one"}
        {"log":"two"}
        "#,
    ),
    (
        "mem_buf_limit",
        "Path @/*.log; Mem_Buf_Limit 1k; Buffer_Max_Size 100; Buffer_Chunk_Size 100; Read_from_Head on",
        r#"
        a.log << one\n
        start
        {"log":"one"}
        now
        a.log << two\n
        {"log":"two"}
        "#,
    ),
    (
        "tag",
        "Path @/*.log; Tag tag.*.x; Read_from_Head on",
        r#"
        a_b.log << one\n
        start
        tag.@.a_b.log.x {"log":"one"}
        "#,
    ),
    (
        // No `_` in the folder, which the pattern would match.
        "tagregex",
        r"Path @/*.log; Tag tagregex.<namespace_name>.<pod_name>.<container_name>; Tag_Regex (?<pod_name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)_(?<namespace_name>[^_]+)_(?<container_name>.+)-(?<docker_id>[a-z0-9]{64})\.log$; Read_from_Head on",
        r#"
        apache-logs-7d_default_apache-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.log << one\n
        other.log << no\n
        start
        tagregex.default.apache-logs-7d.apache {"log":"one"}
        "#,
    ),
    (
        "symbolic_link",
        "Path @/*.log; Path_Key file; Read_from_Head on",
        r#"
        pods/0.txt << one\n
        a.log link pods/0.txt
        start
        {"file":"@/a.log","log":"one"}
        "#,
    ),
    (
        "nulls",
        "Path @/*.log; Read_from_Head on",
        r#"
        a.log << \0\0one\0\n
        start
        {"log":"one\u0000"}
        "#,
    ),
    (
        "unicode_encoding",
        "Path @/*.log; Unicode.Encoding auto; Read_from_Head on",
        r#"
        a.log << \xFF\xFEa\0\xE9\0\r\0\n\0b\0\n
        b.log << \xFE\xFF\0c\x20\xAC\0\n
        c.log << \xEF\xBB\xBFd\xC3\xA9\n
        start
        {"log":"aé"}
        {"log":"c€"}
        {"log":"dé"}
        now
        a.log << \0
        {"log":"b"}
        "#,
    ),
    (
        "generic_encoding",
        "Path @/*.log; Generic.Encoding ShiftJIS; Read_from_Head on",
        r#"
        a.log << \x93\xFA\x96\x7B\n
        start
        {"log":"日本"}
        "#,
    ),
];

#[test]
fn each_property_does_what_is_documented() {
    let rows: Vec<Row> = ROWS.iter().map(Row::read).collect();
    let place = Place::new("");
    place.write("parsers.conf", PARSERS);
    for number in 0..2 {
        let rows: Vec<_> = rows.iter().filter(|row| row.runs.len() > number).collect();
        for row in &rows {
            row.take(&row.runs[number].before, &place);
        }
        configure(&place, &rows);
        let agent = place.start();
        let moments = rows.iter().map(|row| row.runs[number].moments.len()).max();
        for moment in 0..moments.unwrap_or(0) {
            for row in &rows {
                let what = row.runs[number].moments.get(moment);
                row.take(what.map_or(&[], |what| &what.steps), &place);
            }
            wait(&place, &rows, number, moment, &agent);
        }
        if number == 0 {
            check_databases(&place);
        }
        // What is too much needs a little longer.
        pause(Duration::from_millis(500));
        assert_eq!(agent.terminate(LIMIT).code, Some(0));
    }
    let found = records(&place);
    for row in &rows {
        let found = found.get(row.name).cloned().unwrap_or_default();
        assert_eq!(found, row.expected(usize::MAX, usize::MAX), "{}", row.name);
    }
}

/// The last two are those of the examples for `[MULTILINE_PARSER]` and for `Multiline`.
const PARSERS: &[u8] = br#"
[PARSER]
    Name pair
    Format regex
    Regex ^(?<key>.)=(?<value>.)$
[PARSER]
    Name cri
    Format regex
    Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$
    Time_Key time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z
[PARSER]
    Name docker
    Format json
    Time_Key time
    Time_Format %Y-%m-%dT%H:%M:%S.%L
[PARSER]
    Name dated
    Format regex
    Regex (?<log>^{"log":"\d{4})
[MULTILINE_PARSER]
    name multiline-regex-test
    type regex
    flush_timeout 1000
    rule "start_state" "/([a-zA-Z]+ \d+ \d+\:\d+\:\d+)(.*)/" "cont"
    rule "cont" "/^\s+at.*/" "cont"
[PARSER]
    Name multiline
    Format regex
    Regex /(?<time>[a-zA-Z]+ \d+ \d+\:\d+\:\d+) (?<log>.*)/
    Time_Key time
    Time_Format %b %d %H:%M:%S
"#;

/// Waits until at least so many records have come as the rows expect up to this moment.
fn wait(place: &Place, rows: &[&Row], run: usize, moment: usize, agent: &Agent) {
    let missing = || {
        let found = records(place);
        let mut missing = rows.iter().filter(|row| {
            let count = found.get(row.name).map_or(0, Vec::len);
            count < row.expected(run, moment).len()
        });
        missing.next().map(|row| (row.name, found.get(row.name).cloned()))
    };
    let arrived = until(LIMIT, || missing().is_none());
    assert!(arrived, "run {run}, moment {moment}: {:?}\n{}", missing(), agent.stderr());
}

/// Fluent Bit's properties of the database, as another program sees them while the agent runs.
fn check_databases(place: &Place) {
    let read = |row: &str| {
        let database = rusqlite::Connection::open(place.path(&format!("{row}/p.db"))).unwrap();
        database.query_row("SELECT count(*) FROM in_tail_files", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(read("db").unwrap(), 1);
    let refused = read("db_locking").unwrap_err().to_string();
    assert!(refused.contains("locked"), "{refused}");
    assert!(place.path("db/p.db-wal").exists());
    assert!(!place.path("db_journal_mode/p.db-wal").exists());
}

/// What the agent wrote so far, by the name of the row, sorted.
fn records(place: &Place) -> BTreeMap<String, Vec<String>> {
    let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in fs::read_dir(place.path("out")).into_iter().flatten() {
        let path = file.unwrap().path();
        let tag = path.file_name().unwrap().to_str().unwrap();
        let name = tag.split('.').next().unwrap();
        let home = place.path(name);
        let home = home.to_str().unwrap();
        let tag = tag.replace(home.trim_start_matches('/').replace('/', ".").as_str(), "@");
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line = line.replace(home, "@");
            let line = if tag == name { line } else { format!("{tag} {line}") };
            records.entry(name.to_owned()).or_default().push(line);
        }
    }
    for records in records.values_mut() {
        records.sort_unstable();
    }
    records
}

fn configure(place: &Place, rows: &[&Row]) {
    let input = |row: &&Row| {
        let properties = row.properties.replace('@', &format!("@DIR@/{}", row.name));
        let tag = if properties.contains("Tag ") { "" } else { row.name };
        let tag = if tag.is_empty() { String::new() } else { format!("    Tag {tag}\n") };
        format!("[INPUT]\n    Name tail\n{tag}    {}\n", properties.replace("; ", "\n    "))
    };
    let inputs: String = rows.iter().map(input).collect();
    let conf = format!(
        "[SERVICE]\n    Flush 0.2\n    Parsers_File parsers.conf\n    json.escape_unicode off\n{inputs}{OUTPUT}"
    );
    place.write("fluent-bit.conf", conf.replace("@DIR@", place.dir().to_str().unwrap()).as_bytes());
}

/// A file for each tag.
const OUTPUT: &str =
    "[OUTPUT]\n    Name file\n    Match *\n    Path @DIR@/out\n    Mkdir on\n    Format plain\n";

/// A row, read.
struct Row {
    name: &'static str,
    properties: &'static str,
    runs: Vec<Run>,
}

/// One life of the agent, and what happens before it.
#[derive(Default)]
struct Run {
    before: Vec<Step>,
    moments: Vec<Moment>,
}

/// What happens at once, and what comes of it.
#[derive(Default)]
struct Moment {
    steps: Vec<Step>,
    expected: Vec<&'static str>,
}

enum Step {
    Append(&'static str, Vec<u8>),
    Age(&'static str, u64),
    Cut(&'static str),
    Link(&'static str, &'static str),
    Rename(&'static str, &'static str),
}

impl Row {
    fn read((name, properties, script): &(&'static str, &'static str, &'static str)) -> Self {
        let mut runs = vec![Run::default()];
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let run = runs.last_mut().unwrap();
            match (line, run.moments.last_mut()) {
                ("stop", _) => runs.push(Run::default()),
                ("start" | "now", _) => run.moments.push(Moment::default()),
                (line, Some(moment)) if line.contains('{') => moment.expected.push(line),
                (line, Some(moment)) => moment.steps.push(Step::read(line)),
                (line, None) => run.before.push(Step::read(line)),
            }
        }
        Self { name, properties, runs }
    }

    fn take(&self, steps: &[Step], place: &Place) {
        for step in steps {
            step.take(&place.path(self.name));
        }
    }

    /// What has come up to this moment, sorted.
    fn expected(&self, run: usize, moment: usize) -> Vec<String> {
        let moments = self.runs.iter().enumerate().flat_map(|(number, known)| {
            let count = if number < run { usize::MAX } else { moment.saturating_add(1) };
            known.moments.iter().take(if number > run { 0 } else { count })
        });
        let mut expected: Vec<_> = moments
            .flat_map(|moment| &moment.expected)
            .map(|record| (*record).to_owned())
            .collect();
        expected.sort_unstable();
        expected
    }
}

impl Step {
    fn read(line: &'static str) -> Self {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        match words[..] {
            [file, "<<"] => Self::Append(file, Vec::new()),
            [file, "<<", text] => Self::Append(file, unescaped(text)),
            [file, "old", seconds] => Self::Age(file, seconds.parse().unwrap()),
            [file, "cut"] => Self::Cut(file),
            [file, "link", to] => Self::Link(file, to),
            [file, "->", to] => Self::Rename(file, to),
            _ => unreachable!("no step: {line}"),
        }
    }

    fn take(&self, home: &Path) {
        let path = |file: &str| {
            let path = home.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        match self {
            Self::Append(file, bytes) => {
                let mut file =
                    OpenOptions::new().create(true).append(true).open(path(file)).unwrap();
                file.write_all(bytes).unwrap();
            }
            Self::Age(file, seconds) => {
                let then = SystemTime::now() - Duration::from_secs(*seconds);
                File::options().append(true).open(path(file)).unwrap().set_modified(then).unwrap();
            }
            Self::Cut(file) => File::create(path(file)).map(drop).unwrap(),
            Self::Link(file, to) => std::os::unix::fs::symlink(path(to), path(file)).unwrap(),
            Self::Rename(from, to) => fs::rename(path(from), path(to)).unwrap(),
        }
    }
}

/// The bytes that a text with `\n`, `\r`, `\0` and `\x41` stands for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (escape, rest) = part.split_at(if part.starts_with('x') { 3 } else { 1 });
        bytes.push(match escape {
            "0" => 0,
            "n" => b'\n',
            "r" => b'\r',
            hex => u8::from_str_radix(hex.trim_start_matches('x'), 16).unwrap(),
        });
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[test]
fn exit_on_eof_ends_the_process() {
    let place = Place::new(&[&input(""), OUTPUT].concat());
    place.write("a.log", b"one\ntwo\n");
    let ended = place.finish(&["-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = fs::read_to_string(place.path("out/t")).unwrap();
    assert_eq!(lines, "{\"log\":\"one\"}\n{\"log\":\"two\"}\n");
}

/// An input that ends when all is read.
fn input(property: &str) -> String {
    format!(
        "[INPUT]\n    Name tail\n    Tag t\n    Path @DIR@/*.log\n    Read_from_Head on\n    Exit_On_Eof on\n    \
         {property}\n"
    )
}

/// What Fluent Bit 5.1.1 does not start with: `property: value value …`.
const REFUSED: &[&str] = &[
    "Buffer_Chunk_Size: 64k 10x -1 abc",
    "Buffer_Max_Size: 0 1 1k false",
    "DB.Compare_Filename: 1",
    "DB.Journal_Mode: abc",
    "DB.Locking: 1",
    "DB: @DIR@/none/x.db",
    "Exit_On_Eof: 1",
    "File_Cache_Advise: 1",
    "Generic.Encoding: utf-8 latin1 Win1257 shift_jis Windows-1252 euc-kr",
    "Ignore_Active_Older_Files: maybe",
    "Inotify_Watcher: maybe",
    "Pth: x",
    "Read_Newly_Discovered_Files_From_Head: 1",
    "Refresh_Interval: 0 abc",
    "Rotate_Wait: 0 0.5 -1 abc",
    "Skip_Empty_Lines: 1",
    "Skip_Long_Lines: maybe",
    "Truncate_Long_Lines: 1",
    "Unicode.Encoding: utf-8 utf-16 utf16be",
];

/// What it starts with.
const TAKEN: &[&str] = &[
    "Buffer_Chunk_Size: 1 1k",
    "DB.Journal_Mode: wal delete",
    "DB.Sync: EXTRA off",
    "Generic.Encoding: ShiftJIS SJIS cp932 windows-31j GB18030 gbk CP936 UHC CP949 Windows-949 BIG5 CP950",
    "Generic.Encoding: win866 CP866 Win874 CP874 Win1250 CP1250 Win1251 CP1251 Win1252 CP1252 Win1253 CP1253",
    "Generic.Encoding: Win1254 CP1254 Win1255 CP1255 Win1256 CP1256",
    "Refresh_Interval: 0.5 5m",
    "Rotate_Wait: 1.5 1m",
    "Unicode.Encoding: AUTO utf-16le UTF16-LE utf-16be utf16-be",
];

/// What it starts with, though nothing can be meant by it: that is told.
const TOLD: &[&str] = &[
    "Buffer_Max_Size: abc 10x -1",
    "DB.Sync: abc",
    "Ignore_Older: -5 abc",
    "Parser: nope",
    "Progress_Check_Interval: -1",
    "Refresh_Interval: -1 10x",
    "Rotate_Wait: 10x",
    "Tag_Regex: (",
];

fn values(rows: &'static [&str]) -> impl Iterator<Item = (&'static str, &'static str)> {
    rows.iter().flat_map(|row| {
        let (key, values) = row.split_once(": ").unwrap();
        values.split(' ').map(move |value| (key, value))
    })
}

#[test]
fn values_that_fluent_bit_refuses_end_the_start() {
    let place = Place::new("");
    let run = |(key, value)| {
        let name = format!("{key}.{}.conf", value as &str);
        let name = name.replace(['/', '@'], "");
        let conf = "[INPUT]\n    Name tail\n    Path @DIR@/*.log\n".to_owned()
            + &format!("    {key} {value}\n[OUTPUT]\n    Name null\n    Match *\n");
        let conf = conf.replace("@DIR@", place.dir().to_str().unwrap());
        place.write(&name, conf.as_bytes());
        (key, value, place.finish(&["-c", &name]))
    };
    for (key, value, ended) in values(REFUSED).map(run) {
        assert_eq!(ended.code, Some(1), "{key} {value}: {}", ended.stderr);
        let says = key == "Pth" || ended.stderr.contains(key);
        assert!(says || key == "DB", "{key} {value}: {}", ended.stderr);
    }
}

#[test]
fn values_that_fluent_bit_takes_are_taken() {
    let place = Place::new("");
    place.write("a.log", b"one\n");
    let mut conf = String::new();
    let mut told = Vec::new();
    for (number, (key, value)) in values(TAKEN).chain(values(TOLD)).enumerate() {
        conf += "[INPUT]\n    Name tail\n    Tag t\n    Path @DIR@/*.log\n    Read_from_Head on\n    Inotify_Watcher off\n    ";
        conf = conf + key + " " + value + "\n";
        if number >= values(TAKEN).count() {
            told.push(conf.lines().count());
        }
    }
    place.configure(&(conf + OUTPUT));
    let agent = place.start();
    // In UTF-16 there is no newline.
    let expected = values(TAKEN)
        .chain(values(TOLD))
        .filter(|(_, value)| !value.to_lowercase().starts_with("utf"))
        .count();
    let count = || fs::read_to_string(place.path("out/t")).unwrap_or_default().lines().count();
    assert!(until(LIMIT, || count() == expected), "{} of {expected}: {}", count(), agent.stderr());
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0));
    let warnings = ended.stderr.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("fluent-bit.conf:")?.split_once(": ")?;
        rest.starts_with("warning").then(|| number.parse::<usize>().unwrap())
    });
    assert_eq!(warnings.collect::<Vec<_>>(), told, "{}", ended.stderr);
}
