use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::error::ErrorKind;

/// Where queries come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    Postgres,
    Flight,
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Succeeded,
    /// The client's own doing, or what policy and limits forbid.
    Refused,
    Cancelled,
    /// A source's doing, or ours.
    Failed,
}

/// The numbers that `/metrics` shows. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

type Labels<const N: usize> = [(&'static str, &'static str); N];

struct Inner {
    registry: Registry,
    connections: Family<Labels<1>, Gauge>,
    queries: Family<Labels<2>, Counter>,
    query_seconds: Histogram,
    rows: Family<Labels<1>, Counter>,
    catalog_up: Family<[(&'static str, String); 1], Gauge>,
    memory_reserved: Gauge,
    policy_version: Gauge,
    policy_broken: Gauge,
}

/// An open connection: counted until it is dropped.
#[must_use]
pub struct ConnectionGuard(Gauge);

impl Door {
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Flight];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Flight => "flight",
        }
    }
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Refused, Self::Cancelled, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl From<ErrorKind> for Outcome {
    fn from(kind: ErrorKind) -> Self {
        use ErrorKind::*;
        match kind {
            Cancelled | ShuttingDown => Self::Cancelled,
            OutOfMemory | SourceUnavailable | SourceRejected | SourceValue | Config | Internal => {
                Self::Failed
            }
            Syntax
            | UndefinedTable
            | UndefinedColumn
            | UndefinedFunction
            | UndefinedObject
            | AmbiguousColumn
            | DuplicateObject
            | DatatypeMismatch
            | GroupingError
            | PermissionDenied
            | ReadOnly
            | InvalidPassword
            | InvalidAuthorization
            | NotSupported
            | TooManyConnections
            | RateLimited
            | ProgramLimitExceeded
            | ProtocolViolation
            | InvalidCatalog
            | InvalidSchema
            | InvalidStatementName
            | InvalidCursorName
            | InvalidSavepoint
            | DuplicateStatement
            | DuplicateCursor
            | InvalidCursorDefinition
            | InvalidColumnReference
            | UndefinedParameter
            | NotReady
            | ActiveTransaction
            | NoActiveTransaction
            | FailedTransaction
            | InvalidParameter
            | DataException
            | DivisionByZero
            | NumericOutOfRange
            | InvalidText
            | InvalidDatetime
            | InvalidEncoding
            | InvalidEscape
            | InvalidLogarithm
            | InvalidPower
            | InvalidPattern
            | CardinalityViolation => Self::Refused,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let connections = Family::<Labels<1>, Gauge>::default();
        let queries = Family::<Labels<2>, Counter>::default();
        // From 1 ms to 524 s, twofold.
        let query_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 20));
        let rows = Family::<Labels<1>, Counter>::default();
        let catalog_up = Family::default();
        let memory_reserved = Gauge::default();
        let policy_version = Gauge::default();
        let policy_broken = Gauge::default();
        registry.register("weir_connections", "Open connections", connections.clone());
        registry.register("weir_queries", "Queries that have ended", queries.clone());
        registry.register(
            "weir_query_seconds",
            "Time from a query's arrival to its last row",
            query_seconds.clone(),
        );
        registry.register("weir_rows", "Rows sent to clients", rows.clone());
        registry.register(
            "weir_catalog_up",
            "Whether the last refresh of a catalog succeeded",
            catalog_up.clone(),
        );
        registry.register(
            "weir_memory_reserved_bytes",
            "Memory that running queries have reserved",
            memory_reserved.clone(),
        );
        registry.register(
            "weir_policy_version",
            "The policy in force: 1 at the start, and one more with each reload",
            policy_version.clone(),
        );
        registry.register(
            "weir_policy_broken",
            "Whether the policy's files have a mistake, so that the policy before is in force",
            policy_broken.clone(),
        );
        registry.register_collector(Box::new(ResidentMemory));
        // Every series begins at 0, so that the first event already shows as a rise.
        for door in Door::ALL {
            drop(connections.get_or_create(&door_label(door)));
            drop(rows.get_or_create(&door_label(door)));
            for outcome in Outcome::ALL {
                drop(queries.get_or_create(&query_labels(door, outcome)));
            }
        }
        Self(Arc::new(Inner {
            registry,
            connections,
            queries,
            query_seconds,
            rows,
            catalog_up,
            memory_reserved,
            policy_version,
            policy_broken,
        }))
    }

    pub fn connection_opened(&self, door: Door) -> ConnectionGuard {
        let gauge = self.0.connections.get_or_create_owned(&door_label(door));
        gauge.inc();
        ConnectionGuard(gauge)
    }

    pub fn query_finished(&self, door: Door, outcome: Outcome, duration: Duration, rows: u64) {
        self.0.queries.get_or_create(&query_labels(door, outcome)).inc();
        self.0.query_seconds.observe(duration.as_secs_f64());
        self.0.rows.get_or_create(&door_label(door)).inc_by(rows);
    }

    pub fn set_catalog_up(&self, catalog: &str, is_up: bool) {
        self.0.catalog_up.get_or_create(&[("catalog", catalog.to_owned())]).set(i64::from(is_up));
    }

    pub fn set_memory_reserved(&self, bytes: u64) {
        self.0.memory_reserved.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub fn set_policy(&self, version: u64, is_broken: bool) {
        self.0.policy_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        self.0.policy_broken.set(i64::from(is_broken));
    }

    /// All numbers in the OpenMetrics text format, which Prometheus reads.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const fn door_label(door: Door) -> Labels<1> {
    [("door", door.as_str())]
}

const fn query_labels(door: Door, outcome: Outcome) -> Labels<2> {
    [("door", door.as_str()), ("outcome", outcome.as_str())]
}

/// Asks the system at each look; left out where the system does not say.
#[derive(Debug)]
struct ResidentMemory;

impl Collector for ResidentMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(bytes) = resident_memory_bytes() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let help = "Memory of this process that is in RAM";
        let metric = encoder.encode_descriptor(
            "process_resident_memory",
            help,
            Some(&Unit::Bytes),
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

fn resident_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_happens_is_counted() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        let first = metrics.connection_opened(Door::Postgres);
        let second = clone.connection_opened(Door::Postgres);
        drop(first);
        clone.query_finished(Door::Postgres, Outcome::Succeeded, Duration::from_millis(3), 40);
        metrics.query_finished(Door::Flight, ErrorKind::Syntax.into(), Duration::from_secs(2), 0);
        metrics.query_finished(Door::Postgres, Outcome::Succeeded, Duration::ZERO, 2);
        metrics.set_catalog_up("sales", false);
        metrics.set_catalog_up("lake", true);
        metrics.set_memory_reserved(u64::MAX);
        metrics.set_policy(3, true);
        let text = metrics.encode().unwrap();
        for line in [
            "weir_connections{door=\"postgres\"} 1",
            "weir_connections{door=\"flight\"} 0",
            "weir_queries_total{door=\"postgres\",outcome=\"succeeded\"} 2",
            "weir_queries_total{door=\"flight\",outcome=\"refused\"} 1",
            "weir_queries_total{door=\"flight\",outcome=\"failed\"} 0",
            "weir_query_seconds_count 3",
            "weir_query_seconds_bucket{le=\"0.004\"} 2",
            "weir_rows_total{door=\"postgres\"} 42",
            "weir_catalog_up{catalog=\"sales\"} 0",
            "weir_catalog_up{catalog=\"lake\"} 1",
            "weir_memory_reserved_bytes 9223372036854775807",
            "weir_policy_version 3",
            "weir_policy_broken 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(second);
        assert!(metrics.encode().unwrap().contains("weir_connections{door=\"postgres\"} 0\n"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_the_process_is_shown() {
        let text = Metrics::new().encode().unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(line.unwrap().parse::<u64>().unwrap() > 1 << 20);
    }
}
