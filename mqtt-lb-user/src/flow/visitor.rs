//! A CONNECT as it counts for its client id: from its arrival to its CONNACK, and then
//! as a flow of that id.

use std::sync::Arc;
use std::time::Instant;

use super::shared::Shared;
use crate::backend::Pool;
use crate::connect::Connect;
use crate::datapath::tag;
use crate::ids::{Arrival, Number};

/// A client between its CONNECT and its end. Dropped, it is no flow of its id any more.
pub(super) struct Visitor {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    since: Instant,
    /// `None` for a client without an id.
    arrival: Option<Arrival>,
    /// Its id, once the broker has accepted it.
    id: Option<Number>,
}

impl Visitor {
    /// A CONNECT has come for this pool.
    pub(super) fn arrive(
        shared: &Arc<Shared>,
        pool: &Arc<Pool>,
        connect: &Connect<'_>,
        now: Instant,
    ) -> Self {
        let metrics = &pool.metrics().ids;
        metrics.keepalive.observe(connect.keepalive().into());
        let id = Some(connect.client_id()).filter(|id| !id.is_empty());
        let arrival = id.map(|id| {
            shared
                .ids
                .connect(now, tag(&pool.name), id, |flow| closing(shared, flow))
        });
        if arrival.is_some_and(|arrival| arrival.flapping) {
            metrics.flapping.inc();
        }
        Self {
            shared: shared.clone(),
            pool: pool.clone(),
            since: now,
            arrival,
            id: None,
        }
    }

    /// The backend has answered with this code, and has given a client without an id
    /// the one in `assigned`.
    pub(super) fn answered(&mut self, now: Instant, code: u8, assigned: Option<&[u8]>) {
        let metrics = &self.pool.metrics().ids;
        metrics.connack.observe((now - self.since).as_secs_f64());
        if code != 0 {
            metrics.refused(code);
            return;
        }
        let (shared, ids) = (&self.shared, &self.shared.ids);
        self.id = match (self.arrival, assigned) {
            (Some(arrival), _) => {
                if ids.accepted(arrival, |flow| closing(shared, flow)) {
                    metrics.takeovers.inc();
                }
                Some(arrival.number)
            }
            (None, Some(id)) => Some(ids.enter(tag(&self.pool.name), id)),
            (None, None) => None,
        };
    }

    /// The flow is no flow of its id any more: who comes now does not take it over.
    pub(super) fn leave(&mut self) {
        if let Some(id) = self.id.take() {
            self.shared.ids.ended(id, true);
        }
    }

    /// The flow goes on without this process: what it is to be known by there.
    pub(super) fn depart(&mut self) -> Option<Number> {
        self.id.take()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.leave();
    }
}

fn closing(shared: &Shared, flow: u64) -> bool {
    let residents = shared.paths.residents();
    residents.is_none_or(|residents| residents.closing(flow))
}
