//! How often the API is asked, whatever happens.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Requests in any second, all kinds together. A cluster has thousands of agents: after an outage of its API server all
/// of them want something.
pub(super) const REQUESTS_MAX: usize = 5;

/// What that is counted over.
const SPAN: Duration = Duration::from_secs(1);

/// Lets requests go, no more than [`REQUESTS_MAX`] in any second.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<Instant>>);

impl Pace {
    /// Waits until one more request may go.
    pub(super) async fn wait(&self) {
        let slot = self.take_slot(Instant::now());
        sleep_until(slot).await;
    }

    /// The moment from which a request may go that comes now.
    fn take_slot(&self, now: Instant) -> Instant {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = if slots.len() < REQUESTS_MAX { None } else { slots.pop_front() };
        let slot = last.map_or(now, |last| (last + SPAN).max(now));
        slots.push_back(slot);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_it_may() {
        let pace = Pace::default();
        let begin = Instant::now();
        // Some at once, some later, in bursts.
        let comes = (0_u64..200).map(|number| begin + Duration::from_millis(number / 7 * 450));
        let slots: Vec<_> = comes
            .map(|now| {
                let slot = pace.take_slot(now);
                assert!(slot >= now);
                slot
            })
            .collect();
        assert!(slots.is_sorted());
        assert_eq!(slots.get(REQUESTS_MAX - 1), Some(&begin), "a few need not wait");
        for window in slots.windows(REQUESTS_MAX + 1) {
            assert!(window[REQUESTS_MAX] - window[0] >= SPAN);
        }
    }
}
