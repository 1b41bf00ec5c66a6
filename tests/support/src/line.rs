//! Log lines as a container runtime writes them, each with a number to be found again by.

use jiff::Timestamp;
use std::fmt::Write as _;
use std::io::Write as _;

/// What lines look like; each kind is chosen by the line's number alone, so that a run can be had again.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Every so-manieth line's message is plain text instead of JSON; 0 for none.
    pub plain_every: u64,
    /// Every so-manieth line is nothing a CRI parser can read; 0 for none.
    pub unreadable_every: u64,
    /// Every so-manieth line that a CRI parser can read comes in two pieces; 0 for none.
    pub split_every: u64,
    /// The message is padded until the line has about this many bytes.
    pub line_bytes: usize,
    /// Time of line 0, in nanoseconds since the epoch; each further line is a millisecond later.
    /// `None`: each line has the time of its writing.
    pub start: Option<i64>,
}

/// About 400 bytes a line, every tenth without JSON, written now.
impl Default for Mix {
    fn default() -> Self {
        Self { plain_every: 10, unreadable_every: 0, split_every: 0, line_bytes: 400, start: None }
    }
}

/// How long after the application's own time the runtime writes the line, in nanoseconds.
const RUNTIME_LAG: i64 = 137_456;

impl Mix {
    /// The application's own time of a line with [`Mix::start`], in nanoseconds since the epoch.
    #[must_use]
    pub fn time(&self, number: u64) -> i64 {
        let now = || i64::try_from(Timestamp::now().as_nanosecond()).unwrap() / 1_000 * 1_000;
        self.start.map_or_else(now, |start| start + i64::try_from(number).unwrap() * 1_000_000)
    }

    /// The runtime's time of a line with [`Mix::start`]: what the CRI line begins with.
    #[must_use]
    pub fn runtime_time(&self, number: u64) -> i64 {
        self.time(number) + RUNTIME_LAG
    }

    /// Whether the message of a line is JSON.
    #[must_use]
    pub fn is_json(&self, number: u64) -> bool {
        !self.is_unreadable(number) && !every(self.plain_every, number)
    }

    /// Whether a line is nothing a CRI parser can read.
    #[must_use]
    pub fn is_unreadable(&self, number: u64) -> bool {
        every(self.unreadable_every, number)
    }

    /// Appends one line with its newline.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let start = out.len();
        let time = self.time(number);
        if self.is_unreadable(number) {
            writeln!(out, "no line of a container runtime seq={number}").unwrap();
            return;
        }
        let stream = if number.is_multiple_of(4) { "stderr" } else { "stdout" };
        write!(out, "{} {stream} F ", iso(time + RUNTIME_LAG, 9)).unwrap();
        let json = self.is_json(number);
        if json {
            write!(
                out,
                r#"{{"timestamp":"{}","level":"{}","seq":{number},"service":"checkout","trace_id":"{:032x}","method":"GET","path":"/api/v1/orders/{}","status":{},"duration_ms":{}.{},"user":{{"id":{},"plan":"pro"}},"message":"order \"{}\" handled"#,
                iso(time, 6),
                if number.is_multiple_of(7) { "warn" } else { "info" },
                u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
                number % 9973,
                if number.is_multiple_of(13) { 404 } else { 200 },
                number % 900,
                number % 10,
                number % 50_000,
                number % 9973,
            )
            .unwrap();
        } else {
            write!(out, "connection from 10.0.{}.7 closed seq={number}", number % 256).unwrap();
        }
        let end = if json { "\"}\n" } else { "\n" };
        fill(out, start + self.line_bytes, end);
        if every(self.split_every, number) {
            // `P ` stands where `F ` stood, and `F ` before the rest.
            let head = format!("{} {stream} ", iso(time + RUNTIME_LAG, 9));
            let middle = out.len() - self.line_bytes / 4;
            out[start + head.len()] = b'P';
            let rest = out.split_off(middle);
            writeln!(out).unwrap();
            write!(out, "{head}F ").unwrap();
            out.extend_from_slice(&rest);
        }
    }
}

/// Goes on until `out` is `len` long, `end` at its end counted.
pub(crate) fn fill(out: &mut Vec<u8>, len: usize, end: &str) {
    const FILLING: &[u8] = b" and so it went on for a while as messages of services do";
    while out.len() + end.len() < len {
        let left = len - (out.len() + end.len());
        out.extend_from_slice(&FILLING[..left.min(FILLING.len())]);
    }
    out.extend_from_slice(end.as_bytes());
}

fn every(count: u64, number: u64) -> bool {
    count > 0 && number % count == count / 2
}

/// RFC 3339 in UTC with so many digits of the fraction.
fn iso(time: i64, digits: usize) -> String {
    let time = Timestamp::from_nanosecond(i128::from(time)).unwrap();
    let mut text = String::with_capacity(32);
    write!(text, "{time:.digits$}").unwrap();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(mix: Mix, number: u64) -> String {
        let mut out = Vec::new();
        mix.write(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_cri_with_json_of_the_asked_length() {
        let mix = Mix { start: Some(1_700_000_000_123_456_000), ..Mix::default() };
        let line = line(mix, 1);
        assert_eq!(line.len(), 400);
        assert!(line.starts_with("2023-11-14T22:13:20.124593456Z stdout F {\"timestamp\":\"2023-11-14T22:13:20.124456Z\""), "{line}");
        let (_, json) = line.split_once(" F ").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["seq"], 1);
    }

    #[test]
    fn every_tenth_is_plain_and_some_are_unreadable() {
        let mix = Mix { unreadable_every: 50, ..Mix::default() };
        let json = (0..1000).filter(|number| mix.is_json(*number)).count();
        let unreadable = (0..1000).filter(|number| mix.is_unreadable(*number)).count();
        // The two kinds fall together once in fifty.
        assert_eq!((json, unreadable), (900, 20));
        assert!(line(mix, 5).contains(" F connection"));
        assert!(line(mix, 25).starts_with("no line"));
    }
}
