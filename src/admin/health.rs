//! Whether the agent is well: the failures of the outputs over the last seconds.

use std::collections::VecDeque;

use crate::config::ServiceOptions;

/// Samples kept: a day of seconds, at 16 bytes each. A longer `HC_Period` counts as a day.
const SAMPLE_COUNT_MAX: usize = 24 * 60 * 60;

/// `Health_Check`, `HC_Errors_Count`, `HC_Retry_Failure_Count` and `HC_Period`, with Fluent Bit's defaults
/// (<https://docs.fluentbit.io/manual/administration/monitoring#health-check-for-fluent-bit>).
#[derive(Clone, Copy, Debug)]
pub struct HealthOptions {
    /// Look at the failures at all, and have `/api/v1/health`.
    pub check: bool,
    /// More errors than this in a period are too many.
    pub errors: u64,
    /// More chunks than this given up after retries in a period are too many.
    pub retries_failed: u64,
    /// Length of the period in seconds.
    pub period: u64,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { check: false, errors: 5, retries_failed: 5, period: 60 }
    }
}

impl From<&ServiceOptions> for HealthOptions {
    fn from(service: &ServiceOptions) -> Self {
        Self {
            check: service.health_check,
            errors: service.hc_errors_count,
            retries_failed: service.hc_retry_failure_count,
            period: service.hc_period.as_secs(),
        }
    }
}

/// The sums of `errors` and `retries_failed`, second by second, over one period.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) options: HealthOptions,
    /// Oldest first; at most `period` of them.
    samples: VecDeque<(u64, u64)>,
}

impl Health {
    pub(super) fn new(options: HealthOptions) -> Self {
        Self { options, samples: VecDeque::new() }
    }

    /// Takes the sums of this second.
    pub(super) fn sample(&mut self, sums: (u64, u64)) {
        let period = usize::try_from(self.options.period).unwrap_or(SAMPLE_COUNT_MAX);
        if self.samples.len() >= period.clamp(1, SAMPLE_COUNT_MAX) {
            self.samples.pop_front();
        }
        self.samples.push_back(sums);
    }

    /// The errors and given up chunks of the period that ends with the last sample.
    pub(super) fn failures(&self) -> (u64, u64) {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) => {
                (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1))
            }
            _ => (0, 0),
        }
    }

    /// Whether both are within their limits.
    pub(super) fn is_good(&self) -> bool {
        let (errors, retries_failed) = self.failures();
        errors <= self.options.errors && retries_failed <= self.options.retries_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict after each sample, as a line of `o` (good) and `x`.
    fn check(period: u64, sums: &[(u64, u64)], expected: &str) {
        let mut health = Health::new(HealthOptions { period, ..HealthOptions::default() });
        assert!(health.is_good());
        let verdict = |&sums| {
            health.sample(sums);
            if health.is_good() { 'o' } else { 'x' }
        };
        assert_eq!(sums.iter().map(verdict).collect::<String>(), expected, "{sums:?}");
    }

    #[test]
    fn failures_count_within_the_period() {
        check(60, &[(0, 0), (5, 5), (6, 5)], "oox");
        check(60, &[(0, 0), (0, 5), (0, 6)], "oox");
        // What was there before the first sample does not count.
        check(60, &[(100, 100), (105, 105), (106, 105)], "oox");
        // The burst leaves the window of three samples.
        check(3, &[(0, 0), (6, 0), (6, 0), (6, 0), (6, 0)], "oxxoo");
        // A period of one sample, or none, sees no difference.
        check(1, &[(0, 0), (9, 9), (99, 99)], "ooo");
        check(0, &[(0, 0), (9, 9), (99, 99)], "ooo");
    }

    #[test]
    fn the_window_is_bounded() {
        let options = HealthOptions { period: u64::MAX, ..HealthOptions::default() };
        let mut health = Health::new(options);
        (0..100_000).for_each(|_| health.sample((0, 0)));
        assert_eq!(health.samples.len(), SAMPLE_COUNT_MAX);
    }
}
