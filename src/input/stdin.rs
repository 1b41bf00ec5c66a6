//! `stdin`: reads standard input, by JSON values or by lines.
//!
//! A pipe has no positions: what was read and not delivered when the process is killed is gone. Records get
//! a random run id and the offset in the stream, so that retries within one run are absorbed by their ids.
//!
//! Without `Parser`, the input is a sequence of JSON records, on one line each or not. What is no record is
//! passed on as a line under `log` and counted; Fluent Bit would drop all that it has just read.

use super::lines::{Counts, Lines, LongLines, Origin};
use super::objects::{self, NoObject};
use super::{Input, Intake, Turn};
use crate::clock;
use crate::config::{Size, properties};
use crate::metrics::InputMetrics;
use crate::parser::Parser;
use crate::record::{Batch, Field, Fields, Nanos, Record, Source, SourceId, Tag, Value};
use bumpalo::Bump;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The smallest `Buffer_Size`, as in Fluent Bit.
const BUFFER_BYTES_MIN: u64 = 16_000;

/// The largest `Buffer_Size`: it is memory that is taken at once.
const BUFFER_BYTES_MAX: u64 = 64 << 20;

/// One read: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// How long to wait if only the descriptor can tell of something new.
const IDLE_PAUSE: Duration = Duration::from_mins(1);

properties! {
    /// Reads standard input: JSON records, or lines for a parser.
    pub struct StdinOptions for "stdin" {
        /// Parser of every line. Without it, JSON records are read: `{…}` or `[time, {…}]`.
        parser: Option<String> ["Parser"],
        /// The longest record or line; a longer line is cut and flagged. At least 16000.
        buffer_size: Size ["Buffer_Size" = "16000"],
    }
}

/// Why `stdin` cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdinError {
    /// `Buffer_Size` is out of its bounds: Fluent Bit does not start with less either.
    #[error("`Buffer_Size` must be between {BUFFER_BYTES_MIN} and {BUFFER_BYTES_MAX} bytes")]
    BufferSize,
    /// There is no standard input, or no randomness for the run's id.
    #[error("cannot use standard input: {0}")]
    Setup(#[from] io::Error),
    /// What there is cannot be read.
    #[error("standard input cannot be read: {0}")]
    Unreadable(&'static str),
}

/// Reads standard input.
#[derive(Debug)]
pub struct Stdin {
    input: OwnedFd,
    tag: Tag,
    source: Source,
    metrics: Arc<InputMetrics>,
    lines: Lines,
    /// Whether there is a parser: lines, not JSON values.
    is_text: bool,
    buffer: Vec<u8>,
    /// Bytes of the buffer in use; they begin at `offset` of the stream.
    filled: usize,
    offset: u64,
    bump: Bump,
    scratch: String,
    is_over: bool,
}

impl Stdin {
    /// Takes standard input. `input` is the index of this instance, `parser` the one that `Parser` names.
    pub fn open(
        options: &StdinOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        input: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, StdinError> {
        let descriptor = io::stdin().as_fd().try_clone_to_owned()?;
        check(&descriptor)?;
        Self::read(descriptor, options, tag, parser, input, metrics)
    }

    /// Reads from any descriptor.
    fn read(
        descriptor: OwnedFd,
        options: &StdinOptions,
        tag: &str,
        parser: Option<Arc<Parser>>,
        input: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Self, StdinError> {
        let bytes_max = options.buffer_size.0;
        if !(BUFFER_BYTES_MIN..=BUFFER_BYTES_MAX).contains(&bytes_max) {
            return Err(StdinError::BufferSize);
        }
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let id = SourceId { input, number: 0 };
        Ok(Self {
            input: descriptor,
            tag: Tag::new(tag),
            source: Source { id, key, first_seen: clock::now() },
            metrics,
            is_text: parser.is_some(),
            lines: Lines { parser, strips_return: false, ..Lines::new(LongLines::Flag, bytes_max) },
            // A record that is not whole yet, and a read behind it.
            buffer: vec![0; bytes_max + READ_BYTES],
            filled: 0,
            offset: 0,
            bump: Bump::new(),
            scratch: String::new(),
            is_over: false,
        })
    }

    /// Hands over what is whole in the buffer; all of it if the input is over.
    fn hand_over(&mut self, intake: &mut dyn Intake) {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let mut batch = Batch::new(&self.bump, self.tag.clone(), self.source, self.offset);
        let (used, counts) = if self.is_text {
            split_lines(&mut self.lines, bytes, self.is_over, &mut batch)
        } else {
            let bytes_max = self.lines.bytes_max;
            split_values(bytes, bytes_max, self.is_over, &mut self.scratch, &mut batch)
        };
        counts.add_to(&self.metrics);
        batch.to = self.offset + used as u64;
        batch.bytes = used as u64;
        if used > 0 {
            intake.take(batch);
        } else {
            drop(batch);
        }
        self.bump.reset();
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        self.offset += used as u64;
    }
}

impl Input for Stdin {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        if self.is_over {
            return Turn::Done;
        }
        if intake.is_full() {
            return Turn::More;
        }
        let mut descriptors = [PollFd::new(&self.input, PollFlags::IN)];
        let ready = poll(&mut descriptors, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if matches!(ready, Ok(0) | Err(_)) {
            return Turn::Wait(now + IDLE_PAUSE);
        }
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match rustix::io::read(&self.input, room) {
            Ok(0) => self.is_over = true,
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Turn::Wait(now + IDLE_PAUSE);
            }
            Err(error) => {
                self.metrics.read_errors.add(1);
                tracing::error!(%error, "cannot read standard input: it counts as ended");
                self.is_over = true;
            }
        }
        self.hand_over(intake);
        if self.is_over { Turn::Done } else { Turn::More }
    }

    /// A pipe has no positions.
    fn safe(&mut self, _source: SourceId, _to: u64) {}

    fn wake_on(&self, full: bool) -> Option<BorrowedFd<'_>> {
        (!self.is_over && !full).then(|| self.input.as_fd())
    }
}

/// That a read can bring something. A descriptor that is closed at the start of the process is `/dev/null` by then.
fn check(descriptor: &OwnedFd) -> Result<(), StdinError> {
    let flags = fcntl_getfl(descriptor).map_err(io::Error::from)?;
    if flags & OFlags::RWMODE == OFlags::WRONLY {
        return Err(StdinError::Unreadable("it is open for writing only"));
    }
    let status = fstat(descriptor).map_err(io::Error::from)?;
    if FileType::from_raw_mode(status.st_mode).is_dir() {
        return Err(StdinError::Unreadable("it is a folder"));
    }
    Ok(())
}

/// Lines for the parser; how many bytes they took.
fn split_lines<'a>(
    lines: &mut Lines,
    bytes: &'a [u8],
    is_over: bool,
    batch: &mut Batch<'a>,
) -> (usize, Counts) {
    let origin = Origin { key: "log", path_key: None, offset_key: None, path: "" };
    let from = batch.to;
    let mut counts = lines.split(bytes, None, &origin, batch);
    let used = usize::try_from(batch.to - from).unwrap_or(usize::MAX);
    let rest = bytes.get(used..).unwrap_or_default();
    // A line that does not fit ends here, and what follows is another one: a pipe cannot be read again.
    if !rest.is_empty() && (is_over || rest.len() > lines.bytes_max) {
        let end = batch.to + rest.len() as u64;
        counts = counts + lines.split(rest, Some(end), &origin, batch);
        return (bytes.len(), counts);
    }
    (used, counts)
}

/// JSON records; how many bytes they took. All of them stand for the whole batch and are told apart by their ordinal,
/// since mended text has other offsets than what was read.
fn split_values<'a>(
    bytes: &'a [u8],
    bytes_max: usize,
    is_over: bool,
    scratch: &mut String,
    batch: &mut Batch<'a>,
) -> (usize, Counts) {
    let bump = batch.bump;
    let mut counts = Counts::default();
    let whole = if is_over {
        bytes.len()
    } else {
        // A value may go on over several lines, but none begins before its line is there.
        memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1)
    };
    let read = bytes.len();
    let whole = if read > bytes_max && whole == 0 { read } else { whole };
    let bytes = bytes.get(..whole).unwrap_or_default();
    let valid = simdutf8::basic::from_utf8(bytes);
    let text: &'a str = if let Ok(text) = valid {
        text
    } else {
        counts.invalid_utf8 += 1;
        bump.alloc_str(&String::from_utf8_lossy(bytes))
    };
    let may_wait = valid.is_ok() && !is_over;
    let now = clock::now();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        match objects::read(rest, bump, scratch) {
            Ok(object) => {
                rest = rest.get(object.len..).unwrap_or_default();
                counts.repaired += u64::from(object.is_repaired);
                push(batch, object.time, now, object.fields);
            }
            // What is kept must leave room for a read.
            Err(NoObject::Unfinished)
                if may_wait && read - (text.len() - rest.len()) <= bytes_max =>
            {
                break;
            }
            Err(_) => {
                let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
                counts.unparsed += 1;
                let mut fields = Fields::new_in(bump);
                fields.push(Field::new("log", Value::Str(line.trim_end())));
                push(batch, None, now, fields);
                rest = behind;
            }
        }
    }
    let used = if rest.is_empty() { whole } else { text.len() - rest.len() };
    stretch(batch, used);
    (used, counts)
}

fn push<'a>(batch: &mut Batch<'a>, time: Option<Nanos>, now: Nanos, fields: Fields<'a>) {
    let ordinal = u32::try_from(batch.records.len()).unwrap_or(u32::MAX);
    let (from, to) = (batch.from, batch.from);
    let own_time = time.is_some();
    let time = time.unwrap_or(now);
    batch.records.push(Record { time, own_time, from, to, ordinal, fields });
}

/// Ends all records where the batch ends.
fn stretch(batch: &mut Batch<'_>, used: usize) {
    let to = batch.from + used as u64;
    for record in &mut batch.records {
        record.to = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::write_json;
    use std::io::Write;

    #[derive(Default)]
    struct Recorder {
        bodies: Vec<String>,
        end: u64,
    }

    impl Intake for Recorder {
        fn take(&mut self, batch: Batch<'_>) {
            assert_eq!(batch.from, self.end);
            self.end = batch.to;
            for record in &batch.records {
                let mut json = Vec::new();
                write_json(&record.fields, &mut json);
                let json = String::from_utf8(json).unwrap();
                let own = if record.own_time { record.time.to_string() } else { String::new() };
                self.bodies.push(format!("{own}{json}"));
            }
        }

        fn is_full(&self) -> bool {
            false
        }
    }

    /// Writes the pieces one by one into a pipe, then closes it.
    fn check(pieces: &[&[u8]], expected: &[&str]) {
        let (reader, mut writer) = io::pipe().unwrap();
        let options = StdinOptions { parser: None, buffer_size: Size(BUFFER_BYTES_MIN) };
        let metrics = Arc::<InputMetrics>::default();
        let mut stdin =
            Stdin::read(reader.into(), &options, "s", None, 0, Arc::clone(&metrics)).unwrap();
        let mut recorder = Recorder::default();
        for piece in pieces {
            writer.write_all(piece).unwrap();
            while stdin.turn(Instant::now(), &mut recorder) == Turn::More {}
        }
        drop(writer);
        while stdin.turn(Instant::now(), &mut recorder) != Turn::Done {}
        assert_eq!(recorder.bodies, expected);
        assert_eq!(recorder.end, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    }

    #[test]
    fn json_records_in_any_shape() {
        check(
            &[b"{\"a\":1}\n[1448403340, {\"b\":2}]\n"],
            &[r#"{"a":1}"#, r#"1448403340000000000{"b":2}"#],
        );
        check(
            &[b"{\"a\":\n", b" 1}{\"b\":2}\n", b"{\"c\":3}"],
            &[r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#],
        );
        check(&[b"{\"a\":\"\xFF\"}\n"], &["{\"a\":\"\u{FFFD}\"}"]);
    }

    #[test]
    fn what_is_no_json_is_passed_on_as_a_line() {
        check(
            &[b"hello\n{\"a\":1}\nend {\n"],
            &[r#"{"log":"hello"}"#, r#"{"a":1}"#, r#"{"log":"end {"}"#],
        );
        check(&[b"{\"a\":"], &[r#"{"log":"{\"a\":"}"#]);
        check(&[b""], &[]);
    }

    #[test]
    fn a_value_without_end_does_not_fill_the_memory() {
        let long = format!("{{\"a\":\"{}\n", "x".repeat(9_000));
        let line = long.trim_end().replace('"', "\\\"");
        let both = format!("{{\"log\":\"{line}\"}}");
        check(&[long.as_bytes(), long.as_bytes()], &[both.as_str(), both.as_str()]);
        let line = "x".repeat(20_000);
        let line_json = format!("{{\"log\":\"{line}\"}}");
        check(&[format!("{{\n{line}\n").as_bytes()], &[r#"{"log":"{"}"#, &line_json]);
    }
}
