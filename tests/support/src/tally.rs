//! Which numbered lines arrived, which are missing, which came twice.

use std::fmt;

/// How many numbers or ranges a verdict spells out; the rest is only counted.
const SHOWN_MAX: usize = 20;

/// Counts the numbers of arrived lines.
#[derive(Debug)]
pub struct Tally {
    seen: Vec<u32>,
    strangers: u64,
}

/// What a [`Tally`] found; printed, it says where to look.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many numbers were expected.
    pub expected: u64,
    /// Numbers that never came.
    pub missing: Vec<u64>,
    /// Numbers that came more than once.
    pub doubled: Vec<u64>,
    /// Lines without a number, or with one nobody wrote.
    pub strangers: u64,
}

impl Tally {
    /// Expects each of `0..expected` once.
    #[must_use]
    pub fn new(expected: u64) -> Self {
        Self { seen: vec![0; usize::try_from(expected).unwrap()], strangers: 0 }
    }

    /// Counts a line, or whatever became of it, by the number in it.
    pub fn count(&mut self, text: &str) {
        match Self::number(text).and_then(|number| self.seen.get_mut(usize::try_from(number).ok()?))
        {
            Some(seen) => *seen += 1,
            None => self.strangers += 1,
        }
    }

    /// The number after `"seq":` or `seq=`, wherever it stands, also inside escaped JSON.
    #[must_use]
    pub fn number(text: &str) -> Option<u64> {
        ["\"seq\":", "seq=", "\\\"seq\\\":"].iter().find_map(|mark| {
            let (_, rest) = text.split_once(mark)?;
            let digits = rest.trim_start().split(|char: char| !char.is_ascii_digit()).next()?;
            digits.parse().ok()
        })
    }

    /// The sum of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let numbers = |wanted: fn(u32) -> bool| {
            let seen = self.seen.iter().zip(0..);
            seen.filter(|(seen, _)| wanted(**seen)).map(|(_, number)| number).collect()
        };
        Verdict {
            expected: self.seen.len() as u64,
            missing: numbers(|seen| seen == 0),
            doubled: numbers(|seen| seen > 1),
            strangers: self.strangers,
        }
    }

    /// Fails unless every number came exactly once and nothing else did.
    #[track_caller]
    pub fn assert_exactly_once(&self) {
        let verdict = self.verdict();
        assert!(verdict.is_exactly_once(), "{verdict}");
    }
}

impl Verdict {
    /// Everything came once and nothing else came.
    #[must_use]
    pub fn is_exactly_once(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty() && self.strangers == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, missing, doubled, strangers } = self;
        write!(out, "of {expected} lines {} lost", missing.len())?;
        ranges(out, missing)?;
        write!(out, ", {} doubled", doubled.len())?;
        ranges(out, doubled)?;
        write!(out, ", {strangers} that nobody wrote")
    }
}

fn ranges(out: &mut fmt::Formatter<'_>, numbers: &[u64]) -> fmt::Result {
    let runs: Vec<_> = numbers.chunk_by(|one, next| one + 1 == *next).collect();
    for (position, run) in runs.iter().take(SHOWN_MAX).enumerate() {
        out.write_str(if position == 0 { " (" } else { ", " })?;
        match run {
            [only] => write!(out, "{only}")?,
            [first, .., last] => write!(out, "{first}-{last}")?,
            [] => {}
        }
    }
    match runs.len() {
        0 => Ok(()),
        shown if shown <= SHOWN_MAX => out.write_str(")"),
        _ => out.write_str(", …)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_doubled_lines_are_named() {
        let mut tally = Tally::new(10);
        for text in
            [r#"{"seq":0}"#, "x seq=1 y", r#"{"log":"{\"seq\":2}"}"#, "seq=2", "seq=99", "none"]
        {
            tally.count(text);
        }
        tally.count(r#"{"a":1,"seq": 8,"b":2}"#);
        let verdict = tally.verdict();
        assert!(!verdict.is_exactly_once());
        assert_eq!(
            verdict.to_string(),
            "of 10 lines 6 lost (3-7, 9), 1 doubled (2), 2 that nobody wrote"
        );
    }

    #[test]
    fn everything_once_is_exactly_once() {
        let mut tally = Tally::new(3);
        for text in ["seq=0", "seq=1", "seq=2"] {
            tally.count(text);
        }
        tally.assert_exactly_once();
    }
}
