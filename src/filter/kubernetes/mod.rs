//! `kubernetes`: adds what the cluster says of the pod that a record comes from.
//!
//! It never waits: what is known lies in the [`Directory`], which the side of the API fills. What there is to say
//! of a container is made once, when its first records come and when anything changed; per batch it is copied into the
//! arena, and per record nothing.

mod annotations;
pub mod api;
pub mod directory;
mod examine;
mod merge;
mod metadata;
pub mod object;
pub mod options;
mod origin;
mod preload;
#[cfg(test)]
mod tests;

pub use examine::examine;
pub use origin::fuzz_origin;

use super::Filter;
use crate::clock;
use crate::config::{Diagnostics, Located, Section};
use crate::metrics::FilterMetrics;
use crate::parser::{NoParser, Parser, Parsers};
use crate::record::{Batch, Field, Fields, Map, Record, Tag, Value};
use annotations::{Stream, Wishes};
use bumpalo::Bump;
use directory::{Directory, Known};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use merge::Merge;
use metadata::Selection;
use object::{Namespace, Pod};
use options::{KubernetesOptions, UrlError};
use origin::Origin;
use preload::Preloaded;
use std::collections::HashMap;
use std::sync::Arc;

/// Containers that are remembered; a node has at most a few hundred pods. Beyond that all are forgotten and found again.
const CONTAINERS_MAX: usize = 4 << 10;

/// The field of a journal entry that says which container wrote it.
const CONTAINER_NAME: &str = "CONTAINER_NAME";

/// The fields that are added.
const POD: &str = "kubernetes";
const NAMESPACE: &str = "kubernetes_namespace";

/// Adds what is known of pods and namespaces, and treats what a pod logs as it asks for.
#[derive(Debug)]
pub struct Kubernetes {
    source: Source,
    prefix_len: usize,
    reader: origin::Reader,
    finder: Finder,
    containers: HashMap<Box<str>, Entry>,
    merge: Option<Merge>,
    metrics: Arc<FilterMetrics>,
}

/// What says where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The batch's tag.
    Tag,
    /// A field of the record.
    Journal,
    /// Nothing says it, and nothing is looked up: `Dummy_Meta`.
    Dummy,
    /// It does not matter, since nothing is asked for. As in Fluent Bit, nothing is merged then, either.
    Nothing,
}

/// A tag, or a container's name in the journal, that was seen.
#[derive(Debug)]
struct Entry {
    /// `None`: it does not say where it comes from.
    origin: Option<Arc<Origin>>,
    /// What was found, and the revision of the directory then: the same one finds the same.
    found: Option<(u64, Arc<Container>)>,
}

/// What there is to say of a container.
#[derive(Debug, Default)]
struct Container {
    /// What was found of its pod, if that was looked up.
    pod: Option<Known<Pod>>,
    namespace: Option<Known<Namespace>>,
    /// The JSON of `kubernetes`.
    pod_json: Option<Box<str>>,
    /// The JSON of `kubernetes_namespace`.
    namespace_json: Option<Box<str>>,
    wishes: Wishes,
}

/// What the records of one batch get that are of one container.
#[derive(Clone, Debug)]
struct Addition<'a> {
    pod: Option<Value<'a>>,
    namespace: Option<Value<'a>>,
    container: Arc<Container>,
}

impl Source {
    fn of(options: &KubernetesOptions) -> Self {
        if options.dummy_meta {
            Self::Dummy
        } else if options.namespace_metadata_only && !options.adds_namespace() {
            Self::Nothing
        } else if options.use_journal {
            Self::Journal
        } else {
            Self::Tag
        }
    }
}

impl Container {
    /// Whether another look into the same directory may find more.
    fn may_become_known(&self) -> bool {
        matches!(self.pod, Some(Known::No | Known::NotYet))
            || matches!(self.namespace, Some(Known::No | Known::NotYet))
    }

    /// Whether something is being asked for.
    fn is_awaited(&self) -> bool {
        self.pod == Some(Known::NotYet) || self.namespace == Some(Known::NotYet)
    }

    /// Whether its records get nothing.
    fn is_unknown(&self) -> bool {
        self.pod_json.is_none() && self.namespace_json.is_none()
    }
}

impl Kubernetes {
    /// Builds the filter of a section, which looks pods up in `directory`; `None` when it cannot work, which is reported.
    pub fn build(
        options: &KubernetesOptions,
        directory: Directory,
        parsers: &Arc<Parsers>,
        metrics: &Arc<FilterMetrics>,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut is_right = true;
        match options.api() {
            Ok(_) => {}
            Err(error @ UrlError::Scheme) => {
                diagnostics.error(section.location_of("Kube_URL"), error.to_string());
                is_right = false;
            }
            // Fluent Bit starts, and never connects.
            Err(error) => {
                let message = format!("{error}, so nothing is asked of the API");
                diagnostics.warning(section.location_of("Kube_URL"), message);
            }
        }
        let regex = find_regex_parser(options.regex_parser.as_ref(), parsers, diagnostics);
        is_right &= regex.is_some() || options.regex_parser.is_none();
        let merge_parser = find_merge_parser(options.merge_parser.as_ref(), parsers, diagnostics);
        let preloaded = match &options.preload_dir {
            Some(folder) => Preloaded::read(folder, options.use_kubelet, diagnostics),
            None => Preloaded::default(),
        };
        warn_without_effect(options, section, diagnostics);
        is_right.then(|| Self {
            source: Source::of(options),
            prefix_len: options.kube_tag_prefix.len(),
            reader: origin::Reader::new(regex),
            finder: Finder {
                wants_pods: !options.namespace_metadata_only,
                wants_namespaces: options.adds_namespace(),
                tag_is_enough: options.use_tag_for_meta,
                selection: Selection::new(options),
                annotations: annotations::Reader::new(
                    options,
                    Arc::clone(parsers),
                    Arc::clone(metrics),
                ),
                preloaded,
                directory,
            },
            containers: HashMap::new(),
            merge: Merge::new(options, merge_parser),
            metrics: Arc::clone(metrics),
        })
    }

    /// What there is to say of the container that a tag, or a name in the journal, tells; `None` if it tells none.
    fn container(&mut self, name: &str) -> Option<Arc<Container>> {
        if !self.containers.contains_key(name) {
            if self.containers.len() >= CONTAINERS_MAX {
                self.containers.clear();
            }
            let origin = match self.source {
                Source::Journal => self.reader.read_journal(name),
                Source::Tag | Source::Dummy | Source::Nothing => {
                    self.reader.read_tag(name, self.prefix_len)
                }
            };
            if origin.is_none() {
                tracing::warn!(
                    name,
                    "`kubernetes` cannot tell the pod by this name, so its records get no metadata; see \
                     `Kube_Tag_Prefix` and `Regex_Parser`"
                );
            }
            let entry = Entry { origin: origin.map(Arc::new), found: None };
            self.containers.insert(name.into(), entry);
        }
        let entry = self.containers.get_mut(name)?;
        let origin = entry.origin.as_ref()?;
        let revision = self.finder.directory.revision();
        let before = entry.found.take();
        let found = match before {
            Some((then, found)) if then == revision && !found.may_become_known() => found,
            before => self.finder.find(origin, before.map(|(_, found)| found)),
        };
        entry.found = Some((revision, Arc::clone(&found)));
        Some(found)
    }

    /// What the records of a container get, in the arena of their batch.
    fn addition<'a>(&mut self, name: &str, bump: &'a Bump) -> Option<Addition<'a>> {
        let container = self.container(name)?;
        let value = |json: &Option<Box<str>>| {
            json.as_deref().and_then(|json| read_json(bump.alloc_str(json), bump))
        };
        Some(Addition {
            pod: value(&container.pod_json),
            namespace: value(&container.namespace_json),
            container,
        })
    }

    fn apply_tag(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        let tag = batch.tag.clone();
        let Some(addition) = self.addition(tag.as_str(), bump) else {
            self.metrics.records_without_metadata.add(batch.records.len() as u64);
            return;
        };
        let wishes = &addition.container.wishes;
        if !wishes.excludes_nothing() {
            batch.records.retain(|record| !wishes.excludes(stream_of(&record.fields)));
        }
        if addition.container.is_unknown() {
            self.metrics.records_without_metadata.add(batch.records.len() as u64);
        }
        for record in &mut batch.records {
            self.apply_to(record, &addition, bump);
        }
    }

    fn apply_journal(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        let mut last: Option<(&str, Option<Addition<'_>>)> = None;
        batch.records.retain_mut(|record| {
            let name = record.fields.iter().find(|field| field.key() == CONTAINER_NAME);
            let Some(name) = name.and_then(|field| field.value().text_in(bump)) else {
                self.metrics.records_without_metadata.add(1);
                return true;
            };
            let addition = match &last {
                Some((known, addition)) if *known == name => addition.clone(),
                _ => self.addition(name, bump),
            };
            last = Some((name, addition.clone()));
            let Some(addition) = addition else {
                self.metrics.records_without_metadata.add(1);
                return true;
            };
            if addition.container.wishes.excludes(stream_of(&record.fields)) {
                return false;
            }
            let is_unknown = addition.container.is_unknown();
            self.metrics.records_without_metadata.add(is_unknown.into());
            self.apply_to(record, &addition, bump);
            true
        });
    }

    fn apply_dummy(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        let json = bump.alloc_str(&metadata::dummy(&time_text()));
        let container = Arc::default();
        let addition = Addition { pod: read_json(json, bump), namespace: None, container };
        for record in &mut batch.records {
            self.apply_to(record, &addition, bump);
        }
    }

    fn apply_to<'a>(&mut self, record: &mut Record<'a>, addition: &Addition<'a>, bump: &'a Bump) {
        let Addition { pod, namespace, container } = addition;
        if let Some(merge) = &mut self.merge {
            let wishes = Some(&container.wishes).filter(|wishes| wishes.has_parser());
            let parser = wishes.and_then(|wishes| wishes.parser(stream_of(&record.fields)));
            merge.apply(record, parser, bump);
        }
        record.fields.extend(pod.map(|value| Field::new(POD, value)));
        record.fields.extend(namespace.map(|value| Field::new(NAMESPACE, value)));
    }
}

impl Filter for Kubernetes {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        match self.source {
            Source::Tag => self.apply_tag(batch),
            Source::Journal => self.apply_journal(batch),
            Source::Dummy => self.apply_dummy(batch),
            Source::Nothing => {}
        }
        if let Some(merge) = &mut self.merge {
            merge.count(&self.metrics);
        }
    }

    fn awaits(&mut self, tag: &Tag) -> bool {
        self.source == Source::Tag
            && self.container(tag.as_str()).is_some_and(|found| found.is_awaited())
    }
}

/// The parser that reads tags; a wrong one is an error, as in Fluent Bit.
fn find_regex_parser(
    name: Option<&Located<String>>,
    parsers: &Parsers,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Parser>> {
    let name = name?;
    match parsers.get(name) {
        Ok(parser) if parser.has_groups() => Some(Arc::clone(parser)),
        Ok(_) => {
            let message = format!("`Regex_Parser`: parser `{}` is not `Format regex`", name.value);
            diagnostics.error(&name.location, message);
            None
        }
        Err(error) => {
            diagnostics.error(&name.location, format!("`Regex_Parser`: {error}"));
            None
        }
    }
}

/// The parser that reads `log`; without one of its name Fluent Bit starts, and reads JSON.
fn find_merge_parser(
    name: Option<&Located<String>>,
    parsers: &Parsers,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Parser>> {
    let name = name?;
    match parsers.get(name) {
        Ok(parser) => Some(Arc::clone(parser)),
        Err(NoParser::Missing(why)) => {
            let message = format!("`Merge_Parser`: {why}; `log` is read as JSON");
            diagnostics.warning(&name.location, message);
            None
        }
        Err(NoParser::Unusable(why)) => {
            diagnostics.error(&name.location, format!("`Merge_Parser`: {why}"));
            None
        }
    }
}

/// Warns of what is set and means nothing without something else.
fn warn_without_effect(
    options: &KubernetesOptions,
    section: &Section,
    diagnostics: &mut Diagnostics,
) {
    let merging = [
        ("Merge_Log_Key", options.merge_log_key.is_some()),
        ("Merge_Parser", options.merge_parser.is_some()),
        ("Keep_Log", !options.keep_log),
        ("K8S-Logging.Parser", options.logging_parser),
    ];
    for (property, is_set) in merging {
        if is_set && !options.merge_log {
            let message = format!("`{property}` has no effect without `Merge_Log on`");
            diagnostics.warning(section.location_of(property), message);
        }
    }
    if options.namespace_metadata_only && !options.adds_namespace() {
        let message = "`Namespace_Metadata_Only` leaves nothing to do without `Namespace_Labels` or \
                       `Namespace_Annotations`";
        diagnostics.warning(section.location_of("Namespace_Metadata_Only"), message);
    }
}

/// Where the container wrote the line to.
fn stream_of(fields: &Fields<'_>) -> Stream {
    let stream = fields.iter().find(|field| field.key() == "stream").map(Field::value);
    match stream {
        Some(Value::Str("stdout") | Value::Plain("stdout")) => Stream::Stdout,
        Some(Value::Str("stderr") | Value::Plain("stderr")) => Stream::Stderr,
        _ => Stream::Unknown,
    }
}

fn read_json<'a>(json: &'a str, bump: &'a Bump) -> Option<Value<'a>> {
    Map::read(json, bump).map(Value::Map)
}

/// The time as C's `asctime` writes it.
fn time_text() -> String {
    let now = Timestamp::from_nanosecond(clock::now().into()).unwrap_or_default();
    now.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// Finds out what there is to say of a container.
#[derive(Debug)]
struct Finder {
    wants_pods: bool,
    wants_namespaces: bool,
    /// `Use_Tag_For_Meta`.
    tag_is_enough: bool,
    selection: Selection,
    annotations: annotations::Reader,
    preloaded: Preloaded,
    directory: Directory,
}

impl Finder {
    /// What there is to say now; what was found `before` if that is the same.
    fn find(&mut self, origin: &Origin, before: Option<Arc<Container>>) -> Arc<Container> {
        let pod = self.pod(origin);
        let namespace = self.namespace(origin);
        if let Some(before) = before
            && is_same(before.pod.as_ref(), pod.as_ref())
            && is_same(before.namespace.as_ref(), namespace.as_ref())
        {
            return before;
        }
        let mut container = Container::default();
        if let Some(Known::Yes(pod)) = &pod {
            container.pod_json = Some(self.selection.pod(origin, pod).into());
            container.wishes = self.annotations.read(pod, origin);
        } else if self.tag_is_enough && self.wants_pods && origin.pod_key().is_some() {
            container.pod_json = Some(metadata::of_tag(origin).into());
        }
        if let (Some(Known::Yes(namespace)), Some(name)) = (&namespace, &origin.namespace) {
            container.namespace_json = Some(self.selection.namespace(name, namespace).into());
        }
        Arc::new(Container { pod, namespace, ..container })
    }

    /// What is known of the pod; `None` if that is not looked up.
    fn pod(&self, origin: &Origin) -> Option<Known<Pod>> {
        let key = origin.pod_key().filter(|_| self.wants_pods && !self.tag_is_enough)?;
        Some(match self.preloaded.pod(key.namespace, key.name) {
            Some(pod) => Known::Yes(Arc::clone(pod)),
            None => self.directory.pod(&key),
        })
    }

    /// What is known of the namespace; `None` if that is not looked up.
    fn namespace(&self, origin: &Origin) -> Option<Known<Namespace>> {
        let name = origin.namespace.as_deref().filter(|_| self.wants_namespaces)?;
        match self.preloaded.namespace(name) {
            Some(namespace) => Some(Known::Yes(Arc::clone(namespace))),
            None => (!self.tag_is_enough).then(|| self.directory.namespace(name)),
        }
    }
}

/// Whether two looks found the very same.
fn is_same<T>(one: Option<&Known<T>>, other: Option<&Known<T>>) -> bool {
    match (one, other) {
        (Some(Known::Yes(one)), Some(Known::Yes(other))) => Arc::ptr_eq(one, other),
        (Some(Known::No), Some(Known::No)) | (Some(Known::NotYet), Some(Known::NotYet)) => true,
        (one, other) => one.is_none() && other.is_none(),
    }
}
