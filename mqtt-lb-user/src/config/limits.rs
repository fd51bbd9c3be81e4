//! `[limits]` and `[timeouts]`: what one client may cost, and for how long.

use std::time::Duration;

use super::section::Section;
use super::units::size_text;
use super::value::{duration, size};

/// Bytes of a CONNECT that its MQTT 5 property length can add in front of the
/// client id, above what a 3.x CONNECT has there.
const PROPERTY_LENGTH: usize = 4;

/// Bounds on what clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, over all listeners.
    pub max_connections: usize,
    /// Connections of a listener that have not finished their CONNECT.
    pub max_pending: usize,
    /// Bytes of a CONNECT kept in memory before it is routed.
    /// Never less than a whole client id needs ([`crate::connect::MIN_BUFFER`])
    /// behind as many properties as `connect_properties` allows.
    pub connect_buffer: usize,
    /// Bytes of MQTT 5 properties accepted in front of the client id.
    pub connect_properties: usize,
    /// Bytes the copy path reads at a time, and the most it keeps for a
    /// receiver that is slower than its sender, per direction of a flow.
    pub copy_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_pending: 10_000,
            connect_buffer: 80 << 10,
            connect_properties: 8 << 10,
            copy_buffer: 64 << 10,
        }
    }
}

impl Limits {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let buffer = section.get("connect_buffer", size(1..=16 << 20));
        let limits = Self {
            max_connections: section.or(
                "max_connections",
                default.max_connections,
                size(1..=16 << 20),
            ),
            max_pending: section.or("max_pending", default.max_pending, size(1..=16 << 20)),
            connect_buffer: buffer
                .as_ref()
                .map_or(default.connect_buffer, |b| *b.get_ref()),
            connect_properties: section.or(
                "connect_properties",
                default.connect_properties,
                size(0..=1 << 20),
            ),
            copy_buffer: section.or("copy_buffer", default.copy_buffer, size(4 << 10..=1 << 20)),
        };
        let needed = limits.needed_buffer();
        if limits.connect_buffer < needed {
            let message = format!(
                "{} is too small for a 64 KiB client id behind {} of properties: write {needed} or more",
                size_text(limits.connect_buffer as u64),
                size_text(limits.connect_properties as u64),
            );
            match buffer {
                Some(buffer) => section.wrong("connect_buffer", buffer.span(), &message),
                None => section.missing(&format!("connect_buffer: the default {message}")),
            }
        }
        section.finish();
        limits
    }

    fn needed_buffer(&self) -> usize {
        crate::connect::MIN_BUFFER + PROPERTY_LENGTH + self.connect_properties
    }
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

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_packet: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            connack: Duration::from_secs(10),
            tcp_keepalive: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let deadline = || duration(Duration::from_millis(10)..=Duration::from_secs(3600));
        // Linux takes at most 32767 s for TCP_KEEPIDLE.
        let keepalive = duration(Duration::ZERO..=Duration::from_secs(32_400));
        let grace = duration(Duration::ZERO..=Duration::from_secs(86_400));
        let timeouts = Self {
            connect_packet: section.or("connect_packet", default.connect_packet, deadline()),
            connect: section.or("connect", default.connect, deadline()),
            connack: section.or("connack", default.connack, deadline()),
            tcp_keepalive: section.or("tcp_keepalive", default.tcp_keepalive, keepalive),
            drain: section.or("drain", default.drain, deadline()),
            shutdown_grace: section.or("shutdown_grace", default.shutdown_grace, grace),
        };
        section.finish();
        timeouts
    }
}
