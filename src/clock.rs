//! What time it is: the one place that reads the clocks of the machine.
//!
//! A test may have time of its own, for its own thread.

use crate::record::Nanos;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch; 0 if the clock stands before it, the last moment that fits if behind that.
pub fn now() -> Nanos {
    let passed = system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(passed.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The same, for those who compare it with times of others.
pub fn system_time() -> SystemTime {
    match simulated() {
        Some((_, since_epoch)) => UNIX_EPOCH + since_epoch,
        None => SystemTime::now(),
    }
}

/// A moment of the clock that nobody sets: what waits are measured by.
pub fn instant() -> Instant {
    simulated().map_or_else(Instant::now, |(instant, _)| instant)
}

/// Whether this thread's time is a test's. Then nothing may happen on another thread, where it is not.
#[cfg(not(test))]
pub const fn is_simulated() -> bool {
    false
}

#[cfg(not(test))]
const fn simulated() -> Option<(Instant, Duration)> {
    None
}

#[cfg(test)]
pub use simulation::{is_simulated, simulate};

#[cfg(test)]
use simulation::simulated;

#[cfg(test)]
mod simulation {
    use super::{Duration, Instant};
    use std::cell::Cell;

    thread_local! {
        /// When the simulation began, and when that was since the epoch.
        static BEGIN: Cell<Option<(tokio::time::Instant, Duration)>> = const { Cell::new(None) };
    }

    /// From now on this thread's clocks are that of its tokio runtime, which a test moves. It is `since_epoch` now;
    /// `None` ends that.
    pub fn simulate(since_epoch: Option<Duration>) {
        BEGIN.set(since_epoch.map(|since_epoch| (tokio::time::Instant::now(), since_epoch)));
    }

    /// Whether this thread's time is a test's.
    pub fn is_simulated() -> bool {
        BEGIN.get().is_some()
    }

    pub(super) fn simulated() -> Option<(Instant, Duration)> {
        let (begin, since_epoch) = BEGIN.get()?;
        let now = tokio::time::Instant::now();
        Some((now.into_std(), since_epoch + (now - begin)))
    }
}
