//! The small test network: everything on the loopback of one namespace.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::brokers::fake::FakeBroker;
use crate::mqtt::{Client, Connect};
use crate::netns::Netns;

/// Where the balancer listens in a [`Solo`] network.
pub const FRONT: SocketAddr = address(1, 1883);

/// The address of backend `n`, from 1.
pub const fn backend(n: u8) -> SocketAddr {
    address(100 + n, 1883)
}

const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), port)
}

/// One namespace and its fake brokers.
#[derive(Debug)]
pub struct Solo {
    /// The brokers at [`backend`] 1, 2, ...
    pub brokers: Vec<FakeBroker>,
    /// The namespace.
    pub ns: Netns,
}

impl Solo {
    /// A namespace with `count` fake brokers.
    pub fn new(count: u8) -> Self {
        let ns = Netns::new("solo");
        let brokers = (1..=count)
            .map(|n| FakeBroker::start(&ns, backend(n)))
            .collect();
        Self { brokers, ns }
    }

    /// The addresses of its brokers.
    pub fn backends(&self) -> Vec<SocketAddr> {
        self.brokers.iter().map(|broker| broker.address).collect()
    }

    /// Connects a client through the balancer.
    pub fn client(&self, id: &str) -> io::Result<Client> {
        client(&self.ns, id)
    }

    /// Connects a client, checks that it is served, and says which broker
    /// (counted from 1) has it now.
    pub fn place(&self, id: &str) -> (Client, usize) {
        place(&self.ns, &self.brokers, id)
    }
}

fn client(ns: &Netns, id: &str) -> io::Result<Client> {
    Client::connect(ns.connect(FRONT)?, &Connect::new(id))
}

/// [`Solo::place`] among brokers that come and go.
pub fn place(ns: &Netns, brokers: &[FakeBroker], id: &str) -> (Client, usize) {
    let before: Vec<usize> = brokers.iter().map(|b| b.visits(id)).collect();
    let mut client = client(ns, id).unwrap_or_else(|e| panic!("client {id}: {e}"));
    client
        .ping()
        .unwrap_or_else(|e| panic!("client {id}: ping: {e}"));
    let now = brokers.iter().map(|b| b.visits(id));
    let places: Vec<usize> = (1..)
        .zip(now.zip(before))
        .filter(|(_, (a, b))| a > b)
        .map(|(n, _)| n)
        .collect();
    assert_eq!(places.len(), 1, "client {id} came to brokers {places:?}");
    (client, places[0])
}
