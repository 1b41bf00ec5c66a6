//! What `tail` makes of a file's bytes: encodings and long lines, however they are written.

use super::rig::Rig;
use crate::input::Turn;
use std::time::Duration;

const HEAD: (&str, &str) = ("Read_from_Head", "on");
const PATH: (&str, &str) = ("Path", "@/*.log");

fn rig(properties: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(&[&[PATH, HEAD], properties].concat());
    rig.start();
    rig
}

fn little(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn big(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Writes the file in pieces, with a stop and a start on the way, and expects these lines, offset and text.
fn check(properties: &[(&str, &str)], bytes: &[u8], expected: &[(u64, &str)]) {
    let keys = [("Offset_Key", "at"), ("DB", "@/positions.db")];
    for piece in [1, 3, usize::MAX] {
        let mut rig = rig(&[&keys, properties].concat());
        for (number, piece) in bytes.chunks(piece.min(bytes.len())).enumerate() {
            rig.append("a.log", piece);
            rig.drain();
            if number == 5 {
                rig.settle(usize::MAX);
                rig.stop();
                rig.start();
            }
        }
        rig.settle(usize::MAX);
        let mut lines: Vec<_> =
            expected.iter().map(|(at, text)| format!(r#"{{"at":{at},"log":"{text}"}}"#)).collect();
        lines.sort_unstable();
        assert_eq!(rig.bodies(), lines, "{properties:?} in pieces of {piece}");
        assert_eq!(rig.metrics.invalid_utf8.value(), 0);
    }
}

#[test]
fn files_in_other_encodings_are_read() {
    let text = "\u{FEFF}grüße 😀\r\n\nਅ\u{10A}\u{A0A}\nend\nhalf";
    // The first line has 10 units of UTF-16, its end included, and one for the mark.
    let lines = [(2, "grüße 😀"), (22, ""), (24, "ਅ\u{10A}\u{A0A}"), (32, "end")];
    check(&[("Unicode.Encoding", "utf-16le")], &little(text), &lines);
    check(&[("Unicode.Encoding", "UTF16-BE")], &big(text), &lines);
    check(&[("Unicode.Encoding", "auto")], &little(text), &lines);
    check(&[("Unicode.Encoding", "auto")], &big(text), &lines);
    // The mark of the other one.
    check(&[("Unicode.Encoding", "utf-16le")], &big(text), &lines);
    // No mark.
    check(&[("Unicode.Encoding", "auto")], &little("1: ok\n2\n"), &[(0, "1: ok"), (12, "2")]);
    check(&[("Unicode.Encoding", "auto")], &big("1: ok\n2\n"), &[(0, "1: ok"), (12, "2")]);
    check(&[("Unicode.Encoding", "auto")], b"\xEF\xBB\xBFa\nb\n", &[(3, "a"), (5, "b")]);
    check(&[("Unicode.Encoding", "auto")], "é\nb\n".as_bytes(), &[(0, "é"), (3, "b")]);
    check(&[("Unicode.Encoding", "auto")], b"\n\na", &[(0, ""), (1, "")]);
    // As in Fluent Bit, a mark is text where nothing is said.
    check(&[], b"\xEF\xBB\xBFa\nb\n", &[(0, "\u{FEFF}a"), (5, "b")]);
    check(
        &[("Generic.Encoding", "sjis")],
        b"\x93\xFA\x96\x7B\r\n\x83\x5C\n\x83",
        &[(0, "日本"), (6, "ソ")],
    );
    check(&[("Generic.Encoding", "CP1252")], b"\x80\n\n\xFC\n", &[(0, "€"), (2, ""), (3, "ü")]);
}

#[test]
fn a_file_is_written_in_one_encoding() {
    let mut rig = Rig::new(&[PATH, ("Unicode.Encoding", "auto"), ("Generic.Encoding", "gbk")]);
    let error = rig.open().unwrap_err();
    assert!(error.to_string().contains("cannot both be set"), "{error}");
    rig.properties.pop();
    rig.start();
}

/// Fluent Bit's own positions in such files can be odd, and so can the end of a file that is just written to.
#[test]
fn a_position_in_the_middle_of_a_character_goes_on_behind_it() {
    let mut rig = Rig::new(&[PATH, ("Unicode.Encoding", "utf-16le")]);
    let bytes = little("\u{FEFF}before\nafter\n");
    let (before, after) = bytes.split_at(17);
    rig.append("a.log", before);
    rig.start();
    rig.drain();
    rig.append("a.log", after);
    rig.expect(&["fter"]);
}

#[test]
fn what_an_encoding_does_not_have_is_mended_and_counted() {
    let mut rig = rig(&[("Unicode.Encoding", "utf-16be")]);
    rig.append("a.log", b"\xD8\x3D\0\n\0b\0\n\0\0\0c\0\n\0");
    rig.expect(&["\u{FFFD}", "b", "c"]);
    assert_eq!(rig.metrics.invalid_utf8.value(), 1);
    // The half at the end waits, and counts when nobody will write the other one.
    rig.rename("a.log", "a.log.1");
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.metrics.files_closed.value(), 1);
    assert_eq!(rig.metrics.invalid_utf8.value(), 2);
}

/// What becomes of a line.
#[derive(Clone, Copy)]
enum Becomes {
    Whole,
    Nothing,
    Cut,
    Flagged,
}

/// As measured of Fluent Bit 5.1.1, but for [`Becomes::Flagged`]: there it follows the file no more.
#[test]
fn a_line_fits_the_buffer_with_its_newline_or_it_is_long() {
    let skip = ("Skip_Long_Lines", "on");
    let truncate = ("Truncate_Long_Lines", "on");
    for (properties, long) in [
        (&[][..], Becomes::Flagged),
        (&[skip], Becomes::Nothing),
        (&[truncate], Becomes::Cut),
        (&[truncate, skip], Becomes::Cut),
    ] {
        for (max, chunk) in [(1000, "1000"), (1000, "300"), (20_000, "1k")] {
            let rows = [
                ("\n", max - 3, Becomes::Whole),
                ("\n", max - 2, Becomes::Whole),
                ("\n", max - 1, long),
                ("\n", max, long),
                ("\n", 3 * max, long),
                ("\r\n", max - 3, Becomes::Whole),
                ("\r\n", max - 2, long),
            ];
            let size = max.to_string();
            let sizes = [("Buffer_Max_Size", &*size), ("Buffer_Chunk_Size", chunk)];
            check_long(&[&sizes, properties].concat(), max - 1, &rows);
        }
    }
}

/// Lines of so many `x` and an end, one behind the other, each written at once and in pieces.
fn check_long(properties: &[(&str, &str)], cut: usize, rows: &[(&str, usize, Becomes)]) {
    let record = |line: String, flag: &str| {
        let line = line.replace('\r', "\\r");
        format!(r#"{{"log":"{line}"{flag}}}"#)
    };
    // The `\r` is a part of what is cut.
    let start = |len: usize, end: &str| "x".repeat(len) + end.trim_end_matches('\n');
    let expected = rows.iter().filter_map(|(end, len, becomes)| match becomes {
        Becomes::Whole => Some(record("x".repeat(*len), "")),
        Becomes::Nothing => None,
        Becomes::Cut => Some(record(start(*len, end).get(..cut).unwrap().to_owned(), "")),
        Becomes::Flagged => Some(record(
            start(*len, end).get(..cut).unwrap().to_owned(),
            r#","log_truncated":true"#,
        )),
    });
    let mut expected: Vec<_> = expected.chain([record("last".to_owned(), "")]).collect();
    expected.sort_unstable();
    let lines: String = rows.iter().map(|(end, len, _)| "x".repeat(*len) + end).collect();
    for piece in [401, usize::MAX] {
        let mut rig = rig(properties);
        for piece in (lines.clone() + "last\n").as_bytes().chunks(piece) {
            rig.append("a.log", piece);
            rig.turn(Duration::from_millis(30));
        }
        rig.drain();
        rig.settle(usize::MAX);
        assert_eq!(rig.bodies(), expected, "{properties:?} in pieces of {piece}");
        let metrics = &rig.metrics;
        let long = metrics.long_line_skipped.value() + metrics.long_line_truncated.value();
        assert_eq!(long, 4, "{properties:?} in pieces of {piece}");
    }
}

#[test]
fn half_a_character_at_the_cut_is_left_out() {
    let limit =
        [("Truncate_Long_Lines", "on"), ("Buffer_Max_Size", "20"), ("Buffer_Chunk_Size", "20")];
    let check = |encoding: (&str, &str), bytes: &[u8], expected: &str| {
        for piece in [1, usize::MAX] {
            let mut rig = rig(&[&limit[..], &[encoding]].concat());
            for piece in bytes.chunks(piece) {
                rig.append("a.log", piece);
                rig.drain();
            }
            rig.expect(&[expected]);
            assert_eq!(rig.metrics.invalid_utf8.value(), 0);
        }
    };
    // Nineteen bytes.
    for shift in 0..4 {
        let line = "x".repeat(shift) + "😀😀😀😀😀😀";
        let cut = line.floor_char_boundary(19);
        check(("Key", "log"), (line.clone() + "\n").as_bytes(), line.get(..cut).unwrap());
    }
    check(("Unicode.Encoding", "utf-16le"), &little("x😀😀😀😀😀😀\n"), "x😀😀😀😀");
    check(("Unicode.Encoding", "utf-16be"), &big("0123456789\n"), "012345678");
    check(
        ("Generic.Encoding", "sjis"),
        &[b"x".as_slice(), &[0x93, 0xFA].repeat(12), b"\n"].concat(),
        "x日日日日日日",
    );
}

/// Bytes that this thread has read so far.
fn bytes_read() -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// Neither where there is no limit near nor where the line is over it.
#[test]
fn a_line_that_grows_slowly_is_not_read_again_and_again() {
    for (max, cut) in [("4M", false), ("64k", true)] {
        let mut rig = rig(&[("Buffer_Max_Size", max), ("Key", "k")]);
        let before = bytes_read();
        let mut len = 0;
        while len < 2_000_000 {
            rig.append("a.log", "x".repeat(10_000));
            len += 10_000;
            rig.drain();
        }
        rig.append("a.log", "\n");
        rig.drain();
        rig.settle(usize::MAX);
        let read = bytes_read() - before;
        assert!(read < 3 * len, "{read} bytes read of {len}");
        assert_eq!(rig.bodies().len(), 1);
        assert_eq!(rig.metrics.long_line_truncated.value(), u64::from(cut));
        assert_eq!(rig.bodies()[0].contains("log_truncated"), cut);
    }
}

/// What stands there is waited for: it is no reason for another turn at once.
#[test]
fn an_unfinished_line_costs_no_turns() {
    for len in [100, 5_000, 40_000, 600_000] {
        let mut rig = rig(&[]);
        rig.append("a.log", "x".repeat(len));
        rig.drain();
        for _ in 0..20 {
            let turn = rig.turn(Duration::from_millis(1));
            assert!(matches!(turn, Turn::Wait(_)), "there is nothing to read of {len}");
        }
    }
}

/// While a long line is looked through, its file is cut and written anew.
#[test]
fn a_file_written_anew_in_the_middle_of_a_long_line_begins_anew() {
    for len in [5_000, 40_000, 600_000] {
        let mut rig = rig(&[]);
        rig.append("a.log", "1\n".to_owned() + &"x".repeat(len));
        rig.drain();
        std::fs::write(rig.path("a.log"), "2\n".to_owned() + &"y".repeat(len) + "\n3\n").unwrap();
        rig.drain();
        rig.settle(usize::MAX);
        let bodies = rig.bodies();
        let ends = |text: &str| bodies.iter().any(|body| body.contains(text));
        assert!(ends(r#""1""#) && ends(r#""2""#) && ends(r#""3""#), "{len}: {}", bodies.len());
        assert_eq!(bodies.len(), 4);
        assert!(!ends("xx"));
    }
}
