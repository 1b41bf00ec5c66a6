//! A watch's answer as events: one JSON object a line.

use super::error::CallError;
use crate::filter::kubernetes::object::Pod;
use crate::net::Response;
use kube_core::watch::WatchEvent;

/// An event is no longer: etcd takes objects of up to 1.5 MiB, which JSON can make longer. What is, is left out.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// Memory for lines that is kept from event to event.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// What a watch tells.
pub(super) enum Event {
    /// This.
    Watch(Box<WatchEvent<Pod>>),
    /// An event that is longer than it may be.
    TooLarge,
}

/// Reads a watch.
pub(super) struct Events {
    response: Response,
    lines: Lines,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, lines: Lines::default() }
    }

    /// The next event; `None` at the end of the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, CallError> {
        loop {
            match self.lines.next() {
                Some(Line::TooLong) => return Ok(Some(Event::TooLarge)),
                Some(Line::Whole(line)) => {
                    let event = serde_json::from_slice(line);
                    let event = event.map_err(|error| CallError::garbage(&error))?;
                    return Ok(Some(Event::Watch(Box::new(event))));
                }
                None => {}
            }
            match self.response.next().await {
                Some(piece) => self.lines.push(&piece?),
                // What stands behind the last line's end is half of one.
                None => return Ok(None),
            }
        }
    }
}

/// Pieces, cut anew at the ends of lines.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// What was handed out before.
    taken: usize,
    /// Whether bytes up to the next end of a line are left out.
    is_skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

impl Lines {
    /// Takes in what came. All lines that are whole were handed out before.
    fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.extend_from_slice(piece);
    }

    /// The next line that is whole and not empty.
    fn next(&mut self) -> Option<Line<'_>> {
        loop {
            let rest = self.bytes.get(self.taken..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                if rest.len() > EVENT_BYTES_MAX {
                    self.is_skipping = true;
                }
                if self.is_skipping {
                    self.taken = self.bytes.len();
                }
                return None;
            };
            let start = self.taken;
            self.taken += end + 1;
            if std::mem::take(&mut self.is_skipping) || end > EVENT_BYTES_MAX {
                return Some(Line::TooLong);
            }
            if end > 0 {
                return self.bytes.get(start..start + end).map(Line::Whole);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text`, cut into pieces of `size` bytes, by their lengths; `None`: too long.
    fn lengths(text: &[u8], size: usize) -> Vec<Option<usize>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in text.chunks(size) {
            lines.push(piece);
            while let Some(line) = lines.next() {
                found.push(match line {
                    Line::Whole(line) => Some(line.len()),
                    Line::TooLong => None,
                });
            }
            assert!(lines.bytes.len() <= EVENT_BYTES_MAX + size + 1);
        }
        found
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = b"one\n\nthree\nhalf";
        for size in 1..=text.len() {
            assert_eq!(lengths(text, size), [Some(3), Some(5)], "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_no_other() {
        let long = vec![b'x'; EVENT_BYTES_MAX + 1];
        let fits = vec![b'x'; EVENT_BYTES_MAX];
        let text = [b"a\n", &*long, b"\n", &*fits, b"\nbc\n"].concat();
        for size in [100_000, EVENT_BYTES_MAX / 2, text.len()] {
            let expected = [Some(1), None, Some(EVENT_BYTES_MAX), Some(2)];
            assert_eq!(lengths(&text, size), expected, "{size}");
        }
    }
}
