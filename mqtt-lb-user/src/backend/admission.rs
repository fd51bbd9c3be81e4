//! A client's way into a pool: the backends it may go to, and its place on one.

use std::sync::Arc;

use super::queue::{Queue, Waiting};
use super::{Backend, Lease};

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
    /// led by the stick table's answer if `sticky`; `size` is the queue's, if there is
    /// one.
    pub(super) fn new(
        order: Vec<Arc<Backend>>,
        sticky: bool,
        queue: &Arc<Queue>,
        size: Option<usize>,
    ) -> Self {
        if order.is_empty() {
            return Self {
                place: Place::Nobody,
                others: order,
                displaced: false,
            };
        }
        // Whoever is known waits for its own backend, others for the first free place.
        let choices = if sticky && size.is_some() {
            1
        } else {
            order.len()
        };
        if let Some((at, lease)) = reserve(&order[..choices], queue) {
            return Self::reserved(order, at, lease, sticky);
        }
        let own = sticky.then(|| order[0].id);
        let place = size.and_then(|size| queue.join(own, size));
        Self {
            place: place.map_or(Place::Full, Place::Waiting),
            others: order,
            displaced: false,
        }
    }

    /// The best place there is now, for a client that has waited in vain.
    pub(super) fn after_waiting(order: Vec<Arc<Backend>>, sticky: bool, queue: &Queue) -> Self {
        match reserve(&order, queue) {
            Some((at, lease)) => Self::reserved(order, at, lease, sticky),
            None => Self {
                place: Place::Full,
                others: order,
                displaced: false,
            },
        }
    }

    fn reserved(mut order: Vec<Arc<Backend>>, at: usize, lease: Lease, sticky: bool) -> Self {
        order.remove(at);
        Self {
            place: Place::Reserved(lease),
            others: order,
            displaced: sticky && at > 0,
        }
    }
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
