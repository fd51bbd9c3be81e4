//! `balance = "hash"`: the consistent hash of nginx's `hash $key consistent`.
//!
//! Each server has 160 points per weight on a ring of CRC-32 values; a client
//! belongs to the first point at or behind its own hash. A server that takes no
//! clients keeps its points, and its clients go to the owner of the next point
//! that does: they come home when it is back, and nobody else moves.
//! nginx stops this walk after 20 points and takes turns instead; here it goes on.

use pingora_ketama::{Bucket, Continuum};

use super::Balancer;
use super::roundrobin::RoundRobin;
use crate::affinity::{BackendId, Candidate, Server};

/// Consistent hash of the client id.
pub(super) struct Hash {
    ring: Continuum,
    /// Owner of each point of the ring, as an index of `servers`.
    owners: Box<[u16]>,
    servers: Box<[BackendId]>,
    /// Clients without a key take turns, as with nginx.
    keyless: RoundRobin,
    /// Scratch of the walk: which of `servers` it has met.
    met: Vec<bool>,
}

impl Hash {
    pub fn new(servers: &[Server]) -> Self {
        let on_ring: Vec<_> = servers.iter().filter(|server| server.weight > 0).collect();
        let buckets: Vec<_> = on_ring
            .iter()
            .map(|s| Bucket::new(s.address, s.weight))
            .collect();
        let ring = Continuum::new(&buckets);
        Self {
            owners: owners(&ring, &on_ring),
            ring,
            servers: on_ring.iter().map(|server| server.id).collect(),
            keyless: RoundRobin::default(),
            met: Vec::new(),
        }
    }

    /// Servers in the order of the ring from the key's point on, each once.
    fn walk(&mut self, key: &[u8]) -> impl Iterator<Item = BackendId> {
        self.met.clear();
        self.met.resize(self.servers.len(), false);
        let (before, from) = self.owners.split_at(self.ring.node_idx(key));
        let (met, servers) = (&mut self.met, &self.servers);
        from.iter()
            .chain(before)
            .map(|&owner| usize::from(owner))
            .filter(move |&owner| !std::mem::replace(&mut met[owner], true))
            .map(move |owner| servers[owner])
    }
}

impl Balancer for Hash {
    fn rank(&mut self, key: Option<&[u8]>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        let Some(key) = key else {
            return self.keyless.rank(None, candidates, out);
        };
        let wanted = |id: BackendId, out: &[BackendId]| {
            candidates
                .iter()
                .any(|c| c.id == id && c.takes_new_clients())
                && !out.contains(&id)
        };
        for id in self.walk(key) {
            if wanted(id, out) {
                out.push(id);
            }
        }
        // Servers without a point: those that share an address with another.
        for candidate in candidates {
            if wanted(candidate.id, out) {
                out.push(candidate.id);
            }
        }
    }

    fn reconfigure(&mut self, servers: &[Server]) {
        let mut keyless = std::mem::take(&mut self.keyless);
        keyless.reconfigure(servers);
        *self = Self {
            keyless,
            ..Self::new(servers)
        };
    }
}

/// Reads the owner of every point off the ring, once, so that a walk compares
/// small numbers instead of addresses.
fn owners(ring: &Continuum, servers: &[&Server]) -> Box<[u16]> {
    let mut owners = Vec::new();
    let mut point = 0;
    while let Some(address) = ring.get_addr(&mut point) {
        owners.extend(
            servers
                .iter()
                .position(|s| s.address == *address)
                .map(|at| at as u16),
        );
        if point == 0 {
            break;
        }
    }
    owners.into()
}
