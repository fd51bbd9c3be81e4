//! What all connections share, and the counts that bound them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::live::Live;
use crate::backend::Pools;
use crate::config::Config;
use crate::datapath::{Paths, tag};
use crate::ids::Ids;
use crate::metrics::{ListenerMetrics, Metrics};

/// Shared by every connection of the process.
pub struct Shared {
    /// The configuration of the last reload.
    pub config: ArcSwap<Config>,
    /// The pools.
    pub pools: Arc<Pools>,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// The data paths this host can run.
    pub paths: Paths,
    /// Connections open now.
    pub open: AtomicUsize,
    /// Those of them that live in the kernel without sockets.
    pub detached: AtomicUsize,
    /// Flows that have their sockets.
    pub live: Arc<Live>,
    /// What is seen of client ids.
    pub ids: Ids,
    /// The listeners of this process.
    pub listeners: Vec<Arc<Listener>>,
    /// Turns true when connections have to end.
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    /// Connections that need this process.
    pub fn attached(&self) -> usize {
        let open = self.open.load(Ordering::Relaxed);
        open.saturating_sub(self.detached.load(Ordering::Relaxed))
    }
}

/// A listener, over all workers.
pub struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// [`tag`] of its name.
    pub tag: u32,
    /// Its metrics.
    pub metrics: ListenerMetrics,
    /// Connections that have not finished their CONNECT.
    pub pending: Arc<AtomicUsize>,
}

impl Listener {
    /// A listener without connections.
    pub fn new(name: &str, metrics: &Metrics) -> Self {
        Self {
            name: name.to_owned(),
            tag: tag(name),
            metrics: metrics.listener(name),
            pending: Arc::default(),
        }
    }
}

/// A place among the open connections, held until dropped.
pub(super) struct Open {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
}

/// The place of a flow without sockets.
pub(super) struct Detached(Open);

/// A place among the connections without a whole CONNECT, held until dropped.
pub(super) struct Pending {
    count: Arc<AtomicUsize>,
    metrics: ListenerMetrics,
}

impl Open {
    /// `None` when `limit` connections are open.
    pub(super) fn take(
        shared: &Arc<Shared>,
        listener: &Arc<Listener>,
        limit: usize,
    ) -> Option<Self> {
        take(&shared.open, limit)?;
        listener.metrics.connections.inc();
        Some(Self {
            shared: shared.clone(),
            listener: listener.clone(),
        })
    }

    /// The flow needs this process no more.
    pub(super) fn detach(self) -> Detached {
        self.shared.detached.fetch_add(1, Ordering::Relaxed);
        Detached(self)
    }
}

impl Detached {
    /// The place of a flow that was found; it may exceed the limit.
    pub(super) fn adopt(shared: &Arc<Shared>, listener: &Arc<Listener>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        listener.metrics.connections.inc();
        let open = Open {
            shared: shared.clone(),
            listener: listener.clone(),
        };
        open.detach()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn listener_name(&self) -> &str {
        &self.0.listener.name
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.0.shared.detached.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pending {
    /// `None` when `limit` connections of the listener have not finished their CONNECT.
    pub(super) fn take(listener: &Listener, limit: usize) -> Option<Self> {
        take(&listener.pending, limit)?;
        listener.metrics.pending.inc();
        Some(Self {
            count: listener.pending.clone(),
            metrics: listener.metrics.clone(),
        })
    }
}

fn take(count: &AtomicUsize, limit: usize) -> Option<()> {
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
            (n < limit).then_some(n + 1)
        })
        .ok()
        .map(|_| ())
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.listener.metrics.connections.dec();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.pending.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let listener = Listener::new("mqtt", &Metrics::new());
        let first = Pending::take(&listener, 2).unwrap();
        let _second = Pending::take(&listener, 2).unwrap();
        assert!(Pending::take(&listener, 2).is_none());
        assert_eq!(listener.metrics.pending.get(), 2);
        drop(first);
        assert_eq!(listener.metrics.pending.get(), 1);
        assert!(Pending::take(&listener, 2).is_some());
    }
}
