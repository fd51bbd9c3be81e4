//! `balance = "hash"` and `"source"`: the consistent hash of nginx's `hash … consistent`,
//! of the key or of the client's address (`$remote_addr`).
//!
//! A client belongs to the first point of the ring at or behind its own hash. A
//! server that takes no clients keeps its points, and its clients go to the owner
//! of the next point that does: they come home when it is back, and nobody else
//! moves. nginx gives up this walk after 20 points and takes turns; here it goes on.

use std::io::Write as _;
use std::net::IpAddr;

use super::Balancer;
use super::ring::Ring;
use super::roundrobin::RoundRobin;
use crate::affinity::{BackendId, Candidate, Client, Server};

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The client's key.
    Key,
    /// The client's address, as text.
    Source,
}

/// The longest address: an IPv6 one with an IPv4 one at its end.
const ADDRESS: usize = 45;

/// Consistent hash.
#[derive(Clone)]
pub(super) struct Hash {
    of: Of,
    ring: Ring,
    servers: Box<[BackendId]>,
    /// Clients without a key take turns, as with nginx.
    keyless: RoundRobin,
    /// Scratch of the walk: which of `servers` it has met.
    met: Vec<bool>,
}

impl Hash {
    /// Lays the ring.
    pub fn new(of: Of, servers: &[Server]) -> Self {
        Self {
            of,
            ring: Ring::new(servers),
            servers: servers.iter().map(|server| server.id).collect(),
            keyless: RoundRobin::default(),
            met: Vec::new(),
        }
    }
}

impl Balancer for Hash {
    fn rank(&mut self, client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        match (self.of, client.name()) {
            (Of::Source, _) => {
                let mut text = [0; ADDRESS];
                let length = write_address(client.source, &mut text);
                self.walk(&text[..length], candidates, out);
            }
            (Of::Key, Some(key)) => self.walk(key, candidates, out),
            (Of::Key, None) => self.keyless.rank(client, candidates, out),
        }
    }

    fn reconfigure(&mut self, servers: &[Server]) {
        self.keyless.reconfigure(servers);
        self.ring = Ring::new(servers);
        self.servers = servers.iter().map(|server| server.id).collect();
    }

    fn fork(&self) -> Box<dyn Balancer> {
        Box::new(self.clone())
    }
}

impl Hash {
    fn walk(&mut self, key: &[u8], candidates: &[Candidate], out: &mut Vec<BackendId>) {
        let wanted =
            |c: &Candidate, out: &[BackendId]| c.takes_new_clients() && !out.contains(&c.id);
        let mut left = candidates.iter().filter(|c| wanted(c, out)).count();
        self.met.clear();
        self.met.resize(self.servers.len(), false);
        for point in self.ring.walk(key) {
            if left == 0 {
                return;
            }
            let at = point.server as usize;
            if self.met[at] {
                continue;
            }
            let candidate = find(candidates, at, self.servers[at]);
            // In a slow start some points are still asleep.
            self.met[at] = candidate.is_none_or(|c| point.is_awake(c.ramp));
            if let Some(c) = candidate.filter(|c| self.met[at] && wanted(c, out)) {
                out.push(c.id);
                left -= 1;
            }
        }
        // Without a point of their own: servers that share another one's address.
        for candidate in candidates {
            if wanted(candidate, out) {
                out.push(candidate.id);
            }
        }
    }
}

/// Writes an address as text, and says how long it is.
fn write_address(address: IpAddr, text: &mut [u8; ADDRESS]) -> usize {
    let mut left = &mut text[..];
    // There is room for any address.
    let _ = write!(left, "{address}");
    ADDRESS - left.len()
}

/// The candidate with this id: most often it stands where its server does.
fn find(candidates: &[Candidate], at: usize, id: BackendId) -> Option<&Candidate> {
    candidates
        .get(at)
        .filter(|c| c.id == id)
        .or_else(|| candidates.iter().find(|c| c.id == id))
}
