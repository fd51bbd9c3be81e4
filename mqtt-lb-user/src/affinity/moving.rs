//! A pool's routing and the moves of its ids: what the [`Planner`] is asked, and what
//! it is told of the table.

use std::time::{Duration, Instant};

use super::rebalance::{Account, Closing, Known, Planner, View};
use super::{Affinity, BackendId, Candidate, StickTable};
use crate::config::Rebalance;

impl Affinity {
    /// Sets how ids are moved; `None`: not at all. A reload is an event.
    pub fn rebalance(&mut self, settings: Option<Rebalance>) {
        match (&mut self.planner, settings) {
            (Some(planner), Some(settings)) => planner.reconfigure(settings),
            (planner, settings) => *planner = settings.map(Planner::new),
        }
    }

    /// Takes a look at the backends, whose changes the moves of ids depend on. To be
    /// called every now and then, also while nobody connects.
    pub fn observe(&mut self, now: Instant, candidates: &[Candidate]) {
        if let (Some(planner), Some(table)) = (&mut self.planner, &self.table) {
            planner.observe(now, candidates, table.len());
        }
    }

    /// How long a connection has to be silent to be closed for the sake of a move that
    /// is due; `None`: none is to be closed now.
    #[must_use]
    pub fn closes_idle(&self, now: Instant, candidates: &[Candidate]) -> Option<Duration> {
        let (planner, table) = (self.planner.as_ref()?, self.table.as_ref()?);
        let idle = planner.closes_idle()?;
        let work = planner.has_work(view(now, candidates, table));
        work.then_some(idle)
    }

    /// Whether an id is to move, some time or now.
    #[must_use]
    pub fn should_move(&self, now: Instant, key: &[u8], candidates: &[Candidate]) -> bool {
        let wanted = || {
            let (planner, table) = (self.planner.as_ref()?, self.table.as_ref()?);
            let id = known(table, now, key)?;
            planner.wanted(view(now, candidates, table), id)
        };
        wanted().is_some()
    }

    /// Whether the connection of an id is to be closed now; then its move is planned.
    pub fn closes(&mut self, now: Instant, key: &[u8], candidates: &[Candidate]) -> Closing {
        let (Some(planner), Some(table)) = (&mut self.planner, &self.table) else {
            return Closing::Never;
        };
        match known(table, now, key) {
            Some(id) => planner.closes(view(now, candidates, table), id),
            None => Closing::Never,
        }
    }

    /// The connection of an id that was to be closed stays.
    pub fn spares(&mut self, key: &[u8]) {
        if let Some(planner) = &mut self.planner {
            planner.spares(key);
        }
    }

    /// What has been moved, and how uneven the table is.
    #[must_use]
    pub fn moves(&self, now: Instant, candidates: &[Candidate]) -> Option<(Account, f64)> {
        let (planner, table) = (self.planner.as_ref()?, self.table.as_ref()?);
        let skew = planner.skew(view(now, candidates, table));
        Some((planner.account(), skew))
    }

    /// Where an id that reconnects is to move.
    pub(super) fn reconnects(
        &mut self,
        now: Instant,
        key: &[u8],
        candidates: &[Candidate],
    ) -> Option<BackendId> {
        let (planner, table) = (self.planner.as_mut()?, self.table.as_ref()?);
        planner.observe(now, candidates, table.len());
        let id = known(table, now, key)?;
        let planned = planner.reconnects(view(now, candidates, table), id)?;
        Some(planned.to)
    }

    /// Where it would move; nothing changes.
    pub(super) fn would_move(
        &self,
        now: Instant,
        key: &[u8],
        candidates: &[Candidate],
    ) -> Option<BackendId> {
        let (planner, table) = (self.planner.as_ref()?, self.table.as_ref()?);
        let id = known(table, now, key)?;
        let planned = planner.preview(view(now, candidates, table), id)?;
        Some(planned.to)
    }
}

fn view<'a>(now: Instant, candidates: &'a [Candidate], table: &'a StickTable) -> View<'a> {
    View {
        now,
        candidates,
        table,
    }
}

fn known<'a>(table: &StickTable, now: Instant, key: &'a [u8]) -> Option<Known<'a>> {
    Some(Known {
        key,
        backend: table.peek(now, key)?,
        home: table.home(now, key)?,
    })
}
