//! The log: to standard error or a file, in Fluent Bit's levels.

use super::progress::OverLine;
use crate::config::LogLevel;
use std::fs::File;
use tracing::error;
use tracing_subscriber::filter::LevelFilter;

/// Sends what the agent logs at this level and above to `file`, else to standard error. As in Fluent Bit, a file
/// that cannot be opened is an error in the log, not the end.
pub fn log(level: LogLevel, file: Option<&str>) {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_ansi(false);
    let open = |path| File::options().create(true).append(true).open(path);
    match file.map(open).transpose() {
        Ok(Some(file)) => log.with_writer(file).init(),
        Ok(None) => log.with_writer(|| OverLine).init(),
        Err(error) => {
            log.with_writer(|| OverLine).init();
            error!("cannot open the log file, logging to standard error: {error}");
        }
    }
}
