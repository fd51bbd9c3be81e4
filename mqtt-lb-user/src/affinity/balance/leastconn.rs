//! `balance = "leastconn"`: the backend with the fewest connections for its weight.

use super::Balancer;
use super::turns::{Turns, compare_load};
use crate::affinity::{BackendId, Candidate, Client, Server};

/// The fewest connections for its weight; equals take turns.
#[derive(Clone, Default)]
pub(super) struct LeastConn {
    turns: Turns,
}

impl Balancer for LeastConn {
    fn rank(&mut self, _client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        let takers = || candidates.iter().filter(|c| c.takes_new_clients());
        if out.is_empty() {
            if let Some(least) = takers().min_by(|a, b| compare_load(a, b)) {
                let equals = takers().filter(|c| compare_load(c, least).is_eq());
                out.extend(self.turns.pick(equals));
            }
        }
        self.turns.rest(candidates, out);
    }

    fn reconfigure(&mut self, servers: &[Server]) {
        self.turns.reconfigure(servers);
    }

    fn fork(&self) -> Box<dyn Balancer> {
        Box::new(self.clone())
    }
}
