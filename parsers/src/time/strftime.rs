//! Times as text, in UTC: strftime formats as glibc writes them in the C locale, and ISO times.

use super::calendar::{Moment, days_since_epoch};
use super::{NANOS, Timestamp};

/// A compiled format for `Logstash_DateFormat`, `Time_Key_Format` and dates in `Index`.
///
/// Besides the directives of C it knows `%L`, milliseconds, and `%N`, nanoseconds.
#[derive(Clone, Debug)]
pub struct Strftime {
    parts: Vec<Part>,
    unknown: Option<String>,
}

impl Strftime {
    /// Compiles a format. A directive that does not exist is copied as it stands, as glibc does;
    /// [`Self::unknown`] tells of it.
    pub fn new(format: &str) -> Self {
        let mut compiled = Self { parts: Vec::new(), unknown: None };
        compiled.compile(format);
        compiled
    }

    /// The first directive that does not exist, for a warning at the start.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Appends a time in UTC.
    pub fn write(&self, time: Timestamp, out: &mut Vec<u8>) {
        let moment = Moment::new(time);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Name(name, flag) => write_name(name.of(&moment), *flag, out),
                Part::Number(number, pad) => {
                    write_number(number.of(&moment), *pad, number.width(), out);
                }
            }
        }
    }

    fn compile(&mut self, format: &str) {
        let mut rest = format;
        while let Some((before, from)) = rest.split_once('%') {
            self.push_text(before);
            let Some((length, letter)) =
                from.char_indices().find(|(_, it)| !"_-0^EO".contains(*it))
            else {
                rest = "";
                self.push_unknown(from);
                continue;
            };
            let (flags, after) = from.split_at_checked(length).unwrap_or((from, ""));
            let (raw, _) = from.split_at_checked(length + letter.len_utf8()).unwrap_or((from, ""));
            rest = after.strip_prefix(letter).unwrap_or_default();
            if !self.push_directive(letter, flags) {
                self.push_unknown(raw);
            }
        }
        self.push_text(rest);
    }

    /// False: there is none.
    fn push_directive(&mut self, letter: char, flags: &str) -> bool {
        let compound = match letter {
            'c' => "%a %b %e %H:%M:%S %Y",
            'D' | 'x' => "%m/%d/%y",
            'F' => "%Y-%m-%d",
            'R' => "%H:%M",
            'r' => "%I:%M:%S %p",
            'T' | 'X' => "%H:%M:%S",
            'n' => "\n",
            't' => "\t",
            'z' => "+0000",
            'Z' => "GMT",
            _ => "",
        };
        if letter == '%' {
            self.push_text("%");
        } else if !compound.is_empty() {
            self.compile(compound);
        } else if let Some(name) = Name::new(letter) {
            let flag = if flags.contains('^') { Case::Upper } else { Case::AsIs };
            self.parts.push(Part::Name(name, flag));
        } else if let Some(number) = Number::new(letter) {
            let pad = match flags.chars().rfind(|flag| "-_0".contains(*flag)) {
                Some('-') => Pad::None,
                Some('_') => Pad::Space,
                Some(_) => Pad::Zero,
                None => number.pad(),
            };
            self.parts.push(Part::Number(number, pad));
        } else {
            return false;
        }
        true
    }

    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    fn push_unknown(&mut self, directive: &str) {
        let directive = format!("%{directive}");
        self.push_text(&directive);
        self.unknown.get_or_insert(directive);
    }
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Name(Name, Case),
    Number(Number, Pad),
}

#[derive(Clone, Copy, Debug)]
enum Case {
    AsIs,
    Upper,
}

#[derive(Clone, Copy, Debug)]
enum Pad {
    None,
    Space,
    Zero,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Weekday,
    WeekdayShort,
    Month,
    MonthShort,
    Half,
    HalfSmall,
}

impl Name {
    fn new(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::Weekday,
            'a' => Self::WeekdayShort,
            'B' => Self::Month,
            'b' | 'h' => Self::MonthShort,
            'p' => Self::Half,
            'P' => Self::HalfSmall,
            _ => return None,
        })
    }

    fn of(self, moment: &Moment) -> &'static str {
        let morning = moment.hour < 12;
        match self {
            Self::Weekday => nth(&super::format::WEEKDAYS, moment.weekday()),
            Self::WeekdayShort => short(nth(&super::format::WEEKDAYS, moment.weekday())),
            Self::Month => nth(&super::format::MONTHS, moment.month - 1),
            Self::MonthShort => short(nth(&super::format::MONTHS, moment.month - 1)),
            Self::Half if morning => "AM",
            Self::Half => "PM",
            Self::HalfSmall if morning => "am",
            Self::HalfSmall => "pm",
        }
    }
}

fn nth(names: &[&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

fn short(name: &'static str) -> &'static str {
    name.get(..3).unwrap_or(name)
}

fn write_name(name: &str, case: Case, out: &mut Vec<u8>) {
    match case {
        Case::AsIs => out.extend_from_slice(name.as_bytes()),
        Case::Upper => out.extend(name.bytes().map(|byte| byte.to_ascii_uppercase())),
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Century,
    Day,
    DayPadded,
    DayOfYear,
    Epoch,
    Hour,
    HourPadded,
    HourOf12,
    HourOf12Padded,
    IsoWeek,
    IsoYear,
    IsoYearOfCentury,
    Millis,
    Minute,
    Month,
    Nanos,
    Second,
    WeekFromMonday,
    WeekFromSunday,
    WeekdayFromMonday,
    WeekdayFromSunday,
    Year,
    YearOfCentury,
}

impl Number {
    fn new(letter: char) -> Option<Self> {
        Some(match letter {
            'C' => Self::Century,
            'd' => Self::Day,
            'e' => Self::DayPadded,
            'j' => Self::DayOfYear,
            's' => Self::Epoch,
            'H' => Self::Hour,
            'k' => Self::HourPadded,
            'I' => Self::HourOf12,
            'l' => Self::HourOf12Padded,
            'V' => Self::IsoWeek,
            'G' => Self::IsoYear,
            'g' => Self::IsoYearOfCentury,
            'L' => Self::Millis,
            'M' => Self::Minute,
            'm' => Self::Month,
            'N' => Self::Nanos,
            'S' => Self::Second,
            'W' => Self::WeekFromMonday,
            'U' => Self::WeekFromSunday,
            'u' => Self::WeekdayFromMonday,
            'w' => Self::WeekdayFromSunday,
            'Y' => Self::Year,
            'y' => Self::YearOfCentury,
            _ => return None,
        })
    }

    fn of(self, moment: &Moment) -> i64 {
        match self {
            Self::Century => moment.year / 100,
            Self::Day | Self::DayPadded => moment.day,
            Self::DayOfYear => moment.day_of_year() + 1,
            Self::Epoch => {
                moment.days * super::DAY + moment.hour * 3_600 + moment.minute * 60 + moment.second
            }
            Self::Hour | Self::HourPadded => moment.hour,
            Self::HourOf12 | Self::HourOf12Padded => (moment.hour + 11) % 12 + 1,
            Self::IsoWeek => iso_week(moment).1,
            Self::IsoYear => iso_week(moment).0,
            Self::IsoYearOfCentury => iso_week(moment).0 % 100,
            Self::Millis => moment.nanos / 1_000_000,
            Self::Minute => moment.minute,
            Self::Month => moment.month,
            Self::Nanos => moment.nanos,
            Self::Second => moment.second,
            Self::WeekFromMonday => (moment.day_of_year() + 7 - (moment.weekday() + 6) % 7) / 7,
            Self::WeekFromSunday => (moment.day_of_year() + 7 - moment.weekday()) / 7,
            Self::WeekdayFromMonday => (moment.weekday() + 6) % 7 + 1,
            Self::WeekdayFromSunday => moment.weekday(),
            Self::Year => moment.year,
            Self::YearOfCentury => moment.year % 100,
        }
    }

    /// In digits, when padded.
    fn width(self) -> usize {
        match self {
            Self::Epoch | Self::WeekdayFromMonday | Self::WeekdayFromSunday => 1,
            Self::DayOfYear | Self::Millis => 3,
            Self::IsoYear | Self::Year => 4,
            Self::Nanos => 9,
            _ => 2,
        }
    }

    fn pad(self) -> Pad {
        match self {
            Self::DayPadded | Self::HourPadded | Self::HourOf12Padded => Pad::Space,
            _ => Pad::Zero,
        }
    }
}

/// The year and number of the week, which belongs to the year that its Thursday lies in.
fn iso_week(moment: &Moment) -> (i64, i64) {
    let thursday = moment.days - (moment.weekday() + 6) % 7 + 3;
    let year = Moment::from_seconds(thursday * super::DAY).year;
    (year, (thursday - days_since_epoch(year, 1, 1)) / 7 + 1)
}

fn write_number(value: i64, pad: Pad, width: usize, out: &mut Vec<u8>) {
    if let (Pad::Zero, 2, 0..100) = (pad, width, value) {
        return out.extend_from_slice(&two(value));
    }
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let mut rest = value.unsigned_abs();
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = decimal(rest % 10);
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let fill = match pad {
        Pad::None => None,
        Pad::Space => Some(b' '),
        Pad::Zero => Some(b'0'),
    };
    if let Some(fill) = fill {
        out.extend((count..width).map(|_| fill));
    }
    out.extend_from_slice(digits.get(digits.len() - count..).unwrap_or_default());
}

/// Appends `2015-11-24T22:15:40.000Z`: the `@timestamp` of `es`.
pub fn write_rfc3339_millis(time: Timestamp, out: &mut Vec<u8>) {
    write_seconds(time, out);
    let millis = time.rem_euclid(NANOS).unsigned_abs() / 1_000_000;
    out.extend_from_slice(&[
        b'.',
        decimal(millis / 100),
        decimal(millis / 10 % 10),
        decimal(millis % 10),
        b'Z',
    ]);
}

/// Appends `2015-11-24T22:15:40.000000000Z`: the `@timestamp` of `es` with `Time_Key_Nanos On`.
pub fn write_rfc3339_nanos(time: Timestamp, out: &mut Vec<u8>) {
    write_seconds(time, out);
    let mut fraction = *b".000000000Z";
    let mut nanos = time.rem_euclid(NANOS).unsigned_abs();
    for digit in fraction.iter_mut().rev().skip(1).take(9) {
        *digit = decimal(nanos % 10);
        nanos /= 10;
    }
    out.extend_from_slice(&fraction);
}

/// Appends `2015-11-24T22:15:40`. A timestamp's year always has four digits.
fn write_seconds(time: Timestamp, out: &mut Vec<u8>) {
    let Moment { year, month, day, hour, minute, second, .. } = Moment::new(time);
    let [y0, y1] = two(year / 100);
    let [y2, y3] = two(year % 100);
    let [m0, m1] = two(month);
    let [d0, d1] = two(day);
    let [h0, h1] = two(hour);
    let [n0, n1] = two(minute);
    let [s0, s1] = two(second);
    out.extend_from_slice(&[
        y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1,
    ]);
}

fn two(value: i64) -> [u8; 2] {
    let value = value.unsigned_abs();
    [decimal(value / 10 % 10), decimal(value % 10)]
}

/// A digit of 0 to 9.
fn decimal(digit: u64) -> u8 {
    b'0' + u8::try_from(digit).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: i64, format: &str, expected: &str) {
        let mut out = Vec::new();
        Strftime::new(format).write(seconds * NANOS + 7_000_089, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format:?}");
    }

    #[test]
    fn directives() {
        let tuesday = 1_448_403_340; // 2015-11-24T22:15:40Z
        check(tuesday, "%Y.%m.%d", "2015.11.24");
        check(tuesday, "logs-%Y-%b", "logs-2015-Nov");
        check(tuesday, "%a %A %b %B %h %^a", "Tue Tuesday Nov November Nov TUE");
        check(
            tuesday,
            "%c|%D|%F|%R|%r|%T|%x|%X",
            "Tue Nov 24 22:15:40 2015|11/24/15|2015-11-24|22:15|10:15:40 PM|22:15:40|11/24/15|22:15:40",
        );
        check(tuesday, "%C %y %j %s %I %l %p %P", "20 15 328 1448403340 10 10 PM pm");
        check(tuesday, "%u %w %U %W %V %G %g", "2 2 47 47 48 2015 15");
        check(tuesday, "%n%t%%%z%Z", "\n\t%+0000GMT");
        check(tuesday, "%S.%L %N %Ey %Od", "40.007 007000089 15 24");
        let small = 1_704_441_845; // 2024-01-05T08:04:05Z
        check(small, "%e|%k|%l|%d|%-d|%_d|%0e|%-m|%_H|%-j|%_Y", " 5| 8| 8|05|5| 5|05|1| 8|5|2024");
        check(-1, "%F %T %s", "1969-12-31 23:59:59 -1");
        check(1_704_067_199, "%G-%V %U %W", "2023-52 53 52"); // Sunday, 2023-12-31
        check(1_735_603_200, "%G-%V", "2025-01"); // Tuesday, 2024-12-31
        check(1_609_459_200, "%G-%V %g", "2020-53 20"); // Friday, 2021-01-01
        check(0, "%I %p", "12 AM");
    }

    #[test]
    fn unknown_directives_are_copied() {
        check(0, "%Y-%Q%é%", "1970-%Q%é%");
        check(0, "a%-", "a%-");
        assert_eq!(Strftime::new("%Y %-Q %é").unknown(), Some("%-Q"));
        assert_eq!(Strftime::new("%").unknown(), Some("%"));
        assert_eq!(Strftime::new("%Y.%m.%d").unknown(), None);
    }

    #[test]
    fn rfc3339() {
        let check = |time: Timestamp, millis: &str, nanos: &str| {
            let mut out = Vec::new();
            write_rfc3339_millis(time, &mut out);
            out.push(b' ');
            write_rfc3339_nanos(time, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{millis} {nanos}"));
        };
        check(0, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000000000Z");
        check(-1, "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999999999Z");
        check(i64::MAX, "2262-04-11T23:47:16.854Z", "2262-04-11T23:47:16.854775807Z");
        check(i64::MIN, "1677-09-21T00:12:43.145Z", "1677-09-21T00:12:43.145224192Z");
    }
}
