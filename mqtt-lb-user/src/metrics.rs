//! Every metric of the program, in one place. Never a client id as a label.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels as name/value pairs; the names are fixed by each metric's help text.
pub type Labels = Vec<(&'static str, String)>;

/// All metrics, shared by every thread.
pub struct Metrics {
    /// `mqttlb_connections_total{listener}`: connections accepted.
    pub accepted: Family<Labels, Counter>,
    /// `mqttlb_connections{listener}`: connections open now.
    pub connections: Family<Labels, Gauge>,
    /// `mqttlb_pending_connections{listener}`: connections without a whole CONNECT.
    pub pending: Family<Labels, Gauge>,
    /// `mqttlb_refused_total{listener,reason}`: connections refused, by reason.
    pub refused: Family<Labels, Counter>,
    /// `mqttlb_sessions_total{pool,backend}`: flows that reached a backend.
    pub sessions: Family<Labels, Counter>,
    /// `mqttlb_backend_connections{pool,backend}`: flows on a backend now.
    pub backend_connections: Family<Labels, Gauge>,
    /// `mqttlb_backend_errors_total{pool,backend,reason}`: failed tries to reach a backend.
    pub backend_errors: Family<Labels, Counter>,
    /// `mqttlb_backend_up{pool,backend}`: 1 when new clients may go there.
    pub backend_up: Family<Labels, Gauge>,
    /// `mqttlb_sticky_total{pool,result}`: hit, new, moved, none.
    pub sticky: Family<Labels, Counter>,
    /// `mqttlb_bytes_total{direction}`: bytes forwarded, `up` = client to broker.
    pub bytes: Family<Labels, Counter>,
    /// `mqttlb_datapath_flows{path}`: flows on each data path now.
    pub path_flows: Family<Labels, Gauge>,
    /// `mqttlb_datapath_moves_total{path,reason}`: moves onto a path.
    pub path_moves: Family<Labels, Counter>,
    /// `mqttlb_datapath_refused_total{path,reason}`: hand-overs refused.
    pub path_refused: Family<Labels, Counter>,
    /// `mqttlb_datapath_available{path}`: 1 when this host can run the path.
    pub path_available: Family<Labels, Gauge>,
    /// `mqttlb_buffered_bytes`: bytes of clients and brokers held in userspace.
    pub buffered: Gauge<i64, std::sync::atomic::AtomicI64>,
    /// `mqttlb_config_reloads_total{result}`: ok, refused.
    pub reloads: Family<Labels, Counter<u64, AtomicU64>>,
    registry: Registry,
}
