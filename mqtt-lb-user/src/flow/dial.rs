//! From a CONNECT to a backend that it is written to.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tracing::warn;

use super::admit::Admitted;
use super::sniff::Sniffed;
use crate::backend::{Backend, Lease, Pool, dial, proxy};
use crate::config::Timeouts;
use crate::datapath::{Offers, Paths, Route};

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
    /// The client's place on the backend to be tried first.
    place: Option<Lease>,
    /// Backends not yet tried.
    order: vec::IntoIter<Arc<Backend>>,
    /// What is left of `timeouts.connect`.
    left: Duration,
}

impl<'a> Dialer<'a> {
    /// The way of this CONNECT through the pool; `None` when the client is gone.
    pub(super) fn new(
        pool: &'a Pool,
        admitted: Admitted,
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
            place: Some(admitted.place),
            order: admitted.others.into_iter(),
            left: timeouts.connect,
        })
    }

    /// Backends that have not been tried.
    pub(super) fn remaining(&self) -> usize {
        self.order.len()
    }

    /// Tries the next backends in order until one takes the CONNECT; `None` when
    /// none does within what is left of `timeouts.connect`. Full ones are left out.
    pub(super) async fn next(&mut self) -> Option<Reached> {
        let deadline = Instant::now() + self.left;
        loop {
            let place = self.place.take();
            let place = place.or_else(|| self.order.find_map(|backend| backend.reserve()))?;
            // A backend that does not answer must not use up the time of the others.
            let share = self.left / (self.order.len() as u32 + 1);
            if share.is_zero() {
                return None;
            }
            let reached = self.attempt(place, Instant::now() + share).await;
            self.left = deadline.saturating_duration_since(Instant::now());
            if reached.is_some() {
                return reached;
            }
        }
    }

    /// Connects and writes the PROXY header and the CONNECT at once: a broker may
    /// not see a connection without its header, nor a header that is cut.
    async fn attempt(&self, lease: Lease, deadline: Instant) -> Option<Reached> {
        let backend = lease.backend();
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
