//! `balance = "random"`: the less loaded of two that are drawn.
//!
//! Two draws are enough to keep the loads close, and unlike with `leastconn` several
//! balancers that do not know of each other do not all run to the same backend.

use std::hash::{BuildHasher as _, RandomState};

use super::Balancer;
use super::turns::{Turns, compare_load};
use crate::affinity::{BackendId, Candidate, Client, Server};

/// The less loaded of two that are drawn by weight.
#[derive(Clone)]
pub(super) struct Random {
    state: u64,
    turns: Turns,
}

impl Random {
    /// Draws unlike any other.
    pub fn new() -> Self {
        Self {
            state: RandomState::new().hash_one(0),
            turns: Turns::default(),
        }
    }

    /// One of the takers by its share, but for `not`.
    fn draw<'a>(
        &mut self,
        candidates: &'a [Candidate],
        not: Option<BackendId>,
    ) -> Option<&'a Candidate> {
        let takers = || {
            let takers = candidates.iter().filter(|c| c.takes_new_clients());
            takers.filter(|c| Some(c.id) != not)
        };
        let total = takers().map(Candidate::share).sum();
        let mut left = self.below(total);
        takers().find(|candidate| match left.checked_sub(candidate.share()) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
    }

    /// A number below `end`, by Steele's SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(end)) >> 64) as u64
    }
}

impl Balancer for Random {
    fn rank(&mut self, _client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        if out.is_empty() {
            if let Some(first) = self.draw(candidates, None) {
                let other = self.draw(candidates, Some(first.id));
                let better = other.filter(|other| compare_load(other, first).is_lt());
                out.push(better.unwrap_or(first).id);
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
