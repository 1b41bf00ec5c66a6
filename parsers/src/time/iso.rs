//! The layout that nearly all times have, read at once.

use super::calendar::days_since_epoch;
use super::digits::{fraction, read_layout};
use super::format::Step;
use super::{DAY, NANOS, Timestamp, zone};

/// `%Y-%m-%dT%H:%M:%S`, then perhaps `.%L`, then perhaps `%z`: read without steps, where the text
/// has two digits everywhere. Everything else goes the long way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iso {
    separator: u8,
    /// What stands before the fraction.
    point: Option<u8>,
    zone: bool,
}

impl Iso {
    /// The layout of these steps, if it is one.
    pub(super) fn recognise(steps: &[Step]) -> Option<Self> {
        use Step::{Day, Fraction, Hour, Literal, Minute, Month, Offset, Second, Space, Year};
        let [
            Year,
            Literal(b'-'),
            Month,
            Literal(b'-'),
            Day,
            separator,
            Hour,
            Literal(b':'),
            Minute,
            Literal(b':'),
            Second,
            tail @ ..,
        ] = steps
        else {
            return None;
        };
        let separator = match separator {
            Literal(byte) => *byte,
            Space => b' ',
            _ => return None,
        };
        let (point, zone) = match tail {
            [] => (None, false),
            [Offset] => (None, true),
            [Literal(point), Fraction] => (Some(*point), false),
            [Literal(point), Fraction, Offset] => (Some(*point), true),
            _ => return None,
        };
        Some(Self { separator, point, zone })
    }

    /// Reads a time, in a zone this far east of UTC unless the text names its own. `None`: the text must go the
    /// long way.
    #[inline]
    pub(super) fn parse(self, text: &[u8], offset_seconds: i32) -> Option<Timestamp> {
        let (date, rest) = text.split_first_chunk()?;
        let (clock, rest) = rest.split_first_chunk()?;
        let [b':', s0, s1, rest @ ..] = rest else { return None };
        let mut rest = rest;
        let [y0, y1, y2, y3, _, m0, m1, _] = read_layout(*date, *b"0000-00-")?;
        let [d0, d1, separator, h0, h1, colon, n0, n1] = *clock;
        let [d0, d1, h0, h1, n0, n1, s0, s1] =
            read_layout([d0, d1, h0, h1, n0, n1, *s0, *s1], [b'0'; 8])?;
        if separator != self.separator || colon != b':' {
            return None;
        }
        let year = y0 * 1_000 + y1 * 100 + y2 * 10 + y3;
        let month = in_range(m0 * 10 + m1, 1, 12)?;
        let day = in_range(d0 * 10 + d1, 1, 31)?;
        let hour = in_range(h0 * 10 + h1, 0, 23)?;
        let minute = in_range(n0 * 10 + n1, 0, 59)?;
        let second = in_range(s0 * 10 + s1, 0, 60)?;
        let mut nanos = 0;
        if let Some(point) = self.point {
            rest = rest.strip_prefix(&[point])?;
            nanos = fraction(&mut rest)?;
        }
        let offset = match (self.zone, rest) {
            (false, _) => offset_seconds,
            (true, [b'Z', ..]) => 0,
            (true, _) => zone::read_offset(&mut rest)?,
        };
        let seconds =
            days_since_epoch(year, month, day) * DAY + hour * 3_600 + minute * 60 + second
                - i64::from(offset);
        seconds.checked_mul(NANOS)?.checked_add(nanos)
    }
}

#[inline]
fn in_range(value: i64, min: i64, max: i64) -> Option<i64> {
    (min <= value && value <= max).then_some(value)
}
