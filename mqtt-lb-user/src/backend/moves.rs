//! A pool's ids on their way home, or over to a backend with too few: what those ask
//! who follow its backends and close its connections.

use std::time::{Duration, Instant};

use super::Pool;
use crate::affinity::rebalance::{Account, Closing};
use crate::affinity::{Affinity, Candidate, Share};

/// Ids looked at while the pool is locked: nobody waits longer for a route.
const STEP: usize = 64;

/// How a pool's ids are spread, and what has been done about it.
pub struct Moves {
    /// What has been moved.
    pub account: Account,
    /// How uneven the shares of the settled backends are; 1 is even.
    pub skew: f64,
}

impl Pool {
    /// Follows the backends, also while nobody connects. How long a connection has to be
    /// silent to be closed for the sake of a move; `None`: none is to be closed now.
    pub fn follow(&self, now: Instant) -> Option<Duration> {
        self.ask(now, |affinity, candidates| {
            affinity.observe(now, candidates);
            affinity.closes_idle(now, candidates)
        })
    }

    /// Those of `flows` whose ids are to move.
    pub fn moving<T>(&self, now: Instant, mut flows: Vec<T>, id: impl Fn(&T) -> &[u8]) -> Vec<T> {
        let mut moving = Vec::new();
        while !flows.is_empty() {
            let some = flows.split_off(flows.len().saturating_sub(STEP));
            self.ask(now, |affinity, candidates| {
                let due = |flow: &T| affinity.should_move(now, id(flow), candidates);
                moving.extend(some.into_iter().filter(due));
            });
        }
        moving
    }

    /// Whether the connection of an id is to be closed now; then it moves when it is back.
    pub fn closes(&self, now: Instant, id: &[u8]) -> Closing {
        self.ask(now, |affinity, candidates| {
            affinity.closes(now, id, candidates)
        })
    }

    /// What has been moved; `None` when the pool moves nobody.
    pub fn moves(&self, now: Instant) -> Option<Moves> {
        let (account, skew) =
            self.ask(now, |affinity, candidates| affinity.moves(now, candidates))?;
        Some(Moves { account, skew })
    }

    /// The stick table's entries by backend, with the backend's name.
    pub fn shares(&self) -> Vec<(String, Share)> {
        let backends = self.backends();
        let shares = self.with_table(|table| {
            let share = |backend: &std::sync::Arc<super::Backend>| {
                (backend.name.clone(), table.share(backend.id))
            };
            backends.iter().map(share).collect()
        });
        shares.unwrap_or_default()
    }

    fn ask<R>(&self, now: Instant, ask: impl FnOnce(&mut Affinity, &[Candidate]) -> R) -> R {
        let mut affinity = self.affinity();
        let backends = self.backends();
        let candidates = self.candidates(now, &backends);
        ask(&mut affinity, &candidates)
    }
}
