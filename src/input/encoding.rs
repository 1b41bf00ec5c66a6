//! Encodings of files: where their lines end, and what their bytes say. Does no I/O.
//!
//! Of the encodings here there are two kinds. In UTF-8 and in the code pages no byte below 0x30 is ever a part of
//! another character (the trail bytes of GB18030 begin there, those of the others at 0x40), so that NUL, `\r` and
//! `\n` are what they look like. In UTF-16 a character is one or two units of two bytes, and a newline is a unit.
//! Units are counted from the start of the file: a place in a file is the middle of one if it is odd.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// Bytes at the start of a file that tell its encoding, if nothing else does.
pub(super) const HEAD_BYTES: usize = 1024;

/// Of the units of a text in UTF-16, one in so many is at least an ASCII character: lines have a time, blanks, an end.
const ASCII_SHARE: usize = 16;

/// How the lines of one file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8. As in Fluent Bit, a byte order mark is text.
    Utf8,
    /// UTF-8, found where `Unicode.Encoding` is set: a byte order mark is none.
    MarkedUtf8,
    /// Units of two bytes, the low one first.
    Utf16Le,
    /// Units of two bytes, the high one first.
    Utf16Be,
    /// What a country wrote before there was Unicode.
    Page(&'static encoding_rs::Encoding),
}

/// What was asked for: a file's byte order mark goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// All files are written so.
    All(Encoding),
    /// Those without a mark are.
    Unmarked(Encoding),
    /// The start of a file tells.
    Unknown,
}

impl Expected {
    /// The encoding of all files, if none needs to be looked at.
    pub(super) fn of_all(self) -> Option<Encoding> {
        match self {
            Self::All(encoding) => Some(encoding),
            Self::Unmarked(_) | Self::Unknown => None,
        }
    }

    /// The encoding of a file that begins with `head`. `None`: a single byte does not tell.
    pub(super) fn of(self, head: &[u8]) -> Option<Encoding> {
        match self {
            Self::All(encoding) => Some(encoding),
            Self::Unmarked(_) | Self::Unknown if head.len() < 2 => None,
            Self::Unmarked(encoding) => marked(head).or(Some(encoding)),
            Self::Unknown => marked(head).or_else(|| Some(likely(head))),
        }
    }
}

/// What the byte order mark at the start of a file says.
fn marked(head: &[u8]) -> Option<Encoding> {
    match head {
        [0xEF, 0xBB, 0xBF, ..] => Some(Encoding::MarkedUtf8),
        [0xFF, 0xFE, ..] => Some(Encoding::Utf16Le),
        [0xFE, 0xFF, ..] => Some(Encoding::Utf16Be),
        _ => None,
    }
}

/// What a text without a mark looks like. Where Fluent Bit takes UTF-16 of ASCII characters, which happens to be
/// UTF-8 with NULs, for UTF-8, the NULs tell.
fn likely(head: &[u8]) -> Encoding {
    let (mut units, mut little, mut big) = (0, 0, 0);
    for unit in head.as_chunks::<2>().0 {
        match unit {
            [0, 0] => {}
            [_, 0] => (units, little) = (units + 1, little + 1),
            [0, _] => (units, big) = (units + 1, big + 1),
            [_, _] => units += 1,
        }
    }
    if little > big && little * ASCII_SHARE >= units {
        Encoding::Utf16Le
    } else if big > little && big * ASCII_SHARE >= units {
        Encoding::Utf16Be
    } else {
        Encoding::MarkedUtf8
    }
}

/// What bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded<'a> {
    pub text: &'a str,
    /// Some of them say nothing, and U+FFFD stands for them.
    pub is_mended: bool,
}

impl Encoding {
    /// Bytes of a unit: the shortest character.
    pub(super) fn unit(self) -> usize {
        match self {
            Self::Utf8 | Self::MarkedUtf8 | Self::Page(_) => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
        }
    }

    /// The end of the last whole unit up to `offset` in a file.
    pub(super) fn whole_units(self, offset: u64) -> u64 {
        offset - offset % self.unit() as u64
    }

    /// Bytes at `offset` that are the rest of a unit: half a character, which a position can lie behind that
    /// another program wrote.
    pub(super) fn rest_of_unit(self, offset: u64) -> usize {
        usize::from(!offset.is_multiple_of(self.unit() as u64))
    }

    /// Where the newlines in `bytes` begin. They begin with a whole unit, here and below.
    pub(super) fn newlines(self, bytes: &[u8]) -> impl Iterator<Item = usize> {
        memchr::memchr_iter(b'\n', bytes).filter_map(move |at| self.newline(bytes, at))
    }

    /// Where the first line ends, its newline included.
    pub(super) fn first_end(self, bytes: &[u8]) -> Option<usize> {
        self.newlines(bytes).next().map(|at| at + self.unit())
    }

    /// Where the last line ends that has a newline; 0 if none has.
    pub(super) fn last_end(self, bytes: &[u8]) -> usize {
        let mut found = memchr::memrchr_iter(b'\n', bytes);
        found.find_map(|at| self.newline(bytes, at)).map_or(0, |at| at + self.unit())
    }

    /// Where the newline begins that has its 0x0A at `at`, if it is one.
    fn newline(self, bytes: &[u8], at: usize) -> Option<usize> {
        let newline = match self {
            Self::Utf8 | Self::MarkedUtf8 | Self::Page(_) => return Some(at),
            Self::Utf16Le => [b'\n', 0],
            Self::Utf16Be => [0, b'\n'],
        };
        let start = at - at % 2;
        bytes.get(start..)?.starts_with(&newline).then_some(start)
    }

    /// Bytes at the start of a line that are no part of it: NULs, which a file has that was cut in place while its
    /// writer went on, and byte order marks.
    pub(super) fn padding(self, line: &[u8]) -> usize {
        let nulls = |bytes: &[u8]| bytes.iter().take_while(|byte| **byte == 0).count();
        match self {
            Self::Utf8 | Self::Page(_) => nulls(line),
            Self::MarkedUtf8 => {
                let count = nulls(line);
                let is_marked =
                    line.get(count..).is_some_and(|line| line.starts_with(b"\xEF\xBB\xBF"));
                if is_marked { count + 3 } else { count }
            }
            Self::Utf16Le | Self::Utf16Be => {
                let mark = if self == Self::Utf16Le { [0xFF, 0xFE] } else { [0xFE, 0xFF] };
                let units = line.as_chunks::<2>().0.iter();
                2 * units.take_while(|unit| **unit == [0, 0] || **unit == mark).count()
            }
        }
    }

    /// The text of many lines at once, if it stands there as it is.
    pub(super) fn as_text(self, bytes: &[u8]) -> Option<&str> {
        let is_text = match self {
            Self::Utf8 | Self::MarkedUtf8 => true,
            Self::Page(_) => bytes.is_ascii(),
            Self::Utf16Le | Self::Utf16Be => false,
        };
        simdutf8::basic::from_utf8(bytes).ok().filter(|_| is_text)
    }

    /// What `bytes` say; copied into the arena if it does not stand there as it is. `is_cut`: they end anywhere,
    /// so that half a character at the end is left out.
    pub(super) fn decode<'a>(self, bytes: &'a [u8], is_cut: bool, bump: &'a Bump) -> Decoded<'a> {
        if let Some(text) = self.as_text(bytes) {
            return Decoded { text, is_mended: false };
        }
        let charset = match self {
            Self::Utf8 | Self::MarkedUtf8 => encoding_rs::UTF_8,
            Self::Utf16Le => encoding_rs::UTF_16LE,
            Self::Utf16Be => encoding_rs::UTF_16BE,
            Self::Page(charset) => charset,
        };
        let mut decoder = charset.new_decoder_without_bom_handling();
        let room = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or_default();
        let mut copy = BumpVec::with_capacity_in(room, bump);
        copy.resize(room, 0);
        let (_, _, len, is_mended) = decoder.decode_to_utf8(bytes, &mut copy, !is_cut);
        copy.truncate(len);
        copy.shrink_to_fit();
        // The decoder writes nothing but UTF-8.
        Decoded { text: str::from_utf8(copy.into_bump_slice()).unwrap_or_default(), is_mended }
    }
}

/// Fuzz entry: the first byte chooses an encoding, the second how much is read at a time; the rest is a file. Its
/// lines are the same however they are read, and where all of it can be decoded, their texts are those of the whole.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_encoding(data: &[u8]) {
    let [choice, step, file @ ..] = data else { return };
    let pages = [
        encoding_rs::SHIFT_JIS,
        encoding_rs::GB18030,
        encoding_rs::GBK,
        encoding_rs::EUC_KR,
        encoding_rs::BIG5,
        encoding_rs::WINDOWS_874,
    ];
    let unicode =
        [Encoding::Utf8, Encoding::MarkedUtf8, Encoding::Utf16Le, Encoding::Utf16Be].into_iter();
    let mut all = unicode.chain(pages.into_iter().map(Encoding::Page)).cycle();
    let encoding = all.nth(usize::from(*choice)).unwrap_or(Encoding::Utf8);
    assert_eq!(Expected::Unknown.of(file).is_some(), file.len() > 1, "no encoding");

    let bump = Bump::new();
    let text = |line: &[u8]| {
        let line = line.get(encoding.padding(line)..).unwrap_or_default().to_vec();
        encoding.decode(bump.alloc_slice_copy(&line), false, &bump).text
    };
    let mut rest = file;
    let mut whole = Vec::new();
    while let Some((line, behind)) =
        encoding.first_end(rest).and_then(|to| rest.split_at_checked(to))
    {
        whole.push((file.len() - behind.len(), text(line)));
        rest = behind;
    }

    let mut pieces = Vec::new();
    let mut at = 0;
    let mut len = usize::from(*step) + 1;
    while let Some(behind) = file.get(at..).filter(|behind| !behind.is_empty()) {
        let window = behind.get(..len).unwrap_or(behind);
        let end = encoding.last_end(window);
        let lines = window.get(..end).unwrap_or_default();
        let mut start = 0;
        for newline in encoding.newlines(lines) {
            let to = newline + encoding.unit();
            pieces.push((at + to, text(lines.get(start..to).unwrap_or_default())));
            start = to;
        }
        if end == 0 && window.len() == behind.len() {
            break;
        }
        at += end;
        len += if end == 0 { len } else { 0 };
    }
    assert_eq!(pieces, whole, "{encoding:?}");

    let all = encoding.decode(file, false, &bump);
    let is_plain = !all.is_mended && !all.text.contains(['\0', '\u{FEFF}']);
    if is_plain {
        let ends: String = whole.iter().map(|(_, line)| *line).collect();
        assert!(
            all.text.starts_with(&ends),
            "{encoding:?}: {ends:?} does not begin {:?}",
            all.text
        );
        assert_eq!(whole.len(), all.text.matches('\n').count(), "{encoding:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn the_start_of_a_file_tells() {
        let check = |head: &[u8], expected: Encoding| {
            assert_eq!(Expected::Unknown.of(head), Some(expected), "{head:x?}");
        };
        check(b"plain\n", Encoding::MarkedUtf8);
        check(b"\xEF\xBB\xBFa\0", Encoding::MarkedUtf8);
        check(b"\xFF\xFEab", Encoding::Utf16Le);
        check(b"\xFE\xFFab", Encoding::Utf16Be);
        check(b"a\0b\0", Encoding::Utf16Le);
        check(b"\0a\0b", Encoding::Utf16Be);
        // A file that was cut in place while its writer went on.
        check(
            &[&[0; 301], b"what a writer without O_APPEND goes on with".as_slice()].concat(),
            Encoding::MarkedUtf8,
        );
        check("grüße €\n".as_bytes(), Encoding::MarkedUtf8);
        let chinese: Vec<u8> =
            "12:01 今天天气很好\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&chinese, Encoding::Utf16Le);
        let unmarked = Expected::Unmarked(Encoding::Utf16Be);
        assert_eq!(unmarked.of(b"a\0"), Some(Encoding::Utf16Be));
        assert_eq!(unmarked.of(b"\xFF\xFE"), Some(Encoding::Utf16Le));
        assert_eq!(unmarked.of(b"\n"), None);
    }

    #[test]
    fn a_newline_is_a_unit() {
        let check = |encoding: Encoding, bytes: &[u8], newlines: &[usize]| {
            assert_eq!(encoding.newlines(bytes).collect::<Vec<_>>(), newlines, "{bytes:x?}");
            let unit = encoding.unit();
            assert_eq!(encoding.first_end(bytes), newlines.first().map(|at| at + unit));
            assert_eq!(encoding.last_end(bytes), newlines.last().map_or(0, |at| at + unit));
        };
        check(Encoding::Utf8, b"a\nb\n\nc", &[1, 3, 4]);
        check(Encoding::Utf16Le, b"a\0\n\0b\0\n\0", &[2, 6]);
        check(Encoding::Utf16Be, b"\0a\0\n\0\n", &[2, 4]);
        // U+0A00, U+000A, U+0A0A, U+0100, half of a newline.
        check(Encoding::Utf16Le, b"\0\n\n\0\n\n\0\x01\n", &[2]);
        check(Encoding::Utf16Be, b"\n\0\0\n\n\n\x01\0\0", &[2]);
    }

    #[test]
    fn what_says_nothing_is_mended() {
        let bump = Bump::new();
        let check = |encoding: Encoding, bytes: &'static [u8], is_cut, text: &str, is_mended| {
            let decoded = encoding.decode(bytes, is_cut, &bump);
            assert_eq!((decoded.text, decoded.is_mended), (text, is_mended), "{bytes:x?}");
        };
        let sjis = Encoding::Page(encoding_rs::SHIFT_JIS);
        check(sjis, b"\x93\xFA\x96\x7B \\~", false, "日本 \\~", false);
        check(sjis, b"a\x93", false, "a\u{FFFD}", true);
        check(sjis, b"a\x93", true, "a", false);
        check(Encoding::Page(encoding_rs::GB18030), b"\x81\x30\x81\x30", false, "\u{80}", false);
        check(Encoding::Page(encoding_rs::WINDOWS_1252), b"\x80 \xFC", false, "€ ü", false);
        check(Encoding::Utf8, b"a\xF0\x9F\x98", true, "a", false);
        check(Encoding::Utf8, b"\xFFa\xF0\x9F\x98", false, "\u{FFFD}a\u{FFFD}", true);
        check(Encoding::Utf16Le, b"\x3D\xD8\x00\xDE", false, "😀", false);
        check(Encoding::Utf16Le, b"a\0\x3D\xD8\x00", true, "a", false);
        check(Encoding::Utf16Le, b"a\0\x3D\xD8", false, "a\u{FFFD}", true);
        check(Encoding::Utf16Be, b"\0", false, "\u{FFFD}", true);
    }

    /// Bytes that mean something, more often than others.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let special =
            select(b"\n\0\r\x30\x3D\x5C\x81\x93\xA4\xBB\xBF\xD8\xDE\xEF\xFE\xFF".as_slice());
        vec(prop_oneof![special, any::<u8>()], 0..64)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_read(choice: u8, step in 0_u8..9, file in bytes()) {
            fuzz_encoding(&[&[choice, step], file.as_slice()].concat());
        }
    }
}
