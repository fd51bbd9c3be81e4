//! `[limits]` and `[timeouts]`: what one client may cost, and for how long.

use std::time::Duration;

/// Bounds on what clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, over all listeners.
    pub max_connections: usize,
    /// Connections of a listener that have not finished their CONNECT.
    pub max_pending: usize,
    /// Bytes of a CONNECT kept in memory before it is routed.
    /// Never less than a whole client id needs ([`crate::connect::MIN_BUFFER`]).
    pub connect_buffer: usize,
    /// Bytes of MQTT 5 properties accepted in front of the client id.
    pub connect_properties: usize,
}

/// Deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the last byte of CONNECT.
    pub connect_packet: Duration,
    /// To find a backend that accepts, over all tries.
    pub connect: Duration,
    /// From CONNECT to the broker's CONNACK.
    pub connack: Duration,
    /// Idle time before TCP keepalive probes; zero switches them off.
    pub tcp_keepalive: Duration,
    /// How long a closing flow may take to deliver what is queued.
    pub drain: Duration,
    /// How long connections may go on after SIGTERM.
    pub shutdown_grace: Duration,
}
