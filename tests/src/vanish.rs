//! A host that is gone from one moment to the next: its connections say nothing
//! more, and whoever asks later gets another answer.

use std::net::TcpStream;

use socket2::SockRef;

/// Dissolves a socket without a word on the wire: closed in repair mode
/// (TCP_REPAIR of tcp(7)), it sends neither FIN nor RST.
pub fn vanish(stream: TcpStream) {
    use std::os::fd::AsRawFd;
    let on = 1i32;
    let fd = SockRef::from(&stream).as_raw_fd();
    // SAFETY: the pointer and size are those of `on`.
    let answer = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(answer, 0, "TCP_REPAIR: {}", std::io::Error::last_os_error());
}
