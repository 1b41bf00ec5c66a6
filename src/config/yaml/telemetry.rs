//! `telemetry`, a map inside of `service` and of inputs: checked as Fluent Bit does, and of no effect.

use super::tree::{Node, Pair, Value};
use super::{Diagnostics, File};
use crate::config::value::{Reading, Value as _};

/// The maps inside of each other.
const PATH: &[&str] = &["metrics", "logs", "tag_records"];

/// Where the map stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// In `service`, with its limits.
    Service,
    /// In an input.
    Input,
}

/// Records what Fluent Bit refuses of it, else that it has no effect.
pub(super) fn check(node: Node, level: Level, file: &File, diagnostics: &mut Diagnostics) {
    let line = node.line;
    let mut inner = node;
    for expected in PATH {
        let Value::Map(pairs) = inner.value else {
            let message = format!("`telemetry`: `{expected}` stands in no map");
            diagnostics.error(&file.at(inner.line), message);
            return;
        };
        if let Some(odd) = pairs.iter().find(|pair| !pair.key.eq_ignore_ascii_case(expected)) {
            let message = format!("`telemetry` has no `{}`; it has `{expected}` there", odd.key);
            diagnostics.error(&file.at(odd.line), message);
            return;
        }
        // An empty map asks for nothing.
        let Some(first) = pairs.into_iter().next() else { return };
        inner = first.node;
    }
    let Value::Map(pairs) = inner.value else {
        diagnostics.error(&file.at(inner.line), "`tag_records` must be a map with `enabled`");
        return;
    };
    for pair in &pairs {
        if let Some(why) = refusal(pair, level) {
            diagnostics.error(&file.at(pair.line), why);
        }
    }
    diagnostics.note(&file.at(line), "`telemetry` has no effect: records are not counted by tag");
}

/// Why Fluent Bit refuses a setting of `tag_records`.
fn refusal(pair: &Pair, level: Level) -> Option<String> {
    let Value::Scalar(text) = &pair.node.value else {
        return Some(format!("`{}` must be a single value", pair.key));
    };
    let is = |name: &str| pair.key.eq_ignore_ascii_case(name);
    let is_bad = if is("enabled") {
        !matches!(text.as_str(), "0" | "1") && !matches!(bool::read(text), Reading::Clear(_))
    } else if level == Level::Service && (is("max_series") || is("max_tag_length")) {
        !matches!(i32::read(text), Reading::Clear(_))
    } else {
        return Some(format!("`tag_records` has no `{}`", pair.key));
    };
    is_bad.then(|| format!("`{}` cannot be `{text}`", pair.key))
}
