//! Raw sockets through which hand-made segments leave (needs CAP_NET_RAW).
//!
//! They take the host's routes, so a broker or client on this host gets its
//! segments as well, which it would not from a packet socket.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

use super::segment::Segment;

/// One raw socket per address family.
pub struct Raw {
    v4: Socket,
    /// `None` on a host without IPv6.
    v6: Option<Socket>,
}

impl Raw {
    /// Opens both.
    ///
    /// # Errors
    /// One line: no CAP_NET_RAW.
    pub fn open() -> anyhow::Result<Self> {
        let v4 = open(Domain::IPV4).context("opening a raw socket (needs CAP_NET_RAW)")?;
        Ok(Self {
            v4,
            v6: open(Domain::IPV6).ok(),
        })
    }

    /// Sends a segment. One that cannot leave is as good as one that is lost.
    pub fn send(&self, segment: &Segment) {
        let socket = match segment.to {
            SocketAddr::V4(_) => Some(&self.v4),
            SocketAddr::V6(_) => self.v6.as_ref(),
        };
        let Some(socket) = socket else { return };
        // A port would be taken for the protocol over IPv6 (raw(7), ipv6(7)).
        let to = SocketAddr::new(segment.to.ip(), 0);
        if let Err(error) = socket.send_to(&segment.packet(), &to.into()) {
            debug!("sending a segment to {}: {error}", segment.to);
        }
    }
}

/// `IPPROTO_RAW`: the header is ours (raw(7)).
fn open(domain: Domain) -> io::Result<Socket> {
    let protocol = Protocol::from(libc::IPPROTO_RAW);
    let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(protocol))?;
    Ok(socket)
}
