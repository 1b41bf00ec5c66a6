//! Outputs that write to this machine: one thread each, so that a full pipe stalls nothing else.

use crate::buffer::{Chunk, Settler};
use crate::metrics::OutputMetrics;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use tracing::{info, warn};

/// Pause between two tries to write where nothing can be written: to a full disk, or to a terminal that another
/// process has made non-blocking.
const WRITE_PAUSE: Duration = Duration::from_millis(100);

/// Turns a chunk into the bytes to write.
pub trait Format: Send {
    /// Appends the records of the chunk to `out`.
    fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>);
}

/// Starts the thread that writes every chunk it is sent. It ends when the sender is dropped.
pub fn spawn(
    name: String,
    mut format: Box<dyn Format>,
    sink: Box<dyn Write + Send>,
    metrics: Arc<OutputMetrics>,
    settler: Settler,
) -> io::Result<mpsc::Sender<Arc<Chunk>>> {
    let (sender, chunks) = mpsc::channel::<Arc<Chunk>>();
    let mut writer = Writer { name: name.clone(), sink, is_closed: false, metrics };
    thread::Builder::new().name(name).spawn(move || {
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.clear();
            format.format(&chunk, &mut bytes);
            writer.write(&chunk, &bytes);
            settler.settle(chunk);
        }
    })?;
    Ok(sender)
}

/// Writes chunks to where nobody answers.
struct Writer {
    name: String,
    sink: Box<dyn Write + Send>,
    /// Whether nobody will ever read what is written: told once.
    is_closed: bool,
    metrics: Arc<OutputMetrics>,
}

impl Writer {
    /// Writes the chunk, however long that takes; drops it if its reader has gone.
    fn write(&mut self, chunk: &Chunk, bytes: &[u8]) {
        match self.write_all(bytes) {
            Ok(()) => {
                self.metrics.proc_records.add(chunk.count.into());
                self.metrics.proc_bytes.add(bytes.len() as u64);
            }
            Err(error) => {
                self.metrics.errors.add(1);
                self.metrics.dropped_records.add(chunk.count.into());
                if !self.is_closed {
                    warn!(output = self.name, %error, "nobody reads any more: records are dropped");
                }
                self.is_closed = true;
            }
        }
    }

    /// Fails only for good. Goes on where it stopped, so that nothing is written twice.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut is_waiting = false;
        loop {
            let result = if bytes.is_empty() {
                self.sink.flush().map(|()| 0)
            } else {
                self.sink.write(bytes)
            };
            match result {
                Ok(0) if bytes.is_empty() => break,
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(error),
                Err(error) => {
                    if !is_waiting {
                        warn!(output = self.name, %error, "cannot write; tried again until it works");
                    }
                    is_waiting = true;
                    // Nobody unparks it.
                    thread::park_timeout(WRITE_PAUSE);
                }
            }
        }
        if is_waiting {
            info!(output = self.name, "can write again");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox;
    use crate::metrics::Registry;
    use crate::output::samples;
    use std::sync::Mutex;
    use std::time::SystemTime;

    struct Lines;

    impl Format for Lines {
        fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
            for (_, record) in chunk.records() {
                out.extend_from_slice(record.json);
            }
        }
    }

    /// Takes one byte at a time, after the errors that it was given.
    struct Sink {
        errors: Vec<ErrorKind>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.errors.pop() {
                return Err(kind.into());
            }
            self.written.lock().unwrap().push(bytes[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Two chunks to a sink that fails; what it got, and the records taken, dropped, and the errors.
    fn check(errors: &[ErrorKind], expected: &str, counts: [u64; 3]) {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink { errors: errors.to_vec(), written: Arc::clone(&written) };
        let metrics = Registry::new(SystemTime::UNIX_EPOCH).output("stdout.0", "stdout");
        let (sender, settled) = mailbox::channel().unwrap();
        let settler = Settler::new(0, sender);
        let chunks = spawn(
            "stdout.0".to_owned(),
            Box::new(Lines),
            Box::new(sink),
            Arc::clone(&metrics),
            settler,
        );
        let chunks = chunks.unwrap();
        for record in ["{\"a\":1}", "{\"b\":2}"] {
            chunks.send(Arc::new(samples::chunk(&[("t", 0, record)]))).unwrap();
        }
        drop(chunks);
        assert_eq!(settled.wait_all().len(), 2);
        assert_eq!(String::from_utf8_lossy(&written.lock().unwrap()), expected);
        let found = [&metrics.proc_records, &metrics.dropped_records, &metrics.errors];
        assert_eq!(found.map(crate::metrics::Counter::value), counts, "{errors:?}");
    }

    #[test]
    fn what_cannot_be_written_now_is_written_later() {
        check(&[], r#"{"a":1}{"b":2}"#, [2, 0, 0]);
        let later = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::StorageFull];
        check(&later, r#"{"a":1}{"b":2}"#, [2, 0, 0]);
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted() {
        check(&[ErrorKind::BrokenPipe], r#"{"b":2}"#, [1, 1, 1]);
        check(&[ErrorKind::BrokenPipe; 2], "", [0, 2, 2]);
    }
}
