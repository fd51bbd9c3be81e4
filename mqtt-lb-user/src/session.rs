//! What is known of a session when it ends: its log line.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::PathKind;

/// One finished connection, for the log.
#[derive(Debug, Clone)]
pub struct Session {
    /// The client's address.
    pub client: SocketAddr,
    /// Name of the listener.
    pub listener: String,
    /// Name of the pool.
    pub pool: String,
    /// Name of the backend; `None` when none was reached.
    pub backend: Option<String>,
    /// Client id, whole; escaped when printed.
    pub client_id: Option<Vec<u8>>,
    /// Protocol level of CONNECT (3, 4, 5; bridges without their high bit).
    pub level: Option<u8>,
    /// Keepalive of CONNECT in seconds.
    pub keepalive: Option<u16>,
    /// CONNACK return or reason code.
    pub connack: Option<u8>,
    /// How the stick table answered.
    pub sticky: Option<crate::affinity::Sticky>,
    /// Accept to the routed CONNECT (HAProxy's Tw).
    pub waited: Duration,
    /// Routed CONNECT to the established backend connection (HAProxy's Tc).
    pub connecting: Option<Duration>,
    /// Accept to the end (HAProxy's Tt).
    pub total: Duration,
    /// Bytes client to broker, without the PROXY header.
    pub bytes_up: u64,
    /// Bytes broker to client.
    pub bytes_down: u64,
    /// Data path in use at the end.
    pub path: PathKind,
    /// Why it ended.
    pub end: End,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed first.
    ClientClosed,
    /// The client's connection was reset or timed out.
    ClientAborted,
    /// The backend closed first.
    BackendClosed,
    /// The backend's connection was reset or timed out.
    BackendAborted,
    /// CONNECT was refused; the reason is a metric label.
    Refused(&'static str),
    /// No backend could be reached.
    NoBackend,
    /// The balancer shut down.
    Shutdown,
    /// What was queued could not be delivered within the drain time.
    DrainTimeout,
}
