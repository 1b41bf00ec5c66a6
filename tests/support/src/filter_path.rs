//! `filter_path`, as far as an answer to `_bulk` has members: a store sends only what was asked for.

/// The patterns of one request; none asks for everything.
#[derive(Debug)]
pub(crate) struct FilterPath<'a>(Vec<&'a str>);

impl<'a> FilterPath<'a> {
    /// From a request's path with its query.
    pub(crate) fn of(path: &'a str) -> Self {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let value = query.split('&').find_map(|pair| pair.strip_prefix("filter_path="));
        Self(value.map(|value| value.split(',').collect()).unwrap_or_default())
    }

    /// Whether a top-level member is sent.
    pub(crate) fn top(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(&name)
    }

    /// Whether a member of each item is sent.
    pub(crate) fn item(&self, name: &str) -> bool {
        let asked = |pattern: &&str| {
            let rest = pattern.strip_prefix("items.*.").unwrap_or_default();
            rest == "*" || rest.split('.').next() == Some(name)
        };
        self.0.is_empty()
            || self.0.iter().any(|pattern| ["items", "items.*"].contains(pattern))
            || self.0.iter().any(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::FilterPath;

    #[test]
    fn only_what_was_asked_for_is_sent() {
        let check = |path, top, item, expected: (bool, bool)| {
            let filter = FilterPath::of(path);
            assert_eq!((filter.top(top), filter.item(item)), expected, "{path}");
        };
        check("/_bulk", "took", "_id", (true, true));
        check("/_bulk?filter_path=errors,items.*.error", "errors", "error", (true, true));
        check("/_bulk?filter_path=errors,items.*.error", "took", "status", (false, false));
        check("/_bulk?a=b&filter_path=items.*.status", "errors", "status", (false, true));
    }
}
