//! A pool's routing: the table's answer first, then the balance's ranking.

use std::time::Instant;

use super::balance::{Policy, Ranking, Tier};
use super::rebalance::{Kind, Planner};
use super::{BackendId, Candidate, Client, Server, StickTable, Sticky};
use crate::config::Stick;

/// A pool's routing.
pub struct Affinity {
    ranking: Ranking,
    pub(super) table: Option<StickTable>,
    pub(super) planner: Option<Planner>,
}

impl Affinity {
    /// Routing with an empty table, or with none.
    #[must_use]
    pub fn new(policy: impl Into<Policy>, stick: Option<Stick>, servers: &[Server]) -> Self {
        Self {
            ranking: Ranking::new(policy.into(), servers),
            table: stick.map(StickTable::new),
            planner: None,
        }
    }

    /// Takes over a changed configuration. Entries of servers that are still
    /// there stay, those of servers that have gone are removed; a smaller table
    /// drops its oldest entries.
    pub fn reconfigure(
        &mut self,
        policy: impl Into<Policy>,
        stick: Option<Stick>,
        servers: &[Server],
    ) {
        self.ranking.reconfigure(policy.into(), servers);
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

    /// Where in the order each candidate belongs, whatever the balance.
    pub(super) fn tiers(&self, candidates: &[Candidate]) -> Vec<Tier> {
        self.ranking.tiers(candidates)
    }

    /// Follows changed weights.
    pub fn reweigh(&mut self, servers: &[Server]) {
        self.ranking.reweigh(servers);
    }

    /// Fills `out` with the backends to try, best first, each once: the table's
    /// answer where it may still take clients, behind the backend that the client is
    /// to move to if it is, then every candidate that takes new ones as the balance
    /// ranks them. A match refreshes the entry.
    ///
    /// Full backends keep their rank only where they are the table's answer; the
    /// others come last. Returns the table's answer, if that backend may take the client.
    pub fn route(
        &mut self,
        now: Instant,
        client: Client<'_>,
        candidates: &[Candidate],
        out: &mut Vec<BackendId>,
    ) -> Option<BackendId> {
        out.clear();
        let mut answer = None;
        if let (Some(table), Some(key)) = (&mut self.table, client.name()) {
            let known = table.get(now, key);
            out.extend(known.and_then(|_| self.reconnects(now, key, candidates)));
            answer = open(known, candidates);
            out.extend(answer.filter(|id| !out.contains(id)));
        }
        self.ranking.rank(client, candidates, out);
        answer
    }

    /// What [`Affinity::route`] would answer now. Nothing changes: no entry is
    /// refreshed and no turn used up. It copies the state of the balance, so it is not
    /// meant for every client.
    #[must_use]
    pub fn preview(
        &self,
        now: Instant,
        client: Client<'_>,
        candidates: &[Candidate],
    ) -> Vec<BackendId> {
        let mut out = Vec::new();
        if let (Some(table), Some(key)) = (&self.table, client.name()) {
            out.extend(self.would_move(now, key, candidates));
            let known = open(table.peek(now, key), candidates);
            out.extend(known.filter(|id| !out.contains(id)));
        }
        self.ranking.fork().rank(client, candidates, &mut out);
        out
    }

    /// Records the backend that really took the client, and says how that
    /// compares with what the table knew.
    pub fn settle(&mut self, now: Instant, key: Option<&[u8]>, chosen: BackendId) -> Sticky {
        let (Some(table), Some(key)) = (&mut self.table, key.filter(|key| !key.is_empty())) else {
            return Sticky::None;
        };
        let planner = self.planner.as_mut();
        let kind = planner.and_then(|planner| planner.settles(key, chosen));
        let sticky = table.set(now, key, chosen);
        match kind {
            Some(kind) if sticky == Sticky::Moved => {
                if kind == Kind::Over {
                    table.set_home(now, key, chosen);
                }
                Sticky::Returned
            }
            _ => sticky,
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

/// The table's answer, where that backend may still take its clients.
fn open(answer: Option<BackendId>, candidates: &[Candidate]) -> Option<BackendId> {
    answer.filter(|&id| candidates.iter().any(|c| c.id == id && c.sticky_ok))
}
