//! A pool: its backends, and the way from a client to one of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::Backend;
use super::registry::Registry;
use crate::affinity::{Affinity, Client, Server, StickTable, Sticky};
use crate::config;
use crate::metrics::PoolMetrics;

/// A pool of backends with its stick table.
pub struct Pool {
    /// Name of the pool.
    pub name: String,
    settings: ArcSwap<config::Pool>,
    backends: ArcSwap<Vec<Arc<Backend>>>,
    /// Held for one decision at a time; a reload swaps the lists above under it, so
    /// that ids and backends always fit together.
    affinity: Mutex<Affinity>,
    metrics: PoolMetrics,
    registry: Arc<Registry>,
}

impl Pool {
    pub(super) fn new(name: &str, config: &config::Pool, registry: &Arc<Registry>) -> Self {
        let backends = backends(name, config, registry);
        let mut affinity = Affinity::new(config.balance, config.stick, &servers(&backends));
        affinity.rebalance(config.rebalance);
        Self {
            name: name.to_owned(),
            settings: ArcSwap::from_pointee(config.clone()),
            backends: ArcSwap::from_pointee(backends),
            affinity: Mutex::new(affinity),
            metrics: registry.metrics.pool(name),
            registry: Arc::clone(registry),
        }
    }

    /// The settings of the last reload.
    pub fn settings(&self) -> Arc<config::Pool> {
        self.settings.load_full()
    }

    /// The backends, in the order of the configuration.
    pub fn backends(&self) -> Arc<Vec<Arc<Backend>>> {
        self.backends.load_full()
    }

    /// The backend of that name.
    pub fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.backends
            .load()
            .iter()
            .find(|b| b.name == name)
            .cloned()
    }

    /// Where a client belongs: backends in order of preference, none of which is down
    /// or closed to it.
    pub fn route(&self, now: Instant, client: Client<'_>) -> Vec<Arc<Backend>> {
        let mut ids = Vec::new();
        let mut affinity = self.affinity();
        let backends = self.backends.load();
        let candidates: Vec<_> = backends.iter().map(|b| b.candidate()).collect();
        affinity.route(now, client, &candidates, &mut ids);
        drop(affinity);
        ids.iter()
            .filter_map(|id| backends.iter().find(|b| b.id == *id))
            .cloned()
            .collect()
    }

    /// Records which backend took the client of [`Pool::route`], and counts the session
    /// there and the stick table's answer.
    pub fn settle(&self, now: Instant, key: Option<&[u8]>, chosen: &Backend) -> Sticky {
        let mut affinity = self.affinity();
        let key = key.filter(|_| !chosen.is_removed());
        let sticky = affinity.settle(now, key, chosen.id);
        drop(affinity);
        chosen.metrics().sessions.inc();
        self.metrics.sticky(sticky).inc();
        sticky
    }

    /// Records the id that a backend has given to a client that came without one.
    pub fn learn(&self, now: Instant, id: &[u8], backend: &Backend) -> Sticky {
        if backend.is_removed() {
            return Sticky::None;
        }
        let sticky = self.affinity().settle(now, Some(id), backend.id);
        self.metrics
            .assigned
            .inc_by((sticky != Sticky::None).into());
        sticky
    }

    /// Records where a client is that was there before this process. An entry that
    /// exists is newer.
    pub fn restore(&self, now: Instant, key: &[u8], backend: &Backend) {
        self.with_table(|table| {
            if table.entry(now, key).is_none() {
                table.set(now, key, backend.id);
            }
        });
    }

    /// Metrics of this pool.
    pub fn metrics(&self) -> &PoolMetrics {
        &self.metrics
    }

    /// Works on the stick table; `None` when the pool has none. Nobody is routed
    /// meanwhile: take it in short steps.
    pub fn with_table<R>(&self, work: impl FnOnce(&mut StickTable) -> R) -> Option<R> {
        self.affinity().table_mut().map(work)
    }

    /// Takes over the settings of a reload. Live connections stay where they are;
    /// backends that left get no more clients and lose their stick table entries.
    pub fn apply(&self, config: &config::Pool) {
        let mut affinity = self.affinity();
        let backends = backends(&self.name, config, &self.registry);
        affinity.reconfigure(config.balance, config.stick, &servers(&backends));
        affinity.rebalance(config.rebalance);
        self.settings.store(Arc::new(config.clone()));
        let before = self.backends.swap(Arc::new(backends));
        drop(affinity);
        let after = self.backends.load();
        before
            .iter()
            .filter(|old| after.iter().all(|new| new.id != old.id))
            .for_each(|gone| gone.remove());
        drop((before, after));
        self.registry.changed();
    }

    /// The pool left the configuration.
    pub(super) fn remove(&self) {
        self.backends.load().iter().for_each(|b| b.remove());
    }

    pub(super) fn affinity(&self) -> MutexGuard<'_, Affinity> {
        self.affinity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backends(pool: &str, config: &config::Pool, registry: &Registry) -> Vec<Arc<Backend>> {
    config
        .backends
        .iter()
        .map(|spec| registry.backend(pool, spec))
        .collect()
}

fn servers(backends: &[Arc<Backend>]) -> Vec<Server> {
    backends.iter().map(|b| b.server()).collect()
}
