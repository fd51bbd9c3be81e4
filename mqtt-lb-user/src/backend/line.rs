//! Who waits for a place on a backend, in the order of their coming. Sans-IO.
//!
//! A client of the stick table waits for its own backend, any other one for the first
//! that gets free. A place goes to whoever of both has waited longest.

use std::collections::{BTreeMap, HashMap};

use crate::affinity::BackendId;

/// A place in the line: who came earlier has the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// What a backend's free place is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// The backend.
    pub backend: BackendId,
    /// For clients that wait for any backend.
    pub new: bool,
    /// For clients that wait for this one.
    pub known: bool,
}

/// The line of one pool.
pub(super) struct Line<T> {
    next: u64,
    any: BTreeMap<Ticket, T>,
    /// Those who wait for one backend; no empty ones.
    own: HashMap<BackendId, BTreeMap<Ticket, T>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            next: 0,
            any: BTreeMap::new(),
            own: HashMap::new(),
        }
    }
}

impl<T> Line<T> {
    /// Clients that wait.
    pub fn len(&self) -> usize {
        self.any.len() + self.own.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Puts a client at the end, for `own` or, with `None`, for any backend.
    pub fn join(&mut self, own: Option<BackendId>, waiter: T) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        match own {
            Some(own) => self.own.entry(own).or_default().insert(ticket, waiter),
            None => self.any.insert(ticket, waiter),
        };
        ticket
    }

    /// Takes a client out; `None` when it has been called already.
    pub fn leave(&mut self, ticket: Ticket, own: Option<BackendId>) -> Option<T> {
        // It may have come to wait for any backend meanwhile.
        let waited = self.any.remove(&ticket);
        waited.or_else(|| self.remove_own(own?, ticket))
    }

    /// Whether this place has somebody who waits for it.
    pub fn wants(&self, offer: Offer) -> bool {
        (offer.new && !self.any.is_empty())
            || (offer.known && self.own.contains_key(&offer.backend))
    }

    /// Takes out the client that gets this place.
    pub fn call(&mut self, offer: Offer) -> Option<T> {
        let any = self.any.first_key_value().filter(|_| offer.new);
        let own = self.own.get(&offer.backend).filter(|_| offer.known);
        let own = own.and_then(BTreeMap::first_key_value);
        match (any.map(|(t, _)| *t), own.map(|(t, _)| *t)) {
            (Some(any), Some(own)) if own < any => self.remove_own(offer.backend, own),
            (None, Some(own)) => self.remove_own(offer.backend, own),
            (Some(any), _) => self.any.remove(&any),
            (None, None) => None,
        }
    }

    /// Those who wait for a backend that `is_lost` wait for any from now on; they keep
    /// their places.
    pub fn release(&mut self, is_lost: impl Fn(BackendId) -> bool) {
        let lost: Vec<_> = self.own.keys().copied().filter(|id| is_lost(*id)).collect();
        for id in lost {
            self.any.extend(self.own.remove(&id).into_iter().flatten());
        }
    }

    fn remove_own(&mut self, own: BackendId, ticket: Ticket) -> Option<T> {
        let waiters = self.own.get_mut(&own)?;
        let waiter = waiters.remove(&ticket);
        if waiters.is_empty() {
            self.own.remove(&own);
        }
        waiter
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
