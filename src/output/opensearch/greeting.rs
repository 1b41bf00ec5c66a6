//! What a store says of itself on `GET /`.

use serde::Deserialize;
use std::fmt;

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
