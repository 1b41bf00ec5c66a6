//! What a pod asks for in its annotations: a parser for what it logs, or that nothing of it is shipped.

use super::object::{Pairs, Pod};
use super::options::KubernetesOptions;
use super::origin::Origin;
use crate::config::{Reading, Value};
use crate::metrics::FilterMetrics;
use crate::parser::{Parser, Parsers};
use std::collections::HashSet;
use std::sync::Arc;

/// Complaints that are remembered, so that each is logged once per pod. Beyond that they may be logged once more.
const TOLD_MAX: usize = 4 << 10;

/// Whose annotations count, the ones that go before first.
const PREFIXES: [&str; 2] = ["tailwater.io/", "fluentbit.io/"];

/// What a container's records are to be treated like.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    stdout: Wish,
    stderr: Wish,
}

/// The same for one of its streams.
#[derive(Clone, Debug, Default)]
struct Wish {
    parser: Option<Arc<Parser>>,
    exclude: Option<bool>,
}

/// Where a container wrote a line to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
    /// The record does not say.
    Unknown,
}

impl Wishes {
    /// Whether no record is left out.
    pub(super) fn excludes_nothing(&self) -> bool {
        let is_excluded = |wish: &Wish| wish.exclude == Some(true);
        !is_excluded(&self.stdout) && !is_excluded(&self.stderr)
    }

    /// Whether the records of a stream are left out; those of none, if both streams' are.
    pub(super) fn excludes(&self, stream: Stream) -> bool {
        let is_excluded = |wish: &Wish| wish.exclude == Some(true);
        match stream {
            Stream::Stdout => is_excluded(&self.stdout),
            Stream::Stderr => is_excluded(&self.stderr),
            Stream::Unknown => is_excluded(&self.stdout) && is_excluded(&self.stderr),
        }
    }

    /// Whether there is a parser for any record.
    pub(super) fn has_parser(&self) -> bool {
        self.stdout.parser.is_some() || self.stderr.parser.is_some()
    }

    /// The parser for the records of a stream; for those of none, if both streams have the same.
    pub(super) fn parser(&self, stream: Stream) -> Option<&Arc<Parser>> {
        let (stdout, stderr) = (self.stdout.parser.as_ref(), self.stderr.parser.as_ref());
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
            Stream::Unknown => stdout.filter(|one| stderr.is_some_and(|it| Arc::ptr_eq(one, it))),
        }
    }

    /// What is not said here is as `other` says.
    fn or(self, other: &Self) -> Self {
        let or = |one: Wish, other: &Wish| Wish {
            parser: one.parser.or_else(|| other.parser.clone()),
            exclude: one.exclude.or(other.exclude),
        };
        Self { stdout: or(self.stdout, &other.stdout), stderr: or(self.stderr, &other.stderr) }
    }
}

/// Reads annotations.
#[derive(Debug)]
pub(super) struct Reader {
    parsers: Arc<Parsers>,
    /// `K8S-Logging.Parser`.
    parser_allowed: bool,
    /// `K8S-Logging.Exclude`.
    exclude_allowed: bool,
    /// What was complained of: a pod and its annotation.
    told: HashSet<String>,
    metrics: Arc<FilterMetrics>,
}

/// An annotation behind its prefix: `parser_stdout-app`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key<'a> {
    property: Property,
    /// The stream that it is for; `Unknown` is both.
    stream: Stream,
    /// The container that it is for, if not for all.
    container: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    Parser,
    Exclude,
}

impl Reader {
    /// Heeds what the options allow.
    pub(super) fn new(
        options: &KubernetesOptions,
        parsers: Arc<Parsers>,
        metrics: Arc<FilterMetrics>,
    ) -> Self {
        Self {
            parsers,
            parser_allowed: options.logging_parser,
            exclude_allowed: options.logging_exclude,
            told: HashSet::new(),
            metrics,
        }
    }

    /// What the pod asks for this container. What cannot be done is logged, once for each pod.
    pub(super) fn read(&mut self, pod: &Pod, origin: &Origin) -> Wishes {
        let Some(annotations) = &pod.metadata.annotations else { return Wishes::default() };
        PREFIXES.iter().fold(Wishes::default(), |before, prefix| {
            before.or(&self.read_prefix(prefix, annotations, origin))
        })
    }

    fn read_prefix(&mut self, prefix: &str, annotations: &Pairs, origin: &Origin) -> Wishes {
        // What is said of this container goes before what is said of all, whichever comes first.
        let (mut of_all, mut of_one) = (Wishes::default(), Wishes::default());
        for (name, value) in &annotations.0 {
            let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            let key = match Key::read(rest) {
                Ok(key) => key,
                Err(why) => {
                    self.tell(origin, name, why);
                    continue;
                }
            };
            if key.container.is_some() && key.container != origin.container.as_deref() {
                continue;
            }
            if let Some(wish) = self.wish(key, value, origin, name) {
                let is_of_one = key.container.is_some();
                let wishes = if is_of_one { &mut of_one } else { &mut of_all };
                wishes.add(key.stream, &wish, is_of_one);
            }
        }
        of_one.or(&of_all)
    }

    /// What one annotation asks for, if it may and can be done.
    fn wish(&mut self, key: Key<'_>, value: &str, origin: &Origin, name: &str) -> Option<Wish> {
        match key.property {
            Property::Parser if !self.parser_allowed => {
                self.tell(origin, name, "it is not heeded without `K8S-Logging.Parser on`");
                None
            }
            Property::Exclude if !self.exclude_allowed => {
                self.tell(origin, name, "it is not heeded without `K8S-Logging.Exclude on`");
                None
            }
            Property::Parser => {
                let parsers = Arc::clone(&self.parsers);
                match parsers.get(value) {
                    Ok(parser) => {
                        Some(Wish { parser: Some(Arc::clone(parser)), ..Wish::default() })
                    }
                    Err(error) => {
                        if self.tell(origin, name, &error.to_string()) {
                            self.metrics.missing_parsers.add(1);
                        }
                        None
                    }
                }
            }
            Property::Exclude => {
                let exclude = matches!(bool::read(value), Reading::Clear(true));
                Some(Wish { exclude: Some(exclude), ..Wish::default() })
            }
        }
    }

    /// Logs a complaint unless that was done before; whether it was logged.
    fn tell(&mut self, origin: &Origin, annotation: &str, why: &str) -> bool {
        let namespace = origin.namespace.as_deref().unwrap_or_default();
        let pod = origin.pod.as_deref().unwrap_or_default();
        let what = [namespace, pod, annotation, why].join("\n");
        if self.told.contains(&what) {
            return false;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(what);
        tracing::warn!(namespace, pod, annotation, "annotation has no effect: {why}");
        true
    }
}

impl Wishes {
    /// Takes in what is asked for a stream. Of several, the first counts, as in Fluent Bit, or of those for one
    /// container the last.
    fn add(&mut self, stream: Stream, wish: &Wish, last_counts: bool) {
        let is_for = |one: Stream| stream == one || stream == Stream::Unknown;
        let streams = [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)];
        for (_, own) in streams.into_iter().filter(|(one, _)| is_for(*one)) {
            if wish.parser.is_some() && (last_counts || own.parser.is_none()) {
                own.parser.clone_from(&wish.parser);
            }
            if wish.exclude.is_some() && (last_counts || own.exclude.is_none()) {
                own.exclude = wish.exclude;
            }
        }
    }
}

impl<'a> Key<'a> {
    /// Reads `parser` or `exclude`, then maybe `_stdout` or `_stderr`, then maybe `-container`.
    fn read(text: &'a str) -> Result<Self, &'static str> {
        let (property, rest) = if let Some(rest) = text.strip_prefix("parser") {
            (Property::Parser, rest)
        } else if let Some(rest) = text.strip_prefix("exclude") {
            (Property::Exclude, rest)
        } else {
            return Err("there are `parser` and `exclude` only");
        };
        let (stream, rest) = match rest.strip_prefix('_') {
            None => (Stream::Unknown, rest),
            Some(rest) => {
                if let Some(rest) = rest.strip_prefix("stdout") {
                    (Stream::Stdout, rest)
                } else if let Some(rest) = rest.strip_prefix("stderr") {
                    (Stream::Stderr, rest)
                } else {
                    return Err("the stream is `_stdout` or `_stderr`");
                }
            }
        };
        let container = match rest.strip_prefix('-') {
            Some("") => return Err("a container's name follows a `-`"),
            Some(container) => Some(container),
            None if rest.is_empty() => None,
            None => {
                return Err(
                    "write `parser` or `exclude`, then maybe `_stdout` or `_stderr`, then maybe `-container`",
                );
            }
        };
        Ok(Self { property, stream, container })
    }
}
