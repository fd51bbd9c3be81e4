//! `[listener.NAME]`: where clients connect.

use std::net::SocketAddr;

/// A listener: an address and the pool its clients go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port clients connect to.
    pub bind: SocketAddr,
    /// Name of the pool.
    pub pool: String,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
}
