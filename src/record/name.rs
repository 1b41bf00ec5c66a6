//! Names of fields that a configuration says, kept for as long as the process lives.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The name, to be had without copying it into every record.
///
/// Each name is kept once and for ever, so this is for those of a configuration, of which there are few, and never for
/// those of records.
pub fn keep_name(name: &str) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    // A panic ends the process, so there is nothing half done to be seen.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = kept.get(name) {
        return kept;
    }
    let name: &'static str = Box::leak(name.into());
    kept.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let (one, again) = (keep_name("of a test"), keep_name(&["of", "a", "test"].join(" ")));
        assert_eq!((one, one.as_ptr()), ("of a test", again.as_ptr()));
        assert_eq!(keep_name(""), "");
    }
}
