//! How many flows the maps have room for: fixed when they are made, and they may be
//! those of an earlier process.

use std::net::SocketAddr;

use tracing::warn;

use crate::config::Splice;

/// What the maps have room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Flows.
    pub flows: u32,
    /// Flows over IPv6 among them. Without, their index takes no memory: its empty
    /// buckets alone are 32 to 64 bytes a flow.
    pub ipv6: bool,
}

impl Room {
    /// What the configuration needs: clients come over IPv6 only where a listener
    /// has such an address, which may be the wildcard.
    pub fn wanted(config: &Splice, listeners: &[SocketAddr]) -> Self {
        Self {
            flows: config.max_flows,
            ipv6: listeners.iter().any(SocketAddr::is_ipv6),
        }
    }

    /// Logs where pinned maps fall short of what is wanted; other data paths take
    /// what does not fit.
    pub fn compare(self, wanted: Self) {
        let flush = "`mqtt-lb flows flush` ends its flows and removes them";
        if self.flows != wanted.flows {
            warn!(
                "splice: the maps of the last process have room for {} flows, not {} \
                 (splice.max_flows); {flush}",
                self.flows, wanted.flows
            );
        }
        if wanted.ipv6 && !self.ipv6 {
            warn!(
                "splice: the maps of the last process, which had no IPv6 listener, have no \
                 room for flows over IPv6; {flush}"
            );
        }
    }
}
