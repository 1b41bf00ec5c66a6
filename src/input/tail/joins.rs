//! What becomes of lines that are joined: in one file, across reads, rotation, restarts and crashes.

use super::rig::Rig;
use crate::input::Turn;
use expect_test::{Expect, expect};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// What waits is overdue after so long.
const LONG: Duration = Duration::from_secs(5);

fn rig(properties: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(&[
        ("Path", "@/*.log"),
        ("Read_from_Head", "on"),
        ("DB", "@/db"),
        ("Refresh_Interval", "1"),
    ]);
    for (key, value) in properties {
        rig.properties.push(((*key).to_owned(), (*value).to_owned()));
    }
    rig
}

/// Turns until what waited is overdue, and handed over.
fn outwait(rig: &mut Rig) {
    rig.drain();
    rig.turn(LONG);
    // What is closed is written down first.
    let is_done = (0..2_000).any(|_| {
        rig.turn(Duration::from_millis(1));
        rig.tail.as_ref().unwrap().has_cut()
    });
    assert!(is_done, "never written down");
    rig.drain();
}

/// What was handed over, with where it lies, in order.
fn shown(rig: &Rig) -> String {
    let mut text = String::new();
    for one in rig.recorder.open.iter().flat_map(|(_, _, sent)| sent) {
        writeln!(text, "{}-{} {}", one.from, one.to, one.body).unwrap();
    }
    text.replace(rig.home.path().to_str().unwrap(), "@")
}

/// What lines become: all at once, and the same when they come byte by byte.
fn check(properties: &[(&str, &str)], text: &str, expected: &Expect) {
    let mut whole = rig(properties);
    whole.append("a.log", text);
    whole.start();
    outwait(&mut whole);
    let shown_whole = shown(&whole);
    expected.assert_eq(&shown_whole);

    let mut pieces = rig(properties);
    pieces.start();
    for piece in text.as_bytes().chunks(7) {
        pieces.append("a.log", piece);
        for _ in 0..3 {
            pieces.turn(Duration::from_millis(25));
        }
    }
    outwait(&mut pieces);
    assert_eq!(shown_whole, shown(&pieces), "in one read, and in many");
}

const CRI: (&str, &str) = ("Multiline.Parser", "cri");

#[test]
fn pieces_of_a_containers_line() {
    check(
        &[CRI],
        "2021-01-01T00:00:00.1Z stdout P one \n\
         2021-01-01T00:00:00.2Z stdout F two\n\
         2021-01-01T00:00:00.3Z stdout F three\n\
         2021-01-01T00:00:00.4Z stderr F \n\
         garbage\n",
        &expect![[r#"
            0-73 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","_p":"P","log":"one two"}
            73-111 {"time":"2021-01-01T00:00:00.3Z","stream":"stdout","_p":"F","log":"three"}
            111-144 {"time":"2021-01-01T00:00:00.4Z","stream":"stderr","_p":"F","log":""}
            144-152 {"log":"garbage"}
        "#]],
    );
}

#[test]
fn streams_are_kept_apart_and_stay_in_order() {
    check(
        &[CRI],
        "2021-01-01T00:00:00.1Z stdout P one \n\
         2021-01-01T00:00:00.2Z stderr P uno \n\
         2021-01-01T00:00:00.3Z stdout F two\n\
         2021-01-01T00:00:00.4Z stderr F dos\n\
         2021-01-01T00:00:00.5Z stderr P left \n\
         2021-01-01T00:00:00.6Z stdout F last\n",
        &expect![[r#"
            0-110 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","_p":"P","log":"one two"}
            37-146 {"time":"2021-01-01T00:00:00.2Z","stream":"stderr","_p":"P","log":"uno dos"}
            146-184 {"time":"2021-01-01T00:00:00.5Z","stream":"stderr","_p":"P","log":"left "}
            184-221 {"time":"2021-01-01T00:00:00.6Z","stream":"stdout","_p":"F","log":"last"}
        "#]],
    );
}

#[test]
fn dockers_lines() {
    check(
        &[("Multiline.Parser", "docker, cri"), ("Path_Key", "file"), ("Offset_Key", "at")],
        "{\"log\":\"one, \",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.53413Z\"}\n\
         {\"log\":\"two\\n\",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.53414Z\"}\n\
         2021-01-01T00:00:00.1Z stdout F cri\n\
         {\"log\":\"\\\"x\\\"\\n\",\"stream\":\"stderr\",\"time\":\"2021-02-01T01:40:03.53414Z\"}\n",
        &expect![[r#"
            0-140 {"log":"one, two\n","stream":"stdout","time":"2021-02-01T01:40:03.53413Z","file":"@/a.log","at":0}
            140-176 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","_p":"F","log":"cri","file":"@/a.log","at":140}
            176-248 {"log":"\"x\"\n","stream":"stderr","time":"2021-02-01T01:40:03.53414Z","file":"@/a.log","at":176}
        "#]],
    );
}

#[test]
fn stack_traces() {
    check(
        &[("Multiline.Parser", "java, go")],
        "start\n\
         x Exception: a\n\
         \tat b\n\
         \n\
         \tat c\n\
         end\n\
         panic: p\n\
         \n\
         goroutine 1 [running]:\n",
        &expect![[r#"
            0-6 {"log":"start\n"}
            6-27 {"log":"x Exception: a\n\tat b\n"}
            28-34 {"log":"\tat c\n"}
            34-38 {"log":"end\n"}
            38-71 {"log":"panic: p\n\ngoroutine 1 [running]:\n"}
        "#]],
    );
}

#[test]
fn stack_traces_in_containers_lines() {
    check(
        &[CRI, ("tailwater.multiline.parser", "java")],
        "2021-01-01T00:00:00.1Z stdout F x Exception: a\n\
         2021-01-01T00:00:00.2Z stderr F other\n\
         2021-01-01T00:00:00.3Z stdout P \tat b\n\
         2021-01-01T00:00:00.4Z stdout F ...\n\
         2021-01-01T00:00:00.5Z stdout F done\n\
         2021-01-01T00:00:00.6Z stdout P y Exception: \n\
         2021-01-01T00:00:00.7Z stdout F of two\n\
         2021-01-01T00:00:00.8Z stdout F \tat c\n",
        &expect![[r#"
            0-159 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","_p":"F","log":"x Exception: a\n\tat b..."}
            47-85 {"time":"2021-01-01T00:00:00.2Z","stream":"stderr","_p":"F","log":"other"}
            159-196 {"time":"2021-01-01T00:00:00.5Z","stream":"stdout","_p":"F","log":"done"}
            196-319 {"time":"2021-01-01T00:00:00.6Z","stream":"stdout","_p":"P","log":"y Exception: of two\n\tat c"}
        "#]],
    );
}

#[test]
fn pieces_of_what_parser_reads() {
    let parser = ("Parser", "cri");
    let text = "2021-01-01T00:00:00.1Z stdout P one \n\
                2021-01-01T00:00:00.2Z stdout F two\n\
                garbage\n";
    check(
        &[parser],
        text,
        &expect![[r#"
        0-37 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","logtag":"P","message":"one "}
        37-73 {"time":"2021-01-01T00:00:00.2Z","stream":"stdout","logtag":"F","message":"two"}
        73-81 {"log":"garbage"}
    "#]],
    );
    check(
        &[parser, ("tailwater.join_pieces", "on")],
        text,
        &expect![[r#"
        0-73 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","logtag":"P","message":"one two"}
        73-81 {"log":"garbage"}
    "#]],
    );
}

/// A runtime ends a line with an empty piece if the one before was as long as pieces are.
#[test]
fn pieces_may_be_empty() {
    let text = "2021-01-01T00:00:00.1Z stdout P one\n\
                2021-01-01T00:00:00.2Z stdout F \n\
                2021-01-01T00:00:00.3Z stdout P \n\
                2021-01-01T00:00:00.4Z stdout F two\n\
                2021-01-01T00:00:00.5Z stdout F \n";
    check(
        &[("Parser", "cri"), ("tailwater.join_pieces", "on")],
        text,
        &expect![[r#"
        0-69 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","logtag":"P","message":"one"}
        69-138 {"time":"2021-01-01T00:00:00.3Z","stream":"stdout","logtag":"P","message":"two"}
        138-171 {"time":"2021-01-01T00:00:00.5Z","stream":"stdout","logtag":"F"}
    "#]],
    );
    check(
        &[CRI],
        text,
        &expect![[r#"
        0-69 {"time":"2021-01-01T00:00:00.1Z","stream":"stdout","_p":"P","log":"one"}
        69-138 {"time":"2021-01-01T00:00:00.3Z","stream":"stdout","_p":"P","log":"two"}
        138-171 {"time":"2021-01-01T00:00:00.5Z","stream":"stdout","_p":"F","log":""}
    "#]],
    );
}

/// The rule is not tried to its end; its line counts as one that no rule matches.
#[test]
fn a_rule_that_explodes_is_given_up() {
    let before = tailwater_parsers::regex::given_up();
    let line = "x".repeat(200);
    check(
        &[("Multiline.Parser", "explodes")],
        &format!("begin\n{line}\nend\n"),
        &expect![[r#"
            0-6 {"log":"begin\n"}
            6-207 {"log":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"}
            207-211 {"log":"end\n"}
        "#]],
    );
    assert!(tailwater_parsers::regex::given_up() > before);
}

#[test]
fn own_rules_and_ends() {
    check(
        &[("Multiline.Parser", "begins")],
        "before\nOne\n a\nb\nTwo\n\nThree\n",
        &expect![[r#"
            0-7 {"log":"before\n"}
            7-16 {"log":"One\n a\nb\n"}
            16-20 {"log":"Two\n"}
            21-27 {"log":"Three\n"}
        "#]],
    );
    check(
        &[("Multiline.Parser", "until")],
        "a\nb.\nc.\nd\n",
        &expect![[r#"
        0-5 {"log":"a\nb.\n"}
        5-8 {"log":"c.\n"}
        8-10 {"log":"d\n"}
    "#]],
    );
}

#[test]
fn first_lines() {
    check(
        &[("Multiline", "on"), ("Parser_Firstline", "first"), ("Parser_1", "more")],
        "lone\nINFO a\nb\nand c\nd\nWARN e\n",
        &expect![[r#"
            0-5 {"log":"lone"}
            5-22 {"level":"INFO","text":"a\nb","second":"c\nd"}
            22-29 {"level":"WARN","text":"e"}
        "#]],
    );
}

#[test]
fn dockers_old_mode() {
    check(
        &[("Docker_Mode", "on"), ("Parser", "docker")],
        "{\"log\":\"one \",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.1Z\"}\n\
         {\"log\":\"\\\"two\\\"\\n\",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.2Z\"}\n\
         no json\n\
         {\"log\":\"three\\n\",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.3Z\"}\n\
         {\"log\":\"left\",\"stream\":\"stdout\",\"time\":\"2021-02-01T01:40:03.4Z\"}\n",
        &expect![[r#"
            0-135 {"log":"one \"two\"\n","stream":"stdout","time":"2021-02-01T01:40:03.2Z"}
            135-143 {"log":"no json"}
            143-211 {"log":"three\n","stream":"stdout","time":"2021-02-01T01:40:03.3Z"}
            211-276 {"log":"left","stream":"stdout","time":"2021-02-01T01:40:03.4Z"}
        "#]],
    );
}

/// A line of a container.
fn line(tag: char, text: &str) -> String {
    format!("2021-01-01T00:00:00.1Z stdout {tag} {text}\n")
}

/// Turns a little, so that everything is read and nothing is overdue.
fn look(rig: &mut Rig) {
    for _ in 0..8 {
        rig.turn(Duration::from_millis(30));
    }
    // The database may need longer than that, or the file is only found by the next scan.
    let is_read = (0..2_000).any(|_| {
        // One that is empty is registered with its first line.
        let is_empty = rig.path("a.log").metadata().is_ok_and(|status| status.len() == 0);
        let is_known = is_empty || !rig.path("a.log").exists() || rig.is_followed("a.log");
        rig.turn(Duration::from_millis(1)) != Turn::More && is_known && rig.is_read()
    });
    assert!(is_read, "never read to the end");
}

/// The texts that the store has.
fn stored(rig: &Rig) -> Vec<String> {
    let text =
        |body: &&str| body.rsplit_once("\"log\":").unwrap().1.trim_end_matches('}').to_owned();
    let mut texts: Vec<_> = rig.bodies().iter().map(text).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn a_position_never_stands_behind_a_piece() {
    let mut rig = rig(&[CRI]);
    rig.start();
    rig.append("a.log", line('F', "zero") + &line('P', "one "));
    look(&mut rig);
    rig.settle(9);
    rig.kill();
    rig.append("a.log", line('P', "two "));
    rig.start();
    look(&mut rig);
    rig.settle(9);
    rig.stop();
    rig.append("a.log", line('F', "three"));
    rig.start();
    look(&mut rig);
    rig.settle(9);
    assert_eq!(stored(&rig), [r#""one two three""#, r#""zero""#]);
}

#[test]
fn what_was_parted_for_want_of_a_line_stays_parted() {
    let mut rig = rig(&[("Multiline.Parser", "begins")]);
    rig.start();
    rig.append("a.log", "One\n a\n");
    outwait(&mut rig);
    // It was sent, but that is not known when the process dies; and then its next line comes.
    let sent: Vec<_> = rig.recorder.open.drain(..).collect();
    for (_, _, sent) in sent {
        rig.store(sent);
    }
    rig.kill();
    rig.append("a.log", " b\nTwo\n");
    rig.start();
    outwait(&mut rig);
    rig.settle(9);
    assert_eq!(stored(&rig), [r#"" b\n""#, r#""One\n a\n""#, r#""Two\n""#]);
    // Once the position is behind it, the cut is forgotten.
    rig.stop();
    let database = rusqlite::Connection::open(rig.path("db")).unwrap();
    let cuts: i64 =
        database.query_row("SELECT count(*) FROM tailwater_cuts", [], |row| row.get(0)).unwrap();
    assert_eq!(cuts, 0);
}

/// A line in two pieces, the second of which comes to a new file after a rotation. `die`: the process is killed when
/// so much was done.
fn check_rotation(die: usize) {
    let mut rig = rig(&[CRI]);
    rig.properties.push(("Rotate_Wait".to_owned(), "1".to_owned()));
    rig.start();
    rig.append("a.log", line('F', "zero") + &line('P', "one "));
    look(&mut rig);
    let steps: [&dyn Fn(&mut Rig); 5] = [
        &|rig| rig.rename("a.log", "a.log.1"),
        &|rig| rig.append("a.log", line('P', "two ")),
        &|rig| rig.append("a.log", line('F', "three") + &line('F', "four")),
        &|rig| rig.settle(2),
        &|rig| rig.settle(9),
    ];
    for (index, step) in steps.iter().enumerate() {
        step(&mut rig);
        look(&mut rig);
        if index == die {
            let sent: Vec<_> = rig.recorder.open.drain(..).collect();
            for (_, _, sent) in sent.into_iter().take(die % 3) {
                rig.store(sent);
            }
            rig.kill();
            rig.start();
            look(&mut rig);
        }
    }
    outwait(&mut rig);
    rig.settle(99);
    look(&mut rig);
    rig.settle(99);
    assert_eq!(stored(&rig), [r#""four""#, r#""one two three""#, r#""zero""#], "killed at {die}");
    // And all of it is safe: nothing is sent again.
    rig.stop();
    rig.start();
    outwait(&mut rig);
    assert_eq!(shown(&rig), "", "killed at {die}");
}

#[test]
fn a_line_goes_on_behind_a_rotation() {
    for die in 0..6 {
        check_rotation(die);
    }
}

#[test]
fn a_trace_ends_with_its_file_if_the_next_one_begins_anew() {
    let mut rig = rig(&[("Multiline.Parser", "java")]);
    rig.start();
    rig.append("a.log", "x Exception: a\n\tat b\n");
    look(&mut rig);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "\tat c\nplain\n");
    look(&mut rig);
    rig.rename("a.log", "a.log.2");
    rig.append("a.log", "y Exception: d\n");
    look(&mut rig);
    rig.rename("a.log", "a.log.3");
    rig.append("a.log", "plain\n");
    outwait(&mut rig);
    rig.settle(99);
    let expected = [
        r#""plain\n""#,
        r#""plain\n""#,
        r#""x Exception: a\n\tat b\n\tat c\n""#,
        r#""y Exception: d\n""#,
    ];
    assert_eq!(stored(&rig), expected);
}

#[test]
fn an_empty_line_goes_on_behind_a_rotation_as_anywhere() {
    let mut rig = rig(&[("Multiline.Parser", "go")]);
    rig.start();
    rig.append("a.log", "panic: a\n");
    look(&mut rig);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "\ngoroutine 1 [running]:\n");
    outwait(&mut rig);
    rig.settle(99);
    assert_eq!(stored(&rig), [r#""panic: a\n\ngoroutine 1 [running]:\n""#]);
}

#[test]
fn what_is_longer_than_it_may_be_is_cut_and_counted() {
    let mut rig = rig(&[("Multiline.Parser", "java")]);
    rig.joined_max = 24;
    rig.append("a.log", "x Exception: a\n\tat b\n\tat cdef\n\tat g\nplain\n");
    rig.start();
    outwait(&mut rig);
    expect![[r#"
        0-30 {"log":"x Exception: a\n\tat b\n\tat\n"}
        30-36 {"log":"\tat g\n"}
        36-42 {"log":"plain\n"}
    "#]]
    .assert_eq(&shown(&rig));
    assert_eq!(rig.metrics.multiline_truncated.value(), 1);
}

#[test]
fn a_line_whose_next_piece_lies_unread_is_waited_for() {
    let mut rig = rig(&[CRI]);
    rig.properties.push(("Rotate_Wait".to_owned(), "1".to_owned()));
    rig.start();
    rig.append("a.log", line('P', "one "));
    look(&mut rig);
    rig.recorder.is_full = true;
    rig.append("a.log", line('P', "two "));
    for _ in 0..4 {
        rig.turn(LONG);
    }
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", line('F', "three"));
    for _ in 0..4 {
        rig.turn(LONG);
    }
    rig.recorder.is_full = false;
    look(&mut rig);
    rig.settle(9);
    assert_eq!(stored(&rig), [r#""one two three""#]);
}

#[test]
fn what_is_longer_than_it_may_be_in_containers_lines_is_parted() {
    let mut rig = rig(&[CRI, ("tailwater.multiline.parser", "java")]);
    rig.joined_max = 24;
    rig.append("a.log", line('F', "x Exception: a") + &line('F', "\tat bcdefghijkl"));
    rig.append("a.log", line('F', "\tat m") + &line('F', "plain"));
    rig.start();
    outwait(&mut rig);
    rig.settle(9);
    let expected = [r#""\tat m""#, r#""plain""#, r#""x Exception: a\n\tat bcdef""#];
    assert_eq!(stored(&rig), expected);
    assert_eq!(rig.metrics.multiline_truncated.value(), 1);
}

#[test]
fn a_file_that_is_cut_hands_over_what_waits() {
    let mut rig = rig(&[("Multiline.Parser", "java")]);
    rig.start();
    rig.append("a.log", "x Exception: a\n\tat b\n");
    look(&mut rig);
    std::fs::write(rig.path("a.log"), "plain\n").unwrap();
    look(&mut rig);
    rig.settle(99);
    assert_eq!(stored(&rig), [r#""plain\n""#, r#""x Exception: a\n\tat b\n""#]);
}

/// A writer of pieces on two streams, and a `tail` that is stopped and killed. Every piece has a number of its own.
struct Life {
    rig: Rig,
    rng: fastrand::Rng,
    pieces: usize,
    rotations: usize,
    /// Per stream, the numbers of the pieces of each line that was written.
    lines: [Vec<Vec<usize>>; 2],
    /// Whether the last line of a stream is not whole.
    open: [bool; 2],
    /// When something was last written to a stream.
    written: [Instant; 2],
    /// Whether lines may have been parted for want of their next piece.
    has_waited: bool,
}

impl Life {
    fn write(&mut self) {
        let mut text = String::new();
        for _ in 0..self.rng.usize(1..6) {
            let stream = self.rng.usize(..2);
            let is_whole = self.rng.u8(..3) > 0;
            if !self.open[stream] {
                self.lines[stream].push(Vec::new());
            }
            self.lines[stream].last_mut().unwrap().push(self.pieces);
            self.open[stream] = !is_whole;
            self.written[stream] = self.rig.now;
            let (name, tag) = (["stdout", "stderr"][stream], if is_whole { 'F' } else { 'P' });
            writeln!(text, "2021-01-01T00:00:00.1Z {name} {tag} {},", self.pieces).unwrap();
            self.pieces += 1;
        }
        let (half, rest) = text.split_at(self.rng.usize(..text.len()));
        self.rig.append("a.log", half);
        if self.rng.u8(..4) == 0 {
            look(&mut self.rig);
        }
        self.rig.append("a.log", rest);
    }

    fn step(&mut self) {
        let is_late = |stream: usize| {
            self.open[stream] && self.rig.now > self.written[stream] + Duration::from_secs(3)
        };
        self.has_waited |= is_late(0) || is_late(1);
        match self.rng.u8(..100) {
            0..40 => self.write(),
            40..55 => {
                self.rig.recorder.is_full = self.rng.u8(..4) == 0;
                for _ in 0..8 {
                    self.rig.turn(Duration::from_millis(30));
                }
                self.rig.recorder.is_full = false;
            }
            55..70 => {
                if self.rig.is_followed("a.log") {
                    self.rotations += 1;
                    self.rig.rename("a.log", &format!("a.log.{}", self.rotations));
                }
            }
            70..74 => {
                self.has_waited = true;
                outwait(&mut self.rig);
            }
            74..86 => self.rig.settle(self.rng.usize(..4)),
            86..96 => {
                let sent: Vec<_> = self.rig.recorder.open.drain(..).collect();
                for (_, _, sent) in sent {
                    if self.rng.bool() {
                        self.rig.store(sent);
                    }
                }
                self.rig.kill();
                self.rig.start();
            }
            _ => {
                self.rig.stop();
                self.rig.start();
            }
        }
    }

    /// Every piece is in one record, and, if nothing had to be parted, every line is one.
    fn check(mut self) {
        for _ in 0..3 {
            outwait(&mut self.rig);
            self.rig.settle(usize::MAX);
        }
        let numbers = |text: &String| -> Vec<usize> {
            text.trim_matches('"').split_terminator(',').map(|one| one.parse().unwrap()).collect()
        };
        let mut found: Vec<_> = stored(&self.rig).iter().map(numbers).collect();
        found.sort_unstable();
        let mut lines: Vec<_> = self.lines.concat();
        lines.sort_unstable();
        if self.has_waited {
            // Where they were parted, nobody but the clock knows.
            for record in &found {
                let is_of =
                    |line: &Vec<usize>| line.windows(record.len()).any(|part| part == record);
                assert!(
                    lines.iter().any(is_of),
                    "joined what does not belong together: {record:?}"
                );
            }
            let flat = |all: Vec<Vec<usize>>| {
                let mut all = all.concat();
                all.sort_unstable();
                all
            };
            assert_eq!(flat(found), flat(lines), "lost or doubled");
        } else {
            assert_eq!(found, lines);
        }
    }
}

#[test]
fn every_piece_exactly_once_whatever_happens() {
    let seeds = std::env::var("TAILWATER_TAIL_SEEDS").map_or(12, |count| count.parse().unwrap());
    let first = std::env::var("TAILWATER_TAIL_SEED").map_or(0, |first| first.parse().unwrap());
    for seed in first..first + seeds {
        println!("TAILWATER_TAIL_SEED={seed}");
        let mut rig = rig(&[CRI]);
        rig.properties.push(("Rotate_Wait".to_owned(), "1".to_owned()));
        rig.start();
        let rng = fastrand::Rng::with_seed(seed);
        let (lines, open, written) = ([Vec::new(), Vec::new()], [false; 2], [rig.now; 2]);
        let (pieces, rotations, has_waited) = (0, 0, false);
        let mut life = Life { rig, rng, pieces, rotations, lines, open, written, has_waited };
        for _ in 0..60 {
            life.step();
        }
        life.check();
    }
}
