//! The broker's side of a connection up to its CONNECT.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::mqtt::{self, Seen};
use crate::stream::proxy;

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose CONNECT has been read.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub stream: TcpStream,
    /// The client's address according to the PROXY header.
    pub proxied: Option<SocketAddr>,
    /// Its CONNECT.
    pub connect: Seen,
    /// Bytes that arrived behind CONNECT.
    pub rest: Vec<u8>,
}

impl Session {
    /// Reads the optional PROXY header and CONNECT of a new connection.
    pub fn open(mut stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut buffer = Vec::new();
        loop {
            if let Some((header, proxied)) = proxy::parse(&buffer) {
                if let Some(connect) = mqtt::connect_in(&buffer[header..]) {
                    let rest = buffer.split_off(header + connect.len);
                    return Ok(Self {
                        stream,
                        proxied,
                        connect,
                        rest,
                    });
                }
            }
            let mut piece = [0; 16_384];
            match stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => buffer.extend_from_slice(&piece[..n]),
            }
        }
    }

    /// Opens the next connection that sends a CONNECT (checks do not count).
    pub fn accept(listener: &TcpListener) -> Self {
        loop {
            let mut fd = libc::pollfd {
                fd: listener.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one valid entry.
            let ready = unsafe { libc::poll(&mut fd, 1, PATIENCE.as_millis() as i32) };
            assert_eq!(ready, 1, "nobody has connected within {PATIENCE:?}");
            let (stream, _) = listener.accept().expect("accept");
            if let Ok(session) = Self::open(stream) {
                return session;
            }
        }
    }
}
