//! Ids of the stick table go home, or over to a backend that has too few: whom to move,
//! and when. Sans-IO.
//!
//! An id whose backend is out moves to another one, and its **home** stays where it was.
//! When the home is back, the id returns as it reconnects. A backend that was added is
//! nobody's home: for that **event** some ids are given it as their home. As shares are
//! counted by home, an outage alone makes nothing uneven, and whoever goes home makes
//! nothing worse.

mod bucket;
mod plans;
mod shares;
mod tenure;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bucket::Bucket;
use plans::{Plan, Plans};
use shares::Share;
use tenure::Tenure;

use super::{BackendId, Candidate, StickTable};
use crate::config::Rebalance;

/// Why an id moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Back to its home.
    Home,
    /// Over to a backend with too few, which becomes its home.
    Over,
}

/// A move of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Why.
    pub kind: Kind,
    /// Its new backend.
    pub to: BackendId,
}

/// An id as the table has it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its backend.
    pub backend: BackendId,
    /// Its home.
    pub home: BackendId,
}

/// What has to be known at the moment of a decision.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The time.
    pub now: Instant,
    /// The pool's backends.
    pub candidates: &'a [Candidate],
    /// The ids.
    pub table: &'a StickTable,
}

/// What the planner has done, and may still do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Account {
    /// Ids that went home.
    pub home: u64,
    /// Ids that went over.
    pub over: u64,
    /// How many of both because their connections were closed for it.
    pub closed: u64,
    /// Ids that the last event may still move over.
    pub budget: usize,
}

/// Decides who moves.
pub struct Planner {
    settings: Rebalance,
    bucket: Bucket,
    tenure: Tenure,
    plans: Plans,
    /// An event that has no budget yet.
    event: bool,
    budget: usize,
    home: u64,
    over: u64,
    closed: u64,
}

impl Planner {
    /// A planner for a table that has just been set up: that is its first event.
    #[must_use]
    pub fn new(settings: Rebalance) -> Self {
        Self {
            settings,
            bucket: Bucket::new(settings.rate),
            tenure: Tenure::default(),
            plans: Plans::default(),
            event: true,
            budget: 0,
            home: 0,
            over: 0,
            closed: 0,
        }
    }

    /// Takes over the settings of a reload, which is an event.
    pub fn reconfigure(&mut self, settings: Rebalance) {
        self.settings = settings;
        self.bucket.set_rate(settings.rate);
        self.event = true;
    }

    /// Takes a look at the backends, so that none of their changes is missed; `ids` are
    /// those of the whole table.
    pub fn observe(&mut self, now: Instant, candidates: &[Candidate], ids: usize) {
        let settled = self.tenure.observe(now, candidates, self.settings.settle);
        if settled || self.event {
            self.event = false;
            self.budget = (ids as f64 * self.settings.max_moved).ceil() as usize;
        }
    }

    /// Where the id should go, without regard to the rate; nothing changes.
    #[must_use]
    pub fn wanted(&self, view: View<'_>, id: Known<'_>) -> Option<Move> {
        if id.backend == id.home {
            let to = self.over(view, id.home)?;
            let kind = Kind::Over;
            return Some(Move { kind, to });
        }
        let to = id.home;
        let kind = Kind::Home;
        self.takes(view, to).then_some(Move { kind, to })
    }

    /// What [`Planner::reconnects`] would answer; nothing changes.
    #[must_use]
    pub fn preview(&self, view: View<'_>, id: Known<'_>) -> Option<Move> {
        let planned = self.plans.get(view.now, id.key);
        if let Some(plan) = planned.filter(|plan| self.holds(view, id, plan)) {
            return Some(plan.planned);
        }
        let wanted = self.wanted(view, id)?;
        self.bucket.has(view.now).then_some(wanted)
    }

    /// Where an id that reconnects goes now instead of to its backend, if it should and
    /// the rate allows it.
    pub fn reconnects(&mut self, view: View<'_>, id: Known<'_>) -> Option<Move> {
        if let Some(planned) = self.planned(view, id) {
            return Some(planned);
        }
        let wanted = self.wanted(view, id)?;
        let token = self.plans.has_room(view.now) && self.bucket.take(view.now);
        token.then(|| self.plan(view, id, wanted, false))
    }

    /// Whether the connection of an id is to be closed now, so that it moves.
    pub fn closes(&mut self, view: View<'_>, id: Known<'_>) -> Closing {
        if self.planned(view, id).is_some() {
            return Closing::Never;
        }
        let Some(wanted) = self.wanted(view, id) else {
            return Closing::Never;
        };
        if !self.plans.has_room(view.now) || !self.bucket.take_spare(view.now) {
            return Closing::Later;
        }
        self.plan(view, id, wanted, true);
        Closing::Now
    }

    /// A connection that [`Planner::closes`] let go stays after all.
    pub fn spares(&mut self, key: &[u8]) {
        if let Some(plan) = self.plans.take(key) {
            self.give_back(plan.planned.kind);
            self.bucket.give_back();
        }
    }

    /// A client has been taken by `chosen`; the kind of the move that was planned for it
    /// and has come true.
    pub fn settles(&mut self, key: &[u8], chosen: BackendId) -> Option<Kind> {
        let plan = self.plans.take(key)?;
        let Move { kind, to } = plan.planned;
        if to != chosen {
            self.give_back(kind);
            return None;
        }
        match kind {
            Kind::Home => self.home += 1,
            Kind::Over => self.over += 1,
        }
        self.closed += u64::from(plan.closing);
        Some(kind)
    }

    /// Whether anybody should move.
    #[must_use]
    pub fn has_work(&self, view: View<'_>) -> bool {
        let mut ids = view.table.shares();
        let stray = ids.any(|ids| ids.away > 0 && self.takes(view, ids.backend));
        let mut ids = view.table.shares();
        stray || ids.any(|ids| ids.homes > ids.away && self.over(view, ids.backend).is_some())
    }

    /// How unevenly the ids are spread over the backends that have settled: 1 is even.
    #[must_use]
    pub fn skew(&self, view: View<'_>) -> f64 {
        shares::skew(&self.shares(view))
    }

    /// What has been done, and may be done.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            home: self.home,
            over: self.over,
            closed: self.closed,
            budget: self.budget,
        }
    }

    fn over(&self, view: View<'_>, from: BackendId) -> Option<BackendId> {
        if self.budget == 0 {
            return None;
        }
        let shares = self.shares(view);
        if is_backup(view, from) {
            // Nobody's home while others take clients.
            return shares::emptiest(&shares).map(|share| share.id);
        }
        if shares::skew(&shares) <= self.settings.skew {
            return None;
        }
        shares::relief(&shares, from).filter(|to| self.takes(view, *to))
    }

    fn plan(&mut self, view: View<'_>, id: Known<'_>, planned: Move, closing: bool) -> Move {
        self.budget -= usize::from(planned.kind == Kind::Over);
        let home = id.home;
        let plan = Plan {
            planned,
            home,
            closing,
        };
        self.plans.add(view.now, id.key, plan);
        planned
    }

    /// The move that is under way for an id; one that has become senseless is dropped.
    fn planned(&mut self, view: View<'_>, id: Known<'_>) -> Option<Move> {
        let plan = self.plans.get(view.now, id.key)?;
        if self.holds(view, id, &plan) {
            return Some(plan.planned);
        }
        self.plans.take(id.key);
        self.give_back(plan.planned.kind);
        None
    }

    /// Whether a plan still makes sense.
    fn holds(&self, view: View<'_>, id: Known<'_>, plan: &Plan) -> bool {
        let to = plan.planned.to;
        id.home == plan.home && id.backend != to && self.takes(view, to)
    }

    /// A move did not take place.
    fn give_back(&mut self, kind: Kind) {
        self.budget += usize::from(kind == Kind::Over);
    }

    fn shares(&self, view: View<'_>) -> Vec<Share> {
        let share = |c: &Candidate| {
            let homes = view.table.share(c.id).homes as usize;
            Share {
                id: c.id,
                ids: homes.saturating_add_signed(self.plans.coming(c.id)),
                weight: c.weight,
            }
        };
        let candidates = view.candidates.iter();
        candidates
            .filter(|c| self.is_settled(view.now, c))
            .map(share)
            .collect()
    }

    /// Whether ids may be moved to a backend.
    fn takes(&self, view: View<'_>, id: BackendId) -> bool {
        let mut candidates = view.candidates.iter();
        candidates.any(|c| c.id == id && !c.full && self.is_settled(view.now, c))
    }

    /// Whether a backend takes its share of the ids.
    fn is_settled(&self, now: Instant, candidate: &Candidate) -> bool {
        let settle = self.settings.settle;
        !candidate.backup && self.tenure.is_settled(now, candidate.id, settle)
    }

    /// How long a connection has to be silent to be closed; `None`: none is closed.
    #[must_use]
    pub fn closes_idle(&self) -> Option<Duration> {
        self.settings.close_idle.then_some(self.settings.idle)
    }
}

fn is_backup(view: View<'_>, id: BackendId) -> bool {
    let mut candidates = view.candidates.iter();
    candidates.any(|c| c.id == id && c.backup)
}

/// Whether to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Close it.
    Now,
    /// The rate does not allow it yet.
    Later,
    /// Its id need not move.
    Never,
}
