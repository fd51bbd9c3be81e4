//! All pools of the configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Pool;
use super::registry::Registry;
use crate::config::Config;
use crate::metrics::Metrics;

/// The pools by name; a reload swaps them without a pause.
pub struct Pools {
    pools: ArcSwap<BTreeMap<String, Arc<Pool>>>,
    registry: Arc<Registry>,
    /// One reload at a time.
    reload: Mutex<()>,
}

impl Pools {
    /// The pools of a configuration.
    pub fn new(config: &Config, metrics: &Arc<Metrics>) -> Self {
        let pools = Self {
            pools: ArcSwap::default(),
            registry: Arc::new(Registry::new(metrics)),
            reload: Mutex::new(()),
        };
        pools.apply(config);
        pools
    }

    /// The pool of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Pool>> {
        self.pools.load().get(name).cloned()
    }

    /// All pools, by name.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        self.pools.load().values().cloned().collect()
    }

    /// Takes over a new configuration: new pools and backends appear, changed ones
    /// change in place, removed ones get no more clients.
    pub fn apply(&self, config: &Config) {
        let _one = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.pools.load_full();
        let after = config.pools.iter().map(|(name, settings)| {
            let pool = match before.get(name) {
                Some(pool) => {
                    pool.apply(settings);
                    Arc::clone(pool)
                }
                None => Arc::new(Pool::new(name, settings, &self.registry)),
            };
            (name.clone(), pool)
        });
        self.pools.store(Arc::new(after.collect()));
        before
            .iter()
            .filter(|(name, _)| !config.pools.contains_key(*name))
            .for_each(|(_, pool)| pool.remove());
        drop(before);
        self.registry.changed();
    }

    /// Tells when pools or backends changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.registry.changes()
    }
}
