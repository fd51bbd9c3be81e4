//! Connecting to a backend.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// What a connection has to be like beyond what every one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Address and port it comes from; the kernel chooses when `None`.
    pub source: Option<SocketAddr>,
    /// Largest segment the backend is told to send, bytes (TCP_MAXSEG).
    pub max_segment: Option<u16>,
    /// Mark of its packets (SO_MARK).
    pub mark: Option<u32>,
}

/// Connects with TCP_NODELAY, and with keepalive after `keepalive` of silence (zero:
/// none). Gives up at `deadline`.
pub async fn connect(
    address: SocketAddr,
    deadline: Instant,
    keepalive: Duration,
    tuning: &Tuning,
) -> Result<TcpStream, DialError> {
    let started = Instant::now();
    let fail = |source| DialError { address, source };
    let socket = socket(address, keepalive, tuning).map_err(|e| fail(Failure::Io(e)))?;
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

fn socket(address: SocketAddr, keepalive: Duration, tuning: &Tuning) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_nodelay(true)?;
    set_keepalive(&socket, keepalive)?;
    let options = SockRef::from(&socket);
    if let Some(bytes) = tuning.max_segment {
        options.set_tcp_mss(bytes.into())?;
    }
    if let Some(mark) = tuning.mark {
        options.set_mark(mark)?;
    }
    if let Some(source) = tuning.source {
        // A port of ours may rest in TIME_WAIT after a flow that had its sockets.
        options.set_reuse_address(true)?;
        socket.bind(source)?;
    }
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

    /// Whether the source it was to come from is taken.
    pub fn is_source_taken(&self) -> bool {
        let Failure::Io(error) = &self.source else {
            return false;
        };
        matches!(
            error.kind(),
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable
        )
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
                let after = humantime::format_duration(rounded(*after));
                write!(f, " timed out after {after}")
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

/// A time as people read it: whole milliseconds, from 50 ms on tens of them.
fn rounded(time: Duration) -> Duration {
    let step = if time.as_millis() < 50 { 1.0 } else { 10.0 };
    Duration::from_millis(((time.as_secs_f64() * 1000.0 / step).round() * step) as u64)
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Failure::Timeout(_) => None,
            Failure::Io(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(code: i32) -> DialError {
        DialError {
            address: "192.0.2.1:1883".parse().unwrap(),
            source: Failure::Io(io::Error::from_raw_os_error(code)),
        }
    }

    fn timeout(micros: u64) -> DialError {
        DialError {
            address: "[2001:db8::1]:1883".parse().unwrap(),
            source: Failure::Timeout(Duration::from_micros(micros)),
        }
    }

    #[test]
    fn times_are_told_as_people_set_them() {
        for (micros, told) in [
            (999_700, "1s"),
            (1_344_999, "1s 340ms"),
            (199_900, "200ms"),
            (4_400, "4ms"),
        ] {
            assert_eq!(
                timeout(micros).to_string(),
                format!("connect to [2001:db8::1]:1883 timed out after {told}")
            );
        }
    }

    #[test]
    fn every_error_has_a_reason_of_the_list() {
        for (code, reason) in [
            (libc::ETIMEDOUT, "timeout"),
            (libc::ECONNREFUSED, "refused"),
            (libc::EHOSTUNREACH, "unreachable"),
            (libc::ENETUNREACH, "unreachable"),
            (libc::EADDRNOTAVAIL, "unreachable"),
            (libc::EMFILE, "local"),
            (libc::ENOBUFS, "local"),
            (libc::ECONNRESET, "other"),
        ] {
            let error = io(code);
            assert_eq!(error.reason(), reason);
            assert!(DialError::REASONS.contains(&reason));
            assert_eq!(error.is_local(), reason == "local");
            assert_eq!(error.is_source_taken(), code == libc::EADDRNOTAVAIL);
        }
        assert!(io(libc::EADDRINUSE).is_source_taken());
        assert_eq!(timeout(1).reason(), "timeout");
    }

    #[test]
    fn messages_name_the_address_and_no_errno_where_words_do() {
        let told = io(libc::ECONNREFUSED).to_string();
        assert_eq!(told, "connect to 192.0.2.1:1883: connection refused");
        let told = io(libc::EHOSTUNREACH).to_string();
        assert_eq!(told, "connect to 192.0.2.1:1883: no route to host");
    }
}
