//! Times: text to nanoseconds since the epoch and back, by the formats of strptime and strftime.

mod calendar;
mod digits;
mod format;
mod iso;
mod strftime;
mod zone;

pub use format::{Defaults, Error, Format};
pub use strftime::{Strftime, write_rfc3339_millis, write_rfc3339_nanos};
pub use zone::offset_seconds;

/// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted: the years 1677 to 2262.
pub type Timestamp = i64;

/// How many nanoseconds make a second.
const NANOS: i64 = 1_000_000_000;

/// How many seconds make a day.
const DAY: i64 = 86_400;

/// Fuzz entry: `data` is a format, a line feed and a text; the short way through the ISO layouts
/// gives what the long way gives, and what was read can be written and read again.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_time(data: &[u8]) {
    let Ok(data) = str::from_utf8(data) else { return };
    let Some((format, text)) = data.split_once('\n') else { return };
    let defaults = Defaults { offset_seconds: 3_600, now_unix: 1_700_000_000 };
    let mut out = Vec::new();
    let compiled = Format::new(format);
    let time = compiled.parse(text, &defaults);
    assert_eq!(time, compiled.parse_step_by_step(text, &defaults), "short way and long way");
    if let Some(time) = time {
        assert_eq!(compiled.problem(), None, "a time in a format that cannot be meant");
        assert_eq!(compiled.parse_prefix(text, &defaults), Some(time), "strict and not strict");
        write_rfc3339_nanos(time, &mut out);
        let again = Format::new("%Y-%m-%dT%H:%M:%S.%L%z");
        let again = again.parse(&String::from_utf8_lossy(&out), &defaults);
        assert_eq!(again, Some(time), "written and read again");
    }
    out.clear();
    Strftime::new(format).write(i64::try_from(text.len()).unwrap_or(0) * -DAY * NANOS, &mut out);
    assert!(str::from_utf8(&out).is_ok(), "strftime writes text");
}
