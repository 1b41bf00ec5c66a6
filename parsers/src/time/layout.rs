//! The layouts of times that are read at once, without steps.

use super::calendar::days_since_epoch;
use super::digits::read_layout;
use super::format::{MONTHS, Step, name};
use super::iso::{Iso, in_range};
use super::{DAY, NANOS, Timestamp, zone};

/// A layout that many times have. What is not as the layout wants it goes the long way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// Most logs.
    Iso(Iso),
    /// `%d/%b/%Y:%H:%M:%S %z`: access logs.
    AccessLog,
}

impl Layout {
    /// The layout of these steps, if it is one.
    pub(super) fn recognise(steps: &[Step]) -> Option<Self> {
        if steps == ACCESS_LOG {
            return Some(Self::AccessLog);
        }
        Iso::recognise(steps).map(Self::Iso)
    }

    /// Reads a time, in a zone this far east of UTC unless the text names its own. `None`: the text must go the
    /// long way.
    #[inline]
    pub(super) fn parse(self, text: &[u8], offset_seconds: i32) -> Option<Timestamp> {
        match self {
            Self::Iso(iso) => iso.parse(text, offset_seconds),
            Self::AccessLog => parse_access_log(text),
        }
    }
}

const ACCESS_LOG: [Step; 13] = [
    Step::Day,
    Step::Literal(b'/'),
    Step::MonthName,
    Step::Literal(b'/'),
    Step::Year,
    Step::Literal(b':'),
    Step::Hour,
    Step::Literal(b':'),
    Step::Minute,
    Step::Literal(b':'),
    Step::Second,
    Step::Space,
    Step::Offset,
];

/// Reads [`ACCESS_LOG`] where the month has three letters and every number all its digits.
#[inline]
fn parse_access_log(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_first_chunk::<12>()?;
    let (clock, mut rest) = rest.split_first_chunk::<9>()?;
    let [d0, d1, b'/', month @ .., b'/', y0, y1, y2, y3, b':'] = date else { return None };
    let [h0, h1, b':', n0, n1, b':', s0, s1, b' '] = *clock else { return None };
    let mut month: &[u8] = month;
    let month = name(&mut month, &MONTHS)? + 1;
    let [d0, d1, y0, y1, y2, y3, h0, h1] =
        read_layout([*d0, *d1, *y0, *y1, *y2, *y3, h0, h1], [b'0'; 8])?;
    let [n0, n1, s0, s1, ..] = read_layout([n0, n1, s0, s1, b'-', b'-', b'-', b'-'], *b"0000----")?;
    let year = y0 * 1_000 + y1 * 100 + y2 * 10 + y3;
    let day = in_range(d0 * 10 + d1, 1, 31)?;
    let hour = in_range(h0 * 10 + h1, 0, 23)?;
    let minute = in_range(n0 * 10 + n1, 0, 59)?;
    let second = in_range(s0 * 10 + s1, 0, 60)?;
    let offset = zone::read_offset(&mut rest)?;
    let seconds = days_since_epoch(year, month, day) * DAY + hour * 3_600 + minute * 60 + second
        - i64::from(offset);
    seconds.checked_mul(NANOS)
}
