//! A client's place on a backend.

use std::sync::Arc;

use super::Backend;

/// A connection to a backend; counted until dropped, when whoever waits gets the place.
pub struct Lease {
    backend: Arc<Backend>,
}

impl Backend {
    /// Counts a connection until the lease is dropped, whatever the limit.
    pub fn open(self: &Arc<Self>) -> Lease {
        self.load.take();
        self.lease()
    }

    /// Takes a place until the lease is dropped; `None` when it has as many connections
    /// as it may.
    pub fn reserve(self: &Arc<Self>) -> Option<Lease> {
        self.load.try_take(self.maxconn()).then(|| self.lease())
    }

    fn lease(self: &Arc<Self>) -> Lease {
        self.counters.connections.inc();
        Lease {
            backend: Arc::clone(self),
        }
    }
}

impl Lease {
    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.load.give_back();
        self.backend.counters.connections.dec();
        self.backend.queue.load().freed(&self.backend);
    }
}
