//! Metrics that are read when somebody asks for them.

mod ids;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use mqtt_lb_ebpf::splice_stat::Stat;

use super::moves::Moving;
use crate::affinity::StickTable;
use crate::backend::Pools;
use crate::datapath::splice::Splice;
use crate::flow::Shared;
use ids::IdsUsage;

/// A registry of the metrics of stick tables, client ids, splice path and process.
pub(super) fn registry(
    pools: &Arc<Pools>,
    flows: Option<Arc<Shared>>,
    splice: Option<Arc<Splice>>,
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(IdsUsage(flows)));
    registry.register_collector(Box::new(Tables(Arc::clone(pools))));
    registry.register_collector(Box::new(Moving(Arc::clone(pools))));
    registry.register_collector(Box::new(Spliced(splice)));
    registry.register_collector(Box::new(Process));
    registry
}

/// What the splice path's programs count, and how its slots are used; no series where
/// there is no such path.
struct Spliced(Option<Arc<Splice>>);

impl fmt::Debug for Spliced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spliced")
    }
}

impl Collector for Spliced {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let splice = self.0.as_deref();
        let counts = splice.map(Splice::slot_counts);
        let mut family = encoder.encode_descriptor(
            "mqttlb_splice_slots",
            "Slots of the splice path.",
            None,
            MetricType::Gauge,
        )?;
        let states = counts.map(|counts| {
            [
                ("used", counts.used),
                ("resting", counts.resting),
                ("free", counts.free),
            ]
        });
        for (state, count) in states.into_iter().flatten() {
            let labels = [("state", state)];
            let series = family.encode_family(&labels)?;
            ConstGauge::new(u64::from(count)).encode(series)?;
        }
        let mut family = encoder.encode_descriptor(
            "mqttlb_splice_packets",
            "Packets of spliced flows, by what the programs did.",
            None,
            MetricType::Counter,
        )?;
        let stats = splice.map(|splice| Stat::ALL.into_iter().zip(splice.stats()));
        for (stat, count) in stats.into_iter().flatten() {
            let labels = [("verdict", stat.name())];
            let series = family.encode_family(&labels)?;
            ConstCounter::new(count).encode(series)?;
        }
        Ok(())
    }
}

struct Tables(Arc<Pools>);

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables")
    }
}

/// Numbers of one table, taken under its lock in one go.
struct Table {
    pool: String,
    entries: u64,
    size: u64,
    bytes: u64,
    evictions: u64,
}

type Reading = fn(&Table) -> u64;

impl Table {
    fn of(pool: &str, table: &StickTable) -> Self {
        Self {
            pool: pool.to_owned(),
            entries: table.len() as u64,
            size: table.capacity() as u64,
            bytes: table.memory_bytes() as u64,
            evictions: table.evictions(),
        }
    }
}

impl Collector for Tables {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.0.all();
        let tables: Vec<_> = pools
            .iter()
            .filter_map(|pool| pool.with_table(|table| Table::of(&pool.name, table)))
            .collect();
        let gauges: [(&str, &str, Reading); 3] = [
            ("entries", "Entries in the stick table.", |t| t.entries),
            ("size", "Entries the stick table has room for.", |t| t.size),
            ("bytes", "Memory of the stick table.", |t| t.bytes),
        ];
        for (name, help, value) in gauges {
            let name = format!("mqttlb_stick_table_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for table in &tables {
                let labels = [("pool", table.pool.as_str())];
                let series = family.encode_family(&labels)?;
                ConstGauge::new(value(table)).encode(series)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "mqttlb_stick_table_evictions",
            "Entries pushed out before they expired.",
            None,
            MetricType::Counter,
        )?;
        for table in &tables {
            let labels = [("pool", table.pool.as_str())];
            let series = family.encode_family(&labels)?;
            ConstCounter::new(table.evictions).encode(series)?;
        }
        Ok(())
    }
}

/// Names and units of the Prometheus client guidelines' process metrics.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory.",
                resident_bytes(),
            ),
            ("process_open_fds", "Open file descriptors.", open_fds()),
        ] {
            let Some(value) = value else { continue };
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        Ok(())
    }
}

/// Resident memory (proc(5), `/proc/pid/status`).
pub(super) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Open descriptors. From Linux 6.2 on the directory's size tells their number;
/// before, they have to be counted.
pub(super) fn open_fds() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.size() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        count => Some(count),
    }
}
