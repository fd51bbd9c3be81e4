//! Connecting to a backend.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// Connects with TCP_NODELAY, and with keepalive after `keepalive` of silence (zero:
/// none). Gives up at `deadline`.
pub async fn connect(
    address: SocketAddr,
    deadline: Instant,
    keepalive: Duration,
) -> Result<TcpStream, DialError> {
    let started = Instant::now();
    let fail = |source| DialError { address, source };
    let socket = socket(address, keepalive).map_err(|e| fail(Failure::Io(e)))?;
    match tokio::time::timeout_at(deadline.into(), socket.connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fail(Failure::Io(error))),
        Err(_) => Err(fail(Failure::Timeout(deadline - started))),
    }
}

/// Switches TCP keepalive on: probes after `idle` of silence, four of them, so that a
/// peer that is gone is noticed after two times `idle` (never later than the kernel's
/// own probe interval of 75 s allows). Zero leaves keepalive off.
pub fn set_keepalive(socket: &impl AsFd, idle: Duration) -> io::Result<()> {
    if idle.is_zero() {
        return Ok(());
    }
    let second = Duration::from_secs(1);
    let interval = (idle / 4).clamp(second, 75 * second);
    let keepalive = TcpKeepalive::new()
        .with_time(idle.max(second))
        .with_interval(interval)
        .with_retries(4);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

fn socket(address: SocketAddr, keepalive: Duration) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_nodelay(true)?;
    set_keepalive(&socket, keepalive)?;
    Ok(socket)
}

/// Why a backend could not be reached.
#[derive(Debug)]
pub struct DialError {
    address: SocketAddr,
    source: Failure,
}

#[derive(Debug)]
enum Failure {
    Timeout(Duration),
    Io(io::Error),
}

impl DialError {
    /// Every answer of [`DialError::reason`].
    pub const REASONS: [&'static str; 5] = ["timeout", "refused", "unreachable", "local", "other"];

    /// Why, as a metric label.
    pub fn reason(&self) -> &'static str {
        let Failure::Io(error) = &self.source else {
            return "timeout";
        };
        match error.kind() {
            ErrorKind::TimedOut => "timeout",
            ErrorKind::ConnectionRefused => "refused",
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => "unreachable",
            _ if is_local(error) => "local",
            _ => "other",
        }
    }

    /// Whether this host is short of descriptors or memory: that tells nothing about
    /// the backend.
    pub fn is_local(&self) -> bool {
        self.reason() == "local"
    }
}

fn is_local(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect to {}", self.address)?;
        match &self.source {
            Failure::Timeout(after) => {
                let after = Duration::from_millis(after.as_millis() as u64);
                write!(f, " timed out after {}", humantime::format_duration(after))
            }
            Failure::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => write!(f, ": connection refused"),
                ErrorKind::HostUnreachable => write!(f, ": no route to host"),
                ErrorKind::NetworkUnreachable => write!(f, ": network unreachable"),
                ErrorKind::AddrNotAvailable => write!(f, ": no local address or port is free"),
                _ => write!(f, ": {error}"),
            },
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Failure::Timeout(_) => None,
            Failure::Io(error) => Some(error),
        }
    }
}
