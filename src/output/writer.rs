//! Outputs that write to this machine: one thread each, so that a full pipe stalls nothing else.

use crate::buffer::{Chunk, Settler};
use crate::metrics::OutputMetrics;
use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use tracing::warn;

/// Turns a chunk into the bytes to write.
pub trait Format: Send {
    /// Appends the records of the chunk to `out`.
    fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>);
}

/// Starts the thread that writes every chunk it is sent. It ends when the sender is dropped.
pub fn spawn(
    name: String,
    mut format: Box<dyn Format>,
    mut sink: Box<dyn Write + Send>,
    metrics: Arc<OutputMetrics>,
    settler: Settler,
) -> io::Result<mpsc::Sender<Arc<Chunk>>> {
    let (sender, chunks) = mpsc::channel::<Arc<Chunk>>();
    thread::Builder::new().name(name.clone()).spawn(move || {
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.clear();
            format.format(&chunk, &mut bytes);
            match sink.write_all(&bytes).and_then(|()| sink.flush()) {
                Ok(()) => {
                    metrics.proc_records.add(chunk.count.into());
                    metrics.proc_bytes.add(bytes.len() as u64);
                }
                Err(error) => {
                    metrics.errors.add(1);
                    metrics.dropped_records.add(chunk.count.into());
                    warn!(output = name, %error, records = chunk.count, "cannot write; records dropped");
                }
            }
            settler.settle(chunk);
        }
    })?;
    Ok(sender)
}
