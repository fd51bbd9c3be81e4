//! One health check: what goes over the wire.
//!
//! A broker that expects the PROXY header may stop accepting while a connection has
//! not sent it, so the header goes out the moment the connection stands, whole and in
//! one segment with what follows. It says PROXY with this host's own address: brokers
//! refuse or ignore LOCAL.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dial::{self, DialError, Tuning};
use super::proxy;
use crate::config::{CheckKind, ProxyProtocol};
use crate::connect::connack::{self, ConnackPeek};

/// DISCONNECT (MQTT 3.1.1 section 3.14).
const DISCONNECT: [u8; 2] = [0xe0, 0];

/// Longest wait for the broker to close after a good check.
const LINGER: Duration = Duration::from_millis(200);

/// What to check, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The backend's address.
    pub address: SocketAddr,
    /// What a check does.
    pub kind: CheckKind,
    /// The header that the backend expects.
    pub proxy: ProxyProtocol,
    /// Time a check may take.
    pub timeout: Duration,
    /// Client id of an MQTT check.
    pub client_id: String,
}

/// A backend that passed its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Return code of the CONNACK, of an MQTT check. Any code proves a live broker.
    pub connack: Option<u8>,
}

impl Check {
    /// Runs the check once.
    pub async fn run(&self) -> Result<Alive, CheckError> {
        let deadline = Instant::now() + self.timeout;
        let mut stream = dial::connect(self.address, deadline, Duration::ZERO, &Tuning::default())
            .await
            .map_err(CheckError::Dial)?;
        let talk = tokio::time::timeout_at(deadline.into(), self.talk(&mut stream)).await;
        let alive = talk.map_err(|_| self.fail(Fault::Silent(self.timeout)))??;
        close(stream, alive.connack == Some(0)).await;
        Ok(alive)
    }

    async fn talk(&self, stream: &mut TcpStream) -> Result<Alive, CheckError> {
        let io = |error| self.fail(Fault::of(error));
        let local = stream.local_addr().map_err(io)?;
        let mut bytes = proxy::header(self.proxy, local, self.address);
        if self.kind == CheckKind::Mqtt {
            bytes.extend(connect(&self.client_id));
        }
        stream.write_all(&bytes).await.map_err(io)?;
        let connack = match self.kind {
            CheckKind::Tcp => None,
            CheckKind::Mqtt => Some(self.connack(stream).await?),
        };
        Ok(Alive { connack })
    }

    /// Reads the CONNACK; in MQTT 3.1.1 it has four bytes (section 3.2).
    async fn connack(&self, stream: &mut TcpStream) -> Result<u8, CheckError> {
        let mut buf = [0; 4];
        let mut len = 0;
        loop {
            let read = stream.read(&mut buf[len..]).await;
            match read.map_err(|error| self.fail(Fault::of(error)))? {
                0 => return Err(self.fail(Fault::Closed)),
                n => len += n,
            }
            match connack::peek(&buf[..len]) {
                ConnackPeek::Connack(connack) => return Ok(connack.code),
                ConnackPeek::NeedMore if len < buf.len() => {}
                _ => return Err(self.fail(Fault::NotConnack(buf[..len].to_vec()))),
            }
        }
    }

    fn fail(&self, fault: Fault) -> CheckError {
        CheckError::Talk(self.address, fault)
    }
}

/// CONNECT of MQTT 3.1.1 (section 3.1): clean session, no user name, keepalive 10 s.
fn connect(client_id: &str) -> Vec<u8> {
    let id_len = u8::try_from(client_id.len()).unwrap_or(u8::MAX).min(64);
    let mut packet = vec![0x10, 12 + id_len];
    packet.extend([0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 10, 0, id_len]);
    packet.extend(&client_id.as_bytes()[..id_len.into()]);
    packet
}

/// Closes in order, so that the broker logs no reset: DISCONNECT where a session
/// stands, FIN, then read until the broker closes too.
async fn close(mut stream: TcpStream, session: bool) {
    let goodbye = async {
        if session {
            stream.write_all(&DISCONNECT).await?;
        }
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // The check has passed: how the broker takes its end changes nothing.
    let _ = tokio::time::timeout(LINGER, goodbye).await;
}

/// Why a check failed.
#[derive(Debug)]
pub enum CheckError {
    /// No connection.
    Dial(DialError),
    /// The connection stood, but the broker at that address did not answer well.
    Talk(SocketAddr, Fault),
}

/// What a broker did wrong.
#[derive(Debug)]
pub enum Fault {
    /// No CONNACK within this time.
    Silent(Duration),
    /// It closed or reset the connection instead of answering.
    Closed,
    /// It answered with something else; its first bytes.
    NotConnack(Vec<u8>),
    /// The connection broke.
    Io(io::Error),
}

impl Fault {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl CheckError {
    /// Whether the check failed on this host: it tells nothing about the backend.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_local())
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, fault) = match self {
            Self::Dial(error) => return error.fmt(f),
            Self::Talk(address, fault) => (address, fault),
        };
        match fault {
            Fault::Silent(time) => {
                let time = humantime::format_duration(*time);
                write!(f, "{address} sent no CONNACK within {time}")
            }
            Fault::Closed => write!(
                f,
                "{address} closed the connection without a CONNACK; \
                 does proxy_protocol fit what it expects?"
            ),
            Fault::NotConnack(bytes) => {
                write!(f, "{address} answered with something that is no CONNACK (")?;
                bytes.iter().enumerate().try_for_each(|(i, byte)| {
                    write!(f, "{}{byte:02x}", if i == 0 { "" } else { " " })
                })?;
                write!(f, ")")
            }
            Fault::Io(error) => write!(f, "{address}: {error}"),
        }
    }
}

impl std::error::Error for CheckError {}
