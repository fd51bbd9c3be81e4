//! Which backend object stands for which name, over all pools.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Backend;
use super::queue::Queue;
use crate::affinity::BackendId;
use crate::config;
use crate::metrics::Metrics;

/// Hands out one [`Backend`] per (pool, name), and ids that are never used twice.
pub(super) struct Registry {
    pub(super) metrics: Arc<Metrics>,
    changes: watch::Sender<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: u32,
    backends: HashMap<(String, String), Arc<Backend>>,
}

impl Registry {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            changes: watch::Sender::new(()),
            known: Mutex::default(),
        }
    }

    /// The backend of that name, with these settings, whose clients wait in `queue`.
    pub(super) fn backend(
        &self,
        pool: &str,
        spec: &config::Backend,
        queue: &Arc<Queue>,
    ) -> Arc<Backend> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { next, backends } = &mut *known;
        let backend = backends
            .entry((pool.to_owned(), spec.name.clone()))
            .and_modify(|backend| backend.configure(spec, queue))
            .or_insert_with(|| {
                let id = BackendId(*next);
                *next += 1;
                Arc::new(Backend::new(id, pool, spec, queue, &self.metrics))
            });
        Arc::clone(backend)
    }

    /// Forgets removed backends that nothing refers to, and tells who follows
    /// [`Registry::changes`].
    pub(super) fn changed(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.backends.retain(|_, b| Arc::strong_count(b) > 1);
        drop(known);
        self.changes.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}
