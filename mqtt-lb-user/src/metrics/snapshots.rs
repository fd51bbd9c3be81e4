//! Metrics of stick tables on disk; a pool without a snapshot has no series.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// Seconds.
type Seconds = Gauge<f64, AtomicU64>;

/// `{pool}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: String,
}

/// `{pool,reason}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkippedLabels {
    pool: String,
    /// `expired`, `backend` or `full`.
    reason: &'static str,
}

/// `{pool,operation}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    pool: String,
    /// `write` or `load`.
    operation: &'static str,
}

/// The families, one series per pool and what else distinguishes them.
#[derive(Clone)]
pub(super) struct Snapshots {
    written: Family<PoolLabels, Gauge>,
    loaded: Family<PoolLabels, Gauge>,
    skipped: Family<SkippedLabels, Gauge>,
    bytes: Family<PoolLabels, Gauge>,
    timestamp: Family<PoolLabels, Seconds>,
    seconds: Family<OperationLabels, Seconds>,
    longest_hold: Family<PoolLabels, Seconds>,
    failures: Family<OperationLabels, Counter>,
}

/// Metrics of one pool's snapshot.
pub struct SnapshotMetrics {
    /// Entries in the last snapshot.
    pub written: Gauge,
    /// Entries taken over at the start.
    pub loaded: Gauge,
    /// Entries not taken over: expired.
    pub skipped_expired: Gauge,
    /// Entries not taken over: their backend is not in the configuration.
    pub skipped_backend: Gauge,
    /// Entries not taken over: the table has no room.
    pub skipped_full: Gauge,
    /// Bytes of the last snapshot.
    pub bytes: Gauge,
    /// When the last snapshot was written, in seconds since 1970.
    pub timestamp: Seconds,
    /// Time the last snapshot took to write.
    pub write_seconds: Seconds,
    /// Time the snapshot took to load.
    pub load_seconds: Seconds,
    /// Longest time that the last snapshot held the table.
    pub longest_hold: Seconds,
    /// Snapshots that could not be written.
    pub write_failures: Counter,
    /// Snapshots that could not be loaded.
    pub load_failures: Counter,
}

impl Snapshots {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            written: add(
                r,
                "stick_snapshot_written_entries",
                "Entries in the last snapshot",
            ),
            loaded: add(
                r,
                "stick_snapshot_loaded_entries",
                "Entries taken over at the start",
            ),
            skipped: add(
                r,
                "stick_snapshot_skipped_entries",
                "Entries not taken over at the start",
            ),
            bytes: add(r, "stick_snapshot_bytes", "Size of the last snapshot"),
            timestamp: add(
                r,
                "stick_snapshot_timestamp_seconds",
                "When the last snapshot was written",
            ),
            seconds: add(r, "stick_snapshot_seconds", "Time the last snapshot took"),
            longest_hold: add(
                r,
                "stick_snapshot_longest_hold_seconds",
                "Longest time that the last snapshot held the table",
            ),
            failures: add(r, "stick_snapshot_failures", "Snapshots that failed"),
        }
    }

    pub(super) fn pool(&self, pool: &str) -> SnapshotMetrics {
        let pool = pool.to_owned();
        let labels = PoolLabels { pool: pool.clone() };
        let skipped = |reason| {
            let pool = pool.clone();
            let labels = SkippedLabels { pool, reason };
            self.skipped.get_or_create_owned(&labels)
        };
        let operation = |operation| OperationLabels {
            pool: pool.clone(),
            operation,
        };
        SnapshotMetrics {
            written: self.written.get_or_create_owned(&labels),
            loaded: self.loaded.get_or_create_owned(&labels),
            skipped_expired: skipped("expired"),
            skipped_backend: skipped("backend"),
            skipped_full: skipped("full"),
            bytes: self.bytes.get_or_create_owned(&labels),
            timestamp: self.timestamp.get_or_create_owned(&labels),
            write_seconds: self.seconds.get_or_create_owned(&operation("write")),
            load_seconds: self.seconds.get_or_create_owned(&operation("load")),
            longest_hold: self.longest_hold.get_or_create_owned(&labels),
            write_failures: self.failures.get_or_create_owned(&operation("write")),
            load_failures: self.failures.get_or_create_owned(&operation("load")),
        }
    }
}
