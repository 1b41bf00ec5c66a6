//! One configuration after the other in the same process: SIGHUP has the next one read, checked and put in place.
//!
//! The next one is read whole while the one before still runs, so that one with errors changes nothing. A right one
//! follows it as after a stop and a start: what was read is delivered, for as long as `Grace` allows, positions are
//! written, and only when nothing of the old agent is left does the new one open what it needs. So two never meet at
//! a database, a folder of the storage or a port, and what was not delivered is read again or lies on the disk.

use super::agent::{Agent, RunError, Signals};
use super::build::{Plan, StartError};
use crate::config::{Diagnostics, LogLevel, Model};
use crate::metrics::Registry;
use crate::supervisor;
use std::sync::Arc;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Threads for calls that block: name look-ups, one at a time per output.
const BLOCKING_THREADS_MAX: usize = 4;

/// Reads the configuration again: what is to run, if it has no errors, and what there is to say of it.
pub type Reread<'a> = dyn Fn() -> (Option<Plan>, String) + 'a;

/// Who looks at what an agent counts, for as long as that runs.
pub type Watch<'a, W> = dyn Fn(Arc<Registry>) -> W + 'a;

/// Runs until all inputs are at their end and everything is delivered, or until SIGTERM or SIGINT and what `Grace`
/// allows after it. With `Hot_Reload`, SIGHUP puts in place what `reread` finds.
pub fn run<W>(plan: Plan, reread: &Reread<'_>, watch: &Watch<'_, W>) -> Result<(), RunError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    let result = runtime.block_on(run_each(plan, reread, watch));
    // What is left are tries whose chunks nobody waits for any more.
    runtime.shutdown_background();
    result
}

async fn run_each<W>(
    mut plan: Plan,
    reread: &Reread<'_>,
    watch: &Watch<'_, W>,
) -> Result<(), RunError> {
    // First of all, since its default is to end the process. SIGTERM may do that until there is something to stop.
    let hangup = signal(SignalKind::hangup())?;
    let mut model = plan.model.take();
    let mut agent = plan.start()?;
    let mut signals = Signals::new(hangup)?;
    let mut status = supervisor::RUNNING;
    let mut reloads = 0;
    loop {
        let watcher = watch(agent.registry());
        let next = agent.serve(&mut signals, reread, status).await?;
        drop(watcher);
        let Some(mut next) = next else { return Ok(()) };
        let next_model = next.model.take();
        next.count_reloads(reloads + 1);
        match next.start() {
            Ok(started) => {
                reloads += 1;
                info!(reloads, "the new configuration is in place");
                (agent, model, status) = (started, next_model, supervisor::RUNNING);
            }
            Err(error) => {
                error!(%error, "the new configuration does not start: the one before goes on");
                agent = start_again(model.as_deref(), error, reloads)?;
                status = supervisor::NOT_RELOADED;
            }
        }
    }
}

/// Starts what ran before, if what was to replace it did not start.
fn start_again(
    model: Option<&Model>,
    error: StartError,
    reloads: u64,
) -> Result<Agent, StartError> {
    // It was checked, so there is nothing new to say of it.
    let plan = model.and_then(|model| Plan::new(model.clone(), &mut Diagnostics::new()));
    let Some(plan) = plan else { return Err(error) };
    plan.count_reloads(reloads);
    plan.start()
}

/// What is to run after SIGHUP; `None` if nothing but what runs already.
pub(super) fn next(
    reread: &Reread<'_>,
    is_enabled: bool,
    level: LogLevel,
    file: Option<&str>,
) -> Option<Plan> {
    if !is_enabled {
        warn!("SIGHUP reloads nothing: `Hot_Reload` is off; `Hot_Reload on` or `-Y` lets it");
        return None;
    }
    supervisor::reloading();
    let (plan, report) = reread();
    let report = report.trim_end();
    let Some(plan) = plan else {
        error!("the configuration has errors, so that the one before goes on:\n{report}");
        supervisor::ready(supervisor::NOT_RELOADED);
        return None;
    };
    if report.is_empty() {
        info!("the configuration was read again");
    } else {
        warn!("the configuration was read again:\n{report}");
    }
    if plan.log_level() != level || plan.log_file() != file {
        warn!("`Log_Level` and `Log_File` stay as they were at the start of the process");
    }
    Some(plan)
}
