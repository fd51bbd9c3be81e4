//! A pool's routing: the table's answer first, then the balance's ranking.

use std::time::Instant;

use super::balance::{self, Balancer};
use super::{BackendId, Candidate, Server, StickTable, Sticky};
use crate::config::{Balance, Stick};

/// A pool's routing.
pub struct Affinity {
    balance: Balance,
    balancer: Box<dyn Balancer>,
    table: Option<StickTable>,
}

impl Affinity {
    /// Routing with an empty table, or with none.
    #[must_use]
    pub fn new(balance: Balance, stick: Option<Stick>, servers: &[Server]) -> Self {
        Self {
            balance,
            balancer: balance::build(balance, servers),
            table: stick.map(StickTable::new),
        }
    }

    /// Takes over a changed configuration. Entries of servers that are still
    /// there stay, those of servers that have gone are removed; a smaller table
    /// drops its oldest entries.
    pub fn reconfigure(&mut self, balance: Balance, stick: Option<Stick>, servers: &[Server]) {
        if balance == self.balance {
            self.balancer.reconfigure(servers);
        } else {
            self.balance = balance;
            self.balancer = balance::build(balance, servers);
        }
        self.table = match (self.table.take(), stick) {
            (Some(mut table), Some(stick)) => {
                table.retain(|backend| servers.iter().any(|server| server.id == backend));
                table.reconfigure(stick);
                Some(table)
            }
            (None, Some(stick)) => Some(StickTable::new(stick)),
            (_, None) => None,
        };
    }

    /// Fills `out` with the backends to try, best first, each once: the table's
    /// answer where it may still take clients, then every candidate that takes
    /// new ones as the balance ranks them. A match refreshes the entry.
    ///
    /// `key` is the whole client id. Without one (or with an empty one) the
    /// client is balanced as if it were new each time.
    pub fn route(
        &mut self,
        now: Instant,
        key: Option<&[u8]>,
        candidates: &[Candidate],
        out: &mut Vec<BackendId>,
    ) {
        let key = present(key);
        out.clear();
        if let (Some(table), Some(key)) = (&mut self.table, key) {
            let home = table.get(now, key);
            out.extend(home.filter(|&id| candidates.iter().any(|c| c.id == id && c.sticky_ok)));
        }
        self.balancer.rank(key, candidates, out);
    }

    /// Records the backend that really took the client, and says how that
    /// compares with what the table knew.
    pub fn settle(&mut self, now: Instant, key: Option<&[u8]>, chosen: BackendId) -> Sticky {
        match (&mut self.table, present(key)) {
            (Some(table), Some(key)) => table.set(now, key, chosen),
            _ => Sticky::None,
        }
    }

    /// The stick table, if the pool has one.
    #[must_use]
    pub fn table(&self) -> Option<&StickTable> {
        self.table.as_ref()
    }

    /// The stick table, if the pool has one, to change it.
    pub fn table_mut(&mut self) -> Option<&mut StickTable> {
        self.table.as_mut()
    }
}

/// An empty client id identifies nobody.
fn present(key: Option<&[u8]>) -> Option<&[u8]> {
    key.filter(|key| !key.is_empty())
}
