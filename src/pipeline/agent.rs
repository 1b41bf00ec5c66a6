//! The running agent: the pipeline's thread, the tasks for all that waits, signals, the end.

use super::build::{Plan, StartError};
use super::{Control, Pipeline, Reread, reload};
use crate::admin::{HealthOptions, Server};
use crate::buffer::{Parcel, Shelf};
use crate::config::ServiceOptions;
use crate::filter::kubernetes::api::{Apis, Task};
use crate::metrics::Registry;
use crate::output::Courier;
use crate::{mailbox, supervisor};
use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

/// How long what an agent held may take to be let go after its end, before the next one starts: a write that is just
/// being done, to a disk or to who reads standard output.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether it is.
const RELEASE_PAUSE: Duration = Duration::from_millis(2);

/// The shortest pause between two signs of life, whatever the supervisor asks for.
const BEAT_PAUSE_MIN: Duration = Duration::from_millis(1);

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
    /// The threads of outputs that write to this machine.
    pub(super) writers: Vec<thread::JoinHandle<()>>,
    /// The storage, while anybody holds it.
    pub(super) shelf: Weak<Shelf>,
    pub(super) options: ServiceOptions,
    /// Whether an input reads from a pipe.
    pub(super) reads_pipe: bool,
}

/// Why a running agent ended otherwise than by its inputs or a first signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It does not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The system refused a thread, a descriptor or a signal handler.
    #[error("cannot run: {0}")]
    System(#[from] io::Error),
    /// A second signal came while what was read was being delivered.
    #[error(
        "stopped by a second signal; what was not delivered is read again after the next start"
    )]
    Impatient,
    /// Another configuration cannot take over.
    #[error(
        "cannot reload: a write to standard output, a file or `storage.path` does not come to its end; start it anew"
    )]
    Held,
    /// All was read, and not all was delivered: what of it, by output.
    #[error("not everything was delivered: {0}")]
    GivenUp(String),
    /// A signal ended it before so many chunks were delivered that no start will read again.
    #[error("stopped before {0} chunks were delivered: what came from a pipe cannot be read again")]
    CutShort(usize),
}

/// What the process is asked for from outside.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Catches the signals that end the process, too.
    pub(super) fn new(hangup: Signal) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, hangup })
    }

    /// Waits for one that ends the process.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for any.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Stop,
    Reload,
}

impl Agent {
    /// What is counted.
    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// Runs to the end, or until another configuration is to take over, which then can. The supervisor is told
    /// `status`.
    pub(super) async fn serve(
        self,
        signals: &mut Signals,
        reread: &Reread<'_>,
        status: &'static str,
    ) -> Result<Option<Plan>, RunError> {
        let (control, options, registry) = (self.control, self.options, self.registry);
        let mut tasks = JoinSet::new();
        if let Some(admin) = self.admin {
            let served = admin.server.serve(Arc::clone(&registry), admin.health, pending());
            tasks.spawn(async {
                if let Err(error) = served.await {
                    warn!(%error, "the HTTP server ended");
                }
            });
        }
        let (stop, stopping) = watch::channel(false);
        for (courier, chunks) in self.couriers {
            tasks.spawn(courier.run(chunks, stopping.clone()));
        }
        for api in self.apis.into_tasks() {
            tasks.spawn(until_stop(api, stopping.clone()));
        }
        let (done, mut is_done) = oneshot::channel();
        let pipeline = self.pipeline;
        let thread = thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            let left = pipeline.run();
            // The other end only goes away with the process.
            let _told = done.send(());
            left
        })?;
        if supervisor::listens() {
            tasks.spawn(vouch(control.clone(), status));
        }
        let (is_over, next) = match until_asked(&mut is_done, signals, reread, &options).await {
            Reason::Over => (true, None),
            reason => {
                let grace = options.grace.0;
                info!(?grace, "stopping: what was read is delivered first");
                control.send(Control::Stop(grace));
                stop.send_replace(true);
                (false, until_done(&mut is_done, signals, reason.next()).await?)
            }
        };
        // A broken invariant is no clean end.
        let left = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        tell_outcome(&registry);
        if next.is_some() {
            tasks.shutdown().await;
            until_released(&self.writers, &self.shelf).await?;
        } else {
            tasks.detach_all();
        }
        let lack = if is_over { given_up(&registry) } else { None };
        let lack = lack.or_else(|| {
            (!is_over && self.reads_pipe && left > 0).then_some(RunError::CutShort(left))
        });
        match lack {
            Some(error) if next.is_none() => Err(error),
            Some(error) => {
                error!(%error, "the new configuration goes on without it");
                Ok(next)
            }
            None => Ok(next),
        }
    }
}

/// Why nothing more is read.
#[derive(Debug)]
enum Reason {
    /// Everything is at its end.
    Over,
    /// The process is to end.
    Stop,
    /// This is to follow.
    Reload(Box<Plan>),
}

impl Reason {
    /// What follows; the supervisor is told if nothing does.
    fn next(self) -> Option<Plan> {
        if let Self::Reload(plan) = self {
            return Some(*plan);
        }
        supervisor::stopping();
        None
    }
}

/// Waits until there is a reason to stop reading.
async fn until_asked(
    is_done: &mut oneshot::Receiver<()>,
    signals: &mut Signals,
    reread: &Reread<'_>,
    options: &ServiceOptions,
) -> Reason {
    loop {
        let asked = tokio::select! {
            _ = &mut *is_done => return Reason::Over,
            asked = signals.next() => asked,
        };
        match asked {
            Asked::Stop => return Reason::Stop,
            Asked::Reload => {
                let (level, file) = (options.log_level, options.log_file.as_deref());
                if let Some(next) = reload::next(reread, options.hot_reload, level, file) {
                    return Reason::Reload(Box::new(next));
                }
            }
        }
    }
}

/// Waits until what was read is delivered. What is to follow is given up if the process is asked to end meanwhile;
/// where nothing was to follow, that is asked for the second time.
async fn until_done(
    is_done: &mut oneshot::Receiver<()>,
    signals: &mut Signals,
    mut next: Option<Plan>,
) -> Result<Option<Plan>, RunError> {
    loop {
        tokio::select! {
            _ = &mut *is_done => return Ok(next),
            () = signals.stop() => {
                if next.take().is_none() {
                    return Err(RunError::Impatient);
                }
                supervisor::stopping();
            }
        }
    }
}

/// Waits until nothing is left of an agent that the next one could meet.
async fn until_released(
    writers: &[thread::JoinHandle<()>],
    shelf: &Weak<Shelf>,
) -> Result<(), RunError> {
    let deadline = Instant::now() + RELEASE_WAIT_MAX;
    while shelf.strong_count() > 0 || !writers.iter().all(thread::JoinHandle::is_finished) {
        if Instant::now() >= deadline {
            return Err(RunError::Held);
        }
        sleep(RELEASE_PAUSE).await;
    }
    Ok(())
}

/// Tells the supervisor that the pipeline runs, then again and again that it still does. Each time the pipeline is
/// asked, which answers between two steps: while it hangs in one, nothing is told.
async fn vouch(control: mailbox::Sender<Control>, status: &'static str) {
    if is_alive(&control).await {
        supervisor::ready(status);
    }
    let Some(patience) = supervisor::patience() else { return };
    let mut due = interval((patience / 2).max(BEAT_PAUSE_MIN));
    // What was missed while the pipeline hung is not made up for.
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        if !is_alive(&control).await {
            return;
        }
        supervisor::alive();
    }
}

/// Waits for the pipeline to come round; false if it is at its end.
async fn is_alive(control: &mailbox::Sender<Control>) -> bool {
    let (beat, heard) = oneshot::channel();
    control.send(Control::Beat(beat));
    heard.await.is_ok()
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
fn given_up(registry: &Registry) -> Option<RunError> {
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
    (!all.is_empty()).then(|| RunError::GivenUp(all.join("; ")))
}
