//! `[SERVICE]`: what holds for the whole agent.

use std::path::{Component, Path};
use std::time::Duration;

use super::property::{Kind, Repeated};
use super::value::{BinarySize, Limit, Reading, TIME_MAX, Value, Within};
use super::{choices, properties};

choices! {
    /// What is logged: this and everything more important.
    pub enum LogLevel {
        /// What happens in the course of things.
        Info = "info",
        /// Nothing.
        Off = "off",
        /// What failed.
        Error = "error",
        /// What looks wrong.
        Warn = "warn" | "warning",
        /// What the agent decides.
        Debug = "debug",
        /// What the agent does, step by step.
        Trace = "trace",
    }
}

choices! {
    /// Where an input's records wait.
    pub enum StorageType {
        /// In memory; the log file itself is the backlog.
        Memory = "memory",
        /// In files under `storage.path`, which outlive the agent.
        Filesystem = "filesystem",
        /// In a ring of memory that drops the oldest records; taken as `memory`, with a warning.
        MemRb = "memrb",
    }
}

choices! {
    /// When what waits on disk is made to survive a power cut.
    pub enum StorageSync {
        /// A second after it was written, unless it is delivered by then.
        Normal = "normal",
        /// As soon as a chunk is ended.
        Full = "full",
    }
}

properties! {
    /// What holds for the whole agent.
    pub struct ServiceOptions for "SERVICE" as Common {
        /// Longest time a record waits before it is sent.
        flush: Duration ["Flush" = "1"],
        /// Time for sending what is left when the agent is told to stop; -1 for as long as it takes.
        grace: Grace ["Grace" = "5"],
        /// What is logged.
        log_level: LogLevel ["Log_Level" = "info"],
        /// File to log to instead of standard error.
        log_file: Option<String> ["Log_File"],
        /// Files with `[PARSER]` and `[MULTILINE_PARSER]` sections.
        parsers_files: Repeated<String> ["Parsers_File"],
        /// Files with `[PLUGINS]`: shared libraries, which cannot be loaded; a stock file names none.
        plugins_files: Repeated<String> ["Plugins_File"],
        /// Lets SIGHUP read the configuration again: if it is right, what was read is delivered, for up to `Grace`, and the
        /// new one goes on from the positions; if not, the log says why and the old one goes on.
        hot_reload: bool ["Hot_Reload" = "off"],
        /// Serves metrics and health over HTTP.
        http_server: bool ["HTTP_Server" = "off"],
        /// Address the HTTP server listens on.
        http_listen: String ["HTTP_Listen" = "0.0.0.0"],
        /// Port the HTTP server listens on.
        http_port: u16 ["HTTP_Port" = "2020"],
        /// Lets `/api/v1/health` judge errors and failed retries.
        health_check: bool ["Health_Check" = "off"],
        /// Errors within the period that mean unhealthy.
        hc_errors_count: u64 ["HC_Errors_Count" = "5"],
        /// Failed retries within the period that mean unhealthy.
        hc_retry_failure_count: u64 ["HC_Retry_Failure_Count" = "5"],
        /// Time over which errors and failed retries are counted.
        hc_period: Duration ["HC_Period" = "60"],
        /// Shortest pause before a retry.
        scheduler_base: Duration ["scheduler.base" = "5"],
        /// Longest pause before a retry.
        scheduler_cap: Duration ["scheduler.cap" = "2000"],
        /// Folder for what waits on disk: records of inputs with `storage.type filesystem`, and dead letters.
        storage_path: Option<String> ["storage.path"],
        /// Where records of inputs without a `storage.type` wait, with `storage.inherit`.
        storage_type: Option<StorageType> ["storage.type"],
        /// Whether `storage.type` of the service holds for inputs that have none.
        storage_inherit: bool ["storage.inherit" = "off"],
        /// When what waits on disk is made to survive a power cut: `normal`, a second after it was written unless
        /// it is delivered by then; `full`, as soon as a chunk is ended.
        storage_sync: StorageSync ["storage.sync" = "normal"],
        /// Whether what waits on disk has a checksum, so that damage is seen (Fluent Bit: off).
        storage_checksum: bool ["storage.checksum" = "on"],
        /// Chunks on disk that may lie in memory as well, so that they are not read back before they are sent.
        storage_max_chunks_up: u32 ["storage.max_chunks_up" = "128"],
        /// Whether a stop delivers what waits on disk, too, as far as `Grace` allows.
        storage_backlog_flush_on_shutdown: bool ["storage.backlog.flush_on_shutdown" = "off"],
        /// Whether damaged chunks are deleted instead of set aside in `corrupt/`.
        storage_delete_irrecoverable_chunks: bool ["storage.delete_irrecoverable_chunks" = "off"],
        /// Keeps what a store refuses for good, and what `Retry_Limit` gives up, under `storage.path`: `tailwater dead-letter` lists it and sends it again.
        keep_rejected: bool ["storage.keep.rejected" = "off"],
        /// Folder for that, within `storage.path`.
        rejected_path: RejectedPath ["storage.rejected.path" = "rejected"],
        /// Size of that folder at which the oldest of it is dropped; unset, there is no bound.
        rejected_limit: RejectedLimit ["storage.rejected.limit" = "off"],
        /// Writes letters beyond ASCII as `\u00e9` in the JSON of `file` and in the lines and metadata of `loki`; for
        /// who reads JSON, as all other outputs' readers do, it means the same.
        json_escape_unicode: bool ["json.escape_unicode" = "on"],
        /// The longest text that lines are joined to, in binary units: 1 K is 1,024 bytes. 0: 64 MB.
        multiline_buffer_limit: BinarySize ["multiline_buffer_limit" = "2MB"],
        @accepted {
            "Daemon": "the agent stays in the foreground, where its supervisor sees it",
            "storage.metrics": "there is no `/api/v1/storage` yet; `/api/v1/metrics` has its numbers",
            "storage.backlog.mem_limit": "old chunks are read one by one, when they are sent",
            "storage.trim_files": "a file is never longer than what is in it",
            "dns.mode": "the system's resolver is asked",
            "dns.resolver": "the system's resolver is asked",
            "dns.prefer_ipv4": "set `net.dns.prefer_ipv4` at the output",
            "dns.prefer_ipv6": "set `net.dns.prefer_ipv6` at the output",
            "Coro_Stack_Size" as Within<4_096, { u64::MAX }>: "there are no coroutines",
            "json.convert_nan_to_null": "JSON has no NaN: it always becomes null",
            "sp.convert_from_str_to_num": "there is no stream processor",
            "Enable_Chunk_Trace": "there is no tap",
            "windows.maxstdio": "it is for Windows",
            "flush.adaptive": "a full chunk is sent at once",
            "flush.adaptive.*": "a full chunk is sent at once",
            "Hot_Reload.Ensure_Thread_Safety": "nothing of the old configuration runs beside the new one",
            "Hot_Reload.Timeout": "a reload takes `Grace` at most, and the start that follows it",
        }
        @refused {
            "Streams_File": "there is no stream processor; use filters",
            "telemetry": "it is a map, in YAML, and has no effect",
            "telemetry.*": "it is a map, in YAML, and has no effect",
            "security.fips_mode": "no validated cryptography is built in",
        }
    }
}

/// How long the agent may take to stop; -1 for as long as it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace(pub Duration);

impl Value for Grace {
    const KIND: Kind = Kind::Time;

    fn read(text: &str) -> Reading<Self> {
        if text == "-1" { Reading::Clear(Self(TIME_MAX)) } else { Duration::read(text).map(Self) }
    }
}

/// `storage.rejected.limit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectedLimit(pub Limit);

impl Value for RejectedLimit {
    const KIND: Kind = Limit::KIND;

    /// What is no size does not keep Fluent Bit from starting; nothing is kept there then.
    fn read(text: &str) -> Reading<Self> {
        match Limit::read(text) {
            Reading::Bad(why) => {
                Reading::Guess(Self::default(), format!("{why}; taken as no limit"))
            }
            reading => reading.map(Self),
        }
    }
}

/// `storage.rejected.path`: a folder below `storage.path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPath(pub String);

impl Default for RejectedPath {
    fn default() -> Self {
        Self("rejected".to_owned())
    }
}

impl Value for RejectedPath {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Reading<Self> {
        let is_plain =
            Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
        let first = text.split('/').next().unwrap_or_default();
        // The last three are the buffer's own.
        if is_plain && !matches!(first, "" | "." | "open" | "out" | "corrupt") {
            return Reading::Clear(Self(text.to_owned()));
        }
        let why = "no name for a folder of its own in `storage.path`; taken as `rejected`";
        Reading::Guess(Self::default(), why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_have_a_folder_of_their_own() {
        for good in ["rejected", "dead/letters", "outer"] {
            assert!(matches!(RejectedPath::read(good), Reading::Clear(path) if path.0 == good));
        }
        for bad in ["", "/tmp", "..", "a/../..", "out", "open/x", "./open", "corrupt"] {
            let reading = RejectedPath::read(bad);
            assert!(matches!(reading, Reading::Guess(path, _) if path.0 == "rejected"), "{bad}");
        }
        assert!(
            matches!(RejectedLimit::read("1M"), Reading::Clear(limit) if limit.0.bytes() == Some(1_000_000))
        );
        assert!(
            matches!(RejectedLimit::read("much"), Reading::Guess(limit, _) if limit.0.bytes().is_none())
        );
    }
}
