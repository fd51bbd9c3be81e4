//! Metrics of the ids that belong elsewhere, read when somebody asks for them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::affinity::Share;
use crate::backend::{Moves, Pools};

/// The entries of each backend in the stick tables, and what has been moved.
pub(super) struct Moving(pub Arc<Pools>);

impl fmt::Debug for Moving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moving")
    }
}

type Count = fn(&Share) -> u32;

const SHARES: [(&str, &str, Count); 3] = [
    (
        "mqttlb_stick_table_backend_entries",
        "Entries that send their client to the backend.",
        |share| share.entries,
    ),
    (
        "mqttlb_stick_table_backend_homes",
        "Entries whose client belongs to the backend.",
        |share| share.homes,
    ),
    (
        "mqttlb_stick_table_backend_away",
        "Entries whose client belongs to the backend, and is elsewhere.",
        |share| share.away,
    ),
];

impl Collector for Moving {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.0.all();
        let shares: Vec<_> = pools.iter().map(|pool| (pool, pool.shares())).collect();
        for (name, help, count) in SHARES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (pool, shares) in &shares {
                for (backend, share) in shares {
                    let labels = [("pool", pool.name.as_str()), ("backend", backend)];
                    let series = family.encode_family(&labels)?;
                    ConstGauge::new(u64::from(count(share))).encode(series)?;
                }
            }
        }
        let now = Instant::now();
        let moves = |pool: &Arc<crate::backend::Pool>| Some((pool.name.clone(), pool.moves(now)?));
        let moves: Vec<_> = pools.iter().filter_map(moves).collect();
        counts(&mut encoder, &moves)?;
        let mut family = encoder.encode_descriptor(
            "mqttlb_rebalance_budget",
            "Ids that the last event may still move over.",
            None,
            MetricType::Gauge,
        )?;
        for (pool, Moves { account, .. }) in &moves {
            let labels = [("pool", pool.as_str())];
            let series = family.encode_family(&labels)?;
            ConstGauge::new(account.budget as u64).encode(series)?;
        }
        let mut family = encoder.encode_descriptor(
            "mqttlb_rebalance_skew",
            "How uneven the backends' shares of the stick table are; 1 is even.",
            None,
            MetricType::Gauge,
        )?;
        for (pool, Moves { skew, .. }) in &moves {
            let labels = [("pool", pool.as_str())];
            let series = family.encode_family(&labels)?;
            ConstGauge::new(*skew).encode(series)?;
        }
        Ok(())
    }
}

fn counts(encoder: &mut DescriptorEncoder<'_>, moves: &[(String, Moves)]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "mqttlb_rebalance_moves",
        "Ids brought home or over; closed: those whose connections were closed for it.",
        None,
        MetricType::Counter,
    )?;
    for (pool, Moves { account, .. }) in moves {
        for (kind, count) in [
            ("home", account.home),
            ("rebalance", account.over),
            ("closed", account.closed),
        ] {
            let labels = [("pool", pool.as_str()), ("kind", kind)];
            let series = family.encode_family(&labels)?;
            ConstCounter::new(count).encode(series)?;
        }
    }
    Ok(())
}
