//! Reads from Loki's answer how long a push has to wait that is over the rate limit.
//!
//! ```text
//! ingestion rate limit exceeded for user a (limit: 524288 bytes/sec) while attempting to ingest '9' lines
//! totaling '1048576' bytes, reduce log volume or contact your Loki administrator …
//! ```

use crate::output::answer::Whole;
use crate::output::{Health, Judge, Verdict};
use std::time::Duration;

/// More of the text is not read; the numbers come behind the name of the tenant.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// Judges a push that is over a limit of what Loki takes a second.
#[derive(Debug)]
pub(super) struct RateLimited {
    whole: Whole,
    text: Vec<u8>,
}

impl RateLimited {
    /// Beside `whole`, which judges the records.
    pub(super) fn new(whole: Whole) -> Self {
        Self { whole, text: Vec::new() }
    }
}

impl Judge for RateLimited {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        let room = TEXT_BYTES_MAX - self.text.len();
        self.text.extend(bytes.iter().take(room));
        self.whole.feed(bytes, verdict);
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        self.whole.finish(verdict)
    }

    fn wait(&self) -> Option<Duration> {
        wait(&String::from_utf8_lossy(&self.text))
    }
}

/// How long it takes until there is room for all bytes of the push.
fn wait(text: &str) -> Option<Duration> {
    let number = |mark: &str, end: &str| -> Option<u32> {
        let (_, rest) = text.split_once(mark)?;
        rest.split_once(end)?.0.parse().ok()
    };
    let bytes_a_second = number("(limit: ", " bytes/sec)")?;
    let bytes = number(" totaling '", "' bytes")?;
    (bytes_a_second > 0).then(|| Duration::from_secs(bytes.into()) / bytes_a_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_the_numbers_say() {
        for (text, millis) in [
            (
                "ingestion rate limit exceeded for user fake (limit: 524288 bytes/sec) while attempting to \
                 ingest '9' lines totaling '1310720' bytes, reduce log volume",
                Some(2_500),
            ),
            ("(limit: 0 bytes/sec) while attempting to ingest '9' lines totaling '1' bytes", None),
            (
                "Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{}' \
                 totaling 4MB, consider",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(wait(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
