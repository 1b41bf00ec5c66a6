//! `[SERVICE]`: what holds for the whole agent.

use std::time::Duration;

use super::property::{Kind, Repeated};
use super::value::{Reading, TIME_MAX, Value, Within};
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
        /// In files under `storage.path`; taken as `memory`, with a warning.
        Filesystem = "filesystem",
        /// In a ring of memory that drops the oldest records; taken as `memory`, with a warning.
        MemRb = "memrb",
    }
}

choices! {
    /// When what waits on disk is there for good.
    pub(super) enum StorageSync {
        /// When the system finds the time.
        Normal = "normal",
        /// At once.
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
        /// Folder for an input's `storage.type filesystem`, which needs one, but is taken as `memory` so far.
        storage_path: Option<String> ["storage.path"],
        /// Writes letters beyond ASCII as `\u00e9` in the JSON of `file` and in the lines and metadata of `loki`; for
        /// who reads JSON, as all other outputs' readers do, it means the same.
        json_escape_unicode: bool ["json.escape_unicode" = "on"],
        @accepted {
            "Daemon": "the agent stays in the foreground, where its supervisor sees it",
            "storage.type": "records wait in memory, and in the files they come from",
            "storage.inherit": "records wait in memory, and in the files they come from",
            "storage.sync" as StorageSync: "nothing waits on disk yet",
            "storage.metrics": "there is no `/api/v1/storage` yet; `/api/v1/metrics` has its numbers",
            "storage.checksum": "nothing waits on disk yet",
            "storage.backlog.mem_limit": "nothing waits on disk yet",
            "storage.backlog.flush_on_shutdown": "nothing waits on disk yet",
            "storage.max_chunks_up": "nothing waits on disk yet",
            "storage.delete_irrecoverable_chunks": "nothing waits on disk yet",
            "storage.trim_files": "nothing waits on disk yet",
            "storage.keep.rejected": "what a store refuses for good is counted and dropped",
            "storage.rejected.path": "what a store refuses for good is counted and dropped",
            "storage.rejected.limit": "what a store refuses for good is counted and dropped",
            "multiline_buffer_limit": "lines are not joined yet",
            "Hot_Reload": "start it anew: with a `DB`, nothing is lost",
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
            "Hot_Reload.Ensure_Thread_Safety": "there is no reload",
            "Hot_Reload.Timeout": "there is no reload",
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
