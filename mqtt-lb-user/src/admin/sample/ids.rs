//! How much is remembered of client ids.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::flow::Shared;

/// All zero where there are no flows yet.
pub(super) struct IdsUsage(pub(super) Option<Arc<Shared>>);

impl fmt::Debug for IdsUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdsUsage")
    }
}

impl Collector for IdsUsage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.0.as_ref().map(|shared| shared.ids.usage());
        let usage = usage.unwrap_or_default();
        let gauges = [
            (
                "mqttlb_ids",
                "Client ids that are remembered.",
                vec![("live", usage.live.0), ("top", usage.top.0)],
            ),
            (
                "mqttlb_ids_size",
                "Client ids there is room for.",
                vec![("top", usage.top.1), ("recent", usage.recent.0)],
            ),
            (
                "mqttlb_ids_bytes",
                "Memory of what is remembered of client ids.",
                vec![
                    ("live", usage.live.1),
                    ("top", usage.top.2),
                    ("recent", usage.recent.1),
                ],
            ),
        ];
        for (name, help, values) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (kind, value) in values {
                let labels = [("kind", kind)];
                ConstGauge::new(value as u64).encode(family.encode_family(&labels)?)?;
            }
        }
        let family = encoder.encode_descriptor(
            "mqttlb_ids_forgotten",
            "Client ids forgotten before the flapping time had passed.",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(usage.forgotten).encode(family)
    }
}
