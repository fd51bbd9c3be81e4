//! Balancing: every backend that takes new clients, best first.

mod bound;
mod hash;
mod leastconn;
mod random;
mod ranking;
mod ring;
mod roundrobin;
mod turns;

use super::{BackendId, Candidate, Client, Server};
use crate::config::Balance;

pub use ranking::Ranking;
pub(super) use ranking::Tier;

/// How a pool balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The order of the backends.
    pub balance: Balance,
    /// Percent of the mean load that a backend may have before others are preferred;
    /// `None` sets no bound.
    pub bounded_load: Option<u32>,
}

impl From<Balance> for Policy {
    /// That balance, unbounded.
    fn from(balance: Balance) -> Self {
        Self {
            balance,
            bounded_load: None,
        }
    }
}

/// Ranks a pool's backends for one client.
pub trait Balancer: Send {
    /// Appends to `out` every candidate that takes new clients and is not in
    /// `out` yet, best first.
    ///
    /// What is in `out` already is the table's answer, or better ones. Such a client
    /// uses up no turn: the ranking behind is only for failover.
    fn rank(&mut self, client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>);

    /// Follows a changed list of servers; what is known of the others stays.
    fn reconfigure(&mut self, servers: &[Server]);

    /// A copy that will answer as this one would.
    fn fork(&self) -> Box<dyn Balancer>;
}

/// The balancer for a configuration.
#[must_use]
pub fn build(balance: Balance, servers: &[Server]) -> Box<dyn Balancer> {
    match balance {
        Balance::RoundRobin => Box::new(roundrobin::RoundRobin::default()),
        Balance::LeastConn => Box::new(leastconn::LeastConn::default()),
        Balance::Random => Box::new(random::Random::new()),
        Balance::Source => Box::new(hash::Hash::new(hash::Of::Source, servers)),
        Balance::Hash => Box::new(hash::Hash::new(hash::Of::Key, servers)),
    }
}
