//! `[SERVICE]`: what holds for the whole agent.

use std::time::Duration;

use super::property::Repeated;
use super::value::{Limit, Size};
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
    /// When the storage is synced to the disk.
    pub enum StorageSync {
        /// A second after the first unsynced byte.
        Normal = "normal",
        /// Before a read counts as safe.
        Full = "full",
    }
}

choices! {
    /// Where an input's records wait.
    pub enum StorageType {
        /// In memory; the log file itself is the backlog.
        Memory = "memory",
        /// In files under `storage.path`.
        Filesystem = "filesystem",
        /// In a ring of memory that drops the oldest records.
        MemRb = "memrb",
    }
}

properties! {
    /// What holds for the whole agent.
    pub struct ServiceOptions for "SERVICE" as Common {
        /// Longest time a record waits before it is sent.
        flush: Duration ["Flush" = "1"],
        /// Time for sending what is left when the agent is told to stop.
        grace: Duration ["Grace" = "5"],
        /// What is logged.
        log_level: LogLevel ["Log_Level" = "info"],
        /// File to log to instead of standard error.
        log_file: Option<String> ["Log_File"],
        /// Files with `[PARSER]` and `[MULTILINE_PARSER]` sections.
        parsers_files: Repeated<String> ["Parsers_File"],
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
        /// Folder of everything that waits on disk.
        storage_path: Option<String> ["storage.path"],
        /// When the storage is synced.
        storage_sync: StorageSync ["storage.sync" = "normal"],
        /// Where inputs without a `storage.type` of their own let records wait, if
        /// `storage.inherit` says so.
        storage_type: Option<StorageType> ["storage.type"],
        /// Lets inputs take the `storage.type` of `SERVICE`.
        storage_inherit: bool ["storage.inherit" = "off"],
        /// Serves `/api/v1/storage`.
        storage_metrics: bool ["storage.metrics" = "on"],
        /// Memory for what waited on disk at the start.
        storage_backlog_mem_limit: Size ["storage.backlog.mem_limit" = "100M"],
        /// Keeps records that a destination refused for good.
        storage_keep_rejected: bool ["storage.keep.rejected" = "off"],
        /// Folder of refused records, below `storage.path`.
        storage_rejected_path: String ["storage.rejected.path" = "rejected"],
        /// Bytes of refused records to keep.
        storage_rejected_limit: Limit ["storage.rejected.limit"],
        /// Upper bound of one record joined from several lines.
        multiline_buffer_limit: Size ["multiline_buffer_limit" = "2MB"],
        /// Writes letters beyond ASCII as `\uXXXX` in JSON.
        json_escape_unicode: bool ["json.escape_unicode" = "on"],
        /// Reads the configuration again on SIGHUP and `/api/v2/reload`.
        hot_reload: bool ["Hot_Reload" = "off"],
        @accepted {
            "Daemon": "the agent stays in the foreground, where its supervisor sees it",
            "Streams_File": "there is no stream processor",
            "storage.checksum": "everything on disk has a checksum",
            "storage.backlog.flush_on_shutdown": "what waits on disk is sent after the next start",
            "storage.max_chunks_up": "chunks on disk are not mapped",
            "storage.delete_irrecoverable_chunks": "a corrupt chunk is kept and harms no other",
            "storage.trim_files": "chunks on disk have no slack",
            "dns.mode": "the system's resolver is asked",
            "dns.resolver": "the system's resolver is asked",
            "dns.prefer_ipv4": "set `net.dns.prefer_ipv4` at the output",
            "dns.prefer_ipv6": "set `net.dns.prefer_ipv6` at the output",
            "Coro_Stack_Size": "there are no coroutines",
            "json.convert_nan_to_null": "JSON has no NaN: it always becomes null",
            "sp.convert_from_str_to_num": "there is no stream processor",
            "Enable_Chunk_Trace": "there is no tap",
            "windows.maxstdio": "it is for Windows",
            "flush.adaptive": "a full chunk is sent at once",
            "flush.adaptive.*": "a full chunk is sent at once",
            "Hot_Reload.Ensure_Thread_Safety": "a reload always waits",
            "Hot_Reload.Timeout": "a reload always waits",
        }
        @refused {
            "Plugins_File": "shared libraries cannot be loaded",
            "security.fips_mode": "no validated cryptography is built in",
        }
    }
}
