//! `balance = "roundrobin"`: in turn, by weight.

use super::Balancer;
use super::turns::Turns;
use crate::affinity::{BackendId, Candidate, Client, Server};

/// In turn, by weight.
#[derive(Clone, Default)]
pub(super) struct RoundRobin {
    turns: Turns,
}

impl Balancer for RoundRobin {
    fn rank(&mut self, _client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        if out.is_empty() {
            out.extend(
                self.turns
                    .pick(candidates.iter().filter(|c| c.takes_new_clients())),
            );
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
