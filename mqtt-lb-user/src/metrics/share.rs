//! Metrics of sharing stick tables with other balancers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;
use super::labels::{PoolLabels, StickyLabels};
use crate::share::Outcome;

/// Metrics of one shared pool.
#[derive(Clone)]
pub struct SharePoolMetrics {
    /// Keys and clears that wait for Redis.
    pub queue: Gauge,
    /// Changes that did not fit into the queue.
    pub dropped: Counter,
    /// Changes that Redis has taken.
    pub sent: Counter,
    /// 1 when table and Redis have been reconciled since the last connect.
    pub synced: Gauge,
    received: [Counter; Outcome::ALL.len()],
}

impl SharePoolMetrics {
    /// The counter of what others said that had this outcome.
    pub fn received(&self, outcome: Outcome) -> &Counter {
        &self.received[outcome as usize]
    }
}

impl Metrics {
    /// The metrics of a shared pool; the series start at zero with this call.
    pub fn share_pool(&self, name: &str) -> SharePoolMetrics {
        let labels = PoolLabels {
            pool: name.to_owned(),
        };
        SharePoolMetrics {
            queue: self.share_queue.get_or_create_owned(&labels),
            dropped: self.share_dropped.get_or_create_owned(&labels),
            sent: self.share_sent.get_or_create_owned(&labels),
            synced: self.share_synced.get_or_create_owned(&labels),
            received: Outcome::ALL.map(|outcome| {
                let (pool, result) = (labels.pool.clone(), outcome.name());
                let labels = StickyLabels { pool, result };
                self.share_received.get_or_create_owned(&labels)
            }),
        }
    }
}
