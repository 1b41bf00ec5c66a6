//! The field that says when a record happened.

use crate::record::{Fields, Nanos};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use tailwater_parsers::time::{Defaults, Format};

/// Nanoseconds in a second.
const SECOND: Nanos = 1_000_000_000;

/// `Time_Key`, `Time_Format` and what belongs to them.
#[derive(Debug)]
pub(super) struct TimeField {
    /// The field's name.
    pub(super) key: Box<str>,
    /// Whether the field stays in the record.
    pub(super) keep: bool,
    pub(super) format: Format,
    /// Whether a text that follows the format only so far says no time.
    pub(super) strict: bool,
    /// The zone of times that do not name theirs.
    pub(super) zone: Zone,
}

/// A time zone.
#[derive(Debug)]
pub(super) enum Zone {
    /// Always so many seconds east of UTC.
    Offset(i32),
    /// With rules, from the system's database.
    Named(TimeZone),
}

impl TimeField {
    /// When the text says it was; where it lacks the year, or the day, it is that of `now`.
    pub(super) fn read(&self, text: &str, now: Nanos) -> Option<Nanos> {
        match &self.zone {
            Zone::Offset(seconds) => self.parse(text, *seconds, now),
            Zone::Named(zone) => {
                let now = now.checked_add(offset_at(zone, now)?)?;
                to_utc(zone, self.parse(text, 0, now)?)
            }
        }
    }

    /// Reads the first of the fields from `first` on that has the name, and takes it out unless it is to
    /// stay. One that says no time stays. `scratch` is overwritten.
    pub(super) fn take(
        &self,
        first: usize,
        scratch: &mut String,
        now: Nanos,
        fields: &mut Fields<'_>,
    ) -> Option<Nanos> {
        let (at, found) =
            fields.iter().enumerate().skip(first).find(|(_, field)| *field.key() == *self.key)?;
        let time = self.read(found.value().read_str(scratch)?, now)?;
        if !self.keep {
            fields.remove(at);
        }
        Some(time)
    }

    fn parse(&self, text: &str, offset_seconds: i32, now: Nanos) -> Option<Nanos> {
        let defaults = Defaults { offset_seconds, now_unix: now.div_euclid(SECOND) };
        if self.strict {
            self.format.parse(text, &defaults)
        } else {
            self.format.parse_prefix(text, &defaults)
        }
    }
}

/// How far the zone's clocks are ahead of UTC then, in nanoseconds.
fn offset_at(zone: &TimeZone, time: Nanos) -> Option<Nanos> {
    let time = Timestamp::from_nanosecond(time.into()).ok()?;
    Some(Nanos::from(zone.to_offset(time).seconds()) * SECOND)
}

/// When the zone's clocks showed what UTC's clocks show at `local`. Of an hour that clocks show twice
/// it is the first, and what they skip is as far behind the jump.
fn to_utc(zone: &TimeZone, local: Nanos) -> Option<Nanos> {
    let local = Timestamp::from_nanosecond(local.into()).ok()?;
    let time = zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(local)).compatible().ok()?;
    Nanos::try_from(time.as_nanosecond()).ok()
}

/// Whether a time in this format names its zone, as Fluent Bit decides it.
pub(super) fn names_zone(format: &str) -> bool {
    ["%z", "%Z", "%SZ", "%S.%LZ"].iter().any(|directive| format.contains(directive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_jump() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let check = |local: &str, expected: &str| {
            let local: Timestamp = local.parse().unwrap();
            let found = to_utc(&zone, Nanos::try_from(local.as_nanosecond()).unwrap()).unwrap();
            assert_eq!(Timestamp::from_nanosecond(found.into()).unwrap().to_string(), expected);
        };
        check("2024-01-20T10:00:00Z", "2024-01-20T10:00:00Z");
        check("2024-08-20T11:00:00Z", "2024-08-20T10:00:00Z");
        check("2024-03-31T01:30:00Z", "2024-03-31T01:30:00Z");
        check("2024-10-27T01:30:00Z", "2024-10-27T00:30:00Z");
    }
}
