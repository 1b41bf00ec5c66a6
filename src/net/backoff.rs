//! How long to wait before trying again: Fluent Bit's `scheduler.base` and `scheduler.cap`.

use std::time::Duration;

/// The wait grows from `base` to `cap`, drawn at random so that agents do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// `scheduler.base`: the shortest wait.
    pub base: Duration,
    /// `scheduler.cap`: what the longest wait is drawn below.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before try `tries + 1`, after `tries` failures: between `base` and `min(cap, base × 2^tries)`,
    /// plus one second, as in Fluent Bit (`flb_scheduler.c`, backoff with full jitter).
    pub fn delay(&self, tries: u32) -> Duration {
        let doubled = self.base.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX));
        let top = doubled.min(self.cap).max(self.base);
        self.base + top.saturating_sub(self.base).mul_f64(fastrand::f64()) + Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_no_further() {
        let backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(30) };
        for (tries, most) in [(0, 6), (1, 11), (2, 21), (3, 31), (4, 31), (31, 31), (u32::MAX, 31)]
        {
            for _ in 0..100 {
                let delay = backoff.delay(tries);
                let range = Duration::from_secs(6)..=Duration::from_secs(most);
                assert!(range.contains(&delay), "{tries}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_cap_below_the_base_means_the_base() {
        let backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(1) };
        assert_eq!(backoff.delay(9), Duration::from_secs(6));
    }
}
