//! A pool: its backends, and the way from a client to one of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::Backend;
use super::admission::Admission;
use super::queue::Queue;
use super::registry::Registry;
use crate::affinity::{
    Affinity, BackendId, Candidate, Client, Fields, Key, Policy, Server, StickTable, Sticky,
};
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
    /// Clients for whom the backends have no place now.
    queue: Arc<Queue>,
    metrics: PoolMetrics,
    registry: Arc<Registry>,
}

impl Pool {
    pub(super) fn new(name: &str, config: &config::Pool, registry: &Arc<Registry>) -> Self {
        let queue = Arc::new(Queue::new(registry.metrics.queue(name)));
        let backends = backends(name, config, &queue, registry);
        queue.set_members(&backends);
        let mut affinity = Affinity::new(policy(config), config.stick, &servers(&backends));
        affinity.rebalance(config.rebalance);
        Self {
            name: name.to_owned(),
            settings: ArcSwap::from_pointee(config.clone()),
            backends: ArcSwap::from_pointee(backends),
            affinity: Mutex::new(affinity),
            queue,
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

    /// What a client is known by here; `None` when the pool rejects it for having no
    /// key.
    pub fn key(&self, client: &Fields<'_>) -> Option<Key> {
        let settings = self.settings.load();
        Key::of(&settings.key, settings.empty_client_id, client)
    }

    /// Finds a client the best place there is now, on one of the backends that are
    /// neither down nor closed to it, or one in the line of those who wait. Whoever gets
    /// a place has it from here on: two clients never see the same one free.
    pub fn admit(&self, now: Instant, client: Client<'_>) -> Admission {
        let size = self.settings.load().queue.map(|queue| queue.size);
        self.place(now, client, |order, own| {
            Admission::new(order, own, &self.queue, size)
        })
    }

    /// The same for a client that has waited in vain: it waits no more, and if its own
    /// backend is still full it goes to another one.
    pub fn admit_now(&self, now: Instant, client: Client<'_>) -> Admission {
        self.place(now, client, |order, own| {
            Admission::after_waiting(order, own, &self.queue)
        })
    }

    fn place(
        &self,
        now: Instant,
        client: Client<'_>,
        find: impl FnOnce(Vec<Arc<Backend>>, Option<BackendId>) -> Admission,
    ) -> Admission {
        let mut ids = Vec::new();
        let mut affinity = self.affinity();
        let backends = self.backends.load();
        let candidates = self.candidates(now, &backends);
        let answer = affinity.route(now, client, &candidates, &mut ids);
        let find_backend = |id: &BackendId| backends.iter().find(|b| b.id == *id).cloned();
        let order = ids.iter().filter_map(find_backend).collect();
        find(order, answer)
    }

    pub(super) fn candidates(&self, now: Instant, backends: &[Arc<Backend>]) -> Vec<Candidate> {
        let slow_start = self.settings.load().slow_start;
        let candidate = |backend: &Arc<Backend>| backend.candidate(now, slow_start);
        backends.iter().map(candidate).collect()
    }

    /// Records which backend took the client of [`Pool::admit`], and counts the session
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

    /// Counts the session of a client that is elsewhere because its own backend is full.
    /// Its entry stays: the backend will have a place for it another time.
    pub fn visit(&self, chosen: &Backend) -> Sticky {
        chosen.metrics().sessions.inc();
        self.metrics.sticky(Sticky::Moved).inc();
        Sticky::Moved
    }

    /// Sets a backend's weight until a reload brings another one.
    pub fn set_weight(&self, backend: &Backend, weight: u32) {
        backend.set_weight(weight);
        self.affinity().reweigh(&servers(&self.backends.load()));
    }

    /// Records the id that a backend has given to a client that came without one;
    /// `None` where clients are not known by their ids.
    pub fn learn(&self, now: Instant, id: &[u8], backend: &Backend) -> Option<Sticky> {
        let key = Key::of_client_id(&self.settings.load().key, id)?;
        if backend.is_removed() {
            return Some(Sticky::None);
        }
        let sticky = self.affinity().settle(now, Some(&key), backend.id);
        self.metrics
            .assigned
            .inc_by((sticky != Sticky::None).into());
        Some(sticky)
    }

    /// Records where a client is that was there before this process, where clients are
    /// known by their ids. An entry that exists is newer.
    pub fn restore(&self, now: Instant, id: &[u8], backend: &Backend) {
        let Some(key) = Key::of_client_id(&self.settings.load().key, id) else {
            return;
        };
        self.with_table(|table| {
            if table.entry(now, &key).is_none() {
                table.set(now, &key, backend.id);
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
        let backends = backends(&self.name, config, &self.queue, &self.registry);
        affinity.reconfigure(policy(config), config.stick, &servers(&backends));
        // Its keys would be of another kind than those to come.
        let other_key = self.settings.load().key != config.key;
        let table = affinity.table_mut().filter(|_| other_key);
        let forgotten = table.map(StickTable::clear);
        affinity.rebalance(config.rebalance);
        self.settings.store(Arc::new(config.clone()));
        let before = self.backends.swap(Arc::new(backends));
        let after = self.backends.load();
        let now = Instant::now();
        missing(&after, &before).for_each(|new| new.rise(now));
        drop(affinity);
        if let Some(entries) = forgotten.filter(|entries| !entries.is_empty()) {
            tracing::warn!(
                "pool {}: its key has changed; the {} entries of its stick table are gone",
                self.name,
                entries.len()
            );
        }
        missing(&before, &after).for_each(|gone| gone.remove());
        if config.queue.is_none() {
            self.queue.dissolve();
        }
        self.queue.set_members(&after);
        drop((before, after));
        self.registry.changed();
    }

    /// The pool left the configuration.
    pub(super) fn remove(&self) {
        self.backends.load().iter().for_each(|b| b.remove());
        self.queue.dissolve();
    }

    pub(super) fn affinity(&self) -> MutexGuard<'_, Affinity> {
        self.affinity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backends(
    pool: &str,
    config: &config::Pool,
    queue: &Arc<Queue>,
    registry: &Registry,
) -> Vec<Arc<Backend>> {
    let specs = config.backends.iter();
    specs
        .map(|spec| registry.backend(pool, spec, queue))
        .collect()
}

/// Those of one list that are not in the other.
fn missing<'a>(
    from: &'a [Arc<Backend>],
    other: &'a [Arc<Backend>],
) -> impl Iterator<Item = &'a Arc<Backend>> {
    from.iter()
        .filter(|backend| other.iter().all(|b| b.id != backend.id))
}

fn policy(config: &config::Pool) -> Policy {
    Policy {
        balance: config.balance,
        bounded_load: config.bounded_load,
    }
}

fn servers(backends: &[Arc<Backend>]) -> Vec<Server> {
    backends.iter().map(|b| b.server()).collect()
}
