//! Strings of JSON: what is special in them, escaping, decoding and repair.

use memchr::memchr;
use wide::u8x16;

use super::{Text, Value};
use crate::word::first_word;

impl Text<'_> {
    /// Whether this stands for `text`, escapes decoded.
    #[inline]
    pub fn is(self, text: &str) -> bool {
        match self {
            Self::Plain(body) => body == text,
            Self::Escaped(body) | Self::Dirty(body) => decodes_to(body, text),
        }
    }

    /// What this stands for; `scratch` is overwritten where there is something to decode.
    pub fn decode<'b>(self, scratch: &'b mut String) -> &'b str
    where
        Self: 'b,
    {
        match self {
            Self::Plain(body) => body,
            Self::Escaped(body) | Self::Dirty(body) => {
                scratch.clear();
                unescape(body, scratch);
                scratch
            }
        }
    }

    /// Appends what this stands for, escapes decoded.
    #[inline]
    pub fn write_decoded(self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(body) => out.extend_from_slice(body.as_bytes()),
            Self::Escaped(body) | Self::Dirty(body) => {
                pieces(body, |piece| out.extend_from_slice(piece.as_bytes()));
            }
        }
    }

    /// Whether this is copied mended: it holds raw control characters or halves of surrogate pairs.
    #[inline]
    pub fn is_dirty(self) -> bool {
        matches!(self, Self::Dirty(_))
    }

    /// Appends the inside of a clean JSON string that stands for the same text.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(body) | Self::Escaped(body) => out.extend_from_slice(body.as_bytes()),
            Self::Dirty(body) => {
                repair_body(body, |piece| out.extend_from_slice(piece.as_bytes()));
            }
        }
    }

    /// Appends the inside of a JSON string that stands for the same text, with every character that
    /// `is_escaped` as `\u00e9`.
    pub fn write_escaped(self, is_escaped: fn(char) -> bool, out: &mut Vec<u8>) {
        match self {
            Self::Plain(body) => escape_also(body, is_escaped, out),
            Self::Escaped(body) | Self::Dirty(body) => {
                pieces(body, |piece| escape_also(piece, is_escaped, out));
            }
        }
    }
}

impl<'a> Value<'a> {
    /// The text of an object or array.
    #[inline]
    pub fn nested(self) -> Option<&'a str> {
        match self {
            Self::Nested(text) | Self::SpacedNested(text) | Self::DirtyNested(text) => Some(text),
            Self::Null | Self::True | Self::False | Self::Number(_) | Self::String(_) => None,
        }
    }

    /// Whether there are dirty strings in it, so that it is copied mended.
    #[inline]
    pub fn is_dirty(self) -> bool {
        match self {
            Self::String(text) => text.is_dirty(),
            _ => matches!(self, Self::DirtyNested(_)),
        }
    }

    /// Whether its text is copied as it is.
    #[inline]
    pub(super) fn is_clean(self) -> bool {
        !self.is_dirty() && !matches!(self, Self::SpacedNested(_))
    }
}

fn decodes_to(body: &str, text: &str) -> bool {
    let mut rest = Some(text);
    pieces(body, |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
    rest == Some("")
}

/// Decodes the inside of a JSON string and appends it. Half a surrogate pair becomes U+FFFD; a
/// backslash that begins no escape stays as it is.
pub fn unescape(body: &str, out: &mut String) {
    pieces(body, |piece| out.push_str(piece));
}

/// Calls `sink` with the parts of what `body` stands for.
fn pieces(body: &str, mut sink: impl FnMut(&str)) {
    let mut rest = body;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        let Some((before, from)) = rest.split_at_checked(at) else { break };
        sink(before);
        let escape = Escape::read(from.as_bytes());
        let length = escape.as_ref().map_or(1, |escape| escape.length);
        let Some((raw, behind)) = from.split_at_checked(length) else { break };
        match escape {
            Some(Escape { character, .. }) => {
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                sink(character.encode_utf8(&mut [0; 4]));
            }
            None => sink(raw),
        }
        rest = behind;
    }
    sink(rest);
}

/// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters are
/// escaped, everything else is copied.
#[inline]
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (plain, rest) = bytes.split_at_checked(plain_len(bytes)).unwrap_or((bytes, &[]));
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        escape_special(rest, out);
    }
}

/// The same with more characters escaped.
fn escape_also(text: &str, is_escaped: fn(char) -> bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((plain, from)) = rest.find(is_escaped).and_then(|at| rest.split_at_checked(at)) {
        escape(plain, out);
        let mut characters = from.chars();
        let character = characters.next().unwrap_or_default();
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                let digit = char::from_digit(u32::from(*unit >> shift & 0xf), 16);
                out.extend(digit.and_then(|digit| u8::try_from(digit).ok()));
            }
        }
        rest = characters.as_str();
    }
    escape(rest, out);
}

/// Goes on behind the first special character.
fn escape_special(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some(window) = rest.get(..WINDOW_LEN + BLOCK_LEN) {
        if !escape_window(window, out) {
            break;
        }
        rest = rest.get(WINDOW_LEN..).unwrap_or_default();
    }
    while let Some((plain, from)) = rest.split_at_checked(plain_len(rest)) {
        out.extend_from_slice(plain);
        let Some((byte, behind)) = from.split_first() else { return };
        let (length, bytes) = escaped(*byte);
        out.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
        rest = behind;
    }
}

/// Bytes that are escaped together.
const WINDOW_LEN: usize = 64;

/// Escapes the first [`WINDOW_LEN`] bytes of a window, which reaches a block further. False: nothing of it,
/// as there is a control character.
///
/// JSON within JSON has a quote every few bytes, so what lies between two is not worth a call: a whole block is copied,
/// and what is too much of it overwritten by what comes next.
#[inline]
fn escape_window(window: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + 2 * WINDOW_LEN + BLOCK_LEN, 0);
    let written = escape_into(window, out.get_mut(start..).unwrap_or_default());
    out.truncate(start + written.unwrap_or_default());
    written.is_some()
}

/// Does this in a room of its own; returns how much of it was written.
#[inline]
fn escape_into(window: &[u8], room: &mut [u8]) -> Option<usize> {
    let mut written = 0;
    for at in (0..WINDOW_LEN).step_by(BLOCK_LEN) {
        let block = window.get(at..)?.first_chunk()?;
        let mut special = special_bytes(*block);
        let mut from = 0;
        while special != 0 {
            let end = special.trailing_zeros() as usize;
            special &= special - 1;
            let byte = *block.get(end)?;
            if byte < b' ' {
                return None;
            }
            copy_block(window.get(at + from..)?, room.get_mut(written..)?)?;
            written += end - from;
            *room.get_mut(written..)?.first_chunk_mut()? = [b'\\', byte];
            written += 2;
            from = end + 1;
        }
        copy_block(window.get(at + from..)?, room.get_mut(written..)?)?;
        written += BLOCK_LEN - from;
    }
    Some(written)
}

/// Copies one block.
#[inline]
fn copy_block(from: &[u8], to: &mut [u8]) -> Option<()> {
    *to.first_chunk_mut::<BLOCK_LEN>()? = *from.first_chunk()?;
    Some(())
}

/// The escape for an ASCII character: how many of the bytes count, and the bytes.
fn escaped(byte: u8) -> (usize, [u8; 6]) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let [high, low] = [byte >> 4, byte & 0xf]
                .map(|nibble| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
            return (6, [b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    (2, [b'\\', short, 0, 0, 0, 0])
}

/// Appends a value's text without the white space between its parts and with its dirty strings made
/// clean: control characters escaped, halves of surrogate pairs replaced by U+FFFD. The text must be
/// one that [`super::value`] accepts.
pub fn repair(text: &str, out: &mut String) {
    let mut rest = text;
    // Outside of strings there is no quote, and inside of them none that is not escaped.
    while let Some((before, string)) = split_at_quote(rest) {
        out.extend(before.split_ascii_whitespace());
        let length = repair_body(string, |piece| out.push_str(piece));
        let Some((_, behind)) = string.split_at_checked(length) else { return };
        let Some(behind) = behind.strip_prefix('"') else { return };
        out.push('"');
        rest = behind;
    }
    out.extend(rest.split_ascii_whitespace());
}

/// Splits behind the first quote.
fn split_at_quote(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(memchr(b'"', text.as_bytes())? + 1)
}

/// Calls `sink` with the parts of the clean string body that stands for the same text as `text` up
/// to its first quote; returns where that is.
fn repair_body(text: &str, mut sink: impl FnMut(&str)) -> usize {
    let mut rest = text;
    while let Some((plain, from)) = rest.split_at_checked(plain_len(rest.as_bytes())) {
        sink(plain);
        rest = from;
        let Some(&byte) = from.as_bytes().first() else { break };
        if byte == b'"' {
            break;
        }
        let escape = Escape::read(from.as_bytes());
        let length = escape.as_ref().map_or(1, |escape| escape.length);
        let Some((raw, behind)) = from.split_at_checked(length) else { break };
        match escape {
            Some(Escape { character: Some(_), .. }) => sink(raw),
            Some(Escape { character: None, .. }) => sink("\u{fffd}"),
            None => {
                let (length, bytes) = escaped(byte);
                sink(bytes.get(..length).and_then(|it| str::from_utf8(it).ok()).unwrap_or(raw));
            }
        }
        rest = behind;
    }
    text.len() - rest.len()
}

/// One escape sequence, read from its backslash on.
pub(super) struct Escape {
    /// In bytes, the backslash included.
    pub(super) length: usize,
    /// None: half a surrogate pair.
    pub(super) character: Option<char>,
}

impl Escape {
    /// None: the bytes do not begin with an escape of JSON.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [b'\\', letter, rest @ ..] = bytes else { return None };
        let character = match letter {
            b'"' | b'\\' | b'/' => char::from(*letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return Self::read_unicode(rest),
            _ => return None,
        };
        Some(Self { length: 2, character: Some(character) })
    }

    /// Reads four digits, and the other half if they are the first half of a pair.
    fn read_unicode(digits: &[u8]) -> Option<Self> {
        let first = hex4(digits)?;
        if (0xd800..0xdc00).contains(&first)
            && let Some([b'\\', b'u', rest @ ..]) = digits.get(4..)
            && let Some(second @ 0xdc00..0xe000) = hex4(rest)
        {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Some(Self { length: 12, character: char::from_u32(code) });
        }
        Some(Self { length: 6, character: char::from_u32(first) })
    }
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

/// How many bytes lie before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK_LEN>();
    let mut length = 0;
    for block in blocks {
        let special = special_bytes(*block);
        if special != 0 {
            return length + special.trailing_zeros() as usize;
        }
        length += BLOCK_LEN;
    }
    let (word, behind) = rest.split_at_checked(8).unwrap_or((rest, &[]));
    let plain = plain_len_of_word(word);
    length + if plain < 8 { plain } else { 8 + plain_len_of_word(behind) }
}

/// The same of at most eight bytes.
#[inline]
fn plain_len_of_word(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let word = first_word(bytes);
    // A byte that is too low borrows from its highest bit. What this does to the bytes above does not matter: the
    // lowest special one counts.
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    // A byte from 0x80 on is none of them, and the xor leaves its high bit alone.
    let special = (control | quote | backslash) & !word & HIGH;
    bytes.len().min((special.trailing_zeros() / 8) as usize)
}

/// Bytes that are looked at together.
const BLOCK_LEN: usize = 16;

/// A bit for each byte that the inside of a JSON string cannot hold as it is, the first one lowest.
#[inline]
fn special_bytes(block: [u8; BLOCK_LEN]) -> u32 {
    let bytes = u8x16::new(block);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    // There is no unsigned comparison in SSE2: at most 0x1f is what the lower one of the two leaves as it is.
    let control = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
    (quote | backslash | control).to_bitmask()
}
