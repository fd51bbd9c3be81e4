//! Reading and writing a socket that is registered with the runtime.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

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

/// Reads. `drained` says afterwards whether the socket itself has said that there is
/// nothing more; with `exact` it is asked when the runtime believes so.
///
/// The runtime takes a read that is shorter than the buffer for the end of what there
/// is, which spares a system call, and calls a socket not ready that was just
/// registered, or when the task has used up its budget: good enough to wait, not to
/// hand over.
pub(super) fn poll_read(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    drained: &mut bool,
    exact: bool,
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(buffer);
    if let Poll::Ready(result) = Pin::new(&mut *socket).poll_read(cx, &mut read) {
        *drained = false;
        return Poll::Ready(result.map(|()| read.filled().len()));
    }
    if !exact || *drained {
        return Poll::Pending;
    }
    match read_now(socket, buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            *drained = true;
            Poll::Pending
        }
        result => Poll::Ready(result),
    }
}

/// Reads what is there, whatever the runtime believes.
pub(super) fn read_now(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match (&*SockRef::from(socket)).read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes, as far as the socket takes it.
pub(super) fn poll_write(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        match ready!(Pin::new(&mut *socket).poll_write(cx, bytes)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}
