//! Keys that every input, filter or output shares, and a configured plugin with its own.

use super::diagnostics::{Diagnostics, Location};
use super::network::{NetOptions, TlsOptions};
use super::plugin::Plugin;
use super::properties;
use super::property::{Kind, Located};
use super::section::Section;
use super::service::{LogLevel, ServiceOptions, StorageType};
use super::value::{Limit, Reading, Size, Value, Verbatim, Within};

properties! {
    /// What every input can be told.
    pub struct InputCommon for "input" as Common {
        /// Tag of the records; unset, the instance's name.
        tag: Option<String> ["Tag"],
        /// Name of the instance in logs and metrics.
        alias: Option<String> ["Alias"],
        /// Memory that waiting records may take before the input pauses; 0 leaves it to the agent.
        mem_buf_limit: Size ["Mem_Buf_Limit" = "0"],
        /// Where records wait: in memory, or on disk under `storage.path`.
        storage_type: Option<StorageType> ["storage.type"],
        /// Whether the records go to outputs at all; `off` is refused.
        routable: bool ["routable" = "on"],
        @accepted {
            "Log_Level" as LogLevel: "one level holds for all: set it in `[SERVICE]`",
            "Log_Suppress_Interval": "what repeats is always logged once in a while only",
            "IPv6": "both versions are used",
            "storage.pause_on_chunks_overlimit" as bool: "an input pauses at its `Mem_Buf_Limit`",
            "Listen": "no input listens yet",
            "Host": "no input connects or listens yet",
            "Port": "no input connects or listens yet",
            "threaded" as bool: "one thread reads for all inputs, and none of them waits",
            "thread.ring_buffer.capacity" as Within<1, { u64::MAX }>: "there is no ring between threads",
            "thread.ring_buffer.window" as Within<1, 100>: "there is no ring between threads",
            "oauth2.*": "it is for inputs that listen",
            "rate_window" as Within<1, { u64::MAX }>: "metrics have no window",
        }
        @refused {
            "rate_gate": "there is no limit of records per second yet",
            "rate_gate.*": "there is no limit of records per second yet",
            "processors": "use filters",
        }
    }
}

impl InputCommon {
    /// Where its records wait, with what the service says for inputs that say nothing.
    pub fn storage_type(&self, service: &ServiceOptions) -> StorageType {
        let inherited = service.storage_type.filter(|_| service.storage_inherit);
        self.storage_type.or(inherited).unwrap_or(StorageType::Memory)
    }
}

properties! {
    /// What every filter can be told.
    pub struct FilterCommon for "filter" as Common {
        /// Tags of the records it sees, with `*` for anything.
        pattern: Option<String> ["Match"],
        /// Tags of the records it sees, as a regular expression.
        pattern_regex: Option<Located<Verbatim>> ["Match_Regex"],
        /// Name of the instance in logs and metrics.
        alias: Option<String> ["Alias"],
        @accepted {
            "Log_Level" as LogLevel: "one level holds for all: set it in `[SERVICE]`",
            "Log_Suppress_Interval": "what repeats is always logged once in a while only",
        }
    }
}

properties! {
    /// What every output can be told.
    pub struct OutputCommon for "output" as Common {
        /// Tags of the records it ships, with `*` for anything.
        pattern: Option<String> ["Match"],
        /// Tags of the records it ships, as a regular expression.
        pattern_regex: Option<Located<Verbatim>> ["Match_Regex"],
        /// Name of the instance in logs, metrics and the storage.
        alias: Option<String> ["Alias"],
        /// Failures after which a chunk is given up: a number, `no_limits` or `no_retries`.
        retry_limit: RetryLimit ["Retry_Limit" = "no_limits"],
        /// Bytes that may wait on disk for this output: beyond, the oldest chunks are dropped and counted.
        storage_total_limit_size: Limit ["storage.total_limit_size" = "off"],
        /// Host to ship to.
        host: Option<String> ["Host"],
        /// Port to ship to.
        port: Option<u16> ["Port"],
        @accepted {
            "Log_Level" as LogLevel: "one level holds for all: set it in `[SERVICE]`",
            "Log_Suppress_Interval": "what repeats is always logged once in a while only",
            "IPv6": "both versions are used",
            "Workers": "one thread sends for all outputs, several requests at once",
            "_debug.http.*": "requests are logged at `Log_Level trace`, without their content",
        }
        @refused {
            "oauth2.*": "there is no OAuth2 yet",
            "processors": "use filters",
        }
    }
}

/// Failures of one chunk before it is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryLimit {
    /// It is tried until it is shipped.
    #[default]
    Unlimited,
    /// It is tried once.
    Never,
    /// It is tried again so often.
    Retries(u32),
}

impl Value for RetryLimit {
    const KIND: Kind = Kind::Choice(&["no_limits", "no_retries", "1, 2, 3 …"]);

    /// What is neither a word nor above zero means 1, as in Fluent Bit.
    fn read(text: &str) -> Reading<Self> {
        let is = |word: &&str| text.eq_ignore_ascii_case(word);
        if ["no_limits", "false", "off"].iter().any(is) {
            return Reading::Clear(Self::Unlimited);
        }
        if is(&"no_retries") {
            return Reading::Clear(Self::Never);
        }
        match u32::read(text) {
            Reading::Clear(count) if count > 0 => Reading::Clear(Self::Retries(count)),
            Reading::Guess(count, why) if count > 0 => Reading::Guess(Self::Retries(count), why),
            _ => Reading::Guess(
                Self::Retries(1),
                "neither a number above 0, `no_limits` nor `no_retries`; taken as 1".to_owned(),
            ),
        }
    }
}

/// A configured plugin: what it shares with others, read, and its own section, to be read by it.
#[derive(Clone, Debug)]
pub struct Instance<C> {
    /// Which plugin.
    pub plugin: &'static Plugin,
    /// Its alias, else plugin and number among the instances of that plugin: `tail.0`.
    pub name: String,
    /// Where its section begins.
    pub location: Location,
    /// What all plugins of the kind can be told.
    pub common: C,
    /// How it connects; the defaults for plugins that open no connection.
    pub net: NetOptions,
    /// How it encrypts; the defaults for plugins that open no connection.
    pub tls: TlsOptions,
    /// All its entries. They were checked: reading the plugin's options again reports nothing
    /// that is new.
    pub section: Section,
}

impl<C> Instance<C> {
    /// The plugin's own options, by their `read`. Problems were reported when the model was
    /// loaded and are not reported again.
    pub fn options<T>(&self, read: fn(&mut Section, &mut Diagnostics) -> T) -> T {
        read(&mut self.section.clone(), &mut Diagnostics::new())
    }
}
