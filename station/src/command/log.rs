//! Logs: to standard error as far as `-v` asks, and to files in the home for people who look for a fault. Never a secret.

use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::home;

/// The target of what a command's sink tells as well.
pub(super) const TOLD: &str = "keyline_station::told";

/// Starts logging for this process; a second start changes nothing. Where the home's log can't be written, the line runs without it.
pub fn start(verbose: u8, home: Option<&Path>) {
    let level = match verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // What libraries say at these levels is about themselves; the databases would even repeat their values.
    let own = |level: LevelFilter, told: LevelFilter| {
        EnvFilter::builder()
            .with_default_directive(LevelFilter::ERROR.into())
            .parse_lossy(format!(
                "error,keyline_station={level},{TOLD}={told},keyline_virtual_unit={level},sqlx=off"
            ))
    };
    // Errors of a command are told by its sink: here they would stand a second time.
    let to_people = (verbose > 0).then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .with_filter(own(level, LevelFilter::OFF))
    });
    let to_file = home.and_then(files).map(|files| {
        tracing_subscriber::fmt::layer()
            .json()
            .with_writer(files)
            .with_filter(own(LevelFilter::INFO, LevelFilter::INFO))
    });
    // Somebody else, such as a test, may have started logging before.
    let _ = tracing_subscriber::registry()
        .with(to_people)
        .with(to_file)
        .try_init();
}

/// One file a day, so many of them; the process's umask keeps them private.
fn files(home: &Path) -> Option<RollingFileAppender> {
    let config = home::read_config(home).ok()?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("keyline")
        .filename_suffix("jsonl")
        .max_log_files(config.log.days)
        .build(super::run::log_directory(home))
        .ok()
}
