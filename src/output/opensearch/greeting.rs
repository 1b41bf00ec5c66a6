//! What a store says of itself on `GET /`, and of mapping types when it refuses them.

use super::super::answer::Whole;
use super::super::{Health, Judge, Verdict};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is read of a refusal: its reason comes first.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// How OpenSearch 2 and Elasticsearch 8 name what they do not know.
const TYPE_UNKNOWN: &[u8] = b"unknown parameter [_type]";

/// A product and its version. Only a store that also says which Lucene it is built on counts as one:
/// what merely poses as Elasticsearch gets what the configuration says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Store {
    is_opensearch: bool,
    /// Like `3.9.0`.
    number: String,
    major: u32,
}

impl Store {
    /// Reads the body of the answer.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
            distribution: Option<String>,
            /// Every store that is one says so.
            #[serde(rename = "lucene_version")]
            _lucene: String,
        }
        let Answer { version } = serde_json::from_slice(body).ok()?;
        let major = version.number.split('.').next()?.parse().ok()?;
        let is_opensearch = version.distribution.as_deref() == Some("opensearch");
        Some(Self { is_opensearch, number: version.number, major })
    }

    /// Whether it refuses every request that names a mapping type.
    pub(super) fn knows_no_types(&self) -> bool {
        self.major >= if self.is_opensearch { 2 } else { 8 }
    }
}

/// Judges a 400 to a request that names mapping types, which may be all that is wrong with it: not every
/// user may ask a store what it is, so that some are only known by what they refuse.
#[derive(Debug)]
pub(super) struct TypeJudge {
    whole: Whole,
    text: Vec<u8>,
    /// Set when types were what is wrong.
    is_type_refused: Arc<AtomicBool>,
}

impl TypeJudge {
    /// Beside `whole`, which judges it if types are not the matter.
    pub(super) fn new(whole: Whole, is_type_refused: &Arc<AtomicBool>) -> Self {
        Self { whole, text: Vec::new(), is_type_refused: Arc::clone(is_type_refused) }
    }
}

impl Judge for TypeJudge {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        let room = REFUSAL_BYTES_MAX - self.text.len();
        self.text.extend(bytes.iter().take(room));
        self.whole.feed(bytes, verdict);
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        if memchr::memmem::find(&self.text, TYPE_UNKNOWN).is_none() {
            return self.whole.finish(verdict);
        }
        self.is_type_refused.store(true, Ordering::Relaxed);
        // Nothing is wrong with the records: this is no failure of theirs.
        Health::Busy
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_opensearch { "OpenSearch" } else { "Elasticsearch" };
        write!(f, "{name} {}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, name: &str, knows_no_types: bool) {
        let store = Store::read(body.as_bytes());
        assert_eq!(store.as_ref().map(ToString::to_string).unwrap_or_default(), name);
        assert_eq!(store.is_some_and(|store| store.knows_no_types()), knows_no_types);
    }

    #[test]
    fn stores_and_their_versions() {
        let opensearch = |number| {
            format!(
                r#"{{"name":"n","version":{{"distribution":"opensearch","number":"{number}","lucene_version":"10"}},"tagline":"t"}}"#
            )
        };
        check(&opensearch("3.9.0"), "OpenSearch 3.9.0", true);
        check(&opensearch("2.0.0-rc1"), "OpenSearch 2.0.0-rc1", true);
        check(&opensearch("1.3.2"), "OpenSearch 1.3.2", false);
        let elastic =
            |number| format!(r#"{{"version":{{"number":"{number}","lucene_version":"9"}}}}"#);
        check(&elastic("8.15.0"), "Elasticsearch 8.15.0", true);
        check(&elastic("7.17.1"), "Elasticsearch 7.17.1", false);
        check(&elastic("x"), "", false);
        check(r#"{"version":{"number":"8.15.0"}}"#, "", false);
        check("<html>", "", false);
        check("", "", false);
    }
}
