//! Metrics of one listener, pool, backend or data path, with the labels
//! resolved once: what a connection does to them is one atomic operation.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::Metrics;
use super::ids::IdMetrics;
use super::labels::{
    BackendErrorLabels, BackendLabels, FailoverLabels, ListenerLabels, PathLabels,
    PathReasonLabels, PoolLabels, QueueLabels, RefusedLabels, RoutedLabels, StickyLabels,
};
use super::snapshots::{SnapshotMetrics, Snapshots};
use crate::affinity::Sticky;
use crate::config::PathKind;

/// Metrics of one listener.
#[derive(Clone)]
pub struct ListenerMetrics {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open now.
    pub connections: Gauge,
    /// Connections open now without a whole CONNECT.
    pub pending: Gauge,
    listener: String,
    refused: Family<RefusedLabels, Counter>,
    routed: Family<RoutedLabels, Counter>,
}

impl ListenerMetrics {
    /// Counts a connection refused for `reason`.
    pub fn refused(&self, reason: &'static str) {
        let listener = self.listener.clone();
        self.refused
            .get_or_create(&RefusedLabels { listener, reason })
            .inc();
    }

    /// Counts a CONNECT that belongs to a pool.
    pub fn routed(&self, pool: &str) {
        let labels = RoutedLabels {
            listener: self.listener.clone(),
            pool: pool.to_owned(),
        };
        self.routed.get_or_create(&labels).inc();
    }
}

/// Metrics of one pool.
#[derive(Clone)]
pub struct PoolMetrics {
    /// What is counted of its ids and CONNECTs.
    pub ids: IdMetrics,
    /// CONNECTs that went on to another backend.
    pub replayed: Counter,
    /// CONNECTs too long to be kept for another backend.
    pub too_long: Counter,
    /// Ids given by brokers that the stick table learned.
    pub assigned: Counter,
    hit: Counter,
    new: Counter,
    moved: Counter,
    returned: Counter,
    none: Counter,
    pool: String,
    snapshots: Snapshots,
}

impl PoolMetrics {
    /// The metrics of the pool's snapshot; the series start at zero with the first call.
    pub fn snapshot(&self) -> SnapshotMetrics {
        self.snapshots.pool(&self.pool)
    }

    /// The counter of clients the stick table answered that way.
    pub fn sticky(&self, result: Sticky) -> &Counter {
        match result {
            Sticky::Hit => &self.hit,
            Sticky::New => &self.new,
            Sticky::Moved => &self.moved,
            Sticky::Returned => &self.returned,
            Sticky::None => &self.none,
        }
    }
}

/// Metrics of one pool's queue.
#[derive(Clone)]
pub struct QueueMetrics {
    /// Clients that wait now.
    pub clients: Gauge,
    /// Seconds that clients have waited, with and without success.
    pub wait: Histogram,
    /// Clients that got a place.
    pub served: Counter,
    /// Clients that have waited in vain.
    pub timeout: Counter,
    /// Clients that left meanwhile.
    pub left: Counter,
    /// Clients for whom the queue had no room.
    pub full: Counter,
}

/// Metrics of one backend.
#[derive(Clone)]
pub struct BackendMetrics {
    /// Flows that reached the backend.
    pub sessions: Counter,
    /// Flows on the backend now.
    pub connections: Gauge,
    /// 1 when new clients may go there.
    pub up: Gauge,
    /// Clients that found it full.
    pub full: Counter,
    labels: BackendLabels,
    errors: Family<BackendErrorLabels, Counter>,
}

impl BackendMetrics {
    /// Counts a try to reach the backend that failed for `reason`.
    pub fn error(&self, reason: &'static str) {
        let BackendLabels { pool, backend } = self.labels.clone();
        let labels = BackendErrorLabels {
            pool,
            backend,
            reason,
        };
        self.errors.get_or_create(&labels).inc();
    }
}

/// Metrics of one data path.
#[derive(Clone)]
pub struct PathMetrics {
    /// Flows on the path now.
    pub flows: Gauge,
    /// 1 when this host can run the path.
    pub available: Gauge,
    path: &'static str,
    moves: Family<PathReasonLabels, Counter>,
    refused: Family<PathReasonLabels, Counter>,
}

impl PathMetrics {
    /// Counts a flow that moved onto the path because of `reason`.
    pub fn moved(&self, reason: &'static str) {
        let path = self.path;
        self.moves
            .get_or_create(&PathReasonLabels { path, reason })
            .inc();
    }

    /// Counts a hand-over to the path refused for `reason`.
    pub fn refused(&self, reason: &'static str) {
        let path = self.path;
        self.refused
            .get_or_create(&PathReasonLabels { path, reason })
            .inc();
    }
}

impl Metrics {
    /// The metrics of a listener; the series start at zero with this call.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let labels = ListenerLabels {
            listener: name.to_owned(),
        };
        ListenerMetrics {
            accepted: self.accepted.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            pending: self.pending.get_or_create_owned(&labels),
            listener: labels.listener,
            refused: self.refused.clone(),
            routed: self.routed.clone(),
        }
    }

    /// The metrics of a pool; the series start at zero with this call.
    pub fn pool(&self, name: &str) -> PoolMetrics {
        let counter = |sticky: Sticky| {
            let labels = StickyLabels {
                pool: name.to_owned(),
                result: sticky_name(sticky),
            };
            self.sticky.get_or_create_owned(&labels)
        };
        let failover = |result| {
            let labels = FailoverLabels {
                pool: name.to_owned(),
                result,
            };
            self.failover.get_or_create_owned(&labels)
        };
        let labels = PoolLabels {
            pool: name.to_owned(),
        };
        PoolMetrics {
            ids: self.ids.pool(name),
            assigned: self.assigned.get_or_create_owned(&labels),
            replayed: failover("replayed"),
            too_long: failover("too_long"),
            hit: counter(Sticky::Hit),
            new: counter(Sticky::New),
            moved: counter(Sticky::Moved),
            returned: counter(Sticky::Returned),
            none: counter(Sticky::None),
            pool: name.to_owned(),
            snapshots: self.snapshots.clone(),
        }
    }

    /// The metrics of a pool's queue; the series start at zero with this call.
    pub fn queue(&self, pool: &str) -> QueueMetrics {
        let result = |result| {
            let pool = pool.to_owned();
            self.queue
                .get_or_create_owned(&QueueLabels { pool, result })
        };
        let pool = PoolLabels {
            pool: pool.to_owned(),
        };
        QueueMetrics {
            clients: self.queue_clients.get_or_create_owned(&pool),
            wait: self.queue_wait.get_or_create_owned(&pool),
            served: result("served"),
            timeout: result("timeout"),
            left: result("left"),
            full: result("full"),
        }
    }

    /// The metrics of a backend; the series start at zero with this call.
    pub fn backend(&self, pool: &str, backend: &str) -> BackendMetrics {
        let labels = BackendLabels {
            pool: pool.to_owned(),
            backend: backend.to_owned(),
        };
        BackendMetrics {
            sessions: self.sessions.get_or_create_owned(&labels),
            connections: self.backend_connections.get_or_create_owned(&labels),
            up: self.backend_up.get_or_create_owned(&labels),
            full: self.backend_full.get_or_create_owned(&labels),
            labels,
            errors: self.backend_errors.clone(),
        }
    }

    /// The metrics of a data path; the series start at zero with this call.
    pub fn path(&self, path: PathKind) -> PathMetrics {
        let path = path_name(path);
        let labels = PathLabels { path };
        PathMetrics {
            flows: self.path_flows.get_or_create_owned(&labels),
            available: self.path_available.get_or_create_owned(&labels),
            path,
            moves: self.path_moves.clone(),
            refused: self.path_refused.clone(),
        }
    }
}

/// The word for a data path in metrics and logs.
pub fn path_name(path: PathKind) -> &'static str {
    match path {
        PathKind::Splice => "splice",
        PathKind::Sockmap => "sockmap",
        PathKind::Copy => "copy",
    }
}

/// The word for the stick table's answer in metrics and logs.
pub fn sticky_name(sticky: Sticky) -> &'static str {
    match sticky {
        Sticky::Hit => "hit",
        Sticky::New => "new",
        Sticky::Moved => "moved",
        Sticky::Returned => "returned",
        Sticky::None => "none",
    }
}
