//! Reading and writing a socket that is registered with the runtime.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

/// Whether the peer of this socket has closed or reset it.
pub(super) fn is_hung_up(socket: &TcpStream) -> bool {
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one valid pollfd, no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

/// Reads, and keeps `drained` true to what the socket itself has said.
///
/// The runtime may call a socket not ready that has bytes: just after it was
/// registered, or when the task has used up its budget.
pub(super) fn poll_read(
    socket: &AsyncFd<TcpStream>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    drained: &mut bool,
) -> Poll<io::Result<usize>> {
    loop {
        let result = match socket.poll_read_ready(cx)? {
            Poll::Ready(mut guard) => match guard.try_io(|socket| socket.get_ref().read(buffer)) {
                Ok(result) => result,
                Err(_would_block) => {
                    *drained = true;
                    continue;
                }
            },
            Poll::Pending if *drained => return Poll::Pending,
            Poll::Pending => match socket.get_ref().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *drained = true;
                    return Poll::Pending;
                }
                result => result,
            },
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => {
                *drained = false;
                return Poll::Ready(result);
            }
        }
    }
}

/// Writes, as far as the socket takes it.
pub(super) fn poll_write(
    socket: &AsyncFd<TcpStream>,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut guard = ready!(socket.poll_write_ready(cx))?;
        match guard.try_io(|socket| socket.get_ref().write(bytes)) {
            Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            Ok(result) => return Poll::Ready(result),
            Err(_would_block) => {}
        }
    }
}
