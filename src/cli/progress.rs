//! How far records from a pipe have come: one line of the terminal, drawn again and again.

use crate::clock;
use crate::metrics::Registry;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two drawings: a shorter run than this shows nothing.
const PAUSE: Duration = Duration::from_millis(500);

/// Back to the line's begin, and nothing behind it.
const CLEAR: &[u8] = b"\r\x1b[K";

/// Whether the line stands there now. There is one standard error, for the line and for the log.
static IS_DRAWN: Mutex<bool> = Mutex::new(false);

/// The line, until this is dropped.
#[derive(Debug)]
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Draws what `registry` counts. A system that gives no thread for it shows nothing.
    pub fn begin(registry: Arc<Registry>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let draw_until_stopped = move || {
            let mut before = (clock::instant(), 0);
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                before = draw(&registry, before);
            }
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(draw_until_stopped);
        Self { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
        let _cleared = OverLine.flush();
    }
}

/// Standard error, where the line makes way for what is written.
#[derive(Debug)]
pub(super) struct OverLine;

impl Write for OverLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *is_drawn) {
            io::stderr().write_all(CLEAR)?;
        }
        io::stderr().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write(b"").map(|_| ())
    }
}

/// Draws the line, given the time of the last one and the records that there were then; now.
fn draw(registry: &Registry, (then, before): (Instant, u64)) -> (Instant, u64) {
    let now = clock::instant();
    let (mut records, mut chunks, mut bytes) = (0, 0, 0);
    for (_, input) in registry.inputs() {
        records += input.records.value();
        chunks += input.storage_chunks.value();
        bytes += input.storage_memory_bytes.value();
    }
    let millis = u64::try_from((now - then).as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = (records - before) * 1_000 / millis;
    let line = line(records, rate, chunks, bytes);
    let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody sees it where it cannot be written.
    let _nobody_looks = io::stderr().write_all(line.as_bytes());
    *is_drawn = true;
    (now, records)
}

/// In a terminal that is too narrow, it ends at the edge (DECAWM): on a second line it would stay.
fn line(records: u64, rate: u64, chunks: u64, bytes: u64) -> String {
    let kilobytes = bytes.div_ceil(1_000);
    let backlog = match chunks {
        0 => "none".to_owned(),
        1 => format!("1 chunk, {} kB", grouped(kilobytes)),
        _ => format!("{} chunks, {} kB", grouped(chunks), grouped(kilobytes)),
    };
    let (records, rate) = (grouped(records), grouped(rate));
    format!("\r\x1b[?7l{records} records, {rate}/s, backlog: {backlog}\x1b[K\x1b[?7h")
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        let check = |numbers: (u64, u64, u64, u64), expected: &str| {
            let (records, rate, chunks, bytes) = numbers;
            let drawn = line(records, rate, chunks, bytes);
            let drawn =
                drawn.strip_prefix("\r\x1b[?7l").and_then(|it| it.strip_suffix("\x1b[K\x1b[?7h"));
            assert_eq!(drawn, Some(expected));
        };
        check((0, 0, 0, 0), "0 records, 0/s, backlog: none");
        check((999, 12, 1, 1), "999 records, 12/s, backlog: 1 chunk, 1 kB");
        check(
            (1_000, 1_000_000, 3, 6_000_001),
            "1,000 records, 1,000,000/s, backlog: 3 chunks, 6,001 kB",
        );
        check((123_456_789, 0, 1_200, 0), "123,456,789 records, 0/s, backlog: 1,200 chunks, 0 kB");
    }
}
