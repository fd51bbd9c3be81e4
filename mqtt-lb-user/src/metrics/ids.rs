//! What is counted of client ids and their CONNECTs, by pool. The ids themselves are
//! in no label: `show ids` names them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::add;
use super::labels::{ConnackLabels, PoolLabels};
use crate::connect::connack_code;

/// Bounds of `mqttlb_keepalive_seconds`; 0 is no keepalive.
const KEEPALIVE: [f64; 12] = [
    0.0, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0,
];

/// Bounds of `mqttlb_connack_seconds`: from a broker next door to one that gives up.
const CONNACK: [f64; 12] = [
    1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

type Histograms = Family<PoolLabels, Histogram, fn() -> Histogram>;

/// The metrics of ids and CONNECTs, of all pools.
pub struct IdFamilies {
    /// `mqttlb_takeovers_total{pool}`: flows of an id that had another flow.
    takeovers: Family<PoolLabels, Counter>,
    /// `mqttlb_flapping_total{pool}`: CONNECTs of an id that was here a moment ago.
    flapping: Family<PoolLabels, Counter>,
    /// `mqttlb_connack_refused_total{pool,code,reason}`: CONNACKs that refused.
    refused: Family<ConnackLabels, Counter>,
    /// `mqttlb_keepalive_seconds{pool}`: keepalives of CONNECTs.
    keepalive: Histograms,
    /// `mqttlb_connack_seconds{pool}`: from the CONNECT to its CONNACK.
    connack: Histograms,
}

impl IdFamilies {
    /// Registers them, without series.
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            takeovers: add(
                registry,
                "takeovers",
                "Clients accepted whose id had a connection",
            ),
            flapping: add(
                registry,
                "flapping",
                "CONNECTs of ids that had connected a moment ago",
            ),
            refused: add(registry, "connack_refused", "CONNACKs that refused"),
            keepalive: histograms(
                registry,
                "keepalive_seconds",
                "Keepalive of CONNECTs, 0 for none",
                || Histogram::new(KEEPALIVE),
            ),
            connack: histograms(
                registry,
                "connack_seconds",
                "Time from the client's CONNECT to its CONNACK",
                || Histogram::new(CONNACK),
            ),
        }
    }

    /// The metrics of a pool; the series start at zero with this call.
    pub(super) fn pool(&self, name: &str) -> IdMetrics {
        let labels = PoolLabels {
            pool: name.to_owned(),
        };
        IdMetrics {
            takeovers: self.takeovers.get_or_create_owned(&labels),
            flapping: self.flapping.get_or_create_owned(&labels),
            keepalive: self.keepalive.get_or_create_owned(&labels),
            connack: self.connack.get_or_create_owned(&labels),
            pool: labels.pool,
            refused: self.refused.clone(),
        }
    }
}

/// What is counted of the ids and CONNECTs of one pool.
#[derive(Clone)]
pub struct IdMetrics {
    /// Clients accepted whose id had a flow.
    pub takeovers: Counter,
    /// CONNECTs of ids that were here a moment ago.
    pub flapping: Counter,
    /// Keepalives, seconds.
    pub keepalive: Histogram,
    /// From CONNECT to CONNACK, seconds.
    pub connack: Histogram,
    pool: String,
    refused: Family<ConnackLabels, Counter>,
}

impl IdMetrics {
    /// Counts a CONNACK that refused with this code.
    pub fn refused(&self, code: u8) {
        let labels = ConnackLabels {
            pool: self.pool.clone(),
            code: code.into(),
            reason: connack_code::reason(code),
        };
        self.refused.get_or_create(&labels).inc();
    }
}

fn histograms(
    registry: &mut Registry,
    name: &str,
    help: &str,
    new: fn() -> Histogram,
) -> Histograms {
    let family = Family::new_with_constructor(new);
    registry.register(name, help, family.clone());
    family
}
