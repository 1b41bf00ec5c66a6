//! The running agent: the pipeline's thread, the runtime for all that waits, signals, the end.

use super::{Control, Pipeline};
use crate::admin::{HealthOptions, Server};
use crate::buffer::Parcel;
use crate::filter::kubernetes::api::{Apis, Task};
use crate::mailbox;
use crate::metrics::Registry;
use crate::output::Courier;
use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tracing::info;

/// Threads for calls that block: name look-ups, one at a time per output.
const BLOCKING_THREADS_MAX: usize = 4;

/// The admin server, bound, with what it needs to answer.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) server: Server,
    pub(super) health: HealthOptions,
}

/// Everything that a configuration became, ready to run.
#[derive(Debug)]
pub struct Agent {
    pub(super) pipeline: Pipeline,
    pub(super) control: mailbox::Sender<Control>,
    pub(super) couriers: Vec<(Courier, UnboundedReceiver<Parcel>)>,
    pub(super) apis: Apis,
    pub(super) admin: Option<Admin>,
    pub(super) registry: Arc<Registry>,
    /// How long a stop may take: `Grace`.
    pub(super) grace: Duration,
    /// Whether an input reads from a pipe.
    pub(super) reads_pipe: bool,
}

/// Why a running agent ended otherwise than by its inputs or a first signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused a thread, a descriptor or a signal handler.
    #[error("cannot run: {0}")]
    System(#[from] io::Error),
    /// A second signal came while what was read was being delivered.
    #[error(
        "stopped by a second signal; what was not delivered is read again after the next start"
    )]
    Impatient,
    /// All was read, and not all was delivered: what of it, by output.
    #[error("not everything was delivered: {0}")]
    GivenUp(String),
    /// A signal ended it before so many chunks were delivered that no start will read again.
    #[error("stopped before {0} chunks were delivered: what came from a pipe cannot be read again")]
    CutShort(usize),
}

impl Agent {
    /// Runs until all inputs are at their end and everything is delivered, or until SIGTERM or SIGINT
    /// and what `Grace` allows after it.
    pub fn run(self) -> Result<(), RunError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()?;
        let result = runtime.block_on(self.serve());
        // What is left are tries whose chunks nobody waits for any more.
        runtime.shutdown_background();
        result
    }

    /// What is counted.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    async fn serve(self) -> Result<(), RunError> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        if let Some(admin) = self.admin {
            tokio::spawn(admin.server.serve(Arc::clone(&self.registry), admin.health, pending()));
        }
        let (stop, stopping) = watch::channel(false);
        for (courier, chunks) in self.couriers {
            tokio::spawn(courier.run(chunks, stopping.clone()));
        }
        for api in self.apis.into_tasks() {
            tokio::spawn(until_stop(api, stopping.clone()));
        }
        let (done, mut is_done) = oneshot::channel();
        let pipeline = self.pipeline;
        let thread = thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            let left = pipeline.run();
            // The other end only goes away with the process.
            let _told = done.send(());
            left
        })?;
        let is_by_itself = one_of(&mut terminate, &mut interrupt, &mut is_done).await;
        if !is_by_itself {
            info!(grace = ?self.grace, "stopping: what was read is delivered first");
            self.control.send(Control::Stop(self.grace));
            stop.send_replace(true);
            if !one_of(&mut terminate, &mut interrupt, &mut is_done).await {
                return Err(RunError::Impatient);
            }
        }
        // A broken invariant is no clean end.
        let left = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        tell_outcome(&self.registry);
        if is_by_itself {
            return given_up(&self.registry).map_or(Ok(()), |what| Err(RunError::GivenUp(what)));
        }
        if self.reads_pipe && left > 0 {
            return Err(RunError::CutShort(left));
        }
        Ok(())
    }
}

/// Runs what only those need that read: nothing is read any more after a stop.
async fn until_stop(task: Task, mut stopping: watch::Receiver<bool>) {
    tokio::select! {
        () = task => {}
        // That nobody can tell of a stop any more is one.
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// Says what became of the records, output by output.
fn tell_outcome(registry: &Registry) {
    for (output, metrics) in registry.outputs() {
        let refused = metrics.refused_records.value();
        info!(
            output,
            delivered = metrics.proc_records.value(),
            repeated = metrics.duplicates.value(),
            conflicts = metrics.conflicts.value(),
            refused,
            dropped = metrics.dropped_records.value().saturating_sub(refused),
            "records of this run"
        );
    }
}

/// What will not be delivered any more, though nobody asked for an end.
fn given_up(registry: &Registry) -> Option<String> {
    let unread = registry.inputs().filter(|(_, metrics)| metrics.read_errors.value() > 0);
    let unread = unread.map(|(input, _)| format!("`{input}` could not be read to its end"));
    let dropped = registry.outputs().filter_map(|(output, metrics)| {
        let dropped = metrics.dropped_records.value();
        let kept = match metrics.dead_letters.value() {
            0 => String::new(),
            kept => format!(", of which {kept} are kept as dead letters"),
        };
        (dropped > 0).then(|| format!("`{output}` gave up {dropped} records{kept}"))
    });
    let all: Vec<_> = unread.chain(dropped).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Waits for the pipeline to end, which is true, or for a signal, which is not.
async fn one_of(
    terminate: &mut Signal,
    interrupt: &mut Signal,
    done: &mut oneshot::Receiver<()>,
) -> bool {
    tokio::select! {
        _ = done => true,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    }
}
