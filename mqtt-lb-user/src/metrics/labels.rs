//! The label sets of the metrics. Never a client id, an address or a key.

use prometheus_client::encoding::EncodeLabelSet;

/// `{listener}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabels {
    /// Name of the listener.
    pub listener: String,
}

/// `{listener,reason}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabels {
    /// Name of the listener.
    pub listener: String,
    /// Why, from a fixed set.
    pub reason: &'static str,
}

/// `{listener,pool}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RoutedLabels {
    /// Name of the listener.
    pub listener: String,
    /// Name of the pool.
    pub pool: String,
}

/// `{pool,backend}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BackendLabels {
    /// Name of the pool.
    pub pool: String,
    /// Name of the backend.
    pub backend: String,
}

/// `{pool,backend,reason}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BackendErrorLabels {
    /// Name of the pool.
    pub pool: String,
    /// Name of the backend.
    pub backend: String,
    /// Why, from a fixed set.
    pub reason: &'static str,
}

/// `{pool}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolLabels {
    /// Name of the pool.
    pub pool: String,
}

/// `{pool,result}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StickyLabels {
    /// Name of the pool.
    pub pool: String,
    /// `hit`, `new`, `moved`, `returned` or `none`.
    pub result: &'static str,
}

/// `{pool,result}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailoverLabels {
    /// Name of the pool.
    pub pool: String,
    /// `replayed` or `too_long`.
    pub result: &'static str,
}

/// `{pool,code,reason}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConnackLabels {
    /// Name of the pool.
    pub pool: String,
    /// The code, as the session line has it.
    pub code: u32,
    /// What it says, from a fixed set.
    pub reason: &'static str,
}

/// `{pool,result}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueueLabels {
    /// Name of the pool.
    pub pool: String,
    /// `served`, `timeout`, `left` or `full`.
    pub result: &'static str,
}

/// `{direction}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DirectionLabels {
    /// `up` (client to broker) or `down`.
    pub direction: &'static str,
}

/// `{path}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PathLabels {
    /// `sockmap` or `copy`.
    pub path: &'static str,
}

/// `{path,reason}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PathReasonLabels {
    /// `sockmap` or `copy`.
    pub path: &'static str,
    /// Why, from a fixed set.
    pub reason: &'static str,
}

/// `{result}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// `ok` or `refused`.
    pub result: &'static str,
}
