//! The log: to standard error or a file, in Fluent Bit's levels.

use crate::config::LogLevel;
use std::fs::File;
use std::io;
use tracing_subscriber::filter::LevelFilter;

/// Sends what the agent logs at this level and above to `file`, else to standard error.
pub fn log(level: LogLevel, file: Option<&str>) -> io::Result<()> {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_ansi(false);
    match file {
        Some(path) => log.with_writer(File::options().create(true).append(true).open(path)?).init(),
        None => log.with_writer(io::stderr).init(),
    }
    Ok(())
}
