//! Listening sockets: one per listener and worker, on the same address.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

use crate::config::Config;

/// The sockets of one listener.
pub(super) struct Sockets {
    /// Name of the listener.
    pub(super) name: String,
    /// One per worker.
    pub(super) sockets: Vec<TcpListener>,
}

/// Opens every listener, once per worker.
///
/// # Errors
/// The first listener that cannot be opened, with its name and address.
pub(super) fn bind_all(config: &Config) -> anyhow::Result<Vec<Sockets>> {
    config
        .listeners
        .iter()
        .map(|(name, listener)| {
            let sockets = (0..config.workers)
                .map(|_| bind(listener.bind, listener.backlog))
                .collect::<std::io::Result<_>>()
                .with_context(|| format!("[listener.{name}] bind {}", listener.bind))?;
            info!(
                "listener {name}: {} to pool {}",
                listener.bind, listener.pool
            );
            Ok(Sockets {
                name: name.clone(),
                sockets,
            })
        })
        .collect()
}

fn bind(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Raises the limit of open descriptors as far as the host allows, and says
/// when that is fewer than `connections` need: two each.
pub(super) fn raise_descriptor_limit(connections: usize) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: one valid structure for both calls.
    let known = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    let ceiling = usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) / 2;
    if known && ceiling < connections {
        warn!(
            "the limit of {} open files allows about {ceiling} connections, \
             fewer than limits.max_connections = {connections}; raise LimitNOFILE",
            limit.rlim_cur
        );
    }
}
