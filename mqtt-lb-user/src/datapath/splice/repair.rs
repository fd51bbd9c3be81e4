//! `TCP_REPAIR`: reading, and silently dissolving, an established socket.
//!
//! Needs CAP_NET_ADMIN (`tcp_can_repair_sock`).

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use socket2::SockRef;

const TCP_REPAIR: libc::c_int = 19;
const TCP_REPAIR_QUEUE: libc::c_int = 20;
const TCP_QUEUE_SEQ: libc::c_int = 21;
const TCP_TIMESTAMP: libc::c_int = 24;
const TCP_REPAIR_WINDOW: libc::c_int = 29;

const REPAIR_ON: libc::c_int = 1;
/// Off, without the window probe that would tell the peer (`TCP_REPAIR_OFF_NO_WP`).
const REPAIR_OFF: libc::c_int = -1;
const RECEIVE_QUEUE: libc::c_int = 1;
const SEND_QUEUE: libc::c_int = 2;

/// Where both queues of a socket end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// Next sequence number expected of the peer (`rcv_nxt`).
    pub receive: u32,
    /// Next sequence number that will be written (`write_seq`).
    pub write: u32,
}

/// `struct tcp_repair_window` (linux/tcp.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    snd_wl1: u32,
    snd_wnd: u32,
    max_window: u32,
    /// Bytes the peer may send from `rcv_wup` on.
    pub rcv_wnd: u32,
    /// Sequence number the promise was made for.
    pub rcv_wup: u32,
}

impl Window {
    /// Right edge of the window that the peer has been promised.
    pub fn edge(&self) -> u32 {
        self.rcv_wup.wrapping_add(self.rcv_wnd)
    }
}

/// A socket in repair mode: closing it sends nothing. Dropped, it leaves the mode.
#[derive(Debug)]
pub struct Repaired<'a> {
    socket: &'a TcpStream,
    filtered: bool,
    kept: bool,
}

impl<'a> Repaired<'a> {
    /// Enters repair mode. The socket still accepts and acknowledges what arrives.
    ///
    /// # Errors
    /// No CAP_NET_ADMIN, or the socket is not established.
    pub fn enter(socket: &'a TcpStream) -> io::Result<Self> {
        set(socket, libc::IPPROTO_TCP, TCP_REPAIR, &REPAIR_ON)?;
        Ok(Self {
            socket,
            filtered: false,
            kept: false,
        })
    }

    /// Where its queues end now. Takes the socket's lock: what had arrived counts.
    pub fn sequences(&self) -> io::Result<Sequences> {
        sequences(self.socket)
    }

    /// The windows.
    pub fn window(&self) -> io::Result<Window> {
        get(self.socket, TCP_REPAIR_WINDOW, Window::default())
    }

    /// The TSval the socket would send now.
    pub fn timestamp(&self) -> io::Result<u32> {
        get(self.socket, TCP_TIMESTAMP, 0u32)
    }

    /// The MSS its peer has announced, bytes, no more than our own limit
    /// (`mss_clamp`, which TCP_MAXSEG tells in repair mode).
    pub fn peer_mss(&self) -> io::Result<u32> {
        get(self.socket, libc::TCP_MAXSEG, 0u32)
    }

    /// From here on the socket drops whatever arrives.
    pub fn deafen(&mut self) -> io::Result<()> {
        let mut nothing = libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: 0,
        };
        let program = libc::sock_fprog {
            len: 1,
            filter: &mut nothing,
        };
        set(
            self.socket,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            &program,
        )?;
        self.filtered = true;
        Ok(())
    }

    /// The socket stays in repair mode, to be closed without a word.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Repaired<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if self.filtered {
            let _ = set(self.socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0);
        }
        let _ = set(self.socket, libc::IPPROTO_TCP, TCP_REPAIR, &REPAIR_OFF);
        // Leaving repair mode has cleared it (`tcp_repair`, SK_NO_REUSE).
        let _ = SockRef::from(self.socket).set_reuse_address(true);
    }
}

/// Where the queues of a socket in repair mode end.
pub fn sequences(socket: &TcpStream) -> io::Result<Sequences> {
    let of = |queue: libc::c_int| {
        set(socket, libc::IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue)?;
        get(socket, TCP_QUEUE_SEQ, 0u32)
    };
    Ok(Sequences {
        receive: of(RECEIVE_QUEUE)?,
        write: of(SEND_QUEUE)?,
    })
}

fn set<T>(socket: &TcpStream, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the value outlives the call and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn get<T: Copy>(socket: &TcpStream, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is plain numbers, outlives the call, and `len` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// `None` where the host does not let us.
    fn enter(socket: &TcpStream) -> Option<Repaired<'_>> {
        match Repaired::enter(socket) {
            Ok(repaired) => Some(repaired),
            Err(error) => {
                println!("SKIPPED: TCP_REPAIR needs CAP_NET_ADMIN: {error}");
                None
            }
        }
    }

    #[test]
    fn both_ends_tell_the_same_numbers() {
        let (mut client, server) = pair();
        client.write_all(b"hello").unwrap();
        server.peek(&mut [0; 5]).unwrap();
        let (Some(a), Some(b)) = (enter(&client), enter(&server)) else {
            return;
        };
        let (a, b) = (a.sequences().unwrap(), b.sequences().unwrap());
        assert_eq!((a.write, a.receive), (b.receive, b.write));
    }

    #[test]
    fn a_socket_that_was_in_repair_goes_on() {
        let (mut client, mut server) = pair();
        {
            let Some(mut repaired) = enter(&client) else {
                return;
            };
            repaired.deafen().unwrap();
        }
        server.write_all(b"back").unwrap();
        let mut back = [0; 4];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"back");
        client.write_all(b"forth").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
    }

    #[test]
    fn a_dissolved_socket_leaves_without_a_word() {
        let (client, mut server) = pair();
        let Some(mut repaired) = enter(&client) else {
            return;
        };
        repaired.deafen().unwrap();
        repaired.keep();
        drop(client);
        server
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let error = server.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "no FIN, no reset");
    }
}
