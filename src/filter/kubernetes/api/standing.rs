//! How the API stands: whether it answers, and what was said of that.

use super::error::CallError;
use crate::filter::kubernetes::directory::Directory;
use crate::metrics::FilterMetrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// An API that fails for this long is away: what waits for it goes on. An API server that is started anew with its
/// fellow beside it is back before.
const AWAY_AFTER: Duration = Duration::from_secs(3);

/// The same matter is not said again before.
const SAID_PAUSE: Duration = Duration::from_mins(10);

/// What became of the questions so far.
#[derive(Debug)]
pub(super) struct Standing {
    directory: Directory,
    metrics: Arc<FilterMetrics>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when nothing worked.
    failing: Option<Instant>,
    is_away: bool,
    /// What was said, and when.
    said: HashMap<&'static str, Instant>,
}

impl Standing {
    pub(super) fn new(directory: Directory, metrics: Arc<FilterMetrics>) -> Self {
        Self { directory, metrics, state: Mutex::default() }
    }

    /// The API answered.
    pub(super) fn note_answer(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing = None;
        if std::mem::take(&mut state.is_away) {
            tracing::info!("the Kubernetes API answers again");
            self.directory.set_away(false);
        }
    }

    /// A question that was asked at `asked` failed: counted, and said if it is new.
    pub(super) fn note_failure(&self, error: &CallError, asked: Instant) {
        if error.is_answer() {
            self.note_answer();
            if error.reason() == "not_found" {
                return;
            }
        }
        self.metrics.api_errors.add(error.reason(), 1);
        if error.is_answer() {
            return;
        }
        if self.is_new(error.reason()) {
            tracing::warn!(
                "the Kubernetes API does not say what it is asked: {error}; it is asked again, and until it answers \
                 new files go on without their pods' metadata"
            );
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *state.failing.get_or_insert(asked);
        if !state.is_away && since.elapsed() >= AWAY_AFTER {
            state.is_away = true;
            self.directory.set_away(true);
        }
    }

    /// Whether this is to be said: once, and again if it is still so much later.
    pub(super) fn is_new(&self, what: &'static str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_new = state.said.get(what).is_none_or(|said| now - *said >= SAID_PAUSE);
        if is_new {
            state.said.insert(what, now);
        }
        is_new
    }
}
