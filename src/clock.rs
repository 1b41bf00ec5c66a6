//! The wall clock: the one place that reads it.

use crate::record::Nanos;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch; 0 if the clock stands before it, the last moment that fits if behind that.
pub fn now() -> Nanos {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(passed.as_nanos()).unwrap_or(Nanos::MAX)
}
