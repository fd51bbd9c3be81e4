//! Whether sockets may be taken apart.

use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

use super::Line;

/// `TCP_REPAIR` (linux/tcp.h), tried on a socket that is not connected.
pub fn tcp_repair() -> Line {
    let tried = try_it().map(|()| "permitted".to_owned());
    Line::new("tcp_repair", tried)
}

fn try_it() -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("opening a socket")?;
    let on: libc::c_int = 1;
    // SAFETY: the value lives through the call and has the length that is said.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match answer {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error())
            .context("refused (needs CAP_NET_ADMIN in the network namespace)"),
    }
}
