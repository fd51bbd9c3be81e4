//! What is known of a session when it ends: its log line.

mod line;
mod termination;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::affinity::Sticky;
use crate::config::{LogFormat, PathKind};

pub use termination::End;

/// `tracing` target of the session lines.
pub const TARGET: &str = "session";

/// One finished connection, for the log.
#[derive(Debug, Clone)]
pub struct Session {
    /// When the connection was accepted.
    pub accepted: SystemTime,
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
    pub sticky: Option<Sticky>,
    /// Accept to the routed CONNECT (HAProxy's Tw); `None` when it did not come.
    pub waited: Option<Duration>,
    /// Routed CONNECT to the established backend connection (HAProxy's Tc).
    pub connecting: Option<Duration>,
    /// Accept to the end (HAProxy's Tt).
    pub total: Duration,
    /// Bytes client to broker, without the PROXY header.
    pub bytes_up: u64,
    /// Bytes broker to client.
    pub bytes_down: u64,
    /// Data path in use when the session began to end.
    pub path: PathKind,
    /// Why it ended.
    pub end: End,
}

impl Session {
    /// Writes the session's line to the log, in the shape that `format` asks for.
    pub fn log(&self, format: LogFormat) {
        match format {
            LogFormat::Text => tracing::info!(target: TARGET, "{}", line::Text(self)),
            LogFormat::Json => tracing::info!(target: TARGET, "{}", line::json(self)),
        }
    }
}
