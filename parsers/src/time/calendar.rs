//! The Gregorian calendar, before its beginning too: days since the epoch to dates and back.
//!
//! Both ways count in years that begin in March, so that the leap day is the last one of its year,
//! and in eras of 400 years, after which everything repeats.

use super::{DAY, NANOS, Timestamp};

const DAYS_OF_ERA: i64 = 146_097;

/// From 0000-03-01, where an era begins, to the epoch.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A moment in UTC, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: i64,
    /// Since the epoch.
    pub(super) days: i64,
}

impl Moment {
    pub(super) fn new(time: Timestamp) -> Self {
        let seconds = time.div_euclid(NANOS);
        Self { nanos: time.rem_euclid(NANOS), ..Self::from_seconds(seconds) }
    }

    /// Takes seconds since the epoch.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        let clock = seconds.rem_euclid(DAY);
        let from_march = days.saturating_add(DAYS_TO_EPOCH);
        let era = from_march.div_euclid(DAYS_OF_ERA);
        let day = from_march.rem_euclid(DAYS_OF_ERA);
        // Of the era: every fourth year is a day longer, but not every hundredth, except the last.
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March on, five months have 153 days: 31, 30, 31, 30, 31.
        let month = (5 * day + 2) / 153;
        let january = month >= 10;
        Self {
            year: era * 400 + year + i64::from(january),
            month: if january { month - 9 } else { month + 3 },
            day: day - (153 * month + 2) / 5 + 1,
            hour: clock / 3_600,
            minute: clock / 60 % 60,
            second: clock % 60,
            nanos: 0,
            days,
        }
    }

    /// From 0.
    pub(super) fn day_of_year(&self) -> i64 {
        self.days - days_since_epoch(self.year, 1, 1)
    }

    /// From 0, a Sunday.
    pub(super) fn weekday(&self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }
}

/// The days from the epoch to a date. The month is 1 to 12; a day outside of its month counts on
/// into the next or back into the one before.
pub(super) fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let days = (153 * month + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + year * 365 + year / 4 - year / 100 + days - DAYS_TO_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_three_thousand_years() {
        let (mut year, mut month, mut day) = (1, 1, 1);
        for days in days_since_epoch(1, 1, 1)..days_since_epoch(3001, 1, 1) {
            let moment = Moment::from_seconds(days * DAY + 3_661);
            assert_eq!((moment.year, moment.month, moment.day), (year, month, day));
            assert_eq!((moment.hour, moment.minute, moment.second), (1, 1, 1));
            assert_eq!(days_since_epoch(year, month, day), days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn known_days() {
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
        assert_eq!(days_since_epoch(2000, 2, 29), 11_016);
        assert_eq!(days_since_epoch(2023, 2, 29), days_since_epoch(2023, 3, 1));
        assert_eq!(days_since_epoch(2024, 1, 0), days_since_epoch(2023, 12, 31));
        assert_eq!(Moment::new(0).weekday(), 4);
        assert_eq!(Moment::new(-1).weekday(), 3);
        assert_eq!(Moment::new(-1).nanos, NANOS - 1);
        assert_eq!(Moment::from_seconds(1_704_067_199).day_of_year(), 364);
    }
}
