//! What is known of a flow beside its sockets: enough for its log line, its stick
//! entry and its place in the counts, also in another process.

use std::time::{Duration, SystemTime};

use crate::affinity::Sticky;

/// A flow, in words of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// Its client id, or the beginning of a long one.
    pub client_id: Vec<u8>,
    /// The client id is longer.
    pub cut: bool,
    /// Keepalive of the CONNECT, seconds; 0 for none.
    pub keepalive: u16,
    /// Protocol level of the CONNECT.
    pub level: u8,
    /// Code of the CONNACK.
    pub connack: u8,
    /// What the stick table answered.
    pub sticky: Sticky,
    /// When the client was accepted.
    pub accepted: SystemTime,
    /// [`tag`] of `pool/backend`.
    pub backend: u32,
    /// [`tag`] of the listener's name.
    pub listener: u32,
    /// Accept to CONNECT.
    pub waited: Duration,
    /// CONNECT to the backend's connection.
    pub connecting: Duration,
}

impl Default for Memo {
    /// Of a flow of which nothing was noted.
    fn default() -> Self {
        Self {
            client_id: Vec::new(),
            cut: true,
            keepalive: 0,
            level: 0,
            connack: 0,
            sticky: Sticky::None,
            accepted: SystemTime::now(),
            backend: 0,
            listener: 0,
            waited: Duration::ZERO,
            connecting: Duration::ZERO,
        }
    }
}

/// A name in 32 bits (FNV-1a), the same in every process.
pub fn tag(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// [`tag`] of a backend.
pub fn backend_tag(pool: &str, backend: &str) -> u32 {
    tag(&format!("{pool}/{backend}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_do_not_change_between_releases() {
        assert_eq!(tag(""), 0x811c_9dc5);
        assert_eq!(tag("a"), 0xe40c_292c);
        assert_eq!(backend_tag("emqx", "emqx1"), tag("emqx/emqx1"));
    }
}
