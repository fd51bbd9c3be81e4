//! What the kernel tells about one TCP socket: position, cookie, queues.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use socket2::SockRef;

use crate::datapath::Side;

/// `SO_COOKIE` (asm-generic/socket.h); not in every libc.
const SO_COOKIE: libc::c_int = 57;

/// Offset of `tcpi_bytes_acked` in `struct tcp_info` (linux/tcp.h, since Linux 4.1).
const BYTES_ACKED: usize = 120;

/// Offsets of `tcpi_last_data_sent` and `tcpi_last_data_recv` in `struct tcp_info`.
const LAST_DATA: [usize; 2] = [44, 52];

/// The beginning of the socket's `struct tcp_info` (linux/tcp.h). Takes the socket's lock,
/// so every verdict that ran on it before has finished (`tcp_get_info`, `lock_sock_fast`).
///
/// # Errors
/// The kernel refuses, or its structure is shorter.
pub fn info<const N: usize>(socket: &impl AsFd) -> io::Result<[u8; N]> {
    let mut raw = [0u8; N];
    let mut len = N as libc::socklen_t;
    // SAFETY: the buffer outlives the call and `len` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if (len as usize) < N {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel's tcp_info is too short (Linux 4.1 has all that is needed)",
        ));
    }
    Ok(raw)
}

/// Bytes the peer has acknowledged (RFC 4898 tcpEStatsAppHCThruOctetsAcked), and
/// one more for the SYN on a socket that has connected. Takes the lock as [`info`] does.
pub fn bytes_acked(socket: &impl AsFd) -> io::Result<u64> {
    let raw: [u8; BYTES_ACKED + 8] = info(socket)?;
    let acked = std::array::from_fn(|i| raw[BYTES_ACKED + i]);
    Ok(u64::from_ne_bytes(acked))
}

/// Time since the socket sent or received data, to some milliseconds.
pub fn silence(socket: &impl AsFd) -> io::Result<Duration> {
    let raw: [u8; LAST_DATA[1] + 4] = info(socket)?;
    let ms = LAST_DATA.map(|at| u32::from_ne_bytes(std::array::from_fn(|i| raw[at + i])));
    Ok(Duration::from_millis(ms[0].min(ms[1]).into()))
}

/// Bytes put into the TCP queue of `side`'s socket since it was opened, sent or not.
/// Bytes redirected to it count once the kernel's worker has queued them.
///
/// Never more than that: what is acknowledged between the two looks is missing.
/// `tcpi_bytes_sent` would not do, a segment that the local queue refused and that
/// is sent again counts twice. Not to be asked after this socket's own FIN, which
/// counts as well.
pub fn position(socket: &impl AsFd, side: Side) -> io::Result<u64> {
    let syn = match side {
        Side::Client => 0,
        Side::Backend => 1,
    };
    let acked = bytes_acked(socket)?.saturating_sub(syn);
    Ok(acked + u64::from(unacknowledged(socket)?))
}

/// Makes room in the socket's send buffer for `bytes`, never less than there is.
/// A privileged process may pass the limit of the host (`net.core.wmem_max`).
pub fn reserve_send_buffer(socket: &impl AsFd, bytes: usize) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if socket.send_buffer_size()? >= bytes {
        return Ok(());
    }
    // The kernel doubles the number (socket(7), SO_SNDBUF).
    let half = libc::c_int::try_from(bytes / 2).unwrap_or(libc::c_int::MAX / 2);
    // SAFETY: the value outlives the call and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            (&raw const half).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The socket's cookie: unique until the next boot, over all namespaces.
pub fn cookie(socket: &impl AsFd) -> io::Result<u64> {
    socket_option(socket, libc::SOL_SOCKET, SO_COOKIE)
}

/// A socket option whose value is one 64-bit number.
pub fn socket_option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<u64> {
    let mut value = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the value outlives the call and `len` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
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
pub fn unacknowledged(socket: &impl AsFd) -> io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    if result == 0 {
        Ok(bytes.max(0) as u32)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes the coming close send a RST, as the other side of the flow did.
pub fn reset_on_close(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_position_is_what_was_written() {
        let (mut client, mut server) = pair();
        assert_eq!(position(&client, Side::Backend).unwrap(), 0);
        client.write_all(&[7; 70_000]).unwrap();
        assert_eq!(position(&client, Side::Backend).unwrap(), 70_000);
        server.read_exact(&mut [0; 70_000]).unwrap();
        server.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(position(&client, Side::Backend).unwrap(), 70_000);
        assert_eq!(position(&server, Side::Client).unwrap(), 6);
    }

    #[test]
    fn silence_ends_with_a_byte_either_way() {
        let (mut client, mut server) = pair();
        let pause = Duration::from_millis(200);
        std::thread::sleep(pause);
        assert!(silence(&client).unwrap() >= pause / 2);
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        assert!(silence(&client).unwrap() < pause / 2);
        assert!(silence(&server).unwrap() < pause / 2);
    }

    #[test]
    fn the_send_buffer_only_grows() {
        let (client, _server) = pair();
        let size = || SockRef::from(&client).send_buffer_size().unwrap();
        let wanted = 2 * size();
        match reserve_send_buffer(&client, wanted) {
            Ok(()) => assert!(size() >= wanted),
            Err(error) => println!("SKIPPED: SO_SNDBUFFORCE needs CAP_NET_ADMIN: {error}"),
        }
        let before = size();
        reserve_send_buffer(&client, 4096).unwrap();
        assert_eq!(size(), before);
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
