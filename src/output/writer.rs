//! Outputs that write to this machine: one thread each, so that a full pipe stalls nothing else.

use crate::buffer::{Chunk, Parcel, Settler};
use crate::metrics::OutputMetrics;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Pause after a write that failed: a full disk has room again, or has not.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Pause where the reader of a pipe that never blocks is behind.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Turns a chunk into the bytes to write.
pub trait Format: Send {
    /// Appends the records of the chunk to `out`.
    fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>);
}

/// A destination on this machine. Its thread gives it one chunk after the other.
pub trait Local: Send {
    /// Encodes the records of a chunk, to be written next. What was taken before is written by then.
    fn take(&mut self, chunk: &Chunk) -> Taken;

    /// Writes what was taken. After an error it is called again, and goes on behind the last byte that was written.
    fn write(&mut self) -> io::Result<()>;
}

/// What became of the records of a chunk before they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes to write.
    pub bytes: u64,
    /// Records that have no place to be written to, as the configuration wants it.
    pub dropped: u64,
}

/// Writes all that a format makes to one sink.
pub struct Print<F, S> {
    format: F,
    sink: S,
    bytes: Vec<u8>,
    /// How many of the bytes the sink has taken.
    written: usize,
}

impl<F, S> std::fmt::Debug for Print<F, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Print").finish_non_exhaustive()
    }
}

impl<F: Format, S: Write + Send> Print<F, S> {
    /// Nothing is written yet.
    pub fn new(format: F, sink: S) -> Self {
        Self { format, sink, bytes: Vec::new(), written: 0 }
    }
}

impl<F: Format, S: Write + Send> Local for Print<F, S> {
    fn take(&mut self, chunk: &Chunk) -> Taken {
        self.bytes.clear();
        self.written = 0;
        self.format.format(chunk, &mut self.bytes);
        Taken { bytes: self.bytes.len() as u64, dropped: 0 }
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => self.written += count,
            }
        }
        // A sink that buffers keeps what a flush could not write, and the next flush goes on there.
        self.sink.flush()
    }
}

/// What follows when the reader of the pipe is gone, so that nothing will ever be written again.
pub enum Closed {
    /// There is no other output: this ends the agent. Nothing more is settled, so that positions stay.
    End(Box<dyn FnOnce() + Send>),
    /// The other outputs go on; what comes here is dropped and counted.
    Drop,
}

impl std::fmt::Debug for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::End(_) => "End",
            Self::Drop => "Drop",
        })
    }
}

/// Starts the thread that writes every chunk it is sent. It ends when the sender is dropped and all is written.
pub fn spawn(
    name: String,
    local: Box<dyn Local>,
    closed: Closed,
    metrics: Arc<OutputMetrics>,
    settler: Settler,
) -> io::Result<(mpsc::Sender<Parcel>, thread::JoinHandle<()>)> {
    let (sender, chunks) = mpsc::channel();
    let writer = Writer { name: name.clone(), local, metrics, settler };
    let thread = thread::Builder::new().name(name).spawn(move || writer.run(&chunks, closed))?;
    Ok((sender, thread))
}

/// What the thread works with.
struct Writer {
    /// Name of the output instance, for the log.
    name: String,
    local: Box<dyn Local>,
    metrics: Arc<OutputMetrics>,
    settler: Settler,
}

/// The reader of the pipe is gone.
#[derive(Debug)]
struct ReaderGone;

impl Writer {
    fn run(mut self, chunks: &mpsc::Receiver<Parcel>, closed: Closed) {
        while let Ok(parcel) = chunks.recv() {
            let chunk = self.load(&parcel);
            let damaged = u64::from(parcel.count.saturating_sub(chunk.count));
            let Taken { bytes, dropped } = self.local.take(&chunk);
            if let Err(ReaderGone) = self.write() {
                self.metrics.errors.add(1);
                return self.close(parcel, chunks, closed);
            }
            self.metrics.proc_records.add(u64::from(chunk.count).saturating_sub(dropped));
            self.metrics.proc_bytes.add(bytes);
            self.metrics.damaged_records.add(damaged);
            if dropped + damaged > 0 {
                self.metrics.errors.add(1);
                self.metrics.dropped_records.add(dropped + damaged);
            }
            self.settler.settle(parcel.number);
        }
    }

    /// The chunk, from the disk if it must be, however often that fails.
    fn load(&self, parcel: &Parcel) -> Arc<Chunk> {
        let mut is_failing = false;
        loop {
            match parcel.chunk() {
                Ok(chunk) => return chunk,
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        self.metrics.errors.add(1);
                        tracing::error!(output = self.name, %error, "its records wait, trying again");
                    }
                    thread::park_timeout(RETRY_PAUSE);
                }
            }
        }
    }

    /// Writes all of it, however long the destination refuses.
    fn write(&mut self) -> Result<(), ReaderGone> {
        let mut is_failing = false;
        while let Err(error) = self.local.write() {
            self.wait_out(&error, &mut is_failing)?;
        }
        if is_failing {
            tracing::info!(output = self.name, "written again");
        }
        Ok(())
    }

    /// Waits as long as an error asks for; one that lasts is said once.
    fn wait_out(&self, error: &io::Error, is_failing: &mut bool) -> Result<(), ReaderGone> {
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::BrokenPipe => return Err(ReaderGone),
            ErrorKind::WouldBlock => thread::park_timeout(BUSY_PAUSE),
            _ => {
                if !std::mem::replace(is_failing, true) {
                    self.metrics.errors.add(1);
                    tracing::error!(output = self.name, %error, "cannot write; records are kept, trying again");
                }
                thread::park_timeout(RETRY_PAUSE);
            }
        }
        Ok(())
    }

    /// Nothing will be written any more: `parcel` was not, and neither will be what follows.
    fn close(&self, parcel: Parcel, chunks: &mpsc::Receiver<Parcel>, closed: Closed) {
        match closed {
            Closed::End(end) => {
                tracing::warn!(output = self.name, "nobody reads the output any more: ending");
                end();
            }
            Closed::Drop => {
                tracing::error!(
                    output = self.name,
                    "nobody reads the output any more: its records are dropped, other outputs go on"
                );
                for parcel in std::iter::once(parcel).chain(chunks) {
                    self.metrics.dropped_records.add(parcel.count.into());
                    self.settler.settle(parcel.number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::mailbox;
    use std::sync::Mutex;

    struct Whole;

    impl Format for Whole {
        fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
            chunk.records().for_each(|(_, record)| out.extend_from_slice(record.json));
        }
    }

    /// Takes three bytes at a time, and before each has the next of its errors.
    struct Fussy {
        errors: Vec<ErrorKind>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Fussy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(error) = self.errors.pop() {
                return Err(error.into());
            }
            let (now, _later) = bytes.split_at(bytes.len().min(3));
            self.taken.lock().unwrap().extend_from_slice(now);
            Ok(now.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes two chunks: what is taken, how many are settled and dropped, and whether it was the end.
    fn check(errors: &[ErrorKind], is_only: bool, expected: (&str, usize, u64, bool)) {
        let (sender, settled) = mailbox::channel().unwrap();
        let metrics = Arc::new(OutputMetrics::default());
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Fussy { errors: errors.to_vec(), taken: Arc::clone(&taken) };
        let is_end = Arc::new(Mutex::new(false));
        let end = Arc::clone(&is_end);
        let closed = if is_only {
            Closed::End(Box::new(move || *end.lock().unwrap() = true))
        } else {
            Closed::Drop
        };
        let writer = Writer {
            name: "stdout.0".to_owned(),
            local: Box::new(Print::new(Whole, sink)),
            metrics: Arc::clone(&metrics),
            settler: Settler::new(0, sender),
        };
        let (chunks, received) = mpsc::channel();
        for text in [r#"{"a":1}"#, r#"{"b":2}"#] {
            chunks.send(samples::parcel(0, &[("t", samples::TIME, text)])).unwrap();
        }
        drop(chunks);
        writer.run(&received, closed);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let is_end = *is_end.lock().unwrap();
        let found = (settled.drain().count(), metrics.dropped_records.value(), is_end);
        assert_eq!((taken.as_str(), found.0, found.1, found.2), expected);
    }

    #[test]
    fn every_byte_is_written_once_whatever_fails_in_between() {
        let whole = r#"{"a":1}{"b":2}"#;
        check(&[], true, (whole, 2, 0, false));
        let errors = [ErrorKind::WouldBlock, ErrorKind::StorageFull, ErrorKind::Interrupted];
        check(&errors, true, (whole, 2, 0, false));
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_agent_or_this_output() {
        check(&[ErrorKind::BrokenPipe], true, ("", 0, 0, true));
        check(&[ErrorKind::BrokenPipe], false, ("", 2, 2, false));
    }
}
