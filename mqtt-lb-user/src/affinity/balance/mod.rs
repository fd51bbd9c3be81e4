//! Balancing: every backend that takes new clients, best first.

mod hash;
mod leastconn;
mod ring;
mod roundrobin;
mod turns;

use super::{BackendId, Candidate, Server};
use crate::config::Balance;

/// Ranks a pool's backends for one client.
pub trait Balancer: Send {
    /// Appends to `out` every candidate that takes new clients and is not in
    /// `out` yet, best first.
    ///
    /// What is in `out` already is the table's answer. A client that has one
    /// uses up no turn: the ranking behind it is only for failover.
    fn rank(&mut self, key: Option<&[u8]>, candidates: &[Candidate], out: &mut Vec<BackendId>);

    /// Follows a changed list of servers; what is known of the others stays.
    fn reconfigure(&mut self, servers: &[Server]);
}

/// The balancer for a configuration.
#[must_use]
pub fn build(balance: Balance, servers: &[Server]) -> Box<dyn Balancer> {
    match balance {
        Balance::RoundRobin => Box::new(roundrobin::RoundRobin::default()),
        Balance::LeastConn => Box::new(leastconn::LeastConn::default()),
        Balance::Hash => Box::new(hash::Hash::new(servers)),
    }
}
