//! Dates as text, for every record at the price of one a second.

use crate::record::Nanos;
use tailwater_parsers::json;
use tailwater_parsers::time::Strftime;

/// Nanoseconds of a second.
const SECOND: Nanos = 1_000_000_000;

/// A strftime format whose text is kept until the second changes: records come in about the order of
/// their times, thousands to a second.
#[derive(Debug)]
pub(super) struct Dates {
    format: Strftime,
    /// The second that `text` is of.
    second: Option<Nanos>,
    /// The date as the inside of a JSON string.
    text: Vec<u8>,
    /// Before it is escaped.
    raw: Vec<u8>,
}

impl Dates {
    /// Dates in this format, in UTC.
    pub(super) fn new(format: Strftime) -> Self {
        Self { format, second: None, text: Vec::new(), raw: Vec::new() }
    }

    /// The date of `time`, as the inside of a JSON string, and whether it was made anew.
    pub(super) fn at(&mut self, time: Nanos) -> (&[u8], bool) {
        let second = time.div_euclid(SECOND);
        let is_new = self.second != Some(second);
        if is_new {
            self.raw.clear();
            self.format.write(second.saturating_mul(SECOND), &mut self.raw);
            self.text.clear();
            json::escape(str::from_utf8(&self.raw).unwrap_or_default(), &mut self.text);
            self.second = Some(second);
        }
        (&self.text, is_new)
    }
}

/// Appends the fraction of the second of `time` as `COUNT` digits, cut, not rounded.
pub(super) fn write_fraction<const COUNT: usize>(time: Nanos, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 9];
    let mut rest = time.rem_euclid(SECOND).unsigned_abs();
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    out.extend_from_slice(digits.get(..COUNT).unwrap_or(&digits));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(time: Nanos, expected: &str) {
        let mut dates = Dates::new(Strftime::new("%Y-%m-%dT%H:%M:%S"));
        let mut out = dates.at(time).0.to_vec();
        assert!(!dates.at(time).1, "the second time it is kept");
        out.push(b'.');
        write_fraction::<3>(time, &mut out);
        out.push(b'|');
        write_fraction::<9>(time, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn seconds_and_their_fractions() {
        check(0, "1970-01-01T00:00:00.000|000000000");
        check(1_448_403_340_123_456_789, "2015-11-24T22:15:40.123|123456789");
        check(1_448_403_340_999_999_999, "2015-11-24T22:15:40.999|999999999");
        check(-1, "1969-12-31T23:59:59.999|999999999");
    }
}
