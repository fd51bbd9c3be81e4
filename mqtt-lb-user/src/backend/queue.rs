//! Hands the places of full backends to the clients that wait for them.
//!
//! A place that gets free is offered to the [`Line`] by whoever frees it, and a client
//! that joins looks once more for itself: so none is lost between the two.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::line::{Line, Ticket};
use super::{Backend, Lease};
use crate::affinity::BackendId;
use crate::metrics::QueueMetrics;

/// The clients of one pool that wait.
pub(super) struct Queue {
    line: Mutex<Line<oneshot::Sender<Lease>>>,
    /// Its length, so that a free place need not lock a line without anybody.
    waiting: AtomicUsize,
    /// The pool's backends; weak, as they refer to the queue.
    members: ArcSwap<Vec<Weak<Backend>>>,
    metrics: QueueMetrics,
}

impl Queue {
    /// An empty queue without backends.
    pub fn new(metrics: QueueMetrics) -> Self {
        Self {
            line: Mutex::default(),
            waiting: AtomicUsize::new(0),
            members: ArcSwap::default(),
            metrics,
        }
    }

    /// The pool's backends are these from now on.
    pub fn set_members(&self, backends: &[Arc<Backend>]) {
        let members = backends.iter().map(Arc::downgrade).collect();
        self.members.store(Arc::new(members));
        self.refresh();
    }

    /// Whether a place on this backend belongs to a client that waits.
    pub fn wants(&self, backend: &Backend) -> bool {
        self.waiting.load(SeqCst) > 0 && self.line().wants(backend.offer())
    }

    /// Puts a client at the end of the line: for `own`, its backend in the stick table,
    /// or for any. `None` when `size` clients wait already.
    pub fn join(self: &Arc<Self>, own: Option<BackendId>, size: usize) -> Option<Waiting> {
        let (sender, place) = oneshot::channel();
        let mut line = self.line();
        if line.len() >= size {
            self.metrics.full.inc();
            return None;
        }
        let ticket = line.join(own, sender);
        self.publish(&line);
        drop(line);
        self.refresh();
        Some(Waiting {
            queue: Arc::clone(self),
            ticket,
            own,
            place,
            since: Instant::now(),
        })
    }

    /// A place on this backend may have got free.
    pub fn freed(&self, backend: &Arc<Backend>) {
        while self.waiting.load(SeqCst) > 0 {
            let mut line = self.line();
            let offer = backend.offer();
            if !line.wants(offer) {
                return;
            }
            let Some(lease) = backend.reserve() else {
                return;
            };
            let waiter = line.call(offer);
            self.publish(&line);
            drop(line);
            // Whoever left at this moment drops its place, which comes back here.
            let _ = waiter.map(|waiter| waiter.send(lease));
        }
    }

    /// What the backends take may have changed.
    pub fn refresh(&self) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let members: Vec<_> = self
            .members
            .load()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let takes = |id| members.iter().any(|b| b.id == id && b.offer().known);
        self.line().release(|id| !takes(id));
        members.iter().for_each(|backend| self.freed(backend));
    }

    /// Sends everybody away: nobody waits any more.
    pub fn dissolve(&self) {
        let mut line = self.line();
        *line = Line::default();
        self.publish(&line);
    }

    fn publish(&self, line: &Line<oneshot::Sender<Lease>>) {
        self.waiting.store(line.len(), SeqCst);
        self.metrics.clients.set(line.len() as i64);
    }

    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Lease>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place in the line; it leaves when this is dropped.
pub struct Waiting {
    queue: Arc<Queue>,
    ticket: Ticket,
    own: Option<BackendId>,
    place: oneshot::Receiver<Lease>,
    since: Instant,
}

impl Waiting {
    /// Waits for a place on a backend until `deadline`. `None`: there was none in time,
    /// or the queue was dissolved.
    pub async fn place(mut self, deadline: Instant) -> Option<Lease> {
        let place = tokio::time::timeout_at(deadline.into(), &mut self.place).await;
        let lease = match place {
            Ok(place) => place.ok(),
            Err(_) => {
                // It may have been called at this very moment.
                self.leave();
                self.place.try_recv().ok()
            }
        };
        let metrics = &self.queue.metrics;
        metrics.wait.observe(self.since.elapsed().as_secs_f64());
        match lease {
            Some(_) => metrics.served.inc(),
            None => metrics.timeout.inc(),
        };
        lease
    }

    fn leave(&self) -> bool {
        let mut line = self.queue.line();
        let left = line.leave(self.ticket, self.own).is_some();
        self.queue.publish(&line);
        left
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.leave() {
            self.queue.metrics.left.inc();
        }
    }
}
