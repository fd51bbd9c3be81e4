//! From a CONNECT to a backend that has taken it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tracing::warn;

use super::sniff::Sniffed;
use crate::affinity::Sticky;
use crate::backend::{Backend, Lease, Pool, dial, proxy};
use crate::config::{EmptyClientId, Timeouts};

/// What a client is routed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Its client id, or its source address in place of an empty one.
    Stick(Vec<u8>),
    /// Nothing: it is balanced anew each time.
    None,
}

impl Key {
    /// The key of a client; `None` when the pool rejects empty client ids.
    pub(super) fn of(sniffed: &Sniffed, empty: EmptyClientId, peer: SocketAddr) -> Option<Self> {
        let id = sniffed.connect().client_id();
        if !id.is_empty() {
            return Some(Self::Stick(id.to_vec()));
        }
        match empty {
            EmptyClientId::Balance => Some(Self::None),
            // The NUL, which MQTT forbids in a client id, keeps the two kinds apart.
            EmptyClientId::Source => Some(Self::Stick(format!("\0{}", peer.ip()).into_bytes())),
            EmptyClientId::Reject => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Stick(key) => Some(key),
            Self::None => None,
        }
    }
}

/// A client and the backend that has its CONNECT.
pub(super) struct Routed {
    /// The connection to the backend.
    pub(super) stream: TcpStream,
    /// The client's place on the backend.
    pub(super) lease: Lease,
    /// How the stick table answered.
    pub(super) sticky: Sticky,
    /// Bytes written to the backend: PROXY header and everything from the client.
    pub(super) written: u64,
    /// Bytes of those that the client has sent.
    pub(super) sniffed: u64,
    /// When the backend was reached.
    pub(super) at: Instant,
}

/// Tries the backends in order until one takes the CONNECT; `None` when none
/// does within `timeouts.connect`. The stick table learns who it was.
pub(super) async fn reach(
    pool: &Pool,
    key: &Key,
    sniffed: &Sniffed,
    client: &TcpStream,
    peer: SocketAddr,
    timeouts: &Timeouts,
) -> Option<Routed> {
    let order = pool.route(Instant::now(), key.bytes());
    let deadline = Instant::now() + timeouts.connect;
    let local = client.local_addr().ok()?;
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    for (i, backend) in order.iter().enumerate() {
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        // A backend that does not answer must not use up the time of the others.
        let share = (deadline - now) / (order.len() - i) as u32;
        let lease = backend.open();
        let mut first = proxy::header(pool.settings().proxy_protocol, peer, local);
        first.extend_from_slice(&sniffed.bytes);
        let Some(stream) = attempt(pool, backend, &first, share, timeouts).await else {
            continue;
        };
        let sticky = pool.settle(Instant::now(), key.bytes(), backend);
        return Some(Routed {
            stream,
            lease,
            sticky,
            written: first.len() as u64,
            sniffed: sniffed.bytes.len() as u64,
            at: Instant::now(),
        });
    }
    None
}

/// Connects and writes the PROXY header and the CONNECT at once: a broker may
/// not see a connection without its header, nor a header that is cut.
async fn attempt(
    pool: &Pool,
    backend: &Backend,
    first: &[u8],
    share: Duration,
    timeouts: &Timeouts,
) -> Option<TcpStream> {
    let deadline = Instant::now() + share;
    let fail = |reason, error: &dyn std::fmt::Display| {
        backend.metrics().error(reason);
        warn!("backend {}/{}: {error}", pool.name, backend.name);
    };
    let mut stream = match dial::connect(backend.address(), deadline, timeouts.tcp_keepalive).await
    {
        Ok(stream) => stream,
        Err(error) => {
            fail(error.reason(), &error);
            return None;
        }
    };
    match tokio::time::timeout_at(deadline.into(), stream.write_all(first)).await {
        Ok(Ok(())) => Some(stream),
        Ok(Err(error)) => {
            fail("write", &format_args!("writing CONNECT: {error}"));
            None
        }
        Err(_) => {
            fail("write", &"did not take the CONNECT in time");
            None
        }
    }
}
