//! `dummy`: makes records, to try a configuration.

use super::objects;
use super::{Input, Intake, Turn};
use crate::clock;
use crate::config::{Verbatim, properties};
use crate::record::{Batch, Nanos, Record, Source, SourceId, Tag};
use bumpalo::Bump;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What Fluent Bit falls back on.
const DEFAULT_BODY: &str = r#"{"message":"dummy"}"#;

/// How long to sleep when no record will come again.
const IDLE_PAUSE: Duration = Duration::from_hours(1);

/// No pause is longer: as good as for ever, and safe to add to a clock.
const INTERVAL_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// Records that one tick makes: bounds a batch.
const COPIES_MAX: u32 = 10_000;

properties! {
    /// Makes records, to try a configuration.
    pub struct DummyOptions for "dummy" {
        /// The record: one JSON object, or several to make one after the other.
        dummy: Verbatim ["Dummy" = "{\"message\":\"dummy\"}"],
        /// Records a second.
        rate: i64 ["Rate" = "1"],
        /// How many times to make them; 0: without end.
        samples: i64 ["Samples" = "0"],
        /// How many equal records at a time.
        copies: i64 ["Copies" = "1"],
        /// Seconds between two records; counts instead of `Rate`.
        interval_sec: i64 ["Interval_Sec" = "0"],
        /// Nanoseconds on top of that.
        interval_nsec: i64 ["Interval_NSec" = "0"],
        /// The time of the first record in seconds since 1970; -1: now.
        start_time_sec: i64 ["Start_Time_Sec" = "-1"],
        /// Nanoseconds on top of that.
        start_time_nsec: i64 ["Start_Time_NSec" = "-1"],
        /// Gives every record the same time.
        fixed_timestamp: bool ["Fixed_Timestamp" = "off"],
        /// Makes the first record at once.
        flush_on_startup: bool ["Flush_On_Startup" = "false"],
        @accepted {
            "Metadata": "records have no metadata here",
            "Test_Hang_On_Exit": "it belongs to Fluent Bit's own tests",
        }
    }
}

/// Makes records.
#[derive(Debug)]
pub struct Dummy {
    tag: Tag,
    source: Source,
    body: String,
    copies: u32,
    /// How many ticks are left; `None`: without end.
    samples: Option<u64>,
    interval: Duration,
    times: Times,
    /// When the next record is due; `None` before the first turn.
    next: Option<Instant>,
    is_early: bool,
    /// Records made so far: their offset.
    made: u64,
    bump: Bump,
    scratch: String,
}

/// What times records get.
#[derive(Clone, Copy, Debug)]
enum Times {
    /// The clock's.
    Now,
    /// Always this one.
    Fixed(Nanos),
    /// The clock's, as if the process had begun `start` later than it did.
    Shifted(Nanos),
}

impl Dummy {
    /// Reads the template; one that is no JSON object is replaced by the default, as in Fluent Bit.
    ///
    /// # Errors
    ///
    /// If the system has no randomness for the run's id.
    pub fn open(options: &DummyOptions, tag: &str, input: u32) -> io::Result<Self> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let now = clock::now();
        let mut body = options.dummy.0.clone();
        if !is_template(&body) {
            tracing::warn!("`Dummy` is no JSON object: using {DEFAULT_BODY}");
            DEFAULT_BODY.clone_into(&mut body);
        }
        Ok(Self {
            tag: Tag::new(tag),
            source: Source { id: SourceId { input, number: 0 }, key, first_seen: now },
            body,
            copies: u32::try_from(options.copies).unwrap_or(0).min(COPIES_MAX),
            samples: u64::try_from(options.samples).ok().filter(|samples| *samples > 0),
            interval: interval(options),
            times: times(options, now),
            next: None,
            is_early: options.flush_on_startup,
            made: 0,
            bump: Bump::new(),
            scratch: String::new(),
        })
    }

    /// Makes the records of one tick.
    fn make(&mut self, intake: &mut dyn Intake) {
        let now = clock::now();
        let time = match self.times {
            Times::Now => now,
            Times::Fixed(time) => time,
            Times::Shifted(shift) => now.saturating_add(shift),
        };
        let mut batch = Batch::new(&self.bump, self.tag.clone(), self.source, self.made);
        for _ in 0..self.copies {
            let mut rest = self.body.trim();
            while let Ok(object) = objects::read(rest, &self.bump, &mut self.scratch) {
                rest = rest.get(object.len..).unwrap_or_default().trim_start();
                let (from, to) = (batch.to, batch.to + 1);
                let fields = object.fields;
                batch.records.push(Record { time, own_time: true, from, to, ordinal: 0, fields });
                batch.to = to;
            }
        }
        self.made = batch.to;
        batch.bytes = u64::from(self.copies) * self.body.len() as u64;
        if batch.from < batch.to {
            intake.take(batch);
        } else {
            drop(batch);
        }
        self.bump.reset();
        self.samples = self.samples.map(|samples| samples.saturating_sub(1));
    }
}

impl Input for Dummy {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        if self.samples == Some(0) {
            // As in Fluent Bit, the process goes on.
            return Turn::Wait(now + IDLE_PAUSE);
        }
        let first = if self.is_early { now } else { now + self.interval };
        let due = *self.next.get_or_insert(first);
        if now < due {
            return Turn::Wait(due);
        }
        if intake.is_full() {
            return Turn::More;
        }
        self.make(intake);
        // Ticks that were missed are not made up for.
        let next = (due + self.interval).max(now);
        self.next = Some(next);
        Turn::Wait(next)
    }

    /// Made-up records have no positions.
    fn safe(&mut self, _source: SourceId, _to: u64) {}

    fn wake_on(&self, _full: bool) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Whether the text is one JSON object or several, and nothing else.
fn is_template(text: &str) -> bool {
    let bump = Bump::new();
    let mut scratch = String::new();
    let mut rest = text.trim();
    let mut count = 0;
    while let Ok(object) = objects::read(rest, &bump, &mut scratch) {
        if object.time.is_some() {
            return false;
        }
        rest = rest.get(object.len..).unwrap_or_default().trim_start();
        count += 1;
    }
    count > 0 && rest.is_empty()
}

/// Time between two ticks, as Fluent Bit works it out.
fn interval(options: &DummyOptions) -> Duration {
    let seconds = u64::try_from(options.interval_sec).unwrap_or(0);
    let nanos = u64::try_from(options.interval_nsec).unwrap_or(0);
    let interval = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos));
    // One that is negative makes both be ignored.
    if !interval.is_zero() && options.interval_sec >= 0 && options.interval_nsec >= 0 {
        return interval.min(INTERVAL_MAX);
    }
    let rate = u64::try_from(options.rate).unwrap_or(1).clamp(1, 1_000_000_000);
    Duration::from_nanos(1_000_000_000 / rate)
}

fn times(options: &DummyOptions, now: Nanos) -> Times {
    let is_set = options.start_time_sec >= 0 || options.start_time_nsec >= 0;
    let seconds = options.start_time_sec.max(0).saturating_mul(1_000_000_000);
    let start = seconds.saturating_add(options.start_time_nsec.max(0));
    match (options.fixed_timestamp, is_set) {
        (true, true) => Times::Fixed(start),
        (true, false) => Times::Fixed(now),
        (false, true) => Times::Shifted(start.saturating_sub(now)),
        (false, false) => Times::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Diagnostics, Location, Section, SectionKind};
    use crate::record::write_json;

    #[derive(Default)]
    struct Recorder(Vec<(Nanos, String)>);

    impl Intake for Recorder {
        fn take(&mut self, batch: Batch<'_>) {
            assert_eq!(batch.to - batch.from, batch.records.len() as u64);
            for record in &batch.records {
                let mut json = Vec::new();
                write_json(&record.fields, &mut json);
                self.0.push((record.time, String::from_utf8(json).unwrap()));
            }
        }

        fn is_full(&self) -> bool {
            false
        }
    }

    /// Runs for ten seconds of the clock that is passed in.
    fn run(properties: &[(&str, &str)]) -> Vec<(Nanos, String)> {
        let mut section = Section::new(SectionKind::Input, Location::command_line());
        for (key, value) in properties {
            section.push(key, value, Location::command_line());
        }
        let options = DummyOptions::read(&mut section, &mut Diagnostics::default());
        let mut dummy = Dummy::open(&options, "d", 0).unwrap();
        let mut recorder = Recorder::default();
        let begin = Instant::now();
        let mut now = begin;
        while now - begin <= Duration::from_secs(10) {
            match dummy.turn(now, &mut recorder) {
                Turn::Wait(at) => now = at.max(now + Duration::from_nanos(1)),
                other => panic!("{other:?}"),
            }
        }
        recorder.0
    }

    fn check(properties: &[(&str, &str)], count: usize, body: &str) {
        let made = run(properties);
        assert_eq!(made.len(), count, "{properties:?}");
        assert!(made.iter().all(|(_, json)| json == body), "{made:?}");
    }

    #[test]
    fn records_come_at_their_rate() {
        check(&[], 10, r#"{"message":"dummy"}"#);
        check(&[("Rate", "5"), ("Dummy", r#"{"a": [1, 2]}"#)], 50, r#"{"a":[1,2]}"#);
        check(&[("Rate", "5"), ("Interval_Sec", "2")], 5, r#"{"message":"dummy"}"#);
        check(&[("Interval_NSec", "500000000")], 20, r#"{"message":"dummy"}"#);
        check(&[("Samples", "3"), ("Copies", "4")], 12, r#"{"message":"dummy"}"#);
        check(&[("Samples", "1"), ("Flush_On_Startup", "on")], 1, r#"{"message":"dummy"}"#);
        check(&[("Samples", "1"), ("Dummy", "not json")], 1, r#"{"message":"dummy"}"#);
        check(&[("Samples", "1"), ("Dummy", "{}{}")], 2, "{}");
    }

    #[test]
    fn times_are_those_that_were_asked_for() {
        let fixed =
            run(&[("Start_Time_Sec", "100"), ("Start_Time_NSec", "5"), ("Fixed_Timestamp", "on")]);
        assert!(fixed.iter().all(|(time, _)| *time == 100_000_000_005));
        let shifted = run(&[("Start_Time_Sec", "100"), ("Samples", "1")]);
        assert!((100_000_000_000..200_000_000_000).contains(&shifted[0].0), "{shifted:?}");
        let now = run(&[("Samples", "1")]);
        assert!(now[0].0 > 1_600_000_000_000_000_000);
    }
}
