//! Every number the agent gives about itself: one table of names, the counters, two ways to print.
//!
//! A metric is one line of the `metrics!` tables below: its field, its kind, its name, and what it
//! means. From that line come the counter, the Prometheus page, the JSON and the documentation.
//! Names that begin with `fluentbit_` mean what they mean in Fluent Bit 5.1; the others are ours.
//! Counting is a relaxed atomic addition, done once per batch.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// The version of Fluent Bit for which the HTTP pages stand in.
pub const FLUENT_BIT_VERSION: &str = "5.1.1";
/// What the pages give as Fluent Bit's edition, so that a reader can tell who answers.
pub const EDITION: &str = "tailwater";
/// Label values of one [`Family`]; what comes later counts as `other`. The stores know a few dozen
/// types of errors, and each value is a time series in Prometheus.
const LABEL_COUNT_MAX: usize = 32;

/// Declares the metrics of one scope: a struct of counters, and the rows that describe them. A line
/// is `field: Kind = "name"`, then `only "plugin" or "plugin"` if not all plugins have it, then the label
/// of a `Family`: `by "label"`.
macro_rules! metrics {
    ($(#[$doc:meta])* $name:ident for $scope:ident {
        $($(#[doc = $help:literal])+
        $field:ident: $kind:ident = $metric:literal
            $(only $plugin:literal $(or $other:literal)*)? $(by $label:literal)?,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            instance: Name,
            $($(#[doc = $help])+ pub $field: $kind,)+
        }

        impl $name {
            /// What is counted, in the order it is printed.
            pub const ROWS: &'static [Row] = &[$(Row {
                scope: Scope::$scope,
                kind: Kind::$kind,
                name: $metric,
                key: stringify!($field),
                help: concat!($($help),+),
                plugins: &[$($plugin, $($other),*)?],
                label: metrics!(@option $($label)?),
            }),+];
        }

        impl Instance for $name {
            const ROWS: &'static [Row] = Self::ROWS;

            fn new(instance: Name) -> Self {
                Self { instance, ..Self::default() }
            }

            fn name(&self) -> &Name {
                &self.instance
            }

            fn cell(&self, row: usize) -> Option<&dyn Cell> {
                let cells: [&dyn Cell; Self::ROWS.len()] = [$(&self.$field),+];
                cells.get(row).copied()
            }
        }
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
}

metrics! {
    /// What one input counts.
    InputMetrics for Input {
        /// Records taken in.
        records: Counter = "fluentbit_input_records_total",
        /// Bytes of the records taken in.
        bytes: Counter = "fluentbit_input_bytes_total",
        /// Files opened.
        files_opened: Counter = "fluentbit_input_files_opened_total" only "tail",
        /// Files closed.
        files_closed: Counter = "fluentbit_input_files_closed_total" only "tail",
        /// Files that were seen to be rotated.
        files_rotated: Counter = "fluentbit_input_files_rotated_total" only "tail",
        /// Lines cut at the buffer limit.
        long_line_truncated: Counter = "fluentbit_input_long_line_truncated_total" only "tail",
        /// Lines over the buffer limit that were left out.
        long_line_skipped: Counter = "fluentbit_input_long_line_skipped_total" only "tail",
        /// Records of several lines cut at `multiline_buffer_limit`.
        multiline_truncated: Counter = "fluentbit_input_multiline_truncated_total" only "tail",
        /// 1 while the input waits for room in the buffer.
        ingestion_paused: Gauge = "fluentbit_input_ingestion_paused",
        /// 1 while the input's chunks take more memory than `Mem_Buf_Limit`.
        storage_overlimit: Gauge = "fluentbit_input_storage_overlimit",
        /// Bytes of memory that the input's chunks take.
        storage_memory_bytes: Gauge = "fluentbit_input_storage_memory_bytes",
        /// Chunks that hold records of the input.
        storage_chunks: Gauge = "fluentbit_input_storage_chunks",
        /// Records that no output matches; they are dropped.
        unrouted_records: Counter = "tailwater_input_unrouted_records_total",
        /// Lines that the parser could not read; they were passed on whole.
        unparsed_lines: Counter = "tailwater_input_unparsed_lines_total",
        /// Lines, or fields of the journal, with bytes that are not UTF-8, or not what their encoding has; these were replaced.
        invalid_utf8: Counter = "tailwater_input_invalid_utf8_total",
        /// Lines whose JSON was repaired: halves of surrogate pairs, raw control characters.
        repaired_json: Counter = "tailwater_input_repaired_json_total",
        /// Files that could not be opened or read.
        unreadable_files: Counter = "tailwater_input_unreadable_files_total" only "tail" or "systemd",
        /// Times that standard input could not be read any further; it counts as ended.
        read_errors: Counter = "tailwater_input_read_errors_total" only "stdin",
        /// 1 while the kernel does not tell of all changes (`Inotify_Watcher off`, no watches left), so that they are looked for.
        polling: Gauge = "tailwater_input_polling" only "tail",
        /// What the position database refused; it is tried again.
        database_errors: Counter = "tailwater_input_database_errors_total" only "tail" or "systemd",
        /// Files that were cut or written anew in place, and read from their start again.
        files_truncated: Counter = "tailwater_input_files_truncated_total" only "tail",
        /// Bytes that were seen in a file and went away before they were read: it was cut, written anew or deleted.
        lost_bytes: Counter = "tailwater_input_lost_bytes_total" only "tail",
        /// Files that went away while they were not open and not known to be safe to their end: what was written to them unseen, nobody can count.
        files_gone: Counter = "tailwater_input_files_gone_total" only "tail",
        /// Renamed or deleted files that are still read.
        files_leaving: Gauge = "tailwater_input_files_leaving" only "tail",
        /// Bytes in them that are not read yet.
        leaving_bytes: Gauge = "tailwater_input_leaving_bytes" only "tail",
        /// Files that wait for what a filter asks about them: `kubernetes` for their pods.
        files_parked: Gauge = "tailwater_input_files_parked" only "tail",
        /// Files that had waited long enough for that, and were read without it.
        files_let_go: Counter = "tailwater_input_files_let_go_total" only "tail",
        /// Fields of the journal whose value was cut at 4 MiB, and entries of which some were left out at 16 MiB.
        cut_fields: Counter = "tailwater_input_cut_fields_total" only "systemd",
        /// Fields of the journal that cannot be read, and were left out.
        broken_fields: Counter = "tailwater_input_broken_fields_total" only "systemd",
        /// Times that libsystemd failed in the journal; it was opened again, behind the last entry.
        journal_errors: Counter = "tailwater_input_journal_errors_total" only "systemd",
        /// Times that the journal did not have the entry any more up to which it was read: reading went on from its time.
        lost_cursors: Counter = "tailwater_input_lost_cursors_total" only "systemd",
    }
}

metrics! {
    /// What one filter counts.
    FilterMetrics for Filter {
        /// Records that came in.
        records: Counter = "fluentbit_filter_records_total",
        /// Bytes that the records that came in were read from.
        bytes: Counter = "fluentbit_filter_bytes_total",
        /// Records that the filter added.
        add_records: Counter = "fluentbit_filter_add_records_total",
        /// Records that the filter took out.
        drop_records: Counter = "fluentbit_filter_drop_records_total",
        /// Bytes that the records which the filter took out were read from, as their share of the read.
        drop_bytes: Counter = "fluentbit_filter_drop_bytes_total",
        /// Values that no parser of the filter could read; the records were passed on as they were.
        unparsed_records: Counter = "tailwater_filter_unparsed_records_total" only "parser",
        /// Values whose JSON was repaired: halves of surrogate pairs, raw control characters.
        repaired_json: Counter = "tailwater_filter_repaired_json_total" only "parser" or "kubernetes",
        /// Records that got no metadata: their pod is not known, or is not told by their tag.
        records_without_metadata: Counter = "tailwater_filter_records_without_metadata_total" only "kubernetes",
        /// Records whose `log` was not merged: it is no JSON object, or the parser cannot read it.
        unmerged_records: Counter = "tailwater_filter_unmerged_records_total" only "kubernetes",
        /// Annotations of pods that name a parser which does not exist; each is counted once for its pod.
        missing_parsers: Counter = "tailwater_filter_missing_parsers_total" only "kubernetes",
        /// Requests to the Kubernetes API, or to the kubelet.
        api_requests: Counter = "tailwater_filter_api_requests_total" only "kubernetes",
        /// What was the matter with requests to the Kubernetes API, and with its answers; they are made again.
        api_errors: Family = "tailwater_filter_api_errors_total" only "kubernetes" by "reason",
        /// Pods that are known.
        pods_known: Gauge = "tailwater_filter_pods_known" only "kubernetes",
        /// Pods that were left out for being too large, or too many.
        pods_skipped: Counter = "tailwater_filter_pods_skipped_total" only "kubernetes",
        /// Deleted pods that made room for others although a record of theirs came within the last ten minutes.
        pods_forgotten: Counter = "tailwater_filter_pods_forgotten_total" only "kubernetes",
    }
}

metrics! {
    /// What one output counts.
    OutputMetrics for Output {
        /// Records that the destination took.
        proc_records: Counter = "fluentbit_output_proc_records_total",
        /// Bytes of what the destination took, as it was written for it, before compression.
        proc_bytes: Counter = "fluentbit_output_proc_bytes_total",
        /// Chunks of which records were dropped for another reason than `Retry_Limit`.
        errors: Counter = "fluentbit_output_errors_total",
        /// Times a chunk, or a part of it, was put off to be sent again.
        retries: Counter = "fluentbit_output_retries_total",
        /// Chunks given up because `Retry_Limit` was reached.
        retries_failed: Counter = "fluentbit_output_retries_failed_total",
        /// Records dropped for good.
        dropped_records: Counter = "fluentbit_output_dropped_records_total",
        /// Records put off to be sent again.
        retried_records: Counter = "fluentbit_output_retried_records_total",
        /// Records that the destination refused for good, by the type of error it gave.
        refused_records: Family = "tailwater_output_refused_records_total" by "type",
        /// Of the records dropped for good, those that lay in a damaged chunk on the disk.
        damaged_records: Counter = "tailwater_output_damaged_records_total",
        /// Of the records dropped for good, those that are kept as dead letters.
        dead_letters: Counter = "tailwater_output_dead_letters_total",
        /// Records of older dead letters that made room for this output's (`storage.rejected.limit`).
        dead_letters_dropped: Counter = "tailwater_output_dead_letters_dropped_total",
        /// Records whose id, chosen by the user, was there before.
        conflicts: Counter = "tailwater_output_conflicts_total",
        /// Records that had arrived before, as their own id showed: lost answers, restarts.
        duplicates: Counter = "tailwater_output_duplicates_total",
    }
}

metrics! {
    /// What the process counts.
    ServiceMetrics for Service {
        /// Seconds since the start.
        uptime: Counter = "fluentbit_uptime",
        /// Times that SIGHUP put another configuration in place.
        reloads: Counter = "fluentbit_hot_reloaded_times",
        /// Matches of regular expressions with look-around or references that were given up, since they
        /// went back too often; they count as no match.
        matches_given_up: Counter = "tailwater_regex_given_up_total",
        /// Syncs (fsync) of files and folders under `storage.path`: none while the outputs keep up.
        syncs: Counter = "tailwater_storage_syncs_total",
        /// Files under `storage.path` whose end a crash had cut off, as the start found them; what they held
        /// is read again.
        torn_files: Counter = "tailwater_storage_torn_files_total",
        /// Damaged files under `storage.path`, or of a version that is not known, that the start set aside.
        corrupt_files: Counter = "tailwater_storage_corrupt_files_total",
        /// Chunks under `storage.path` that belonged to no output at the start; they are kept.
        unclaimed_chunks: Gauge = "tailwater_storage_unclaimed_chunks",
        /// Time of the start, in seconds since the epoch.
        start_time: Gauge = "process_start_time_seconds",
    }
}

/// The two metrics whose value lies in their labels.
const BUILD_ROWS: [Row; 2] = [
    build_row("fluentbit_build_info", " The version of Fluent Bit that is stood in for."),
    build_row("tailwater_build_info", " The version of tailwater."),
];

const fn build_row(name: &'static str, help: &'static str) -> Row {
    let (scope, kind) = (Scope::Service, Kind::Gauge);
    Row { scope, kind, name, key: "", help, plugins: &[], label: Some("version") }
}

/// The whole table, for the documentation.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let scopes =
        [InputMetrics::ROWS, FilterMetrics::ROWS, OutputMetrics::ROWS, ServiceMetrics::ROWS];
    scopes.into_iter().flatten().chain(&BUILD_ROWS)
}

/// The counters of all plugin instances.
#[derive(Debug)]
pub struct Registry {
    started: SystemTime,
    inputs: Vec<Arc<InputMetrics>>,
    filters: Vec<Arc<FilterMetrics>>,
    outputs: Vec<Arc<OutputMetrics>>,
    service: Arc<ServiceMetrics>,
}

impl Registry {
    /// An empty registry of a process that began at `started`.
    pub fn new(started: SystemTime) -> Self {
        let service = Arc::<ServiceMetrics>::default();
        service.start_time.set(started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        Self { started, inputs: Vec::new(), filters: Vec::new(), outputs: Vec::new(), service }
    }

    /// Adds an input, by its alias or `tail.0`, and its plugin.
    pub fn input(&mut self, name: &str, plugin: &str) -> Arc<InputMetrics> {
        add(&mut self.inputs, name, plugin)
    }

    /// Adds a filter, by its alias or `grep.0`, and its plugin.
    pub fn filter(&mut self, name: &str, plugin: &str) -> Arc<FilterMetrics> {
        add(&mut self.filters, name, plugin)
    }

    /// Adds an output, by its alias or `es.0`, and its plugin.
    pub fn output(&mut self, name: &str, plugin: &str) -> Arc<OutputMetrics> {
        add(&mut self.outputs, name, plugin)
    }

    /// What the process counts.
    pub fn service(&self) -> &Arc<ServiceMetrics> {
        &self.service
    }

    /// What each input counts, by its name.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &InputMetrics)> {
        self.inputs.iter().map(|input| (&*input.instance.name, &**input))
    }

    /// What each output counts, by its name.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &OutputMetrics)> {
        self.outputs.iter().map(|output| (&*output.instance.name, &**output))
    }

    /// The time since the start.
    pub fn uptime(&self, now: SystemTime) -> Duration {
        now.duration_since(self.started).unwrap_or_default()
    }

    /// The sums over all outputs of `errors` and of `retries_failed`.
    pub fn failures(&self) -> (u64, u64) {
        let sum = |cell: fn(&OutputMetrics) -> &Counter| {
            self.outputs.iter().map(|output| cell(output).value()).sum()
        };
        (sum(|output| &output.errors), sum(|output| &output.retries_failed))
    }

    /// The text of `/api/v1/metrics/prometheus`: exposition format 0.0.4. As in Fluent Bit, plugins
    /// have timestamps in milliseconds and the process has none.
    pub fn prometheus(&self, now: SystemTime) -> String {
        self.service.uptime.0.store(self.uptime(now).as_secs(), Ordering::Relaxed);
        let given_up = tailwater_parsers::regex::given_up();
        self.service.matches_given_up.0.store(given_up, Ordering::Relaxed);
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut page = Page { text: String::with_capacity(8 * 1024), end: format!(" {millis}\n") };
        page.instances(&self.inputs);
        page.instances(&self.filters);
        page.instances(&self.outputs);
        "\n".clone_into(&mut page.end);
        page.instances(std::slice::from_ref(&self.service));
        let builds = [
            format!("{{version=\"{FLUENT_BIT_VERSION}\",edition=\"{EDITION}\"}}"),
            format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")),
        ];
        for (row, labels) in BUILD_ROWS.iter().zip(builds) {
            page.head(row);
            page.line(row, &labels, 1);
        }
        page.text
    }

    /// The JSON of `/api/v1/metrics`: scope, instance, counter.
    pub fn json(&self) -> Value {
        let scopes = [
            ("input", objects(&self.inputs)),
            ("filter", objects(&self.filters)),
            ("output", objects(&self.outputs)),
        ];
        Value::Object(scopes.map(|(scope, all)| (scope.to_owned(), all)).into_iter().collect())
    }
}

fn add<I: Instance>(all: &mut Vec<Arc<I>>, name: &str, plugin: &str) -> Arc<I> {
    let instance = Arc::new(I::new(Name { name: name.into(), plugin: plugin.into() }));
    all.push(Arc::clone(&instance));
    instance
}

/// Instance, counter, value; a [`Family`] as its sum.
fn objects<I: Instance>(instances: &[Arc<I>]) -> Value {
    let object = |instance: &Arc<I>| {
        let counts = I::ROWS.iter().enumerate().filter(|(_, row)| instance.name().has(row));
        let values = counts.filter_map(|(index, row)| {
            Some((row.key.to_owned(), Value::from(instance.cell(index)?.value())))
        });
        (instance.name().name.to_string(), Value::Object(values.collect()))
    };
    Value::Object(instances.iter().map(object).collect::<Map<_, _>>())
}

/// A page of the exposition format, as far as it is written.
struct Page {
    text: String,
    /// What ends a line: the timestamp, if there is one.
    end: String,
}

impl Page {
    /// Each metric of a scope under one head, with a line for each instance that has it.
    fn instances<I: Instance>(&mut self, instances: &[Arc<I>]) {
        for (index, row) in I::ROWS.iter().enumerate() {
            let with: Vec<_> = instances.iter().filter(|one| one.name().has(row)).collect();
            if !with.is_empty() {
                self.head(row);
            }
            for instance in with {
                let name = &instance.name().name;
                let Some(cell) = instance.cell(index) else { continue };
                cell.each(&mut |label, value| self.line(row, &labels(row, name, label), value));
            }
        }
    }

    fn head(&mut self, row: &Row) {
        let kind = match row.kind {
            Kind::Counter | Kind::Family => "counter",
            Kind::Gauge => "gauge",
        };
        let Row { name, help, .. } = row;
        self.push(format_args!("# HELP {name}{help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, row: &Row, labels: &str, value: u64) {
        self.push(format_args!("{}{labels} {value}", row.name));
        self.text.push_str(&self.end);
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _written = self.text.write_fmt(arguments);
    }
}

/// `{name="tail.0",type="x"}`; nothing for the process, which has no name.
fn labels(row: &Row, name: &str, value: &str) -> String {
    match row.label {
        _ if name.is_empty() => String::new(),
        None => format!("{{name=\"{}\"}}", escaped(name)),
        Some(label) => format!("{{name=\"{}\",{label}=\"{}\"}}", escaped(name), escaped(value)),
    }
}

/// A label value: an alias is any text.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What is counted: one line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Whose number it is.
    pub scope: Scope,
    /// How it moves.
    pub kind: Kind,
    /// The Prometheus name.
    pub name: &'static str,
    /// The key in the JSON of `/api/v1/metrics`.
    pub key: &'static str,
    /// What it means; begins with the space of a doc comment.
    help: &'static str,
    /// The only plugins that have it; none is all.
    pub plugins: &'static [&'static str],
    /// The label beside `name`.
    pub label: Option<&'static str>,
}

impl Row {
    /// What it means, in one line.
    pub fn help(&self) -> &'static str {
        self.help.trim()
    }
}

/// Whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An input's.
    Input,
    /// A filter's.
    Filter,
    /// An output's.
    Output,
    /// The process's.
    Service,
}

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only.
    Counter,
    /// Up and down.
    Gauge,
    /// A counter for each value of a label.
    Family,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value set last.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each value of one label; for what happens seldom.
#[derive(Debug, Default)]
pub struct Family(Mutex<BTreeMap<Box<str>, u64>>);

impl Family {
    /// Adds `count` under `label`, or under `other` once there are too many labels.
    pub fn add(&self, label: &str, count: u64) {
        let mut counts = self.counts();
        let known = counts.contains_key(label) || counts.len() < LABEL_COUNT_MAX;
        let label = if known { label } else { "other" };
        *counts.entry(label.into()).or_default() += count;
    }

    /// The sum over all labels.
    pub fn value(&self) -> u64 {
        self.counts().values().sum()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Box<str>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number, as it is printed.
trait Cell {
    /// The value; the sum of the values.
    fn value(&self) -> u64;

    /// Calls `print` with each label and its value.
    fn each(&self, print: &mut dyn FnMut(&str, u64)) {
        print("", self.value());
    }
}

impl Cell for Counter {
    fn value(&self) -> u64 {
        self.value()
    }
}

impl Cell for Gauge {
    fn value(&self) -> u64 {
        self.value()
    }
}

impl Cell for Family {
    fn value(&self) -> u64 {
        self.value()
    }

    fn each(&self, print: &mut dyn FnMut(&str, u64)) {
        self.counts().iter().for_each(|(label, count)| print(label, *count));
    }
}

/// A plugin instance, as it is printed.
trait Instance: Default {
    const ROWS: &'static [Row];

    fn new(name: Name) -> Self;
    fn name(&self) -> &Name;
    /// The counter of the row with this index.
    fn cell(&self, row: usize) -> Option<&dyn Cell>;
}

/// Whose counters these are.
#[derive(Debug, Default)]
struct Name {
    /// The alias, else `tail.0`; empty for the process.
    name: Box<str>,
    plugin: Box<str>,
}

impl Name {
    fn has(&self, row: &Row) -> bool {
        row.plugins.is_empty() || row.plugins.contains(&&*self.plugin)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use expect_test::expect;

    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::new(UNIX_EPOCH + Duration::from_secs(1000));
        let tail = registry.input("tail.0", "tail");
        tail.records.add(2);
        tail.bytes.add(76);
        tail.ingestion_paused.set(1);
        registry.input("std\"in\\", "stdin");
        registry.filter("grep.0", "grep").drop_records.add(3);
        let es = registry.output("es.0", "es");
        es.errors.add(1);
        es.refused_records.add("mapper_parsing_exception", 4);
        es.refused_records.add("strict_dynamic_mapping_exception", 1);
        registry.output("loki", "loki").retries_failed.add(5);
        registry
    }

    #[test]
    fn the_prometheus_page() {
        let page = registry().prometheus(UNIX_EPOCH + Duration::from_millis(1_002_345));
        let shown =
            ["_records_total", "files_opened", "paused", "refused", "uptime", "start", "build"];
        let lines = page.lines().filter(|line| shown.iter().any(|part| line.contains(part)));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        expect![[r##"
            # HELP fluentbit_input_records_total Records taken in.
            # TYPE fluentbit_input_records_total counter
            fluentbit_input_records_total{name="tail.0"} 2 1002345
            fluentbit_input_records_total{name="std\"in\\"} 0 1002345
            # HELP fluentbit_input_files_opened_total Files opened.
            # TYPE fluentbit_input_files_opened_total counter
            fluentbit_input_files_opened_total{name="tail.0"} 0 1002345
            # HELP fluentbit_input_ingestion_paused 1 while the input waits for room in the buffer.
            # TYPE fluentbit_input_ingestion_paused gauge
            fluentbit_input_ingestion_paused{name="tail.0"} 1 1002345
            fluentbit_input_ingestion_paused{name="std\"in\\"} 0 1002345
            # HELP tailwater_input_unrouted_records_total Records that no output matches; they are dropped.
            # TYPE tailwater_input_unrouted_records_total counter
            tailwater_input_unrouted_records_total{name="tail.0"} 0 1002345
            tailwater_input_unrouted_records_total{name="std\"in\\"} 0 1002345
            # HELP tailwater_input_database_errors_total What the position database refused; it is tried again.
            # HELP tailwater_input_files_truncated_total Files that were cut or written anew in place, and read from their start again.
            # HELP fluentbit_filter_records_total Records that came in.
            # TYPE fluentbit_filter_records_total counter
            fluentbit_filter_records_total{name="grep.0"} 0 1002345
            # HELP fluentbit_filter_add_records_total Records that the filter added.
            # TYPE fluentbit_filter_add_records_total counter
            fluentbit_filter_add_records_total{name="grep.0"} 0 1002345
            # HELP fluentbit_filter_drop_records_total Records that the filter took out.
            # TYPE fluentbit_filter_drop_records_total counter
            fluentbit_filter_drop_records_total{name="grep.0"} 3 1002345
            # HELP fluentbit_output_proc_records_total Records that the destination took.
            # TYPE fluentbit_output_proc_records_total counter
            fluentbit_output_proc_records_total{name="es.0"} 0 1002345
            fluentbit_output_proc_records_total{name="loki"} 0 1002345
            # HELP fluentbit_output_dropped_records_total Records dropped for good.
            # TYPE fluentbit_output_dropped_records_total counter
            fluentbit_output_dropped_records_total{name="es.0"} 0 1002345
            fluentbit_output_dropped_records_total{name="loki"} 0 1002345
            # HELP fluentbit_output_retried_records_total Records put off to be sent again.
            # TYPE fluentbit_output_retried_records_total counter
            fluentbit_output_retried_records_total{name="es.0"} 0 1002345
            fluentbit_output_retried_records_total{name="loki"} 0 1002345
            # HELP tailwater_output_refused_records_total Records that the destination refused for good, by the type of error it gave.
            # TYPE tailwater_output_refused_records_total counter
            tailwater_output_refused_records_total{name="es.0",type="mapper_parsing_exception"} 4 1002345
            tailwater_output_refused_records_total{name="es.0",type="strict_dynamic_mapping_exception"} 1 1002345
            # HELP tailwater_output_damaged_records_total Of the records dropped for good, those that lay in a damaged chunk on the disk.
            # TYPE tailwater_output_damaged_records_total counter
            tailwater_output_damaged_records_total{name="es.0"} 0 1002345
            tailwater_output_damaged_records_total{name="loki"} 0 1002345
            # HELP tailwater_output_duplicates_total Records that had arrived before, as their own id showed: lost answers, restarts.
            # HELP fluentbit_uptime Seconds since the start.
            # TYPE fluentbit_uptime counter
            fluentbit_uptime 2
            # HELP tailwater_storage_torn_files_total Files under `storage.path` whose end a crash had cut off, as the start found them; what they held is read again.
            # HELP tailwater_storage_corrupt_files_total Damaged files under `storage.path`, or of a version that is not known, that the start set aside.
            # HELP tailwater_storage_unclaimed_chunks Chunks under `storage.path` that belonged to no output at the start; they are kept.
            # HELP process_start_time_seconds Time of the start, in seconds since the epoch.
            # TYPE process_start_time_seconds gauge
            process_start_time_seconds 1000
            # HELP fluentbit_build_info The version of Fluent Bit that is stood in for.
            # TYPE fluentbit_build_info gauge
            fluentbit_build_info{version="5.1.1",edition="tailwater"} 1
            # HELP tailwater_build_info The version of tailwater.
            # TYPE tailwater_build_info gauge
            tailwater_build_info{version="0.1.0"} 1
        "##]].assert_eq(&text);
    }

    #[test]
    fn the_json() {
        let json = registry().json();
        assert_eq!(json["input"]["tail.0"]["records"], 2);
        assert_eq!(json["input"]["tail.0"]["files_opened"], 0);
        assert!(json["input"]["std\"in\\"].get("files_opened").is_none());
        assert_eq!(json["filter"]["grep.0"]["drop_records"], 3);
        assert_eq!(json["output"]["es.0"]["refused_records"], 5);
        assert_eq!(json["output"]["loki"]["retries_failed"], 5);
        assert_eq!(registry().failures(), (1, 5));
    }

    #[test]
    fn labels_are_bounded() {
        let family = Family::default();
        for number in 0..LABEL_COUNT_MAX as u64 * 2 {
            family.add(&number.to_string(), 1);
        }
        assert_eq!(family.counts().len(), LABEL_COUNT_MAX + 1);
        assert_eq!(family.counts()["other"], LABEL_COUNT_MAX as u64);
        assert_eq!(family.value(), LABEL_COUNT_MAX as u64 * 2);
    }

    /// Each row has a name of its own that Prometheus accepts, a text, and its line on the page.
    #[test]
    fn the_table_is_sound() {
        let mut registry = Registry::new(UNIX_EPOCH);
        for plugin in rows().flat_map(|row| row.plugins).collect::<HashSet<_>>() {
            registry.input("i", plugin);
            registry.filter("f", plugin).api_errors.add("x", 1);
        }
        registry.output("o", "es").refused_records.add("x", 1);
        let page = registry.prometheus(UNIX_EPOCH);
        let mut names = HashSet::new();
        for row in rows() {
            let Row { name, .. } = row;
            assert!(names.insert(name), "{name} is there twice");
            let own = ["fluentbit_", "tailwater_", "process_"];
            assert!(own.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            // Fluent Bit's names, which are what they are.
            let exempt = ["fluentbit_uptime", "fluentbit_hot_reloaded_times"];
            assert_eq!(
                name.ends_with("_total"),
                row.kind != Kind::Gauge && !exempt.contains(name),
                "{name}: a counter ends in `_total`, a gauge does not"
            );
            assert_eq!(row.kind == Kind::Family, row.label.is_some() && !row.key.is_empty());
            assert!(row.help().ends_with('.') && row.help().len() > 10, "{name} says nothing");
            let head =
                page.matches(&format!("# HELP {name} {}\n# TYPE {name} ", row.help())).count();
            assert_eq!(head, 1, "{name}");
            assert!(page.contains(&format!("\n{name}{{")) || page.contains(&format!("\n{name} ")));
        }
    }
}
