//! The catalogue of plugins: name, kind and properties of each, filled by the plugins' modules.

use super::diagnostics::{Diagnostics, Finding, Location, Severity, finding};
use super::near::nearest;
use super::property::Property;
use super::section::Section;

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// Brings records in.
    Input,
    /// Changes or drops records.
    Filter,
    /// Ships records.
    Output,
}

impl PluginKind {
    /// How the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Filter => "filter",
            Self::Output => "output",
        }
    }
}

/// Whether `net.*` and `tls.*` mean something to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// It opens no connection.
    Local,
    /// It speaks over the network.
    Network,
}

/// A plugin, as the configuration and the help see it. The plugin's module writes it down beside
/// its options:
///
/// ```text
/// pub static TAIL: Plugin = Plugin {
///     name: TailOptions::NAME,
///     kind: PluginKind::Input,
///     doc: TailOptions::DOC,
///     properties: TailOptions::PROPERTIES,
///     transport: Transport::Local,
///     check: TailOptions::check,
/// };
/// ```
#[derive(Debug)]
pub struct Plugin {
    /// Its `Name`.
    pub name: &'static str,
    /// What it does.
    pub kind: PluginKind,
    /// What it is for, in one sentence: the `DOC` of its options.
    pub doc: &'static str,
    /// The `PROPERTIES` of its options.
    pub properties: &'static [Property],
    /// Whether it speaks over the network.
    pub transport: Transport,
    /// The `check` of its options, or more: reads a section for the reports alone.
    pub check: fn(&mut Section, &mut Diagnostics),
}

/// Every plugin there is.
#[derive(Clone, Copy, Debug)]
pub struct Catalog(pub &'static [&'static Plugin]);

impl Catalog {
    /// The plugin of that kind and name, letter case aside; else why there is none.
    pub fn find(
        self,
        kind: PluginKind,
        name: &str,
        location: &Location,
    ) -> Result<&'static Plugin, Finding> {
        let of_kind = || self.0.iter().filter(|plugin| plugin.kind == kind);
        if let Some(plugin) = of_kind().find(|plugin| plugin.name.eq_ignore_ascii_case(name)) {
            return Ok(plugin);
        }
        let is = |row: &&Foreign| row.kind == kind && row.name.eq_ignore_ascii_case(name);
        if let Some(foreign) = FOREIGN.iter().find(is) {
            let message = format!("{} `{}` is not supported yet", kind.name(), foreign.name);
            return Err(finding(Severity::Error, location, message).with_remedy(foreign.remedy));
        }
        let message = format!("there is no {} `{name}`", kind.name());
        let found = finding(Severity::Error, location, message);
        Err(match nearest(name, of_kind().map(|plugin| plugin.name)) {
            Some(near) => found.with_remedy(format!("did you mean `{near}`?")),
            None => found,
        })
    }

    /// The plugins of one kind, in the catalogue's order.
    pub fn of_kind(self, kind: PluginKind) -> impl Iterator<Item = &'static Plugin> {
        self.0.iter().copied().filter(move |plugin| plugin.kind == kind)
    }

    /// The plugins of that name, of whatever kind.
    pub fn named(self, name: &str) -> impl Iterator<Item = &'static Plugin> {
        self.0.iter().copied().filter(move |plugin| plugin.name.eq_ignore_ascii_case(name))
    }
}

/// A plugin that Fluent Bit has; consulted only for names the catalogue does not know.
struct Foreign {
    kind: PluginKind,
    name: &'static str,
    remedy: &'static str,
}

/// Makes the rows of plugins of one kind.
macro_rules! foreign {
    ($($kind:ident { $($name:literal : $remedy:expr),* $(,)? })*) => {
        &[$($(Foreign { kind: PluginKind::$kind, name: $name, remedy: $remedy },)*)*]
    };
}

const KEEP: &str = "keep Fluent Bit for this one";
const METRICS: &str = "tailwater ships logs; scrape metrics with Prometheus";
const VIA_HTTP: &str = "ship to a store that is supported, or keep Fluent Bit for this one";

/// What Fluent Bit 5.1 has and what could stand in.
const FOREIGN: &[Foreign] = foreign! {
    Input {
        "forward": "let the sender write files and `tail` them",
        "http": "let the sender write files and `tail` them",
        "opentelemetry": "let the sender write files and `tail` them",
        "syslog": "let the syslog daemon write files and `tail` them",
        "tcp": "pipe into `stdin`, or write files and `tail` them",
        "udp": "pipe into `stdin`, or write files and `tail` them",
        "unix_socket": "pipe into `stdin`, or write files and `tail` them",
        "head": "use `tail` with `Read_from_Head on`",
        "exec": "pipe the command into `stdin`",
        "kmsg": "use `systemd` with `Systemd_Filter _TRANSPORT=kernel`",
        "kubernetes_events": KEEP, "docker_events": KEEP, "elasticsearch": KEEP, "splunk": KEEP,
        "kafka": KEEP, "mqtt": KEEP, "serial": KEEP, "random": "use `dummy`", "blob": KEEP,
        "ebpf": KEEP, "exec_wasi": KEEP, "winlog": KEEP, "winevtlog": KEEP, "winstat": KEEP,
        "event_tracing_windows": KEEP, "lib": "it is for programs that embed Fluent Bit",
        "event_test": "use `dummy`", "event_type": "use `dummy`", "calyptia_fleet": KEEP,
        "fluentbit_logs": "the agent logs to standard error",
        "cpu": METRICS, "mem": METRICS, "disk": METRICS, "netif": METRICS, "proc": METRICS,
        "health": METRICS, "thermal": METRICS, "docker": METRICS, "collectd": METRICS,
        "statsd": METRICS, "node_exporter_metrics": METRICS, "podman_metrics": METRICS,
        "process_exporter_metrics": METRICS, "nginx_metrics": METRICS, "gpu_metrics": METRICS,
        "windows_exporter_metrics": METRICS, "prometheus_scrape": METRICS,
        "prometheus_textfile": METRICS, "prometheus_remote_write": METRICS,
        "fluentbit_metrics": "scrape `/api/v1/metrics/prometheus`",
    }
    Filter {
        "multiline": KEEP,
        "throttle": KEEP,
        "rewrite_tag": KEEP,
        "lua": "use `modify`, `grep` and `parser`",
        "type_converter": KEEP, "expect": KEEP, "stdout": "use the output `stdout`",
        "geoip2": KEEP, "aws": KEEP, "ecs": KEEP, "alter_size": KEEP, "checklist": KEEP,
        "log_to_metrics": METRICS, "nightfall": KEEP, "sysinfo": KEEP, "tensorflow": KEEP,
        "throttle_size": KEEP, "wasm": KEEP,
    }
    Output {
        "http": VIA_HTTP,
        "forward": VIA_HTTP,
        "opentelemetry": VIA_HTTP,
        "counter": "count with `/api/v1/metrics`", "flowcounter": "count with `/api/v1/metrics`",
        "tcp": VIA_HTTP, "udp": VIA_HTTP, "syslog": VIA_HTTP, "gelf": VIA_HTTP, "kafka": VIA_HTTP,
        "kafka-rest": VIA_HTTP, "splunk": VIA_HTTP, "s3": VIA_HTTP, "gcs": VIA_HTTP,
        "cloudwatch_logs": VIA_HTTP, "kinesis_firehose": VIA_HTTP, "kinesis_streams": VIA_HTTP,
        "stackdriver": VIA_HTTP, "bigquery": VIA_HTTP, "datadog": VIA_HTTP, "nrlogs": VIA_HTTP,
        "logdna": VIA_HTTP, "azure": VIA_HTTP, "azure_blob": VIA_HTTP, "azure_kusto": VIA_HTTP,
        "azure_logs_ingestion": VIA_HTTP, "chronicle": VIA_HTTP, "influxdb": VIA_HTTP,
        "nats": VIA_HTTP, "pgsql": VIA_HTTP, "plot": VIA_HTTP, "skywalking": VIA_HTTP,
        "slack": VIA_HTTP, "td": VIA_HTTP, "websocket": VIA_HTTP, "vivo_exporter": VIA_HTTP,
        "oracle_log_analytics": VIA_HTTP, "calyptia": VIA_HTTP, "exit": KEEP, "retry": KEEP,
        "lib": "it is for programs that embed Fluent Bit",
        "prometheus_exporter": METRICS, "prometheus_remote_write": METRICS,
    }
};
