//! Decimal digits, eight at a time, in the lanes of a word.

use super::NANOS;
use crate::word::first_word;

const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

/// The values of the digits that stand where `layout` has a `0`, by their place; `None` where there is
/// no digit, or where the text is not the layout's elsewhere.
#[inline]
pub(super) fn read_layout(text: [u8; 8], layout: [u8; 8]) -> Option<[i64; 8]> {
    // A digit becomes its value, and what equals the layout 0.
    let lanes = u64::from_le_bytes(text) ^ u64::from_le_bytes(layout);
    // What carries a lane that is too high into its highest bit.
    let limits = layout.map(|byte| if byte == b'0' { 0x80 - 10 } else { 0x80 - 1 });
    let too_high = lanes.wrapping_add(u64::from_le_bytes(limits)) | lanes;
    (too_high & HIGH == 0).then(|| lanes.to_le_bytes().map(i64::from))
}

/// Reads the digits of a fraction, of which nine count; returns nanoseconds. `None`: there is none.
#[inline]
pub(super) fn fraction(rest: &mut &[u8]) -> Option<i64> {
    const UNITS: [u64; 9] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10];
    let lanes = first_word(rest) ^ u64::from_le_bytes([b'0'; 8]);
    let no_digits = (lanes.wrapping_add(u64::from_le_bytes([0x80 - 10; 8])) | lanes) & HIGH;
    let count = (no_digits.trailing_zeros() / 8) as usize;
    *rest = rest.get(count..)?;
    if count == 0 {
        return None;
    }
    // Up by the lanes that are no digits, which leaves leading zeros.
    let value = join(lanes << (8 * (8 - count)));
    let mut nanos = value * UNITS.get(count)?;
    if count == 8 {
        let mut unit = 1;
        while let [digit @ b'0'..=b'9', behind @ ..] = *rest {
            nanos += u64::from(digit - b'0') * unit;
            unit = 0;
            *rest = behind;
        }
    }
    i64::try_from(nanos).ok().filter(|nanos| *nanos < NANOS)
}

/// The number that eight digits make, the first in the lowest lane: neighbours are joined three times.
#[inline]
fn join(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Digit by digit.
    fn naive(text: &[u8]) -> Option<(i64, usize)> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let nine = text[..count].iter().chain(b"000000000").take(9);
        let nanos = nine.fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'));
        (count > 0).then_some((nanos, count))
    }

    fn check(text: &[u8]) {
        let mut rest = text;
        let read = fraction(&mut rest).map(|nanos| (nanos, text.len() - rest.len()));
        assert_eq!(read, naive(text), "{}", text.escape_ascii());
    }

    #[test]
    fn layouts() {
        let layout = *b"0000-00-";
        assert_eq!(read_layout(*b"2026-11-", layout), Some([2, 0, 2, 6, 0, 1, 1, 0]));
        for text in [b"2026-1 -", b"2026/11-", b"20:6-11-", b"202\xb9-11-", b"2026\xad11-"] {
            assert_eq!(read_layout(*text, layout), None, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn layouts_hold_for_every_byte(at in 0..8_usize, byte: u8) {
            let mut text = *b"1999-12-";
            text[at] = byte;
            let fits = if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
            prop_assert_eq!(read_layout(text, *b"0000-00-").is_some(), fits);
        }

        #[test]
        fn fractions(digits in "[0-9]{0,12}", behind in prop::collection::vec(any::<u8>(), 0..12)) {
            check(digits.as_bytes());
            check(&[digits.as_bytes(), &behind].concat());
        }
    }
}
