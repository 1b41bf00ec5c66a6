//! Times from text, by a strptime format with Fluent Bit's `%L`.
//!
//! Read as Fluent Bit 5.1 reads it (`flb_parser_time_lookup`): white space in a format stands for
//! any amount of it, a number ends where another digit would carry it over its limit, what follows
//! a complete match is ignored, a NUL ends the text. A format without `%Y`, `%y` or `%s` takes the
//! date of today where the text has none. Two things it cannot do are done here: a fraction may
//! have more than nine digits before something else, and an offset before `%L` counts.

use super::calendar::{Moment, days_since_epoch};
use super::digits::fraction;
use super::iso::Iso;
use super::{DAY, NANOS, Timestamp, zone};

/// A compiled `Time_Format`.
#[derive(Clone, Debug)]
pub struct Format {
    steps: Vec<Step>,
    /// Set where the steps are one of the layouts that nearly all times have.
    iso: Option<Iso>,
    has_year: bool,
    has_offset: bool,
    problem: Option<Error>,
}

/// What a text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// East of UTC, for formats without a zone: `Time_Offset`.
    pub offset_seconds: i32,
    /// The present in seconds since the epoch, for formats without a year.
    pub now_unix: i64,
}

/// Why a time format cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such directive.
    #[error("time format has an unknown directive `{directive}` at byte {offset}")]
    Unknown {
        /// With its percent sign.
        directive: String,
        /// Where in the format, in bytes.
        offset: usize,
    },
    /// Nothing after the last percent sign.
    #[error("time format ends with a lone `%`; a percent sign is written `%%`")]
    Lone,
    /// Fluent Bit knows one fraction only.
    #[error("time format has `%L` more than once")]
    Fractions,
}

impl Format {
    /// Compiles a format. As in Fluent Bit any is one, but no text follows what it cannot mean, see
    /// [`Self::problem`].
    pub fn new(format: &str) -> Self {
        let mut steps = Vec::new();
        let problem = compile(format, &mut steps).err();
        if problem.is_some() {
            steps.push(Step::Never);
        }
        // As Fluent Bit decides it: by the text, so that `%F` has no year, and `%SZ` a zone.
        let contains = |parts: &[&str]| parts.iter().any(|part| format.contains(part));
        Self {
            iso: Iso::recognise(&steps),
            steps,
            has_year: contains(&["%Y", "%y", "%s"]),
            has_offset: contains(&["%z", "%Z", "%SZ", "%S.%LZ"]),
            problem,
        }
    }

    /// Why no time in this format can be read, if none can.
    pub fn problem(&self) -> Option<&Error> {
        self.problem.as_ref()
    }

    /// Reads a time; `None` where the text is none, or lies outside of what a timestamp can hold.
    #[inline]
    pub fn parse(&self, text: &str, defaults: &Defaults) -> Option<Timestamp> {
        self.iso
            .and_then(|iso| iso.parse(text.as_bytes(), defaults.offset_seconds))
            .or_else(|| self.parse_step_by_step(text, defaults))
    }

    /// Reads a time by its steps alone; what [`Self::parse`] gives.
    pub(super) fn parse_step_by_step(&self, text: &str, defaults: &Defaults) -> Option<Timestamp> {
        let mut fields = self.start(defaults);
        self.read(text.as_bytes(), &mut fields)?;
        self.timestamp(&fields, defaults)
    }

    /// Reads as much of a time as there is: with `Time_Strict Off` Fluent Bit takes what it had
    /// read when the text stopped to follow the format, in UTC.
    pub fn parse_prefix(&self, text: &str, defaults: &Defaults) -> Option<Timestamp> {
        let mut fields = self.start(defaults);
        if self.read(text.as_bytes(), &mut fields).is_some() {
            return self.timestamp(&fields, defaults);
        }
        fields.timestamp(fields.offset)
    }

    fn timestamp(&self, fields: &Fields, defaults: &Defaults) -> Option<Timestamp> {
        fields.timestamp(if self.has_offset { fields.offset } else { defaults.offset_seconds })
    }

    fn start(&self, defaults: &Defaults) -> Fields {
        if self.has_year {
            return Fields::default();
        }
        let today = Moment::from_seconds(defaults.now_unix);
        Fields { year: today.year, month: today.month, day: today.day, ..Fields::default() }
    }

    fn read(&self, text: &[u8], fields: &mut Fields) -> Option<()> {
        let text = text.split(|byte| *byte == 0).next()?;
        let mut rest = text;
        for step in &self.steps {
            step.read(&mut rest, fields)?;
        }
        Some(())
    }
}

/// One step through a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Any white space, or none.
    Space,
    Literal(u8),
    Year,
    YearOfCentury,
    Century,
    IsoYear,
    Month,
    MonthName,
    Day,
    DayAfterSpace,
    DayOfYear,
    WeekdayName,
    Hour,
    HourOf12,
    HalfOfDay,
    Minute,
    Second,
    /// `%L`
    Fraction,
    /// `%s`
    Epoch,
    /// `%z`
    Offset,
    /// `%Z`
    Zone,
    /// A number between these two that says nothing more: weeks and weekdays.
    Unused(i64, i64),
    /// What cannot be meant: no text has it.
    Never,
}

fn compile(format: &str, steps: &mut Vec<Step>) -> Result<(), Error> {
    let mut bytes = format.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        if is_space(byte) {
            steps.push(Step::Space);
            continue;
        }
        if byte != b'%' {
            steps.push(Step::Literal(byte));
            continue;
        }
        let (_, mut letter) = bytes.next().ok_or(Error::Lone)?;
        let modifier = letter;
        if let b'E' | b'O' = modifier {
            (_, letter) = bytes.next().ok_or(Error::Lone)?;
        }
        if !is_allowed(modifier, letter) || !compile_directive(letter, steps)? {
            let after = format.split_at_checked(offset).map_or("", |(_, after)| after);
            let length = if matches!(modifier, b'E' | b'O') { 3 } else { 2 };
            let directive = after.chars().take(length).collect();
            return Err(Error::Unknown { directive, offset });
        }
    }
    Ok(())
}

/// Whether the alternative form of a directive exists; it never means anything else.
fn is_allowed(modifier: u8, letter: u8) -> bool {
    match modifier {
        b'E' => matches!(letter, b'c' | b'C' | b'x' | b'X' | b'y' | b'Y'),
        b'O' => b"deHImMSUuVwWy".contains(&letter),
        _ => true,
    }
}

/// Pushes the steps of a directive; false: it is unknown.
fn compile_directive(letter: u8, steps: &mut Vec<Step>) -> Result<bool, Error> {
    let step = match letter {
        b'%' => Step::Literal(b'%'),
        b'A' | b'a' => Step::WeekdayName,
        b'B' | b'b' | b'h' => Step::MonthName,
        b'C' => Step::Century,
        b'd' => Step::Day,
        b'e' => Step::DayAfterSpace,
        b'G' => Step::IsoYear,
        b'g' => Step::Unused(0, 99),
        b'H' | b'k' => Step::Hour,
        b'I' | b'l' => Step::HourOf12,
        b'j' => Step::DayOfYear,
        b'L' if steps.contains(&Step::Fraction) => return Err(Error::Fractions),
        b'L' => Step::Fraction,
        b'M' => Step::Minute,
        b'm' => Step::Month,
        b'n' | b't' => Step::Space,
        b'p' => Step::HalfOfDay,
        b'S' => Step::Second,
        b's' => Step::Epoch,
        b'U' | b'V' | b'W' => Step::Unused(0, 53),
        b'u' => Step::Unused(1, 7),
        b'w' => Step::Unused(0, 6),
        b'Y' => Step::Year,
        b'y' => Step::YearOfCentury,
        b'Z' => Step::Zone,
        b'z' => Step::Offset,
        _ => {
            let parts = match letter {
                b'c' => "%a %b %e %H:%M:%S %Y",
                b'D' | b'x' => "%m/%d/%y",
                b'F' => "%Y-%m-%d",
                b'R' => "%H:%M",
                b'r' => "%I:%M:%S %p",
                b'T' | b'X' => "%H:%M:%S",
                _ => return Ok(false),
            };
            compile(parts, steps)?;
            return Ok(true);
        }
    };
    steps.push(step);
    Ok(true)
}

impl Step {
    /// Reads its part of the text; `None` where that does not stand here.
    fn read(self, rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
        match self {
            Self::Space => *rest = skip_space(rest),
            Self::Literal(byte) => *rest = rest.strip_prefix(&[byte])?,
            Self::Year => (fields.year, fields.year_of_century) = (number(rest, 0, 9_999)?, None),
            Self::YearOfCentury => fields.year_of_century = Some(number(rest, 0, 99)?),
            Self::Century => fields.century = number(rest, 0, 99)?,
            Self::IsoYear => *rest = skip_digits(rest.split_first()?.1),
            Self::Month => (fields.month, fields.has_month) = (number(rest, 1, 12)?, true),
            Self::MonthName => (fields.month, fields.has_month) = (name(rest, &MONTHS)? + 1, true),
            Self::Day => (fields.day, fields.has_day) = (number(rest, 1, 31)?, true),
            Self::DayAfterSpace => {
                if let [byte, behind @ ..] = *rest
                    && is_space(*byte)
                {
                    *rest = behind;
                }
                (fields.day, fields.has_day) = (number(rest, 1, 31)?, true);
            }
            Self::DayOfYear => fields.day_of_year = Some(number(rest, 1, 366)?),
            Self::WeekdayName => _ = name(rest, &WEEKDAYS)?,
            Self::Hour => fields.hour = number(rest, 0, 23)?,
            Self::HourOf12 => fields.hour = number(rest, 1, 12)?,
            Self::HalfOfDay => fields.hour = half_of_day(rest, fields.hour)?,
            Self::Minute => fields.minute = number(rest, 0, 59)?,
            Self::Second => fields.second = number(rest, 0, 60)?,
            Self::Fraction => fields.nanos = fraction(rest)?,
            Self::Epoch => fields.epoch = Some(epoch(rest)?),
            Self::Offset => fields.offset = zone::read_offset(rest)?,
            Self::Zone => fields.offset = zone::read_name(rest)?,
            Self::Unused(min, max) => _ = number(rest, min, max)?,
            Self::Never => return None,
        }
        Some(())
    }
}

/// What was read so far.
#[derive(Clone, Copy, Debug)]
struct Fields {
    epoch: Option<i64>,
    year: i64,
    year_of_century: Option<i64>,
    century: i64,
    /// From 1.
    month: i64,
    /// From 1; 0 where nothing says one, which is the day before, as in C.
    day: i64,
    has_month: bool,
    has_day: bool,
    /// From 1.
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    /// In seconds, east of UTC.
    offset: i32,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            epoch: None,
            year: 1900,
            year_of_century: None,
            century: 19,
            month: 1,
            day: 0,
            has_month: false,
            has_day: false,
            day_of_year: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            offset: 0,
        }
    }
}

impl Fields {
    /// A day outside of its month counts on into the next one, as in C.
    #[inline]
    fn timestamp(&self, offset: i32) -> Option<Timestamp> {
        let clock = self.hour * 3_600 + self.minute * 60 + self.second;
        let seconds = self.epoch.unwrap_or_else(|| self.days() * DAY + clock);
        let seconds = seconds.checked_sub(i64::from(offset))?;
        seconds.checked_mul(NANOS)?.checked_add(self.nanos)
    }

    #[inline]
    fn days(&self) -> i64 {
        let year = match self.year_of_century {
            None => self.year,
            // POSIX: without another century, 69 to 99 lie in the twentieth.
            Some(year) if self.century == 19 && year <= 68 => 2_000 + year,
            Some(year) => self.century * 100 + year,
        };
        match self.day_of_year {
            Some(day) if !(self.has_month && self.has_day) => days_since_epoch(year, 1, day),
            _ => days_since_epoch(year, self.month, self.day),
        }
    }
}

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Reads a name in full or its first three letters, in any case; returns its index.
fn name(rest: &mut &[u8], names: &[&str]) -> Option<i64> {
    let short = rest.get(..3)?;
    let starts_short = |name: &&str| {
        name.as_bytes().get(..3).is_some_and(|start| start.eq_ignore_ascii_case(short))
    };
    let (index, name) = (0..).zip(names).find(|(_, name)| starts_short(name))?;
    let full = rest.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()));
    *rest = rest.get(if full { name.len() } else { 3 }..)?;
    Some(index)
}

/// Reads `AM` or `PM` in any case; returns the hour of the day for the one of the clock.
fn half_of_day(rest: &mut &[u8], hour: i64) -> Option<i64> {
    let [half @ (b'A' | b'a' | b'P' | b'p'), b'M' | b'm', behind @ ..] = *rest else { return None };
    *rest = behind;
    if hour > 12 {
        return None;
    }
    let afternoon = half.eq_ignore_ascii_case(&b'P');
    Some(if afternoon { 12 + hour % 12 } else { hour % 12 })
}

/// Reads a number until one more digit could only carry it over `max`.
fn number(rest: &mut &[u8], min: i64, max: i64) -> Option<i64> {
    let mut value = 0;
    let mut room = max;
    loop {
        let [digit @ b'0'..=b'9', behind @ ..] = *rest else { return None };
        value = value * 10 + i64::from(digit - b'0');
        *rest = behind;
        room /= 10;
        if value * 10 > max || room == 0 || !matches!(rest, [b'0'..=b'9', ..]) {
            break;
        }
    }
    (min..=max).contains(&value).then_some(value)
}

/// Reads all digits; a number that no timestamp can hold stays one.
fn epoch(rest: &mut &[u8]) -> Option<i64> {
    let behind = skip_digits(rest);
    let (digits, _) = rest.split_at_checked(rest.len() - behind.len())?;
    *rest = behind;
    (!digits.is_empty()).then_some(digits.iter().fold(0, |value: i64, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    }))
}

fn skip_digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    end.and_then(|end| text.get(end..)).unwrap_or_default()
}

pub(super) fn skip_space(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !is_space(*byte));
    end.and_then(|end| text.get(end..)).unwrap_or_default()
}

/// C's `isspace`: unlike Rust's, with the vertical tab.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULTS: Defaults = Defaults { offset_seconds: 3_600, now_unix: 1_448_403_340 };

    fn check(format: &str, text: &str, expected: Option<&str>) {
        let compiled = Format::new(format);
        let time = compiled.parse(text, &DEFAULTS);
        let time = time.map(|time| {
            let mut out = Vec::new();
            super::super::write_rfc3339_nanos(time, &mut out);
            String::from_utf8(out).unwrap().replace(".000000000Z", "Z")
        });
        assert_eq!(time.as_deref(), expected, "{format:?} {text:?}");
        let slow = compiled.parse_step_by_step(text, &DEFAULTS);
        assert_eq!(slow, compiled.parse(text, &DEFAULTS), "{format:?} {text:?}");
    }

    #[test]
    fn iso_layouts() {
        let cri = "%Y-%m-%dT%H:%M:%S.%L%z";
        check(cri, "2024-02-29T23:59:60.5Z", Some("2024-03-01T00:00:00.500000000Z"));
        check(cri, "2024-05-06T07:08:09.123456789+02:00", Some("2024-05-06T05:08:09.123456789Z"));
        check(
            cri,
            "2024-05-06T07:08:09.1234567891234-0330",
            Some("2024-05-06T10:38:09.123456789Z"),
        );
        check(cri, "2024-05-06T07:08:09.12 +01 rest", Some("2024-05-06T06:08:09.120000000Z"));
        check(cri, "2024-5-6T7:8:9.000Z", Some("2024-05-06T07:08:09Z"));
        check(cri, "2024-05-06T07:08:09Z", None);
        check(cri, "2024-05-06T07:08:09.Z", None);
        check(cri, "2024-05-06T07:08:09.5", None);
        check(cri, "2024-05-06 07:08:09.5Z", None);
        check(cri, "2024-13-06T07:08:09.5Z", None);
        check(cri, "2024-00-06T07:08:09.5Z", None);
        check(cri, "2024-05-32T07:08:09.5Z", None);
        check(cri, "2024-05-06T24:08:09.5Z", None);
        check(cri, "2024-05-06T07:60:09.5Z", None);
        check(cri, "2024-05-06T07:08:61.5Z", None);
        check(cri, "", None);
        check(
            "%Y-%m-%dT%H:%M:%S.%L",
            "2022-10-31T12:00:01.123Z",
            Some("2022-10-31T11:00:01.123000000Z"),
        );
        check("%Y-%m-%d %H:%M:%S", "2010-01-01   02:10:22", Some("2010-01-01T01:10:22Z"));
        check("%Y-%m-%dT%H:%M:%SZ", "2015-11-24T22:15:40Z", Some("2015-11-24T22:15:40Z"));
        check("%Y-%m-%dT%H:%M:%S%z", "2023-02-29T00:00:00Z", Some("2023-03-01T00:00:00Z"));
        check("%F %T", "2024-01-02 03:04:05", Some("2024-01-02T02:04:05Z"));
    }

    #[test]
    fn other_layouts() {
        check("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", Some("2000-10-10T20:55:36Z"));
        check(
            "%A, %d %B %Y %I:%M %p %Z",
            "friday, 5 MAY 2023 12:01 am CEST",
            Some("2023-05-04T22:01:00Z"),
        );
        check("%I:%M:%S %p %y-%m-%d", "12:00:00 PM 69-01-02", Some("1969-01-02T11:00:00Z"));
        check("%r %D", "01:02:03 PM 02/03/68", Some("2068-02-03T12:02:03Z"));
        check("%H %p %Y", "13 PM 2000", None);
        check("%C%y-%j %R", "2024-060 01:00", Some("2024-02-29T00:00:00Z"));
        check("%c", "Tue Nov 24 22:15:40 2015", Some("2015-11-24T21:15:40Z"));
        check(
            "%Y %U %W %V %u %w %g %G %m %e",
            "2015 1 53 9 7 6 99 2015 11  4",
            Some("2015-11-03T23:00:00Z"),
        );
        check("%Ey %Od %Y%n%t%%%m", "15 24 2015 %3", Some("2015-03-23T23:00:00Z"));
        check(
            "%d.%m.%Y %z %H:%M:%S,%L",
            "24.11.2015 +0200 22:15:40,5",
            Some("2015-11-24T20:15:40.500000000Z"),
        );
        check("%s", "1448403340", Some("2015-11-24T21:15:40Z"));
        check("%s.%L", "1448403340.25", Some("2015-11-24T21:15:40.250000000Z"));
        check("%s", "1448403340123456789012345", None);
        check("%s", "-5", None);
        check("%Y", "2016", Some("2015-12-30T23:00:00Z"));
        check("%Y-%m-%d", "2262-04-13", None);
        check("%Y-%m-%d", "1677-09-21", None);
        check("%Y-%m-%d", "1677-09-22", Some("1677-09-21T23:00:00Z"));
    }

    #[test]
    fn recorded_from_fluent_bit() {
        let check = |format: &str, offset_seconds, text: &str, expected| {
            let defaults = Defaults { offset_seconds, ..DEFAULTS };
            let time = Format::new(format).parse(text, &defaults);
            assert_eq!(time, Some(expected), "{format:?} {text:?}");
        };
        check("%m/%d/%Y %H:%M:%S %z", 0, "07/17/2017 20:17:03 +0000", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S %z", 0, "07/18/2017 01:47:03 +0530", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S %z", 0, "07/18/2017 05:17:03 +0900", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S %z", 0, "07/17/2017 22:17:03 +0200", 1_500_322_623_000_000_000);
        check(
            "%m/%d/%Y %H:%M:%S.%L %z",
            0,
            "07/17/2017 22:17:03.1 +0200",
            1_500_322_623_100_000_000,
        );
        check(
            "%m/%d/%Y %H:%M:%S,%L %z",
            0,
            "07/17/2017 22:17:03,1 +0200",
            1_500_322_623_100_000_000,
        );
        check("%m/%d/%Y %H:%M:%S %z", 0, "07/18/2017 01:47:03 +05:30", 1_500_322_623_000_000_000);
        check(
            "%m/%d/%Y %H:%M:%S.%L %z",
            0,
            "07/17/2017 22:17:03.1 +02:00",
            1_500_322_623_100_000_000,
        );
        check(
            "%m/%d/%Y %H:%M:%S,%L %z",
            0,
            "07/17/2017 22:17:03,1 +02:00",
            1_500_322_623_100_000_000,
        );
        check(
            "%m/%d/%Y %H:%M:%S:%L %z",
            0,
            "07/17/2017 22:17:03:1 +02:00",
            1_500_322_623_100_000_000,
        );
        check("%m/%d/%Y %H:%M:%S", 19_800, "07/18/2017 01:47:03", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S", 32_400, "07/18/2017 05:17:03", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S", 7_200, "07/17/2017 22:17:03", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S.%L", 7_200, "07/17/2017 22:17:03.1", 1_500_322_623_100_000_000);
        check("%m/%d/%Y %H:%M:%S,%L", 7_200, "07/17/2017 22:17:03,1", 1_500_322_623_100_000_000);
        check("%m/%d/%Y %H:%M:%S", 0, "07/17/2017 20:17:03", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%SZ", 0, "07/17/2017 20:17:03Z", 1_500_322_623_000_000_000);
        check("%m/%d/%Y %H:%M:%S.%LZ", 0, "07/17/2017 20:17:03.1234Z", 1_500_322_623_123_400_000);
        check("%m/%d/%Y %H:%M:%S,%LZ", 0, "07/17/2017 20:17:03,1234Z", 1_500_322_623_123_400_000);
        check(
            "%a %b %d %H:%M:%S.%L %Y",
            0,
            "Fri Jul 17 20:17:03.1234 2017",
            1_500_322_623_123_400_000,
        );
    }

    #[test]
    fn without_a_year() {
        check("%b %d %H:%M:%S", "Feb  5 17:32:18", Some("2015-02-05T16:32:18Z"));
        check("%B %e %H:%M:%S.%L", "march 15 17:32:18.75", Some("2015-03-15T16:32:18.750000000Z"));
        check("%H:%M:%S", "10:00:00", Some("2015-11-24T09:00:00Z"));
        check("%b %d %H:%M:%S", "Feb 5\0 17:32:18", None);
        check("%j", "365", Some("2015-12-30T23:00:00Z"));
    }

    #[test]
    fn a_part_of_a_time() {
        let check = |format, text, expected| {
            let time = Format::new(format).parse_prefix(text, &DEFAULTS);
            assert_eq!(time, Some(expected * NANOS), "{format:?} {text:?}");
        };
        check("%Y-%m-%dT%H:%M:%S.%L", "2015-11-24T22:15:40", 1_448_403_340);
        check("%Y-%m-%dT%H:%M:%S.%L", "2015-11-24T22:15:40.0", 1_448_403_340 - 3_600);
        check("%Y-%m-%dT%H:%M:%S%z", "2015-11-24T22:15:40 X", 1_448_403_340);
        check("%s.%L", "5", 5);
    }

    #[test]
    fn unknown_directives() {
        let check = |format, expected: &str| {
            let format = Format::new(format);
            assert_eq!(format.problem().unwrap().to_string(), expected);
            assert_eq!(format.parse("2015-11-24 22:15:40 .5.5", &DEFAULTS), None);
        };
        check("%Y-%Q", "time format has an unknown directive `%Q` at byte 3");
        check("%é", "time format has an unknown directive `%é` at byte 0");
        check("%Es", "time format has an unknown directive `%Es` at byte 0");
        check("%EEy", "time format has an unknown directive `%EE` at byte 0");
        check("%Y %", "time format ends with a lone `%`; a percent sign is written `%%`");
        check("%E", "time format ends with a lone `%`; a percent sign is written `%%`");
        check("%L%L", "time format has `%L` more than once");
    }

    proptest! {
        #[test]
        fn the_short_way_is_the_long_way(
            text in "[0-9]{3,5}-[0-9]{1,2}-[0-9]{1,3}[T ][0-9]{1,2}:[0-9]{2}:[0-9]{2}([.,][0-9]{0,11})?(Z|[+-][0-9:]{1,5})?.?",
            format in prop_oneof![
                Just("%Y-%m-%dT%H:%M:%S.%L%z"), Just("%Y-%m-%dT%H:%M:%S%z"), Just("%Y-%m-%d %H:%M:%S,%L"),
                Just("%FT%T.%L"), Just("%Y-%m-%d %T"),
            ],
        ) {
            let format = Format::new(format);
            prop_assert_eq!(format.parse(&text, &DEFAULTS), format.parse_step_by_step(&text, &DEFAULTS));
        }

        #[test]
        fn fuzz_entry_holds(
            format in "(%|%[a-zA-Z%]|[-:T ./]){0,8}",
            text in "[0-9A-Za-z+: .-]{0,30}",
        ) {
            super::super::fuzz_time(format!("{format}\n{text}").as_bytes());
        }

        #[test]
        fn what_is_written_is_read(time: i64) {
            let mut out = Vec::new();
            super::super::write_rfc3339_nanos(time, &mut out);
            let format = Format::new("%Y-%m-%dT%H:%M:%S.%L%z");
            prop_assert_eq!(format.parse(str::from_utf8(&out).unwrap(), &DEFAULTS), Some(time));
        }
    }
}
