//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

/// How often a condition is looked at; short against every deadline in the tests.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `met` is true; `false` if that took longer than `limit`.
#[must_use]
pub fn until(limit: Duration, mut met: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if met() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pause(LOOK);
    }
}

/// Lets time pass where a test is about time itself: a writer's pace, a kill at some moment.
#[expect(clippy::disallowed_methods, reason = "no shutdown to be late for in a test")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
