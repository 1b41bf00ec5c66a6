//! What `tail` makes of a file's bytes: encodings and long lines, however they are written.

use super::rig::Rig;

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
        rig.turn(std::time::Duration::from_secs(1));
    }
    assert_eq!(rig.metrics.files_closed.value(), 1);
    assert_eq!(rig.metrics.invalid_utf8.value(), 2);
}
