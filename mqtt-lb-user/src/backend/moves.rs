//! A pool's ids on their way home, or over to a backend with too few: what those ask
//! who follow its backends and close its connections.

use std::time::{Duration, Instant};

use super::Pool;
use crate::affinity::rebalance::{Account, Closing};
use crate::affinity::{Affinity, Candidate, Key, Share};
use crate::config::KeyField;

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
    /// silent to be closed for the sake of a move; `None`: none is to be closed now, or of
    /// none is known which id it has, as clients are not known by their ids here.
    pub fn follow(&self, now: Instant) -> Option<Duration> {
        let by_id = self.settings().key.from == KeyField::ClientId;
        let idle = self.ask(now, |affinity, candidates| {
            affinity.observe(now, candidates);
            affinity.closes_idle(now, candidates)
        });
        idle.filter(|_| by_id)
    }

    /// Those of `flows` whose ids are to move.
    pub fn moving<T>(&self, now: Instant, mut flows: Vec<T>, id: impl Fn(&T) -> &[u8]) -> Vec<T> {
        let settings = self.settings();
        let mut moving = Vec::new();
        while !flows.is_empty() {
            let some = flows.split_off(flows.len().saturating_sub(STEP));
            self.ask(now, |affinity, candidates| {
                let due = |flow: &T| {
                    Key::of_client_id(&settings.key, id(flow))
                        .is_some_and(|key| affinity.should_move(now, &key, candidates))
                };
                moving.extend(some.into_iter().filter(due));
            });
        }
        moving
    }

    /// Whether the connection of an id is to be closed now; then it moves when it is back.
    pub fn closes(&self, now: Instant, id: &[u8]) -> Closing {
        let Some(key) = Key::of_client_id(&self.settings().key, id) else {
            return Closing::Never;
        };
        self.ask(now, |affinity, candidates| {
            affinity.closes(now, &key, candidates)
        })
    }

    /// The connection of an id that was to be closed stays: it was not idle after all.
    pub fn spares(&self, id: &[u8]) {
        if let Some(key) = Key::of_client_id(&self.settings().key, id) {
            self.affinity().spares(&key);
        }
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
