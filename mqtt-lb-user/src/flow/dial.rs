//! From a CONNECT to a backend that it is written to.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tracing::warn;

use super::sniff::Sniffed;
use crate::affinity::Client;
use crate::backend::{Backend, Lease, Pool, dial, proxy};
use crate::config::{EmptyClientId, Timeouts};
use crate::datapath::{Offers, Paths, Route};

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

    /// What the client is routed by.
    pub(super) fn client(&self, peer: SocketAddr) -> Client<'_> {
        Client {
            key: self.bytes(),
            source: peer.ip(),
        }
    }

    /// The key for the stick table and the balance.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Stick(key) => Some(key),
            Self::None => None,
        }
    }
}

/// A backend that a CONNECT has been written to.
pub(super) struct Reached {
    /// The connection to the backend.
    pub(super) stream: TcpStream,
    /// The faster paths that the connection was made for.
    pub(super) offers: Offers,
    /// The client's place on the backend.
    pub(super) lease: Lease,
    /// Bytes written to the backend: PROXY header and everything from the client.
    pub(super) written: u64,
    /// When the backend was reached.
    pub(super) at: Instant,
}

/// Takes one CONNECT to the backends of a pool, in order.
pub(super) struct Dialer<'a> {
    pool: &'a Pool,
    sniffed: &'a Sniffed,
    paths: &'a Paths,
    client: &'a TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    keepalive: Duration,
    /// Backends not yet tried.
    order: vec::IntoIter<Arc<Backend>>,
    /// What is left of `timeouts.connect`.
    left: Duration,
}

impl<'a> Dialer<'a> {
    /// The way of this CONNECT through the pool; `None` when the client is gone.
    pub(super) fn new(
        pool: &'a Pool,
        key: &Key,
        sniffed: &'a Sniffed,
        paths: &'a Paths,
        client: &'a TcpStream,
        peer: SocketAddr,
        timeouts: &Timeouts,
    ) -> Option<Self> {
        let local = client.local_addr().ok()?;
        Some(Self {
            pool,
            sniffed,
            paths,
            client,
            peer,
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            keepalive: timeouts.tcp_keepalive,
            order: pool.route(Instant::now(), key.client(peer)).into_iter(),
            left: timeouts.connect,
        })
    }

    /// Backends that have not been tried.
    pub(super) fn remaining(&self) -> usize {
        self.order.len()
    }

    /// Tries the next backends in order until one takes the CONNECT; `None` when
    /// none does within what is left of `timeouts.connect`.
    pub(super) async fn next(&mut self) -> Option<Reached> {
        let deadline = Instant::now() + self.left;
        loop {
            // A backend that does not answer must not use up the time of the others.
            let share = self.left / self.order.len().max(1) as u32;
            let backend = self.order.next().filter(|_| !share.is_zero())?;
            let reached = self.attempt(&backend, Instant::now() + share).await;
            self.left = deadline.saturating_duration_since(Instant::now());
            if reached.is_some() {
                return reached;
            }
        }
    }

    /// Connects and writes the PROXY header and the CONNECT at once: a broker may
    /// not see a connection without its header, nor a header that is cut.
    async fn attempt(&self, backend: &Arc<Backend>, deadline: Instant) -> Option<Reached> {
        let lease = backend.open();
        let proxy = self.pool.settings().proxy_protocol;
        let mut first = proxy::header(proxy, self.peer, self.local);
        first.extend_from_slice(&self.sniffed.bytes);
        let fail = |reason, error: &dyn std::fmt::Display| {
            backend.metrics().error(reason);
            warn!("backend {}/{}: {error}", self.pool.name, backend.name);
        };
        let mut offers = self.paths.offers(&Route {
            socket: self.client.as_fd(),
            client: self.peer,
            front: self.local,
            backend: backend.address(),
        });
        let connected = loop {
            let tuning = offers.tuning();
            match dial::connect(backend.address(), deadline, self.keepalive, &tuning).await {
                Err(error) if tuning.source.is_some() && error.is_source_taken() => {
                    offers.choose_source();
                }
                connected => break connected,
            }
        };
        let mut stream = connected
            .inspect_err(|error| fail(error.reason(), error))
            .ok()?;
        match tokio::time::timeout_at(deadline.into(), stream.write_all(&first)).await {
            Ok(Ok(())) => Some(Reached {
                stream,
                offers,
                lease,
                written: first.len() as u64,
                at: Instant::now(),
            }),
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
}
