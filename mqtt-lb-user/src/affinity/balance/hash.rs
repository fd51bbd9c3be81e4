//! `balance = "hash"`: the consistent hash of nginx's `hash $key consistent`.
//!
//! A client belongs to the first point of the ring at or behind its own hash. A
//! server that takes no clients keeps its points, and its clients go to the owner
//! of the next point that does: they come home when it is back, and nobody else
//! moves. nginx gives up this walk after 20 points and takes turns; here it goes on.

use super::Balancer;
use super::ring::Ring;
use super::roundrobin::RoundRobin;
use crate::affinity::{BackendId, Candidate, Server};

/// Consistent hash of the client id.
pub(super) struct Hash {
    ring: Ring,
    servers: Box<[BackendId]>,
    /// Clients without a key take turns, as with nginx.
    keyless: RoundRobin,
    /// Scratch of the walk: which of `servers` it has met.
    met: Vec<bool>,
}

impl Hash {
    /// Lays the ring.
    pub fn new(servers: &[Server]) -> Self {
        Self {
            ring: Ring::new(servers),
            servers: servers.iter().map(|server| server.id).collect(),
            keyless: RoundRobin::default(),
            met: Vec::new(),
        }
    }
}

impl Balancer for Hash {
    fn rank(&mut self, key: Option<&[u8]>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        let Some(key) = key else {
            return self.keyless.rank(None, candidates, out);
        };
        let wanted =
            |c: &Candidate, out: &[BackendId]| c.takes_new_clients() && !out.contains(&c.id);
        let mut left = candidates.iter().filter(|c| wanted(c, out)).count();
        self.met.clear();
        self.met.resize(self.servers.len(), false);
        for at in self.ring.walk(key) {
            if left == 0 {
                return;
            }
            if std::mem::replace(&mut self.met[at], true) {
                continue;
            }
            if let Some(c) = find(candidates, at, self.servers[at]).filter(|c| wanted(c, out)) {
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

    fn reconfigure(&mut self, servers: &[Server]) {
        self.keyless.reconfigure(servers);
        self.ring = Ring::new(servers);
        self.servers = servers.iter().map(|server| server.id).collect();
    }
}

/// The candidate with this id: most often it stands where its server does.
fn find(candidates: &[Candidate], at: usize, id: BackendId) -> Option<&Candidate> {
    candidates
        .get(at)
        .filter(|c| c.id == id)
        .or_else(|| candidates.iter().find(|c| c.id == id))
}
