//! Addresses and files that exclude each other: two listeners on one, one broker
//! twice, a balancer that would connect to itself until it has no more sockets, and
//! two stick tables in one file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Every address and file of a configuration, each with its place `P` for the message.
#[derive(Debug)]
pub(super) struct Addresses<P> {
    bound: Vec<(SocketAddr, String, P)>,
    backends: Vec<Broker<P>>,
    files: Vec<(PathBuf, String, P)>,
}

#[derive(Debug)]
struct Broker<P> {
    pool: String,
    name: String,
    address: SocketAddr,
    place: P,
}

impl<P: Clone> Addresses<P> {
    pub(super) fn new() -> Self {
        Self {
            bound: Vec::new(),
            backends: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Notes an address the balancer listens on; `owner` is what listens there.
    pub(super) fn bound(&mut self, address: SocketAddr, owner: String, place: P) {
        self.bound.push((address, owner, place));
    }

    /// Notes the address of a backend.
    pub(super) fn backend(&mut self, pool: &str, name: &str, address: SocketAddr, place: P) {
        self.backends.push(Broker {
            pool: pool.to_owned(),
            name: name.to_owned(),
            address,
            place,
        });
    }

    /// Notes a file that `owner` writes.
    pub(super) fn file(&mut self, path: PathBuf, owner: String, place: P) {
        self.files.push((path, owner, place));
    }

    /// Each address or file that cannot be: its place, what is wrong and what to do.
    pub(super) fn clashes(&self) -> Vec<(P, String)> {
        let mut found = Vec::new();
        let mut taken: BTreeMap<SocketAddr, &str> = BTreeMap::new();
        for (address, owner, place) in &self.bound {
            match taken.get(address) {
                Some(first) => found.push((
                    place.clone(),
                    format!("{address} is already the address of {first}: take another one"),
                )),
                None => _ = taken.insert(*address, owner),
            }
        }
        let mut brokers: BTreeMap<(&str, SocketAddr), &str> = BTreeMap::new();
        for Broker {
            pool,
            name,
            address,
            place,
        } in &self.backends
        {
            match brokers.get(&(pool.as_str(), *address)) {
                Some(first) => found.push((
                    place.clone(),
                    format!("{address} is already the address of backend {first}: remove one, a bigger share is a bigger weight"),
                )),
                None => _ = brokers.insert((pool, *address), name),
            }
            if let Some((_, owner)) = taken.iter().find(|(bind, _)| reaches(*address, **bind)) {
                let message = format!(
                    "{address} is {owner} of this balancer: write the address of the broker"
                );
                found.push((place.clone(), message));
            }
        }
        let mut written: BTreeMap<&Path, &str> = BTreeMap::new();
        for (path, owner, place) in &self.files {
            match written.get(path.as_path()) {
                Some(first) => found.push((
                    place.clone(),
                    format!(
                        "{} is already the file of {first}: take another one",
                        path.display()
                    ),
                )),
                None => _ = written.insert(path, owner),
            }
        }
        found
    }
}

/// Whether connecting to `address` ends at a listener bound to `bind`.
fn reaches(address: SocketAddr, bind: SocketAddr) -> bool {
    let local = bind.ip().is_unspecified() && address.ip().is_loopback();
    address.port() == bind.port() && (address.ip() == bind.ip() || local)
}
