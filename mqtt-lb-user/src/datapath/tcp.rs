//! What the kernel tells about one TCP socket: TCP_INFO, cookie, queues.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::SockRef;

/// `SO_COOKIE` (asm-generic/socket.h); not in every libc.
const SO_COOKIE: libc::c_int = 57;

/// The part of `struct tcp_info` (linux/tcp.h) that says how far a stream has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    notsent_bytes: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
}

impl Info {
    /// Bytes of `struct tcp_info` needed, up to and with `tcpi_bytes_retrans` (Linux 4.19).
    const NEEDED: usize = 216;

    /// Reads the fields out of the structure; `None` when the kernel's is shorter.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        if raw.len() < Self::NEEDED {
            return None;
        }
        let u32_at = |at: usize| raw[at..at + 4].try_into().ok().map(u32::from_ne_bytes);
        let u64_at = |at: usize| raw[at..at + 8].try_into().ok().map(u64::from_ne_bytes);
        Some(Self {
            notsent_bytes: u32_at(144)?,
            bytes_sent: u64_at(200)?,
            bytes_retrans: u64_at(208)?,
        })
    }

    /// Bytes put into the socket's TCP queue since it was opened, sent or not.
    /// Bytes redirected to the socket count once the kernel's worker has queued them.
    pub fn position(self) -> u64 {
        (self.bytes_sent + u64::from(self.notsent_bytes)).saturating_sub(self.bytes_retrans)
    }
}

/// TCP_INFO of a socket. Takes the socket's lock, so every verdict that ran
/// on it before has finished (`tcp_get_info`, `lock_sock_fast`).
pub fn info(socket: &TcpStream) -> io::Result<Info> {
    let mut raw = [0u8; 256];
    let mut len = raw.len() as libc::socklen_t;
    // SAFETY: the buffer outlives the call and `len` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Info::parse(&raw[..len as usize]).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel's tcp_info has no bytes_retrans (Linux 4.19 has)",
        )
    })
}

/// The socket's cookie: unique until the next boot, over all namespaces.
pub fn cookie(socket: &TcpStream) -> io::Result<u64> {
    socket_option(socket, libc::SOL_SOCKET, SO_COOKIE)
}

/// A socket option whose value is one 64-bit number.
pub fn socket_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<u64> {
    let mut value = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the value outlives the call and `len` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Bytes the peer has not acknowledged (SIOCOUTQ).
pub fn unacknowledged(socket: &TcpStream) -> io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    if result == 0 {
        Ok(bytes.max(0) as u32)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes the coming close send a RST, as the other side of the flow did.
pub fn reset_on_close(socket: &TcpStream) -> io::Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_position_is_what_was_written() {
        let (mut client, mut server) = pair();
        assert_eq!(info(&client).unwrap().position(), 0);
        client.write_all(&[7; 70_000]).unwrap();
        assert_eq!(info(&client).unwrap().position(), 70_000);
        server.read_exact(&mut [0; 70_000]).unwrap();
        assert_eq!(info(&client).unwrap().position(), 70_000);
        assert_eq!(info(&server).unwrap().position(), 0);
    }

    #[test]
    fn retransmitted_bytes_do_not_count() {
        let mut raw = [0u8; 216];
        raw[144..148].copy_from_slice(&5u32.to_ne_bytes());
        raw[200..208].copy_from_slice(&100u64.to_ne_bytes());
        raw[208..216].copy_from_slice(&30u64.to_ne_bytes());
        assert_eq!(Info::parse(&raw).unwrap().position(), 75);
        assert_eq!(Info::parse(&raw[..208]), None);
    }

    #[test]
    fn cookies_tell_sockets_apart() {
        let (client, server) = pair();
        assert_eq!(cookie(&client).unwrap(), cookie(&client).unwrap());
        assert_ne!(cookie(&client).unwrap(), cookie(&server).unwrap());
    }

    #[test]
    fn unread_bytes_are_acknowledged_on_loopback() {
        let (mut client, _server) = pair();
        client.write_all(b"abc").unwrap();
        while unacknowledged(&client).unwrap() > 0 {
            std::thread::yield_now();
        }
    }
}
