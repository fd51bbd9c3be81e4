//! A client's way into a pool: the backends it may go to, and its place on one.

use std::sync::Arc;

use super::queue::{Queue, Waiting};
use super::{Backend, Lease};
use crate::affinity::BackendId;

/// What a pool has for a client.
pub struct Admission {
    /// Its place.
    pub place: Place,
    /// The backends to try after it, best first; some may be full.
    pub others: Vec<Arc<Backend>>,
    /// The stick table's answer is full, and the client goes elsewhere for that reason
    /// only.
    pub displaced: bool,
}

/// A place on a backend.
pub enum Place {
    /// It is the client's: nobody else gets it.
    Reserved(Lease),
    /// It may get one: all backends it could go to are full, or the one it belongs to.
    Waiting(Waiting),
    /// There is none: all backends are full, and so is the queue, or there is no queue.
    Full,
    /// No backend takes the client.
    Nobody,
}

impl Admission {
    /// Takes the best place there is now, or one in the line. `order` is the ranking,
    /// `own` the stick table's answer in it; `size` is the queue's, if there is one.
    pub(super) fn new(
        order: Vec<Arc<Backend>>,
        own: Option<BackendId>,
        queue: &Arc<Queue>,
        size: Option<usize>,
    ) -> Self {
        if order.is_empty() {
            return Self::without(Place::Nobody, order);
        }
        // Whoever is known waits for its own backend, others for the first free place.
        let behind = place_of(&order, own.filter(|_| size.is_some())).map(|at| at + 1);
        let choices = &order[..behind.unwrap_or(order.len())];
        if let Some((at, lease)) = reserve(choices, queue) {
            return Self::reserved(order, at, lease, own);
        }
        let waiting = size.and_then(|size| queue.join(own, size));
        Self::without(waiting.map_or(Place::Full, Place::Waiting), order)
    }

    /// The best place there is now, for a client that has waited in vain.
    pub(super) fn after_waiting(
        order: Vec<Arc<Backend>>,
        own: Option<BackendId>,
        queue: &Queue,
    ) -> Self {
        match reserve(&order, queue) {
            Some((at, lease)) => Self::reserved(order, at, lease, own),
            None if order.is_empty() => Self::without(Place::Nobody, order),
            None => Self::without(Place::Full, order),
        }
    }

    fn reserved(
        mut order: Vec<Arc<Backend>>,
        at: usize,
        lease: Lease,
        own: Option<BackendId>,
    ) -> Self {
        let displaced = place_of(&order, own).is_some_and(|own| own < at);
        order.remove(at);
        Self {
            place: Place::Reserved(lease),
            others: order,
            displaced,
        }
    }

    fn without(place: Place, others: Vec<Arc<Backend>>) -> Self {
        Self {
            place,
            others,
            displaced: false,
        }
    }
}

fn place_of(order: &[Arc<Backend>], id: Option<BackendId>) -> Option<usize> {
    order.iter().position(|backend| Some(backend.id) == id)
}

/// A place on the first of these that has one which nobody waits for.
fn reserve(order: &[Arc<Backend>], queue: &Queue) -> Option<(usize, Lease)> {
    order.iter().enumerate().find_map(|(at, backend)| {
        let lease = Some(backend).filter(|b| !queue.wants(b))?.reserve();
        if lease.is_none() {
            backend.metrics().full.inc();
        }
        Some((at, lease?))
    })
}
