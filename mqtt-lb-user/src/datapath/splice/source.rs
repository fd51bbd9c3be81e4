//! Which address and port of ours a connection to a backend comes from.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ports::Ports;

/// How long the answer of the routing table is taken for granted.
const FRESH: Duration = Duration::from_secs(1);

/// Source addresses by backend, and the ports of each.
pub struct Sources {
    range: RangeInclusive<u16>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    addresses: HashMap<SocketAddr, (Instant, IpAddr)>,
    ports: HashMap<(IpAddr, SocketAddr), Ports>,
}

impl Sources {
    /// Every port of `range` is free.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self {
            range,
            inner: Mutex::default(),
        }
    }

    /// The port of a flow that was found is taken.
    pub fn claim(&self, source: SocketAddr, backend: SocketAddr) {
        if !self.range.contains(&source.port()) {
            return;
        }
        self.ports(&mut self.lock(), source.ip(), backend)
            .claim(source.port());
    }

    /// An address and a port towards `backend`; `None` when there is none.
    pub fn take(&self, backend: SocketAddr) -> Option<SocketAddr> {
        let now = Instant::now();
        let mut inner = self.lock();
        let known = inner.addresses.get(&backend);
        let ip = match known {
            Some((since, ip)) if now.saturating_duration_since(*since) < FRESH => *ip,
            _ => {
                let ip = route_to(backend).ok()?;
                inner.addresses.insert(backend, (now, ip));
                ip
            }
        };
        let port = self.ports(&mut inner, ip, backend).take()?;
        Some(SocketAddr::new(ip, port))
    }

    /// Gives a port back.
    pub fn give_back(&self, source: SocketAddr, backend: SocketAddr) {
        self.ports(&mut self.lock(), source.ip(), backend)
            .give_back(source.port());
    }

    fn ports<'a>(&self, inner: &'a mut Inner, ip: IpAddr, backend: SocketAddr) -> &'a mut Ports {
        let pool = inner.ports.entry((ip, backend));
        pool.or_insert_with(|| Ports::new(&self.range))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address the host would take: a connected UDP socket knows it, and sends nothing.
fn route_to(backend: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match backend {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(backend)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backend_has_ports_of_its_own() {
        let sources = Sources::new(10_000..=10_001);
        let backends: [SocketAddr; 2] = [
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        ];
        for backend in backends {
            let first = sources.take(backend).unwrap();
            assert_eq!(first, "127.0.0.1:10000".parse().unwrap());
            assert!(sources.take(backend).is_some());
            assert_eq!(sources.take(backend), None);
            sources.give_back(first, backend);
            assert_eq!(sources.take(backend), Some(first));
        }
    }
}
