//! What operators see of weir from outside: the log, and numbers for Prometheus.
//!
//! Invariant: SQL text, parameters and secrets are in neither.

mod metrics;

use std::io::{self, IsTerminal};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    fmt::MakeWriter,
    layer::{Filter, SubscriberExt},
    util::SubscriberInitExt,
};

pub use metrics::{ConnectionGuard, Door, Metrics, Outcome};

use crate::{
    config::{LogConfig, LogFormat, LogLevel},
    error::{Error, Result},
};

/// Starts the log, to the standard error output. Once in a process.
pub fn init(config: &LogConfig) -> Result<()> {
    let is_colourful = io::stderr().is_terminal();
    subscriber(config, io::stderr, is_colourful).try_init().map_err(Error::internal)
}

fn subscriber<W>(config: &LogConfig, writer: W, is_colourful: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = match config.format {
        LogFormat::Text => layer.with_ansi(is_colourful).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(config.level)))
}

/// Our own crates speak at the level that was asked for. Libraries may only warn: drivers and the
/// engine print SQL, parameters and plans when they debug.
fn filter<S>(level: LogLevel) -> impl Filter<S> + Send + Sync + 'static {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let theirs = ours.min(LevelFilter::WARN);
    let is_enabled = move |metadata: &Metadata<'_>| {
        // Compared whole: `tracing_subscriber`'s own targets would take `weird_library` for ours.
        let is_ours = match metadata.target().split("::").next() {
            Some(name) => ["weir", "weir_catalogs", "weir_udfs"].contains(&name),
            None => false,
        };
        *metadata.level() <= if is_ours { ours } else { theirs }
    };
    filter_fn(is_enabled).with_max_level_hint(ours)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let config = LogConfig { level, format };
        let subscriber = subscriber(&config, move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "weir::engine", "ours error");
            tracing::info!(target: "weir_catalogs::sql", catalog = "sales", "ours info");
            tracing::debug!(target: "weir", "ours debug");
            tracing::warn!(target: "hyper", "theirs warn");
            tracing::info!(target: "tokio_postgres::query", "theirs info");
            tracing::trace!(target: "weird_library", "theirs trace");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn libraries_may_only_warn() {
        for (level, expected) in [
            (LogLevel::Error, &["ours error"][..]),
            (LogLevel::Warn, &["ours error", "theirs warn"]),
            (LogLevel::Info, &["ours error", "ours info", "theirs warn"]),
            (LogLevel::Debug, &["ours error", "ours info", "ours debug", "theirs warn"]),
            (LogLevel::Trace, &["ours error", "ours info", "ours debug", "theirs warn"]),
        ] {
            let log = logged(level, LogFormat::Text);
            let lines: Vec<_> = log.lines().collect();
            assert_eq!(lines.len(), expected.len(), "{level:?}: {log}");
            for (line, message) in lines.iter().zip(expected) {
                assert!(line.contains(message), "{level:?}: {line}");
            }
        }
    }

    #[test]
    fn json_is_one_object_in_a_line() {
        let log = logged(LogLevel::Info, LogFormat::Json);
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["message"], "ours info");
        assert_eq!(lines[1]["catalog"], "sales");
        assert_eq!(lines[1]["level"], "INFO");
    }
}
