//! Every metric of the program, in one place. Never a client id as a label.

mod handles;
mod ids;
mod labels;
mod share;
mod snapshots;

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use handles::{
    BackendMetrics, ListenerMetrics, PathMetrics, PoolMetrics, QueueMetrics, path_name, sticky_name,
};
pub use ids::{IdFamilies, IdMetrics};
pub use labels::{
    BackendErrorLabels, BackendLabels, DirectionLabels, FailoverLabels, ListenerLabels, PathLabels,
    PathReasonLabels, PoolLabels, QueueLabels, RefusedLabels, ResultLabels, RoutedLabels,
    StickyLabels,
};
pub use share::SharePoolMetrics;
pub use snapshots::SnapshotMetrics;

/// Bounds of `mqttlb_splice_handover_seconds`: around the tens of microseconds that it takes.
const HANDOVER: [f64; 12] = [
    5e-6, 10e-6, 15e-6, 20e-6, 30e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 50e-3,
];

/// Bounds of `mqttlb_queue_wait_seconds`: up to the timeout, which may be an hour.
const QUEUE_WAIT: [f64; 12] = [
    1e-3, 5e-3, 20e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0,
];

/// A histogram per pool.
type PoolHistogram = Family<PoolLabels, Histogram, fn() -> Histogram>;

/// All metrics, shared by every thread.
///
/// A place that counts often takes its handle once ([`Metrics::listener`],
/// [`Metrics::pool`], [`Metrics::backend`], [`Metrics::path`]).
pub struct Metrics {
    /// `mqttlb_connections_total{listener}`: connections accepted.
    pub accepted: Family<ListenerLabels, Counter>,
    /// `mqttlb_open_connections{listener}`: connections open now.
    pub connections: Family<ListenerLabels, Gauge>,
    /// `mqttlb_pending_connections{listener}`: connections without a whole CONNECT.
    pub pending: Family<ListenerLabels, Gauge>,
    /// `mqttlb_refused_total{listener,reason}`: connections refused, by reason.
    pub refused: Family<RefusedLabels, Counter>,
    /// `mqttlb_routed_total{listener,pool}`: CONNECTs by the pool they belong to.
    pub routed: Family<RoutedLabels, Counter>,
    /// `mqttlb_sessions_total{pool,backend}`: flows that reached a backend.
    pub sessions: Family<BackendLabels, Counter>,
    /// `mqttlb_backend_connections{pool,backend}`: flows on a backend now.
    pub backend_connections: Family<BackendLabels, Gauge>,
    /// `mqttlb_backend_errors_total{pool,backend,reason}`: failed tries to reach a backend.
    pub backend_errors: Family<BackendErrorLabels, Counter>,
    /// `mqttlb_backend_up{pool,backend}`: 1 when new clients may go there.
    pub backend_up: Family<BackendLabels, Gauge>,
    /// `mqttlb_backend_full_total{pool,backend}`: clients that found a backend full.
    pub backend_full: Family<BackendLabels, Counter>,
    /// `mqttlb_queue_clients{pool}`: clients that wait for a place on a backend.
    pub queue_clients: Family<PoolLabels, Gauge>,
    /// `mqttlb_queue_total{pool,result}`: served, timeout, left, full.
    pub queue: Family<QueueLabels, Counter>,
    /// `mqttlb_queue_wait_seconds{pool}`: how long clients have waited for a place.
    pub queue_wait: PoolHistogram,
    /// `mqttlb_sticky_total{pool,result}`: hit, new, moved, returned, none.
    pub sticky: Family<StickyLabels, Counter>,
    /// `mqttlb_assigned_ids_total{pool}`: ids given by brokers that a table learned.
    pub assigned: Family<PoolLabels, Counter>,
    /// `mqttlb_failover_total{pool,result}`: CONNECTs by what became of their failover.
    pub failover: Family<FailoverLabels, Counter>,
    /// Takeovers, flapping ids, refused CONNACKs, keepalives, times to CONNACK.
    pub ids: IdFamilies,
    snapshots: snapshots::Snapshots,
    /// `mqttlb_bytes_total{direction}`: bytes forwarded.
    pub bytes: Bytes,
    /// `mqttlb_datapath_flows{path}`: flows on each data path now.
    pub path_flows: Family<PathLabels, Gauge>,
    /// `mqttlb_datapath_moves_total{path,reason}`: moves onto a path.
    pub path_moves: Family<PathReasonLabels, Counter>,
    /// `mqttlb_datapath_refused_total{path,reason}`: hand-overs refused.
    pub path_refused: Family<PathReasonLabels, Counter>,
    /// `mqttlb_datapath_available{path}`: 1 when this host can run the path.
    pub path_available: Family<PathLabels, Gauge>,
    /// `mqttlb_splice_handover_seconds`: time that a flow's packets were held back while
    /// it was handed over to the kernel for good.
    pub handover: Histogram,
    /// `mqttlb_splice_sweep_seconds`: time the last look at all spliced flows took.
    pub sweep: Gauge<f64, AtomicU64>,
    /// `mqttlb_buffered_bytes`: bytes of clients and brokers held in userspace.
    pub buffered: Gauge,
    /// `mqttlb_share_connected`: 1 while the Redis of `[share]` answers.
    pub share_connected: Gauge,
    /// `mqttlb_share_synced{pool}`: 1 when table and Redis have been reconciled since the
    /// last connect.
    pub share_synced: Family<PoolLabels, Gauge>,
    /// `mqttlb_share_queue{pool}`: keys and clears that wait for Redis.
    pub share_queue: Family<PoolLabels, Gauge>,
    /// `mqttlb_share_dropped_total{pool}`: changes that did not fit into the queue.
    pub share_dropped: Family<PoolLabels, Counter>,
    /// `mqttlb_share_sent_total{pool}`: changes that Redis has taken.
    pub share_sent: Family<PoolLabels, Counter>,
    /// `mqttlb_share_received_total{pool,result}`: what Redis had to say, by what became of it.
    pub share_received: Family<StickyLabels, Counter>,
    /// `mqttlb_config_reloads_total{result}`: configurations read again.
    pub reloads: Reloads,
    registry: Registry,
}

/// `mqttlb_bytes_total`, by direction.
pub struct Bytes {
    /// Client to broker, without the PROXY header.
    pub up: Counter,
    /// Broker to client.
    pub down: Counter,
}

/// `mqttlb_config_reloads_total`, by result.
pub struct Reloads {
    /// The new configuration runs.
    pub ok: Counter,
    /// The new configuration was refused, the old one runs on.
    pub refused: Counter,
}

impl Metrics {
    /// All metrics at zero, without series of listeners, pools and backends.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("mqttlb");
        let r = &mut registry;
        let bytes: Family<DirectionLabels, Counter> =
            add(r, "bytes", "Bytes forwarded, up = client to broker");
        let reloads: Family<ResultLabels, Counter> =
            add(r, "config_reloads", "Configurations read again");
        Self {
            accepted: add(r, "connections", "Connections accepted"),
            connections: add(r, "open_connections", "Connections open now"),
            pending: add(
                r,
                "pending_connections",
                "Connections without a whole CONNECT",
            ),
            refused: add(r, "refused", "Connections refused"),
            routed: add(r, "routed", "CONNECTs by the pool they belong to"),
            sessions: add(r, "sessions", "Flows that reached a backend"),
            backend_connections: add(r, "backend_connections", "Flows on the backend now"),
            backend_errors: add(r, "backend_errors", "Failed tries to reach the backend"),
            backend_up: add(r, "backend_up", "1 when new clients may go to the backend"),
            backend_full: add(r, "backend_full", "Clients that found the backend full"),
            queue_clients: add(r, "queue_clients", "Clients that wait for a place"),
            queue: add(r, "queue", "Clients that waited, by what became of it"),
            queue_wait: {
                let metric = PoolHistogram::new_with_constructor(|| Histogram::new(QUEUE_WAIT));
                let help = "Time that clients have waited for a place";
                r.register("queue_wait_seconds", help, metric.clone());
                metric
            },
            sticky: add(r, "sticky", "Clients by what the stick table answered"),
            assigned: add(
                r,
                "assigned_ids",
                "Client ids given by brokers that the stick table learned",
            ),
            failover: add(
                r,
                "failover",
                "CONNECTs sent on to another backend, or too long for it",
            ),
            ids: IdFamilies::new(r),
            snapshots: snapshots::Snapshots::new(r),
            bytes: Bytes {
                up: bytes.get_or_create_owned(&DirectionLabels { direction: "up" }),
                down: bytes.get_or_create_owned(&DirectionLabels { direction: "down" }),
            },
            path_flows: add(r, "datapath_flows", "Flows on the data path now"),
            path_moves: add(r, "datapath_moves", "Moves of a flow onto the data path"),
            path_refused: add(r, "datapath_refused", "Hand-overs to the data path refused"),
            path_available: add(r, "datapath_available", "1 when this host can run the path"),
            handover: histogram(
                r,
                "splice_handover_seconds",
                "Time that packets were held back while a flow was spliced",
                HANDOVER,
            ),
            sweep: add(
                r,
                "splice_sweep_seconds",
                "Time the last look at all spliced flows took",
            ),
            buffered: add(r, "buffered_bytes", "Bytes of flows held in userspace"),
            share_connected: add(r, "share_connected", "1 while the Redis of [share] answers"),
            share_synced: add(
                r,
                "share_synced",
                "1 when the stick table and Redis have been reconciled",
            ),
            share_queue: add(r, "share_queue", "Changes that wait for Redis"),
            share_dropped: add(
                r,
                "share_dropped",
                "Changes that did not fit into the queue for Redis",
            ),
            share_sent: add(r, "share_sent", "Changes that Redis has taken"),
            share_received: add(
                r,
                "share_received",
                "Changes read from Redis, by what became of them",
            ),
            reloads: Reloads {
                ok: reloads.get_or_create_owned(&ResultLabels { result: "ok" }),
                refused: reloads.get_or_create_owned(&ResultLabels { result: "refused" }),
            },
            registry,
        }
    }

    /// OpenMetrics text of these metrics and of `sampled`, which holds what is
    /// read at scrape time.
    ///
    /// # Errors
    /// Only when a collector in `sampled` fails.
    pub fn encode(&self, sampled: &Registry) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode_registry(&mut out, sampled)?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn histogram(registry: &mut Registry, name: &str, help: &str, bounds: [f64; 12]) -> Histogram {
    let metric = Histogram::new(bounds);
    registry.register(name, help, metric.clone());
    metric
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity::Sticky;
    use crate::config::PathKind;

    fn text(metrics: &Metrics) -> String {
        metrics.encode(&Registry::default()).expect("encodes")
    }

    #[test]
    fn handles_and_families_are_the_same_series() {
        let metrics = Metrics::new();
        metrics.listener("mqtt").accepted.inc_by(3);
        metrics.listener("mqtt").refused("tls");
        metrics.listener("mqtt").routed("emqx");
        metrics.pool("emqx").sticky(Sticky::Moved).inc();
        metrics.backend("emqx", "emqx1").up.set(1);
        metrics.backend("emqx", "emqx1").error("timeout");
        metrics.path(PathKind::Sockmap).moved("quiet");
        metrics.bytes.down.inc_by(7);
        let text = text(&metrics);
        for line in [
            "mqttlb_connections_total{listener=\"mqtt\"} 3",
            "mqttlb_open_connections{listener=\"mqtt\"} 0",
            "mqttlb_refused_total{listener=\"mqtt\",reason=\"tls\"} 1",
            "mqttlb_routed_total{listener=\"mqtt\",pool=\"emqx\"} 1",
            "mqttlb_sticky_total{pool=\"emqx\",result=\"moved\"} 1",
            "mqttlb_sticky_total{pool=\"emqx\",result=\"hit\"} 0",
            "mqttlb_backend_up{pool=\"emqx\",backend=\"emqx1\"} 1",
            "mqttlb_backend_errors_total{pool=\"emqx\",backend=\"emqx1\",reason=\"timeout\"} 1",
            "mqttlb_datapath_moves_total{path=\"sockmap\",reason=\"quiet\"} 1",
            "mqttlb_bytes_total{direction=\"down\"} 7",
            "mqttlb_config_reloads_total{result=\"ok\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
        }
    }

    #[test]
    fn the_text_ends_once_and_names_are_unique() {
        let text = text(&Metrics::new());
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
        let mut names: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a metric is registered twice");
    }
}
